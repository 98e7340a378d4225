/*
 * gemm_tile.h - what gemm.c and gemm_bf16.c share: tiles of 14 x 32 (v4) or 6 x 16 (v3) in
 * registers.
 *
 * The includer defines MUL_ADD(x, y, sum) on registers: FMA of floats, or of pairs of bfloat16 (a
 * pair lies in the place of a float; k then counts pairs).
 */
#ifndef MILL_BASE_CPU_GEMM_TILE_H
#define MILL_BASE_CPU_GEMM_TILE_H

#include "base/gemm.h"
#include "base/vec16_transpose.h"

#if VL == 16
#define MR 14
#else
#define MR 6
#endif
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ || MILL_CLANG_SANITIZES
#define UNROLL_MR
#elif defined __clang__
#define UNROLL_MR _Pragma("clang loop unroll(full)")
#else
#define UNROLL_MR _Pragma("GCC unroll 16")
#endif
enum { NR = 2 * VL };

typedef struct {
    const float *a, *b, *from; /* from: what the sums start with, or NULL */
    float *c;
    int64_t a_stride, b_stride, c_stride, from_stride, k;
    int cols; /* of C, 1..NR; B has zeros beyond */
} tile;

VI v_f r_broadcast(const float *p)
{
#if VL == 16
    return (v_f)_mm512_set1_ps(*p);
#else
    return (v_f)_mm256_broadcast_ss(p);
#endif
}

VI v_f r_load(const float *p)
{
    return *(const v_fp *)p;
}

VI v_f r_load_n(const float *p, int n)
{
#if VL == 16
    return (v_f)_mm512_maskz_loadu_ps((__mmask16)((1u << (n < 0 ? 0 : n > 16 ? 16 : n)) - 1u), p);
#else
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return (v_f)_mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane));
#endif
}

VI void r_store_n(float *p, v_f v, int n)
{
#if VL == 16
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << (n < 0 ? 0 : n > 16 ? 16 : n)) - 1u), (__m512)v);
#else
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_maskstore_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane), (__m256)v);
#endif
}

/* gcc would spill what it then reads thirteen times. */
#if VL == 16
#define KEEP(v) __asm__("" : "+v"(v))
#else
#define KEEP(v) __asm__("" : "+x"(v))
#endif

/* One tile of mr rows and nv vectors; by_column: A is (k,m), its tile's column of k is contiguous.
 */
VI void run_tile(const tile *t, const int mr, const int nv, const int by_column)
{
    const float *a = t->a, *b = t->b;
    const int64_t as = t->a_stride, bs = t->b_stride, cs = t->c_stride, fs = t->from_stride;
    const bool whole = t->cols == nv * VL; /* masked stores are slow at v3 */
    v_f sum[MR][2];

    if (!t->from) {
        UNROLL_MR for (int i = 0; i < mr; i++) sum[i][0] = sum[i][1] = (v_f){0};
    } else if (whole) {
        UNROLL_MR for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < nv; j++) sum[i][j] =
            r_load(t->from + i * fs + j * VL);
    } else {
        UNROLL_MR for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < nv; j++) sum[i][j] =
            r_load_n(t->from + i * fs + j * VL, t->cols - j * VL);
    }

    for (int64_t k = 0; k < t->k; k++) {
        v_f y[2];
        UNROLL for (int j = 0; j < nv; j++)
        {
            y[j] = r_load(b + j * VL);
            KEEP(y[j]);
        }
        UNROLL_MR for (int i = 0; i < mr; i++)
        {
            const v_f x = r_broadcast(by_column ? a + i : a + i * as);
            UNROLL for (int j = 0; j < nv; j++) sum[i][j] = MUL_ADD(x, y[j], sum[i][j]);
        }
        a += by_column ? as : 1;
        b += bs;
    }

    if (whole) {
        UNROLL_MR for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < nv; j++) *
            (v_fp *)(t->c + i * cs + j * VL) = sum[i][j];
    } else {
        UNROLL_MR for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < nv; j++)
            r_store_n(t->c + i * cs + j * VL, sum[i][j], t->cols - j * VL);
    }
}

typedef void tile_fn(const tile *t);
#define TILE(mr)                                \
    static void rows_##mr##_1(const tile *t)    \
    {                                           \
        run_tile(t, mr, 1, 0);                  \
    }                                           \
    static void rows_##mr##_2(const tile *t)    \
    {                                           \
        run_tile(t, mr, 2, 0);                  \
    }                                           \
    static void columns_##mr##_1(const tile *t) \
    {                                           \
        run_tile(t, mr, 1, 1);                  \
    }                                           \
    static void columns_##mr##_2(const tile *t) \
    {                                           \
        run_tile(t, mr, 2, 1);                  \
    }
#define ENTRY(mr)                              \
    {                                          \
        {rows_##mr##_1, rows_##mr##_2},        \
        {                                      \
            columns_##mr##_1, columns_##mr##_2 \
        }                                      \
    }
TILE(1)
TILE(2)
TILE(3)
TILE(4)
TILE(5)
TILE(6)
#if MR == 14
TILE(7)
TILE(8)
TILE(9)
TILE(10)
TILE(11)
TILE(12)
TILE(13)
TILE(14)
#endif
static tile_fn *const tiles[MR][2][2] = {
    /* rows - 1, by column, vectors - 1 */
    ENTRY(1), ENTRY(2), ENTRY(3), ENTRY(4),  ENTRY(5),  ENTRY(6),
#if MR == 14
    ENTRY(7), ENTRY(8), ENTRY(9), ENTRY(10), ENTRY(11), ENTRY(12), ENTRY(13), ENTRY(14),
#endif
};

/* All tiles of rows of one panel: t has B, C's first row and cols. */
VI void run_panel(tile t, int64_t rows, bool by_column)
{
    const int nv = t.cols > VL ? 2 : 1;
    const int64_t n_tiles = (rows + MR - 1) / MR, least = rows / n_tiles, more = rows % n_tiles;
    for (int64_t i = 0; i < n_tiles; i++) {
        const int64_t mr = least + (i < more);
        tiles[mr - 1][by_column][nv - 1](&t);
        t.a += mr * (by_column ? 1 : t.a_stride);
        t.c += mr * t.c_stride;
        if (t.from) t.from += mr * t.from_stride;
    }
}

#endif
