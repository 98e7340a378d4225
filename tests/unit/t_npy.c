/* t_npy.c - arrays as tables and back; numpy's own files where there is numpy. */
#include "lib/test.h"

#include "base/file.h"
#include "base/mem.h"
#include "table/csv.h"

#include <math.h>
#include <unistd.h>

static char dir[64], path[96];

static const char *in_dir(const char *name)
{
    snprintf(dir, sizeof dir, "/tmp/t_npy-%d", (int)getpid());
    assert_ok(file_mkdir(dir));
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static mill_table *sample(void)
{
    static const int32_t offset[3] = {0, 2, 5};
    mill_table *t;

    assert_ok(table_new(&t, 3, 3));
    assert_ok(column_init(&t->col[0], "int", MILL_INTEGER, 3));
    assert_ok(column_init(&t->col[1], "real", MILL_REAL, 3));
    assert_ok(column_init(&t->col[2], "flag", MILL_BOOLEAN, 3));
    assert_ok(column_set_dictionary(&t->col[2], 2, offset, "noyes"));
    for (int i = 0; i < 3; i++)
        t->col[0].i64[i] = i - 1, t->col[1].f64[i] = i / 4.0, t->col[2].code[i] = i % 2;
    assert_ok(column_set_missing(&t->col[1], 1));
    return t;
}

static void assert_as_sample(const mill_table *t)
{
    assert_int_equal(t->rows, 3);
    assert_int_equal(t->n_cols, 3);
    assert_int_equal(t->col[1].n_missing, 1);
    assert_true(t->col[1].f64[2] == 0.5);
    assert_int_equal(t->col[1].decimals, 1); /* as many as its numbers show */
}

void test_npy__npz_comes_back(void **state)
{
    mill_table *t = sample(), *back;

    (void)state;
    assert_ok(mill_table_write(t, in_dir("t.npz"), false, NULL));
    assert_fails(MILL_EINPUT, "exists", mill_table_write(t, path, false, NULL));
    assert_ok(mill_table_read(&back, path, NULL, NULL));
    assert_as_sample(back);
    assert_string_equal(back->col[2].name, "flag");
    assert_int_equal(back->col[2].type, MILL_BOOLEAN);
    assert_int_equal(back->col[2].code[1], 1);
    assert_int_equal(back->col[0].i64[0], -1);
    mill_table_free(back);
    mill_table_free(t);
    assert_ok(file_remove_tree(dir));
}

void test_npy__npy_comes_back_as_one_array(void **state)
{
    static const char *const discrete[] = {"c0", NULL};
    const csv_options o = {.header = -1, .drop = "c2", .discrete = discrete};
    mill_table *t = sample(), *back;

    (void)state;
    assert_ok(mill_table_write(t, in_dir("t.npy"), false, NULL));
    assert_ok(mill_table_read(&back, path, NULL, NULL));
    assert_as_sample(back);
    assert_int_equal(back->col[0].type, MILL_REAL);
    mill_table_free(back);
    assert_ok(mill_table_read(&back, path, &o, NULL));
    assert_int_equal(back->n_cols, 2);
    assert_int_equal(back->col[0].type, MILL_CATEGORY);
    assert_int_equal(back->col[0].n_values, 3);
    assert_memory_equal(back->col[0].text, "-101", 4);
    mill_table_free(back);
    mill_table_free(t);
    assert_ok(file_remove_tree(dir));
}

void test_npy__infinity_is_missing(void **state)
{
    mill_table *t = sample(), *back;

    (void)state;
    t->col[1].f64[2] = -HUGE_VAL;
    assert_ok(mill_table_write(t, in_dir("t.npy"), false, NULL));
    assert_ok(mill_table_read(&back, path, NULL, NULL));
    assert_int_equal(back->col[1].n_missing, 2);
    assert_false(column_is_valid(&back->col[1], 2));
    mill_table_free(back);
    mill_table_free(t);
    assert_ok(file_remove_tree(dir));
}

void test_npy__elements_lie_at_multiples_of_64_in_npz(void **state)
{
    mill_table *t = sample();
    char *text;
    size_t n;
    int found = 0;

    (void)state;
    assert_ok(mill_table_write(t, in_dir("t.npz"), false, NULL));
    assert_ok(file_read_all(&text, &n, path));
    for (size_t i = 0; i + 6 < n; i++)
        if (!memcmp(text + i, "\x93NUMPY", 6)) {
            assert_int_equal(i % 64, 0);
            found++;
        }
    assert_int_equal(found, 3);
    mill_free(text);
    mill_table_free(t);
    assert_ok(file_remove_tree(dir));
}

void test_npy__broken_and_foreign_files_are_refused(void **state)
{
    mill_table *t = sample(), *back = NULL;
    char *text;
    size_t n;

    (void)state;
    assert_ok(mill_table_write(t, in_dir("t.npz"), false, NULL));
    assert_ok(file_read_all(&text, &n, path));
    for (size_t k = 0; k < n; k += 5) {
        assert_ok(file_write_all(path, text, k));
        assert_int_equal(mill_table_read(&back, path, NULL, NULL), MILL_EINPUT);
    }
    text[150] ^= 1; /* an element: the CRC tells */
    assert_ok(file_write_all(path, text, n));
    assert_int_equal(mill_table_read(&back, path, NULL, NULL), MILL_EINPUT);
    mill_free(text);
    static const char object[] =
        "\x93NUMPY\x01\x00\x34\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,)}";
    assert_ok(file_write_all(in_dir("o.npy"), object, sizeof object - 1));
    assert_int_equal(mill_table_read(&back, path, NULL, NULL), MILL_EINPUT);
    assert_null(back);
    mill_table_free(t);
    assert_ok(file_remove_tree(dir));
}

static void assert_cell(const mill_table *t, int j, int64_t i, const char *want)
{
    int n;
    assert_true(column_is_valid(&t->col[j], i));
    const char *s = column_value(&t->col[j], t->col[j].code[i], &n);
    assert_int_equal(n, strlen(want));
    assert_memory_equal(s, want, (size_t)n);
}

/* Texts of one to four bytes a character, missing ones, dates and times. */
static mill_table *texts(void)
{
    static const char *const csv = "word,day,at,key\n"
                                   "a b,2020-02-29,1969-12-31T23:59:58,k1\n"
                                   "\xc3\xbc\xe2\x82\xac\xf0\x9f\x90\xa7,,2001-01-01T00:00:00,k2\n"
                                   ",1960-01-01,,k1\n";
    mill_table *t;

    assert_ok(file_write_all(in_dir("t.csv"), csv, strlen(csv)));
    assert_ok(mill_table_read(&t, path, NULL, NULL));
    assert_int_equal(t->col[1].type, MILL_DATETIME);
    return t;
}

static void assert_as_texts(const mill_table *t)
{
    assert_int_equal(t->rows, 3);
    assert_int_equal(t->col[0].type, MILL_CATEGORY);
    assert_cell(t, 0, 0, "a b");
    assert_cell(t, 0, 1, "\xc3\xbc\xe2\x82\xac\xf0\x9f\x90\xa7");
    assert_false(column_is_valid(&t->col[0], 2));
    assert_int_equal(t->col[1].type, MILL_DATETIME);
    assert_string_equal(t->col[1].format, "%Y-%m-%d");
    assert_int_equal(t->col[1].i64[0], 1582934400);
    assert_false(column_is_valid(&t->col[1], 1));
    assert_int_equal(t->col[1].i64[2], -315619200);
    assert_string_equal(t->col[2].format, "%Y-%m-%dT%H:%M:%S");
    assert_int_equal(t->col[2].i64[0], -2);
    assert_false(column_is_valid(&t->col[2], 2));
    assert_cell(t, 3, 1, "k2");
    assert_int_equal(t->col[3].n_values, 2);
}

void test_npy__texts_and_times_come_back(void **state)
{
    mill_table *t = texts(), *back = NULL;

    (void)state;
    assert_as_texts(t);
    assert_ok(mill_table_write(t, in_dir("t.npz"), false, NULL));
    assert_ok(mill_table_read(&back, path, NULL, NULL));
    assert_as_texts(back);
    mill_table_free(back);
    assert_fails(MILL_EINPUT, "written to .npz and CSV only",
                 mill_table_write(t, in_dir("t.npy"), false, NULL));
    t->col[1].i64[2] = -1; /* a second before 1970 is on the day before, as text and as number */
    assert_ok(mill_table_write(t, in_dir("day.npz"), false, NULL));
    assert_ok(mill_table_read(&back, path, NULL, NULL));
    assert_int_equal(back->col[1].i64[2], -86400);
    mill_table_free(back);
    mill_table_free(t);
    assert_ok(file_remove_tree(dir));
}

/* An array of one element of each hostile kind, as numpy would write it. */
static void assert_element_refused(const char *descr, const char *bytes, size_t n, const char *why)
{
    char file[300];
    mill_table *back = NULL;

    const int len =
        snprintf(file + 10, 200, "{'descr': '%s', 'fortran_order': False, 'shape': (1,)}", descr);
    memcpy(file, "\x93NUMPY\x01\x00", 8);
    file[8] = (char)len;
    file[9] = 0;
    memcpy(file + 10 + len, bytes, n);
    assert_ok(file_write_all(in_dir("h.npy"), file, 10 + (size_t)len + n));
    assert_fails(MILL_EINPUT, why, mill_table_read(&back, path, NULL, NULL));
    assert_null(back);
}

void test_npy__odd_texts_and_times_are_refused(void **state)
{
    static const int64_t half = 1500, far = INT64_MAX;

    (void)state;
    assert_element_refused("|S3", "a\0b", 3, "element 0: a text with a NUL");
    assert_element_refused("|S2", "\xff\xfe", 2, "not Unicode");
    assert_element_refused("<U2", "a\0\0\0\0\xd8\0\0", 8, "not Unicode"); /* a surrogate */
    assert_element_refused("<U1", "\0\0\x11\0", 4, "not Unicode");
    assert_element_refused("<M8[ms]", (const char *)&half, 8, "a fraction of a second");
    assert_element_refused("<M8[s]", (const char *)&far, 8, "not in the years");
    assert_element_refused("<M8[D]", (const char *)&far, 8, "not in the years");
    assert_element_refused("<M8[Y]", (const char *)&half, 8, "the dtype '<M8[Y]' is not read");
    assert_element_refused("<M8", (const char *)&half, 8, "is not read");
    assert_element_refused("<c8", (const char *)&half, 8, ".astype() one of them, or write CSV");
    assert_element_refused("<U0", "", 0, "is not read");
    assert_ok(file_remove_tree(dir));
}

void test_npy__numpy_agrees_on_texts_and_times(void **state)
{
    static const char script[] =
        "python3 -c \"import numpy as np, sys\n"
        "d = sys.argv[1]\n"
        "z = np.load(d + '/t.npz')\n"
        "assert z['word'].dtype == '<U3', z['word'].dtype\n"
        "assert z['word'].tolist() == ['a b', '\\u00fc\\u20ac\\U0001f427', '']\n"
        "assert z['day'].dtype == 'datetime64[D]' and z['at'].dtype == 'datetime64[s]'\n"
        "assert str(z['day'][0]) == '2020-02-29' and str(z['day'][2]) == '1960-01-01'\n"
        "assert np.isnat(z['day'][1]) and np.isnat(z['at'][2])\n"
        "assert str(z['at'][0]) == '1969-12-31T23:59:58'\n"
        "np.savez(d + '/n.npz', word=z['word'].astype('>U5'), day=z['day'],\n"
        "    at=z['at'].astype('>M8[ns]'), key=np.array([b'k1', b'k2', b'k1']))\n"
        "np.save(d + '/many.npy', np.array([['r%%d' %% i, 'x'] for i in range(60)], order='F'))\n"
        "\" %s";
    char command[2400];
    mill_table *t, *back;

    (void)state;
    if (system("python3 -c 'import numpy' 2>/dev/null")) skip_because("python3 has no numpy");
    t = texts();
    assert_ok(mill_table_write(t, in_dir("t.npz"), false, NULL));
    snprintf(command, sizeof command, script, dir);
    assert_int_equal(system(command), 0);
    assert_ok(mill_table_read(&back, in_dir("n.npz"), NULL, NULL));
    assert_as_texts(back);
    mill_table_free(back);
    assert_ok(mill_table_read(&back, in_dir("many.npy"), NULL, NULL));
    assert_int_equal(back->col[0].type, MILL_IDENTIFIER);
    assert_int_equal(back->col[1].type, MILL_CATEGORY);
    assert_cell(back, 0, 59, "r59");
    mill_table_free(back);
    mill_table_free(t);
    assert_ok(file_remove_tree(dir));
}

void test_npy__numpy_agrees(void **state)
{
    static const char script[] =
        "python3 -c \"import numpy as np, sys\n"
        "d = sys.argv[1]\n"
        "z = np.load(d + '/t.npz')\n"
        "assert z['int'].dtype == np.int64 and z['int'].tolist() == [-1, 0, 1]\n"
        "assert z['real'].dtype == np.float64 and np.isnan(z['real'][1]) and z['real'][2] == 0.5\n"
        "assert z['flag'].dtype == bool and z['flag'].tolist() == [False, True, False]\n"
        "np.savez_compressed(d + '/n.npz', x=np.arange(6, dtype='>i2').reshape(3, 2), "
        "h=np.float16([1, .5, 2]),\n"
        "    f=np.asfortranarray(np.arange(6.).reshape(3, 2)), u=np.array([1, 2, 2**63], "
        "dtype='u8'), b=np.array([1, 0, 1], bool))\n"
        "\" %s";
    char command[2000];
    mill_table *t, *back;

    (void)state;
    if (system("python3 -c 'import numpy' 2>/dev/null")) skip_because("python3 has no numpy");
    t = sample();
    assert_ok(mill_table_write(t, in_dir("t.npz"), false, NULL));
    snprintf(command, sizeof command, script, dir);
    assert_int_equal(system(command), 0);
    assert_ok(mill_table_read(&back, in_dir("n.npz"), NULL, NULL));
    assert_int_equal(back->n_cols, 7);
    assert_string_equal(back->col[1].name, "x_1");
    assert_int_equal(back->col[1].i64[2], 5);
    assert_true(back->col[2].f64[1] == 0.5);
    assert_true(back->col[4].f64[0] == 1.0 && back->col[4].f64[2] == 5.0);
    assert_int_equal(back->col[5].type, MILL_REAL); /* beyond int64 */
    assert_int_equal(back->col[6].type, MILL_BOOLEAN);
    mill_table_free(back);
    mill_table_free(t);
    assert_ok(file_remove_tree(dir));
}
