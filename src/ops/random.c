/*
 * random.c - dropout, and tensors of random numbers.
 *
 *     dropout  y = x / (1 - p) where u >= p, else 0      dx = the same of dy, with the same numbers
 *     uniform  u in (0, 1);   normal: quantile(u);   gumbel: -log(-log u)
 *
 * u is a function of (seed of the run, stream of the node, step, element): base/philox.h.  No mask
 * is kept: the gradient draws the same numbers again, and is its own gradient.  0 <= p < 1.
 */
#include "ops/inner.h"

static const mill_op op_dropout;

static void dropout_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    dsrc[0] = MILL_APPLY(g, &op_dropout, &mill_get(g, y)->attr, dy);
}

static mill_err shape_dropout(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                              const mill_node *node)
{
    TRY(ops_check_dtypes(g, node, 0));
    return shape_like_src0(out, dtype, g, node);
}

DECLARE_KERNELS(op_dropout);
static const mill_op op_dropout = {
    .name = "dropout",
    .n_src = 1,
    .alias = ALIAS_SRC(0),
    .rowwise = ROW_SRC(0),
    .flags = MILL_OP_RANDOM,
    .shape = shape_dropout,
    .vjp = dropout_vjp,
    .run = KERNELS(op_dropout),
};

mill_ref mill_dropout(mill_graph *g, mill_ref x, double p)
{
    if (!(p >= 0 && p < 1))
        return mill_poison(g, MILL_ESHAPE, "dropout: p = %g is not in [0, 1)", p);
    if (p == 0) return x;
    mill_attr attr = {.f = {p}};
    attr.i[MILL_MAX_ATTR - 1] = mill_stream(g);
    return MILL_APPLY(g, &op_dropout, &attr, x);
}

#define SOURCE(kind)                                      \
    DECLARE_KERNELS(op_##kind);                           \
    static const mill_op op_##kind = {                    \
        .name = #kind,                                    \
        .flags = MILL_OP_RANDOM | MILL_OP_STOP,           \
        .shape = ops_shape_from_attr,                     \
        .run = KERNELS(op_##kind),                        \
    };                                                    \
    mill_ref mill_##kind(mill_graph *g, mill_shape shape) \
    {                                                     \
        mill_attr attr = ops_shape_attr(&shape);          \
        attr.i[MILL_MAX_ATTR - 1] = mill_stream(g);       \
        return mill_apply(g, &op_##kind, &attr, 0, NULL); \
    }
SOURCE(uniform)
SOURCE(normal)
SOURCE(gumbel)
