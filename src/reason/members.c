/* members.c - a walk over JSON text that checks it and remembers the outermost members. */
#include "reason/members.h"

#include "reason/json_lex.h"

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

/* Each of these returns where what it read ends, or NULL: unsure. */
static const char *value(scan *s, const char *p);

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
    p = lex_space(p, s->end);
    if (p >= s->end || (*p != ',' && *p != close)) return NULL;
    *more = *p == ',';
    return p + 1;
}

static const char *array(scan *s, const char *p)
{
    bool more = true;

    p = lex_space(p + 1, s->end);
    if (p < s->end && *p == ']') return p + 1;
    while (p && more) {
        p = value(s, lex_space(p, s->end));
        if (p) p = next(s, p, ']', &more);
    }
    return p;
}

static bool has_key(const lex_span *key, int n, lex_span k)
{
    for (int i = 0; i < n; i++)
        if (key[i].n == k.n && !memcmp(key[i].p, k.p, k.n)) return true;
    return false;
}

static const char *member_key(lex_span *key, const scan *s, const char *p)
{
    p = lex_string(key, lex_space(p, s->end), s->end);
    if (!p || (!key->is_plain && !s->is_checked)) return NULL;
    p = lex_space(p, s->end);
    return p < s->end && *p == ':' ? lex_space(p + 1, s->end) : NULL;
}

/* An object inside of another value. */
static const char *object(scan *s, const char *p)
{
    lex_span key[MOST_KEYS];
    bool more = true;
    int n = 0;

    p = lex_space(p + 1, s->end);
    if (p < s->end && *p == '}') return p + 1;
    while (more) {
        lex_span k;
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
    lex_span inside;

    if (p >= s->end) return NULL;
    switch (*p) {
    case '"':
        return lex_string(&inside, p, s->end);
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
    lex_span key;

    if (out->n == MEMBERS_MOST || !(p = member_key(&key, s, p))) return NULL;
    member *m = &out->at[out->n];
    *m = (member){.key = key.p, .n_key = key.n, .value = p};
    for (int i = 0; i < out->n; i++)
        if (out->at[i].n_key == key.n && !memcmp(out->at[i].key, key.p, key.n)) return NULL;
    if (!(p = value(s, p))) return NULL;
    m->n_value = (size_t)(p - m->value);
    m->is_plain = is_plain_string(m->value, m->n_value);
    out->n++;
    return next(s, p, '}', more);
}

bool members_scan(members *out, const char *json, size_t n, bool is_checked)
{
    scan s = {.end = json + n, .is_checked = is_checked};
    const char *p = lex_space(json, s.end);
    bool more = true;

    out->n = 0;
    if (p >= s.end || *p != '{') return false;
    p = lex_space(p + 1, s.end);
    if (p < s.end && *p == '}') {
        p++;
        more = false;
    }
    while (p && more) p = outer_member(out, &s, p, &more);
    return p && lex_space(p, s.end) == s.end;
}

const member *members_find(const members *m, const char *key)
{
    const size_t n = strlen(key);

    for (int i = 0; i < m->n; i++)
        if (m->at[i].n_key == n && !memcmp(m->at[i].key, key, n)) return &m->at[i];
    return NULL;
}
