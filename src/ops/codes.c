/*
 * codes.c - products with rows that are nearly all zero, given by their codes.
 *
 *     codes_matmul  y[i,:]  = c[i,:] + sum_j val[i,j] w[codes[i,j],:]     (n, m)
 *     scatter       y[v,:]  = dst[v,:] + sum over codes[i,j] = v of val[i,j] x[i,:]     (V, m)
 *     codes_dot     y[i,j]  = x[i,:] . w[codes[i,j],:]                    (n, s), 0 for no code
 *
 * codes: i32 (n, s), or (n) for s = 1; a code outside of 0..V-1 (-1, say) adds nothing.  val: (n,
 * s), all ones if it is left out; c and dst: left out for zero; c may be a row vector (m).
 *
 * These are one trilinear form seen from three sides, so they are one another's gradients:
 *
 *     codes_matmul: dw = scatter(dy), dval = codes_dot(dy, w), dc = dy
 *     scatter:      dx = codes_matmul(dw), dval = codes_dot(x, dw), ddst = dw
 *     codes_dot:    dx = codes_matmul(w, val = back), dw = scatter(x, val = back)
 *
 * scatter deals rows of the result.  A tile looks through all codes for its own and adds them in
 * the order of (i, j): no atomics, and the same sum for any number of threads.  Looking costs n s /
 * 64 compares a row of the result, next to m writes.  Gathering rows is codes_matmul with one code
 * a row.
 */
#include "ops/inner.h"

enum { I_V, I_HAS_C, I_HAS_VAL }; /* attributes. ORDER CODES ATTR */

static int64_t codes_a_row(const mill_shape *codes)
{
    return codes->rank == 1 ? 1 : mill_cols(codes);
}

/* Sources: [c or dst], x, codes, [val]. */
static mill_err check_codes(const mill_graph *g, const mill_node *node, int at)
{
    const mill_shape *codes = src_shape(g, node, at + 1);
    TRY(ops_check_dtypes(g, node, 1u << (at + 1)));
    WANT(g, node, codes->rank == 1 || codes->rank == 2, "codes are (n, s) or (n)");
    WANT(g, node, src_shape(g, node, at)->rank == 2, "wants a matrix");
    if (node->attr.i[I_HAS_VAL])
        WANT(g, node, mill_elems(src_shape(g, node, at + 2)) == mill_elems(codes),
             "as many values as codes");
    return MILL_OK;
}

static mill_err shape_codes_matmul(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                                   const mill_node *node)
{
    const int at = node->attr.i[I_HAS_C] ? 1 : 0;
    TRY(check_codes(g, node, at));
    *out = SHAPE(src_shape(g, node, at + 1)->dim[0], mill_cols(src_shape(g, node, at)));
    *dtype = MILL_T_REAL;
    if (at)
        WANT(g, node,
             mill_shape_equal(src_shape(g, node, 0), out) ||
                 is_row_vector(src_shape(g, node, 0), out->dim[1]),
             "what is added is like the result, or one row of it");
    return MILL_OK;
}

static mill_err shape_scatter(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                              const mill_node *node)
{
    const int at = node->attr.i[I_HAS_C] ? 1 : 0;
    const mill_shape *x = src_shape(g, node, at);
    TRY(check_codes(g, node, at));
    WANT(g, node, x->dim[0] == src_shape(g, node, at + 1)->dim[0], "as many rows as codes");
    *out = SHAPE(node->attr.i[I_V], x->dim[1]);
    *dtype = MILL_T_REAL;
    if (at)
        WANT(g, node, mill_shape_equal(src_shape(g, node, 0), out),
             "what is added to is like the result");
    return MILL_OK;
}

static mill_err shape_codes_dot(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                                const mill_node *node)
{
    const mill_shape *x = src_shape(g, node, 0), *w = src_shape(g, node, 1);
    TRY(ops_check_dtypes(g, node, 4));
    WANT(g, node, x->rank == 2 && w->rank == 2 && x->dim[1] == w->dim[1], "rows differ in length");
    *out = ops_attr_shape(&node->attr);
    *dtype = MILL_T_REAL;
    return MILL_OK;
}

/* ---- codes_dot ---- */

static void codes_dot_vjp(mill_graph *g, mill_ref y, mill_ref back, mill_ref *dsrc)
{
    const mill_ref x = mill_src(g, y, 0), w = mill_src(g, y, 1), codes = mill_src(g, y, 2);
    dsrc[0] = mill_codes_matmul(g, 0, w, codes, back);
    dsrc[1] = mill_scatter(g, mill_shape_of(g, w)->dim[0], x, codes, back);
    dsrc[2] = 0;
}

DECLARE_KERNELS(op_codes_dot);
static const mill_op op_codes_dot = {
    .name = "codes_dot",
    .n_src = 3, /* x, w, codes */
    .keep = KEEP_SRC(0) | KEEP_SRC(1) | KEEP_SRC(2),
    .rowwise = ROW_SRC(0),
    .shape = shape_codes_dot,
    .vjp = codes_dot_vjp,
    .run = KERNELS(op_codes_dot),
};

static mill_ref codes_dot(mill_graph *g, mill_ref x, mill_ref w, mill_ref codes, mill_ref val)
{
    const mill_attr attr = ops_shape_attr(mill_shape_of(g, val));
    return MILL_APPLY(g, &op_codes_dot, &attr, x, w, codes);
}

/* ---- codes_matmul ---- */

static void codes_matmul_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    const mill_attr attr = mill_get(g, y)->attr;
    const int at = attr.i[I_HAS_C] ? 1 : 0;
    const mill_ref w = mill_src(g, y, at), codes = mill_src(g, y, at + 1);
    const mill_ref val = attr.i[I_HAS_VAL] ? mill_src(g, y, at + 2) : 0;

    if (at) dsrc[0] = mill_sum_to(g, dy, mill_shape_of(g, mill_src(g, y, 0)));
    dsrc[at] = mill_scatter(g, mill_shape_of(g, w)->dim[0], dy, codes, val);
    dsrc[at + 1] = 0;
    if (val) dsrc[at + 2] = codes_dot(g, dy, w, codes, val);
}

DECLARE_KERNELS(op_codes_matmul);
static const mill_op op_codes_matmul = {
    .name = "codes_matmul",
    .n_src = 2, /* w, codes, val? */
    .keep = KEEP_SRC(0) | KEEP_SRC(1) | KEEP_SRC(2),
    .rowwise = ROW_SRC(1) | ROW_SRC(2),
    .shape = shape_codes_matmul,
    .vjp = codes_matmul_vjp,
    .run = KERNELS(op_codes_matmul),
};
static const mill_op op_codes_addmm = {
    .name = "codes_addmm",
    .n_src = 3, /* c, w, codes, val? */
    .keep = KEEP_SRC(1) | KEEP_SRC(2) | KEEP_SRC(3),
    .alias = ALIAS_SRC(0),
    .rowwise = ROW_SRC(0) | ROW_SRC(2) | ROW_SRC(3),
    .shape = shape_codes_matmul,
    .vjp = codes_matmul_vjp,
    .run = KERNELS(op_codes_matmul),
};

mill_ref mill_codes_matmul(mill_graph *g, mill_ref c, mill_ref w, mill_ref codes, mill_ref val)
{
    const mill_attr attr = {{[I_HAS_C] = c != 0, [I_HAS_VAL] = val != 0}, {0}, NULL};
    mill_ref src[4];
    int n = 0;

    if (c) src[n++] = c;
    src[n++] = w;
    src[n++] = codes;
    if (val) src[n++] = val;
    return mill_apply(g, c ? &op_codes_addmm : &op_codes_matmul, &attr, n, src);
}

mill_ref mill_gather_rows(mill_graph *g, mill_ref w, mill_ref idx)
{
    return mill_codes_matmul(g, 0, w, idx, 0);
}

/* ---- scatter ---- */

static void scatter_vjp(mill_graph *g, mill_ref y, mill_ref dw, mill_ref *dsrc)
{
    const mill_attr attr = mill_get(g, y)->attr;
    const int at = attr.i[I_HAS_C] ? 1 : 0;
    const mill_ref x = mill_src(g, y, at), codes = mill_src(g, y, at + 1);
    const mill_ref val = attr.i[I_HAS_VAL] ? mill_src(g, y, at + 2) : 0;

    if (at) dsrc[0] = dw;
    dsrc[at] = mill_codes_matmul(g, 0, dw, codes, val);
    dsrc[at + 1] = 0;
    if (val) dsrc[at + 2] = codes_dot(g, x, dw, codes, val);
}

DECLARE_KERNELS(op_scatter);
static const mill_op op_scatter = {
    .name = "scatter",
    .n_src = 2, /* x, codes, val? */
    .keep = KEEP_SRC(0) | KEEP_SRC(1) | KEEP_SRC(2),
    .shape = shape_scatter,
    .vjp = scatter_vjp,
    .run = KERNELS(op_scatter),
};
static const mill_op op_scatter_add = {
    .name = "scatter_add",
    .n_src = 3, /* dst, x, codes, val? */
    .keep = KEEP_SRC(1) | KEEP_SRC(2) | KEEP_SRC(3),
    .alias = ALIAS_SRC(0),
    .rowwise = ROW_SRC(0),
    .shape = shape_scatter,
    .vjp = scatter_vjp,
    .run = KERNELS(op_scatter),
};

mill_ref mill_scatter(mill_graph *g, int64_t V, mill_ref y, mill_ref codes, mill_ref val)
{
    const mill_attr attr = {{[I_V] = V, [I_HAS_VAL] = val != 0}, {0}, NULL};
    return mill_apply(g, &op_scatter, &attr, val ? 3 : 2, (mill_ref[]){y, codes, val});
}

mill_ref mill_scatter_add(mill_graph *g, mill_ref dst, mill_ref y, mill_ref codes, mill_ref val)
{
    const mill_attr attr = {
        {[I_V] = mill_shape_of(g, dst)->dim[0], [I_HAS_C] = 1, [I_HAS_VAL] = val != 0}, {0}, NULL};
    return mill_apply(g, &op_scatter_add, &attr, val ? 4 : 3, (mill_ref[]){dst, y, codes, val});
}

mill_ref ops_merge_scatter(mill_graph *g, mill_ref a, mill_ref b)
{
    if (mill_get(g, b)->op != &op_scatter) {
        const mill_ref swap = a;
        a = b;
        b = swap;
    }
    const mill_node *s = mill_get(g, b);
    if (s->op != &op_scatter || !mill_shape_equal(mill_shape_of(g, a), &s->shape)) return 0;
    return mill_scatter_add(g, a, s->src[0], s->src[1], s->attr.i[I_HAS_VAL] ? s->src[2] : 0);
}

/* ---- one-hot, columns ---- */

static mill_err shape_one_hot(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                              const mill_node *node)
{
    TRY(ops_check_dtypes(g, node, 1));
    WANT(g, node, codes_a_row(src_shape(g, node, 0)) == 1, "wants one index a row");
    *out = SHAPE(src_shape(g, node, 0)->dim[0], node->attr.i[I_V]);
    *dtype = MILL_T_REAL;
    return MILL_OK;
}

DECLARE_KERNELS(op_one_hot);
static const mill_op op_one_hot = {
    .name = "one_hot",
    .n_src = 1, /* idx */
    .flags = MILL_OP_STOP,
    .shape = shape_one_hot,
    .run = KERNELS(op_one_hot),
};

mill_ref mill_one_hot(mill_graph *g, mill_ref idx, int64_t V)
{
    const mill_attr attr = {{[I_V] = V}, {0}, NULL};
    return MILL_APPLY(g, &op_one_hot, &attr, idx);
}
