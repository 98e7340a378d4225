/* members.c - a walk over JSON text that checks it and remembers the outermost members. */
#include "reason/members.h"

#include "reason/utf8.h"

#include <stdint.h>
#include <string.h>

enum {
    MOST_LEVELS = 24,
    MOST_DIGITS = 18,
    MOST_DECIMALS = 36,
    MOST_POWER = 2, /* digits of an exponent: with MOST_DIGITS before it, below what overflows */
    MOST_KEYS = 64
};

typedef struct {
    const char *end;
    bool is_checked;
    int levels;
} scan;

typedef struct {
    const char *s;
    size_t n;
} span;

/* Each of these returns where what it read ends, or NULL: unsure. */
static const char *value(scan *s, const char *p);

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

static const char *escape(const scan *s, const char *p)
{
    if (s->end - p < 2) return NULL;
    if (p[1] != 'u') return p[1] && strchr("\"\\/bfnrt", p[1]) ? p + 2 : NULL;
    const int first = s->end - p >= 6 ? hex4(p + 2) : 0;
    if (first <= 0 || (first >= 0xdc00 && first < 0xe000)) return NULL;
    if (first < 0xd800 || first >= 0xdc00) return p + 6;
    if (s->end - p < 12 || p[6] != '\\' || p[7] != 'u') return NULL;
    const int second = hex4(p + 8);
    return second >= 0xdc00 && second < 0xe000 ? p + 12 : NULL;
}

/* From the opening quote; *inside is without quotes. */
static const char *string(span *inside, bool *is_plain, const scan *s, const char *p)
{
    if (p >= s->end || *p != '"') return NULL;
    const char *const first = ++p;
    *is_plain = true;
    while (p < s->end) {
        p += utf8_plain(p, (size_t)(s->end - p));
        if (p == s->end) return NULL;
        if (*p == '"') {
            *inside = (span){first, (size_t)(p - first)};
            return p + 1;
        }
        if (*p == '\\') {
            *is_plain = false;
            if (!(p = escape(s, p))) return NULL;
            continue;
        }
        const int k = (unsigned char)*p < 0x80 ? 0 : utf8_char(p, (size_t)(s->end - p));
        if (!k) return NULL;
        p += k;
    }
    return NULL;
}

static const char *digits(const scan *s, const char *p)
{
    while (p < s->end && *p >= '0' && *p <= '9') p++;
    return p;
}

static const char *number(const scan *s, const char *p)
{
    p += p < s->end && *p == '-';
    const char *const first = p;
    p = digits(s, p);
    if (p == first || p - first > MOST_DIGITS || (*first == '0' && p - first > 1)) return NULL;
    if (p < s->end && *p == '.') {
        const char *const point = p++;
        p = digits(s, p);
        if (p == point + 1 || p - point > MOST_DECIMALS) return NULL;
    }
    if (p == s->end || (*p | 32) != 'e') return p;
    p++;
    p += p < s->end && (*p == '-' || *p == '+');
    const char *const power = p;
    p = digits(s, p);
    return p == power || p - power > MOST_POWER ? NULL : p;
}

static const char *checked_number(const scan *s, const char *p)
{
    const char *const first = p;

    while (p < s->end && ((*p >= '0' && *p <= '9') || (*p && strchr("+-.eE", *p)))) p++;
    return p > first ? p : NULL;
}

static const char *word(const scan *s, const char *p, const char *is)
{
    const size_t n = strlen(is);

    return (size_t)(s->end - p) >= n && !memcmp(p, is, n) ? p + n : NULL;
}

/* Behind the comma, or behind the bracket that closes; *more: it was a comma. */
static const char *next(const scan *s, const char *p, char close, bool *more)
{
    p = space(s, p);
    if (p >= s->end || (*p != ',' && *p != close)) return NULL;
    *more = *p == ',';
    return p + 1;
}

static const char *array(scan *s, const char *p)
{
    bool more = true;

    p = space(s, p + 1);
    if (p < s->end && *p == ']') return p + 1;
    while (p && more) {
        p = value(s, space(s, p));
        if (p) p = next(s, p, ']', &more);
    }
    return p;
}

static bool has_key(const span *key, int n, span k)
{
    for (int i = 0; i < n; i++)
        if (key[i].n == k.n && !memcmp(key[i].s, k.s, k.n)) return true;
    return false;
}

static const char *member_key(span *key, const scan *s, const char *p)
{
    bool is_plain;

    p = string(key, &is_plain, s, space(s, p));
    if (!p || (!is_plain && !s->is_checked)) return NULL;
    p = space(s, p);
    return p < s->end && *p == ':' ? space(s, p + 1) : NULL;
}

/* An object inside of another value. */
static const char *object(scan *s, const char *p)
{
    span key[MOST_KEYS];
    bool more = true;
    int n = 0;

    p = space(s, p + 1);
    if (p < s->end && *p == '}') return p + 1;
    while (more) {
        span k;
        if (!(p = member_key(&k, s, p))) return NULL;
        if (!s->is_checked && (n == MOST_KEYS || has_key(key, n, k))) return NULL;
        if (n < MOST_KEYS) key[n++] = k;
        if (!(p = value(s, p)) || !(p = next(s, p, '}', &more))) return NULL;
    }
    return p;
}

static const char *nested(scan *s, const char *p)
{
    if (s->levels == MOST_LEVELS) return NULL;
    s->levels++;
    p = *p == '[' ? array(s, p) : object(s, p);
    s->levels--;
    return p;
}

static const char *value(scan *s, const char *p)
{
    bool is_plain;
    span inside;

    if (p >= s->end) return NULL;
    switch (*p) {
    case '"':
        return string(&inside, &is_plain, s, p);
    case '[':
    case '{':
        return nested(s, p);
    case 't':
        return word(s, p, "true");
    case 'f':
        return word(s, p, "false");
    case 'n':
        return word(s, p, "null");
    default:
        return s->is_checked ? checked_number(s, p) : number(s, p);
    }
}

static bool is_plain_string(const char *p, size_t n)
{
    return *p == '"' && !memchr(p, '\\', n);
}

static const char *outer_member(members *out, scan *s, const char *p, bool *more)
{
    span key;

    if (out->n == MEMBERS_MOST || !(p = member_key(&key, s, p))) return NULL;
    member *m = &out->at[out->n];
    *m = (member){.key = key.s, .n_key = key.n, .value = p};
    for (int i = 0; i < out->n; i++)
        if (out->at[i].n_key == key.n && !memcmp(out->at[i].key, key.s, key.n)) return NULL;
    if (!(p = value(s, p))) return NULL;
    m->n_value = (size_t)(p - m->value);
    m->is_plain = is_plain_string(m->value, m->n_value);
    out->n++;
    return next(s, p, '}', more);
}

bool members_scan(members *out, const char *json, size_t n, bool is_checked)
{
    scan s = {.end = json + n, .is_checked = is_checked};
    const char *p = space(&s, json);
    bool more = true;

    out->n = 0;
    if (p >= s.end || *p != '{') return false;
    p = space(&s, p + 1);
    if (p < s.end && *p == '}') {
        p++;
        more = false;
    }
    while (p && more) p = outer_member(out, &s, p, &more);
    return p && space(&s, p) == s.end;
}

const member *members_find(const members *m, const char *key)
{
    const size_t n = strlen(key);

    for (int i = 0; i < m->n; i++)
        if (m->at[i].n_key == n && !memcmp(m->at[i].key, key, n)) return &m->at[i];
    return NULL;
}
