/*
 * design.c - features as rows of a linear model, one-hot without the zeros; see features.h.
 *
 * Scaler (as scikit-learn's RobustScaler): x -> (x - median) / (q75 - q25), quantiles linear
 * between neighbours over the imputed column, a width below 10 eps counted as 1.  An indicator goes
 * through the same scaler. Its median only moves the intercept, which is free, and is left out; its
 * width is taken from the count of ones: sorted, the column is zeros and then ones.
 */
#include "base/mem.h"
#include "base/sort.h"
#include "learn/features.h"
#include "learn/order.h"

#include <math.h>
#include <string.h>

typedef struct {
    bool is_code;
    double mean, median, width; /* numbers */
    int32_t n_codes;
    int32_t *slot; /* (n_codes + 1) codes', then missing's; -1 where there were none */
} design_col;

struct mill_design {
    int n_cols, n_num, n_cat, width;
    design_col *col;
    double *unit;
};

void design_free(mill_design *d)
{
    if (!d) return;
    for (int c = 0; d->col && c < d->n_cols; c++) mill_free(d->col[c].slot);
    mill_free(d->col);
    mill_free(d->unit);
    mill_free(d);
}

static double safe_width(double w)
{
    return w > 10 * 0x1p-52 ? w : 1; /* also where nothing is there */
}

/* q75 - q25 of n0 zeros followed by n - n0 ones. */
static double indicator_width(int64_t ones, int64_t n)
{
    double q[2];

    for (int k = 0; k < 2; k++) {
        const double at = (k ? 0.75 : 0.25) * (double)(n - 1), below = floor(at);
        const int64_t i = (int64_t)below, j = i + 1 < n ? i + 1 : i;
        const double a = i >= n - ones, b = j >= n - ones;
        q[k] = a + (at - below) * (b - a);
    }
    return safe_width(q[1] - q[0]);
}

static mill_err fit_numbers(design_col *d, const feature_col *c, int64_t n)
{
    double *const sorted = mill_alloc((size_t)n, sizeof *sorted);
    double sum = 0;
    int64_t present = 0;

    if (!sorted) return MILL_ENOMEM;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(c->x[i])) continue;
        sum += c->x[i];
        present++;
    }
    d->mean = present ? sum / (double)present : 0;
    for (int64_t i = 0; i < n; i++) sorted[i] = isnan(c->x[i]) ? d->mean : c->x[i];

    const mill_err err = sort_f64(sorted, n);

    d->median = n ? sorted_quantile(sorted, n, 0.5) : 0;
    d->width =
        n ? safe_width(sorted_quantile(sorted, n, 0.75) - sorted_quantile(sorted, n, 0.25)) : 1;
    mill_free(sorted);
    return err;
}

/* Slots for the codes that occur, from d->width on; units behind those of earlier columns. */
static mill_err fit_codes(mill_design *d, design_col *to, const feature_col *c, int64_t n)
{
    int64_t *const count = mill_alloc((size_t)c->n_codes + 1, sizeof *count);

    to->is_code = true;
    to->n_codes = c->n_codes;
    to->slot = mill_alloc((size_t)c->n_codes + 1, sizeof *to->slot);
    double *const unit =
        mill_realloc(d->unit, (size_t)d->width + (size_t)c->n_codes + 1, sizeof *unit);
    if (unit) d->unit = unit;
    if (!count || !to->slot || !unit) {
        mill_free(count);
        return MILL_ENOMEM;
    }
    for (int64_t i = 0; i < n; i++) count[c->code[i] < 0 ? c->n_codes : c->code[i]]++;
    for (int32_t v = 0; v <= c->n_codes; v++) {
        to->slot[v] = count[v] ? d->width : -1;
        if (count[v]) unit[d->width++] = 1 / indicator_width(count[v], n);
    }
    mill_free(count);
    return MILL_OK;
}

mill_err design_fit(mill_design **out, const mill_features *x)
{
    mill_design *const d = mill_alloc(1, sizeof *d);
    mill_err err = MILL_OK;

    if (!d) return MILL_ENOMEM;
    d->n_cols = x->n_cols;
    d->col = mill_alloc((size_t)x->n_cols + 1, sizeof *d->col);
    for (int c = 0; c < x->n_cols; c++) d->n_num += x->col[c].n_codes == 0;
    d->n_cat = x->n_cols - d->n_num;
    d->width = d->n_num;
    d->unit = mill_alloc((size_t)d->n_num + 1, sizeof *d->unit);
    if (!d->col || !d->unit) err = MILL_ENOMEM;
    for (int j = 0; !err && j < d->n_num; j++) d->unit[j] = 1;
    for (int c = 0; !err && c < x->n_cols; c++) {
        if (x->col[c].n_codes)
            err = fit_codes(d, &d->col[c], &x->col[c], x->rows);
        else
            err = fit_numbers(&d->col[c], &x->col[c], x->rows);
    }
    if (err) {
        design_free(d);
        return err;
    }
    *out = d;
    return MILL_OK;
}

void design_rows_free(design_rows *r)
{
    if (!r) return;
    mill_free(r->num);
    mill_free(r->slot);
    mill_free(r->unit);
    mill_free(r);
}

static void apply_numbers(double *num, int n_num, const design_col *d, const feature_col *c,
                          int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const double v = isnan(c->x[i]) ? d->mean : c->x[i];
        num[i * n_num] = (v - d->median) / d->width;
    }
}

static void apply_codes(int32_t *slot, int n_cat, const design_col *d, const feature_col *c,
                        int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const int32_t v = c->code[i];
        slot[i * n_cat] = v < 0 ? d->slot[d->n_codes] : v < d->n_codes ? d->slot[v] : -1;
    }
}

mill_err design_apply(design_rows **out, const mill_design *d, const mill_features *x)
{
    bool alike = d->n_cols == x->n_cols;

    for (int c = 0; alike && c < x->n_cols; c++)
        alike = d->col[c].is_code == (x->col[c].n_codes > 0);
    if (!alike)
        return mill_fail(MILL_ESHAPE, "features are not those that the model was fitted on");

    design_rows *const r = mill_alloc(1, sizeof *r);

    if (!r) return MILL_ENOMEM;
    r->rows = x->rows;
    r->n_num = d->n_num;
    r->n_cat = d->n_cat;
    r->width = d->width;
    r->num = mill_alloc((size_t)x->rows * (size_t)d->n_num + 1, sizeof *r->num);
    r->slot = mill_alloc((size_t)x->rows * (size_t)d->n_cat + 1, sizeof *r->slot);
    r->unit = mill_alloc((size_t)d->width + 1, sizeof *r->unit);
    if (!r->num || !r->slot || !r->unit) {
        design_rows_free(r);
        return MILL_ENOMEM;
    }
    memcpy(r->unit, d->unit, (size_t)d->width * sizeof *r->unit);
    for (int c = 0, num = 0, cat = 0; c < x->n_cols; c++) {
        if (d->col[c].is_code)
            apply_codes(r->slot + cat++, d->n_cat, &d->col[c], &x->col[c], x->rows);
        else
            apply_numbers(r->num + num++, d->n_num, &d->col[c], &x->col[c], x->rows);
    }
    *out = r;
    return MILL_OK;
}
