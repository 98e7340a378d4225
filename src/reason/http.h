/*
 * http.h - one thread that waits: HTTP requests, timers, descriptors.
 *
 * libcurl's multi interface with socket action over one epoll descriptor.  Requests to one server
 * share its kept connections.  Not thread-safe: everything happens in the thread that calls
 * http_turn, callbacks too, and those may start and cancel requests.
 */
#ifndef MILL_REASON_HTTP_H
#define MILL_REASON_HTTP_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct http_loop http_loop;
typedef struct http_call http_call;

/* How a request came to its end. */
typedef enum {
    HTTP_DONE,          /* a whole response, whatever its status */
    HTTP_NO_CONNECTION, /* refused, no such host or socket, or no connection in time: nothing of
                           the request was sent */
    HTTP_NO_FIRST_BYTE, /* the watchdogs */
    HTTP_IDLE,          /* between two pieces */
    HTTP_TOO_LONG,      /* in all */
    HTTP_RESET,         /* closed or reset before the response was whole */
    HTTP_BROKEN,        /* no HTTP, or larger than HTTP_MAX_BODY */
    HTTP_N_END
} http_end;
const char *http_end_name(http_end e);

enum { HTTP_MAX_BODY = 64 << 20 };

typedef struct {
    double connect, first_byte, idle, total; /* seconds; 0: no limit */
} http_limits;

/* Of rate limits, as the headers say; -1 where they say nothing.  Seconds from now. */
typedef struct {
    double retry_after;
    double requests_left, tokens_left, requests_reset, tokens_reset; /* x-ratelimit-* */
} http_rates;

typedef struct {
    http_end end;
    int status;       /* of HTTP; 0: none came */
    const char *body; /* what came, unless `piece` took it; NUL-terminated */
    size_t n;
    http_rates rates;
    double seconds, first_byte; /* since the start */
    char why[256];              /* of an end that is not HTTP_DONE, in words */
} http_result;

typedef struct {
    const char *url;    /* http:// or https:// */
    const char *socket; /* path of a UNIX socket, or NULL */
    const char *key;    /* for Authorization: Bearer; NULL: none.  Never logged. */
    const char *body;   /* JSON to POST; NULL: a GET */
    size_t n;
    http_limits limits;
    /* A piece of a response with status 200, as it comes; false cancels.  NULL: gathered. */
    bool (*piece)(void *ctx, const char *p, size_t n);
    void (*end)(void *ctx, const http_result *r); /* once; not after http_cancel */
    void *ctx;
} http_request;

/* Raises this process's soft limit of descriptors.  MILL_EDEVICE, naming the package, where libcurl
 * is absent. */
mill_err http_open(http_loop **out);
void http_close(http_loop *l); /* cancels what is under way; NULL is allowed */

/* What the request points to is copied, except ctx.  Its end comes in http_turn, and *out is good
 * until then; out may be NULL. */
mill_err http_start(http_call **out, http_loop *l, const http_request *r);
void http_cancel(http_call *c);         /* NULL, and one that has just ended, are no fault */
int http_in_flight(const http_loop *l); /* started and not ended: for one who waits for all */

/* Waits until something happens, at most `seconds` (< 0: no limit), and calls back.  MILL_EIO: this
 * process may have no more descriptors. */
mill_err http_turn(http_loop *l, double seconds);

/* `fn` is called, in http_turn, whenever fd can be read. */
mill_err http_watch(http_loop *l, int fd, void (*fn)(void *ctx), void *ctx);
void http_unwatch(http_loop *l, int fd); /* one that is not watched, or < 0, is no fault */

/* Calls fn once, in http_turn, `seconds` from now; out may be NULL. */
typedef struct http_timer http_timer;
mill_err http_after(http_timer **out, http_loop *l, double seconds, void (*fn)(void *ctx),
                    void *ctx);
void http_forget(http_timer *t); /* NULL, and one that has run inside its own fn, are no fault */

double http_now(void); /* monotonic seconds */

#endif
