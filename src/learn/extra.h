/*
 * extra.h - extremely randomised trees (Geurts, Ernst and Wehenkel, Machine Learning 63, 2006), as
 * scikit-learn's.
 *
 * Each node tries `max_features` features (drawn without replacement; constant ones do not count),
 * each at one threshold drawn uniformly between its least and largest value there, and takes the
 * one that lowers the squared error most, summed over the m outputs.  For one-hot outputs that is
 * the Gini criterion, so the same trees classify: outputs are class shares. Trees are grown
 * independently, tree t from Philox stream `stream + t`: the same bits for any number of threads.
 */
#ifndef MILL_LEARN_EXTRA_H
#define MILL_LEARN_EXTRA_H

#include "base/pool.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct mill_extra mill_extra;

typedef struct {
    int trees;
    int max_depth;    /* 0: until nothing can be split */
    int max_features; /* 0: all; EXTRA_SQRT: the root of their number, at least one */
    int min_split_rows, min_leaf_rows;
    bool bootstrap; /* each tree sees n rows drawn with replacement */
    uint64_t seed;
    uint32_t stream;
} extra_options;

#define EXTRA_SQRT     (-1)
#define EXTRA_DEFAULTS ((extra_options){.trees = 100, .min_split_rows = 2, .min_leaf_rows = 1})

/*
 * x: (n, c) without NaN, y: (n, m).  oob: NULL, or (n, m): the mean over trees which did not see
 * the row, NaN where all did; needs bootstrap.  MILL_EINPUT for NaN or options out of range.
 */
mill_err extra_fit(mill_extra **out, float *oob, const float *x, const float *y,
                   const int64_t dim[3], const extra_options *o,
                   mill_pool *pool); /* dim: n, c, m */
mill_err extra_predict(float *y, const mill_extra *m, const float *x, int64_t n, mill_pool *pool);
void extra_free(mill_extra *m);

#endif
