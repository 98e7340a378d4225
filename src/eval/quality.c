/*
 * quality.c - shapes, trends and the diagnostic, into the report.
 */
#include "base/mem.h"
#include "eval/accuracy.h"
#include "eval/diagnostic.h"
#include "eval/groups.h"
#include "eval/learners.h"
#include "eval/report.h"

#include <stdio.h>

enum { COMPAT_PAIR_ROWS = 50000 };

static const report_place TOP = {"", NULL, NULL}, EXPECTED = {"expected", NULL, NULL};
#define NO_COLUMN "there is no column that has one"

typedef struct {
    const char *key;
    double x;
} figure;

/* Figures of a column, of which some may be null for the one reason. */
static void put_figures(evaluation *e, json_t *to, const report_place *at, const figure *f, int n,
                        const char *why)
{
    for (int k = 0; k < n; k++) report_number(e, to, at, f[k].key, f[k].x, why);
}

/* Why a figure of the column is not there. */
static const char *why_none(const col_view *v)
{
    const col_side *r = &v->side[SIDE_REAL], *s = &v->side[SIDE_SYN];

    if (!r->n) return "the real column has no values";
    if (!s->n) return "the synthetic column has no values";
    if (!v->is_code && !v->can_bin) return "the column has no finite range";
    if (!v->is_code && !(r->max - r->min > 0))
        return "the real column has one value only, and no range";
    return r->n < 2 || s->n < 2 ? "one value has no standard deviation"
                                : "the real column has too few values, or too large ones";
}

static void put_side(evaluation *e, json_t *to, int side, const col_view *c)
{
    static const char *const key[N_SIDES] = {"real", "synthetic"};
    json_t *const o = put_object(to, key[side], &e->failed);
    const col_side *s = &c->side[side];
    const figure f[] = {{"min", s->min / c->unit},
                        {"max", s->max / c->unit},
                        {"mean", s->mean / c->unit},
                        {"median", s->median / c->unit},
                        {"std", s->std / c->unit}};
    const report_place at = {key[side], c->name, NULL};

    put_int(o, "missing", s->rows - s->n, &e->failed);
    put_int(o, "different", s->n_different, &e->failed);
    if (!c->is_code)
        put_figures(e, o, &at, f, 5,
                    s->n > 1 ? "there are values that are not finite, or too large to be summed"
                    : s->n   ? "one value has no standard deviation"
                             : "the column has no values");
}

/* What a second sample would score, beside what this one does. */
static void put_noise(evaluation *e, json_t *to, const col_noise *n, const col_view *v)
{
    json_t *const o = put_object(to, "expected", &e->failed);
    const figure of_all[] = {{"validity", n->d.validity}, {"missing_similarity", n->d.missing}};
    const figure of_compared[] = {
        {"shape", n->shape}, {"jensen_shannon", n->jensen_shannon}, {"coverage", n->d.coverage}};
    const figure of_numbers[] = {{"wasserstein", n->wasserstein},
                                 {"mean_similarity", n->d.mean},
                                 {"median_similarity", n->d.median},
                                 {"std_similarity", n->d.std}};
    const report_place at = {"expected", v->name, NULL};
    const char *why = why_none(v);

    put_figures(e, o, &at, of_all, 2, why);
    if (v->is_key) return;
    put_figures(e, o, &at, of_compared, 3, why);
    if (!v->is_code) put_figures(e, o, &at, of_numbers, 4, why);
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

    const report_place at = {"", v->name, NULL};

    put_text(o, "shape_metric", v->is_code ? "TVComplement" : "KSComplement", &e->failed);
    report_number(e, o, &at, "shape", score, why_none(v));
    if (!v->is_code) report_number(e, o, &at, "wasserstein", distance, why_none(v));
    report_number(e, o, &at, "jensen_shannon", divergence, why_none(v));
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
        for (int s = 0; s < N_SIDES; s++) put_side(e, o, s, v);
        put_noise(e, o, &e->noise[c], v);
        if (!v->is_key) {
            put_shape(e, o, c, &all, &expected);
            if (!report_histogram(e, o, c)) report_skip(e, "histogram", v->name, NULL, why_none(v));
            continue;
        }
        static const char *const none[] = {"shape", "trends", "coverage", "coverage_metric"};
        for (size_t k = 0; k < sizeof none / sizeof *none; k++)
            report_skip(e, none[k], v->name, NULL,
                        v->type == MILL_IDENTIFIER ? "an identifier has no distribution"
                                                   : "a key has no distribution");
    }
    const figure means[] = {{"wasserstein", mean_get(&all.wasserstein)},
                            {"jensen_shannon", mean_get(&all.jensen_shannon)}};
    const figure most[] = {{"shapes", mean_get(&expected.shape)},
                           {"wasserstein", mean_get(&expected.wasserstein)},
                           {"jensen_shannon", mean_get(&expected.jensen_shannon)}};
    e->shapes = mean_get(&all.shape);
    put_figures(e, e->report, &TOP, means, 2, NO_COLUMN);
    put_figures(e, e->expected, &EXPECTED, most, 3, NO_COLUMN);
}

static void put_pair(evaluation *e, json_t *o, const pair_result *p)
{
    const report_place at = {"", e->view->col[p->a].name, e->view->col[p->b].name};
    const bool has_score = !isnan(p->score[BINS_REAL]);
    const char *why = p->why ? p->why : "too few real rows have both values";

    put_text(o, "a", e->view->col[p->a].name, &e->failed);
    put_text(o, "b", e->view->col[p->b].name, &e->failed);
    put_text(o, "metric", p->is_correlation ? "CorrelationSimilarity" : "ContingencySimilarity",
             &e->failed);
    const figure scores[] = {
        {"score", p->score[BINS_REAL]},
        {"score_own_bins", p->score[BINS_OWN]},
        {"expected", has_score ? p->expected[BINS_REAL] : (double)NAN},
        {"expected_own_bins", has_score ? p->expected[BINS_OWN] : (double)NAN}};
    const figure r[] = {{"real_correlation", p->r[SIDE_REAL]},
                        {"synthetic_correlation", p->r[SIDE_SYN]}};
    const figure v[] = {{"real_association", p->association[BINS_REAL]},
                        {"real_association_own_bins", p->association[BINS_OWN]}};
    put_figures(e, o, &at, scores, 4, why);
    if (p->is_correlation)
        put_figures(e, o, &at, r, 2, why);
    else
        put_figures(e, o, &at, v, 2,
                    p->why ? p->why : "a column has one value only in the real table");
    put_bool(o, "meets_threshold", p->counts[BINS_OWN], &e->failed);
    put_bool(o, "meets_threshold_real_bins", p->counts[BINS_REAL], &e->failed);
}

/* Of n pairs of columns. */
static const char *why_no_trend(int64_t n)
{
    return n ? "no pair of columns has one" : "there are no two columns to compare";
}

static const char *why_no_related(int64_t n)
{
    return n ? "no pair of columns is related strongly enough in the real table" : why_no_trend(n);
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
    }
    for (int k = 0; k < N_BINNINGS; k++) {
        e->trends[k] = mean_get(&all[k]);
        e->thresholded[k] = mean_get(&counted[k]);
        report_number(e, e->expected, &EXPECTED, every[k], mean_get(&expected[k]), why_no_trend(n));
        report_number(e, e->expected, &EXPECTED, some[k], mean_get(&expected_counted[k]),
                      why_no_related(n));
    }
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
        "contingencies of pairs count %lld real and %lld synthetic rows, drawn at random by seed "
        "%llu, as SDMetrics does",
        (long long)n_pick[SIDE_REAL], (long long)n_pick[SIDE_SYN], (unsigned long long)e->o.seed);
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
    const int64_t n_pairs = (int64_t)json_array_size(json_object_get(r, "pairs"));
    const figure every[] = {{"trends", e->trends[BINS_REAL]},
                            {"trends_own_bins", e->trends[BINS_OWN]}};
    const figure some[] = {{"trends_thresholded", e->thresholded[BINS_OWN]},
                           {"trends_thresholded_real_bins", e->thresholded[BINS_REAL]}};
    const char *none = "neither shapes nor trends have a figure";

    report_number(e, r, &TOP, "shapes", e->shapes, NO_COLUMN);
    put_figures(e, r, &TOP, every, 2, why_no_trend(n_pairs));
    put_figures(e, r, &TOP, some, 2, why_no_related(n_pairs));
    report_number(e, r, &TOP, "overall", mean_of_two(e->shapes, trends), none);
    report_number(
        e, e->expected, &EXPECTED, "overall",
        mean_of_two(expected_of(e, "shapes"),
                    expected_of(e, e->o.sdmetrics_compat ? "trends_thresholded" : "trends")),
        none);
}

mill_err report_quality(evaluation *e)
{
    put_shapes(e);
    TRY(do_trends(e));
    put_quality(e);
    return MILL_OK;
}

/* Is the key one: and is it new, or were real ones copied. */
static mill_err put_key(evaluation *e, json_t *to)
{
    for (int c = 0; e->o.key && c < e->n_common; c++) {
        const col_view *v = &e->view->col[c];
        const col_side *syn = &v->side[SIDE_SYN];
        int64_t copied;

        if (strcmp(v->name, e->o.key) != 0) continue;
        TRY(copied_rows(&copied, &e->syn->col[c], &e->real.col[c]));
        json_t *const o = put_object(to, "key", &e->failed);
        put_text(o, "column", v->name, &e->failed);
        put_number(o, "uniqueness", (double)syn->n_different / (double)syn->rows, &e->failed);
        put_number(o, "missing", (double)(syn->rows - syn->n) / (double)syn->rows, &e->failed);
        put_number(o, "copied", (double)copied / (double)syn->rows, &e->failed);
        return MILL_OK;
    }
    put(to, "key", json_null(), &e->failed);
    return MILL_OK;
}

mill_err report_diagnostic(evaluation *e, const mill_table *real, const mill_table *syn)
{
    static const char *const names[] = {"validity",           "coverage",
                                        "missing_similarity", "mean_similarity",
                                        "median_similarity",  "std_similarity"};
    enum { COVERAGE = 1, MISSING = 2, N = sizeof names / sizeof *names };
    json_t *const d = put_object(e->report, "diagnostic", &e->failed);
    mean all[N] = {{0}}, most[N] = {{0}};

    for (int c = 0; c < e->n_common; c++) {
        const col_diagnosis g = diagnose(&e->view->col[c]), *x = &e->noise[c].d;
        const double score[N] = {g.validity, g.coverage, g.missing, g.mean, g.median, g.std};
        const double noise[N] = {x->validity, x->coverage, x->missing, x->mean, x->median, x->std};
        json_t *const o = json_array_get(e->columns, (size_t)c);

        put_text(o, "validity_metric", g.validity_metric, &e->failed);
        put_text(o, "coverage_metric", g.coverage_metric, &e->failed);
        const bool is_key = e->view->col[c].is_key, is_number = !e->view->col[c].is_code && !is_key;
        const report_place at = {"", e->name[c], NULL};
        for (int k = 0; k < N; k++) {
            if (k == COVERAGE && is_key)
                put(o, names[k], json_null(), &e->failed); /* has been said */
            else if (k <= MISSING || is_number)
                report_number(e, o, &at, names[k], score[k], why_none(&e->view->col[c]));
            mean_add(&all[k], score[k]);
            if (!isnan(score[k])) mean_add(&most[k], noise[k]);
        }
    }
    const double validity = mean_get(&all[0]),
                 structure = structure_score(real, syn, e->o.sdmetrics_compat);
    put_number(d, "overall", mean_of_two(validity, structure), &e->failed);
    put_number(d, "structure", structure, &e->failed);
    for (int k = 0; k < N; k++)
        report_number(e, d, &(report_place){"diagnostic", NULL, NULL}, names[k], mean_get(&all[k]),
                      NO_COLUMN);
    for (int k = 0; k < N; k++)
        report_number(e, e->expected, &EXPECTED, names[k], mean_get(&most[k]), NO_COLUMN);
    put_number(e->expected, "structure", 1, &e->failed); /* names and types are not drawn */
    return put_key(e, d);
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
    const report_place at = {"accuracy", NULL, NULL};
    const char *few = "there are not so many columns to compare";
    for (int k = 0; k < 3; k++) {
        char key[32];
        report_number(e, o, &at, name[k], a.mean[k], few);
        snprintf(key, sizeof key, "%s_expected", name[k]);
        report_number(e, o, &at, key, a.mean_most[k], few);
        mean_add(&all, a.mean[k]);
        mean_add(&most, a.mean_most[k]);
    }
    report_number(e, o, &at, "overall", mean_get(&all), few);
    report_number(e, o, &at, "overall_expected", mean_get(&most), few);
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
