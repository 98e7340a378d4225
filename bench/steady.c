/*
 * steady.c - what heartbeats, metrics and progress cost a training that goes on.
 *
 * Two ranks of one thread under a launcher that watches them.  One trainer takes turns of a few
 * hundred steps through the same loop as `train`, in pairs: with everything that a user gets
 * (heartbeats, lines of metrics and of TensorBoard, a progress line on a terminal), and with none
 * of it.  The second of a pair is the first of the next one, so that a machine that becomes slower
 * favours neither.  A turn's time is that between its second step and its last: opening a folder
 * and the last checkpoint are outside.  Reading the clock for rank_usage goes on in both; a whole
 * heartbeat is a row of `ranks`.
 */
#include "bench.h"

#include "base/cpu.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/philox.h"
#include "classify/classify.h"
#include "rank/inner.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N_OUT = 10, MOST_PAIRS = 400 };

typedef struct {
    const char *name, *hidden_dims;
    int n_num;
    int64_t batch, rows, log_steps, steps; /* a turn's */
    int pairs;
} subject;

/* A line of metrics every 50 steps is the default of `train`; the large network's are closer. */
static const subject subjects[] = {
    {"MLP 512, batch 32, a line in 50 steps", "512", 20, 32, 8192, 50, 502, 60},
    {"MLP of 5 M, batch 512, a line in 5 steps", "1448,1448,1448", 512, 512, 8192, 5, 12, 12},
};

static volatile bool *is_on; /* all ranks see it */

/* ---- heartbeats, which stop on demand ---- */

static const rank_methods *real;

static void beat_if_on(rank_group *g, int64_t step, rank_phase phase)
{
    if (*is_on) real->beat(g, step, phase);
}

static rank_group *open_group(void)
{
    static rank_methods methods;
    rank_identity who;
    rank_group *g;

    check(rank_identify(&who, NULL));
    check(rank_open(&g, &who, NULL));
    real = g->methods;
    methods = *real;
    methods.beat = beat_if_on;
    g->methods = &methods;
    return g;
}

/* ---- a turn ---- */

typedef struct {
    train_job job;
    int64_t steps;
    double first, last;
} turn;

static mill_err timed_step(void *ctx, int64_t i)
{
    turn *t = ctx;

    if (i == 1) t->first = mill_clock();
    if (i == t->steps - 1) t->last = mill_clock();
    return t->job.step(t->job.ctx, i);
}

static void give_metrics(void *ctx, double *values)
{
    const turn *t = ctx;
    t->job.metrics(t->job.ctx, values);
}

static mill_err save_nothing(void *ctx, store_writer *w, json_t *meta)
{
    (void)ctx, (void)w, (void)meta;
    return MILL_OK;
}

/* Seconds a step. */
static double take_turn(cls_trainer *trainer, const subject *s, bool on, const char *dir, int tty)
{
    turn t = {.steps = s->steps};
    train_end end;

    cls_trainer_job(&t.job, trainer);
    train_job job = t.job;
    job.ctx = &t;
    job.n_steps = s->steps;
    job.steps_per_epoch = 1000000000;
    job.step = timed_step;
    job.metrics = give_metrics;
    job.save = save_nothing;
    *is_on = on;
    check(train_loop(&end, &job,
                     &(train_options){.run_dir = dir,
                                      .checkpoint_seconds = 1e9,
                                      .keep = 2,
                                      .force = true,
                                      .log_steps = on ? s->log_steps : 0,
                                      .quiet = !on,
                                      .progress_fd = tty}));
    return (t.last - t.first) / (double)(s->steps - 2);
}

/* A terminal that nobody looks at; what was written is taken from *master. */
static int open_terminal(int *master)
{
    *master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (*master < 0 || grantpt(*master) || unlockpt(*master)) stop("no", "pseudo-terminal");
    return open(ptsname(*master), O_RDWR | O_NOCTTY | O_CLOEXEC);
}

static void lead(cls_trainer *trainer, const subject *s)
{
    static double more[MOST_PAIRS], took[2][MOST_PAIRS];
    char dir[] = "/tmp/steady-XXXXXX", command[40], seen[65536];
    int master;
    const int tty = open_terminal(&master);

    if (!mkdtemp(dir)) stop("no folder", dir);
    (void)take_turn(trainer, s, true, dir, tty);
    double before = take_turn(trainer, s, false, dir, tty);
    for (int i = 0; i < s->pairs; i++) {
        const bool on = i % 2 == 0;
        const double now = take_turn(trainer, s, on, dir, tty);
        more[i] = on ? now / before - 1 : before / now - 1;
        took[on][i] = now;
        took[!on][i] = before;
        before = now;
        while (read(master, seen, sizeof seen) > 0) continue;
    }
    const double off = median_of(took[0], s->pairs), on = median_of(took[1], s->pairs);
    const double middle = 100 * median_of(more, s->pairs); /* and sorts them */
    printf("%-44s %9.3f ms a step, %9.3f with none; %+.2f %% (half of %d pairs %+.2f to %+.2f)\n",
           s->name, on * 1e3, off * 1e3, middle, s->pairs, 100 * more[s->pairs / 4],
           100 * more[s->pairs * 3 / 4]);
    snprintf(command, sizeof command, "rm -r %s", dir);
    if (system(command)) stop("cannot remove", dir);
    close(tty);
    close(master);
}

/* ---- ranks ---- */

static cls_rows make_rows(const subject *s)
{
    cls_rows r = {.n = s->rows, .n_num = s->n_num};
    mill_rng rng = mill_rng_init(1, 1, 0);

    r.num = mill_alloc((size_t)(s->rows * s->n_num), sizeof *r.num);
    r.label = mill_alloc((size_t)s->rows, sizeof *r.label);
    if (!r.num || !r.label) stop("no", "memory");
    for (int64_t i = 0; i < s->rows * s->n_num; i++) r.num[i] = (float)mill_rng_f64(&rng) - 0.5f;
    for (int64_t i = 0; i < s->rows; i++) r.label[i] = (int32_t)mill_rng_below(&rng, N_OUT);
    return r;
}

static void be_rank(const subject *s)
{
    rank_group *g = open_group();
    const cls_encoder e = {.n_num = s->n_num, .task = CLS_CLASSES, .target.n_values = N_OUT};
    cls_rows rows = make_rows(s), none = {.n_num = s->n_num};
    cls_config c = cls_config_default();
    cls_trainer *trainer;

    c.hidden_dims = s->hidden_dims;
    c.batch_size = s->batch;
    c.workers = 0;
    check(cls_trainer_open(&trainer, &c, &(cls_data){&e, &rows, &none, &none}, g, NULL));
    if (rank_of(g) == 0) {
        lead(trainer, s);
        check(cls_trainer_end(trainer));
    } else {
        check(cls_trainer_follow(trainer));
    }
    cls_trainer_close(trainer);
    mill_free(rows.num);
    mill_free(rows.label);
    rank_close(g, MILL_OK);
}

/* In a process of its own, whose processor time is then the launcher's. */
static void measure(const subject *s)
{
    fflush(NULL);
    const pid_t pid = fork();
    int status;

    if (pid == 0) {
        rank_side side;
        struct rusage used;
        const double start = mill_clock();
        mill_log_set(NULL, NULL, MILL_LOG_ERROR);
        check(rank_spawn(&side, &status, &(rank_job){.n = 2}));
        if (side == RANK_CHILD) {
            be_rank(s);
            fflush(NULL);
            _exit(0);
        }
        getrusage(RUSAGE_SELF, &used);
        const double seconds = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                               (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
        printf("%-44s %9.3f %% of a processor\n", "  its launcher",
               100 * seconds / (mill_clock() - start));
        fflush(stdout);
        _exit(status);
    }
    if (waitpid(pid, &status, 0) != pid || status) stop("failed:", s->name);
}

int main(void)
{
    check(mill_cpu_init());
    is_on = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (is_on == MAP_FAILED) stop("no", "shared memory");
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++) measure(&subjects[i]);
    return 0;
}
