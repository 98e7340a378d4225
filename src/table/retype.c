/*
 * retype.c - see retype.h.
 *
 * Codes are 4 bytes and numbers are 8.  In a spool file a column stays where it is: codes are
 * written over numbers from the first row on, numbers over codes from the last row back, so that
 * nothing is overwritten before it was read.
 */
#include "table/retype.h"

#include "base/mem.h"
#include "base/power10.h"
#include "base/text.h"
#include "table/datetime.h"
#include "table/scan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

int column_truth(int *pair, const char *s, size_t n)
{
    static const char *const words[][2] = {
        {"true", "false"}, {"yes", "no"}, {"t", "f"}, {"y", "n"}};

    while (n && (*s == ' ' || *s == '\t')) s++, n--;
    while (n && (s[n - 1] == ' ' || s[n - 1] == '\t')) n--;
    for (int p = 0; p < 4; p++)
        for (int side = 0; side < 2; side++)
            if (strlen(words[p][side]) == n && !strncasecmp(words[p][side], s, n)) {
                *pair = p;
                return side ? -1 : 1;
            }
    return 0;
}

bool dict_is_boolean(const dict *d)
{
    int pair[2] = {0}, truth[2] = {0};

    if (d->n != 2) return false;
    for (int32_t v = 0; v < 2; v++) {
        size_t n;
        const char *s = dict_text(d, v, &n);
        truth[v] = column_truth(&pair[v], s, n);
    }
    return truth[0] && truth[1] && truth[0] != truth[1] && pair[0] == pair[1];
}

mill_err column_set_values(mill_column *c, const dict *d)
{
    if (d->n && d->offset[d->n] > INT32_MAX)
        return mill_fail(MILL_EINPUT,
                         "column \"%s\": its different values are more than 2 GiB of text",
                         c->name);
    int32_t *offset = mill_alloc((size_t)d->n + 1, sizeof *offset);
    if (!offset) return MILL_ENOMEM;
    for (int32_t v = 0; v < d->n; v++) offset[v + 1] = (int32_t)d->offset[v + 1];
    const mill_err err = column_set_dictionary(c, d->n, offset, d->text ? d->text : "");
    mill_free(offset);
    return err;
}

int column_decimals(int d, double x)
{
    if (!(fabs(x) < 1e15)) return d; /* has none */
    for (; d < NUMBER_MAX_DECIMALS; d++) {
        const double m = rint(x * power10_f64[d]);
        if (fabs(m) < 1e15 && m / power10_f64[d] == x) return d;
    }
    return d;
}

/* ---- to codes ---- */

typedef struct {
    mill_column *c;
    const column_wish *w;
    dict values;
} coder;

static mill_err seed(coder *k)
{
    const mill_column *like = k->w->like;

    for (int32_t v = 0; like && column_has_codes(like) && v < like->n_values; v++) {
        int n;
        const char *s = column_value(like, v, &n);
        TRY(dict_merge(&k->values, s, (size_t)n, (int64_t)v - like->n_values, 0));
    }
    return MILL_OK;
}

static mill_err code_of(int32_t *code, coder *k, const char *s, size_t n, int64_t row)
{
    if ((*code = dict_code(&k->values, s, n)) >= 0) return MILL_OK;
    TRY(dict_merge(&k->values, s, n, row, 1));
    *code = k->values.n - 1;
    return MILL_OK;
}

static mill_err code_number(int32_t *code, coder *k, int64_t i)
{
    const mill_column *c = k->c;
    char buf[DATETIME_TEXT_MAX];
    int n;

    if (c->type == MILL_INTEGER) {
        n = mill_format_i64(buf, c->i64[i]);
    } else if (c->type == MILL_DATETIME) {
        n = datetime_format(buf, c->format, c->i64[i]);
    } else {
        n = mill_format_f64(buf, c->f64[i]);
        if (c->decimals && !memchr(buf, '.', (size_t)n) && !memchr(buf, 'e', (size_t)n) &&
            (!k->w->like || dict_code(&k->values, buf, (size_t)n) < 0)) {
            memcpy(buf + n, ".0", 2);
            n += 2;
        }
    }
    return code_of(code, k, buf, (size_t)n, i);
}

/* The values of `like` by their truth: whatever their spelling, or -1. */
static int32_t code_of_truth(const coder *k, const char *s, size_t n)
{
    const mill_column *like = k->w->like;
    int pair, other;
    const int truth = column_truth(&pair, s, n);

    if (!like || like->type != MILL_BOOLEAN || !truth) return -1;
    for (int32_t v = 0; v < like->n_values; v++) {
        int len;
        const char *t = column_value(like, v, &len);
        if (column_truth(&other, t, (size_t)len) == truth) return v;
    }
    return -1;
}

/* Of every value in the column's dictionary, where a row has it. */
static mill_err map_values(int32_t *map, coder *k)
{
    const mill_column *c = k->c;

    for (int32_t v = 0; v < c->n_values; v++) map[v] = -1;
    for (int64_t i = 0; i < c->rows; i++) {
        if (!column_is_valid(c, i) || map[c->code[i]] >= 0) continue;
        int n;
        const char *s = column_value(c, c->code[i], &n);
        int32_t *code = &map[c->code[i]];
        const bool by_truth = c->type == MILL_BOOLEAN || k->w->type == MILL_BOOLEAN;
        if (by_truth && (*code = code_of_truth(k, s, (size_t)n)) >= 0) continue;
        TRY(code_of(code, k, s, (size_t)n, i));
    }
    return MILL_OK;
}

static mill_err recode(int32_t *to, coder *k)
{
    mill_column *c = k->c;

    if (!column_has_codes(c)) {
        for (int64_t i = 0; i < c->rows; i++) {
            int32_t code = 0;
            if (column_is_valid(c, i)) TRY(code_number(&code, k, i));
            to[i] = code;
        }
        return MILL_OK;
    }
    int32_t *map = mill_alloc((size_t)c->n_values + 1, sizeof *map);
    mill_err err = map ? map_values(map, k) : MILL_ENOMEM;
    for (int64_t i = 0; !err && i < c->rows; i++)
        to[i] = column_is_valid(c, i) ? map[c->code[i]] : 0;
    mill_free(map);
    return err;
}

static mill_err to_codes(mill_column *c, const column_wish *w)
{
    coder k = {.c = c, .w = w};
    int32_t *fresh = c->spool_bytes ? NULL : mill_alloc((size_t)c->rows + 1, sizeof *fresh);
    int32_t *to = c->spool_bytes ? c->code : fresh;
    mill_coltype type = w->type;

    mill_err err = to ? seed(&k) : MILL_ENOMEM;
    if (!err) err = recode(to, &k);
    if (!err && type == MILL_BOOLEAN && !dict_is_boolean(&k.values)) {
        type = MILL_CATEGORY;
        if (!w->like)
            err = mill_fail(MILL_EINPUT,
                            "%s: column \"%s\" is not boolean: it holds other values than one of "
                            "true/false, yes/no, t/f, y/n in one spelling",
                            w->path, c->name);
    }
    if (!err) err = column_set_values(c, &k.values);
    dict_free(&k.values);
    if (err) {
        mill_free(fresh);
        return err;
    }
    if (fresh) {
        mill_free(c->i64);
        c->code = fresh;
    }
    mill_free(c->format);
    c->format = NULL;
    c->type = type;
    c->decimals = 0;
    return MILL_OK;
}

/* ---- to numbers and times ---- */

/* A number or a time: the 8 bytes that stand in the column. */
typedef union {
    int64_t i64;
    double f64;
} cell;

static bool parse_number(cell *x, mill_coltype type, const char *s, size_t n, int *decimals)
{
    number v;

    while (n && (*s == ' ' || *s == '\t')) s++, n--;
    while (n && (s[n - 1] == ' ' || s[n - 1] == '\t')) n--;
    const number_kind kind = number_scan_given(&v, s, n);
    if (kind == NUMBER_NOT || kind == NUMBER_HUGE) return false;
    if (type == MILL_REAL) {
        x->f64 = v.f64;
        if (kind == NUMBER_REAL && v.decimals > *decimals) *decimals = v.decimals;
        return true;
    }
    const bool is_whole = kind == NUMBER_REAL && fabs(v.f64) < 0x1p53 && rint(v.f64) == v.f64;
    x->i64 = kind == NUMBER_INT ? v.i64 : is_whole ? (int64_t)v.f64 : 0;
    return kind == NUMBER_INT || is_whole;
}

static bool parse_text(cell *x, const column_wish *w, const char *s, size_t n, int *form,
                       int *decimals)
{
    int found = 0;

    if (w->type != MILL_DATETIME) return parse_number(x, w->type, s, n, decimals);
    if (w->format && datetime_parse(&x->i64, w->format, s, n)) return true;
    if (!datetime_parse_iso(&x->i64, &found, s, n)) return false;
    if (w->format) return true;
    if (!*form) *form = found;
    return *form == found;
}

static mill_err refuse(const mill_column *c, const column_wish *w, int64_t row, const char *s,
                       int n)
{
    return mill_fail(MILL_EINPUT, "%s: row %lld: column \"%s\": \"%.*s\" is not %s %s", w->path,
                     (long long)row + 1, c->name, n < 60 ? n : 60, s,
                     w->type == MILL_INTEGER ? "an" : "a", mill_coltype_name(w->type));
}

static mill_err parse_values(cell *of_value, const mill_column *c, const column_wish *w, int *form,
                             int *decimals)
{
    uint8_t *seen = mill_alloc((size_t)c->n_values + 1, 1);
    mill_err err = seen ? MILL_OK : MILL_ENOMEM;

    for (int64_t i = 0; !err && i < c->rows; i++) {
        if (!column_is_valid(c, i) || seen[c->code[i]]) continue;
        int n;
        const char *s = column_value(c, c->code[i], &n);
        seen[c->code[i]] = 1;
        if (!parse_text(&of_value[c->code[i]], w, s, (size_t)n, form, decimals))
            err = refuse(c, w, i, s, n);
    }
    mill_free(seen);
    return err;
}

static mill_err copy_format(char **out, const column_wish *w, int form)
{
    char pattern[DATETIME_PATTERN_MAX] = "%Y-%m-%d %H:%M:%S";

    *out = NULL;
    if (w->type != MILL_DATETIME) return MILL_OK;
    if (form > 0) datetime_form_pattern(pattern, form);
    *out = mill_strdup(w->format ? w->format : pattern);
    return *out ? MILL_OK : MILL_ENOMEM;
}

static mill_err from_codes(mill_column *c, const column_wish *w)
{
    cell *of_value = mill_alloc((size_t)c->n_values + 1, sizeof *of_value);
    int64_t *fresh = c->spool_bytes ? NULL : mill_alloc((size_t)c->rows + 1, sizeof *fresh);
    int64_t *to = c->spool_bytes ? c->i64 : fresh;
    int form = 0, decimals = 0;
    char *format = NULL;

    mill_err err = of_value && to ? parse_values(of_value, c, w, &form, &decimals) : MILL_ENOMEM;
    if (!err) err = copy_format(&format, w, form);
    for (int64_t i = c->rows; !err && i-- > 0;)
        to[i] = column_is_valid(c, i) ? of_value[c->code[i]].i64 : 0;
    mill_free(of_value);
    if (err) {
        mill_free(fresh);
        return err;
    }
    if (fresh) {
        mill_free(c->i64);
        c->i64 = fresh;
    }
    mill_free(c->offset);
    mill_free(c->text);
    c->offset = NULL;
    c->text = NULL;
    c->n_values = 0;
    c->format = format;
    c->decimals = decimals;
    c->type = w->type;
    return MILL_OK;
}

static mill_err real_to_integer(mill_column *c, const column_wish *w)
{
    char buf[40];

    for (int64_t i = 0; i < c->rows; i++) {
        if (fabs(c->f64[i]) < 0x1p53 && rint(c->f64[i]) == c->f64[i]) continue;
        if (w->like) return MILL_OK;
        return refuse(c, w, i, buf, mill_format_f64(buf, c->f64[i]));
    }
    for (int64_t i = 0; i < c->rows; i++) c->i64[i] = (int64_t)c->f64[i];
    c->type = MILL_INTEGER;
    c->decimals = 0;
    return MILL_OK;
}

mill_err column_retype(mill_column *c, const column_wish *w)
{
    const mill_column probe = {.type = w->type};
    char *format;

    if (column_has_codes(&probe)) {
        const bool same_values = column_has_codes(c) && w->type != MILL_BOOLEAN &&
                                 c->type != MILL_BOOLEAN && !(w->like && column_has_codes(w->like));
        if (same_values) c->type = w->type;
        return same_values ? MILL_OK : to_codes(c, w);
    }
    if (column_has_codes(c)) return from_codes(c, w);
    if (w->type == MILL_DATETIME && c->type == MILL_DATETIME) {
        if (!w->format) return MILL_OK;
        if (!(format = mill_strdup(w->format))) return MILL_ENOMEM;
        mill_free(c->format);
        c->format = format;
        return MILL_OK;
    }
    if (w->type == c->type) {
        if (w->like && w->like->decimals > c->decimals) c->decimals = w->like->decimals;
        return MILL_OK;
    }
    if (c->type == MILL_REAL && w->type == MILL_INTEGER) return real_to_integer(c, w);
    if (c->type == MILL_INTEGER && w->type == MILL_REAL) {
        for (int64_t i = 0; i < c->rows; i++) c->f64[i] = (double)c->i64[i];
        c->type = MILL_REAL;
        c->decimals = w->like ? w->like->decimals : 0;
        return MILL_OK;
    }
    return mill_fail(MILL_EINPUT, "%s: column \"%s\" is of type %s in the file, not %s", w->path,
                     c->name, mill_coltype_name(c->type), mill_coltype_name(w->type));
}
