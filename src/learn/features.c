/*
 * features.c - columns of a table as numbers and codes; see features.h.
 */
#include "learn/features.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

void features_free(mill_features *f)
{
    if (!f) return;
    for (int c = 0; f->col && c < f->n_cols; c++) {
        mill_free(f->col[c].x);
        mill_free(f->col[c].code);
    }
    mill_free(f->col);
    mill_free(f);
}

static mill_features *make(int64_t rows, int n_cols)
{
    mill_features *const f = mill_alloc(1, sizeof *f);

    if (!f) return NULL;
    f->rows = rows;
    f->n_cols = n_cols;
    f->col = mill_alloc((size_t)n_cols, sizeof *f->col);
    if (f->col || !n_cols) return f;
    mill_free(f);
    return NULL;
}

/* Room for the values of `like`, in a column that is still empty. */
static mill_err make_col(feature_col *c, const feature_col *like, int64_t rows)
{
    c->source = like->source;
    c->n_codes = like->n_codes;
    if (like->code) c->code = mill_alloc((size_t)rows, sizeof *c->code);
    if (like->x) c->x = mill_alloc((size_t)rows, sizeof *c->x);
    return c->x || c->code || !rows ? MILL_OK : MILL_ENOMEM;
}

static mill_err read_col(feature_col *c, const mill_column *src, int source)
{
    c->source = source;
    if (src->type == MILL_IDENTIFIER)
        return mill_fail(MILL_EINPUT,
                         "column \"%s\" is an identifier; nothing can be learnt from it",
                         src->name);

    if (column_has_codes(src)) {
        c->n_codes = src->n_values > 0 ? src->n_values : 1;
        c->code = mill_alloc((size_t)src->rows, sizeof *c->code);
        if (!c->code) return MILL_ENOMEM;
        for (int64_t i = 0; i < src->rows; i++)
            c->code[i] = column_is_valid(src, i) ? src->code[i] : -1;
        return MILL_OK;
    }
    c->x = mill_alloc((size_t)src->rows, sizeof *c->x);
    if (!c->x) return MILL_ENOMEM;
    for (int64_t i = 0; i < src->rows; i++) c->x[i] = column_f64(src, i);
    return MILL_OK;
}

mill_err features_new(mill_features **out, const mill_table *t, const int *cols, int n_cols)
{
    mill_features *const f = make(t->rows, n_cols);
    mill_err err = f ? MILL_OK : MILL_ENOMEM;

    for (int c = 0; !err && c < n_cols; c++) err = read_col(&f->col[c], &t->col[cols[c]], cols[c]);
    if (err) {
        features_free(f);
        return err;
    }
    *out = f;
    return MILL_OK;
}

mill_err features_take(mill_features **out, const mill_features *f, const int64_t *rows, int64_t n)
{
    mill_features *const to = make(n, f->n_cols);
    mill_err err = to ? MILL_OK : MILL_ENOMEM;

    for (int c = 0; !err && c < f->n_cols; c++) {
        const feature_col *src = &f->col[c];
        feature_col *dst = &to->col[c];

        if ((err = make_col(dst, src, n))) break;
        for (int64_t i = 0; src->x && i < n; i++) dst->x[i] = src->x[rows[i]];
        for (int64_t i = 0; src->code && i < n; i++) dst->code[i] = src->code[rows[i]];
    }
    if (err) {
        features_free(to);
        return err;
    }
    *out = to;
    return MILL_OK;
}

static void copy_rows(feature_col *dst, const feature_col *src, int64_t at, int64_t n)
{
    if (src->x) memcpy(dst->x + at, src->x, (size_t)n * sizeof *src->x);
    if (src->code) memcpy(dst->code + at, src->code, (size_t)n * sizeof *src->code);
}

mill_err features_concat(mill_features **out, const mill_features *a, const mill_features *b)
{
    bool alike = a->n_cols == b->n_cols;

    for (int c = 0; alike && c < a->n_cols; c++) alike = !a->col[c].n_codes == !b->col[c].n_codes;
    if (!alike) return mill_fail(MILL_ESHAPE, "features of two tables do not fit together");

    mill_features *const to = make(a->rows + b->rows, a->n_cols);
    mill_err err = to ? MILL_OK : MILL_ENOMEM;

    for (int c = 0; !err && c < a->n_cols; c++) {
        if ((err = make_col(&to->col[c], &a->col[c], to->rows))) break;
        if (b->col[c].n_codes > to->col[c].n_codes) to->col[c].n_codes = b->col[c].n_codes;
        copy_rows(&to->col[c], &a->col[c], 0, a->rows);
        copy_rows(&to->col[c], &b->col[c], a->rows, b->rows);
    }
    if (err) {
        features_free(to);
        return err;
    }
    *out = to;
    return MILL_OK;
}
