/* t_api.c - the public interface, as a program sees it that has nothing but tabmill.h. */
#include "lib/test.h"

#include <jansson.h>

#include "tabmill.h"

#include <fcntl.h>
#include <immintrin.h>
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

static void write_odd_table(char path[64])
{
    path_of(path, "odd.csv");
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs("x,k\n1,a\n1e999,b\n", f);
    assert_int_equal(fclose(f), 0);
}

/* Before anybody has called mill_on_warning, too. */
void test_api__prints_nothing(void **state)
{
    mill_engine *e;
    mill_table *t;
    char in[64], talk[64];

    (void)state;
    write_odd_table(in);
    path_of(talk, "stderr");
    const int was = dup(STDERR_FILENO), to = open(talk, O_CREAT | O_TRUNC | O_RDWR, 0600);
    assert_true(was >= 0 && to >= 0 && dup2(to, STDERR_FILENO) >= 0);
    const int opened = mill_engine_open(&e, 1), read = mill_table_open(&t, e, in, NULL);
    assert_true(dup2(was, STDERR_FILENO) >= 0);
    assert_int_equal(opened, TABMILL_OK);
    assert_int_equal(read, TABMILL_OK);
    assert_int_equal(lseek(to, 0, SEEK_END), 0);
    close(was);
    close(to);
    mill_table_free(t);
    mill_engine_close(e);
    unlink(in);
    unlink(talk);
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
    static const int64_t outside[][2] = {{-1, 0}, {7, 0}, {1, -1}, {1, 344}, {0, -1}, {0, 344}};
    for (int i = 0; i < 6; i++) {
        const int col = (int)outside[i][0];
        assert_int_equal(mill_table_number(&x, t, col, outside[i][1]), 0);
        assert_int_equal(mill_table_text(text, sizeof text, t, col, outside[i][1]), -1);
    }
    assert_null(mill_table_name(t, -1));
    assert_null(mill_table_type(t, 7));

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

static void keep_line(void *ctx, const char *line)
{
    snprintf(ctx, 200, "%s", line);
}

void test_api__warns_where_it_is_told_to(void **state)
{
    mill_engine *e;
    mill_table *t;
    char in[64], said[200] = "";

    (void)state;
    write_odd_table(in);
    mill_on_warning(keep_line, said);
    assert_int_equal(mill_engine_open(&e, 1), TABMILL_OK);
    assert_int_equal(mill_table_open(&t, e, in, NULL), TABMILL_OK);
    assert_non_null(strstr(said, "odd.csv:3: column \"x\" is read as category: \"1e999\""));
    mill_table_free(t);
    *said = 0;
    mill_on_warning(NULL, said);
    assert_int_equal(mill_table_open(&t, e, in, NULL), TABMILL_OK);
    assert_string_equal(said, "");
    mill_table_free(t);
    mill_engine_close(e);
    unlink(in);
}

void test_api__saves_a_table_by_its_name(void **state)
{
    static const char *const ending[] = {"s.tsv", "s.npz"};
    mill_engine *e;
    mill_table *t, *back;
    char out[64], want[16], got[16];

    (void)state;
    assert_int_equal(mill_version()[0], '0');
    assert_int_equal(mill_engine_open(&e, 1), TABMILL_OK);
    assert_int_equal(mill_table_open(&t, e, penguins, NULL), TABMILL_OK);
    for (int k = 0; k < 2; k++) {
        path_of(out, ending[k]);
        assert_int_equal(mill_table_save(t, e, out, 0), TABMILL_OK);
        assert_int_equal(mill_table_save(t, e, out, 0), TABMILL_EINPUT); /* exists */
        assert_int_equal(mill_table_save(t, e, out, 1), TABMILL_OK);
        assert_int_equal(mill_table_open(&back, e, out, NULL), TABMILL_OK);
        assert_int_equal(mill_table_rows(back), 344);
        for (int64_t i = 0; i < 344; i++) {
            mill_table_text(want, sizeof want, t, 0, i);
            mill_table_text(got, sizeof got, back, 0, i);
            assert_string_equal(want, got);
        }
        mill_table_free(back);
        unlink(out);
    }
    mill_table_free(t);
    mill_engine_close(e);
}

void test_api__says_what_was_wrong(void **state)
{
    const char *bad[] = {"bins=1", NULL}, *none[] = {"colour=red", NULL},
               *no_key[] = {"bins", NULL}, *unused[] = {"epochs=3", NULL};
    const char *blind[] = {"method=ctgan", "early-stop=2", "probe-every=0", NULL};
    const char *withheld[] = {"holdout-fraction=0.2", "probe-every=0", NULL};
    const char *stop[] = {"method=independent", "early-stop=3", NULL},
               *where[] = {"species=Penguin", NULL};
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
    assert_non_null(strstr(mill_error(), "early-stop does nothing with the method independent"));
    assert_int_equal(mill_model_fit(path, e, t, unused, NULL, NULL), TABMILL_EINPUT);
    assert_non_null(strstr(mill_error(), "epochs does nothing with the method mixture"));
    assert_int_equal(mill_model_fit(path, e, t, withheld, NULL, NULL), TABMILL_EINPUT);
    assert_int_equal(mill_model_fit(path, e, t, blind, NULL, NULL), TABMILL_EINPUT);
    assert_non_null(strstr(mill_error(), "probe-every is 0"));
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

static char *file_text(const char *path, long *n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *n = ftell(f);
    rewind(f);
    char *text = malloc((size_t)*n + 1);
    assert_int_equal(fread(text, 1, (size_t)*n, f), *n);
    text[*n] = 0;
    fclose(f);
    return text;
}

static void assert_same_files(const char *a, const char *b)
{
    long n, m;
    char *x = file_text(a, &n), *y = file_text(b, &m);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

static int count_calls(void *ctx, int64_t step, int64_t steps, double value)
{
    (void)value;
    if (step < steps) ++*(int64_t *)ctx;
    return 0;
}

/* Stops before its time, and what is written is the state of the best probe: that of a fit which
 * ends there by itself, and what the command writes. */
void test_api__early_stop_keeps_the_best_state(void **state)
{
    const char *stop[] = {"method=tvae",   "epochs=60",    "batch-size=100", "seed=4",
                          "probe-every=2", "early-stop=2", "lr=0.02",        NULL};
    char path[64], other[64], line[400];
    int64_t calls = 0;
    mill_engine *e;
    mill_table *t;

    (void)state;
    path_of(path, "d.mill");
    path_of(other, "d2.mill");
    assert_int_equal(mill_engine_open(&e, 2), TABMILL_OK);
    assert_int_equal(mill_table_open(&t, e, penguins, NULL), TABMILL_OK);
    assert_int_equal(mill_model_fit(path, e, t, stop, count_calls, &calls), TABMILL_OK);
    assert_true(calls > 0 && calls < 60 * 4 - 1); /* of 60 epochs of 4 steps */
    snprintf(line, sizeof line,
             "%s/tabmill fit -q -i %s -o %s -m tvae -e 60 --batch-size 100 --seed 4 "
             "--probe-every 2 --early-stop 2 --lr 0.02 --force && rm -r %s.run",
             getenv("TEST_BUILD") ? getenv("TEST_BUILD") : TEST_BUILD, penguins, other, other);
    assert_int_equal(system(line), 0);
    assert_same_files(path, other);
    mill_table_free(t);
    mill_engine_close(e);
    unlink(path);
    unlink(other);
}

void test_api__evaluates_as_the_command_does(void **state)
{
    const char *options[] = {
        "target=species", "seed=2", "known=island", "known=sex", "sensitive=year",
        "max-rows=200",   NULL};
    const char *bad[] = {"target=colour", NULL}, *unknown[] = {"colour=red", NULL},
               *vague[] = {"sdmetrics-compat=perhaps", NULL};
    char model[64], csv[64], report[64], line[600];
    char *json = NULL, *want;
    long n;
    mill_engine *e;
    mill_table *real, *synthetic;
    mill_model *m;

    (void)state;
    path_of(model, "e.mill");
    path_of(csv, "e.csv");
    path_of(report, "e.json");
    assert_int_equal(mill_engine_open(&e, 2), TABMILL_OK);
    assert_int_equal(mill_table_open(&real, e, penguins, NULL), TABMILL_OK);
    assert_int_equal(mill_model_fit(model, e, real, NULL, NULL, NULL), TABMILL_OK);
    assert_int_equal(mill_model_open(&m, e, model), TABMILL_OK);
    assert_int_equal(mill_model_sample_file(csv, m, 300, 7, NULL, 1), TABMILL_OK);
    mill_model_close(m);
    assert_int_equal(mill_table_open_like(&synthetic, e, csv, real, NULL), TABMILL_OK);
    assert_int_equal(mill_table_evaluate(&json, e, real, synthetic, real, options), TABMILL_OK);
    snprintf(line, sizeof line,
             "%s/tabmill evaluate -q %s %s --holdout %s --target species --seed 2 --known island "
             "--known sex --sensitive year --max-rows 200 --json %s -f >/dev/null",
             getenv("TEST_BUILD") ? getenv("TEST_BUILD") : TEST_BUILD, penguins, csv, penguins,
             report);
    assert_int_equal(system(line), 0);
    want = file_text(report, &n);
    json_t *ours = json_loads(json, 0, NULL), *commands = json_loads(want, 0, NULL);
    assert_non_null(ours);
    assert_int_equal(json_object_del(commands, "input"), 0); /* the files, which it has read */
    assert_int_equal(json_object_del(commands, "run"), 0);
    assert_true(json_equal(ours, commands));
    assert_non_null(strstr(json, "\"train_on_synthetic\""));
    assert_non_null(strstr(json, "\"sensitive\": \"year\""));
    json_decref(ours);
    json_decref(commands);
    mill_report_free(json);
    free(want);
    json = NULL;
    assert_int_equal(mill_table_evaluate(&json, e, real, synthetic, NULL, bad), TABMILL_EINPUT);
    assert_int_equal(mill_table_evaluate(&json, e, real, synthetic, NULL, unknown), TABMILL_EINPUT);
    assert_int_equal(mill_table_evaluate(&json, e, real, synthetic, NULL, vague), TABMILL_EINPUT);
    assert_null(json);
    mill_table_free(synthetic);
    mill_table_free(real);
    mill_engine_close(e);
    unlink(model);
    unlink(csv);
    unlink(report);
}

/* A caller linked with fast-math rounds and flushes as it likes; it gets the same bytes, and its
 * own settings back. */
void test_api__does_not_depend_on_the_callers_rounding(void **state)
{
    const unsigned usual = _mm_getcsr(), odd = usual | _MM_ROUND_UP | _MM_FLUSH_ZERO_ON;
    char path[2][64];

    (void)state;
    for (int i = 0; i < 2; i++) {
        mill_engine *e;
        mill_table *t;
        path_of(path[i], i ? "f.mill" : "g.mill");
        assert_int_equal(mill_engine_open(&e, 1), TABMILL_OK);
        if (i) _mm_setcsr(odd);
        int err = mill_table_open(&t, e, penguins, NULL);
        if (!err) err = mill_model_fit(path[i], e, t, NULL, NULL, NULL);
        const unsigned after = _mm_getcsr();
        _mm_setcsr(usual);
        assert_int_equal(err, TABMILL_OK);
        if (i) assert_int_equal(after & ~0x3fu, odd & ~0x3fu); /* less the sticky flags */
        mill_table_free(t);
        mill_engine_close(e);
    }
    assert_same_files(path[0], path[1]);
    unlink(path[0]);
    unlink(path[1]);
}
