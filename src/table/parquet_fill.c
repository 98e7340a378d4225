/*
 * parquet_fill.c - a batch's values into the columns of a table.
 *
 * Codes are given in order of first appearance in the file, as in CSV: Parquet's dictionaries begin
 * anew with every row group, and may hold what no row has.
 */
#include "table/parquet_reader.h"

#include "base/mem.h"
#include "base/text.h"
#include "table/retype.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

enum { DAY_SECONDS = 86400 };

typedef struct {
    parquet_reader *r;
    parquet_column *c;
    mill_column *out;
    const struct ArrowArray *a;
    int64_t row; /* in the table, of element 0 */
} fill;

mill_coltype parquet_natural_type(const parquet_column *c)
{
    switch (c->type.kind) {
    case ARROW_INT:
    case ARROW_UINT:
        return MILL_INTEGER;
    case ARROW_FLOAT:
        return MILL_REAL;
    case ARROW_DECIMAL:
        return c->type.scale > 0 ? MILL_REAL : MILL_INTEGER;
    case ARROW_BOOLEAN:
        return MILL_BOOLEAN;
    case ARROW_TEXT:
    case ARROW_BINARY:
    case ARROW_NULL:
        return MILL_CATEGORY;
    case ARROW_DATE:
    case ARROW_TIMESTAMP:
        return MILL_DATETIME;
    default:
        return MILL_N_COLTYPE;
    }
}

/* ---- numbers ---- */

/* Integers beyond 64 bits make the column real, as in CSV. */
static void become_real(const fill *f, int64_t rows)
{
    f->out->type = MILL_REAL;
    f->c->is_large = true;
    for (int64_t i = 0; i < rows; i++) f->out->f64[i] = (double)f->out->i64[i];
}

static void put_integer(const fill *f, int64_t i, int64_t v)
{
    parquet_column *c = f->c;

    if (c->is_large) {
        f->out->f64[f->row + i] = (double)v;
        return;
    }
    if (!c->present) c->run_first = c->run_next = v;
    c->is_run &= v == c->run_next && v < INT64_MAX;
    c->run_next = v + (v < INT64_MAX);
    f->out->i64[f->row + i] = v;
}

/* The usual case: int64, all of them there. */
static void copy_integers(const fill *f)
{
    const int64_t *from = (const int64_t *)f->a->buffers[1] + f->a->offset;
    int64_t *to = f->out->i64 + f->row, next = f->c->run_next;
    bool is_run = f->c->is_run;

    if (!f->c->present && f->a->length) f->c->run_first = next = from[0];
    memcpy(to, from, (size_t)f->a->length * sizeof *to);
    for (int64_t i = 0; is_run && i < f->a->length; i++) {
        is_run = from[i] == next && next < INT64_MAX;
        next += next < INT64_MAX;
    }
    f->c->is_run = is_run;
    f->c->run_next = next;
    f->c->present += f->a->length;
}

static mill_err fill_integers(const fill *f)
{
    if (f->c->type.kind == ARROW_INT && f->c->type.bytes == 8 && !arrow_has_missing(f->a)) {
        copy_integers(f);
        return MILL_OK;
    }
    const bool is_wide = f->c->type.kind == ARROW_UINT && f->c->type.bytes == 8;

    for (int64_t i = 0; i < f->a->length; i++) {
        if (!arrow_is_valid(f->a, i)) {
            TRY(column_set_missing(f->out, f->row + i));
            continue;
        }
        const int64_t v = arrow_i64(&f->c->type, f->a, i);
        if (is_wide && v < 0) {
            if (!f->c->is_large) become_real(f, f->row + i);
            f->out->f64[f->row + i] = (double)(uint64_t)v;
        } else {
            put_integer(f, i, v);
        }
        f->c->present++;
    }
    return MILL_OK;
}

static mill_err fill_decimals(const fill *f)
{
    const bool is_integer = parquet_natural_type(f->c) == MILL_INTEGER;

    for (int64_t i = 0; i < f->a->length; i++) {
        char text[ARROW_DECIMAL_MAX];
        int64_t v;
        double x;

        if (!arrow_is_valid(f->a, i)) {
            TRY(column_set_missing(f->out, f->row + i));
            continue;
        }
        const size_t n = (size_t)arrow_decimal(text, &f->c->type, f->a, i);
        if (is_integer && mill_parse_i64(&v, text, n)) {
            put_integer(f, i, v);
        } else {
            if (is_integer && !f->c->is_large) become_real(f, f->row + i);
            if (!mill_parse_f64(&x, text, n)) x = 0; /* cannot be: digits and a point */
            f->out->f64[f->row + i] = x;
        }
        f->c->present++;
    }
    if (!is_integer) f->out->decimals = f->c->type.scale < 15 ? f->c->type.scale : 15;
    return MILL_OK;
}

/* NaN is missing, as everywhere; so is what is no number a table could hold. */
static mill_err fill_reals(const fill *f)
{
    const bool has_missing = arrow_has_missing(f->a);
    int decimals = f->out->decimals;

    for (int64_t i = 0; i < f->a->length; i++) {
        const bool there = !has_missing || arrow_is_valid(f->a, i);
        const double x = there ? arrow_f64(&f->c->type, f->a, i) : (double)NAN;
        if (!(fabs(x) <= DBL_MAX)) {
            f->c->n_infinite += isinf(x) != 0;
            TRY(column_set_missing(f->out, f->row + i));
            continue;
        }
        f->out->f64[f->row + i] = x;
        if (decimals < 15) decimals = column_decimals(decimals, x);
        f->c->present++;
    }
    f->out->decimals = decimals;
    return MILL_OK;
}

static mill_err fill_times(const fill *f)
{
    const int64_t per = f->c->type.per_second;

    for (int64_t i = 0; i < f->a->length; i++) {
        if (!arrow_is_valid(f->a, i)) {
            TRY(column_set_missing(f->out, f->row + i));
            continue;
        }
        const int64_t v = arrow_i64(&f->c->type, f->a, i);
        int64_t seconds = per ? v / per : v * DAY_SECONDS;
        if (per && v % per) {
            seconds -= v < 0;
            f->c->n_fractions++;
        }
        f->c->has_time |= seconds % DAY_SECONDS != 0;
        f->out->i64[f->row + i] = seconds;
        f->c->present++;
    }
    return MILL_OK;
}

static mill_err fill_booleans(const fill *f)
{
    for (int64_t i = 0; i < f->a->length; i++) {
        if (!arrow_is_valid(f->a, i)) {
            TRY(column_set_missing(f->out, f->row + i));
            continue;
        }
        const bool v = arrow_boolean(f->a, i);
        if (!f->c->present++) f->c->first_boolean = v;
        f->out->code[f->row + i] = v != f->c->first_boolean;
    }
    return MILL_OK;
}

/* ---- texts ---- */

/* *code: of the text; -1 where it is a word of --na. */
static mill_err code_of(int32_t *code, const fill *f, const char *s, size_t n, int64_t i)
{
    const csv_reader *csv = &f->r->csv;

    if (f->r->has_na && csv_is_na(csv, s, n)) {
        *code = -1;
        return MILL_OK;
    }
    if ((*code = dict_code(&f->c->values, s, n)) >= 0) return MILL_OK;
    if (memchr(s, 0, n) || !csv_utf8_ok(s, n))
        return mill_fail(MILL_EINPUT, "%s: row %lld: column \"%s\": %s", csv->src.path,
                         (long long)(f->row + i + 1), f->out->name,
                         memchr(s, 0, n) ? "a NUL byte in a text"
                                         : "bytes that are not UTF-8; --drop leaves it out");
    TRY(dict_merge(&f->c->values, s, n, f->row + i, 1));
    *code = f->c->values.n - 1;
    return MILL_OK;
}

static mill_err put_code(const fill *f, int64_t i, int32_t code)
{
    if (code < 0) return column_set_missing(f->out, f->row + i);
    f->out->code[f->row + i] = code;
    f->c->present++;
    return MILL_OK;
}

static mill_err fill_texts(const fill *f)
{
    for (int64_t i = 0; i < f->a->length; i++) {
        int32_t code = -1;
        if (arrow_is_valid(f->a, i)) {
            size_t n;
            const char *s = arrow_text(&n, &f->c->type, f->a, i);
            TRY(code_of(&code, f, s, n, i));
        }
        TRY(put_code(f, i, code));
    }
    return MILL_OK;
}

static mill_err clear_map(parquet_column *c, int64_t n)
{
    if ((size_t)n > c->map_room) {
        mill_free(c->map);
        c->map_room = 0;
        if (!(c->map = mill_alloc((size_t)n, sizeof *c->map))) return MILL_ENOMEM;
        c->map_room = (size_t)n;
    } else if (n) {
        memset(c->map, 0, (size_t)n * sizeof *c->map);
    }
    return MILL_OK;
}

/* From element i on as long as indices are known and there: where the next is that is not. */
static int64_t fill_known(const fill *f, int64_t i)
{
    const int32_t *index = (const int32_t *)f->a->buffers[1] + f->a->offset, *map = f->c->map;
    int32_t *to = f->out->code + f->row;
    int64_t k = i;

    while (k < f->a->length && map[index[k]] > 0) {
        to[k] = map[index[k]] - 1;
        k++;
    }
    f->c->present += k - i;
    return k;
}

/* What the map says of index k: found out where it is the first. */
static mill_err look_up(int32_t *code, const fill *f, int64_t k, int64_t i)
{
    const struct ArrowArray *values = f->a->dictionary;
    int32_t *known = &f->c->map[k];
    size_t n;

    *code = -1;
    if (!*known && arrow_is_valid(values, k)) {
        const char *s = arrow_text(&n, &f->c->type, values, k);
        TRY(code_of(code, f, s, n, i));
        *known = *code < 0 ? -1 : *code + 1;
    } else if (*known > 0) {
        *code = *known - 1;
    }
    return MILL_OK;
}

static mill_err fill_indexed(const fill *f)
{
    const bool is_plain = f->c->index.bytes == 4 && !arrow_has_missing(f->a);

    TRY(clear_map(f->c, f->a->dictionary->length));
    for (int64_t i = 0; i < f->a->length; i++) {
        int32_t code = -1;
        if (is_plain && (i = fill_known(f, i)) == f->a->length) break;
        if (arrow_is_valid(f->a, i)) TRY(look_up(&code, f, arrow_i64(&f->c->index, f->a, i), i));
        TRY(put_code(f, i, code));
    }
    return MILL_OK;
}

static mill_err fill_missing(const fill *f)
{
    for (int64_t i = 0; i < f->a->length; i++) TRY(column_set_missing(f->out, f->row + i));
    return MILL_OK;
}

static mill_err fill_any(const fill *f)
{
    switch (f->c->type.kind) {
    case ARROW_INT:
    case ARROW_UINT:
        return fill_integers(f);
    case ARROW_DECIMAL:
        return fill_decimals(f);
    case ARROW_FLOAT:
        return fill_reals(f);
    case ARROW_BOOLEAN:
        return fill_booleans(f);
    case ARROW_DATE:
    case ARROW_TIMESTAMP:
        return fill_times(f);
    case ARROW_TEXT:
    case ARROW_BINARY:
        return f->c->has_dictionary ? fill_indexed(f) : fill_texts(f);
    default:
        return fill_missing(f);
    }
}

void parquet_fill_column(void *ctx, int64_t j, int thread)
{
    parquet_reader *r = ctx;
    parquet_column *c = &r->col[j];
    const fill f = {r, c, &r->t->col[j], r->batch.children[j], r->row};

    (void)thread;
    c->err = fill_any(&f);
    if (c->err) snprintf(c->words, sizeof c->words, "%s", mill_error());
}
