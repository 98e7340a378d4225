/*
 * results_sqlite.c - results in one file of SQLite, in the run folder.
 *
 *     run(name, value)          one row each: hash, config (JSON), records
 *     result(seq, key, ...)     one row for each response, results.h; seq: in which order they came
 *     count(id, name, value)    results_counts
 *     range(first, n)           records whose chains have all ended
 *
 * Rows lie as they came and their keys in an index: with the key as the table's own order, each row
 * would write a page of its own to WAL and file (three times the processor time, measured).
 *
 * PRAGMA application_id says that the file is ours, user_version its format.  WAL with
 * synchronous=FULL: a transaction is durable when COMMIT has returned, and readers (status, watch,
 * export) neither wait nor are waited for.  One process writes: it holds FILE-lock.
 *
 * Two connections, since one belongs to the thread that writes and one to those that read.
 */
#include "base/file.h"
#include "base/mem.h"
#include "reason/results_sqlite_inner.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BUSY_MS = 30000 }; /* another connection holds a lock only for moments */

sqlite_library sqlite_lib;

/* ---- statements, and what goes wrong with them ---- */

mill_err sqlite_refuse(const sqlite *s, sqlite3 *db)
{
    const int code = sqlite_lib.sqlite3_errcode(db), e = sqlite_lib.sqlite3_system_errno(db);

    switch (code & 0xff) {
    case SQLITE_NOTADB:
        return mill_fail(MILL_EINPUT, "%s is no store of results, nor any SQLite database",
                         s->path);
    case SQLITE_CORRUPT:
        return mill_fail(MILL_EINPUT, "%s is damaged (%s)", s->path, sqlite_lib.sqlite3_errmsg(db));
    case SQLITE_FULL:
        return mill_fail(MILL_EIO, "%s: the disk is full", s->path);
    case SQLITE_BUSY:
        return mill_fail(MILL_EINPUT, "%s is locked by another process", s->path);
    case SQLITE_NOMEM:
        return mill_fail(MILL_ENOMEM, "%s: SQLite has no memory", s->path);
    default:
        return mill_fail(MILL_EIO, "%s: %s%s%s", s->path, sqlite_lib.sqlite3_errmsg(db),
                         e ? ": " : "", e ? strerror(e) : "");
    }
}

mill_err sqlite_run(const sqlite *s, sqlite3 *db, const char *sql)
{
    return sqlite_lib.sqlite3_exec(db, sql, NULL, NULL, NULL) ? sqlite_refuse(s, db) : MILL_OK;
}

mill_err sqlite_prepare(sqlite3_stmt **out, const sqlite *s, sqlite3 *db, const char *sql)
{
    if (sqlite_lib.sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL))
        return sqlite_refuse(s, db);
    return MILL_OK;
}

mill_err sqlite_done(const sqlite *s, sqlite3 *db, sqlite3_stmt *q)
{
    const bool is_done = sqlite_lib.sqlite3_step(q) == SQLITE_DONE;
    const mill_err err = is_done ? MILL_OK : sqlite_refuse(s, db);

    sqlite_lib.sqlite3_reset(q);
    return err;
}

mill_err sqlite_ask(int64_t *out, const sqlite *s, sqlite3 *db, const char *sql)
{
    sqlite3_stmt *q;

    TRY(sqlite_prepare(&q, s, db, sql));
    const int e = sqlite_lib.sqlite3_step(q);
    *out = e == SQLITE_ROW ? sqlite_lib.sqlite3_column_int64(q, 0) : 0;
    const mill_err err = e == SQLITE_ROW || e == SQLITE_DONE ? MILL_OK : sqlite_refuse(s, db);
    sqlite_lib.sqlite3_finalize(q);
    return err;
}

/* ---- opening ---- */

static mill_err open_connection(sqlite3 **db, const sqlite *s, int flags)
{
    if (sqlite_lib.sqlite3_open_v2(s->path, db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                                   NULL))
        return *db ? sqlite_refuse(s, *db) : mill_fail(MILL_ENOMEM, "%s: no memory", s->path);
    sqlite_lib.sqlite3_busy_timeout(*db, BUSY_MS);
    return sqlite_run(s, *db, "PRAGMA cache_size = -4096; PRAGMA temp_store = MEMORY");
}

static mill_err take_lock(sqlite *s)
{
    char path[4200];

    snprintf(path, sizeof path, "%s-lock", s->path);
    const mill_err err = file_lock(&s->lock, path);
    return err != MILL_EINPUT
               ? err
               : mill_fail(err, "%s is locked: another process writes to it", s->path);
}

/* Readers that have them open keep what they see. */
static mill_err remove_files(const sqlite *s)
{
    static const char *const endings[] = {"-wal", "-shm", ""};
    char path[4200];

    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        snprintf(path, sizeof path, "%s%s", s->path, endings[i]);
        TRY(file_remove(path));
    }
    return MILL_OK;
}

static mill_err open_writer(const sqlite *s, sqlite3 **db)
{
    int64_t n;

    TRY(open_connection(db, s, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
    TRY(sqlite_run(s, *db, "PRAGMA page_size = 16384"));
    TRY(sqlite_run(s, *db, "PRAGMA journal_mode = WAL"));
    TRY(sqlite_ask(&n, s, *db, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"));
    if (!n)
        return mill_fail(MILL_EIO, "%s: its file system cannot hold a SQLite database in WAL mode",
                         s->path);
    return sqlite_run(s, *db,
                      "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 1000;"
                      "PRAGMA journal_size_limit = 67108864");
}

static mill_err prepare_writer(sqlite *s)
{
    static const char insert_result[] =
        "INSERT OR IGNORE INTO result VALUES"
        "(NULL,?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16)";
    static const char *const sql[N_WRITE] = {
        [INSERT_RESULT] = insert_result,
        [ADD_COUNT] = "UPDATE count SET value = value + ?2 WHERE id = ?1",
        [INSERT_RANGE] = "INSERT OR IGNORE INTO range VALUES (?1, ?2)",
        [BEGIN] = "BEGIN IMMEDIATE",
        [COMMIT] = "COMMIT",
        [ROLLBACK] = "ROLLBACK",
    };

    for (int i = 0; i < N_WRITE; i++) TRY(sqlite_prepare(&s->write[i], s, s->writer, sql[i]));
    return MILL_OK;
}

/* A range of today is finished where the ranges that were finished cover it: a resumed run may cut
 * them otherwise. */
static mill_err read_finished(sqlite *s)
{
    sqlite3_stmt *q;
    mill_err err = MILL_OK;
    int e;

    TRY(sqlite_prepare(&q, s, s->writer, "SELECT first, n FROM range ORDER BY first"));
    int64_t begin = 0, end = 0; /* what is covered without a gap */
    while ((e = sqlite_lib.sqlite3_step(q)) == SQLITE_ROW) {
        const int64_t first = sqlite_lib.sqlite3_column_int64(q, 0);
        const int64_t n = sqlite_lib.sqlite3_column_int64(q, 1);

        if (first > end) begin = first;
        if (first + n > end) end = first + n;
        for (int64_t i = (begin + s->range - 1) / s->range; i < s->n_ranges; i++) {
            const int64_t to = (i + 1) * s->range;
            if ((to < s->records ? to : s->records) > end) break;
            s->is_finished[i] = true;
            begin = to;
        }
    }
    if (e != SQLITE_DONE) err = sqlite_refuse(s, s->writer);
    sqlite_lib.sqlite3_finalize(q);
    return err;
}

static mill_err plan_ranges(sqlite *s, const results_options *o)
{
    s->records = o->records;
    s->range = o->range;
    s->n_ranges = results_ranges(o);
    if (!(s->is_finished = mill_alloc((size_t)s->n_ranges + 1, sizeof *s->is_finished)))
        return MILL_ENOMEM;
    if (o->order) {
        if (!(s->order = mill_alloc((size_t)s->n_ranges, sizeof *s->order))) return MILL_ENOMEM;
        memcpy(s->order, o->order, (size_t)s->n_ranges * sizeof *s->order);
    }
    return read_finished(s);
}

static mill_err open_to_write(sqlite *s, results_run *run, const results_options *o)
{
    TRY(take_lock(s));
    if (o->force) TRY(remove_files(s));
    TRY(open_writer(s, &s->writer));
    TRY(sqlite_make(s, o));
    TRY(prepare_writer(s));
    TRY(plan_ranges(s, o));
    TRY(sqlite_read_run(run, s, s->writer));
    TRY(open_connection(&s->reader, s, SQLITE_OPEN_READONLY));
    return sqlite_prepare_reader(s);
}

static mill_err open_to_read(sqlite *s, results_run *run)
{
    bool is_new;

    if (!file_exists(s->path)) return mill_fail(MILL_EINPUT, "%s: there is no store", s->path);
    TRY(open_connection(&s->reader, s, SQLITE_OPEN_READONLY));
    TRY(sqlite_check_format(&is_new, s, s->reader));
    if (is_new) return mill_fail(MILL_EINPUT, "%s is empty: no run has begun", s->path);
    TRY(sqlite_prepare_reader(s));
    return sqlite_read_run(run, s, s->reader);
}

static void sqlite_close(void *ctx)
{
    sqlite *s = ctx;

    if (!s) return;
    for (int i = 0; i < N_WRITE; i++)
        if (s->write[i]) sqlite_lib.sqlite3_finalize(s->write[i]);
    for (int i = 0; i < N_READ; i++)
        if (s->read[i]) sqlite_lib.sqlite3_finalize(s->read[i]);
    if (s->reader) sqlite_lib.sqlite3_close(s->reader);
    if (s->writer) sqlite_lib.sqlite3_close(s->writer);
    if (s->lock >= 0) close(s->lock);
    mill_free(s->path);
    mill_free(s->order);
    mill_free(s->is_finished);
    mill_free(s);
}

/* Once: other threads may be using it. */
static mill_err open_library(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static const char *const names[] = {SQLITE_FUNCTIONS(LIBRARY_NAME)};
    static bool is_open;
    mill_err err = MILL_OK;

    pthread_mutex_lock(&lock);
    if (!is_open)
        err = library_open(&sqlite_lib, names, LIBRARY_COUNT(names), "libsqlite3.so.0",
                           "libsqlite3-0");
    is_open = !err;
    pthread_mutex_unlock(&lock);
    return err;
}

static mill_err sqlite_open(void **out, results_run *run, const results_options *o, results *front)
{
    mill_err err;

    (void)front;
    TRY(open_library());
    sqlite *s = mill_alloc(1, sizeof *s);
    if (!s) return MILL_ENOMEM;
    s->lock = -1;
    if (!(s->path = mill_strdup(o->where)))
        err = MILL_ENOMEM;
    else
        err = o->read_only ? open_to_read(s, run) : open_to_write(s, run, o);
    if (err) {
        sqlite_close(s);
        return err;
    }
    *out = s;
    return MILL_OK;
}

/* ---- writing ---- */

/* ORDER result */
static void bind_row(sqlite3_stmt *q, const result_row *r)
{
    const int64_t integers[] = {[1] = result_key(r->record, r->sample, r->step),
                                [2] = (int64_t)r->stage,
                                [3] = (int64_t)r->finish,
                                [4] = (int64_t)r->outcome,
                                [6] = r->attempts,
                                [7] = r->server,
                                [8] = r->prompt_tokens,
                                [9] = r->completion_tokens,
                                [10] = r->cached_tokens,
                                [11] = r->created};

    for (int i = 1; i <= 11; i++)
        if (i != 5) sqlite_lib.sqlite3_bind_int64(q, i, integers[i]);
    sqlite_lib.sqlite3_bind_double(q, 5, r->score); /* NaN is stored as NULL */
    sqlite_lib.sqlite3_bind_double(q, 12, r->seconds);
    sqlite_lib.sqlite3_bind_double(q, 13, r->first_byte);
    sqlite_lib.sqlite3_bind_text(q, 14, r->content, (int)r->n_content, SQLITE_STATIC);
    sqlite_lib.sqlite3_bind_text(q, 15, r->reasoning, (int)r->n_reasoning, SQLITE_STATIC);
    sqlite_lib.sqlite3_bind_text(q, 16, r->why, -1, SQLITE_STATIC);
}

static mill_err insert_row(const sqlite *s, results_counts *c, const result_row *row)
{
    bind_row(s->write[INSERT_RESULT], row);
    TRY(sqlite_done(s, s->writer, s->write[INSERT_RESULT]));
    if (sqlite_lib.sqlite3_changes(s->writer))
        results_count_add(c, row);
    else
        c->duplicates++;
    return MILL_OK;
}

static mill_err insert_range(const sqlite *s, int64_t first)
{
    sqlite3_stmt *q = s->write[INSERT_RANGE];
    const int64_t left = s->records - first;

    sqlite_lib.sqlite3_bind_int64(q, 1, first);
    sqlite_lib.sqlite3_bind_int64(q, 2, left < s->range ? left : s->range);
    return sqlite_done(s, s->writer, q);
}

static mill_err add_counts(const sqlite *s, const results_counts *c)
{
    const int64_t *n = (const int64_t *)c;
    sqlite3_stmt *q = s->write[ADD_COUNT];

    for (int i = 0; i < RESULTS_N_COUNTS; i++) {
        if (!n[i]) continue;
        sqlite_lib.sqlite3_bind_int64(q, 1, i);
        sqlite_lib.sqlite3_bind_int64(q, 2, n[i]);
        TRY(sqlite_done(s, s->writer, q));
    }
    return MILL_OK;
}

static mill_err write_group(const sqlite *s, const result_item *group)
{
    results_counts c = {0};

    for (const result_item *i = group; i; i = i->next)
        TRY(i->first < 0 ? insert_row(s, &c, &i->row) : insert_range(s, i->first));
    TRY(add_counts(s, &c));
    return sqlite_done(s, s->writer, s->write[COMMIT]);
}

static mill_err sqlite_commit(void *ctx, const result_item *group)
{
    const sqlite *s = ctx;

    TRY(sqlite_done(s, s->writer, s->write[BEGIN]));
    const mill_err err = write_group(s, group);
    if (err) { /* its message is of the cause; a failure may have rolled back by itself */
        sqlite_lib.sqlite3_step(s->write[ROLLBACK]);
        sqlite_lib.sqlite3_reset(s->write[ROLLBACK]);
    }
    return err;
}

/* ---- leases: of one process, so they are only counted ---- */

static mill_err sqlite_lease(void *ctx, int64_t *first, int64_t *n, int64_t *left)
{
    sqlite *s = ctx;

    *left = 0;
    while (s->next < s->n_ranges) {
        const int64_t i = s->order ? s->order[s->next] : s->next;

        s->next++;
        if (s->is_finished[i]) continue;
        *first = i * s->range;
        *n = s->records - *first < s->range ? s->records - *first : s->range;
        return MILL_OK;
    }
    return MILL_OK;
}

static mill_err sqlite_claim_output(void *ctx, bool *mine)
{
    (void)ctx;
    *mine = true;
    return MILL_OK;
}

const results_backend results_sqlite = {
    .open = sqlite_open,
    .close = sqlite_close,
    .commit = sqlite_commit,
    .lease = sqlite_lease,
    .read = sqlite_read,
    .latest = sqlite_latest,
    .count = sqlite_count,
    .reasons = sqlite_reasons,
    .claim_output = sqlite_claim_output,
};
