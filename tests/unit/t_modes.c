/* LEVELS
 * t_modes.c - a column of numbers as a mixture of normals. */
#include "lib/test.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/philox.h"
#include "base/vmath.h"
#include "synth/modes.h"

#include <math.h>

enum { N = 20000 };

/* Three normals: 0.5 N(-10, 1), 0.3 N(0, 0.5), 0.2 N(20, 4) */
static void planted(double *x, int n)
{
    static const double mean[] = {-10, 0, 20}, sd[] = {1, 0.5, 4};
    mill_rng rng = mill_rng_init(5, 1, 0);
    for (int i = 0; i < n; i++) {
        const double u = mill_rng_f64(&rng);
        const int k = u < 0.5 ? 0 : u < 0.8 ? 1 : 2;
        x[i] = mean[k] + sd[k] * mill_quantile_f64(mill_rng_f64(&rng));
    }
}

/* Density of the fitted mixture at x, up to a constant; its own formula, not the kernel's. */
static int nearest_mode(const synth_modes *m, double x)
{
    int best = 0;
    for (int k = 1; k < m->n; k++)
        if (fabs(m->mean[k] - x) < fabs(m->mean[best] - x)) best = k;
    return best;
}

void test_modes__find_planted_normals(void **state)
{
    double *x = mill_alloc(N, sizeof *x);
    synth_modes m;

    (void)state;
    planted(x, N);
    assert_ok(modes_fit(&m, x, N, 1, 2));
    assert_in_range(m.n, 3, 10);
    /* several modes may share one normal; each planted centre has one nearby, and none is far from
     * all three */
    assert_true(fabs(m.mean[nearest_mode(&m, -10)] + 10) < 0.7);
    assert_true(fabs(m.mean[nearest_mode(&m, 0)]) < 0.3);
    assert_true(fabs(m.mean[nearest_mode(&m, 20)] - 20) < 3);
    for (int k = 0; k < m.n; k++) assert_true(m.mean[k] > -13 && m.mean[k] < 32 && m.sd[k] > 0);
    mill_free(x);
}

void test_modes__do_not_depend_on_the_order_of_rows(void **state)
{
    double *x = mill_alloc(N, sizeof *x), *y = mill_alloc(N, sizeof *y);
    synth_modes a, b;

    (void)state;
    planted(x, N);
    for (int i = 0; i < N; i++) y[i] = x[N - 1 - i];
    assert_ok(modes_fit(&a, x, N, 1, 2));
    assert_ok(modes_fit(&b, y, N, 1, 2));
    assert_memory_equal(&a, &b, sizeof a);
    mill_free(x);
    mill_free(y);
}

/* A column of sd 1 to 2, and the same in millionths of millionths, or far beyond any square: the
 * same modes and places, in its scale. */
void test_modes__keep_their_shape_at_any_scale(void **state)
{
    static const int power[] = {-20, -60, -600, -1000, 700, 1000};
    const modes_draw d = {3, 4, 0};
    double *x = mill_alloc(N, sizeof *x), *y = mill_alloc(N, sizeof *y);
    float *u = mill_alloc(N, sizeof *u), *v = mill_alloc(N, sizeof *v);
    int32_t *mode = mill_alloc(N, sizeof *mode), *same = mill_alloc(N, sizeof *same);
    synth_modes a, b;

    (void)state;
    planted(x, N);
    for (int i = 0; i < N; i++) x[i] = ldexp(rint(x[i] * 1e6), -23);
    assert_ok(modes_fit(&a, x, N, 1, 2));
    modes_apply(u, mode, x, N, &a, &d);
    for (size_t p = 0; p < sizeof power / sizeof *power; p++) {
        for (int i = 0; i < N; i++) y[i] = ldexp(x[i], power[p]);
        assert_ok(modes_fit(&b, y, N, 1, 2));
        assert_int_equal(b.n, a.n);
        for (int k = 0; k < a.n; k++) {
            assert_true(b.mean[k] == ldexp(a.mean[k], power[p]));
            assert_true(b.sd[k] == ldexp(a.sd[k], power[p]));
        }
        modes_apply(v, same, y, N, &b, &d);
        assert_memory_equal(v, u, N * sizeof *u);
        assert_memory_equal(same, mode, N * sizeof *mode);
    }
    mill_free(x);
    mill_free(y);
    mill_free(u);
    mill_free(v);
    mill_free(mode);
    mill_free(same);
}

void test_modes__take_one_value_and_one_row(void **state)
{
    double same[100], one = 7;
    synth_modes m;

    (void)state;
    for (int i = 0; i < 100; i++) same[i] = -3.5;
    assert_ok(modes_fit(&m, same, 100, 0, 0));
    assert_true(m.n >= 1 && fabs(m.mean[nearest_mode(&m, -3.5)] + 3.5) < 1e-6);
    assert_ok(modes_fit(&m, &one, 1, 0, 0));
    assert_true(m.n == 1 && fabs(m.mean[0] - 7) < 1e-6);
}

/* u and mode give the value back, unless it lies beyond 4 standard deviations of its mode. */
void test_modes__inverse_gives_the_value_back(void **state)
{
    double *x = mill_alloc(N, sizeof *x), *sorted = mill_alloc(N, sizeof *x);
    float *u = mill_alloc(N, sizeof *u);
    int32_t *mode = mill_alloc(N, sizeof *mode), cut = 0;
    synth_modes m;
    const modes_draw d = {9, 3, 0};

    (void)state;
    planted(x, N);
    memcpy(sorted, x, N * sizeof *x);
    assert_ok(modes_fit(&m, sorted, N, 1, 2));
    modes_apply(u, mode, x, N, &m, &d);
    for (int i = 0; i < N; i++) {
        assert_in_range(mode[i], 0, m.n - 1);
        assert_true(fabsf(u[i]) <= 0.99f);
        cut += fabsf(u[i]) == 0.99f;
        if (fabsf(u[i]) < 0.99f) /* u is a float: 24 bits of 4 standard deviations */
            assert_true(fabs(modes_inverse(&m, (double)u[i], mode[i]) - x[i]) <
                        4 * m.sd[mode[i]] * 0x1p-23);
    }
    assert_in_range(cut, 0, N / 100);
    mill_free(x);
    mill_free(sorted);
    mill_free(u);
    mill_free(mode);
}

/* The mode is drawn, not the likeliest: between two equal modes both are seen, by halves. */
void test_modes__are_drawn_by_responsibility(void **state)
{
    const synth_modes m = {.n = 2, .mean = {-1, 1}, .sd = {2, 2}, .log_weight = {0, 0}};
    double x[4096];
    float u[4096];
    int32_t mode[4096];
    int first = 0;

    (void)state;
    for (int i = 0; i < 4096; i++) x[i] = 0.5; /* p = 1 / (1 + exp(-0.25)) of the second */
    modes_apply(u, mode, x, 4096, &m, &(modes_draw){1, 1, 0});
    for (int i = 0; i < 4096; i++) first += mode[i] == 0;
    const double p = 1 / (1 + exp(0.25)), sd = sqrt(4096 * p * (1 - p));
    assert_true(fabs(first - 4096 * p) < 5 * sd);
}

/* Rows are coded alone: any part of a column gives the same codes. */
void test_modes__code_rows_alone(void **state)
{
    double x[1000];
    float u[1000], v[1000];
    int32_t a[1000], b[1000];
    const synth_modes m = {
        .n = 3, .mean = {-10, 0, 20}, .sd = {5, 5, 9}, .log_weight = {0, 0.1, -1}};

    (void)state;
    planted(x, 1000);
    modes_apply(u, a, x, 1000, &m, &(modes_draw){4, 7, 0});
    for (int at = 0, n = 1; at < 1000; at += n, n = n * 2 % 97 + 1) {
        if (at + n > 1000) n = 1000 - at;
        modes_apply(v + at, b + at, x + at, n, &m, &(modes_draw){4, 7, at});
    }
    assert_memory_equal(u, v, sizeof u);
    assert_memory_equal(a, b, sizeof a);
}

/* 5,000 rows: 60 % are 0, 10 % are 40, the others normal around 3. */
static void spiked(double *x, int n)
{
    mill_rng rng = mill_rng_init(6, 1, 0);
    for (int i = 0; i < n; i++) {
        const int of = i % 10;
        x[i] = of < 6 ? 0 : of == 6 ? 40 : 3 + mill_quantile_f64(mill_rng_f64(&rng));
    }
}

void test_modes__give_a_heavy_value_an_atom(void **state)
{
    enum { ROWS = 5000 };
    double x[ROWS], sorted[ROWS];
    float u[ROWS];
    int32_t mode[ROWS];
    synth_modes m;

    (void)state;
    spiked(x, ROWS);
    memcpy(sorted, x, sizeof x);
    assert_ok(modes_fit(&m, sorted, ROWS, 1, 2));
    assert_int_equal(modes_n_atoms(&m), 2);
    assert_in_range(m.n, 3, MODES_MAX);
    assert_true(m.mean[0] == 0 && m.mean[1] == 40);
    for (int k = 2; k < m.n; k++) /* the normals know nothing of the atoms' rows */
        assert_true(m.mean[k] > -1 && m.mean[k] < 7 && m.sd[k] > 0 && m.sd[k] < 3);

    modes_apply(u, mode, x, ROWS, &m, &(modes_draw){3, 4, 0});
    for (int i = 0; i < ROWS; i++) {
        assert_int_equal(mode[i] < 2, i % 10 < 7);
        if (mode[i] < 2) assert_true(u[i] == 0 && modes_inverse(&m, 0.7, mode[i]) == x[i]);
    }
}

/* Normals of less than 0.005 of all rows are dropped, except the heaviest: 0.4 % of the rows are
 * spread over ten places. */
void test_modes__keep_one_normal_beside_atoms(void **state)
{
    double x[10000];
    float u;
    int32_t mode;
    synth_modes m;

    (void)state;
    for (int i = 0; i < 10000; i++) x[i] = i % 250 < 249 ? 0 : 1000 * (1 + i / 250 % 10) + i * 1e-3;
    assert_ok(modes_fit(&m, x, 10000, 1, 2));
    assert_int_equal(modes_n_atoms(&m), 1);
    assert_int_equal(m.n, 2);
    modes_apply(&u, &mode, (double[]){5000}, 1, &m, &(modes_draw){3, 4, 0});
    assert_int_equal(mode, 1);
}

/* One row in twenty, and twenty rows: a value of 49 of 1,000 rows has none, nor one of 19 of 100.
 */
void test_modes__give_light_values_no_atom(void **state)
{
    double x[1000];
    synth_modes m;

    (void)state;
    planted(x, 1000);
    for (int i = 0; i < 49; i++) x[i] = 0.25;
    assert_ok(modes_fit(&m, x, 1000, 1, 2));
    assert_int_equal(modes_n_atoms(&m), 0);
    planted(x, 1000);
    for (int i = 0; i < 50; i++) x[i] = 0.25;
    assert_ok(modes_fit(&m, x, 1000, 1, 2));
    assert_int_equal(modes_n_atoms(&m), 1);
    planted(x, 100);
    for (int i = 0; i < 19; i++) x[i] = 0.25;
    assert_ok(modes_fit(&m, x, 100, 1, 2));
    assert_int_equal(modes_n_atoms(&m), 0);
}

/* Of twenty values of 50 rows each the first five get atoms; of twenty values alone, rows next to
 * the atoms are coded by the normals. */
void test_modes__have_at_most_five_atoms(void **state)
{
    double x[1000];
    synth_modes m;

    (void)state;
    for (int i = 0, step; i < 1000; i++) {
        step = i / 50;
        x[i] = step;
    }
    x[999] = 7; /* the heaviest is in, wherever it stands; 19 falls below a twentieth */
    assert_ok(modes_fit(&m, x, 1000, 1, 2));
    assert_int_equal(modes_n_atoms(&m), MODES_MAX_ATOMS);
    const double expected[] = {0, 1, 2, 3, 7};
    assert_memory_equal(m.mean, expected, sizeof expected);
}

/* A column of atoms alone: what was not seen (a row of another table) takes the nearest. */
void test_modes__of_atoms_alone_take_the_nearest(void **state)
{
    double x[60];
    float u[3];
    int32_t mode[3];
    synth_modes m;

    (void)state;
    for (int i = 0; i < 60; i++) x[i] = i % 2 ? 10 : -10;
    assert_ok(modes_fit(&m, x, 60, 1, 2));
    assert_true(m.n == 2 && modes_n_atoms(&m) == 2);
    modes_apply(u, mode, (double[]){-10, 3, 10}, 3, &m, &(modes_draw){3, 4, 0});
    assert_memory_equal(mode, ((int32_t[]){0, 1, 1}), sizeof mode);
    assert_true(u[0] == 0 && u[1] == 0 && u[2] == 0);
}

/* The same bytes on every level and machine. */
void test_modes__are_the_same_bytes_everywhere(void **state)
{
    double *x = mill_alloc(N, sizeof *x);
    synth_modes m;

    (void)state;
    planted(x, N);
    assert_ok(modes_fit(&m, x, N, 1, 2));
    assert_int_equal(mill_crc32c(0, &m, sizeof m), 0x292742b7);
    mill_free(x);
}
