/*
 * t_vmath.c - exp and its kin against libm in double (floats), and against identities and known
 * values (doubles).
 *
 * The bounds are the errors that the head comments of base/vmath.h and base/vmath_f64.h state.
 */
#include "lib/test.h"

#include "base/philox.h"
#include "base/vmath.h"

static double ulp_f32(double want)
{
    int e;
    if (fabs(want) < 0x1p-126) return 0x1p-149;
    (void)frexp(want, &e);
    return ldexp(1.0, e - 24);
}

static double softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static double sigmoid(double x)
{
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

static const struct {
    const char *name;
    float (*ours)(float);
    double (*theirs)(double);
    double ulps;
    float limit;
} floats[] = {
    {"exp", mill_expf, exp, 1.0, INFINITY},
    {"log", mill_logf, log, 0.85, INFINITY},
    {"log1p", mill_log1pf, log1p, 0.9, INFINITY},
    {"tanh", mill_tanhf, tanh, 0.75, INFINITY},
    {"sigmoid", mill_sigmoidf, sigmoid, 1.0, INFINITY},
    {"softplus", mill_softplusf, softplus, 1.75, INFINITY},
    {"erf", mill_erff, erf, 0.98, INFINITY},
    {"sin", mill_sinf, sin, 0.95, 0x1p+22f},
    {"cos", mill_cosf, cos, 0.95, 0x1p+22f},
};

void test_vmath__floats_are_within_the_stated_error(void **state)
{
    (void)state;
    for (size_t f = 0; f < sizeof floats / sizeof *floats; f++)
        for (uint64_t u = 0; u < 0x100000000u; u += 65521 * 3) {
            const float x = mill_float_of((uint32_t)u);
            if (!(fabsf(x) <= floats[f].limit)) continue;
            const float y = floats[f].ours(x);
            const double want = floats[f].theirs((double)x);
            if (want != want) {
                assert_true(y != y);
            } else if (fabs(want) > 0x1.fffffep+127) {
                assert_true(fabsf(y) > 0x1.fffffcp+127f && (y > 0) == (want > 0));
            } else if (!(fabs((double)y - want) <= floats[f].ulps * ulp_f32(want))) {
                fail_msg("%s(%a) = %a, want %a", floats[f].name, (double)x, (double)y, want);
            }
        }
}

static void same(float got, float want)
{
    if (want == want) assert_int_equal(mill_bits_of(got), mill_bits_of(want));
    if (want != want) assert_true(got != got);
}

void test_vmath__edges_are_limits(void **state)
{
    (void)state;
    same(mill_expf(-INFINITY), 0.0f);
    same(mill_expf(INFINITY), INFINITY);
    same(mill_expf(0.0f), 1.0f);
    same(mill_expf(NAN), NAN);
    same(mill_logf(0.0f), -INFINITY);
    same(mill_logf(-0.0f), -INFINITY);
    same(mill_logf(-1.0f), NAN);
    same(mill_logf(INFINITY), INFINITY);
    same(mill_logf(1.0f), 0.0f);
    same(mill_log1pf(-0.0f), -0.0f);
    same(mill_log1pf(-1.0f), -INFINITY);
    same(mill_tanhf(-0.0f), -0.0f);
    same(mill_tanhf(-INFINITY), -1.0f);
    same(mill_sigmoidf(-INFINITY), 0.0f);
    same(mill_sigmoidf(INFINITY), 1.0f);
    same(mill_softplusf(INFINITY), INFINITY);
    same(mill_erff(INFINITY), 1.0f);
    same(mill_sinf(-0.0f), -0.0f);
    same(mill_cosf(INFINITY), NAN);
    same(mill_quantilef(0.5f), 0.0f);
    same(mill_quantilef(0.0f), -INFINITY);
    same(mill_quantilef(1.0f), INFINITY);
    same(mill_quantilef(1.5f), NAN);
    same(mill_powf(0.0f, 0.0f), 1.0f);
    same(mill_powf(-1.0f, 2.0f), NAN);
}

/* P(N <= x) by libm's erfc in double, of the quantile of p, is p: the derivative makes an error of
 * x relative. */
void test_vmath__quantiles_undo_the_normal_distribution(void **state)
{
    (void)state;
    for (int i = 1; i < 4000; i++) {
        const float p = i % 2 ? (float)i / 4000.0f : expf(-(float)i / 50.0f);
        const double x = mill_quantile_f64((double)p);
        const double back = 0.5 * erfc(-x / sqrt(2.0));
        assert_true(fabs(back - (double)p) <= 2e-14 * (1 + x * x) * (double)p);
        assert_true(fabs((double)mill_quantilef(p) - x) <= 4e-7 * fabs(x) + 1e-45);
    }
}

static double ulps_f64(double got, double want)
{
    int e;
    if (got == want) return 0;
    (void)frexp(want, &e);
    return fabs(got - want) / ldexp(1.0, e - 53 < -1074 ? -1074 : e - 53);
}

/* glibc's double functions are within 1 ulp themselves. */
void test_vmath__doubles_are_close_to_libm(void **state)
{
    mill_rng r = mill_rng_init(3, 0, 0);

    (void)state;
    for (int i = 0; i < 20000; i++) {
        const double u = mill_rng_f64(&r), x = (u - 0.5) * (i % 3 ? 12.0 : 1200.0);
        assert_true(ulps_f64(mill_exp_f64(x), exp(x)) <= 1.5);
        assert_true(ulps_f64(mill_log_f64(fabs(x)), log(fabs(x))) <= 1.5);
        assert_true(ulps_f64(mill_log1p_f64(fabs(x) - 0.9), log1p(fabs(x) - 0.9)) <= 2);
        assert_true(ulps_f64(mill_tanh_f64(x), tanh(x)) <= 2.5);
        assert_true(ulps_f64(mill_erf_f64(x), erf(x)) <= 2);
        assert_true(ulps_f64(mill_sin_f64(x), sin(x)) <= 1.5);
        assert_true(ulps_f64(mill_cos_f64(x), cos(x)) <= 1.5);
        assert_true(ulps_f64(mill_sigmoid_f64(x), sigmoid(x)) <= 3.5);
        assert_true(ulps_f64(mill_softplus_f64(x), softplus(x)) <= 3);
        assert_true(fabs(mill_lgamma_f64(fabs(x)) - lgamma(fabs(x))) <=
                    1e-14 + 4e-16 * fabs(lgamma(fabs(x))));
    }
}

/* psi(1) = -gamma, psi(1/2) = -gamma - 2 log 2, psi(x + 1) = psi(x) + 1 / x. */
void test_vmath__digamma_has_its_known_values(void **state)
{
    (void)state;
    assert_true(fabs(mill_digamma_f64(1.0) + 0.57721566490153286061) < 2e-15);
    assert_true(fabs(mill_digamma_f64(0.5) + 1.96351002602142347944) < 4e-15);
    for (int i = 0; i <= 80; i++) {
        const double x = 0.1 + 0.37 * i;
        const double a = mill_digamma_f64(x + 1), b = mill_digamma_f64(x) + 1 / x;
        assert_true(fabs(a - b) < 4e-15 * (1 + 1 / x));
    }
}

void test_vmath__bf16_rounds_to_nearest_even_and_keeps_denormals(void **state)
{
    (void)state;
    assert_int_equal(mill_bf16_of(1.0f), 0x3f80);
    assert_int_equal(mill_bf16_of(mill_float_of(0x3f808000u)), 0x3f80); /* a tie, to even */
    assert_int_equal(mill_bf16_of(mill_float_of(0x3f818000u)), 0x3f82);
    assert_int_equal(mill_bf16_of(mill_float_of(0x3f808001u)), 0x3f81);
    assert_int_equal(mill_bf16_of(mill_float_of(0x00012345u)), 0x0001);
    assert_int_equal(mill_bf16_of(0x1.fffffep+127f), 0x7f80); /* rounds to infinity */
    assert_int_equal(mill_bf16_of(-INFINITY), 0xff80);
    assert_int_equal(mill_bf16_of(mill_float_of(0x7f800001u)),
                     0x7fc0); /* NaN does not become inf */
    for (uint32_t h = 0; h < 0x7f80; h += 7)
        assert_int_equal(mill_bf16_of(mill_float_of_bf16((uint16_t)h)), h);
}

/* The top of the range rounded up to 1 once. */
void test_vmath__uniforms_never_reach_0_or_1(void **state)
{
    (void)state;
    assert_true(mill_u01(0) == 0x1p-24f && mill_u01(0xffffffffu) == 1.0f - 0x1p-24f);
    assert_true(mill_u01_f64(0, 0) > 0 && mill_u01_f64(0xffffffffu, 0xffffffffu) < 1);
}
