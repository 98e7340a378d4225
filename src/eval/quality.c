/*
 * quality.c - shapes, trends and the diagnostic, into the report.
 */
#include "base/mem.h"
#include "eval/accuracy.h"
#include "eval/diagnostic.h"
#include "eval/learners.h"
#include "eval/report.h"

#include <stdio.h>

enum { COMPAT_PAIR_ROWS = 50000 };

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

/* What a second sample would score, beside what this one does. */
static void put_noise(json_t *to, const col_noise *n, const col_view *v, bool *failed)
{
    json_t *const o = put_object(to, "expected", failed);

    if (!v->is_key) {
        put_number(o, "shape", n->shape, failed);
        put_number(o, "jensen_shannon", n->jensen_shannon, failed);
        put_number(o, "coverage", n->d.coverage, failed);
    }
    put_number(o, "validity", n->d.validity, failed);
    put_number(o, "missing_similarity", n->d.missing, failed);
    if (v->is_code || v->is_key) return;
    put_number(o, "wasserstein", n->wasserstein, failed);
    put_number(o, "mean_similarity", n->d.mean, failed);
    put_number(o, "median_similarity", n->d.median, failed);
    put_number(o, "std_similarity", n->d.std, failed);
}

typedef struct {
    mean shape, wasserstein, jensen_shannon;
} shape_means;

/* A column that is compared: its figures, added to the means. */
static void put_shape(evaluation *e, json_t *o, int c, shape_means *all, shape_means *expected)
{
    const col_view *v = &e->view->col[c];
    const double score = v->is_code ? shape_tv(v, e->o.sdmetrics_compat) : shape_ks(v);
    const double distance = v->is_code ? (double)NAN : wasserstein(v);
    const double divergence = jensen_shannon(v);

    put_text(o, "shape_metric", v->is_code ? "TVComplement" : "KSComplement", &e->failed);
    put_number(o, "shape", score, &e->failed);
    if (isnan(score))
        report_skip(e, "shape", v->name, NULL, "all values are missing in one of the tables");
    if (!v->is_code) {
        put_number(o, "wasserstein", distance, &e->failed);
        if (isnan(distance))
            report_skip(e, "wasserstein", v->name, NULL,
                        "the real column has no range, or one of the tables no values");
    }
    put_number(o, "jensen_shannon", divergence, &e->failed);
    if (isnan(divergence))
        report_skip(e, "jensen_shannon", v->name, NULL, "the column has no finite range");
    mean_add(&all->shape, score);
    mean_add(&all->wasserstein, distance);
    mean_add(&all->jensen_shannon, divergence);
    if (!isnan(score)) mean_add(&expected->shape, e->noise[c].shape);
    if (!isnan(distance)) mean_add(&expected->wasserstein, e->noise[c].wasserstein);
    if (!isnan(divergence)) mean_add(&expected->jensen_shannon, e->noise[c].jensen_shannon);
}

static void put_shapes(evaluation *e)
{
    shape_means all = {0}, expected = {0};

    for (int c = 0; c < e->n_common; c++) {
        const col_view *v = &e->view->col[c];
        json_t *const o = append_object(e->columns, &e->failed);

        put_text(o, "name", v->name, &e->failed);
        put_text(o, "type", mill_coltype_name(v->type), &e->failed);
        put_side(o, "real", v, SIDE_REAL, &e->failed);
        put_side(o, "synthetic", v, SIDE_SYN, &e->failed);
        put_noise(o, &e->noise[c], v, &e->failed);
        if (!v->is_key) {
            put_shape(e, o, c, &all, &expected);
            report_histogram(e, o, c);
            continue;
        }
        report_skip(e, "shape and trends", v->name, NULL,
                    v->type == MILL_IDENTIFIER ? "an identifier has no distribution"
                                               : "a key has no distribution");
    }
    e->shapes = mean_get(&all.shape);
    put_number(e->report, "wasserstein", mean_get(&all.wasserstein), &e->failed);
    put_number(e->report, "jensen_shannon", mean_get(&all.jensen_shannon), &e->failed);
    put_number(e->expected, "shapes", mean_get(&expected.shape), &e->failed);
    put_number(e->expected, "wasserstein", mean_get(&expected.wasserstein), &e->failed);
    put_number(e->expected, "jensen_shannon", mean_get(&expected.jensen_shannon), &e->failed);
}

static void put_pair(evaluation *e, json_t *o, const pair_result *p)
{
    put_text(o, "a", e->view->col[p->a].name, &e->failed);
    put_text(o, "b", e->view->col[p->b].name, &e->failed);
    put_text(o, "metric", p->is_correlation ? "CorrelationSimilarity" : "ContingencySimilarity",
             &e->failed);
    put_number(o, "score", p->score[BINS_REAL], &e->failed);
    put_number(o, "score_own_bins", p->score[BINS_OWN], &e->failed);
    put_number(o, "expected", isnan(p->score[BINS_REAL]) ? (double)NAN : p->expected[BINS_REAL],
               &e->failed);
    if (p->is_correlation) {
        put_number(o, "real_correlation", p->r[SIDE_REAL], &e->failed);
        put_number(o, "synthetic_correlation", p->r[SIDE_SYN], &e->failed);
    } else {
        put_number(o, "real_association", p->association[BINS_REAL], &e->failed);
        put_number(o, "real_association_own_bins", p->association[BINS_OWN], &e->failed);
    }
    put_bool(o, "meets_threshold", p->counts[BINS_OWN], &e->failed);
    put_bool(o, "meets_threshold_real_bins", p->counts[BINS_REAL], &e->failed);
}

static void put_pairs(evaluation *e, const pair_result *pair, int64_t n)
{
    static const char *const every[] = {"trends", "trends_own_bins"};
    static const char *const some[] = {"trends_thresholded_real_bins", "trends_thresholded"};
    json_t *const to = put_array(e->report, "pairs", &e->failed);
    mean all[N_BINNINGS] = {{0}}, counted[N_BINNINGS] = {{0}};
    mean expected[N_BINNINGS] = {{0}}, expected_counted[N_BINNINGS] = {{0}};

    for (int64_t i = 0; i < n; i++) {
        const pair_result *p = &pair[i];

        put_pair(e, append_object(to, &e->failed), p);
        for (int k = 0; k < N_BINNINGS; k++) {
            const double most = isnan(p->score[k]) ? (double)NAN : p->expected[k];
            mean_add(&all[k], p->score[k]);
            mean_add(&expected[k], most);
            if (!p->counts[k]) continue;
            mean_add(&counted[k], p->score[k]);
            mean_add(&expected_counted[k], most);
        }
        if (p->why)
            report_skip(e, "trend", e->view->col[p->a].name, e->view->col[p->b].name, p->why);
    }
    for (int k = 0; k < N_BINNINGS; k++) {
        e->trends[k] = mean_get(&all[k]);
        e->thresholded[k] = mean_get(&counted[k]);
        put_number(e->expected, every[k], mean_get(&expected[k]), &e->failed);
        put_number(e->expected, some[k], mean_get(&expected_counted[k]), &e->failed);
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
            if (!report_is_compared(e, a) || !report_is_compared(e, b)) continue;
            pair[n].a = a;
            pair[n++].b = b;
        }
    }
    if (!err)
        err = trends_compute(pair, n, e->view, pick[0] ? (const int64_t *const *)pick : NULL,
                             n_pick, e->pool);
    if (!err) noise_of_pairs(pair, n, e->view, &e->resampled, e->pool);
    if (!err) put_pairs(e, pair, n);
    mill_free(pair);
    for (int s = 0; s < N_SIDES; s++) mill_free(pick[s]);
    return err;
}

static double expected_of(const evaluation *e, const char *key)
{
    const json_t *v = json_object_get(e->expected, key);
    return json_is_number(v) ? json_number_value(v) : (double)NAN;
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
    put_number(e->expected, "overall",
               mean_of_two(expected_of(e, "shapes"),
                           expected_of(e, e->o.sdmetrics_compat ? "trends_thresholded" : "trends")),
               &e->failed);
}

mill_err report_quality(evaluation *e)
{
    put_shapes(e);
    TRY(do_trends(e));
    put_quality(e);
    return MILL_OK;
}

/* Is the key one: and is it new, or were real ones copied. */
static void put_key(evaluation *e, json_t *to)
{
    for (int c = 0; e->o.key && c < e->n_common; c++) {
        const col_view *v = &e->view->col[c];
        const col_side *real = &v->side[SIDE_REAL], *syn = &v->side[SIDE_SYN];
        int64_t copied = 0, j = 0;

        if (strcmp(v->name, e->o.key) != 0) continue;
        for (int32_t k = 0; v->is_code && k < v->n_codes - 1; k++)
            copied += real->count[k] ? syn->count[k] : 0;
        for (int64_t i = 0; !v->is_code && i < syn->n; i++) {
            while (j < real->n && real->sorted[j] < syn->sorted[i]) j++;
            copied += j < real->n && real->sorted[j] == syn->sorted[i];
        }
        json_t *const o = put_object(to, "key", &e->failed);
        put_text(o, "column", v->name, &e->failed);
        put_number(o, "uniqueness", (double)syn->n_different / (double)syn->rows, &e->failed);
        put_number(o, "missing", (double)(syn->rows - syn->n) / (double)syn->rows, &e->failed);
        put_number(o, "copied", (double)copied / (double)syn->rows, &e->failed);
        return;
    }
    put(to, "key", json_null(), &e->failed);
}

/* Why a column has no coverage or statistics; NULL: it has. */
static const char *why_no_statistics(const col_view *v)
{
    const col_side *r = &v->side[SIDE_REAL], *s = &v->side[SIDE_SYN];

    if (v->is_key) return NULL;
    if (!r->n) return "the real column has no values";
    if (!s->n) return "the synthetic column has no values";
    if (v->is_code) return NULL;
    if (!(r->max - r->min > 0)) return "the real column has one value only, and no range";
    if (!isfinite(r->max - r->min)) return "the real column has no finite range";
    return r->n < 2 || s->n < 2 ? "one value has no standard deviation" : NULL;
}

void report_diagnostic(evaluation *e, const mill_table *real, const mill_table *syn)
{
    static const char *const names[] = {"validity",           "coverage",
                                        "missing_similarity", "mean_similarity",
                                        "median_similarity",  "std_similarity"};
    enum { N = sizeof names / sizeof *names };
    json_t *const d = put_object(e->report, "diagnostic", &e->failed);
    mean all[N] = {{0}}, most[N] = {{0}};

    for (int c = 0; c < e->n_common; c++) {
        const col_diagnosis g = diagnose(&e->view->col[c]), *x = &e->noise[c].d;
        const double score[N] = {g.validity, g.coverage, g.missing, g.mean, g.median, g.std};
        const double noise[N] = {x->validity, x->coverage, x->missing, x->mean, x->median, x->std};
        json_t *const o = json_array_get(e->columns, (size_t)c);

        put_text(o, "validity_metric", g.validity_metric, &e->failed);
        put_text(o, "coverage_metric", g.coverage_metric, &e->failed);
        const bool is_number = !e->view->col[c].is_code && !e->view->col[c].is_key;
        for (int k = 0; k < N; k++) {
            if (k < 3 || is_number) put_number(o, names[k], score[k], &e->failed);
            mean_add(&all[k], score[k]);
            if (!isnan(score[k])) mean_add(&most[k], noise[k]);
        }
        const char *why = why_no_statistics(&e->view->col[c]);
        if (why) report_skip(e, "coverage and statistics", e->name[c], NULL, why);
    }
    const double validity = mean_get(&all[0]),
                 structure = structure_score(real, syn, e->o.sdmetrics_compat);
    put_number(d, "overall", mean_of_two(validity, structure), &e->failed);
    put_number(d, "structure", structure, &e->failed);
    for (int k = 0; k < N; k++) put_number(d, names[k], mean_get(&all[k]), &e->failed);
    for (int k = 0; k < N; k++) put_number(e->expected, names[k], mean_get(&most[k]), &e->failed);
    put_key(e, d);
}

mill_err report_accuracy(evaluation *e)
{
    static const char *const name[] = {"univariate", "bivariate", "trivariate"};
    int *const column = mill_alloc((size_t)e->n_common, sizeof *column), n = 0;
    accuracy_result a;
    mean all = {0}, most = {0};

    if (!column) return MILL_ENOMEM;
    for (int c = 0; c < e->n_common; c++)
        if (report_is_compared(e, c)) column[n++] = c;
    const mill_err err = accuracy_compute(&a, e->view, column, n, e->o.seed, e->pool);
    mill_free(column);
    if (err) return err;

    json_t *const o = put_object(e->report, "accuracy", &e->failed);
    for (int k = 0; k < 3; k++) {
        char key[32];
        put_number(o, name[k], a.mean[k], &e->failed);
        snprintf(key, sizeof key, "%s_expected", name[k]);
        put_number(o, key, a.mean_most[k], &e->failed);
        mean_add(&all, a.mean[k]);
        mean_add(&most, a.mean_most[k]);
        if (!a.n[k]) report_skip(e, key, NULL, NULL, "there are not so many columns to compare");
    }
    put_number(o, "overall", mean_get(&all), &e->failed);
    put_number(o, "overall_expected", mean_get(&most), &e->failed);
    put_int(o, "triples", a.n[2], &e->failed);
    for (int64_t i = 0; i < a.n[0]; i++) {
        json_t *const c = json_array_get(e->columns, (size_t)a.of[0][i].col[0]);
        put_number(c, "accuracy", a.of[0][i].score, &e->failed);
        put_number(c, "accuracy_expected", a.of[0][i].most, &e->failed);
    }
    /* The same pairs in the same order as the trends. */
    json_t *const pairs = json_object_get(e->report, "pairs");
    for (int64_t i = 0; i < a.n[1]; i++) {
        json_t *const p = json_array_get(pairs, (size_t)i);
        put_number(p, "accuracy", a.of[1][i].score, &e->failed);
        put_number(p, "accuracy_expected", a.of[1][i].most, &e->failed);
    }
    if (a.n[2] < a.n_triples)
        report_note(e, "accuracy: %lld of %lld triples of columns, drawn at random by seed %llu",
                    (long long)a.n[2], (long long)a.n_triples, (unsigned long long)e->o.seed);
    accuracy_deinit(&a);
    return MILL_OK;
}
