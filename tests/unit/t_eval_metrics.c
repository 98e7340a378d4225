/*
 * t_eval_metrics.c - shapes, trends, bins and the diagnostic of two small tables, against the
 * definitions done by hand or by plain loops.
 */
#include "lib/made.h"

#include "base/philox.h"
#include "eval/diagnostic.h"
#include "eval/trends.h"

#define NONE ((double)NAN)

static eval_view *view_of(const mill_table *real, const mill_table *syn)
{
    eval_view *v = NULL;

    assert_ok(view_new(&v, real, syn, false, NULL));
    return v;
}

/* One column on either side. */
static eval_view *view_numbers(mill_table *t[2], const double *real, int64_t n, const double *syn,
                               int64_t m)
{
    t[0] = made_table(n, 1);
    t[1] = made_table(m, 1);
    made_numbers(t[0], 0, "x", MILL_REAL, real);
    made_numbers(t[1], 0, "x", MILL_REAL, syn);
    return view_of(t[0], t[1]);
}

static void drop(eval_view *v, mill_table *t[2])
{
    view_free(v);
    mill_table_free(t[0]);
    mill_table_free(t[1]);
}

void test_ks__is_the_largest_gap_between_the_distributions(void **state)
{
    (void)state;
    enum { N = 150, M = 90 };
    mill_rng r = mill_rng_init(1, 0, 0);
    double a[N], b[M], worst = 0;
    mill_table *t[2];

    for (int i = 0; i < N; i++) a[i] = mill_rng_below(&r, 40) / 10.0 - 1;
    for (int i = 0; i < M; i++) b[i] = mill_rng_below(&r, 30) / 10.0 - 0.5;
    for (int k = -20; k < 60; k++) { /* all values are tenths */
        double fa = 0, fb = 0;
        for (int i = 0; i < N; i++) fa += a[i] <= k / 10.0 + 0.01;
        for (int i = 0; i < M; i++) fb += b[i] <= k / 10.0 + 0.01;
        worst = fmax(worst, fabs(fa / N - fb / M));
    }
    eval_view *v = view_numbers(t, a, N, b, M);
    assert_near(shape_ks(&v->col[0]), 1 - worst, 1e-12);
    drop(v, t);
}

void test_ks__leaves_missing_values_out_and_rounds_to_14_decimals(void **state)
{
    (void)state;
    const double a[] = {0.1 + 0.2, NONE, 1}, b[] = {0.3, 1, NONE, NONE, NONE},
                 none[] = {NONE, NONE};
    mill_table *t[2];
    eval_view *v = view_numbers(t, a, 3, b, 5);

    assert_near(shape_ks(&v->col[0]), 1, 1e-15); /* .1 + .2 is not .3 but for the rounding */
    drop(v, t);
    v = view_numbers(t, a, 3, none, 2);
    assert_true(isnan(shape_ks(&v->col[0])));
    drop(v, t);
}

/* Two columns of words, "real" and "synthetic". */
static eval_view *view_words(mill_table *t[2], const char *const real[2], const char *const syn[2])
{
    t[0] = made_table((int64_t)strlen(real[0]), 2);
    t[1] = made_table((int64_t)strlen(syn[0]), 2);
    for (int c = 0; c < 2; c++) {
        made_words(t[0], c, c ? "b" : "a", MILL_CATEGORY, real[c]);
        made_words(t[1], c, c ? "b" : "a", MILL_CATEGORY, syn[c]);
    }
    return view_of(t[0], t[1]);
}

void test_tv__is_half_the_summed_difference_of_shares(void **state)
{
    (void)state;
    mill_table *t[2];
    /* codes in order of appearance: x y z in both */
    eval_view *v = view_words(t, (const char *const[]){"xxyy ", "xxxxx"},
                              (const char *const[]){"xyzz    ", "xxxxxxxx"});

    /* .5 .5 0 against .25 .25 .5 */
    assert_near(shape_tv(&v->col[0], false), 1 - 0.5, 1e-15);
    assert_near(shape_tv(&v->col[0], true), 1 - 0.5, 1e-6);
    assert_true(shape_tv(&v->col[0], true) >
                shape_tv(&v->col[0], false)); /* z counts as a millionth of a row */
    drop(v, t);
}

void test_contingency__counts_missing_as_a_value(void **state)
{
    (void)state;
    mill_table *t[2];
    eval_view *v =
        view_words(t, (const char *const[]){"xxyy", "pq q"}, (const char *const[]){"xy", "pq"});
    pair_result p = {.a = 0, .b = 1};

    assert_ok(trends_compute(&p, 1, v, NULL, NULL, NULL));
    /* real: xp xq y- yq, a quarter each; synthetic: xp yq, a half each */
    assert_near(p.score[BINS_REAL], 1 - 0.5 * (0.25 + 0.25 + 0.25 + 0.25), 1e-15);
    assert_true(p.score[BINS_OWN] == p.score[BINS_REAL]);
    /* expected .5 .75 .25 times two rows: chi2 = sum (o - e)^2 / e over 2 x 3 cells, n = 4, min - 1
     * = 1 */
    const double e[] = {0.5, 1, 0.5}, o[2][3] = {{1, 1, 0}, {0, 1, 1}};
    double chi = 0;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++) chi += (o[i][j] - e[j]) * (o[i][j] - e[j]) / e[j];
    assert_near(p.association[BINS_REAL], sqrt(chi / 4), 1e-12);
    assert_true(p.counts[BINS_REAL]);
    drop(v, t);
}

void test_contingency__by_sorting_equals_by_counting(void **state)
{
    (void)state;
    enum {
        N = 500,
        WIDE = 400
    }; /* 400 x 400 cells are more than 65,536 and than four times the rows */
    mill_rng r = mill_rng_init(2, 0, 0);
    uint32_t code[2][2][N];
    eval_view v = {.n_cols = 2, .col = mill_alloc(2, sizeof *v.col)};
    double difference = 0;
    static int count[2][WIDE][WIDE];
    pair_result p = {.a = 0, .b = 1};

    memset(count, 0, sizeof count);
    for (int c = 0; c < 2; c++) {
        v.col[c] = (col_view){.is_code = true, .n_codes = WIDE};
        for (int s = 0; s < 2; s++) {
            for (int i = 0; i < N; i++) code[c][s][i] = mill_rng_below(&r, 9) * 37;
            v.col[c].side[s] = (col_side){.rows = N, .n = N, .code = code[c][s]};
        }
    }
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < N; i++) count[s][code[0][s][i]][code[1][s][i]]++;
    for (int a = 0; a < WIDE; a++)
        for (int b = 0; b < WIDE; b++)
            difference += abs(count[0][a][b] - count[1][a][b]) / (double)N;
    assert_ok(trends_compute(&p, 1, &v, NULL, NULL, NULL));
    assert_near(p.score[BINS_REAL], 1 - difference / 2, 1e-12);
    mill_free(v.col);
}

void test_bins__are_numpys(void **state)
{
    (void)state;
    /* np.digitize(x, np.histogram_bin_edges(real)): edges 0, 1, ... 10 */
    const double real[] = {0, 0.5, 1, 9.999, 10, NONE}, syn[] = {-5, 0, 5, 15, NONE};
    const uint32_t own_real[] = {1, 1, 2, 10, 11, 11}, real_real[] = {1, 1, 2, 10, 10, 11};
    const uint32_t own_syn[] = {1, 3, 6, 11, 11},
                   real_syn[] = {1, 1, 6, 10, 11}; /* own edges -5, -3, -1, ... 15 */
    mill_table *t[2];
    eval_view *v = view_numbers(t, real, 6, syn, 5);

    assert_memory_equal(v->col[0].side[SIDE_REAL].code, own_real, sizeof own_real);
    assert_memory_equal(v->col[0].side[SIDE_REAL].real_bin, real_real, sizeof real_real);
    assert_memory_equal(v->col[0].side[SIDE_SYN].code, own_syn, sizeof own_syn);
    assert_memory_equal(v->col[0].side[SIDE_SYN].real_bin, real_syn, sizeof real_syn);
    drop(v, t);

    const double same[] = {7, 7}; /* edges 6.5, 6.6, ... 7.5: 7 is the sixth or on its border */
    v = view_numbers(t, same, 2, same, 2);
    assert_int_equal(v->col[0].side[SIDE_REAL].code[0], 6);
    drop(v, t);
}

void test_bins__count_the_edges_at_or_below(void **state)
{
    (void)state;
    enum { N = N_BINS + 1 };
    mill_rng r = mill_rng_init(3, 0, 0);

    for (int trial = 0; trial < 300;
         trial++) { /* values on the edges themselves, where rounding decides */
        const double first = mill_rng_f64(&r) * 10, last = first + mill_rng_f64(&r) * 100,
                     step = (last - first) / N_BINS;
        double x[N];
        mill_table *t[2];
        for (int i = 0; i < N; i++) x[i] = i < N_BINS ? i * step + first : last;
        eval_view *v = view_numbers(t, x, N, x, N);
        for (int i = 0; i < N; i++) assert_int_equal(v->col[0].side[SIDE_REAL].code[i], i + 1);
        drop(v, t);
    }
}

void test_correlation__is_compared_where_both_are_present(void **state)
{
    (void)state;
    const double rx[] = {1, 2, 3, NONE, 4}, ry[] = {2, 4, 6, 100, NONE};
    const double sx[] = {1, 2, 3, 4}, sy[] = {4, 3, 2, 1}, constant[] = {5, 5, 5, 5};
    mill_table *t[2] = {made_table(5, 2), made_table(4, 2)};
    pair_result p = {.a = 0, .b = 1};

    made_numbers(t[0], 0, "x", MILL_REAL, rx);
    made_numbers(t[0], 1, "y", MILL_REAL, ry);
    made_numbers(t[1], 0, "x", MILL_REAL, sx);
    made_numbers(t[1], 1, "y", MILL_REAL, sy);
    eval_view *v = view_of(t[0], t[1]);
    assert_ok(trends_compute(&p, 1, v, NULL, NULL, NULL));
    assert_near(p.r[SIDE_REAL], 1, 1e-15);
    assert_near(p.r[SIDE_SYN], -1, 1e-15);
    assert_near(p.score[BINS_REAL], 0, 1e-15);
    assert_null(p.why);
    drop(v, t);

    t[0] = made_table(4, 2);
    t[1] = made_table(4, 2);
    made_numbers(t[0], 0, "x", MILL_REAL, sx);
    made_numbers(t[0], 1, "y", MILL_REAL, sy);
    made_numbers(t[1], 0, "x", MILL_REAL, sx);
    made_numbers(t[1], 1, "y", MILL_REAL, constant);
    v = view_of(t[0], t[1]);
    assert_ok(trends_compute(&p, 1, v, NULL, NULL, NULL));
    assert_true(isnan(p.score[BINS_REAL]));
    assert_false(p.counts[BINS_REAL]);
    assert_non_null(strstr(p.why, "synthetic"));
    drop(v, t);
}

void test_diagnosis__of_numbers(void **state)
{
    (void)state;
    const double real[] = {0, 2, 4, 10}, syn[] = {-1, 2, 5, 8, NONE};
    mill_table *t[2];
    eval_view *v = view_numbers(t, real, 4, syn, 5);
    col_diagnosis d = diagnose(&v->col[0]);

    assert_near(d.validity, 3.0 / 5,
                1e-15); /* the missing one is out of bounds: the real column has none */
    assert_near(d.coverage, 1 - 0.2, 1e-15); /* 8 of 10 at the upper end, beyond the lower */
    assert_near(d.missing, 0.8, 1e-15);
    assert_near(d.mean, 1 - (4 - 3.5) / 10, 1e-15);
    assert_near(d.median, 1 - 0.5 / 10, 1e-15);
    assert_near(d.std, 1 - (sqrt(56.0 / 3) - sqrt(45.0 / 3)) / 10, 1e-12);
    drop(v, t);

    const double real_missing[] = {0, 10, NONE};
    v = view_numbers(t, real_missing, 3, syn, 5);
    assert_near(diagnose(&v->col[0]).validity, 3.0 / 4, 1e-15);
    drop(v, t);
}

void test_diagnosis__of_words_and_keys(void **state)
{
    (void)state;
    mill_table *t[2];
    eval_view *v =
        view_words(t, (const char *const[]){"xyy", "pqr"}, (const char *const[]){"xxz ", "pppq"});
    /* both dictionaries begin with x; z of the synthetic table takes the code of y here, so give it
     * its own */
    for (int i = 0; i < 4; i++) v->col[0].side[SIDE_SYN].count[0] = 2;
    v->col[0].side[SIDE_SYN].count[1] = 0;
    col_diagnosis d = diagnose(&v->col[0]);

    assert_near(d.validity, 0.5, 1e-15); /* x x; z is new and missing is not allowed */
    assert_near(d.coverage, 0.5, 1e-15);
    assert_true(isnan(d.mean));
    v->col[1].is_key = true;
    assert_near(diagnose(&v->col[1]).validity, 0.5, 1e-15); /* two of four rows repeat */
    drop(v, t);
}

void test_structure__is_jaccard_of_names_and_types(void **state)
{
    (void)state;
    const double x[] = {1, 2};
    mill_table *a = made_table(2, 3), *b = made_table(2, 2);

    made_numbers(a, 0, "x", MILL_INTEGER, x);
    made_numbers(a, 1, "y", MILL_REAL, x);
    made_words(a, 2, "z", MILL_CATEGORY, "pq");
    made_numbers(b, 0, "x", MILL_INTEGER, x);
    made_numbers(b, 1, "y", MILL_INTEGER, x);
    assert_near(structure_score(a, b, false), 1.0 / 4, 1e-15);
    assert_ok(column_set_missing(&b->col[1], 0)); /* to pandas it is a real column now */
    assert_near(structure_score(a, b, true), 2.0 / 3, 1e-15);
    mill_table_free(a);
    mill_table_free(b);
}
