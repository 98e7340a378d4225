/*
 * logistic.h - logistic regression with an L2 penalty.
 *
 *     minimise  sum_i -log p(y_i | x_i) + |w|^2 / (2 C)
 *
 * with p = sigmoid(x w + b), or softmax for more than two classes, as scikit-learn's
 * LogisticRegression (the intercept is free; with k > 2 classes there are k weight vectors), but
 * to convergence.  The same bits for any number of threads.
 */
#ifndef MILL_LEARN_LOGISTIC_H
#define MILL_LEARN_LOGISTIC_H

#include "base/pool.h"
#include "learn/features.h"

typedef struct mill_logistic mill_logistic;

typedef struct {
    double c;           /* inverse strength of the penalty */
    int max_iterations; /* Newton steps */
    double tolerance;   /* stop when a step promises less than this share of the loss */
} logistic_options;

#define LOGISTIC_DEFAULTS ((logistic_options){.c = 1, .max_iterations = 100, .tolerance = 1e-10})

/* label: (rows), 0..n_classes-1, n_classes >= 2.  Classes without rows get a small probability.
 * MILL_EINPUT without rows, with one class, or unless c > 0. */
mill_err logistic_fit(mill_logistic **out, const design_rows *x, const int32_t *label,
                      int n_classes, const logistic_options *o, mill_pool *pool);
/* p: (rows, n_classes). MILL_ESHAPE if x has another width. */
mill_err logistic_predict(double *p, const mill_logistic *m, const design_rows *x, mill_pool *pool);
void logistic_free(mill_logistic *m);

/* Weights, (width + 1, k), the intercept last; k is 1 for two classes. Indicator j counts unit[j].
 */
const double *logistic_weights(const mill_logistic *m);

#endif
