/*
 * reduce.c - sums, means and maxima over any dimensions.
 *
 *     sum_last    x (.., c)  -> (.., 1)        row by row             dx = dy repeated
 *     sum_mid     x (A, R, B) -> (A, B)        sum over R             dx = dy repeated
 *     tile_sum    x (n, c)   -> (T, c)         a partial per tile of rows
 *     tile_total  x (n, c)   -> (T, 1)         all of a tile
 *     tile_finish p (T, ..)  -> (1, ..)        partials added in order
 *     max_last    x (.., c)  -> (.., 1)        dx[j] = dy where j is the first maximum
 *
 * Order of a sum, whatever the threads: a row is added in sixteen lanes, which then meet in a tree;
 * rows of a tile one after the other; tiles one after the other.  A sum over several runs of
 * dimensions takes the last run first.  A mean is the sum times 1/R.
 *
 * tile_sum and tile_finish belong together: the gradient of the pair is dy repeated over all rows.
 * max_last of a row with a NaN is unspecified.
 */
#include "ops/inner.h"

static mill_err shape_last(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                           const mill_node *node)
{
    TRY(ops_check_dtypes(g, node, 0));
    WANT(g, node, src_shape(g, node, 0)->rank >= 1, "a scalar has no last dimension");
    TRY(shape_like_src0(out, dtype, g, node));
    out->dim[out->rank - 1] = 1;
    return MILL_OK;
}

static void spread_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    dsrc[0] = mill_broadcast_to(g, dy, *mill_shape_of(g, mill_src(g, y, 0)));
}

DECLARE_KERNELS(op_sum_last);
static const mill_op op_sum_last = {
    .name = "sum_last",
    .n_src = 1,
    .rowwise = ROW_SRC(0),
    .shape = shape_last,
    .vjp = spread_vjp,
    .run = KERNELS(op_sum_last),
};

/* ---- maximum ---- */

DECLARE_KERNELS(op_max_last_grad);
static const mill_op op_max_last_grad = {
    .name = "max_last_grad",
    .n_src = 2, /* dy, x */
    .alias = ALIAS_SRC(1),
    .rowwise = ROW_SRC(0) | ROW_SRC(1),
    .shape = ops_shape_like_src1,
    .run = KERNELS(op_max_last_grad),
};

static void max_last_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    dsrc[0] = MILL_APPLY(g, &op_max_last_grad, NULL, dy, mill_src(g, y, 0));
}

DECLARE_KERNELS(op_max_last);
static const mill_op op_max_last = {
    .name = "max_last",
    .n_src = 1,
    .keep = KEEP_SRC(0),
    .rowwise = ROW_SRC(0),
    .shape = shape_last,
    .vjp = max_last_vjp,
    .run = KERNELS(op_max_last),
};

/* ---- a run of dimensions in the middle ---- */

static mill_err shape_mid(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                          const mill_node *node)
{
    const mill_shape *x = src_shape(g, node, 0);
    TRY(ops_check_dtypes(g, node, 0));
    WANT(g, node, x->rank == 3, "wants (A, R, B)");
    *out = SHAPE(x->dim[0], x->dim[2]);
    *dtype = MILL_T_REAL;
    return MILL_OK;
}

static void sum_mid_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    const mill_shape x = *mill_shape_of(g, mill_src(g, y, 0));
    dsrc[0] = mill_broadcast_to(g, mill_reshape(g, dy, SHAPE(x.dim[0], 1, x.dim[2])), x);
}

DECLARE_KERNELS(op_sum_mid);
static const mill_op op_sum_mid = {
    .name = "sum_mid",
    .n_src = 1,
    .shape = shape_mid,
    .vjp = sum_mid_vjp,
    .run = KERNELS(op_sum_mid),
};

/* ---- tiles of rows ---- */

int64_t ops_tiles(int64_t rows)
{
    const int64_t grain = mill_grain(rows);
    return (rows + grain - 1) / grain;
}

mill_split ops_split_src0(const mill_graph *g, const mill_node *node)
{
    const int64_t rows = mill_rows(src_shape(g, node, 0));
    return (mill_split){rows, mill_grain(rows), true}; /* partials have no row-wise reader */
}

static mill_err shape_tile_sum(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                               const mill_node *node)
{
    const mill_shape *x = src_shape(g, node, 0);
    TRY(ops_check_dtypes(g, node, 0));
    *out = SHAPE(ops_tiles(mill_rows(x)), mill_cols(x));
    *dtype = MILL_T_REAL;
    return MILL_OK;
}

static mill_err shape_tile_total(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                                 const mill_node *node)
{
    TRY(shape_tile_sum(out, dtype, g, node));
    out->dim[1] = 1;
    return MILL_OK;
}

/* dy has passed tile_finish, so it is one row repeated for each tile: repeat it for each row. */
static void tile_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    const mill_ref row = ops_broadcast_source(g, dy);
    if (row == dy)
        mill_poison(g, MILL_ESHAPE, "%s: its partials have a reader other than tile_finish",
                    mill_get(g, y)->op->name);
    else
        dsrc[0] = mill_broadcast_to(g, row, *mill_shape_of(g, mill_src(g, y, 0)));
}

DECLARE_KERNELS(op_tile_sum);
static const mill_op op_tile_sum = {
    .name = "tile_sum",
    .n_src = 1,
    .rowwise = ROW_SRC(0),
    .shape = shape_tile_sum,
    .split = ops_split_src0,
    .vjp = tile_vjp,
    .run = KERNELS(op_tile_sum),
};

DECLARE_KERNELS(op_tile_total);
static const mill_op op_tile_total = {
    .name = "tile_total",
    .n_src = 1,
    .rowwise = ROW_SRC(0),
    .shape = shape_tile_total,
    .split = ops_split_src0,
    .vjp = tile_vjp,
    .run = KERNELS(op_tile_total),
};

static mill_err shape_finish(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                             const mill_node *node)
{
    TRY(ops_check_dtypes(g, node, 0));
    WANT(g, node, src_shape(g, node, 0)->rank >= 2, "wants (T, ..)");
    TRY(shape_like_src0(out, dtype, g, node));
    out->dim[0] = 1;
    return MILL_OK;
}

/* Units are columns: in blocks when there is much to add. */
static mill_split split_finish(const mill_graph *g, const mill_node *node)
{
    const mill_shape *p = src_shape(g, node, 0);
    const int64_t cols = mill_elems(p) / p->dim[0];
    return (mill_split){cols, mill_elems(p) > 65536 ? 256 : cols, false};
}

DECLARE_KERNELS(op_tile_finish);
static const mill_op op_tile_finish = {
    .name = "tile_finish",
    .n_src = 1,
    .shape = shape_finish,
    .split = split_finish,
    .vjp = spread_vjp,
    .run = KERNELS(op_tile_finish),
};

mill_ref ops_tile_finish(mill_graph *g, mill_ref partials)
{
    return MILL_APPLY(g, &op_tile_finish, NULL, partials);
}

/* ---- constructors ---- */

mill_ref mill_sum_last(mill_graph *g, mill_ref x)
{
    return MILL_APPLY(g, &op_sum_last, NULL, x);
}

mill_ref mill_max_last(mill_graph *g, mill_ref x)
{
    return MILL_APPLY(g, &op_max_last, NULL, x);
}

mill_ref mill_mean_last(mill_graph *g, mill_ref x)
{
    return mill_scale(g, mill_sum_last(g, x), 1.0 / (double)mill_cols(mill_shape_of(g, x)), 0);
}

/* x seen as (A, R, B), R summed. */
static mill_ref sum_run(mill_graph *g, mill_ref x, int64_t A, int64_t R, int64_t B)
{
    if (R == 1) return x;
    if (B == 1 && (A > 1 || R < 128)) return mill_sum_last(g, mill_reshape(g, x, SHAPE(A, R)));
    if (A == 1)
        return ops_tile_finish(g,
                               MILL_APPLY(g, &op_tile_sum, NULL, mill_reshape(g, x, SHAPE(R, B))));
    return MILL_APPLY(g, &op_sum_mid, NULL, mill_reshape(g, x, SHAPE(A, R, B)));
}

mill_ref mill_sum(mill_graph *g, mill_ref x, unsigned axes, bool keep)
{
    mill_shape at = *mill_shape_of(g, x), end = {0, {0}};

    if (axes >> at.rank)
        return mill_poison(g, MILL_ESHAPE, "sum: an axis beyond the %d dimensions", at.rank);
    for (int i = 0; i < at.rank; i++) {
        if (!(axes & AXIS(i)))
            end.dim[end.rank++] = at.dim[i];
        else if (keep)
            end.dim[end.rank++] = 1;
    }
    if (at.rank && axes == AXIS(at.rank) - 1) return mill_reshape(g, mill_sum_all(g, x), end);

    for (int hi = at.rank - 1; hi >= 0; hi--) {
        if (!(axes & AXIS(hi))) continue;
        int lo = hi;
        while (lo > 0 && (axes & AXIS(lo - 1))) lo--;
        int64_t A = 1, R = 1, B = 1;
        for (int i = 0; i < lo; i++) A *= at.dim[i];
        for (int i = lo; i <= hi; i++) R *= at.dim[i];
        for (int i = hi + 1; i < at.rank; i++) B *= at.dim[i];
        x = sum_run(g, x, A, R, B);
        for (int i = lo; i <= hi; i++) at.dim[i] = 1;
        hi = lo;
    }
    return mill_reshape(g, x, end);
}

mill_ref mill_mean(mill_graph *g, mill_ref x, unsigned axes, bool keep)
{
    const mill_shape *s = mill_shape_of(g, x);
    int64_t n = 1;
    for (int i = 0; i < s->rank; i++)
        if (axes & AXIS(i)) n *= s->dim[i];
    return mill_scale(g, mill_sum(g, x, axes, keep), 1.0 / (double)n, 0);
}

mill_ref mill_sum_all(mill_graph *g, mill_ref x)
{
    const mill_shape *s = mill_shape_of(g, x);
    if (mill_elems(s) == 1) return mill_reshape(g, x, SCALAR);
    if (mill_rows(s) == 1) return mill_reshape(g, mill_sum_last(g, x), SCALAR);
    const mill_ref partials = MILL_APPLY(g, &op_tile_total, NULL, x);
    return mill_reshape(g, ops_tile_finish(g, partials), SCALAR);
}

mill_ref mill_mean_all(mill_graph *g, mill_ref x)
{
    return mill_scale(g, mill_sum_all(g, x), 1.0 / (double)mill_elems(mill_shape_of(g, x)), 0);
}

mill_ref mill_sum_to(mill_graph *g, mill_ref x, const mill_shape *to_shape)
{
    const mill_shape from = *mill_shape_of(g, x), to = *to_shape;
    unsigned axes = 0;

    if (mill_shape_equal(&from, &to)) return x;
    for (int i = 0; i < from.rank; i++) {
        const int j = i - (from.rank - to.rank);
        if (from.dim[i] > 1 && (j < 0 || to.dim[j] == 1)) axes |= AXIS(i);
    }
    return mill_reshape(g, axes ? mill_sum(g, x, axes, true) : x, to);
}
