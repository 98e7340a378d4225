/* order.h - the order of numbers, and quantiles of ordered ones. */
#ifndef MILL_LEARN_ORDER_H
#define MILL_LEARN_ORDER_H

#include "base/err.h"
#include <stdint.h>

/* x[order[0]] <= x[order[1]] <= ...; equal numbers (0 and -0 too) keep their order; no NaN among
 * them. */
mill_err order_f64(int64_t *order, const double *x, int64_t n);

/* The q-quantile of sorted x, linear between neighbours (NumPy's default); NaN if n is 0. */
double sorted_quantile(const double *x, int64_t n, double q);

#endif
