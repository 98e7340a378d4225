/*
 * binary.c - the loops of binary.def.
 *
 * A row of an operand is a vector or one value, and lies at a place that depends on the row number:
 * so each row of the table has four loops, and no index is computed per element.  When no operand
 * is repeated along rows, the whole tile is one long row.
 */
#include "ops/cpu/kernel.h"

typedef enum { FULL, SAME, COLUMN, STRIDED } walk; /* how an operand goes from row to row */
typedef struct {
    const real *p;
    int64_t cols; /* 1: one value a row */
    walk walk;
    int64_t stride[3]; /* STRIDED: by the leading dimensions of the output */
} operand;

static operand operand_of(const mill_call *c, int i)
{
    const mill_shape *y = &c->node->shape, *s = c->src_shape[i];
    const int64_t rows = mill_rows(y), own = mill_rows(s);
    operand o = {c->src[i], mill_cols(s), STRIDED, {0, 0, 0}};

    if (own == rows) o.walk = o.cols == 1 ? COLUMN : FULL;
    if (own == 1) o.walk = SAME;
    if (o.walk != STRIDED) return o;

    int64_t step = o.cols;
    for (int d = s->rank - 2; d >= 0; d--) {
        const int at = d + y->rank - s->rank;
        o.stride[at] = s->dim[d] == 1 ? 0 : step;
        step *= s->dim[d];
    }
    return o;
}

static const real *row_of(const operand *o, const mill_shape *y, int64_t row)
{
    if (o->walk == SAME) return o->p;
    if (o->walk != STRIDED) return o->p + row * o->cols;

    int64_t at = 0;
    for (int d = y->rank - 2; d >= 0; d--) {
        at += row % y->dim[d] * o->stride[d];
        row /= y->dim[d];
    }
    return o->p + at;
}

/* An operand that is contiguous with the output over the tile, or one value for all of it. */
static bool is_flat(const operand *o, int64_t cols)
{
    if (o->walk == SAME) return o->cols == 1;
    return o->cols == cols && o->walk != STRIDED;
}

#define BINARY(row, expr)                                                                          \
    INLINE void row##_run(real *y, const real *pa, bool va, const real *pb, bool vb, int64_t n)    \
    {                                                                                              \
        if (va && vb) {                                                                            \
            APART for (int64_t i = 0; i < n; i++)                                                  \
            {                                                                                      \
                const real a = pa[i], b = pb[i];                                                   \
                y[i] = expr;                                                                       \
            }                                                                                      \
        } else if (va) {                                                                           \
            const real b = *pb;                                                                    \
            APART for (int64_t i = 0; i < n; i++)                                                  \
            {                                                                                      \
                const real a = pa[i];                                                              \
                y[i] = expr;                                                                       \
            }                                                                                      \
        } else if (vb) {                                                                           \
            const real a = *pa;                                                                    \
            APART for (int64_t i = 0; i < n; i++)                                                  \
            {                                                                                      \
                const real b = pb[i];                                                              \
                y[i] = expr;                                                                       \
            }                                                                                      \
        } else {                                                                                   \
            const real a = *pa, b = *pb;                                                           \
            const real value = expr;                                                               \
            for (int64_t i = 0; i < n; i++) y[i] = value;                                          \
        }                                                                                          \
    }                                                                                              \
    KERNEL(op_##row)                                                                               \
    {                                                                                              \
        const mill_shape *shape = &c->node->shape;                                                 \
        const int64_t cols = mill_cols(shape);                                                     \
        const operand a = operand_of(c, 0), b = operand_of(c, 1);                                  \
        real *y = (real *)c->out + c->begin * cols;                                                \
                                                                                                   \
        if (is_flat(&a, cols) && is_flat(&b, cols)) {                                              \
            row##_run(y, row_of(&a, shape, c->begin), a.walk != SAME, row_of(&b, shape, c->begin), \
                      b.walk != SAME, tile_elems(c));                                              \
            return;                                                                                \
        }                                                                                          \
        for (int64_t i = c->begin; i < c->end; i++, y += cols)                                     \
            row##_run(y, row_of(&a, shape, i), a.cols == cols, row_of(&b, shape, i),               \
                      b.cols == cols, cols);                                                       \
    }

#include "ops/binary.def"
