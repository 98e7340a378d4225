/*
 * t_learn_boost.c - boosted trees.
 *
 * Oracles: one stump against a search over all splits; sums that can be done by hand; the same bits
 * for any threads.
 */
#include "lib/made.h"

#include "base/philox.h"
#include "learn/bins.h"
#include "learn/boost.h"
#include "learn/metric.h"

#include <math.h>

static boost_options options(boost_loss loss, int trees, int leaves, int min_leaf_rows)
{
    boost_options o = BOOST_DEFAULTS;

    o.loss = loss;
    o.trees = trees;
    o.leaves = leaves;
    o.min_leaf_rows = min_leaf_rows;
    return o;
}

/* Squared error of y about the means of both sides of x <= at, missing values on `side`; infinite
 * if a side is too small. */
static double stump_error(const feature_col *c, const double *y, int64_t rows, double at, int side,
                          int min_leaf)
{
    double n[2] = {0, 0}, sum[2] = {0, 0}, squares = 0;

    for (int64_t i = 0; i < rows; i++) {
        const double v = feature_f64(c, i);
        const int to = isnan(v) ? side : !(v <= at);
        n[to]++;
        sum[to] += y[i];
        squares += y[i] * y[i];
    }
    if (n[0] < min_leaf || n[1] < min_leaf) return (double)INFINITY;
    return squares - sum[0] * sum[0] / n[0] - sum[1] * sum[1] / n[1];
}

static double best_stump(const mill_features *f, const double *y, int min_leaf)
{
    double best = (double)INFINITY;

    for (int c = 0; c < f->n_cols; c++) {
        for (int64_t cut = 0; cut < f->rows; cut++) {
            const double at =
                feature_f64(&f->col[c], cut); /* NaN: the missing ones against the rest */
            for (int side = 0; side < 2; side++)
                best = fmin(best, stump_error(&f->col[c], y, f->rows, at, side, min_leaf));
        }
    }
    return best;
}

void test_boost__finds_the_best_stump(void **state)
{
    (void)state;
    enum { ROWS = 120 };
    mill_rng r = mill_rng_init(4, 0, 0);

    for (int trial = 0; trial < 5; trial++) {
        mill_features *f = made_features(ROWS, 3);
        double *x0 = made_number_feature(f, 0), *x1 = made_number_feature(f, 1), y[ROWS],
               guess[ROWS], error = 0;
        int32_t *c = made_code_feature(f, 2, 6);
        for (int i = 0; i < ROWS; i++) {
            x0[i] = mill_rng_below(&r, 4) ? mill_rng_f64(&r) : (double)NAN;
            x1[i] = mill_rng_below(&r, 30);
            c[i] = (int32_t)mill_rng_below(&r, 7) - 1;
            y[i] = mill_rng_f64(&r) + (isnan(x0[i]) && trial % 2 ? 2 : 0) + (c[i] > 2) + x1[i] / 30;
        }
        boost_options o = options(BOOST_SQUARED, 1, 2, 7);
        mill_boost *m = NULL;
        o.rate = 1;
        assert_ok(boost_fit(&m, f, y, &o, NULL));
        assert_ok(boost_predict(guess, m, f, NULL));
        for (int i = 0; i < ROWS; i++) error += (guess[i] - y[i]) * (guess[i] - y[i]);
        assert_near(error, best_stump(f, y, 7),
                    1e-4); /* gradients are floats: 120 of them at 2^-24 */
        boost_free(m);
        features_free(f);
    }
}

void test_boost__sends_missing_values_where_they_learnt(void **state)
{
    (void)state;
    enum { ROWS = 100 };
    mill_features *f = made_features(ROWS, 1);
    double *x = made_number_feature(f, 0), y[ROWS], p[ROWS];

    /* Missing rows behave like the small values: no single threshold without a direction would do.
     */
    for (int i = 0; i < ROWS; i++) {
        x[i] = i % 3 == 0 ? (double)NAN : i % 3;
        y[i] = i % 3 != 2;
    }
    boost_options o = options(BOOST_LOGISTIC, 50, 2, 5);
    mill_boost *m = NULL;
    assert_ok(boost_fit(&m, f, y, &o, NULL));
    assert_ok(boost_predict(p, m, f, NULL));
    for (int i = 0; i < ROWS; i++) assert_true(y[i] > 0.5 ? p[i] > 0.97 : p[i] < 0.03);
    boost_free(m);
    features_free(f);
}

void test_boost__starts_from_the_shares(void **state)
{
    (void)state;
    enum { ROWS = 30 };
    mill_features *f = made_features(ROWS, 1);
    double *x = made_number_feature(f, 0), y[ROWS], p[3 * ROWS];

    for (int i = 0; i < ROWS; i++) {
        x[i] = i;
        y[i] = i % 6 == 0 ? 0 : i % 6 < 3 ? 1 : 2;
    }
    boost_options o = options(BOOST_SOFTMAX, 3, 31, 20); /* 30 rows have no two leaves of 20 */
    mill_boost *m = NULL;
    o.n_classes = 3;
    assert_ok(boost_fit(&m, f, y, &o, NULL));
    assert_ok(boost_predict(p, m, f, NULL));
    const double share[] = {1.0 / 6, 2.0 / 6, 3.0 / 6};
    /* The root's gradients sum to zero but for float rounding. */
    for (int i = 0; i < 3 * ROWS; i++) assert_near(p[i], share[i % 3], 1e-6);
    boost_free(m);
    features_free(f);
}

static mill_features *rings(int64_t rows, double *y, uint64_t seed, int k)
{
    mill_rng r = mill_rng_init(seed, 0, 0);
    mill_features *const f = made_features(rows, 3);
    double *a = made_number_feature(f, 0), *b = made_number_feature(f, 1);
    int32_t *c = made_code_feature(f, 2, 3);

    for (int64_t i = 0; i < rows; i++) {
        a[i] = 2 * mill_rng_f64(&r) - 1;
        b[i] = 2 * mill_rng_f64(&r) - 1;
        c[i] = (int32_t)mill_rng_below(&r, 4) - 1;
        const double d = a[i] * a[i] + b[i] * b[i] + 0.1 * c[i];
        y[i] = k ? fmax(0, fmin(k - 1, floor(d * k))) : d;
        if (i % 13 == 0) b[i] = (double)NAN;
    }
    return f;
}

enum { RING_ROWS = 9000 };

/* Fit on one set of rings with so many threads, guess for another: p (rows, 3 for softmax), y_new
 * the truth. */
static void fit_rings(double *p, double *y_new, boost_loss loss, int k, int threads)
{
    double *const y = mill_alloc(RING_ROWS, sizeof *y);
    mill_features *f = rings(RING_ROWS, y, 5, k), *g = rings(RING_ROWS, y_new, 6, k);
    boost_options o = options(loss, 40, 31, 20);
    mill_pool *pool = NULL;
    mill_boost *m = NULL;

    o.n_classes = k;
    assert_ok(mill_pool_new(&pool, threads));
    assert_ok(boost_fit(&m, f, y, &o, pool));
    assert_ok(boost_predict(p, m, g, pool));
    boost_free(m);
    mill_pool_free(pool);
    features_free(f);
    features_free(g);
    mill_free(y);
}

static void check_rings(boost_loss loss, int k)
{
    double *const y = mill_alloc(RING_ROWS, sizeof *y);
    double *const p = mill_alloc(RING_ROWS, 3 * sizeof *p), *const q = mill_alloc(RING_ROWS,
                                                                                  3 * sizeof *q);
    int64_t right = 0;

    fit_rings(p, y, loss, k, 1);
    for (int threads = 2; threads <= 7; threads += 5) {
        fit_rings(q, y, loss, k, threads);
        assert_memory_equal(p, q, 3 * sizeof *p * RING_ROWS);
    }
    for (int64_t i = 0; i < RING_ROWS; i++) {
        int32_t guess = p[i] > 0.5;
        if (loss == BOOST_SOFTMAX) metric_argmax(&guess, p + 3 * i, 1, 3);
        right += guess == (int)y[i];
    }
    if (loss == BOOST_SQUARED)
        assert_true(metric_r2(p, y, RING_ROWS) > 0.9);
    else
        assert_true(right > RING_ROWS * 88 / 100); /* one row in 13 lacks a coordinate */
    mill_free(y);
    mill_free(p);
    mill_free(q);
}

void test_boost__learns_two_classes_with_the_same_bits_for_any_threads(void **state)
{
    (void)state;
    check_rings(BOOST_LOGISTIC, 2);
}

void test_boost__learns_three_classes_with_the_same_bits_for_any_threads(void **state)
{
    (void)state;
    check_rings(BOOST_SOFTMAX, 3);
}

void test_boost__learns_values_with_the_same_bits_for_any_threads(void **state)
{
    (void)state;
    check_rings(BOOST_SQUARED, 0);
}

void test_bins__hold_what_their_cuts_say(void **state)
{
    (void)state;
    enum { ROWS = 4000 };
    mill_rng r = mill_rng_init(7, 0, 0);
    mill_features *f = made_features(ROWS, 2);
    double *many = made_number_feature(f, 0), *few = made_number_feature(f, 1);
    uint8_t *const bin = mill_alloc(ROWS, 2);
    bin_map *m = NULL;

    for (int i = 0; i < ROWS; i++) {
        many[i] = i % 50 ? mill_rng_f64(&r) : (double)NAN;
        few[i] = 3.0 * mill_rng_below(&r, 5);
    }
    assert_ok(bins_fit(&m, f, MAX_BINS, NULL));
    assert_ok(bins_apply(bin, m, f, NULL));
    assert_int_equal(m->col[0].n_bins, MAX_BINS);
    assert_int_equal(m->col[1].n_bins, 5);
    int64_t count[256] = {0};
    for (int i = 0; i < ROWS; i++) {
        const int b = bin[i];
        count[b]++;
        assert_int_equal(b == MISSING_BIN, isnan(many[i]));
        if (b == MISSING_BIN) continue;
        if (b > 0) assert_true(many[i] > m->col[0].cut[b - 1]);
        if (b < MAX_BINS - 1) assert_true(many[i] <= m->col[0].cut[b]);
        assert_int_equal(bin[ROWS + i], (int)few[i] / 3);
    }
    for (int b = 0; b < MAX_BINS; b++) assert_in_range(count[b], 14, 17); /* 3920 / 255 = 15.4 */
    bins_free(m);
    features_free(f);
    mill_free(bin);
}

void test_boost__refuses_what_it_cannot_learn(void **state)
{
    (void)state;
    mill_features *f = made_features(2, 1);
    made_number_feature(f, 0);
    const double y[] = {0, 2};
    mill_boost *m = NULL;
    boost_options o = BOOST_DEFAULTS;

    assert_fails(MILL_EINPUT, "target of row 1", boost_fit(&m, f, y, &o, NULL));
    o.bins = 256;
    assert_fails(MILL_EINPUT, "option", boost_fit(&m, f, y, &o, NULL));
    assert_null(m);
    features_free(f);
}

void test_boost__survives_any_failed_allocation(void **state)
{
    (void)state;
    double y[60];
    mill_features *f = rings(60, y, 8, 2);
    const boost_options o = options(BOOST_LOGISTIC, 2, 4, 5);
    const int64_t before = live_blocks();
    mill_err err = MILL_ENOMEM;

    for (int64_t n = 1; err; n++) {
        mill_boost *m = NULL;
        mill_mem_fail_at(n);
        err = boost_fit(&m, f, y, &o, NULL);
        mill_mem_fail_at(0);
        if (err) assert_int_equal(err, MILL_ENOMEM);
        if (err) assert_null(m);
        boost_free(m);
        assert_int_equal(live_blocks(), before);
    }
    features_free(f);
}
