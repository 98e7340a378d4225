/*
 * ids.c - identifiers are never learnt: new ones are made in the shape of those that were.
 *
 *     17, 4, 203            numbers: they go on behind the largest, 204, 205, ...
 *     C0007, C0012          one prefix and digits: C0013, ...; padded with zeros where all had one
 *                           length
 *     a3f9.., 77c2..        anything else: id_1, id_2, ... behind the largest id_N that there was
 *
 * So no identifier of the training table is ever made again, and row i of a sample always has the
 * same one.
 */
#include "synth/schema.h"

#include "base/mem.h"
#include "base/text.h"

#include <string.h>

enum { MAX_DIGITS = 17 }; /* 10^17 and as many rows again fit int64 */

/* The number behind a prefix: digits only; -1 if it is not one. */
static int64_t digits_value(const char *s, int n)
{
    int64_t x = 0;
    if (n < 1 || n > MAX_DIGITS) return -1;
    for (int i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9') return -1;
        x = 10 * x + (s[i] - '0');
    }
    return x;
}

static const char *id_value(const mill_column *c, int32_t v, int *len)
{
    *len = c->offset[v + 1] - c->offset[v];
    return c->text + c->offset[v];
}

/* All values are integers, none written with leading zeros: the largest, by *most. */
static bool all_integers(int64_t *most, const mill_column *c)
{
    *most = INT64_MIN;
    for (int32_t v = 0; v < c->n_values; v++) {
        int len;
        const char *s = id_value(c, v, &len);
        const int sign = len > 1 && s[0] == '-';
        const int64_t x = digits_value(s + sign, len - sign);
        if (x < 0 || (s[sign] == '0' && len - sign > 1)) return false;
        *most = (sign ? -x : x) > *most ? (sign ? -x : x) : *most;
    }
    return c->n_values > 0;
}

/* Bytes that all values begin with, no digit at the end. */
static int common_prefix(const mill_column *c)
{
    int n;
    const char *first = id_value(c, 0, &n);
    for (int32_t v = 1; v < c->n_values && n; v++) {
        int len, k = 0;
        const char *s = id_value(c, v, &len);
        while (k < n && k < len && s[k] == first[k]) k++;
        n = k;
    }
    while (n && first[n - 1] >= '0' && first[n - 1] <= '9') n--;
    return n;
}

/* Every value is the first n bytes and digits: the largest number and their common length (0:
 * several). */
static bool all_numbered(int64_t *most, int *digits, const mill_column *c, int n)
{
    *most = 0;
    for (int32_t v = 0; v < c->n_values; v++) {
        int len;
        const char *s = id_value(c, v, &len);
        const int64_t x = digits_value(s + n, len - n);
        if (x < 0) return false;
        *most = x > *most ? x : *most;
        *digits = v == 0 || *digits == len - n ? len - n : 0;
    }
    return true;
}

mill_err synth_fit_ids(synth_column *s, const mill_column *c)
{
    static const char fallback[] = "id_";
    const int n_fallback = sizeof fallback - 1;
    int64_t most;
    int digits = 0;

    s->n_missing = 0; /* every new row gets one */
    s->id_bytes = c->n_values ? (double)c->offset[c->n_values] / c->n_values : 0;
    if (all_integers(&most, c)) {
        s->id_first = most + 1;
        return (s->id_prefix = mill_strdup("")) ? MILL_OK : MILL_ENOMEM;
    }
    const int n = c->n_values ? common_prefix(c) : 0;
    if (c->n_values && all_numbered(&most, &digits, c, n)) {
        int len;
        s->id_digits = digits;
        s->id_first = most + 1;
        s->id_prefix = mill_strndup(id_value(c, 0, &len), (size_t)n);
        return s->id_prefix ? MILL_OK : MILL_ENOMEM;
    }
    s->id_first = 1;
    for (int32_t v = 0; v < c->n_values; v++) {
        int len;
        const char *text = id_value(c, v, &len);
        if (len <= n_fallback || memcmp(text, fallback, sizeof fallback - 1) != 0) continue;
        const int64_t x = digits_value(text + n_fallback, len - n_fallback);
        s->id_first = x >= s->id_first ? x + 1 : s->id_first;
    }
    return (s->id_prefix = mill_strdup(fallback)) ? MILL_OK : MILL_ENOMEM;
}

static mill_err put_ids(mill_column *c, const synth_column *s, int64_t first)
{
    int32_t *offset = mill_alloc((size_t)c->rows + 1, sizeof *offset);
    mill_text text = {0};
    mill_err err = MILL_OK;

    if (!offset) return MILL_ENOMEM;
    for (int64_t i = 0; i < c->rows && err == MILL_OK; i++) {
        text_add(&text, "%s%0*lld", s->id_prefix, s->id_digits, (long long)s->id_first + first + i);
        if (text.len > INT32_MAX) {
            err = mill_fail(MILL_EINPUT, "column \"%s\": more than 2 GiB of identifiers at once",
                            s->name);
            break;
        }
        offset[i + 1] = (int32_t)text.len;
        c->code[i] = (int32_t)i;
    }
    if (err == MILL_OK) err = text_check(&text);
    if (err == MILL_OK) {
        err = column_set_dictionary(c, (int32_t)c->rows, offset, text.s ? text.s : "");
    }
    text_free(&text);
    mill_free(offset);
    return err;
}

mill_err synth_put_ids(mill_table *t, const synth_schema *s, int64_t first)
{
    if (t->rows > INT32_MAX) return mill_fail(MILL_EINPUT, "more than 2^31 rows in one batch");
    for (int j = 0; j < s->n; j++) {
        if (s->col[j].type == MILL_IDENTIFIER) TRY(put_ids(&t->col[j], &s->col[j], first));
    }
    return MILL_OK;
}
