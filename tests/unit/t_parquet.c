/* t_parquet.c - Parquet through the plug-in: tables and rows there and back, bad files, other
 * types. */
#include "lib/folder.h"
#include "lib/test.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/philox.h"
#include "base/pool.h"
#include "table/parquet.h"
#include "table/parquet_rows.h"
#include "table/retype.h"
#include "table/writer.h"

#include <math.h>
#include <unistd.h>

#define NEED_PLUGIN()                                                          \
    do {                                                                       \
        if (access(TEST_BUILD "/libtabmill_parquet.so", R_OK))                 \
            skip_because("libtabmill_parquet.so is not built (make parquet)"); \
    } while (0)

static uint64_t random64(uint64_t seed, uint64_t i)
{
    uint32_t out[4];
    mill_philox(out, seed, 0, 0, i);
    return (uint64_t)out[0] << 32 | out[1];
}

static mill_table *read_back(const char *name, const csv_options *o)
{
    mill_table *t = NULL;
    assert_ok(mill_table_read(&t, path_of(name), o, NULL));
    return t;
}

static void put_values(mill_column *c, int n, const char *const *value)
{
    int32_t offset[16] = {0};
    char text[256] = "";

    for (int k = 0; k < n; k++) {
        snprintf(text + offset[k], sizeof text - (size_t)offset[k], "%s", value[k]);
        offset[k + 1] = (int32_t)strlen(text);
    }
    assert_ok(column_set_dictionary(c, n, offset, text));
}

/* A column of each type; every seventh value of the first seven missing. */
static mill_table *all_types(int64_t rows)
{
    static const char *const words[] = {"red", "", "gr\xc3\xbcn", "a,\"b\"\n"}, *const yes[] = {
                                                                                    "Yes", "no"};
    mill_table *t;

    assert_ok(table_new(&t, rows, 9));
    assert_ok(column_init(&t->col[0], "int", MILL_INTEGER, rows));
    assert_ok(column_init(&t->col[1], "real", MILL_REAL, rows));
    assert_ok(column_init(&t->col[2], "bool", MILL_BOOLEAN, rows));
    assert_ok(column_init(&t->col[3], "category", MILL_CATEGORY, rows));
    assert_ok(column_init(&t->col[4], "time", MILL_DATETIME, rows));
    assert_ok(column_init(&t->col[5], "day", MILL_DATETIME, rows));
    assert_ok(column_init(&t->col[6], "zone", MILL_DATETIME, rows));
    assert_ok(column_init(&t->col[7], "all there", MILL_CATEGORY, rows));
    assert_ok(column_init(&t->col[8], "all numbers", MILL_INTEGER, rows));
    put_values(&t->col[7], 4, words);
    put_values(&t->col[2], 2, yes);
    put_values(&t->col[3], 4, words);
    t->col[1].decimals = 2;
    t->col[4].format = mill_strdup("%d.%m.%Y %H:%M");
    t->col[5].format = mill_strdup("%Y-%m-%d");
    t->col[6].format = mill_strdup("%Y-%m-%dT%H:%M:%S+02:00");
    for (int64_t i = 0; i < rows; i++) {
        const int64_t h = (int64_t)(random64(1, (uint64_t)i) >> 20);
        t->col[0].i64[i] = h;
        t->col[1].f64[i] = (double)(h % 100000) / 100;
        t->col[2].code[i] = (int32_t)(i == 0 ? 0 : h & 1);
        t->col[3].code[i] = i < 4 ? (int32_t)i : (int32_t)(h >> 3 & 3);
        t->col[4].i64[i] = h % 40000000 * 60;
        t->col[5].i64[i] = h % 20000 * 86400;
        t->col[6].i64[i] = h % 2000000000;
        t->col[7].code[i] = (int32_t)(h >> 5 & 3);
        t->col[8].i64[i] = -h;
        for (int j = 0; j < 7; j++)
            if ((i + 3 * j) % 7 == 6) assert_ok(column_set_missing(&t->col[j], i));
    }
    return t;
}

static void assert_same_column(const mill_column *a, const mill_column *b)
{
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->decimals, b->decimals);
    assert_int_equal(a->n_missing, b->n_missing);
    if (a->format) assert_string_equal(a->format, b->format);
    for (int64_t i = 0; i < a->rows; i++) {
        assert_int_equal(column_is_valid(a, i), column_is_valid(b, i));
        if (!column_is_valid(a, i)) continue;
        if (!column_has_codes(a)) {
            assert_int_equal(a->i64[i], b->i64[i]);
            continue;
        }
        int n, m;
        const char *s = column_value(a, a->code[i], &n), *t = column_value(b, b->code[i], &m);
        if (n != m || memcmp(s, t, (size_t)n) != 0) fail_msg("%s, row %lld", a->name, (long long)i);
    }
}

static void assert_same(const mill_table *a, const mill_table *b)
{
    assert_int_equal(a->rows, b->rows);
    assert_int_equal(a->n_cols, b->n_cols);
    for (int j = 0; j < a->n_cols; j++) assert_same_column(&a->col[j], &b->col[j]);
}

void test_parquet__gives_back_every_type_and_what_is_missing(void **state)
{
    (void)state;
    NEED_PLUGIN();
    mill_table *t = all_types(1000);
    assert_ok(mill_table_write(t, path_of("all.parquet"), true, NULL));
    mill_table *back = read_back("all.parquet", NULL);
    assert_same(t, back);
    mill_table_free(back);
    mill_table_free(t);
}

void test_parquet__lies_in_a_spool_file_where_memory_is_short(void **state)
{
    (void)state;
    NEED_PLUGIN();
    mill_table *t = all_types(200000);
    csv_options o = CSV_DEFAULTS;
    o.memory_bytes = 1 << 20;
    assert_ok(mill_table_write(t, path_of("spool.parquet"), true, NULL));
    mill_table *back = read_back("spool.parquet", &o);
    assert_non_null(back->spool);
    assert_same(t, back);
    mill_table_free(back);
    mill_table_free(t);
}

/* The same rows, dealt otherwise, by another number of threads. */
static void write_in_parts(const char *name, const mill_table *t, int64_t part, mill_pool *pool)
{
    table_writer *w;
    int64_t *rows = mill_alloc((size_t)part, sizeof *rows);

    assert_ok(table_writer_open(&w, path_of(name), true, pool));
    for (int64_t from = 0; from < t->rows; from += part) {
        const int64_t n = t->rows - from < part ? t->rows - from : part;
        mill_table *some;
        for (int64_t i = 0; i < n; i++) rows[i] = from + i;
        assert_ok(table_take_rows(&some, t, rows, n));
        assert_ok(table_writer_add(w, some));
        mill_table_free(some);
    }
    assert_ok(table_writer_commit(w));
    table_writer_close(w);
    mill_free(rows);
}

void test_parquet__does_not_depend_on_parts_and_threads(void **state)
{
    (void)state;
    NEED_PLUGIN();
    mill_table *t = all_types(PARQUET_GROUP_ROWS + 3000);
    mill_pool *pool;
    char *a, *b;
    size_t n, m;

    assert_ok(mill_pool_new(&pool, 3));
    assert_ok(mill_table_write(t, path_of("whole.parquet"), true, NULL));
    write_in_parts("parts.parquet", t, 7001, pool);
    assert_ok(file_read_all(&a, &n, path_of("whole.parquet")));
    assert_ok(file_read_all(&b, &m, path_of("parts.parquet")));
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    mill_free(a);
    mill_free(b);
    mill_pool_free(pool);
    mill_table_free(t);
}

void test_parquet__appears_whole_or_not_at_all(void **state)
{
    (void)state;
    NEED_PLUGIN();
    mill_table *t = all_types(1000);
    table_writer *w;

    assert_ok(table_writer_open(&w, path_of("never.parquet"), false, NULL));
    assert_ok(table_writer_add(w, t));
    table_writer_close(w);
    assert_false(file_exists(path_of("never.parquet")));
    assert_false(file_exists(path_of("never.parquet.tmp")));
    for (int64_t k = 1;; k++) {
        mill_file_fail_at(FILE_OP_WRITE, k);
        const mill_err err = mill_table_write(t, path_of("never.parquet"), false, NULL);
        mill_file_fail_at(FILE_OP_WRITE, 0);
        if (!err) break;
        assert_int_equal(err, MILL_EIO);
        assert_non_null(strstr(mill_error(), "never.parquet"));
        assert_false(file_exists(path_of("never.parquet")));
    }
    assert_fails(MILL_EINPUT, "exists", mill_table_write(t, path_of("never.parquet"), false, NULL));
    mill_table_free(t);
}

/* ---- options ---- */

void test_parquet__takes_the_types_that_are_asked_for(void **state)
{
    (void)state;
    NEED_PLUGIN();
    static const char types[] =
        "{\"columns\":[{\"name\":\"int\",\"type\":\"real\"},{\"name\":\"real\",\"type\":"
        "\"category\"},"
        "{\"name\":\"time\",\"type\":\"datetime\",\"format\":\"%Y-%m-%d\"}]}";
    char path[200];
    mill_table *t = all_types(100);

    assert_ok(mill_table_write(t, path_of("typed.parquet"), true, NULL));
    assert_ok(file_write_all(path_of("types.json"), types, sizeof types - 1));
    snprintf(path, sizeof path, "%s", path_of("types.json"));
    csv_options o = CSV_DEFAULTS;
    o.types = path;
    o.drop = "day,zone";
    mill_table *back = read_back("typed.parquet", &o);
    assert_int_equal(back->n_cols, 7);
    assert_int_equal(back->col[0].type, MILL_REAL);
    assert_true(back->col[0].f64[0] == (double)t->col[0].i64[0]);
    assert_int_equal(back->col[1].type, MILL_CATEGORY);
    assert_string_equal(back->col[4].format, "%Y-%m-%d");
    mill_table_free(back);
    o = CSV_DEFAULTS;
    o.columns = "int,nobody";
    assert_fails(MILL_EINPUT, "no column \"nobody\"",
                 mill_table_read(&back, path_of("typed.parquet"), &o, NULL));
    mill_table_free(t);
}

/* Values of `like` first, in its order; a real that is whole is its integer. */
void test_parquet__follows_another_table(void **state)
{
    (void)state;
    NEED_PLUGIN();
    static const char *const seen[] = {"b", "c"}, *const known[] = {"c", "a", "b"};
    mill_table *t, *like;

    assert_ok(table_new(&t, 3, 2));
    assert_ok(column_init(&t->col[0], "x", MILL_CATEGORY, 3));
    put_values(&t->col[0], 2, seen);
    t->col[0].code[1] = 1;
    assert_ok(column_init(&t->col[1], "n", MILL_REAL, 3));
    t->col[1].f64[2] = 5;
    assert_ok(column_set_missing(&t->col[1], 0));
    assert_ok(table_new(&like, 0, 2));
    assert_ok(column_init(&like->col[0], "x", MILL_CATEGORY, 0));
    put_values(&like->col[0], 3, known);
    assert_ok(column_init(&like->col[1], "n", MILL_INTEGER, 0));
    assert_ok(mill_table_write(t, path_of("other.parquet"), true, NULL));
    csv_options o = CSV_DEFAULTS;
    o.like = like;
    mill_table *back = read_back("other.parquet", &o);
    assert_int_equal(back->col[0].n_values, 3);
    assert_int_equal(back->col[0].code[0], 2);
    assert_int_equal(back->col[0].code[1], 0);
    assert_int_equal(back->col[1].type, MILL_INTEGER);
    assert_int_equal(back->col[1].i64[2], 5);
    assert_int_equal(back->col[1].n_missing, 1);
    mill_table_free(back);
    mill_table_free(like);
    mill_table_free(t);
}

/* ---- rows ---- */

static void assert_rows(const char *name, const char *want)
{
    parquet_rows *r;
    source in;
    char all[4000] = "";
    const char *line;
    size_t n;

    assert_ok(source_open(&in, path_of(name), NULL));
    assert_ok(parquet_rows_open(&r, &in));
    for (;;) {
        assert_ok(parquet_rows_next(r, &line, &n));
        if (!line) break;
        strncat(all, line, n);
    }
    assert_string_equal(all, want);
    parquet_rows_close(r);
    source_close(&in);
}

static parquet_rows_writer *rows_writer(const char *name)
{
    static const parquet_field fields[] = {{"s", PARQUET_TEXT}, {"n", PARQUET_INTEGER},
                                           {"x", PARQUET_REAL}, {"b", PARQUET_BOOLEAN},
                                           {"j", PARQUET_JSON}, {"z", PARQUET_NONE}};
    parquet_rows_writer *w;
    assert_ok(parquet_rows_create(&w, path_of(name), true, fields, 6));
    return w;
}

static mill_err add(parquet_rows_writer *w, const char *text)
{
    json_t *o = json_loads(text, 0, NULL);
    assert_non_null(o);
    const mill_err err = parquet_rows_add(w, o);
    json_decref(o);
    return err;
}

void test_parquet_rows__come_back_as_they_were(void **state)
{
    (void)state;
    NEED_PLUGIN();
    parquet_rows_writer *w = rows_writer("rows.parquet");

    assert_ok(add(w, "{\"s\":\"a\\n\\\"\\u0001\\u00fc\",\"n\":-3,\"x\":1,\"b\":true,\"j\":[1,{"
                     "\"k\":\"\\n\"}]}"));
    assert_ok(add(w, "{\"s\":null,\"j\":\"text\",\"z\":\"late\"}"));
    assert_ok(add(w, "{\"x\":0.1,\"b\":false,\"n\":9007199254740993,\"j\":null}"));
    assert_ok(parquet_rows_commit(w));
    parquet_rows_writer_close(w);
    assert_rows(
        "rows.parquet",
        "{\"s\":\"a\\n\\\"\\u0001\xc3\xbc\",\"n\":-3,\"x\":1.0,\"b\":true,"
        "\"j\":[1,{\"k\":\"\\n\"}],\"z\":null}\n"
        "{\"s\":null,\"n\":null,\"x\":null,\"b\":null,\"j\":\"text\",\"z\":\"late\"}\n"
        "{\"s\":null,\"n\":9007199254740993,\"x\":0.1,\"b\":false,\"j\":null,\"z\":null}\n");
}

void test_parquet_rows__refuse_what_no_column_holds(void **state)
{
    (void)state;
    NEED_PLUGIN();
    parquet_rows_writer *w = rows_writer("refused.parquet");

    assert_ok(add(w, "{\"n\":1}"));
    assert_fails(MILL_EINPUT, "row 2: field \"n\"", add(w, "{\"s\":\"gone\",\"n\":\"x\"}"));
    assert_fails(MILL_EINPUT, "field \"other\"", add(w, "{\"n\":2,\"other\":1}"));
    assert_fails(MILL_EINPUT, "field \"b\"", add(w, "{\"b\":0}"));
    assert_ok(add(w, "{\"s\":\"here\"}"));
    assert_ok(parquet_rows_commit(w));
    parquet_rows_writer_close(w);
    assert_rows("refused.parquet",
                "{\"s\":null,\"n\":1,\"x\":null,\"b\":null,\"j\":null,\"z\":null}\n"
                "{\"s\":\"here\",\"n\":null,\"x\":null,\"b\":null,\"j\":null,\"z\":null}\n");
}

void test_parquet_rows__kinds_are_the_narrowest_that_hold_all(void **state)
{
    (void)state;
    static const struct {
        const char *values;
        parquet_kind kind;
    } cases[] = {{"[null]", PARQUET_NONE},          {"[1,null,2]", PARQUET_INTEGER},
                 {"[1,2.5,1]", PARQUET_REAL},       {"[true,null,false]", PARQUET_BOOLEAN},
                 {"[\"a\",\"b\"]", PARQUET_TEXT},   {"[\"a\",1]", PARQUET_JSON},
                 {"[true,1]", PARQUET_JSON},        {"[[1]]", PARQUET_JSON},
                 {"[{\"a\":1},null]", PARQUET_JSON}};

    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        json_t *values = json_loads(cases[k].values, 0, NULL), *v;
        parquet_kind kind = PARQUET_NONE;
        size_t i;
        json_array_foreach(values, i, v) kind = parquet_kind_join(kind, v);
        assert_int_equal(kind, cases[k].kind);
        json_decref(values);
    }
}

/* Several row groups: more rows than one holds. */
void test_parquet_rows__go_on_in_the_next_group(void **state)
{
    (void)state;
    NEED_PLUGIN();
    enum { ROWS = 40000 };
    parquet_rows_writer *w = rows_writer("many.parquet");
    parquet_rows *r;
    source in;

    for (int i = 0; i < ROWS; i++) {
        json_t *o =
            json_pack("{s:i,s:o}", "n", i, "s", i % 3 ? json_sprintf("%d", i) : json_null());
        assert_ok(parquet_rows_add(w, o));
        json_decref(o);
    }
    assert_ok(parquet_rows_commit(w));
    parquet_rows_writer_close(w);
    assert_ok(source_open(&in, path_of("many.parquet"), NULL));
    assert_ok(parquet_rows_open(&r, &in));
    for (int i = 0;; i++) {
        const char *line;
        size_t n;
        assert_ok(parquet_rows_next(r, &line, &n));
        if (!line) {
            assert_int_equal(i, ROWS);
            break;
        }
        json_t *o = json_loadb(line, n, 0, NULL);
        char want[16];
        snprintf(want, sizeof want, "%d", i);
        assert_int_equal(json_integer_value(json_object_get(o, "n")), i);
        if (i % 3)
            assert_string_equal(json_string_value(json_object_get(o, "s")), want);
        else
            assert_true(json_is_null(json_object_get(o, "s")));
        json_decref(o);
    }
    parquet_rows_close(r);
    source_close(&in);
}

static void assert_types(const csv_options *o)
{
    static const mill_coltype want[] = {MILL_IDENTIFIER, MILL_IDENTIFIER, MILL_BOOLEAN,
                                        MILL_DATETIME,   MILL_INTEGER,    MILL_REAL,
                                        MILL_BOOLEAN};
    mill_table *t = read_back("types.parquet", o);
    for (int j = 0; j < 7; j++) assert_int_equal(t->col[j].type, want[j]);
    int n;
    assert_memory_equal(column_value(&t->col[0], t->col[0].code[59], &n), "159", 3);
    assert_memory_equal(column_value(&t->col[6], t->col[6].code[0], &n), "True", 4);
    assert_memory_equal(column_value(&t->col[6], t->col[6].code[1], &n), "False", 5);
    assert_int_equal(t->col[3].i64[30], 1580428800); /* 2020-01-31 */
    assert_int_equal(t->col[5].decimals, 2);
    mill_table_free(t);
}

/* Another's file: no metadata of ours. */
void test_parquet__finds_the_types_that_csv_would(void **state)
{
    (void)state;
    NEED_PLUGIN();
    static const parquet_field fields[] = {{"id", PARQUET_INTEGER}, {"key", PARQUET_TEXT},
                                           {"yes", PARQUET_TEXT},   {"day", PARQUET_TEXT},
                                           {"n", PARQUET_INTEGER},  {"x", PARQUET_REAL},
                                           {"b", PARQUET_BOOLEAN}};
    parquet_rows_writer *w;

    assert_ok(parquet_rows_create(&w, path_of("types.parquet"), true, fields, 7));
    for (int i = 0; i < 60; i++) {
        json_t *o =
            json_pack("{s:i,s:o,s:s,s:o,s:i,s:f,s:b}", "id", 100 + i, "key", json_sprintf("k%d", i),
                      "yes", i % 2 ? "Yes" : "No", "day", json_sprintf("2020-01-%02d", 1 + i % 31),
                      "n", i * i, "x", i / 4.0, "b", i == 0);
        assert_ok(parquet_rows_add(w, o));
        json_decref(o);
    }
    assert_ok(parquet_rows_commit(w));
    parquet_rows_writer_close(w);
    assert_types(NULL);
    csv_options o = CSV_DEFAULTS;
    o.memory_bytes = 1; /* the same in a spool file, where columns change their type in place */
    assert_types(&o);
}

/* ---- bad files ---- */

/* Reads it as a table and as rows; whatever comes of it, nothing may break or leak. */
static int read_damaged(const char *name)
{
    csv_options o = CSV_DEFAULTS;
    mill_table *t = NULL;
    parquet_rows *r = NULL;
    source in;
    const char *line = "";
    size_t n;
    int failed = 0;

    o.memory_bytes = 1 << 28;
    mill_err err = mill_table_read(&t, path_of(name), &o, NULL);
    failed += err != MILL_OK;
    if (err) assert_true(*mill_error());
    mill_table_free(t);
    assert_ok(source_open(&in, path_of(name), NULL));
    err = parquet_rows_open(&r, &in);
    while (!err && line) err = parquet_rows_next(r, &line, &n);
    failed += err != MILL_OK;
    parquet_rows_close(r);
    source_close(&in);
    return failed;
}

void test_parquet__says_what_is_cut_short_or_none(void **state)
{
    (void)state;
    NEED_PLUGIN();
    mill_table *t = all_types(300), *back = NULL;
    char *bytes;
    size_t n;

    assert_ok(mill_table_write(t, path_of("cut.parquet"), true, NULL));
    assert_ok(file_read_all(&bytes, &n, path_of("cut.parquet")));
    for (size_t k = 0; k < n; k += 1 + n / 40) {
        assert_ok(file_write_all(path_of("cut.parquet"), bytes, k));
        assert_int_equal(read_damaged("cut.parquet"), 2);
    }
    assert_ok(file_write_all(path_of("cut.parquet"), bytes, n - 100));
    assert_fails(MILL_EINPUT, "cut short",
                 mill_table_read(&back, path_of("cut.parquet"), NULL, NULL));
    assert_ok(file_write_all(path_of("no.parquet"), "a,b\n1,2\n", 8));
    assert_fails(MILL_EINPUT, "not a Parquet file",
                 mill_table_read(&back, path_of("no.parquet"), NULL, NULL));
    mill_free(bytes);
    mill_table_free(t);
}

static void quiet(void *ctx, mill_log_level level, const char *line)
{
    (void)ctx, (void)level, (void)line;
}

void test_parquet__survives_changed_bytes(void **state)
{
    (void)state;
    NEED_PLUGIN();
    const int tries = 400;
    mill_log_set(quiet, NULL, MILL_LOG_WARN);
    mill_table *t = all_types(300);
    char *bytes, *changed;
    size_t n;
    int failed = 0;

    assert_ok(mill_table_write(t, path_of("good.parquet"), true, NULL));
    assert_ok(file_read_all(&bytes, &n, path_of("good.parquet")));
    assert_non_null(changed = mill_alloc(n, 1));
    for (int k = 0; k < tries; k++) {
        memcpy(changed, bytes, n);
        for (int i = 0; i <= k % 3; i++) {
            const uint64_t h = random64(7, 3 * (uint64_t)k + (uint64_t)i);
            /* Half of them in the footer, where sizes and types are. */
            const size_t at = h & 1 ? (h >> 8) % n : n - 1 - (h >> 8) % (n / 3);
            changed[at] = (char)(h >> 56);
        }
        assert_ok(file_write_all(path_of("bad.parquet"), changed, n));
        failed += read_damaged("bad.parquet");
    }
    mill_log_set(NULL, NULL, MILL_LOG_WARN);
    assert_true(failed > tries / 4);
    mill_free(changed);
    mill_free(bytes);
    mill_table_free(t);
}

void test_parquet__is_known_by_its_first_bytes(void **state)
{
    (void)state;
    NEED_PLUGIN();
    mill_table *t = all_types(60);
    char *bytes;
    size_t n;

    assert_ok(mill_table_write(t, path_of("named.parquet"), true, NULL));
    assert_ok(file_read_all(&bytes, &n, path_of("named.parquet")));
    assert_ok(file_write_all(path_of("named.data"), bytes, n));
    mill_table *back = read_back("named.data", NULL);
    assert_same(t, back);
    mill_table_free(back);
    mill_free(bytes);
    mill_table_free(t);
}

static mill_err write_rows(const char *path)
{
    static const parquet_field fields[] = {{"s", PARQUET_TEXT}, {"j", PARQUET_JSON}};
    parquet_rows_writer *w;
    json_t *o = json_pack("{s:s,s:[i]}", "s", "text", "j", 1);

    mill_err err = parquet_rows_create(&w, path, true, fields, 2);
    if (!err) {
        err = parquet_rows_add(w, o);
        if (!err) err = parquet_rows_commit(w);
        parquet_rows_writer_close(w);
    }
    json_decref(o);
    return err;
}

static mill_err read_rows(const char *path)
{
    parquet_rows *r = NULL;
    source in;
    const char *line = "";
    size_t n;

    TRY(source_open(&in, path, NULL));
    mill_err err = parquet_rows_open(&r, &in);
    while (!err && line) err = parquet_rows_next(r, &line, &n);
    parquet_rows_close(r);
    source_close(&in);
    return err;
}

/* The n-th allocation fails, n = 1, 2, ... until none does; what was there before is there after.
 */
void test_parquet__fails_cleanly_where_memory_ends(void **state)
{
    (void)state;
    NEED_PLUGIN();
    enum { WRITE, READ, READ_LIKE, WRITE_ROWS, READ_ROWS, N_CALLS };
    mill_table *t = all_types(60);
    char table[200], rows[200];
    csv_options like = CSV_DEFAULTS;

    like.like = t;
    snprintf(table, sizeof table, "%s", path_of("memory.parquet"));
    snprintf(rows, sizeof rows, "%s", path_of("memory_rows.parquet"));
    for (int call = 0; call < N_CALLS; call++)
        for (int64_t n = 1;; n++) {
            mill_mem_stats before, after;
            mill_table *back = NULL;
            mill_err err = MILL_OK;
            mill_mem_get_stats(&before);
            mill_mem_fail_at(n);
            if (call == WRITE) err = mill_table_write(t, table, true, NULL);
            if (call == READ) err = mill_table_read(&back, table, NULL, NULL);
            if (call == READ_LIKE) err = mill_table_read(&back, table, &like, NULL);
            if (call == WRITE_ROWS) err = write_rows(rows);
            if (call == READ_ROWS) err = read_rows(rows);
            mill_mem_fail_at(0);
            mill_table_free(back);
            mill_mem_get_stats(&after);
            if (after.live != before.live)
                fail_msg("call %d, allocation %lld: %lld blocks are lost", call, (long long)n,
                         (long long)(after.live - before.live));
            if (!err) break;
            assert_int_equal(err, MILL_ENOMEM);
        }
    mill_table_free(t);
}

/* ---- other types ---- */

void test_column_retype__goes_by_the_text(void **state)
{
    (void)state;
    static const char *const words[] = {"1", " 02 ", "3.0"};
    mill_column c = {0};

    assert_ok(column_init(&c, "x", MILL_CATEGORY, 4));
    put_values(&c, 3, words);
    for (int i = 0; i < 3; i++) c.code[i] = i;
    assert_ok(column_set_missing(&c, 3));
    assert_ok(column_retype(&c, &(column_wish){.type = MILL_INTEGER, .path = "p"}));
    for (int i = 0; i < 3; i++) assert_int_equal(c.i64[i], i + 1);
    assert_int_equal(c.n_missing, 1);
    assert_ok(column_retype(&c, &(column_wish){.type = MILL_REAL, .path = "p"}));
    assert_true(c.f64[2] == 3);
    c.f64[2] = 2.5;
    c.decimals = 1;
    assert_fails(MILL_EINPUT, "row 3: column \"x\": \"2.5\" is not an integer",
                 column_retype(&c, &(column_wish){.type = MILL_INTEGER, .path = "p"}));
    assert_ok(column_retype(&c, &(column_wish){.type = MILL_CATEGORY, .path = "p"}));
    assert_int_equal(c.n_values, 3);
    assert_memory_equal(c.text, "1.02.02.5", 9);
    assert_fails(MILL_EINPUT, "\"1.0\" is not a datetime",
                 column_retype(&c, &(column_wish){.type = MILL_DATETIME, .path = "p"}));
    column_deinit(&c);
}

void test_column_decimals__are_those_that_it_takes(void **state)
{
    (void)state;
    static const struct {
        double x;
        int d;
    } cases[] = {{1, 0},      {.5, 1},    {-12.25, 2},     {.1 + .2, 15},
                 {1e-15, 15}, {1e300, 0}, {123456.789, 3}, {1e-20, 15}};

    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        assert_int_equal(column_decimals(0, cases[k].x), cases[k].d);
}

void test_zz__scratch_is_removed(void **state)
{
    (void)state;
    remove_folder();
}
