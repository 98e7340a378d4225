/*
 * csv_alloc.c - columns for what was decided, in memory or in a spool file.
 */
#include "base/mem.h"
#include "base/text.h"
#include "table/csv_reader.h"
#include "table/spool.h"

#include <string.h>

enum { PAGE = 4096 };

static size_t page_up(size_t n)
{
    return (n + PAGE - 1) / PAGE * PAGE;
}

static int64_t count_missing(const csv_column *c)
{
    const bool soft = c->type != MILL_CATEGORY && (c->type != MILL_IDENTIFIER || c->is_run);
    return c->sum.n[VALUE_MISSING] + (soft ? c->sum.n[VALUE_SOFT] : 0);
}

static size_t value_bytes(const csv_column *c, int64_t rows)
{
    const mill_column probe = {.type = c->type};
    return (size_t)rows * (column_has_codes(&probe) ? sizeof(int32_t) : sizeof(int64_t));
}

static size_t valid_bytes(const csv_column *c, int64_t rows)
{
    return count_missing(c) ? (size_t)(rows + 7) / 8 : 0;
}

/* The dictionary's two buffers for `n` values of `bytes` in all. */
static mill_err new_dictionary(const csv_reader *r, mill_column *out, int64_t n, size_t bytes)
{
    if (bytes > INT32_MAX || n > INT32_MAX - 1)
        return mill_fail(MILL_EINPUT,
                         "%s: column \"%s\": its different values are more than 2 GiB of text",
                         r->src.path, out->name);
    out->offset = mill_alloc((size_t)n + 1, sizeof *out->offset);
    out->text = mill_alloc(bytes + 1, 1);
    if (!out->offset || !out->text) return MILL_ENOMEM;
    out->n_values = (int32_t)n;
    return MILL_OK;
}

/* first, first + 1, ...: row i has code i. */
static mill_err write_run(const csv_reader *r, mill_column *out, int64_t first)
{
    size_t bytes = 0;
    char buf[32];

    for (int64_t i = 0; i < out->rows; i++) bytes += (size_t)mill_format_i64(buf, first + i);
    TRY(new_dictionary(r, out, out->rows, bytes));
    for (int64_t i = 0, at = 0; i < out->rows; i++) {
        const int n = mill_format_i64(buf, first + i);
        memcpy(out->text + at, buf, (size_t)n);
        out->offset[i + 1] = (int32_t)(at += n);
    }
    return MILL_OK;
}

static mill_err write_dictionary(const csv_reader *r, mill_column *out, const csv_column *c)
{
    const dict *d = &c->sum.values;
    const int32_t n = c->n_values;

    if (c->is_run) {
        int64_t i = 0;
        while (r->block_row[i + 1] == 0) i++; /* the first block that has rows */
        return write_run(r, out, c->run[i]);
    }
    const size_t bytes = n ? d->offset[n] : 0;
    TRY(new_dictionary(r, out, n, bytes));
    for (int32_t k = 0; k < n; k++) out->offset[k + 1] = (int32_t)d->offset[k + 1];
    if (bytes) memcpy(out->text, d->text, bytes);
    return MILL_OK;
}

static mill_err describe(const csv_reader *r, mill_column *out, const csv_column *c, int64_t rows)
{
    out->type = c->type;
    out->rows = rows;
    out->n_missing = count_missing(c);
    out->decimals = c->type == MILL_REAL ? c->sum.decimals : 0;
    if (!(out->name = mill_strdup(c->name))) return MILL_ENOMEM;
    if (c->type == MILL_DATETIME && !(out->format = mill_strdup(c->format))) return MILL_ENOMEM;
    return column_has_codes(out) ? write_dictionary(r, out, c) : MILL_OK;
}

static mill_err allocate_columns(csv_reader *r, mill_table *t, bool spooled)
{
    size_t at = 0;

    for (int j = 0; j < r->n_cols; j++) {
        csv_column *c = &r->col[j];
        mill_column *out = &t->col[j];
        const size_t values = value_bytes(c, t->rows), valid = valid_bytes(c, t->rows);
        if (spooled) {
            out->spool_bytes = page_up(values) + page_up(valid);
            out->i64 = spool_at(t->spool, at);
            if (valid) out->valid = spool_at(t->spool, at + page_up(values));
            at += out->spool_bytes;
        } else {
            if (valid && !(out->valid = mill_alloc(valid, 1))) return MILL_ENOMEM;
        }
        if (out->valid) column_fill_valid(out->valid, t->rows);
        if (c->keep)
            csv_keep_take(out, c, t->rows);
        else if (!spooled && !(out->i64 = mill_alloc(values ? values : 1, 1)))
            return MILL_ENOMEM;
        TRY(describe(r, out, c, t->rows));
    }
    return MILL_OK;
}

mill_err csv_allocate(csv_reader *r, mill_table **out)
{
    const int64_t rows = r->block_row[r->layout.n_blocks];
    size_t bytes = 0;
    mill_table *t;

    for (int j = 0; j < r->n_cols; j++)
        bytes += page_up(value_bytes(&r->col[j], rows)) + page_up(valid_bytes(&r->col[j], rows));
    const bool spooled = bytes > csv_memory_limit(r);

    for (int j = 0; spooled && j < r->n_cols; j++) csv_keep_drop(r, &r->col[j]);
    TRY(table_new(&t, rows, r->n_cols));
    mill_err err = spooled ? spool_new(&t->spool, bytes, r->o->spool_dir) : MILL_OK;
    if (!err) err = allocate_columns(r, t, spooled);
    if (err)
        mill_table_free(t);
    else
        *out = t;
    return err;
}
