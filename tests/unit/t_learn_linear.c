/*
 * t_learn_linear.c - designs, logistic regression and ridge.
 *
 * Oracles: the scaler by hand; at a minimum the gradient, computed here over the expanded one-hot
 * matrix, is zero; ridge on one feature in closed form; scikit-learn 1.9.1 for one small problem.
 */
#include "lib/made.h"

#include "base/file.h"
#include "base/philox.h"
#include "learn/linear.h"
#include "learn/logistic.h"

static mill_features *some_features(int64_t n, int32_t *label, double *y, int k)
{
    mill_rng r = mill_rng_init(3, 0, 0);
    mill_features *const f = made_features(n, 3);
    double *x0 = made_number_feature(f, 0), *x1 = made_number_feature(f, 1);
    int32_t *c = made_code_feature(f, 2, 5);

    for (int64_t i = 0; i < n; i++) {
        x0[i] = mill_rng_f64(&r) * 4 - 2;
        x1[i] = mill_rng_below(&r, 10) ? 0 : 1000 * mill_rng_f64(&r); /* interquartile range 0 */
        c[i] = (int32_t)mill_rng_below(&r, 4) - 1; /* -1, 0, 1, 2: two codes do not occur */
        if (i % 11 == 0) x0[i] = (double)NAN;
        const double z =
            (isnan(x0[i]) ? 0 : x0[i]) + 0.5 * c[i] + x1[i] / 500 + 2 * mill_rng_f64(&r) - 1;
        label[i] = z < -0.3 ? 0 : z < 1 || k == 2 ? 1 : 2;
        y[i] = z;
    }
    return f;
}

void test_design__scales_by_median_and_quartiles(void **state)
{
    (void)state;
    mill_features *f = made_features(5, 2);
    const double x[] = {0, (double)NAN, 1, 3, 16};
    const int32_t c[] = {0, 0, 2, -1, 0};
    memcpy(made_number_feature(f, 0), x, sizeof x);
    memcpy(made_code_feature(f, 1, 3), c, sizeof c);
    mill_design *d = NULL;
    design_rows *r = NULL;

    assert_ok(design_fit(&d, f));
    f->col[1].code[0] = 1; /* was not there when the design was fitted */
    f->col[1].code[4] = 7; /* could not be there */
    f->col[1].n_codes = 8;
    assert_ok(design_apply(&r, d, f));
    assert_int_equal(r->width, 1 + 3); /* the number; codes 0 and 2, missing */
    /* 0 1 3 5 16: the mean 5 stands for the missing one, median 3, quartiles 1 and 5 */
    for (int i = 0; i < 5; i++) assert_near(r->num[i], ((isnan(x[i]) ? 5 : x[i]) - 3) / 4, 1e-15);
    const int32_t slot[] = {-1, 1, 2, 3, -1};
    for (int i = 0; i < 5; i++) assert_int_equal(r->slot[i], slot[i]);
    /* three ones of five: 0 0 1 1 1, quartiles 0 and 1; one of five: both 0, and the width counts
     * as 1 */
    for (int k = 0; k < 4; k++) assert_near(r->unit[k], 1, 1e-15);
    design_rows_free(r);
    design_free(d);
    features_free(f);
}

/* Largest component of the gradient of loss + |w|^2 / 2 at the solution, by the expanded matrix. */
static double worst_gradient(const design_rows *x, const int32_t *label, const double *p, int k,
                             const double *w)
{
    const int vectors = k == 2 ? 1 : k;
    double worst = 0;

    for (int c = 0; c < vectors; c++) {
        for (int j = 0; j <= x->width; j++) {
            double g = j < x->width ? w[j * vectors + c] : 0;
            for (int64_t i = 0; i < x->rows; i++) {
                double v = j == x->width;
                if (j < x->n_num) v = x->num[i * x->n_num + j];
                for (int s = 0; j < x->width && s < x->n_cat; s++)
                    if (x->slot[i * x->n_cat + s] == j) v = x->unit[j];
                const int of = k == 2 ? 1 : c;
                g += v * (p[i * k + of] - (label[i] == of));
            }
            worst = fmax(worst, fabs(g));
        }
    }
    return worst;
}

static void check_minimum(int k)
{
    enum { ROWS = 5000 };
    int32_t *const label = mill_alloc(ROWS, sizeof *label);
    double *const y = mill_alloc(ROWS, sizeof *y), *const p = mill_alloc(ROWS, 3 * sizeof *p);
    mill_features *f = some_features(ROWS, label, y, k);
    mill_design *d = NULL;
    design_rows *x = NULL;
    mill_logistic *m = NULL;

    assert_ok(design_fit(&d, f));
    assert_ok(design_apply(&x, d, f));
    assert_ok(logistic_fit(&m, x, label, k, &LOGISTIC_DEFAULTS, NULL));
    assert_ok(logistic_predict(p, m, x, NULL));
    for (int64_t i = 0; i < ROWS; i++) {
        double sum = 0;
        for (int c = 0; c < k; c++) sum += p[i * k + c];
        assert_near(sum, 1, 1e-12);
    }
    /* The unscaled column has values to 1000 and 5000 rows: gradients of 10^5 at the start. */
    assert_true(worst_gradient(x, label, p, k, logistic_weights(m)) < 1e-2);
    logistic_free(m);
    design_rows_free(x);
    design_free(d);
    features_free(f);
    mill_free(label);
    mill_free(y);
    mill_free(p);
}

void test_logistic__stands_at_the_minimum(void **state)
{
    (void)state;
    check_minimum(2);
}

void test_softmax__stands_at_the_minimum(void **state)
{
    (void)state;
    check_minimum(3);
}

void test_logistic__agrees_with_scikit_learn(void **state)
{
    (void)state;
    /*
     * LogisticRegression(solver="newton-cholesky",
     * tol=1e-12).fit(RobustScaler().fit_transform([[0],[1],[2],[3],[4],[5],[6],[7]]),
     * [0,0,1,0,1,0,1,1]) of scikit-learn 1.9.1: coef_ below, intercept_ 0 by symmetry.
     */
    const double golden = 0.7824340225375;
    mill_features *f = made_features(8, 1);
    double *x = made_number_feature(f, 0);
    for (int i = 0; i < 8; i++) x[i] = i;
    const int32_t label[] = {0, 0, 1, 0, 1, 0, 1, 1};
    mill_design *d = NULL;
    design_rows *r = NULL;
    mill_logistic *m = NULL;

    assert_ok(design_fit(&d, f));
    assert_ok(design_apply(&r, d, f));
    assert_ok(logistic_fit(&m, r, label, 2, &LOGISTIC_DEFAULTS, NULL));
    assert_near(logistic_weights(m)[0], golden,
                1e-6); /* both stop at a relative 1e-10 of the loss */
    assert_near(logistic_weights(m)[1], 0, 1e-6);
    logistic_free(m);
    design_rows_free(r);
    design_free(d);
    features_free(f);
}

/* 2: one weight vector; 3 and 11: less and more than the eight classes that go together. */
static void check_bits(int k, uint32_t golden)
{
    enum { ROWS = 9000 };
    int32_t *const label = mill_alloc(ROWS, sizeof *label);
    double *const y = mill_alloc(ROWS, sizeof *y);
    mill_features *f = some_features(ROWS, label, y, k);
    mill_design *d = NULL;
    design_rows *x = NULL;
    const int threads[] = {1, 2, 7};

    for (int i = 0; i < ROWS && k > 3; i++) label[i] = (label[i] + i) % k;
    assert_ok(design_fit(&d, f));
    assert_ok(design_apply(&x, d, f));
    for (int t = 0; t < 3; t++) {
        mill_pool *pool = NULL;
        mill_logistic *m = NULL;
        const size_t numbers = (size_t)(x->width + 1) * (size_t)(k == 2 ? 1 : k);

        assert_ok(mill_pool_new(&pool, threads[t]));
        assert_ok(logistic_fit(&m, x, label, k, &LOGISTIC_DEFAULTS, pool));
        mill_pool_free(pool);
        assert_int_equal(mill_crc32c(0, logistic_weights(m), numbers * sizeof(double)), golden);
        logistic_free(m);
    }
    design_rows_free(x);
    design_free(d);
    features_free(f);
    mill_free(label);
    mill_free(y);
}

/* The tests run at each level that the machine has. */
void test_logistic__has_the_same_bits_for_any_threads_and_level(void **state)
{
    (void)state;
    check_bits(2, 0x71a1d057);
    check_bits(3, 0x2a4bf3fd);
    check_bits(11, 0x17355770);
}

void test_ridge__solves_its_normal_equation(void **state)
{
    (void)state;
    mill_features *f = made_features(5, 1);
    const double v[] = {0, 1, 2, 3, 4}, y[] = {1, 3, 2, 5, 9};
    memcpy(made_number_feature(f, 0), v, sizeof v);
    mill_design *d = NULL;
    design_rows *r = NULL;
    mill_ridge *m = NULL;
    double guess[5];

    assert_ok(design_fit(&d, f));
    assert_ok(design_apply(&r, d, f));
    assert_ok(ridge_fit(&m, r, y, 1, NULL));
    /* x = (v - 2) / 2, sum x^2 = 2.5, sum x y = 9; w = 9 / (2.5 + 1), b = mean y = 4 */
    assert_near(ridge_weights(m)[0], 9 / 3.5, 1e-12);
    assert_near(ridge_weights(m)[1], 4, 1e-12);
    assert_ok(ridge_predict(guess, m, r, NULL));
    assert_near(guess[4], 4 + 9 / 3.5, 1e-12);
    ridge_free(m);
    design_rows_free(r);
    design_free(d);
    features_free(f);
}

void test_logistic__refuses_rows_of_another_design(void **state)
{
    (void)state;
    mill_features *f = made_features(4, 1);
    double *x = made_number_feature(f, 0);
    for (int i = 0; i < 4; i++) x[i] = i;
    mill_design *d = NULL;
    design_rows *r = NULL;
    mill_logistic *m = NULL;
    const int32_t label[] = {0, 1, 0, 1};
    double p[8];

    assert_ok(design_fit(&d, f));
    assert_ok(design_apply(&r, d, f));
    assert_fails(MILL_EINPUT, "two classes",
                 logistic_fit(&m, r, label, 1, &LOGISTIC_DEFAULTS, NULL));
    assert_ok(logistic_fit(&m, r, label, 2, &LOGISTIC_DEFAULTS, NULL));
    r->width = 3;
    assert_fails(MILL_ESHAPE, "weights", logistic_predict(p, m, r, NULL));
    logistic_free(m);
    design_rows_free(r);
    design_free(d);
    features_free(f);
}
