/*
 * state.c - states that are updated in place.
 *
 *     assign       state = x
 *     lerp_state   state += w (x - state)     running averages; w in [0, 1]
 *
 * The output is the state's own memory: whoever wants the old value must stand before.  No
 * gradient.
 */
#include "ops/inner.h"

static mill_err shape_state(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                            const mill_node *node)
{
    TRY(ops_check_dtypes(g, node, 0));
    WANT(g, node, mill_elems(src_shape(g, node, 0)) == mill_elems(src_shape(g, node, 1)),
         "state and value differ in size");
    return shape_like_src0(out, dtype, g, node);
}

DECLARE_KERNELS(op_assign);
static const mill_op op_assign = {
    .name = "assign",
    .n_src = 2, /* state, x */
    .rowwise = ROW_SRC(0) | ROW_SRC(1),
    .writes = WRITE_SRC(0),
    .flags = MILL_OP_INPLACE,
    .shape = shape_state,
    .run = KERNELS(op_assign),
};

mill_ref mill_assign(mill_graph *g, mill_ref state, mill_ref x)
{
    return MILL_APPLY(g, &op_assign, NULL, state, x);
}

DECLARE_KERNELS(op_lerp_state);
static const mill_op op_lerp_state = {
    .name = "lerp_state",
    .n_src = 2, /* state, x */
    .rowwise = ROW_SRC(0) | ROW_SRC(1),
    .writes = WRITE_SRC(0),
    .flags = MILL_OP_INPLACE,
    .shape = shape_state,
    .run = KERNELS(op_lerp_state),
};

mill_ref mill_lerp_state(mill_graph *g, mill_ref state, mill_ref x, double w)
{
    const mill_attr attr = {.f = {w}};
    return MILL_APPLY(g, &op_lerp_state, &attr, state, x);
}
