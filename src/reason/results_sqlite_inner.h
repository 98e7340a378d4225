/*
 * results_sqlite_inner.h - what the files of the store in SQLite share.
 *
 *     results_sqlite.c        opening, writing, leases
 *     results_sqlite_make.c   tables, and of which run a store is
 *     results_sqlite_read.c   rows, counts, reasons
 */
#ifndef MILL_REASON_RESULTS_SQLITE_INNER_H
#define MILL_REASON_RESULTS_SQLITE_INNER_H

#include "base/library.h"
#include "reason/results_inner.h"

#include <sqlite3.h>

#define SQLITE_FUNCTIONS(FN)  \
    FN(sqlite3_open_v2)       \
    FN(sqlite3_close)         \
    FN(sqlite3_exec)          \
    FN(sqlite3_prepare_v3)    \
    FN(sqlite3_step)          \
    FN(sqlite3_reset)         \
    FN(sqlite3_finalize)      \
    FN(sqlite3_bind_int64)    \
    FN(sqlite3_bind_double)   \
    FN(sqlite3_bind_text)     \
    FN(sqlite3_column_int64)  \
    FN(sqlite3_column_double) \
    FN(sqlite3_column_text)   \
    FN(sqlite3_column_bytes)  \
    FN(sqlite3_column_type)   \
    FN(sqlite3_changes)       \
    FN(sqlite3_errmsg)        \
    FN(sqlite3_errcode)       \
    FN(sqlite3_system_errno)  \
    FN(sqlite3_busy_timeout)
typedef struct {
    SQLITE_FUNCTIONS(LIBRARY_POINTER)
} sqlite_library;
extern sqlite_library sqlite_lib; /* opened with the first store */

typedef enum {
    INSERT_RESULT,
    ADD_COUNT,
    INSERT_RANGE,
    BEGIN,
    COMMIT,
    ROLLBACK,
    N_WRITE
} write_statement;
typedef enum { READ_RESULTS, READ_LATEST, READ_COUNTS, N_READ } read_statement;

typedef struct {
    char *path;
    int lock;
    sqlite3 *writer, *reader;
    sqlite3_stmt *write[N_WRITE], *read[N_READ];
    int64_t records, range, n_ranges, next; /* next: place in the order of leases */
    int32_t *order;                         /* n_ranges; NULL: as they come */
    bool *is_finished;                      /* n_ranges; when the store was opened */
} sqlite;

/* ---- statements: an error is that of db, with the path of the store ---- */

mill_err sqlite_refuse(const sqlite *s, sqlite3 *db);
mill_err sqlite_run(const sqlite *s, sqlite3 *db, const char *sql);
/* *out: sqlite3_finalize. */
mill_err sqlite_prepare(sqlite3_stmt **out, const sqlite *s, sqlite3 *db, const char *sql);
/* Runs a statement without rows, and resets it. */
mill_err sqlite_done(const sqlite *s, sqlite3 *db, sqlite3_stmt *q);
/* The integer that a query without arguments gives; 0 where it gives none. */
mill_err sqlite_ask(int64_t *out, const sqlite *s, sqlite3 *db, const char *sql);

/* ---- of which run it is (results_sqlite_make.c) ---- */

/* MILL_EINPUT: a database of something else, or of a newer tabmill.  *is_new: an empty file, or one
 * whose maker was killed. */
mill_err sqlite_check_format(bool *is_new, const sqlite *s, sqlite3 *db);
/* Makes the tables in what is new; MILL_EINPUT for a store of another run, or of this one where
 * `o` does not resume it. */
mill_err sqlite_make(const sqlite *s, const results_options *o);
mill_err sqlite_read_run(results_run *run, const sqlite *s, sqlite3 *db); /* results_backend.open */

/* ---- reading (results_sqlite_read.c): results_backend ---- */

mill_err sqlite_prepare_reader(sqlite *s);
mill_err sqlite_read(void *s, int64_t first, int64_t n,
                     mill_err (*row)(void *ctx, const result_row *row), void *ctx);
mill_err sqlite_latest(void *s, int64_t n, mill_err (*row)(void *ctx, const result_row *row),
                       void *ctx);
mill_err sqlite_count(void *s, results_counts *out);
mill_err sqlite_reasons(void *s, json_t **out);

#endif
