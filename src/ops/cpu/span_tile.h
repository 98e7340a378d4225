/*
 * span_tile.h - short spans of sixteen rows at once, in level files: a lane is a row.
 *
 * A span of seven units fills seven lanes of sixteen, and its maximum and its sum are taken across
 * them; with one row a lane no lane is idle and nothing crosses lanes.  So spans of up to SHORT
 * units that follow one another (a RUN) are transposed into columns, worked on, and transposed
 * back: three to four times as fast on spans of ten.  A longer span is done row by row (softmax.h).
 *
 * Bits are those of softmax.h: a sum is taken in sixteen slots, unit k in slot k mod 16, which meet
 * in l_sum's tree.
 */
#ifndef MILL_OPS_CPU_SPAN_TILE_H
#define MILL_OPS_CPU_SPAN_TILE_H

#include "ops/cpu/softmax.h"

enum { TANH = 0 };     /* kind; ORDER SPAN KIND */
enum { GUMBEL, SOFT }; /* mode; ORDER SPAN MODE */

typedef struct {
    int32_t start, length, kind;
} span;

enum { SHORT = 64, RUN_COLS = 256, BLOCK = 16 };
typedef struct {
    lanes col[RUN_COLS + 16];
} columns;

typedef struct {
    const span *spans; /* of the run */
    int64_t n, start, width;
    bool is_short; /* else one span */
} span_run;

/* The run that begins with spans[0], of `left` spans. */
INLINE span_run next_run(const span *spans, int64_t left)
{
    span_run run = {spans, 1, spans[0].start, spans[0].length, spans[0].length <= SHORT};
    while (run.is_short && run.n < left && spans[run.n].length <= SHORT &&
           run.width + spans[run.n].length <= RUN_COLS)
        run.width += spans[run.n++].length;
    return run;
}

/* t = the transpose of rows x (rows, D), `width` columns; lanes beyond `rows` are 0 */
INLINE void take_columns(columns *t, const real *x, int64_t D, int64_t rows, int64_t width)
{
    BLOCKS(j, w, width)
    {
        lanes r[16];
        if (rows == 16 && w == 16)
            for (int64_t i = 0; i < 16; i++) r[i] = l_load(x + i * D + j);
        else if (rows == 16)
            for (int64_t i = 0; i < 16; i++) r[i] = l_load_n(x + i * D + j, (int)w, 0);
        else
            for (int64_t i = 0; i < 16; i++)
                r[i] = i < rows ? l_take(x + i * D + j, w, 0) : l_set(0);
        l_transpose(r);
        for (int64_t i = 0; i < 16; i++) t->col[j + i] = r[i];
    }
}

INLINE void put_columns(real *y, const columns *t, int64_t D, int64_t rows, int64_t width)
{
    BLOCKS(j, w, width)
    {
        lanes r[16];
        for (int64_t i = 0; i < 16; i++) r[i] = t->col[j + i];
        l_transpose(r);
        if (rows == 16 && w == 16)
            for (int64_t i = 0; i < 16; i++) l_store(y + i * D + j, r[i]);
        else if (rows == 16)
            for (int64_t i = 0; i < 16; i++) l_store_n(y + i * D + j, r[i], (int)w);
        else
            for (int64_t i = 0; i < rows; i++) l_put(y + i * D + j, r[i], w);
    }
}

/* The tree over slots 0 .. n-1, n <= 16; the others are zero. */
INLINE lanes slots_sum(lanes s[16], int64_t n)
{
    for (int64_t w = 8; w; w /= 2) {
        for (int64_t i = 0; i + w < n && i < w; i++) s[i] = l_add(s[i], s[i + w]);
        n = n < w ? n : w;
    }
    return s[0];
}

/* x[k] = exp(scale (x[k] - max)); returns the sum */
INLINE lanes columns_exp(lanes *x, int64_t n, real scale)
{
    const lanes s = l_set(scale);
    lanes max = x[0], slot[16];

    for (int64_t k = 1; k < n; k++) max = l_max(x[k], max);
    for (int64_t k = 0; k < n; k++) {
        x[k] = l_exp(l_mul(s, l_sub(x[k], max)));
        slot[k % 16] = k < 16 ? x[k] : l_add(slot[k % 16], x[k]);
    }
    return slots_sum(slot, n < 16 ? n : 16);
}

INLINE void columns_softmax(lanes *x, int64_t n, real scale)
{
    const lanes inverse = l_div(l_set(1), columns_exp(x, n, scale));
    for (int64_t k = 0; k < n; k++) x[k] = l_mul(x[k], inverse);
}

/* Index of the first of the largest. */
INLINE lanes columns_largest(const lanes *x, int64_t n)
{
    lanes most = x[0], best = l_set(0);

    for (int64_t k = 1; k < n; k++) {
        best = l_if_le(x[k], most, best, l_set((real)k));
        most = l_max(most, x[k]);
    }
    return best;
}

/* Index of a draw from softmax(x) by u in (0, 1); x is overwritten. */
INLINE lanes columns_draw(lanes *x, int64_t n, lanes u)
{
    const lanes target = l_mul(u, columns_exp(x, n, 1)), one = l_set(1), none = l_set(0);
    lanes index = none, sum = none;

    for (int64_t k = 0; k < n - 1; k++) {
        sum = l_add(sum, x[k]);
        index = l_add(index, l_if_le(sum, target, one, none));
    }
    return index;
}

/* x = y scale (dy - dy . y) */
INLINE void columns_softmax_grad(lanes *x, const lanes *dy, const lanes *y, int64_t n, real scale)
{
    const lanes s = l_set(scale);
    lanes slot[16];

    for (int64_t k = 0; k < n; k++)
        slot[k % 16] = l_fma(dy[k], y[k], k < 16 ? l_set(0) : slot[k % 16]);
    const lanes dot = slots_sum(slot, n < 16 ? n : 16);
    for (int64_t k = 0; k < n; k++) x[k] = l_mul(y[k], l_mul(s, l_sub(dy[k], dot)));
}

/* x = dy (softmax(x) - one_hot(target)); dy is 0 where there is no target (below 0 or from n on),
 * and so is x then.  target: one a row, `stride` apart */
INLINE void columns_ce_grad(lanes *x, int64_t n, const real dy[16], const int32_t *target,
                            int64_t stride, int64_t rows)
{
    const lanes back = l_load(dy), factor = l_div(back, columns_exp(x, n, 1));

    for (int64_t k = 0; k < n; k++) x[k] = l_fma(x[k], factor, l_set(0));
    for (int64_t i = 0; i < rows; i++) {
        const int32_t t = target[i * stride];
        if (t >= 0 && t < n) ((real *)&x[t])[i] -= dy[i];
    }
}

#endif
