/*
 * fuzz_reply.c - any bytes as a server's reply: as one JSON text, and as a stream of events.
 *
 * Where the scanner is sure of a text jansson takes it too and understands the same; a stream says
 * the same in one piece and in pieces of any length; what comes out is UTF-8.
 */
#include "fuzz/fuzz_file.h"

#include "base/mem.h"
#include "reason/chat_inner.h"
#include "reason/sse.h"
#include "reason/utf8.h"

#include <string.h>

static bool same_text(const mill_text *a, const mill_text *b)
{
    return a->len == b->len && (!a->len || !memcmp(a->s, b->s, a->len));
}

static bool same(const chat_said *a, const chat_said *b)
{
    return same_text(&a->content, &b->content) && same_text(&a->reasoning, &b->reasoning) &&
           a->finish == b->finish && a->is_aborted == b->is_aborted &&
           a->has_choice == b->has_choice && a->prompt_tokens == b->prompt_tokens &&
           a->completion_tokens == b->completion_tokens && a->cached_tokens == b->cached_tokens &&
           a->created == b->created && a->is_broken == b->is_broken &&
           a->has_error == b->has_error && a->is_done == b->is_done && a->events == b->events;
}

static void must_be_utf8(const mill_text *t)
{
    for (size_t i = 0; i < t->len;) {
        const int k = utf8_char(t->s + i, t->len - i);
        MUST(k > 0 && t->s[i]);
        i += (size_t)k;
    }
}

static void compare(const char *json, size_t n)
{
    chat_said a = {0}, b = {0};

    said_init(&a);
    said_init(&b);
    const chat_said before = a;
    said_parse(&b, json, n);
    MUST(said_scan(&a, json, n) ? same(&a, &b) : same(&a, &before));
    must_be_utf8(&b.content);
    must_be_utf8(&b.reasoning);
    said_free(&a);
    said_free(&b);
}

static bool on_event(void *ctx, const char *data, size_t n)
{
    compare(data, n);
    said_take_event(ctx, data, n);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    chat_said whole = {0}, pieces = {0};
    chat_reply r = {0};
    mill_mem_stats stats;
    sse s = {0};

    if (!n) return 0;
    const size_t piece = 1 + data[0];
    const char *text = (const char *)data + 1;
    n--;
    compare(text, n);
    said_init(&whole);
    said_init(&pieces);
    MUST(sse_feed(&s, text, n, on_event, &whole));
    sse_reset(&s);
    for (size_t at = 0; at < n; at += piece)
        MUST(sse_feed(&s, text + at, piece < n - at ? piece : n - at, on_event, &pieces));
    MUST(same(&whole, &pieces));
    chat_reply_make(&r, &(http_result){.status = 200, .body = ""}, &whole, true);
    MUST(!*r.why == (r.is == CHAT_OK));
    sse_free(&s);
    said_free(&whole);
    said_free(&pieces);
    mill_mem_get_stats(&stats);
    MUST(stats.live == 0);
    return 0;
}
