/* span.c - kernels of ops/span.c. */
#include "ops/cpu/random.h"
#include "ops/cpu/softmax.h"

enum { TANH = 0 };                   /* kind; ORDER SPAN KIND */
enum { GUMBEL, SOFT, SAMPLE, HARD }; /* mode; ORDER SPAN MODE */

typedef struct {
    int32_t start, length, kind;
} span;

INLINE void one_hot_of_max(real *y, const real *x, const real *noise, int64_t n)
{
    int64_t best = 0;
    real most = -K(INFINITY);
    for (int64_t j = 0; j < n; j++) {
        const real v = noise ? x[j] + noise[j] : x[j];
        best = v > most ? j : best;
        most = v > most ? v : most;
    }
    row_fill(y, 0, n);
    y[best] = 1;
}

INLINE void row_tanh(real *y, const real *x, int64_t n)
{
    if (n == 1) {
        *y = mr_tanh(*x);
        return;
    }
    BLOCKS(j, w, n) l_put(y + j, l_tanh(l_take(x + j, w, 0)), w);
}

typedef struct {
    const span *spans;
    int64_t n;
    bool choose;
    real scale;
} activation;

INLINE void activate_row(real *y, const real *o, const real *noise, const activation *a)
{
    for (int64_t k = 0; k < a->n; k++) {
        const int64_t at = a->spans[k].start, n = a->spans[k].length;
        const real *own = noise ? noise + at : NULL;
        if (a->spans[k].kind == TANH)
            row_tanh(y + at, o + at, n);
        else if (a->choose)
            one_hot_of_max(y + at, o + at, own, n);
        else
            row_softmax(y + at, o + at, own, n, a->scale);
    }
}

/* scratch: ORDER SPAN SCRATCH */
KERNEL(op_span_activate)
{
    const int mode = (int)c->node->attr.i[0];
    const int64_t D = mill_cols(&c->node->shape);
    const activation a = {c->src[1], c->src_shape[1]->dim[0], mode == SAMPLE || mode == HARD,
                          (real)(1.0 / c->node->attr.f[0])};
    const bool noisy = mode == GUMBEL || mode == SAMPLE;
    const int64_t at_once = 2048 / D > 1 ? 2048 / D : 1;
    real *noise = noisy ? c->scratch : NULL;

    for (int64_t i = c->begin; i < c->end; i += at_once) {
        const int64_t rows = c->end - i < at_once ? c->end - i : at_once;
        if (noisy) fill_gumbel(noise, source_of(c), i * D, rows * D);
        for (int64_t r = 0; r < rows; r++)
            activate_row((real *)c->out + (i + r) * D, (const real *)c->src[0] + (i + r) * D,
                         noisy ? noise + r * D : NULL, &a);
    }
}

KERNEL(op_span_activate_grad)
{
    const real scale = (real)(1.0 / c->node->attr.f[0]);
    const int64_t D = mill_cols(&c->node->shape), S = c->src_shape[2]->dim[0];
    const span *spans = c->src[2];

    for (int64_t i = c->begin; i < c->end; i++) {
        for (int64_t k = 0; k < S; k++) {
            const int64_t at = i * D + spans[k].start, n = spans[k].length;
            const real *dy = (const real *)c->src[0] + at, *y = (const real *)c->src[1] + at;
            real *dx = (real *)c->out + at;
            if (spans[k].kind != TANH) {
                row_softmax_grad(dx, dy, y, n, scale);
                continue;
            }
            APART for (int64_t j = 0; j < n; j++) dx[j] = dy[j] * (1 - y[j] * y[j]);
        }
    }
}

#define FOR_SPANS(row)                                                                          \
    const int64_t D = mill_cols(&c->node->shape), S = c->src_shape[c->node->n_src - 1]->dim[0]; \
    const span *spans = c->src[c->node->n_src - 1];                                             \
    for (int64_t i = c->begin; i < c->end; i++)                                                 \
        for (int64_t k = 0; k < S; k++)

KERNEL(op_span_softmax)
{
    FOR_SPANS(i)
    {
        const int64_t at = i * D + spans[k].start;
        row_softmax((real *)c->out + at, (const real *)c->src[0] + at, NULL, spans[k].length, 1);
    }
}

KERNEL(op_span_softmax_grad)
{
    FOR_SPANS(i)
    {
        const int64_t at = i * D + spans[k].start;
        row_softmax_grad((real *)c->out + at, (const real *)c->src[0] + at,
                         (const real *)c->src[1] + at, spans[k].length, 1);
    }
}

KERNEL(op_span_log_softmax)
{
    FOR_SPANS(i)
    {
        const int64_t at = i * D + spans[k].start;
        row_log_softmax((real *)c->out + at, (const real *)c->src[0] + at, spans[k].length);
    }
}

KERNEL(op_span_log_softmax_grad)
{
    FOR_SPANS(i)
    {
        const int64_t at = i * D + spans[k].start;
        row_log_softmax_grad((real *)c->out + at, (const real *)c->src[0] + at,
                             (const real *)c->src[1] + at, spans[k].length);
    }
}

KERNEL(op_span_ce)
{
    const int64_t D = mill_cols(c->src_shape[0]), S = c->src_shape[1]->dim[0];
    const span *spans = c->src[1];
    real *y = c->out;

    for (int64_t i = c->begin; i < c->end; i++) {
        const real *o = (const real *)c->src[0] + i * D;
        const int32_t *target = (const int32_t *)c->src[2] + i * S;
        real loss = 0;
        for (int64_t k = 0; k < S; k++) {
            if (target[k] < 0 || target[k] >= spans[k].length) continue;
            const real *x = o + spans[k].start;
            loss += row_lse(x, spans[k].length) - x[target[k]];
        }
        y[i] = loss;
    }
}

/* dx may be o: each span is read before it is written. */
KERNEL(op_span_ce_grad)
{
    const int64_t D = mill_cols(&c->node->shape), S = c->src_shape[2]->dim[0];
    const span *spans = c->src[2];
    const real *dy = c->src[0];

    for (int64_t i = c->begin; i < c->end; i++) {
        const int32_t *target = (const int32_t *)c->src[3] + i * S;
        for (int64_t k = 0; k < S; k++) {
            const int64_t at = i * D + spans[k].start, n = spans[k].length;
            real *dx = (real *)c->out + at;
            if (target[k] < 0 || target[k] >= n) {
                row_fill(dx, 0, n);
                continue;
            }
            row_ce_grad(dx, (const real *)c->src[1] + at, n, target[k], dy[i], 1, 0);
        }
    }
}
