/*
 * align.c - see align.h.
 *
 *                     to number           to date             to codes
 *     from number     as it is            refused             its text: integers; reals with
 *                                                             their decimals
 *     from date       refused             as it is            its text in the column's own format
 *     from codes      each value parsed   each value parsed   looked up by text, new ones appended
 *
 * A column without a present value fits anything.
 */
#include "eval/align.h"

#include "base/mem.h"
#include "base/text.h"
#include "table/datetime.h"
#include "table/dict.h"

#include <math.h>
#include <string.h>

static bool is_number(mill_coltype t)
{
    return t == MILL_INTEGER || t == MILL_REAL;
}

static mill_err refuse(const char *what, const mill_column *c, const mill_column *like,
                       const char *value, int len)
{
    return mill_fail(
        MILL_EINPUT,
        "%s table, column \"%s\": \"%.*s\" is not %s %s as in the real table; mend the "
        "value, or have both read as categories: --discrete \"%s\"",
        what, c->name, len, value, like->type == MILL_INTEGER ? "an" : "a",
        mill_coltype_name(like->type), c->name);
}

static mill_err copy_missing(mill_column *dst, const mill_column *src)
{
    for (int64_t i = 0; src->n_missing && i < src->rows; i++)
        if (!column_is_valid(src, i)) TRY(column_set_missing(dst, i));
    return MILL_OK;
}

/* Text of the value in row i, at most 128 bytes in buf, or the dictionary's own. */
static const char *text_of(char buf[DATETIME_TEXT_MAX], int *len, const mill_column *c, int64_t i)
{
    if (column_has_codes(c)) return column_value(c, c->code[i], len);
    if (c->type == MILL_INTEGER) {
        *len = mill_format_i64(buf, c->i64[i]);
    } else if (c->type == MILL_DATETIME) {
        *len = datetime_format(buf, c->format, c->i64[i]);
    } else if (c->decimals > 0 && fabs(c->f64[i]) < 1e15) {
        *len = mill_format_fixed(buf, c->f64[i], c->decimals);
        double back; /* a column may be read with fewer decimals than it holds, from .npy */
        if (!mill_parse_f64(&back, buf, (size_t)*len) || back != c->f64[i])
            *len = mill_format_f64(buf, c->f64[i]);
    } else {
        *len = mill_format_f64(buf, c->f64[i]);
    }
    return buf;
}

/* The dictionary of `like` as a hash table, in its order. */
static mill_err load_dict(dict *d, const mill_column *like)
{
    for (int32_t k = 0; k < like->n_values; k++) {
        int len;
        const char *s = column_value(like, k, &len);
        TRY(dict_merge(d, s, (size_t)len, k, 0));
    }
    return MILL_OK;
}

static mill_err store_dict(mill_column *dst, const dict *d)
{
    int32_t *const offset = mill_alloc((size_t)d->n + 1, sizeof *offset);

    if (!offset) return MILL_ENOMEM;
    for (int32_t k = 0; k < d->n; k++) {
        if (d->offset[k + 1] > INT32_MAX) {
            mill_free(offset);
            return mill_fail(MILL_EINPUT, "column \"%s\": its values take more than 2 GiB",
                             dst->name);
        }
        offset[k + 1] = (int32_t)d->offset[k + 1];
    }
    const mill_err err = column_set_dictionary(dst, d->n, offset, d->text ? d->text : "");
    mill_free(offset);
    return err;
}

/* Code of a text, appended if it is new. */
static mill_err code_of(int32_t *code, dict *d, const char *s, int len)
{
    *code = dict_code(d, s, (size_t)len);
    if (*code >= 0) return MILL_OK;
    *code = d->n;
    return dict_merge(d, s, (size_t)len, d->n, 0);
}

static mill_err to_codes(mill_column *dst, const mill_column *src, const mill_column *like, dict *d)
{
    int32_t *map = NULL; /* of src's codes, filled as they come */
    mill_err err = load_dict(d, like);

    if (!err && column_has_codes(src)) {
        map = mill_alloc((size_t)src->n_values + 1, sizeof *map);
        err = map ? MILL_OK : MILL_ENOMEM;
        for (int32_t k = 0; !err && k < src->n_values; k++) map[k] = -1;
    }
    for (int64_t i = 0; !err && i < src->rows; i++) {
        char buf[DATETIME_TEXT_MAX];
        int len;

        if (!column_is_valid(src, i)) continue;
        if (map && map[src->code[i]] >= 0) {
            dst->code[i] = map[src->code[i]];
            continue;
        }
        const char *s = text_of(buf, &len, src, i);
        err = code_of(&dst->code[i], d, s, len);
        if (map) map[src->code[i]] = dst->code[i];
    }
    mill_free(map);
    return err ? err : store_dict(dst, d);
}

static mill_err codes_to_numbers(mill_column *dst, const mill_column *src, const mill_column *like,
                                 const char *what)
{
    for (int64_t i = 0; i < src->rows; i++) {
        int len;

        if (!column_is_valid(src, i)) continue;
        const char *s = column_value(src, src->code[i], &len);
        int64_t seconds;
        int form;
        const bool ok = like->type != MILL_DATETIME ? mill_parse_f64(&dst->f64[i], s, (size_t)len)
                        : like->format ? datetime_parse(&seconds, like->format, s, (size_t)len)
                                       : datetime_parse_iso(&seconds, &form, s, (size_t)len);
        if (!ok) return refuse(what, src, like, s, len);
        if (like->type == MILL_DATETIME) dst->i64[i] = seconds;
    }
    return MILL_OK;
}

static mill_err align_column(mill_column *dst, const mill_column *src, const mill_column *like,
                             const char *what)
{
    const bool both_numbers = is_number(src->type) && is_number(like->type);
    const mill_coltype type = both_numbers            ? src->type
                              : is_number(like->type) ? MILL_REAL
                                                      : like->type;

    TRY(column_init(dst, src->name, type, src->rows));
    TRY(copy_missing(dst, src));
    if (column_has_codes(dst)) {
        dict d = {0};
        const mill_err err = to_codes(dst, src, like, &d);
        dict_free(&d);
        return err;
    }
    dst->decimals = src->decimals;
    if (like->format && !(dst->format = mill_strdup(like->format))) return MILL_ENOMEM;
    if (src->n_missing == src->rows) return MILL_OK;
    if (both_numbers || src->type == like->type) {
        memcpy(dst->i64, src->i64, (size_t)src->rows * sizeof *src->i64);
        return MILL_OK;
    }
    if (column_has_codes(src)) return codes_to_numbers(dst, src, like, what);

    for (int64_t i = 0; i < src->rows; i++) {
        char buf[DATETIME_TEXT_MAX];
        int len;

        if (!column_is_valid(src, i)) continue;
        const char *s = text_of(buf, &len, src, i);
        return refuse(what, src, like, s, len);
    }
    return MILL_OK;
}

mill_err eval_align(mill_table **out, const mill_table *t, const mill_table *like,
                    const char *const *name, int n, const char *what)
{
    mill_table *to = NULL;
    mill_err err = table_new(&to, t->rows, n);

    for (int c = 0; !err && c < n; c++)
        err = align_column(&to->col[c], &t->col[table_find(t, name[c])],
                           &like->col[table_find(like, name[c])], what);
    if (err) {
        mill_table_free(to);
        return err;
    }
    *out = to;
    return MILL_OK;
}
