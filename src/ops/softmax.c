/*
 * softmax.c - softmax and its logarithm over the last dimension.
 *
 *     softmax      y[j] = exp(x[j] - m) / s        m = max_k x[k],  s = sum_k exp(x[k] - m)
 *                  dx[j] = y[j] (dy[j] - sum_k dy[k] y[k])
 *     log_softmax  y[j] = x[j] - m - log s
 *                  dx[j] = dy[j] - exp(y[j]) sum_k dy[k]
 *
 * x, y: (.., c).  Taking out the maximum leaves every exponent at or below zero, so no finite input
 * overflows.  A row that is all -inf comes out as NaN: a mask must leave one entry in every row.
 * Both gradients need y and not x, so y may be written over x.  Gumbel-softmax is
 * softmax((x + g) / tau) with Gumbel noise g (Jang, Gu and Poole 2017), built of other operations.
 */
#include "ops/inner.h"

static mill_err shape_rows(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                           const mill_node *node)
{
    TRY(ops_check_dtypes(g, node, 0));
    WANT(g, node, src_shape(g, node, 0)->rank >= 1, "a scalar has no last dimension");
    return shape_like_src0(out, dtype, g, node);
}

#define SOFTMAX(row)                                                              \
    DECLARE_KERNELS(op_##row);                                                    \
    DECLARE_KERNELS(op_##row##_grad);                                             \
    static const mill_op op_##row##_grad = {                                      \
        .name = #row "_grad",                                                     \
        .n_src = 2, /* dy, y */                                                   \
        .alias = ALIAS_SRC(0) | ALIAS_SRC(1),                                     \
        .rowwise = ROW_SRC(0) | ROW_SRC(1),                                       \
        .shape = shape_rows,                                                      \
        .run = KERNELS(op_##row##_grad),                                          \
    };                                                                            \
    static void row##_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc) \
    {                                                                             \
        dsrc[0] = MILL_APPLY(g, &op_##row##_grad, NULL, dy, y);                   \
    }                                                                             \
    static const mill_op op_##row = {                                             \
        .name = #row,                                                             \
        .n_src = 1,                                                               \
        .keep = KEEP_Y,                                                           \
        .alias = ALIAS_SRC(0),                                                    \
        .rowwise = ROW_SRC(0),                                                    \
        .shape = shape_rows,                                                      \
        .vjp = row##_vjp,                                                         \
        .run = KERNELS(op_##row),                                                 \
    };                                                                            \
    mill_ref mill_##row(mill_graph *g, mill_ref x)                                \
    {                                                                             \
        return MILL_APPLY(g, &op_##row, NULL, x);                                 \
    }
SOFTMAX(softmax)
SOFTMAX(log_softmax)

mill_ref mill_gumbel_softmax(mill_graph *g, mill_ref x, double tau)
{
    if (!(tau > 0)) return mill_poison(g, MILL_ESHAPE, "gumbel_softmax: tau = %g", tau);
    const mill_ref noisy = mill_add(g, x, mill_gumbel(g, *mill_shape_of(g, x)));
    return mill_softmax(g, mill_scale(g, noisy, 1 / tau, 0));
}
