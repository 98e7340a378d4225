/*
 * guess.c - learn, then guess; see guess.h.
 */
#include "eval/guess.h"

#include "base/mem.h"
#include "eval/learners.h"
#include "learn/boost.h"
#include "learn/linear.h"
#include "learn/logistic.h"

enum { MOST_TREES = 1000, LEAST_ROUNDS = 20 };

/* A guess for every row of test: (rows, k) probabilities, or (rows) values for k = 0. */
static mill_err linear_guess(double *guess, const mill_features *train, const double *y,
                             const mill_features *test, int k, mill_pool *pool)
{
    mill_design *d = NULL;
    design_rows *x = NULL, *x_test = NULL;
    mill_logistic *logistic = NULL;
    mill_ridge *ridge = NULL;
    int32_t *label = NULL;
    mill_err err;

    if ((err = design_fit(&d, train))) goto done;
    if ((err = design_apply(&x, d, train))) goto done;
    if ((err = design_apply(&x_test, d, test))) goto done;
    if (!k) {
        if ((err = ridge_fit(&ridge, x, y, 1, pool))) goto done;
        err = ridge_predict(guess, ridge, x_test, pool);
        goto done;
    }
    err = MILL_ENOMEM;
    if (!(label = mill_alloc((size_t)x->rows, sizeof *label))) goto done;
    for (int64_t i = 0; i < x->rows; i++) label[i] = (int32_t)y[i];
    if ((err = logistic_fit(&logistic, x, label, k, &LOGISTIC_DEFAULTS, pool))) goto done;
    err = logistic_predict(guess, logistic, x_test, pool);
done:
    design_free(d);
    design_rows_free(x);
    design_rows_free(x_test);
    logistic_free(logistic);
    ridge_free(ridge);
    mill_free(label);
    return err;
}

static mill_err boosted_guess(double *guess, const mill_features *train, const double *y,
                              const mill_features *test, int k, mill_pool *pool)
{
    boost_options o = BOOST_DEFAULTS;
    mill_boost *m = NULL;

    o.loss = k == 0 ? BOOST_SQUARED : k == 2 ? BOOST_LOGISTIC : BOOST_SOFTMAX;
    o.n_classes = k;
    if (k * o.trees > MOST_TREES) /* a tree a class and round: fewer rounds of many classes */
        o.trees = MOST_TREES / k > LEAST_ROUNDS ? MOST_TREES / k : LEAST_ROUNDS;
    TRY(boost_fit(&m, train, y, &o, pool));
    const mill_err err = boost_predict(guess, m, test, pool);
    boost_free(m);
    for (int64_t i = test->rows - 1; !err && k == 2 && i >= 0; i--) { /* p of 1 becomes both */
        const double p = guess[i];
        guess[2 * i + 1] = p;
        guess[2 * i] = 1 - p;
    }
    return err;
}

static mill_err guess_with(double *guess, int learner, const mill_features *train, const double *y,
                           const mill_features *test, int k, mill_pool *pool)
{
    return learner == LEARNER_LINEAR ? linear_guess(guess, train, y, test, k, pool)
                                     : boosted_guess(guess, train, y, test, k, pool);
}

mill_err eval_guess(double *guess, int learner, const mill_features *train, const double *y,
                    const mill_features *test, int k, mill_pool *pool)
{
    if (!k) return guess_with(guess, learner, train, y, test, 0, pool);

    int there[MAX_CLASSES], place[MAX_CLASSES] = {0}, n = 0;

    for (int64_t i = 0; i < train->rows; i++) place[(int)y[i]] = 1;
    for (int c = 0; c < k; c++) {
        if (!place[c]) continue;
        place[c] = n;
        there[n++] = c;
    }
    if (n == k) return guess_with(guess, learner, train, y, test, k, pool);

    double *const fewer = mill_alloc((size_t)train->rows, sizeof *fewer);
    double *const few = mill_alloc((size_t)test->rows, (size_t)n * sizeof *few);
    mill_err err = fewer && few ? MILL_OK : MILL_ENOMEM;

    for (int64_t i = 0; !err && i < train->rows; i++) fewer[i] = place[(int)y[i]];
    if (!err && n > 1) err = guess_with(few, learner, train, fewer, test, n, pool);
    for (int64_t i = 0; !err && i < test->rows; i++) {
        for (int c = 0; c < k; c++) guess[i * k + c] = 0;
        for (int c = 0; c < n; c++) guess[i * k + there[c]] = n > 1 ? few[i * n + c] : 1;
    }
    mill_free(fewer);
    mill_free(few);
    return err;
}
