/* t_synth_schema.c - options, schemas, identifiers, conditions, and the model file around them. */
#include "lib/planted.h"

#include "base/option.h"
#include "base/text.h"

static mill_table *ids(const char *const *value, int n)
{
    mill_table *t;
    int32_t offset[16] = {0};
    mill_text text = {0};

    assert_ok(table_new(&t, n, 1));
    assert_ok(column_init(&t->col[0], "id", MILL_IDENTIFIER, n));
    for (int i = 0; i < n; i++) {
        text_add(&text, "%s", value[i]);
        offset[i + 1] = (int32_t)text.len;
        t->col[0].code[i] = i;
    }
    assert_ok(column_set_dictionary(&t->col[0], n, offset, text.s));
    text_free(&text);
    return t;
}

static void expect_ids(const char *const *value, int n, const char *first, const char *second)
{
    const synth_config c = synth_config_default();
    mill_table *t = ids(value, n), *out;
    synth_schema *s;
    int len;

    assert_ok(synth_schema_fit(&s, t, &c));
    assert_ok(synth_schema_table(&out, s, 2));
    assert_ok(synth_put_ids(out, s, 0));
    const char *a = column_value(&out->col[0], out->col[0].code[0], &len);
    assert_int_equal(len, strlen(first));
    assert_memory_equal(a, first, strlen(first));
    const char *b = column_value(&out->col[0], out->col[0].code[1], &len);
    assert_int_equal(len, strlen(second));
    assert_memory_equal(b, second, strlen(second));
    mill_table_free(out);
    synth_schema_free(s);
    mill_table_free(t);
}

void test_identifiers__go_on_in_their_own_shape(void **state)
{
    (void)state;
    expect_ids((const char *[]){"17", "4", "203"}, 3, "204", "205");
    expect_ids((const char *[]){"-17", "-4"}, 2, "-3", "-2");
    expect_ids((const char *[]){"C0007", "C0012", "C0009"}, 3, "C0013", "C0014");
    expect_ids((const char *[]){"user-9", "user-10"}, 2, "user-11", "user-12");
    expect_ids((const char *[]){"007", "012"}, 2, "013", "014");
    expect_ids((const char *[]){"a3f9", "77c2"}, 2, "id_1", "id_2");
    expect_ids((const char *[]){"a3f9", "id_41", "id_7x"}, 3, "id_42", "id_43");
    expect_ids((const char *[]){"99999999999999999999", "1"}, 2, "id_1", "id_2");
}

void test_schema__leaves_out_rare_and_unused_values(void **state)
{
    static const int32_t at[] = {0, 1, 2, 3, 4};
    synth_config c = synth_config_default();
    mill_table *t;
    synth_schema *s;
    int32_t *map;

    (void)state;
    assert_ok(table_new(&t, 20, 1));
    assert_ok(column_init(&t->col[0], "k", MILL_CATEGORY, 20));
    assert_ok(column_set_dictionary(&t->col[0], 4, at, "abcd"));
    for (int i = 0; i < 20; i++) t->col[0].code[i] = i < 2 ? 1 : i < 10 ? 3 : 0; /* c: nobody */
    assert_ok(synth_schema_fit(&s, t, &c));
    assert_int_equal(s->col[0].n_values, 3);
    assert_memory_equal(s->col[0].text, "abd", 3);
    synth_schema_free(s);
    c.trim_rare = 3;
    assert_ok(synth_schema_fit(&s, t, &c));
    assert_int_equal(s->col[0].n_values, 2);
    assert_memory_equal(s->col[0].text, "ad", 2);
    assert_int_equal(s->col[0].n_missing, 2);
    assert_ok(synth_code_map(&map, &s->col[0], &t->col[0]));
    assert_int_equal(map[0], 0);
    assert_int_equal(map[1], -1);
    assert_int_equal(map[2], -1);
    assert_int_equal(map[3], 1);
    mill_free(map);
    synth_schema_free(s);
    mill_table_free(t);
}

void test_where__parses_and_refuses(void **state)
{
    const synth_config c = synth_config_default();
    mill_table *t = planted_table(200);
    synth_schema *s;
    synth_where w;

    (void)state;
    assert_ok(synth_schema_fit(&s, t, &c));
    assert_ok(synth_where_parse(&w, s, "n>=30"));
    assert_int_equal(w.col, PLANTED_N);
    assert_int_equal(w.op, WHERE_GE);
    assert_true(w.number == 30);
    assert_ok(synth_where_parse(&w, s, "flag="));
    assert_true(w.missing);
    assert_ok(synth_where_parse(&w, s, "kind!=b"));
    assert_int_equal(w.op, WHERE_NE);
    assert_fails(MILL_EINPUT, "no value \"Yes\"; the nearest: \"yes\"",
                 synth_where_parse(&w, s, "flag=Yes"));
    assert_fails(MILL_EINPUT, "the nearest: \"flag\"", synth_where_parse(&w, s, "flog=yes"));
    assert_fails(MILL_EINPUT, "only = and !=", synth_where_parse(&w, s, "kind<b"));
    assert_fails(MILL_EINPUT, "not a number", synth_where_parse(&w, s, "n=1,5"));
    assert_fails(MILL_EINPUT, "never missing", synth_where_parse(&w, s, "n="));
    assert_fails(MILL_EINPUT, "identifiers", synth_where_parse(&w, s, "id=R0001"));
    assert_fails(MILL_EINPUT, "COLUMN=VALUE", synth_where_parse(&w, s, "n"));
    synth_schema_free(s);
    mill_table_free(t);
}

void test_options__know_eight_words_for_yes_and_no(void **state)
{
    static const char *const no[] = {"0", "false", "no", "off"};
    static const char *const yes[] = {"1", "true", "yes", "on"};
    synth_config c = synth_config_default();

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_ok(synth_config_set(&c, "log-frequency", no[i]));
        assert_false(c.log_frequency);
        assert_ok(synth_config_set(&c, "log-frequency", yes[i]));
        assert_true(c.log_frequency);
    }
    assert_fails(MILL_EINPUT, "\"maybe\" is neither on nor off",
                 synth_config_set(&c, "log-frequency", "maybe"));
    assert_fails(MILL_EINPUT, "\"\" is neither", synth_config_set(&c, "log-frequency", ""));
    assert_true(c.log_frequency);
}

void test_options__are_set_by_name_and_go_to_json(void **state)
{
    synth_config c = synth_config_default();
    json_t *o;

    (void)state;
    assert_int_equal(c.epochs, 300);
    assert_ok(synth_config_set(&c, "batch_size", "250"));
    assert_ok(synth_config_set(&c, "generator-dim", "64, 32"));
    assert_ok(synth_config_set(&c, "generator-lr", "1e-3"));
    assert_ok(synth_config_set(&c, "log-frequency", "off"));
    assert_ok(synth_config_set(&c, "seed", "18446744073709551615"));
    assert_fails(MILL_EINPUT, "bins: from 2 to 10000", synth_config_set(&c, "bins", "1"));
    assert_fails(MILL_EINPUT, "no option \"bin\"", synth_config_set(&c, "bin", "1"));
    assert_fails(MILL_EINPUT, "generator-dim: \"64,\"",
                 synth_config_set(&c, "generator-dim", "64,"));
    assert_int_equal(c.bins, 100);
    assert_ok(synth_config_json(&o, &c));
    json_t *want = json_pack("{s:i,s:s,s:f,s:b,s:I,s:s}", "batch-size", 250, "generator-dim",
                             "64, 32", "generator-lr", 1e-3, "log-frequency", 0, "seed",
                             (json_int_t)-1, "method", "mixture");
    const char *key;
    json_t *value;
    json_object_foreach(want, key, value) if (!json_equal(json_object_get(o, key), value))
        fail_msg("%s", key);
    json_decref(want);
    json_decref(o);

    int64_t dim[4];
    int n;
    assert_ok(option_dims(dim, &n, 4, "256,256"));
    assert_int_equal(n, 2);
    assert_int_equal(dim[1], 256);
    assert_fails(MILL_EINPUT, "more than 1 widths", option_dims(dim, &n, 1, "1,2"));
}

/* No training value of the wide column lies in the file but at most a fourth, and no identifier at
 * all. */
void test_model__holds_no_column(void **state)
{
    enum { ROWS = 2000 };
    mill_pool *pool = planted_pool(1);
    mill_table *t = planted_table(ROWS);
    synth_config c = synth_config_default();
    synth_schema *s;
    char path[64], *bytes;
    size_t len;
    void *fit;
    int kept = 0;

    (void)state;
    planted_path(path, "leak");
    c.components = 4;
    c.iterations = 3;
    assert_ok(synth_schema_fit(&s, t, &c));
    assert_ok(synth_mixture.fit_open(&fit, t, s, &c, pool));
    planted_train(fit, &synth_mixture, 0, 3);
    assert_ok(synth_model_write(path, &synth_mixture, fit, s, &c));
    assert_ok(file_read_all(&bytes, &len, path));
    for (int64_t i = 0; i < ROWS; i++) {
        const double x = t->col[PLANTED_X].f64[i];
        if (x == 0) continue;
        for (size_t at = 0; at + 8 <= len; at += 8) {
            /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): as it lies in the file */
            if (memcmp(bytes + at, &x, sizeof x) != 0) continue;
            kept++;
            break;
        }
        char id[16];
        snprintf(id, sizeof id, "R%04d", (int)i + 1);
        assert_null(memmem(bytes, len, id, strlen(id)));
    }
    assert_true(kept > 10 && kept < ROWS / 4);
    mill_free(bytes);
    assert_ok(file_remove(path));
    synth_mixture.fit_close(fit);
    synth_schema_free(s);
    mill_table_free(t);
    mill_pool_free(pool);
}

void test_model__says_what_another_file_is(void **state)
{
    static const char *const words[] = {"holds tensors, not the model of a fit",
                                        "is a checkpoint of mlp, not the model of a fit"};
    json_t *const meta[] = {json_pack("{s:s}", "kind", "shard"),
                            json_pack("{s:s,s:{s:s}}", "kind", "checkpoint", "loop", "job", "mlp")};
    synth_model *m = NULL;
    const int64_t one = 1;
    const float x = 1;
    char path[64];

    (void)state;
    planted_path(path, "kind");
    for (int k = 0; k < 2; k++) {
        store_writer *w;
        assert_ok(store_writer_new(&w));
        assert_ok(store_writer_add(w, "x", STORE_F32, 1, &one, &x));
        assert_ok(store_writer_commit(w, path, meta[k]));
        store_writer_free(w);
        json_decref(meta[k]);
        assert_fails(MILL_EINPUT, words[k], synth_model_open(&m, path, NULL));
    }
    assert_null(m);
    assert_ok(file_remove(path));
}

void test_choose__says_why(void **state)
{
    mill_table *t = planted_table(50), *one;
    const char *method;
    char why[256];
    const int col = PLANTED_KIND;

    (void)state;
    assert_ok(synth_choose(&method, why, "auto", t));
    assert_string_equal(method, "mixture");
    assert_ok(table_take_cols(&one, t, &col, 1));
    assert_ok(synth_choose(&method, why, "auto", one));
    assert_string_equal(method, "independent");
    assert_non_null(strstr(why, "one column"));
    assert_fails(MILL_EINPUT, "no method \"copula\"; there are: auto, mixture",
                 synth_choose(&method, why, "copula", t));
    mill_table_free(one);
    mill_table_free(t);
}

void test_dims__are_positive_integers_between_commas(void **state)
{
    int64_t dim[4];
    int n = -1;

    (void)state;
    assert_ok(option_dims(dim, &n, 4, " 32 ,24,  1048576 "));
    assert_int_equal(n, 3);
    assert_true(dim[0] == 32 && dim[1] == 24 && dim[2] == 1048576);
    assert_ok(option_dims(dim, &n, 4, "1,2,3,4"));
    assert_int_equal(n, 4);
    assert_fails(MILL_EINPUT, "more than 4 widths", option_dims(dim, &n, 4, "1,2,3,4,5"));
    assert_fails(MILL_EINPUT, "is not a list of widths", option_dims(dim, &n, 4, "32,"));
    static const char *const bad[] = {"0", ",32", "32,,24", "3 2", "-1", "1.5", "1048577"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_fails(MILL_EINPUT, "is not a list of widths", option_dims(dim, &n, 4, bad[i]));
}

/* NaN comes out of a model with broken weights; the ends of int64 have no exact double. */
void test_schema__numbers_stay_in_their_range(void **state)
{
    const synth_column real = {.type = MILL_REAL, .decimals = 2, .least = -1, .most = 1e15};
    const synth_column whole = {.type = MILL_INTEGER, .least = -0x1p63, .most = 0x1p63};
    mill_table *t;

    (void)state;
    assert_ok(table_new(&t, 1, 2));
    assert_ok(column_init(&t->col[0], "real", MILL_REAL, 1));
    assert_ok(column_init(&t->col[1], "whole", MILL_INTEGER, 1));
    static const double x[][3] = {/* x, as a real, as an integer */
                                  {1.236, 1.24, 1},
                                  {-7.5, -1, -8},
                                  {4503599627370.123456, 4503599627370.12, 4503599627370},
                                  {1e300, 1e15, 0x1.fffffffffffffp+62},
                                  {-1e300, -1, -0x1p63},
                                  {(double)INFINITY, 1e15, 0x1.fffffffffffffp+62},
                                  {(double)NAN, -1, -0x1p63}};
    for (size_t i = 0; i < sizeof x / sizeof *x; i++) {
        synth_put_number(&t->col[0], &real, 0, x[i][0]);
        synth_put_number(&t->col[1], &whole, 0, x[i][0]);
        assert_true(t->col[0].f64[0] == x[i][1]);
        assert_true(t->col[1].i64[0] == (int64_t)x[i][2]);
    }
    mill_table_free(t);
}

/* A number of two decimals comes back as it is, however many digits stand before them. */
void test_schema__rounding_keeps_what_is_rounded(void **state)
{
    const synth_column real = {.type = MILL_REAL, .decimals = 2, .least = -1e300, .most = 1e300};
    mill_table *t;

    (void)state;
    assert_ok(table_new(&t, 1, 1));
    assert_ok(column_init(&t->col[0], "real", MILL_REAL, 1));
    double k = 12345;
    for (int i = 0; i < 3200; i++) { /* up to 2^70 */
        k *= 1.0123456789;
        const double x = rint(k) / 100;
        synth_put_number(&t->col[0], &real, 0, x);
        assert_true(t->col[0].f64[0] == x);
    }
    mill_table_free(t);
}

/* Two keys of 18 digits, one apart, are one double. */
void test_schema__refuses_integers_that_are_no_doubles(void **state)
{
    const int64_t most = (int64_t)1 << 53;
    const int64_t x[][2] = {{most, 1}, {-most, 1}, {most + 1, 0}, {-most - 1, 0}, {INT64_MIN, 0}};
    const synth_config c = synth_config_default();
    mill_table *t;
    synth_schema *s;

    (void)state;
    assert_ok(table_new(&t, 2, 1));
    assert_ok(column_init(&t->col[0], "key", MILL_INTEGER, 2));
    for (size_t i = 0; i < sizeof x / sizeof *x; i++) {
        t->col[0].i64[1] = x[i][0];
        if (!x[i][1]) {
            assert_fails(MILL_EINPUT, "-d \"key\" makes", synth_schema_fit(&s, t, &c));
            continue;
        }
        assert_ok(synth_schema_fit(&s, t, &c));
        synth_schema_free(s);
    }
    assert_ok(column_set_missing(&t->col[0], 1)); /* what lies there means nothing */
    assert_ok(synth_schema_fit(&s, t, &c));
    synth_schema_free(s);
    mill_table_free(t);
}
