/* t_learn_metric.c - metrics against their definitions; order_f64 against a plain sort. */
#include "lib/near.h"

#include "base/philox.h"
#include "learn/metric.h"
#include "learn/order.h"

#include <math.h>

enum { N = 300 };

void test_auc__is_the_share_of_pairs_in_order(void **state)
{
    (void)state;
    mill_rng r = mill_rng_init(1, 0, 0);
    double score[N], auc, right = 0, pairs = 0;
    uint8_t positive[N];

    for (int i = 0; i < N; i++) {
        score[i] = mill_rng_below(&r, 20) - 10.0; /* many ties, negative ones too */
        positive[i] = mill_rng_below(&r, 3) == 0;
    }
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            if (!positive[i] || positive[j]) continue;
            pairs++;
            right += score[i] > score[j] ? 1 : score[i] == score[j] ? 0.5 : 0;
        }
    }
    assert_ok(metric_auc(&auc, score, positive, N));
    assert_near(auc, right / pairs, 1e-12); /* sums of 300 ranks: rounding only */
}

void test_auc__of_one_class_is_nan(void **state)
{
    (void)state;
    const double score[] = {1, 2, 3};
    const uint8_t positive[] = {1, 1, 1};
    double auc = 0;

    assert_ok(metric_auc(&auc, score, positive, 3));
    assert_true(isnan(auc));
}

void test_auc_macro__leaves_out_absent_classes(void **state)
{
    (void)state;
    /* Class 2 does not occur; class 0 and 1 are each other's rest. */
    const double p[] = {.7, .2, .1, .4, .5, .1, .6, .3, .1};
    const int32_t label[] = {0, 1, 1};
    double auc = 0;

    assert_ok(metric_auc_macro(&auc, p, label, 3, 3));
    assert_near(auc, 1, 1e-15);
}

void test_f1__counts_hits_twice(void **state)
{
    (void)state;
    const int32_t guess[] = {1, 1, 0, 0, 1}, label[] = {1, 0, 1, 0, 1};
    double macro = 0;

    assert_near(metric_f1(guess, label, 5, 1), 2.0 / 3, 1e-15); /* 2 of 3 guessed, 2 of 3 found */
    assert_near(metric_f1(guess, label, 5, 0), 0.5, 1e-15);
    assert_ok(metric_f1_macro(&macro, guess, label, 5, 4)); /* two more classes that never occur */
    assert_near(macro, (2.0 / 3 + 0.5) / 2, 1e-15);
    assert_near(metric_accuracy(guess, label, 5), 0.6, 1e-15);
}

void test_log_loss__clips_certainty(void **state)
{
    (void)state;
    const double p[] = {1, 0, .25, .75};
    const int32_t right[] = {0, 1}, wrong[] = {1, 1};

    assert_near(metric_log_loss(p, right, 2, 2), -log(.75) / 2, 1e-15);
    assert_near(metric_log_loss(p, wrong, 2, 2), (52 * log(2) - log(.75)) / 2, 1e-12);
}

void test_regression_metrics__match_hand_counted_ones(void **state)
{
    (void)state;
    const double y[] = {1, 2, 3, 6}, guess[] = {1, 3, 2, 5};
    const double constant[] = {2, 2, 2, 2};

    assert_near(metric_rmse(guess, y, 4), sqrt(3.0 / 4), 1e-15);
    assert_near(metric_mae(guess, y, 4), 0.75, 1e-15);
    assert_near(metric_r2(guess, y, 4), 1 - 3.0 / 14, 1e-15); /* mean 3: 4 + 1 + 0 + 9 */
    assert_true(isnan(metric_r2(guess, constant, 4)));
}

void test_order__is_stable_and_ascending(void **state)
{
    (void)state;
    mill_rng r = mill_rng_init(2, 0, 0);
    double x[N];
    int64_t order[N];

    for (int i = 0; i < N; i++) x[i] = (mill_rng_below(&r, 41) - 20.0) * 1e-3 * (i % 7 ? 1 : 1e300);
    x[5] = -0.0;
    x[6] = 0.0;
    x[7] = -0.0;
    x[8] = (double)INFINITY;
    assert_ok(order_f64(order, x, N));
    for (int i = 1; i < N; i++) {
        assert_true(x[order[i - 1]] <= x[order[i]]);
        if (x[order[i - 1]] == x[order[i]]) assert_true(order[i - 1] < order[i]);
    }
    assert_ok(order_f64(order, x, 0));
}

void test_quantile__is_linear_between_neighbours(void **state)
{
    (void)state;
    const double x[] = {1, 2, 4, 8};

    assert_near(sorted_quantile(x, 4, 0.5), 3, 1e-15);
    assert_near(sorted_quantile(x, 4, 0.25), 1.75, 1e-15);
    assert_near(sorted_quantile(x, 4, 1), 8, 1e-15);
    assert_true(isnan(sorted_quantile(x, 0, 0.5)));
}
