/*
 * gemm.c - our own product: register tiles of 14 x 32 (v4) or 6 x 16 (v3), each element one chain
 * of FMA.
 *
 *     for blocks of KC along k                     C is the chain's running sum between blocks
 *         for panels of NR columns                 B's panel is packed (KC, NR), zeros beyond n, 20
 * KiB for tiles of up to MR rows           A is read where it is: broadcasts along a row, or,
 *                 sum[i][j] = fma(a, b, sum)       if it is stored (k,m), along a column
 *
 * Packing B costs about 4 % at 64 rows (8 % if B is stored (n,k), by transposing registers); with
 * few rows B is read in place.  A is packed only where it has to be rounded (the emulation of
 * bf16). Rows are split evenly: 50 is 13 + 13 + 12 + 12, never 14 + 14 + 14 + 8.
 */
#include "base/gemm.h"

#include "base/vec16.h"

#if VL == 16
#define MR 14
#else
#define MR 6
#endif
#ifdef __clang__
#define UNROLL_MR _Pragma("clang loop unroll(full)")
#else
#define UNROLL_MR _Pragma("GCC unroll 16")
#endif
#define NR       (2 * VL)
#define KC       160
#define MAX_ROWS (5 * MR) /* rows of A that are packed at a time, when they are */

typedef struct {
    const float *a, *b;
    float *c;
    int64_t a_stride, b_stride, c_stride, k;
    int cols;  /* of C, 1..NR; B has zeros beyond */
    bool load; /* start from C, not from 0 */
} tile;

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

/* One tile of mr rows and nv vectors; by_column: A is (k,m), its tile's column of k is contiguous.
 */
VI void run_tile(const tile *t, const int mr, const int nv, const int by_column)
{
    const float *a = t->a, *b = t->b;
    const int64_t as = t->a_stride, bs = t->b_stride;
    v_f sum[MR][2];

    UNROLL_MR for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < nv; j++) sum[i][j] =
        t->load ? r_load_n(t->c + i * t->c_stride + j * VL, t->cols - j * VL) : (v_f){0};

    for (int64_t k = 0; k < t->k; k++) {
        v_f y[2];
        UNROLL for (int j = 0; j < nv; j++) y[j] = r_load(b + j * VL);
        UNROLL_MR for (int i = 0; i < mr; i++)
        {
            const v_f x = (by_column ? a[i] : a[i * as]) - (v_f){0};
            UNROLL for (int j = 0; j < nv; j++) sum[i][j] = r_fma(x, y[j], sum[i][j]);
        }
        a += by_column ? as : 1;
        b += bs;
    }

    UNROLL_MR for (int i = 0; i < mr; i++) UNROLL for (int j = 0; j < nv; j++)
        r_store_n(t->c + i * t->c_stride + j * VL, sum[i][j], t->cols - j * VL);
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

VI float rounded(float x, bool to_bf16)
{
    return to_bf16 ? mill_float_of_bf16(mill_bf16_of(x)) : x;
}

VI v_f r_rounded(v_f x, bool to_bf16)
{
    if (!to_bf16) return x;
    const v_u u = (v_u)x, up = (u + 0x7fffu + ((u >> 16) & 1u)) & 0xffff0000u;
    return r_sel((v_u)(x == x), (v_f)up, (v_f)((u | 0x400000u) & 0xffff0000u));
}

/* p (kc, NR) = rows of a B stored (k,n). */
VI void pack_rows(float *p, const float *b, int64_t ldb, int64_t kc, int cols, bool bf16)
{
    for (int64_t k = 0; k < kc; k++) UNROLL for (int j = 0; j < 2; j++)
        {
            const float *row = b + k * ldb + j * VL;
            const v_f x = cols >= (j + 1) * VL ? r_load(row) : r_load_n(row, cols - j * VL);
            *(v_fp *)(p + k * NR + j * VL) = r_rounded(x, bf16);
        }
}

/* A square of VL x VL, transposed in registers. */
#if VL == 16
VI void transpose(__m512 r[16])
{
    __m512 t[16];
    UNROLL_MR for (int i = 0; i < 8; i++)
    { /* 2 x 2 */
        t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    UNROLL for (int i = 0; i < 4; i++)
    { /* 4 x 4 */
        const __m512d a0 = (__m512d)t[4 * i], a1 = (__m512d)t[4 * i + 1];
        const __m512d a2 = (__m512d)t[4 * i + 2], a3 = (__m512d)t[4 * i + 3];
        r[4 * i] = (__m512)_mm512_unpacklo_pd(a0, a2);
        r[4 * i + 1] = (__m512)_mm512_unpackhi_pd(a0, a2);
        r[4 * i + 2] = (__m512)_mm512_unpacklo_pd(a1, a3);
        r[4 * i + 3] = (__m512)_mm512_unpackhi_pd(a1, a3);
    }
    UNROLL for (int i = 0; i < 4; i++)
    { /* 8 x 8 */
        t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
    }
    UNROLL for (int i = 0; i < 8; i++)
    { /* 16 x 16 */
        r[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
    }
}
#define R_NATIVE __m512
#else
VI void transpose(__m256 r[8])
{
    __m256 t[8];
    UNROLL for (int i = 0; i < 4; i++)
    { /* 2 x 2 */
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    UNROLL for (int i = 0; i < 2; i++)
    { /* 4 x 4 */
        r[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        r[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
        r[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        r[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
    }
    UNROLL for (int i = 0; i < 4; i++)
    { /* 8 x 8 */
        t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
    }
    UNROLL for (int i = 0; i < 8; i++) r[i] = t[i];
}
#define R_NATIVE __m256
#endif

/* p (kc, NR) = columns of a B stored (n,k). */
VI void pack_columns(float *p, const float *b, int64_t ldb, int64_t kc, int cols, bool bf16)
{
    for (int j = 0; j < 2; j++)
        for (int64_t k = 0; k < kc; k += VL) {
            const int depth = kc - k < VL ? (int)(kc - k) : VL;
            R_NATIVE r[VL];
            UNROLL_MR for (int i = 0; i < VL; i++)
            {
                const float *row = b + (j * VL + i) * ldb + k;
                v_f x = {0};
                if (j * VL + i < cols) x = depth == VL ? r_load(row) : r_load_n(row, depth);
                r[i] = (R_NATIVE)r_rounded(x, bf16);
            }
            transpose(r);
            for (int i = 0; i < depth; i++) *(v_fp *)(p + (k + i) * NR + j * VL) = (v_f)r[i];
        }
}

/* p (rows, KC) = op(A), rounded. */
VI void pack_a(float *p, const gemm_args *g, int64_t i0, int64_t rows, int64_t k0, int64_t kc)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < kc; k++) {
            const int64_t at = g->ta ? (k0 + k) * g->lda + i0 + i : (i0 + i) * g->lda + k0 + k;
            p[i * KC + k] = rounded(g->a[at], true);
        }
}

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
    }
}

VI void run_block(const gemm_args *g, int64_t i0, int64_t rows, int64_t k0, int64_t kc, bool bf16)
{
    float panel[KC * NR] __attribute__((aligned(64)));
    float a_panel[MAX_ROWS * KC] __attribute__((aligned(64)));
    tile t = {.k = kc, .c_stride = g->ldc, .load = k0 > 0 || g->accumulate};

    t.a = g->ta ? g->a + k0 * g->lda + i0 : g->a + i0 * g->lda + k0;
    t.a_stride = g->lda;
    if (bf16) {
        pack_a(a_panel, g, i0, rows, k0, kc);
        t.a = a_panel;
        t.a_stride = KC;
    }
    for (int64_t j = 0; j < g->n; j += NR) {
        t.cols = g->n - j < NR ? (int)(g->n - j) : NR;
        t.c = g->c + i0 * g->ldc + j;
        t.b = panel;
        t.b_stride = NR;
        if (g->tb) {
            pack_columns(panel, g->b + j * g->ldb + k0, g->ldb, kc, t.cols, bf16);
        } else if (rows <= MR && t.cols % VL == 0 && !bf16) {
            t.b = g->b + k0 * g->ldb + j;
            t.b_stride = g->ldb;
        } else {
            pack_rows(panel, g->b + k0 * g->ldb + j, g->ldb, kc, t.cols, bf16);
        }
        run_panel(t, rows, g->ta && !bf16);
    }
}

static void empty_sum(const gemm_args *g)
{
    for (int64_t i = 0; i < g->m && !g->accumulate; i++)
        memset(g->c + i * g->ldc, 0, (size_t)g->n * sizeof *g->c);
}

void LEVEL_FN(gemm_tile)(const gemm_args *g, bool round_to_bf16)
{
    if (g->m <= 0 || g->n <= 0) return;
    if (g->k <= 0) {
        empty_sum(g);
        return;
    }
    for (int64_t k = 0; k < g->k; k += KC) {
        const int64_t kc = g->k - k < KC ? g->k - k : KC;
        if (!round_to_bf16) {
            run_block(g, 0, g->m, k, kc, false);
            continue;
        }
        for (int64_t i = 0; i < g->m; i += MAX_ROWS)
            run_block(g, i, g->m - i < MAX_ROWS ? g->m - i : MAX_ROWS, k, kc, true);
    }
}
