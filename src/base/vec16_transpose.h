/*
 * vec16_transpose.h - squares of floats, transposed in registers; for level files.
 *
 *     transpose(r)    VL x VL, native registers
 *     vtranspose(r)   16 x 16: as squares of VL x VL, which change places
 */
#ifndef MILL_BASE_VEC16_TRANSPOSE_H
#define MILL_BASE_VEC16_TRANSPOSE_H

#include "base/vec16.h"

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ || MILL_CLANG_SANITIZES
#define UNROLL_16
#elif defined __clang__
#define UNROLL_16 _Pragma("clang loop unroll(full)")
#else
#define UNROLL_16 _Pragma("GCC unroll 16")
#endif

/* A square of VL x VL, transposed in registers. */
#if VL == 16
VI void transpose(__m512 r[16])
{
    __m512 t[16];
    UNROLL_16 for (int i = 0; i < 8; i++)
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
#elif VL == 8
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
#else
#define R_NATIVE v_f
VI void transpose(v_f r[VL])
{
    for (int i = 0; i < VL; i++)
        for (int j = 0; j < i; j++) {
            const float t = r[i][j];
            r[i][j] = r[j][i];
            r[j][i] = t;
        }
}
#endif

VI void vtranspose(f16v r[16])
{
    R_NATIVE square[VN][VN][VL];

    UNROLL for (int i = 0; i < VN; i++) UNROLL for (int j = 0; j < VN; j++)
    {
        UNROLL_16 for (int k = 0; k < VL; k++) square[i][j][k] = (R_NATIVE)r[i * VL + k].r[j];
        transpose(square[i][j]);
    }
    UNROLL for (int i = 0; i < VN; i++) UNROLL for (int j = 0; j < VN; j++)
        UNROLL_16 for (int k = 0; k < VL; k++) r[i * VL + k]
            .r[j] = (v_f)square[j][i][k];
}

#endif
