/*
 * busy.c - a training step beside a foreign busy process.  usage: busy [DATA.csv [ROUNDS]]
 *
 * CTGAN on the table with its defaults, f32, a thread for each processor.  A round is an epoch
 * alone, then one while a child computes without end, so that one thread has half a processor.
 * Medians of the rounds, and of their ratios; the bar on two processors is 2.2x.  Refused under a
 * real-time priority: there the child would not get its half.
 */
#include "base/cpu.h"
#include "bench.h"
#include "synth/synth.h"
#include "table/csv.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_ROUNDS = 100, SETTLE_US = 200000 };

static double epoch_s(const train_job *job, int64_t *step)
{
    const double start = mill_clock();

    for (int64_t i = 0; i < job->steps_per_epoch; i++) check(job->step(job->ctx, (*step)++));
    return mill_clock() - start;
}

static pid_t start_busy(void)
{
    const pid_t child = fork();

    if (child < 0) stop("no child:", "fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (volatile unsigned n = 0;; n++) continue;
    }
    usleep(SETTLE_US);
    return child;
}

static void measure(const train_job *job, const mill_pool *pool, int rounds)
{
    double alone[MOST_ROUNDS], beside[MOST_ROUNDS], ratio[MOST_ROUNDS];
    int64_t step = 0;

    epoch_s(job, &step);
    for (int r = 0; r < rounds; r++) {
        alone[r] = epoch_s(job, &step);
        const pid_t child = start_busy();
        beside[r] = epoch_s(job, &step);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        ratio[r] = beside[r] / alone[r];
    }
    const double n = (double)job->steps_per_epoch;
    printf("ctgan step, level %s, %d threads, %d rounds: alone %.2f ms, beside a busy process %.2f "
           "ms, %.2fx (bar 2.2x)\n",
           mill_cpu_level_name(), mill_pool_threads(pool), rounds,
           1e3 * median_of(alone, rounds) / n, 1e3 * median_of(beside, rounds) / n,
           median_of(ratio, rounds));
}

int main(int argc, char **argv)
{
    const int asked = (int)number_at(argc, argv, 2, 7);
    const int rounds = asked < 1 ? 1 : asked < MOST_ROUNDS ? asked : MOST_ROUNDS;
    const synth_method *method = method_named("ctgan");
    synth_config c = synth_config_default();
    const csv_options o = CSV_DEFAULTS;
    synth_schema *schema;
    mill_pool *pool;
    mill_table *t;
    train_job job;
    void *fit;

    if (argc < 2) {
        printf("SKIP: busy wants a table: busy DATA.csv\n");
        return 0;
    }
    if (sched_getscheduler(0) != SCHED_OTHER)
        stop("the busy process needs", "an ordinary priority");
    check(mill_cpu_init());
    check(mill_pool_new(&pool, 0));
    c.method = method->name;
    c.probe_every = 0;
    check(mill_table_read_csv(&t, argv[1], &o, pool));
    check(synth_schema_fit(&schema, t, &c));
    check(method->fit_open(&fit, t, schema, &c, pool));
    mill_table_free(t);
    method->fit_job(&job, fit);
    measure(&job, pool, rounds);
    method->fit_close(fit);
    synth_schema_free(schema);
    mill_pool_free(pool);
    return 0;
}
