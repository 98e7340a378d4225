/* evaluate.c - `tabmill evaluate`: how close a synthetic table is to the real one. */
#include "cli/cli.h"

#include "base/file.h"
#include "base/mem.h"
#include "eval/evaluate.h"

#include <stdio.h>
#include <string.h>

#define OPT(kind, field, name, letter, def, least, most, value, help) OPT_FIELD_##kind(field);
typedef struct {
#include "cli/evaluate.def"
} evaluate_flags;
#undef OPT

typedef struct {
    evaluate_flags evaluate;
    column_options columns;
    csv_flags csv;
    talk_options talk;
} evaluate_options;

#define OPT        OPT_ROW
#define OPT_STRUCT evaluate_flags
static const opt_row rows[] = {
#include "cli/evaluate.def"
    {0}};

static const opt_group groups[] = {
    {.title = "Options", .row = rows, .base = offsetof(evaluate_options, evaluate)},
    {.title = "Columns (of the real table, which the others are read like)",
     .row = column_rows,
     .base = offsetof(evaluate_options, columns)},
    {.title = "Reading CSV", .row = csv_rows, .base = offsetof(evaluate_options, csv)},
    {.title = "Everywhere", .row = talk_rows, .base = offsetof(evaluate_options, talk)},
};
const opt_set evaluate_set = {
    .command = "evaluate",
    .usage = "evaluate REAL SYNTHETIC [--holdout FILE] [--target COLUMN] [--json FILE] [options]",
    .about = "Compare a synthetic table with the real one: shapes of columns, trends of pairs, "
             "validity, what models learn from it,\n"
             "and whether models can tell the two apart.",
    .group = groups,
    .n_groups = OPT_COUNT(groups),
    .size = sizeof(evaluate_options),
    .least_args = 2,
    .most_args = 2,
    .args = "REAL or SYNTHETIC",
};

typedef struct {
    mill_table *real, *synthetic, *holdout;
    json_t *report;
    mill_text text;
} evaluate_work;

static mill_err read_tables(evaluate_work *w, const opt_parsed *p, const evaluate_options *o,
                            mill_pool *pool)
{
    csv_options csv;

    TRY(cli_csv_options(&csv, p, &o->csv, &o->columns));
    TRY(mill_table_read(&w->real, p->arg[0], &csv, pool));
    csv.like = w->real;
    csv.types = NULL; /* they are the real table's by now */
    csv.discrete = NULL;
    csv.columns = NULL; /* only what both have is compared */
    csv.drop = NULL;
    TRY(mill_table_read(&w->synthetic, p->arg[1], &csv, pool));
    return o->evaluate.holdout ? mill_table_read(&w->holdout, o->evaluate.holdout, &csv, pool)
                               : MILL_OK;
}

static mill_err write_json(const evaluate_work *w, const char *path)
{
    char *text;
    mill_err err = MILL_OK;

    TRY(mill_evaluate_json(&text, w->report));
    if (!strcmp(path, "-"))
        puts(text);
    else
        err = file_write_all(path, text, strlen(text));
    mill_free(text);
    return err;
}

static mill_err evaluate(evaluate_work *w, const opt_parsed *p, const evaluate_options *o,
                         mill_pool *pool)
{
    const char *json = o->evaluate.json;

    if (json) TRY(cli_check_output(json, o->evaluate.force));
    TRY(read_tables(w, p, o, pool));
    const eval_options eval = {
        .holdout = w->holdout,
        .target = o->evaluate.target,
        .sdmetrics_compat = o->evaluate.sdmetrics_compat,
        .seed = (uint64_t)o->evaluate.seed,
    };
    TRY(mill_evaluate(&w->report, w->real, w->synthetic, &eval, pool));
    if (json) TRY(write_json(w, json));
    if (json && !strcmp(json, "-")) return MILL_OK;
    TRY(mill_evaluate_summary(&w->text, w->report));
    fputs(w->text.s ? w->text.s : "", stdout);
    return MILL_OK;
}

int cmd_evaluate(int argc, char **argv)
{
    evaluate_options o;
    evaluate_work w = {0};
    opt_parsed p;
    mill_pool *pool = NULL;
    int status;

    if (opt_parse(&p, &status, &evaluate_set, &o, argc, argv) == OPT_STOP) return status;
    if (!(status = cli_begin(&pool, &evaluate_set, &o.talk)) && evaluate(&w, &p, &o, pool))
        status = cli_error(&evaluate_set);
    text_free(&w.text);
    json_decref(w.report);
    mill_table_free(w.holdout);
    mill_table_free(w.synthetic);
    mill_table_free(w.real);
    mill_pool_free(pool);
    opt_free(&p);
    return status;
}
