/*
 * v1_dense.h - up to six rows of weights times one tile of 64 columns; for level files.
 *
 *     out[i][t] = bias[i] + sum_k w[i, k] in[k, t],     t < 64, one chain of FMA in the order of k
 *
 * Sums stay in registers: 6 x 64 at v4, at v3 6 x 16 four times over.
 */
#ifndef MILL_PRIOR_CPU_V1_DENSE_H
#define MILL_PRIOR_CPU_V1_DENSE_H

#include "prior/cpu/normal.h"

#define DENSE_ROWS 6
#define DENSE_VECS (VL == 16 ? 4 : 1)

typedef struct {
    const float *in; /* (k, 64) */
    const float *w;  /* (rows, k) */
    int64_t k;
} dense_rows;

VI void dense_tile(float *const *out, const float *bias, const dense_rows *d, const int rows)
{
    const int64_t k = d->k;

    for (int first = 0; first < 4; first += DENSE_VECS) {
        const float *in = d->in + 16 * first, *w = d->w;
        f16v sum[DENSE_ROWS][DENSE_VECS];

        UNROLL for (int i = 0; i < rows; i++) UNROLL for (int v = 0; v < DENSE_VECS; v++)
            sum[i][v] = vset(bias[i]);
        for (int64_t at = 0; at < k; at++, in += 64, w++) {
            f16v y[DENSE_VECS];
            UNROLL for (int v = 0; v < DENSE_VECS; v++) y[v] = vload(in + 16 * v);
            UNROLL for (int i = 0; i < rows; i++)
            {
                const f16v x = vset(w[i * k]);
                UNROLL for (int v = 0; v < DENSE_VECS; v++) sum[i][v] = vfma(x, y[v], sum[i][v]);
            }
        }
        UNROLL for (int i = 0; i < rows; i++) UNROLL for (int v = 0; v < DENSE_VECS; v++)
            vstore(out[i] + 16 * (first + v), sum[i][v]);
    }
}

VI void dense_run(float *const *out, const float *bias, const dense_rows *d, int rows)
{
    switch (rows) {
    case 1:
        dense_tile(out, bias, d, 1);
        break;
    case 2:
        dense_tile(out, bias, d, 2);
        break;
    case 3:
        dense_tile(out, bias, d, 3);
        break;
    case 4:
        dense_tile(out, bias, d, 4);
        break;
    case 5:
        dense_tile(out, bias, d, 5);
        break;
    default:
        dense_tile(out, bias, d, 6);
        break;
    }
}

#endif
