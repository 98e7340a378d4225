/*
 * npy_text.c - NumPy's texts and times as columns, and back.
 *
 *     '<U12'      12 code points of 4 bytes, NUL behind the text     category, or identifier
 *     '|S12'      12 bytes, which have to be UTF-8                   likewise
 *     '<M8[D]'    int64 since 1970 in D, h, m, s, ms, us or ns; NaT  datetime
 *
 * NumPy has no missing text: an empty one is what it writes for it, and is missing here.  Times
 * have whole seconds; a column of days is a column of dates.
 */
#include "base/mem.h"
#include "table/csv_reader.h"
#include "table/datetime.h"
#include "table/npy.h"
#include "table/retype.h"

#include <stdio.h>
#include <string.h>

/* Units of datetime64 that are read: so many to the second, or seconds in one. */
static const struct {
    const char *name;
    int64_t per_second, seconds;
} units[] = {{"D", 1, 86400}, {"h", 1, 3600},     {"m", 1, 60},         {"s", 1, 1},
             {"ms", 1000, 1}, {"us", 1000000, 1}, {"ns", 1000000000, 1}};
enum { N_UNITS = sizeof units / sizeof *units };

bool npy_time_unit(int *unit, const char *s, size_t n)
{
    for (int k = 0; k < N_UNITS; k++)
        if (strlen(units[k].name) == n && !memcmp(units[k].name, s, n)) {
            *unit = k;
            return true;
        }
    return false;
}

/* ---- texts ---- */

static uint32_t code_point(const npy_array *a, const char *at)
{
    unsigned char b[4];
    for (int k = 0; k < 4; k++) b[k] = (unsigned char)at[a->swap ? 3 - k : k];
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* Bytes written to `to`; 0 for what is no character. */
static size_t put_utf8(char *to, uint32_t c)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return c != 0;
    }
    if (c < 0x800) {
        to[0] = (char)(0xc0 | c >> 6);
        to[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (char)(0xe0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 63));
        to[2] = (char)(0x80 | (c & 63));
        return c >= 0xd800 && c < 0xe000 ? 0 : 3;
    }
    to[0] = (char)(0xf0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 63));
    to[2] = (char)(0x80 | (c >> 6 & 63));
    to[3] = (char)(0x80 | (c & 63));
    return c < 0x110000 ? 4 : 0;
}

/* Element at `at` as UTF-8; false if it is none, or has a NUL inside. */
static bool element_text(size_t *n, char *to, const npy_array *a, const char *at)
{
    const int step = a->kind == 'U' ? 4 : 1;
    int len = a->size / step;

    *n = 0;
    if (a->kind == 'S') {
        while (len && !at[len - 1]) len--;
        memcpy(to, at, (size_t)len);
        *n = (size_t)len;
        return !memchr(to, 0, *n) && csv_utf8_ok(to, *n);
    }
    while (len && !code_point(a, at + (ptrdiff_t)4 * (len - 1))) len--;
    for (int i = 0; i < len; i++) {
        const size_t put = put_utf8(to + *n, code_point(a, at + (ptrdiff_t)4 * i));
        if (!put) return false;
        *n += put;
    }
    return true;
}

static mill_err read_texts(mill_column *c, dict *d, char *buf, const npy_array *a, const char *at,
                           size_t stride)
{
    for (int64_t i = 0; i < a->rows; i++) {
        size_t n;
        if (!element_text(&n, buf, a, at + (size_t)i * stride))
            return mill_fail(MILL_EINPUT,
                             "column \"%s\", element %lld: a text with a NUL inside, or "
                             "not Unicode",
                             c->name, (long long)i);
        if (!n) {
            TRY(column_set_missing(c, i));
            continue;
        }
        TRY(dict_merge(d, buf, n, i, 1));
        c->code[i] = dict_code(d, buf, n);
    }
    if (dict_has_keys(d)) c->type = MILL_IDENTIFIER;
    return column_set_values(c, d);
}

mill_err npy_text_column(mill_column *c, const char *name, const npy_array *a, const char *at,
                         size_t stride)
{
    dict d = {0};
    char *buf = mill_alloc((size_t)a->size + 8, 1);

    if (!buf) return MILL_ENOMEM;
    mill_err err = column_init(c, name, MILL_CATEGORY, a->rows);
    if (!err) err = read_texts(c, &d, buf, a, at, stride);
    mill_free(buf);
    dict_free(&d);
    return err;
}

/* Code points of [s, s + n), to `to` if it is not NULL. */
static int64_t code_points(char *to, const char *s, int n)
{
    int64_t count = 0;

    for (int i = 0; i < n; count++) {
        const unsigned char lead = (unsigned char)s[i++];
        uint32_t c = lead < 0x80   ? lead
                     : lead < 0xe0 ? lead & 31
                     : lead < 0xf0 ? lead & 15
                                   : lead & 7;
        while (i < n && ((unsigned char)s[i] & 0xc0) == 0x80)
            c = c << 6 | ((unsigned char)s[i++] & 63);
        for (int k = 0; to && k < 4; k++) to[4 * count + k] = (char)(c >> (8 * k));
    }
    return count;
}

mill_err npy_text_elements(char **out, size_t *n, char descr[NPY_DESCR], const mill_column *c)
{
    int64_t most = 1;
    size_t bytes;
    int len;

    for (int32_t k = 0; k < c->n_values; k++) {
        const char *s = column_value(c, k, &len);
        const int64_t points = code_points(NULL, s, len);
        if (points > most) most = points;
    }
    TRY(mill_size_mul(&bytes, (size_t)c->rows, (size_t)most * 4));
    char *data = mill_alloc(bytes + 1, 1);
    if (!data) return MILL_ENOMEM;
    for (int64_t i = 0; i < c->rows; i++) {
        if (!column_is_valid(c, i)) continue;
        const char *s = column_value(c, c->code[i], &len);
        (void)code_points(data + (size_t)i * (size_t)most * 4, s, len);
    }
    snprintf(descr, NPY_DESCR, "<U%lld", (long long)most);
    *out = data;
    *n = bytes;
    return MILL_OK;
}

/* ---- times ---- */

mill_err npy_time_column(mill_column *c, const char *name, const npy_array *a, const char *at,
                         size_t stride)
{
    const int64_t per = units[a->unit].per_second, seconds = units[a->unit].seconds;
    const int64_t least = -62135596800, most = 253402300799; /* the years 1 to 9999 */

    TRY(column_init(c, name, MILL_DATETIME, a->rows));
    c->format = mill_strdup(a->unit ? "%Y-%m-%dT%H:%M:%S" : "%Y-%m-%d");
    if (!c->format) return MILL_ENOMEM;
    for (int64_t i = 0; i < a->rows; i++) {
        uint64_t bits = 0;
        for (int k = 0; k < 8; k++)
            bits |= (uint64_t)(unsigned char)at[(size_t)i * stride + (size_t)(a->swap ? 7 - k : k)]
                    << (8 * k);
        const int64_t v = (int64_t)bits;
        int64_t s;
        if (v == INT64_MIN) { /* NaT */
            TRY(column_set_missing(c, i));
            continue;
        }
        if (v % per)
            return mill_fail(MILL_EINPUT,
                             "column \"%s\", element %lld: a fraction of a second; only whole ones "
                             "are kept: .astype('datetime64[s]') cuts them",
                             name, (long long)i);
        if (__builtin_mul_overflow(v / per, seconds, &s) || s < least || s > most)
            return mill_fail(MILL_EINPUT, "column \"%s\", element %lld: not in the years 1 to 9999",
                             name, (long long)i);
        c->i64[i] = s;
    }
    return MILL_OK;
}

mill_err npy_time_elements(char **out, size_t *n, char descr[NPY_DESCR], const mill_column *c)
{
    const bool is_date = !strstr(c->format, "%H");
    int64_t *data = mill_alloc((size_t)c->rows + 1, sizeof *data);

    if (!data) return MILL_ENOMEM;
    for (int64_t i = 0; i < c->rows; i++) {
        const int64_t s = c->i64[i];
        data[i] = !column_is_valid(c, i) ? INT64_MIN
                  : is_date              ? (s - ((s % 86400) + 86400) % 86400) / 86400
                                         : s;
    }
    snprintf(descr, NPY_DESCR, "<M8[%s]", is_date ? "D" : "s");
    *out = (char *)data;
    *n = (size_t)c->rows * sizeof *data;
    return MILL_OK;
}
