/*
 * batch_norm.c - batch normalisation over the rows of (n, c).
 *
 *     y = (x - mean) r gamma + beta,   r = 1 / sqrt(var + eps)        (Ioffe and Szegedy 2015)
 *
 * Training, in three nodes, the first and the last of which share visits with their neighbours:
 *
 *     bn_tiles   (T, 2, c)  mean and sum of squared distances of each tile of rows, in two passes
 *     bn_stats   (3, c)     tiles merged in order (Chan, Golub and LeVeque 1979): mean, r, and the
 *                           unbiased variance; never E[x^2] - E[x]^2
 *     bn_apply   (n, c)
 *
 * and the running states follow by lerp_state.  Evaluation takes the stats from the states
 * (bn_frozen).
 *
 *     dbeta = sum_i dy,   dgamma = sum_i dy xhat,   xhat = (x - mean) r
 *     dx = gamma r (dy - dbeta / n - xhat dgamma / n)   in training;   gamma r dy   in evaluation
 *
 * bn_grad_tiles gives the two sums per tile, (T, 2, c).  The gradient by x includes what goes
 * through the statistics, so bn_apply hands none to them.  Training wants n >= 2.  The gradient has
 * no gradient.
 */
#include "ops/inner.h"

enum { I_TRAIN }; /* attributes */

static mill_err shape_tiles(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                            const mill_node *node)
{
    const mill_shape *x = src_shape(g, node, 0);
    TRY(ops_check_dtypes(g, node, 0));
    WANT(g, node, x->rank == 2, "wants (n, c)");
    *out = SHAPE(ops_tiles(x->dim[0]), 2, x->dim[1]);
    *dtype = MILL_T_REAL;
    return MILL_OK;
}

static mill_err shape_stats(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                            const mill_node *node)
{
    TRY(ops_check_dtypes(g, node, 0));
    *out = SHAPE(3, mill_cols(src_shape(g, node, 0)));
    *dtype = MILL_T_REAL;
    return MILL_OK;
}

static mill_split split_one(const mill_graph *g, const mill_node *node)
{
    (void)g;
    const int64_t cols = mill_cols(&node->shape);
    return (mill_split){cols, cols, false};
}

DECLARE_KERNELS(op_bn_tiles);
static const mill_op op_bn_tiles = {
    .name = "bn_tiles",
    .n_src = 1,
    .rowwise = ROW_SRC(0),
    .flags = MILL_OP_STOP, /* bn_apply has it all */
    .shape = shape_tiles,
    .split = ops_split_src0,
    .run = KERNELS(op_bn_tiles),
};

DECLARE_KERNELS(op_bn_stats);
static const mill_op op_bn_stats = {
    .name = "bn_stats",
    .n_src = 1, /* tiles; attributes: rows, eps */
    .flags = MILL_OP_STOP,
    .shape = shape_stats,
    .split = split_one,
    .run = KERNELS(op_bn_stats),
};

DECLARE_KERNELS(op_bn_frozen);
static const mill_op op_bn_frozen = {
    .name = "bn_frozen",
    .n_src = 2, /* mean, var */
    .flags = MILL_OP_STOP,
    .shape = shape_stats,
    .split = split_one,
    .run = KERNELS(op_bn_frozen),
};

static mill_err shape_apply(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                            const mill_node *node)
{
    TRY(ops_check_dtypes(g, node, 0));
    for (int i = 1; i < node->n_src; i++)
        WANT(g, node, mill_cols(src_shape(g, node, i)) == mill_cols(src_shape(g, node, 0)),
             "as many columns everywhere");
    return shape_like_src0(out, dtype, g, node);
}

DECLARE_KERNELS(op_bn_grad_tiles);
static const mill_op op_bn_grad_tiles = {
    .name = "bn_grad_tiles",
    .n_src = 3, /* dy, x, stats */
    .rowwise = ROW_SRC(0) | ROW_SRC(1),
    .shape = shape_tiles,
    .split = ops_split_src0,
    .run = KERNELS(op_bn_grad_tiles),
};

DECLARE_KERNELS(op_bn_grad);
static const mill_op op_bn_grad = {
    .name = "bn_grad",
    .n_src = 4, /* dy, x, stats, sums (1, 2, c), gamma? */
    .alias = ALIAS_SRC(0) | ALIAS_SRC(1),
    .rowwise = ROW_SRC(0) | ROW_SRC(1),
    .shape = shape_apply,
    .run = KERNELS(op_bn_grad),
};

static void bn_apply_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dsrc)
{
    const mill_attr *attr = &mill_get(g, y)->attr;
    const mill_ref x = mill_src(g, y, 0), stats = mill_src(g, y, 1), gamma = mill_src(g, y, 2);
    const int64_t c = mill_cols(mill_shape_of(g, x));
    const mill_ref tiles = MILL_APPLY(g, &op_bn_grad_tiles, NULL, dy, x, stats);
    const mill_ref sums = ops_tile_finish(g, tiles);

    if (gamma) {
        dsrc[0] = MILL_APPLY(g, &op_bn_grad, attr, dy, x, stats, sums, gamma);
        dsrc[2] = mill_reshape(g, mill_slice(g, sums, 1, 1, 2), SHAPE(c));
        dsrc[3] = mill_reshape(g, mill_slice(g, sums, 1, 0, 1), SHAPE(c));
    } else {
        dsrc[0] = MILL_APPLY(g, &op_bn_grad, attr, dy, x, stats, sums);
    }
    dsrc[1] = 0;
}

DECLARE_KERNELS(op_bn_apply);
static const mill_op op_bn_apply = {
    .name = "bn_apply",
    .n_src = 2, /* x, stats, gamma?, beta? */
    .keep = KEEP_SRC(0) | KEEP_SRC(1) | KEEP_SRC(2),
    .alias = ALIAS_SRC(0),
    .rowwise = ROW_SRC(0),
    .shape = shape_apply,
    .vjp = bn_apply_vjp,
    .run = KERNELS(op_bn_apply),
};

/* NOLINTNEXTLINE(readability-function-size): the operands of the formula */
mill_ref mill_batch_norm(mill_graph *g, mill_ref x, mill_ref gamma, mill_ref beta, mill_ref *mean,
                         mill_ref *var, double momentum, double eps, bool train)
{
    const mill_shape *s = mill_shape_of(g, x);
    const int64_t rows = mill_rows(s), c = mill_cols(s);
    const mill_attr how = {{[I_TRAIN] = train}, {0}, NULL}, count = {{rows}, {eps}, NULL};
    mill_ref stats;

    if (!x || !*mean || !*var) return 0;
    if (!gamma != !beta) return mill_poison(g, MILL_ESHAPE, "batch_norm: gamma without beta");
    if (train && rows < 2)
        return mill_poison(g, MILL_ESHAPE, "batch_norm: %lld row has no variance", (long long)rows);
    if (train) {
        const mill_ref tiles = MILL_APPLY(g, &op_bn_tiles, NULL, x);
        stats = MILL_APPLY(g, &op_bn_stats, &count, tiles);
        const mill_ref now = mill_reshape(g, mill_slice(g, stats, 0, 0, 1), SHAPE(c));
        const mill_ref spread = mill_reshape(g, mill_slice(g, stats, 0, 2, 3), SHAPE(c));
        *mean = mill_lerp_state(g, *mean, now, momentum);
        *var = mill_lerp_state(g, *var, spread, momentum);
    } else {
        stats = MILL_APPLY(g, &op_bn_frozen, &count, *mean, *var);
    }
    if (!gamma) return MILL_APPLY(g, &op_bn_apply, &how, x, stats);
    return MILL_APPLY(g, &op_bn_apply, &how, x, stats, gamma, beta);
}
