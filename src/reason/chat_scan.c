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
#include "reason/utf8.h"

#include <string.h>

enum { MOST_LEVELS = 32, MOST_DIGITS = 18 };

typedef struct {
    const char *p;
    size_t n;
    bool is_plain; /* no escapes in it */
} span;

typedef struct {
    const char *end;
    unsigned seen; /* members that were looked for */
    bool has_choice;
    span content, reasoning, finish; /* p == NULL: absent or null */
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
typedef const char *(*member_fn)(scan *s, const char *p, span key);

static const char *space(const scan *s, const char *p)
{
    while (p < s->end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r')) p++;
    return p;
}

static int hex4(const char *p)
{
    int x = 0;

    for (int i = 0; i < 4; i++) {
        const char c = p[i], low = (char)(c | 32);
        if (c >= '0' && c <= '9')
            x = 16 * x + c - '0';
        else if (low >= 'a' && low <= 'f')
            x = 16 * x + low - 'a' + 10;
        else
            return -1;
    }
    return x;
}

/* The escape at p; its code, and how long it is; 0: unsure. */
static size_t escape(uint32_t *code, const char *p, const char *end)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at = end - p >= 2 && p[1] ? strchr(from, p[1]) : NULL;

    if (at) {
        *code = (unsigned char)to[at - from];
        return 2;
    }
    if (end - p < 6 || p[1] != 'u') return 0;
    const int first = hex4(p + 2);
    if (first <= 0 || (first >= 0xdc00 && first < 0xe000)) return 0;
    *code = (uint32_t)first;
    if (first < 0xd800 || first >= 0xdc00) return 6;
    if (end - p < 12 || p[6] != '\\' || p[7] != 'u') return 0;
    const int second = hex4(p + 8);
    if (second < 0xdc00 || second >= 0xe000) return 0;
    *code = 0x10000 + (((uint32_t)first & 0x3ff) << 10) + ((uint32_t)second & 0x3ff);
    return 12;
}

static const char *string(span *out, const scan *s, const char *p)
{
    uint32_t code;

    if (p >= s->end || *p != '"') return NULL;
    *out = (span){p + 1, 0, true};
    for (p++; p < s->end;) {
        p += utf8_plain(p, (size_t)(s->end - p));
        if (p == s->end) return NULL;
        if (*p == '"') {
            out->n = (size_t)(p - out->p);
            return p + 1;
        }
        if (*p == '\\') {
            const size_t k = escape(&code, p, s->end);
            if (!k) return NULL;
            out->is_plain = false;
            p += k;
            continue;
        }
        const int k = (unsigned char)*p < 0x80 ? 0 : utf8_char(p, (size_t)(s->end - p));
        if (!k) return NULL;
        p += k;
    }
    return NULL;
}

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
    span key;

    p = space(s, p + 1);
    if (p < s->end && *p == close) return p + 1;
    for (;;) {
        if (is_object) {
            if (!(p = string(&key, s, p))) return NULL;
            p = space(s, p);
            if (p == s->end || *p != ':') return NULL;
            p = space(s, p + 1);
        }
        if (!(p = skip(s, p, level + 1))) return NULL;
        p = space(s, p);
        if (p == s->end) return NULL;
        if (*p == close) return p + 1;
        if (*p != ',') return NULL;
        p = space(s, p + 1);
    }
}

static const char *skip(const scan *s, const char *p, int level)
{
    int64_t value;
    bool is_int;
    span text;

    if (p == s->end || level > MOST_LEVELS) return NULL;
    switch (*p) {
    case '"':
        return string(&text, s, p);
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
    span key;

    if (p == s->end || *p != '{') return NULL;
    p = space(s, p + 1);
    if (p < s->end && *p == '}') return p + 1;
    for (;;) {
        if (!(p = string(&key, s, p)) || !key.is_plain) return NULL;
        p = space(s, p);
        if (p == s->end || *p != ':') return NULL;
        if (!(p = member(s, space(s, p + 1), key))) return NULL;
        p = space(s, p);
        if (p == s->end) return NULL;
        if (*p == '}') return p + 1;
        if (*p != ',') return NULL;
        p = space(s, p + 1);
    }
}

static bool is(span key, const char *name, size_t n)
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

static const char *text_or_null(span *out, const scan *s, const char *p)
{
    if (p < s->end && *p == '"') return string(out, s, p);
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

static const char *details_member(scan *s, const char *p, span key)
{
    if (!IS(key, "cached_tokens")) return skip(s, p, 0);
    return see(s, SEEN_CACHED) ? count_or_null(&s->cached, s, p) : NULL;
}

static const char *usage_member(scan *s, const char *p, span key)
{
    if (IS(key, "prompt_tokens"))
        return see(s, SEEN_PROMPT) ? count_or_null(&s->prompt, s, p) : NULL;
    if (IS(key, "completion_tokens"))
        return see(s, SEEN_COMPLETION) ? count_or_null(&s->completion, s, p) : NULL;
    if (!IS(key, "prompt_tokens_details")) return skip(s, p, 0);
    if (!see(s, SEEN_DETAILS)) return NULL;
    return p < s->end && *p == 'n' ? null(s, p) : object(s, p, details_member);
}

static const char *message_member(scan *s, const char *p, span key)
{
    if (IS(key, "content")) return see(s, SEEN_CONTENT) ? text_or_null(&s->content, s, p) : NULL;
    if (IS(key, "reasoning_content") || IS(key, "reasoning"))
        return see(s, SEEN_REASONING) ? text_or_null(&s->reasoning, s, p) : NULL;
    return skip(s, p, 0);
}

static const char *choice_member(scan *s, const char *p, span key)
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
    p = space(s, p + 1);
    if (p < s->end && *p == ']') return p + 1;
    if (!(p = object(s, p, choice_member))) return NULL;
    s->has_choice = true;
    p = space(s, p);
    return p < s->end && *p == ']' ? p + 1 : NULL;
}

static const char *root_member(scan *s, const char *p, span key)
{
    span text;

    if (IS(key, "choices")) return see(s, SEEN_CHOICES) ? choices(s, p) : NULL;
    if (IS(key, "created")) return see(s, SEEN_CREATED) ? count_or_null(&s->created, s, p) : NULL;
    if (IS(key, "usage")) {
        if (!see(s, SEEN_USAGE)) return NULL;
        return p < s->end && *p == 'n' ? null(s, p) : object(s, p, usage_member);
    }
    if (IS(key, "error")) return null(s, p);
    if (IS(key, "object")) {
        const char *after = string(&text, s, p);
        return after && !IS(text, "error") ? after : NULL;
    }
    return skip(s, p, 0);
}

/* The bytes that a string stands for. */
static void add_string(mill_text *t, span v)
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
        p = to + escape(&code, to, end);
        text_add_bytes(t, bytes, (size_t)utf8_put(bytes, code));
    }
}

bool said_scan(chat_said *s, const char *json, size_t n)
{
    scan k = {.end = json + n, .prompt = -1, .completion = -1, .cached = -1};
    const char *p = object(&k, space(&k, json), root_member);

    if (!p || space(&k, p) != k.end) return false;
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
