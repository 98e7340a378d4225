/*
 * harness.h - one way to test every operation; a row of the table says how to build it and what it
 * should give.
 *
 * A row builds a graph on inputs x0, x1, .. for n rows and c columns, and computes the same thing
 * from doubles with plain loops and libm (the oracle).  The harness then checks
 *   - the value against the oracle, and the gradient of a random projection against central
 * differences of the oracle, in the float and in the double build (CONFIG=f64, where the tolerance
 * is 10^4 tighter);
 *   - in the double build, where promised, the gradient of a projection of that gradient against
 * central differences of the graph's own gradient;
 *   - that threads 1, 2, 7, a buffer per node, a node a stage, dead spans of NaN and the planned
 * run give the same bits, and that a plain executor of its own, level v3 and level v4, gives them
 * too.
 */
#ifndef TESTS_OPS_HARNESS_H
#define TESTS_OPS_HARNESS_H

#include "base/cpu.h"
#include "base/mem.h"
#include "base/philox.h"
#include "exec/exec.h"
#include "ops/ops.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#if defined(MILL_REAL_IS_DOUBLE) && MILL_REAL_IS_DOUBLE
enum { IS_F64 = 1 };
#else
enum { IS_F64 = 0 };
#endif

enum { MAX_X = 6, SEED = 20 };

/* What a row is about, filled while it builds. */
typedef struct {
    mill_graph *g;
    int64_t n, c; /* rows and columns asked for */
    int n_x;      /* real inputs, by which gradients are checked */
    mill_ref x[MAX_X];
    mill_shape shape[MAX_X];
    double lo[MAX_X], hi[MAX_X];
    int n_int;
    mill_ref index[2];
    int64_t below[2]; /* integers are -1 .. below-1 */
} row_build;

/* What the oracle reads. */
typedef struct {
    int64_t n, c, n_y;
    const double *x[MAX_X];
    const int32_t *index[2];
} row_data;

enum {
    HAS_GRAD = 1,   /* the gradient is checked */
    HAS_SECOND = 2, /* and its gradient */
    PRODUCT = 4,    /* goes through base/gemm.h: no golden digest */
    ROUGH = 8,      /* float tolerance ten times wider: sums of many terms */
    SQUARE = 16,    /* n and c do not matter: one size */
    MIN_2_ROWS = 32,
};

typedef struct {
    const char *name;
    mill_ref (*build)(row_build *b);
    void (*oracle)(double *y, const row_data *d);
    unsigned flags;
} op_row;

/* Behind the input stands an operation: so a source has memory that can be taken over, and a false
 * claim of reading row by row shares a visit with rows that are not there yet. */
static inline mill_ref X(row_build *b, mill_shape shape, double lo, double hi)
{
    static const char *const name[MAX_X] = {"x0", "x1", "x2", "x3", "x4", "x5"};
    const int i = b->n_x++;
    b->shape[i] = shape;
    b->lo[i] = lo;
    b->hi[i] = hi;
    b->x[i] = mill_input(b->g, name[i], MILL_T_REAL, shape);
    return mill_scale(b->g, b->x[i], 1, 0);
}

static inline mill_ref INDEX(row_build *b, mill_shape shape, int64_t below)
{
    static const char *const name[2] = {"i0", "i1"};
    const int i = b->n_int++;
    b->below[i] = below;
    return b->index[i] = mill_input(b->g, name[i], MILL_T_I32, shape);
}

/* The inputs' values: functions of (row, input, element), kept exactly representable in float. */
static inline double value_of(const row_build *b, int i, int64_t e)
{
    const float u = mill_rand_u01(7, 0, (uint32_t)(i + 1), (uint64_t)e);
    const double x = b->lo[i] + (b->hi[i] - b->lo[i]) * (double)u;
    return (double)(float)x;
}

static inline int32_t index_of(const row_build *b, int i, int64_t e)
{
    const uint32_t u = mill_rand_bits(7, 1, (uint32_t)(i + 1), (uint64_t)e);
    return (int32_t)(u % (uint32_t)(b->below[i] + 1)) - 1;
}

static inline double projection(int64_t e, int which)
{
    return (double)(float)(2 * (double)mill_rand_u01(7, 2, (uint32_t)(1 + which), (uint64_t)e) - 1);
}

/* ---- a graph with its outputs ---- */

typedef struct {
    row_build b;
    int n_out; /* y, then gradients of it, of its square, and second gradients of that */
    mill_ref out[1 + 3 * MAX_X];
    char name[1 + 3 * MAX_X][16];
} row_graph;

static inline mill_ref projected(mill_graph *g, mill_ref y, int which)
{
    const mill_shape s = *mill_shape_of(g, y);
    const int64_t n = mill_elems(&s);
    real *p = mill_alloc((size_t)n, sizeof *p);
    for (int64_t e = 0; e < n; e++) p[e] = (real)projection(e, which);
    const mill_ref c = mill_const(g, MILL_T_REAL, s, p);
    mill_free(p);
    return mill_sum_all(g, mill_mul(g, y, c));
}

static inline void add_output(row_graph *r, mill_ref y, const char *kind, int i)
{
    char *name = r->name[r->n_out];
    snprintf(name, 16, "%s%d", kind, i);
    mill_output(r->b.g, name, y);
    r->out[r->n_out++] = y;
}

static inline void build_row(row_graph *r, const op_row *row, int64_t n, int64_t c)
{
    mill_ref d1[MAX_X] = {0}, d2[MAX_X] = {0};

    memset(r, 0, sizeof *r);
    r->b.n = n;
    r->b.c = c;
    assert_int_equal(mill_graph_new(&r->b.g), MILL_OK);
    mill_graph *g = r->b.g;
    const mill_ref y = row->build(&r->b);
    if (!y) print_error("%s: %s\n", row->name, mill_graph_error(g) ? mill_error() : "no node");
    assert_true(y > 0);
    add_output(r, y, "y", 0);
    if (row->flags & HAS_GRAD) {
        const mill_err err = mill_grad(g, projected(g, y, 0), r->b.x, r->b.n_x, d1);
        if (err) print_error("%s: %s\n", row->name, mill_error());
        assert_int_equal(err, MILL_OK);
        for (int i = 0; i < r->b.n_x; i++) add_output(r, d1[i], "d", i);
    }
    if (row->flags & HAS_SECOND) {
        /* Of the square: the gradient of what is linear would not depend on x, and its own gradient
         * would be asked for nothing. */
        mill_ref sum = 0;
        mill_err err = mill_grad(g, projected(g, mill_square(g, y), 0), r->b.x, r->b.n_x, d1);
        for (int i = 0; i < r->b.n_x && !err; i++) {
            const mill_ref one = projected(g, d1[i], 1 + i);
            add_output(r, d1[i], "q", i);
            sum = i ? mill_add(g, sum, one) : one;
        }
        if (!err) err = mill_grad(g, sum, r->b.x, r->b.n_x, d2);
        if (err) print_error("%s: %s\n", row->name, mill_error());
        assert_int_equal(err, MILL_OK);
        for (int i = 0; i < r->b.n_x; i++) add_output(r, d2[i], "s", i);
    }
    if (mill_graph_error(g)) print_error("%s: %s\n", row->name, mill_error());
    assert_int_equal(mill_graph_error(g), MILL_OK);
}

/* ---- running ---- */

typedef struct {
    int n;
    real *v[1 + 3 * MAX_X];
    int64_t elems[1 + 3 * MAX_X];
} row_values;

static inline void free_values(row_values *v)
{
    for (int i = 0; i < v->n; i++) mill_free(v->v[i]);
    v->n = 0;
}

static inline void fill_inputs(const row_build *b, mill_exec *e)
{
    exec_tensor t;
    for (int i = 0; i < b->n_x; i++) {
        char name[16];
        snprintf(name, sizeof name, "x%d", i);
        assert_int_equal(mill_exec_input(&t, e, name), MILL_OK);
        for (int64_t k = 0; k < mill_elems(&t.shape); k++)
            ((real *)t.data)[k] = (real)value_of(b, i, k);
    }
    for (int i = 0; i < b->n_int; i++) {
        char name[16];
        snprintf(name, sizeof name, "i%d", i);
        assert_int_equal(mill_exec_input(&t, e, name), MILL_OK);
        for (int64_t k = 0; k < mill_elems(&t.shape); k++)
            ((int32_t *)t.data)[k] = index_of(b, i, k);
    }
}

static inline void take_outputs(row_values *v, const row_graph *r, mill_exec *e)
{
    v->n = r->n_out;
    for (int i = 0; i < r->n_out; i++) {
        exec_tensor t;
        assert_int_equal(mill_exec_output(&t, e, r->name[i]), MILL_OK);
        v->elems[i] = mill_elems(&t.shape);
        v->v[i] = mill_alloc((size_t)v->elems[i], sizeof(real));
        memcpy(v->v[i], t.data, (size_t)v->elems[i] * sizeof(real));
    }
}

static inline mill_exec *compile_row(const op_row *row, row_graph *r, int threads, unsigned flags,
                                     mill_pool **pool)
{
    mill_exec *e = NULL;
    *pool = NULL;
    if (threads > 1) assert_int_equal(mill_pool_new(pool, threads), MILL_OK);
    const exec_options o = {.pool = *pool, .seed = SEED, .flags = flags};
    const mill_err err = mill_exec_new(&e, r->b.g, &o);
    if (err) print_error("%s: %s\n", row->name, mill_error());
    assert_int_equal(err, MILL_OK);
    fill_inputs(&r->b, e);
    return e;
}

/* STEP of the run: 3, so that a bias correction or a stream that forgets it is seen. */
static inline void run_row(row_values *v, const op_row *row, int64_t n, int64_t c, int threads,
                           unsigned flags)
{
    row_graph r;
    mill_pool *pool;

    build_row(&r, row, n, c);
    mill_exec *e = compile_row(row, &r, threads, flags, &pool);
    assert_int_equal(mill_exec_run(e, 3), MILL_OK);
    take_outputs(v, &r, e);
    mill_exec_free(e);
    mill_pool_free(pool);
    mill_graph_free(r.b.g);
}

/* ---- a plain executor: every node of the graph in order, a buffer each, kernels of one level ----
 */

static inline void note_op(const mill_op *op);

static inline void run_plain(row_values *v, const op_row *row, int64_t n, int64_t c, int level)
{
    row_graph r;
    build_row(&r, row, n, c);
    mill_graph *g = r.b.g;
    void **at = mill_alloc((size_t)mill_graph_n(g), sizeof *at);
    bool *owned = mill_alloc((size_t)mill_graph_n(g), sizeof *owned);

    for (mill_ref k = 1; k < mill_graph_n(g); k++) {
        const mill_node *node = mill_get(g, k);
        const size_t bytes = (size_t)mill_elems(&node->shape) * mill_dtype_size(node->dtype);
        if (node->op && (node->op->flags & (MILL_OP_VIEW | MILL_OP_INPLACE)))
            at[k] =
                (char *)at[node->src[0]] + (node->op->flags & MILL_OP_VIEW ? node->attr.i[0] : 0);
        else {
            at[k] = mill_alloc(bytes + 64, 1);
            owned[k] = true;
        }
        if (node->kind == MILL_CONST && node->data) memcpy(at[k], node->data, bytes);
        for (int i = 0; i < r.b.n_x; i++)
            if (r.b.x[i] == k)
                for (int64_t e = 0; e < mill_elems(&node->shape); e++)
                    ((real *)at[k])[e] = (real)value_of(&r.b, i, e);
        for (int i = 0; i < r.b.n_int; i++)
            if (r.b.index[i] == k)
                for (int64_t e = 0; e < mill_elems(&node->shape); e++)
                    ((int32_t *)at[k])[e] = index_of(&r.b, i, e);
        if (!node->op) continue;
        note_op(node->op);
        if (node->op->flags & MILL_OP_VIEW) continue;

        const mill_split split =
            node->op->split ? node->op->split(g, node) : mill_split_rows(g, node);
        void *scratch = node->op->scratch ? mill_alloc(node->op->scratch(g, node) + 64, 1) : NULL;
        mill_call call = {.out = at[k], .node = node, .scratch = scratch, .seed = SEED, .step = 3};
        for (int i = 0; i < node->n_src; i++) {
            call.src[i] = at[node->src[i]];
            call.src_shape[i] = mill_shape_of(g, node->src[i]);
        }
        for (int64_t u = 0; u < split.units; u += split.grain) {
            call.begin = u;
            call.end = u + split.grain < split.units ? u + split.grain : split.units;
            node->op->run[level](&call);
        }
        mill_free(scratch);
    }
    v->n = r.n_out;
    for (int i = 0; i < r.n_out; i++) {
        v->elems[i] = mill_elems(mill_shape_of(g, r.out[i]));
        v->v[i] = mill_alloc((size_t)v->elems[i], sizeof(real));
        memcpy(v->v[i], at[r.out[i]], (size_t)v->elems[i] * sizeof(real));
    }
    for (mill_ref k = 1; k < mill_graph_n(g); k++)
        if (owned[k]) mill_free(at[k]);
    mill_free(at);
    mill_free(owned);
    mill_graph_free(g);
}

static inline void assert_same_bits(const op_row *row, const char *what, int64_t n, int64_t c,
                                    const row_values *a, const row_values *b)
{
    assert_int_equal(a->n, b->n);
    for (int i = 0; i < a->n; i++)
        for (int64_t e = 0; e < a->elems[i]; e++)
            if (memcmp(&a->v[i][e], &b->v[i][e], sizeof(real)) != 0) {
                print_error("%s (%lld, %lld): %s: output %d, element %lld: %.17g, not %.17g\n",
                            row->name, (long long)n, (long long)c, what, i, (long long)e,
                            (double)b->v[i][e], (double)a->v[i][e]);
                fail();
            }
}

#endif
