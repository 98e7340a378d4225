/*
 * bins.h - features cut at their quantiles into at most 255 bins; for boost.c.
 *
 * Up to `most` different values: a cut half-way between neighbours. More: cuts at the quantiles i /
 * most, each the mean of the two values around it, equal ones once (scikit-learn's rule).  Above
 * 200,000 rows the quantiles are those of every k-th row.  Missing values have bin MISSING_BIN,
 * always.
 */
#ifndef MILL_LEARN_BINS_H
#define MILL_LEARN_BINS_H

#include "base/pool.h"
#include "learn/features.h"

enum { MISSING_BIN = 255, MAX_BINS = 255 };

typedef struct {
    bool is_code;
    int n_bins;  /* without the one for missing */
    double *cut; /* (n_bins - 1): bin b holds cut[b - 1] < x <= cut[b] */
} bin_col;

typedef struct {
    int n_cols;
    bin_col *col;
} bin_map;

mill_err bins_fit(bin_map **out, const mill_features *x, int most, mill_pool *pool);
/* bin: (n_cols, rows), a column after the other. */
mill_err bins_apply(uint8_t *bin, const bin_map *m, const mill_features *x, mill_pool *pool);
void bins_free(bin_map *m);

#endif
