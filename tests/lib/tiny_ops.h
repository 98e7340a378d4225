/*
 * tiny_ops.h - a dozen operations with every trait that planner and executor tell apart, so that
 * their tests need no real ones.
 *
 * Plain loops, the same body for all levels; each walks its tile and nothing else.
 */
#ifndef TESTS_LIB_TINY_OPS_H
#define TESTS_LIB_TINY_OPS_H

#include "base/philox.h"
#include "graph/graph.h"

#define TINY __attribute__((unused)) static
#define TINY_RUN(name) \
    {                  \
        name, name, 0  \
    }

TINY const real *tiny_src(const mill_call *c, int i)
{
    return c->src[i];
}
TINY int64_t tiny_cols(const mill_call *c)
{
    return mill_cols(&c->node->shape);
}

/* y = 0.5 x + 0.25, in place where it may */
TINY void tiny_half_run(const mill_call *c)
{
    const int64_t n = tiny_cols(c);
    for (int64_t i = c->begin * n; i < c->end * n; i++)
        ((real *)c->out)[i] = tiny_src(c, 0)[i] * (real)0.5 + (real)0.25;
}
TINY const mill_op tiny_half = {.name = "half",
                                .n_src = 1,
                                .alias = ALIAS_SRC(0),
                                .rowwise = ROW_SRC(0),
                                .shape = shape_like_src0,
                                .run = TINY_RUN(tiny_half_run)};

/* y = a + b / 2: either's memory may be taken */
TINY void tiny_plus_run(const mill_call *c)
{
    const int64_t n = tiny_cols(c);
    for (int64_t i = c->begin * n; i < c->end * n; i++)
        ((real *)c->out)[i] = tiny_src(c, 0)[i] + tiny_src(c, 1)[i] * (real)0.5;
}
TINY mill_err tiny_plus_shape(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                              const mill_node *node)
{
    if (!mill_shape_equal(mill_shape_of(g, node->src[0]), mill_shape_of(g, node->src[1])))
        return mill_fail(MILL_ESHAPE, "plus: operands differ in shape");
    return shape_like_src0(out, dtype, g, node);
}
TINY const mill_op tiny_plus = {.name = "plus",
                                .n_src = 2,
                                .alias = ALIAS_SRC(0) | ALIAS_SRC(1),
                                .rowwise = ROW_SRC(0) | ROW_SRC(1),
                                .shape = tiny_plus_shape,
                                .run = TINY_RUN(tiny_plus_run)};

/* y[i,j] = x[i,j] - mean_j x[i,:] through scratch; rowwise, never in place */
TINY void tiny_centre_run(const mill_call *c)
{
    const int64_t n = tiny_cols(c);
    real *mean = c->scratch;
    for (int64_t i = c->begin; i < c->end; i++) {
        const real *x = tiny_src(c, 0) + i * n;
        mean[0] = 0;
        for (int64_t j = 0; j < n; j++) mean[0] += x[j];
        for (int64_t j = 0; j < n; j++) ((real *)c->out)[i * n + j] = x[j] - mean[0] / (real)n;
    }
}
TINY size_t tiny_centre_scratch(const mill_graph *g, const mill_node *node)
{
    (void)g;
    (void)node;
    return 200;
}
TINY const mill_op tiny_centre = {.name = "centre",
                                  .n_src = 1,
                                  .rowwise = ROW_SRC(0),
                                  .shape = shape_like_src0,
                                  .scratch = tiny_centre_scratch,
                                  .run = TINY_RUN(tiny_centre_run)};

/* y = x w / k; x (n,k) row by row, w (k,m) in full.  Below 8 rows by blocks of columns. */
TINY mill_err tiny_mm_shape(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                            const mill_node *node)
{
    const mill_shape *x = mill_shape_of(g, node->src[0]), *w = mill_shape_of(g, node->src[1]);
    if (x->rank != 2 || w->rank != 2 || x->dim[1] != w->dim[0])
        return mill_fail(MILL_ESHAPE, "mm: x and w do not fit");
    *out = SHAPE(x->dim[0], w->dim[1]);
    *dtype = MILL_T_REAL;
    return MILL_OK;
}
TINY mill_split tiny_mm_split(const mill_graph *g, const mill_node *node)
{
    if (node->shape.dim[0] >= 8) return mill_split_rows(g, node);
    return (mill_split){node->shape.dim[1], mill_grain(node->shape.dim[1]), false};
}
TINY void tiny_mm_run(const mill_call *c)
{
    const bool rows = c->node->shape.dim[0] >= 8;
    const int64_t k = c->src_shape[0]->dim[1], m = c->node->shape.dim[1];
    const int64_t i0 = rows ? c->begin : 0, i1 = rows ? c->end : c->node->shape.dim[0];
    for (int64_t i = i0; i < i1; i++)
        for (int64_t j = rows ? 0 : c->begin; j < (rows ? m : c->end); j++) {
            real sum = 0;
            for (int64_t l = 0; l < k; l++)
                sum += tiny_src(c, 0)[i * k + l] * tiny_src(c, 1)[l * m + j];
            ((real *)c->out)[i * m + j] = sum / (real)k;
        }
}
TINY const mill_op tiny_mm = {.name = "mm",
                              .n_src = 2,
                              .rowwise = ROW_SRC(0),
                              .flags = MILL_OP_PRODUCT,
                              .shape = tiny_mm_shape,
                              .split = tiny_mm_split,
                              .run = TINY_RUN(tiny_mm_run)};

/* y[j] = mean_i x[i,j]: (n,c) -> (1,c); units are columns */
TINY mill_err tiny_colmean_shape(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                                 const mill_node *node)
{
    *out = SHAPE(1, mill_cols(mill_shape_of(g, node->src[0])));
    *dtype = MILL_T_REAL;
    return MILL_OK;
}
TINY mill_split tiny_colmean_split(const mill_graph *g, const mill_node *node)
{
    (void)g;
    return (mill_split){mill_cols(&node->shape), 4, false};
}
TINY void tiny_colmean_run(const mill_call *c)
{
    const int64_t n = mill_rows(c->src_shape[0]), m = tiny_cols(c);
    for (int64_t j = c->begin; j < c->end; j++) {
        real sum = 0;
        for (int64_t i = 0; i < n; i++) sum += tiny_src(c, 0)[i * m + j];
        ((real *)c->out)[j] = sum / (real)n;
    }
}
TINY const mill_op tiny_colmean = {.name = "colmean",
                                   .n_src = 1,
                                   .shape = tiny_colmean_shape,
                                   .split = tiny_colmean_split,
                                   .run = TINY_RUN(tiny_colmean_run)};

/* y[i,:] = x[i,:] + b: x row by row, b (1,c) in full */
TINY void tiny_bias_run(const mill_call *c)
{
    const int64_t n = tiny_cols(c);
    for (int64_t i = c->begin; i < c->end; i++)
        for (int64_t j = 0; j < n; j++)
            ((real *)c->out)[i * n + j] = tiny_src(c, 0)[i * n + j] + tiny_src(c, 1)[j];
}
TINY const mill_op tiny_bias = {.name = "bias",
                                .n_src = 2,
                                .alias = ALIAS_SRC(0),
                                .rowwise = ROW_SRC(0),
                                .shape = shape_like_src0,
                                .run = TINY_RUN(tiny_bias_run)};

/* y[i,:] = x[n-1-i,:]: reads other rows than it writes */
TINY void tiny_flip_run(const mill_call *c)
{
    const int64_t n = tiny_cols(c), rows = mill_rows(&c->node->shape);
    for (int64_t i = c->begin; i < c->end; i++)
        for (int64_t j = 0; j < n; j++)
            ((real *)c->out)[i * n + j] = tiny_src(c, 0)[(rows - 1 - i) * n + j];
}
TINY const mill_op tiny_flip = {
    .name = "flip", .n_src = 1, .shape = shape_like_src0, .run = TINY_RUN(tiny_flip_run)};

/* uniform numbers of shape attr.i[0] x attr.i[1] */
TINY mill_err tiny_noise_shape(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                               const mill_node *node)
{
    (void)g;
    *out = SHAPE(node->attr.i[0], node->attr.i[1]);
    *dtype = MILL_T_REAL;
    return MILL_OK;
}
TINY void tiny_noise_run(const mill_call *c)
{
    const int64_t n = tiny_cols(c);
    for (int64_t i = c->begin * n; i < c->end * n; i++) {
        uint32_t word[4];
        mill_philox(word, c->seed, c->step, (uint32_t)c->node->attr.i[MILL_MAX_ATTR - 1],
                    (uint64_t)i);
        ((real *)c->out)[i] = (real)mill_u01(word[0]);
    }
}
TINY const mill_op tiny_noise = {.name = "noise",
                                 .n_src = 0,
                                 .flags = MILL_OP_RANDOM,
                                 .shape = tiny_noise_shape,
                                 .run = TINY_RUN(tiny_noise_run)};

/* views: attr.i[0] byte offset, attr.i[1], attr.i[2] the shape */
TINY mill_err tiny_view_shape(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                              const mill_node *node)
{
    (void)g;
    *out = SHAPE(node->attr.i[1], node->attr.i[2]);
    *dtype = MILL_T_REAL;
    return MILL_OK;
}
TINY const mill_op tiny_view = {.name = "view",
                                .n_src = 1,
                                .flags = MILL_OP_VIEW,
                                .rowwise = ROW_SRC(0),
                                .shape = tiny_view_shape};

/* s += 0.125 (x - s), in place, row by row */
TINY void tiny_move_run(const mill_call *c)
{
    const int64_t n = tiny_cols(c);
    real *s = c->out;
    for (int64_t i = c->begin * n; i < c->end * n; i++)
        s[i] += (tiny_src(c, 1)[i] - s[i]) * (real)0.125;
}
TINY const mill_op tiny_move = {.name = "move",
                                .n_src = 2,
                                .rowwise = ROW_SRC(0) | ROW_SRC(1),
                                .flags = MILL_OP_INPLACE,
                                .shape = tiny_plus_shape,
                                .run = TINY_RUN(tiny_move_run)};

/* m = m / 2 + x; s -= 0.01 m: two states in place */
TINY void tiny_step_run(const mill_call *c)
{
    const int64_t n = tiny_cols(c);
    real *s = c->out, *m = (real *)c->src[1];
    for (int64_t i = c->begin * n; i < c->end * n; i++) {
        m[i] = m[i] * (real)0.5 + tiny_src(c, 2)[i];
        s[i] -= m[i] * (real)0.01;
    }
}
TINY const mill_op tiny_step = {.name = "step",
                                .n_src = 3,
                                .rowwise = ROW_SRC(0) | ROW_SRC(1) | ROW_SRC(2),
                                .writes = WRITE_SRC(1),
                                .flags = MILL_OP_INPLACE,
                                .shape = tiny_plus_shape,
                                .run = TINY_RUN(tiny_step_run)};

/* d[n-1-i,:] += x[i,:] in d's memory, by columns: every unit touches all rows */
TINY mill_split tiny_spill_split(const mill_graph *g, const mill_node *node)
{
    (void)g;
    return (mill_split){mill_cols(&node->shape), 5, false};
}
TINY void tiny_spill_run(const mill_call *c)
{
    const int64_t n = tiny_cols(c), rows = mill_rows(&c->node->shape);
    for (int64_t j = c->begin; j < c->end; j++)
        for (int64_t i = 0; i < rows; i++)
            ((real *)c->out)[(rows - 1 - i) * n + j] += tiny_src(c, 1)[i * n + j] * (real)0.5;
}
TINY const mill_op tiny_spill = {.name = "spill",
                                 .n_src = 2,
                                 .flags = MILL_OP_INPLACE,
                                 .shape = tiny_plus_shape,
                                 .split = tiny_spill_split,
                                 .run = TINY_RUN(tiny_spill_run)};

TINY mill_ref tiny_make_noise(mill_graph *g, int64_t rows, int64_t cols)
{
    mill_attr a = {.i = {rows, cols}};
    a.i[MILL_MAX_ATTR - 1] = mill_stream(g);
    return mill_apply(g, &tiny_noise, &a, 0, NULL);
}
TINY mill_ref tiny_make_view(mill_graph *g, mill_ref x, int64_t at, int64_t rows, int64_t cols)
{
    const mill_attr a = {.i = {at * (int64_t)sizeof(real), rows, cols}};
    return MILL_APPLY(g, &tiny_view, &a, x);
}
TINY mill_ref tiny_1(mill_graph *g, const mill_op *op, mill_ref x)
{
    return MILL_APPLY(g, op, NULL, x);
}
TINY mill_ref tiny_2(mill_graph *g, const mill_op *op, mill_ref x, mill_ref y)
{
    return MILL_APPLY(g, op, NULL, x, y);
}

#endif
