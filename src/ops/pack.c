/*
 * pack.c - operands of products, rounded to bfloat16 once instead of by every tile that reads them.
 *
 *     pack_rows     x (.., n, k) -> (.., n, k')         what tiles of columns read in full
 *     pack_panels   x (k, m), or (m, k) with `tb` -> (m', k')    what tiles of rows read in full
 *
 * k' is k made even, m' is m made a multiple of 32; the layouts are those of base/gemm.h.  Only
 * mill_pass_cast adds these nodes, and only where the processor has products of bfloat16.  Both
 * work row by row of x where a tile of its rows is whole in the packed form, so that they share a
 * visit with what makes x; otherwise one tile packs all.
 */
#include "base/gemm.h"
#include "ops/inner.h"

enum { I_TB };

static mill_err shape_rows(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                           const mill_node *node)
{
    TRY(ops_check_dtypes(g, node, 0));
    *out = *src_shape(g, node, 0);
    WANT(g, node, out->rank >= 2, "wants a matrix");
    out->dim[out->rank - 1] = (mill_cols(out) + 1) / 2 * 2;
    *dtype = MILL_T_BF16;
    return MILL_OK;
}

static mill_err shape_panels(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                             const mill_node *node)
{
    const mill_shape *x = src_shape(g, node, 0);
    const bool tb = node->attr.i[I_TB];

    TRY(ops_check_dtypes(g, node, 0));
    WANT(g, node, x->rank == 2, "wants a matrix");
    *out =
        SHAPE((x->dim[!tb] + GEMM_PANEL - 1) / GEMM_PANEL * GEMM_PANEL, (x->dim[tb] + 1) / 2 * 2);
    *dtype = MILL_T_BF16;
    return MILL_OK;
}

static mill_split split_panels(const mill_graph *g, const mill_node *node)
{
    const int64_t rows = mill_rows(src_shape(g, node, 0)), grain = mill_grain(rows);

    if (grain % (node->attr.i[I_TB] ? GEMM_PANEL : 2)) return (mill_split){rows, rows, false};
    return (mill_split){rows, grain, true};
}

static void run_rows(const mill_call *c)
{
#if !defined(MILL_REAL_IS_DOUBLE)
    const int64_t k = mill_cols(c->src_shape[0]), to = mill_cols(&c->node->shape);
    gemm_pack_rows((uint16_t *)c->out + c->begin * to, (const float *)c->src[0] + c->begin * k, k,
                   c->end - c->begin, k);
#else
    (void)c;
#endif
}

static void run_panels(const mill_call *c)
{
#if !defined(MILL_REAL_IS_DOUBLE)
    const mill_shape *x = c->src_shape[0];
    const bool tb = c->node->attr.i[I_TB];
    const gemm_panels p = {
        .b = c->src[0], .k = x->dim[tb], .n = x->dim[!tb], .ldb = mill_cols(x), .tb = tb};
    gemm_pack_panels(c->out, &p, c->begin, c->end);
#else
    (void)c;
#endif
}

static const mill_op op_pack_rows = {
    .name = "pack_rows",
    .n_src = 1,
    .rowwise = ROW_SRC(0),
    .shape = shape_rows,
    .run = {run_rows, run_rows, 0},
};

static const mill_op op_pack_panels = {
    .name = "pack_panels",
    .n_src = 1,
    .rowwise = ROW_SRC(0),
    .shape = shape_panels,
    .split = split_panels,
    .run = {run_panels, run_panels, 0},
};

mill_ref mill_pack_rows(mill_graph *g, mill_ref x)
{
    return MILL_APPLY(g, &op_pack_rows, NULL, x);
}

mill_ref mill_pack_panels(mill_graph *g, mill_ref x, bool tb)
{
    const mill_attr attr = {{[I_TB] = tb}, {0}, NULL};
    return MILL_APPLY(g, &op_pack_panels, &attr, x);
}
