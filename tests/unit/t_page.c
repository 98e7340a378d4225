/* t_page.c - the page of an evaluation: what stands in it, strange names, lack of memory.  A
 * browser looks at it in tests/parity/p_page.py. */
#include "lib/made.h"

#include "eval/evaluate.h"
#include "eval/headline.h"
#include "report/page.h"

#define NONE ((double)NAN)
enum { ROWS = 40 };

static mill_table *small(const char *name, double shift)
{
    double x[ROWS], y[ROWS];
    char a[ROWS + 1];
    mill_table *t = made_table(ROWS, 3);

    for (int i = 0; i < ROWS; i++) {
        x[i] = i % 7 ? i * 0.37 - floor(i * 0.37) + shift : NONE;
        y[i] = i % 5;
        a[i] = "pqr"[i % 3];
    }
    made_numbers(t, 0, name, MILL_REAL, x);
    made_numbers(t, 1, "y", MILL_INTEGER, y);
    made_words(t, 2, "a", MILL_CATEGORY, a);
    return t;
}

static json_t *report_of(const char *name, const char *target)
{
    mill_table *real = small(name, 0), *syn = small(name, 0.2);
    const eval_options o = {.target = target, .holdout = real};
    json_t *r = NULL;

    assert_ok(mill_evaluate(&r, real, syn, &o, NULL));
    mill_table_free(real);
    mill_table_free(syn);
    return r;
}

static int count(const char *s, const char *part)
{
    int n = 0;
    for (; (s = strstr(s, part)); s += strlen(part)) n++;
    return n;
}

void test_page__has_a_card_for_each_column_and_every_section(void **state)
{
    (void)state;
    static const char *const id[] = {"summary",  "quality", "columns", "pairs",
                                     "validity", "support", "utility", "detection",
                                     "privacy",  "notes",   "run"};
    json_t *r = report_of("x", "y");
    mill_text t = {0};
    char want[64];

    assert_ok(report_page(&t, r));
    for (size_t k = 0; k < sizeof id / sizeof *id; k++) {
        snprintf(want, sizeof want, "<section id=\"%s\"", id[k]);
        assert_int_equal(count(t.s, want), 1);
        snprintf(want, sizeof want, "<li><a href=\"#%s\">", id[k]);
        assert_int_equal(count(t.s, want), 1);
    }
    assert_int_equal(count(t.s, "<figure>"), 3);
    assert_int_equal(count(t.s, "<figure class=\"map\""), 1);
    assert_int_equal(count(t.s, "<svg"), count(t.s, "</svg>"));
    assert_int_equal(count(t.s, "<section"), count(t.s, "</section>"));
    assert_int_equal(count(t.s, "<table"), count(t.s, "</table>"));
    assert_int_equal(count(t.s, "<script"), 0);
    assert_non_null(strstr(t.s, "data-path=\"privacy.dcr.tabsyn_share\""));
    text_free(&t);
    json_decref(r);
}

void test_page__shows_the_worst_column_first(void **state)
{
    (void)state;
    json_t *r = report_of("x", NULL);
    mill_text t = {0};

    assert_ok(report_page(&t, r));
    const char *cards = strstr(t.s, "<section id=\"columns\"");
    const char *x = strstr(cards, ">x</text>"), *a = strstr(cards, ">a</text>");
    assert_non_null(x);
    assert_non_null(a);
    assert_true(x < a); /* x is shifted, a is the same */
    text_free(&t);
    json_decref(r);
}

void test_page__shows_the_worst_pairs_first(void **state)
{
    (void)state;
    json_t *r = report_of("x", NULL);
    const json_t *pairs = json_object_get(r, "pairs");
    mill_text t = {0};
    double last = -1;
    int n = 0, at, before = -1, n_back = 0;

    assert_ok(report_page(&t, r));
    for (const char *s = strstr(t.s, "The pairs that are least alike");
         (s = strstr(s, "data-path=\"pairs.")) && sscanf(s, "data-path=\"pairs.%d.score", &at) == 1;
         s++, n++) {
        const double score =
            json_number_value(json_object_get(json_array_get(pairs, (size_t)at), "score"));
        assert_true(score >= last);
        last = score;
        n_back += at < before;
        before = at;
    }
    assert_true(n > 2 && n_back > 0); /* they stand otherwise in the report */
    text_free(&t);
    json_decref(r);
}

void test_page__takes_a_name_for_a_name(void **state)
{
    (void)state;
    json_t *r = report_of("</svg><script>alert(\"x\")</script>", NULL);
    mill_text t = {0};

    assert_ok(report_page(&t, r));
    assert_int_equal(count(t.s, "<script"), 0);
    assert_true(count(t.s, "&#60;script&#62;") > 3);
    text_free(&t);
    json_decref(r);
}

void test_page__shows_several_tables_side_by_side(void **state)
{
    (void)state;
    json_t *all = json_pack("{s:s, s:i, s:[o, o]}", "format", "tabmill evaluation", "version", 1,
                            "reports", report_of("x", NULL), report_of("other", NULL));
    mill_text t = {0};

    assert_ok(report_page(&t, all));
    assert_true(count(t.s, "data-table=\"1\"") > 10);
    assert_int_equal(count(t.s, "<figure class=\"map\""), 2);
    /* the second table has no column x: a dash, and no figure of another column in its place */
    assert_null(strstr(t.s, "data-path=\"columns.-1"));
    text_free(&t);
    json_decref(all);
}

/* The page of n reports, which it takes. */
static char *page_of(json_t *const *report, int n)
{
    json_t *all =
        json_pack("{s:s, s:i, s:[]}", "format", "tabmill evaluation", "version", 1, "reports");
    mill_text t = {0};

    for (int k = 0; k < n; k++)
        assert_int_equal(json_array_append_new(json_object_get(all, "reports"), report[k]), 0);
    assert_ok(report_page(&t, all));
    json_decref(all);
    return t.s;
}

void test_page__shows_what_the_first_table_lacks(void **state)
{
    (void)state;
    mill_table *real = small("x", 0), *syn = small("x", 0.2), *cut = NULL;
    const eval_options none = {0}, target = {.target = "y"};
    json_t *r[2] = {NULL, NULL};

    assert_ok(table_take_cols(&cut, syn, (const int[]){1, 2}, 2));
    assert_ok(mill_evaluate(&r[0], real, cut, &none, NULL));
    assert_ok(mill_evaluate(&r[1], real, syn, &target, NULL));
    char *const page = page_of(r, 2);
    assert_int_equal(count(page, "<figure>"), 3);
    assert_true(count(page, "data-table=\"1\" data-path=\"columns.0.shape\"") == 1);
    assert_true(count(page, "data-table=\"1\" data-path=\"pairs.0.score\"") == 1);   /* x, y */
    assert_true(count(page, "data-table=\"0\" data-path=\"columns.0.shape\"") == 1); /* y */
    assert_true(count(page, "<small class=\"why\">the table does not have it</small>") > 2);
    assert_non_null(strstr(page, "<p>Regression of <strong>y</strong>"));
    assert_non_null(strstr(page, "<small class=\"why\">no target column was named</small>"));
    mill_free(page);
    mill_table_free(real);
    mill_table_free(syn);
    mill_table_free(cut);
}

void test_page__says_that_a_drawing_leaves_tables_out(void **state)
{
    (void)state;
    json_t *r[8];

    for (int n = 7; n <= 8; n++) {
        r[0] = report_of("x", NULL);
        for (int k = 1; k < n; k++) r[k] = json_deep_copy(r[0]);
        char *const page = page_of(r, n);
        assert_int_equal(count(page, "A drawing has room for 7 tables"), n > 7);
        mill_free(page);
    }
}

/* 124,750 pairs in each of two tables: where each looks for its like among all, that takes longer
 * than a test may. */
void test_page__of_many_columns_is_drawn_in_no_time(void **state)
{
    (void)state;
    enum { COLUMNS = 500 };
    char name[2][16];
    json_t *r[2];

    r[0] = json_pack("{s:s, s:[], s:[]}", "format", "tabmill evaluation", "columns", "pairs");
    for (int a = 0; a < COLUMNS; a++) {
        snprintf(name[0], sizeof name[0], "column %d", a);
        json_array_append_new(json_object_get(r[0], "columns"),
                              json_pack("{s:s}", "name", name[0]));
        for (int b = a + 1; b < COLUMNS; b++) {
            snprintf(name[1], sizeof name[1], "column %d", b);
            json_array_append_new(
                json_object_get(r[0], "pairs"),
                json_pack("{s:s, s:s, s:f}", "a", name[0], "b", name[1], "score", 1 / (1.0 + b)));
        }
    }
    r[1] = json_deep_copy(r[0]);
    char *const page = page_of(r, 2);
    assert_int_equal(count(page, "data-table=\"1\" data-path=\"pairs.498.score\""), 1);
    mill_free(page);
}

void test_page__shows_what_is_expected_beside_each_figure(void **state)
{
    (void)state;
    json_t *other = report_of("x", NULL), *all;
    mill_text t = {0};

    json_object_set_new(json_object_get(other, "expected"), "shapes", json_real(0.5));
    all = json_pack("{s:s, s:i, s:[o, o]}", "format", "tabmill evaluation", "version", 1, "reports",
                    report_of("x", NULL), other);
    assert_ok(report_page(&t, all));
    /* In the summary and under Quality, behind the figure of the same table. */
    assert_int_equal(
        count(t.s, "<small>expected <span data-table=\"1\" data-path=\"expected.shapes\">0.5000<"),
        2);
    assert_int_equal(count(t.s, "data-table=\"0\" data-path=\"expected.shapes\""), 2);
    for (const eval_headline *h = eval_headlines; h->path; h++) {
        char want[96];
        if (!h->expected || !json_is_number(eval_at(other, h->expected))) continue;
        snprintf(want, sizeof want, "data-table=\"0\" data-path=\"%s\"", h->expected);
        if (!strstr(t.s, want)) fail_msg("nothing is expected of %s", h->path);
    }
    text_free(&t);
    json_decref(all);
}

/* No target, no known columns, no model: a reading and a reason for each of their figures. */
void test_page__says_why_a_figure_is_not_there(void **state)
{
    (void)state;
    json_t *r = report_of("x", NULL);
    mill_text t = {0};

    assert_ok(report_page(&t, r));
    assert_non_null(strstr(t.s, "<small class=\"why\">no known columns were named</small>"));
    assert_non_null(strstr(t.s, "<small class=\"why\">no model was given</small>"));
    assert_non_null(strstr(t.s, "<p>Not computed: no target column was named.</p>"));
    for (const eval_headline *h = eval_headlines; h->path; h++)
        if (!strstr(t.s, h->label)) fail_msg("the page has no %s", h->label);
    text_free(&t);
    json_decref(r);
}

void test_page__refuses_what_is_no_report(void **state)
{
    (void)state;
    mill_text t = {0};
    json_t *o = json_pack("{s:s}", "format", "something else");

    assert_fails(MILL_EINPUT, "no report", report_page(&t, o));
    assert_fails(MILL_EINPUT, "no report", report_page(&t, NULL));
    json_decref(o);
    o = json_pack("{s:s, s:[]}", "format", "tabmill evaluation", "reports");
    assert_fails(MILL_EINPUT, "1 to 64 tables", report_page(&t, o));
    json_decref(o);
    text_free(&t);
}

void test_page__survives_any_failed_allocation(void **state)
{
    (void)state;
    json_t *r = report_of("x", NULL);
    const int64_t before = live_blocks();
    mill_err err = MILL_ENOMEM;

    for (int64_t n = 1; err; n++) {
        mill_text t = {0};
        mill_mem_fail_at(n);
        err = report_page(&t, r);
        mill_mem_fail_at(0);
        if (err) assert_int_equal(err, MILL_ENOMEM);
        text_free(&t);
        assert_int_equal(live_blocks(), before);
    }
    json_decref(r);
}
