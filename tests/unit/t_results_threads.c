/* TSAN t_results_threads.c - the store of results while several threads use it, and its WAL. */
#include "lib/made_results.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

typedef struct {
    const char *path;
    results *r; /* NULL: its own */
    _Atomic bool *is_over;
    int64_t scans;
} reader_work;

static void *read_on(void *ctx)
{
    reader_work *w = ctx;
    results *r = w->r ? w->r : opened_to_read(w->path);
    int64_t rows = 0;

    while (!atomic_load(w->is_over) || !w->scans) {
        scan s = {.last_key = -1};
        assert_ok(results_read(r, 0, RECORDS, see, &s));
        assert_int_equal(s.wrong, 0);
        assert_true(s.rows >= rows);
        rows = s.rows;
        w->scans++;
    }
    if (!w->r) results_close(r);
    return NULL;
}

void test_results__are_read_by_16_threads_while_one_writes(void **state)
{
    const char *path = path_of("threads");
    results *r = opened(path);
    _Atomic bool is_over = false;
    reader_work work[16];
    pthread_t thread[16];

    (void)state;
    for (int i = 0; i < 16; i++) {
        work[i] = (reader_work){.path = path, .r = i % 2 ? r : NULL, .is_over = &is_over};
        assert_int_equal(pthread_create(&thread[i], NULL, read_on, &work[i]), 0);
    }
    for (int64_t i = 0; i < 3 * RECORDS; i++) {
        assert_ok(put(r, (i * 7) % RECORDS, 0, (int)(i / RECORDS)));
        if (i % 100 == 0) usleep(2000);
    }
    assert_ok(results_sync(r));
    atomic_store(&is_over, true);
    for (int i = 0; i < 16; i++) pthread_join(thread[i], NULL);
    assert_counted(r);
    assert_int_equal(scanned(r, 0, RECORDS).rows, 3 * RECORDS);
    results_close(r);
}

static void *put_much(void *ctx)
{
    reader_work *w = ctx;
    char *text = calloc(1, 1 << 20);
    result_row row;

    memset(text, 'x', (1 << 20) - 1);
    row = row_of(text, 0, 0, 0);
    for (int i = 0; i < 100; i++) {
        row.record = i;
        assert_ok(results_put(w->r, &row));
        __atomic_add_fetch(&w->scans, 1, __ATOMIC_SEQ_CST);
    }
    free(text);
    return NULL;
}

void test_results__wait_while_64_mib_are_not_written(void **state)
{
    const char *path = path_of("pressure");
    reader_work w = {.r = opened(path)};
    sqlite3 *other = direct(path);
    pthread_t thread;

    (void)state;
    assert_int_equal(sql.sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(pthread_create(&thread, NULL, put_much, &w), 0);
    for (int i = 0; i < 2000 && __atomic_load_n(&w.scans, __ATOMIC_SEQ_CST) < 64; i++)
        usleep(50000);
    usleep(200000);
    const int64_t put_so_far = __atomic_load_n(&w.scans, __ATOMIC_SEQ_CST);
    assert_true(put_so_far >= 64 && put_so_far <= 66);
    assert_int_equal(sql.sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    pthread_join(thread, NULL);
    assert_ok(results_sync(w.r));
    assert_int_equal(results_durable(w.r), 100);
    sql.sqlite3_close(other);
    results_close(w.r);
}

static mill_err see_slowly(void *ctx, const result_row *row)
{
    results *writer = ctx;

    if (row->record % 20 == 0)
        for (int i = 0; i < 20; i++) /* 1.2 MB for each 20 rows read */
            TRY(put(writer, row->record, 100 + i, 0));
    return MILL_OK;
}

void test_wal__is_emptied_while_somebody_reads(void **state)
{
    const char *path = path_of("wal");
    char text[60000];
    results *r = opened(path), *reader;
    struct stat st;
    char wal[240];

    (void)state;
    memset(text, 'y', sizeof text);
    text[sizeof text - 1] = 0;
    for (int i = 0; i < RECORDS; i++) assert_ok(put(r, i, 0, 0));
    assert_ok(results_sync(r));
    reader = opened_to_read(path);
    assert_ok(results_read(reader, 0, RECORDS, see_slowly, r));
    for (int i = 0; i < 2000; i++) {
        result_row row = row_of(text, i % RECORDS, 1, i / RECORDS);
        assert_ok(results_put(r, &row));
        if (i % 100 == 0) assert_ok(results_sync(r));
    }
    assert_ok(results_sync(r));
    snprintf(wal, sizeof wal, "%s-wal", path);
    assert_int_equal(stat(wal, &st), 0);
    assert_true(st.st_size < 50 << 20); /* of 120 MB written: 1000 pages, and a group of 4 MiB */
    results_close(reader);
    results_close(r);
}

void test_zz__scratch_is_removed(void **state)
{
    (void)state;
    remove_folder();
}
