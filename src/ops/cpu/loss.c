/* loss.c - kernels of ops/loss.c. */
#include "ops/cpu/softmax.h"

KERNEL(op_cross_entropy)
{
    const int64_t n = mill_cols(c->src_shape[0]);
    const real e = attr_real(c, 0);
    const int32_t *target = c->src[1];
    real *y = c->out;

    for (int64_t i = c->begin; i < c->end; i++) {
        const real *x = (const real *)c->src[0] + i * n;
        const int32_t t = target[i];
        y[i] = 0;
        if (t < 0 || t >= n) continue;
        const real lse = row_lse(x, n);
        y[i] = (K(1) - e) * (lse - x[t]);
        if (e > 0) y[i] += e * (lse - row_sum(x, n) / (real)n);
    }
}

/* dx may be x. */
KERNEL(op_cross_entropy_grad)
{
    const int64_t n = mill_cols(&c->node->shape);
    const real e = attr_real(c, 0), *dy = c->src[0];
    const int32_t *target = c->src[2];

    for (int64_t i = c->begin; i < c->end; i++) {
        real *dx = (real *)c->out + i * n;
        const int32_t t = target[i];
        if (t < 0 || t >= n) {
            row_fill(dx, 0, n);
            continue;
        }
        row_ce_grad(dx, (const real *)c->src[1] + i * n, n, t, dy[i], K(1) - e,
                    -dy[i] * e / (real)n);
    }
}
