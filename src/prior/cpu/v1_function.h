/*
 * v1_function.h - the random function of v1 networks as a table; for level files.
 *
 *     y(x) = sum_k w_k sin(2 pi (f_k x + phase_k)),   k < 256, f up to 256 / 2 pi turns
 *
 * The grid has 512 points per unit, 128 in a cell of a quarter, at centre +- h, h = (j + 1/2) /
 * 512:
 *
 *     y(centre +- h) = sum_k [w_k sin(.. centre ..)] cos(2 pi f_k h)
 *                  +- sum_k [w_k cos(.. centre ..)] sin(2 pi f_k h)
 *
 * two products (cells, 256) (256, 64).  Slopes are eighth-order differences of the values; between
 * points, Hermite's cubic.  At the highest frequency a step is half a radian, the cubic's error
 * there (1/2)^4 / 384 = 1.6e-4 of that term's weight.  Where the high frequencies weigh so little
 * that a step twice as long (2.6e-3 of the weight at the highest, by the fourth power of the
 * frequency) is off by less than 5e-6 rms, there are 256 points per unit: that holds for more than
 * half of the functions, and the table then fits into the first cache.  |x| > 8 is summed directly.
 *
 * Turns are reduced before the phase is added, the product split by FMA: f x reaches 10,000 turns
 * at |x| = 245, of which a float keeps no digit of the phase.
 */
#ifndef MILL_PRIOR_CPU_V1_FUNCTION_H
#define MILL_PRIOR_CPU_V1_FUNCTION_H

#include "prior/cpu/normal.h"
#include "prior/v1.h"

#define CELL_SIZE V1_CELL_POINTS

/* sin(2 pi t), |t| <= 1/2: folded to a quarter, then odd of degree 9 (our fit, 1.1e-8) */
VI f16v sin_turn(f16v t)
{
    const f16v folded = vsub(vcopysign(vset(0.5f), t), t);
    const f16v r = vsel(vlt(vset(0.25f), vabs(t)), folded, t), z = vmul(r, r);
    f16v s = vset(0x1.3f89d8p+5f);
    s = vfma(s, z, vset(-0x1.32703ep+6f));
    s = vfma(s, z, vset(0x1.466a8p+6f));
    s = vfma(s, z, vset(-0x1.4abbd4p+5f));
    return vfma(vset(0x1.921fb6p+2f), r, vmul(vmul(s, z), r));
}

VI f16v wrapped(f16v t)
{
    return vsub(t, vrint(t));
}

/* f x - rint(f x), to 2^-24 of a turn */
VI f16v turns(f16v f, f16v x)
{
    const f16v p = vmul(f, x), low = vfma(f, x, vneg(p));
    return vadd(wrapped(p), low);
}

VI float direct(float x, const v1_function *f)
{
    f16v sum = vset(0.0f);

    for (int k = 0; k < V1_TERMS; k += 16) {
        const f16v t = vadd(turns(vload(f->f + k), vset(x)), vload(f->phase + k));
        sum = vfma(vload(f->w + k), sin_turn(wrapped(t)), sum);
    }
    return vsum(sum);
}

#define POINT(offset) _mm_loadu_ps((const float *)((const char *)pair + (offset)))

/* Value and slope of the points before and after: 16 times 4 neighbouring floats, transposed. */
VI void fetch(f16v y[4], const float *pair, const uint32_t *i)
{
#if VL == 16
    __m512 r[4];
    for (int e = 0; e < 4; e++) {
        r[e] = _mm512_castps128_ps512(POINT(i[e]));
        r[e] = _mm512_insertf32x4(r[e], POINT(i[4 + e]), 1);
        r[e] = _mm512_insertf32x4(r[e], POINT(i[8 + e]), 2);
        r[e] = _mm512_insertf32x4(r[e], POINT(i[12 + e]), 3);
    }
    const __m512 a = _mm512_unpacklo_ps(r[0], r[1]), b = _mm512_unpackhi_ps(r[0], r[1]);
    const __m512 c = _mm512_unpacklo_ps(r[2], r[3]), d = _mm512_unpackhi_ps(r[2], r[3]);
    y[0].r[0] = (v_f)_mm512_shuffle_ps(a, c, 0x44);
    y[1].r[0] = (v_f)_mm512_shuffle_ps(a, c, 0xee);
    y[2].r[0] = (v_f)_mm512_shuffle_ps(b, d, 0x44);
    y[3].r[0] = (v_f)_mm512_shuffle_ps(b, d, 0xee);
#elif VL == 8
    for (int h = 0; h < 2; h++) {
        const uint32_t *const j = i + 8 * h;
        __m256 r[4];
        for (int e = 0; e < 4; e++) {
            r[e] = _mm256_castps128_ps256(POINT(j[e]));
            r[e] = _mm256_insertf128_ps(r[e], POINT(j[4 + e]), 1);
        }
        const __m256 a = _mm256_unpacklo_ps(r[0], r[1]), b = _mm256_unpackhi_ps(r[0], r[1]);
        const __m256 c = _mm256_unpacklo_ps(r[2], r[3]), d = _mm256_unpackhi_ps(r[2], r[3]);
        y[0].r[h] = (v_f)_mm256_shuffle_ps(a, c, 0x44);
        y[1].r[h] = (v_f)_mm256_shuffle_ps(a, c, 0xee);
        y[2].r[h] = (v_f)_mm256_shuffle_ps(b, d, 0x44);
        y[3].r[h] = (v_f)_mm256_shuffle_ps(b, d, 0xee);
    }
#else
    float t[4][16];
    for (int e = 0; e < 16; e++)
        for (int c = 0; c < 4; c++) t[c][e] = pair[i[e] / 4 + (uint32_t)c];
    for (int c = 0; c < 4; c++) y[c] = vload(t[c]);
#endif
}

/*
 * Points are found for a block of numbers before any is fetched: the loads of the table then wait
 * for nothing.  Numbers that the table does not serve are put aside.
 */
enum { BLOCK = 1024 };
typedef struct {
    uint32_t at[BLOCK]; /* byte offsets of the point before */
    float t[BLOCK];     /* 0 .. 1 from it to the next */
    float aside[BLOCK];
    int place[BLOCK], n_aside;
} function_block;

VI void locate(function_block *b, int i, f16v x, const v1_function *f)
{
    const i16v inside = iand(vle(vset(f->low), x), vle(x, vset(f->high)));

    if (iany(inot(inside))) {
        float y[16];
        vstore(y, x);
        for (int k = 0; k < 16; k++) {
            if (y[k] >= f->low && y[k] <= f->high) continue;
            b->place[b->n_aside] = i + k;
            b->aside[b->n_aside++] = y[k];
        }
        x = vsel(inside, x, vset(f->low));
    }
    const float size = CELL_SIZE / f->steps; /* a power of 2, as steps */
    const f16v cell = vfloor(vmul(x, vset(f->steps / CELL_SIZE)));
    const f16v centre = vfma(cell, vset(size), vset(size / 2));
    const f16v u = vfma(vsub(x, centre), vset(f->steps), vset(63.5f)); /* the difference is exact */
    const f16v below = vfloor(u);
    const i16v at = iadd(ishl(isub(ito_int(cell), iset((uint32_t)f->first)), 7), ito_int(below));
    istore(b->at + i, ishl(at, 3));
    vstore(b->t + i, vsub(u, below));
}

VI f16v interpolated(const function_block *b, int i, const v1_function *f)
{
    const f16v t = vload(b->t + i);
    f16v p[4]; /* value, slope, value, slope */

    fetch(p, f->pair, b->at + i);
    const f16v rise = vsub(p[2], p[0]);
    const f16v c3 = vfma(vset(-2.0f), rise, vadd(p[1], p[3]));
    const f16v c2 = vsub(vsub(rise, p[1]), c3);
    return vfma(vfma(vfma(c3, t, c2), t, p[1]), t, p[0]);
}

/* What was put aside: summed directly, NaN where it is not finite. */
VI float aside_value(const function_block *b, int k, const v1_function *f)
{
    const float x = b->aside[k];
    return x - x == 0.0f ? direct(x, f) : NAN;
}

#endif
