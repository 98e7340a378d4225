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
