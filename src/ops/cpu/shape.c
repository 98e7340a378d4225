/* shape.c - kernels of ops/shape.c: copies. */
#include "ops/cpu/lanes.h"
#include <string.h>

INLINE void copy(real *y, const real *x, int64_t n)
{
    if (n > 256)
        memcpy(y, x, (size_t)n * sizeof(real));
    else
        row_copy(y, x, n);
}

INLINE int64_t dims(const mill_shape *s, int first, int end)
{
    int64_t n = 1;
    for (int i = first; i < end; i++) n *= s->dim[i];
    return n;
}

/* Row `row` of a tensor whose axis `axis` has `size` entries: where it lies along the axis, and its
 * number without it. */
typedef struct {
    int64_t at, outer, inner; /* row = (outer * size + at) * inners + inner */
} place;
INLINE place place_of(int64_t row, int64_t size, int64_t inners)
{
    return (place){row / inners % size, row / inners / size, row % inners};
}

/* attributes: begin, axis.  ORDER SLICE ATTR */
KERNEL(op_slice)
{
    const mill_shape *y = &c->node->shape, *x = c->src_shape[0];
    const int axis = (int)c->node->attr.i[1];
    const int64_t begin = c->node->attr.i[0], n = mill_cols(y);
    const int64_t inners = axis < y->rank - 1 ? dims(y, axis + 1, y->rank - 1) : 1;

    for (int64_t i = c->begin; i < c->end; i++) {
        real *to = (real *)c->out + i * n;
        if (axis == y->rank - 1) {
            copy(to, (const real *)c->src[0] + i * mill_cols(x) + begin, n);
            continue;
        }
        const place p = place_of(i, y->dim[axis], inners);
        const int64_t row = (p.outer * x->dim[axis] + p.at + begin) * inners + p.inner;
        copy(to, (const real *)c->src[0] + row * n, n);
    }
}

KERNEL(op_pad)
{
    const mill_shape *y = &c->node->shape, *x = c->src_shape[0];
    const int axis = (int)c->node->attr.i[1];
    const int64_t begin = c->node->attr.i[0], n = mill_cols(y), size = x->dim[axis];
    const int64_t inners = axis < y->rank - 1 ? dims(y, axis + 1, y->rank - 1) : 1;

    for (int64_t i = c->begin; i < c->end; i++) {
        real *to = (real *)c->out + i * n;
        if (axis == y->rank - 1) {
            row_fill(to, 0, begin);
            copy(to + begin, (const real *)c->src[0] + i * size, size);
            row_fill(to + begin + size, 0, n - begin - size);
            continue;
        }
        const place p = place_of(i, y->dim[axis], inners);
        if (p.at < begin || p.at >= begin + size) {
            row_fill(to, 0, n);
            continue;
        }
        const int64_t row = (p.outer * size + p.at - begin) * inners + p.inner;
        copy(to, (const real *)c->src[0] + row * n, n);
    }
}

KERNEL(op_concat)
{
    const int64_t n = mill_cols(&c->node->shape);

    for (int64_t i = c->begin; i < c->end; i++) {
        real *y = (real *)c->out + i * n;
        for (int k = 0; k < c->node->n_src; k++) {
            const int64_t own = mill_cols(c->src_shape[k]);
            copy(y, (const real *)c->src[k] + i * own, own);
            y += own;
        }
    }
}

KERNEL(op_concat_outer)
{
    const mill_shape *y = &c->node->shape;
    const int axis = (int)c->node->attr.i[0];
    const int64_t n = mill_cols(y), inners = dims(y, axis + 1, y->rank - 1);

    for (int64_t i = c->begin; i < c->end; i++) {
        place p = place_of(i, y->dim[axis], inners);
        int k = 0;
        while (p.at >= c->src_shape[k]->dim[axis]) p.at -= c->src_shape[k++]->dim[axis];
        const int64_t row = (p.outer * c->src_shape[k]->dim[axis] + p.at) * inners + p.inner;
        copy((real *)c->out + i * n, (const real *)c->src[k] + row * n, n);
    }
}

/* Rows [begin, end) of y (.., n) = x^T, sixteen at a time: a line of x serves them all. */
INLINE void turn(real *y, const real *x, int64_t n, int64_t stride, int64_t begin, int64_t end)
{
    for (int64_t i = begin; i < end; i += 16) {
        const int64_t rows = end - i < 16 ? end - i : 16;
        for (int64_t j = 0; j < n; j++)
            for (int64_t k = 0; k < rows; k++) y[(i + k) * n + j] = x[j * stride + i + k];
    }
}

KERNEL(op_transpose)
{
    const mill_shape *y = &c->node->shape;
    if (y->rank == 2 && c->node->attr.i[0] != c->node->attr.i[1]) {
        turn(c->out, c->src[0], y->dim[1], y->dim[0], c->begin, c->end);
        return;
    }
    const int last = y->rank - 1;
    const int64_t a = c->node->attr.i[0], b = c->node->attr.i[1], n = mill_cols(y);
    int64_t stride[MILL_MAX_DIM] = {0}, step = 1; /* of the source, by dimension of the output */

    for (int d = last; d >= 0; d--) {
        stride[d == a ? b : d == b ? a : d] = step;
        step *= c->src_shape[0]->dim[d];
    }
    for (int64_t i = c->begin; i < c->end; i++) {
        const real *x = c->src[0];
        real *to = (real *)c->out + i * n;
        int64_t row = i;
        for (int d = last - 1; d >= 0; d--) {
            x += row % y->dim[d] * stride[d];
            row /= y->dim[d];
        }
        for (int64_t j = 0; j < n; j++) to[j] = x[j * stride[last]];
    }
}

KERNEL(op_broadcast)
{
    const mill_shape *y = &c->node->shape, *s = c->src_shape[0];
    const int64_t n = mill_cols(y), own = mill_cols(s), rows = mill_rows(s);

    for (int64_t i = c->begin; i < c->end; i++) {
        real *to = (real *)c->out + i * n;
        int64_t at = 0, step = 1, row = i;
        for (int d = 1; d < s->rank; d++) { /* from the last but one to the first */
            const int64_t size = s->dim[s->rank - 1 - d];
            at += size == 1 ? 0 : row % y->dim[y->rank - 1 - d] * step;
            step *= size;
            row /= y->dim[y->rank - 1 - d];
        }
        const real *x = (const real *)c->src[0] + (rows == 1 ? 0 : at) * own;
        if (own == n)
            copy(to, x, n);
        else
            row_fill(to, *x, n);
    }
}

KERNEL(op_full)
{
    row_fill((real *)c->out + tile_first(c), attr_real(c, 0), tile_elems(c));
}
