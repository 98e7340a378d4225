/*
 * gemm.h - products of matrices, one tile on the calling thread.
 *
 *     C = op(A) op(B) + F      op(A) (m,k), op(B) (k,n), C and F (m,n), all row-major
 *
 * A is stored (m,k), or (k,m) if ta; B is stored (k,n), or (n,k) if tb; ld* is the distance of two
 * stored rows in elements.  F (`from`) may be absent, C itself, or, with ld_from 0, one row for
 * all (a bias).  C overlaps nothing else.  Sizes may be 0: k = 0 gives F.
 *
 * Two providers.  Ours (base/cpu/gemm.c): every element is one chain of FMA in the order of k that
 * starts from F, the same bytes at each level and for any tiling.  oneDNN's dnnl_sgemm: the
 * same call gives the same bytes on one machine; another machine or (at AVX2) another tiling gives
 * others.  So tiles follow from shapes alone.  Which one serves a shape is chosen by what was
 * measured to be faster (bench/gemm.c); TABMILL_GEMM=own|onednn forces one. mill_cpu_init() must
 * have succeeded.  Nothing here allocates, except oneDNN on its first calls.
 */
#ifndef MILL_BASE_GEMM_H
#define MILL_BASE_GEMM_H

#include "base/level.h"
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    float *c;
    const float *a, *b, *from; /* from: NULL for zero */
    int64_t m, n, k, lda, ldb, ldc, ld_from;
    bool ta, tb;
    /* For gemm_bf16, where the processor has its products: packed before, in the place of a (then
     * not ta) or b; or NULL. */
    const float *a_pairs, *b_panels;
} gemm_args;

/*
 * Packed operands: rounded to bfloat16, neighbours along k as pairs in the place of a float, an odd
 * k filled up with a zero.
 *
 *     a_pairs   (pairs, rows) of each tile of 14 rows at most, as equal as can be, of GEMM_ROWS
 *     b_panels  (pairs, 32) of each 32 columns, the last ones too
 */
enum { GEMM_PANEL = 32, GEMM_ROWS = 64 };

typedef struct { /* op(B) (k,n) */
    const float *b;
    int64_t k, n, ldb;
    bool tb;
} gemm_panels;

typedef struct {
    double *c;
    const double *a, *b;
    int64_t m, n, k, lda, ldb, ldc;
    bool ta, tb, accumulate; /* accumulate: C is added to */
} gemm_args_f64;

void gemm_f32(const gemm_args *g);

/* A and B are rounded to bfloat16 on the way, sums are f32.  With AVX512-BF16 twice as fast as
 * gemm_f32; the processor adds pairs of products and takes denormals as 0.  Elsewhere the products
 * are f32, not faster. */
void gemm_bf16(const gemm_args *g);

/* Packs, where mill_cpu_has_bf16(): of A (m,k) whole blocks of GEMM_ROWS, and the last one; of B
 * what its stored rows [begin, end) are.  A part begins at an even row, or, if B is stored (n,k),
 * at a multiple of GEMM_PANEL. */
void gemm_pack_rows(void *pairs, const float *a, int64_t lda, int64_t m, int64_t k);
void gemm_pack_panels(void *panels, const gemm_panels *p, int64_t begin, int64_t end);

/* For the gradient tests and for statistics: one chain of FMA in the order of k, not fast. */
void gemm_f64(const gemm_args_f64 *g);

/* Is this product ours, hence the same bytes on every machine?  (gemm_f32; bf16 ones never promise
 * it.) */
bool gemm_is_reproducible(const gemm_args *g);

/* "oneDNN 2.6.3 and own v4", "own v3", ... */
const char *gemm_provider(void);

/* The provider by name, for tests and the benchmark; gemm_onednn is false where it is absent. */
void gemm_own(const gemm_args *g);
bool gemm_onednn(const gemm_args *g);

MILL_LEVEL_DECLARE(void, gemm_tile, (const gemm_args *g, bool round_to_bf16));
MILL_LEVEL_DECLARE(void, gemm_tile_f64, (const gemm_args_f64 *g));
void gemm_tile_bf16_v4(const gemm_args *g);
void gemm_rows_bf16_v4(void *out, const float *a, int64_t lda, int64_t m, int64_t k);
void gemm_panels_bf16_v4(void *out, const gemm_panels *p, int64_t begin, int64_t end);

#endif
