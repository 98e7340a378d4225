/*
 * rows_product.h - element-wise operations, products and codes: how to build each, and what it
 * should give, in double and libm.
 *
 * Ranges keep away from kinks (a difference across one is no derivative) and from poles.
 */
#ifndef TESTS_OPS_ROWS_PRODUCT_H
#define TESTS_OPS_ROWS_PRODUCT_H

#include "harness.h"

#define ROWS      SHAPE(b->n, b->c)
#define EACH_Y(e) for (int64_t e = 0; e < d->n_y; e++)

/* ---- one operand ---- */

#define ROW_1(name, make, lo, hi, value)                    \
    static mill_ref build_##name(row_build *b)              \
    {                                                       \
        mill_graph *g = b->g;                               \
        const mill_ref x = X(b, ROWS, lo, hi);              \
        return make;                                        \
    }                                                       \
    static void oracle_##name(double *y, const row_data *d) \
    {                                                       \
        EACH_Y(e)                                           \
        {                                                   \
            const double x = d->x[0][e];                    \
            y[e] = value;                                   \
        }                                                   \
    }

ROW_1(relu, mill_relu(g, x), -1, 1, x > 0 ? x : 0)
ROW_1(leaky_relu, mill_leaky_relu(g, x, 0.2), -1, 1, x > 0 ? x : 0.2 * x)
ROW_1(elu, mill_elu(g, x, 1.5), -2, 2, x > 0 ? x : 1.5 * expm1(x))
ROW_1(selu, mill_selu(g, x), -2, 2,
      1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * expm1(x)))
ROW_1(gelu, mill_gelu(g, x), -3, 3, x * 0.5 * erfc(-x / sqrt(2)))
ROW_1(silu, mill_silu(g, x), -4, 4, x / (1 + exp(-x)))
ROW_1(tanh, mill_tanh(g, x), -2, 2, tanh(x))
ROW_1(sigmoid, mill_sigmoid(g, x), -4, 4, 1 / (1 + exp(-x)))
ROW_1(softplus, mill_softplus(g, x), -4, 4, log1p(exp(x)))
ROW_1(exp, mill_exp(g, x), -2, 2, exp(x))
ROW_1(ln, mill_ln(g, x), 0.5, 3, log(x))
ROW_1(sqrt, mill_sqrt(g, x), 0.5, 3, sqrt(x))
ROW_1(square, mill_square(g, x), -2, 2, x *x)
ROW_1(abs, mill_abs(g, x), -2, 2, fabs(x))
ROW_1(neg, mill_neg(g, x), -2, 2, -x)
ROW_1(reciprocal, mill_reciprocal(g, x), 0.5, 3, 1 / x)
ROW_1(clip, mill_clip(g, x, -0.5, 0.7), -1, 1, x < -0.5 ? -0.5 : (x > 0.7 ? 0.7 : x))
ROW_1(scale, mill_scale(g, x, 3, -1), -1, 1, 3 * x - 1)

/* ---- two operands: each way of broadcasting ---- */

#define ROW_2(name, make, sa, sb, lo, hi, at_a, at_b, value)       \
    static mill_ref build_##name(row_build *b_)                    \
    {                                                              \
        row_build *b = b_;                                         \
        mill_graph *g = b->g;                                      \
        const int64_t n = b->n, c = b->c;                          \
        (void)n, (void)c;                                          \
        const mill_ref p = X(b, sa, lo, hi), q = X(b, sb, lo, hi); \
        return make;                                               \
    }                                                              \
    static void oracle_##name(double *y, const row_data *d)        \
    {                                                              \
        const int64_t n = d->n, c = d->c;                          \
        (void)n, (void)c;                                          \
        EACH_Y(e)                                                  \
        {                                                          \
            const double a = d->x[0][at_a], b = d->x[1][at_b];     \
            y[e] = value;                                          \
        }                                                          \
    }

ROW_2(add, mill_add(g, p, q), SHAPE(n, c), SHAPE(n, c), -1, 1, e, e, a + b)
ROW_2(add_row, mill_add(g, p, q), SHAPE(n, c), SHAPE(c), -1, 1, e, e % c, a + b)
ROW_2(row_sub, mill_sub(g, p, q), SHAPE(c), SHAPE(n, c), -1, 1, e % c, e, a - b)
ROW_2(sub, mill_sub(g, p, q), SHAPE(n, c), SHAPE(n, c), -1, 1, e, e, a - b)
ROW_2(mul, mill_mul(g, p, q), SHAPE(n, c), SHAPE(n, c), -1, 1, e, e, a *b)
ROW_2(mul_col, mill_mul(g, p, q), SHAPE(n, c), SHAPE(n, 1), -1, 1, e, e / c, a *b)
ROW_2(mul_scalar, mill_mul(g, p, q), SHAPE(n, c), SCALAR, -1, 1, e, 0, a *b)
ROW_2(mul_outer, mill_mul(g, p, q), SHAPE(n, 1), SHAPE(c), -1, 1, e / c, e % c, a *b)
ROW_2(mul_rank3, mill_mul(g, p, q), SHAPE(2, n, c), SHAPE(n, c), -1, 1, e, e % (n * c), a *b)
ROW_2(mul_middle, mill_mul(g, p, q), SHAPE(2, 1, n, c), SHAPE(2, 3, 1, c), -1, 1,
      e / (3 * n * c) * n * c + e % (n * c), e / (n * c) * c + e % c, a *b)
ROW_2(div, mill_div(g, p, q), SHAPE(n, c), SHAPE(n, c), 0.5, 2, e, e, a / b)
ROW_2(div_col, mill_div(g, p, q), SHAPE(n, c), SHAPE(n, 1), 0.5, 2, e, e / c, a / b)
ROW_2(max2, mill_max2(g, p, q), SHAPE(n, c), SHAPE(n, c), -1, 1, e, e, a > b ? a : b)
ROW_2(min2, mill_min2(g, p, q), SHAPE(n, c), SHAPE(c), -1, 1, e, e % c, a < b ? a : b)
ROW_2(ge, mill_ge(g, p, q), SHAPE(n, c), SHAPE(c), -1, 1, e, e % c, a >= b)
ROW_2(bce, mill_bce_with_logits(g, p, q), SHAPE(n, c), SHAPE(n, c), -2, 2, e, e,
      log1p(exp(a)) - a * b)

/* ---- products ---- */

#define K_ 9
static void mm(double *y, const double *a, const double *b, int64_t n, int64_t k, int64_t m,
               bool ta, bool tb)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < m; j++)
            for (int64_t l = 0; l < k; l++)
                y[i * m + j] += a[ta ? l * n + i : i * k + l] * b[tb ? j * k + l : l * m + j];
}
#define ROW_MM(name, sa, sb, ta, tb, m)                          \
    static mill_ref build_##name(row_build *b)                   \
    {                                                            \
        const int64_t n = b->n, c = b->c;                        \
        (void)n, (void)c;                                        \
        const mill_ref p = X(b, sa, -1, 1), q = X(b, sb, -1, 1); \
        return mill_matmul(b->g, p, q, ta, tb);                  \
    }                                                            \
    static void oracle_##name(double *y, const row_data *d)      \
    {                                                            \
        const int64_t n = d->n, c = d->c;                        \
        (void)c;                                                 \
        EACH_Y(e) y[e] = 0;                                      \
        mm(y, d->x[0], d->x[1], n, K_, m, ta, tb);               \
    }
ROW_MM(matmul_nn, SHAPE(n, K_), SHAPE(K_, c), false, false, c)
ROW_MM(matmul_tn, SHAPE(K_, n), SHAPE(K_, c), true, false, c)
ROW_MM(matmul_nt, SHAPE(n, K_), SHAPE(c, K_), false, true, c)
ROW_MM(matmul_tt, SHAPE(K_, n), SHAPE(c, K_), true, true, c)
ROW_MM(matmul_wide, SHAPE(n, K_), SHAPE(K_, 131), false, false, 131)
ROW_MM(matmul_wide_t, SHAPE(n, K_), SHAPE(131, K_), false, true, 131)

static mill_ref build_matmul_batch(row_build *b)
{
    const mill_ref p = X(b, SHAPE(2, 3, b->n, K_), -1, 1), q = X(b, SHAPE(2, 3, K_, b->c), -1, 1);
    return mill_matmul(b->g, p, q, false, false);
}
static void oracle_matmul_batch(double *y, const row_data *d)
{
    EACH_Y(e) y[e] = 0;
    for (int64_t i = 0; i < 6; i++)
        mm(y + i * d->n * d->c, d->x[0] + i * d->n * K_, d->x[1] + i * K_ * d->c, d->n, K_, d->c,
           false, false);
}
static mill_ref build_matmul_batch_t(row_build *b)
{
    const mill_ref p = X(b, SHAPE(3, K_, b->n), -1, 1), q = X(b, SHAPE(3, b->c, K_), -1, 1);
    return mill_matmul(b->g, p, q, true, true);
}
static void oracle_matmul_batch_t(double *y, const row_data *d)
{
    EACH_Y(e) y[e] = 0;
    for (int64_t i = 0; i < 3; i++)
        mm(y + i * d->n * d->c, d->x[0] + i * d->n * K_, d->x[1] + i * K_ * d->c, d->n, K_, d->c,
           true, true);
}
static mill_ref build_matmul_shared_b(row_build *b)
{
    const mill_ref p = X(b, SHAPE(3, b->n, K_), -1, 1), q = X(b, SHAPE(K_, b->c), -1, 1);
    return mill_matmul(b->g, p, q, false, false);
}
static void oracle_matmul_shared_b(double *y, const row_data *d)
{
    EACH_Y(e) y[e] = 0;
    mm(y, d->x[0], d->x[1], 3 * d->n, K_, d->c, false, false);
}
static mill_ref build_matmul_shared_a(row_build *b)
{
    const mill_ref p = X(b, SHAPE(b->n, K_), -1, 1), q = X(b, SHAPE(3, K_, b->c), -1, 1);
    return mill_matmul(b->g, p, q, false, false);
}
static void oracle_matmul_shared_a(double *y, const row_data *d)
{
    EACH_Y(e) y[e] = 0;
    for (int64_t i = 0; i < 3; i++)
        mm(y + i * d->n * d->c, d->x[0], d->x[1] + i * K_ * d->c, d->n, K_, d->c, false, false);
}

#define ROW_ADDMM(name, sc, sa, sb, ta, m, at_c)                                      \
    static mill_ref build_##name(row_build *b)                                        \
    {                                                                                 \
        const int64_t n = b->n, c = b->c;                                             \
        (void)n, (void)c;                                                             \
        const mill_ref z = X(b, sc, -1, 1), p = X(b, sa, -1, 1), q = X(b, sb, -1, 1); \
        /* an operation behind c, so that its memory can be taken over */             \
        return mill_addmm(b->g, mill_scale(b->g, z, 2, 0), p, q, ta, false);          \
    }                                                                                 \
    static void oracle_##name(double *y, const row_data *d)                           \
    {                                                                                 \
        const int64_t n = d->n, c = d->c;                                             \
        (void)c;                                                                      \
        EACH_Y(e) y[e] = 2 * d->x[0][at_c];                                           \
        mm(y, d->x[1], d->x[2], n, K_, m, ta, false);                                 \
    }
ROW_ADDMM(addmm, SHAPE(n, c), SHAPE(n, K_), SHAPE(K_, c), false, c, e)
ROW_ADDMM(addmm_bias, SHAPE(c), SHAPE(n, K_), SHAPE(K_, c), false, c, e % c)
ROW_ADDMM(addmm_wide, SHAPE(131), SHAPE(n, K_), SHAPE(K_, 131), false, 131, e % 131)
ROW_ADDMM(addmm_inner, SHAPE(n, c), SHAPE(K_, n), SHAPE(K_, c), true, c, e)

/* ---- codes: V rows, S codes a row ---- */

enum { V_ = 21, S_ = 3 };
static mill_ref build_codes_matmul(row_build *b)
{
    const mill_ref w = X(b, SHAPE(V_, b->c), -1, 1), val = X(b, SHAPE(b->n, S_), -1, 1);
    const mill_ref c = X(b, SHAPE(b->n, b->c), -1, 1);
    return mill_codes_matmul(b->g, mill_scale(b->g, c, 2, 0), w, INDEX(b, SHAPE(b->n, S_), V_),
                             val);
}
static void oracle_codes_matmul(double *y, const row_data *d)
{
    EACH_Y(e) y[e] = 2 * d->x[2][e];
    for (int64_t k = 0; k < d->n * S_; k++)
        for (int64_t j = 0; j < d->c && d->index[0][k] >= 0; j++)
            y[k / S_ * d->c + j] += d->x[1][k] * d->x[0][d->index[0][k] * d->c + j];
}
static mill_ref build_codes_bias(row_build *b)
{
    const mill_ref w = X(b, SHAPE(V_, b->c), -1, 1), c = X(b, SHAPE(b->c), -1, 1);
    return mill_codes_matmul(b->g, c, w, INDEX(b, SHAPE(b->n, S_), V_), 0);
}
static void oracle_codes_bias(double *y, const row_data *d)
{
    EACH_Y(e) y[e] = d->x[1][e % d->c];
    for (int64_t k = 0; k < d->n * S_; k++)
        for (int64_t j = 0; j < d->c && d->index[0][k] >= 0; j++)
            y[k / S_ * d->c + j] += d->x[0][d->index[0][k] * d->c + j];
}
static mill_ref build_gather_rows(row_build *b)
{
    return mill_gather_rows(b->g, X(b, SHAPE(V_, b->c), -1, 1), INDEX(b, SHAPE(b->n), V_));
}
static void oracle_gather_rows(double *y, const row_data *d)
{
    EACH_Y(e)
    {
        const int32_t v = d->index[0][e / d->c];
        y[e] = v < 0 ? 0 : d->x[0][v * d->c + e % d->c];
    }
}
static mill_ref build_scatter(row_build *b)
{
    const mill_ref x = X(b, ROWS, -1, 1), val = X(b, SHAPE(b->n, S_), -1, 1);
    return mill_scatter(b->g, V_, x, INDEX(b, SHAPE(b->n, S_), V_), val);
}
static void oracle_scatter(double *y, const row_data *d)
{
    EACH_Y(e) y[e] = 0;
    for (int64_t k = 0; k < d->n * S_; k++)
        for (int64_t j = 0; j < d->c && d->index[0][k] >= 0; j++)
            y[d->index[0][k] * d->c + j] += d->x[1][k] * d->x[0][k / S_ * d->c + j];
}
static mill_ref build_scatter_add(row_build *b) /* through mill_add, into more rows than one tile */
{
    const mill_ref x = X(b, ROWS, -1, 1), dense = X(b, SHAPE(150, b->c), -1, 1);
    const mill_ref sparse = mill_scatter(b->g, 150, x, INDEX(b, SHAPE(b->n, S_), 150), 0);
    return mill_add(b->g, sparse, mill_scale(b->g, dense, 2, 0));
}
static void oracle_scatter_add(double *y, const row_data *d)
{
    EACH_Y(e) y[e] = 2 * d->x[1][e];
    for (int64_t k = 0; k < d->n * S_; k++)
        for (int64_t j = 0; j < d->c && d->index[0][k] >= 0; j++)
            y[d->index[0][k] * d->c + j] += d->x[0][k / S_ * d->c + j];
}
static mill_ref build_one_hot(row_build *b)
{
    return mill_one_hot(b->g, INDEX(b, SHAPE(b->n), V_), V_);
}
static void oracle_one_hot(double *y, const row_data *d)
{
    EACH_Y(e) y[e] = d->index[0][e / V_] == e % V_;
}
static mill_ref build_gather_cols(row_build *b)
{
    const int32_t at[2] = {(int32_t)b->c - 1, 0};
    const int64_t k = b->c > 1 ? 2 : 1;
    return mill_gather_cols(b->g, X(b, ROWS, -1, 1), mill_const(b->g, MILL_T_I32, SHAPE(k), at));
}
static void oracle_gather_cols(double *y, const row_data *d)
{
    const int64_t k = d->c > 1 ? 2 : 1;
    EACH_Y(e) y[e] = d->x[0][e / k * d->c + (e % k ? 0 : d->c - 1)];
}

#endif
