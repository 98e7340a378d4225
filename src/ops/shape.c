/*
 * shape.c - the same numbers in another shape.
 *
 *     reshape      a view; gradient: reshaped back
 *     slice        a view where it is contiguous, else a copy; gradient: pad
 *     pad          zeros, with x from `begin` on along an axis; gradient: slice
 *     concat       copies; gradient: slices.  More than six operands are joined in steps
 *     transpose    swaps two dimensions: a copy, its own gradient
 *     broadcast_to repeats as NumPy does; gradient: summed back
 *     full         one value everywhere
 *
 * Copies work on (A, R, B): A dimensions before the axis, R along it, B behind.
 */
#include "ops/inner.h"

static const mill_op op_reshape, op_slice_view, op_pad, op_broadcast;

static int axis_of(const mill_graph *g, mill_ref x, int axis)
{
    const int rank = mill_shape_of(g, x)->rank;
    return axis < 0 ? axis + rank : axis;
}

/* ---- reshape ---- */

static void reshape_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    dsrc[0] = mill_reshape(g, dy, *mill_shape_of(g, mill_src(g, y, 0)));
}

/* attr.i[0] is the view's offset, so the shape stands one further. */
static mill_err shape_view(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                           const mill_node *node)
{
    out->rank = (int)node->attr.i[1] & 7;
    for (int i = 0; i < out->rank; i++) out->dim[i] = node->attr.i[2 + i];
    *dtype = mill_get(g, node->src[0])->dtype;
    return MILL_OK;
}

static mill_attr view_attr(int64_t offset, const mill_shape *s, int axis)
{
    mill_attr a = {{offset, s->rank | axis << 3}, {0}, NULL};
    for (int i = 0; i < s->rank; i++) a.i[2 + i] = s->dim[i];
    return a;
}

static const mill_op op_reshape = {
    .name = "reshape",
    .n_src = 1,
    .rowwise = ROW_SRC(0),
    .flags = MILL_OP_VIEW,
    .shape = shape_view,
    .vjp = reshape_vjp,
};

mill_ref mill_reshape(mill_graph *g, mill_ref x, mill_shape shape)
{
    char a[64], b[64];
    const mill_shape from = *mill_shape_of(g, x);
    int64_t known = 1;
    int open = -1;

    for (int i = 0; i < shape.rank; i++) {
        if (shape.dim[i] == -1 && open < 0)
            open = i;
        else
            known *= shape.dim[i];
    }
    if (open >= 0 && known > 0) shape.dim[open] = mill_elems(&from) / known;
    if (x && mill_elems(&shape) != mill_elems(&from))
        return mill_poison(g, MILL_ESHAPE, "reshape: %s cannot become %s",
                           mill_shape_text(a, &from), mill_shape_text(b, &shape));
    if (mill_shape_equal(&shape, &from)) return x;
    const mill_attr attr = view_attr(0, &shape, 0);
    return MILL_APPLY(g, &op_reshape, &attr, x);
}

/* ---- slice and pad ---- */

/* The gradient of a slice: zeros, and dy from `begin` on along `axis`. */
static mill_ref pad(mill_graph *g, mill_ref dy, const mill_shape *like, int axis, int64_t begin);

static void slice_view_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    const mill_shape *x = mill_shape_of(g, mill_src(g, y, 0));
    const mill_attr *attr = &mill_get(g, y)->attr;
    const int axis = (int)(attr->i[1] >> 3);
    int64_t behind = (int64_t)sizeof(real);
    for (int i = axis + 1; i < x->rank; i++) behind *= x->dim[i];
    dsrc[0] = pad(g, dy, x, axis, attr->i[0] / behind);
}

static const mill_op op_slice_view = {
    .name = "slice_view",
    .n_src = 1,
    .flags = MILL_OP_VIEW,
    .shape = shape_view,
    .vjp = slice_view_vjp,
};

enum { AT_BEGIN = 0, AT_AXIS = 1, AT_SIZE = 2 }; /* attributes of slice and pad */

static mill_err shape_along(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                            const mill_node *node)
{
    TRY(shape_like_src0(out, dtype, g, node));
    out->dim[node->attr.i[AT_AXIS]] = node->attr.i[AT_SIZE];
    return ops_check_dtypes(g, node, 0);
}

static void slice_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    const mill_attr *attr = &mill_get(g, y)->attr;
    dsrc[0] =
        pad(g, dy, mill_shape_of(g, mill_src(g, y, 0)), (int)attr->i[AT_AXIS], attr->i[AT_BEGIN]);
}

DECLARE_KERNELS(op_slice);
static const mill_op op_slice = {
    .name = "slice",
    .n_src = 1,
    .rowwise = ROW_SRC(0), /* other rows than ours, unless the axis is the last */
    .shape = shape_along,
    .vjp = slice_vjp,
    .run = KERNELS(op_slice),
};

mill_ref mill_slice(mill_graph *g, mill_ref x, int axis, int64_t begin, int64_t end)
{
    const mill_shape s = *mill_shape_of(g, x);
    axis = axis_of(g, x, axis);
    if (!x) return 0;
    if (axis < 0 || axis >= s.rank || begin < 0 || begin >= end || end > s.dim[axis])
        return mill_poison(g, MILL_ESHAPE, "slice: [%lld, %lld) of axis %d is not in the tensor",
                           (long long)begin, (long long)end, axis);
    if (begin == 0 && end == s.dim[axis]) return x;

    int64_t before = 1, behind = 1;
    for (int i = 0; i < axis; i++) before *= s.dim[i];
    for (int i = axis + 1; i < s.rank; i++) behind *= s.dim[i];
    if (before == 1) {
        mill_shape to = s;
        to.dim[axis] = end - begin;
        const int64_t size = (int64_t)mill_dtype_size(mill_get(g, x)->dtype);
        const mill_attr view = view_attr(begin * behind * size, &to, axis);
        return MILL_APPLY(g, &op_slice_view, &view, x);
    }
    const mill_attr attr = {{begin, axis, end - begin}, {0}, NULL};
    return MILL_APPLY(g, &op_slice, &attr, x);
}

static void pad_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    const mill_attr *attr = &mill_get(g, y)->attr;
    const int axis = (int)attr->i[AT_AXIS];
    const int64_t size = mill_shape_of(g, mill_src(g, y, 0))->dim[axis];
    dsrc[0] = mill_slice(g, dy, axis, attr->i[AT_BEGIN], attr->i[AT_BEGIN] + size);
}

DECLARE_KERNELS(op_pad);
static const mill_op op_pad = {
    .name = "pad",
    .n_src = 1,
    .rowwise = ROW_SRC(0), /* other rows than ours, unless the axis is the last */
    .shape = shape_along,
    .vjp = pad_vjp,
    .run = KERNELS(op_pad),
};

static mill_ref pad(mill_graph *g, mill_ref dy, const mill_shape *like, int axis, int64_t begin)
{
    const mill_attr attr = {{begin, axis, like->dim[axis]}, {0}, NULL};
    return MILL_APPLY(g, &op_pad, &attr, dy);
}

/* pad(p) + pad(q), side by side along the same axis: concat(p, q), padded if they do not fill it.
 */
mill_ref ops_merge_pads(mill_graph *g, mill_ref a, mill_ref b)
{
    const mill_node *na = mill_get(g, a), *nb = mill_get(g, b);
    if (na->op != &op_pad || nb->op != &op_pad || !mill_shape_equal(&na->shape, &nb->shape))
        return 0;
    if (na->attr.i[AT_AXIS] != nb->attr.i[AT_AXIS]) return 0;
    if (na->attr.i[AT_BEGIN] > nb->attr.i[AT_BEGIN]) {
        const mill_node *swap = na;
        na = nb;
        nb = swap;
    }
    const int axis = (int)na->attr.i[AT_AXIS];
    const int64_t begin = na->attr.i[AT_BEGIN], size = src_shape(g, na, 0)->dim[axis];
    if (begin + size != nb->attr.i[AT_BEGIN]) return 0;

    const mill_shape whole = na->shape;
    const mill_ref joined = mill_concat(g, 2, (mill_ref[]){na->src[0], nb->src[0]}, axis);
    if (mill_shape_equal(mill_shape_of(g, joined), &whole)) return joined;
    return pad(g, joined, &whole, axis, begin);
}

/* ---- concat ---- */

static mill_err shape_concat(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                             const mill_node *node)
{
    const int axis = (int)node->attr.i[0];
    TRY(ops_check_dtypes(g, node, 0));
    TRY(shape_like_src0(out, dtype, g, node));
    for (int i = 1; i < node->n_src; i++) {
        mill_shape s = *src_shape(g, node, i);
        WANT(g, node, s.rank == out->rank, "operands differ in rank");
        const int64_t size = s.dim[axis];
        s.dim[axis] = out->dim[axis];
        WANT(g, node, mill_shape_equal(&s, out), "operands differ beside the axis");
        out->dim[axis] += size;
    }
    return MILL_OK;
}

static void concat_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    const mill_node *node = mill_get(g, y);
    const int axis = (int)node->attr.i[0], n = node->n_src;
    int64_t at = 0;
    for (int i = 0; i < n; i++) {
        const int64_t size = mill_shape_of(g, mill_src(g, y, i))->dim[axis];
        dsrc[i] = mill_slice(g, dy, axis, at, at + size);
        at += size;
    }
}

/* The last axis goes row by row, another one by blocks of the first dimensions. */
DECLARE_KERNELS(op_concat);
static const mill_op op_concat_last = {
    .name = "concat_last",
    .n_src = 1,
    .rowwise = (1u << MILL_MAX_SRC) - 1,
    .shape = shape_concat,
    .vjp = concat_vjp,
    .run = KERNELS(op_concat),
};

DECLARE_KERNELS(op_concat_outer);
static const mill_op op_concat_outer = {
    .name = "concat_outer",
    .n_src = 1,
    .shape = shape_concat,
    .vjp = concat_vjp,
    .run = KERNELS(op_concat_outer),
};

mill_ref mill_concat(mill_graph *g, int n, const mill_ref *x, int axis)
{
    mill_ref part[MILL_MAX_SRC];

    if (n < 1) return mill_poison(g, MILL_ESHAPE, "concat: nothing to join");
    if (n == 1) return x[0];
    axis = axis_of(g, x[0], axis);
    const int rank = mill_shape_of(g, x[0])->rank;
    if (axis < 0 || axis >= rank)
        return x[0] ? mill_poison(g, MILL_ESHAPE, "concat: no axis %d", axis) : 0;

    const mill_attr attr = {{axis}, {0}, NULL};
    const mill_op *op = axis == rank - 1 ? &op_concat_last : &op_concat_outer;
    if (n <= MILL_MAX_SRC) return mill_apply(g, op, &attr, n, x);
    part[0] = mill_apply(g, op, &attr, MILL_MAX_SRC, x);
    for (int at = MILL_MAX_SRC; at < n;) {
        const int take = n - at < MILL_MAX_SRC - 1 ? n - at : MILL_MAX_SRC - 1;
        for (int i = 0; i < take; i++) part[1 + i] = x[at + i];
        part[0] = mill_apply(g, op, &attr, take + 1, part);
        at += take;
    }
    return part[0];
}

/* ---- transpose ---- */

static mill_err shape_transpose(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                                const mill_node *node)
{
    const int64_t a = node->attr.i[0], b = node->attr.i[1];
    TRY(ops_check_dtypes(g, node, 0));
    TRY(shape_like_src0(out, dtype, g, node));
    const int64_t swap = out->dim[a];
    out->dim[a] = out->dim[b];
    out->dim[b] = swap;
    return MILL_OK;
}

static void transpose_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    const mill_attr *attr = &mill_get(g, y)->attr;
    dsrc[0] = mill_transpose(g, dy, (int)attr->i[0], (int)attr->i[1]);
}

DECLARE_KERNELS(op_transpose);
static const mill_op op_transpose = {
    .name = "transpose",
    .n_src = 1,
    .shape = shape_transpose,
    .vjp = transpose_vjp,
    .run = KERNELS(op_transpose),
};

mill_ref mill_transpose(mill_graph *g, mill_ref x, int a, int b)
{
    a = axis_of(g, x, a);
    b = axis_of(g, x, b);
    if (a == b) return x;
    const int rank = mill_shape_of(g, x)->rank;
    if (x && (a < 0 || b < 0 || a >= rank || b >= rank))
        return mill_poison(g, MILL_ESHAPE, "transpose: no dimensions %d and %d", a, b);
    const mill_attr attr = {{a < b ? a : b, a < b ? b : a}, {0}, NULL};
    return MILL_APPLY(g, &op_transpose, &attr, x);
}

/* ---- broadcast, full ---- */

static mill_err shape_broadcast_to(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                                   const mill_node *node)
{
    const mill_shape *x = src_shape(g, node, 0);
    TRY(ops_check_dtypes(g, node, 0));
    TRY(ops_shape_from_attr(out, dtype, g, node));
    WANT(g, node, x->rank <= out->rank, "more dimensions than the shape to fill");
    for (int i = 1; i <= x->rank; i++)
        WANT(g, node, x->dim[x->rank - i] == 1 || x->dim[x->rank - i] == out->dim[out->rank - i],
             "does not broadcast to the shape asked for");
    return MILL_OK;
}

static void broadcast_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    dsrc[0] = mill_sum_to(g, dy, mill_shape_of(g, mill_src(g, y, 0)));
}

DECLARE_KERNELS(op_broadcast);
static const mill_op op_broadcast = {
    .name = "broadcast",
    .n_src = 1,
    .rowwise = ROW_SRC(0),
    .shape = shape_broadcast_to,
    .vjp = broadcast_vjp,
    .run = KERNELS(op_broadcast),
};

mill_ref mill_broadcast_to(mill_graph *g, mill_ref x, mill_shape shape)
{
    if (mill_shape_equal(mill_shape_of(g, x), &shape)) return x;
    const mill_attr attr = ops_shape_attr(&shape);
    return MILL_APPLY(g, &op_broadcast, &attr, x);
}

mill_ref ops_broadcast_source(mill_graph *g, mill_ref x)
{
    const mill_node *node = mill_get(g, x);
    return node->op == &op_broadcast ? node->src[0] : x;
}

DECLARE_KERNELS(op_full);
static const mill_op op_full = {
    .name = "full",
    .shape = ops_shape_from_attr,
    .flags = MILL_OP_STOP,
    .run = KERNELS(op_full),
};

mill_ref mill_full(mill_graph *g, mill_shape shape, double value)
{
    mill_attr attr = ops_shape_attr(&shape);
    attr.f[0] = value;
    return mill_apply(g, &op_full, &attr, 0, NULL);
}
