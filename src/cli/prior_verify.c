/*
 * prior_verify.c - `tabmill prior verify DIR`, `prior export DIR`, `prior stats DIR`: what a run
 * left.
 */
#include "cli/prior.h"

#include "base/cpu.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "prior/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPT OPT_FIELD
typedef struct {
#include "cli/prior_verify.def"
} verify_flags;
typedef struct {
#include "cli/prior_export.def"
} export_flags;
#undef OPT

typedef struct {
    verify_flags verify;
    prior_talk talk;
} verify_options;
typedef struct {
    export_flags to;
    prior_talk talk;
} export_options;
typedef struct {
    prior_talk talk;
} stats_options;

#define OPT        OPT_ROW
#define OPT_STRUCT verify_flags
static const opt_row verify_rows[] = {
#include "cli/prior_verify.def"
    {0}};
#undef OPT_STRUCT
#define OPT_STRUCT export_flags
static const opt_row export_rows[] = {
#include "cli/prior_export.def"
    {0}};

static const opt_group verify_groups[] = {
    {.title = "Options", .row = verify_rows, .base = offsetof(verify_options, verify)},
    {.title = "Everywhere", .row = prior_talk_rows, .base = offsetof(verify_options, talk)},
};
static const opt_group export_groups[] = {
    {.title = "Options", .row = export_rows, .base = offsetof(export_options, to)},
    {.title = "Everywhere", .row = prior_talk_rows, .base = offsetof(export_options, talk)},
};
static const opt_group stats_groups[] = {
    {.title = "Everywhere", .row = prior_talk_rows, .base = offsetof(stats_options, talk)},
};
static const opt_set prior_verify_set = {
    .command = "prior verify",
    .usage = "prior verify FOLDER [options]",
    .about = "Check every file of a complete run, and make some of it again.",
    .group = verify_groups,
    .n_groups = OPT_COUNT(verify_groups),
    .size = sizeof(verify_options),
    .least_args = 1,
    .most_args = 1,
    .args = "FOLDER",
};
static const opt_set prior_export_set = {
    .command = "prior export",
    .usage = "prior export FOLDER -o FOLDER --format NAME [options]",
    .about = "The data sets of a complete run in another format.\n"
             "From shards they are read; from the others they are made again, with the same bytes.",
    .group = export_groups,
    .n_groups = OPT_COUNT(export_groups),
    .size = sizeof(export_options),
    .least_args = 1,
    .most_args = 1,
    .args = "FOLDER",
};
static const opt_set prior_stats_set = {
    .command = "prior stats",
    .usage = "prior stats FOLDER [options]",
    .about = "What the data sets of a complete run look like, as JSON.",
    .group = stats_groups,
    .n_groups = OPT_COUNT(stats_groups),
    .size = sizeof(stats_options),
    .least_args = 1,
    .most_args = 1,
    .args = "FOLDER",
};

/* ---- verify ---- */

static void print_bad(const char *line)
{
    mill_log(MILL_LOG_ERROR, "%s", line);
}

int cmd_prior_verify(int argc, char **argv)
{
    verify_options o;
    opt_parsed p;
    prior_checked found;
    char size[32];
    int status;

    if (opt_parse(&p, &status, &prior_verify_set, &o, argc, argv) == OPT_STOP) return status;
    cli_talk(&prior_verify_set, o.talk.quiet);
    if (prior_check(&found, p.arg[0], o.verify.remake, print_bad))
        status = cli_error(&prior_verify_set);
    else
        cli_say(
            "%s: %lld data set%s in %lld unit%s, %s: good; %lld unit%s made again with the same "
            "bytes",
            p.arg[0], (long long)found.sets, mill_s(found.sets), (long long)found.units,
            mill_s(found.units), mill_format_size(size, (double)found.bytes),
            (long long)found.remade, mill_s(found.remade));
    opt_free(&p);
    return status;
}

/* ---- export ---- */

static int export(const opt_parsed *p, const export_options *o)
{
    const char *from = p->arg[0];
    const prior_format *format = prior_format_find(o->to.format ? o->to.format : "");
    prior_manifest m;
    prior_run_result result;
    int workers, status;

    if (!o->to.out_dir) return opt_usage_error(p->set, "--out-dir FOLDER is missing");
    if (!format) return opt_usage_error(p->set, "--format is missing: shards, pt or npy");
    if (o->to.save_csv && format != &prior_npy)
        return opt_usage_error(p->set, "--save-csv goes with --format npy");
    cli_talk(p->set, o->talk.quiet);
    if ((status = cli_prior_workers(&workers, p->set, o->to.nproc, 0))) return status;
    if (prior_manifest_read(&m, from)) return cli_error(p->set);
    const bool is_read = m.format == &prior_shards && m.is_complete;
    if (!is_read) cli_say("%s: no complete run of shards: the data sets are made again", from);
    const prior_run_options run = {
        .config = &m.config,
        .format = format,
        .dir = o->to.out_dir,
        .first = m.first,
        .n = m.n,
        .csv = o->to.save_csv,
        .inner = 1,
        .workers = workers,
        .resume = o->to.resume,
        .quiet = o->talk.quiet,
        .version = MILL_VERSION,
        .from = is_read ? from : NULL,
    };
    status = cli_prior_run(&result, p->set, &run);
    prior_manifest_free(&m);
    return status;
}

int cmd_prior_export(int argc, char **argv)
{
    export_options o;
    opt_parsed p;
    int status;

    if (opt_parse(&p, &status, &prior_export_set, &o, argc, argv) == OPT_STOP) return status;
    status = export(&p, &o);
    opt_free(&p);
    return status;
}

/* ---- stats ---- */

enum { N_FIGURES = 7, MOST_KINDS = 8 };
static const char *const figure_names[N_FIGURES] = {
    "rows", "train_rows", "features", "classes", "imbalance", "categorical", "attempts"};

/* Of each figure all values, for quantiles. */
typedef struct {
    float *value[N_FIGURES];
    int64_t n, room;
    int64_t rejected[PRIOR_N_REJECT];
    char kind[MOST_KINDS][16];
    int64_t of_kind[MOST_KINDS];
} statistics;

static mill_err make_room(statistics *s)
{
    if (s->n < s->room) return MILL_OK;
    s->room = s->room ? 2 * s->room : 1024;
    for (int k = 0; k < N_FIGURES; k++) {
        float *more = mill_realloc(s->value[k], (size_t)s->room, sizeof *more);
        if (!more) return MILL_ENOMEM;
        s->value[k] = more;
    }
    return MILL_OK;
}

static mill_err count_set(void *ctx, const prior_set *set)
{
    statistics *s = ctx;
    int categorical = 0, kind = 0;

    TRY(make_room(s));
    for (int j = 0; j < set->features; j++) categorical += set->levels[j] > 0;
    const double figure[N_FIGURES] = {
        (double)set->rows, (double)set->train_rows, set->features,
        set->classes,      set->imbalance,          (double)categorical / set->features,
        set->attempts,
    };
    for (int k = 0; k < N_FIGURES; k++) s->value[k][s->n] = (float)figure[k];
    for (int k = 0; k < PRIOR_N_REJECT; k++) s->rejected[k] += set->rejected[k];
    while (kind < MOST_KINDS - 1 && *s->kind[kind] && strcmp(s->kind[kind], set->kind) != 0) kind++;
    snprintf(s->kind[kind], sizeof s->kind[kind], "%s", set->kind);
    s->of_kind[kind]++;
    s->n++;
    return MILL_OK;
}

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static json_t *describe(float *v, int64_t n)
{
    double sum = 0;

    qsort(v, (size_t)n, sizeof *v, by_value);
    for (int64_t i = 0; i < n; i++) sum += (double)v[i];
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "mean", sum / (double)n, "least",
                     (double)v[0], "quarter", (double)v[n / 4], "median", (double)v[n / 2],
                     "three_quarters", (double)v[3 * n / 4], "most", (double)v[n - 1]);
}

static void print_statistics(statistics *s)
{
    static const char *const reasons[PRIOR_N_REJECT] = {"empty", "labels", "filter", "trivial"};
    json_t *o = json_object(), *kinds = json_object(), *rejected = json_object();

    for (int k = 0; k < MOST_KINDS && s->of_kind[k]; k++)
        json_object_set_new(kinds, s->kind[k], json_integer(s->of_kind[k]));
    for (int k = 0; k < PRIOR_N_REJECT; k++)
        json_object_set_new(rejected, reasons[k], json_integer(s->rejected[k]));
    json_object_set_new(o, "data_sets", json_integer(s->n));
    json_object_set_new(o, "kinds", kinds);
    for (int k = 0; k < N_FIGURES; k++)
        json_object_set_new(o, figure_names[k], describe(s->value[k], s->n));
    json_object_set_new(o, "rejected", rejected);
    json_dumpf(o, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(o);
}

int cmd_prior_stats(int argc, char **argv)
{
    statistics s = {0};
    stats_options o;
    opt_parsed p;
    int status;

    if (opt_parse(&p, &status, &prior_stats_set, &o, argc, argv) == OPT_STOP) return status;
    cli_talk(&prior_stats_set, o.talk.quiet);
    if (prior_each(p.arg[0], count_set, &s))
        status = cli_error(&prior_stats_set);
    else
        print_statistics(&s);
    for (int k = 0; k < N_FIGURES; k++) mill_free(s.value[k]);
    opt_free(&p);
    return status;
}
