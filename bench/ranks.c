/*
 * ranks.c - what ranks cost: all-reduce, starting, ending, heartbeats.  One figure a line, medians.
 *
 *     ranks            everything, with ranks forked by this process
 *     ranks first      be a rank: one all-reduce, then the end (for `tabmill launch -n 2 -- ...`)
 *     ranks reduce     be a rank: the all-reduces alone, for torchrun, mpirun or launch
 *
 * all-reduce: two ranks, in place, over and over, with a barrier before each; the time is that of
 * the slower rank.  `private` has the data in memory of its own and copies it in and out.  start:
 * from rank_spawn() until the first all-reduce is done on all ranks.  kill: from SIGKILL of a rank
 * until the launcher has returned.
 */
#include "bench.h"

#include "base/cpu.h"
#include "base/log.h"
#include "base/mem.h"
#include "rank/rank.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 20000 };

typedef struct {
    volatile double start, first, killed;
    volatile int ready;
} shared;
static shared *between;

/* Median and least, in microseconds. */
static void print_times(rank_group *g, const char *name, double *t, int n, double bytes)
{
    qsort(t, (size_t)n, sizeof *t, ascending);
    if (rank_of(g)) return;
    printf("%-26s %10.1f us  least %10.1f us", name, t[n / 2] * 1e6, t[0] * 1e6);
    if (bytes > 0) printf("  %6.1f GB/s", bytes / t[n / 2] / 1e9);
    printf("  of %d\n", n);
    fflush(stdout);
}

/* One way to do it, for `seconds`: the slower rank's time of each turn. */
static void time_turns(rank_group *g, const char *name, mill_err (*turn)(rank_group *, void *),
                       void *ctx, double bytes, double seconds)
{
    static double t[MOST];
    double stop = 0;
    const double end = mill_clock() + seconds;
    int n = 0;

    for (int i = 0; i < 3; i++) check(turn(g, ctx));
    while (n < MOST && stop == 0) {
        check(rank_barrier(g));
        const double start = mill_clock();
        check(turn(g, ctx));
        double both[2] = {mill_clock() - start, mill_clock() > end};
        check(rank_combine(g, both, 2, RANK_F64, RANK_MAX));
        t[n++] = both[0];
        stop = both[1];
    }
    print_times(g, name, t, n, bytes);
}

static mill_err turn_reduce(rank_group *g, void *b)
{
    (void)g;
    return rank_all_reduce(b, 0, rank_buffer_count(b));
}

static mill_err turn_scatter(rank_group *g, void *b)
{
    (void)g;
    return rank_reduce_scatter(b, 0, rank_buffer_count(b));
}

typedef struct {
    rank_buffer *b;
    float *own;
} copied;

static mill_err turn_copied(rank_group *g, void *ctx)
{
    const copied *c = ctx;
    const size_t bytes = (size_t)rank_buffer_count(c->b) * sizeof(float);

    (void)g;
    memcpy(rank_buffer_data(c->b), c->own, bytes);
    TRY(rank_all_reduce(c->b, 0, rank_buffer_count(c->b)));
    memcpy(c->own, rank_buffer_data(c->b), bytes);
    return MILL_OK;
}

static mill_err turn_barrier(rank_group *g, void *ctx)
{
    (void)ctx;
    return rank_barrier(g);
}

/* Zeros stay zeros: sums of denormals or infinities would be other work. */
static void reduce(rank_group *g, const char *body)
{
    static const int64_t sizes[] = {1, 4096, 262144, 6553600};
    static const char *const names[] = {"4 B", "16 KB", "1 MB", "25 MB"};
    char name[64];

    snprintf(name, sizeof name, "%s barrier", body);
    time_turns(g, name, turn_barrier, NULL, 0, 0.3);
    for (int i = 0; i < 4; i++) {
        rank_buffer *b;
        const double bytes = (double)sizes[i] * 4;

        check(rank_buffer_new(&b, g, sizes[i], RANK_EACH));
        copied c = {b, mill_alloc((size_t)sizes[i], sizeof(float))};
        snprintf(name, sizeof name, "%s all-reduce %s", body, names[i]);
        time_turns(g, name, turn_reduce, b, bytes, 1);
        snprintf(name, sizeof name, "%s private %s", body, names[i]);
        time_turns(g, name, turn_copied, &c, bytes, 0.5);
        snprintf(name, sizeof name, "%s reduce-scatter %s", body, names[i]);
        time_turns(g, name, turn_scatter, b, bytes, 0.5);
        mill_free(c.own);
        rank_buffer_free(b);
    }
}

static rank_group *open_group(void)
{
    rank_identity who;
    rank_group *g;

    check(rank_identify(&who, NULL));
    check(rank_open(&g, &who, NULL));
    return g;
}

static int be_first(void)
{
    rank_group *g = open_group();
    rank_buffer *b;

    check(rank_buffer_new(&b, g, 1000, RANK_EACH));
    check(rank_all_reduce(b, 0, 1000));
    if (between && rank_of(g) == 0) between->first = mill_clock();
    if (!between && rank_of(g) == 0) printf("%.6f\n", mill_clock());
    rank_buffer_free(b);
    rank_close(g, MILL_OK);
    return 0;
}

static int be_reducing(void)
{
    rank_group *g = open_group();

    reduce(g, rank_body(g));
    rank_close(g, MILL_OK);
    return 0;
}

/* Until it is killed. */
static int be_endless(void)
{
    rank_group *g = open_group();
    mill_err err = MILL_OK;

    for (int step = 0; !err; step++) {
        rank_beat(g, step, RANK_COMPUTING);
        err = rank_barrier(g);
        if (step == 100 && rank_of(g) == 1) {
            between->killed = mill_clock();
            raise(SIGKILL);
        }
    }
    rank_close(g, err);
    return 1;
}

/* Seconds that the whole job took, in a process of its own. */
static double run_job(int n, int (*rank)(void))
{
    fflush(NULL);
    const double start = mill_clock();
    const pid_t pid = fork();

    if (pid == 0) {
        rank_side side;
        int status;
        mill_log_set(NULL, NULL, MILL_LOG_ERROR);
        if (rank == be_endless) fclose(stderr);
        check(rank_spawn(&side, &status, &(rank_job){.n = n}));
        if (side == RANK_CHILD) {
            status = rank();
            fflush(NULL);
        }
        _exit(status);
    }
    waitpid(pid, NULL, 0);
    return mill_clock() - start;
}

static void time_jobs(void)
{
    enum { TIMES = 31 };
    double first[TIMES], killed[TIMES], whole[TIMES];

    for (int i = 0; i < TIMES; i++) {
        const double start = mill_clock();
        whole[i] = run_job(2, be_first);
        first[i] = between->first - start;
        (void)run_job(2, be_endless);
        killed[i] = mill_clock() - between->killed;
    }
    qsort(first, TIMES, sizeof *first, ascending);
    qsort(whole, TIMES, sizeof *whole, ascending);
    qsort(killed, TIMES, sizeof *killed, ascending);
    printf("start of 2 forked ranks to their first all-reduce  %.2f ms  (longest %.2f)\n",
           first[TIMES / 2] * 1e3, first[TIMES - 1] * 1e3);
    printf("such a job as a whole                               %.2f ms\n", whole[TIMES / 2] * 1e3);
    printf("SIGKILL of a rank to the end of the launcher        %.1f ms  (longest %.1f)\n",
           killed[TIMES / 2] * 1e3, killed[TIMES - 1] * 1e3);
}

static int be_beating(void)
{
    enum { BEATS = 1000000 };
    rank_group *g = open_group();

    const double start = mill_clock();
    for (int i = 0; i < BEATS; i++) rank_beat(g, i, RANK_COMPUTING);
    const double each = (mill_clock() - start) / BEATS;
    if (rank_of(g) == 0)
        printf("a heartbeat                                         %.0f ns\n", each * 1e9);
    rank_close(g, MILL_OK);
    return 0;
}

int main(int argc, char **argv)
{
    check(mill_cpu_init());
    if (argc > 1 && !strcmp(argv[1], "first")) return be_first();
    if (argc > 1 && !strcmp(argv[1], "reduce")) return be_reducing();
    between =
        mmap(NULL, sizeof *between, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    printf("level %s, %d processors\n", mill_cpu_level_name(), mill_cpu_count());
    time_jobs();
    run_job(2, be_beating);
    run_job(2, be_reducing);
    return 0;
}
