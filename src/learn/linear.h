/*
 * linear.h - ridge regression: minimise |y - X w - b|^2 + alpha |w|^2, as scikit-learn's Ridge.
 */
#ifndef MILL_LEARN_LINEAR_H
#define MILL_LEARN_LINEAR_H

#include "base/pool.h"
#include "learn/features.h"

typedef struct mill_ridge mill_ridge;

/* y: (rows).  MILL_EINPUT without rows, or for alpha below 0. */
mill_err ridge_fit(mill_ridge **out, const design_rows *x, const double *y, double alpha,
                   mill_pool *pool);
/* guess: (rows).  MILL_ESHAPE if x has another width. */
mill_err ridge_predict(double *guess, const mill_ridge *m, const design_rows *x, mill_pool *pool);
void ridge_free(mill_ridge *m);
const double *ridge_weights(const mill_ridge *m); /* (width + 1), the intercept last */

#endif
