/* softmax.h - softmax of one row or span, in level files; formulas in ops/softmax.c. */
#ifndef MILL_OPS_CPU_SOFTMAX_H
#define MILL_OPS_CPU_SOFTMAX_H

#include "ops/cpu/lanes.h"

/* y = exp(scale (x - max)); returns the sum.  y may be x. */
INLINE real row_exp(real *y, const real *x, int64_t n, real scale)
{
    const lanes s = l_set(scale);
    if (n <= 16) { /* a span of categories: all in a register */
        const lanes v = l_take(x, n, -K(INFINITY));
        const lanes e = l_exp(l_mul(s, l_sub(v, l_set(l_hmax(v)))));
        l_put(y, e, n);
        return l_sum(e);
    }
    const lanes max = l_set(row_max(x, n));
    lanes sum = l_set(0);
    BLOCKS(j, w, n)
    {
        const lanes e = l_exp(l_mul(s, l_sub(l_take(x + j, w, -K(INFINITY)), max)));
        sum = l_add(sum, e);
        l_put(y + j, e, w);
    }
    return l_sum(sum);
}

INLINE void row_softmax(real *y, const real *x, int64_t n, real scale)
{
    const lanes inverse = l_set(K(1) / row_exp(y, x, n, scale));
    BLOCKS(j, w, n) l_put(y + j, l_mul(l_take(y + j, w, 0), inverse), w);
}

/* log sum exp */
INLINE real row_lse(const real *x, int64_t n)
{
    const real max = row_max(x, n);
    const lanes m = l_set(max);
    lanes sum = l_set(0);
    BLOCKS(j, w, n) sum = l_add(sum, l_exp(l_sub(l_take(x + j, w, -K(INFINITY)), m)));
    return max + mr_log(l_sum(sum));
}

INLINE void row_log_softmax(real *y, const real *x, int64_t n)
{
    const lanes lse = l_set(row_lse(x, n));
    BLOCKS(j, w, n) l_put(y + j, l_sub(l_take(x + j, w, 0), lse), w);
}

INLINE void row_softmax_grad(real *dx, const real *dy, const real *y, int64_t n, real scale)
{
    const lanes dot = l_set(row_dot(dy, y, n)), s = l_set(scale);
    BLOCKS(j, w, n)
    {
        const lanes left = l_mul(s, l_sub(l_take(dy + j, w, 0), dot));
        l_put(dx + j, l_mul(l_take(y + j, w, 0), left), w);
    }
}

INLINE void row_log_softmax_grad(real *dx, const real *dy, const real *y, int64_t n)
{
    const lanes total = l_set(-row_sum(dy, n));
    BLOCKS(j, w, n)
    {
        const lanes p = l_exp(l_take(y + j, w, 0));
        l_put(dx + j, l_fma(p, total, l_take(dy + j, w, 0)), w);
    }
}

#endif
