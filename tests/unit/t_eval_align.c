/* t_eval_align.c - one table read as another: values by their text, nothing lost, or a refusal that
 * names the column. */
#include "lib/made.h"

#include "eval/align.h"

static const char *const name_x[] = {"x"};

static mill_err align(mill_table **out, const mill_table *t, const mill_table *like)
{
    return eval_align(out, t, like, name_x, 1, "synthetic");
}

static mill_table *words(mill_coltype type, const char *w)
{
    mill_table *t = made_table((int64_t)strlen(w), 1);

    made_words(t, 0, "x", type, w);
    return t;
}

static mill_table *numbers(mill_coltype type, const double *x, int64_t n)
{
    mill_table *t = made_table(n, 1);

    made_numbers(t, 0, "x", type, x);
    return t;
}

static void check_value(const mill_column *c, int64_t row, const char *text)
{
    int len;
    const char *s = column_value(c, c->code[row], &len);

    assert_int_equal(len, strlen(text));
    assert_memory_equal(s, text, strlen(text));
}

void test_align__matches_categories_by_text(void **state)
{
    (void)state;
    mill_table *like = words(MILL_CATEGORY, "abc"), *t = words(MILL_CATEGORY, "cz a"), *out = NULL;

    assert_ok(align(&out, t, like));
    const mill_column *c = &out->col[0];
    assert_int_equal(c->code[0], 2);
    assert_int_equal(c->code[1], 3); /* new: behind those of the other table */
    assert_false(column_is_valid(c, 2));
    assert_int_equal(c->code[3], 0);
    assert_int_equal(c->n_values, 4);
    assert_int_equal(c->n_missing, 1);
    check_value(c, 1, "z");
    mill_table_free(out);
    mill_table_free(t);
    mill_table_free(like);
}

void test_align__writes_numbers_as_categories(void **state)
{
    (void)state;
    const double x[] = {1, (double)NAN, 12}, y[] = {2.5, 1, 1};
    mill_table *like = words(MILL_CATEGORY, "12"), *t = numbers(MILL_INTEGER, x, 3), *out = NULL;

    assert_ok(align(&out, t, like));
    assert_int_equal(out->col[0].code[0], 0);
    assert_false(column_is_valid(&out->col[0], 1));
    check_value(&out->col[0], 2, "12");
    mill_table_free(out);
    mill_table_free(t);
    t = numbers(MILL_REAL, y, 3);
    assert_ok(align(&out, t, like));
    check_value(&out->col[0], 0, "2.50"); /* with the column's decimals */
    mill_table_free(out);
    mill_table_free(t);
    mill_table_free(like);
}

void test_align__reads_categories_as_numbers_or_refuses(void **state)
{
    (void)state;
    const double x[] = {1, 2};
    mill_table *like = numbers(MILL_INTEGER, x, 2), *t = words(MILL_CATEGORY, "7 3"), *out = NULL;

    assert_ok(align(&out, t, like));
    assert_near(column_f64(&out->col[0], 0), 7, 0);
    assert_true(isnan(column_f64(&out->col[0], 1)));
    mill_table_free(out);
    mill_table_free(t);

    out = NULL;
    t = words(MILL_CATEGORY, "7?");
    assert_fails(MILL_EINPUT, "synthetic table, column \"x\": \"?\" is not an integer",
                 align(&out, t, like));
    assert_null(out);
    mill_table_free(t);
    mill_table_free(like);
}

void test_align__keeps_reals_beside_integers(void **state)
{
    (void)state;
    const double x[] = {1, 2}, y[] = {1.5, 2};
    mill_table *like = numbers(MILL_INTEGER, x, 2), *t = numbers(MILL_REAL, y, 2), *out = NULL;

    assert_ok(align(&out, t, like));
    assert_near(column_f64(&out->col[0], 0), 1.5, 0);
    mill_table_free(out);
    mill_table_free(t);
    mill_table_free(like);
}

void test_align__does_not_guess_between_dates_and_numbers(void **state)
{
    (void)state;
    const double x[] = {0, 86400}, none[] = {(double)NAN};
    mill_table *dates = numbers(MILL_DATETIME, x, 2), *t = numbers(MILL_INTEGER, x, 2), *out = NULL;

    assert_fails(MILL_EINPUT, "\"0\" is not a datetime", align(&out, t, dates));
    assert_fails(MILL_EINPUT, "\"1970-01-01\" is not an integer", align(&out, dates, t));
    assert_null(out);
    mill_table_free(t);
    t = numbers(MILL_INTEGER, none, 1); /* nothing there: fits anything */
    assert_ok(align(&out, t, dates));
    assert_int_equal(out->col[0].type, MILL_DATETIME);
    assert_int_equal(out->col[0].n_missing, 1);
    mill_table_free(out);
    mill_table_free(t);
    mill_table_free(dates);
}
