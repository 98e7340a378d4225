/* codes.c - kernels of ops/codes.c and ops/columns.c. */
#include "ops/cpu/lanes.h"
#include <string.h>

enum { V_, HAS_C, HAS_VAL }; /* attributes: ORDER CODES ATTR */

INLINE int64_t codes_a_row(const mill_shape *s)
{
    return s->rank == 1 ? 1 : s->dim[1];
}

/* y[j .. j + 16 blocks) of one row: c, then each code's row of w.  Blocks stay in registers. */
#define ADD_ROWS(blocks, take, put)                                                                \
    do {                                                                                           \
        lanes sum[(blocks)];                                                                       \
        for (int64_t b = 0; b < (blocks); b++) sum[b] = from ? take(from + j + 16 * b) : l_set(0); \
        for (int64_t k = 0; k < s; k++) {                                                          \
            if ((uint32_t)codes[k] >= (uint64_t)V) continue;                                       \
            const real *row = w + codes[k] * m + j;                                                \
            const lanes factor = l_set(val ? val[k] : K(1));                                       \
            for (int64_t b = 0; b < (blocks); b++)                                                 \
                sum[b] = l_fma(factor, take(row + 16 * b), sum[b]);                                \
        }                                                                                          \
        for (int64_t b = 0; b < (blocks); b++) put(y + j + 16 * b, sum[b]);                        \
    } while (0)
#define TAKE_TAIL(p)   l_load_n(p, left, 0)
#define PUT_TAIL(p, v) l_store_n(p, v, left)

/* NOLINTNEXTLINE(readability-function-size): inlined; what stays the same for all rows */
INLINE void add_rows(real *y, const real *from, const real *w, int64_t m, int64_t V,
                     const int32_t *codes, const real *val, int64_t s)
{
    int64_t j = 0;
    for (; j + 64 <= m; j += 64) ADD_ROWS(4, l_load, l_store);
    for (; j + 16 <= m; j += 16) ADD_ROWS(1, l_load, l_store);
    const int left = (int)(m - j);
    if (left) ADD_ROWS(1, TAKE_TAIL, PUT_TAIL);
}

KERNEL(op_codes_matmul)
{
    const int at = c->node->attr.i[HAS_C] ? 1 : 0;
    const int64_t m = mill_cols(&c->node->shape), V = c->src_shape[at]->dim[0];
    const int64_t s = codes_a_row(c->src_shape[at + 1]);
    const bool full = at && mill_rows(c->src_shape[0]) == mill_rows(&c->node->shape);
    const bool weighted = c->node->attr.i[HAS_VAL];

    for (int64_t i = c->begin; i < c->end; i++) {
        const real *from = at ? (const real *)c->src[0] + (full ? i * m : 0) : NULL;
        const int32_t *codes = (const int32_t *)c->src[at + 1] + i * s;
        const real *val = weighted ? (const real *)c->src[at + 2] + i * s : NULL;
        add_rows((real *)c->out + i * m, from, c->src[at], m, V, codes, val, s);
    }
}

/* Rows [begin, end) of the result: their codes are looked up 64 at a time, and added in order. */
KERNEL(op_scatter)
{
    const int at = c->node->attr.i[HAS_C] ? 1 : 0;
    const int64_t m = mill_cols(&c->node->shape), s = codes_a_row(c->src_shape[at + 1]);
    const int64_t n = mill_elems(c->src_shape[at + 1]);
    const real *x = c->src[at];
    const int32_t *codes = c->src[at + 1];
    const real *val = c->node->attr.i[HAS_VAL] ? c->src[at + 2] : NULL;
    const uint32_t first = (uint32_t)c->begin, width = (uint32_t)(c->end - c->begin);
    real *y = (real *)c->out + c->begin * m;

    if (at)
        row_copy(y, (const real *)c->src[0] + c->begin * m, (c->end - c->begin) * m);
    else
        row_fill(y, 0, (c->end - c->begin) * m);

    for (int64_t k = 0; k < n; k += 64) {
        const int64_t here = n - k < 64 ? n - k : 64;
        uint8_t hit[64] = {0};
        uint64_t any[8];
        for (int64_t l = 0; l < here; l++) hit[l] = (uint32_t)codes[k + l] - first < width;
        memcpy(any, hit, sizeof any);
        for (int g = 0; g < 8; g++)
            for (uint64_t left = any[g]; left; left &= left - 1) {
                const int64_t e = k + (int64_t)8 * g + __builtin_ctzll(left) / 8;
                real *to = y + (codes[e] - c->begin) * m;
                if (val)
                    row_add_scaled(to, x + e / s * m, val[e], m);
                else
                    row_add(to, x + e / s * m, m);
            }
    }
}

KERNEL(op_codes_dot)
{
    const int64_t m = mill_cols(c->src_shape[0]), V = c->src_shape[1]->dim[0];
    const int64_t s = codes_a_row(c->src_shape[2]);
    const bool flat = c->node->shape.rank == 1; /* (n): one row of units for all */
    const int64_t begin = flat ? 0 : c->begin, end = flat ? c->src_shape[0]->dim[0] : c->end;

    for (int64_t i = begin; i < end; i++) {
        const real *x = (const real *)c->src[0] + i * m;
        const int32_t *codes = (const int32_t *)c->src[2] + i * s;
        real *y = (real *)c->out + i * s;
        for (int64_t k = 0; k < s; k++)
            y[k] = (uint32_t)codes[k] < (uint64_t)V
                       ? row_dot(x, (const real *)c->src[1] + codes[k] * m, m)
                       : 0;
    }
}

KERNEL(op_one_hot)
{
    const int64_t V = mill_cols(&c->node->shape);
    const int32_t *index = c->src[0];

    for (int64_t i = c->begin; i < c->end; i++) {
        real *y = (real *)c->out + i * V;
        row_fill(y, 0, V);
        if (index[i] >= 0 && index[i] < V) y[index[i]] = 1;
    }
}

KERNEL(op_gather_cols)
{
    const int64_t n = mill_cols(&c->node->shape), own = mill_cols(c->src_shape[0]);
    const int32_t *cols = c->src[1];

    for (int64_t i = c->begin; i < c->end; i++) {
        const real *x = (const real *)c->src[0] + i * own;
        real *y = (real *)c->out + i * n;
        for (int64_t j = 0; j < n; j++) y[j] = x[cols[j]];
    }
}

KERNEL(op_put_cols)
{
    const int64_t n = mill_cols(&c->node->shape), own = mill_cols(c->src_shape[0]);
    const int32_t *cols = c->src[1];

    for (int64_t i = c->begin; i < c->end; i++) {
        const real *x = (const real *)c->src[0] + i * own;
        real *y = (real *)c->out + i * n;
        row_fill(y, 0, n);
        for (int64_t j = 0; j < own; j++) y[cols[j]] = x[j];
    }
}
