/*
 * table.c - tables in memory: making columns, looking into them, copying parts of them.
 *
 * A column owns its name, format, bitmap, values and dictionary, each from base/mem.h, unless
 * `spool_bytes` says that bitmap and values lie in the table's mapping (spool.h).  Copies never
 * share: a copy of a spooled table is in memory.
 */
#include "table/table.h"
#include "base/mem.h"
#include "table/spool.h"

#include <math.h>
#include <string.h>

static const char *const type_names[MILL_N_COLTYPE] = {
    [MILL_INTEGER] = "integer",   [MILL_REAL] = "real",         [MILL_BOOLEAN] = "boolean",
    [MILL_CATEGORY] = "category", [MILL_DATETIME] = "datetime", [MILL_IDENTIFIER] = "identifier",
};

const char *mill_coltype_name(mill_coltype t)
{
    return (unsigned)t < MILL_N_COLTYPE ? type_names[t] : "unknown";
}

bool mill_coltype_parse(mill_coltype *out, const char *name)
{
    for (int t = 0; t < MILL_N_COLTYPE; t++) {
        if (strcmp(name, type_names[t]) != 0) continue;
        *out = (mill_coltype)t;
        return true;
    }
    return false;
}

static size_t value_size(mill_coltype type)
{
    const mill_column probe = {.type = type};
    return column_has_codes(&probe) ? sizeof(int32_t) : sizeof(int64_t);
}

void column_deinit(mill_column *c)
{
    mill_free(c->name);
    mill_free(c->format);
    mill_free(c->offset);
    mill_free(c->text);
    if (!c->spool_bytes) {
        mill_free(c->valid);
        mill_free(c->i64);
    }
    memset(c, 0, sizeof *c);
}

mill_err table_new(mill_table **out, int64_t rows, int n_cols)
{
    if (rows < 0 || n_cols < 0) return mill_fail(MILL_ESHAPE, "a table of %d columns", n_cols);

    mill_table *t = mill_alloc(1, sizeof *t);
    if (!t) return MILL_ENOMEM;
    t->rows = rows;
    t->n_cols = n_cols;
    t->col = mill_alloc(n_cols ? (size_t)n_cols : 1, sizeof *t->col);
    if (!t->col) {
        mill_free(t);
        return MILL_ENOMEM;
    }
    *out = t;
    return MILL_OK;
}

void mill_table_free(mill_table *t)
{
    if (!t) return;
    for (int j = 0; j < t->n_cols; j++) column_deinit(&t->col[j]);
    spool_free(t->spool);
    mill_free(t->col);
    mill_free(t);
}

mill_err column_init(mill_column *c, const char *name, mill_coltype type, int64_t rows)
{
    mill_column fresh = {.type = type, .rows = rows};

    fresh.name = mill_strdup(name);
    fresh.i64 = mill_alloc(rows ? (size_t)rows : 1, value_size(type));
    if (!fresh.name || !fresh.i64) {
        column_deinit(&fresh);
        return MILL_ENOMEM;
    }
    *c = fresh;
    return MILL_OK;
}

/* All rows present, and no bit beyond the last row: equal columns have equal bytes. */
void column_fill_valid(uint8_t *valid, int64_t rows)
{
    memset(valid, 0xff, (size_t)(rows / 8));
    if (rows % 8) valid[rows / 8] = (uint8_t)((1u << (rows % 8)) - 1);
}

mill_err column_set_missing(mill_column *c, int64_t i)
{
    if (!c->valid) {
        uint8_t *valid = mill_alloc((size_t)(c->rows + 7) / 8, 1);
        if (!valid) return MILL_ENOMEM;
        column_fill_valid(valid, c->rows);
        c->valid = valid;
    }
    if (!column_is_valid(c, i)) return MILL_OK;
    c->valid[i >> 3] &= (uint8_t) ~(1u << (i & 7));
    c->n_missing++;
    if (column_has_codes(c))
        c->code[i] = 0;
    else
        c->i64[i] = 0; /* 0.0 too */
    return MILL_OK;
}

mill_err column_set_dictionary(mill_column *c, int32_t n, const int32_t *offset, const char *text)
{
    const size_t bytes = n ? (size_t)offset[n] : 0;
    int32_t *own_offset = mill_alloc((size_t)n + 1, sizeof *own_offset);
    char *own_text = mill_alloc(bytes + 1, 1);

    if (!own_offset || !own_text) {
        mill_free(own_offset);
        mill_free(own_text);
        return MILL_ENOMEM;
    }
    if (n) memcpy(own_offset, offset, ((size_t)n + 1) * sizeof *own_offset);
    if (bytes) memcpy(own_text, text, bytes);
    mill_free(c->offset);
    mill_free(c->text);
    c->n_values = n;
    c->offset = own_offset;
    c->text = own_text;
    return MILL_OK;
}

int table_find(const mill_table *t, const char *name)
{
    for (int j = 0; j < t->n_cols; j++)
        if (!strcmp(t->col[j].name, name)) return j;
    return -1;
}

double column_f64(const mill_column *c, int64_t i)
{
    if (!column_is_valid(c, i) || column_has_codes(c)) return (double)NAN;
    return c->type == MILL_REAL ? c->f64[i] : (double)c->i64[i];
}

const char *column_value(const mill_column *c, int32_t code, int *len)
{
    *len = c->offset[code + 1] - c->offset[code];
    return c->text + c->offset[code];
}

void table_column_release(const mill_table *t, int col)
{
    const mill_column *c = &t->col[col];
    if (!c->spool_bytes) return;
    spool_release(t->spool, c->i64, (size_t)c->rows * value_size(c->type));
    if (c->valid) spool_release(t->spool, c->valid, (size_t)(c->rows + 7) / 8);
}

/* Name, type, dictionary and formats of src, with room for `rows` values. */
static mill_err column_init_like(mill_column *c, const mill_column *src, int64_t rows)
{
    TRY(column_init(c, src->name, src->type, rows));
    c->decimals = src->decimals;
    if (src->format && !(c->format = mill_strdup(src->format))) return MILL_ENOMEM;
    if (column_has_codes(src)) TRY(column_set_dictionary(c, src->n_values, src->offset, src->text));
    return MILL_OK;
}

static mill_err copy_rows(mill_column *c, const mill_column *src, const int64_t *rows)
{
    const bool codes = column_has_codes(src);
    for (int64_t i = 0; i < c->rows; i++) {
        const int64_t k = rows ? rows[i] : i;
        if (codes)
            c->code[i] = src->code[k];
        else
            c->i64[i] = src->i64[k];
    }
    if (!src->n_missing) return MILL_OK;
    for (int64_t i = 0; i < c->rows; i++)
        if (!column_is_valid(src, rows ? rows[i] : i)) TRY(column_set_missing(c, i));
    return MILL_OK;
}

/* rows NULL: all of them; cols NULL: all of them. */
static mill_err take(mill_table **out, const mill_table *t, const int64_t *rows, int64_t n_rows,
                     const int *cols, int n_cols)
{
    mill_table *copy;
    mill_err err = MILL_OK;

    for (int64_t i = 0; rows && i < n_rows; i++)
        if (rows[i] < 0 || rows[i] >= t->rows)
            return mill_fail(MILL_ESHAPE, "row %lld of a table of %lld", (long long)rows[i],
                             (long long)t->rows);
    for (int j = 0; cols && j < n_cols; j++)
        if (cols[j] < 0 || cols[j] >= t->n_cols)
            return mill_fail(MILL_ESHAPE, "column %d of a table of %d", cols[j], t->n_cols);

    TRY(table_new(&copy, n_rows, n_cols));
    for (int j = 0; j < n_cols; j++) {
        const mill_column *src = &t->col[cols ? cols[j] : j];
        if ((err = column_init_like(&copy->col[j], src, n_rows))) break;
        if ((err = copy_rows(&copy->col[j], src, rows))) break;
    }
    if (err)
        mill_table_free(copy);
    else
        *out = copy;
    return err;
}

mill_err table_take_rows(mill_table **out, const mill_table *t, const int64_t *rows, int64_t n)
{
    return take(out, t, rows, n, NULL, t->n_cols);
}

mill_err table_take_cols(mill_table **out, const mill_table *t, const int *cols, int n)
{
    return take(out, t, NULL, t->rows, cols, n);
}
