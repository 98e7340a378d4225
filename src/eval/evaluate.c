/*
 * evaluate.c - the report of evaluate.h, put together.
 *
 * The real, the synthetic and the held-out table are reduced to the columns that the first two
 * share, and the latter two are read as the real one's types with one dictionary (align.h); then
 * each part fills its keys: quality.c, usefulness.c.
 */
#include "eval/evaluate.h"

#include "base/mem.h"
#include "eval/align.h"
#include "eval/report.h"

#include <stdarg.h>
#include <stdio.h>

static void deinit(evaluation *e)
{
    view_free(e->view);
    mill_table_free(e->syn);
    mill_table_free(e->holdout);
    mill_free(e->real.col);
    mill_free(e->name);
    if (e->report) json_decref(e->report);
}

void report_note(evaluation *e, const char *fmt, ...)
{
    char line[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (json_array_append_new(e->notes, json_stringn_nocheck(line, strlen(line)))) e->failed = true;
}

void report_skip(evaluation *e, const char *what, const char *column, const char *other,
                 const char *why)
{
    json_t *const o = append_object(e->skipped, &e->failed);

    put_text(o, "what", what, &e->failed);
    if (column) put_text(o, other ? "a" : "column", column, &e->failed);
    if (other) put_text(o, "b", other, &e->failed);
    put_text(o, "why", why, &e->failed);
}

static mill_err check(const mill_table *real, const mill_table *syn, const eval_options *o)
{
    const mill_table *const table[] = {real, syn, o->holdout};
    const char *const what[] = {"real", "synthetic", "holdout"};

    for (int t = 0; t < 3; t++) {
        if (!table[t]) continue;
        if (!table[t]->rows) return mill_fail(MILL_EINPUT, "the %s table has no rows", what[t]);
        if (table[t]->rows > UINT32_MAX)
            return mill_fail(MILL_EINPUT, "the %s table has more than 2^32 rows", what[t]);
    }
    if (o->target && table_find(real, o->target) < 0)
        return mill_fail(MILL_EINPUT, "the real table has no column \"%s\" to be the target",
                         o->target);
    if (o->target && table_find(syn, o->target) < 0)
        return mill_fail(MILL_EINPUT, "the synthetic table has no column \"%s\" to be the target",
                         o->target);
    return MILL_OK;
}

static mill_err find_common(evaluation *e, const mill_table *real, const mill_table *syn)
{
    e->name = mill_alloc((size_t)real->n_cols, sizeof *e->name);
    e->real.col = mill_alloc((size_t)real->n_cols, sizeof *e->real.col);
    if (!e->name || !e->real.col) return MILL_ENOMEM;
    for (int c = 0; c < real->n_cols; c++) {
        const mill_column *col = &real->col[c];

        if (table_find(syn, col->name) < 0) {
            report_skip(e, "column", col->name, NULL, "the synthetic table does not have it");
            continue;
        }
        e->real.col[e->n_common] = *col;
        e->name[e->n_common++] = col->name;
    }
    e->real.rows = real->rows;
    e->real.n_cols = e->n_common;
    for (int c = 0; c < syn->n_cols; c++)
        if (table_find(real, syn->col[c].name) < 0)
            report_skip(e, "column", syn->col[c].name, NULL, "the real table does not have it");
    if (e->n_common) return MILL_OK;
    return mill_fail(MILL_EINPUT, "the real and the synthetic table have no column in common");
}

static void note_types(evaluation *e, const mill_table *t, const char *what)
{
    for (int c = 0; c < e->n_common; c++) {
        const mill_column *col = &t->col[table_find(t, e->name[c])], *real = &e->real.col[c];
        if (col->type == real->type) continue;
        report_note(e, "%s table, column \"%s\": %s, taken as %s as in the real table", what,
                    col->name, mill_coltype_name(col->type), mill_coltype_name(real->type));
    }
}

static mill_err align_all(evaluation *e, const mill_table *syn)
{
    const mill_table *holdout = e->o.holdout;

    TRY(eval_align(&e->syn, syn, &e->real, e->name, e->n_common, "synthetic"));
    note_types(e, syn, "synthetic");
    if (!holdout) return MILL_OK;
    for (int c = 0; c < e->n_common; c++)
        if (table_find(holdout, e->name[c]) < 0)
            return mill_fail(MILL_EINPUT, "the holdout table has no column \"%s\"", e->name[c]);

    /* Behind the synthetic values, so that a code means the same in all three; its types are the
     * real ones'. */
    TRY(eval_align(&e->holdout, holdout, e->syn, e->name, e->n_common, "holdout"));
    note_types(e, holdout, "holdout");
    return MILL_OK;
}

/* The objects that parts write to; the report keeps them. */
static void make_report(evaluation *e)
{
    if (!(e->report = json_object())) {
        e->failed = true;
        return;
    }
    put(e->report, "shapes", json_null(), &e->failed); /* first in the file */
    static const char *const order[] = {"trends", "trends_own_bins", "trends_thresholded",
                                        "trends_thresholded_real_bins", "overall"};
    for (size_t k = 0; k < sizeof order / sizeof *order; k++)
        put(e->report, order[k], json_null(), &e->failed);
}

static void put_options(evaluation *e, const mill_table *real, const mill_table *syn)
{
    json_t *const o = put_object(e->report, "options", &e->failed);
    json_t *const rows = put_object(e->report, "rows", &e->failed);

    put_bool(o, "sdmetrics_compat", e->o.sdmetrics_compat, &e->failed);
    put_text(o, "target", e->o.target, &e->failed);
    put_bool(o, "holdout", e->o.holdout != NULL, &e->failed);
    put_int(o, "learner_rows", report_learner_rows(e), &e->failed);
    put_int(rows, "real", real->rows, &e->failed);
    put_int(rows, "synthetic", syn->rows, &e->failed);
    put(rows, "holdout", e->o.holdout ? json_integer(e->o.holdout->rows) : json_null(), &e->failed);
    put_int(e->report, "seed", (int64_t)e->o.seed, &e->failed);
}

static mill_err run(evaluation *e, const mill_table *real, const mill_table *syn)
{
    const unsigned parts = e->o.parts ? e->o.parts : EVAL_ALL;

    make_report(e);
    if (!e->failed) {
        put_options(e, real, syn);
        e->columns = json_array();
        e->notes = json_array();
        e->skipped = json_array();
        put(e->report, "columns", e->columns, &e->failed);
        put(e->report, "notes", e->notes, &e->failed);
        put(e->report, "skipped", e->skipped, &e->failed);
    }
    if (e->failed) return mill_fail(MILL_ENOMEM, "out of memory for the report");
    TRY(find_common(e, real, syn));
    TRY(align_all(e, syn));
    TRY(view_new(&e->view, &e->real, e->syn, e->o.sdmetrics_compat, e->pool));
    TRY(report_quality(e));
    if (parts & EVAL_DIAGNOSTIC) report_diagnostic(e, real, syn);
    if (parts & EVAL_UTILITY) TRY(report_utility(e));
    if (parts & EVAL_DETECTION) TRY(report_detection(e));
    return e->failed ? mill_fail(MILL_ENOMEM, "out of memory for the report") : MILL_OK;
}

mill_err mill_evaluate(json_t **report, const mill_table *real, const mill_table *synthetic,
                       const eval_options *o, mill_pool *pool)
{
    evaluation e = {.o = *o, .pool = pool};
    mill_err err = check(real, synthetic, o);

    if (!err) err = run(&e, real, synthetic);
    if (!err) {
        *report = e.report;
        e.report = NULL;
    }
    deinit(&e);
    return err;
}
