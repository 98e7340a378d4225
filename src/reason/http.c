/*
 * http.c - see http.h: libcurl's multi interface by socket action, over one epoll descriptor.
 *
 * A request costs little where nothing about it has to be set up again, so that is kept:
 *
 *     route     url, socket, key and method: its headers are built once, and its idle calls, each
 *               with an easy handle that is set up but for the body, wait in a list
 *     epoll     libcurl lets go of a connection's descriptor after each response and takes it up
 *               again with the next request; epoll is told neither.  If the server closes a kept
 *               connection in between, its descriptor turns readable while nobody wants it, and
 *               is taken out then.  A closed descriptor is known by libcurl's close callback.
 *     watchdog  one timer a call, set to the earliest of its limits; a piece that arrives only
 *               notes the time, and the timer, when it runs, looks whether it came too early.  So
 *               connecting is limited too: of two timers of its own within a millisecond libcurl
 *               7.88 may forget one
 *
 * A request that starts is put in a list, and goes to libcurl within http_turn: libcurl's functions
 * must not be called from its callbacks, which is where many requests start.  Likewise a call that
 * is cancelled there is only marked.
 *
 * "First byte" is of the body: servers send their headers before they begin to compute.
 */
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "reason/http_inner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, KEPT_CONNECTIONS = 4096 };

static const long NO_LIMIT_MS = 1000000000;
static const double NEVER = 1e300;

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
    int in_flight;
};

static const char *const end_names[HTTP_N_END] = {
    "done", "no connection", "no first byte", "idle", "too long", "reset", "broken"};

const char *http_end_name(http_end e)
{
    return end_names[e];
}

double http_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void list_add(http_call **list, http_call *c)
{
    if ((c->next = *list)) c->next->where = &c->next;
    c->where = list;
    *list = c;
}

static void list_remove(http_call *c)
{
    if ((*c->where = c->next)) c->next->where = c->where;
}

/* ---- what libcurl calls ---- */

static int on_timer(CURLM *multi, long ms, void *ctx)
{
    http_loop *l = ctx;

    (void)multi;
    l->curl_is_due = ms == 0;
    if (ms > 0) /* not a moment too early: it would not be set again */
        timer_set(&l->timers, &l->curl_timer, http_now() + (double)(ms + 1) / 1000);
    else
        timer_unset(&l->timers, &l->curl_timer);
    return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *of_socket)
{
    http_loop *l = ctx;
    uint32_t events = 0;

    (void)easy, (void)of_socket;
    if (fds_room(&l->fds, fd)) return -1;
    fd_slot *s = l->fds.slot + fd;
    s->is_curl = true;
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT) events |= EPOLLIN;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT) events |= EPOLLOUT;
    s->is_wanted = events != 0;
    if (!events && s->has == EPOLLIN) return 0; /* it will be wanted again soon */
    return fds_want(&l->fds, fd, events) ? -1 : 0;
}

static int on_close(void *ctx, curl_socket_t fd)
{
    http_loop *l = ctx;

    if (fd < l->fds.cap) l->fds.slot[fd] = (fd_slot){0};
    return close(fd);
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    http_call *c = ctx;

    (void)size;
    if (n > 12 && !memcmp(p, "HTTP/", 5)) { /* another one after 100 Continue */
        const char *space = memchr(p, ' ', n);
        c->status = space && p + n - space > 3
                        ? 100 * (space[1] - '0') + 10 * (space[2] - '0') + (space[3] - '0')
                        : 0;
        c->rates = http_no_rates;
    } else if (n > 2) {
        http_rates_take(&c->rates, &c->loop->curl, p, n);
    }
    return n;
}

/* When the next limit is reached, and which. */
static double next_limit(const http_call *c, http_end *which)
{
    const http_limits *m = &c->r.limits;
    double due = NEVER;

    *which = HTTP_TOO_LONG;
    if (m->total > 0) due = c->started + m->total;
    if (!c->is_connected && m->connect > 0 && c->started + m->connect < due) {
        due = c->started + m->connect;
        *which = HTTP_NO_CONNECTION;
    }
    if (c->first <= 0 && m->first_byte > 0 && c->started + m->first_byte < due) {
        due = c->started + m->first_byte;
        *which = HTTP_NO_FIRST_BYTE;
    }
    if (c->first > 0 && m->idle > 0 && c->last + m->idle < due) {
        due = c->last + m->idle;
        *which = HTTP_IDLE;
    }
    return due;
}

static void note_first(http_call *c)
{
    http_end which;

    c->first = c->last;
    c->is_connected = true;
    const double due = next_limit(c, &which);
    if (due < NEVER) timer_set(&c->loop->timers, &c->watchdog, due);
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    http_call *c = ctx;

    (void)size;
    c->last = http_now();
    if (c->first <= 0) note_first(c);
    if (c->is_cancelled) return 0;
    if (c->r.piece && c->status == 200) {
        if (!c->r.piece(c->r.ctx, p, n)) c->is_cancelled = true;
        return c->is_cancelled ? 0 : n;
    }
    c->is_too_large = c->came.len + n > HTTP_MAX_BODY;
    if (c->is_too_large) return 0;
    text_add_bytes(&c->came, p, n);
    return c->came.failed ? 0 : n;
}

/* ---- routes and calls ---- */

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

static void route_free(http_loop *l, route *r)
{
    l->curl.curl_slist_free_all(r->headers);
    mill_free(r->url);
    mill_free(r->socket);
    mill_free(r->key);
    mill_free(r);
}

static bool add_header(http_loop *l, route *r, const char *line)
{
    struct curl_slist *more = l->curl.curl_slist_append(r->headers, line);

    if (more) r->headers = more;
    return more != NULL;
}

static mill_err build_headers(http_loop *l, route *r)
{
    mill_text line = {0};
    bool good = true;

    if (r->posts)
        good = add_header(l, r, "Content-Type: application/json") && add_header(l, r, "Expect:");
    if (r->key) {
        text_add(&line, "Authorization: Bearer %s", r->key);
        good = good && !line.failed && add_header(l, r, line.s);
    }
    text_free(&line);
    return good ? MILL_OK : mill_fail(MILL_ENOMEM, "no memory for headers");
}

static mill_err route_find(route **out, http_loop *l, const http_request *q)
{
    const bool posts = q->body != NULL;

    for (route **at = &l->routes; *at; at = &(*at)->next) {
        route *r = *at;
        if (r->posts != posts || strcmp(r->url, q->url) != 0 || !same(r->socket, q->socket) ||
            !same(r->key, q->key))
            continue;
        *at = r->next; /* what is asked for often stays in front */
        r->next = l->routes;
        l->routes = r;
        *out = r;
        return MILL_OK;
    }
    route *r = mill_alloc(1, sizeof *r);
    if (!r) return MILL_ENOMEM;
    r->posts = posts;
    if (!(r->url = mill_strdup(q->url)) || (q->socket && !(r->socket = mill_strdup(q->socket))) ||
        (q->key && !(r->key = mill_strdup(q->key))) || build_headers(l, r)) {
        route_free(l, r);
        return MILL_ENOMEM;
    }
    r->next = l->routes;
    *out = l->routes = r;
    return MILL_OK;
}

static bool is_loopback(const char *url)
{
    static const char *const hosts[] = {"localhost", "127.", "[::1]"};
    const char *host = strstr(url, "://");

    for (size_t i = 0; host && i < sizeof hosts / sizeof *hosts; i++)
        if (!strncasecmp(host + 3, hosts[i], strlen(hosts[i]))) return true;
    return false;
}

static void on_watchdog(void *ctx);

#define SET(option, value)                                                            \
    do {                                                                              \
        if (!code) code = l->curl.curl_easy_setopt(c->easy, CURLOPT_##option, value); \
    } while (0)

/* Everything about a handle that does not change from one request to the next. */
static mill_err set_up(http_call *c)
{
    http_loop *l = c->loop;
    CURLcode code = CURLE_OK;

    SET(URL, c->route->url);
    SET(HTTPHEADER, c->route->headers);
    if (c->route->posts) SET(POST, 1L);
    if (c->route->socket) SET(UNIX_SOCKET_PATH, c->route->socket);
    if (c->route->socket || is_loopback(c->route->url)) SET(PROXY, "");
    SET(PROTOCOLS_STR, "http,https");
    SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(USERAGENT, "tabmill/" MILL_VERSION);
    SET(NOSIGNAL, 1L);
    SET(CONNECTTIMEOUT_MS, NO_LIMIT_MS); /* the watchdog has it; 0 would be 300 s */
    SET(TCP_NODELAY, 1L);
    SET(TCP_KEEPALIVE, 1L);
    SET(PRIVATE, c);
    SET(ERRORBUFFER, c->error);
    SET(HEADERFUNCTION, on_header);
    SET(HEADERDATA, c);
    SET(WRITEFUNCTION, on_body);
    SET(WRITEDATA, c);
    SET(CLOSESOCKETFUNCTION, on_close);
    SET(CLOSESOCKETDATA, l);
    return !code
               ? MILL_OK
               : mill_fail(MILL_EINPUT, "%s: %s", c->route->url, l->curl.curl_easy_strerror(code));
}

static void call_free(http_call *c)
{
    if (!c) return;
    if (c->easy) c->loop->curl.curl_easy_cleanup(c->easy);
    text_free(&c->sent);
    text_free(&c->came);
    c->loop->timers.owned--;
    mill_free(c);
}

static mill_err call_new(http_call **out, http_loop *l, route *r)
{
    TRY(timers_own(&l->timers));
    http_call *c = mill_alloc(1, sizeof *c);
    if (!c) {
        l->timers.owned--;
        return MILL_ENOMEM;
    }
    c->loop = l;
    c->route = r;
    c->watchdog = (http_timer){.at = -1, .loop = l, .fn = on_watchdog, .ctx = c};
    c->easy = l->curl.curl_easy_init();
    const mill_err err = c->easy ? set_up(c) : mill_fail(MILL_ENOMEM, "no memory for a request");
    if (err) {
        call_free(c);
        return err;
    }
    *out = c;
    return MILL_OK;
}

/* The body and the limits of one request. */
static mill_err fill(http_call *c, const http_request *q)
{
    http_loop *l = c->loop;
    CURLcode code = CURLE_OK;

    text_clear(&c->sent);
    text_clear(&c->came);
    if (q->body) text_add_bytes(&c->sent, q->body, q->n);
    TRY(text_check(&c->sent));
    c->r = *q;
    if (q->body) {
        SET(POSTFIELDS, c->sent.s);
        SET(POSTFIELDSIZE_LARGE, (curl_off_t)q->n);
    }
    c->is_added = c->is_cancelled = c->is_too_large = c->is_connected = false;
    c->first = c->last = 0;
    c->status = 0;
    c->rates = http_no_rates;
    c->error[0] = '\0';
    return !code ? MILL_OK
                 : mill_fail(MILL_EINPUT, "%s: %s", q->url, l->curl.curl_easy_strerror(code));
}

/* Back to the idle calls of its route. */
static void recycle(http_call *c)
{
    http_loop *l = c->loop;

    timer_unset(&l->timers, &c->watchdog);
    if (c->is_added) l->curl.curl_multi_remove_handle(l->multi, c->easy);
    c->is_added = false;
    list_remove(c);
    list_add(&c->route->idle, c);
    l->in_flight--;
    if (c->came.cap > 1 << 20) text_free(&c->came);
    if (c->sent.cap > 1 << 20) text_free(&c->sent);
}

/* ---- watchdogs and ends ---- */

static void finish(http_call *c, http_end end, const char *why)
{
    const double now = http_now();
    http_result r = {.end = end,
                     .status = c->status,
                     .body = c->came.s ? c->came.s : "",
                     .n = c->came.len,
                     .rates = c->rates,
                     .seconds = now - c->started,
                     .first_byte = c->first > 0 ? c->first - c->started : now - c->started};
    void (*fn)(void *, const http_result *) = c->r.end;
    void *ctx = c->r.ctx;
    const bool tells = !c->is_cancelled;

    snprintf(r.why, sizeof r.why, "%s", why);
    if (tells) {
        c->is_cancelled = true; /* http_cancel from here on does nothing */
        c->loop->has_called = true;
        fn(ctx, &r);
    }
    recycle(c); /* not before: the body is the call's, and the next one to start would take it */
}

/* What libcurl knows of it, once the question comes up. */
static bool is_connected(const http_call *c)
{
    curl_off_t us = 0; /* until the first byte could be sent */

    c->loop->curl.curl_easy_getinfo(c->easy, CURLINFO_PRETRANSFER_TIME_T, &us);
    return us > 0;
}

static void on_watchdog(void *ctx)
{
    http_call *c = ctx;
    http_end which;
    char why[256];
    double due = next_limit(c, &which);

    if (which == HTTP_NO_CONNECTION && is_connected(c)) {
        c->is_connected = true;
        due = next_limit(c, &which);
    }

    if (due > http_now()) {
        if (due < NEVER) timer_set(&c->loop->timers, &c->watchdog, due);
        return;
    }
    const http_limits *m = &c->r.limits;
    if (which == HTTP_TOO_LONG)
        snprintf(why, sizeof why, "not done in %g s", m->total);
    else if (which == HTTP_NO_CONNECTION)
        snprintf(why, sizeof why, "no connection in %g s", m->connect);
    else if (which == HTTP_IDLE)
        snprintf(why, sizeof why, "nothing more came for %g s", m->idle);
    else
        snprintf(why, sizeof why, "nothing came for %g s", m->first_byte);
    finish(c, which, why);
}

static http_end end_of(const http_call *c, CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return HTTP_DONE;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
        return HTTP_NO_CONNECTION;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
        return HTTP_RESET;
    default:
        return c->came.failed ? HTTP_RESET : HTTP_BROKEN;
    }
}

static void on_done(http_call *c, CURLcode code)
{
    const char *why = "";
    long system = 0;

    if (code == CURLE_COULDNT_CONNECT)
        c->loop->curl.curl_easy_getinfo(c->easy, CURLINFO_OS_ERRNO, &system);

    if (c->is_too_large)
        why = "a response larger than 64 MiB";
    else if (c->came.failed)
        why = "no memory for the response";
    else if (system)
        why = strerror((int)system);
    else if (code)
        why = *c->error ? c->error : c->loop->curl.curl_easy_strerror(code);
    finish(c, end_of(c, code), why);
}

/* ---- the loop ---- */

static mill_err act(http_loop *l, curl_socket_t fd, int mask)
{
    int running;

    if (fd == CURL_SOCKET_TIMEOUT) l->curl_is_due = false;
    l->in_curl = true;
    const CURLMcode code = l->curl.curl_multi_socket_action(l->multi, fd, mask, &running);
    l->in_curl = false;
    return !code ? MILL_OK : mill_fail(MILL_EIO, "libcurl: %s", l->curl.curl_multi_strerror(code));
}

/* Hands what has been started to libcurl, the oldest first. */
static mill_err hand_over(http_loop *l)
{
    http_call *oldest = NULL, *c;
    CURLMcode code = CURLM_OK;

    while ((c = l->starting)) {
        list_remove(c);
        list_add(&oldest, c);
    }
    while ((c = oldest)) {
        list_remove(c);
        list_add(&l->under_way, c);
        if (code) continue;
        code = l->curl.curl_multi_add_handle(l->multi, c->easy);
        c->is_added = !code;
    }
    return !code ? MILL_OK : mill_fail(MILL_EIO, "libcurl: %s", l->curl.curl_multi_strerror(code));
}

static void take_doomed(http_loop *l)
{
    l->has_doomed = false;
    for (http_call *c = l->under_way, *next; c; c = next) {
        next = c->next;
        if (c->is_cancelled) recycle(c);
    }
}

static void collect(http_loop *l)
{
    CURLMsg *m;
    int left;

    if (l->has_doomed) take_doomed(l);
    while ((m = l->curl.curl_multi_info_read(l->multi, &left))) {
        http_call *c = NULL;
        const CURLcode code = m->data.result;
        if (m->msg != CURLMSG_DONE) continue;
        l->curl.curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &c);
        on_done(c, code); /* m is gone with its handle */
    }
}

/* Until nothing is left that can be done at once: a response's end starts the next request. */
static mill_err settle_all(http_loop *l)
{
    enum { MOST_ROUNDS = 16 }; /* others want their turn */

    for (int i = 0; i < MOST_ROUNDS && (l->starting || l->curl_is_due); i++) {
        TRY(hand_over(l));
        if (l->curl_is_due) TRY(act(l, CURL_SOCKET_TIMEOUT, 0));
        collect(l);
    }
    return MILL_OK;
}

static void run_timers(http_loop *l)
{
    const double now = l->timers.n ? http_now() : 0;

    while (l->timers.n && l->timers.heap[0]->due <= now) {
        http_timer *t = l->timers.heap[0];
        timer_unset(&l->timers, t);
        if (t == &l->curl_timer || t->fn == on_watchdog) {
            t->fn(t->ctx);
            continue;
        }
        l->has_called = true;
        l->running = t;
        t->fn(t->ctx);
        l->running = NULL;
        l->timers.owned--;
        mill_free(t);
    }
}

static mill_err on_event(http_loop *l, int fd, uint32_t events)
{
    const fd_slot s = l->fds.slot[fd];

    if (s.fn) {
        l->has_called = true;
        s.fn(s.ctx);
        return MILL_OK;
    }
    if (!s.is_curl) return MILL_OK; /* unwatched by what came before it */
    if (!s.is_wanted) return fds_want(&l->fds, fd, 0);
    return act(l, fd,
               (events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                   (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                   (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0));
}

static int wait_ms(const http_loop *l, double seconds)
{
    if (l->has_called || l->starting || l->curl_is_due) return 0;
    if (l->timers.n) {
        const double left = l->timers.heap[0]->due - http_now();
        if (seconds < 0 || left < seconds) seconds = left < 0 ? 0 : left;
    }
    if (seconds < 0) return -1;
    return seconds > 1e6 ? 1000000000 : (int)(1000 * seconds + 0.999);
}

mill_err http_turn(http_loop *l, double seconds)
{
    struct epoll_event events[EVENTS];

    l->has_called = false;
    TRY(settle_all(l));
    const int n = epoll_wait(l->fds.epoll, events, EVENTS, wait_ms(l, seconds));
    if (n < 0 && errno != EINTR) return mill_fail(MILL_EIO, "epoll_wait: %s", strerror(errno));
    for (int i = 0; i < n; i++) TRY(on_event(l, events[i].data.fd, events[i].events));
    collect(l);
    run_timers(l);
    return settle_all(l);
}

/* ---- the interface ---- */

mill_err http_start(http_call **out, http_loop *l, const http_request *q)
{
    route *r;
    http_call *c;
    http_end which;

    TRY(route_find(&r, l, q));
    if ((c = r->idle)) {
        list_remove(c);
    } else {
        TRY(call_new(&c, l, r));
    }
    const mill_err err = fill(c, q);
    if (err) {
        list_add(&r->idle, c);
        return err;
    }
    c->started = http_now();
    list_add(&l->starting, c);
    l->in_flight++;
    const double due = next_limit(c, &which);
    if (due < NEVER) timer_set(&l->timers, &c->watchdog, due);
    if (out) *out = c;
    return MILL_OK;
}

void http_cancel(http_call *c)
{
    if (!c || c->is_cancelled) return;
    c->is_cancelled = true;
    if (c->loop->in_curl)
        c->loop->has_doomed = true;
    else
        recycle(c);
}

int http_in_flight(const http_loop *l)
{
    return l->in_flight;
}

mill_err http_watch(http_loop *l, int fd, void (*fn)(void *ctx), void *ctx)
{
    TRY(fds_room(&l->fds, fd));
    TRY(fds_want(&l->fds, fd, EPOLLIN));
    l->fds.slot[fd].fn = fn;
    l->fds.slot[fd].ctx = ctx;
    return MILL_OK;
}

void http_unwatch(http_loop *l, int fd)
{
    if (fd < 0 || fd >= l->fds.cap || !l->fds.slot[fd].fn) return;
    (void)fds_want(&l->fds, fd, 0);
    l->fds.slot[fd] = (fd_slot){0};
}

mill_err http_after(http_timer **out, http_loop *l, double seconds, void (*fn)(void *ctx),
                    void *ctx)
{
    TRY(timers_own(&l->timers));
    http_timer *t = mill_alloc(1, sizeof *t);
    if (!t) {
        l->timers.owned--;
        return MILL_ENOMEM;
    }
    *t = (http_timer){.at = -1, .loop = l, .fn = fn, .ctx = ctx};
    timer_set(&l->timers, t, http_now() + seconds);
    if (out) *out = t;
    return MILL_OK;
}

void http_forget(http_timer *t)
{
    if (!t || t == t->loop->running) return;
    timer_unset(&t->loop->timers, t);
    t->loop->timers.owned--;
    mill_free(t);
}

static void on_curl_timer(void *ctx)
{
    ((http_loop *)ctx)->curl_is_due = true;
}

static mill_err open_multi(http_loop *l)
{
    static const char *const names[] = {CURL_FUNCTIONS(LIBRARY_NAME)};

    TRY(library_open(&l->curl, names, LIBRARY_COUNT(names), "libcurl.so.4", "libcurl4"));
    if (l->curl.curl_global_init(CURL_GLOBAL_DEFAULT) || !(l->multi = l->curl.curl_multi_init()))
        return mill_fail(MILL_ENOMEM, "libcurl cannot start");
    l->curl.curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    l->curl.curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
    l->curl.curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    l->curl.curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
    l->curl.curl_multi_setopt(l->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
    l->curl.curl_multi_setopt(l->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    return MILL_OK;
}

mill_err http_open(http_loop **out)
{
    http_loop *l = mill_alloc(1, sizeof *l);

    if (!l) return MILL_ENOMEM;
    l->curl_timer = (http_timer){.at = -1, .loop = l, .fn = on_curl_timer, .ctx = l};
    mill_err err = timers_own(&l->timers);
    l->fds.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!err && l->fds.epoll < 0) err = mill_fail(MILL_EIO, "epoll_create1: %s", strerror(errno));
    if (!err) err = open_multi(l);
    if (err) {
        http_close(l);
        return err;
    }
    *out = l;
    return MILL_OK;
}

void http_close(http_loop *l)
{
    http_call *c;
    route *r;

    if (!l) return;
    while ((c = l->starting) || (c = l->under_way)) recycle(c);
    while ((r = l->routes)) {
        l->routes = r->next;
        while ((c = r->idle)) {
            list_remove(c);
            call_free(c);
        }
        route_free(l, r);
    }
    if (l->multi) l->curl.curl_multi_cleanup(l->multi); /* sets its timer, closes connections */
    timer_unset(&l->timers, &l->curl_timer);
    while (l->timers.n) http_forget(l->timers.heap[0]); /* what is left is of http_after */
    mill_free(l->timers.heap);
    if (l->fds.epoll >= 0) close(l->fds.epoll);
    mill_free(l->fds.slot);
    mill_free(l);
}
