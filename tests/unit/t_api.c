/* t_api.c - the public interface, as a program sees it that has nothing but tabmill.h. */
#include "lib/test.h"

#include "tabmill.h"

#include <math.h>
#include <unistd.h>

static const char penguins[] = "examples/penguins.csv";

static void path_of(char path[64], const char *what)
{
    snprintf(path, 64, "/tmp/tabmill-api-%ld-%s", (long)getpid(), what);
}

static int count_steps(void *ctx, int64_t step, int64_t steps, double value)
{
    int64_t *seen = ctx;

    assert_true(step <= steps && isfinite(value));
    seen[0]++;
    return seen[1] && step >= seen[1]; /* seen[1]: stop there */
}

void test_api__fits_samples_and_scores(void **state)
{
    const char *read[] = {"discrete=year", "drop=island", NULL};
    const char *fit[] = {"method=mixture", "components=8", "seed=3", NULL};
    const char *where[] = {"species=Gentoo", "body_mass_g>=5000", NULL};
    mill_engine *e;
    mill_table *t, *d;
    mill_model *m;
    char path[64], text[8];
    int64_t seen[2] = {0, 0};
    double x, *score;

    (void)state;
    path_of(path, "a.mill");
    assert_int_equal(mill_engine_open(&e, 2), TABMILL_OK);
    assert_int_equal(mill_table_open(&t, e, penguins, read), TABMILL_OK);
    assert_int_equal(mill_table_rows(t), 344);
    assert_int_equal(mill_table_columns(t), 7);
    assert_string_equal(mill_table_name(t, 0), "species");
    assert_null(mill_table_name(t, 7));
    assert_string_equal(mill_table_type(t, 6), "category");
    assert_int_equal(mill_table_text(text, sizeof text, t, 0, 0), 6);
    assert_string_equal(text, "Adelie");
    assert_int_equal(mill_table_text(text, 4, t, 0, 0), 6);
    assert_string_equal(text, "Ade");
    assert_int_equal(mill_table_number(&x, t, 1, 0), 1);
    assert_true(x == 39.1);
    assert_int_equal(mill_table_number(&x, t, 1, 3), 0); /* missing there */
    assert_int_equal(mill_table_number(&x, t, 0, 0), 0);

    assert_int_equal(mill_model_fit(path, e, t, fit, count_steps, seen), TABMILL_OK);
    assert_true(seen[0] > 5);
    assert_int_equal(mill_model_open(&m, e, path), TABMILL_OK);
    assert_string_equal(mill_model_method(m), "mixture");
    assert_int_equal(mill_model_sample(&d, m, 500, 1, where), TABMILL_OK);
    for (int64_t i = 0; i < 500; i++) {
        assert_int_equal(mill_table_text(text, sizeof text, d, 0, i), 6);
        assert_string_equal(text, "Gentoo");
        assert_int_equal(mill_table_number(&x, d, 4, i), 1);
        assert_true(x >= 5000);
    }
    score = malloc(500 * sizeof *score);
    assert_int_equal(mill_model_score(score, m, d), TABMILL_OK);
    for (int i = 0; i < 500; i++) assert_true(isfinite(score[i]) && score[i] < 0);
    free(score);
    mill_table_free(d);
    mill_model_close(m);
    mill_table_free(t);
    mill_engine_close(e);
    unlink(path);
}

void test_api__writes_the_rows_that_it_draws(void **state)
{
    mill_engine *e;
    mill_table *t, *d, *back;
    mill_model *m;
    char model[64], out[64];
    double a, b;

    (void)state;
    path_of(model, "b.mill");
    path_of(out, "b.csv");
    assert_int_equal(mill_engine_open(&e, 1), TABMILL_OK);
    assert_int_equal(mill_table_open(&t, e, penguins, NULL), TABMILL_OK);
    assert_int_equal(mill_model_fit(model, e, t, NULL, NULL, NULL), TABMILL_OK);
    assert_int_equal(mill_model_open(&m, e, model), TABMILL_OK);
    assert_int_equal(mill_model_sample_file(out, m, 300, 7, NULL, 0), TABMILL_OK);
    assert_int_equal(mill_model_sample_file(out, m, 300, 7, NULL, 0), TABMILL_EINPUT); /* exists */
    assert_int_equal(mill_model_sample(&d, m, 300, 7, NULL), TABMILL_OK);
    assert_int_equal(mill_table_open(&back, e, out, NULL), TABMILL_OK);
    assert_int_equal(mill_table_rows(back), 300);
    for (int64_t i = 0; i < 300; i++) {
        const int has = mill_table_number(&a, d, 2, i);
        assert_int_equal(has, mill_table_number(&b, back, 2, i));
        if (has) assert_true(a == b);
    }
    mill_table_free(back);
    mill_table_free(d);
    mill_model_close(m);
    mill_table_free(t);
    mill_engine_close(e);
    unlink(model);
    unlink(out);
}

void test_api__says_what_was_wrong(void **state)
{
    const char *bad[] = {"bins=1", NULL}, *none[] = {"colour=red", NULL},
               *no_key[] = {"bins", NULL};
    const char *stop[] = {"early-stop=3", NULL}, *where[] = {"species=Penguin", NULL};
    mill_engine *e;
    mill_table *t, *d;
    mill_model *m;
    char path[64];
    int64_t seen[2] = {0, 2};

    (void)state;
    path_of(path, "c.mill");
    assert_int_equal(mill_engine_open(&e, 1), TABMILL_OK);
    assert_int_equal(mill_table_open(&t, e, "/no/such/table.csv", NULL), TABMILL_EIO);
    assert_non_null(strstr(mill_error(), "/no/such/table.csv"));
    assert_int_equal(mill_table_open(&t, e, penguins, none), TABMILL_EINPUT);
    assert_int_equal(mill_table_open(&t, e, penguins, NULL), TABMILL_OK);
    assert_int_equal(mill_model_fit(path, e, t, bad, NULL, NULL), TABMILL_EINPUT);
    assert_int_equal(mill_model_fit(path, e, t, none, NULL, NULL), TABMILL_EINPUT);
    assert_int_equal(mill_model_fit(path, e, t, no_key, NULL, NULL), TABMILL_EINPUT);
    assert_int_equal(mill_model_fit(path, e, t, stop, NULL, NULL), TABMILL_EINPUT);
    assert_int_equal(mill_model_fit(path, e, t, NULL, count_steps, seen), TABMILL_EINPUT);
    assert_non_null(strstr(mill_error(), "stopped after step 2"));
    assert_int_equal(access(path, F_OK), -1); /* nothing was written */
    assert_int_equal(mill_model_open(&m, e, penguins), TABMILL_EINPUT);
    assert_int_equal(mill_model_fit(path, e, t, NULL, NULL, NULL), TABMILL_OK);
    assert_int_equal(mill_model_open(&m, e, path), TABMILL_OK);
    assert_int_equal(mill_model_sample(&d, m, 10, 0, where), TABMILL_EINPUT);
    assert_int_equal(mill_model_sample(&d, m, -1, 0, NULL), TABMILL_EINPUT);
    mill_model_close(m);
    mill_table_free(t);
    mill_engine_close(e);
    unlink(path);
}
