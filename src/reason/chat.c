/*
 * chat.c - see chat.h: one chat completion from request to reply.
 *
 * A stream's pieces go through the scanner of events as they come; what is no stream, though one
 * was asked for, begins with { and is gathered.  A stream that turns out broken is read to its end:
 * the server stops it, or a watchdog does.
 */
#include "reason/chat.h"

#include "base/mem.h"
#include "reason/chat_inner.h"
#include "reason/sse.h"

#include <stdio.h>
#include <string.h>

struct chat_call {
    http_call *http;
    bool is_stream, has_begun, is_whole; /* is_whole: no stream came, but one JSON text */
    sse events;
    mill_text whole;
    chat_said said;
    void (*end)(void *ctx, const chat_reply *r);
    void *ctx;
};

static void call_free(chat_call *c)
{
    said_free(&c->said);
    sse_free(&c->events);
    text_free(&c->whole);
    mill_free(c);
}

static bool on_event(void *ctx, const char *data, size_t n)
{
    said_take_event(&((chat_call *)ctx)->said, data, n);
    return true;
}

static bool on_piece(void *ctx, const char *p, size_t n)
{
    chat_call *c = ctx;

    if (!c->has_begun && n) {
        c->has_begun = true;
        c->is_whole = *p == '{';
    }
    if (c->is_whole)
        text_add_bytes(&c->whole, p, n);
    else if (!sse_feed(&c->events, p, n, on_event, c))
        c->said.is_broken = true; /* no memory for a line */
    if (c->whole.len + c->events.line.len + c->events.data.len > HTTP_MAX_BODY) {
        text_clear(&c->whole);
        sse_reset(&c->events);
        c->said.is_broken = true;
    }
    return true;
}

static void take_body(chat_call *c, const http_result *h)
{
    const bool is_whole = c->is_stream && c->is_whole;
    const char *text = is_whole ? c->whole.s : h->body;
    const size_t n = is_whole ? c->whole.len : h->n;

    if (h->end != HTTP_DONE || !n) return;
    if (h->status == 200) {
        if (is_whole || !c->is_stream) said_take(&c->said, text, n);
        return;
    }
    said_parse(&c->said, text, n); /* an error, which need not be JSON */
}

static void on_end(void *ctx, const http_result *h)
{
    chat_call *c = ctx;
    chat_said *s = &c->said;
    chat_reply r;

    take_body(c, h);
    if (h->end == HTTP_DONE && !h->n && !c->is_stream) s->is_broken = true;
    chat_reply_make(&r, h, s, c->is_stream);
    void (*end)(void *, const chat_reply *) = c->end;
    c->end = NULL; /* chat_cancel from here on does nothing */
    end(c->ctx, &r);
    call_free(c);
}

/* The server's URL with the path, whether it ends in /v1, in / or in neither. */
static bool make_url(char *out, size_t size, const char *server)
{
    size_t n = strlen(server);

    while (n && server[n - 1] == '/') n--;
    const bool has_v1 = n >= 3 && !memcmp(server + n - 3, "/v1", 3);
    return (size_t)snprintf(out, size, "%.*s%s/chat/completions", (int)n, server,
                            has_v1 ? "" : "/v1") < size;
}

mill_err chat_start(chat_call **out, http_loop *l, const chat_request *r)
{
    char url[2048];

    if (!make_url(url, sizeof url, r->url)) return mill_fail(MILL_EINPUT, "%s is too long", r->url);
    chat_call *c = mill_alloc(1, sizeof *c);
    if (!c) return MILL_ENOMEM;
    c->is_stream = r->stream;
    c->end = r->end;
    c->ctx = r->ctx;
    said_init(&c->said);
    const http_request q = {.url = url,
                            .socket = r->socket,
                            .key = r->key,
                            .body = r->body,
                            .n = r->n,
                            .limits = r->limits,
                            .piece = r->stream ? on_piece : NULL,
                            .end = on_end,
                            .ctx = c};
    const mill_err err = http_start(&c->http, l, &q);
    if (err) {
        call_free(c);
        return err;
    }
    if (out) *out = c;
    return MILL_OK;
}

void chat_cancel(chat_call *c)
{
    if (!c || !c->end) return;
    http_cancel(c->http);
    call_free(c);
}
