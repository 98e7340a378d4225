/* t_eval_privacy.c - groups, matches, CAP, anonymity, attacks, support, accuracy and noise, by hand
 * and by simulation. */
#include "lib/made.h"

#include "base/philox.h"
#include "eval/accuracy.h"
#include "eval/distribution.h"
#include "eval/groups.h"
#include "eval/nearness.h"

#define NONE ((double)NAN)
static const int three[] = {0, 1, 2};

void test_groups__number_keys_in_the_order_in_which_they_come(void **state)
{
    (void)state;
    groups *g = NULL;
    int64_t id;

    assert_ok(groups_new(&g, 2));
    for (int64_t round = 0; round < 2; round++) {
        for (int64_t k = 0; k < 5000; k++) {
            assert_ok(groups_add(&id, g, (const int64_t[]){k % 70, k / 70}));
            assert_int_equal(id, k);
        }
    }
    assert_int_equal(groups_count(g), 5000);
    assert_int_equal(groups_find(g, (const int64_t[]){3, 2}), 143);
    assert_int_equal(groups_find(g, (const int64_t[]){3, 200}), -1);
    groups_free(g);
}

/* Columns a and b of words, x of numbers. */
static mill_table *words_and_numbers(const char *a, const char *b, const double *x)
{
    mill_table *t = made_table((int64_t)strlen(a), 3);

    made_words(t, 0, "a", MILL_CATEGORY, a);
    made_words(t, 1, "b", MILL_CATEGORY, b);
    made_numbers(t, 2, "x", MILL_REAL, x);
    return t;
}

void test_matches__are_rows_that_agree(void **state)
{
    (void)state;
    const double x[] = {1, 2, NONE, 100, 0}, y[] = {1, 2.5, NONE, 100.9, -0.0};
    mill_table *real = words_and_numbers("ppqpq", "uvuuu", x);
    mill_table *syn = words_and_numbers("ppqpq", "uvuuu", y);
    const int columns[] = {0, 1, 2};
    double share;

    assert_ok(identical_share(&share, real, real, columns, 3, NULL));
    assert_near(share, 1, 0);
    assert_ok(identical_share(&share, syn, real, columns, 3, NULL));
    assert_near(share, 0.6, 1e-15); /* 1, missing, and -0 that is 0 */
    assert_ok(new_rows_share(&share, &(match_task){syn, real, NULL, 5, columns, 3, 0.01}, NULL));
    assert_near(share, 0.2, 1e-15); /* 100.9 is within 1 % of 100; 2.5 is far from 2 */
    const int64_t second = 1;
    assert_ok(new_rows_share(&share, &(match_task){syn, real, &second, 1, columns, 3, 0.01}, NULL));
    assert_near(share, 1, 0);
    mill_table_free(real);
    mill_table_free(syn);
}

/* Identifiers of people, one apart: as doubles all of them are one. */
void test_whole_numbers__agree_only_where_they_are_equal(void **state)
{
    (void)state;
    const int64_t first = 110101199003070000;
    mill_table *t[2] = {made_table(4, 1), made_table(4, 1)};
    const double none[] = {0, 0, 0, NONE};
    eval_view *v = NULL;
    anonymity a;
    double share;
    int64_t copied;

    for (int s = 0; s < 2; s++) {
        made_numbers(t[s], 0, "id", MILL_INTEGER, none);
        for (int i = 0; i < 3; i++) t[s]->col[0].i64[i] = first + 2 * s + i;
    }
    assert_ok(identical_share(&share, t[1], t[0], (const int[]){0}, 1, NULL));
    assert_near(share, 0.5, 0); /* the real third, and the missing one */
    assert_ok(copied_rows(&copied, &t[1]->col[0], &t[0]->col[0]));
    assert_int_equal(copied, 1);
    assert_ok(anonymity_compute(&a, t[1], (const int[]){0}, 1, -1));
    assert_int_equal(a.classes, 4);
    assert_ok(view_new(&v, t[0], t[1], false, NULL));
    assert_int_equal(v->col[0].side[SIDE_SYN].n_different, 3);
    view_free(v);
    for (int s = 0; s < 2; s++) mill_table_free(t[s]);
}

void test_whole_numbers__agree_with_real_ones_of_their_value(void **state)
{
    (void)state;
    const double whole[] = {1, 2, NONE}, real[] = {2, 2.5, NONE};
    mill_table *t[2] = {made_table(3, 1), made_table(3, 1)};
    double share;
    int64_t copied;

    made_numbers(t[0], 0, "x", MILL_INTEGER, whole);
    made_numbers(t[1], 0, "x", MILL_REAL, real);
    for (int s = 0; s < 2; s++) {
        assert_ok(identical_share(&share, t[s], t[1 - s], (const int[]){0}, 1, NULL));
        assert_near(share, 2 / 3.0, 1e-15);
        assert_ok(copied_rows(&copied, &t[s]->col[0], &t[1 - s]->col[0]));
        assert_int_equal(copied, 1);
    }
    for (int s = 0; s < 2; s++) mill_table_free(t[s]);
}

void test_new_rows__are_those_of_a_plain_loop(void **state)
{
    (void)state;
    enum { N = 700 };
    static double x[2][N];
    static char a[2][N + 1], b[2][N + 1];
    mill_rng r = mill_rng_init(4, 0, 0);
    mill_table *t[2];
    const int columns[] = {0, 1, 2};
    int unmatched = 0;
    double share;

    for (int s = 0; s < 2; s++) {
        for (int i = 0; i < N; i++) {
            x[s][i] = i % 13 ? 200 * mill_rng_f64(&r) - 50 : NONE;
            a[s][i] = "pq"[i < 2 ? (uint32_t)i : mill_rng_below(&r, 2)];
            b[s][i] = "uv "[i < 2 ? (uint32_t)i : mill_rng_below(&r, 3)];
        }
        t[s] = words_and_numbers(a[s], b[s], x[s]);
    }
    for (int i = 0; i < N; i++) {
        bool found = false;
        for (int j = 0; j < N; j++) {
            const double p = x[1][i], q = x[0][j];
            found |= a[1][i] == a[0][j] && b[1][i] == b[0][j] && isnan(p) == isnan(q) &&
                     (isnan(p) || fabs(q - p) <= 0.01 * fabs(p));
        }
        unmatched += !found;
    }
    assert_in_range(unmatched, N / 20, N * 19 / 20);
    assert_ok(new_rows_share(&share, &(match_task){t[1], t[0], NULL, N, columns, 3, 0.01}, NULL));
    assert_near(share, unmatched / (double)N, 1e-15);
    for (int s = 0; s < 2; s++) mill_table_free(t[s]);
}

/* Answers 1 to 5, and numbers around 100, where 1 % begins to be more than equality. */
void test_new_rows__of_whole_numbers_are_those_of_a_plain_loop(void **state)
{
    (void)state;
    enum { N = 600, COLUMNS = 3 };
    static const int low[COLUMNS] = {1, 95, -104}, values[COLUMNS] = {5, 10, 8};
    mill_table *t[2] = {made_table(N, COLUMNS), made_table(N, COLUMNS)};
    mill_rng r = mill_rng_init(9, 0, 0);
    int unmatched = 0, exact = 0;
    static double x[2][COLUMNS][N];
    double share;

    for (int s = 0; s < 2; s++)
        for (int c = 0; c < COLUMNS; c++) {
            for (int i = 0; i < N; i++)
                x[s][c][i] = i % 17 ? low[c] + (int)mill_rng_below(&r, (uint32_t)values[c]) : NONE;
            made_numbers(t[s], c, "x", MILL_INTEGER, x[s][c]);
        }
    for (int i = 0; i < N; i++) {
        bool found = false, is_equal = false;
        for (int j = 0; j < N; j++) {
            bool match = true, equal = true;
            for (int c = 0; c < COLUMNS; c++) {
                const double p = x[1][c][i], q = x[0][c][j];
                match &= isnan(p) ? isnan(q) : fabs(q - p) <= 0.01 * fabs(p);
                equal &= isnan(p) ? isnan(q) : q == p;
            }
            found |= match;
            is_equal |= equal;
        }
        unmatched += !found;
        exact += !is_equal;
    }
    assert_true(unmatched > N / 20 && exact > unmatched + N / 20);
    assert_ok(new_rows_share(&share, &(match_task){t[1], t[0], NULL, N, three, 3, 0.01}, NULL));
    assert_near(share, unmatched / (double)N, 1e-15);
    for (int s = 0; s < 2; s++) mill_table_free(t[s]);
}

static const attacker first_and_second = {(const int[]){0}, (const int[]){1}, 1, 1};

static disclosure disclosure_of(const char *a, const char *c, const char *a2, const char *c2)
{
    mill_table *t[2] = {made_table((int64_t)strlen(a), 2), made_table((int64_t)strlen(a2), 2)};
    eval_view *v = NULL;
    disclosure d;

    made_words(t[0], 0, "a", MILL_CATEGORY, a);
    made_words(t[0], 1, "c", MILL_CATEGORY, c);
    made_words(t[1], 0, "a", MILL_CATEGORY, a2);
    made_words(t[1], 1, "c", MILL_CATEGORY, c2);
    assert_ok(view_new(&v, t[0], t[1], false, NULL));
    const int64_t *const all[N_SIDES] = {NULL, NULL};
    const int64_t rows[N_SIDES] = {t[0]->rows, t[1]->rows};
    assert_ok(disclosure_compute(&d, v, all, rows, &first_and_second));
    view_free(v);
    for (int s = 0; s < 2; s++) mill_table_free(t[s]);
    return d;
}

void test_cap__is_that_of_sdmetrics(void **state)
{
    (void)state;
    /* DisclosureProtection of 0.32.0 on these rows, 50 times over: .75 = .5 / (1 - 1/3), .667 =
     * .5 / (1 - 1/4), and .375 = .25 / (1 - 1/3) with a missing value as one. */
    disclosure d = disclosure_of("pqpq", "uvwv", "pqpq", "uvwz");
    assert_near(1 - d.mean, 0.5, 1e-15);
    assert_near(d.score, 0.75, 1e-12);
    d = disclosure_of("pqpq", "uvwz", "pqpq", "uvwv");
    assert_near(1 - d.mean, 0.5, 1e-15);
    assert_near(d.score, 2.0 / 3, 1e-12);
    d = disclosure_of("pqpq", "uv v", "pqpq", "uv v");
    assert_near(1 - d.mean, 0.25, 1e-15);
    assert_near(d.score, 0.375, 1e-12);
}

void test_cap__counts_numbers_in_bins_with_their_upper_edge(void **state)
{
    (void)state;
    mill_table *t[2] = {made_table(6, 2), made_table(4, 2)};
    const double x[] = {0, 1, 2, 3, 4, 10}, y[] = {-5, 1.5, 9.5, 30};
    eval_view *v = NULL;
    disclosure d;

    made_words(t[0], 0, "a", MILL_CATEGORY, "pppppp");
    made_words(t[1], 0, "a", MILL_CATEGORY, "pppp");
    made_numbers(t[0], 1, "y", MILL_REAL, x);
    made_numbers(t[1], 1, "y", MILL_REAL, y);
    assert_ok(view_new(&v, t[0], t[1], false, NULL));
    const int64_t *const all[N_SIDES] = {NULL, NULL};
    assert_ok(disclosure_compute(&d, v, all, (const int64_t[]){6, 4}, &first_and_second));
    /* sdmetrics 0.32.0 on these rows: .7916666, .8 and .9895833; 0 and 1 share a bin */
    assert_near(1 - d.mean, 0.7916666666666666, 1e-12);
    assert_near(1 - d.guess, 0.8, 1e-12);
    assert_near(d.score, 0.9895833333333333, 1e-12);
    view_free(v);
    for (int s = 0; s < 2; s++) mill_table_free(t[s]);
}

void test_cap__without_a_known_value_in_common_has_no_score(void **state)
{
    (void)state;
    mill_table *t[2] = {made_table(2, 2), made_table(2, 2)};
    const double x[2][2] = {{1, 2}, {NONE, NONE}}, y[] = {1, 2};
    eval_view *v = NULL;
    disclosure d;

    for (int s = 0; s < 2; s++) {
        made_numbers(t[s], 0, "x", MILL_REAL, x[s]);
        made_numbers(t[s], 1, "y", MILL_REAL, y);
    }
    assert_ok(view_new(&v, t[0], t[1], false, NULL));
    const int64_t *const all[N_SIDES] = {NULL, NULL};
    assert_ok(disclosure_compute(&d, v, all, (const int64_t[]){2, 2}, &first_and_second));
    assert_int_equal(d.found, 0);
    assert_true(isnan(d.mean) && isnan(d.score));
    view_free(v);
    for (int s = 0; s < 2; s++) mill_table_free(t[s]);
}

void test_anonymity__counts_classes_and_their_values(void **state)
{
    (void)state;
    const double x[] = {1, 1, 1, 2, 2, 3, 1};
    mill_table *t = words_and_numbers("ppppppq", "uvuuuuu", x);
    anonymity a;

    /* classes of (a, x): p1 x3 {u, v}, p2 x2 {u}, p3 x1 {u}, q1 x1 {u} */
    assert_ok(anonymity_compute(&a, t, (const int[]){0, 2}, 2, 1));
    assert_int_equal(a.classes, 4);
    assert_int_equal(a.k, 1);
    assert_int_equal(a.l, 1);
    assert_near(a.alone, 2 / 7.0, 1e-15);
    assert_near(a.below_5, 1, 1e-15);
    assert_near(a.one_value, 4 / 7.0, 1e-15);
    assert_ok(anonymity_compute(&a, t, (const int[]){1}, 1, -1));
    assert_int_equal(a.classes, 2);
    assert_near(a.below_5, 1 / 7.0, 1e-15);
    assert_int_equal(a.l, 0);
    assert_true(isnan(a.one_value));
    mill_table_free(t);
}

void test_attack__has_its_auc_and_its_sure_hits(void **state)
{
    (void)state;
    double other[200], learnt[4] = {197.5, 198.5, 50.5, 500};
    attack a;

    for (int i = 0; i < 200; i++) other[i] = i;
    assert_ok(attack_compute(&a, learnt, 4, other, 200));
    assert_near(a.auc, (198 + 199 + 51 + 200) / 800.0, 1e-12);
    /* two of 200 may be wrong: the threshold is 197 */
    assert_near(a.tpr, 0.75, 1e-15);
    assert_ok(attack_compute(&a, other, 200, other, 200));
    assert_near(a.auc, 0.5, 1e-12);
    assert_near(a.tpr, 0.01, 1e-15);
}

/* n rows of two related numbers and a word; the same seed, the same rows. */
static mill_table *sample(int64_t n, uint64_t seed, double shift)
{
    double *const x = mill_alloc((size_t)n, sizeof *x), *const y = mill_alloc((size_t)n, sizeof *y);
    char *const a = mill_alloc((size_t)n + 1, 1);
    mill_table *t = made_table(n, 3);

    for (int64_t i = 0; i < n; i++) {
        const uint64_t e = (uint64_t)i;
        x[i] = (double)mill_rand_normal(seed, 0, 1, e) + shift;
        y[i] = x[i] + 0.5 * (double)mill_rand_normal(seed, 0, 2, e);
        a[i] = "pqr"[i < 3 ? i : x[i] > shift + 0.5 ? 0 : x[i] > shift - 0.7 ? 1 : 2];
    }
    made_numbers(t, 0, "x", MILL_REAL, x);
    made_numbers(t, 1, "y", MILL_REAL, y);
    made_words(t, 2, "a", MILL_CATEGORY, a);
    mill_free(x);
    mill_free(y);
    mill_free(a);
    return t;
}

static near_task task_of(const mill_table *real, const mill_table *syn, const mill_table *holdout)
{
    return (near_task){.table = {real, syn, holdout},
                       .rows = {real->rows, syn->rows, holdout ? holdout->rows : 0},
                       .column = three,
                       .n_columns = 3,
                       .seed = 1};
}

/* Rows 0 .. n - 1 as a list. */
static int64_t *all_rows(int64_t n)
{
    int64_t *const row = mill_alloc((size_t)n, sizeof *row);
    for (int64_t i = 0; i < n; i++) row[i] = i;
    return row;
}

void test_dcr__tells_a_copy_from_a_fresh_sample(void **state)
{
    (void)state;
    mill_table *real = sample(1500, 1, 0), *fresh = sample(1500, 2, 0),
               *holdout = sample(1500, 3, 0);
    int64_t *const row = all_rows(1500);
    dcr_result copied, good;

    for (int k = 0; k < 2; k++) {
        near_task task = task_of(real, k ? fresh : real, holdout);
        for (int t = 0; t < N_TABLES; t++) task.row[t] = row;
        assert_ok(dcr_compute(k ? &good : &copied, &task));
    }
    assert_near(copied.syn_median, 0, 0);
    assert_near(copied.baseline, 0, 0);
    assert_near(copied.overfitting, 0, 0.01);
    assert_true(copied.tabsyn_share > 0.99 && copied.share > 0.99);
    assert_true(copied.by_distance.auc > 0.99 && copied.by_distance.tpr > 0.9);
    assert_near(copied.nndr, 0, 1e-3);
    /* 1,500 fair coins: .5 with a standard error of .013 */
    assert_near(good.tabsyn_share, 0.5, 0.055);
    assert_near(good.share, 0.5, 0.055);
    assert_near(good.overfitting, 1, 0.11);
    assert_near(good.by_distance.auc, 0.5, 0.055);
    assert_near(good.syn_median, good.holdout_median, 0.15 * good.holdout_median);
    assert_true(good.syn_median > 0 && good.syn_low < good.syn_median);
    mill_free(row);
    mill_table_free(real);
    mill_table_free(fresh);
    mill_table_free(holdout);
}

void test_tabsyn_share__is_a_half_whatever_the_sizes_of_the_tables(void **state)
{
    (void)state;
    enum { LARGE = 1500, SMALL = 150 };
    int64_t *const row = all_rows(LARGE);
    mill_table *syn = sample(LARGE, 2, 0);

    for (int k = 0; k < 2; k++) {
        mill_table *real = sample(k ? LARGE : SMALL, 1, 0),
                   *holdout = sample(k ? SMALL : LARGE, 3, 0);
        near_task task = task_of(real, syn, holdout);
        dcr_result d;

        for (int t = 0; t < N_TABLES; t++) task.row[t] = row;
        assert_ok(dcr_compute(&d, &task));
        /* Over 40 such tables: .503 with a standard deviation of .017.  Of all rows those of the
         * larger table are nearer ten times in eleven. */
        assert_near(d.tabsyn_share, 0.5, 0.055);
        assert_near(d.share, k ? 0.9 : 0.1, 0.055);
        mill_table_free(real);
        mill_table_free(holdout);
    }
    mill_free(row);
    mill_table_free(syn);
}

void test_support__is_lost_by_a_shift_and_by_rows_that_are_too_typical(void **state)
{
    (void)state;
    mill_table *real = sample(1200, 1, 0);
    mill_table *syn[3] = {sample(1200, 2, 0), sample(1200, 3, 1.5), sample(1200, 4, 0)};
    int64_t *const row = all_rows(1200);
    support_result r[3];

    for (int64_t i = 0; i < 1200; i++) { /* the third: all near to the middle */
        syn[2]->col[0].f64[i] *= 0.2;
        syn[2]->col[1].f64[i] *= 0.2;
    }
    for (int k = 0; k < 3; k++) {
        near_task task = task_of(real, syn[k], NULL);
        for (int t = 0; t < N_TABLES; t++) task.row[t] = row;
        assert_ok(support_compute(&r[k], &task));
        assert_null(r[k].why_no_mmd);
    }
    assert_true(fabs(r[0].mmd) < 0.004 && r[1].mmd > 0.2 && r[2].mmd > 0.02);
    assert_true(r[0].alpha_precision > 0.93 && r[1].alpha_precision < 0.6);
    assert_true(r[2].alpha_precision < 0.8);
    /* beta-recall of a fresh sample is that of one half against the other */
    assert_near(r[0].beta_recall, r[0].expected_beta, 0.08);
    assert_true(r[1].beta_recall < r[0].beta_recall - 0.2);
    mill_free(row);
    mill_table_free(real);
    for (int k = 0; k < 3; k++) mill_table_free(syn[k]);
}

/* Of tables of unlike sizes, that both differ from the halves that the expectation is made of. */
void test_support__says_how_far_from_0_the_mmd_of_two_real_samples_is(void **state)
{
    enum { PAIRS = 100, REAL = 260, SYN = 700 };
    int64_t *const row = all_rows(SYN);
    double seen = 0, expected = 0, mean = 0;

    (void)state;
    for (int i = 0; i < PAIRS; i++) {
        mill_table *real = sample(REAL, 100 + 2 * (uint64_t)i, 0),
                   *syn = sample(SYN, 101 + 2 * (uint64_t)i, 0);
        near_task task = task_of(real, syn, NULL);
        support_result r;

        for (int t = 0; t < N_TABLES; t++) task.row[t] = row;
        assert_ok(support_compute(&r, &task));
        mean += r.mmd / PAIRS;
        seen += fabs(r.mmd) / PAIRS;
        expected += r.expected_mmd / PAIRS;
        mill_table_free(real);
        mill_table_free(syn);
    }
    /* |mmd| varies by about its mean: the mean of 100 by a tenth, so three of these */
    assert_near(seen / expected, 1, 0.3);
    assert_near(mean / expected, 0, 0.4);
    mill_free(row);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Codes of two columns as four indicators, and their distance to the real rows' mean. */
static void to_mean(double *d, const mill_table *t, const mill_table *real)
{
    double mean[2][3] = {{0}};

    for (int64_t i = 0; i < real->rows; i++)
        for (int c = 0; c < 2; c++) mean[c][real->col[c].code[i]] += 1 / (double)real->rows;
    for (int64_t i = 0; i < t->rows; i++) {
        double sum = 0;
        for (int c = 0; c < 2; c++)
            for (int k = 0; k < 3; k++) {
                const double off = (t->col[c].code[i] == k) - mean[c][k];
                sum += off * off;
            }
        d[i] = sqrt(sum);
    }
}

void test_precision__of_codes_is_that_of_indicators(void **state)
{
    (void)state;
    enum { N = 60 };
    char a[2][N + 1] = {"", ""}, b[2][N + 1] = {"", ""};
    double real_d[N], syn_d[N], off = 0, levels = 0;
    mill_table *t[2];
    support_result r;
    mill_rng rng = mill_rng_init(8, 0, 0);

    for (int s = 0; s < 2; s++) {
        for (int i = 0; i < N; i++) {
            a[s][i] = "pqr"[i < 3 ? (uint32_t)i : mill_rng_below(&rng, s ? 3 : 2)];
            b[s][i] = "uv"[i < 2 ? (uint32_t)i : mill_rng_below(&rng, 5) > 1];
        }
        t[s] = made_table(N, 2);
        made_words(t[s], 0, "a", MILL_CATEGORY, a[s]);
        made_words(t[s], 1, "b", MILL_CATEGORY, b[s]);
    }
    to_mean(real_d, t[0], t[0]);
    to_mean(syn_d, t[1], t[0]);
    qsort(real_d, N, sizeof *real_d, by_value);
    for (int l = 0; l < 30; l++) {
        const double level = l / 29.0, at = level * (N - 1);
        const int below = (int)floor(at), above = (int)ceil(at);
        const double radius = real_d[below] + (at - below) * (real_d[above] - real_d[below]);
        int within = 0;
        for (int i = 0; i < N; i++) within += syn_d[i] <= radius + 1e-9;
        off += fabs(level - within / (double)N);
        levels += level;
    }
    int64_t *const row = all_rows(N);
    const near_task task = {
        .table = {t[0], t[1]}, .row = {row, row}, .rows = {N, N}, .column = three, .n_columns = 2};
    assert_ok(support_compute(&r, &task));
    assert_near(r.alpha_precision, 1 - off / levels, 0.02); /* rows on a ball's edge, by rounding */
    mill_free(row);
    for (int s = 0; s < 2; s++) mill_table_free(t[s]);
}

static eval_view *view_of(mill_table *real, mill_table *syn)
{
    eval_view *v = NULL;
    assert_ok(view_new(&v, real, syn, false, NULL));
    return v;
}

void test_accuracy__counts_bins_pairs_and_triples(void **state)
{
    (void)state;
    const double x[] = {1, 1, 2, 2, 3, 3, 3, 3, 1, 2}, y[] = {1, 1, 1, 1, 3, 3, 3, 9, 2, NONE};
    mill_table *real = words_and_numbers("pppppqqqqq", "uuuuuuuuuu", x);
    mill_table *syn = words_and_numbers("pppppppqqq", "uuuuuuuuuu", y);
    eval_view *v = view_of(real, syn);
    accuracy_result a;

    assert_ok(accuracy_compute(&a, v, three, 3, 0, NULL));
    assert_int_equal(a.n[0], 3);
    assert_int_equal(a.n[1], 3);
    assert_int_equal(a.n[2], 1);
    assert_near(a.of[0][0].score, 1 - (0.2 + 0.2) / 2, 1e-12);
    assert_near(a.of[0][1].score, 1, 1e-12);
    /* 1: .3 and .4; 2: .3 and .1; 3: .4 and .4 (9 is clipped); missing: 0 and .1 */
    assert_near(a.of[0][2].score, 1 - (0.1 + 0.2 + 0 + 0.1) / 2, 1e-12);
    const double spread = sqrt(2 / 3.14159265358979 * 0.25 * 0.2);
    assert_near(a.of[0][0].most, 1 - 2 * spread / 2, 1e-12);
    assert_near(a.of[0][1].most, 1, 1e-12);
    accuracy_deinit(&a);
    view_free(v);
    mill_table_free(real);
    mill_table_free(syn);
}

/* Of 300 columns there are 4,455,100 triples: they are not listed in order to draw 10,000. */
void test_accuracy__draws_triples_without_listing_them(void **state)
{
    (void)state;
    enum { COLUMNS = 300 };
    mill_table *t = made_table(2, COLUMNS);
    int column[COLUMNS], times[COLUMNS] = {0}, same = 0;
    groups *seen = NULL;
    accuracy_result a, again;
    mill_mem_stats s;

    for (int c = 0; c < COLUMNS; c++) {
        column[c] = c;
        made_numbers(t, c, "x", MILL_INTEGER, (const double[]){0, c});
    }
    eval_view *v = view_of(t, t);
    assert_ok(accuracy_compute(&a, v, column, COLUMNS, 7, NULL));
    mill_mem_get_stats(&s);
    assert_true(s.peak_bytes < 32 << 20); /* of this and earlier tests; the list has 142 MB */
    assert_int_equal(a.n[1], 44850);
    assert_int_equal(a.n[2], ACCURACY_MAX_TRIPLES);
    assert_int_equal(a.n_triples, 4455100);
    assert_ok(groups_new(&seen, 3));
    for (int64_t i = 0; i < a.n[2]; i++) {
        const int *x = a.of[2][i].col;
        int64_t id;
        assert_ok(groups_add(&id, seen, (const int64_t[]){x[0], x[1], x[2]}));
        assert_true(x[0] < x[1] && x[1] < x[2]);
        for (int k = 0; k < 3; k++) times[x[k]]++;
    }
    assert_int_equal(groups_count(seen), a.n[2]);                         /* none is there twice */
    for (int c = 0; c < COLUMNS; c++) assert_in_range(times[c], 50, 150); /* 100 +- 10 */
    assert_ok(accuracy_compute(&again, v, column, COLUMNS, 8, NULL));
    for (int64_t i = 0; i < a.n[2]; i++)
        same += !memcmp(a.of[2][i].col, again.of[2][i].col, sizeof a.of[2][i].col);
    assert_true(same < 10); /* another seed, other triples */
    accuracy_deinit(&a);
    accuracy_deinit(&again);
    groups_free(seen);
    view_free(v);
    mill_table_free(t);
}

void test_noise__is_what_fresh_samples_score(void **state)
{
    (void)state;
    enum { N = 1000, M = 700, RUNS = 80 };
    double ks = 0, tv = 0, w = 0, js = 0, js_code = 0, r = 0, cover = 0, mean = 0, most = 0;
    double covered = 0, valid = 0, expected_valid = 0;
    col_noise noise[3];

    for (int k = 0; k < RUNS; k++) {
        mill_table *real = sample(N, 300 + (uint64_t)k, 0), *syn = sample(M, 100 + (uint64_t)k, 0);
        eval_view *v = view_of(real, syn);
        pair_result p = {.a = 0, .b = 1};

        ks += shape_ks(&v->col[0]) / RUNS;
        w += wasserstein(&v->col[0]) / RUNS;
        js += jensen_shannon(&v->col[0]) / RUNS;
        js_code += jensen_shannon(&v->col[2]) / RUNS;
        tv += shape_tv(&v->col[2], false) / RUNS;
        cover += diagnose(&v->col[0]).coverage / RUNS;
        mean += diagnose(&v->col[0]).mean / RUNS;
        valid += diagnose(&v->col[0]).validity / RUNS;
        assert_ok(trends_compute(&p, 1, v, NULL, (const int64_t[]){0, 0}, NULL));
        r += p.score[BINS_REAL] / RUNS;
        noise_rows rows;
        assert_ok(noise_rows_draw(&rows, v, 5));
        assert_ok(noise_of_columns(noise, v, &rows, NULL));
        noise_of_pairs(&p, 1, v, &rows, NULL);
        noise_rows_free(&rows);
        most += p.expected[BINS_REAL] / RUNS;
        expected_valid += noise[0].d.validity / RUNS;
        covered += noise[0].d.coverage / RUNS; /* two extremes alone: it differs by table */
        view_free(v);
        mill_table_free(real);
        mill_table_free(syn);
    }
    /* Means of 80 pairs of samples, each with a spread of at most its mean: a standard error of
     * 11 %; and the noise of one bootstrapped table. */
    assert_near(noise[0].shape, ks, 0.4 * (1 - ks));
    assert_near(noise[2].shape, tv, 0.4 * (1 - tv));
    assert_near(noise[0].wasserstein, w, 0.4 * w);
    assert_near(noise[0].jensen_shannon, js, 0.4 * js);
    assert_near(noise[2].jensen_shannon, js_code, 0.4 * js_code);
    assert_near(noise[0].d.mean, mean, 0.4 * (1 - mean));
    assert_near(covered, cover, 0.3 * (1 - cover));
    assert_near(most, r, 0.4 * (1 - r));
    assert_near(expected_valid, valid, 0.4 * (1 - valid));
    assert_near(noise[2].d.validity, 1, 0); /* no category of one row */
}

void test_wasserstein__is_the_area_between_the_distributions(void **state)
{
    (void)state;
    const double x[] = {0, 1, 3, 4}, y[] = {1, 2, 4, 5};
    mill_table *t[2] = {made_table(4, 1), made_table(4, 1)};

    made_numbers(t[0], 0, "x", MILL_REAL, x);
    made_numbers(t[1], 0, "x", MILL_REAL, y);
    eval_view *v = view_of(t[0], t[1]);
    assert_near(wasserstein(&v->col[0]), 1 / 4.0, 1e-12); /* a shift of 1 in a range of 4 */
    view_free(v);
    for (int s = 0; s < 2; s++) mill_table_free(t[s]);
}

void test_jensen_shannon__is_a_bit_for_tables_that_share_nothing(void **state)
{
    (void)state;
    mill_table *t[2] = {made_table(4, 2), made_table(4, 2)};

    made_words(t[0], 0, "a", MILL_CATEGORY, "ppqq");
    made_words(t[1], 0, "a", MILL_CATEGORY, "pppq");
    made_words(t[0], 1, "b", MILL_CATEGORY, "uuuu");
    made_words(t[1], 1, "b", MILL_CATEGORY, "    ");
    eval_view *v = view_of(t[0], t[1]);
    const double m = 0.625, n = 0.375;
    const double want = (0.5 * log2(0.5 / m) + 0.5 * log2(0.5 / n) + 0.75 * log2(0.75 / m) +
                         0.25 * log2(0.25 / n)) /
                        2;
    assert_near(jensen_shannon(&v->col[0]), want, 1e-12);
    assert_near(jensen_shannon(&v->col[1]), 1, 1e-12);
    view_free(v);
    for (int s = 0; s < 2; s++) mill_table_free(t[s]);
}
