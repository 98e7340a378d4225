/* LEVELS QEMU
 * t_prior_draw.c - single draws against the distributions' own moments and probabilities. */
#include "lib/test.h"

#include "base/cpu.h"
#include "prior/draw.h"

#include <math.h>

enum { N = 20000 };

/* mean and variance within `deviations` standard errors, both from the distribution. */
static void check_moments(const double *x, double mean, double variance, double fourth)
{
    double sum = 0, squares = 0;

    for (int i = 0; i < N; i++) sum += x[i];
    for (int i = 0; i < N; i++) squares += (x[i] - mean) * (x[i] - mean);
    assert_true(fabs(sum / N - mean) < 4 * sqrt(variance / N));
    assert_true(fabs(squares / N - variance) < 4 * sqrt((fourth - variance * variance) / N));
}

void test_draw__normal_and_beta_have_their_moments(void **state)
{
    prior_draw d = draw_init(11, 0);
    static double x[N];

    (void)state;
    for (int i = 0; i < N; i++) x[i] = draw_normal(&d);
    check_moments(x, 0, 1, 3);
    for (int s = 0; s < 3; s++) {
        const double a = s == 0 ? 0.2 : 2.0, b = s == 2 ? 50.0 : 0.7, n = a + b;
        const double var = a * b / (n * n * (n + 1));
        const double kurtosis =
            3 + 6 * ((a - b) * (a - b) * (n + 1) - a * b * (n + 2)) / (a * b * (n + 2) * (n + 3));
        for (int i = 0; i < N; i++) x[i] = draw_beta(&d, a, b);
        check_moments(x, a / n, var, kurtosis * var * var);
    }
}

/* Shapes so small that both gammas are below any double: all mass at 0 and 1. */
void test_draw__beta_of_tiny_shapes_is_a_coin(void **state)
{
    prior_draw d = draw_init(12, 0);
    int ones = 0;

    (void)state;
    for (int i = 0; i < N; i++) {
        const double x = draw_beta(&d, 2e-5, 1e-5);
        assert_true(x >= 0 && x <= 1);
        ones += x > 0.5;
    }
    assert_true(fabs(ones - N * 2 / 3.0) < 4 * sqrt(N * 2 / 9.0));
}

void test_draw__truncated_normal_stays_within(void **state)
{
    prior_draw d = draw_init(13, 0);
    static double x[N];
    /* N(1, 1) above 0: a = -1, phi / (1 - Phi) = lambda; Johnson, Kotz and Balakrishnan 13.10 */
    const double lambda = 0.24197072451914337 / 0.8413447460685429;
    const double mean = 1 + lambda, var = 1 - lambda - lambda * lambda;

    (void)state;
    for (int i = 0; i < N; i++) {
        x[i] = draw_truncated_normal(&d, 1, 1, 0, 1e6);
        assert_true(x[i] >= 0);
    }
    check_moments(x, mean, var, 3 * var * var); /* fourth moment below the normal's */
}

void test_draw__zipf_has_its_probabilities(void **state)
{
    double cdf[10], sum = 0;
    const double zeta3 = 1.2020569031595942; /* Apery */

    (void)state;
    draw_zipf_cdf(cdf, 3, 10);
    for (int k = 1; k < 10; k++) {
        sum += pow(k, -3) / zeta3;
        assert_true(fabs(cdf[k - 1] - sum) < 1e-12);
    }
    assert_true(cdf[9] == 1.0);
}

void test_draw__integers_and_permutations_are_uniform(void **state)
{
    prior_draw d = draw_init(15, 0);
    int count[24] = {0};

    (void)state;
    for (int i = 0; i < N; i++) {
        int32_t p[4];
        draw_permutation(&d, p, 4);
        int code = 0;
        for (int k = 0; k < 4; k++) {
            int below = 0;
            for (int j = k + 1; j < 4; j++) below += p[j] < p[k];
            code = code * (4 - k) + below;
        }
        count[code]++;
        const int64_t n = draw_int(&d, -3, 5);
        assert_true(n >= -3 && n <= 5);
    }
    for (int i = 0; i < 24; i++) assert_true(fabs(count[i] - N / 24.0) < 4.5 * sqrt(N / 24.0));
}

/* Keys, steps and streams are apart; an array is the same whole or in parts. */
void test_draw__streams_are_functions_of_their_place(void **state)
{
    prior_draw a = draw_init(prior_key(1, PRIOR_KEY_SET, 2), 0), b = a;
    float x[130], y[130];

    (void)state;
    assert_ok(mill_cpu_init());
    draw_normals(&a, x, 130);
    draw_u01(&b);
    draw_normals(&b, y, 130);
    assert_memory_equal(x, y, sizeof x); /* single draws do not move arrays */
    draw_normals(&a, y, 130);
    assert_true(x[0] != y[0] && x[129] != y[129]);
    assert_true(prior_key(1, PRIOR_KEY_SET, 2) != prior_key(1, PRIOR_KEY_GROUP, 2));
    assert_true(prior_key(1, PRIOR_KEY_SET, 2) != prior_key(1, PRIOR_KEY_SET, 3));
    assert_true(prior_key(1, PRIOR_KEY_SET, 2) != prior_key(2, PRIOR_KEY_SET, 2));
}
