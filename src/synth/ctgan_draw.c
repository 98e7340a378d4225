/*
 * ctgan_draw.c - the nodes of ctgan_draw.h.  They cost microseconds, so they are plain C at every
 * level.
 *
 * A permutation of 0..n-1 that needs no table: a Feistel network of four rounds over the next even
 * power of two, walked until the value is below n (Black and Rogaway 2002, "cycle walking"); keyed
 * by Philox.
 */
#include "synth/ctgan_draw.h"

#include "base/mem.h"
#include "base/philox.h"
#include "base/vmath.h"

#include <string.h>

/* ---- choosing ---- */

static uint32_t share(double part, double whole)
{
    const double x = part / whole * 0x1p32;
    if (x >= 0x1.fffffffep31) return UINT32_MAX;
    return x > 0 ? (uint32_t)x : 0; /* NaN: a file whose counts are all 0 */
}

/* cumulative shares of one column's values, so that value v is chosen for bits < out[v] */
static void cumulate(uint32_t *out, const int64_t *count, int32_t n, bool by_log)
{
    double total = 0, sum = 0;
    for (int32_t v = 0; v < n; v++)
        total += by_log ? mill_log_f64((double)count[v] + 1) : (double)count[v];
    for (int32_t v = 0; v < n; v++) {
        sum += by_log ? mill_log_f64((double)count[v] + 1) : (double)count[v];
        out[v] = share(sum, total);
    }
    for (int32_t v = n - 1; v >= 0;
         v--) { /* rounding must not leave the end to a value without rows */
        out[v] = UINT32_MAX;
        if (count[v] > 0) break;
    }
}

mill_err ctgan_draw_init(ctgan_draw *d, const synth_spans *s, const span_rows *rows)
{
    memset(d, 0, sizeof *d);
    d->s = s;
    d->rows = rows;
    d->fixed = -1;
    d->by_log = mill_alloc((size_t)s->cond_width + 1, sizeof *d->by_log);
    d->by_count = mill_alloc((size_t)s->cond_width + 1, sizeof *d->by_count);
    d->disc_col = mill_alloc((size_t)s->n_discrete + 1, sizeof *d->disc_col);
    d->unit = mill_alloc((size_t)(s->n_numbers + s->n) + 1, sizeof *d->unit);
    d->span = mill_alloc((size_t)s->n + 1, sizeof *d->span);
    if (!d->by_log || !d->by_count || !d->disc_col || !d->unit || !d->span) {
        ctgan_draw_deinit(d);
        return MILL_ENOMEM;
    }
    for (int k = 0, n_spans = 0, number = 0; k < s->n; k++) {
        const span_column *p = &s->col[k];
        n_spans += p->is_number;
        d->span[k] = n_spans++;
        d->unit[s->n_numbers + k] = p->start;
        if (p->is_number) d->unit[number++] = p->start - 1;
        if (p->discrete < 0) continue;
        d->disc_col[p->discrete] = k;
        cumulate(d->by_log + p->cond, s->count + p->cond, p->width, true);
        cumulate(d->by_count + p->cond, s->count + p->cond, p->width, false);
    }
    return MILL_OK;
}

void ctgan_draw_deinit(ctgan_draw *d)
{
    mill_free(d->by_log);
    mill_free(d->by_count);
    mill_free(d->disc_col);
    mill_free(d->unit);
    mill_free(d->span);
    memset(d, 0, sizeof *d);
}

/* First value whose cumulative share is above `bits`; a value that never occurred is never it. */
static int32_t choose(const uint32_t *cum, const int64_t *count, int32_t n, uint32_t bits)
{
    int32_t lo = 0, hi = n - 1;
    while (lo < hi) {
        const int32_t mid = (lo + hi) / 2;
        if (cum[mid] > bits)
            hi = mid;
        else
            lo = mid + 1;
    }
    while (lo > 0 && count[lo] == 0) lo--; /* only for bits = 2^32 - 1 */
    return lo;
}

static int32_t draw_cond(const ctgan_draw *d, bool by_log, const uint32_t word[4])
{
    if (d->fixed >= 0) return (int32_t)d->fixed;
    if (!d->s->n_discrete) return -1;
    const int j = (int)((uint64_t)word[0] * (uint32_t)d->s->n_discrete >> 32);
    const span_column *p = &d->s->col[d->disc_col[j]];
    const uint32_t *cum = by_log ? d->by_log : d->by_count;
    return p->cond + choose(cum + p->cond, d->s->count + p->cond, p->width, word[1]);
}

/* ---- a permutation without a table ---- */

typedef struct {
    uint32_t key[4], n, half; /* 2^(2 half) >= n */
} feistel;

static feistel feistel_init(uint64_t seed, uint32_t step, uint32_t stream, int64_t n)
{
    feistel f = {.n = (uint32_t)n, .half = 1};
    mill_philox(f.key, seed, step, stream, UINT64_MAX);
    while (((uint64_t)1 << (2 * f.half)) < (uint64_t)n) f.half++;
    return f;
}

static uint32_t feistel_at(const feistel *f, uint32_t x)
{
    const uint32_t mask = (1u << f->half) - 1;
    do {
        uint32_t left = x >> f->half, right = x & mask;
        for (int round = 0; round < 4; round++) {
            uint32_t h = (right ^ f->key[round]) * 0x9E3779B1u;
            h = (h ^ h >> 15) * 0x85EBCA77u;
            h ^= h >> 13;
            const uint32_t next = left ^ (h & mask);
            left = right;
            right = next;
        }
        x = left << f->half | right;
    } while (x >= f->n);
    return x;
}

/* ---- nodes ---- */

static mill_err shape_rows(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                           const mill_node *n)
{
    const int64_t rows = n->n_src ? mill_shape_of(g, n->src[0])->dim[0] : n->attr.i[0];
    *out = SHAPE(rows, n->attr.i[1]);
    *dtype = MILL_T_I32;
    return MILL_OK;
}

static mill_err shape_values(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                             const mill_node *n)
{
    TRY(shape_rows(out, dtype, g, n));
    *dtype = MILL_T_REAL;
    return MILL_OK;
}

static uint32_t stream_of(const mill_call *c)
{
    return (uint32_t)c->node->attr.i[MILL_MAX_ATTR - 1];
}

/* A row is drawn from anywhere in the table; its codes are read when its tile's draws are done. */
static inline __attribute__((always_inline)) void fetch_row(const ctgan_draw *d, int64_t row)
{ /* inline: gcc 12 drops calls of a function that only prefetches */
    const int64_t at = row * d->rows->n_cols;
    if (d->rows->code16)
        __builtin_prefetch(d->rows->code16 + at);
    else
        __builtin_prefetch(d->rows->code32 + at);
    __builtin_prefetch(d->rows->u + row * d->s->n_numbers);
}

static void draw_kernel(const mill_call *c)
{
    const ctgan_draw *d = c->node->attr.p;
    const int64_t n = c->node->shape.dim[0];
    const bool by_log = c->node->attr.i[2], real_rows = d->rows && c->node->attr.i[3];
    const feistel f = feistel_init(c->seed, c->step, stream_of(c), n);
    int32_t *out = c->out;

    for (int64_t i = c->begin; i < c->end; i++) {
        uint32_t own[4], other[4];
        mill_philox(own, c->seed, c->step, stream_of(c), (uint64_t)i);
        out[3 * i + DRAW_FAKE_COND] = draw_cond(d, by_log, own);
        out[3 * i + DRAW_REAL_ROW] = 0;
        out[3 * i + DRAW_REAL_COND] = -1;
        if (!real_rows) continue;

        mill_philox(other, c->seed, c->step, stream_of(c), feistel_at(&f, (uint32_t)i));
        const int32_t cond = draw_cond(d, by_log, other);
        const int64_t first = cond < 0 ? 0 : d->rows->first[cond];
        const int64_t rows = cond < 0 ? d->rows->n : d->rows->first[cond + 1] - first;
        const int64_t pick = (int64_t)((uint64_t)own[2] * (uint64_t)rows >> 32);
        out[3 * i + DRAW_REAL_ROW] = cond < 0 ? (int32_t)pick : d->rows->id[first + pick];
        out[3 * i + DRAW_REAL_COND] = cond;
        fetch_row(d, out[3 * i + DRAW_REAL_ROW]);
    }
}

static const mill_op draw_op = {
    .name = "ctgan_draw",
    .flags = MILL_OP_RANDOM,
    .shape = shape_rows,
    .run = {draw_kernel, draw_kernel, 0},
};

mill_ref ctgan_draw_batch(mill_graph *g, const ctgan_draw *d, int64_t n, bool log_frequency,
                          bool real_rows)
{
    mill_attr a = {.i = {n, 3, log_frequency, real_rows}, .p = d};
    a.i[MILL_MAX_ATTR - 1] = mill_stream(g);
    return mill_apply(g, &draw_op, &a, 0, NULL);
}

/* attr.i: unused, width, field, pac */
static void cond_kernel(const mill_call *c)
{
    const ctgan_draw *d = c->node->attr.p;
    const int64_t field = c->node->attr.i[2], pac = c->node->attr.i[3];
    const int32_t *draw = c->src[0];
    int32_t *out = c->out;

    for (int64_t i = c->begin; i < c->end; i++) {
        const int32_t cond = draw[3 * i + field];
        out[i] = cond < 0 ? -1 : cond + (int32_t)(i % pac) * d->s->cond_width;
    }
}

static const mill_op cond_op = {
    .name = "ctgan_cond_codes",
    .n_src = 1,
    .rowwise = ROW_SRC(0),
    .shape = shape_rows,
    .run = {cond_kernel, cond_kernel, 0},
};

mill_ref ctgan_cond_codes(mill_graph *g, mill_ref draw, const ctgan_draw *d, int field, int64_t pac)
{
    return MILL_APPLY(g, &cond_op, (&(mill_attr){.i = {0, 1, field, pac}, .p = d}), draw);
}

static void target_kernel(const mill_call *c)
{
    const ctgan_draw *d = c->node->attr.p;
    const synth_spans *s = d->s;
    const int32_t *draw = c->src[0];
    int32_t *out = c->out;

    for (int64_t i = c->begin; i < c->end; i++) {
        const int32_t cond = draw[3 * i + DRAW_FAKE_COND];
        int span = 0;
        for (int k = 0; k < s->n; k++) {
            const span_column *p = &s->col[k];
            if (p->is_number) out[i * s->n_spans + span++] = -1;
            const bool hit = p->discrete >= 0 && cond >= p->cond && cond < p->cond + p->width;
            out[i * s->n_spans + span++] = hit ? cond - p->cond : -1;
        }
    }
}

static const mill_op target_op = {
    .name = "ctgan_target",
    .n_src = 1,
    .rowwise = ROW_SRC(0),
    .shape = shape_rows,
    .run = {target_kernel, target_kernel, 0},
};

mill_ref ctgan_target(mill_graph *g, mill_ref draw, const ctgan_draw *d)
{
    return MILL_APPLY(g, &target_op, (&(mill_attr){.i = {0, d->s->n_spans}, .p = d}), draw);
}

static void add_codes(int32_t *out, const ctgan_draw *d, int64_t row, const int32_t *start,
                      int32_t shift)
{
    for (int k = 0; k < d->s->n; k++) out[k] = start[k] + shift + span_code(d->rows, row, k);
}

/* attr.i: unused, width, field, pac */
static void row_codes_kernel(const mill_call *c)
{
    const ctgan_draw *d = c->node->attr.p;
    const int numbers = d->s->n_numbers, n = d->s->n;
    const int64_t stride = c->src_shape[0]->dim[1], pac = c->node->attr.i[3];
    const int32_t *row = (const int32_t *)c->src[0] + c->node->attr.i[2];

    for (int64_t i = c->begin; i < c->end; i++) {
        const int32_t shift = (int32_t)(i % pac) * d->s->width;
        int32_t *out = (int32_t *)c->out + i * (numbers + n);

        for (int k = 0; k < numbers; k++) out[k] = shift + d->unit[k];
        add_codes(out + numbers, d, row[i * stride], d->unit + numbers, shift);
    }
}

static const mill_op row_codes_op = {
    .name = "ctgan_row_codes",
    .n_src = 1,
    .rowwise = ROW_SRC(0),
    .shape = shape_rows,
    .run = {row_codes_kernel, row_codes_kernel, 0},
};

mill_ref ctgan_row_codes(mill_graph *g, mill_ref rows, const ctgan_draw *d, int field, int64_t pac)
{
    const mill_attr a = {.i = {0, d->s->n_numbers + d->s->n, field, pac}, .p = d};
    return MILL_APPLY(g, &row_codes_op, &a, rows);
}

static void row_values_kernel(const mill_call *c)
{
    const ctgan_draw *d = c->node->attr.p;
    const int64_t stride = c->src_shape[0]->dim[1];
    const int numbers = d->s->n_numbers, n = d->s->n;
    const int32_t *row = (const int32_t *)c->src[0] + c->node->attr.i[2];

    for (int64_t i = c->begin; i < c->end; i++) {
        real *out = (real *)c->out + i * (numbers + n);

        for (int k = 0; k < numbers; k++) out[k] = (real)d->rows->u[row[i * stride] * numbers + k];
        for (int k = 0; k < n; k++) out[numbers + k] = 1;
    }
}

static const mill_op row_values_op = {
    .name = "ctgan_row_values",
    .n_src = 1,
    .rowwise = ROW_SRC(0),
    .shape = shape_values,
    .run = {row_values_kernel, row_values_kernel, 0},
};

mill_ref ctgan_row_values(mill_graph *g, mill_ref rows, const ctgan_draw *d, int field)
{
    const mill_attr a = {.i = {0, d->s->n_numbers + d->s->n, field}, .p = d};
    return MILL_APPLY(g, &row_values_op, &a, rows);
}

static void row_targets_kernel(const mill_call *c)
{
    const ctgan_draw *d = c->node->attr.p;
    const synth_spans *s = d->s;
    const int32_t *rows = c->src[0];

    for (int64_t i = c->begin; i < c->end; i++) {
        int32_t *out = (int32_t *)c->out + i * s->n_spans;
        for (int k = 0; k < s->n_spans; k++) out[k] = -1;
        for (int k = 0; k < s->n; k++) out[d->span[k]] = span_code(d->rows, rows[i], k);
    }
}

static const mill_op row_targets_op = {
    .name = "ctgan_row_targets",
    .n_src = 1,
    .rowwise = ROW_SRC(0),
    .shape = shape_rows,
    .run = {row_targets_kernel, row_targets_kernel, 0},
};

mill_ref ctgan_row_targets(mill_graph *g, mill_ref rows, const ctgan_draw *d)
{
    return MILL_APPLY(g, &row_targets_op, (&(mill_attr){.i = {0, d->s->n_spans}, .p = d}), rows);
}

/* attr.i: rows, 1, batch, per_epoch */
static void shuffled_kernel(const mill_call *c)
{
    const ctgan_draw *d = c->node->attr.p;
    const int64_t batch = c->node->attr.i[2], per_epoch = c->node->attr.i[3];
    const uint32_t epoch = (uint32_t)(c->step / per_epoch);
    const int64_t first = c->step % per_epoch * batch;
    const feistel f = feistel_init(c->seed, epoch, stream_of(c), d->rows->n);
    int32_t *out = c->out;

    for (int64_t i = c->begin; i < c->end; i++) {
        out[i] = (int32_t)feistel_at(&f, (uint32_t)(first + i));
        fetch_row(d, out[i]);
    }
}

static const mill_op shuffled_op = {
    .name = "shuffled_rows",
    .flags = MILL_OP_RANDOM,
    .shape = shape_rows,
    .run = {shuffled_kernel, shuffled_kernel, 0},
};

mill_ref ctgan_shuffled_rows(mill_graph *g, const ctgan_draw *d, int64_t n, int64_t batch,
                             int64_t per_epoch)
{
    mill_attr a = {.i = {n, 1, batch, per_epoch}, .p = d};
    a.i[MILL_MAX_ATTR - 1] = mill_stream(g);
    return mill_apply(g, &shuffled_op, &a, 0, NULL);
}
