/*
 * bench_run.c - one run of `tabmill bench scaling`: its ranks, and where their time went.
 *
 * Ranks of ours tell their launcher (rank_usage).  The time that counts is that from the first step
 * to the end, of the slowest rank, evaluation included: start and loading are not.  It is divided
 * by what the ranks were doing: waiting for data; waiting for one another at a collective
 * (imbalance); adding up (communication that was not hidden behind computing); the rest is
 * computing.  Of programs of others only the whole is known.
 */
#include "cli/bench.h"

#include "base/cpu.h"
#include "base/file.h"
#include "base/mem.h"
#include "rank/rank.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static double sum(const double *x, int first)
{
    double s = 0;

    for (int i = first; i < RANK_N_PHASE; i++) s += x[i];
    return s;
}

static void divide(bench_run *run, const rank_usage *u)
{
    const int first = RANK_COMPUTING; /* STARTING and LOADING come before it */

    run->is_split = true;
    for (int r = 0; r < run->ranks; r++) run->is_split &= sum(u[r].seconds, first) > 0;
    if (!run->is_split) {
        run->seconds = run->whole;
        return;
    }
    for (int r = 0; r < run->ranks; r++) {
        const double all = sum(u[r].seconds, first), communication = sum(u[r].communication, first),
                     data = sum(u[r].data, first), imbalance = sum(u[r].imbalance, first);

        if (all > run->seconds) run->seconds = all;
        run->part[BENCH_COMMUNICATION] += communication / run->ranks;
        run->part[BENCH_DATA] += data / run->ranks;
        run->part[BENCH_IMBALANCE] += imbalance / run->ranks;
        run->part[BENCH_COMPUTE] += (all - communication - data - imbalance) / run->ranks;
        run->steps = u[r].step; /* as many are done when a rank ends */
    }
}

/* What a training says of itself. */
static void read_results(bench_run *run, const char *folder)
{
    char path[600], *text;
    size_t len;

    snprintf(path, sizeof path, "%s/run/training_results.json", folder);
    if (!file_exists(path) || file_read_all(&text, &len, path)) return;
    json_t *o = json_loadb(text, len, 0, NULL);
    const json_t *plan = json_object_get(o, "plan");
    const json_t *effective = json_object_get(plan, "effective_batch"),
                 *lr = json_object_get(plan, "lr");
    if (json_is_number(effective)) run->effective = json_number_value(effective);
    if (json_is_number(lr)) run->lr = json_number_value(lr);
    json_decref(o);
    mill_free(text);
}

/* Its ranks are started and waited for; false in a rank whose program could not be started. */
static bool spawn(bench_run *run, int *status, rank_usage *usage, char **word,
                  const bench_options *o)
{
    char threads[40], mode[40];
    const char *const env[] = {threads, mode, NULL};
    const rank_job job = {.n = run->ranks,
                          .capture = true,
                          .ranks = o->show ? NULL : "-", /* none of them */
                          .usage = usage,
                          .env = env};
    rank_side side = RANK_PARENT;

    snprintf(threads, sizeof threads, "OMP_NUM_THREADS=%d", (int)o->threads);
    snprintf(mode, sizeof mode, "TABMILL_SCALING=%s", bench_mode_names[run->mode]);
    fflush(NULL);
    const double start = mill_clock();
    const mill_err err = rank_spawn(&side, status, &job);
    run->whole = mill_clock() - start;
    if (err) *status = cli_error(&bench_set);
    if (side == RANK_PARENT) return true;
    if (!err) *status = cli_become(&bench_set, (const char *const *)word, false, false);
    return false;
}

bool bench_run_once(bench_run *run, int *status, const bench_command *c, const bench_options *o)
{
    const char *const tmp = getenv("TMPDIR");
    rank_usage *usage = mill_alloc((size_t)run->ranks, sizeof *usage);
    char folder[400], **word = NULL;

    run->effective = run->lr = (double)NAN;
    snprintf(folder, sizeof folder, "%s/tabmill-scaling-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    *status = 1;
    if (!usage) {
        cli_error(&bench_set);
        return true;
    }
    if (!mkdtemp(folder)) {
        mill_fail(MILL_EIO, "%s: cannot make a folder", folder);
        mill_free(usage);
        cli_error(&bench_set);
        return true;
    }
    bool is_launcher = true;
    if (bench_words(&word, c, run->mode, run->ranks, folder))
        cli_error(&bench_set);
    else
        is_launcher = spawn(run, status, usage, word, o);
    if (is_launcher && !*status) {
        divide(run, usage);
        read_results(run, folder);
    }
    if (is_launcher && file_remove_tree(folder)) cli_error(&bench_set);
    bench_words_free(word);
    mill_free(usage);
    return is_launcher;
}
