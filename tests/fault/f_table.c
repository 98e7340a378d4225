/*
 * f_table.c - the n-th allocation, read, write, fsync and rename fails, for every n: an error in
 * words, nothing leaked, no file under the name, and the next try succeeds.
 */
#include "lib/test.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "table/csv.h"
#include "table/store.h"

#include <unistd.h>

static char dir[64], csv[80], gz[80], npz[80], mill[80], out[80];

static void add(mill_table *t, int j, const char *name, mill_coltype type)
{
    assert_ok(column_init(&t->col[j], name, type, t->rows));
}

static mill_table *numbers(void)
{
    mill_table *t;
    assert_ok(table_new(&t, 60, 2));
    add(t, 0, "i", MILL_INTEGER);
    add(t, 1, "r", MILL_REAL);
    for (int i = 0; i < 60; i++) t->col[0].i64[i] = i * i, t->col[1].f64[i] = i / 8.0;
    assert_ok(column_set_missing(&t->col[1], 5));
    return t;
}

static int set_up(void **state)
{
    static const char text[] = "id,n,x,t,q,d,b\n"
                               "1,1,1.5,a,\"x \"\"y\"\" z\",2020-01-01,yes\n"
                               "2,,2.25,b,\"NA\",2020-01-02,no\n"
                               "3,7,NA,12,?,,yes\n";
    mill_table *t;

    (void)state;
    mill_log_set(NULL, NULL, MILL_LOG_ERROR);
    snprintf(dir, sizeof dir, "/tmp/f_table-%d", (int)getpid());
    snprintf(csv, sizeof csv, "%s/t.csv", dir);
    snprintf(gz, sizeof gz, "%s/t.csv.gz", dir);
    snprintf(npz, sizeof npz, "%s/t.npz", dir);
    snprintf(mill, sizeof mill, "%s/t.mill", dir);
    assert_ok(file_mkdir(dir));
    assert_ok(file_write_all(csv, text, sizeof text - 1));
    assert_ok(mill_table_read(&t, csv, NULL, NULL));
    assert_ok(mill_table_write(t, gz, true, NULL));
    mill_table_free(t);
    t = numbers();
    assert_ok(mill_table_write(t, npz, true, NULL));
    mill_table_free(t);
    return 0;
}

/* ---- what is swept ---- */

static mill_err read_path(const char *path)
{
    mill_table *t = NULL;
    char *json = NULL;
    mill_err err = mill_table_read(&t, path, NULL, NULL);
    if (err) assert_null(t);
    if (!err) err = mill_table_types_json(&json, t);
    mill_free(json);
    mill_table_free(t);
    return err;
}

static mill_err read_csv(void)
{
    return read_path(csv);
}
static mill_err read_gz(void)
{
    return read_path(gz);
}
static mill_err read_npz(void)
{
    return read_path(npz);
}

static mill_err read_spooled(void)
{
    const csv_options o = {.header = -1, .memory_bytes = 1};
    mill_table *t = NULL;
    const mill_err err = mill_table_read_csv(&t, csv, &o, NULL);
    mill_table_free(t);
    return err;
}

static mill_err write_to(const char *name)
{
    mill_table *t = NULL, *part = NULL;
    static const int cols[2] = {1, 2};

    snprintf(out, sizeof out, "%s/%s", dir, name);
    mill_err err = mill_table_read(&t, csv, NULL, NULL);
    if (!err) err = table_take_cols(&part, t, cols, 2);
    if (!err) err = mill_table_write(part, out, false, NULL);
    mill_table_free(part);
    mill_table_free(t);
    return err;
}

static mill_err write_csv(void)
{
    return write_to("out.csv");
}
static mill_err write_zst(void)
{
    return write_to("out.csv.zst");
}
static mill_err write_npy(void)
{
    return write_to("out.npy");
}
static mill_err write_npz(void)
{
    return write_to("out.npz");
}

static mill_err write_store(void)
{
    store_writer *w = NULL;
    store *s = NULL;
    char hex[33];
    const int64_t dim[1] = {4};

    snprintf(out, sizeof out, "%s/out.mill", dir);
    mill_err err = store_writer_new(&w);
    if (!err) err = store_writer_add(w, "a", STORE_U8, 1, dim, "abcd");
    if (!err) err = store_writer_add(w, "b", STORE_U16, 0, NULL, "ef");
    if (!err) err = store_writer_commit(w, out, NULL);
    store_writer_free(w);
    if (!err) err = store_open(&s, out);
    if (!err) err = store_hash(hex, s);
    store_close(s);
    if (err) file_remove(out);
    return err;
}

/* ---- the sweeps ---- */

static int64_t live(void)
{
    mill_mem_stats stats;
    mill_mem_get_stats(&stats);
    return stats.live;
}

static int64_t calls(void)
{
    mill_mem_stats stats;
    mill_mem_get_stats(&stats);
    return stats.calls;
}

/* The folder is synced after the rename: if that fails the file is there, and whole. */
static void check_failed(mill_err err, int64_t before, const char *what, int64_t n)
{
    if (err == MILL_OK) fail_msg("%s %lld failed and nobody noticed", what, (long long)n);
    assert_true(*mill_error());
    assert_int_equal(live(), before);
    if (*out) assert_false(file_exists(out));
}

/* Every allocation that a clean run makes has to be missed if it fails. */
static void sweep_memory(mill_err (*run)(void))
{
    *out = 0;
    assert_ok(run()); /* once before: what a first use allocates for good */
    if (*out) assert_ok(file_remove(out));
    const int64_t before = live(), from = calls();
    assert_ok(run());
    const int64_t n_calls = calls() - from;
    if (*out) assert_ok(file_remove(out));
    assert_int_equal(live(), before);
    assert_true(n_calls > 0);
    for (int64_t n = 1; n <= n_calls; n++) {
        mill_mem_fail_at(n);
        const mill_err err = run();
        mill_mem_fail_at(0);
        check_failed(err, before, "allocation", n);
    }
}

static void sweep_files(mill_err (*run)(void), file_op op, const char *what, int least)
{
    const int64_t before = live();
    int64_t n = 0;

    *out = 0;
    for (;;) {
        mill_file_fail_at(op, ++n);
        const mill_err err = run();
        mill_file_fail_at(op, 0);
        if (!err) break;
        check_failed(err, before, what, n);
        assert_true(n < 1000);
    }
    if (*out) assert_ok(file_remove(out));
    assert_true(n > least);
}

void test_f_table__every_allocation_may_fail(void **state)
{
    (void)state;
    set_up(NULL);
    sweep_memory(read_csv);
    sweep_memory(read_gz);
    sweep_memory(read_spooled);
    sweep_memory(read_npz);
    sweep_memory(write_csv);
    sweep_memory(write_zst);
    sweep_memory(write_npy);
    sweep_memory(write_npz);
    sweep_memory(write_store);
    assert_ok(file_remove_tree(dir));
}

void test_f_table__every_read_and_write_may_fail(void **state)
{
    mill_err (*const readers[])(void) = {read_csv, read_gz, read_spooled};
    mill_err (*const writers[])(void) = {write_csv, write_zst, write_npy, write_npz, write_store};

    (void)state;
    set_up(NULL);
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++)
        sweep_files(readers[i], FILE_OP_READ, "read", 2);
    sweep_files(read_gz, FILE_OP_WRITE, "write", 1);
    for (size_t i = 0; i < sizeof writers / sizeof *writers; i++) {
        sweep_files(writers[i], FILE_OP_WRITE, "write", 1);
        sweep_files(writers[i], FILE_OP_FSYNC, "fsync", 1);
        sweep_files(writers[i], FILE_OP_RENAME, "rename", 1);
    }
    assert_ok(file_remove_tree(dir));
}
