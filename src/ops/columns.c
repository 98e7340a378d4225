/*
 * columns.c - some columns of a matrix.
 *
 *     gather_cols   y[.., j] = x[.., cols[j]]      dx = put_cols(dy)
 *     put_cols      y[.., cols[j]] = x[.., j], 0 elsewhere; its gradient is gather_cols
 *
 * cols: a constant i32 (k), entries 0..c-1, all different.
 */
#include "ops/inner.h"

enum { I_COLS }; /* columns of put_cols' result */

static mill_err shape_cols(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                           const mill_node *node)
{
    TRY(ops_check_dtypes(g, node, 2));
    TRY(shape_like_src0(out, dtype, g, node));
    WANT(g, node, out->rank >= 1, "a scalar has no columns");
    const int64_t put = node->attr.i[I_COLS];
    out->dim[out->rank - 1] = put ? put : mill_elems(src_shape(g, node, 1));
    return MILL_OK;
}

static const mill_op op_put_cols;

static void put_cols_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    dsrc[0] = mill_gather_cols(g, dy, mill_src(g, y, 1));
    dsrc[1] = 0;
}

static void gather_cols_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    const mill_attr attr = {{[I_COLS] = mill_cols(mill_shape_of(g, mill_src(g, y, 0)))}, {0}, NULL};
    dsrc[0] = MILL_APPLY(g, &op_put_cols, &attr, dy, mill_src(g, y, 1));
    dsrc[1] = 0;
}

DECLARE_KERNELS(op_put_cols);
static const mill_op op_put_cols = {
    .name = "put_cols",
    .n_src = 2, /* x, cols */
    .keep = KEEP_SRC(1),
    .rowwise = ROW_SRC(0),
    .shape = shape_cols,
    .vjp = put_cols_vjp,
    .run = KERNELS(op_put_cols),
};

DECLARE_KERNELS(op_gather_cols);
static const mill_op op_gather_cols = {
    .name = "gather_cols",
    .n_src = 2, /* x, cols */
    .keep = KEEP_SRC(1),
    .rowwise = ROW_SRC(0),
    .shape = shape_cols,
    .vjp = gather_cols_vjp,
    .run = KERNELS(op_gather_cols),
};

mill_ref mill_gather_cols(mill_graph *g, mill_ref x, mill_ref cols)
{
    const mill_node *c = mill_get(g, cols);
    const int64_t width = mill_cols(mill_shape_of(g, x));
    if (!x || !cols) return 0;
    if (c->kind != MILL_CONST || c->dtype != MILL_T_I32 || !c->data)
        return mill_poison(g, MILL_ESHAPE, "gather_cols: the columns are a constant i32");
    const int32_t *at = c->data;
    for (int64_t i = 0, n = mill_elems(&c->shape); i < n; i++) {
        if (at[i] < 0 || at[i] >= width)
            return mill_poison(g, MILL_ESHAPE, "gather_cols: no column %d of %lld", at[i],
                               (long long)width);
        for (int64_t j = 0; j < i; j++)
            if (at[j] == at[i])
                return mill_poison(g, MILL_ESHAPE, "gather_cols: column %d twice", at[i]);
    }
    return MILL_APPLY(g, &op_gather_cols, NULL, x, cols);
}
