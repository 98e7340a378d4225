/*
 * em.c - the inner loops of EM (em.h), sixteen lanes at a time.
 *
 * A row's logits are one row of the table per column, added in the order of the columns; 64 lanes
 * are four registers at v4.  The counts are the same walk backwards.  All sums run in the order of
 * rows or columns.
 */
#include "synth/em.h"

#include "base/vec16.h"
#include "base/vmath.h"

/* NOLINTBEGIN(bugprone-implicit-widening-of-multiplication-result): lanes of four vectors at most
 */
/* Four vectors at most; n is a constant where this is inlined. */
VI void logits_of(float *r, const float *table, const float *logw, int n, const em_columns *c,
                  int64_t rows)
{
    for (int64_t i = 0; i < rows; i++) {
        f16v sum[4];
        const float *from = logw ? logw : r + i * n * 16;
        const int32_t *code = c->code + i;
        for (int v = 0; v < n; v++) sum[v] = vload(from + 16 * v);
        for (int j = 0; j < c->n_cols; j++, code += c->stride) {
            const float *p = table + (int64_t)*code * (16 * n);
            for (int v = 0; v < n; v++) sum[v] = vadd(sum[v], vload(p + 16 * v));
        }
        for (int v = 0; v < n; v++) vstore(r + (i * n + v) * 16, sum[v]);
    }
}

void LEVEL_FN(em_logits)(float *r, const float *table, const float *logw, int width,
                         const em_columns *c, int64_t rows)
{
    switch (width) {
    case 64:
        logits_of(r, table, logw, 4, c, rows);
        break;
    case 48:
        logits_of(r, table, logw, 3, c, rows);
        break;
    case 32:
        logits_of(r, table, logw, 2, c, rows);
        break;
    default:
        logits_of(r, table, logw, 1, c, rows);
        break;
    }
}

VI float largest_of(f16v v)
{
    float t[16];
    vstore(t, v);
    for (int w = 8; w; w /= 2)
        for (int l = 0; l < w; l++) t[l] = t[l] > t[l + w] ? t[l] : t[l + w];
    return t[0];
}

double LEVEL_FN(em_softmax)(float *r, int64_t from, float *inverse, int64_t span, int lanes,
                            int64_t rows)
{
    double total = 0, product = 1;

    for (int64_t i = from; i < from + rows; i++) {
        f16v most = vset(-1e30f), sum = vset(0);
        for (int at = 0; at < lanes; at += EM_BLOCK) {
            const int width = lanes - at < EM_BLOCK ? lanes - at : EM_BLOCK;
            const float *x = r + at * span + i * width;
            for (int l = 0; l < width; l += 16) most = vmax(most, vload(x + l));
        }
        const float m = largest_of(most);
        for (int at = 0; at < lanes; at += EM_BLOCK) {
            const int width = lanes - at < EM_BLOCK ? lanes - at : EM_BLOCK;
            float *x = r + at * span + i * width;
            for (int l = 0; l < width; l += 16) {
                const f16v y = vexp(vadd(vload(x + l), vset(-m)));
                vstore(x + l, y);
                sum = vadd(sum, y);
            }
        }
        const float s = vsum(sum);
        inverse[i] = 1 / s;
        total += (double)m;
        product *= (double)s; /* s < 2^24: sixteen of them stay far below 2^1023 */
        if (i % 16 == 15 || i + 1 == from + rows) {
            total += mill_log_f64(product);
            product = 1;
        }
    }
    return total;
}

/*
 * m columns at once: a responsibility is read once for all of them, and where a column has the same
 * code row after row the others hide the way through memory.
 */
/* NOLINTNEXTLINE(readability-function-size): what the loop reads, and the shape of it */
VI void count_of(float *acc, const float *r, const float *inverse, int n, int m,
                 const em_columns *c, int64_t rows)
{
    const int64_t stride = c->stride;

    for (int64_t i = 0; i < rows; i++) {
        const int32_t *code = c->code + i;
        const f16v scale = vset(inverse[i]);
        f16v x[4];
        for (int v = 0; v < n; v++) x[v] = vload(r + (i * n + v) * 16);
        for (int j = 0; j < m; j++) {
            float *a = acc + (int64_t)code[j * stride] * (16 * n);
            for (int v = 0; v < n; v++) vstore(a + 16 * v, vfma(x[v], scale, vload(a + 16 * v)));
        }
    }
}

#define COUNT(n)                                  \
    switch (c->n_cols) {                          \
    case 3:                                       \
        count_of(acc, r, inverse, n, 3, c, rows); \
        break;                                    \
    case 2:                                       \
        count_of(acc, r, inverse, n, 2, c, rows); \
        break;                                    \
    default:                                      \
        count_of(acc, r, inverse, n, 1, c, rows); \
        break;                                    \
    }                                             \
    break

/* NOLINTNEXTLINE(readability-function-size): as count_of */
void LEVEL_FN(em_count)(float *acc, const float *r, const float *inverse, int width,
                        const em_columns *c, int64_t rows)
{
    switch (width) {
    case 64:
        COUNT(4);
    case 48:
        COUNT(3);
    case 32:
        COUNT(2);
    default:
        COUNT(1);
    }
}

/* 2^52 + 2^51: a double this large is an integer, and its bits count up with it. */
static const double integer = 0x1.8p52;
typedef union {
    double x;
    int64_t bits;
} as_bits;

void LEVEL_FN(em_collect)(int64_t *total, float *acc, int64_t n)
{
    const as_bits zero = {.x = integer};
    for (int64_t i = 0; i < n; i++) {
        const as_bits sum = {.x = (double)acc[i] * (double)(1 << EM_BITS) + integer};
        total[i] += sum.bits - zero.bits;
        acc[i] = 0;
    }
}

void LEVEL_FN(em_deliver)(float *acc, int64_t *total, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        acc[i] = (float)((double)total[i] / (double)(1 << EM_BITS));
        total[i] = 0;
    }
}

void LEVEL_FN(em_logs)(float *logp, float *acc, const float *marginal, const float *strength,
                       const float *mass, int width, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const float b = strength[i], m = b * marginal[i];
        float *y = logp + i * width, *a = acc + i * width;
        for (int l = 0; l < width; l++) {
            y[l] = mill_logf((a[l] + m) / (mass[l] + b));
            a[l] = 0;
        }
    }
}
/* NOLINTEND(bugprone-implicit-widening-of-multiplication-result) */
