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
 * export) neither wait nor are waited for.  A scan reads at most PAGE_ROWS at a time, so that a
 * slow reader does not keep the WAL from being emptied.  One process writes: it holds FILE-lock.
 *
 * Two connections, since one belongs to the thread that writes and one to those that read.
 */
#include "reason/results_inner.h"

#include "base/file.h"
#include "base/library.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

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
static struct {
    SQLITE_FUNCTIONS(LIBRARY_POINTER)
} lib;

enum {
    APPLICATION = 0x746d6c72, /* "tmlr" */
    FORMAT = 1,
    PAGE_ROWS = 1024,
    BUSY_MS = 30000, /* another connection holds a lock only for moments */
};

typedef enum {
    INSERT_RESULT,
    ADD_COUNT,
    INSERT_RANGE,
    BEGIN,
    COMMIT,
    ROLLBACK,
    N_WRITE
} write_statement;
#define COLUMNS                                                                               \
    "key, stage, finish, outcome, score, attempts, server, prompt_tokens, completion_tokens," \
    " cached_tokens, created, seconds, first_byte, content, reasoning, why"
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

/* ---- errors ---- */

static mill_err refuse(const sqlite *s, sqlite3 *db)
{
    const int code = lib.sqlite3_errcode(db), e = lib.sqlite3_system_errno(db);

    switch (code & 0xff) {
    case SQLITE_NOTADB:
        return mill_fail(MILL_EINPUT, "%s is no store of results, nor any SQLite database",
                         s->path);
    case SQLITE_CORRUPT:
        return mill_fail(MILL_EINPUT, "%s is damaged (%s)", s->path, lib.sqlite3_errmsg(db));
    case SQLITE_FULL:
        return mill_fail(MILL_EIO, "%s: the disk is full", s->path);
    case SQLITE_BUSY:
        return mill_fail(MILL_EINPUT, "%s is locked by another process", s->path);
    case SQLITE_NOMEM:
        return mill_fail(MILL_ENOMEM, "%s: SQLite has no memory", s->path);
    default:
        return mill_fail(MILL_EIO, "%s: %s%s%s", s->path, lib.sqlite3_errmsg(db), e ? ": " : "",
                         e ? strerror(e) : "");
    }
}

static mill_err run_sql(const sqlite *s, sqlite3 *db, const char *sql)
{
    return lib.sqlite3_exec(db, sql, NULL, NULL, NULL) ? refuse(s, db) : MILL_OK;
}

static mill_err prepare(sqlite3_stmt **out, const sqlite *s, sqlite3 *db, const char *sql)
{
    if (lib.sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL))
        return refuse(s, db);
    return MILL_OK;
}

/* A statement without rows. */
static mill_err done(const sqlite *s, sqlite3 *db, sqlite3_stmt *q)
{
    const bool is_done = lib.sqlite3_step(q) == SQLITE_DONE;
    const mill_err err = is_done ? MILL_OK : refuse(s, db);

    lib.sqlite3_reset(q);
    return err;
}

/* The integer that a query without arguments gives; 0 where it gives none. */
static mill_err ask(int64_t *out, const sqlite *s, sqlite3 *db, const char *sql)
{
    sqlite3_stmt *q;

    TRY(prepare(&q, s, db, sql));
    const int e = lib.sqlite3_step(q);
    *out = e == SQLITE_ROW ? lib.sqlite3_column_int64(q, 0) : 0;
    const mill_err err = e == SQLITE_ROW || e == SQLITE_DONE ? MILL_OK : refuse(s, db);
    lib.sqlite3_finalize(q);
    return err;
}

/* ---- what the run is ---- */

/* *out: mill_free; "" where it is not there. */
static mill_err read_member(char **out, const sqlite *s, sqlite3 *db, const char *name)
{
    sqlite3_stmt *q;

    TRY(prepare(&q, s, db, "SELECT value FROM run WHERE name = ?1"));
    lib.sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
    const int e = lib.sqlite3_step(q);
    const char *text = e == SQLITE_ROW ? (const char *)lib.sqlite3_column_text(q, 0) : "";
    mill_err err = e == SQLITE_ROW || e == SQLITE_DONE ? MILL_OK : refuse(s, db);
    if (!err && !(*out = mill_strdup(text ? text : ""))) err = MILL_ENOMEM;
    lib.sqlite3_finalize(q);
    return err;
}

static mill_err write_member(const sqlite *s, const char *name, const char *value)
{
    sqlite3_stmt *q;

    TRY(prepare(&q, s, s->writer, "INSERT OR REPLACE INTO run VALUES (?1, ?2)"));
    lib.sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
    lib.sqlite3_bind_text(q, 2, value, -1, SQLITE_STATIC);
    const mill_err err = done(s, s->writer, q);
    lib.sqlite3_finalize(q);
    return err;
}

static mill_err read_run(results_run *run, const sqlite *s, sqlite3 *db)
{
    char *config = NULL, *records = NULL;
    mill_err err;

    if ((err = read_member(&config, s, db, "config"))) goto end;
    if ((err = read_member(&records, s, db, "records"))) goto end;
    run->config = json_loads(config, 0, NULL);
    if (!run->config || !mill_parse_i64(&run->records, records, strlen(records)))
        err = mill_fail(MILL_EINPUT, "%s is damaged: it does not say of which run it is", s->path);
end:
    mill_free(config);
    mill_free(records);
    return err;
}

static mill_err write_run(const sqlite *s, const results_options *o)
{
    char *config = results_config_text(o->config), records[32];
    mill_err err;

    if (!config) return mill_fail(MILL_ENOMEM, "no memory for a configuration");
    snprintf(records, sizeof records, "%lld", (long long)o->records);
    if (!(err = write_member(s, "hash", o->hash)) && !(err = write_member(s, "config", config)))
        err = write_member(s, "records", records);
    free(config);
    return err;
}

static const char tables[] =
    "CREATE TABLE run(name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;"
    "CREATE TABLE count(id INTEGER PRIMARY KEY, name TEXT, value INTEGER);"
    "CREATE TABLE range(first INTEGER PRIMARY KEY, n INTEGER);"
    "CREATE TABLE result("
    "  seq INTEGER PRIMARY KEY,"
    "  key INTEGER NOT NULL," /* record * 65536 + sample * 256 + step */
    "  stage INTEGER, finish INTEGER, outcome INTEGER, score REAL, attempts INTEGER,"
    "  server INTEGER, prompt_tokens INTEGER, completion_tokens INTEGER, cached_tokens INTEGER,"
    "  created INTEGER, seconds REAL, first_byte REAL,"
    "  content TEXT, reasoning TEXT, why TEXT);"
    "CREATE UNIQUE INDEX result_key ON result(key);"
    "CREATE INDEX failed ON result(why) WHERE outcome = 3;"; /* ORDER reason_outcome */
_Static_assert(OUTCOME_FAILED == 3, "the index of failures names it");

static mill_err make_tables(const sqlite *s, const results_options *o)
{
    char sql[160], name[40];

    TRY(run_sql(s, s->writer, tables));
    for (int i = 0; i < RESULTS_N_COUNTS; i++) {
        snprintf(sql, sizeof sql, "INSERT INTO count VALUES (%d, '%s', 0)", i,
                 results_count_name(name, i));
        TRY(run_sql(s, s->writer, sql));
    }
    TRY(write_run(s, o));
    snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION,
             FORMAT);
    return run_sql(s, s->writer, sql);
}

/* *is_new: an empty file, or one whose maker was killed. */
static mill_err check_format(bool *is_new, const sqlite *s, sqlite3 *db)
{
    int64_t application, format, n_tables;

    *is_new = false;
    TRY(ask(&application, s, db, "PRAGMA application_id"));
    TRY(ask(&format, s, db, "PRAGMA user_version"));
    TRY(ask(&n_tables, s, db, "SELECT count(*) FROM sqlite_master"));
    if (!application && !n_tables) {
        *is_new = true;
        return MILL_OK;
    }
    if (application != APPLICATION)
        return mill_fail(MILL_EINPUT, "%s is a database of something else", s->path);
    if (format > FORMAT)
        return mill_fail(MILL_EINPUT,
                         "%s was written by a newer version of tabmill (format %lld, known is %d)",
                         s->path, (long long)format, FORMAT);
    return MILL_OK;
}

/* The store is of this run, or holds nothing yet and becomes of it. */
static mill_err check_run(const sqlite *s, const results_options *o)
{
    char *hash = NULL, *config = NULL;
    int64_t rows;
    mill_err err;

    TRY(ask(&rows, s, s->writer, "SELECT EXISTS (SELECT 1 FROM result)"));
    if ((err = read_member(&hash, s, s->writer, "hash"))) goto end;
    if (strcmp(hash, o->hash) != 0) {
        if (!rows)
            err = write_run(s, o);
        else if (!(err = read_member(&config, s, s->writer, "config")))
            err = results_config_differs(s->path, config, o->config);
    } else if (rows && !o->resume) {
        err = mill_fail(MILL_EINPUT,
                        "%s holds results of this run already: --resume goes on, --force starts "
                        "over",
                        s->path);
    }
end:
    mill_free(hash);
    mill_free(config);
    return err;
}

/* All or nothing, so that a process killed here leaves an empty database. */
static mill_err make_or_check(const sqlite *s, const results_options *o)
{
    bool is_new;

    TRY(run_sql(s, s->writer, "BEGIN IMMEDIATE"));
    mill_err err = check_format(&is_new, s, s->writer);
    if (!err) err = is_new ? make_tables(s, o) : check_run(s, o);
    if (!err) return run_sql(s, s->writer, "COMMIT");
    lib.sqlite3_exec(s->writer, "ROLLBACK", NULL, NULL, NULL);
    return err;
}

/* ---- opening ---- */

static mill_err open_connection(sqlite3 **db, const sqlite *s, int flags)
{
    if (lib.sqlite3_open_v2(s->path, db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL))
        return *db ? refuse(s, *db) : mill_fail(MILL_ENOMEM, "%s: no memory", s->path);
    lib.sqlite3_busy_timeout(*db, BUSY_MS);
    return run_sql(s, *db, "PRAGMA cache_size = -4096; PRAGMA temp_store = MEMORY");
}

static mill_err take_lock(sqlite *s)
{
    char path[4200];

    snprintf(path, sizeof path, "%s-lock", s->path);
    s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (s->lock < 0) return mill_fail(MILL_EIO, "%s: %s", path, strerror(errno));
    if (!flock(s->lock, LOCK_EX | LOCK_NB)) return MILL_OK;
    return mill_fail(MILL_EINPUT, "%s is locked: another process writes to it", s->path);
}

static mill_err open_writer(const sqlite *s, sqlite3 **db)
{
    int64_t n;

    TRY(open_connection(db, s, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE));
    TRY(run_sql(s, *db, "PRAGMA page_size = 16384"));
    TRY(run_sql(s, *db, "PRAGMA journal_mode = WAL"));
    TRY(ask(&n, s, *db, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"));
    if (!n)
        return mill_fail(MILL_EIO, "%s: its file system cannot hold a SQLite database in WAL mode",
                         s->path);
    return run_sql(s, *db,
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

    for (int i = 0; i < N_WRITE; i++) TRY(prepare(&s->write[i], s, s->writer, sql[i]));
    return MILL_OK;
}

static mill_err prepare_reader(sqlite *s)
{
    static const char *const sql[N_READ] = {
        [READ_RESULTS] =
            "SELECT " COLUMNS " FROM result WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3",
        [READ_LATEST] = "SELECT " COLUMNS " FROM result ORDER BY seq DESC LIMIT ?1",
        [READ_COUNTS] = "SELECT id, value FROM count",
    };

    for (int i = 0; i < N_READ; i++) TRY(prepare(&s->read[i], s, s->reader, sql[i]));
    return MILL_OK;
}

/* A range of today is finished where the ranges that were finished cover it: a resumed run may cut
 * them otherwise. */
static mill_err read_finished(sqlite *s)
{
    sqlite3_stmt *q;
    mill_err err = MILL_OK;
    int e;

    TRY(prepare(&q, s, s->writer, "SELECT first, n FROM range ORDER BY first"));
    int64_t begin = 0, end = 0; /* what is covered without a gap */
    while ((e = lib.sqlite3_step(q)) == SQLITE_ROW) {
        const int64_t first = lib.sqlite3_column_int64(q, 0);
        const int64_t n = lib.sqlite3_column_int64(q, 1);

        if (first > end) begin = first;
        if (first + n > end) end = first + n;
        for (int64_t i = (begin + s->range - 1) / s->range; i < s->n_ranges; i++) {
            const int64_t to = (i + 1) * s->range;
            if ((to < s->records ? to : s->records) > end) break;
            s->is_finished[i] = true;
            begin = to;
        }
    }
    if (e != SQLITE_DONE) err = refuse(s, s->writer);
    lib.sqlite3_finalize(q);
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
    TRY(open_writer(s, &s->writer));
    TRY(make_or_check(s, o));
    TRY(prepare_writer(s));
    TRY(plan_ranges(s, o));
    TRY(read_run(run, s, s->writer));
    TRY(open_connection(&s->reader, s, SQLITE_OPEN_READONLY));
    return prepare_reader(s);
}

static mill_err open_to_read(sqlite *s, results_run *run)
{
    bool is_new;

    if (!file_exists(s->path)) return mill_fail(MILL_EINPUT, "%s: there is no store", s->path);
    TRY(open_connection(&s->reader, s, SQLITE_OPEN_READONLY));
    TRY(check_format(&is_new, s, s->reader));
    if (is_new) return mill_fail(MILL_EINPUT, "%s is empty: no run has begun", s->path);
    TRY(prepare_reader(s));
    return read_run(run, s, s->reader);
}

static void sqlite_close(void *ctx)
{
    sqlite *s = ctx;

    if (!s) return;
    for (int i = 0; i < N_WRITE; i++)
        if (s->write[i]) lib.sqlite3_finalize(s->write[i]);
    for (int i = 0; i < N_READ; i++)
        if (s->read[i]) lib.sqlite3_finalize(s->read[i]);
    if (s->reader) lib.sqlite3_close(s->reader);
    if (s->writer) lib.sqlite3_close(s->writer);
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
        err = library_open(&lib, names, LIBRARY_COUNT(names), "libsqlite3.so.0", "libsqlite3-0");
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
        if (i != 5) lib.sqlite3_bind_int64(q, i, integers[i]);
    lib.sqlite3_bind_double(q, 5, r->score); /* NaN is stored as NULL */
    lib.sqlite3_bind_double(q, 12, r->seconds);
    lib.sqlite3_bind_double(q, 13, r->first_byte);
    lib.sqlite3_bind_text(q, 14, r->content, (int)r->n_content, SQLITE_STATIC);
    lib.sqlite3_bind_text(q, 15, r->reasoning, (int)r->n_reasoning, SQLITE_STATIC);
    lib.sqlite3_bind_text(q, 16, r->why, -1, SQLITE_STATIC);
}

static mill_err insert_row(const sqlite *s, results_counts *c, const result_row *row)
{
    bind_row(s->write[INSERT_RESULT], row);
    TRY(done(s, s->writer, s->write[INSERT_RESULT]));
    if (lib.sqlite3_changes(s->writer))
        results_count_add(c, row);
    else
        c->duplicates++;
    return MILL_OK;
}

static mill_err insert_range(const sqlite *s, int64_t first)
{
    sqlite3_stmt *q = s->write[INSERT_RANGE];
    const int64_t left = s->records - first;

    lib.sqlite3_bind_int64(q, 1, first);
    lib.sqlite3_bind_int64(q, 2, left < s->range ? left : s->range);
    return done(s, s->writer, q);
}

static mill_err add_counts(const sqlite *s, const results_counts *c)
{
    const int64_t *n = (const int64_t *)c;
    sqlite3_stmt *q = s->write[ADD_COUNT];

    for (int i = 0; i < RESULTS_N_COUNTS; i++) {
        if (!n[i]) continue;
        lib.sqlite3_bind_int64(q, 1, i);
        lib.sqlite3_bind_int64(q, 2, n[i]);
        TRY(done(s, s->writer, q));
    }
    return MILL_OK;
}

static mill_err write_group(const sqlite *s, const result_item *group)
{
    results_counts c = {0};

    for (const result_item *i = group; i; i = i->next)
        TRY(i->first < 0 ? insert_row(s, &c, &i->row) : insert_range(s, i->first));
    TRY(add_counts(s, &c));
    return done(s, s->writer, s->write[COMMIT]);
}

static mill_err sqlite_commit(void *ctx, const result_item *group)
{
    const sqlite *s = ctx;

    TRY(done(s, s->writer, s->write[BEGIN]));
    const mill_err err = write_group(s, group);
    if (err) { /* its message is of the cause; a failure may have rolled back by itself */
        lib.sqlite3_step(s->write[ROLLBACK]);
        lib.sqlite3_reset(s->write[ROLLBACK]);
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

/* ---- reading ---- */

static const char *text_of(size_t *n, sqlite3_stmt *q, int column)
{
    const char *text = (const char *)lib.sqlite3_column_text(q, column);

    *n = text ? (size_t)lib.sqlite3_column_bytes(q, column) : 0;
    return text ? text : "";
}

static void row_of(result_row *r, sqlite3_stmt *q)
{
    size_t n;

    *r = (result_row){
        .stage = (reason_stage)lib.sqlite3_column_int64(q, 1),
        .finish = (chat_finish)lib.sqlite3_column_int64(q, 2),
        .outcome = (reason_outcome)lib.sqlite3_column_int64(q, 3),
        .score = lib.sqlite3_column_type(q, 4) == SQLITE_NULL ? (double)NAN
                                                              : lib.sqlite3_column_double(q, 4),
        .attempts = (int)lib.sqlite3_column_int64(q, 5),
        .server = (int)lib.sqlite3_column_int64(q, 6),
        .prompt_tokens = lib.sqlite3_column_int64(q, 7),
        .completion_tokens = lib.sqlite3_column_int64(q, 8),
        .cached_tokens = lib.sqlite3_column_int64(q, 9),
        .created = lib.sqlite3_column_int64(q, 10),
        .seconds = lib.sqlite3_column_double(q, 11),
        .first_byte = lib.sqlite3_column_double(q, 12),
    };
    result_key_set(r, lib.sqlite3_column_int64(q, 0));
    r->content = text_of(&r->n_content, q, 13);
    r->reasoning = text_of(&r->n_reasoning, q, 14);
    r->why = text_of(&n, q, 15);
}

/* At most PAGE_ROWS from *key on; *key: behind the last, or `end`. */
static mill_err read_page(const sqlite *s, int64_t *key, int64_t end,
                          mill_err (*row)(void *ctx, const result_row *row), void *ctx)
{
    sqlite3_stmt *q = s->read[READ_RESULTS];
    mill_err err = MILL_OK;
    result_row r;
    int e = SQLITE_ROW, n = 0;

    lib.sqlite3_bind_int64(q, 1, *key);
    lib.sqlite3_bind_int64(q, 2, end);
    lib.sqlite3_bind_int64(q, 3, PAGE_ROWS);
    while (!err && (e = lib.sqlite3_step(q)) == SQLITE_ROW) {
        row_of(&r, q);
        *key = lib.sqlite3_column_int64(q, 0) + 1;
        n++;
        err = row(ctx, &r);
    }
    if (!err && e != SQLITE_DONE) err = refuse(s, s->reader);
    if (n < PAGE_ROWS) *key = end;
    lib.sqlite3_reset(q);
    return err;
}

static mill_err sqlite_read(void *ctx, int64_t first, int64_t n,
                            mill_err (*row)(void *ctx, const result_row *row), void *row_ctx)
{
    int64_t key = result_key(first, 0, 0);
    const int64_t end = result_key(first + n, 0, 0);

    while (key < end) TRY(read_page(ctx, &key, end, row, row_ctx));
    return MILL_OK;
}

static mill_err sqlite_latest(void *ctx, int64_t n,
                              mill_err (*row)(void *ctx, const result_row *row), void *row_ctx)
{
    const sqlite *s = ctx;
    sqlite3_stmt *q = s->read[READ_LATEST];
    mill_err err = MILL_OK;
    result_row r;
    int e = SQLITE_ROW;

    lib.sqlite3_bind_int64(q, 1, n);
    while (!err && (e = lib.sqlite3_step(q)) == SQLITE_ROW) {
        row_of(&r, q);
        err = row(row_ctx, &r);
    }
    if (!err && e != SQLITE_DONE) err = refuse(s, s->reader);
    lib.sqlite3_reset(q);
    return err;
}

static mill_err sqlite_count(void *ctx, results_counts *out)
{
    const sqlite *s = ctx;
    sqlite3_stmt *q = s->read[READ_COUNTS];
    int e;

    while ((e = lib.sqlite3_step(q)) == SQLITE_ROW) {
        const int64_t i = lib.sqlite3_column_int64(q, 0);
        if (i >= 0 && i < RESULTS_N_COUNTS) ((int64_t *)out)[i] = lib.sqlite3_column_int64(q, 1);
    }
    const mill_err err = e == SQLITE_DONE ? MILL_OK : refuse(s, s->reader);
    lib.sqlite3_reset(q);
    return err;
}

static mill_err sqlite_reasons(void *ctx, json_t **out)
{
    const sqlite *s = ctx;
    sqlite3_stmt *q;
    int e;

    TRY(prepare(&q, s, s->reader,
                "SELECT why, count(*) FROM result INDEXED BY failed WHERE outcome = 3"
                " GROUP BY why ORDER BY count(*) DESC, why"));
    json_t *all = json_object();
    bool is_full = !all;
    while ((e = lib.sqlite3_step(q)) == SQLITE_ROW) {
        size_t n;
        const char *why = text_of(&n, q, 0);
        is_full |= json_object_set_new(all, why, json_integer(lib.sqlite3_column_int64(q, 1))) != 0;
    }
    mill_err err = e == SQLITE_DONE ? MILL_OK : refuse(s, s->reader);
    if (!err && is_full) err = mill_fail(MILL_ENOMEM, "no memory for the reasons of failures");
    lib.sqlite3_finalize(q);
    if (err)
        json_decref(all);
    else
        *out = all;
    return err;
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
