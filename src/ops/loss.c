/*
 * loss.c - cross-entropy of rows.
 *
 *     y[i]    = (1 - e) (L - x[t]) + e (L - mean_k x[k])      L = log sum_k exp(x[i,k])
 *     dx[i,k] = dy[i] (softmax(x[i])[k] - (1 - e) [k = t] - e / c)
 *
 * x: (n, c) logits; target: i32 (n) or (n, 1), t = -1 (or outside of 0..c-1): no loss, no gradient;
 * e: label smoothing in [0, 1), as torch.nn.CrossEntropyLoss without reduction.  y: (n, 1).
 */
#include "ops/inner.h"

static mill_err shape_ce(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                         const mill_node *node)
{
    const mill_shape *x = src_shape(g, node, 0);
    TRY(ops_check_dtypes(g, node, 2));
    WANT(g, node, x->rank == 2 && mill_elems(src_shape(g, node, 1)) == x->dim[0],
         "wants logits (n, c) and n targets");
    *out = SHAPE(x->dim[0], 1);
    *dtype = MILL_T_REAL;
    return MILL_OK;
}

DECLARE_KERNELS(op_cross_entropy_grad);
static const mill_op op_cross_entropy_grad = {
    .name = "cross_entropy_grad",
    .n_src = 3, /* dy, x, target */
    .alias = ALIAS_SRC(1),
    .rowwise = ROW_SRC(0) | ROW_SRC(1),
    .shape = ops_shape_like_src1,
    .run = KERNELS(op_cross_entropy_grad),
};

static void cross_entropy_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    dsrc[0] = MILL_APPLY(g, &op_cross_entropy_grad, &mill_get(g, y)->attr, dy, mill_src(g, y, 0),
                         mill_src(g, y, 1));
    dsrc[1] = 0;
}

DECLARE_KERNELS(op_cross_entropy);
static const mill_op op_cross_entropy = {
    .name = "cross_entropy",
    .n_src = 2, /* x, target */
    .keep = KEEP_SRC(0) | KEEP_SRC(1),
    .rowwise = ROW_SRC(0),
    .shape = shape_ce,
    .vjp = cross_entropy_vjp,
    .run = KERNELS(op_cross_entropy),
};

mill_ref mill_cross_entropy(mill_graph *g, mill_ref logits, mill_ref target, double smoothing)
{
    const mill_attr attr = {.f = {smoothing}};
    if (!(smoothing >= 0 && smoothing < 1))
        return mill_poison(g, MILL_ESHAPE, "cross_entropy: smoothing %g is not in [0, 1)",
                           smoothing);
    return MILL_APPLY(g, &op_cross_entropy, &attr, logits, target);
}
