/*
 * chat_scan.c - what a JSON text of a server says, where it has the usual shape.
 *
 *     {"created": 1, "choices": [{"delta" | "message": {"content": "...", "reasoning_content" |
 *      "reasoning": "..."}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1,
 *      "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1}}, ...}
 *
 * Members come in any order, others are passed over.  The whole text is checked as JSON (RFC 8259)
 * on the way.  A member that is looked for and is there twice, or has another type than these or
 * null, a key with an escape in it, an error, a number with an exponent or more than 18 digits, a
 * surrogate that stands alone, \u0000, bytes that are no UTF-8, more than 32 levels: unsure.
 *
 * Nothing is stored until the end has been reached: a span points into the text.
 */
#include "reason/chat_inner.h"
#include "reason/json_lex.h"
#include "reason/utf8.h"

#include <string.h>

enum { MOST_LEVELS = 32, MOST_DIGITS = 18 };

typedef struct {
    const char *end;
    unsigned seen; /* members that were looked for */
    bool has_choice;
    lex_span content, reasoning, finish; /* p == NULL: absent or null */
    int64_t prompt, completion, cached, created;
} scan;

enum {
    SEEN_CHOICES = 1,
    SEEN_USAGE = 2,
    SEEN_CREATED = 4,
    SEEN_MESSAGE = 8,
    SEEN_FINISH = 16,
    SEEN_CONTENT = 32,
    SEEN_REASONING = 64,
    SEEN_PROMPT = 128,
    SEEN_COMPLETION = 256,
    SEEN_CACHED = 512,
    SEEN_DETAILS = 1024,
};

/* Each of these returns where what it read ends, or NULL: unsure. */
typedef const char *(*member_fn)(scan *s, const char *p, lex_span key);

/* *is_int: no fraction; *value is then set. */
static const char *number(int64_t *value, bool *is_int, const scan *s, const char *p)
{
    const bool negative = p < s->end && *p == '-';
    int digits = 0;
    int64_t x = 0;

    p += negative;
    const char *first = p;
    for (; p < s->end && *p >= '0' && *p <= '9'; p++, digits++)
        if (digits < MOST_DIGITS) x = 10 * x + *p - '0';
    if (!digits || digits > MOST_DIGITS || (*first == '0' && digits > 1)) return NULL;
    *value = negative ? -x : x;
    *is_int = p == s->end || *p != '.';
    if (!*is_int) {
        const char *point = p++;
        while (p < s->end && *p >= '0' && *p <= '9') p++;
        if (p == point + 1) return NULL;
    }
    return p < s->end && (*p == 'e' || *p == 'E') ? NULL : p;
}

static const char *word(const scan *s, const char *p, const char *w, size_t n)
{
    return (size_t)(s->end - p) >= n && !memcmp(p, w, n) ? p + n : NULL;
}

static const char *null(const scan *s, const char *p)
{
    return word(s, p, "null", 4);
}

static const char *skip(const scan *s, const char *p, int level);

/* What stands between [ ] or { }, passed over. */
static const char *skip_inside(const scan *s, const char *p, int level, bool is_object)
{
    const char close = is_object ? '}' : ']';
    lex_span key;

    p = lex_space(p + 1, s->end);
    if (p < s->end && *p == close) return p + 1;
    for (;;) {
        if (is_object) {
            if (!(p = lex_string(&key, p, s->end))) return NULL;
            p = lex_space(p, s->end);
            if (p == s->end || *p != ':') return NULL;
            p = lex_space(p + 1, s->end);
        }
        if (!(p = skip(s, p, level + 1))) return NULL;
        p = lex_space(p, s->end);
        if (p == s->end) return NULL;
        if (*p == close) return p + 1;
        if (*p != ',') return NULL;
        p = lex_space(p + 1, s->end);
    }
}

static const char *skip(const scan *s, const char *p, int level)
{
    int64_t value;
    bool is_int;
    lex_span text;

    if (p == s->end || level > MOST_LEVELS) return NULL;
    switch (*p) {
    case '"':
        return lex_string(&text, p, s->end);
    case '{':
    case '[':
        return skip_inside(s, p, level, *p == '{');
    case 't':
        return word(s, p, "true", 4);
    case 'f':
        return word(s, p, "false", 5);
    case 'n':
        return null(s, p);
    default:
        return number(&value, &is_int, s, p);
    }
}

static const char *object(scan *s, const char *p, member_fn member)
{
    lex_span key;

    if (p == s->end || *p != '{') return NULL;
    p = lex_space(p + 1, s->end);
    if (p < s->end && *p == '}') return p + 1;
    for (;;) {
        if (!(p = lex_string(&key, p, s->end)) || !key.is_plain) return NULL;
        p = lex_space(p, s->end);
        if (p == s->end || *p != ':') return NULL;
        if (!(p = member(s, lex_space(p + 1, s->end), key))) return NULL;
        p = lex_space(p, s->end);
        if (p == s->end) return NULL;
        if (*p == '}') return p + 1;
        if (*p != ',') return NULL;
        p = lex_space(p + 1, s->end);
    }
}

static bool is(lex_span key, const char *name, size_t n)
{
    return key.n == n && !memcmp(key.p, name, n);
}
#define IS(key, name) is(key, name, sizeof(name) - 1)

/* The first time. */
static bool see(scan *s, unsigned what)
{
    const bool is_new = !(s->seen & what);

    s->seen |= what;
    return is_new;
}

static const char *text_or_null(lex_span *out, const scan *s, const char *p)
{
    if (p < s->end && *p == '"') return lex_string(out, p, s->end);
    return null(s, p);
}

static const char *count_or_null(int64_t *out, const scan *s, const char *p)
{
    bool is_int;
    int64_t value;

    if (p < s->end && *p == 'n') return null(s, p);
    p = number(&value, &is_int, s, p);
    if (!p || !is_int) return NULL;
    *out = value;
    return p;
}

static const char *details_member(scan *s, const char *p, lex_span key)
{
    if (!IS(key, "cached_tokens")) return skip(s, p, 0);
    return see(s, SEEN_CACHED) ? count_or_null(&s->cached, s, p) : NULL;
}

static const char *usage_member(scan *s, const char *p, lex_span key)
{
    if (IS(key, "prompt_tokens"))
        return see(s, SEEN_PROMPT) ? count_or_null(&s->prompt, s, p) : NULL;
    if (IS(key, "completion_tokens"))
        return see(s, SEEN_COMPLETION) ? count_or_null(&s->completion, s, p) : NULL;
    if (!IS(key, "prompt_tokens_details")) return skip(s, p, 0);
    if (!see(s, SEEN_DETAILS)) return NULL;
    return p < s->end && *p == 'n' ? null(s, p) : object(s, p, details_member);
}

static const char *message_member(scan *s, const char *p, lex_span key)
{
    if (IS(key, "content")) return see(s, SEEN_CONTENT) ? text_or_null(&s->content, s, p) : NULL;
    if (IS(key, "reasoning_content") || IS(key, "reasoning"))
        return see(s, SEEN_REASONING) ? text_or_null(&s->reasoning, s, p) : NULL;
    return skip(s, p, 0);
}

static const char *choice_member(scan *s, const char *p, lex_span key)
{
    if (IS(key, "delta") || IS(key, "message"))
        return see(s, SEEN_MESSAGE) ? object(s, p, message_member) : NULL;
    if (IS(key, "finish_reason"))
        return see(s, SEEN_FINISH) ? text_or_null(&s->finish, s, p) : NULL;
    return skip(s, p, 0);
}

/* One choice or none. */
static const char *choices(scan *s, const char *p)
{
    if (p == s->end || *p != '[') return NULL;
    p = lex_space(p + 1, s->end);
    if (p < s->end && *p == ']') return p + 1;
    if (!(p = object(s, p, choice_member))) return NULL;
    s->has_choice = true;
    p = lex_space(p, s->end);
    return p < s->end && *p == ']' ? p + 1 : NULL;
}

static const char *root_member(scan *s, const char *p, lex_span key)
{
    lex_span text;

    if (IS(key, "choices")) return see(s, SEEN_CHOICES) ? choices(s, p) : NULL;
    if (IS(key, "created")) return see(s, SEEN_CREATED) ? count_or_null(&s->created, s, p) : NULL;
    if (IS(key, "usage")) {
        if (!see(s, SEEN_USAGE)) return NULL;
        return p < s->end && *p == 'n' ? null(s, p) : object(s, p, usage_member);
    }
    if (IS(key, "error")) return null(s, p);
    if (IS(key, "object")) {
        const char *after = lex_string(&text, p, s->end);
        return after && !IS(text, "error") ? after : NULL;
    }
    return skip(s, p, 0);
}

/* The bytes that a string stands for. */
static void add_string(mill_text *t, lex_span v)
{
    const char *p = v.p, *end = v.p + v.n;
    uint32_t code;
    char bytes[4];

    if (v.is_plain) {
        text_add_bytes(t, p, v.n);
        return;
    }
    while (p < end) {
        const char *back = memchr(p, '\\', (size_t)(end - p));
        const char *to = back ? back : end;
        text_add_bytes(t, p, (size_t)(to - p));
        if (!back) return;
        p = to + lex_escape(&code, to, end);
        text_add_bytes(t, bytes, (size_t)utf8_put(bytes, code));
    }
}

bool said_scan(chat_said *s, const char *json, size_t n)
{
    scan k = {.end = json + n, .prompt = -1, .completion = -1, .cached = -1};
    const char *p = object(&k, lex_space(json, k.end), root_member);

    if (!p || lex_space(p, k.end) != k.end) return false;
    if (k.finish.p && !k.finish.is_plain) return false;
    if (k.has_choice) s->has_choice = true;
    if (k.content.p) add_string(&s->content, k.content);
    if (k.reasoning.p) add_string(&s->reasoning, k.reasoning);
    if (k.finish.p && k.finish.n) {
        s->finish = said_finish(k.finish.p, k.finish.n);
        s->is_aborted = is(k.finish, "abort", 5);
    }
    if (k.prompt >= 0) s->prompt_tokens = k.prompt;
    if (k.completion >= 0) s->completion_tokens = k.completion;
    if (k.cached >= 0) s->cached_tokens = k.cached;
    if (k.created > 0) s->created = k.created;
    return true;
}
