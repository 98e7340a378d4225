/*
 * results_pg_write.c - what the writing thread of a store in PostgreSQL does: groups and leases.
 *
 * A group is one transaction:
 *
 *     leases    of this node are renewed, which also says which ranges it still holds
 *     rows      at most CHUNK_ROWS in one statement of arrays; the first row of a key wins
 *     ranges    that are finished, and still held
 *     counts    of this node, with the number of the group
 *
 * Rows of a range that was dealt to another node meanwhile are dropped: a chain of rows from two
 * nodes would make no sense, and that node began with the rows that were durable.  The number of
 * the group tells, when the connection broke at COMMIT, whether the group is there already.
 */
#include "reason/results_pg_inner.h"

#include "base/mem.h"
#include "base/text.h"

#include <math.h>
#include <string.h>

enum { CHUNK_ROWS = 512, CHUNK_BYTES = 4 << 20 };

/* ---- arrays in binary format: dimensions 1, no NULLs, type, n, first index 1; then size, bytes
 * --- */

typedef enum {
    KEY,
    STAGE,
    FINISH,
    OUTCOME,
    ATTEMPTS,
    SERVER,
    PROMPT_TOKENS,
    COMPLETION_TOKENS,
    CACHED_TOKENS,
    CREATED,
    N_INTEGERS
} integer_column;
enum { SCORE = N_INTEGERS, SECONDS, FIRST_BYTE, CONTENT, REASONING, WHY, N_COLUMNS };

static void begin_array(mill_text *t, unsigned element)
{
    char head[20] = {0};

    pg_put_int(head, 4, 1);
    pg_put_int(head + 8, 4, element);
    pg_put_int(head + 16, 4, 1);
    text_clear(t);
    text_add_bytes(t, head, sizeof head);
}

static void add_bytes(mill_text *t, const char *p, size_t n)
{
    char size[4];

    pg_put_int(size, 4, (int64_t)n);
    text_add_bytes(t, size, sizeof size);
    text_add_bytes(t, p, n);
}

static void add_int8(mill_text *t, int64_t x)
{
    char bytes[12];

    pg_put_int(bytes, 4, 8);
    pg_put_int(bytes + 4, 8, x);
    text_add_bytes(t, bytes, sizeof bytes);
}

/* NaN becomes NULL in the statement. */
static void add_float8(mill_text *t, double x)
{
    int64_t bits;

    memcpy(&bits, &x, sizeof bits);
    add_int8(t, bits);
}

static pg_arg array_arg(mill_text *t, unsigned type, int n)
{
    pg_put_int(t->s + 12, 4, n);
    return (pg_arg){type, t->s, (int)t->len};
}

static void add_row(mill_text column[N_COLUMNS], const result_row *r)
{
    const int64_t integers[N_INTEGERS] = {
        [KEY] = result_key(r->record, r->sample, r->step),
        [STAGE] = (int64_t)r->stage,
        [FINISH] = (int64_t)r->finish,
        [OUTCOME] = (int64_t)r->outcome,
        [ATTEMPTS] = r->attempts,
        [SERVER] = r->server,
        [PROMPT_TOKENS] = r->prompt_tokens,
        [COMPLETION_TOKENS] = r->completion_tokens,
        [CACHED_TOKENS] = r->cached_tokens,
        [CREATED] = r->created,
    };

    for (int i = 0; i < N_INTEGERS; i++) add_int8(&column[i], integers[i]);
    add_float8(&column[SCORE], r->score);
    add_float8(&column[SECONDS], r->seconds);
    add_float8(&column[FIRST_BYTE], r->first_byte);
    add_bytes(&column[CONTENT], r->content, r->n_content);
    add_bytes(&column[REASONING], r->reasoning, r->n_reasoning);
    add_bytes(&column[WHY], r->why, strlen(r->why));
}

/* ---- one transaction ---- */

static bool is_held(const pg_store *s, int64_t record)
{
    const int64_t i = record / s->range;

    return i >= 0 && i < s->n_ranges && s->held[i] == s->serial;
}

/* Renews the leases and notes which they are. */
static mill_err renew(pg_store *s)
{
    char run[8], lease[8];
    const pg_arg arg[] = {pg_int8(run, s->run), pg_text(s->node),
                          pg_float8(lease, s->lease_seconds)};
    PGresult *r;

    TRY(pg_run(&r, &s->writer,
               "UPDATE tabmill_range SET expires = clock_timestamp() + $3 * interval '1 second'"
               " WHERE run = $1 AND node = $2 AND NOT done RETURNING i",
               3, arg));
    s->serial++;
    for (int k = 0; k < pg_rows(r); k++) {
        const int64_t i = pg_get_int8(r, k, 0);
        if (i >= 0 && i < s->n_ranges) s->held[i] = s->serial;
    }
    pg_clear(r);
    s->renewed = pg_now();
    return MILL_OK;
}

static const char insert_sql[] =
    "INSERT INTO tabmill_result(run, key, stage, finish, outcome, attempts, server, prompt_tokens,"
    " completion_tokens, cached_tokens, created, score, seconds, first_byte, content, reasoning,"
    " why) SELECT $1, u.a, u.b, u.c, u.d, u.e, u.f, u.g, u.h, u.i, u.j, nullif(u.k, 'NaN'), u.l,"
    " u.m, u.n, u.o, u.p FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,"
    " $16, $17) AS u(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)"
    " ON CONFLICT (run, key) DO NOTHING RETURNING key";

/* The rows of a chunk that were inserted come back in their order. */
static void count_chunk(pg_store *s, const result_item *from, const result_item *end,
                        const PGresult *r)
{
    int at = 0;

    for (const result_item *i = from; i != end; i = i->next) {
        if (i->first >= 0 || !is_held(s, i->row.record)) continue;
        const int64_t key = result_key(i->row.record, i->row.sample, i->row.step);
        if (at < pg_rows(r) && pg_get_int8(r, at, 0) == key) {
            results_count_add(&s->tentative, &i->row);
            at++;
        } else {
            s->tentative.duplicates++;
        }
    }
}

/* Rows from `from` on; *end: the first item that is not in the chunk. */
static mill_err fill_chunk(mill_text column[N_COLUMNS], int *n, const result_item **end,
                           pg_store *s, const result_item *from)
{
    const result_item *i = from;
    size_t bytes = 0;

    for (int k = 0; k < N_COLUMNS; k++)
        begin_array(&column[k], k < N_INTEGERS ? PG_INT8 : k < CONTENT ? PG_FLOAT8 : PG_TEXT);
    *n = 0;
    for (; i && *n < CHUNK_ROWS && bytes < CHUNK_BYTES; i = i->next) {
        if (i->first >= 0) continue;
        if (!is_held(s, i->row.record)) {
            s->tentative.duplicates++;
            continue;
        }
        add_row(column, &i->row);
        bytes += i->bytes;
        ++*n;
    }
    *end = i;
    for (int k = 0; k < N_COLUMNS; k++) TRY(text_check(&column[k]));
    return MILL_OK;
}

static mill_err insert_chunk(const result_item **at, mill_text column[N_COLUMNS], pg_store *s)
{
    const result_item *end;
    pg_arg arg[1 + N_COLUMNS];
    char run[8];
    PGresult *r;
    int n;

    TRY(fill_chunk(column, &n, &end, s, *at));
    if (n) {
        arg[0] = pg_int8(run, s->run);
        for (int k = 0; k < N_COLUMNS; k++)
            arg[1 + k] = array_arg(&column[k],
                                   k < N_INTEGERS ? PG_INT8_ARRAY
                                   : k < CONTENT  ? PG_FLOAT8_ARRAY
                                                  : PG_TEXT_ARRAY,
                                   n);
        TRY(pg_run(&r, &s->writer, insert_sql, 1 + N_COLUMNS, arg));
        count_chunk(s, *at, end, r);
        pg_clear(r);
    }
    *at = end;
    return MILL_OK;
}

static mill_err insert_rows(pg_store *s)
{
    mill_text column[N_COLUMNS] = {0};
    mill_err err = MILL_OK;

    for (const result_item *at = s->group; at && !err;) err = insert_chunk(&at, column, s);
    for (int k = 0; k < N_COLUMNS; k++) text_free(&column[k]);
    return err;
}

static mill_err finish_ranges(pg_store *s)
{
    char run[8], range[8];

    for (const result_item *i = s->group; i; i = i->next) {
        if (i->first < 0) continue;
        const pg_arg arg[] = {pg_int8(run, s->run), pg_int8(range, i->first / s->range),
                              pg_text(s->node)};
        TRY(pg_run(NULL, &s->writer,
                   "UPDATE tabmill_range SET done = true WHERE run = $1 AND i = $2 AND node = $3",
                   3, arg));
    }
    return MILL_OK;
}

static mill_err write_counts(pg_store *s)
{
    const int64_t *count = (const int64_t *)&s->tentative;
    char run[8], seq[8];
    mill_text counts = {0};

    begin_array(&counts, PG_INT8);
    for (int i = 0; i < RESULTS_N_COUNTS; i++) add_int8(&counts, count[i]);
    mill_err err = text_check(&counts);
    if (!err) {
        const pg_arg arg[] = {pg_int8(run, s->run), pg_text(s->node), pg_int8(seq, s->seq + 1),
                              array_arg(&counts, PG_INT8_ARRAY, RESULTS_N_COUNTS)};
        err = pg_run(NULL, &s->writer,
                     "INSERT INTO tabmill_node VALUES ($1, $2, $3, $4)"
                     " ON CONFLICT (run, node) DO UPDATE SET seq = $3, counts = $4",
                     4, arg);
    }
    text_free(&counts);
    return err;
}

static mill_err is_there(bool *yes, pg_store *s)
{
    char run[8];
    const pg_arg arg[] = {pg_int8(run, s->run), pg_text(s->node)};
    PGresult *r;

    TRY(pg_run(&r, &s->writer, "SELECT seq FROM tabmill_node WHERE run = $1 AND node = $2", 2,
               arg));
    *yes = pg_rows(r) && pg_get_int8(r, 0, 0) > s->seq;
    pg_clear(r);
    return MILL_OK;
}

static mill_err write_group(pg_store *s)
{
    TRY(pg_exec(&s->writer, "BEGIN"));
    TRY(renew(s));
    TRY(insert_rows(s));
    TRY(finish_ranges(s));
    TRY(write_counts(s));
    s->is_unsure = true;
    TRY(pg_exec(&s->writer, "COMMIT"));
    return MILL_OK;
}

static mill_err commit_once(void *ctx)
{
    pg_store *s = ctx;
    bool is_done = false;

    if (s->is_unsure) TRY(is_there(&is_done, s));
    if (!is_done) {
        s->is_unsure = false;
        s->tentative = s->counts;
        const mill_err err = write_group(s);
        if (err) { /* ends the transaction; the message stays */
            pg_disconnect(&s->writer);
            return err;
        }
    }
    s->is_unsure = false;
    s->counts = s->tentative;
    s->seq++;
    return MILL_OK;
}

static void set_state(pg_store *s, bool is_writing)
{
    pthread_mutex_lock(&s->lock);
    s->is_writing = is_writing;
    pthread_mutex_unlock(&s->lock);
}

static int64_t rows_waiting(void *ctx)
{
    pg_store *s = ctx;

    pthread_mutex_lock(&s->lock);
    s->is_away = true; /* it is asked when the server has just gone */
    pthread_cond_broadcast(&s->answered);
    pthread_mutex_unlock(&s->lock);
    return results_waiting(s->front);
}

static mill_err try_on(pg_store *s, mill_err (*fn)(void *ctx))
{
    const mill_err err = pg_keep_trying(&s->writer, fn, s, PG_MOST_AWAY, rows_waiting);

    pthread_mutex_lock(&s->lock);
    s->is_away = false;
    pthread_mutex_unlock(&s->lock);
    return err;
}

mill_err pg_store_commit(void *ctx, const result_item *group)
{
    pg_store *s = ctx;

    s->group = group;
    set_state(s, true);
    const mill_err err = try_on(s, commit_once);
    set_state(s, false);
    return err;
}

/* ---- leases ---- */

static mill_err count_others(pg_store *s)
{
    char run[8];
    const pg_arg arg[] = {pg_int8(run, s->run), pg_text(s->node)};
    PGresult *r;

    TRY(pg_run(&r, &s->writer,
               "SELECT count(*) FROM tabmill_range WHERE run = $1 AND NOT done"
               " AND node IS DISTINCT FROM $2",
               2, arg));
    s->asked_left = pg_get_int8(r, 0, 0);
    pg_clear(r);
    return MILL_OK;
}

/* A range that nobody holds, or whose holder has not been heard of for too long. */
static mill_err lease_once(void *ctx)
{
    pg_store *s = ctx;
    char run[8], lease[8], keys[8];
    const pg_arg arg[] = {pg_int8(run, s->run), pg_text(s->node),
                          pg_float8(lease, s->lease_seconds),
                          pg_int8(keys, result_key(s->range, 0, 0))};
    PGresult *r;

    TRY(pg_run(&r, &s->writer,
               "UPDATE tabmill_range r SET node = $2,"
               " expires = clock_timestamp() + $3 * interval '1 second' FROM"
               " (SELECT i FROM tabmill_range WHERE run = $1 AND NOT done AND (node IS NULL OR"
               "  (node <> $2 AND expires < clock_timestamp())) ORDER BY position LIMIT 1"
               "  FOR UPDATE SKIP LOCKED) AS free"
               " WHERE r.run = $1 AND r.i = free.i RETURNING r.i, (SELECT count(*) FROM"
               "  (SELECT 1 FROM tabmill_result t WHERE t.run = $1 AND t.key >= r.i * $4"
               "   AND t.key < (r.i + 1) * $4 LIMIT 1) AS one)",
               4, arg));
    const bool is_there = pg_rows(r) > 0;
    const int64_t i = is_there ? pg_get_int8(r, 0, 0) : 0;
    const bool is_empty = is_there && !pg_get_int8(r, 0, 1);
    pg_clear(r);
    if (!is_there) TRY(count_others(s));
    pthread_mutex_lock(&s->lock);
    s->lease = is_there ? LEASE_READY : LEASE_NONE;
    s->first = i * s->range;
    s->n = s->records - s->first < s->range ? s->records - s->first : s->range;
    s->is_empty = is_empty;
    s->left = is_there ? 0 : s->asked_left;
    s->looked = pg_now();
    pthread_cond_broadcast(&s->answered);
    pthread_mutex_unlock(&s->lock);
    if (is_there) results_tell(s->front);
    return MILL_OK;
}

static mill_err renew_once(void *ctx)
{
    pg_store *s = ctx;
    char run[8], lease[8];
    const pg_arg arg[] = {pg_int8(run, s->run), pg_text(s->node),
                          pg_float8(lease, s->lease_seconds)};

    TRY(renew(s));
    pthread_mutex_lock(&s->lock);
    const bool has_claim = s->has_claim;
    pthread_mutex_unlock(&s->lock);
    if (!has_claim) return MILL_OK;
    return pg_run(NULL, &s->writer,
                  "UPDATE tabmill_run SET output_until = clock_timestamp() + $3 * interval"
                  " '1 second' WHERE id = $1 AND output_node = $2",
                  3, arg);
}

mill_err pg_store_idle(void *ctx, double *seconds)
{
    pg_store *s = ctx;
    const double between = s->lease_seconds / 3;

    pthread_mutex_lock(&s->lock);
    const bool asked = s->lease == LEASE_ASKED;
    pthread_mutex_unlock(&s->lock);
    if (asked) TRY(try_on(s, lease_once));
    if (pg_now() - s->renewed >= between) TRY(try_on(s, renew_once));
    const double wait = s->renewed + between - pg_now();
    *seconds = wait > 0 ? wait : 0;
    return MILL_OK;
}
