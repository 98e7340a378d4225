/* t_learn_extra.c - extremely randomised trees: what they must fit exactly, what they may not look
 * at, and their bits. */
#include "lib/near.h"

#include "base/mem.h"
#include "base/philox.h"
#include "learn/extra.h"

#include <math.h>

enum { N = 400, C = 4, M = 2 };

/* Two outputs of the first two columns; the third is constant, the fourth noise. */
static void make(float *x, float *y, uint64_t seed)
{
    mill_rng r = mill_rng_init(seed, 0, 0);

    for (int i = 0; i < N; i++) {
        float *row = x + (int64_t)i * C, *out = y + (int64_t)i * M;
        for (int c = 0; c < C; c++) row[c] = c == 2 ? 3 : mill_rng_f32(&r);
        out[0] = row[0] > 0.5f ? 1 : 0;
        out[1] = row[1];
    }
}

void test_extra__deep_trees_know_their_rows(void **state)
{
    (void)state;
    float x[N * C], y[N * M], guess[N * M];
    const int64_t dim[] = {N, C, M};
    const extra_options o = EXTRA_DEFAULTS;
    mill_extra *m = NULL;

    make(x, y, 1);
    assert_ok(extra_fit(&m, NULL, x, y, dim, &o, NULL));
    assert_ok(extra_predict(guess, m, x, N, NULL));
    for (int i = 0; i < N * M; i++)
        assert_near((double)guess[i], (double)y[i], 1e-6); /* means of 100 floats */
    extra_free(m);
}

void test_extra__generalises(void **state)
{
    (void)state;
    float x[N * C], y[N * M], guess[N * M];
    const int64_t dim[] = {N, C, M};
    const extra_options o = EXTRA_DEFAULTS;
    mill_extra *m = NULL;
    double error = 0;
    int right = 0;

    make(x, y, 2);
    assert_ok(extra_fit(&m, NULL, x, y, dim, &o, NULL));
    make(x, y, 3);
    assert_ok(extra_predict(guess, m, x, N, NULL));
    for (int64_t i = 0; i < N; i++) {
        right += (guess[i * M] > 0.5f) == (y[i * M] > 0.5f);
        error += pow((double)(guess[i * M + 1] - y[i * M + 1]), 2) / N;
    }
    assert_true(right > N * 95 / 100);
    assert_true(error < 1.0 / 12 / 10); /* a tenth of the variance of a uniform number */
    extra_free(m);
}

void test_extra__a_stump_cuts_within_the_range(void **state)
{
    (void)state;
    const float x[] = {1, 1, 1, 2}, y[] = {5, 5, 5, 9};
    const int64_t dim[] = {4, 1, 1};
    extra_options o = EXTRA_DEFAULTS;
    mill_extra *m = NULL;
    float guess[4];

    o.max_depth = 1;
    assert_ok(extra_fit(&m, NULL, x, y, dim, &o, NULL));
    assert_ok(extra_predict(guess, m, x, 4, NULL));
    for (int i = 0; i < 4; i++)
        assert_true(guess[i] == y[i]); /* any cut in [1, 2) tells them apart */
    extra_free(m);
    o.min_leaf_rows = 2;
    assert_ok(extra_fit(&m, NULL, x, y, dim, &o, NULL));
    assert_ok(extra_predict(guess, m, x, 4, NULL));
    for (int i = 0; i < 4; i++)
        assert_true(guess[i] == 6); /* one row is too few for a leaf: the mean */
    extra_free(m);
}

void test_extra__oob_uses_trees_that_did_not_see_the_row(void **state)
{
    (void)state;
    /* Noise: a tree that saw the row repeats its own label, one that did not has no way to know. */
    float x[N * C], y[N * M], oob[N * M];
    const int64_t dim[] = {N, C, M};
    extra_options o = EXTRA_DEFAULTS;
    mill_extra *m = NULL;
    mill_rng r = mill_rng_init(4, 0, 0);
    int right = 0;

    make(x, y, 4);
    for (int i = 0; i < N * M; i++) y[i] = mill_rng_f32(&r) > 0.5f ? 1 : 0;
    o.bootstrap = true;
    assert_ok(extra_fit(&m, oob, x, y, dim, &o, NULL));
    for (int64_t i = 0; i < N; i++) right += (oob[i * M] > 0.5f) == (y[i * M] > 0.5f);
    assert_in_range(right, N * 38 / 100, N * 62 / 100); /* fair coins: 5 standard deviations */
    extra_free(m);

    o.trees = 1;
    int unseen = 0;
    assert_ok(extra_fit(&m, oob, x, y, dim, &o, NULL));
    for (int64_t i = 0; i < N; i++) unseen += !isnan(oob[i * M]);
    assert_in_range(unseen, N * 27 / 100, N * 46 / 100); /* (1 - 1/n)^n = .37 */
    extra_free(m);
}

void test_extra__has_the_same_bits_for_any_threads(void **state)
{
    (void)state;
    float x[N * C], y[N * M], guess[3][N * M], oob[3][N * M];
    const int64_t dim[] = {N, C, M};
    const int threads[] = {1, 2, 7};
    extra_options o = EXTRA_DEFAULTS;

    make(x, y, 5);
    o.bootstrap = true;
    o.max_features = EXTRA_SQRT;
    o.max_depth = 6;
    for (int t = 0; t < 3; t++) {
        mill_pool *pool = NULL;
        mill_extra *m = NULL;
        assert_ok(mill_pool_new(&pool, threads[t]));
        assert_ok(extra_fit(&m, oob[t], x, y, dim, &o, pool));
        assert_ok(extra_predict(guess[t], m, x, N, pool));
        extra_free(m);
        mill_pool_free(pool);
        assert_memory_equal(guess[t], guess[0], sizeof guess[0]);
        assert_memory_equal(oob[t], oob[0], sizeof oob[0]);
    }
}

void test_extra__refuses_nan_and_oob_without_bootstrap(void **state)
{
    (void)state;
    float x[] = {1, NAN}, y[] = {0, 1}, oob[2];
    const int64_t dim[] = {2, 1, 1};
    const extra_options o = EXTRA_DEFAULTS;
    mill_extra *m = NULL;

    assert_fails(MILL_EINPUT, "row 1", extra_fit(&m, NULL, x, y, dim, &o, NULL));
    x[1] = 2;
    assert_fails(MILL_EINPUT, "bootstrap", extra_fit(&m, oob, x, y, dim, &o, NULL));
    assert_null(m);
}

void test_extra__survives_any_failed_allocation(void **state)
{
    (void)state;
    float x[N * C], y[N * M], oob[N * M];
    const int64_t dim[] = {40, C, M};
    extra_options o = EXTRA_DEFAULTS;
    mill_mem_stats before, after;
    mill_err err = MILL_ENOMEM;

    make(x, y, 6);
    o.trees = 2;
    o.bootstrap = true;
    mill_mem_get_stats(&before);
    for (int64_t n = 1; err; n++) {
        mill_extra *m = NULL;
        mill_mem_fail_at(n);
        err = extra_fit(&m, oob, x, y, dim, &o, NULL);
        mill_mem_fail_at(0);
        if (err) assert_int_equal(err, MILL_ENOMEM);
        extra_free(m);
        mill_mem_get_stats(&after);
        assert_int_equal(after.live, before.live);
    }
}
