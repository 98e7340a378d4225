/* bins.c - cuts at quantiles, and values to bins; see bins.h. */
#include "learn/bins.h"

#include "base/mem.h"
#include "base/sort.h"

#include <math.h>
#include <stdatomic.h>

enum { QUANTILE_ROWS = 200000 };

void bins_free(bin_map *m)
{
    if (!m) return;
    for (int c = 0; m->col && c < m->n_cols; c++) mill_free(m->col[c].cut);
    mill_free(m->col);
    mill_free(m);
}

/* Present values of the chosen rows; their number. */
static int64_t gather(double *x, const feature_col *c, int64_t rows, int64_t chosen)
{
    int64_t n = 0;

    for (int64_t i = 0; i < chosen; i++) {
        const double v = feature_f64(
            c, chosen == rows ? i : (int64_t)((double)i * (double)rows / (double)chosen));
        if (!isnan(v)) x[n++] = v;
    }
    return n;
}

static double middle(double a, double b)
{
    return a + (b - a) / 2; /* the sum could overflow */
}

/* cut (most): filled from sorted x (n); returns how many. */
static int cuts_of(double *cut, const double *x, int64_t n, int most)
{
    int n_cuts = 0;

    for (int64_t i = 1; i < n && n_cuts < most; i++)
        if (x[i] > x[i - 1]) cut[n_cuts++] = middle(x[i - 1], x[i]);
    if (n_cuts < most) return n_cuts;

    n_cuts = 0;
    for (int k = 1; k < most; k++) {
        const double at = (double)k / most * (double)(n - 1);
        const double c = middle(x[(int64_t)floor(at)], x[(int64_t)ceil(at)]);
        if (!n_cuts || c > cut[n_cuts - 1]) cut[n_cuts++] = c;
    }
    return n_cuts;
}

typedef struct {
    bin_map *map;       /* being fitted */
    const bin_map *use; /* being applied */
    const mill_features *x;
    int most;
    uint8_t *bin;
    atomic_bool failed;
} job;

static void fit_col(void *ctx, int64_t c, int thread)
{
    job *const j = ctx;
    bin_col *to = &j->map->col[c];
    const int64_t rows = j->x->rows, chosen = rows > QUANTILE_ROWS ? QUANTILE_ROWS : rows;
    double *const x = mill_alloc((size_t)chosen, sizeof *x);

    (void)thread;
    to->is_code = j->x->col[c].n_codes > 0;
    to->cut = mill_alloc((size_t)j->most, sizeof *to->cut);
    if (!x || !to->cut) {
        j->failed = true;
        mill_free(x);
        return;
    }
    const int64_t n = gather(x, &j->x->col[c], rows, chosen);
    if (sort_f64(x, n))
        j->failed = true;
    else
        to->n_bins = 1 + cuts_of(to->cut, x, n, j->most);
    mill_free(x);
}

mill_err bins_fit(bin_map **out, const mill_features *x, int most, mill_pool *pool)
{
    bin_map *const m = mill_alloc(1, sizeof *m);
    job j = {.map = m, .x = x, .most = most};

    if (!m) return MILL_ENOMEM;
    m->n_cols = x->n_cols;
    m->col = mill_alloc((size_t)x->n_cols, sizeof *m->col);
    if (m->col) mill_pool_run(pool, x->n_cols, fit_col, &j);
    if (!m->col || j.failed) {
        bins_free(m);
        return mill_fail(MILL_ENOMEM, "out of memory while cutting %d columns into bins",
                         x->n_cols);
    }
    *out = m;
    return MILL_OK;
}

/* The first bin whose cut is not below v. */
static uint8_t bin_of(const bin_col *c, double v)
{
    int at = 0, n = c->n_bins - 1;

    if (isnan(v)) return MISSING_BIN;
    while (n > 0) {
        const int half = n / 2;
        const bool right = c->cut[at + half] < v;
        at = right ? at + half + 1 : at;
        n = right ? n - half - 1 : half;
    }
    return (uint8_t)at;
}

static void apply_col(void *ctx, int64_t c, int thread)
{
    job *const j = ctx;
    const feature_col *src = &j->x->col[c];
    const bin_col *col = &j->use->col[c];
    uint8_t *bin = j->bin + c * j->x->rows;

    (void)thread;
    for (int64_t i = 0; i < j->x->rows; i++) bin[i] = bin_of(col, feature_f64(src, i));
}

/* NOLINTNEXTLINE(readability-non-const-parameter): written through the job */
mill_err bins_apply(uint8_t *bin, const bin_map *m, const mill_features *x, mill_pool *pool)
{
    bool alike = m->n_cols == x->n_cols;

    for (int c = 0; alike && c < x->n_cols; c++)
        alike = m->col[c].is_code == (x->col[c].n_codes > 0);
    if (!alike)
        return mill_fail(MILL_ESHAPE, "features are not those that the model was fitted on");

    job j = {.use = m, .x = x, .bin = bin};
    mill_pool_run(pool, x->n_cols, apply_col, &j);
    return MILL_OK;
}
