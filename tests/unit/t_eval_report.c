/* t_eval_report.c - the report: what stands in it, what is skipped and said so, learners, threads,
 * lack of memory. */
#include "lib/made.h"

#include "base/philox.h"
#include "eval/evaluate.h"
#include "eval/headline.h"

#define NONE ((double)NAN)
enum { MOST_ROWS = 4000 };

/* Numbers, categories, a boolean and a date around one hidden number; mixed up, columns know
 * nothing of each other. */
static mill_table *people(int64_t rows, uint64_t seed, bool is_mixed_up)
{
    static double x[MOST_ROWS], y[MOST_ROWS], day[MOST_ROWS];
    static char kind[MOST_ROWS + 1], yes[MOST_ROWS + 1];
    mill_rng r = mill_rng_init(seed, 0, 0);
    mill_table *t = made_table(rows, 5);

    for (int64_t i = 0; i < rows; i++) {
        double z[5];
        for (int c = 0; c < 5; c++) {
            const double fresh = mill_rng_f64(&r) + mill_rng_f64(&r) + mill_rng_f64(&r) - 1.5;
            z[c] = c && !is_mixed_up ? z[0] : fresh;
        }
        x[i] = i % 17 ? z[0] : NONE;
        y[i] = floor(10 * z[1] + 2 * mill_rng_f64(&r));
        kind[i] = "aabbcd"[(int)((z[2] + 1.5) * 2)];
        yes[i] = z[3] + mill_rng_f64(&r) > 0.5 ? 'y' : 'n';
        day[i] = 86400 * floor(1000 * (z[4] + 1.5));
    }
    made_numbers(t, 0, "x", MILL_REAL, x);
    made_numbers(t, 1, "y", MILL_INTEGER, y);
    made_words(t, 2, "kind", MILL_CATEGORY, kind);
    made_words(t, 3, "yes", MILL_BOOLEAN, yes);
    made_numbers(t, 4, "day", MILL_DATETIME, day);
    return t;
}

static double number(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);

    if (!json_is_number(v)) fail_msg("\"%s\" is not a number", key);
    return json_number_value(v);
}

/* Whether `key` is among the keys of `what`, "a, b". */
static bool has_key(const char *what, const char *key)
{
    const size_t n = strlen(key);

    for (const char *s = what; (s = strstr(s, key)); s += n)
        if ((s == what || s[-1] == ' ') && (!s[n] || s[n] == ',')) return true;
    return false;
}

static bool is_skipped(const json_t *report, const char *what, const char *column)
{
    const json_t *line;
    size_t i;

    json_array_foreach(json_object_get(report, "skipped"), i, line)
    {
        const char *w = json_string_value(json_object_get(line, "what"));
        const char *c = json_string_value(json_object_get(line, "column"));
        if (has_key(w, what) && (!column || (c && !strcmp(c, column)))) return true;
    }
    return false;
}

static bool is_noted(const json_t *report, const char *words)
{
    const json_t *note;
    size_t i;

    json_array_foreach(json_object_get(report, "notes"), i, note)
    {
        if (strstr(json_string_value(note), words)) return true;
    }
    return false;
}

void test_report__of_a_table_against_itself_is_perfect(void **state)
{
    (void)state;
    mill_table *t = people(1000, 1, false);
    const eval_options o = {.target = "yes"};
    json_t *r = NULL;
    static const char *const ones[] = {"shapes", "trends", "trends_own_bins", "trends_thresholded",
                                       "overall"};

    assert_ok(mill_evaluate(&r, t, t, &o, NULL));
    for (size_t k = 0; k < sizeof ones / sizeof *ones; k++)
        assert_near(number(r, ones[k]), 1, 1e-12);
    const json_t *d = json_object_get(r, "diagnostic");
    assert_near(number(d, "overall"), 1, 1e-12);
    assert_near(number(d, "coverage"), 1, 1e-12);
    assert_int_equal(json_array_size(json_object_get(r, "columns")), 5);
    assert_int_equal(json_array_size(json_object_get(r, "pairs")), 10);
    /* What nobody asked for: a holdout, known columns twice. */
    assert_int_equal(json_array_size(json_object_get(r, "skipped")), 2);
    assert_true(is_skipped(r, "privacy.disclosure", NULL) &&
                is_skipped(r, "privacy.anonymity", NULL));
    assert_true(is_skipped(r, "privacy.membership", NULL));
    assert_int_equal(json_array_size(json_object_get(r, "notes")), 1); /* there was no holdout */
    json_decref(r);
    mill_table_free(t);
}

static const json_t *learner_of(const json_t *report, const char *part, const char *learner)
{
    return json_object_get(json_object_get(report, part), learner);
}

/* AUC after learning on the synthetic table, and the score of detection. */
static void get_learner(double *auc, double *score, const json_t *report, const char *learner)
{
    const json_t *u = learner_of(report, "utility", learner);
    const double real_auc = number(json_object_get(u, "train_on_real"), "auc");

    *auc = number(json_object_get(u, "train_on_synthetic"), "auc");
    *score = number(learner_of(report, "detection", learner), "score");
    assert_near(number(json_object_get(u, "ratio"), "auc"), *auc / real_auc, 1e-12);
}

void test_report__tells_related_columns_from_mixed_up_ones(void **state)
{
    (void)state;
    mill_table *real = people(MOST_ROWS, 2, false), *holdout = people(MOST_ROWS, 5, false);
    mill_table *syn[2] = {people(MOST_ROWS, 3, false), people(MOST_ROWS, 4, true)};
    const eval_options o = {.target = "yes", .holdout = holdout};
    json_t *r[2] = {NULL, NULL};

    for (int k = 0; k < 2; k++) {
        assert_ok(mill_evaluate(&r[k], real, syn[k], &o, NULL));
        assert_true(number(r[k], "shapes") > 0.96);
        assert_int_equal(json_array_size(json_object_get(r[k], "notes")), 1);
        assert_true(is_noted(r[k], "20 times 2000 of 4000 real rows, drawn at random by seed 0"));
    }
    assert_true(number(r[0], "trends") > 0.96);
    assert_true(number(r[1], "trends") < 0.75);
    assert_true(number(r[1], "trends_thresholded") < 0.75);
    for (int l = 0; l < 2; l++) {
        double auc[2], score[2];
        for (int k = 0; k < 2; k++)
            get_learner(&auc[k], &score[k], r[k], l ? "boosted_trees" : "logistic");
        assert_true(auc[0] > 0.8);
        assert_true(auc[1] < 0.65);
        assert_true(score[0] > 0.9);
        if (l)
            assert_true(score[1] < 0.1); /* a linear model cannot see that columns are unrelated */
    }
    for (int k = 0; k < 2; k++) json_decref(r[k]);
    for (int k = 0; k < 2; k++) mill_table_free(syn[k]);
    mill_table_free(real);
    mill_table_free(holdout);
}

void test_utility__without_a_holdout_does_not_test_on_what_it_learnt(void **state)
{
    (void)state;
    mill_table *t = people(MOST_ROWS, 16, true); /* nothing can be learnt about "yes" */
    const eval_options o = {.target = "yes", .parts = EVAL_UTILITY};
    json_t *r = NULL;

    assert_ok(mill_evaluate(&r, t, t, &o, NULL));
    const json_t *trees = learner_of(r, "utility", "boosted_trees");
    /* 800 rows of noise: .5 with a standard error of .02; rows that were learnt by heart reach .8
     */
    assert_near(number(json_object_get(trees, "train_on_real"), "auc"), 0.5, 0.1);
    assert_true(number(json_object_get(trees, "train_on_synthetic"), "auc") >
                0.7); /* the same rows, here */
    assert_int_equal((int)number(json_object_get(r, "utility"), "real_train_rows"),
                     MOST_ROWS * 4 / 5);
    assert_true(json_is_null(json_object_get(r, "trends_thresholded"))); /* no two are related */
    assert_true(is_skipped(r, "trends_thresholded", NULL));
    json_decref(r);
    mill_table_free(t);
}

/* One synthetic row says "maybe": the real table's two classes stay two. */
void test_utility__of_real_rows_does_not_depend_on_the_synthetic_ones(void **state)
{
    (void)state;
    enum { N = 600 };
    mill_table *real = people(N, 31, false), *syn = people(N, 32, false);
    const eval_options o = {.target = "yes", .parts = EVAL_UTILITY};
    json_t *r[2] = {NULL, NULL};
    mill_column *const yes = &syn->col[3];
    char word[N + 1] = "m";

    assert_ok(mill_evaluate(&r[0], real, syn, &o, NULL));
    for (int i = 1; i < N; i++) word[i] = yes->text[yes->offset[yes->code[i]]];
    column_deinit(yes);
    made_words(syn, 3, "yes", MILL_CATEGORY, word);
    assert_ok(mill_evaluate(&r[1], real, syn, &o, NULL));
    for (int l = 0; l < 2; l++) {
        const char *learner = l ? "boosted_trees" : "logistic";
        assert_true(
            json_equal(json_object_get(learner_of(r[0], "utility", learner), "train_on_real"),
                       json_object_get(learner_of(r[1], "utility", learner), "train_on_real")));
    }
    assert_true(is_noted(r[1], "utility: 1 synthetic row without a usable target left out"));
    for (int k = 0; k < 2; k++) json_decref(r[k]);
    mill_table_free(real);
    mill_table_free(syn);
}

static char *text_of(const mill_table *real, const mill_table *syn, const eval_options *o,
                     int threads)
{
    mill_pool *pool = NULL;
    json_t *r = NULL;

    assert_ok(mill_pool_new(&pool, threads));
    assert_ok(mill_evaluate(&r, real, syn, o, pool));
    char *const s = json_dumps(r, JSON_REAL_PRECISION(17));
    json_decref(r);
    mill_pool_free(pool);
    assert_non_null(s);
    return s;
}

void test_report__has_the_same_bytes_for_any_threads(void **state)
{
    (void)state;
    mill_table *real = people(MOST_ROWS, 6, false), *syn = people(3000, 7, false);
    static const char *const target[] = {"yes", "kind", "y"}; /* two classes, four, numbers */

    for (int k = 0; k < 3; k++) {
        const eval_options o = {
            .target = target[k], .seed = 5, .parts = k ? EVAL_UTILITY : EVAL_ALL};
        char *one = text_of(real, syn, &o, 1);
        for (int threads = 2; threads <= 7; threads += 5) {
            char *many = text_of(real, syn, &o, threads);
            assert_string_equal(many, one);
            free(many);
        }
        free(one);
    }
    mill_table_free(real);
    mill_table_free(syn);
}

void test_report__names_columns_that_only_one_table_has(void **state)
{
    (void)state;
    mill_table *a = people(100, 8, false), *b = NULL, *c = NULL;
    const int some[] = {0, 1, 2}, others[] = {2, 3};
    const eval_options o = {.parts = EVAL_DIAGNOSTIC};
    json_t *r = NULL;

    assert_ok(table_take_cols(&b, a, some, 3));
    assert_ok(table_take_cols(&c, a, others, 2));
    assert_ok(mill_evaluate(&r, b, c, &o, NULL));
    assert_true(is_skipped(r, "column", "x"));
    assert_true(is_skipped(r, "column", "y"));
    assert_true(is_skipped(r, "column", "yes"));
    assert_true(is_skipped(r, "trends", NULL)); /* one common column has no pair */
    assert_true(json_is_null(json_object_get(r, "trends")));
    assert_near(number(json_object_get(r, "diagnostic"), "structure"), 1.0 / 4, 1e-15);
    json_decref(r);
    mill_table_free(a);
    mill_table_free(b);
    mill_table_free(c);
}

void test_report__says_why_nothing_was_learnt(void **state)
{
    (void)state;
    const double one[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, x[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    mill_table *t = made_table(10, 3);
    json_t *r = NULL;

    made_numbers(t, 0, "one", MILL_INTEGER, one);
    made_numbers(t, 1, "x", MILL_REAL, x);
    made_words(t, 2, "id", MILL_IDENTIFIER, "abcdefghij");
    const eval_options constant = {.target = "one"}, id = {.target = "id"}, none = {0},
                       wrong = {.target = "nix"};
    assert_ok(mill_evaluate(&r, t, t, &constant, NULL));
    assert_true(is_skipped(r, "utility", NULL));
    assert_true(is_skipped(r, "shape", "id") && is_skipped(r, "trends", "id"));
    assert_true(json_is_null(json_object_get(r, "utility")));
    json_decref(r);
    assert_ok(mill_evaluate(&r, t, t, &id, NULL));
    assert_true(is_skipped(r, "utility", NULL));
    json_decref(r);
    assert_ok(mill_evaluate(&r, t, t, &none, NULL));
    assert_true(is_skipped(r, "utility", NULL));
    json_decref(r);
    assert_fails(MILL_EINPUT, "\"nix\"", mill_evaluate(&r, t, t, &wrong, NULL));
    mill_table_free(t);
}

void test_report__needs_as_many_rows_as_folds(void **state)
{
    (void)state;
    mill_table *real = people(100, 3, false);
    const eval_options o = {.parts = EVAL_DETECTION};

    for (int64_t rows = 2; rows <= 3; rows++) {
        mill_table *syn = people(rows, 4, false);
        json_t *r = NULL;
        assert_ok(mill_evaluate(&r, real, syn, &o, NULL));
        assert_int_equal(is_skipped(r, "detection", NULL), rows == 2);
        assert_non_null(json_object_get(r, "detection")); /* null, but there */
        assert_int_equal(json_is_null(json_object_get(r, "detection")), rows == 2);
        json_decref(r);
        mill_table_free(syn);
    }
    mill_table_free(real);
}

/* Fresh pairs of samples: the score of the logistic learner is as far below 1 as expected. */
void test_detection__of_two_samples_scores_what_is_expected(void **state)
{
    (void)state;
    enum { PAIRS = 30 };
    const eval_options o = {.parts = EVAL_DETECTION};
    double sum = 0, expected = 0;

    for (uint64_t k = 0; k < PAIRS; k++) {
        mill_table *a = people(120, 100 + 2 * k, false), *b = people(90, 101 + 2 * k, false);
        json_t *r = NULL;
        assert_ok(mill_evaluate(&r, a, b, &o, NULL));
        sum += number(learner_of(r, "detection", "logistic"), "score") / PAIRS;
        expected = number(learner_of(r, "detection", "logistic"), "expected");
        json_decref(r);
        mill_table_free(a);
        mill_table_free(b);
    }
    /* 40 against 30 rows: 1 - sqrt(2 / pi) sqrt(71 / 14400) */
    assert_near(expected, 1 - 0.7978845608 * sqrt(71.0 / 14400), 1e-9);
    /* A score has a standard deviation of .048, their mean of .009; 1 would be .056 away. */
    assert_near(sum, expected, 3 * 0.009);
}

void test_why__is_found_by_the_place_of_a_figure(void **state)
{
    (void)state;
    const double one[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, x[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    const eval_options none = {0};
    mill_table *t = made_table(10, 2);
    json_t *r = NULL;

    made_numbers(t, 0, "one", MILL_INTEGER, one);
    made_numbers(t, 1, "x", MILL_REAL, x);
    assert_ok(mill_evaluate(&r, t, t, &none, NULL));
    static const char range[] = "the real column has one value only, and no range";
    assert_string_equal(eval_why_not(r, "columns.0.wasserstein"), range);
    assert_string_equal(eval_why_not(r, "columns.0.expected.mean_similarity"), range);
    assert_null(eval_why_not(r, "columns.1.wasserstein"));
    assert_null(eval_why_not(r, "wasserstein")); /* of the other column there is one */
    assert_string_equal(eval_why_not(r, "pairs.0.score"),
                        "a column has one value only in the synthetic table");
    assert_string_equal(eval_why_not(r, "privacy.membership.by_distance.auc"),
                        eval_why_not(r, "privacy.dcr.tabsyn_share")); /* no holdout */
    assert_string_equal(eval_why_not(r, "utility"), "no target column was named");
    assert_null(eval_why_not(r, "util"));
    json_decref(r);
    mill_table_free(t);
}

void test_report__names_the_metrics_of_the_diagnosis(void **state)
{
    (void)state;
    static const char *const want[][2] = {{"BoundaryAdherence", "RangeCoverage"},
                                          {"BoundaryAdherence", "RangeCoverage"},
                                          {"CategoryAdherence", "CategoryCoverage"},
                                          {"CategoryAdherence", "CategoryCoverage"},
                                          {"BoundaryAdherence", "RangeCoverage"}};
    mill_table *t = people(200, 3, false);
    const eval_options o = {.parts = EVAL_DIAGNOSTIC};
    json_t *r = NULL;

    assert_ok(mill_evaluate(&r, t, t, &o, NULL));
    const json_t *columns = json_object_get(r, "columns");
    for (size_t c = 0; c < 5; c++) {
        const json_t *column = json_array_get(columns, c);
        assert_string_equal(json_string_value(json_object_get(column, "validity_metric")),
                            want[c][0]);
        assert_string_equal(json_string_value(json_object_get(column, "coverage_metric")),
                            want[c][1]);
    }
    json_decref(r);
    mill_table_free(t);
}

/* SDMetrics counts pairs on 50,000 rows of a larger table; we do on all, unless asked to do as it.
 */
void test_report__draws_rows_of_pairs_like_sdmetrics_only_if_asked(void **state)
{
    (void)state;
    enum { ROWS = 50001 };
    char *word = malloc(ROWS);
    mill_table *t = made_table(ROWS, 2);

    for (int i = 0; i < ROWS; i++) word[i] = (char)('a' + i % 3);
    made_words(t, 0, "k", MILL_CATEGORY, word);
    made_words(t, 1, "l", MILL_CATEGORY, word);
    for (int rows = ROWS; rows >= ROWS - 1; rows--)
        for (int compat = 0; compat < 2; compat++) {
            const eval_options o = {.parts = EVAL_QUALITY, .sdmetrics_compat = compat};
            json_t *r = NULL;
            t->rows = rows;
            assert_ok(mill_evaluate(&r, t, t, &o, NULL));
            assert_int_equal(is_noted(r, "drawn at random"), compat && rows == ROWS);
            json_decref(r);
        }
    t->rows = ROWS;
    mill_table_free(t);
    free(word);
}

void test_report__notes_what_it_did_to_the_data(void **state)
{
    (void)state;
    mill_table *real = people(2000, 9, false), *syn = people(2000, 10, false);
    const eval_options o = {.target = "kind", .max_rows = 500};
    json_t *r = NULL;

    assert_ok(column_set_missing(&real->col[2], 7));
    assert_ok(mill_evaluate(&r, real, syn, &o, NULL));
    const json_t *u = json_object_get(r, "utility");
    assert_int_equal((int)number(u, "test_rows") <= 500, 1);
    assert_int_equal((int)number(u, "synthetic_train_rows"), 500);
    assert_int_equal((int)number(json_object_get(r, "detection"), "real_rows"), 500);
    /* no holdout, a row without a target, at most 500 rows for utility, for detection, and for
     * privacy of either table */
    assert_int_equal(json_array_size(json_object_get(r, "notes")), 6);
    json_decref(r);
    mill_table_free(real);
    mill_table_free(syn);
}

void test_figure__shows_small_ones_too(void **state)
{
    (void)state;
    static const struct {
        double x;
        const char *want;
    } figure[] = {{0.97, "0.9700"},      {0, "0.0000"},         {-0.0, "0.0000"},
                  {1.234e-5, "1.2e-05"}, {-9.9e-4, "-0.00099"}, {0.001, "0.0010"},
                  {99.5, "99.5000"},     {32561.77, "32561.8"}};
    char buf[EVAL_FIGURE];

    for (size_t k = 0; k < sizeof figure / sizeof *figure; k++)
        assert_string_equal(eval_figure(buf, figure[k].x), figure[k].want);
}

void test_summary__shows_the_figures(void **state)
{
    (void)state;
    mill_table *t = people(300, 11, false);
    const eval_options o = {.target = "y", .seed = 3};
    mill_text text = {0};
    json_t *r = NULL;

    assert_ok(mill_evaluate(&r, t, t, &o, NULL));
    assert_ok(mill_evaluate_summary(&text, r));
    assert_non_null(strstr(text.s, "real 300 rows, synthetic 300 rows, seed 3\n"));
    char want[64];
    snprintf(want, sizeof want, "shapes                         1.0000 %8.4f\n",
             number(json_object_get(r, "expected"), "shapes"));
    assert_non_null(strstr(text.s, want));
    assert_non_null(
        strstr(text.s, "utility: regression of \"y\", tested on a fifth of the real table\n"));
    assert_non_null(strstr(text.s, "linear          r2"));
    assert_non_null(strstr(text.s, "note: "));
    json_object_set_new(json_object_get(r, "support"), "mmd", json_real(-1.5e-6));
    text_clear(&text);
    assert_ok(mill_evaluate_summary(&text, r));
    assert_non_null(strstr(text.s, " -1.5e-06 "));
    text_free(&text);
    json_decref(r);
    mill_table_free(t);
}

void test_report__survives_any_failed_allocation(void **state)
{
    (void)state;
    mill_table *real = people(90, 12, false), *syn = people(80, 13, false);
    const eval_options o = {.target = "yes"};
    const int64_t before = live_blocks();
    mill_err err = MILL_ENOMEM;

    for (int64_t n = 1; err; n++) {
        json_t *r = NULL;
        mill_mem_fail_at(n);
        err = mill_evaluate(&r, real, syn, &o, NULL);
        mill_mem_fail_at(0);
        if (err) assert_int_equal(err, MILL_ENOMEM);
        if (err)
            assert_null(r);
        else
            json_decref(r);
        assert_int_equal(live_blocks(), before);
    }
    mill_table_free(real);
    mill_table_free(syn);
}

static int64_t json_calls, json_fail_at, json_live;

static void *failing_malloc(size_t n)
{
    if (++json_calls == json_fail_at) return NULL;
    json_live++;
    return malloc(n);
}

static void counted_free(void *p)
{
    json_live -= p != NULL;
    free(p);
}

void test_report__survives_any_failed_json_allocation(void **state)
{
    (void)state;
    mill_table *real = people(30, 14, false), *syn = people(30, 15, false);
    const eval_options o = {.parts = EVAL_DIAGNOSTIC};
    json_malloc_t keep_malloc;
    json_free_t keep_free;
    mill_err err = MILL_ENOMEM;

    json_get_alloc_funcs(&keep_malloc, &keep_free);
    json_set_alloc_funcs(failing_malloc, counted_free);
    for (json_fail_at = 1; err; json_fail_at++) {
        json_t *r = NULL;
        json_calls = 0;
        err = mill_evaluate(&r, real, syn, &o, NULL);
        if (err)
            assert_int_equal(err, MILL_ENOMEM);
        else
            json_decref(r);
        assert_int_equal(json_live, 0);
    }
    assert_true(json_fail_at > 500); /* it did fail, many times */
    json_set_alloc_funcs(keep_malloc, keep_free);
    mill_table_free(real);
    mill_table_free(syn);
}
