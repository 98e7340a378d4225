/*
 * watch.c - the server of watch.h, by libmicrohttpd: one thread, at most MOST connections.
 */
#include "reason/watch.h"

#include "base/json.h"
#include "base/library.h"
#include "base/mem.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MHD_FUNCTIONS(FN)               \
    FN(MHD_start_daemon)                \
    FN(MHD_stop_daemon)                 \
    FN(MHD_get_daemon_info)             \
    FN(MHD_lookup_connection_value)     \
    FN(MHD_create_response_from_buffer) \
    FN(MHD_add_response_header)         \
    FN(MHD_queue_response)              \
    FN(MHD_destroy_response)
static struct {
    MHD_FUNCTIONS(LIBRARY_POINTER)
} lib;

enum { MOST = 32, IDLE_SECONDS = 20, LATEST = 20 };

struct watch {
    struct MHD_Daemon *daemon;
    const status_part *part;
    int n;
    _Atomic int port; /* of 0 it is known when the thread has started */
    int64_t chains;
    char *page;
};

static mill_err open_library(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static const char *const names[] = {MHD_FUNCTIONS(LIBRARY_NAME)};
    static bool is_open;
    mill_err err = MILL_OK;

    pthread_mutex_lock(&lock);
    if (!is_open)
        err = library_open(&lib, names, LIBRARY_COUNT(names), "libmicrohttpd.so.12",
                           "libmicrohttpd12");
    is_open = !err;
    pthread_mutex_unlock(&lock);
    return err;
}

/* ---- who may ask ---- */

static bool is_ours(const char *host, int port)
{
    static const char *const names[] = {"127.0.0.1", "localhost"};
    char want[40];

    for (int i = 0; i < 2; i++) {
        snprintf(want, sizeof want, "%s:%d", names[i], port);
        if (!strcasecmp(host, want)) return true;
        if (port == 80 && !strcasecmp(host, names[i])) return true;
    }
    return false;
}

static bool may_ask(const watch *w, struct MHD_Connection *c)
{
    const char *host = lib.MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Host");
    const char *origin = lib.MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Origin");

    if (!host || !is_ours(host, w->port)) return false;
    return !origin || (!strncasecmp(origin, "http://", 7) && is_ours(origin + 7, w->port));
}

/* ---- what they get ---- */

static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, const char *type,
                              const char *text)
{
    static const char *const header[][2] = {
        {"Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; "
                                    "connect-src 'self'; img-src data:; "
                                    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Cache-Control", "no-store"},
    };
    struct MHD_Response *r =
        lib.MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_MUST_COPY);

    if (!r) return MHD_NO;
    for (size_t i = 0; i < sizeof header / sizeof *header; i++)
        lib.MHD_add_response_header(r, header[i][0], header[i][1]);
    lib.MHD_add_response_header(r, "Content-Type", type);
    if (status == 405) lib.MHD_add_response_header(r, "Allow", "GET, HEAD");
    const enum MHD_Result result = lib.MHD_queue_response(c, status, r);
    lib.MHD_destroy_response(r);
    return result;
}

static enum MHD_Result answer_json(struct MHD_Connection *c, mill_err err, json_t *o)
{
    char *text = NULL;

    if (!err) err = mill_json_text(&text, o, JSON_COMPACT);
    if (err) {
        o = json_pack("{s:s}", "error", mill_error());
        text = NULL;
        if (o) mill_json_text(&text, o, JSON_COMPACT);
    }
    const enum MHD_Result result =
        answer(c, err ? 503 : 200, "application/json; charset=utf-8", text ? text : "{}");
    mill_free(text);
    json_decref(o);
    return result;
}

/* NOLINTNEXTLINE(readability-function-size): the parameters are libmicrohttpd's */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *body,
                                  size_t *n_body, void **state)
{
    const watch *w = ctx;
    static const char plain[] = "text/plain; charset=utf-8";
    json_t *o = NULL;

    (void)version, (void)body, (void)state;
    if (!may_ask(w, c)) {
        *n_body = 0;
        return answer(c, 403, plain, "this page is for this machine's own browser\n");
    }
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        *n_body = 0;
        return answer(c, 405, plain, "it can only be read\n");
    }
    if (!strcmp(url, "/")) return answer(c, 200, "text/html; charset=utf-8", w->page);
    if (!strcmp(url, "/watch.js"))
        return answer(c, 200, "text/javascript; charset=utf-8", watch_js);
    if (!strcmp(url, "/watch.css")) return answer(c, 200, "text/css; charset=utf-8", watch_css);
    if (!strcmp(url, "/status.json")) {
        const mill_err err = reason_status(&o, w->part, w->n, w->chains);
        return answer_json(c, err, o);
    }
    if (!strcmp(url, "/latest.json")) {
        const mill_err err = reason_latest(&o, w->part, w->n, LATEST);
        return answer_json(c, err, o);
    }
    return answer(c, 404, plain, "there is no such page\n");
}

/* ---- opening ---- */

static mill_err make_page(watch *w, const char *title)
{
    mill_text escaped = {0}, page = {0};

    for (const char *s = title; *s; s++) {
        const char *as = *s == '<' ? "&lt;" : *s == '>' ? "&gt;" : *s == '&' ? "&amp;" : NULL;
        if (*s == '"') as = "&quot;";
        if (as)
            text_add(&escaped, "%s", as);
        else
            text_add_bytes(&escaped, s, 1);
    }
    const char *at = watch_html, *place;
    while ((place = strstr(at, "%s"))) {
        text_add_bytes(&page, at, (size_t)(place - at));
        text_add(&page, "%s", escaped.s ? escaped.s : "");
        at = place + 2;
    }
    text_add(&page, "%s", at);
    const mill_err err = text_check(&escaped) ? MILL_ENOMEM : text_check(&page);
    text_free(&escaped);
    w->page = page.s;
    return err;
}

static mill_err start(watch *w, int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    w->port = port;
    w->daemon = lib.MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD, (uint16_t)port, NULL, NULL, on_request, w,
        MHD_OPTION_SOCK_ADDR, &at, MHD_OPTION_CONNECTION_LIMIT, (unsigned)MOST,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_END);
    if (!w->daemon)
        return mill_fail(MILL_EIO, "port %d of 127.0.0.1 cannot be had: %s", port, strerror(errno));
    const union MHD_DaemonInfo *info =
        lib.MHD_get_daemon_info(w->daemon, MHD_DAEMON_INFO_BIND_PORT);
    if (!port && info) w->port = info->port;
    return MILL_OK;
}

mill_err watch_open(watch **out, const watch_options *o)
{
    TRY(open_library());
    watch *w = mill_alloc(1, sizeof *w);
    if (!w) return MILL_ENOMEM;
    w->part = o->part;
    w->n = o->n;
    w->chains = o->chains;
    mill_err err = make_page(w, o->title);
    if (!err) err = start(w, o->port);
    if (err) {
        watch_close(w);
        return err;
    }
    *out = w;
    return MILL_OK;
}

int watch_port(const watch *w)
{
    return w->port;
}

void watch_close(watch *w)
{
    if (!w) return;
    if (w->daemon) lib.MHD_stop_daemon(w->daemon);
    mill_free(w->page);
    mill_free(w);
}
