/*
 * layer_norm.c - normalisation of each row (Ba, Kiros and Hinton 2016).
 *
 *     y = (x - mean) r gamma + beta,   r = 1 / sqrt(var + eps), mean and var over the row
 *     h = dy gamma,  xhat = (x - mean) r:   dx = r (h - mean(h) - xhat mean(h xhat))
 *     dbeta = sum_i dy,   dgamma = sum_i dy xhat
 *
 * x: (.., c); gamma, beta: (c), both or none.  The variance is taken around the mean, in two
 * passes.  Nothing but x is kept: mean and r are computed again.  The gradient has no gradient.
 */
#include "ops/inner.h"

static mill_err shape_norm(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                           const mill_node *node)
{
    TRY(ops_check_dtypes(g, node, 0));
    WANT(g, node, src_shape(g, node, 0)->rank >= 1, "a scalar has no last dimension");
    for (int i = 1; i < node->n_src; i++)
        WANT(g, node, mill_cols(src_shape(g, node, i)) == mill_cols(src_shape(g, node, 0)),
             "as many columns everywhere");
    return shape_like_src0(out, dtype, g, node);
}

static mill_err shape_sums(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                           const mill_node *node)
{
    const mill_shape *x = src_shape(g, node, 1);
    *out = SHAPE(ops_tiles(mill_rows(x)), 2, mill_cols(x));
    *dtype = MILL_T_REAL;
    return MILL_OK;
}

DECLARE_KERNELS(op_layer_norm_grad_tiles);
static const mill_op op_layer_norm_grad_tiles = {
    .name = "layer_norm_grad_tiles",
    .n_src = 2, /* dy, x */
    .rowwise = ROW_SRC(0) | ROW_SRC(1),
    .shape = shape_sums,
    .split = ops_split_src0,
    .run = KERNELS(op_layer_norm_grad_tiles),
};

DECLARE_KERNELS(op_layer_norm_grad);
static const mill_op op_layer_norm_grad = {
    .name = "layer_norm_grad",
    .n_src = 2, /* dy, x, gamma? */
    .alias = ALIAS_SRC(0) | ALIAS_SRC(1),
    .rowwise = ROW_SRC(0) | ROW_SRC(1),
    .shape = shape_norm,
    .run = KERNELS(op_layer_norm_grad),
};

static void layer_norm_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    const mill_attr *attr = &mill_get(g, y)->attr;
    const mill_ref x = mill_src(g, y, 0), gamma = mill_src(g, y, 1);
    const int64_t c = mill_cols(mill_shape_of(g, x));

    if (!gamma) {
        dsrc[0] = MILL_APPLY(g, &op_layer_norm_grad, attr, dy, x);
        return;
    }
    const mill_ref tiles = MILL_APPLY(g, &op_layer_norm_grad_tiles, attr, dy, x);
    const mill_ref sums = ops_tile_finish(g, tiles);
    dsrc[0] = MILL_APPLY(g, &op_layer_norm_grad, attr, dy, x, gamma);
    dsrc[1] = mill_reshape(g, mill_slice(g, sums, 1, 1, 2), SHAPE(c));
    dsrc[2] = mill_reshape(g, mill_slice(g, sums, 1, 0, 1), SHAPE(c));
}

DECLARE_KERNELS(op_layer_norm);
static const mill_op op_layer_norm = {
    .name = "layer_norm",
    .n_src = 1, /* x, gamma?, beta? */
    .keep = KEEP_SRC(0) | KEEP_SRC(1),
    .alias = ALIAS_SRC(0),
    .rowwise = ROW_SRC(0),
    .shape = shape_norm,
    .vjp = layer_norm_vjp,
    .run = KERNELS(op_layer_norm),
};

mill_ref mill_layer_norm(mill_graph *g, mill_ref x, mill_ref gamma, mill_ref beta, double eps)
{
    const mill_attr attr = {.f = {eps}};
    if (!gamma != !beta) return mill_poison(g, MILL_ESHAPE, "layer_norm: gamma without beta");
    if (!gamma) return MILL_APPLY(g, &op_layer_norm, &attr, x);
    return MILL_APPLY(g, &op_layer_norm, &attr, x, gamma, beta);
}
