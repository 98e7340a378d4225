/* LEVELS
 * t_prior_v1.c - the parts of the v1 process against plain references in double. */
#include "lib/test.h"

#include "base/cpu.h"
#include "base/mem.h"
#include "prior/v1.h"

#include <math.h>

#define AT_LEVEL(name, ...) \
    (mill_cpu_level() == MILL_V4 ? name##_v4(__VA_ARGS__) : name##_v3(__VA_ARGS__))

static const double two_pi = 6.283185307179586;

/* Six million numbers meet every octave of the table and, 1 in 65,536, the tails beyond it. */
void test_normals__are_the_quantile_of_their_words(void **state)
{
    enum { N = 1 << 16 };
    float *const y = mill_alloc(N, sizeof *y);
    uint32_t *const word = mill_alloc(N, sizeof *word);
    double worst = 0, sum = 0, squares = 0;

    (void)state;
    assert_ok(mill_cpu_init());
    for (uint32_t s = 0; s < 32; s++) {
        const mill_vrand_key key = {.seed = 5, .step = 1, .stream = s};
        AT_LEVEL(prior_normals, y, N, key, 0.0f, 1.0f);
        mill_vrow_random(word, N, key, VRAND_BITS);
        for (int i = 0; i < N; i++) {
            const double p = ((double)(word[i] & 0x7fffffffu) + 0.5) * 0x1p-32;
            const double z = (word[i] >> 31 ? 1 : -1) * mill_quantile_f64(p);
            const double e = fabs((double)y[i] - z);
            worst = e > worst ? e : worst;
            sum += (double)y[i];
            squares += (double)y[i] * (double)y[i];
        }
    }
    assert_true(worst < 3.7e-6); /* of the fits, stated in cpu/normal.h */
    assert_true(worst > 3e-6);   /* and reached: these are the octaves' polynomials */
    const double n = 32.0 * N;
    assert_true(fabs(sum / n) < 4 / sqrt(n));
    assert_true(fabs(squares / n - 1) < 4 * sqrt(2 / n));
    mill_free(y);
    mill_free(word);
}

static v1_function *new_function(uint64_t seed, double decay)
{
    v1_function *const f = mill_alloc(1, sizeof *f);
    prior_draw d = draw_init(seed, 0);

    f->pair = mill_alloc(V1_PAIRS + 16, sizeof *f->pair);
    f->scratch = mill_alloc(V1_SCRATCH, sizeof *f->scratch);
    draw_uniforms(&d, f->f, V1_TERMS);
    draw_uniforms(&d, f->phase, V1_TERMS);
    draw_normals_at(&d, f->w, V1_TERMS, 0.0f, 1.0f);
    AT_LEVEL(v1_function_weigh, f, (float)decay);
    return f;
}

static void free_function(v1_function *f)
{
    mill_free(f->pair);
    mill_free(f->scratch);
    mill_free(f);
}

static double function_in_double(const v1_function *f, double x)
{
    double sum = 0;

    for (int k = 0; k < V1_TERMS; k++)
        sum += (double)f->w[k] * sin(two_pi * ((double)f->f[k] * x + (double)f->phase[k]));
    return sum;
}

/*
 * The table in the whole of -8 .. 8, and direct sums beyond.  1e-4: Hermite's 1.6e-4 of the highest
 * frequencies' weight, and rounding of a sum of 256 terms.  A phase lost in range reduction is off
 * by the function's size, 1.
 */
void test_function__is_its_256_sines(void **state)
{
    enum { N = 20000 };
    static float x[N], y[N];

    (void)state;
    assert_ok(mill_cpu_init());
    for (int s = 0; s < 3; s++) {
        v1_function *const f = new_function(17 + (uint64_t)s, s == 0 ? -0.7 : s == 1 ? -1.5 : -3);
        double worst = 0, squares = 0, size = 0, edge = 0;
        for (int i = 0; i < N; i++) x[i] = (float)(-8.0 + 16.0 * (i + 0.37) / N);
        x[0] = -8.0f;
        x[N - 1] = 8.0f;
        AT_LEVEL(v1_function_table, f, -30.0f, 30.0f);
        AT_LEVEL(v1_function_values, y, x, N, f);
        for (int i = 0; i < N; i++) {
            const double z = function_in_double(f, (double)x[i]), e = fabs((double)y[i] - z);
            worst = e > worst ? e : worst;
            squares += e * e;
            size += z * z;
        }
        assert_true(worst < 1e-4);
        assert_true(sqrt(squares / N) < 3e-5); /* most where the weights hardly decay */
        assert_true(size / N > 1e-2);
        for (int i = 0; i < 200; i++) x[i] = (float)((i % 2 ? -1 : 1) * (8.001 + i * i * 0.006));
        AT_LEVEL(v1_function_values, y, x, 200, f);
        for (int i = 0; i < 200; i++) {
            const double e = fabs((double)y[i] - function_in_double(f, (double)x[i]));
            edge = e > edge ? e : edge;
        }
        assert_true(edge < 2e-4); /* |x| to 250: 10,000 turns, each to 2^-24 */
        free_function(f);
    }
}

void test_function__serves_a_narrow_range_and_nan(void **state)
{
    v1_function *const f = new_function(3, -1);
    float x[33], y[33];

    (void)state;
    assert_ok(mill_cpu_init());
    for (int i = 0; i < 33; i++) x[i] = 2.0f + 0.06f * (float)i;
    AT_LEVEL(v1_function_table, f, x[0], x[32]);
    assert_in_range(f->n_cells, 4, 11);
    x[5] = -20.0f;
    x[6] = NAN;
    x[7] = INFINITY;
    AT_LEVEL(v1_function_values, y, x, 33, f);
    assert_true(isnan(y[6]) && isnan(y[7]));
    for (int i = 0; i < 33; i++)
        if (i != 6 && i != 7)
            assert_true(fabs((double)y[i] - function_in_double(f, (double)x[i])) < 1e-4);
    free_function(f);
}

/* PyTorch's definitions, and the official code's where PyTorch has none. */
static double act_in_double(v1_act act, double x)
{
    switch (act) {
    case ACT_TANH:
        return tanh(x);
    case ACT_LEAKY_RELU:
        return x > 0 ? x : 0.01 * x;
    case ACT_ELU:
        return x > 0 ? x : expm1(x);
    case ACT_SELU:
        return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * expm1(x));
    case ACT_SILU:
        return x / (1 + exp(-x));
    case ACT_RELU:
        return fmax(x, 0);
    case ACT_SOFTPLUS:
        return log1p(exp(x));
    case ACT_RELU6:
        return fmin(fmax(x, 0), 6);
    case ACT_HARDTANH:
        return fmin(fmax(x, -1), 1);
    case ACT_SIGN:
        return x >= 0 ? 1 : -1;
    case ACT_RBF:
        return exp(-x * x);
    case ACT_EXP:
        return exp(x);
    case ACT_SQRT_ABS:
        return sqrt(fabs(x));
    case ACT_UNIT_INTERVAL:
        return fabs(x) <= 1;
    case ACT_SINE:
        return sin(x);
    case ACT_SQUARE:
        return x * x;
    case ACT_ABS:
        return fabs(x);
    default:
        return x;
    }
}

static double standardised(double *z, const float *x, int n)
{
    double mean = 0, squares = 0;

    for (int i = 0; i < n; i++) mean += (double)x[i] / n;
    for (int i = 0; i < n; i++) squares += ((double)x[i] - mean) * ((double)x[i] - mean);
    const double std = sqrt(squares / (n - 1)) + 1e-6;
    for (int i = 0; i < n; i++) z[i] = ((double)x[i] - mean) / std;
    return std;
}

/* Unit 2 of 3 in tiles of 64 rows. */
static float *cell(const v1_matrix *m, int unit, int row)
{
    return m->p + ((int64_t)(row / V1_TILE) * m->width + unit) * V1_TILE + row % V1_TILE;
}

void test_activation__standardises_scales_and_applies(void **state)
{
    enum { MOST = 300 };
    static const int sizes[] = {2, 63, 64, 65, 130, 300};
    static float memory[5 * 3 * V1_TILE], x[MOST];
    static double z[MOST];
    const int32_t unit[1] = {2};
    v1_function *const f = new_function(9, -1.2);
    prior_draw d = draw_init(21, 0);

    (void)state;
    assert_ok(mill_cpu_init());
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int act = 0; act < V1_N_ACT; act++) {
            const int n = sizes[s];
            v1_matrix m = {memory, 3, (n + 63) / 64};
            v1_stats stats[1];
            v1_activation a = {m, unit, 1, n, (v1_act)act, 2.5f, -0.4f, f, stats};

            draw_normals_at(&d, x, n, 30.0f, 4.0f);
            for (int i = 0; i < m.tiles * V1_TILE; i++)
                *cell(&m, 2, i) = i < n ? x[i] : NAN; /* rows that are not there do not count */
            AT_LEVEL(v1_activate, &a);
            standardised(z, x, n);
            for (int i = 0; i < n; i++) {
                const double in = 2.5 * (z[i] - 0.4);
                const double want = act == ACT_FUNCTION ? function_in_double(f, z[i])
                                                        : act_in_double((v1_act)act, in);
                /* x of size 30 to 2^-24 over a deviation of 4, times 2.5, times the slope: the
                 * function's reaches 100; jumps may fall on either side */
                const double tolerance = act == ACT_FUNCTION ? 1e-3 : 2e-5 * (1 + fabs(want));
                const bool jump = (act == ACT_SIGN && fabs(in) < 1e-5) ||
                                  (act == ACT_UNIT_INTERVAL && fabs(fabs(in) - 1) < 1e-5) ||
                                  (act == ACT_SQRT_ABS && fabs(in) < 1e-4);
                if (!jump && !(fabs((double)*cell(&m, 2, i) - want) < tolerance))
                    fail_msg("%s of %g: %g, not %g", v1_act_name[act], in, (double)*cell(&m, 2, i),
                             want);
            }
        }
    free_function(f);
}

enum { IN = 23, OUT = 15, TILES = 3 };

/* Eight rows of weights: six of seven inputs from the third on, one of all, one of none.  dense:
 * the same in double; at, col, packed: as sparse rows. */
static void draw_weights(float *w, double dense[8][IN], int32_t *at, int32_t *col, float *packed,
                         prior_draw *d)
{
    memset(dense, 0, 8 * sizeof *dense);
    draw_normals_at(d, w, OUT * IN, 0.0f, 1.0f);
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < 7; k++) dense[i][3 + k] = (double)w[7 * i + k];
    for (int k = 0; k < IN; k++) dense[6][k] = (double)w[42 + k];
    for (int i = 0; i < 8; i++) {
        at[i + 1] = at[i];
        for (int k = 0; k < IN; k++)
            if (dense[i][k] != 0.0) {
                col[at[i + 1]] = k;
                packed[at[i + 1]++] = (float)dense[i][k];
            }
    }
}

/* Dense groups, groups without inputs and sparse rows, with and without noise, an even number of
 * rows and an odd one, against sums in double. */
void test_product__is_bias_weights_and_noise(void **state)
{
    static float in[TILES * IN * V1_TILE], out[TILES * OUT * V1_TILE], w[OUT * IN], noise[OUT];
    static const int32_t unit[8] = {0, 1, 3, 4, 5, 6, 9, 14};
    static const int32_t even[8] = {7, 0, 1, 2, 3, 4, 5, 6}, odd[7] = {0, 1, 2, 3, 4, 5, 6};
    int32_t at[9] = {0}, col[8 * IN];
    float bias[8], packed[8 * IN];
    prior_draw d = draw_init(31, 0);

    (void)state;
    assert_ok(mill_cpu_init());
    draw_normals_at(&d, in, TILES * IN * V1_TILE, 0.0f, 1.0f);
    draw_normals_at(&d, bias, 8, 0.0f, 1.0f);
    draw_normals_at(&d, noise, 8, 0.0f, 1.0f);
    for (int kind = 0; kind < 8; kind++) {
        const v1_rows group[3] = {{0, 6, 3, 7, w}, {6, 1, 0, IN, w + 42}, {7, 1, 0, 0, w}};
        const int units = kind & 4 ? 7 : 8;
        v1_product a = {.in = {in, IN, TILES},
                        .out = {out, OUT, TILES},
                        .group = group,
                        .n_groups = units - 5,
                        .col = col,
                        .order = kind & 4 ? odd : even,
                        .w = packed,
                        .unit = unit,
                        .n_units = units,
                        .bias = bias,
                        .noise = kind & 1 ? noise : NULL,
                        .key = {77, 2, 3, 0}};
        double dense[8][IN];

        draw_weights(w, dense, at, col, packed, &d);
        if (kind & 2) a.at = at;
        *cell(&a.out, 2, 0) = *cell(&a.out, 14, 5) = 77.0f;
        AT_LEVEL(v1_product_run, &a);
        assert_true(*cell(&a.out, 2, 0) == 77.0f); /* a unit that nobody wants */
        assert_true((*cell(&a.out, 14, 5) == 77.0f) == (units == 7));
        for (int i = 0; i < units; i++)
            for (int r = 0; r < TILES * V1_TILE; r++) {
                double want = (double)bias[i];
                for (int k = 0; k < IN; k++) want += dense[i][k] * (double)*cell(&a.in, k, r);
                if (kind & 1) { /* unit j, tile t: block j * tiles + t */
                    const uint64_t e =
                        64u * (uint64_t)(unit[i] * TILES + r / 64) + (uint64_t)(r % 64);
                    const uint32_t word = mill_rand_bits(77, 2, 3, e);
                    const double p = ((double)(word & 0x7fffffffu) + 0.5) * 0x1p-32;
                    want += (double)noise[i] * (word >> 31 ? 1 : -1) * mill_quantile_f64(p);
                }
                assert_true(fabs((double)*cell(&a.out, unit[i], r) - want) < 2e-5);
            }
    }
}

void test_kept__are_the_half_words_from_the_threshold_up(void **state)
{
    uint32_t word[40];
    int32_t col[82];
    prior_draw d = draw_init(8, 0);

    (void)state;
    assert_ok(mill_cpu_init());
    for (int n = 1; n <= 80; n++) {
        int64_t want = 0;
        draw_words(&d, word, 40);
        const int64_t found = AT_LEVEL(v1_kept, col, word, n, 20000);
        for (int k = 0; k < n; k++) {
            uint16_t half;
            memcpy(&half, (const char *)word + 2 * k, 2);
            if (half < 20000) continue;
            assert_true(want < found);
            assert_int_equal(col[want++], k);
        }
        assert_int_equal(want, found);
    }
}

void test_assigner__counts_boundaries_below(void **state)
{
    float y[100], was[100], boundary[9];
    prior_draw d = draw_init(4, 0);

    (void)state;
    assert_ok(mill_cpu_init());
    draw_normals(&d, was, 100);
    draw_normals(&d, boundary, 9);
    boundary[3] = boundary[4] = was[17]; /* equal is not below; a class between them is empty */
    memcpy(y, was, sizeof y);
    const int n = v1_assign(y, 100, boundary, 9, false, &d);
    bool occurs[10] = {false};
    int classes = 0;
    for (int i = 0; i < 100; i++) {
        int below = 0;
        for (int k = 0; k < 9; k++) below += boundary[k] < was[i];
        assert_int_equal((int)y[i], below);
        classes += !occurs[below];
        occurs[below] = true;
    }
    assert_int_equal(n, classes);

    float relabelled[100];
    memcpy(relabelled, was, sizeof was);
    assert_int_equal(v1_assign(relabelled, 100, boundary, 9, true, &d), n);
    int label[10];
    for (int k = 0; k < 10; k++) label[k] = -1;
    for (int i = 0; i < 100; i++) { /* one to one, onto 0 .. n - 1 */
        assert_in_range((int)relabelled[i], 0, n - 1);
        if (label[(int)y[i]] < 0) label[(int)y[i]] = (int)relabelled[i];
        assert_int_equal(label[(int)y[i]], (int)relabelled[i]);
    }
}
