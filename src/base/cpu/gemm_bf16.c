/*
 * gemm_bf16.c - products of bfloat16 with sums in float, by vdpbf16ps: two products per lane at
 * once.
 *
 *     sum[i][j] += a[i][2k] b[2k][j] + a[i][2k + 1] b[2k + 1][j]
 *
 * The same tiles as gemm.c, with a pair of bfloat16 in the place of a float.  Both operands are
 * rounded (to nearest even) while they are packed; an odd k is filled up with a zero.  The
 * instruction takes denormals as 0, so the native conversion, which does so too, loses nothing.  A
 * is packed (rows, pairs), or (pairs, rows) if it is stored (k,m); B's panels (pairs, NR).  What
 * came packed is read where it is: the same chains, the same bits.
 */
#include "base/vec16.h"
#define MUL_ADD(x, y, sum) (v_f) _mm512_dpbf16_ps((__m512)(sum), (__m512bh)(x), (__m512bh)(y))
#include "base/cpu/gemm_tile.h"

enum {
    PAIRS = 160,       /* of k, at a time */
    MAX_ROWS = 5 * MR, /* of A, at a time */
    A_STRIDE = 80      /* >= MAX_ROWS, whole vectors */
};

/* 32 floats from p, `n` of them real, as 16 pairs. */
VI __m512 pairs_along(const float *p, int n)
{
    const __m512 lo = (__m512)(n >= 16 ? r_load(p) : r_load_n(p, n));
    const __m512 hi = (__m512)(n >= 32 ? r_load(p + 16) : r_load_n(p + 16, n - 16));
    return (__m512)_mm512_cvtne2ps_pbh(hi, lo);
}

/* Pairs (p[i], q[i]) of 16 columns, n of them real; q may be absent. */
VI __m512 pairs_across(const float *p, const float *q, int n)
{
    static const uint16_t order[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                       21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                       11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    const __m512 lo = (__m512)(n >= 16 ? r_load(p) : r_load_n(p, n));
    const __m512 hi = q ? (__m512)(n >= 16 ? r_load(q) : r_load_n(q, n)) : _mm512_setzero_ps();
    const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(hi, lo);
    return (__m512)_mm512_permutexvar_epi16(_mm512_loadu_si512(order), both);
}

/* out (pairs, stride): rows k of a matrix (k, columns) in pairs. */
VI void pack_across(float *out, int stride, const float *p, int64_t ld, int64_t kc, int columns)
{
    for (int64_t k = 0; k < kc; k += 2)
        for (int j = 0; j < columns; j += 16) {
            const float *at = p + k * ld + j;
            const __m512 x = pairs_across(at, k + 1 < kc ? at + ld : 0, columns - j);
            _mm512_storeu_ps(out + k / 2 * stride + j, x);
        }
}

/* out (rows, stride): a matrix (rows, k) in pairs along k; whole vectors are written. */
VI void pack_along(float *out, int64_t stride, const float *p, int64_t ld, int64_t rows, int64_t kc)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < kc; k += 32) {
            const int n = kc - k < 32 ? (int)(kc - k) : 32;
            _mm512_storeu_ps(out + i * stride + k / 2, pairs_along(p + i * ld + k, n));
        }
}

/* out (pairs, NR): a matrix (columns, k), transposed. */
VI void pack_transposed(float *out, const float *p, int64_t ld, int64_t kc, int columns)
{
    for (int j = 0; j < columns; j += 16)
        for (int64_t k = 0; k < kc; k += 32) {
            const int n = kc - k < 32 ? (int)(kc - k) : 32, pairs = (n + 1) / 2;
            __m512 r[16];
            UNROLL_MR for (int i = 0; i < 16; i++)
            {
                r[i] = _mm512_setzero_ps();
                if (j + i < columns) r[i] = pairs_along(p + (j + i) * ld + k, n);
            }
            transpose(r);
            for (int i = 0; i < pairs; i++) _mm512_storeu_ps(out + (k / 2 + i) * NR + j, r[i]);
        }
}

VI void pack_panel(float *out, const gemm_args *g, int64_t k0, int64_t kc, int64_t j, int cols)
{
    if (g->tb) {
        pack_transposed(out, g->b + j * g->ldb + k0, g->ldb, kc, cols);
    } else {
        pack_across(out, NR, g->b + k0 * g->ldb + j, g->ldb, kc, cols);
    }
}

VI void pack_a(float *out, const gemm_args *g, int64_t i, int64_t rows, int64_t k0, int64_t kc)
{
    if (g->ta) {
        pack_across(out, A_STRIDE, g->a + k0 * g->lda + i, g->lda, kc, (int)rows);
    } else {
        pack_along(out, PAIRS, g->a + i * g->lda + k0, g->lda, rows, kc);
    }
}

VI void run_block(const gemm_args *g, int64_t i0, int64_t rows, int64_t k0, int64_t kc)
{
    const int64_t all_pairs = (g->k + 1) / 2;
    float panel[PAIRS * NR] __attribute__((aligned(64)));
    float a[PAIRS * A_STRIDE] __attribute__((aligned(64)));
    const float *from = k0 > 0 ? g->c : g->from;
    tile t = {.a = a,
              .a_stride = g->ta ? A_STRIDE : PAIRS,
              .b = panel,
              .b_stride = NR,
              .k = (kc + 1) / 2,
              .c_stride = g->ldc,
              .from_stride = k0 > 0 ? g->ldc : g->ld_from};

    if (g->a_pairs) {
        t.a = g->a_pairs + i0 * all_pairs + k0 / 2;
        t.a_stride = all_pairs;
    } else {
        pack_a(a, g, i0, rows, k0, kc);
    }
    for (int64_t j = 0; j < g->n; j += NR) {
        t.cols = g->n - j < NR ? (int)(g->n - j) : NR;
        t.c = g->c + i0 * g->ldc + j;
        t.from = from ? from + i0 * t.from_stride + j : NULL;
        if (g->b_panels) {
            t.b = g->b_panels + j * all_pairs + k0 / 2 * NR;
        } else {
            pack_panel(panel, g, k0, kc, j, t.cols);
        }
        run_panel(t, rows, g->ta);
    }
}

/* m, n, k >= 1 */
void gemm_tile_bf16_v4(const gemm_args *g)
{
    const int64_t most = g->a_pairs ? g->m : MAX_ROWS, most_k = INT64_C(2) * PAIRS;

    for (int64_t k = 0; k < g->k; k += most_k) {
        const int64_t kc = g->k - k < most_k ? g->k - k : most_k;
        for (int64_t i = 0; i < g->m; i += most)
            run_block(g, i, g->m - i < most ? g->m - i : most, k, kc);
    }
}

void gemm_rows_bf16_v4(void *out, const float *a, int64_t lda, int64_t m, int64_t k)
{
    const int64_t all = k / 32 * 32, stride = (k + 1) / 2;

    for (int64_t i = 0; i < m; i++) {
        float *to = (float *)out + i * stride;
        pack_along(to, stride, a + i * lda, lda, 1, all);
        if (all == k) continue;
        const int pairs = (int)(k - all + 1) / 2;
        r_store_n(to + all / 2, (v_f)pairs_along(a + i * lda + all, (int)(k - all)), pairs);
    }
}

void gemm_panels_bf16_v4(void *out, const gemm_panels *p, int64_t begin, int64_t end)
{
    const int64_t all_pairs = (p->k + 1) / 2;

    for (int64_t j = p->tb ? begin : 0; j < (p->tb ? end : p->n); j += NR) {
        const int cols = p->n - j < NR ? (int)(p->n - j) : NR;
        float *to = (float *)out + j * all_pairs;
        if (p->tb) {
            pack_transposed(to, p->b + j * p->ldb, p->ldb, p->k, cols);
        } else {
            pack_across(to + begin / 2 * NR, NR, p->b + begin * p->ldb + j, p->ldb, end - begin,
                        cols);
        }
    }
}
