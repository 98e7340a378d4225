/* t_records.c - records out of lines, arrays and tables. */
#include "lib/folder.h"
#include "lib/test.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/philox.h"
#include "base/text.h"
#include "reason/records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static record_file *opened(const char *name, const char *text)
{
    record_file *r = NULL;
    assert_ok(file_write_all(path_of(name), text, strlen(text)));
    assert_ok(records_open(&r, path_of(name), NULL));
    return r;
}

static void assert_refused(const char *name, const char *text, const char *words)
{
    record_file *r = NULL;
    assert_ok(file_write_all(path_of(name), text, strlen(text)));
    assert_int_equal(records_open(&r, path_of(name), NULL), MILL_EINPUT);
    if (!strstr(mill_error(), words)) fail_msg("%s", mill_error());
    assert_null(r);
}

static void assert_field(const record_file *r, int64_t i, const char *field, const char *want)
{
    json_t *o;
    char *s;

    assert_ok(records_read(&o, r, i));
    assert_ok(record_text(&s, o, field));
    assert_string_equal(s, want);
    mill_free(s);
    json_decref(o);
}

static void assert_bad(const record_file *r, int64_t i, const char *words)
{
    json_t *o;
    assert_int_equal(records_read(&o, r, i), MILL_EINPUT);
    if (!strstr(mill_error(), words)) fail_msg("%s", mill_error());
}

void test_records__are_lines_without_empty_ones(void **state)
{
    record_file *r = opened("a.jsonl", "{\"a\":1}\n\n  \n{\"a\":\"x\\ny\"}\r\n{\"a\":2.5}");

    (void)state;
    assert_int_equal(records_count(r), 3);
    assert_field(r, 2, "a", "2.5");
    assert_field(r, 0, "a", "1");
    assert_field(r, 1, "a", "x\ny");
    records_close(r);
}

void test_records__are_elements_of_an_array(void **state)
{
    record_file *r =
        opened("a.json", "\xef\xbb\xbf [ {\"a\":\"}],[{\\\"\"} ,\n{\"a\":[1,{\"b\":2}],"
                         "\"c\":true}\n,{\"a\":\"\"} ] \n");

    (void)state;
    assert_int_equal(records_count(r), 3);
    assert_field(r, 0, "a", "}],[{\"");
    assert_field(r, 1, "c", "true");
    assert_field(r, 2, "a", "");
    records_close(r);
    r = opened("lines.json", "{\"a\":1}\n{\"a\":2}\n");
    assert_int_equal(records_count(r), 2);
    records_close(r);
}

void test_records__are_rows_of_a_table_as_text(void **state)
{
    record_file *r =
        opened("a.csv", "id,text\r\n1,\"a \"\"b\"\", c\nd\"\r\n\r\n007,\n\"x\",\" y \"");

    (void)state;
    assert_int_equal(records_count(r), 3);
    assert_field(r, 0, "text", "a \"b\", c\nd");
    assert_field(r, 1, "id", "007");
    assert_field(r, 1, "text", "");
    assert_field(r, 2, "text", " y ");
    records_close(r);
    r = opened("a.tsv", "id\ttext\n1\t\n\t\n2\t x \n");
    assert_int_equal(records_count(r), 3);
    assert_field(r, 0, "text", "");
    assert_field(r, 1, "id", "");
    assert_field(r, 2, "text", " x ");
    records_close(r);
}

void test_records__name_the_line_of_a_bad_one_and_go_on(void **state)
{
    record_file *r = opened("b.jsonl", "{\"a\":1}\n{\"a\":}\n[1]\n{\"a\":1,\"a\":2}\n{\"a\":4}\n");

    (void)state;
    assert_int_equal(records_count(r), 5);
    assert_bad(r, 1, "b.jsonl:2: ");
    assert_bad(r, 2, "b.jsonl:3: this is not an object");
    assert_bad(r, 3, "duplicate");
    assert_field(r, 4, "a", "4");
    records_close(r);
    r = opened("b.csv", "a,b\n1,2\n1\n1,2,3\n\xff,2\n");
    assert_bad(r, 1, "b.csv:3: 1 fields, and the header has 2");
    assert_bad(r, 2, "b.csv:4: 3 fields");
    assert_bad(r, 3, "column \"a\" is not UTF-8");
    assert_field(r, 0, "b", "2");
    records_close(r);
}

/* An empty line behind every third record; every record is bad. */
void test_records__know_their_lines_far_into_a_file(void **state)
{
    char words[40];
    mill_text t = {0};
    record_file *r;
    record_json j;
    int line = 1;

    (void)state;
    for (int i = 0; i < 1000; i++) text_add(&t, i % 3 == 2 ? "[%d]\n\n" : "[%d]\n", i);
    t.s[0] = '{'; /* the first byte says that these are lines */
    r = opened("far.jsonl", t.s);
    for (int i = 0; i < 1000; i++) {
        snprintf(words, sizeof words, "far.jsonl:%d: ", line);
        assert_bad(r, i, words);
        line += 1 + (i % 3 == 2);
    }
    records_close(r);
    text_free(&t);
    for (int i = 0; i < 200; i++) text_add(&t, i ? ",c%d" : "c%d", i);
    for (int i = 0; i < 200; i++) text_add(&t, i ? ",%d" : "\n%d", i);
    r = opened("wide.csv", t.s);
    assert_int_equal(records_json(&j, r, 0), MILL_EINPUT);
    if (!strstr(mill_error(), "wide.csv:2: more than 128 members")) fail_msg("%s", mill_error());
    records_close(r);
    text_free(&t);
}

void test_records__refuse_files_that_are_none(void **state)
{
    (void)state;
    assert_refused("e.jsonl", "", "is empty");
    assert_refused("e.txt", "hello\n", "neither objects in lines");
    assert_refused("e.json", "[]", "there are no records");
    assert_refused("e.json", "[{\"a\":1},", "not closed");
    assert_refused("e.json", "[{\"a\":1}] x", "more behind the end");
    assert_refused("e.json", "[{\"a\":1},\n2,]", "e.json:2: an item of the array is missing");
    assert_refused("e.json", "[{\"a\":1}\n,\n,{\"a\":2}]", "e.json:3: an item");
    assert_refused("e.json", "[,{\"a\":1}]", "e.json:1: an item");
    assert_refused("e.csv", "a,b\n", "there are no records");
    assert_refused("e.csv", "a,b,a\n1,2,3\n", "two columns are called \"a\"");
    assert_refused("e.csv", "a\n\"1\n", "never closed");
}

void test_records__say_what_a_field_is_not(void **state)
{
    record_file *r = opened("f.jsonl", "{\"n\":null,\"l\":[],\"o\":{}}\n");
    json_t *o;
    char *s;

    (void)state;
    assert_ok(records_read(&o, r, 0));
    assert_int_equal(record_text(&s, o, "x"), MILL_EINPUT);
    assert_string_equal(mill_error(), "there is no field \"x\"");
    assert_int_equal(record_text(&s, o, "n"), MILL_EINPUT);
    assert_string_equal(mill_error(), "the field \"n\" is null, not text");
    assert_int_equal(record_text(&s, o, "l"), MILL_EINPUT);
    assert_int_equal(record_text(&s, o, "o"), MILL_EINPUT);
    json_decref(o);
    records_close(r);
}

/* Objects of random texts, written three ways, longer together than the scanner's chunk. */
void test_records__are_the_same_from_every_layout(void **state)
{
    enum { RECORDS = 3000 };
    static const char piece[][8] = {"a", "\"", "\\", ",", "\n", "{", "}", "[", "]", "\u00e9", "  "};
    mill_rng rng = mill_rng_init(3, 1, 0);
    mill_text lines = {0}, array = {0}, csv = {0};
    record_file *r[3];

    (void)state;
    text_add(&array, "[");
    text_add(&csv, "id,text\n");
    for (int i = 0; i < RECORDS; i++) {
        size_t n = 1;
        char text[1200] = "x"; /* no text is empty, so that no line of the table is */
        for (uint32_t k = mill_rng_below(&rng, 100); k > 0; k--)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s", piece[mill_rng_below(&rng, 11)]);
        json_t *o = json_pack("{s:i,s:s}", "id", i, "text", text);
        char *s = json_dumps(o, JSON_COMPACT);
        text_add(&lines, "%s\n", s);
        text_add(&array, "%s%s", i ? "," : "", s);
        text_add(&csv, "%d,\"", i);
        for (const char *c = text; *c; c++) text_add(&csv, *c == '"' ? "\"\"" : "%c", *c);
        text_add(&csv, "\"\n");
        free(s);
        json_decref(o);
    }
    text_add(&array, "]");
    assert_true(lines.len > 1 << 18);
    r[0] = opened("same.jsonl", lines.s);
    r[1] = opened("same.json", array.s);
    r[2] = opened("same.csv", csv.s);
    for (int64_t i = RECORDS - 1; i >= 0; i--) {
        json_t *o[3];
        for (int k = 0; k < 3; k++) assert_ok(records_read(&o[k], r[k], i));
        assert_true(json_equal(o[0], o[1]));
        assert_true(json_equal(json_object_get(o[0], "text"), json_object_get(o[2], "text")));
        assert_int_equal(json_integer_value(json_object_get(o[0], "id")), i);
        for (int k = 0; k < 3; k++) json_decref(o[k]);
    }
    for (int k = 0; k < 3; k++) {
        assert_int_equal(records_count(r[k]), RECORDS);
        records_close(r[k]);
    }
    text_free(&lines);
    text_free(&array);
    text_free(&csv);
    remove_folder();
}
