/*
 * server_window.h - how many requests a server may have in flight, and when the next may go.
 *
 * Pure: time comes as `now`, in monotonic seconds.  window_take counts a request in, window_give
 * counts it out with what came of it, window_steer moves the window by what the server tells of
 * itself.
 */
#ifndef MILL_REASON_SERVER_WINDOW_H
#define MILL_REASON_SERVER_WINDOW_H

#include "reason/chat.h"

/* What a server's /metrics say; -1: nothing. */
typedef struct {
    double running, waiting, cache_share, preemptions;
} server_metrics;

/* A token bucket: `left` grows by `rate` a second up to `most`, and may be in debt. */
typedef struct {
    double rate, most, left, at; /* rate 0: no limit */
} limit_bucket;

/* What headers said is left until a moment; -1: they say nothing. */
typedef struct {
    double left, until;
} limit_told;

typedef struct {
    double size, most;
    bool is_fixed;
    bool is_growing_fast;   /* until the first sign of too much */
    double cut_at, full_at; /* when it was made smaller, and was last full */
    double preemptions;     /* as of the last metrics; -1: none yet */
    bool is_steered;        /* by metrics */
    int64_t in_flight;
    limit_bucket requests, tokens;
    limit_told requests_told, tokens_told;
    int refusals;      /* 429 and 503 since the last other answer */
    double not_before; /* Retry-After */
} server_window;

/* fixed: the size, 0: automatic, at most `most`.  Limits by the minute, 0: none. */
void window_init(server_window *w, int64_t fixed, int64_t most, double requests_per_minute,
                 double tokens_per_minute, double now);
int64_t window_size(const server_window *w);
bool window_has_room(const server_window *w, int64_t tokens, double now);
/* Seconds until limits let a request of so many tokens go; 0: they do now. */
double window_wait(const server_window *w, int64_t tokens, double now);
void window_take(server_window *w, int64_t tokens, double now);
/* r NULL: it was not sent. */
void window_give(server_window *w, int64_t tokens, const chat_reply *r, int64_t used, double now);
/* Whether it is full, and how wide it may be is still to be found out. */
bool window_is_sought(const server_window *w);
void window_steer(server_window *w, const server_metrics *m, double now);
void window_restart(server_window *w, double now); /* another process answers now */

#endif
