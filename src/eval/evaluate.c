/*
 * evaluate.c - the report of evaluate.h, put together.
 *
 * The real, the synthetic and the held-out table are reduced to the columns that the first two
 * share, and the latter two are read as the real one's types with one dictionary (align.h); then
 * each part fills its keys: quality.c, usefulness.c.
 */
#include "eval/evaluate.h"

#include "base/mem.h"
#include "base/text.h"
#include "eval/align.h"
#include "eval/report.h"

#include <stdarg.h>
#include <stdio.h>

static void deinit(evaluation *e)
{
    view_free(e->view);
    mill_free(e->noise);
    noise_rows_free(&e->resampled);
    mill_table_free(e->syn);
    mill_table_free(e->holdout);
    mill_free(e->real.col);
    mill_free(e->name);
    if (e->report) json_decref(e->report);
}

void report_note(evaluation *e, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    if (json_array_append_new(e->notes, json_vsprintf(fmt, ap))) e->failed = true;
    va_end(ap);
}

/* Whether o has this text under the key; NULL: whether it has none. */
static bool has_text(const json_t *o, const char *key, const char *s)
{
    const char *was = json_string_value(json_object_get(o, key));
    return s && was ? !strcmp(s, was) : !s && !was;
}

void report_skip(evaluation *e, const char *what, const char *column, const char *other,
                 const char *why)
{
    json_t *const last = json_array_get(e->skipped, json_array_size(e->skipped) - 1);
    json_t *const was = json_object_get(last, "what");

    if (was && has_text(last, "why", why) && has_text(last, other ? "a" : "column", column) &&
        has_text(last, "b", other)) {
        put(last, "what", json_sprintf("%s, %s", json_string_value(was), what), &e->failed);
        return;
    }
    json_t *const o = append_object(e->skipped, &e->failed);
    put_text(o, "what", what, &e->failed);
    if (column) put_text(o, other ? "a" : "column", column, &e->failed);
    if (other) put_text(o, "b", other, &e->failed);
    put_text(o, "why", why, &e->failed);
}

void report_number(evaluation *e, json_t *to, const report_place *at, const char *key, double x,
                   const char *why)
{
    char what[96];

    put_number(to, key, x, &e->failed);
    if (isfinite(x)) return;
    snprintf(what, sizeof what, "%s%s%s", at->under, *at->under ? "." : "", key);
    report_skip(e, what, at->column, at->other, why);
}

int64_t report_max_rows(const evaluation *e)
{
    return e->o.max_rows > 0 ? e->o.max_rows : EVAL_MAX_ROWS;
}

bool report_is_compared(const evaluation *e, int col)
{
    return e->real.col[col].type != MILL_IDENTIFIER &&
           !(e->o.key && !strcmp(e->o.key, e->name[col]));
}

/* A column that an option names is in both tables. */
static mill_err check_named(const mill_table *real, const mill_table *syn, const char *name,
                            const char *as)
{
    const mill_table *const table[] = {real, syn};

    for (int t = 0; name && t < 2; t++)
        if (table_find(table[t], name) < 0)
            return mill_fail(MILL_EINPUT, "the %s table has no column \"%s\" to be %s",
                             t ? "synthetic" : "real", name, as);
    return MILL_OK;
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
    TRY(check_named(real, syn, o->target, "the target"));
    TRY(check_named(real, syn, o->key, "the key"));
    TRY(check_named(real, syn, o->sensitive, "sensitive"));
    for (int k = 0; k < o->n_known; k++) TRY(check_named(real, syn, o->known[k], "known"));
    for (int k = 0; o->sensitive && k < o->n_known; k++)
        if (!strcmp(o->sensitive, o->known[k]))
            return mill_fail(MILL_EINPUT, "column \"%s\" cannot be both known and sensitive",
                             o->sensitive);
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

/* Of what a reader would wonder at: columns that are constant or empty, values never seen. */
static void note_values(evaluation *e)
{
    static const char *const what[N_SIDES] = {"real", "synthetic"};

    for (int c = 0; c < e->n_common; c++) {
        const col_view *v = &e->view->col[c];
        int64_t values = 0, rows = 0;

        for (int s = 0; s < N_SIDES; s++) {
            if (!v->side[s].n)
                report_note(e, "%s table, column \"%s\": all values are missing", what[s], v->name);
            else if (v->side[s].n_different == 1 && v->side[s].rows > 1)
                report_note(e, "%s table, column \"%s\": constant", what[s], v->name);
        }
        if (!v->is_code || !report_is_compared(e, c)) continue;
        for (int32_t k = 0; k < v->n_codes - 1; k++) {
            if (v->side[SIDE_REAL].count[k] || !v->side[SIDE_SYN].count[k]) continue;
            values++;
            rows += v->side[SIDE_SYN].count[k];
        }
        if (values)
            report_note(e,
                        "synthetic table, column \"%s\": %lld value%s that the real table does not "
                        "have, in %lld row%s",
                        v->name, (long long)values, mill_s(values), (long long)rows, mill_s(rows));
    }
    if (e->real.rows == 1) report_note(e, "the real table has one row: nothing varies");
    if (e->syn->rows == 1) report_note(e, "the synthetic table has one row: nothing varies");
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
    put_text(e->report, "format", "tabmill evaluation", &e->failed);
    put_int(e->report, "version", EVAL_VERSION, &e->failed);
    put(e->report, "shapes", json_null(), &e->failed); /* the figures come first */
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
    put_int(o, "max_rows", report_max_rows(e), &e->failed);
    put_text(o, "key", e->o.key, &e->failed);
    put_text(o, "sensitive", e->o.sensitive, &e->failed);
    json_t *const known = put_array(o, "known", &e->failed);
    for (int k = 0; k < e->o.n_known; k++)
        if (json_array_append_new(known, json_string(e->o.known[k]))) e->failed = true;
    put_int(rows, "real", real->rows, &e->failed);
    put_int(rows, "synthetic", syn->rows, &e->failed);
    put(rows, "holdout", e->o.holdout ? json_integer(e->o.holdout->rows) : json_null(), &e->failed);
    put_int(e->report, "seed", (int64_t)e->o.seed, &e->failed);
}

/* What sampling noise leaves, before any figure is put down. */
static mill_err report_noise(evaluation *e)
{
    if (!(e->noise = mill_alloc((size_t)e->n_common, sizeof *e->noise))) return MILL_ENOMEM;
    TRY(noise_rows_draw(&e->resampled, e->view, e->o.seed));
    for (int c = 0; e->real.rows > NOISE_ROWS && c < e->n_common; c++) {
        if (e->view->col[c].is_code) continue;
        report_note(e,
                    "expected figures of numbers: %d times %d of %lld real rows, drawn at random "
                    "by seed %llu",
                    NOISE_DRAWS, NOISE_ROWS, (long long)e->real.rows,
                    (unsigned long long)e->o.seed);
        break;
    }
    return noise_of_columns(e->noise, e->view, &e->resampled, e->pool);
}

static mill_err run(evaluation *e, const mill_table *real, const mill_table *syn)
{
    const unsigned parts = e->o.parts ? e->o.parts : EVAL_ALL;

    make_report(e);
    if (!e->failed) {
        put_options(e, real, syn);
        e->expected = json_object();
        put(e->report, "expected", e->expected, &e->failed);
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
    for (int c = 0; c < e->n_common; c++) e->view->col[c].is_key = !report_is_compared(e, c);
    TRY(report_noise(e));
    TRY(report_quality(e));
    note_values(e);
    if (parts & EVAL_DIAGNOSTIC) TRY(report_diagnostic(e, real, syn));
    if (parts & EVAL_ACCURACY) TRY(report_accuracy(e));
    if (parts & EVAL_SUPPORT) TRY(report_support(e));
    if (parts & EVAL_PRIVACY) TRY(report_privacy(e));
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
