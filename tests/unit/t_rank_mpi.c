/*
 * t_rank_mpi.c - the collectives over MPI: the same values to the bit as in shared memory, and the
 * same words when a rank fails.  Under mpirun this program is a rank: TEST_MPI says of what.
 */
#include "lib/rank_checks.h"

#include <signal.h>
#include <sys/stat.h>

static mill_err all_checks(void *ctx, rank_group *g)
{
    WANT(!strcmp(rank_body(g), "mpi"));
    TRY(check_all_reduce(ctx, g));
    TRY(check_scatter_gather(ctx, g));
    TRY(check_combine(ctx, g));
    TRY(check_broadcast(ctx, g));
    TRY(check_agree(ctx, g));
    return check_many_open(ctx, g);
}

static mill_err turns(rank_group *g, const char *odd)
{
    for (int step = 0; step < 200; step++) {
        double x = 1;
        rank_beat(g, step, RANK_COMPUTING);
        if (step == 5 && rank_of(g) == 1) {
            if (!strcmp(odd, "fails")) return mill_fail(MILL_EIO, "no space on /data");
            if (!strcmp(odd, "leaves")) return MILL_OK;
            if (!strcmp(odd, "calls")) return rank_broadcast(g, &x, 4, 0);
            if (!strcmp(odd, "dies")) raise(SIGKILL);
        }
        if (!strcmp(odd, "slow")) usleep(50000);    /* 10 seconds */
        if (!strcmp(odd, "slower")) usleep(500000); /* two minutes */
        TRY(rank_combine(g, &x, 1, RANK_F64, RANK_SUM));
    }
    return MILL_OK;
}

/* Before main(), whose tests are not for ranks. */
__attribute__((constructor)) static void run_below_mpirun(void)
{
    const char *what = getenv("TEST_MPI");
    rank_identity who;
    rank_group *g;

    if (!what) return;
    mill_err err = rank_identify(&who, NULL);
    if (!err) err = rank_open(&g, &who, NULL);
    if (!err) {
        err = !strcmp(what, "all") ? all_checks(NULL, g) : turns(g, what);
        if (err) printf("rank %d says: %s\n", rank_of(g), mill_error());
        fflush(stdout);
        rank_close(g, err);
    } else {
        printf("does not open: %s\n", mill_error());
        fflush(stdout);
    }
    _exit(err ? 1 : 0);
}

/* mpirun of this program; what it said, and its exit status. */
static int under_mpirun(char *said, size_t size, int n, const char *what)
{
    char command[1200], self[600] = "";

    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) return -1;
    snprintf(command, sizeof command,
             "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 TEST_MPI=%s "
             "TABMILL_RANK_BODY=mpi timeout -k 2 30 mpirun --oversubscribe -n %d '%s' 2>&1",
             what, n, self);
    FILE *f = popen(command, "r");
    const size_t got = fread(said, 1, size - 1, f);
    said[got] = 0;
    return WEXITSTATUS(pclose(f));
}

static void need_mpi(void)
{
    struct stat st;

    if (strstr(TEST_BUILD, "asan") || strstr(TEST_BUILD, "tsan"))
        skip_because("MPI's own leaks and races are not ours");
    if (system("command -v mpirun >/dev/null")) skip_because("mpirun is absent (openmpi-bin)");
    if (stat(TEST_BUILD "/libtabmill_mpi.so", &st))
        skip_because("the plug-in was not built: mpicc is absent (libopenmpi-dev)");
}

void test_rank_mpi__gives_the_bits_of_shared_memory(void **state)
{
    char said[8000];

    (void)state;
    need_mpi();
    for (int n = 2; n <= 3; n++) {
        const int status = under_mpirun(said, sizeof said, n, "all");
        if (status) fail_msg("%d ranks, status %d: %s", n, status, said);
    }
}

static void odd_one(const char *what, const char *words)
{
    char said[8000];

    const int status = under_mpirun(said, sizeof said, 3, what);
    /* That mpirun itself ends is its own affair: 4.1 was seen to wait for ranks that were gone. */
    if (!status || !strstr(said, words))
        fail_msg("%s: status %d, \"%s\" lacks \"%s\"", what, status, said, words);
}

void test_rank_mpi__tells_all_who_failed_first(void **state)
{
    (void)state;
    need_mpi();
    odd_one("fails", "says: rank 1 failed: no space on /data");
    odd_one("leaves", "says: rank 1 failed: it left at step 5");
    odd_one("calls", "called exchange of size 4 where rank 0 called exchange of size 8");
    odd_one("dies", "signal 9");
}
