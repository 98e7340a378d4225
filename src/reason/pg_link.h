/*
 * pg_link.h - for results_pg*.c only: a connection to PostgreSQL that comes back when its server
 * does.
 *
 * What fails because the server is not there (or has no connection or memory to spare) sets
 * `is_away`; pg_keep_trying connects anew, with a pause that doubles to five seconds, and says so.
 */
#ifndef MILL_REASON_PG_LINK_H
#define MILL_REASON_PG_LINK_H

#include "base/err.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As libpq-fe.h has them, which only pg_link.c reads. */
typedef struct pg_conn PGconn;
typedef struct pg_result PGresult;

typedef struct {
    PGconn *c; /* NULL: not connected */
    char *url;
    const char *shown; /* the same without a password; borrowed */
    bool is_away;
    _Atomic bool is_stopping;
    double pause, away_since; /* 0: it is here */
    pthread_mutex_t lock;     /* guards fd */
    int fd;                   /* of the connection; -1: none */
} pg_link;

/* An argument in PostgreSQL's binary format. */
typedef struct {
    unsigned type; /* Oid */
    const char *p;
    int n;
} pg_arg;
enum { PG_BYTEA = 17, PG_INT8 = 20, PG_INT2 = 21, PG_INT4 = 23, PG_TEXT = 25, PG_FLOAT8 = 701 };
enum { PG_INT8_ARRAY = 1016, PG_INT4_ARRAY = 1007, PG_TEXT_ARRAY = 1009, PG_FLOAT8_ARRAY = 1022 };

pg_arg pg_text(const char *s); /* borrowed */
/* buf is borrowed until the query is sent. */
pg_arg pg_int8(char buf[8], int64_t x);
pg_arg pg_float8(char buf[8], double x);
void pg_put_int(char *p, int bytes, int64_t x);              /* big-endian */
int64_t pg_get_int8(const PGresult *r, int row, int column); /* a bigint of a binary result */
double pg_get_float8(const PGresult *r, int row, int column);

/* The URL with *** for its password; mill_free. */
mill_err pg_shown(char **out, const char *url);

/* Opens libpq and copies url; connects nothing. */
mill_err pg_link_init(pg_link *l, const char *url, const char *shown);
void pg_link_deinit(pg_link *l);
mill_err pg_connect(pg_link *l); /* unless it is connected */
void pg_disconnect(pg_link *l);
/* From any thread: ends pauses, and what waits for the server if `now`. */
void pg_stop(pg_link *l, bool now);

/* One statement, its rows in binary format; *out: pg_clear, or NULL for out.  On an error without
 * is_away the message is the server's. */
mill_err pg_run(PGresult **out, pg_link *l, const char *sql, int n, const pg_arg *arg);
mill_err pg_exec(pg_link *l, const char *sql); /* several, without arguments and rows */
void pg_clear(PGresult *r);
int pg_rows(const PGresult *r);
const char *pg_bytes(const PGresult *r, int row, int column, size_t *n); /* "", 0 for NULL */
bool pg_is_null(const PGresult *r, int row, int column);

/* Calls fn(ctx) on a connection until it does not fail for a server that is away; after `seconds`
 * of that, or when stopped, its error.  `waiting` tells how many rows wait meanwhile, for the
 * words; NULL: none do, so that a signal (train/loop.h) ends it too. */
mill_err pg_keep_trying(pg_link *l, mill_err (*fn)(void *ctx), void *ctx, double seconds,
                        int64_t (*waiting)(void *ctx));

double pg_now(void);

#endif
