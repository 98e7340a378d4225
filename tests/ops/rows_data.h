/*
 * rows_data.h - sums, softmax, spans, norms, random numbers, shapes and states; see rows_product.h.
 */
#ifndef TESTS_OPS_ROWS_DATA_H
#define TESTS_OPS_ROWS_DATA_H

#include "rows_product.h"

/* ---- reductions: seen as (2, n, c) where three dimensions matter ---- */

#define ROW_SUM(name, make, shape, A, R, B, factor)                              \
    static mill_ref build_##name(row_build *b)                                   \
    {                                                                            \
        const mill_ref x = X(b, shape, -1, 1);                                   \
        return make;                                                             \
    }                                                                            \
    static void oracle_##name(double *y, const row_data *d)                      \
    {                                                                            \
        EACH_Y(e) y[e] = 0;                                                      \
        for (int64_t i = 0; i < (A); i++)                                        \
            for (int64_t r = 0; r < (R); r++)                                    \
                for (int64_t j = 0; j < (B); j++)                                \
                    y[i * (B) + j] += (factor)*d->x[0][(i * (R) + r) * (B) + j]; \
    }
ROW_SUM(sum_last, mill_sum_last(b->g, x), ROWS, d->n, d->c, 1, 1)
ROW_SUM(mean_last, mill_mean_last(b->g, x), ROWS, d->n, d->c, 1, 1.0 / (double)d->c)
ROW_SUM(sum_rows, mill_sum(b->g, x, AXIS(0), false), ROWS, 1, d->n, d->c, 1)
ROW_SUM(mean_rows, mill_mean(b->g, x, AXIS(0), true), ROWS, 1, d->n, d->c, 1.0 / (double)d->n)
ROW_SUM(sum_mid, mill_sum(b->g, x, AXIS(1), false), SHAPE(2, b->n, b->c), 2, d->n, d->c, 1)
ROW_SUM(sum_two, mill_sum(b->g, x, AXIS(1) | AXIS(2), true), SHAPE(2, b->n, b->c), 2, d->n * d->c,
        1, 1)
ROW_SUM(sum_lead, mill_sum(b->g, x, AXIS(0) | AXIS(1), false), SHAPE(2, b->n, b->c), 1, 2 * d->n,
        d->c, 1)
ROW_SUM(sum_all, mill_sum_all(b->g, x), ROWS, 1, d->n * d->c, 1, 1)
ROW_SUM(mean_all, mill_mean_all(b->g, x), ROWS, 1, d->n * d->c, 1, 1.0 / (double)(d->n * d->c))
ROW_SUM(sum_to, mill_sum_to(b->g, x, &SHAPE(b->n, 1)), ROWS, d->n, d->c, 1, 1)

static mill_ref build_sum_ends(row_build *b)
{
    return mill_sum(b->g, X(b, SHAPE(2, b->n, b->c), -1, 1), AXIS(0) | AXIS(2), false);
}
static void oracle_sum_ends(double *y, const row_data *d)
{
    EACH_Y(e) y[e] = 0;
    for (int64_t k = 0; k < 2 * d->n * d->c; k++) y[k / d->c % d->n] += d->x[0][k];
}
static mill_ref build_max_last(row_build *b)
{
    return mill_max_last(b->g, X(b, ROWS, -1, 1));
}
static void oracle_max_last(double *y, const row_data *d)
{
    EACH_Y(e)
    {
        y[e] = d->x[0][e * d->c];
        for (int64_t j = 1; j < d->c; j++) y[e] = fmax(y[e], d->x[0][e * d->c + j]);
    }
}

/* ---- softmax, losses ---- */

static double lse_of(const double *x, int64_t n)
{
    double sum = 0;
    for (int64_t j = 0; j < n; j++) sum += exp(x[j]);
    return log(sum);
}
static mill_ref build_softmax(row_build *b)
{
    return mill_softmax(b->g, X(b, ROWS, -3, 3));
}
static void oracle_softmax(double *y, const row_data *d)
{
    EACH_Y(e) y[e] = exp(d->x[0][e] - lse_of(d->x[0] + e / d->c * d->c, d->c));
}
static mill_ref build_softmax_rank4(row_build *b) /* as attention has it */
{
    return mill_softmax(b->g, X(b, SHAPE(2, 3, b->n, b->c), -3, 3));
}
static mill_ref build_log_softmax(row_build *b)
{
    return mill_log_softmax(b->g, X(b, ROWS, -3, 3));
}
static void oracle_log_softmax(double *y, const row_data *d)
{
    EACH_Y(e) y[e] = d->x[0][e] - lse_of(d->x[0] + e / d->c * d->c, d->c);
}
static double gumbel_at(uint32_t stream, int64_t e)
{
    return -log(-log((double)mill_rand_u01(SEED, 3, stream, (uint64_t)e)));
}
static mill_ref build_gumbel_softmax(row_build *b)
{
    return mill_gumbel_softmax(b->g, X(b, ROWS, -3, 3), 0.5);
}
static void oracle_gumbel_softmax(double *y, const row_data *d)
{
    EACH_Y(e) y[e] = exp((d->x[0][e] + gumbel_at(1, e)) / 0.5);
    for (int64_t i = 0; i < d->n; i++) {
        double sum = 0;
        for (int64_t j = 0; j < d->c; j++) sum += y[i * d->c + j];
        for (int64_t j = 0; j < d->c; j++) y[i * d->c + j] /= sum;
    }
}
static mill_ref build_cross_entropy(row_build *b)
{
    return mill_cross_entropy(b->g, X(b, ROWS, -3, 3), INDEX(b, SHAPE(b->n), b->c), 0.1);
}
static void oracle_cross_entropy(double *y, const row_data *d)
{
    EACH_Y(e)
    {
        const double *x = d->x[0] + e * d->c, lse = lse_of(x, d->c);
        double mean = 0;
        for (int64_t j = 0; j < d->c; j++) mean += x[j] / (double)d->c;
        const int32_t t = d->index[0][e];
        y[e] = t < 0 ? 0 : 0.9 * (lse - x[t]) + 0.1 * (lse - mean);
    }
}

/* Spans: tanh 1, softmax 5, tanh 2, softmax 1, softmax 37 (more than two registers). */
static const int32_t spans_[5][3] = {{0, 1, 0}, {1, 5, 1}, {6, 2, 0}, {8, 1, 1}, {9, 37, 1}};
enum { SPANS = 5, D_ = 46 };
static mill_ref spans_const(row_build *b)
{
    return mill_const(b->g, MILL_T_I32, SHAPE(SPANS, 3), spans_);
}
static void span_softmax_of(double *y, const double *o, double tau, int64_t n, int noisy, int kinds)
{
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < SPANS; k++) {
            const int64_t at = i * D_ + spans_[k][0];
            double sum = 0;
            for (int64_t j = at; j < at + spans_[k][1]; j++)
                sum += y[j] = exp((o[j] + (noisy ? gumbel_at(1, j) : 0)) / tau);
            for (int64_t j = at; j < at + spans_[k][1]; j++)
                y[j] = kinds && spans_[k][2] == 0 ? tanh(o[j]) : y[j] / sum;
        }
}
#define ROW_SPAN(name, make, noisy, tau, kinds, last)                        \
    static mill_ref build_##name(row_build *b)                               \
    {                                                                        \
        const mill_ref o = X(b, SHAPE(b->n, D_), -2, 2), s = spans_const(b); \
        return make;                                                         \
    }                                                                        \
    static void oracle_##name(double *y, const row_data *d)                  \
    {                                                                        \
        span_softmax_of(y, d->x[0], tau, d->n, noisy, kinds);                \
        EACH_Y(e) y[e] = last;                                               \
    }
ROW_SPAN(span_gumbel, mill_span_activate(b->g, o, s, 0.2, SPAN_GUMBEL), 1, 0.2, 1, y[e])
ROW_SPAN(span_soft, mill_span_activate(b->g, o, s, 0.5, SPAN_SOFT), 0, 0.5, 1, y[e])
ROW_SPAN(span_softmax, mill_span_softmax(b->g, o, s), 0, 1, 0, y[e])
ROW_SPAN(span_log_softmax, mill_span_log_softmax(b->g, o, s), 0, 1, 0, log(y[e]))

/* Picks: spans of which one is longer than the kernel takes in columns. */
static const int32_t picks_[5][3] = {{0, 1, 0}, {1, 5, 1}, {6, 1, 0}, {7, 2, 1}, {9, 90, 1}};
enum { PICK_D = 99 };
static double pick_of(const double *o, int64_t n, double u)
{
    double sum = 0, below = 0;
    int64_t best = 0, k;
    for (int64_t j = 0; j < n; j++) {
        sum += exp(o[j]);
        if (o[j] > o[best]) best = j;
    }
    for (k = 0; k < n - 1 && (below += exp(o[k])) <= u * sum;) k++;
    return (double)(u < 0 ? best : k);
}
#define ROW_PICK(name, draw)                                                          \
    static mill_ref build_##name(row_build *b)                                        \
    {                                                                                 \
        const mill_ref spans = mill_const(b->g, MILL_T_I32, SHAPE(SPANS, 3), picks_); \
        return mill_span_pick(b->g, X(b, SHAPE(b->n, PICK_D), -2, 2), spans, draw);   \
    }                                                                                 \
    static void oracle_##name(double *y, const row_data *d)                           \
    {                                                                                 \
        EACH_Y(e)                                                                     \
        {                                                                             \
            const int32_t *s = picks_[e % SPANS];                                     \
            const double *o = d->x[0] + e / SPANS * PICK_D + s[0];                    \
            const double u = (double)mill_rand_u01(SEED, 3, 1, (uint64_t)e);          \
            y[e] = s[2] == 0 ? tanh(*o) : pick_of(o, s[1], draw ? u : -1);            \
        }                                                                             \
    }
ROW_PICK(span_draw, true)
ROW_PICK(span_largest, false)

static mill_ref build_span_ce(row_build *b)
{
    /* values below 1 of all spans' lengths: the span of one category has target 0 or -1 */
    const mill_ref o = X(b, SHAPE(b->n, D_), -2, 2);
    return mill_span_ce(b->g, o, spans_const(b), INDEX(b, SHAPE(b->n, SPANS), 1));
}
static void oracle_span_ce(double *y, const row_data *d)
{
    EACH_Y(e)
    {
        y[e] = 0;
        for (int k = 0; k < SPANS; k++) {
            const double *x = d->x[0] + e * D_ + spans_[k][0];
            const int32_t t = d->index[0][e * SPANS + k];
            if (t >= 0) y[e] += lse_of(x, spans_[k][1]) - x[t];
        }
    }
}

/* ---- normalisation ---- */

static void norm_of(double *y, const double *x, int64_t count, int64_t step, double eps)
{
    double mean = 0, var = 0;
    for (int64_t i = 0; i < count; i++) mean += x[i * step] / (double)count;
    for (int64_t i = 0; i < count; i++)
        var += (x[i * step] - mean) * (x[i * step] - mean) / (double)count;
    for (int64_t i = 0; i < count; i++) y[i * step] = (x[i * step] - mean) / sqrt(var + eps);
}
static mill_ref build_layer_norm(row_build *b)
{
    const mill_ref x = X(b, ROWS, -2, 2), gamma = X(b, SHAPE(b->c), 0.5, 2);
    return mill_layer_norm(b->g, x, gamma, X(b, SHAPE(b->c), -1, 1), 0.1);
}
static void oracle_layer_norm(double *y, const row_data *d)
{
    for (int64_t i = 0; i < d->n; i++) norm_of(y + i * d->c, d->x[0] + i * d->c, d->c, 1, 0.1);
    EACH_Y(e) y[e] = y[e] * d->x[1][e % d->c] + d->x[2][e % d->c];
}
static mill_ref build_layer_norm_bare(row_build *b)
{
    return mill_layer_norm(b->g, X(b, ROWS, -2, 2), 0, 0, 0.1);
}
static void oracle_layer_norm_bare(double *y, const row_data *d)
{
    for (int64_t i = 0; i < d->n; i++) norm_of(y + i * d->c, d->x[0] + i * d->c, d->c, 1, 0.1);
}
static mill_ref norm_state(row_build *b, const char *name, double value)
{
    return mill_state(b->g, name, MILL_T_REAL, SHAPE(b->c), (mill_init){INIT_VALUE, value});
}
static mill_ref build_batch_norm(row_build *b) /* far from 0: a one-pass variance would be lost */
{
    mill_ref mean = norm_state(b, "mean", 0), var = norm_state(b, "var", 0);
    const mill_ref x = X(b, ROWS, 99, 101), gamma = X(b, SHAPE(b->c), 0.5, 2);
    return mill_batch_norm(b->g, x, gamma, X(b, SHAPE(b->c), -1, 1), &mean, &var, 0.1, 0.1, true);
}
static void oracle_batch_norm(double *y, const row_data *d)
{
    for (int64_t j = 0; j < d->c; j++) norm_of(y + j, d->x[0] + j, d->n, d->c, 0.1);
    EACH_Y(e) y[e] = y[e] * d->x[1][e % d->c] + d->x[2][e % d->c];
}
static mill_ref build_batch_norm_bare(row_build *b)
{
    mill_ref mean = norm_state(b, "mean", 0), var = norm_state(b, "var", 0);
    return mill_batch_norm(b->g, X(b, ROWS, -2, 2), 0, 0, &mean, &var, 0.1, 0.1, true);
}
static void oracle_batch_norm_bare(double *y, const row_data *d)
{
    for (int64_t j = 0; j < d->c; j++) norm_of(y + j, d->x[0] + j, d->n, d->c, 0.1);
}
static mill_ref build_batch_norm_eval(row_build *b)
{
    const mill_ref x = X(b, ROWS, -2, 2), gamma = X(b, SHAPE(b->c), 0.5, 2);
    const mill_ref beta = X(b, SHAPE(b->c), -1, 1);
    mill_ref mean = mill_full(b->g, SHAPE(b->c), 0.25), var = mill_full(b->g, SHAPE(b->c), 1.5);
    return mill_batch_norm(b->g, x, gamma, beta, &mean, &var, 0.1, 0.1, false);
}
static void oracle_batch_norm_eval(double *y, const row_data *d)
{
    EACH_Y(e)
    y[e] = (d->x[0][e] - 0.25) / sqrt(1.6) * d->x[1][e % d->c] + d->x[2][e % d->c];
}

/* ---- randomness ---- */

static mill_ref build_dropout(row_build *b)
{
    return mill_dropout(b->g, X(b, ROWS, -2, 2), 0.3);
}
static void oracle_dropout(double *y, const row_data *d)
{
    EACH_Y(e)
    y[e] = mill_rand_u01(SEED, 3, 1, (uint64_t)e) >= 0.3f ? d->x[0][e] / 0.7 : 0;
}
#define ROW_RANDOM(name, value)                                              \
    static mill_ref build_##name(row_build *b)                               \
    {                                                                        \
        return mill_##name(b->g, ROWS);                                      \
    }                                                                        \
    static void oracle_##name(double *y, const row_data *d)                  \
    {                                                                        \
        EACH_Y(e)                                                            \
        {                                                                    \
            const double u = (double)mill_rand_u01(SEED, 3, 1, (uint64_t)e); \
            y[e] = value;                                                    \
        }                                                                    \
    }
ROW_RANDOM(uniform, u)
ROW_RANDOM(normal, mill_quantile_f64(u))
ROW_RANDOM(gumbel, -log(-log(u)))

/* ---- shapes ---- */

#define ROW_MOVE(name, make, shape, from)                   \
    static mill_ref build_##name(row_build *b)              \
    {                                                       \
        const mill_ref x = X(b, shape, -1, 1);              \
        return make;                                        \
    }                                                       \
    static void oracle_##name(double *y, const row_data *d) \
    {                                                       \
        const int64_t n = d->n, c = d->c;                   \
        (void)n, (void)c;                                   \
        EACH_Y(e) y[e] = d->x[0][from];                     \
    }
ROW_MOVE(reshape, mill_reshape(b->g, mill_scale(b->g, x, 1, 0), SHAPE(b->c, -1)), ROWS, e)
ROW_MOVE(detach, mill_detach(b->g, x), ROWS, e)
ROW_MOVE(slice_rows, mill_slice(b->g, x, 0, 1, b->n + 1), SHAPE(b->n + 2, b->c), e + c)
ROW_MOVE(slice_cols, mill_slice(b->g, x, -1, 1, b->c + 1), SHAPE(b->n, b->c + 2),
         e / c * (c + 2) + e % c + 1)
ROW_MOVE(slice_mid, mill_slice(b->g, x, 1, 1, 3), SHAPE(b->n, 4, b->c),
         e / (2 * c) * 4 * c + e % (2 * c) + c)
ROW_MOVE(transpose, mill_transpose(b->g, x, 0, 1), ROWS, e % n * c + e / n)
ROW_MOVE(transpose_rank3, mill_transpose(b->g, x, 1, 2), SHAPE(3, b->n, b->c),
         (e / (n * c) * n + e % n) * c + e / n % c)
ROW_MOVE(transpose_rank4, mill_transpose(b->g, x, 1, 2), SHAPE(2, 3, b->n, b->c),
         (e / (3 * n * c) * 3 + e / c % 3) * n * c + e / (3 * c) % n * c + e % c)
ROW_MOVE(broadcast_row, mill_broadcast_to(b->g, x, SHAPE(2, b->n, b->c)), SHAPE(b->c), e % c)
ROW_MOVE(broadcast_col, mill_broadcast_to(b->g, x, ROWS), SHAPE(b->n, 1), e / c)
ROW_MOVE(broadcast_mid, mill_broadcast_to(b->g, x, SHAPE(2, 3, b->n, b->c)),
         SHAPE(2, 1, b->n, b->c), e / (3 * n * c) * n * c + e % (n * c))

static mill_ref build_concat_cols(row_build *b)
{
    mill_ref x[8];
    const mill_ref p = X(b, ROWS, -1, 1), q = X(b, SHAPE(b->n, 2), -1, 1);
    for (int i = 0; i < 8; i++) x[i] = i % 2 ? q : p; /* more than one node takes */
    return mill_concat(b->g, 8, x, -1);
}
static void oracle_concat_cols(double *y, const row_data *d)
{
    const int64_t w = d->c + 2;
    EACH_Y(e)
    {
        const int64_t i = e / (4 * w), j = e % w;
        y[e] = j < d->c ? d->x[0][i * d->c + j] : d->x[1][i * 2 + j - d->c];
    }
}
static mill_ref build_concat_rows(row_build *b)
{
    const mill_ref p = X(b, ROWS, -1, 1), q = X(b, SHAPE(3, b->c), -1, 1);
    return mill_concat(b->g, 2, (mill_ref[]){p, q}, 0);
}
static void oracle_concat_rows(double *y, const row_data *d)
{
    const int64_t own = d->n * d->c;
    EACH_Y(e) y[e] = e < own ? d->x[0][e] : d->x[1][e - own];
}
static mill_ref build_concat_mid(row_build *b)
{
    const mill_ref p = X(b, SHAPE(b->n, 2, b->c), -1, 1), q = X(b, SHAPE(b->n, 3, b->c), -1, 1);
    return mill_concat(b->g, 2, (mill_ref[]){p, q}, 1);
}
static void oracle_concat_mid(double *y, const row_data *d)
{
    const int64_t c = d->c;
    EACH_Y(e)
    {
        const int64_t i = e / (5 * c), k = e % (5 * c);
        y[e] = k < 2 * c ? d->x[0][i * 2 * c + k] : d->x[1][i * 3 * c + k - 2 * c];
    }
}
static mill_ref build_halves(row_build *b) /* the gradients of two slices meet as a concatenation */
{
    const mill_ref x = X(b, SHAPE(2 * b->n, b->c), -1, 1);
    const mill_ref p = mill_slice(b->g, x, 0, 0, b->n), q = mill_slice(b->g, x, 0, b->n, 2 * b->n);
    return mill_mul(b->g, p, mill_square(b->g, q));
}
static void oracle_halves(double *y, const row_data *d)
{
    EACH_Y(e) y[e] = d->x[0][e] * d->x[0][d->n_y + e] * d->x[0][d->n_y + e];
}
static mill_ref build_full(row_build *b)
{
    return mill_mul(b->g, mill_full(b->g, ROWS, 2.5), X(b, ROWS, -1, 1));
}
static void oracle_full(double *y, const row_data *d)
{
    EACH_Y(e) y[e] = 2.5 * d->x[0][e];
}

/* ---- states ---- */

static mill_ref build_assign(row_build *b)
{
    const mill_ref s = mill_state(b->g, "s", MILL_T_REAL, ROWS, (mill_init){INIT_ONE, 0});
    return mill_assign(b->g, s, X(b, ROWS, -1, 1));
}
static void oracle_assign(double *y, const row_data *d)
{
    EACH_Y(e) y[e] = d->x[0][e];
}
static mill_ref build_lerp_state(row_build *b)
{
    const mill_ref s = mill_full(b->g, ROWS, 1);
    return mill_lerp_state(b->g, s, X(b, ROWS, -1, 1), 0.25);
}
static void oracle_lerp_state(double *y, const row_data *d)
{
    EACH_Y(e) y[e] = 0.75 + 0.25 * d->x[0][e];
}

static const mill_adam_opts adam_coupled = {
    .beta1 = 0.5, .beta2 = 0.9, .eps = 1e-3, .weight_decay = 0.3};
static const mill_adam_opts adam_decoupled = {.beta1 = 0.9,
                                              .beta2 = 0.999,
                                              .eps = 1e-8,
                                              .weight_decay = 0.3,
                                              .decoupled = true,
                                              .t_mul = 2,
                                              .t_add = 5};
static mill_ref build_adam_with(row_build *b, const mill_adam_opts *o)
{
    mill_ref s[3];
    for (int i = 0; i < 3; i++) s[i] = mill_scale(b->g, X(b, ROWS, 0.1, 1), 1, 0);
    const mill_ref grad = X(b, ROWS, -1, 1);
    return mill_adam(b->g, s[0], s[1], s[2], grad, mill_const_real(b->g, 0.01), o);
}
static void oracle_adam_with(double *y, const row_data *d, const mill_adam_opts *o, double t)
{
    EACH_Y(e)
    {
        const double p = d->x[0][e], grad = d->x[3][e] + (o->decoupled ? 0 : o->weight_decay * p);
        const double m = o->beta1 * d->x[1][e] + (1 - o->beta1) * grad;
        const double v = o->beta2 * d->x[2][e] + (1 - o->beta2) * grad * grad;
        const double mhat = m / (1 - pow(o->beta1, t)), vhat = v / (1 - pow(o->beta2, t));
        y[e] = p - (o->decoupled ? 0.01 * o->weight_decay * p : 0) -
               0.01 * mhat / (sqrt(vhat) + o->eps);
    }
}
static mill_ref build_adam(row_build *b)
{
    return build_adam_with(b, &adam_coupled);
}
static void oracle_adam(double *y, const row_data *d)
{
    oracle_adam_with(y, d, &adam_coupled, 4); /* step 3, counted from 0 */
}
static mill_ref build_adamw(row_build *b)
{
    return build_adam_with(b, &adam_decoupled);
}
static void oracle_adamw(double *y, const row_data *d)
{
    oracle_adam_with(y, d, &adam_decoupled, 11);
}
static mill_ref build_clip_norm(row_build *b)
{
    mill_ref grads[2] = {X(b, ROWS, -1, 1), X(b, SHAPE(b->c), -1, 1)};
    mill_clip_by_global_norm(b->g, grads, 2, 0.5);
    return mill_add(b->g, grads[0], grads[1]);
}
static void oracle_clip_norm(double *y, const row_data *d)
{
    double sum = 0;
    for (int64_t i = 0; i < d->n * d->c; i++) sum += d->x[0][i] * d->x[0][i];
    for (int64_t i = 0; i < d->c; i++) sum += d->x[1][i] * d->x[1][i];
    const double ratio = fmin(1, 0.5 / (sqrt(sum) + 1e-6));
    EACH_Y(e) y[e] = ratio * (d->x[0][e] + d->x[1][e % d->c]);
}

#endif
