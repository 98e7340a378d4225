/* norm.c - kernels of ops/batch_norm.c (columns) and ops/layer_norm.c (rows). */
#include "ops/cpu/lanes.h"

/* ---- batch norm: a block of columns at a time, down the rows of the tile ---- */

KERNEL(op_bn_tiles)
{
    const int64_t n = mill_cols(c->src_shape[0]), rows = c->end - c->begin;
    const int64_t tile = c->begin / mill_grain(mill_rows(c->src_shape[0]));
    const real *x = (const real *)c->src[0] + c->begin * n;
    real *mean = (real *)c->out + tile * 2 * n, *m2 = mean + n;
    const lanes inverse = l_set(K(1) / (real)rows);

    BLOCKS(j, w, n)
    {
        lanes sum = l_set(0), squares = l_set(0);
        for (int64_t i = 0; i < rows; i++) sum = l_add(sum, l_take(x + i * n + j, w, 0));
        const lanes middle = l_mul(sum, inverse);
        for (int64_t i = 0; i < rows; i++) {
            const lanes d = l_sub(l_take(x + i * n + j, w, 0), middle);
            squares = l_fma(d, d, squares);
        }
        l_put(mean + j, middle, w);
        l_put(m2 + j, squares, w);
    }
}

/* tiles (T, 2, c) -> mean, 1 / sqrt(var + eps), unbiased variance.  Units are columns: all. */
KERNEL(op_bn_stats)
{
    const int64_t tiles = c->src_shape[0]->dim[0], n = mill_cols(&c->node->shape);
    const int64_t rows = c->node->attr.i[0], grain = mill_grain(rows);
    const real *p = c->src[0];
    real *out = c->out;

    BLOCKS(j, w, n)
    {
        lanes mean = l_take(p + j, w, 0), m2 = l_take(p + n + j, w, 0);
        for (int64_t t = 1; t < tiles; t++) {
            const real before = (real)(t * grain);
            const real own = (real)(rows - t * grain < grain ? rows - t * grain : grain);
            const real all = before + own;
            const lanes delta = l_sub(l_take(p + 2 * t * n + j, w, 0), mean);
            m2 = l_add(m2, l_take(p + (2 * t + 1) * n + j, w, 0));
            m2 = l_fma(l_mul(delta, delta), l_set(before * own / all), m2);
            mean = l_fma(delta, l_set(own / all), mean);
        }
        const lanes var = l_mul(m2, l_set(K(1) / (real)rows));
        const lanes root = l_sqrt(l_add(var, l_set(attr_real(c, 0))));
        l_put(out + j, mean, w);
        l_put(out + n + j, l_div(l_set(1), root), w);
        l_put(out + 2 * n + j, l_mul(m2, l_set(K(1) / (real)(rows - 1))), w);
    }
}

KERNEL(op_bn_frozen)
{
    const int64_t n = mill_cols(&c->node->shape);
    const real *mean = c->src[0], *var = c->src[1];
    real *out = c->out;

    BLOCKS(j, w, n)
    {
        const lanes v = l_take(var + j, w, 1);
        l_put(out + j, l_take(mean + j, w, 0), w);
        l_put(out + n + j, l_div(l_set(1), l_sqrt(l_add(v, l_set(attr_real(c, 0))))), w);
        l_put(out + 2 * n + j, v, w);
    }
}

KERNEL(op_bn_apply)
{
    const int64_t n = mill_cols(&c->node->shape);
    const bool affine = c->node->n_src == 4;
    const real *stats = c->src[1];
    const real *gamma = c->src[2], *beta = c->src[3];

    BLOCKS(j, w, n)
    {
        const lanes mean = l_take(stats + j, w, 0), r = l_take(stats + n + j, w, 0);
        const lanes a = affine ? l_mul(r, l_take(gamma + j, w, 0)) : r;
        const lanes b = affine ? l_take(beta + j, w, 0) : l_set(0);
        for (int64_t i = c->begin; i < c->end; i++) {
            const real *x = (const real *)c->src[0] + i * n + j;
            l_put((real *)c->out + i * n + j, l_fma(l_sub(l_take(x, w, 0), mean), a, b), w);
        }
    }
}

/* (T, 2, c): sums of dy and of dy xhat */
KERNEL(op_bn_grad_tiles)
{
    const int64_t n = mill_cols(c->src_shape[0]);
    const int64_t tile = c->begin / mill_grain(mill_rows(c->src_shape[0]));
    const real *dy = c->src[0], *x = c->src[1], *stats = c->src[2];
    real *out = (real *)c->out + tile * 2 * n;

    BLOCKS(j, w, n)
    {
        const lanes mean = l_take(stats + j, w, 0);
        lanes sum = l_set(0), product = l_set(0);
        for (int64_t i = c->begin; i < c->end; i++) {
            const lanes d = l_take(dy + i * n + j, w, 0);
            sum = l_add(sum, d);
            product = l_fma(d, l_sub(l_take(x + i * n + j, w, 0), mean), product);
        }
        l_put(out + j, sum, w);
        l_put(out + n + j, l_mul(product, l_take(stats + n + j, w, 0)), w);
    }
}

KERNEL(op_bn_grad)
{
    const int64_t n = mill_cols(&c->node->shape);
    const bool train = c->node->attr.i[0], affine = c->node->n_src == 5;
    const real *dy = c->src[0], *x = c->src[1], *stats = c->src[2], *sums = c->src[3];
    const real *gamma = c->src[4];
    const lanes inverse = l_set(K(-1) / (real)mill_rows(&c->node->shape));
    real *dx = c->out;

    BLOCKS(j, w, n)
    {
        const lanes mean = l_take(stats + j, w, 0), r = l_take(stats + n + j, w, 0);
        const lanes a = affine ? l_mul(r, l_take(gamma + j, w, 0)) : r;
        const lanes shift = l_mul(l_take(sums + j, w, 0), inverse);
        const lanes slope = l_mul(l_mul(l_take(sums + n + j, w, 0), inverse), r);
        for (int64_t i = c->begin; i < c->end; i++) {
            lanes d = l_take(dy + i * n + j, w, 0);
            if (train) {
                const lanes away = l_sub(l_take(x + i * n + j, w, 0), mean);
                d = l_add(l_fma(away, slope, shift), d);
            }
            l_put(dx + i * n + j, l_mul(a, d), w);
        }
    }
}

/* ---- layer norm ---- */

INLINE void row_moments(real *mean, real *r, const real *x, int64_t n, real eps)
{
    *mean = row_sum(x, n) / (real)n;
    const lanes middle = l_set(*mean);
    lanes squares = l_set(0);
    BLOCKS(j, w, n)
    {
        const lanes d = l_sub(l_take(x + j, w, *mean), middle);
        squares = l_fma(d, d, squares);
    }
    *r = K(1) / mr_sqrt(l_sum(squares) / (real)n + eps);
}

KERNEL(op_layer_norm)
{
    const int64_t n = mill_cols(&c->node->shape);
    const bool affine = c->node->n_src == 3;
    const real *gamma = c->src[1], *beta = c->src[2];

    for (int64_t i = c->begin; i < c->end; i++) {
        const real *x = (const real *)c->src[0] + i * n;
        real *y = (real *)c->out + i * n, mean, r;
        row_moments(&mean, &r, x, n, attr_real(c, 0));
        const lanes m = l_set(mean), factor = l_set(r);
        BLOCKS(j, w, n)
        {
            const lanes d = l_mul(l_sub(l_take(x + j, w, 0), m), factor);
            l_put(y + j, affine ? l_fma(d, l_take(gamma + j, w, 0), l_take(beta + j, w, 0)) : d, w);
        }
    }
}

/* dx may be dy or x: both are read block by block before dx is written there, after the sums. */
KERNEL(op_layer_norm_grad)
{
    const int64_t n = mill_cols(&c->node->shape);
    const bool affine = c->node->n_src == 3;
    const real *gamma = c->src[2];

    for (int64_t i = c->begin; i < c->end; i++) {
        const real *dy = (const real *)c->src[0] + i * n, *x = (const real *)c->src[1] + i * n;
        real *dx = (real *)c->out + i * n, mean, r;
        row_moments(&mean, &r, x, n, attr_real(c, 0));
        const lanes m = l_set(mean), factor = l_set(r);
        lanes sum = l_set(0), product = l_set(0);
        BLOCKS(j, w, n)
        {
            lanes h = l_take(dy + j, w, 0);
            if (affine) h = l_mul(h, l_take(gamma + j, w, 0));
            sum = l_add(sum, h);
            product = l_fma(h, l_mul(l_sub(l_take(x + j, w, mean), m), factor), product);
        }
        const lanes shift = l_set(-l_sum(sum) / (real)n), slope = l_set(-l_sum(product) / (real)n);
        BLOCKS(j, w, n)
        {
            lanes h = l_take(dy + j, w, 0);
            if (affine) h = l_mul(h, l_take(gamma + j, w, 0));
            const lanes xhat = l_mul(l_sub(l_take(x + j, w, 0), m), factor);
            l_put(dx + j, l_mul(factor, l_add(h, l_fma(xhat, slope, shift))), w);
        }
    }
}

KERNEL(op_layer_norm_grad_tiles)
{
    const int64_t n = mill_cols(c->src_shape[1]);
    const int64_t tile = c->begin / mill_grain(mill_rows(c->src_shape[1]));
    real *out = (real *)c->out + tile * 2 * n;

    row_fill(out, 0, 2 * n);
    for (int64_t i = c->begin; i < c->end; i++) {
        const real *dy = (const real *)c->src[0] + i * n, *x = (const real *)c->src[1] + i * n;
        real mean, r;
        row_moments(&mean, &r, x, n, attr_real(c, 0));
        const lanes m = l_set(mean), factor = l_set(r);
        BLOCKS(j, w, n)
        {
            const lanes d = l_take(dy + j, w, 0);
            const lanes xhat = l_mul(l_sub(l_take(x + j, w, 0), m), factor);
            l_put(out + j, l_add(l_take(out + j, w, 0), d), w);
            l_put(out + n + j, l_fma(d, xhat, l_take(out + n + j, w, 0)), w);
        }
    }
}
