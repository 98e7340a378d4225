/*
 * gemm_f64.c - the product in double: a chain of FMA in the order of k for each element, row after
 * row.
 *
 * For the build that checks gradients and for statistics; its loops along a row of C are left to
 * the compiler.
 */
#include "base/gemm.h"

#include <math.h>

static inline __attribute__((always_inline)) double a_at(const gemm_args_f64 *g, int64_t i,
                                                         int64_t k)
{
    return g->ta ? g->a[k * g->lda + i] : g->a[i * g->lda + k];
}

void LEVEL_FN(gemm_tile_f64)(const gemm_args_f64 *g)
{
    for (int64_t i = 0; i < g->m; i++) {
        double *c = g->c + i * g->ldc;
        for (int64_t j = 0; j < g->n && !g->accumulate; j++) c[j] = 0;
        for (int64_t k = 0; k < g->k && !g->tb; k++) {
            const double x = a_at(g, i, k), *b = g->b + k * g->ldb;
            for (int64_t j = 0; j < g->n; j++) c[j] = fma(x, b[j], c[j]);
        }
        for (int64_t j = 0; j < g->n && g->tb; j++) {
            const double *b = g->b + j * g->ldb;
            double sum = c[j];
            for (int64_t k = 0; k < g->k; k++) sum = fma(a_at(g, i, k), b[k], sum);
            c[j] = sum;
        }
    }
}
