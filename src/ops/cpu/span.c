/* span.c - kernels of ops/span.c. */
#include "ops/cpu/random.h"
#include "ops/cpu/span_tile.h"

INLINE void row_tanh(real *y, const real *x, int64_t n)
{
    if (n == 1) {
        *y = mr_tanh(*x);
        return;
    }
    BLOCKS(j, w, n) l_put(y + j, l_tanh(l_take(x + j, w, 0)), w);
}

typedef struct {
    int64_t D;
    real scale;
} activation;

INLINE void activate_span(real *y, const real *o, const real *noise, const span *at,
                          const activation *a)
{
    if (at->kind == TANH)
        row_tanh(y, o, at->length);
    else
        row_softmax(y, o, noise, at->length, a->scale);
}

/* noise: (rows, D) or NULL; y, o and noise stand at the run */
INLINE void activate_columns(real *y, const real *o, const real *noise, int64_t rows,
                             const span_run *run, const activation *a)
{
    columns x, extra;

    take_columns(&x, o, a->D, rows, run->width);
    if (noise) take_columns(&extra, noise, a->D, rows, run->width);
    for (int64_t k = 0; k < run->n; k++) {
        const int64_t at = run->spans[k].start - run->start, n = run->spans[k].length;
        const bool tanh = run->spans[k].kind == TANH;
        for (int64_t j = at; j < at + n && tanh; j++) x.col[j] = l_tanh(x.col[j]);
        if (tanh) continue;
        for (int64_t j = at; j < at + n && noise; j++) x.col[j] = l_add(x.col[j], extra.col[j]);
        columns_softmax(x.col + at, n, a->scale);
    }
    put_columns(y, &x, a->D, rows, run->width);
}

/* scratch: ORDER SPAN SCRATCH */
KERNEL(op_span_activate)
{
    const int64_t D = mill_cols(&c->node->shape), S = c->src_shape[1]->dim[0];
    const activation a = {D, (real)(1.0 / c->node->attr.f[0])};
    const bool noisy = c->node->attr.i[0] == GUMBEL;
    real *noise = noisy ? c->scratch : NULL;

    for (int64_t i = c->begin, rows; i < c->end; i += rows) {
        rows = c->end - i < BLOCK ? c->end - i : BLOCK;
        if (noisy) fill_gumbel(noise, source_of(c), i * D, rows * D);
        span_run run;
        for (const span *at = c->src[1], *last = at + S; at < last; at += run.n) {
            run = next_run(at, last - at);
            real *y = (real *)c->out + i * D + run.start;
            const real *o = (const real *)c->src[0] + i * D + run.start;
            const real *own = noisy ? noise + run.start : NULL;
            if (run.is_short) activate_columns(y, o, own, rows, &run, &a);
            for (int64_t r = 0; r < rows && !run.is_short; r++)
                activate_span(y + r * D, o + r * D, noisy ? own + r * D : NULL, at, &a);
        }
    }
}

typedef struct {
    real *y;
    const real *o, *u; /* u: uniform numbers, or NULL */
    int64_t D, S, rows;
} pick_block;

/* first: the number of the run's first span */
INLINE void pick_columns(const pick_block *b, const span_run *run, int64_t first)
{
    columns x, u, y;

    take_columns(&x, b->o + run->start, b->D, b->rows, run->width);
    if (b->u) take_columns(&u, b->u + first, b->S, b->rows, run->n);
    for (int64_t k = 0; k < run->n; k++) {
        lanes *at = x.col + run->spans[k].start - run->start;
        const int64_t n = run->spans[k].length;
        if (run->spans[k].kind == TANH)
            y.col[k] = l_tanh(*at);
        else
            y.col[k] = b->u ? columns_draw(at, n, u.col[k]) : columns_largest(at, n);
    }
    put_columns(b->y + first, &y, b->S, b->rows, run->n);
}

/* e: room for n */
INLINE int64_t row_draw(real *e, const real *x, int64_t n, real u)
{
    const real target = u * row_exp(e, x, n, 1);
    real sum = 0;
    int64_t k = 0;

    for (; k + 16 < n; k += 16) { /* whole blocks that end below the target */
        const real more = sum + l_sum(l_load(e + k));
        if (!(more <= target)) break;
        sum = more;
    }
    while (k < n - 1 && (sum += e[k]) <= target) k++;
    return k;
}

INLINE int64_t row_largest(const real *x, int64_t n)
{
    int64_t best = 0;
    for (int64_t k = 1; k < n; k++) best = x[k] > x[best] ? k : best;
    return best;
}

/* attributes: ORDER PICK ATTR; scratch: ORDER PICK SCRATCH */
KERNEL(op_span_pick)
{
    const int64_t D = mill_cols(c->src_shape[0]), S = mill_cols(&c->node->shape);
    const bool draw = c->node->attr.i[0];
    const span *spans = c->src[1];
    real *u = c->scratch, *e = u + BLOCK * S;
    pick_block b = {.D = D, .S = S, .u = draw ? u : NULL};

    for (int64_t i = c->begin; i < c->end; i += b.rows) {
        b.rows = c->end - i < BLOCK ? c->end - i : BLOCK;
        b.y = (real *)c->out + i * S;
        b.o = (const real *)c->src[0] + i * D;
        if (draw) fill_uniform(u, source_of(c), i * S, b.rows * S);
        span_run run;
        for (int64_t k = 0; k < S; k += run.n) {
            run = next_run(spans + k, S - k);
            if (run.is_short) pick_columns(&b, &run, k);
            for (int64_t r = 0; r < b.rows && !run.is_short; r++) {
                const real *x = b.o + r * D + run.start;
                b.y[r * S + k] = (real)(draw ? row_draw(e, x, run.width, u[r * S + k])
                                             : row_largest(x, run.width));
            }
        }
    }
}

typedef struct {
    real *dx;
    const real *dy, *y;
    int64_t D, rows;
    real scale;
} back_block;

INLINE void grad_columns(const back_block *b, const span_run *run)
{
    columns dy, y;

    take_columns(&dy, b->dy + run->start, b->D, b->rows, run->width);
    take_columns(&y, b->y + run->start, b->D, b->rows, run->width);
    for (int64_t k = 0; k < run->n; k++) {
        const int64_t at = run->spans[k].start - run->start, n = run->spans[k].length;
        if (run->spans[k].kind != TANH) {
            columns_softmax_grad(dy.col + at, dy.col + at, y.col + at, n, b->scale);
            continue;
        }
        for (int64_t j = at; j < at + n; j++)
            dy.col[j] = l_mul(dy.col[j], l_sub(l_set(1), l_mul(y.col[j], y.col[j])));
    }
    put_columns(b->dx + run->start, &dy, b->D, b->rows, run->width);
}

INLINE void grad_span(const back_block *b, const span *at)
{
    for (int64_t r = 0; r < b->rows; r++) {
        const int64_t first = r * b->D + at->start, n = at->length;
        const real *dy = b->dy + first, *y = b->y + first;
        real *dx = b->dx + first;
        if (at->kind != TANH) {
            row_softmax_grad(dx, dy, y, n, b->scale);
            continue;
        }
        APART for (int64_t j = 0; j < n; j++) dx[j] = dy[j] * (1 - y[j] * y[j]);
    }
}

KERNEL(op_span_activate_grad)
{
    const int64_t D = mill_cols(&c->node->shape), S = c->src_shape[2]->dim[0];
    back_block b = {.D = D, .scale = (real)(1.0 / c->node->attr.f[0])};

    for (int64_t i = c->begin; i < c->end; i += b.rows) {
        b.rows = c->end - i < BLOCK ? c->end - i : BLOCK;
        b.dx = (real *)c->out + i * D;
        b.dy = (const real *)c->src[0] + i * D;
        b.y = (const real *)c->src[1] + i * D;
        span_run run;
        for (const span *at = c->src[2], *last = at + S; at < last; at += run.n) {
            run = next_run(at, last - at);
            if (run.is_short)
                grad_columns(&b, &run);
            else
                grad_span(&b, at);
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

typedef struct {
    real *dx;
    const real *o, *dy;
    const int32_t *target; /* (rows, S) */
    int64_t D, S, rows;
} ce_block;

INLINE bool has_target(const ce_block *b, int64_t r, int64_t k, int64_t n)
{
    return b->target[r * b->S + k] >= 0 && b->target[r * b->S + k] < n;
}

/* first: the number of the run's first span */
INLINE void ce_columns(const ce_block *b, const span_run *run, int64_t first)
{
    columns x;

    take_columns(&x, b->o + run->start, b->D, b->rows, run->width);
    for (int64_t k = 0; k < run->n; k++) {
        const int64_t n = run->spans[k].length;
        lanes *at = x.col + run->spans[k].start - run->start;
        real dy[16] = {0};
        bool any = false;
        for (int64_t r = 0; r < b->rows; r++)
            if (has_target(b, r, first + k, n)) dy[r] = b->dy[r], any = true;
        for (int64_t j = 0; j < n && !any; j++) at[j] = l_set(0);
        if (any) columns_ce_grad(at, n, dy, b->target + first + k, b->S, b->rows);
    }
    put_columns(b->dx + run->start, &x, b->D, b->rows, run->width);
}

INLINE void ce_span(const ce_block *b, const span *at, int64_t k)
{
    for (int64_t r = 0; r < b->rows; r++) {
        real *dx = b->dx + r * b->D + at->start;
        const real *x = b->o + r * b->D + at->start;
        if (has_target(b, r, k, at->length))
            row_ce_grad(dx, x, at->length, b->target[r * b->S + k], b->dy[r], 1, 0);
        else
            row_fill(dx, 0, at->length);
    }
}

/* dx may be o: each span is read before it is written. */
KERNEL(op_span_ce_grad)
{
    const int64_t D = mill_cols(&c->node->shape), S = c->src_shape[2]->dim[0];
    const span *spans = c->src[2];
    ce_block b = {.D = D, .S = S};

    for (int64_t i = c->begin; i < c->end; i += b.rows) {
        b.rows = c->end - i < BLOCK ? c->end - i : BLOCK;
        b.dx = (real *)c->out + i * D;
        b.dy = (const real *)c->src[0] + i;
        b.o = (const real *)c->src[1] + i * D;
        b.target = (const int32_t *)c->src[3] + i * S;
        span_run run;
        for (int64_t k = 0; k < S; k += run.n) {
            run = next_run(spans + k, S - k);
            if (run.is_short)
                ce_columns(&b, &run, k);
            else
                ce_span(&b, spans + k, k);
        }
    }
}
