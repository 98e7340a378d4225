/*
 * http_inner.h - what the files of http.h share: libcurl's functions, timers, descriptors,
 * routes, calls.
 *
 *     http.c         the loop
 *     http_call.c    requests: their start, watchdogs and ends
 *     http_route.c   where they go, and what is kept from one to the next
 *     http_wait.c    timers in a heap; descriptors under epoll
 *     http_rates.c   what headers say of limits
 */
#ifndef MILL_REASON_HTTP_INNER_H
#define MILL_REASON_HTTP_INNER_H

#include "base/library.h"
#include "base/text.h"
#include "reason/http.h"

#define CURL_DISABLE_TYPECHECK /* its macros would stand for members of curl_library */
#include <curl/curl.h>

#define CURL_FUNCTIONS(FN)       \
    FN(curl_global_init)         \
    FN(curl_easy_init)           \
    FN(curl_easy_cleanup)        \
    FN(curl_easy_getinfo)        \
    FN(curl_easy_setopt)         \
    FN(curl_easy_strerror)       \
    FN(curl_slist_append)        \
    FN(curl_slist_free_all)      \
    FN(curl_getdate)             \
    FN(curl_multi_init)          \
    FN(curl_multi_cleanup)       \
    FN(curl_multi_setopt)        \
    FN(curl_multi_add_handle)    \
    FN(curl_multi_remove_handle) \
    FN(curl_multi_socket_action) \
    FN(curl_multi_info_read)     \
    FN(curl_multi_strerror)
typedef struct {
    CURL_FUNCTIONS(LIBRARY_POINTER)
} curl_library;

/* ---- timers: a binary heap by `due`; each knows its place, so that it can be moved ---- */

struct http_timer {
    double due;
    int at;       /* in the heap; -1: not there */
    bool is_once; /* of http_after: freed when it has run */
    http_loop *loop;
    void (*fn)(void *ctx);
    void *ctx;
};
typedef struct {
    http_timer **heap;
    int n, cap, owned; /* owned: timers that there are, for which there is room */
} timer_heap;
mill_err timers_own(timer_heap *h); /* room for one more timer */
void timer_set(timer_heap *h, http_timer *t, double due);
void timer_unset(timer_heap *h, http_timer *t);

/* ---- descriptors ---- */

/* What is known of each, by number.  `has` is what epoll was told. */
typedef struct {
    uint32_t has;
    bool is_curl, is_wanted;
    void (*fn)(void *ctx);
    void *ctx;
} fd_slot;
typedef struct {
    int epoll;
    fd_slot *slot;
    int cap;
} fd_table;
mill_err fds_room(fd_table *t, int fd);
/* Tells epoll that `events` are waited for at fd, whether it knew the descriptor or not; 0 takes it
 * out. */
mill_err fds_want(fd_table *t, int fd, uint32_t events);

/* ---- routes, calls, the loop ---- */

typedef struct route {
    struct route *next;
    char *url, *socket, *key;
    bool posts;
    struct curl_slist *headers;
    http_call *idle;
} route;

struct http_call {
    http_loop *loop;
    route *route;
    CURL *easy;
    http_call *next, **where; /* of the list that it is in: idle, starting, under way */
    bool is_added, is_cancelled, is_too_large, is_connected;
    http_timer watchdog;
    double started, first, last; /* 0: nothing came */
    int status;
    http_rates rates;
    http_request r; /* body: in `sent` */
    mill_text sent, came;
    char error[CURL_ERROR_SIZE];
};

struct http_loop {
    curl_library curl;
    CURLM *multi;
    fd_table fds;
    timer_heap timers;
    http_timer curl_timer;
    bool curl_is_due, in_curl;
    http_timer *running;
    route *routes;
    http_call *starting, *under_way; /* starting: newest first */
    bool has_doomed;                 /* cancelled in a callback of libcurl's, and still there */
    bool has_called;                 /* somebody was called back in this turn */
    bool has_no_descriptor;          /* for a connection that was wanted */
    int in_flight;
};

/* The route of a request, made where there is none. */
mill_err route_find(route **out, http_loop *l, const http_request *q);
void route_free(http_loop *l, route *r); /* its calls are gone */

/* Hands what has been started to libcurl, the oldest first. */
mill_err calls_hand_over(http_loop *l);
void calls_drop_cancelled(http_loop *l);      /* those that were only marked */
void call_ended(http_call *c, CURLcode code); /* calls back; c is idle then */
void calls_free(http_loop *l);                /* all, without calling back */

/* libcurl's callbacks for a connection's descriptor, set with each easy handle; ctx: the loop. */
curl_socket_t loop_on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *to);
int loop_on_close(void *ctx, curl_socket_t fd);

/* ---- headers ---- */

extern const http_rates http_no_rates;
/* One header line. */
void http_rates_take(http_rates *r, const curl_library *curl, const char *line, size_t n);

#endif
