/*
 * binary.c - the rows of binary.def: two operands, broadcast as in NumPy.
 *
 * Shapes are aligned at their last dimension; a dimension that is 1 or missing is repeated.  The
 * gradients, summed back to the operand's shape:
 *
 *     add:  da = dy,       db = dy           mul:  da = dy b,       db = dy a
 *     sub:  da = dy,       db = -dy          div:  da = dy / b,     db = -dy y / b
 *     max2: da = dy [a>=b], db = dy - da     min2: da = dy [b>=a],  db = dy - da
 *     ge:   none; a mask stops the walk      bce:  dx = dy (sigmoid(x) - t), none for t
 *
 * An operand that is itself a broadcast is replaced by what it repeats, when the other operand has
 * the full shape: gradients of sums are never written out.  add of a dense value and of a scatter
 * adds the scatter in place (codes.c), and of a gradient and of a product multiplies onto it
 * (product.c); add of two paddings that make a whole is a concatenation.
 */
#include "ops/inner.h"

static mill_err shape_broadcast(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                                const mill_node *node)
{
    const mill_shape *a = src_shape(g, node, 0), *b = src_shape(g, node, 1);
    TRY(ops_check_dtypes(g, node, 0));

    out->rank = a->rank > b->rank ? a->rank : b->rank;
    for (int i = 1; i <= out->rank; i++) {
        const int64_t da = i <= a->rank ? a->dim[a->rank - i] : 1;
        const int64_t db = i <= b->rank ? b->dim[b->rank - i] : 1;
        WANT(g, node, da == db || da == 1 || db == 1, "operands do not broadcast");
        out->dim[out->rank - i] = da == 1 ? db : da;
    }
    *dtype = MILL_T_REAL;
    return MILL_OK;
}

static void give(mill_graph *g, mill_ref y, int i, mill_ref d, mill_ref *dsrc)
{
    dsrc[i] = mill_sum_to(g, d, mill_shape_of(g, mill_src(g, y, i)));
}

static void add_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    give(g, y, 0, dy, dsrc);
    give(g, y, 1, dy, dsrc);
}

static void sub_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    give(g, y, 0, dy, dsrc);
    dsrc[1] = mill_neg(g, mill_sum_to(g, dy, mill_shape_of(g, mill_src(g, y, 1))));
}

static void mul_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    const mill_ref a = mill_src(g, y, 0), b = mill_src(g, y, 1);
    give(g, y, 0, mill_mul(g, dy, b), dsrc);
    give(g, y, 1, mill_mul(g, dy, a), dsrc);
}

static void div_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    const mill_ref b = mill_src(g, y, 1), da = mill_div(g, dy, b);
    give(g, y, 0, da, dsrc);
    give(g, y, 1, mill_neg(g, mill_mul(g, da, y)), dsrc);
}

static void choose(mill_graph *g, mill_ref y, mill_ref dy, mill_ref first_wins, mill_ref *dsrc)
{
    const mill_ref da = mill_mul(g, dy, first_wins);
    give(g, y, 0, da, dsrc);
    give(g, y, 1, mill_sub(g, dy, da), dsrc);
}

static void max2_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    choose(g, y, dy, mill_ge(g, mill_src(g, y, 0), mill_src(g, y, 1)), dsrc);
}

static void min2_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    choose(g, y, dy, mill_ge(g, mill_src(g, y, 1), mill_src(g, y, 0)), dsrc);
}

static void ge_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    (void)g, (void)y, (void)dy;
    dsrc[0] = dsrc[1] = 0; /* flat where it has a derivative */
}

static void bce_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    const mill_ref p = mill_sigmoid(g, mill_src(g, y, 0));
    give(g, y, 0, mill_mul(g, dy, mill_sub(g, p, mill_src(g, y, 1))), dsrc);
    dsrc[1] = 0;
}

#define KEEPS_add  0
#define KEEPS_sub  0
#define KEEPS_ge   0
#define KEEPS_mul  (KEEP_SRC(0) | KEEP_SRC(1))
#define KEEPS_div  (KEEP_SRC(1) | KEEP_Y)
#define KEEPS_max2 (KEEP_SRC(0) | KEEP_SRC(1))
#define KEEPS_min2 (KEEP_SRC(0) | KEEP_SRC(1))
#define KEEPS_bce  (KEEP_SRC(0) | KEEP_SRC(1))

#define BINARY(row, expr)                     \
    DECLARE_KERNELS(op_##row);                \
    static const mill_op op_##row = {         \
        .name = #row,                         \
        .n_src = 2,                           \
        .keep = KEEPS_##row,                  \
        .alias = ALIAS_SRC(0) | ALIAS_SRC(1), \
        .rowwise = ROW_SRC(0) | ROW_SRC(1),   \
        .shape = shape_broadcast,             \
        .vjp = row##_vjp,                     \
        .run = KERNELS(op_##row),             \
    };
#include "ops/binary.def"

/* Replace an operand that only repeats something by that thing, if the shape of the result stays.
 */
static mill_ref binary(mill_graph *g, const mill_op *op, mill_ref a, mill_ref b)
{
    const mill_ref thin_a = ops_broadcast_source(g, a), thin_b = ops_broadcast_source(g, b);

    if (thin_b != b && mill_shape_equal(mill_shape_of(g, a), mill_shape_of(g, b)))
        b = thin_b;
    else if (thin_a != a && mill_shape_equal(mill_shape_of(g, a), mill_shape_of(g, b)))
        a = thin_a;
    return MILL_APPLY(g, op, NULL, a, b);
}

mill_ref mill_add(mill_graph *g, mill_ref a, mill_ref b)
{
    mill_ref merged = ops_merge_scatter(g, a, b);
    if (!merged) merged = ops_merge_product(g, a, b);
    if (!merged) merged = ops_merge_pads(g, a, b);
    return merged ? merged : binary(g, &op_add, a, b);
}

mill_ref mill_sub(mill_graph *g, mill_ref a, mill_ref b)
{
    return binary(g, &op_sub, a, b);
}

mill_ref mill_mul(mill_graph *g, mill_ref a, mill_ref b)
{
    return binary(g, &op_mul, a, b);
}

mill_ref mill_div(mill_graph *g, mill_ref a, mill_ref b)
{
    return binary(g, &op_div, a, b);
}

mill_ref mill_max2(mill_graph *g, mill_ref a, mill_ref b)
{
    return binary(g, &op_max2, a, b);
}

mill_ref mill_min2(mill_graph *g, mill_ref a, mill_ref b)
{
    return binary(g, &op_min2, a, b);
}

mill_ref mill_ge(mill_graph *g, mill_ref a, mill_ref b)
{
    return binary(g, &op_ge, a, b);
}

mill_ref mill_bce_with_logits(mill_graph *g, mill_ref x, mill_ref target)
{
    if (!mill_shape_equal(mill_shape_of(g, x), mill_shape_of(g, target)))
        return mill_poison(g, MILL_ESHAPE, "bce: logits and targets differ in shape");
    return MILL_APPLY(g, &op_bce, NULL, x, target);
}
