/*
 * span.c - rows whose columns fall into spans, each with its own activation and loss.
 *
 * o: (n, D); spans: const i32 (S, 3) of start, length, kind, which cover 0..D-1 in order.
 *
 *     activate   tanh spans     y = tanh(o)                              do = dy (1 - y^2)
 *                softmax spans  y = softmax((o + gumbel) / tau)          do = y (dy - dy.y) / tau
 *     softmax, log_softmax      span by span, kinds ignored
 *     pick       (n, S): tanh(o), or an index: the number of k < n - 1 with
 *                sum_{j<=k} exp(o[j]) <= u sum_j exp(o[j]), u uniform: a draw from softmax(o)
 *     ce         (n, 1) = sum over spans with target t >= 0 of log sum_k exp(o[k]) - o[t]
 *                do = softmax(o_span) - one_hot(t) there, 0 in spans without a target
 *
 * Gumbel noise is a function of (seed, stream, step, element of o), of log(1/u) as CTGAN draws it.
 * The gradients of the activations need y alone.  A pick lets no gradient pass: one
 * uniform number a span by the inverse of its distribution, where Gumbel-max would want one a
 * unit.
 */
#include "ops/inner.h"

static mill_ref check_spans(mill_graph *g, const char *name, mill_ref o, mill_ref spans)
{
    if (!o || !spans) return 0;
    const mill_node *s = mill_get(g, spans);
    const mill_shape *x = mill_shape_of(g, o);
    if (s->kind != MILL_CONST || s->dtype != MILL_T_I32 || s->shape.rank != 2 ||
        s->shape.dim[1] != 3 || !s->data)
        return mill_poison(g, MILL_ESHAPE, "%s: spans are a constant i32 (S, 3)", name);
    if (x->rank != 2) return mill_poison(g, MILL_ESHAPE, "%s: wants (n, D)", name);

    const int32_t *row = s->data;
    int64_t at = 0;
    for (int64_t i = 0; i < s->shape.dim[0]; i++, row += 3) {
        if (row[0] != at || row[1] < 1 || (row[2] != SPAN_TANH && row[2] != SPAN_SOFTMAX))
            return mill_poison(g, MILL_ESHAPE, "%s: span %lld (%d, %d, %d) is not the next one",
                               name, (long long)i, row[0], row[1], row[2]);
        at += row[1];
    }
    if (at != x->dim[1])
        return mill_poison(g, MILL_ESHAPE, "%s: spans cover %lld of %lld columns", name,
                           (long long)at, (long long)x->dim[1]);
    return spans;
}

static mill_err shape_spans(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                            const mill_node *node) /* spans are the last source */
{
    TRY(ops_check_dtypes(g, node, 1u << (node->n_src - 1)));
    return shape_like_src0(out, dtype, g, node);
}

/* ---- activate ---- */

enum { I_MODE, F_TAU = 0 }; /* ORDER SPAN ATTR */

DECLARE_KERNELS(op_span_activate_grad);
static const mill_op op_span_activate_grad = {
    .name = "span_activate_grad",
    .n_src = 3, /* dy, y, spans */
    .alias = ALIAS_SRC(0) | ALIAS_SRC(1),
    .rowwise = ROW_SRC(0) | ROW_SRC(1),
    .shape = shape_spans,
    .run = KERNELS(op_span_activate_grad),
};

static void span_activate_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    const mill_attr *attr = &mill_get(g, y)->attr;
    dsrc[0] = MILL_APPLY(g, &op_span_activate_grad, attr, dy, y, mill_src(g, y, 1));
    dsrc[1] = 0;
}

/* Noise of sixteen rows. ORDER SPAN SCRATCH */
static size_t scratch_noise(const mill_graph *g, const mill_node *node)
{
    return (size_t)(16 * mill_cols(src_shape(g, node, 0))) * sizeof(real);
}

DECLARE_KERNELS(op_span_activate);
static const mill_op op_span_activate = {
    .name = "span_activate",
    .n_src = 2, /* o, spans */
    .keep = KEEP_SRC(1) | KEEP_Y,
    .alias = ALIAS_SRC(0),
    .rowwise = ROW_SRC(0),
    .flags = MILL_OP_RANDOM,
    .shape = shape_spans,
    .scratch = scratch_noise,
    .vjp = span_activate_vjp,
    .run = KERNELS(op_span_activate),
};

mill_ref mill_span_activate(mill_graph *g, mill_ref o, mill_ref spans, double tau,
                            mill_span_mode mode)
{
    mill_attr attr = {.i = {[I_MODE] = mode}, .f = {[F_TAU] = tau}};
    if (!(attr.f[F_TAU] > 0)) return mill_poison(g, MILL_ESHAPE, "span_activate: tau = %g", tau);
    attr.i[MILL_MAX_ATTR - 1] = mill_stream(g);
    spans = check_spans(g, "span_activate", o, spans);
    return MILL_APPLY(g, &op_span_activate, &attr, o, spans);
}

/* ---- pick ---- */

enum { I_DRAW }; /* ORDER PICK ATTR */

static mill_err shape_span_pick(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                                const mill_node *node)
{
    TRY(ops_check_dtypes(g, node, 2));
    *out = SHAPE(src_shape(g, node, 0)->dim[0], src_shape(g, node, 1)->dim[0]);
    *dtype = MILL_T_REAL;
    return MILL_OK;
}

/* Uniform numbers of sixteen rows, and the exponentials of one row. ORDER PICK SCRATCH */
static size_t scratch_pick(const mill_graph *g, const mill_node *node)
{
    return (size_t)(16 * mill_cols(&node->shape) + mill_cols(src_shape(g, node, 0))) * sizeof(real);
}

DECLARE_KERNELS(op_span_pick);
static const mill_op op_span_pick = {
    .name = "span_pick",
    .n_src = 2, /* o, spans */
    .rowwise = ROW_SRC(0),
    .flags = MILL_OP_RANDOM | MILL_OP_STOP,
    .shape = shape_span_pick,
    .scratch = scratch_pick,
    .run = KERNELS(op_span_pick),
};

mill_ref mill_span_pick(mill_graph *g, mill_ref o, mill_ref spans, bool draw)
{
    mill_attr attr = {.i = {[I_DRAW] = draw}};
    attr.i[MILL_MAX_ATTR - 1] = mill_stream(g);
    if (!(spans = check_spans(g, "span_pick", o, spans))) return 0;

    const mill_node *s = mill_get(g, spans);
    const int32_t *row = s->data;
    for (int64_t i = 0; i < s->shape.dim[0]; i++, row += 3)
        if (row[2] == SPAN_TANH && row[1] != 1)
            return mill_poison(g, MILL_ESHAPE, "span_pick: tanh span %lld has %d units",
                               (long long)i, row[1]);
    return MILL_APPLY(g, &op_span_pick, &attr, o, spans);
}

/* ---- softmax and log_softmax ---- */

#define SPAN_SOFTMAX_OP(row)                                                       \
    DECLARE_KERNELS(op_##row);                                                     \
    DECLARE_KERNELS(op_##row##_grad);                                              \
    static const mill_op op_##row##_grad = {                                       \
        .name = #row "_grad",                                                      \
        .n_src = 3, /* dy, y, spans */                                             \
        .alias = ALIAS_SRC(0) | ALIAS_SRC(1),                                      \
        .rowwise = ROW_SRC(0) | ROW_SRC(1),                                        \
        .shape = shape_spans,                                                      \
        .run = KERNELS(op_##row##_grad),                                           \
    };                                                                             \
    static void row##_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)  \
    {                                                                              \
        dsrc[0] = MILL_APPLY(g, &op_##row##_grad, NULL, dy, y, mill_src(g, y, 1)); \
        dsrc[1] = 0;                                                               \
    }                                                                              \
    static const mill_op op_##row = {                                              \
        .name = #row,                                                              \
        .n_src = 2, /* o, spans */                                                 \
        .keep = KEEP_SRC(1) | KEEP_Y,                                              \
        .alias = ALIAS_SRC(0),                                                     \
        .rowwise = ROW_SRC(0),                                                     \
        .shape = shape_spans,                                                      \
        .vjp = row##_vjp,                                                          \
        .run = KERNELS(op_##row),                                                  \
    };                                                                             \
    mill_ref mill_##row(mill_graph *g, mill_ref o, mill_ref spans)                 \
    {                                                                              \
        spans = check_spans(g, #row, o, spans);                                    \
        return MILL_APPLY(g, &op_##row, NULL, o, spans);                           \
    }
SPAN_SOFTMAX_OP(span_softmax)
SPAN_SOFTMAX_OP(span_log_softmax)

/* ---- cross-entropy ---- */

static mill_err shape_span_ce(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                              const mill_node *node)
{
    const mill_shape *o = src_shape(g, node, 0), *t = src_shape(g, node, 2);
    TRY(ops_check_dtypes(g, node, 6));
    WANT(g, node,
         t->rank == 2 && t->dim[0] == o->dim[0] && t->dim[1] == src_shape(g, node, 1)->dim[0],
         "targets are (n, S)");
    *out = SHAPE(o->dim[0], 1);
    *dtype = MILL_T_REAL;
    return MILL_OK;
}

DECLARE_KERNELS(op_span_ce_grad);
static const mill_op op_span_ce_grad = {
    .name = "span_ce_grad",
    .n_src = 4, /* dy, o, spans, target */
    .alias = ALIAS_SRC(1),
    .rowwise = ROW_SRC(0) | ROW_SRC(1) | ROW_SRC(3),
    .shape = ops_shape_like_src1,
    .run = KERNELS(op_span_ce_grad),
};

static void span_ce_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    dsrc[0] = MILL_APPLY(g, &op_span_ce_grad, NULL, dy, mill_src(g, y, 0), mill_src(g, y, 1),
                         mill_src(g, y, 2));
    dsrc[1] = dsrc[2] = 0;
}

DECLARE_KERNELS(op_span_ce);
static const mill_op op_span_ce = {
    .name = "span_ce",
    .n_src = 3, /* o, spans, target */
    .keep = KEEP_SRC(0) | KEEP_SRC(1) | KEEP_SRC(2),
    .rowwise = ROW_SRC(0) | ROW_SRC(2),
    .shape = shape_span_ce,
    .vjp = span_ce_vjp,
    .run = KERNELS(op_span_ce),
};

mill_ref mill_span_ce(mill_graph *g, mill_ref o, mill_ref spans, mill_ref target)
{
    spans = check_spans(g, "span_ce", o, spans);
    return MILL_APPLY(g, &op_span_ce, NULL, o, spans, target);
}
