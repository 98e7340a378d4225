/*
 * results_sqlite_make.c - the tables of a store in SQLite, and of which run it is.
 */
#include "base/mem.h"
#include "base/text.h"
#include "reason/results_sqlite_inner.h"

#include <stdio.h>
#include <string.h>

enum { APPLICATION = 0x746d6c72 /* "tmlr" */, FORMAT = 1 };

/* *out: mill_free; "" where it is not there. */
static mill_err read_member(char **out, const sqlite *s, sqlite3 *db, const char *name)
{
    sqlite3_stmt *q;

    TRY(sqlite_prepare(&q, s, db, "SELECT value FROM run WHERE name = ?1"));
    sqlite_lib.sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
    const int e = sqlite_lib.sqlite3_step(q);
    const char *text = e == SQLITE_ROW ? (const char *)sqlite_lib.sqlite3_column_text(q, 0) : "";
    mill_err err = e == SQLITE_ROW || e == SQLITE_DONE ? MILL_OK : sqlite_refuse(s, db);
    if (!err && !(*out = mill_strdup(text ? text : ""))) err = MILL_ENOMEM;
    sqlite_lib.sqlite3_finalize(q);
    return err;
}

static mill_err write_member(const sqlite *s, const char *name, const char *value)
{
    sqlite3_stmt *q;

    TRY(sqlite_prepare(&q, s, s->writer, "INSERT OR REPLACE INTO run VALUES (?1, ?2)"));
    sqlite_lib.sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
    sqlite_lib.sqlite3_bind_text(q, 2, value, -1, SQLITE_STATIC);
    const mill_err err = sqlite_done(s, s->writer, q);
    sqlite_lib.sqlite3_finalize(q);
    return err;
}

mill_err sqlite_read_run(results_run *run, const sqlite *s, sqlite3 *db)
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
    "CREATE TABLE result(" /* ORDER result */
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

    TRY(sqlite_run(s, s->writer, tables));
    for (int i = 0; i < RESULTS_N_COUNTS; i++) {
        snprintf(sql, sizeof sql, "INSERT INTO count VALUES (%d, '%s', 0)", i,
                 results_count_name(name, i));
        TRY(sqlite_run(s, s->writer, sql));
    }
    TRY(write_run(s, o));
    snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION,
             FORMAT);
    return sqlite_run(s, s->writer, sql);
}

mill_err sqlite_check_format(bool *is_new, const sqlite *s, sqlite3 *db)
{
    int64_t application, format, n_tables;

    *is_new = false;
    TRY(sqlite_ask(&application, s, db, "PRAGMA application_id"));
    TRY(sqlite_ask(&format, s, db, "PRAGMA user_version"));
    TRY(sqlite_ask(&n_tables, s, db, "SELECT count(*) FROM sqlite_master"));
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

    TRY(sqlite_ask(&rows, s, s->writer, "SELECT EXISTS (SELECT 1 FROM result)"));
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
mill_err sqlite_make(const sqlite *s, const results_options *o)
{
    bool is_new;

    TRY(sqlite_run(s, s->writer, "BEGIN IMMEDIATE"));
    mill_err err = sqlite_check_format(&is_new, s, s->writer);
    if (!err) err = is_new ? make_tables(s, o) : check_run(s, o);
    if (!err) return sqlite_run(s, s->writer, "COMMIT");
    sqlite_lib.sqlite3_exec(s->writer, "ROLLBACK", NULL, NULL, NULL);
    return err;
}
