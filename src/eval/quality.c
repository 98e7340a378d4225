/*
 * quality.c - shapes, trends and the diagnostic, into the report.
 */
#include "base/mem.h"
#include "eval/diagnostic.h"
#include "eval/learners.h"
#include "eval/report.h"

enum { COMPAT_PAIR_ROWS = 50000 };

static bool is_compared(const col_view *c)
{
    return c->type != MILL_IDENTIFIER;
}

static void put_side(json_t *to, const char *key, const col_view *c, int side, bool *failed)
{
    json_t *const o = put_object(to, key, failed);
    const col_side *s = &c->side[side];

    put_int(o, "missing", s->rows - s->n, failed);
    put_int(o, "different", s->n_different, failed);
    if (c->is_code) return;
    put_number(o, "min", s->min, failed);
    put_number(o, "max", s->max, failed);
    put_number(o, "mean", s->mean, failed);
    put_number(o, "median", s->median, failed);
    put_number(o, "std", s->std, failed);
}

static void put_shapes(evaluation *e)
{
    mean all = {0};

    for (int c = 0; c < e->n_common; c++) {
        const col_view *v = &e->view->col[c];
        json_t *const o = append_object(e->columns, &e->failed);

        put_text(o, "name", v->name, &e->failed);
        put_text(o, "type", mill_coltype_name(v->type), &e->failed);
        put_side(o, "real", v, SIDE_REAL, &e->failed);
        put_side(o, "synthetic", v, SIDE_SYN, &e->failed);
        if (!is_compared(v)) {
            report_skip(e, "shape and trends", v->name, NULL, "an identifier has no distribution");
            continue;
        }
        const double score = v->is_code ? shape_tv(v, e->o.sdmetrics_compat) : shape_ks(v);
        put_text(o, "shape_metric", v->is_code ? "TVComplement" : "KSComplement", &e->failed);
        put_number(o, "shape", score, &e->failed);
        if (isnan(score))
            report_skip(e, "shape", v->name, NULL, "all values are missing in one of the tables");
        mean_add(&all, score);
    }
    e->shapes = mean_get(&all);
}

static void put_pairs(evaluation *e, const pair_result *pair, int64_t n)
{
    json_t *const to = put_array(e->report, "pairs", &e->failed);
    mean all[N_BINNINGS] = {{0}}, counted[N_BINNINGS] = {{0}};

    for (int64_t i = 0; i < n; i++) {
        const pair_result *p = &pair[i];
        json_t *const o = append_object(to, &e->failed);
        const char *a = e->view->col[p->a].name, *b = e->view->col[p->b].name;

        put_text(o, "a", a, &e->failed);
        put_text(o, "b", b, &e->failed);
        put_text(o, "metric", p->is_correlation ? "CorrelationSimilarity" : "ContingencySimilarity",
                 &e->failed);
        put_number(o, "score", p->score[BINS_REAL], &e->failed);
        put_number(o, "score_own_bins", p->score[BINS_OWN], &e->failed);
        if (p->is_correlation) {
            put_number(o, "real_correlation", p->r[SIDE_REAL], &e->failed);
            put_number(o, "synthetic_correlation", p->r[SIDE_SYN], &e->failed);
        } else {
            put_number(o, "real_association", p->association[BINS_REAL], &e->failed);
            put_number(o, "real_association_own_bins", p->association[BINS_OWN], &e->failed);
        }
        put_bool(o, "meets_threshold", p->counts[BINS_OWN], &e->failed);
        put_bool(o, "meets_threshold_real_bins", p->counts[BINS_REAL], &e->failed);
        for (int k = 0; k < N_BINNINGS; k++) {
            mean_add(&all[k], p->score[k]);
            if (p->counts[k]) mean_add(&counted[k], p->score[k]);
        }
        if (p->why) report_skip(e, "trend", a, b, p->why);
    }
    for (int k = 0; k < N_BINNINGS; k++) {
        e->trends[k] = mean_get(&all[k]);
        e->thresholded[k] = mean_get(&counted[k]);
    }
    if (n && isnan(e->thresholded[BINS_OWN]))
        report_skip(e, "trends_thresholded", NULL, NULL,
                    "no pair of columns is related strongly enough in the real table");
    if (!n) report_skip(e, "trends", NULL, NULL, "there are no two columns to compare");
}

/* SDMetrics counts contingencies on 50,000 random rows of either table, where one of them has more.
 */
static mill_err pick_rows(int64_t *pick[N_SIDES], int64_t n_pick[N_SIDES], evaluation *e)
{
    const int64_t rows[N_SIDES] = {e->real.rows, e->syn->rows};

    if (!e->o.sdmetrics_compat || (rows[0] <= COMPAT_PAIR_ROWS && rows[1] <= COMPAT_PAIR_ROWS))
        return MILL_OK;
    for (int s = 0; s < N_SIDES; s++) {
        n_pick[s] = COMPAT_PAIR_ROWS;
        TRY(draw_rows(&pick[s], &n_pick[s], rows[s], e->o.seed, STREAM_PAIRS, (uint32_t)s));
    }
    report_note(
        e,
        "contingencies of pairs count %lld real and %lld synthetic rows, drawn at random, as "
        "SDMetrics does",
        (long long)n_pick[SIDE_REAL], (long long)n_pick[SIDE_SYN]);
    return MILL_OK;
}

static mill_err do_trends(evaluation *e)
{
    const int64_t most = (int64_t)e->n_common * (e->n_common - 1) / 2;
    pair_result *const pair = mill_alloc((size_t)most, sizeof *pair);
    int64_t *pick[N_SIDES] = {NULL, NULL}, n_pick[N_SIDES] = {0, 0}, n = 0;
    mill_err err = pair ? pick_rows(pick, n_pick, e) : MILL_ENOMEM;

    for (int a = 0; !err && a < e->n_common; a++) {
        for (int b = a + 1; b < e->n_common; b++) {
            if (!is_compared(&e->view->col[a]) || !is_compared(&e->view->col[b])) continue;
            pair[n].a = a;
            pair[n++].b = b;
        }
    }
    if (!err)
        err = trends_compute(pair, n, e->view, pick[0] ? (const int64_t *const *)pick : NULL,
                             n_pick, e->pool);
    if (!err) put_pairs(e, pair, n);
    mill_free(pair);
    for (int s = 0; s < N_SIDES; s++) mill_free(pick[s]);
    return err;
}

static void put_quality(evaluation *e)
{
    json_t *const r = e->report;
    const double trends = e->o.sdmetrics_compat ? e->thresholded[BINS_OWN] : e->trends[BINS_REAL];

    put_number(r, "shapes", e->shapes, &e->failed);
    put_number(r, "trends", e->trends[BINS_REAL], &e->failed);
    put_number(r, "trends_own_bins", e->trends[BINS_OWN], &e->failed);
    put_number(r, "trends_thresholded", e->thresholded[BINS_OWN], &e->failed);
    put_number(r, "trends_thresholded_real_bins", e->thresholded[BINS_REAL], &e->failed);
    put_number(r, "overall", mean_of_two(e->shapes, trends), &e->failed);
}

mill_err report_quality(evaluation *e)
{
    put_shapes(e);
    TRY(do_trends(e));
    put_quality(e);
    return MILL_OK;
}

void report_diagnostic(evaluation *e, const mill_table *real, const mill_table *syn)
{
    static const char *const names[] = {"validity",           "coverage",
                                        "missing_similarity", "mean_similarity",
                                        "median_similarity",  "std_similarity"};
    enum { N = sizeof names / sizeof *names };
    json_t *const d = put_object(e->report, "diagnostic", &e->failed);
    mean all[N] = {{0}};

    for (int c = 0; c < e->n_common; c++) {
        const col_diagnosis g = diagnose(&e->view->col[c]);
        const double score[N] = {g.validity, g.coverage, g.missing, g.mean, g.median, g.std};
        json_t *const o = json_array_get(e->columns, (size_t)c);

        put_text(o, "validity_metric", g.validity_metric, &e->failed);
        put_text(o, "coverage_metric", g.coverage_metric, &e->failed);
        for (int k = 0; k < N; k++) {
            put_number(o, names[k], score[k], &e->failed);
            mean_add(&all[k], score[k]);
        }
    }
    const double validity = mean_get(&all[0]),
                 structure = structure_score(real, syn, e->o.sdmetrics_compat);
    put_number(d, "overall", mean_of_two(validity, structure), &e->failed);
    put_number(d, "structure", structure, &e->failed);
    for (int k = 0; k < N; k++) put_number(d, names[k], mean_get(&all[k]), &e->failed);
}
