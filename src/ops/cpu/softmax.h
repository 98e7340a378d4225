/* softmax.h - softmax of one row or span, in level files; formulas in ops/softmax.c. */
#ifndef MILL_OPS_CPU_SOFTMAX_H
#define MILL_OPS_CPU_SOFTMAX_H

#include "ops/cpu/lanes.h"

/* y = exp(scale (x - max)); returns the sum.  y may be x. */
INLINE real row_exp(real *y, const real *x, int64_t n, real scale)
{
    const lanes s = l_set(scale);
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

/* softmax(scale (x + noise)); noise may be NULL, y may be x.  A short row is stored once: to load
 * again what a masked store has just written costs more than all the rest. */
INLINE void row_softmax(real *y, const real *x, const real *noise, int64_t n, real scale)
{
    if (n <= 16) {
        lanes v = l_take(x, n, -K(INFINITY));
        if (noise) v = l_add(v, l_take(noise, n, 0));
        const lanes e = l_exp(l_mul(l_set(scale), l_sub(v, l_set(l_hmax(v)))));
        l_put(y, l_mul(e, l_set(K(1) / l_sum(e))), n);
        return;
    }
    if (noise) {
        BLOCKS(j, w, n) l_put(y + j, l_add(l_take(x + j, w, 0), l_take(noise + j, w, 0)), w);
        x = y;
    }
    const lanes inverse = l_set(K(1) / row_exp(y, x, n, scale));
    BLOCKS(j, w, n) l_put(y + j, l_mul(l_take(y + j, w, 0), inverse), w);
}

/* dx = dy (softmax(x) - share [j = t]) + even; dx may be x. */
INLINE void row_ce_grad(real *dx, const real *x, int64_t n, int64_t t, real dy, real share,
                        real even)
{
    const lanes rest = l_set(even);
    if (n <= 16) {
        const lanes v = l_take(x, n, -K(INFINITY));
        const lanes e = l_exp(l_sub(v, l_set(l_hmax(v))));
        l_put(dx, l_add_at(l_fma(e, l_set(dy / l_sum(e)), rest), t, -dy * share), n);
        return;
    }
    const lanes factor = l_set(dy / row_exp(dx, x, n, 1));
    BLOCKS(j, w, n)
    {
        const lanes d = l_fma(l_take(dx + j, w, 0), factor, rest);
        l_put(dx + j, l_add_at(d, t - j, -dy * share), w);
    }
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
