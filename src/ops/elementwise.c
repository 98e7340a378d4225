/*
 * elementwise.c - descriptors, gradients and constructors of the rows of ops.def, and scale.
 *
 *     y  = f(x)                           x_grad:  dx = dy f'(k),   k = x or y, whichever is kept
 *     second derivative: of dx by dy: the same x_grad of what comes back; by k:
 *     x_grad2: (back, dy, k) -> back dy f''(k), where f'' is f' differentiated by k
 *
 * Shapes: all alike.  scale is linear, y = a x + b, and is its own gradient.
 */
#include "ops/inner.h"

#define ANY_OF_3 (ALIAS_SRC(0) | ALIAS_SRC(1) | ALIAS_SRC(2))

static mill_err shape_alike(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                            const mill_node *node)
{
    TRY(ops_check_dtypes(g, node, 0));
    for (int i = 1; i < node->n_src; i++)
        WANT(g, node, mill_shape_equal(src_shape(g, node, i), src_shape(g, node, 0)),
             "operands must be alike");
    return shape_like_src0(out, dtype, g, node);
}

#define KEEP_X       KEEP_SRC(0)
#define KEPT_X(g, y) mill_src(g, y, 0)
#define KEPT_Y(g, y) (y)

#define DESCRIBE(row, keep_letter)                                                                \
    static void row##_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)                 \
    {                                                                                             \
        dsrc[0] =                                                                                 \
            MILL_APPLY(g, &op_##row##_grad, &mill_get(g, y)->attr, dy, KEPT_##keep_letter(g, y)); \
    }                                                                                             \
    static const mill_op op_##row = {                                                             \
        .name = #row,                                                                             \
        .n_src = 1,                                                                               \
        .keep = KEEP_##keep_letter,                                                               \
        .alias = ALIAS_SRC(0),                                                                    \
        .rowwise = ROW_SRC(0),                                                                    \
        .shape = shape_alike,                                                                     \
        .vjp = row##_vjp,                                                                         \
        .run = KERNELS(op_##row),                                                                 \
    };

#define DESCRIBE_GRAD(row, keeps)             \
    static const mill_op op_##row##_grad = {  \
        .name = #row "_grad",                 \
        .n_src = 2, /* dy, x or y */          \
        .keep = (keeps),                      \
        .alias = ALIAS_SRC(0) | ALIAS_SRC(1), \
        .rowwise = ROW_SRC(0) | ROW_SRC(1),   \
        .shape = shape_alike,                 \
        .vjp = row##_grad_vjp,                \
        .run = KERNELS(op_##row##_grad),      \
    };

#define UNARY(row, n_attr, keep_letter, y, d, d2)                                         \
    DECLARE_KERNELS(op_##row);                                                            \
    DECLARE_KERNELS(op_##row##_grad);                                                     \
    DECLARE_KERNELS(op_##row##_grad2);                                                    \
    static const mill_op op_##row##_grad, op_##row##_grad2;                               \
    static void row##_grad_vjp(mill_graph *g, mill_ref dx, mill_ref back, mill_ref *dsrc) \
    {                                                                                     \
        const mill_attr *attr = &mill_get(g, dx)->attr;                                   \
        const mill_ref dy = mill_src(g, dx, 0), k = mill_src(g, dx, 1);                   \
        dsrc[0] = MILL_APPLY(g, &op_##row##_grad, attr, back, k);                         \
        dsrc[1] = MILL_APPLY(g, &op_##row##_grad2, attr, back, dy, k);                    \
    }                                                                                     \
    static const mill_op op_##row##_grad2 = {                                             \
        .name = #row "_grad2",                                                            \
        .n_src = 3, /* back, dy, x or y */                                                \
        .alias = ANY_OF_3,                                                                \
        .rowwise = ROW_SRC(0) | ROW_SRC(1) | ROW_SRC(2),                                  \
        .shape = shape_alike,                                                             \
        .run = KERNELS(op_##row##_grad2),                                                 \
    };                                                                                    \
    DESCRIBE_GRAD(row, KEEP_SRC(0) | KEEP_SRC(1))                                         \
    DESCRIBE(row, keep_letter)

#define UNARY_FLAT(row, n_attr, keep_letter, y, d)                                        \
    DECLARE_KERNELS(op_##row);                                                            \
    DECLARE_KERNELS(op_##row##_grad);                                                     \
    static const mill_op op_##row##_grad;                                                 \
    static void row##_grad_vjp(mill_graph *g, mill_ref dx, mill_ref back, mill_ref *dsrc) \
    {                                                                                     \
        const mill_attr *attr = &mill_get(g, dx)->attr;                                   \
        dsrc[0] = MILL_APPLY(g, &op_##row##_grad, attr, back, mill_src(g, dx, 1));        \
    }                                                                                     \
    DESCRIBE_GRAD(row, KEEP_SRC(1))                                                       \
    DESCRIBE(row, keep_letter)

#include "ops/ops.def"
#undef UNARY
#undef UNARY_FLAT

/* ---- constructors ---- */

#define PARAMS_0
#define PARAMS_1 , double a
#define PARAMS_2 , double a, double b
#define ATTR_0 \
    {          \
        0      \
    }
#define ATTR_1     \
    {              \
        .f = { a } \
    }
#define ATTR_2        \
    {                 \
        .f = { a, b } \
    }
#define CONSTRUCT(row, n_attr)                                         \
    mill_ref mill_##row(mill_graph *g, mill_ref x PARAMS_##n_attr)     \
    {                                                                  \
        const mill_attr attr = ATTR_##n_attr;                          \
        CHECK_##n_attr(row) return MILL_APPLY(g, &op_##row, &attr, x); \
    }
#define UNARY(row, n_attr, keep_letter, y, d, d2)  CONSTRUCT(row, n_attr)
#define UNARY_FLAT(row, n_attr, keep_letter, y, d) CONSTRUCT(row, n_attr)
#define CHECK_0(row)
#define CHECK_1(row) /* the gradient looks at the sign of y, which must be the sign of x */ \
    if (!(a >= 0)) return mill_poison(g, MILL_ESHAPE, #row ": %g is below 0", a);
#define CHECK_2(row) \
    if (!(a <= b)) return mill_poison(g, MILL_ESHAPE, #row ": %g to %g is no range", a, b);
#include "ops/ops.def"

/* ---- scale ---- */

DECLARE_KERNELS(op_scale);

static void scale_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    dsrc[0] = mill_scale(g, dy, mill_get(g, y)->attr.f[0], 0);
}

static const mill_op op_scale = {
    .name = "scale",
    .n_src = 1,
    .alias = ALIAS_SRC(0),
    .rowwise = ROW_SRC(0),
    .shape = shape_alike,
    .vjp = scale_vjp,
    .run = KERNELS(op_scale),
};

mill_ref mill_scale(mill_graph *g, mill_ref x, double a, double b)
{
    const mill_attr attr = {.f = {a, b}};
    return MILL_APPLY(g, &op_scale, &attr, x);
}

mill_ref mill_neg(mill_graph *g, mill_ref x)
{
    return mill_scale(g, x, -1, 0);
}
