/*
 * normal.h - standard normal numbers from random words, by a table of the quantile; for level
 * files.
 *
 * The top bit is the sign, m the other 31: x = m + 1/2 and p = x 2^-32, in (2^-33, 1/2).  The
 * octave o of p, 2^-(o + 2) <= p < 2^-(o + 1), chooses one of 16 polynomials of degree 5 in the
 * mantissa, whose coefficients lie in registers (one permutation each at v4, two and a blend at
 * v3).  Below 2^-17, which 1 of 65,536 numbers reaches, AS 241 as in base/vec16_math.h: its code is
 * entered where a lane needs it.  The fits are least maximum error, our own.
 *
 * Against the quantile in double: 3.6e-6 absolute at most; the tails end at 6.34 deviations.
 */
#ifndef MILL_PRIOR_CPU_NORMAL_H
#define MILL_PRIOR_CPU_NORMAL_H

#include "base/vec16.h"
#include <stdbool.h>

/* t[at] for at mod 16. */
VI f16v vtable16(const float t[16], i16v at)
{
#if VL == 16
    return (f16v){{(v_f)_mm512_permutexvar_ps((__m512i)at.r[0], _mm512_loadu_ps(t))}};
#elif VL == 8
    const __m256 low = _mm256_loadu_ps(t), high = _mm256_loadu_ps(t + 8);
    f16v y;
    for (int i = 0; i < VN; i++) {
        const __m256i k = (__m256i)at.r[i];
        const __m256 a = _mm256_permutevar8x32_ps(low, k), b = _mm256_permutevar8x32_ps(high, k);
        y.r[i] = (v_f)_mm256_blendv_ps(a, b, (__m256)(at.r[i] << 28));
    }
    return y;
#else
    return vgather(t, iand(at, iset(15)));
#endif
}

/* Is any lane of a mask set? */
VI bool iany(i16v m)
{
#if VL == 16
    return _mm512_movepi32_mask((__m512i)m.r[0]) != 0;
#elif VL == 8
    return _mm256_movemask_ps((__m256)(m.r[0] | m.r[1])) != 0;
#else
    uint32_t t[16], any = 0;
    istore(t, m);
    for (int k = 0; k < 16; k++) any |= t[k];
    return any != 0;
#endif
}

typedef struct {
    f16v x;  /* p 2^32 */
    i16v at; /* the octave */
} v_tail;

VI v_tail tail_of(i16v word)
{
    f16v x = vadd(vof_int(iand(word, iset(0x7fffffffu))), vset(0.5f));
    x = vmin(x, vset(0x1.fffffep+30f)); /* 2^31 - 1/2 rounds up */
    return (v_tail){x, isub(iset(30 + 127), ishr(ibits(x), 23))};
}

/* The quantile's size, right for octaves below 16. */
VI f16v size_of(v_tail t)
{
    static const float c[6][16] = {
        {0x1.464a44p-2f, 0x1.c6387ep-1f, 0x1.51695cp+0f, 0x1.ad0a92p+0f, 0x1.fcc83ep+0f,
         0x1.2213ccp+1f, 0x1.429fe4p+1f, 0x1.60b5e6p+1f, 0x1.7ccd8cp+1f, 0x1.973d6ap+1f,
         0x1.b04662p+1f, 0x1.c81a88p+1f, 0x1.dee16cp+1f, 0x1.f4bafp+1f, 0x1.04e098p+2f,
         0x1.0f04f4p+2f},
        {-0x1.51903ap-1f, -0x1.db911ep-2f, -0x1.7e625cp-2f, -0x1.46b75ap-2f, -0x1.210504p-2f,
         -0x1.05776ap-2f, -0x1.e0869ap-3f, -0x1.bea884p-3f, -0x1.a2d7ep-3f, -0x1.8b7e96p-3f,
         -0x1.778c52p-3f, -0x1.6643p-3f, -0x1.571984p-3f, -0x1.49aa44p-3f, -0x1.3da82ep-3f,
         -0x1.32d7a8p-3f},
        {0x1.1aaf8ap-4f, 0x1.86ed9p-4f, 0x1.7784b2p-4f, 0x1.5c94f6p-4f, 0x1.4378eep-4f,
         0x1.2ddd6ep-4f, 0x1.1b7b62p-4f, 0x1.0bc3b6p-4f, 0x1.fc6716p-5f, 0x1.e4c2cep-5f,
         0x1.cff5dp-5f, 0x1.bd7ffcp-5f, 0x1.acfd12p-5f, 0x1.9e1de8p-5f, 0x1.90a34ap-5f,
         0x1.845a3ep-5f},
        {-0x1.d42b0ap-5f, -0x1.5dbb58p-5f, -0x1.3bf4e8p-5f, -0x1.23742ap-5f, -0x1.0f52ap-5f,
         -0x1.fcd0ep-6f, -0x1.e00844p-6f, -0x1.c74306p-6f, -0x1.b1b75ep-6f, -0x1.9eca9ep-6f,
         -0x1.8e0556p-6f, -0x1.7f0a76p-6f, -0x1.7190a6p-6f, -0x1.655d74p-6f, -0x1.5a41ccp-6f,
         -0x1.501758p-6f},
        {0x1.60912cp-6f, 0x1.709ad8p-6f, 0x1.544fe8p-6f, 0x1.3be7bep-6f, 0x1.2768fep-6f,
         0x1.160b6cp-6f, 0x1.072a5p-6f, 0x1.f48d48p-7f, 0x1.ddfe3p-7f, 0x1.ca11a2p-7f,
         0x1.b85368p-7f, 0x1.a86856p-7f, 0x1.9a0814p-7f, 0x1.8cf894p-7f, 0x1.810ac8p-7f,
         0x1.76181cp-7f},
        {-0x1.d7480ap-7f, -0x1.918cb4p-7f, -0x1.72983cp-7f, -0x1.590348p-7f, -0x1.437d22p-7f,
         -0x1.312c26p-7f, -0x1.2168a6p-7f, -0x1.13b246p-7f, -0x1.07a6acp-7f, -0x1.f9f3e2p-8f,
         -0x1.e6e1dcp-8f, -0x1.d5ba0ap-8f, -0x1.c63216p-8f, -0x1.b80e1cp-8f, -0x1.ab1d5p-8f,
         -0x1.9f379ap-8f},
    };
    const f16v f = vof(ior(iand(ibits(t.x), iset(0x7fffffu)), iset(0x3f800000u)));
    const f16v s = vsub(f, vset(1.5f));
    f16v y = vtable16(c[5], t.at);

    UNROLL for (int d = 4; d >= 0; d--) y = vfma(y, s, vtable16(c[d], t.at));
    return y;
}

/* Four at once: their chains run side by side, and one question serves all tails. */
VI void vfast_normals(f16v y[4], const i16v word[4])
{
    i16v far = iset(0);
    v_tail t[4];

    UNROLL for (int w = 0; w < 4; w++)
    {
        t[w] = tail_of(word[w]);
        y[w] = size_of(t[w]);
        far = ior(far, ilt(iset(15), t[w].at));
    }
    if (iany(far))
        for (int w = 0; w < 4; w++) {
            const f16v z = vneg(vquantile_of(vmul(t[w].x, vset(0x1p-32f)), 1));
            y[w] = vsel(ilt(iset(15), t[w].at), z, y[w]);
        }
    UNROLL for (int w = 0; w < 4; w++) y[w] =
        vof(ixor(ibits(y[w]), iand(word[w], iset(0x80000000u))));
}

/* The 64 elements of each of two blocks of the array (keys, step, stream), as base/philox.h numbers
 * them.  Two, because one alone waits for its own rounds. */
VI void vnormals128(f16v y[8], const v_keys *k, uint32_t step, uint32_t stream,
                    const uint64_t block[2])
{
    i16v word[8];

    vrand_bits(word, k, step, stream, block[0]);
    vrand_bits(word + 4, k, step, stream, block[1]);
    vfast_normals(y, word);
    vfast_normals(y + 4, word + 4);
}

#endif
