/* t_synth_codes.c - numbers as codes: bins, heavy values, decoding, and what is not kept. */
#include "lib/planted.h"

static mill_table *numbers(const double *x, int64_t n, mill_coltype type, int decimals)
{
    mill_table *t;

    assert_ok(table_new(&t, n, 1));
    assert_ok(column_init(&t->col[0], "x", type, n));
    t->col[0].decimals = decimals;
    if (type == MILL_DATETIME) assert_non_null(t->col[0].format = mill_strdup("%Y-%m-%d"));
    for (int64_t i = 0; i < n; i++) {
        if (isnan(x[i])) {
            assert_ok(column_set_missing(&t->col[0], i));
        } else if (type == MILL_REAL) {
            t->col[0].f64[i] = x[i];
        } else {
            t->col[0].i64[i] = (int64_t)x[i];
        }
    }
    return t;
}

typedef struct {
    mill_table *t;
    synth_schema *s;
    synth_coder c;
} coded;

static coded code_up(const double *x, int64_t n, mill_coltype type, int decimals, int64_t bins,
                     int64_t trim)
{
    coded k = {.t = numbers(x, n, type, decimals)};
    synth_config c = synth_config_default();

    c.trim_rare = trim;
    assert_ok(synth_schema_fit(&k.s, k.t, &c));
    assert_ok(synth_coder_fit(&k.c, &k.s->col[0], &k.t->col[0], bins, trim));
    return k;
}

static void drop(coded *k)
{
    synth_coder_free(&k->c);
    synth_schema_free(k->s);
    mill_table_free(k->t);
}

void test_coder__keeps_few_repeating_values_as_they_are(void **state)
{
    double x[60];

    (void)state;
    for (int i = 0; i < 60; i++) x[i] = i % 6 == 0 ? (double)NAN : (i % 4) * 7 - 3;
    coded k = code_up(x, 60, MILL_INTEGER, 0, 100, 0);
    assert_int_equal(k.c.n, 5);
    assert_int_equal(k.c.missing, 4);
    for (int v = 0; v < 4; v++) {
        const int32_t code = synth_coder_find(&k.c, v * 7 - 3);
        assert_int_equal(code, v);
        assert_true(synth_coder_value(&k.c, &k.s->col[0], code, 0.3) == v * 7 - 3);
    }
    assert_int_equal(synth_coder_find(&k.c, 5), -1);
    assert_int_equal(synth_coder_find(&k.c, -4), -1);
    drop(&k);
}

/* 92 % zeros, the rest spread: zero has its own code, and nearly all bins go to the rest. */
void test_coder__gives_a_heavy_value_its_own_code(void **state)
{
    enum { N = 20000 };
    double *x = malloc(N * sizeof *x);

    (void)state;
    for (int i = 0; i < N; i++) x[i] = i % 25 < 23 ? 0 : 100 + (double)((i * 7919LL) % 50000);
    coded k = code_up(x, N, MILL_INTEGER, 0, 100, 0);
    const int32_t zero = synth_coder_find(&k.c, 0);
    assert_int_equal(zero, 0);
    assert_int_equal(k.c.kind[zero], CODE_VALUE);
    assert_true(k.c.n > 80 && k.c.n <= 110);
    /* 1600 rows in about 99 bins: none holds more than 3 shares */
    for (int32_t c = 1; c < k.c.n; c++) {
        int rows = 0;
        for (int i = 0; i < N; i++) rows += x[i] > 0 && synth_coder_find(&k.c, x[i]) == c;
        assert_true(rows >= 1 && rows < 3 * 1600 / 99);
    }
    drop(&k);
    free(x);
}

static void check_decoding(int n)
{
    double *x = malloc((size_t)n * sizeof *x);
    mill_rng rng = mill_rng_init(1, 2, 3);

    for (int i = 0; i < n; i++) x[i] = rint(exp(11 * mill_rng_f64(&rng)) * 100) / 100;
    coded k = code_up(x, n, MILL_REAL, 2, 40, 0);
    assert_int_equal(k.s->col[0].n_different > SYNTH_FEW_VALUES, n > 50000);
    int *rows = calloc((size_t)k.c.n, sizeof *rows);
    for (int i = 0; i < n; i++) rows[synth_coder_find(&k.c, x[i])]++;
    for (int32_t c = 0; c < k.c.n; c++) assert_true(rows[c] > n / 100 && rows[c] < n / 20);
    free(rows);
    for (int32_t c = 0; c < k.c.n; c++) {
        for (int u = 0; u < 100; u++) {
            const double y = synth_coder_value(&k.c, &k.s->col[0], c, u / 100.0);
            assert_true(y >= k.s->col[0].least && y <= k.s->col[0].most);
            assert_true(y >= k.c.first[c] && y <= k.c.last[c]);
            assert_true(fabs(y * 100 - rint(y * 100)) < 1e-6);
            assert_int_equal(synth_coder_find(&k.c, y), c);
        }
    }
    drop(&k);
    free(x);
}

static void check_cells(const coded *k)
{
    const int32_t n = coder_n_present(&k->c);

    for (int32_t c = 0; c < n; c++) assert_true(k->c.first[c] <= k->c.last[c]);
    for (int32_t c = 1; c < n; c++) assert_true(k->c.last[c - 1] < k->c.first[c]);
}

/* Where a step of the grid is less than doubles can tell apart: every value keeps a cell. */
void test_coder__cells_never_touch(void **state)
{
    enum { N = 600, KINDS = 5 };
    static const mill_coltype type[KINDS] = {MILL_REAL, MILL_REAL, MILL_REAL, MILL_INTEGER,
                                             MILL_REAL};
    static const int decimals[KINDS] = {15, 15, 6, 0, 15};
    mill_rng rng = mill_rng_init(9, 0, 0);
    double x[N];

    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        for (int i = 0; i < N; i++) {
            const double u = mill_rng_f64(&rng);
            x[i] = kind == 0   ? 10 * u
                   : kind == 1 ? 50 + u
                   : kind == 2 ? rint(u * 1e3) * 1e6 + 1e10
                   : kind == 3 ? rint(u * u * 0x1p53)
                               : 1e-18 * u;
            if (i % 3 == 0) x[i] = x[0]; /* a heavy value between two bins */
        }
        coded k = code_up(x, N, type[kind], decimals[kind], 40, 0);
        check_cells(&k);
        for (int i = 0; i < N; i++) assert_true(synth_coder_find(&k.c, x[i]) >= 0);
        drop(&k);
    }
}

/* 40 bins of equal mass; counted values at 5,000 rows, sorted ones at 100,000. */
void test_coder__decodes_within_the_cell_and_on_the_grid(void **state)
{
    (void)state;
    check_decoding(5000);
    check_decoding(100000);
}

void test_coder__keeps_the_unit_of_integers_and_times(void **state)
{
    enum { N = 4000 };
    double *x = malloc(N * sizeof *x);

    (void)state;
    for (int i = 0; i < N; i++) x[i] = 86400.0 * (double)((i * 37LL) % 3001);
    coded k = code_up(x, N, MILL_DATETIME, 0, 50, 0);
    assert_true(k.c.unit == 86400);
    for (int32_t c = 0; c < k.c.n; c++) {
        assert_true(fmod(synth_coder_value(&k.c, &k.s->col[0], c, 0.37), 86400) == 0);
    }
    drop(&k);
    for (int i = 0; i < N; i++) x[i] = 250.0 * (double)((i * 37LL) % 3001);
    k = code_up(x, N, MILL_INTEGER, 0, 50, 0);
    assert_true(k.c.unit == 250);
    for (int32_t c = 0; c < k.c.n; c++) {
        for (int u = 0; u < 100; u++) {
            const double y = synth_coder_value(&k.c, &k.s->col[0], c, u / 100.0);
            assert_true(fmod(y, 250) == 0 && y >= k.c.first[c] && y <= k.c.last[c]);
            assert_int_equal(synth_coder_find(&k.c, y), c);
            assert_int_equal(synth_coder_find(&k.c, y + 1), -1);
        }
    }
    drop(&k);
    free(x);
}

/* The unit is in the file: what a model draws is on the grid of what it learnt. */
void test_coder__keeps_the_unit_in_the_model(void **state)
{
    enum { N = 4000 };
    double *x = malloc(N * sizeof *x);
    synth_config c = synth_config_default();

    (void)state;
    c.components = 2;
    c.iterations = 3;
    c.bins = 50;
    for (int i = 0; i < N; i++) x[i] = 250.0 * (double)((i * 37LL) % 3001);
    mill_table *t = numbers(x, N, MILL_INTEGER, 0);
    synth_model *m = planted_model(t, c, NULL);
    mill_table *drawn = planted_sample(m, 1000, 1, NULL);
    for (int i = 0; i < 1000; i++) assert_int_equal(drawn->col[0].i64[i] % 250, 0);
    mill_table_free(drawn);
    synth_model_close(m);
    mill_table_free(t);
    free(x);
}

/* 200 squares, five times each, in 40 bins: what repeats comes back as it was, in every bin. */
void test_coder__keeps_repeating_values_inside_a_bin(void **state)
{
    enum { N = 1000 };
    double x[N];

    (void)state;
    for (int i = 0; i < N; i++) x[i] = (i % 200) * (i % 200);
    coded k = code_up(x, N, MILL_INTEGER, 0, 40, 0);
    assert_true(k.c.n > 30 && k.c.n < 60);
    for (int32_t c = 0; c < k.c.n; c++) {
        for (int u = 0; u < 100; u++) {
            const double y = synth_coder_value(&k.c, &k.s->col[0], c, u / 100.0);
            assert_true(sqrt(y) == rint(sqrt(y)));
        }
    }
    drop(&k);
    /* 20 values in 30 rows do not repeat: bins, not the values */
    for (int i = 0; i < 30; i++) x[i] = (i % 20) * (i % 20);
    k = code_up(x, 30, MILL_INTEGER, 0, 100, 0);
    assert_true(k.c.n < 20);
    drop(&k);
}

/* Codes in a file are those in memory; the file has no name, and no other is touched. */
void test_codes__in_a_file_are_those_in_memory(void **state)
{
    enum { ROWS = 1001 }; /* no multiple of 64: columns are padded */
    const int64_t whole = synth_codes_in_memory;
    mill_table *t = planted_table(ROWS);
    synth_config c = synth_config_default();
    synth_codes *in_memory, *in_file;
    synth_schema *s;
    char dir[] = "/tmp/tabmill-codes-XXXXXX", other[64], *text, **names;
    size_t len;
    int n;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(other, sizeof other, "%s/tabmill-codes.%ld", dir, (long)getpid());
    assert_ok(file_write_all(other, "not ours", 8));
    setenv("TMPDIR", dir, 1);
    assert_ok(synth_schema_fit(&s, t, &c));
    assert_ok(synth_codes_fit(&in_memory, t, s, &c, NULL));
    synth_codes_in_memory = 0;
    assert_ok(synth_codes_fit(&in_file, t, s, &c, NULL));
    synth_codes_in_memory = whole;
    unsetenv("TMPDIR");
    assert_null(in_memory->spool);
    assert_non_null(in_file->spool);
    assert_ok(file_list(&names, &n, dir));
    assert_int_equal(n, 1);
    mill_free(names);
    assert_ok(file_read_all(&text, &len, other));
    assert_string_equal(text, "not ours");
    mill_free(text);
    assert_int_equal(in_memory->n_codes, in_file->n_codes);
    assert_memory_equal(in_memory->count, in_file->count,
                        (size_t)in_file->n_codes * sizeof *in_file->count);
    for (int j = 0; j < PLANTED_COLS; j++)
        for (int64_t i = 0; i < ROWS && in_file->coder[j].n; i++)
            assert_int_equal(codes_at(in_memory, j, i), codes_at(in_file, j, i));
    synth_codes_free(in_memory);
    synth_codes_free(in_file);
    synth_schema_free(s);
    mill_table_free(t);
    assert_ok(file_remove_tree(dir));
}

/* A failed allocation is an error, or (a block that was to be made smaller) changes nothing: never
 * other codes. */
void test_codes__are_right_or_an_error_when_memory_is_out(void **state)
{
    enum { ROWS = 60 };
    mill_table *t = planted_table(ROWS);
    synth_config c = synth_config_default();
    int32_t want[ROWS * PLANTED_COLS] = {0}, got[ROWS * PLANTED_COLS];
    mill_mem_stats before, after;
    synth_codes *codes;
    synth_schema *s;

    (void)state;
    assert_ok(synth_schema_fit(&s, t, &c));
    assert_ok(synth_codes_fit(&codes, t, s, &c, NULL));
    assert_ok(synth_codes_rows(want, codes->coder, s, t));
    bool reached = true;
    for (int64_t n = 1; reached; n++) {
        synth_codes *again = NULL;
        mill_mem_get_stats(&before);
        mill_mem_fail_at(n);
        const mill_err err = synth_codes_fit(&again, t, s, &c, NULL);
        mill_mem_fail_at(0);
        if (err) assert_int_equal(err, MILL_ENOMEM);
        if (!err)
            assert_memory_equal(again->count, codes->count,
                                (size_t)codes->n_codes * sizeof *codes->count);
        mill_mem_get_stats(&after);
        reached = after.calls - before.calls >= n;
        synth_codes_free(again);
    }
    reached = true;
    for (int64_t n = 1; reached; n++) {
        memset(got, 0, sizeof got);
        mill_mem_get_stats(&before);
        mill_mem_fail_at(n);
        const mill_err err = synth_codes_rows(got, codes->coder, s, t);
        mill_mem_fail_at(0);
        mill_mem_get_stats(&after);
        reached = after.calls - before.calls >= n;
        assert_int_equal(after.live, before.live);
        if (err) assert_int_equal(err, MILL_ENOMEM);
        if (!err) assert_memory_equal(got, want, sizeof want);
    }
    synth_codes_free(codes);
    synth_schema_free(s);
    mill_table_free(t);
}

/* All-different reals: of 3,000 values the coder keeps at most a fourth, and at most 16 in a bin.
 */
void test_coder__cannot_be_read_back(void **state)
{
    enum { N = 3000 };
    double *x = malloc(N * sizeof *x);
    mill_rng rng = mill_rng_init(4, 5, 6);

    (void)state;
    for (int i = 0; i < N; i++) x[i] = mill_rng_f64(&rng) * 1e6;
    static const int bins[] = {2, 30, 100, 3000};
    for (int b = 0; b < 4; b++) {
        coded k = code_up(x, N, MILL_REAL, 9, bins[b], 0);
        const int32_t points = k.c.at[k.c.n];
        assert_true(points <= N / 4);
        for (int32_t c = 0; c < k.c.n; c++) assert_true(k.c.at[c + 1] - k.c.at[c] <= 16);
        drop(&k);
    }
    coded k = code_up(x, 30, MILL_REAL, 9, 100, 0); /* few rows: not "as they are" */
    assert_true(k.c.at[k.c.n] <= 12);
    drop(&k);
    free(x);
}

void test_coder__trims_what_is_rare(void **state)
{
    enum { N = 1000 };
    double x[N];

    (void)state;
    for (int i = 0; i < N; i++) x[i] = i % 10;
    x[0] = 5000; /* an extreme */
    x[1] = -700;
    coded k = code_up(x, N, MILL_INTEGER, 0, 100, 5);
    assert_true(k.s->col[0].least == 0 && k.s->col[0].most == 9);
    for (int32_t c = 0; c < coder_n_present(&k.c); c++) {
        for (int u = 0; u < 10; u++) {
            const double y = synth_coder_value(&k.c, &k.s->col[0], c, u / 10.0);
            assert_true(y >= 0 && y <= 9);
        }
    }
    drop(&k);

    for (int i = 0; i < N; i++) x[i] = i % 2 ? 3 : 8;
    x[4] = 5; /* a rare value in between has no code: missing */
    k = code_up(x, N, MILL_INTEGER, 0, 100, 5);
    assert_int_equal(k.c.n, 3);
    assert_int_equal(synth_coder_find(&k.c, 5), k.c.missing);
    drop(&k);
}

void test_coder__takes_all_missing_and_one_value(void **state)
{
    double x[10];

    (void)state;
    for (int i = 0; i < 10; i++) x[i] = (double)NAN;
    coded k = code_up(x, 10, MILL_REAL, 1, 100, 0);
    assert_int_equal(k.c.n, 1);
    assert_int_equal(k.c.missing, 0);
    drop(&k);
    for (int i = 0; i < 10; i++) x[i] = 4.5;
    k = code_up(x, 10, MILL_REAL, 1, 100, 0);
    assert_int_equal(k.c.n, 1);
    assert_int_equal(k.c.missing, -1);
    assert_true(synth_coder_value(&k.c, &k.s->col[0], 0, 0.9) == 4.5);
    drop(&k);
}

/* One column of 100,000 categories: fits with a small K, samples, and every value can come. */
void test_mixture__takes_very_many_categories(void **state)
{
    enum { N = 120000, V = 100000 };
    mill_pool *pool = planted_pool(2);
    mill_table *t;
    synth_config c = synth_config_default();
    int32_t *offset = calloc(V + 1, sizeof *offset);
    char *text = malloc(V * 8);

    (void)state;
    for (int v = 0; v < V; v++) offset[v + 1] = offset[v] + sprintf(text + offset[v], "v%d", v);
    assert_ok(table_new(&t, N, 2));
    assert_ok(column_init(&t->col[0], "big", MILL_CATEGORY, N));
    assert_ok(column_init(&t->col[1], "odd", MILL_INTEGER, N));
    assert_ok(column_set_dictionary(&t->col[0], V, offset, text));
    for (int i = 0; i < N; i++) t->col[0].code[i] = i % V;
    for (int i = 0; i < N; i++) t->col[1].i64[i] = i % V % 2;
    c.iterations = 3;
    c.components = 4;
    synth_model *m = planted_model(t, c, pool);
    mill_table *d = planted_sample(m, 50000, 1, NULL);
    const char *where[] = {"big=v99999", NULL};
    mill_table *w = planted_sample(m, 100, 1, where);
    int32_t most = 0;
    for (int i = 0; i < 50000; i++) most = d->col[0].code[i] > most ? d->col[0].code[i] : most;
    assert_true(most > 90000);
    for (int i = 0; i < 100; i++) assert_int_equal(w->col[0].code[i], 99999);
    mill_table_free(w);
    mill_table_free(d);
    synth_model_close(m);
    mill_table_free(t);
    free(offset);
    free(text);
    mill_pool_free(pool);
}
