/*
 * pg_link.c - libpq: connections, queries in binary format, and servers that go away for a while.
 *
 * Away are: no connection or a lost one, SQLSTATE classes 08 (connection), 57P (shutting down,
 * starting up), 53 (out of connections, memory, disk), 40 (deadlock, serialization) and 25P03 (a
 * transaction that was idle for too long).  Anything else is an error. A network that swallows
 * everything is noticed by TCP: user timeout and keepalives of 10 s, here and, as the server is
 * told, there; it is told too to end a transaction in which nothing happens for 10 s: one of a
 * machine that is cut off would keep its ranges locked, and so from the others, for hours.
 */
#include "reason/pg_link.h"

#include "base/library.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "train/loop.h"

#include <endian.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#define PG_FUNCTIONS(FN)     \
    FN(PQconnectdbParams)    \
    FN(PQstatus)             \
    FN(PQsocket)             \
    FN(PQfinish)             \
    FN(PQerrorMessage)       \
    FN(PQsetNoticeProcessor) \
    FN(PQexec)               \
    FN(PQexecParams)         \
    FN(PQresultStatus)       \
    FN(PQresultErrorField)   \
    FN(PQclear)              \
    FN(PQntuples)            \
    FN(PQgetvalue)           \
    FN(PQgetlength)          \
    FN(PQgetisnull)
static struct {
    PG_FUNCTIONS(LIBRARY_POINTER)
} lib;

enum { MAX_ARGS = 24 };
static const double MOST_PAUSE = 5, FIRST_PAUSE = 0.1;

double pg_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Once: other threads may be using it. */
static mill_err open_library(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static const char *const names[] = {PG_FUNCTIONS(LIBRARY_NAME)};
    static bool is_open;
    mill_err err = MILL_OK;

    pthread_mutex_lock(&lock);
    if (!is_open) err = library_open(&lib, names, LIBRARY_COUNT(names), "libpq.so.5", "libpq5");
    is_open = !err;
    pthread_mutex_unlock(&lock);
    return err;
}

/* ---- values ---- */

void pg_put_int(char *p, int bytes, int64_t x)
{
    for (int i = bytes - 1; i >= 0; i--, x >>= 8) p[i] = (char)(x & 0xff);
}

pg_arg pg_text(const char *s)
{
    return (pg_arg){PG_TEXT, s, (int)strlen(s)};
}

pg_arg pg_int8(char buf[8], int64_t x)
{
    pg_put_int(buf, 8, x);
    return (pg_arg){PG_INT8, buf, 8};
}

pg_arg pg_float8(char buf[8], double x)
{
    int64_t bits;

    memcpy(&bits, &x, sizeof bits);
    pg_put_int(buf, 8, bits);
    return (pg_arg){PG_FLOAT8, buf, 8};
}

int64_t pg_get_int8(const PGresult *r, int row, int column)
{
    uint64_t x;

    if (lib.PQgetlength(r, row, column) != sizeof x) return 0; /* NULL */
    memcpy(&x, lib.PQgetvalue(r, row, column), sizeof x);
    return (int64_t)be64toh(x);
}

double pg_get_float8(const PGresult *r, int row, int column)
{
    const int64_t bits = pg_get_int8(r, row, column);
    double x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

void pg_clear(PGresult *r)
{
    lib.PQclear(r);
}
int pg_rows(const PGresult *r)
{
    return lib.PQntuples(r);
}

bool pg_is_null(const PGresult *r, int row, int column)
{
    return lib.PQgetisnull(r, row, column) != 0;
}

const char *pg_bytes(const PGresult *r, int row, int column, size_t *n)
{
    *n = (size_t)lib.PQgetlength(r, row, column);
    return lib.PQgetvalue(r, row, column);
}

/* ---- connections ---- */

/* postgresql://user:secret@host/db?password=secret */
mill_err pg_shown(char **out, const char *url)
{
    const char *rest = strstr(url, "://") ? strstr(url, "://") + 3 : url;
    const size_t host = strcspn(rest, "/?");
    const char *at = memchr(rest, '@', host), *colon = memchr(rest, ':', host);
    const char *query = strstr(rest, "password=");
    mill_text t = {0};

    if (at && colon && colon < at) {
        text_add_bytes(&t, url, (size_t)(colon - url));
        text_add(&t, ":***");
    } else {
        at = url;
    }
    if (query && query > at) {
        text_add_bytes(&t, at, (size_t)(query - at));
        text_add(&t, "password=***%s", query + strcspn(query, "&"));
    } else {
        text_add(&t, "%s", at);
    }
    const mill_err err = text_check(&t);
    if (!err && !(*out = mill_strdup(t.s))) {
        text_free(&t);
        return MILL_ENOMEM;
    }
    text_free(&t);
    return err;
}

mill_err pg_link_init(pg_link *l, const char *url, const char *shown)
{
    *l = (pg_link){.shown = shown, .fd = -1};
    pthread_mutex_init(&l->lock, NULL);
    TRY(open_library());
    return (l->url = mill_strdup(url)) ? MILL_OK : MILL_ENOMEM;
}

void pg_disconnect(pg_link *l)
{
    pthread_mutex_lock(&l->lock);
    l->fd = -1;
    pthread_mutex_unlock(&l->lock);
    if (l->c) lib.PQfinish(l->c);
    l->c = NULL;
}

void pg_link_deinit(pg_link *l)
{
    pg_disconnect(l);
    pthread_mutex_destroy(&l->lock);
    mill_free(l->url);
}

/* libpq's messages end with a newline, and may have several lines. */
static void one_line(char out[300], const char *message)
{
    size_t n = strlen(message);

    while (n && (message[n - 1] == '\n' || message[n - 1] == ' ')) n--;
    snprintf(out, 300, "%.*s", (int)(n < 280 ? n : 280), message);
    for (char *p = out; *p; p++)
        if (*p == '\n' || *p == '\t') *p = ' ';
}

static void swallow_notice(void *ctx, const char *message)
{
    (void)ctx;
    (void)message;
}

/* Settings that its version lacks are left out (tcp_user_timeout came with 12). */
static mill_err ask_for_timeouts(pg_link *l)
{
    return pg_exec(l, "SELECT set_config(s.name, x.value, false) FROM (VALUES"
                      " ('idle_in_transaction_session_timeout', '10s'),"
                      " ('tcp_keepalives_idle', '5'), ('tcp_keepalives_interval', '2'),"
                      " ('tcp_keepalives_count', '3'), ('tcp_user_timeout', '10s'))"
                      " AS x(name, value) JOIN pg_settings s USING (name)");
}

mill_err pg_connect(pg_link *l)
{
    /* What the URL says comes later, and so wins. */
    static const char *const key[] = {"connect_timeout",
                                      "keepalives_idle",
                                      "keepalives_interval",
                                      "keepalives_count",
                                      "tcp_user_timeout",
                                      "application_name",
                                      "dbname",
                                      NULL};
    const char *const value[] = {"10", "5", "2", "3", "10000", "tabmill", l->url, NULL};
    char why[300];

    if (l->c) return MILL_OK;
    l->is_away = false;
    l->c = lib.PQconnectdbParams(key, value, 1);
    if (!l->c) return mill_fail(MILL_ENOMEM, "no memory for a connection to %s", l->shown);
    if (lib.PQstatus(l->c) != CONNECTION_OK) {
        one_line(why, lib.PQerrorMessage(l->c));
        pg_disconnect(l);
        l->is_away = true;
        return mill_fail(MILL_EIO, "%s: %s", l->shown, why);
    }
    lib.PQsetNoticeProcessor(l->c, swallow_notice, NULL);
    pthread_mutex_lock(&l->lock);
    l->fd = lib.PQsocket(l->c);
    pthread_mutex_unlock(&l->lock);
    const mill_err err = ask_for_timeouts(l);
    if (err) pg_disconnect(l);
    return err;
}

void pg_stop(pg_link *l, bool now)
{
    atomic_store(&l->is_stopping, true);
    pthread_mutex_lock(&l->lock);
    if (now && l->fd >= 0) shutdown(l->fd, SHUT_RDWR);
    pthread_mutex_unlock(&l->lock);
}

/* ---- queries ---- */

static bool is_away_state(const char *state)
{
    return (!strncmp(state, "08", 2) || !strncmp(state, "57P", 3) || !strncmp(state, "53", 2) ||
            !strncmp(state, "40", 2) || !strcmp(state, "25P03"));
}

static mill_err refuse(pg_link *l, const PGresult *r)
{
    const char *state = r ? lib.PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
    const char *text = r ? lib.PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    char why[300];

    one_line(why, text ? text : lib.PQerrorMessage(l->c));
    l->is_away = !state || is_away_state(state); /* no state: it is libpq that lost the server */
    return mill_fail(MILL_EIO, "%s: %s%s%s%s", l->shown, why, state ? " (SQLSTATE " : "",
                     state ? state : "", state ? ")" : "");
}

mill_err pg_run(PGresult **out, pg_link *l, const char *sql, int n, const pg_arg *arg)
{
    const char *value[MAX_ARGS];
    int length[MAX_ARGS], format[MAX_ARGS];
    Oid type[MAX_ARGS];

    if (!l->c) TRY(pg_connect(l));
    l->is_away = false;
    for (int i = 0; i < n; i++) {
        value[i] = arg[i].p;
        length[i] = arg[i].n;
        type[i] = arg[i].type;
        format[i] = 1;
    }
    PGresult *r = lib.PQexecParams(l->c, sql, n, type, value, length, format, 1);
    const ExecStatusType status = r ? lib.PQresultStatus(r) : PGRES_FATAL_ERROR;
    const bool is_good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    const mill_err err = is_good ? MILL_OK : refuse(l, r);
    if (!err && out)
        *out = r;
    else
        lib.PQclear(r);
    return err;
}

mill_err pg_exec(pg_link *l, const char *sql)
{
    if (!l->c) TRY(pg_connect(l));
    l->is_away = false;
    PGresult *r = lib.PQexec(l->c, sql);
    const ExecStatusType status = r ? lib.PQresultStatus(r) : PGRES_FATAL_ERROR;
    const bool is_good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    const mill_err err = is_good ? MILL_OK : refuse(l, r);
    lib.PQclear(r);
    return err;
}

/* ---- away ---- */

static void say_away(pg_link *l, int64_t rows)
{
    const double now = pg_now();

    if (l->away_since > 0) return;
    l->away_since = now;
    mill_log(MILL_LOG_WARN,
             "the database is away (%s); %lld row%s to be written when it is back, nothing is lost",
             mill_error(), (long long)rows, mill_s(rows));
}

static void say_back(pg_link *l)
{
    if (l->away_since > 0)
        mill_log(MILL_LOG_WARN, "the database is back after %.1f s", pg_now() - l->away_since);
    l->away_since = 0;
    l->pause = 0;
}

static void pause_for(pg_link *l)
{
    const double end = pg_now() + (l->pause > 0 ? l->pause : FIRST_PAUSE);
    const struct timespec t = {.tv_nsec = 20000000};

    while (pg_now() < end && !atomic_load(&l->is_stopping)) nanosleep(&t, NULL);
    l->pause = l->pause > 0 ? 2 * l->pause : 2 * FIRST_PAUSE;
    if (l->pause > MOST_PAUSE) l->pause = MOST_PAUSE;
}

mill_err pg_keep_trying(pg_link *l, mill_err (*fn)(void *ctx), void *ctx, double seconds,
                        int64_t (*waiting)(void *ctx))
{
    const double end = pg_now() + seconds;

    for (;;) {
        mill_err err = pg_connect(l);
        if (!err) err = fn(ctx);
        if (!err) {
            say_back(l);
            return MILL_OK;
        }
        const bool ends = atomic_load(&l->is_stopping) || (!waiting && train_signal_received());
        if (!l->is_away || ends || pg_now() > end) return err;
        say_away(l, waiting ? waiting(ctx) : 0);
        pg_disconnect(l);
        pause_for(l);
    }
}
