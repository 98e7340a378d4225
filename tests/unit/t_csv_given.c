/* t_csv_given.c - types that are given, and files that change while they are read. */
#include "lib/test.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "table/csv_reader.h"

#include <fcntl.h>
#include <unistd.h>

static char path[64], types[80];

static void write_text(const char *text)
{
    snprintf(path, sizeof path, "/tmp/t_csv_given-%d.csv", (int)getpid());
    assert_ok(file_write_all(path, text, strlen(text)));
}

/* Column x of these lines as the given type. */
static mill_err read_given(mill_table **t, const char *lines, const char *type)
{
    char text[400], json[200];
    const csv_options o = {.header = -1, .types = types};

    snprintf(text, sizeof text, "x\n%s", lines);
    write_text(text);
    snprintf(types, sizeof types, "%s.json", path);
    snprintf(json, sizeof json, "{\"columns\":[{\"name\":\"x\",%s}]}", type);
    assert_ok(file_write_all(types, json, strlen(json)));
    const mill_err err = mill_table_read_csv(t, path, &o, NULL);
    assert_ok(file_remove(types));
    assert_ok(file_remove(path));
    return err;
}

void test_csv_given__zeros_in_front_say_nothing(void **state)
{
    mill_table *t;

    (void)state;
    assert_ok(read_given(&t, "0001.25\n-002.5\n0\n", "\"type\":\"real\""));
    assert_int_equal(t->col[0].decimals, 2);
    assert_true(t->col[0].f64[0] == 1.25 && t->col[0].f64[1] == -2.5);
    mill_table_free(t);
    assert_ok(read_given(&t, "-007\n+08\n0\n-00\n", "\"type\":\"integer\""));
    assert_int_equal(t->col[0].i64[0], -7);
    assert_int_equal(t->col[0].i64[1], 8);
    assert_int_equal(t->col[0].i64[3], 0);
    mill_table_free(t);
    assert_fails(MILL_EINPUT, "\"0x1\" is not an integer",
                 read_given(&t, "0x1\n", "\"type\":\"integer\""));
}

void test_csv_given__a_format_comes_before_the_iso_forms(void **state)
{
    static const char type[] = "\"type\":\"datetime\",\"format\":\"%Y-%d-%m\"";
    mill_table *t;

    (void)state;
    assert_ok(read_given(&t, "1970-02-01\n1970-31-01\n", type));
    assert_int_equal(t->col[0].i64[0], 86400); /* the second of January */
    assert_int_equal(t->col[0].i64[1], 30 * 86400);
    mill_table_free(t);
    assert_fails(MILL_EINPUT, "\"-0\" is not a date", read_given(&t, "1970-02-01\n-0\n", type));
    assert_fails(MILL_EINPUT, "\"-0\" is not a date",
                 read_given(&t, "1970-02-01\n-0\n", "\"type\":\"datetime\""));
}

void test_csv__the_largest_integer_begins_no_run(void **state)
{
    mill_text text = {0};
    mill_table *t;

    (void)state;
    text_add(&text, "x,y\n");
    for (int i = 0; i < 60; i++) text_add(&text, "9223372036854775807,a\n");
    write_text(text.s);
    assert_ok(mill_table_read_csv(&t, path, NULL, NULL));
    assert_int_equal(t->col[0].type, MILL_INTEGER);
    mill_table_free(t);
    text_free(&text);
    assert_ok(file_remove(path));
}

/* ---- changed while it is read ---- */

static void append(const char *text)
{
    FILE *f = fopen(path, "ab");
    assert_non_null(f);
    assert_int_equal(fputs(text, f) >= 0, 1);
    assert_int_equal(fclose(f), 0);
}

void test_csv_changed__what_grows_is_read_as_it_was(void **state)
{
    source in;
    mill_table *t;

    (void)state;
    write_text("x,y\n1,a\n2,b\n");
    assert_ok(source_open(&in, path, NULL));
    append("3,c\n");
    assert_ok(csv_read_source(&t, &in, NULL, NULL));
    assert_int_equal(t->rows, 2);
    mill_table_free(t);
    assert_ok(file_remove(path));
}

void test_csv_changed__what_shrinks_is_refused(void **state)
{
    source in;
    mill_table *t;

    (void)state;
    write_text("x,y\n1,a\n2,b\n");
    assert_ok(source_open(&in, path, NULL));
    assert_int_equal(truncate(path, 8), 0);
    assert_fails(MILL_EINPUT, "was changed while it was read",
                 csv_read_source(&t, &in, NULL, NULL));
    assert_ok(file_remove(path));
}

/* The second visit, which a table above memory_bytes gets, finds other bytes than the first. */
static void assert_noticed(const char *before, const char *after)
{
    const csv_options o = {.header = -1, .memory_bytes = 1};
    csv_reader r = {.o = &o};
    mill_table *t = NULL;

    write_text(before);
    assert_ok(source_open(&r.src, path, NULL));
    assert_ok(csv_reader_open(&r));
    assert_ok(csv_reader_types(&r));
    assert_ok(csv_infer(&r));
    assert_ok(csv_decide(&r));
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, after, strlen(after), 0), strlen(after));
    close(fd);
    assert_ok(csv_allocate(&r, &t));
    assert_fails(MILL_EINPUT, "was changed while it was read", csv_fill(&r, t));
    mill_table_free(t);
    csv_reader_close(&r);
    assert_ok(file_remove(path));
}

void test_csv_changed__what_changes_between_the_visits_is_refused(void **state)
{
    (void)state;
    assert_noticed("x,y\n11,a\n22,b\n", "x,y\n1,a\n2,b\n3,c\n");  /* more rows */
    assert_noticed("x,y\n1,a\n2,b\n3,c\n", "x,y\n11,a\n22,bb\n"); /* fewer */
    assert_noticed("x,y\n1,a\n2,b\n", "x,y\n1,a\n2,c\n");         /* a text that was not there */
    assert_noticed("x,y\n1,a\n2,b\n", "x,y\n1,a\n,bb\n");         /* a hole */
}
