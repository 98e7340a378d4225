/* t_csv.c - what is read from CSV: types, missing values, quotes; what is refused, and in which
 * words. */
#include "lib/test.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "table/csv.h"

#include <unistd.h>

static char path[64];

static mill_err read_bytes(mill_table **t, const char *text, size_t n, const csv_options *o)
{
    snprintf(path, sizeof path, "/tmp/t_csv-%d.csv", (int)getpid());
    assert_ok(file_write_all(path, text, n));
    const mill_err err = mill_table_read_csv(t, path, o, NULL);
    unlink(path);
    return err;
}

static mill_err read_text(mill_table **t, const char *text, const csv_options *o)
{
    return read_bytes(t, text, strlen(text), o);
}

static mill_table *table_of(const char *text)
{
    mill_table *t = NULL;
    assert_ok(read_text(&t, text, NULL));
    return t;
}

/* The value as text; "<NA>" if it is missing. */
static const char *cell(const mill_table *t, int64_t row, int col)
{
    static char buf[200];
    const mill_column *c = &t->col[col];

    if (!column_is_valid(c, row)) return "<NA>";
    if (column_has_codes(c)) {
        int n;
        const char *s = column_value(c, c->code[row], &n);
        snprintf(buf, sizeof buf, "%.*s", n, s);
    } else if (c->type == MILL_REAL) {
        buf[mill_format_f64(buf, c->f64[row])] = 0;
    } else {
        snprintf(buf, sizeof buf, "%lld", (long long)c->i64[row]);
    }
    return buf;
}

#define assert_cell(t, row, col, want) assert_string_equal(cell(t, row, col), want)

/* The type of a column x with these lines; a second column keeps empty fields from being empty
 * lines. */
static mill_coltype type_of(const char *lines)
{
    mill_text text = {0};
    mill_table *t;

    text_add(&text, "x,k\n");
    for (const char *p = lines; *p;) {
        const int n = (int)strcspn(p, "\n");
        text_add(&text, "%.*s,a\n", n, p);
        p += n + (p[n] == '\n');
    }
    assert_ok(read_text(&t, text.s, NULL));
    const mill_coltype type = t->col[0].type;
    mill_table_free(t);
    text_free(&text);
    return type;
}

void test_csv__types_are_the_narrowest_that_hold(void **state)
{
    (void)state;
    assert_int_equal(type_of("1\n-2\n+3\n 4 "), MILL_INTEGER);
    assert_int_equal(type_of("0\n1\n1"), MILL_INTEGER);
    assert_int_equal(type_of("9223372036854775807"), MILL_INTEGER);
    assert_int_equal(type_of("9223372036854775808"), MILL_REAL);
    assert_int_equal(type_of("1\n2.5"), MILL_REAL);
    assert_int_equal(type_of("1e5"), MILL_REAL);
    assert_int_equal(type_of(".5\n5."), MILL_REAL);
    assert_int_equal(type_of("true\nfalse"), MILL_BOOLEAN);
    assert_int_equal(type_of("Y\nn\nn"), MILL_BOOLEAN);
    assert_int_equal(type_of("true\nFalse\nTRUE"), MILL_CATEGORY);
    assert_int_equal(type_of("true\nno"), MILL_CATEGORY);
    assert_int_equal(type_of("yes\nyes"), MILL_CATEGORY);
    assert_int_equal(type_of("2020-02-29\n1999-12-31"), MILL_DATETIME);
    assert_int_equal(type_of("2020-02-29\n2021-02-29"), MILL_CATEGORY);
    assert_int_equal(type_of("2020-02-29\n2020-03-01 10:00"), MILL_CATEGORY);
    assert_int_equal(type_of("02139\n10001"), MILL_CATEGORY);
    assert_int_equal(type_of("1\n2\ninf"), MILL_CATEGORY);
    assert_int_equal(type_of("0x10\n2"), MILL_CATEGORY);
    assert_int_equal(type_of("1e999\n2"), MILL_CATEGORY);
    assert_int_equal(type_of("1e308\n-1e308\n1e-999"), MILL_REAL);
    assert_int_equal(type_of("12\n?\nabc"), MILL_CATEGORY);
    assert_int_equal(type_of("\n\n"), MILL_CATEGORY);
}

static char said[400];

static void keep_words(void *ctx, mill_log_level level, const char *line)
{
    (void)ctx;
    if (level == MILL_LOG_WARN) snprintf(said, sizeof said, "%s", line);
}

/* What a warning says when x is read. */
static const char *warned_of(const char *lines)
{
    *said = 0;
    mill_log_set(keep_words, NULL, MILL_LOG_WARN);
    (void)type_of(lines);
    mill_log_set(NULL, NULL, MILL_LOG_WARN);
    return said;
}

void test_csv__a_column_that_is_no_number_for_a_few_values_is_announced(void **state)
{
    (void)state;
    assert_non_null(strstr(warned_of("1\n2.5\n-1e999\n1e400"),
                           ".csv:4: column \"x\" is read as category: \"-1e999\" is too large"));
    assert_non_null(strstr(warned_of("1e999\n2"), ".csv:2: column \"x\""));
    assert_string_equal(warned_of("1e999\nabc"), "");
    assert_string_equal(warned_of("1e999\n2e999"), "");
    assert_non_null(strstr(warned_of("1\n2\n3\n4\n5\n6\n7\n8\n9\n?"),
                           "1 of 10 values is no number, the first is \"?\" in line 11"));
    assert_non_null(
        strstr(warned_of("1e999\n1\n2\n3\n4\n5\n6\n7\n8\n9\n?\n1\n2\n3\n4\n5\n6\n7\n8\n9"),
               "2 of 20 values are no numbers, the first is \"1e999\" in line 2"));
    assert_string_equal(warned_of("1\n2\n?"), "");

    const char *const types = "{\"columns\": [{\"name\": \"x\", \"type\": \"real\"}]}";
    mill_table *t;
    char json[80];
    snprintf(json, sizeof json, "/tmp/t_csv-%d-x.json", (int)getpid());
    assert_ok(file_write_all(json, types, strlen(types)));
    const csv_options given = {.header = -1, .types = json};
    assert_fails(MILL_EINPUT, ".csv:2: column \"x\": \"1e999\" is not a number (too large)",
                 read_text(&t, "x,k\n1e999,b\n", &given));
    unlink(json);
    const csv_options o = {.header = -1, .na = "1e999"};
    assert_ok(read_text(&t, "x,k\n1.5,a\n1e999,b\n", &o));
    assert_int_equal(t->col[0].type, MILL_REAL);
    assert_int_equal(t->col[0].n_missing, 1);
    mill_table_free(t);
}

void test_csv__missing_is_the_empty_field_or_a_word(void **state)
{
    (void)state;
    mill_table *t = table_of("n,s,q\n1,a,x\n,NA,\"NA\"\nNaN,,\"\"\n null ,None,?\n");
    assert_int_equal(t->rows, 4);
    assert_int_equal(t->col[0].type, MILL_INTEGER);
    assert_int_equal(t->col[0].n_missing, 3);
    assert_int_equal(t->col[1].n_missing, 3);
    assert_int_equal(t->col[2].n_missing, 0);
    assert_cell(t, 1, 2, "NA"); /* quoted: a value */
    assert_cell(t, 2, 2, "");
    assert_cell(t, 3, 2, "?");
    assert_cell(t, 0, 0, "1");
    assert_cell(t, 3, 0, "<NA>");
    mill_table_free(t);

    const csv_options o = {.header = -1, .na = "?,-9"};
    assert_ok(read_text(&t, "a,b\n1,NA\n-9,?\n3,x\n", &o));
    assert_int_equal(t->col[0].n_missing, 1);
    assert_cell(t, 0, 1, "NA");
    assert_cell(t, 1, 1, "<NA>");
    mill_table_free(t);
}

void test_csv__blank_and_quoted_empty_are_missing_among_numbers_only(void **state)
{
    (void)state;
    mill_table *t = table_of("a,b,c\n1,x,yes\n\"\",\"\",\"\"\n ,   ,no\n4,y,yes\n");
    assert_int_equal(t->col[0].type, MILL_INTEGER);
    assert_int_equal(t->col[0].n_missing, 2);
    assert_int_equal(t->col[1].n_missing, 0);
    assert_cell(t, 2, 1, "   ");
    assert_int_equal(t->col[2].type, MILL_BOOLEAN);
    assert_int_equal(t->col[2].n_values, 2);
    assert_cell(t, 1, 2, "<NA>");
    assert_cell(t, 2, 2, "no");
    mill_table_free(t);
}

void test_csv__strings_are_verbatim(void **state)
{
    (void)state;
    mill_table *t =
        table_of("\xef\xbb\xbf"
                 "a,b\r\n x ,\"say \"\"hi\"\"\"\r\ny,\"two\nlines\"\n\n\"p,q\",5'10\" tall\r\n");
    assert_string_equal(t->col[0].name, "a");
    assert_int_equal(t->rows, 3);
    assert_cell(t, 0, 0, " x ");
    assert_cell(t, 0, 1, "say \"hi\"");
    assert_cell(t, 1, 1, "two\nlines");
    assert_cell(t, 2, 0, "p,q");
    assert_cell(t, 2, 1, "5'10\" tall");
    mill_table_free(t);
}

void test_csv__one_column_keeps_empty_lines_as_missing(void **state)
{
    (void)state;
    mill_table *t = table_of("x\n1\n\n3\n");
    assert_int_equal(t->rows, 3);
    assert_int_equal(t->col[0].n_missing, 1);
    mill_table_free(t);
    t = table_of("x,y\n1,2\n\n\r\n3,4"); /* several columns: not a record; no line end at the end */
    assert_int_equal(t->rows, 2);
    assert_cell(t, 1, 1, "4");
    mill_table_free(t);
}

void test_csv__delimiter_quote_and_header_are_sniffed(void **state)
{
    (void)state;
    mill_table *t = table_of("a;b;c\n1;x, y;2\n3;z;4\n");
    assert_int_equal(t->n_cols, 3);
    assert_cell(t, 0, 1, "x, y");
    mill_table_free(t);
    t = table_of("a\tb\n1\tx,y\n");
    assert_int_equal(t->n_cols, 2);
    mill_table_free(t);
    t = table_of("'a','b,c'\n'1','it''s'\n");
    assert_string_equal(t->col[1].name, "b,c");
    assert_cell(t, 0, 1, "it's");
    mill_table_free(t);
    t = table_of("5,x\n6,y\n");
    assert_int_equal(t->rows, 2);
    assert_string_equal(t->col[1].name, "c1");
    mill_table_free(t);
    t = table_of("id,2019\nx,5\ny,6\n,7\n");
    assert_int_equal(t->rows, 4); /* nothing tells: a number in the first line says no header */
    mill_table_free(t);
    t = table_of(",2019\n1,5\n2,6\n");
    assert_int_equal(t->rows, 3);
    mill_table_free(t);
    t = table_of("year,2019\n1,5\n2,6\n"); /* a text above numbers says header */
    assert_string_equal(t->col[1].name, "2019");
    mill_table_free(t);
}

void test_csv__decimals_are_the_most_that_were_seen(void **state)
{
    (void)state;
    mill_table *t = table_of("a,b,c\n1.5,1e-3,2\n2.125,2.5e1,3.0\n-7,1,1\n");
    assert_int_equal(t->col[0].decimals, 3);
    assert_int_equal(t->col[1].decimals, 3);
    assert_int_equal(t->col[2].decimals, 1);
    assert_true(t->col[0].f64[1] == 2.125);
    assert_true(t->col[1].f64[0] == 0.001);
    assert_true(t->col[1].f64[1] == 25.0);
    mill_table_free(t);
}

void test_csv__dates_are_seconds_with_their_format(void **state)
{
    (void)state;
    mill_table *t = table_of("a,b,c\n1970-01-02,2000-03-01T00:00:00Z,2020-01-01 12:30+02:00\n"
                             "1969-12-31,2000-02-29T23:59:59Z,2020-06-01 00:00+02:00\n");
    assert_string_equal(t->col[0].format, "%Y-%m-%d");
    assert_cell(t, 0, 0, "86400");
    assert_cell(t, 1, 0, "-86400");
    assert_string_equal(t->col[1].format, "%Y-%m-%dT%H:%M:%SZ");
    assert_cell(t, 0, 1, "951868800"); /* date -u -d 2000-03-01 +%s */
    assert_cell(t, 1, 1, "951868799");
    assert_string_equal(t->col[2].format, "%Y-%m-%d %H:%M+02:00");
    assert_cell(t, 0, 2, "1577874600"); /* date -d 2020-01-01T12:30+02:00 +%s */
    mill_table_free(t);
}

static char *lines_of(int n, const char *format, int step)
{
    mill_text text = {0};
    text_add(&text, "k,v\n");
    for (int i = 0; i < n; i++) {
        text_add(&text, format, 1000 + i * step);
        text_add(&text, ",%d\n", i % 7);
    }
    assert_ok(text_check(&text));
    return text.s;
}

static mill_coltype type_of_lines(int n, const char *format, int step)
{
    char *text = lines_of(n, format, step);
    mill_table *t = table_of(text);
    const mill_coltype type = t->col[0].type;
    if (type == MILL_IDENTIFIER) {
        char want[40];
        snprintf(want, sizeof want, format, 1000 + 7 * step);
        assert_cell(t, 7, 0, want);
        assert_int_equal(t->col[0].n_values, n);
    }
    assert_int_equal(t->col[1].type, MILL_INTEGER);
    mill_table_free(t);
    mill_free(text);
    return type;
}

void test_csv__identifiers_are_consecutive_integers_or_all_different_texts(void **state)
{
    (void)state;
    assert_int_equal(type_of_lines(51, "%d", 1), MILL_IDENTIFIER);
    assert_int_equal(type_of_lines(50, "%d", 1), MILL_INTEGER);
    assert_int_equal(type_of_lines(51, "%d", 2), MILL_INTEGER);
    assert_int_equal(type_of_lines(51, "%d", -1), MILL_INTEGER);
    assert_int_equal(type_of_lines(51, "user-%d", 3), MILL_IDENTIFIER);
    assert_int_equal(type_of_lines(50, "user-%d", 3), MILL_CATEGORY);
    assert_int_equal(type_of_lines(51, "user-%d", 0), MILL_CATEGORY);
    assert_int_equal(type_of_lines(60000, "%d", 1), MILL_IDENTIFIER); /* several blocks */

    /* -30 .. 30, which would be made anew; but not with a zero that would lose its sign */
    for (int odd = 0; odd < 2; odd++) {
        mill_text text = {0};
        mill_table *t;
        text_add(&text, "id,x\n");
        for (int i = -30; i <= 30; i++) text_add(&text, "%s%d,1\n", odd && !i ? "-" : "", i);
        assert_ok(read_text(&t, text.s, NULL));
        assert_int_equal(t->col[0].type, odd ? MILL_INTEGER : MILL_IDENTIFIER);
        mill_table_free(t);
        text_free(&text);
    }
}

void test_csv__hostile_files_are_refused_with_line_and_column(void **state)
{
    mill_table *t = NULL;

    (void)state;
    assert_fails(MILL_EINPUT, ".csv:3: 1 field, but the table has 2 columns",
                 read_text(&t, "a,b\n1,2\n3\n4,5\n", NULL));
    assert_fails(MILL_EINPUT, ".csv:4: 3 fields", read_text(&t, "a,b\n\"1\n\",2\n3,4,5\n", NULL));
    assert_fails(MILL_EINPUT, ".csv:3: column \"b\": the quote is not closed",
                 read_text(&t, "a,b\n1,2\n3,\"x\n4,5\n", NULL));
    assert_fails(MILL_EINPUT, ".csv:2: column \"b\": there is text behind the closing quote",
                 read_text(&t, "a,b\n1,\"x\"y\n", NULL));
    assert_fails(MILL_EINPUT, ".csv:2: column \"b\": there is text behind the closing quote",
                 read_text(&t, "a,b\n1,\"x\"\ry\n", NULL)); /* a CR that ends no line */
    assert_fails(MILL_EINPUT, ".csv:1: there is text behind the closing quote",
                 read_text(&t, "\"a\"x,b\n1,2\n", NULL));
    assert_fails(MILL_EINPUT, ".csv:2: column \"b\": a NUL byte",
                 read_bytes(&t, "a,b\n1,x\0y\n", 10, NULL));
    assert_fails(MILL_EINPUT, ".csv:3: column \"b\": the text is not UTF-8",
                 read_text(&t, "a,b\n1,x\n2,\xff\n", NULL));
    assert_fails(MILL_EINPUT, "not UTF-8",
                 read_text(&t, "a,b\n1,\xed\xa0\x80\n", NULL)); /* surrogate */
    assert_fails(MILL_EINPUT, "not UTF-8", read_text(&t, "a,b\n1,\xc0\x80\n", NULL)); /* overlong */
    assert_fails(MILL_EINPUT, ".csv:3: column \"age\": \"12,5\" is not a number (decimal comma?)",
                 read_text(&t, "age;b\n1;2\n12,5;3\n", NULL));
    assert_fails(MILL_EINPUT, "\"12,5\" is not a number (decimal comma?)",
                 read_text(&t, "age;b\n1;2\n3;12,5", NULL)); /* no line end */
    assert_fails(MILL_EINPUT, "\"1,234\" is not a number", read_text(&t, "age;b\n1,234;2\n", NULL));
    assert_fails(MILL_EINPUT, "has no rows", read_text(&t, "a,b\n", NULL));
    assert_fails(MILL_EINPUT, "has no rows", read_text(&t, "a,b\n\n\n", NULL));
    assert_fails(MILL_EINPUT, "is empty", read_text(&t, "", NULL));
    assert_fails(MILL_EINPUT, "no columns", read_text(&t, "\n\r\n", NULL));
    assert_fails(MILL_EINPUT, ".csv:1: column \"a\" appears twice",
                 read_text(&t, "a,b,a\n1,2,3\n", NULL));
    assert_fails(MILL_EINPUT, "UTF-16",
                 read_bytes(&t,
                            "\xff\xfe"
                            "a\0,\0",
                            6, NULL));
    assert_null(t);
}

/* Those of Parquet are at both ends. */
void test_csv__a_name_may_begin_like_another_format(void **state)
{
    mill_table *t;

    (void)state;
    snprintf(path, sizeof path, "/tmp/t_csv-%d.csv", (int)getpid());
    assert_ok(file_write_all(path, "PARENT,PAR1\n17,3\n", 17));
    assert_ok(mill_table_read(&t, path, NULL, NULL));
    assert_string_equal(t->col[0].name, "PARENT");
    mill_table_free(t);
    assert_ok(file_remove(path));
}

/* A pipe has no size and cannot be read twice: it is spooled. */
void test_csv__a_pipe_is_read_to_its_end(void **state)
{
    mill_table *t;
    char pipe_path[64];
    int end[2];

    (void)state;
    assert_int_equal(pipe(end), 0);
    assert_int_equal(write(end[1], "a,b\n1,x\n2,y\n", 12), 12);
    close(end[1]);
    snprintf(pipe_path, sizeof pipe_path, "/proc/self/fd/%d", end[0]);
    assert_ok(mill_table_read_csv(&t, pipe_path, NULL, NULL));
    close(end[0]);
    assert_int_equal(t->rows, 2);
    assert_cell(t, 1, 0, "2");
    assert_cell(t, 1, 1, "y");
    mill_table_free(t);
}

void test_csv__options_choose_columns_and_types(void **state)
{
    mill_table *t;
    static const char *const discrete[] = {"a", NULL}, *const unknown[] = {"z", NULL};
    csv_options o = {.header = -1, .discrete = discrete};

    (void)state;
    assert_ok(read_text(&t, "a,b\n2,x\n1,y\n2,z\n", &o));
    assert_int_equal(t->col[0].type, MILL_CATEGORY);
    assert_int_equal(t->col[0].n_values, 2);
    assert_cell(t, 0, 0, "2");
    assert_int_equal(t->col[0].code[0], 0); /* first appearance */
    mill_table_free(t);
    o.discrete = unknown;
    assert_fails(MILL_EINPUT, "no column \"z\"", read_text(&t, "a,b\n2,x\n", &o));

    o = (csv_options){.header = -1, .columns = "c,a", .drop = "c"};
    assert_ok(read_text(&t, "a,b,c\n1,2,3\n", &o));
    assert_int_equal(t->n_cols, 1);
    assert_string_equal(t->col[0].name, "a");
    mill_table_free(t);
    o.drop = "a,c";
    assert_fails(MILL_EINPUT, "no column is left", read_text(&t, "a,b,c\n1,2,3\n", &o));
    o = (csv_options){.header = 0, .delimiter = ';'};
    assert_ok(read_text(&t, "a,b\nc,d\n", &o));
    assert_int_equal(t->n_cols, 1);
    assert_int_equal(t->rows, 2);
    mill_table_free(t);
}

void test_csv__types_file_forces_types_and_is_written_to_be_read(void **state)
{
    char types[64], *json;
    mill_table *t;
    csv_options o = {.header = -1, .types = types};
    const char *text = "zip,n,d\n02139,1,03/02/2020\n10001,2.0,04/02/2020\n";

    (void)state;
    snprintf(types, sizeof types, "/tmp/t_csv-%d.json", (int)getpid());
    const char *file = "{\"columns\":[{\"name\":\"zip\",\"type\":\"integer\"},{\"name\":\"n\","
                       "\"type\":\"integer\"},"
                       "{\"name\":\"d\",\"type\":\"datetime\",\"format\":\"%d/%m/%Y\"}]}";
    assert_ok(file_write_all(types, file, strlen(file)));
    assert_ok(read_text(&t, text, &o));
    assert_cell(t, 0, 0, "2139");
    assert_cell(t, 1, 1, "2");
    assert_cell(t, 0, 2, "1580688000"); /* date -u -d 2020-02-03 +%s */
    assert_ok(mill_table_types_json(&json, t));
    assert_non_null(strstr(json, "\"max\": \"04/02/2020\""));
    assert_ok(file_write_all(types, json, strlen(json)));
    mill_table_free(t);
    assert_ok(read_text(&t, text, &o)); /* what was written is read */
    assert_int_equal(t->col[2].type, MILL_DATETIME);
    mill_table_free(t);
    mill_free(json);

    /* numbers as texts: nothing of their form is lost */
    file = "{\"columns\":[{\"name\":\"a\",\"type\":\"boolean\"},{\"name\":\"b\",\"type\":"
           "\"identifier\"},{\"name\":\"c\",\"type\":\"category\"}]}";
    assert_ok(file_write_all(types, file, strlen(file)));
    assert_ok(read_text(&t, "a,b,c\nyes,07,1.50\nno,08,1.5\nyes,09,2\n", &o));
    assert_int_equal(t->col[0].type, MILL_BOOLEAN);
    assert_int_equal(t->col[1].type, MILL_IDENTIFIER);
    assert_int_equal(t->col[2].type, MILL_CATEGORY);
    assert_cell(t, 1, 0, "no");
    assert_cell(t, 2, 1, "09");
    assert_cell(t, 0, 2, "1.50");
    assert_int_equal(t->col[2].n_values, 3);
    mill_table_free(t);

    file = "{\"columns\":[{\"name\":\"n\",\"type\":\"integer\"}]}";
    assert_ok(file_write_all(types, file, strlen(file)));
    assert_fails(MILL_EINPUT, ".csv:3: column \"n\": \"2.5\" is not an integer",
                 read_text(&t, "a,n\nx,1\ny,2.5\n", &o));
    file = "{\"columns\":[{\"name\":\"n\",\"type\":\"number\"}]}";
    assert_ok(file_write_all(types, file, strlen(file)));
    assert_fails(MILL_EINPUT, "no type \"number\"", read_text(&t, "a,n\nx,1\n", &o));
    unlink(types);
}

void test_csv__like_keeps_types_and_order_of_values(void **state)
{
    mill_table *like = table_of("a,b,c\nx,1.5,1\ny,2,2\n"), *t;
    const csv_options o = {.header = -1, .like = like};

    (void)state;
    assert_ok(read_text(&t, "c,a,b,new\n1,z,1,q\n2.5,y,2,q\n", &o));
    assert_int_equal(t->col[1].n_values, 3);
    assert_cell(t, 0, 1, "z");
    assert_int_equal(t->col[1].code[0], 2);
    assert_int_equal(t->col[1].code[1], 1);
    assert_int_equal(t->col[2].type, MILL_REAL); /* although all are whole here */
    assert_int_equal(t->col[2].decimals, 1);
    assert_int_equal(t->col[0].type, MILL_REAL); /* 2.5 is no integer: the nearest that holds */
    mill_table_free(t);
    mill_table_free(like);
}

void test_csv__wide_fields_and_many_categories_are_read(void **state)
{
    enum { WIDE = 3000000, MANY = 300000 };
    mill_text text = {0};
    mill_table *t;

    (void)state;
    char *wide = mill_alloc(WIDE + 1, 1);
    memset(wide, 'w', WIDE);
    text_add(&text, "a,b\n1,%s\n2,\"", wide);
    for (int i = 0; i < WIDE / 10; i++) text_add(&text, "line\n\"\"q,\"\"");
    text_add(&text, "\"\n3,x\n");
    assert_ok(text_check(&text));
    assert_ok(read_text(&t, text.s, NULL));
    assert_int_equal(t->rows, 3);
    assert_int_equal(t->col[1].offset[1], WIDE);
    assert_int_equal(t->col[1].offset[2], WIDE + WIDE / 10 * 9);
    assert_cell(t, 2, 1, "x");
    mill_table_free(t);
    mill_free(wide);

    text_clear(&text);
    text_add(&text, "a\n");
    for (int i = 0; i < MANY + 10; i++) text_add(&text, "v%d\n", i % MANY);
    assert_ok(read_text(&t, text.s, NULL));
    assert_int_equal(t->col[0].type, MILL_CATEGORY);
    assert_int_equal(t->col[0].n_values, MANY);
    assert_cell(t, MANY + 3, 0, "v3");
    mill_table_free(t);

    /* doubled quotes are taken out in one place, one field after the other; several blocks */
    text_clear(&text);
    text_add(&text, "a\n");
    for (int i = 0; i < 30000; i++)
        text_add(&text, i % 3 ? "\"so long a \"\"value\"\" %d\"\n" : "v%d\n", i * 7 % 6000);
    assert_ok(read_text(&t, text.s, NULL));
    for (int i = 0; i < 30000; i++) {
        char want[40];
        snprintf(want, sizeof want, i % 3 ? "so long a \"value\" %d" : "v%d", i * 7 % 6000);
        assert_cell(t, i, 0, want);
    }
    mill_table_free(t);
    text_free(&text);
}
