/*
 * bench.c - `tabmill bench scaling`: how much faster N ranks are than one.
 *
 * Turn by turn, each with one run of every number of ranks: what disturbs the machine for a while
 * disturbs all of them.  Any program that reads WORLD_SIZE can be run; of our own ranks it is known
 * where their time went (bench_run.c).
 */
#include "cli/bench.h"

#include "base/cpu.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "rank/rank.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_WORDS = 4096 };

const char *const bench_mode_names[BENCH_N_MODE] = {"strong", "weak"};

#define OPT        OPT_ROW
#define OPT_STRUCT bench_options
static const opt_row rows[] = {
#include "cli/bench.def"
    {0}};

static const opt_group groups[] = {{.title = "Options", .row = rows}};
const opt_set bench_set = {
    .command = "bench",
    .usage = "bench scaling [options] [--] COMMAND [ARGUMENT ...]",
    .about =
        "Time COMMAND, `tabmill train ...` or any program that reads WORLD_SIZE, with 1, 2, 4, ... "
        "ranks.  In its words\n"
        "{n} is the number of ranks and {tmp} an empty folder of the run; TABMILL_SCALING tells it "
        "strong or weak.",
    .group = groups,
    .n_groups = OPT_COUNT(groups),
    .size = sizeof(bench_options),
    .most_args = MOST_WORDS,
    .args_end_options = true,
    .args = "COMMAND",
};

typedef struct {
    const bench_options *o;
    bench_command command;
    int count[BENCH_MAX_COUNTS], n_counts;
    bool wants[BENCH_N_MODE];
    bench_run *run; /* of all modes, mode by mode, turn by turn */
    int n_runs;
    int status; /* of a run that failed */
} bench;

/* ---- what is to be run ---- */

/* 1, 2, 4, ... and as many as there are processors. */
static void count_up(bench *b)
{
    const int most = mill_cpu_count() < RANK_MAX_WORLD ? mill_cpu_count() : RANK_MAX_WORLD;

    for (int n = 1; n < most; n *= 2) b->count[b->n_counts++] = n;
    b->count[b->n_counts++] = most;
}

static int read_counts(bench *b, const char *text)
{
    if (!text) {
        count_up(b);
        return 0;
    }
    for (const char *at = text;; at++) {
        const size_t len = strcspn(at, ",");
        int64_t n;

        if (!mill_parse_i64(&n, at, len) || n < 1 || n > RANK_MAX_WORLD)
            return opt_usage_error(&bench_set, "--ranks %s: numbers from 1 to %d, like 1,2,4", text,
                                   RANK_MAX_WORLD);
        if (b->n_counts ? n <= b->count[b->n_counts - 1] : n != 1)
            return opt_usage_error(&bench_set,
                                   "--ranks %s: they begin with 1, which all are compared with, "
                                   "and rise",
                                   text);
        if (b->n_counts == BENCH_MAX_COUNTS)
            return opt_usage_error(&bench_set, "--ranks: at most %d numbers", BENCH_MAX_COUNTS);
        b->count[b->n_counts++] = (int)n;
        at += len;
        if (!*at) return 0;
    }
}

static int read_modes(bench *b, const char *text)
{
    if (!text) text = b->command.is_train ? "both" : "strong";
    b->wants[BENCH_STRONG] = !strcmp(text, "strong") || !strcmp(text, "both");
    b->wants[BENCH_WEAK] = !strcmp(text, "weak") || !strcmp(text, "both");
    if (!b->wants[BENCH_STRONG] && !b->wants[BENCH_WEAK])
        return opt_usage_error(&bench_set, "--mode %s: strong, weak or both", text);
    return 0;
}

/* Weak scaling of a program that does not know of it would divide the time by N for nothing. */
static int check_weak(const bench *b)
{
    if (b->command.is_train || !b->wants[BENCH_WEAK]) return 0;
    for (int i = 0; i < b->command.n; i++)
        if (strstr(b->command.word[i], "{n}")) return 0;
    cli_say("weak scaling: the program has to do N times the work with N ranks: by {n} among its "
            "words, which is not there, or because it reads TABMILL_SCALING");
    return 0;
}

static int check_work(const bench *b)
{
    for (int mode = 0; mode < BENCH_N_MODE; mode++)
        for (int k = 0; b->wants[mode] && k < b->n_counts; k++)
            if (bench_command_check(&b->command, (bench_mode)mode, b->count[k]))
                return opt_usage_error(&bench_set, "%s", mill_error());
    for (int i = 0; i < 2; i++) {
        const char *path = i ? b->o->svg : b->o->csv;
        if (path && cli_check_output(path, b->o->force)) return cli_error(&bench_set);
    }
    if (b->count[b->n_counts - 1] * b->o->threads > mill_cpu_count())
        cli_say("%d rank%s of %d thread%s on %d processor%s: they will take turns",
                b->count[b->n_counts - 1], mill_s(b->count[b->n_counts - 1]), (int)b->o->threads,
                mill_s(b->o->threads), mill_cpu_count(), mill_s(mill_cpu_count()));
    return check_weak(b);
}

static int prepare(bench *b, const opt_parsed *p)
{
    int status;

    if ((status = bench_command_read(&b->command, p, b->o))) return status;
    if ((status = read_counts(b, b->o->ranks))) return status;
    if ((status = read_modes(b, b->o->mode))) return status;
    return check_work(b);
}

/* ---- the runs ---- */

/* False in a rank whose program could not be started. */
static bool run_one(bench *b, bench_run *run, const char *which)
{
    const bool is_launcher = bench_run_once(run, &b->status, &b->command, b->o);

    if (!is_launcher || b->status == 75 || b->status > 128) return is_launcher;
    if (b->status)
        mill_log(MILL_LOG_ERROR, "%s, %d rank%s, %s: ended with status %d",
                 bench_mode_names[run->mode], run->ranks, mill_s(run->ranks), which, b->status);
    else
        cli_say("%s, %d rank%s, %s: %.3f s", bench_mode_names[run->mode], run->ranks,
                mill_s(run->ranks), which, run->seconds);
    return is_launcher;
}

static bool run_mode(bench *b, bench_mode mode)
{
    char which[60];

    for (int i = 0; i < b->o->warm_up; i++) {
        bench_run run = {.mode = mode, .ranks = 1};
        if (!run_one(b, &run, "a run that does not count")) return false;
        if (b->status) return true;
    }
    for (int repeat = 0; repeat < b->o->repeats; repeat++)
        for (int k = 0; k < b->n_counts; k++) {
            bench_run *run = &b->run[b->n_runs];
            *run = (bench_run){.mode = mode, .ranks = b->count[k], .repeat = repeat};
            snprintf(which, sizeof which, "run %d of %d", repeat + 1, (int)b->o->repeats);
            if (!run_one(b, run, which)) return false;
            if (b->status) return true;
            b->n_runs++;
        }
    return true;
}

static int tell(const bench *b)
{
    bench_series series[BENCH_N_MODE];
    const int each = (int)b->o->repeats * b->n_counts;
    int n = 0;
    mill_text title = {0};

    for (int i = 0; i < b->n_runs; i += each) {
        bench_series *s = &series[n++];
        bench_sum_up(s, &b->run[i], each, b->n_counts);
        s->time_is = s->at[0].is_split ? "from the first step to the end" : "of the whole job";
        if (!b->o->csv || strcmp(b->o->csv, "-") != 0) bench_print(s, &b->command);
    }
    for (int i = 0; i < b->command.n; i++)
        text_add(&title, "%s%s", i ? " " : "", b->command.word[i]);
    mill_err err = b->o->csv ? bench_write_csv(b->o->csv, b->run, b->n_runs) : MILL_OK;
    if (!err && b->o->svg) err = bench_write_svg(b->o->svg, series, n, title.s ? title.s : "");
    text_free(&title);
    return err ? cli_error(&bench_set) : 0;
}

static int run_all(bench *b)
{
    const int most = BENCH_N_MODE * (int)b->o->repeats * b->n_counts;

    if (!(b->run = mill_alloc((size_t)most, sizeof *b->run))) return cli_error(&bench_set);
    for (int mode = 0; mode < BENCH_N_MODE && !b->status; mode++)
        if (b->wants[mode] && !run_mode(b, (bench_mode)mode)) return b->status;
    return b->status ? b->status : tell(b);
}

int cmd_bench(int argc, char **argv)
{
    bench_options o;
    opt_parsed p;
    bench b = {.o = &o};
    int status;
    const bool is_named = argc > 0 && !strcmp(argv[0], "scaling");

    if (argc > 0 && !is_named && argv[0][0] != '-')
        return opt_usage_error(&bench_set, "\"%s\": what can be measured is scaling", argv[0]);
    if (opt_parse(&p, &status, &bench_set, &o, argc - is_named, argv + is_named) == OPT_STOP)
        return status;
    cli_talk(&bench_set, o.quiet);
    if (!is_named)
        status = opt_usage_error(&bench_set, "say what: tabmill bench scaling");
    else if (!p.n_args)
        status = opt_usage_error(&bench_set, "COMMAND is missing");
    else if (rank_is_spawned())
        status = opt_usage_error(&bench_set, "this is a rank already: bench starts ranks itself");
    else if (!(status = prepare(&b, &p)))
        status = run_all(&b);
    bench_command_free(&b.command);
    mill_free(b.run);
    opt_free(&p);
    return status;
}
