/*
 * results_sqlite_read.c - rows, counts and reasons out of a store in SQLite.
 *
 * A scan reads at most PAGE_ROWS at a time: a reader that stays in one transaction keeps the WAL
 * from being emptied.
 */
#include "reason/results_sqlite_inner.h"

#include <math.h>

enum { PAGE_ROWS = 1024 };

/* ORDER result */
#define COLUMNS                                                                               \
    "key, stage, finish, outcome, score, attempts, server, prompt_tokens, completion_tokens," \
    " cached_tokens, created, seconds, first_byte, content, reasoning, why"

mill_err sqlite_prepare_reader(sqlite *s)
{
    static const char *const sql[N_READ] = {
        [READ_RESULTS] =
            "SELECT " COLUMNS " FROM result WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3",
        [READ_LATEST] = "SELECT " COLUMNS " FROM result ORDER BY seq DESC LIMIT ?1",
        [READ_COUNTS] = "SELECT id, value FROM count",
    };

    for (int i = 0; i < N_READ; i++) TRY(sqlite_prepare(&s->read[i], s, s->reader, sql[i]));
    return MILL_OK;
}

static const char *text_of(size_t *n, sqlite3_stmt *q, int column)
{
    const char *text = (const char *)sqlite_lib.sqlite3_column_text(q, column);

    *n = text ? (size_t)sqlite_lib.sqlite3_column_bytes(q, column) : 0;
    return text ? text : "";
}

static void row_of(result_row *r, sqlite3_stmt *q)
{
    size_t n;

    *r = (result_row){
        .stage = (reason_stage)sqlite_lib.sqlite3_column_int64(q, 1),
        .finish = (chat_finish)sqlite_lib.sqlite3_column_int64(q, 2),
        .outcome = (reason_outcome)sqlite_lib.sqlite3_column_int64(q, 3),
        .score = sqlite_lib.sqlite3_column_type(q, 4) == SQLITE_NULL
                     ? (double)NAN
                     : sqlite_lib.sqlite3_column_double(q, 4),
        .attempts = (int)sqlite_lib.sqlite3_column_int64(q, 5),
        .server = (int)sqlite_lib.sqlite3_column_int64(q, 6),
        .prompt_tokens = sqlite_lib.sqlite3_column_int64(q, 7),
        .completion_tokens = sqlite_lib.sqlite3_column_int64(q, 8),
        .cached_tokens = sqlite_lib.sqlite3_column_int64(q, 9),
        .created = sqlite_lib.sqlite3_column_int64(q, 10),
        .seconds = sqlite_lib.sqlite3_column_double(q, 11),
        .first_byte = sqlite_lib.sqlite3_column_double(q, 12),
    };
    result_key_set(r, sqlite_lib.sqlite3_column_int64(q, 0));
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

    sqlite_lib.sqlite3_bind_int64(q, 1, *key);
    sqlite_lib.sqlite3_bind_int64(q, 2, end);
    sqlite_lib.sqlite3_bind_int64(q, 3, PAGE_ROWS);
    while (!err && (e = sqlite_lib.sqlite3_step(q)) == SQLITE_ROW) {
        row_of(&r, q);
        *key = sqlite_lib.sqlite3_column_int64(q, 0) + 1;
        n++;
        err = row(ctx, &r);
    }
    if (!err && e != SQLITE_DONE) err = sqlite_refuse(s, s->reader);
    if (n < PAGE_ROWS) *key = end;
    sqlite_lib.sqlite3_reset(q);
    return err;
}

mill_err sqlite_read(void *ctx, int64_t first, int64_t n,
                     mill_err (*row)(void *ctx, const result_row *row), void *row_ctx)
{
    int64_t key = result_key(first, 0, 0);
    const int64_t end = result_key(first + n, 0, 0);

    while (key < end) TRY(read_page(ctx, &key, end, row, row_ctx));
    return MILL_OK;
}

mill_err sqlite_latest(void *ctx, int64_t n, mill_err (*row)(void *ctx, const result_row *row),
                       void *row_ctx)
{
    const sqlite *s = ctx;
    sqlite3_stmt *q = s->read[READ_LATEST];
    mill_err err = MILL_OK;
    result_row r;
    int e = SQLITE_ROW;

    sqlite_lib.sqlite3_bind_int64(q, 1, n);
    while (!err && (e = sqlite_lib.sqlite3_step(q)) == SQLITE_ROW) {
        row_of(&r, q);
        err = row(row_ctx, &r);
    }
    if (!err && e != SQLITE_DONE) err = sqlite_refuse(s, s->reader);
    sqlite_lib.sqlite3_reset(q);
    return err;
}

mill_err sqlite_count(void *ctx, results_counts *out)
{
    const sqlite *s = ctx;
    sqlite3_stmt *q = s->read[READ_COUNTS];
    int e;

    while ((e = sqlite_lib.sqlite3_step(q)) == SQLITE_ROW) {
        const int64_t i = sqlite_lib.sqlite3_column_int64(q, 0);
        if (i >= 0 && i < RESULTS_N_COUNTS)
            ((int64_t *)out)[i] = sqlite_lib.sqlite3_column_int64(q, 1);
    }
    const mill_err err = e == SQLITE_DONE ? MILL_OK : sqlite_refuse(s, s->reader);
    sqlite_lib.sqlite3_reset(q);
    return err;
}

mill_err sqlite_reasons(void *ctx, json_t **out)
{
    const sqlite *s = ctx;
    sqlite3_stmt *q;
    int e;

    TRY(sqlite_prepare(&q, s, s->reader,
                       "SELECT why, count(*) FROM result INDEXED BY failed WHERE outcome = 3"
                       " GROUP BY why ORDER BY count(*) DESC, why"));
    json_t *all = json_object();
    bool is_full = !all;
    while ((e = sqlite_lib.sqlite3_step(q)) == SQLITE_ROW) {
        size_t n;
        const char *why = text_of(&n, q, 0);
        is_full |=
            json_object_set_new(all, why, json_integer(sqlite_lib.sqlite3_column_int64(q, 1))) != 0;
    }
    mill_err err = e == SQLITE_DONE ? MILL_OK : sqlite_refuse(s, s->reader);
    if (!err && is_full) err = mill_fail(MILL_ENOMEM, "no memory for the reasons of failures");
    sqlite_lib.sqlite3_finalize(q);
    if (err)
        json_decref(all);
    else
        *out = all;
    return err;
}
