/*
 * http_inner.h - what the files of http.h share: libcurl's functions, timers, descriptors.
 *
 *     http.c         the loop, requests and their ends
 *     http_wait.c    timers in a heap; descriptors under epoll
 *     http_rates.c   what headers say of limits
 */
#ifndef MILL_REASON_HTTP_INNER_H
#define MILL_REASON_HTTP_INNER_H

#include "base/library.h"
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
    int at; /* in the heap; -1: not there */
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

/* ---- headers ---- */

extern const http_rates http_no_rates;
/* One header line. */
void http_rates_take(http_rates *r, const curl_library *curl, const char *line, size_t n);

#endif
