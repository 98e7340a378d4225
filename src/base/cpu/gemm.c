/*
 * gemm.c - our own product: register tiles of 14 x 32 (v4) or 6 x 16 (v3), each element one chain
 * of FMA.
 *
 *     for blocks of KC along k                   C is the chain's running sum between blocks
 *         for panels of NR columns               B's panel is packed (KC, NR), zeros beyond n,
 *                                                20 KiB
 *             for tiles of up to MR rows         A is read where it is: broadcasts along a row,
 *                 sum[i][j] = fma(a, b, sum)     or, if it is stored (k,m), along a column
 *
 * Packing B costs about 4 % at 64 rows (8 % if B is stored (n,k), by transposing registers); with
 * few rows B is read in place.  A is packed only where it has to be rounded (the emulation of
 * bf16). Rows are split evenly: 50 is 13 + 13 + 12 + 12, never 14 + 14 + 14 + 8.
 */
#define MUL_ADD(x, y, sum) r_fma(x, y, sum)
#include "base/cpu/gemm_tile.h"

enum { KC = 256, MAX_ROWS = 5 * MR /* rows of A that are packed at a time, when they are */ };

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
    for (int64_t k = 0; k < kc; k++) UNROLL for (int64_t j = 0; j < 2; j++)
        {
            const float *row = b + k * ldb + j * VL;
            const v_f x = cols >= (j + 1) * VL ? r_load(row) : r_load_n(row, cols - (int)j * VL);
            *(v_fp *)(p + k * NR + j * VL) = r_rounded(x, bf16);
        }
}

/* p (kc, NR) = columns of a B stored (n,k). */
VI void pack_columns(float *p, const float *b, int64_t ldb, int64_t kc, int cols, bool bf16)
{
    for (int64_t j = 0; j < 2; j++)
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

VI void run_block(const gemm_args *g, int64_t i0, int64_t rows, int64_t k0, int64_t kc, bool bf16)
{
    float panel[KC * NR] __attribute__((aligned(64)));
    float a_panel[MAX_ROWS * KC] __attribute__((aligned(64)));
    const float *from = k0 > 0 ? g->c : g->from;
    tile t = {.k = kc, .c_stride = g->ldc, .from_stride = k0 > 0 ? g->ldc : g->ld_from};

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
        t.from = from ? from + i0 * t.from_stride + j : NULL;
        t.b = panel;
        t.b_stride = NR;
        if (g->tb) {
            pack_columns(panel, g->b + j * g->ldb + k0, g->ldb, kc, t.cols, bf16);
        } else if (t.cols % VL == 0 && !bf16) {
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
    for (int64_t i = 0; i < g->m; i++) {
        float *c = g->c + i * g->ldc;
        if (!g->from)
            memset(c, 0, (size_t)g->n * sizeof *c);
        else if (g->from + i * g->ld_from != c)
            memcpy(c, g->from + i * g->ld_from, (size_t)g->n * sizeof *c);
    }
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
