/*
 * mock_wire.c - the bytes of a response, and the places where it stops, waits or breaks.
 *
 * A whole answer has a Content-Length, a stream is chunked, one chunk an event, as vLLM sends them.
 * Faults change the bytes (torn, bad-utf8, ...) or put steps between them (reset-body, drip, ...).
 */
#include "mock/mock.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- bytes ---- */

char *bytes_room(bytes *b, size_t n)
{
    if (b->cap - b->n < n) {
        b->cap = 2 * b->cap > b->n + n ? 2 * b->cap : b->n + n + 256;
        b->s = realloc(b->s, b->cap);
        if (!b->s) mock_die("no memory");
    }
    return b->s + b->n;
}

void bytes_add(bytes *b, const void *p, size_t n)
{
    if (n) memcpy(bytes_room(b, n), p, n);
    b->n += n;
}

void bytes_str(bytes *b, const char *s)
{
    bytes_add(b, s, strlen(s));
}

void bytes_fmt(bytes *b, const char *fmt, ...)
{
    va_list ap;
    int n;

    bytes_room(b, 256);
    for (int again = 0; again < 2; again++) {
        va_start(ap, fmt);
        n = vsnprintf(b->s + b->n, b->cap - b->n, fmt, ap);
        va_end(ap);
        if (n < 0) mock_die("cannot print");
        if ((size_t)n < b->cap - b->n) break;
        bytes_room(b, (size_t)n + 1);
    }
    b->n += (size_t)n;
}

/* ---- steps ---- */

void wire_clear(wire *w)
{
    w->out.n = w->n = 0;
    w->status = 0;
}

void wire_free(wire *w)
{
    free(w->out.s);
    free(w->steps);
    *w = (wire){0};
}

void wire_stop(wire *w, size_t upto, double wait, then_do then)
{
    if (w->n == w->cap) {
        w->cap = w->cap ? 2 * w->cap : 16;
        w->steps = realloc(w->steps, w->cap * sizeof *w->steps);
        if (!w->steps) mock_die("no memory");
    }
    w->steps[w->n++] = (step){upto, wait, then};
}

/* ---- heads ---- */

static const char *status_words(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 404:
        return "Not Found";
    case 429:
        return "Too Many Requests";
    case 500:
        return "Internal Server Error";
    case 503:
        return "Service Unavailable";
    default:
        return "Other";
    }
}

static void put_head(wire *w, int status, const char *type, const char *more, size_t length)
{
    w->status = status;
    bytes_fmt(&w->out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\n%sContent-Length: %zu\r\n\r\n",
              status, status_words(status), type, more, length);
}

void wire_plain(wire *w, int status, const char *type, const char *more, const bytes *body)
{
    put_head(w, status, type, more, body->n);
    bytes_add(&w->out, body->s, body->n);
}

void wire_error(wire *w, int status, const char *message, const fault *f)
{
    bytes body = {0}, more = {0};

    bytes_fmt(&body, "{\"error\":{\"message\":\"%s\",\"type\":\"%s\",\"code\":%d}}", message,
              status == 400 ? "BadRequestError" : "MockError", status);
    if (f && f->retry_after >= 0) bytes_fmt(&more, "Retry-After: %g\r\n", f->retry_after);
    if (f && f->rates) {
        double n[3] = {0};
        sscanf(f->rates, "%lf,%lf,%lf", n, n + 1, n + 2);
        bytes_fmt(&more,
                  "x-ratelimit-remaining-requests: %g\r\nx-ratelimit-remaining-tokens: %g\r\n"
                  "x-ratelimit-reset-requests: %gms\r\nx-ratelimit-reset-tokens: %gs\r\n",
                  n[0], n[1], 1000 * n[2], n[2]);
    }
    bytes_add(&more, "", 1);
    wire_plain(w, status, "application/json", more.s, &body);
    free(body.s);
    free(more.s);
}

/* ---- chats ---- */

typedef struct {
    wire *w;
    const ask *a;
    const reply *r;
    const fault *f;
    const char *model;
    double gap;
} chat;

static bool has(const chat *c, fault_kind k)
{
    return c->f && c->f->kind == k;
}

static const char *finish_of(const chat *c)
{
    return has(c, FAULT_FINISH) ? c->f->word : c->r->finish;
}

static void put_usage(bytes *b, const chat *c)
{
    const long long total = c->a->prompt_tokens + (int64_t)c->r->n;

    bytes_fmt(b,
              "\"usage\":{\"prompt_tokens\":%lld,\"total_tokens\":%lld,\"completion_tokens\":%zu,"
              "\"prompt_tokens_details\":{\"cached_tokens\":%lld}}",
              (long long)c->a->prompt_tokens, total, c->r->n, (long long)(c->a->prompt_tokens / 2));
}

static void put_start(bytes *b, const chat *c, const char *object)
{
    bytes_fmt(b,
              "{\"id\":\"chatcmpl-%016llx\",\"object\":\"%s\",\"created\":%lld,\"model\":\"%s\",",
              (unsigned long long)c->a->hash, object, (long long)c->r->created, c->model);
}

static size_t reasoning_bytes(const reply *r)
{
    return r->n_reasoning ? r->end[r->n_reasoning - 1] : 0;
}

static void put_message(bytes *b, const chat *c)
{
    const size_t split = reasoning_bytes(c->r);

    bytes_str(b, "{\"role\":\"assistant\",");
    if (split) {
        bytes_str(b, "\"reasoning_content\":\"");
        bytes_add(b, c->r->text.s, split);
        bytes_str(b, "\",");
    }
    if (has(c, FAULT_DUPLICATE_KEYS)) bytes_str(b, "\"content\":\"not this\",");
    if (has(c, FAULT_NULL_CONTENT)) {
        bytes_str(b, "\"content\":null}");
        return;
    }
    bytes_str(b, "\"content\":\"");
    if (has(c, FAULT_BAD_UTF8)) bytes_str(b, "\xff\xc3(\xed\xa0\x80 ");
    if (has(c, FAULT_HUGE)) {
        memset(bytes_room(b, (size_t)c->f->arg), 'x', (size_t)c->f->arg);
        b->n += (size_t)c->f->arg;
    }
    if (!has(c, FAULT_EMPTY_CONTENT)) bytes_add(b, c->r->text.s + split, c->r->text.n - split);
    bytes_str(b, "\"}");
}

static void put_whole(bytes *b, const chat *c)
{
    if (has(c, FAULT_ERROR_MID)) {
        bytes_str(b, "{\"error\":{\"message\":\"the engine died\",\"code\":500}}");
        return;
    }
    put_start(b, c, "chat.completion");
    bytes_str(b, "\"choices\":[");
    if (!has(c, FAULT_NO_CHOICES)) {
        bytes_str(b, "{\"index\":0,\"message\":");
        put_message(b, c);
        if (has(c, FAULT_NO_FINISH))
            bytes_str(b, ",\"logprobs\":null,\"finish_reason\":null}");
        else
            bytes_fmt(b, ",\"logprobs\":null,\"finish_reason\":\"%s\"}", finish_of(c));
    }
    bytes_str(b, "],");
    put_usage(b, c);
    bytes_str(b, "}");
    if (has(c, FAULT_TORN)) b->n /= 2;
}

/* One event as one chunk; odd-chunks: cut into pieces of `arg` bytes, each a chunk and a packet. */
static void put_event(const chat *c, const bytes *event)
{
    bytes *out = &c->w->out;
    const fault *f = c->f;
    const bool odd = f && f->kind == FAULT_ODD_CHUNKS;
    size_t piece = odd ? (size_t)(f->arg > 0 ? f->arg : 3) : event->n;

    for (size_t at = 0; at < event->n; at += piece) {
        if (piece > event->n - at) piece = event->n - at;
        bytes_fmt(out, "%zx\r\n", piece);
        bytes_add(out, event->s + at, piece);
        bytes_str(out, "\r\n");
        if (odd) wire_stop(c->w, out->n - 1 - piece / 2, 0, THEN_GO);
    }
    if (c->gap > 0) wire_stop(c->w, out->n, c->gap, THEN_GO);
}

static void put_data(const chat *c, bytes *event, const bytes *json)
{
    const bool pings = has(c, FAULT_PINGS);

    event->n = 0;
    if (pings) bytes_str(event, ": ping\r\n\r\nevent: message\r\n");
    bytes_str(event, pings ? "data:" : "data: ");
    bytes_add(event, json->s, json->n);
    bytes_str(event, pings ? "\r\n\r\n" : "\n\n");
    put_event(c, event);
}

static void put_delta(const chat *c, bytes *json, size_t token)
{
    const reply *r = c->r;
    const size_t from = token ? r->end[token - 1] : 0;

    json->n = 0;
    put_start(json, c, "chat.completion.chunk");
    bytes_fmt(json, "\"choices\":[{\"index\":0,\"delta\":{\"%s\":\"",
              token < r->n_reasoning ? "reasoning_content" : "content");
    if (has(c, FAULT_BAD_UTF8) && !token) bytes_str(json, "\xff\xc3(\xed\xa0\x80 ");
    if (has(c, FAULT_HUGE) && !token) {
        memset(bytes_room(json, (size_t)c->f->arg), 'x', (size_t)c->f->arg);
        json->n += (size_t)c->f->arg;
    }
    bytes_add(json, r->text.s + from, r->end[token] - from);
    bytes_str(json, "\"},\"logprobs\":null,\"finish_reason\":null}]}");
}

static void put_text(bytes *json, const char *text)
{
    json->n = 0;
    bytes_str(json, text);
}

static void put_last_events(const chat *c, bytes *event, bytes *json)
{
    if (!has(c, FAULT_NO_FINISH)) {
        json->n = 0;
        put_start(json, c, "chat.completion.chunk");
        bytes_fmt(json,
                  "\"choices\":[{\"index\":0,\"delta\":{},\"logprobs\":null,"
                  "\"finish_reason\":\"%s\",\"stop_reason\":null}]}",
                  finish_of(c));
        put_data(c, event, json);
    }
    if (c->a->usage) {
        json->n = 0;
        put_start(json, c, "chat.completion.chunk");
        bytes_str(json, "\"choices\":[],");
        put_usage(json, c);
        bytes_str(json, "}");
        put_data(c, event, json);
    }
    put_text(json, "[DONE]");
    put_data(c, event, json);
}

static void put_stream(const chat *c)
{
    const bool silent = has(c, FAULT_NULL_CONTENT) || has(c, FAULT_EMPTY_CONTENT);
    bytes event = {0}, json = {0};

    c->w->status = 200;
    bytes_str(&c->w->out, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n");
    put_start(&json, c, "chat.completion.chunk");
    bytes_fmt(&json,
              "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":%s},"
              "\"logprobs\":null,\"finish_reason\":null}]}",
              has(c, FAULT_NULL_CONTENT) ? "null" : "\"\"");
    if (!has(c, FAULT_NO_CHOICES)) put_data(c, &event, &json);
    for (size_t i = 0; i < c->r->n && !silent && !has(c, FAULT_NO_CHOICES); i++) {
        put_delta(c, &json, i);
        if (has(c, FAULT_TORN) && i == c->r->n / 2) json.n /= 2;
        if (has(c, FAULT_ERROR_MID) && i == c->r->n / 2)
            put_text(&json, "{\"error\":{\"message\":\"the engine died\",\"code\":500}}");
        put_data(c, &event, &json);
    }
    if (!has(c, FAULT_ERROR_MID)) put_last_events(c, &event, &json);
    bytes_str(&c->w->out, "0\r\n\r\n");
    free(event.s);
    free(json.s);
}

static void put_plain(const chat *c)
{
    static bytes body;
    const fault_kind k = c->f ? c->f->kind : FAULT_NONE;

    body.n = 0;
    put_whole(&body, c);
    if (k == FAULT_ODD_CHUNKS) {
        bytes_str(&c->w->out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                              "Transfer-Encoding: chunked\r\n\r\n");
        c->w->status = 200;
        put_event(c, &body);
        bytes_str(&c->w->out, "0\r\n\r\n");
        return;
    }
    put_head(c->w, 200, "application/json", "",
             k == FAULT_LONG_LENGTH    ? body.n + 100
             : k == FAULT_SHORT_LENGTH ? body.n / 2
                                       : body.n);
    bytes_add(&c->w->out, body.s, body.n);
}

/* The faults of the connection rather than of the bytes. */
static void break_wire(wire *w, const fault *f)
{
    const size_t half = w->out.n / 2;

    switch (f->kind) {
    case FAULT_RESET_BEFORE:
        wire_stop(w, 0, 0, THEN_RESET);
        break;
    case FAULT_RESET_BODY:
        wire_stop(w, half, 0.02, THEN_RESET);
        break;
    case FAULT_CLOSE_BODY:
        wire_stop(w, half, 0, THEN_CLOSE);
        break;
    case FAULT_LONG_LENGTH:
    case FAULT_SHORT_LENGTH:
        wire_stop(w, w->out.n, 0, THEN_CLOSE);
        break;
    case FAULT_CRASH:
        wire_stop(w, half, 0, THEN_EXIT);
        break;
    case FAULT_HANG:
        wire_stop(w, 0, 0, THEN_HANG);
        break;
    case FAULT_HANG_BODY:
        wire_stop(w, half, 0, THEN_HANG);
        break;
    case FAULT_DRIP:
        w->n = 0;
        for (size_t i = 1; i <= w->out.n; i++)
            wire_stop(w, i, 1 / (f->arg > 0 ? f->arg : 1), THEN_GO);
        break;
    case FAULT_NOT_HTTP:
        w->n = w->out.n = 0;
        bytes_str(&w->out, "220 mail.example.org ESMTP ready\r\n");
        wire_stop(w, w->out.n, 0.1, THEN_CLOSE);
        break;
    default:
        break;
    }
}

void wire_chat(wire *w, const ask *a, const reply *r, const fault *f, const reply_options *o,
               double token_gap)
{
    const chat c = {w, a, r, f, o->name, token_gap};

    if (f && f->kind == FAULT_STATUS) {
        wire_error(w, (int)f->arg, "scripted", f);
        return;
    }
    if (a->stream)
        put_stream(&c);
    else
        put_plain(&c);
    if (f) break_wire(w, f);
}
