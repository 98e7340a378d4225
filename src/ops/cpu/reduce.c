/* reduce.c - kernels of ops/reduce.c; orders of sums are fixed there. */
#include "ops/cpu/lanes.h"

KERNEL(op_sum_last)
{
    const int64_t n = mill_cols(c->src_shape[0]);
    const real *x = (const real *)c->src[0] + c->begin * n;
    real *y = c->out;

    for (int64_t i = c->begin; i < c->end; i++, x += n) y[i] = row_sum(x, n);
}

KERNEL(op_max_last)
{
    const int64_t n = mill_cols(c->src_shape[0]);
    const real *x = (const real *)c->src[0] + c->begin * n;
    real *y = c->out;

    for (int64_t i = c->begin; i < c->end; i++, x += n) y[i] = row_max(x, n);
}

KERNEL(op_max_last_grad)
{
    const int64_t n = mill_cols(&c->node->shape);
    const real *dy = c->src[0];
    const real *x = (const real *)c->src[1] + c->begin * n;
    real *dx = (real *)c->out + c->begin * n;

    for (int64_t i = c->begin; i < c->end; i++, x += n, dx += n) {
        int64_t best = 0;
        for (int64_t j = 1; j < n; j++) best = x[j] > x[best] ? j : best;
        row_fill(dx, 0, n);
        dx[best] = dy[i];
    }
}

/* (A, R, B) -> (A, B) */
KERNEL(op_sum_mid)
{
    const int64_t R = c->src_shape[0]->dim[1], B = c->src_shape[0]->dim[2];

    for (int64_t i = c->begin; i < c->end; i++) {
        const real *x = (const real *)c->src[0] + i * R * B;
        real *y = (real *)c->out + i * B;
        row_copy(y, x, B);
        for (int64_t r = 1; r < R; r++) row_add(y, x + r * B, B);
    }
}

KERNEL(op_tile_sum)
{
    const int64_t n = mill_cols(c->src_shape[0]);
    const int64_t tile = c->begin / mill_grain(mill_rows(c->src_shape[0]));
    const real *x = c->src[0];
    real *y = (real *)c->out + tile * n;

    BLOCKS(j, w, n)
    {
        lanes sum = l_set(0);
        for (int64_t i = c->begin; i < c->end; i++) sum = l_add(sum, l_take(x + i * n + j, w, 0));
        l_put(y + j, sum, w);
    }
}

KERNEL(op_tile_total)
{
    const int64_t n = mill_cols(c->src_shape[0]);
    const int64_t tile = c->begin / mill_grain(mill_rows(c->src_shape[0]));
    const real *x = (const real *)c->src[0] + c->begin * n;

    ((real *)c->out)[tile] = row_sum(x, (c->end - c->begin) * n);
}

/* Units are columns. */
KERNEL(op_tile_finish)
{
    const int64_t tiles = c->src_shape[0]->dim[0], n = mill_elems(&c->node->shape);
    const int64_t width = c->end - c->begin;
    const real *p = (const real *)c->src[0] + c->begin;
    real *y = (real *)c->out + c->begin;

    BLOCKS(j, w, width)
    {
        lanes sum = l_take(p + j, w, 0);
        for (int64_t t = 1; t < tiles; t++) sum = l_add(sum, l_take(p + t * n + j, w, 0));
        l_put(y + j, sum, w);
    }
}
