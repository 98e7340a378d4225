/* t_eval_near.c - nearest rows against plain loops in double: both measures, ties, levels, threads.
 */
#include "lib/made.h"

#include "base/cpu.h"
#include "base/philox.h"
#include "eval/near.h"

#define NONE ((double)NAN)
enum { N_COLS = 5, MOST_ROWS = 400 };

/* Two numbers (one with outliers), a date, two codes; some missing; few values, so that many rows
 * are equally near. */
static mill_table *rows_of(int64_t rows, uint64_t seed, double stretch)
{
    static double x[MOST_ROWS], y[MOST_ROWS], day[MOST_ROWS];
    static char a[MOST_ROWS + 1], b[MOST_ROWS + 1];
    mill_rng r = mill_rng_init(seed, 0, 0);
    mill_table *t = made_table(rows, N_COLS);

    for (int64_t i = 0; i < rows; i++) {
        x[i] = i % 11 ? mill_rng_below(&r, 9) : NONE;
        y[i] = stretch * (mill_rng_f64(&r) - 0.3) * (mill_rng_below(&r, 20) ? 1 : 50);
        day[i] = 86400.0 * mill_rng_below(&r, 30);
        a[i] = "pqr "[mill_rng_below(&r, 4)];
        b[i] = "uv"[mill_rng_below(&r, 2)];
    }
    a[0] = 'p', a[1] = 'q', a[2] = 'r', b[0] = 'u', b[1] = 'v'; /* the same codes in all tables */
    made_numbers(t, 0, "x", MILL_INTEGER, x);
    made_numbers(t, 1, "y", MILL_REAL, y);
    made_numbers(t, 2, "day", MILL_DATETIME, day);
    made_words(t, 3, "a", MILL_CATEGORY, a);
    made_words(t, 4, "b", MILL_BOOLEAN, b);
    return t;
}

static const int columns[N_COLS] = {0, 1, 2, 3, 4};

static double value(const mill_table *t, int c, int64_t i)
{
    if (!column_is_valid(&t->col[c], i)) return NONE;
    return column_has_codes(&t->col[c]) ? t->col[c].code[i] : column_f64(&t->col[c], i);
}

static double range(const mill_table *t, int c)
{
    double low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < t->rows; i++) {
        const double v = value(t, c, i);
        if (isnan(v)) continue;
        low = fmin(low, v);
        high = fmax(high, v);
    }
    return high - low;
}

/* The definition, row by row. */
static double by_hand(const mill_table *real, const mill_table *s, int64_t i, const mill_table *t,
                      int64_t j, double weight)
{
    double sum = 0;
    for (int c = 0; c < N_COLS; c++) {
        const double a = value(s, c, i), b = value(t, c, j);
        const bool is_code = column_has_codes(&real->col[c]);
        if (isnan(a) && isnan(b)) continue;
        if (is_code)
            sum += a == b ? 0 : weight;
        else
            sum += isnan(a) || isnan(b) ? 1 : fmin(fabs(a - b) / range(real, c), 1);
    }
    return sum;
}

typedef struct {
    mill_table *real, *syn;
    near_scale *scale;
    near_points *query, *ref;
} pair;

static pair pair_of(int64_t n, int64_t m, near_measure measure, double weight)
{
    pair p = {.real = rows_of(n, 1, 1), .syn = rows_of(m, 2, 3)};

    assert_ok(near_scale_new(&p.scale, p.real, columns, N_COLS, measure, weight));
    assert_ok(near_points_new(&p.ref, p.scale, p.real, NULL, n));
    assert_ok(near_points_new(&p.query, p.scale, p.syn, NULL, m));
    return p;
}

static void drop(pair *p)
{
    near_points_free(p->ref);
    near_points_free(p->query);
    near_scale_free(p->scale);
    mill_table_free(p->real);
    mill_table_free(p->syn);
}

static void assert_as_by_hand(int64_t n, int64_t m, double weight)
{
    pair p = pair_of(n, m, NEAR_L1, weight);
    near_pair *found = mill_alloc((size_t)m, sizeof *found);

    assert_ok(near_two(found, p.scale, p.query, p.ref, false, NULL));
    for (int64_t i = 0; i < m; i++) {
        near_pair want = {INFINITY, INFINITY, -1};
        for (int64_t j = 0; j < n; j++) {
            const double d = by_hand(p.real, p.syn, i, p.real, j, weight);
            if (d < want.first) {
                want.second = want.first;
                want.first = d;
                want.at = j;
            } else if (d < want.second) {
                want.second = d;
            }
        }
        /* exactly: the same operations in the same order */
        if (found[i].first != want.first || found[i].second != want.second ||
            found[i].at != want.at)
            fail_msg("row %d: %.17g %.17g at %d, not %.17g %.17g at %d", (int)i, found[i].first,
                     found[i].second, (int)found[i].at, want.first, want.second, (int)want.at);
    }
    mill_free(found);
    drop(&p);
}

void test_nearest__are_those_of_a_plain_loop_to_the_bit(void **state)
{
    (void)state;
    assert_as_by_hand(333, 219, 1);
    assert_as_by_hand(400, 77, 2);
    for (int n = 3; n < 40; n++) assert_as_by_hand(n, 43 - n, 1);
}

void test_nearest__is_found_where_floats_see_no_difference(void **state)
{
    (void)state;
    enum { N = 320 };
    double x[N + 2];
    near_pair found[1];
    near_scale *s = NULL;
    near_points *ref = NULL, *query = NULL;
    mill_table *real = made_table(N + 2, 1), *one = made_table(1, 1);

    for (int i = 0; i < N; i++) x[i] = 0.5 + 1e-10 * (i * 77 % N + 1); /* all are one float */
    x[N] = 0;
    x[N + 1] = 1;
    made_numbers(real, 0, "x", MILL_REAL, x);
    made_numbers(one, 0, "x", MILL_REAL, &(double){0.3});
    assert_ok(near_scale_new(&s, real, columns, 1, NEAR_L1, 1));
    assert_ok(near_points_new(&ref, s, real, NULL, N + 2));
    assert_ok(near_points_new(&query, s, one, NULL, 1));
    assert_ok(near_two(found, s, query, ref, false, NULL));
    assert_near(x[found[0].at], 0.5 + 1e-10, 1e-13);
    assert_near(found[0].first, 0.2 + 1e-10, 1e-13);
    assert_near(found[0].second, 0.2 + 2e-10, 1e-13);
    near_points_free(ref);
    near_points_free(query);
    near_scale_free(s);
    mill_table_free(real);
    mill_table_free(one);
}

void test_nearest__of_squares_are_those_of_a_plain_loop(void **state)
{
    (void)state;
    pair p = pair_of(301, 203, NEAR_SQUARED, 2);
    near_pair found[MOST_ROWS];

    assert_int_equal(p.scale->n, N_COLS + 1); /* x may be missing */
    assert_ok(near_two(found, p.scale, p.query, p.ref, false, NULL));
    for (int64_t i = 0; i < 203; i++) {
        double least = INFINITY;
        int64_t at = -1;
        for (int64_t j = 0; j < 301; j++) {
            const double d = near_distance(p.scale, p.query, i, p.ref, j);
            if (d < least) at = j;
            least = fmin(least, d);
        }
        assert_true(found[i].first == least && found[i].at == at);
    }
    /* and one of them in the words of near.h */
    double mean = 0, squares = 0, want = 0;
    for (int64_t i = 0; i < 301; i++) mean += value(p.real, 1, i) / 301;
    for (int64_t i = 0; i < 301; i++) squares += pow(value(p.real, 1, i) - mean, 2) / 300;
    want += pow(value(p.syn, 1, 5) - value(p.real, 1, 7), 2) / squares;
    for (int c = 3; c < 5; c++) {
        const double a = value(p.syn, c, 5), b = value(p.real, c, 7);
        want += (isnan(a) && isnan(b)) || a == b ? 0 : 2;
    }
    double got = near_distance(p.scale, p.query, 5, p.ref, 7);
    for (int c = 0; c < p.scale->n; c++) { /* without x and day */
        if (p.scale->coord[c].source != 0 && p.scale->coord[c].source != 2) continue;
        const double d =
            (double)(p.query->row[5 * p.scale->n + c] - p.ref->row[7 * p.scale->n + c]);
        got -= d * d;
    }
    assert_near(got, want, 1e-4); /* floats of some ten */
    drop(&p);
}

void test_nearest__of_a_set_in_itself_are_others(void **state)
{
    (void)state;
    pair p = pair_of(250, 10, NEAR_SQUARED, 2);
    near_pair found[MOST_ROWS];

    assert_ok(near_two(found, p.scale, p.ref, p.ref, true, NULL));
    for (int64_t i = 0; i < 250; i++) assert_true(found[i].at >= 0 && found[i].at != i);
    drop(&p);
}

void test_nearest__are_the_same_for_any_number_of_threads(void **state)
{
    (void)state;
    pair p = pair_of(390, 380, NEAR_L1, 1);
    near_pair one[MOST_ROWS], many[MOST_ROWS];
    double sum[2];

    assert_ok(near_two(one, p.scale, p.query, p.ref, false, NULL));
    for (int threads = 2; threads < 8; threads += 5) {
        mill_pool *pool = NULL;
        assert_ok(mill_pool_new(&pool, threads));
        assert_ok(near_two(many, p.scale, p.query, p.ref, false, pool));
        assert_memory_equal(one, many, 380 * sizeof *one);
        assert_ok(near_kernel_sum(&sum[0], p.scale, p.query, p.ref, 0.3, NULL));
        assert_ok(near_kernel_sum(&sum[1], p.scale, p.query, p.ref, 0.3, pool));
        assert_true(sum[0] == sum[1]);
        mill_pool_free(pool);
    }
    drop(&p);
}

void test_kernels__give_the_same_bytes_on_both_levels(void **state)
{
    (void)state;
    assert_ok(mill_cpu_init());
    if (mill_cpu_level() < MILL_V4) skip_because("no v4 here");
    pair p = pair_of(399, 8, NEAR_SQUARED, 2);
    float limit[NEAR_TILE], cap[2 * N_COLS];
    uint16_t mask[2][NEAR_TILE * NEAR_BLOCKS];
    double sum[2][NEAR_TILE] = {{0}};
    int set = 0;

    for (int c = 0; c < p.scale->n; c++) cap[c] = p.scale->coord[c].cap;
    for (int q = 0; q < NEAR_TILE; q++) limit[q] = 2.0f + (float)q;
    memset(mask, 0, sizeof mask);
    near_sieve_squared_v3(mask[0], p.query->row, p.ref->block, 25, cap, p.scale->n, limit);
    near_sieve_squared_v4(mask[1], p.query->row, p.ref->block, 25, cap, p.scale->n, limit);
    assert_memory_equal(mask[0], mask[1], sizeof mask[0]);
    for (int k = 0; k < NEAR_TILE * NEAR_BLOCKS; k++) set += __builtin_popcount(mask[0][k]);
    assert_in_range(set, 100, 3000);
    near_sieve_l1_v3(mask[0], p.query->row, p.ref->block, 25, cap, p.scale->n, limit);
    near_sieve_l1_v4(mask[1], p.query->row, p.ref->block, 25, cap, p.scale->n, limit);
    assert_memory_equal(mask[0], mask[1], sizeof mask[0]);
    near_gauss_v3(sum[0], p.query->row, p.ref->block, 25, cap, p.scale->n, 0.2f);
    near_gauss_v4(sum[1], p.query->row, p.ref->block, 25, cap, p.scale->n, 0.2f);
    assert_memory_equal(sum[0], sum[1], sizeof sum[0]);
    drop(&p);
}

static double plain_sum(const pair *p, const near_points *a, const near_points *b, double gamma)
{
    double sum = 0;
    for (int64_t i = 0; i < a->rows; i++)
        for (int64_t j = 0; j < b->rows; j++)
            if (a != b || i != j) sum += exp(-gamma * near_distance(p->scale, a, i, b, j));
    return sum;
}

void test_kernel_sum__is_that_of_a_plain_loop(void **state)
{
    (void)state;
    pair p = pair_of(317, 205, NEAR_SQUARED, 2);
    double sum;

    assert_ok(near_kernel_sum(&sum, p.scale, p.query, p.ref, 0.3, NULL));
    const double want = plain_sum(&p, p.query, p.ref, 0.3);
    assert_near(sum, want, 1e-6 * want); /* exp in float, 2^-23 each */
    assert_ok(near_kernel_sum(&sum, p.scale, p.ref, p.ref, 0.3, NULL));
    const double self = plain_sum(&p, p.ref, p.ref, 0.3);
    assert_near(sum, self, 1e-6 * self);
    drop(&p);
}

void test_kernel_sum__of_codes_alone_counts_no_rows_that_are_not_there(void **state)
{
    (void)state;
    mill_table *t = made_table(21, 1);
    near_scale *s = NULL;
    near_points *p = NULL;
    double sum;

    made_words(t, 0, "a", MILL_CATEGORY, "xyxyxyxyxyxyxyxyxyxyx");
    assert_ok(near_scale_new(&s, t, columns, 1, NEAR_SQUARED, 2));
    assert_ok(near_points_new(&p, s, t, NULL, 21));
    assert_ok(near_kernel_sum(&sum, s, p, p, 0.5, NULL));
    assert_near(sum, 11 * 10 + 10 * 9 + 2 * 110 * exp(-1), 1e-4);
    near_points_free(p);
    near_scale_free(s);
    mill_table_free(t);
}

void test_random_points__stay_within_what_the_table_has(void **state)
{
    (void)state;
    mill_table *t = rows_of(200, 3, 1);
    near_scale *s = NULL;
    near_points *p = NULL;
    int missing = 0, codes[4] = {0};

    assert_ok(near_scale_new(&s, t, columns, N_COLS, NEAR_L1, 1));
    assert_ok(near_points_random(&p, s, t, 3000, 7));
    for (int64_t i = 0; i < p->rows; i++) {
        const double *x = p->exact + i * N_COLS;
        missing += isnan(x[0]);
        if (!isnan(x[0])) assert_true(x[0] >= 0 && x[0] <= 8 && x[0] == floor(x[0]));
        assert_true(x[1] >= s->coord[1].low && x[1] <= s->coord[1].low + s->coord[1].range);
        codes[isnan(x[3]) ? 3 : (int)x[3]]++;
    }
    assert_near(missing / 3000.0, 19 / 200.0, 0.02);
    const double some = 3000.0 * (double)(200 - t->col[3].n_missing) / 200 / 3;
    for (int k = 0; k < 3; k++) assert_near(codes[k], some, 5 * sqrt(some));
    near_points_free(p);
    near_scale_free(s);
    mill_table_free(t);
}
