/*
 * arrow_value.c - see arrow_value.h.
 *
 * A view of a text (16 bytes): int32 length, then the text itself where that is at most 12, else 4
 * bytes of it, the number of a data buffer and the offset in there.
 */
#include "table/arrow_value.h"

#include "base/power10.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { VIEW_BYTES = 16, VIEW_INLINE = 12 };

/* ---- types ---- */

/* Formats of one letter. */
static bool simple(arrow_type *t, char c)
{
    static const struct {
        char c;
        arrow_kind kind;
        int bytes;
    } known[] = {{'n', ARROW_NULL, 0},   {'b', ARROW_BOOLEAN, 0}, {'c', ARROW_INT, 1},
                 {'C', ARROW_UINT, 1},   {'s', ARROW_INT, 2},     {'S', ARROW_UINT, 2},
                 {'i', ARROW_INT, 4},    {'I', ARROW_UINT, 4},    {'l', ARROW_INT, 8},
                 {'L', ARROW_UINT, 8},   {'e', ARROW_FLOAT, 2},   {'f', ARROW_FLOAT, 4},
                 {'g', ARROW_FLOAT, 8},  {'u', ARROW_TEXT, 4},    {'U', ARROW_TEXT, 8},
                 {'z', ARROW_BINARY, 4}, {'Z', ARROW_BINARY, 8}};

    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        if (known[k].c == c) {
            t->kind = known[k].kind;
            t->bytes = known[k].bytes;
            return true;
        }
    return false;
}

static int64_t unit(char c)
{
    return c == 's' ? 1 : c == 'm' ? 1000 : c == 'u' ? 1000000 : c == 'n' ? 1000000000 : 0;
}

static void parse_time(arrow_type *t, const char *f)
{
    if (f[1] == 'd') {
        t->kind = ARROW_DATE;
        t->bytes = f[2] == 'D' ? 4 : 8;
        t->per_second = f[2] == 'D' ? 0 : 1000;
    } else if (f[1] == 't') {
        t->kind = ARROW_TIME;
        t->per_second = unit(f[2]);
        t->bytes = t->per_second <= 1000 ? 4 : 8;
    } else if (f[1] == 's') {
        t->kind = ARROW_TIMESTAMP;
        t->per_second = unit(f[2]);
        t->bytes = 8;
        t->has_zone = f[3] == ':' && f[4];
    }
}

/* d:PRECISION,SCALE[,BITS] */
static void parse_decimal(arrow_type *t, const char *f)
{
    const char *comma = strchr(f, ',');
    char *end;

    if (!comma) return;
    const long scale = strtol(comma + 1, &end, 10);
    const long bits = *end == ',' ? strtol(end + 1, NULL, 10) : 128;
    if (bits < 32 || bits > 256 || bits % 32 || labs(scale) > 200) return;
    t->kind = ARROW_DECIMAL;
    t->scale = (int)scale;
    t->bytes = (int)(bits / 8);
}

static void parse_nested(arrow_type *t, const char *f)
{
    if (f[1] == 'l' || f[1] == 'L') {
        t->kind = ARROW_LIST;
        t->bytes = f[1] == 'l' ? 4 : 8;
    } else if (f[1] == 'w') {
        t->kind = ARROW_LIST;
        t->is_fixed = true;
        t->width = (int)strtol(f + 3, NULL, 10);
    } else if (f[1] == 's') {
        t->kind = ARROW_STRUCT;
    } else if (f[1] == 'm') {
        t->kind = ARROW_MAP;
        t->bytes = 4;
    }
}

arrow_type arrow_type_of(const struct ArrowSchema *s)
{
    arrow_type t = {.kind = ARROW_OTHER};
    const char *f = s->format;

    if (!f[0] || (!f[1] && simple(&t, f[0]))) return t;
    if (f[0] == 'v') {
        if (f[1] == 'u') t.kind = ARROW_TEXT;
        if (f[1] == 'z') t.kind = ARROW_BINARY;
    } else if (f[0] == 'w') {
        t.kind = ARROW_BINARY;
        t.is_fixed = true;
        t.width = (int)strtol(f + 2, NULL, 10);
    } else if (f[0] == 't') {
        parse_time(&t, f);
    } else if (f[0] == 'd') {
        parse_decimal(&t, f);
    } else if (f[0] == '+') {
        parse_nested(&t, f);
    }
    return t;
}

const char *arrow_kind_name(arrow_kind kind)
{
    static const char *const names[] = {[ARROW_NULL] = "nothing but null",
                                        [ARROW_BOOLEAN] = "boolean",
                                        [ARROW_INT] = "integer",
                                        [ARROW_UINT] = "unsigned integer",
                                        [ARROW_FLOAT] = "floating point",
                                        [ARROW_DECIMAL] = "decimal",
                                        [ARROW_TEXT] = "text",
                                        [ARROW_BINARY] = "binary",
                                        [ARROW_DATE] = "date",
                                        [ARROW_TIME] = "time of day",
                                        [ARROW_TIMESTAMP] = "timestamp",
                                        [ARROW_LIST] = "list",
                                        [ARROW_STRUCT] = "struct",
                                        [ARROW_MAP] = "map",
                                        [ARROW_OTHER] = "other"};

    return names[kind];
}

const char *arrow_metadata(size_t *n, const struct ArrowSchema *s, const char *key)
{
    const char *at = s->metadata;
    int32_t pairs;

    if (!at) return NULL;
    memcpy(&pairs, at, sizeof pairs);
    at += sizeof pairs;
    for (int32_t k = 0; k < pairs; k++) {
        int32_t len[2];
        const char *text[2];
        for (int i = 0; i < 2; i++) {
            memcpy(&len[i], at, sizeof len[i]);
            text[i] = at + sizeof len[i];
            at = text[i] + len[i];
        }
        if ((size_t)len[0] != strlen(key) || memcmp(text[0], key, strlen(key)) != 0) continue;
        *n = (size_t)len[1];
        return text[1];
    }
    return NULL;
}

/* ---- numbers ---- */

static double half(uint16_t bits)
{
    const double sign = bits >> 15 ? -1 : 1, m = bits & 1023;
    const int e = bits >> 10 & 31;

    if (e == 31) return m > 0 ? (double)NAN : sign * (double)INFINITY;
    return e ? sign * ldexp(1024 + m, e - 25) : sign * ldexp(m, -24);
}

/*
 * The shortest decimal that is nearest to x among floats.  With k digits behind the point the only
 * candidate is the rounded one, as in base/number.c; where a fixed point does not do, by trial of 6
 * to 9 digits.
 */
static double shortest(float x)
{
    char text[32];
    double y = (double)x;

    if (!(fabsf(x) < 1e9f) || x == 0) {
        if (isnan(x) || isinf(x) || x == 0) return y;
    } else {
        for (int k = 0; k <= 9; k++) {
            const double m = rint((double)x * power10_f64[k]);
            if (fabs(m) >= 1e9) break;
            if ((float)(m / power10_f64[k]) == x && m != 0) return m / power10_f64[k];
        }
    }
    for (int digits = 6; digits <= 9; digits++) {
        const int n = snprintf(text, sizeof text, "%.*e", digits - 1, (double)x);
        for (int i = 0; i < n; i++)
            if (text[i] == ',') text[i] = '.'; /* a locale's point */
        if (mill_parse_f64(&y, text, (size_t)n) && (float)y == x) return y;
    }
    return (double)x;
}

double arrow_f64_short(const arrow_type *t, const struct ArrowArray *a, int64_t i)
{
    if (t->bytes == 4) return shortest(((const float *)a->buffers[1])[a->offset + i]);
    return half(((const uint16_t *)a->buffers[1])[a->offset + i]);
}

/* Little-endian words of 32 bits, divided by 10^9 until nothing is left; the digits go before `to`.
 */
static char *put_digits(char *to, uint32_t *word, int n)
{
    for (;;) {
        uint64_t rest = 0;
        bool is_zero = true;
        for (int k = n - 1; k >= 0; k--) {
            const uint64_t x = rest << 32 | word[k];
            word[k] = (uint32_t)(x / 1000000000);
            rest = x % 1000000000;
            is_zero &= !word[k];
        }
        to -= 9;
        for (int k = 8; k >= 0; k--, rest /= 10) to[k] = (char)('0' + rest % 10);
        if (is_zero) return to;
    }
}

int arrow_decimal(char to[ARROW_DECIMAL_MAX], const arrow_type *t, const struct ArrowArray *a,
                  int64_t i)
{
    const char *at = (const char *)a->buffers[1] + (size_t)(a->offset + i) * (size_t)t->bytes;
    const int words = t->bytes / 4;
    uint32_t word[8];
    char digits[96], *end = digits + sizeof digits;
    int n = 0;

    memcpy(word, at, (size_t)t->bytes);
    const bool is_negative = word[words - 1] >> 31;
    uint64_t carry = 1;
    for (int k = 0; k < words && is_negative; k++) {
        carry += ~word[k];
        word[k] = (uint32_t)carry;
        carry >>= 32;
    }
    const char *s = put_digits(end, word, words);
    while (s < end - 1 && *s == '0') s++;
    const int len = (int)(end - s);
    if (is_negative) to[n++] = '-';
    if (t->scale <= 0) {
        memcpy(to + n, s, (size_t)len);
        n += len;
        for (int k = 0; k < -t->scale && *s != '0'; k++) to[n++] = '0';
        return n;
    }
    const int whole = len > t->scale ? len - t->scale : 0;
    if (whole) memcpy(to + n, s, (size_t)whole);
    n += whole;
    if (!whole) to[n++] = '0';
    to[n++] = '.';
    for (int k = len - whole; k < t->scale; k++) to[n++] = '0';
    memcpy(to + n, s + whole, (size_t)(len - whole));
    return n + len - whole;
}

/* ---- texts and lists ---- */

static int64_t offset_at(const arrow_type *t, const struct ArrowArray *a, int64_t i)
{
    const char *at = (const char *)a->buffers[1] + (size_t)(a->offset + i) * (size_t)t->bytes;
    int64_t far;
    int32_t near;

    if (t->bytes == 8) {
        memcpy(&far, at, sizeof far);
        return far;
    }
    memcpy(&near, at, sizeof near);
    return near;
}

static const char *view(size_t *n, const struct ArrowArray *a, int64_t i)
{
    const char *at = (const char *)a->buffers[1] + (size_t)(a->offset + i) * VIEW_BYTES;
    int32_t len, place[2];

    memcpy(&len, at, sizeof len);
    *n = (size_t)len;
    if (len <= VIEW_INLINE) return at + sizeof len;
    memcpy(place, at + 8, sizeof place);
    return (const char *)a->buffers[2 + place[0]] + place[1];
}

const char *arrow_text(size_t *n, const arrow_type *t, const struct ArrowArray *a, int64_t i)
{
    if (t->is_fixed) {
        *n = (size_t)t->width;
        return (const char *)a->buffers[1] + (size_t)(a->offset + i) * (size_t)t->width;
    }
    if (!t->bytes) return view(n, a, i);
    const int64_t begin = offset_at(t, a, i);
    *n = (size_t)(offset_at(t, a, i + 1) - begin);
    return *n ? (const char *)a->buffers[2] + begin : "";
}

void arrow_span(int64_t *begin, int64_t *end, const arrow_type *t, const struct ArrowArray *a,
                int64_t i)
{
    if (t->is_fixed) {
        *begin = (a->offset + i) * t->width;
        *end = *begin + t->width;
        return;
    }
    *begin = offset_at(t, a, i);
    *end = offset_at(t, a, i + 1);
}
