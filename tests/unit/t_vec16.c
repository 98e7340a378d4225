/*
 * t_vec16.c - sixteen lanes: each level's bytes are those of the scalar forms, and those written
 * down here.
 *
 * Arguments: floats of every exponent and both signs, denormals, infinities, NaN, zeros.  Results
 * that are NaN are made one NaN before the digest, since 0/0 has a sign of its own on each way to
 * it.
 */
#include "lib/test.h"

#include "base/cpu.h"
#include "base/vec16.h" /* at the baseline: the plain form */
#include "base/vrow.h"

/* LEVELS */
/* QEMU */

enum { N = 20011 }; /* odd: not whole vectors */

static const float odd_ones[] = {0.0f,      -0.0f, 1.0f,           -1.0f,      INFINITY,
                                 -INFINITY, NAN,   0x1p-149f,      -0x1p-149f, 0x1p-126f,
                                 0x1p+127f, 0.5f,  0x1.fffffep-1f, -104.0f,    88.8f,
                                 0.6f,      -0.6f, 0.075f,         0.925f};

static float *arguments(void)
{
    float *x = malloc(N * sizeof *x);
    const uint32_t stride = 0xffffffffu / N;
    for (uint32_t i = 0; i < N; i++) x[i] = mill_float_of(i * stride + i % 97);
    memcpy(x, odd_ones, sizeof odd_ones);
    return x;
}

static uint64_t digest_of(const float *y, int64_t n)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (int64_t i = 0; i < n; i++) {
        h = (h ^ (y[i] == y[i] ? mill_bits_of(y[i]) : 0x7fc00000u)) * 0x100000001b3u;
        h ^= h >> 29;
    }
    return h;
}

static const struct {
    const char *name;
    float (*scalar)(float);
    uint64_t digest;
} functions[VROW_N] = {
    {"exp", mill_expf, 0x201fa18295847f01u},
    {"log", mill_logf, 0xaaea7a2faa534d4fu},
    {"log1p", mill_log1pf, 0xfeb54e9b1d094a56u},
    {"tanh", mill_tanhf, 0xe20d13736cd1f293u},
    {"sigmoid", mill_sigmoidf, 0x2ab7bb66ae614ddeu},
    {"softplus", mill_softplusf, 0xc89ab5f6b30a8d21u},
    {"erf", mill_erff, 0x47f9fa85fbb7dc44u},
    {"quantile", mill_quantilef, 0xdd90acb9996bd949u},
};

static void check_digest(const char *name, uint64_t got, uint64_t want)
{
    if (got != want)
        fail_msg("%s: digest %016llx, not %016llx", name, (unsigned long long)got,
                 (unsigned long long)want);
}

void test_vec16__functions_give_the_golden_bytes(void **state)
{
    float *x = arguments(), *y = malloc(N * sizeof *y);

    (void)state;
    assert_ok(mill_cpu_init());
    for (int f = 0; f < VROW_N; f++) {
        mill_vrow_map(y, x, N, (mill_vrow)f);
        check_digest(functions[f].name, digest_of(y, N), functions[f].digest);
    }
    free(x);
    free(y);
}

void test_vec16__functions_equal_their_scalar_forms(void **state)
{
    float *x = arguments(), *y = malloc(N * sizeof *y);

    (void)state;
    assert_ok(mill_cpu_init());
    for (int f = 0; f < VROW_N; f++) {
        mill_vrow_map(y, x, N, (mill_vrow)f);
        for (int i = 0; i < N; i++) {
            const float want = functions[f].scalar(x[i]);
            if (want == want ? mill_bits_of(want) != mill_bits_of(y[i]) : y[i] == y[i])
                fail_msg("%s(%a): %a, scalar %a", functions[f].name, (double)x[i], (double)y[i],
                         (double)want);
        }
    }
    free(x);
    free(y);
}

static f16v plain(f16v x, int f)
{
    switch (f) {
    case VROW_EXP:
        return vexp(x);
    case VROW_LOG:
        return vlog(x);
    case VROW_LOG1P:
        return vlog1p(x);
    case VROW_TANH:
        return vtanh(x);
    case VROW_SIGMOID:
        return vsigmoid(x);
    case VROW_SOFTPLUS:
        return vsoftplus(x);
    case VROW_ERF:
        return verf(x);
    default:
        return vquantile(x);
    }
}

/* The form without intrinsics, and through a file without FMA. */
void test_vec16__the_plain_form_gives_the_golden_bytes(void **state)
{
    float *x = arguments(), *y = malloc((N + 15) * sizeof *y);

    (void)state;
    for (int f = 0; f < VROW_N; f++) {
        for (int i = 0; i < N; i += 16)
            vstore(y + i, plain(vload_n(x + i, i + 16 <= N ? 16 : N - i, 0.0f), f));
        check_digest(functions[f].name, digest_of(y, N), functions[f].digest);
    }
    free(x);
    free(y);
}

void test_vec16__a_tail_is_written_and_nothing_behind_it(void **state)
{
    float x[40], y[41], whole[40];

    (void)state;
    assert_ok(mill_cpu_init());
    for (int i = 0; i < 40; i++) x[i] = (float)i * 0.37f - 7.0f;
    mill_vrow_map(whole, x, 40, VROW_TANH);
    for (int n = 0; n <= 40; n++) {
        for (int i = 0; i < 41; i++) y[i] = 123.0f;
        mill_vrow_map(y, x, n, VROW_TANH);
        assert_memory_equal(y, whole, (size_t)n * sizeof *y);
        for (int i = n; i < 41; i++) assert_true(y[i] == 123.0f);
    }
}

static uint32_t scalar_random(mill_vrand_key k, uint64_t i, mill_vrand kind)
{
    const uint64_t e = k.first + i;
    switch (kind) {
    case VRAND_U01:
        return mill_bits_of(mill_rand_u01(k.seed, k.step, k.stream, e));
    case VRAND_NORMAL:
        return mill_bits_of(mill_rand_normal(k.seed, k.step, k.stream, e));
    case VRAND_GUMBEL:
        return mill_bits_of(mill_rand_gumbel(k.seed, k.step, k.stream, e));
    default:
        return mill_rand_bits(k.seed, k.step, k.stream, e);
    }
}

/* Ranges of odd ends, one of them where the low word of the counter wraps. */
void test_vec16__random_arrays_are_addressed_by_element(void **state)
{
    static const uint64_t first[] = {0, 1, 63, 64, 1000003, ((uint64_t)1 << 34) - 100};
    uint32_t y[301];

    (void)state;
    assert_ok(mill_cpu_init());
    for (size_t f = 0; f < sizeof first / sizeof *first; f++)
        for (int kind = 0; kind < VRAND_N; kind++) {
            const mill_vrand_key key = {0x123456789abcdefu, 7, 9, first[f]};
            y[300] = 77;
            mill_vrow_random(y, 300, key, (mill_vrand)kind);
            for (uint64_t i = 0; i < 300; i++)
                assert_int_equal(y[i], scalar_random(key, i, (mill_vrand)kind));
            assert_int_equal(y[300], 77);
        }
}

void test_vec16__random_arrays_give_the_golden_bytes(void **state)
{
    static const uint64_t want[VRAND_N] = {0xbc3a82991a31b439u, 0x9bb1dbc649441b91u,
                                           0xc76e6ef1250e40b0u, 0xf44a3cdcb069f41fu};
    float *y = malloc(N * sizeof *y);

    (void)state;
    assert_ok(mill_cpu_init());
    for (int kind = 0; kind < VRAND_N; kind++) {
        mill_vrow_random(y, N, (mill_vrand_key){42, 3, 5, 17}, (mill_vrand)kind);
        if (kind == VRAND_BITS) /* words, not floats: some look like NaN */
            for (int i = 0; i < N; i++) y[i] = (float)(mill_bits_of(y[i]) >> 8);
        check_digest("random", digest_of(y, N), want[kind]);
    }
    free(y);
}

/* Known answers of the authors' Random123 (kat_vectors, philox4x32 10). */
void test_vec16__philox_gives_the_published_answers(void **state)
{
    uint32_t w[4];
    i16v v[4];

    (void)state;
    mill_philox(w, 0, 0, 0, 0);
    assert_int_equal(w[0], 0x6627e8d5);
    assert_int_equal(w[1], 0xe169c58d);
    assert_int_equal(w[2], 0xbc57ac4c);
    assert_int_equal(w[3], 0x9b00dbd8);
    mill_philox(w, 0x299f31d0a4093822u, 0x03707344, 0x13198a2e, 0x85a308d3243f6a88u);
    assert_int_equal(w[0], 0xd16cfe09);
    assert_int_equal(w[1], 0x94fdcceb);
    assert_int_equal(w[2], 0x5001e420);
    assert_int_equal(w[3], 0x24126ea1);
    const v_keys zero = vkeys(0), digits = vkeys(0x299f31d0a4093822u);
    uint32_t lanes[16];
    vphilox(v, &zero, 0, 0, 0);
    istore(lanes, v[2]);
    assert_int_equal(lanes[0], 0xbc57ac4c);
    vphilox(v, &digits, 0x03707344, 0x13198a2e, 0x85a308d3243f6a88u);
    istore(lanes, v[1]);
    assert_int_equal(lanes[0], 0x94fdcceb);
}

/* Mean, variance and the share beyond 2 of 200,000 normals, within four standard errors. */
void test_vec16__normals_have_the_moments_of_normals(void **state)
{
    enum { M = 200000 };
    float *z = malloc(M * sizeof *z);
    double sum = 0, sum2 = 0;
    int far = 0;

    (void)state;
    assert_ok(mill_cpu_init());
    mill_vrow_random(z, M, (mill_vrand_key){1, 0, 0, 0}, VRAND_NORMAL);
    for (int i = 0; i < M; i++) {
        sum += (double)z[i];
        sum2 += (double)z[i] * (double)z[i];
        far += fabsf(z[i]) > 2.0f;
    }
    assert_true(fabs(sum / M) < 4 / sqrt(M));
    assert_true(fabs(sum2 / M - 1) < 4 * sqrt(2.0 / M));
    assert_true(fabs((double)far / M - 0.0455) < 4 * sqrt(0.0455 / M));
    free(z);
}
