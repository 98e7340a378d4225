/*
 * near.c - the inner loops of near.h: a few rows against blocks of sixteen, one coordinate after
 * the other.
 *
 *     L1        sum of min(|a - b|, cap)
 *     SQUARED   sum of min((a - b)^2, cap)
 *
 * A coordinate costs one load for all rows of the tile and four operations for each.  Sums run in
 * the order of coordinates.  A call of NEAR_TILE rows is one tile at v4 and two at v3, which has
 * half the registers.
 */
#include "eval/near.h"

#include "base/vec16.h"

enum { TILE = VL == 16 ? NEAR_TILE : NEAR_TILE / 2 };

/* The lanes of a mask as bits. */
VI uint16_t bits_of(i16v m)
{
#if VL == 16
    return (uint16_t)_mm512_movepi32_mask((__m512i)m.r[0]);
#elif VL == 8
    return (uint16_t)(_mm256_movemask_ps((__m256)m.r[0]) | _mm256_movemask_ps((__m256)m.r[1]) << 8);
#else
    uint32_t lane[16];
    uint16_t bits = 0;
    istore(lane, m);
    for (int l = 0; l < 16; l++) bits |= (uint16_t)((lane[l] >> 31) << l);
    return bits;
#endif
}

VI f16v term(f16v a, f16v b, f16v cap, int is_squared)
{
    const f16v d = vsub(a, b);
    return vmin(is_squared ? vmul(d, d) : vabs(d), cap);
}

/* sum[q]: the distances of row q to the sixteen of the block. */
VI void distances(f16v sum[TILE], const float *row, const float *block, const float *cap, int n,
                  int is_squared)
{
    UNROLL for (int q = 0; q < TILE; q++) sum[q] = vset(0);
    for (int c = 0; c < n; c++) {
        const f16v ref = vload(block + (int64_t)c * NEAR_LANES), most = vset(cap[c]);
        UNROLL for (int q = 0; q < TILE; q++) sum[q] =
            vadd(sum[q], term(ref, vset(row[q * n + c]), most, is_squared));
    }
}

/* NOLINTNEXTLINE(readability-function-size): the parameters of the level functions, and one */
VI void sieve(uint16_t *mask, const float *row, const float *block, int n_blocks, const float *cap,
              int n, const float *limit, int is_squared)
{
    for (int from = 0; from < NEAR_TILE; from += TILE) {
        for (int b = 0; b < n_blocks; b++) {
            f16v sum[TILE];
            distances(sum, row + (int64_t)from * n, block + (int64_t)b * n * NEAR_LANES, cap, n,
                      is_squared);
            UNROLL for (int q = 0; q < TILE; q++) mask[(from + q) * NEAR_BLOCKS + b] =
                bits_of(vle(sum[q], vset(limit[from + q])));
        }
    }
}

void LEVEL_FN(near_sieve_l1)(uint16_t *mask, const float *row, const float *block, int n_blocks,
                             const float *cap, int n, const float *limit)
{
    sieve(mask, row, block, n_blocks, cap, n, limit, 0);
}

void LEVEL_FN(near_sieve_squared)(uint16_t *mask, const float *row, const float *block,
                                  int n_blocks, const float *cap, int n, const float *limit)
{
    sieve(mask, row, block, n_blocks, cap, n, limit, 1);
}

/* Lanes are added up in float over one call, whose sum is added in double: few terms, no drift. */
void LEVEL_FN(near_gauss)(double *sum, const float *row, const float *block, int n_blocks,
                          const float *cap, int n, float gamma)
{
    for (int from = 0; from < NEAR_TILE; from += TILE) {
        f16v total[TILE];

        UNROLL for (int q = 0; q < TILE; q++) total[q] = vset(0);
        for (int b = 0; b < n_blocks; b++) {
            f16v d[TILE];
            distances(d, row + (int64_t)from * n, block + (int64_t)b * n * NEAR_LANES, cap, n, 1);
            UNROLL for (int q = 0; q < TILE; q++) total[q] =
                vadd(total[q], vexp(vmul(d[q], vset(-gamma))));
        }
        UNROLL for (int q = 0; q < TILE; q++) sum[from + q] += (double)vsum(total[q]);
    }
}
