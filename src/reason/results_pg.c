/*
 * results_pg.c - results in PostgreSQL, for several nodes with one database.
 *
 * Ranges of records are leased: a node holds what it was dealt for as long as it renews that, by
 * the server's clock; one that is not heard of loses its ranges to others, who begin with the rows
 * that are durable.  One range is leased ahead, so that nobody waits for it.  While the server is
 * away, rows wait in the queue (results.c), and leases and counts are those that were known last.
 *
 * Two connections, since one belongs to the thread that writes (results_pg_write.c) and one to
 * those that read.
 */
#include "reason/results_pg_inner.h"

#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { PAGE_ROWS = 512 };

/* ---- opening ---- */

static void name_node(char out[80])
{
    char host[40] = "";
    uint32_t random = 0;

    gethostname(host, sizeof host - 1);
    if (getrandom(&random, sizeof random, 0) != sizeof random) random = (uint32_t)time(NULL);
    snprintf(out, 80, "%s:%ld:%08x", host, (long)getpid(), random);
}

static void pg_store_close(void *ctx)
{
    pg_store *s = ctx;

    if (!s) return;
    /* Others need not wait for the end of our leases. */
    if (s->writer.c && s->run && s->held) {
        char run[8];
        const pg_arg arg[] = {pg_int8(run, s->run), pg_text(s->node)};
        pg_run(NULL, &s->writer,
               "UPDATE tabmill_range SET node = NULL, expires = NULL"
               " WHERE run = $1 AND node = $2 AND NOT done",
               2, arg);
    }
    pg_link_deinit(&s->writer);
    pg_link_deinit(&s->reader);
    pthread_cond_destroy(&s->answered);
    pthread_mutex_destroy(&s->lock);
    mill_free(s->held);
    mill_free(s->shown);
    mill_free(s);
}

static mill_err open_store(pg_store *s, results_run *run, const results_options *o)
{
    TRY(pg_link_init(&s->writer, o->where, s->shown));
    TRY(pg_link_init(&s->reader, o->where, s->shown));
    TRY(pg_connect(o->read_only ? &s->reader : &s->writer));
    TRY(pg_make(s, run, o));
    if (o->read_only) return MILL_OK;
    if (!(s->held = mill_alloc((size_t)s->n_ranges + 1, sizeof *s->held))) return MILL_ENOMEM;
    return MILL_OK;
}

static mill_err pg_store_open(void **out, results_run *run, const results_options *o,
                              results *front)
{
    pg_store *s = mill_alloc(1, sizeof *s);
    pthread_condattr_t a;

    if (!s) return MILL_ENOMEM;
    s->front = front;
    s->lease_seconds = o->lease_seconds > 0 ? o->lease_seconds : 60;
    s->empty = -1;
    s->writer.fd = s->reader.fd = -1;
    name_node(s->node);
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&a);
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    pthread_cond_init(&s->answered, &a);
    pthread_condattr_destroy(&a);
    mill_err err = pg_shown(&s->shown, o->where);
    if (!err) err = open_store(s, run, o);
    if (err) {
        pg_store_close(s);
        return err;
    }
    *out = s;
    return MILL_OK;
}

/* A group under way has ten seconds; then what waits for the server is cut off. */
static void pg_store_stop(void *ctx)
{
    pg_store *s = ctx;
    const double end = pg_now() + 10;
    const struct timespec t = {.tv_nsec = 5000000};
    bool is_writing = true;

    pg_stop(&s->writer, false);
    while (is_writing && pg_now() < end) {
        pthread_mutex_lock(&s->lock);
        is_writing = s->is_writing;
        pthread_mutex_unlock(&s->lock);
        if (is_writing) nanosleep(&t, NULL);
    }
    if (is_writing) pg_stop(&s->writer, true);
}

/* ---- leases ---- */

/* Gives what was leased ahead and asks for the next; waits a moment for an answer under way. */
static mill_err pg_store_lease(void *ctx, int64_t *first, int64_t *n, int64_t *left)
{
    pg_store *s = ctx;
    const double end = pg_now() + 1;
    const struct timespec t = {.tv_sec = (time_t)end,
                               .tv_nsec = (long)(1e9 * (end - (double)(time_t)end))};
    bool wake = false;

    pthread_mutex_lock(&s->lock);
    if (s->lease == LEASE_NONE && s->left && pg_now() - s->looked >= 0.2) {
        s->lease = LEASE_ASKED;
        wake = true;
    }
    pthread_mutex_unlock(&s->lock);
    if (wake) results_wake(s->front);
    pthread_mutex_lock(&s->lock);
    while (s->lease == LEASE_ASKED && !s->is_away && pg_now() < end)
        pthread_cond_timedwait(&s->answered, &s->lock, &t);
    *n = 0;
    *left = s->lease == LEASE_ASKED ? 1 : s->left;
    wake = s->lease == LEASE_READY;
    if (wake) {
        *first = s->first;
        *n = s->n;
        s->empty = s->is_empty ? s->first : -1;
        s->lease = LEASE_ASKED;
    }
    pthread_mutex_unlock(&s->lock);
    if (wake) results_wake(s->front);
    return MILL_OK;
}

static mill_err claim_once(void *ctx)
{
    pg_store *s = ctx;
    char run[8], lease[8];
    const pg_arg arg[] = {pg_int8(run, s->run), pg_text(s->node),
                          pg_float8(lease, s->lease_seconds)};
    PGresult *r;

    TRY(pg_run(&r, &s->reader,
               "UPDATE tabmill_run SET output_node = $2,"
               " output_until = clock_timestamp() + $3 * interval '1 second' WHERE id = $1 AND"
               " (output_node IS NULL OR output_node = $2 OR output_until < clock_timestamp())"
               " RETURNING id",
               3, arg));
    pthread_mutex_lock(&s->lock);
    s->has_claim = pg_rows(r) > 0;
    pthread_mutex_unlock(&s->lock);
    pg_clear(r);
    return MILL_OK;
}

static mill_err pg_store_claim(void *ctx, bool *mine)
{
    pg_store *s = ctx;

    TRY(pg_keep_trying(&s->reader, claim_once, s, PG_MOST_AWAY, NULL));
    *mine = s->has_claim; /* written by this thread alone */
    return MILL_OK;
}

/* ---- reading ---- */

#define COLUMNS                                                                               \
    "key, stage, finish, outcome, score, attempts, server, prompt_tokens, completion_tokens," \
    " cached_tokens, created, seconds, first_byte, content, reasoning, why"

typedef struct {
    pg_store *s;
    int64_t key, end;
    PGresult *page;
} page_read;

static mill_err read_page(void *ctx)
{
    page_read *p = ctx;
    char run[8], from[8], end[8], most[8];
    const pg_arg arg[] = {pg_int8(run, p->s->run), pg_int8(from, p->key), pg_int8(end, p->end),
                          pg_int8(most, PAGE_ROWS)};

    return pg_run(&p->page, &p->s->reader,
                  "SELECT " COLUMNS " FROM tabmill_result"
                  " WHERE run = $1 AND key >= $2 AND key < $3 ORDER BY key LIMIT $4",
                  4, arg);
}

static void row_of(result_row *r, const PGresult *p, int i)
{
    size_t n;

    *r = (result_row){
        .stage = (reason_stage)pg_get_int8(p, i, 1),
        .finish = (chat_finish)pg_get_int8(p, i, 2),
        .outcome = (reason_outcome)pg_get_int8(p, i, 3),
        .score = pg_is_null(p, i, 4) ? (double)NAN : pg_get_float8(p, i, 4),
        .attempts = (int)pg_get_int8(p, i, 5),
        .server = (int)pg_get_int8(p, i, 6),
        .prompt_tokens = pg_get_int8(p, i, 7),
        .completion_tokens = pg_get_int8(p, i, 8),
        .cached_tokens = pg_get_int8(p, i, 9),
        .created = pg_get_int8(p, i, 10),
        .seconds = pg_get_float8(p, i, 11),
        .first_byte = pg_get_float8(p, i, 12),
    };
    result_key_set(r, pg_get_int8(p, i, 0));
    r->content = pg_bytes(p, i, 13, &r->n_content);
    r->reasoning = pg_bytes(p, i, 14, &r->n_reasoning);
    r->why = pg_bytes(p, i, 15, &n);
}

static mill_err pg_store_read(void *ctx, int64_t first, int64_t n,
                              mill_err (*row)(void *ctx, const result_row *row), void *row_ctx)
{
    pg_store *s = ctx;
    page_read p = {s, result_key(first, 0, 0), result_key(first + n, 0, 0), NULL};
    mill_err err = MILL_OK;
    result_row r;

    if (s->empty == first && n <= s->range) { /* the lease has told */
        s->empty = -1;
        return MILL_OK;
    }
    while (!err && p.key < p.end) {
        TRY(pg_keep_trying(&s->reader, read_page, &p, PG_MOST_AWAY, NULL));
        const int rows = pg_rows(p.page);
        for (int i = 0; i < rows && !err; i++) {
            row_of(&r, p.page, i);
            err = row(row_ctx, &r);
        }
        p.key = rows < PAGE_ROWS ? p.end : pg_get_int8(p.page, rows - 1, 0) + 1;
        pg_clear(p.page);
    }
    return err;
}

static mill_err read_latest(void *ctx)
{
    page_read *p = ctx;
    char run[8], most[8];
    const pg_arg arg[] = {pg_int8(run, p->s->run), pg_int8(most, p->key)};

    return pg_run(&p->page, &p->s->reader,
                  "SELECT " COLUMNS " FROM tabmill_result WHERE run = $1"
                  " ORDER BY seq DESC LIMIT $2",
                  2, arg);
}

static mill_err pg_store_latest(void *ctx, int64_t n,
                                mill_err (*row)(void *ctx, const result_row *row), void *row_ctx)
{
    pg_store *s = ctx;
    page_read p = {s, n, 0, NULL};
    mill_err err = MILL_OK;
    result_row r;

    TRY(pg_keep_trying(&s->reader, read_latest, &p, PG_MOST_AWAY, NULL));
    for (int i = 0; i < pg_rows(p.page) && !err; i++) {
        row_of(&r, p.page, i);
        err = row(row_ctx, &r);
    }
    pg_clear(p.page);
    return err;
}

static mill_err ask_counts(pg_store *s, results_counts *out)
{
    char run[8];
    const pg_arg arg = pg_int8(run, s->run);
    PGresult *r;

    TRY(pg_run(&r, &s->reader,
               "SELECT u.i, sum(u.n)::bigint FROM tabmill_node,"
               " unnest(counts) WITH ORDINALITY AS u(n, i) WHERE run = $1 GROUP BY u.i",
               1, &arg));
    for (int k = 0; k < pg_rows(r); k++) {
        const int64_t i = pg_get_int8(r, k, 0) - 1;
        if (i >= 0 && i < RESULTS_N_COUNTS) ((int64_t *)out)[i] = pg_get_int8(r, k, 1);
    }
    pg_clear(r);
    return MILL_OK;
}

/* Does not wait for a server that is away: the counts are then those known last. */
static mill_err pg_store_count(void *ctx, results_counts *out)
{
    pg_store *s = ctx;
    mill_err err = MILL_OK;

    if (pg_now() >= s->ask_again) {
        results_counts now = {0};
        if (!(err = ask_counts(s, &now))) s->known = now;
        if (err && s->reader.is_away) {
            pg_disconnect(&s->reader);
            s->ask_again = pg_now() + 0.5;
            if (s->run && s->held) err = MILL_OK; /* a node; one that only looks is told */
        }
    }
    *out = s->known;
    return err;
}

typedef struct {
    pg_store *s;
    json_t *out;
} reasons_read;

static mill_err read_reasons(void *ctx)
{
    reasons_read *w = ctx;
    char run[8];
    const pg_arg arg = pg_int8(run, w->s->run);
    bool is_full;
    PGresult *r;
    size_t n;

    TRY(pg_run(&r, &w->s->reader,
               "SELECT why, count(*) FROM tabmill_result WHERE run = $1 AND outcome = 3"
               " GROUP BY why ORDER BY count(*) DESC, why COLLATE \"C\"",
               1, &arg));
    w->out = json_object();
    is_full = !w->out;
    for (int k = 0; k < pg_rows(r); k++)
        is_full |= json_object_set_new(w->out, pg_bytes(r, k, 0, &n),
                                       json_integer(pg_get_int8(r, k, 1))) != 0;
    pg_clear(r);
    if (!is_full) return MILL_OK;
    json_decref(w->out);
    return mill_fail(MILL_ENOMEM, "no memory for the reasons of failures");
}

static mill_err pg_store_reasons(void *ctx, json_t **out)
{
    reasons_read w = {.s = ctx};

    TRY(pg_keep_trying(&w.s->reader, read_reasons, &w, PG_MOST_AWAY, NULL));
    *out = w.out;
    return MILL_OK;
}

const results_backend results_pg = {
    .open = pg_store_open,
    .close = pg_store_close,
    .commit = pg_store_commit,
    .idle = pg_store_idle,
    .stop = pg_store_stop,
    .lease = pg_store_lease,
    .read = pg_store_read,
    .latest = pg_store_latest,
    .count = pg_store_count,
    .reasons = pg_store_reasons,
    .claim_output = pg_store_claim,
};
