/*
 * gemm_bf16.c - products of bfloat16 with sums in float, by vdpbf16ps: two products per lane at
 * once.
 *
 *     sum[i][j] += a[i][2k] b[2k][j] + a[i][2k + 1] b[2k + 1][j]
 *
 * The same tiles as gemm.c, with a pair of bfloat16 in the place of a float.  Both operands are
 * rounded (to nearest even) while they are packed; an odd k is filled up with a zero.  The
 * instruction takes denormals as 0, so the native conversion, which does so too, loses nothing.
 *
 *     for blocks of PAIRS along k                 as a rule one: C is written once, and not read
 *         for panels of NR columns                packed (PAIRS, NR), two at once: L2 holds them
 *             for blocks of GEMM_ROWS rows
 *                 for tiles of up to MR rows      packed (PAIRS, rows of the tile)
 *
 * So the innermost loop reads two streams of neighbouring lines, which the processor fetches ahead:
 * 226 of 234 GF/s, where rows read as they lie gave 206.  What came packed is read where it is: the
 * same chains, the same bits.
 */
#include "base/vec16.h"
#define MUL_ADD(x, y, sum) (v_f) _mm512_dpbf16_ps((__m512)(sum), (__m512bh)(x), (__m512bh)(y))
#include "base/cpu/gemm_tile.h"

enum { PAIRS = 768 /* of k, at a time */ };

/* The part of k that is under way: pairs [p0, p1), kc of k from k0. */
typedef struct {
    int64_t p0, p1, k0, kc;
} depth;

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

/* out: panels (pairs, NR) of `all` floats; rows k of a matrix (k, columns) in pairs.  All columns
 * of a row at once: it lies in few lines, and the next row in another page. */
VI void pack_across(float *out, int64_t all, const float *p, int64_t ld, int64_t kc, int columns)
{
    for (int64_t k = 0; k < kc; k += 2)
        for (int j = 0; j < columns; j += 16) {
            const float *at = p + k * ld + j;
            const __m512 x = pairs_across(at, k + 1 < kc ? at + ld : 0, columns - j);
            _mm512_storeu_ps(out + j / NR * all + k / 2 * NR + j % NR, x);
        }
}

/* r[p]: pairs of 16 rows of a matrix (rows, k) along k, from 32 of k, `n` of them real. */
VI void pairs_of_rows(__m512 r[16], const float *p, int64_t ld, int rows, int n)
{
    UNROLL_MR for (int i = 0; i < 16; i++)
    {
        r[i] = _mm512_setzero_ps();
        if (i < rows) r[i] = pairs_along(p + i * ld, n);
    }
    transpose(r);
}

/* out (pairs, NR): a matrix (columns, k), transposed. */
VI void pack_transposed(float *out, const float *p, int64_t ld, int64_t kc, int columns)
{
    for (int j = 0; j < columns; j += 16)
        for (int64_t k = 0; k < kc; k += 32) {
            const int n = kc - k < 32 ? (int)(kc - k) : 32;
            __m512 r[16];

            pairs_of_rows(r, p + j * ld + k, ld, columns - j, n);
            for (int i = 0; i < (n + 1) / 2; i++)
                _mm512_storeu_ps(out + (k / 2 + i) * NR + j, r[i]);
        }
}

/* out: the panels of columns [j, j + cols). */
VI void pack_panels(float *out, const gemm_args *g, const depth *d, int64_t j, int cols)
{
    const int64_t all = (d->p1 - d->p0) * NR;

    if (!g->tb) {
        pack_across(out, all, g->b + d->k0 * g->ldb + j, g->ldb, d->kc, cols);
        return;
    }
    for (int i = 0; i < cols; i += NR)
        pack_transposed(out + i / NR * all, g->b + (j + i) * g->ldb + d->k0, g->ldb, d->kc,
                        cols - i < NR ? cols - i : NR);
}

/* Tiles of a block of `rows` rows: i of them before tile t. */
VI int64_t tiles_of(int64_t rows)
{
    return (rows + MR - 1) / MR;
}

VI int64_t tile_begin(int64_t rows, int64_t t)
{
    const int64_t n = tiles_of(rows), least = rows / n, more = rows % n;
    return t * least + (t < more ? t : more);
}

/* out: the tiles of a block of rows behind one another, each (pairs, mr); a matrix (rows, k). */
VI void pack_block(float *out, const float *p, int64_t ld, int64_t rows, int64_t kc)
{
    const int64_t pairs = (kc + 1) / 2;

    for (int64_t t = 0; t < tiles_of(rows); t++) {
        const int64_t first = tile_begin(rows, t), mr = tile_begin(rows, t + 1) - first;
        float *to = out + first * pairs;

        for (int64_t k = 0; k < kc; k += 32, to += 16 * mr) {
            const int n = kc - k < 32 ? (int)(kc - k) : 32;
            __m512 r[16];

            pairs_of_rows(r, p + first * ld + k, ld, (int)mr, n);
            for (int i = 0; i < (n + 1) / 2; i++) r_store_n(to + i * mr, (v_f)r[i], (int)mr);
        }
    }
}

/* The same of a matrix (k, rows). */
VI void pack_block_across(float *out, const float *p, int64_t ld, int64_t rows, int64_t kc)
{
    const int64_t pairs = (kc + 1) / 2, n = tiles_of(rows);

    for (int64_t k = 0; k < kc; k += 2)
        for (int64_t t = 0; t < n; t++) {
            const int64_t first = tile_begin(rows, t), mr = tile_begin(rows, t + 1) - first;
            const float *at = p + k * ld + first;
            const __m512 x = pairs_across(at, k + 1 < kc ? at + ld : 0, (int)mr);
            r_store_n(out + first * pairs + k / 2 * mr, (v_f)x, (int)mr);
        }
}

/* The tiles of a block of rows: each of so many pairs, from pair `first` of k. */
typedef struct {
    const float *at;
    int64_t pairs, first;
} block_of_a;

/* Rows i0.. of one panel; t has the panel and cols. */
VI void run_rows(tile t, const gemm_args *g, const depth *d, int64_t i0, int64_t rows, int64_t j,
                 const block_of_a *a)
{
    const float *from = d->p0 > 0 ? g->c : g->from;

    t.c_stride = g->ldc;
    t.from_stride = d->p0 > 0 ? g->ldc : g->ld_from;
    for (int64_t n = 0; n < tiles_of(rows); n++) {
        const int64_t i = tile_begin(rows, n), mr = tile_begin(rows, n + 1) - i;
        t.a = a->at + i * a->pairs + (d->p0 - a->first) * mr;
        t.a_stride = mr;
        t.c = g->c + (i0 + i) * g->ldc + j;
        t.from = from ? from + (i0 + i) * t.from_stride + j : NULL;
        for (int64_t r = 0; r < mr; r++) { /* where the sums go: these lines come meanwhile */
            _mm_prefetch(t.c + r * t.c_stride, _MM_HINT_T0);
            _mm_prefetch(t.c + r * t.c_stride + VL, _MM_HINT_T0);
        }
        /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): 1 <= mr, as rows > 0 */
        tiles[mr - 1][1][t.cols > VL](&t);
    }
}

/* Rows [i0, end), in blocks.  a: packed tiles of one block, or NULL where all came packed. */
VI void run_block(const gemm_args *g, const depth *d, int64_t i0, int64_t end, const float *a)
{
    const int64_t all_pairs = (g->k + 1) / 2;
    float panels[2 * PAIRS * NR] __attribute__((aligned(64)));
    tile t = {.b_stride = NR, .k = d->p1 - d->p0};

    for (int64_t j = 0; j < g->n; j += NR) {
        const bool is_second = j / NR % 2;

        t.cols = g->n - j < NR ? (int)(g->n - j) : NR;
        t.b = panels + is_second * t.k * NR;
        if (g->b_panels) {
            t.b = g->b_panels + j * all_pairs + d->p0 * NR;
        } else if (!is_second) {
            pack_panels(panels, g, d, j, g->n - j < 2L * NR ? (int)(g->n - j) : 2 * NR);
        }
        for (int64_t i = i0; i < end; i += GEMM_ROWS) {
            const int64_t rows = end - i < GEMM_ROWS ? end - i : GEMM_ROWS;
            block_of_a of = {a, t.k, d->p0};
            if (!a) of = (block_of_a){g->a_pairs + i * all_pairs, all_pairs, 0};
            run_rows(t, g, d, i, rows, j, &of);
        }
    }
}

/* Where A did not come packed: a block of rows at a time. */
VI void pack_and_run(const gemm_args *g, const depth *d)
{
    float a[PAIRS * GEMM_ROWS] __attribute__((aligned(64)));

    for (int64_t i = 0; i < g->m; i += GEMM_ROWS) {
        const int64_t rows = g->m - i < GEMM_ROWS ? g->m - i : GEMM_ROWS;
        if (g->ta)
            pack_block_across(a, g->a + d->k0 * g->lda + i, g->lda, rows, d->kc);
        else
            pack_block(a, g->a + i * g->lda + d->k0, g->lda, rows, d->kc);
        run_block(g, d, i, i + rows, a);
    }
}

/* m, n, k >= 1 */
void gemm_tile_bf16_v4(const gemm_args *g)
{
    const int64_t pairs = (g->k + 1) / 2, blocks = (pairs + PAIRS - 1) / PAIRS;

    for (int64_t i = 0; i < blocks; i++) {
        depth d = {.p0 = pairs * i / blocks, .p1 = pairs * (i + 1) / blocks};
        d.k0 = 2 * d.p0;
        d.kc = (2 * d.p1 < g->k ? 2 * d.p1 : g->k) - d.k0;
        if (g->a_pairs)
            run_block(g, &d, 0, g->m, NULL);
        else
            pack_and_run(g, &d);
    }
}

void gemm_rows_bf16_v4(void *out, const float *a, int64_t lda, int64_t m, int64_t k)
{
    const int64_t pairs = (k + 1) / 2;

    for (int64_t i = 0; i < m; i += GEMM_ROWS)
        pack_block((float *)out + i * pairs, a + i * lda, lda,
                   m - i < GEMM_ROWS ? m - i : GEMM_ROWS, k);
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
            pack_across(to + begin / 2 * NR, 0, p->b + begin * p->ldb + j, p->ldb, end - begin,
                        cols);
        }
    }
}
