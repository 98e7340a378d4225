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
    c->is_run &= v == c->run_next;
    c->run_next = v == INT64_MAX ? v : v + 1;
    f->out->i64[f->row + i] = v;
}

static mill_err fill_integers(const fill *f)
{
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
    for (int64_t i = 0; i < f->a->length; i++) {
        const double x = arrow_is_valid(f->a, i) ? arrow_f64(&f->c->type, f->a, i) : (double)NAN;
        if (isnan(x) || isinf(x)) {
            f->c->n_infinite += isinf(x) != 0;
            TRY(column_set_missing(f->out, f->row + i));
            continue;
        }
        f->out->f64[f->row + i] = x;
        if (f->out->decimals < 15) f->out->decimals = column_decimals(f->out->decimals, x);
        f->c->present++;
    }
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

static mill_err fill_indexed(const fill *f)
{
    const struct ArrowArray *values = f->a->dictionary;
    parquet_column *c = f->c;

    TRY(clear_map(c, values->length));
    for (int64_t i = 0; i < f->a->length; i++) {
        int32_t code = -1;
        if (arrow_is_valid(f->a, i)) {
            const int64_t k = arrow_i64(&c->index, f->a, i);
            if (!c->map[k]) {
                if (arrow_is_valid(values, k)) {
                    size_t n;
                    const char *s = arrow_text(&n, &c->type, values, k);
                    TRY(code_of(&code, f, s, n, i));
                }
                c->map[k] = code < 0 ? -1 : code + 1;
            }
            code = c->map[k] < 0 ? -1 : c->map[k] - 1;
        }
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
