/*
 * text.c - a growing string, and sizes of memory in words.  Numbers: number.c.
 */
#include "base/text.h"

#include "base/mem.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Room for n more bytes and the NUL; false, and remembered, if there is none. */
static bool reserve(mill_text *t, size_t n)
{
    if (t->failed) return false;
    if (n < t->cap - t->len) return true;
    const size_t cap = t->len + n + 1 > 2 * t->cap ? t->len + n + 1 : 2 * t->cap;
    char *more = mill_realloc(t->s, cap < 64 ? 64 : cap, 1);
    if (!more) {
        t->failed = true;
        return false;
    }
    t->s = more;
    t->cap = cap < 64 ? 64 : cap;
    return true;
}

void text_add_bytes(mill_text *t, const void *p, size_t n)
{
    if (!reserve(t, n)) return;
    if (n) memcpy(t->s + t->len, p, n);
    t->len += n;
    t->s[t->len] = '\0';
}

void text_add(mill_text *t, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    const int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0) return;
    if ((size_t)n < sizeof text) {
        text_add_bytes(t, text, (size_t)n);
        return;
    }
    if (!reserve(t, (size_t)n)) return;
    va_start(ap, fmt);
    vsnprintf(t->s + t->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    t->len += (size_t)n;
}

/* Levenshtein's, row by row: row[j] edits make the first j bytes of b of those of a so far. */
int text_edits(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int row[TEXT_MAX_EDITS + 1];
    const int n = a_len < TEXT_MAX_EDITS ? (int)a_len : TEXT_MAX_EDITS;
    const int m = b_len < TEXT_MAX_EDITS ? (int)b_len : TEXT_MAX_EDITS;

    for (int j = 0; j <= m; j++) row[j] = j;
    for (int i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            const int above = row[j];
            const int replaced = diagonal + ((a[i - 1] | 32) != (b[j - 1] | 32));
            const int other = 1 + (above < row[j - 1] ? above : row[j - 1]);
            row[j] = replaced < other ? replaced : other;
            diagonal = above;
        }
    }
    return row[m];
}

int mill_utf8_length(const char *text)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *s = (const unsigned char *)text;
    const int n = *s < 0x80 ? 1 : *s < 0xc2 ? 0 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : *s < 0xf5 ? 4 : 0;
    unsigned code = n == 1 ? *s : n ? *s & (0xffu >> (n + 1)) : 0;

    for (int i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
        code = code << 6 | (s[i] & 0x3fu);
    }
    if (n > 1 && (code < least[n] || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff))
        return 0;
    return n;
}

void text_clear(mill_text *t)
{
    t->len = 0;
    t->failed = false;
    if (t->s) t->s[0] = '\0';
}

void text_free(mill_text *t)
{
    mill_free(t->s);
    *t = (mill_text){NULL, 0, 0, false};
}

mill_err text_check(const mill_text *t)
{
    return t->failed ? mill_fail(MILL_ENOMEM, "out of memory for text of %zu bytes", t->len)
                     : MILL_OK;
}

mill_err mill_parse_size(int64_t *bytes, const char *s)
{
    static const char units[] = "KMGT";
    const size_t digits = strspn(s, "0123456789.");
    const char *u = s + digits;
    double x, scale = 1;

    if (!digits || !mill_parse_f64(&x, s, digits)) goto bad;
    const char *unit = *u ? strchr(units, *u == 'k' ? 'K' : *u) : NULL;
    if (unit) {
        const double base = u[1] == 'i' ? 1024 : 1000;
        for (const char *k = units; k <= unit; k++) scale *= base;
        u += u[1] == 'i' ? 2 : 1;
    }
    if (*u == 'B' || *u == 'b') u++;
    if (*u || x * scale >= 0x1p63) goto bad;
    *bytes = (int64_t)(x * scale);
    return MILL_OK;
bad:
    return mill_fail(MILL_EINPUT, "\"%s\" is not a size (like 4096, 1.5G, 512MiB)", s);
}

const char *mill_format_size(char buf[32], double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    int u = 0;

    while (fabs(bytes) >= 1023.95 && u < 5) { /* what would print as 1024.0 is 1.0 of the next */
        bytes /= 1024;
        u++;
    }
    snprintf(buf, 32, u ? "%.1f %s" : "%.0f %s", bytes, units[u]);
    return buf;
}
