/*
 * http_call.c - one request: started, watched, ended.
 *
 * It starts in a list, and goes to libcurl within http_turn: libcurl's functions must not be called
 * from its callbacks, which is where many requests start.  Likewise a call that is cancelled there
 * is only marked if libcurl has it.  Its end gives it back to its route, where it waits for the
 * next request.
 *
 * One timer a call watches it, set to the earliest of its limits; a piece that arrives only notes
 * the time, and the timer, when it runs, looks whether it came too early.  So connecting is limited
 * too: of two timers of its own within a millisecond libcurl 7.88 may forget one.
 *
 * "First byte" is of the body: servers send their headers before they begin to compute.
 */
#include "base/mem.h"
#include "reason/http_inner.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const long NO_LIMIT_MS = 1000000000;
static const double NEVER = 1e300;

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

/* ---- its end ---- */

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

/* By a kept connection that was closed before a byte came back, libcurl asks once more over a new
 * one, and says then of this one that it was refused. */
static bool was_sent(const http_call *c)
{
    long bytes = 0;

    c->loop->curl.curl_easy_getinfo(c->easy, CURLINFO_REQUEST_SIZE, &bytes);
    return bytes > 0;
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
        return was_sent(c) ? HTTP_RESET : HTTP_NO_CONNECTION;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
        return HTTP_RESET;
    default:
        return c->came.failed ? HTTP_RESET : HTTP_BROKEN;
    }
}

void call_ended(http_call *c, CURLcode code)
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

/* ---- watchdogs ---- */

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

/* ---- what libcurl calls ---- */

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

/* ---- from a route's idle calls to libcurl ---- */

static bool is_loopback(const char *url)
{
    static const char *const hosts[] = {"localhost", "127.", "[::1]"};
    const char *host = strstr(url, "://");

    for (size_t i = 0; host && i < sizeof hosts / sizeof *hosts; i++)
        if (!strncasecmp(host + 3, hosts[i], strlen(hosts[i]))) return true;
    return false;
}

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
    SET(OPENSOCKETFUNCTION, loop_on_open);
    SET(OPENSOCKETDATA, l);
    SET(CLOSESOCKETFUNCTION, loop_on_close);
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
    if (c->is_added && c->loop->in_curl)
        c->loop->has_doomed = true;
    else
        recycle(c);
}

mill_err calls_hand_over(http_loop *l)
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

void calls_drop_cancelled(http_loop *l)
{
    l->has_doomed = false;
    for (http_call *c = l->under_way, *next; c; c = next) {
        next = c->next;
        if (c->is_cancelled) recycle(c);
    }
}

void calls_free(http_loop *l)
{
    http_call *c;

    while ((c = l->starting) || (c = l->under_way)) recycle(c);
    for (route *r = l->routes; r; r = r->next) {
        while ((c = r->idle)) {
            list_remove(c);
            call_free(c);
        }
    }
}
