/*
 * mock_ask.c - what a chat completion asks for: the members of its body, found without a parser.
 *
 * Bodies come from our own client and from the tests; what is not JSON is not `valid`, and gets a
 * 400 as a server would give.  Nothing here copies: a span is raw text in the body.
 */
#include "mock/mock.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

const char *const ask_stage_names[] = {"generate", "evaluate", "improve", "other"};

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r')) p++;
    return p;
}

/* p: at the opening quote.  Behind the closing one; NULL: there is none. */
static const char *skip_string(const char *p, const char *end)
{
    for (p++;;) {
        const char *q = memchr(p, '"', (size_t)(end - p));
        size_t back = 0;

        if (!q) return NULL;
        while (q[-1 - (ptrdiff_t)back] == '\\') back++;
        if (back % 2 == 0) return q + 1;
        p = q + 1;
    }
}

static const char *skip_value(const char *p, const char *end)
{
    int depth = 0;

    do {
        p = skip_space(p, end);
        if (p == end) return NULL;
        if (*p == '"') {
            if (!(p = skip_string(p, end))) return NULL;
        } else if (*p == '{' || *p == '[') {
            depth++;
            p++;
        } else if (*p == '}' || *p == ']') {
            if (--depth < 0) return NULL;
            p++;
        } else if (*p == ',' || *p == ':') {
            if (!depth) return NULL;
            p++;
        } else {
            while (p < end && !strchr(",:]} \n\t\r", *p)) p++;
        }
    } while (depth);
    return p;
}

bool each_member(span object, void (*fn)(void *ctx, span key, span value), void *ctx)
{
    const char *end = object.p + object.n;
    const char *p = object.n ? skip_space(object.p, end) : end;

    if (p == end || *p != '{') return false;
    p = skip_space(p + 1, end);
    while (p < end && *p == '"') {
        const char *key = p + 1;
        if (!(p = skip_string(p, end))) return false;
        const span k = {key, (size_t)(p - 1 - key)};
        p = skip_space(p, end);
        if (p == end || *p != ':') return false;
        const char *value = skip_space(p + 1, end);
        if (!(p = skip_value(value, end))) return false;
        fn(ctx, k, (span){value, (size_t)(p - value)});
        p = skip_space(p, end);
        if (p < end && *p == ',') p = skip_space(p + 1, end);
    }
    return p < end && *p == '}';
}

static bool is(span s, const char *word)
{
    return s.n == strlen(word) && !memcmp(s.p, word, s.n);
}

typedef struct {
    ask *a;
    span format, options;
    XXH64_hash_t rest;
} reading;

static void take_usage(void *ctx, span key, span value)
{
    if (is(key, "include_usage")) ((ask *)ctx)->usage = is(value, "true");
}

/* response_format: {"json_schema": {"schema": ...}} or {"schema": ...} */
static void take_schema(void *ctx, span key, span value)
{
    if (is(key, "schema"))
        ((ask *)ctx)->schema = value;
    else if (is(key, "json_schema"))
        each_member(value, take_schema, ctx);
}

static void take(void *ctx, span key, span value)
{
    reading *r = ctx;
    ask *a = r->a;

    if (is(key, "messages"))
        a->messages = value;
    else if (is(key, "model"))
        a->model = value;
    else if (is(key, "max_tokens") || is(key, "max_completion_tokens"))
        a->max_tokens = strtoll(value.p, NULL, 10);
    else if (is(key, "stream"))
        a->stream = is(value, "true");
    else if (is(key, "stream_options"))
        r->options = value;
    else if (is(key, "response_format"))
        r->format = value;
    else /* seed, temperature, top_p, extras */
        r->rest = XXH3_64bits_withSeed(value.p, value.n, r->rest);
}

void ask_read(ask *a, const char *body, size_t n)
{
    reading r = {.a = a, .rest = n ? 1 : 0};

    *a = (ask){.max_tokens = INT64_MAX, .stage = ASK_GENERATE};
    a->valid = each_member((span){body, n}, take, &r) && a->messages.n && *a->messages.p == '[';
    if (!a->valid) return;
    each_member(r.options, take_usage, a);
    each_member(r.format, take_schema, a);
    a->prompt_tokens = (int64_t)(a->messages.n / 4 + 1);
    a->hash = XXH3_64bits_withSeed(a->messages.p, a->messages.n, r.rest);
    a->hash = XXH3_64bits_withSeed(a->model.p, a->model.n, a->hash);
    a->hash = XXH3_64bits_withSeed(a->schema.p, a->schema.n, a->hash);
    /* An answer that is filled in, not "put it in \boxed{}". */
    const char *box = a->messages.p, *end = box + a->messages.n;
    while ((box = memmem(box, (size_t)(end - box), "boxed{", 6)) && box[6] == '}') box += 6;
    if (a->schema.n)
        a->stage = ASK_EVALUATE;
    else if (box)
        a->stage = ASK_IMPROVE;
}
