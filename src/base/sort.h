/* sort.h - numbers in order: radix sort, the same result on any machine, linear in n. */
#ifndef MILL_BASE_SORT_H
#define MILL_BASE_SORT_H

#include "base/err.h"
#include <stdint.h>

/* Sort n doubles ascending (-0 before +0, no NaN among them).  MILL_ENOMEM leaves x as it was. */
mill_err sort_f64(double *x, int64_t n);
mill_err sort_i64(int64_t *x, int64_t n);

#endif
