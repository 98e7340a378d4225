/*
 * peak.h - the floor's denominator: independent FMA in registers, as fast as this thread can.
 */
#ifndef BENCH_PEAK_H
#define BENCH_PEAK_H

#include "base/cpu.h"
#include <immintrin.h>

/* Twelve chains hide the latency; the barriers keep the compiler from dropping them. */
#define STEP(x)         \
    x = FMADD(x, a, b); \
    __asm__ volatile("" : "+v"(x))
#define PEAK(type, set1, lanes)                                                        \
    type a = set1(0.999f), b = set1(0.001f), p = a, q = a, r = a, s = a, t = a, u = a; \
    type v = a, w = a, x = a, y = a, z = a, o = a;                                     \
    const double start = mill_clock();                                                 \
    for (long k = 0; k < 4000000; k++) {                                               \
        STEP(p);                                                                       \
        STEP(q);                                                                       \
        STEP(r);                                                                       \
        STEP(s);                                                                       \
        STEP(t);                                                                       \
        STEP(u);                                                                       \
        STEP(v);                                                                       \
        STEP(w);                                                                       \
        STEP(x);                                                                       \
        STEP(y);                                                                       \
        STEP(z);                                                                       \
        STEP(o);                                                                       \
    }                                                                                  \
    return 4e6 * 12 * 2 * lanes / (mill_clock() - start) * 1e-9

__attribute__((target("avx2,fma"))) static double peak_v3(void)
{
#define FMADD _mm256_fmadd_ps
    PEAK(__m256, _mm256_set1_ps, 8);
#undef FMADD
}

__attribute__((target("avx512f,avx512vl"))) static double peak_v4(void)
{
#define FMADD _mm512_fmadd_ps
    PEAK(__m512, _mm512_set1_ps, 16);
#undef FMADD
}

/* GF/s of the calling thread, at the level in use; a fraction of a second. */
static double peak_gflops(void)
{
    return mill_cpu_level() == MILL_V4 ? peak_v4() : peak_v3();
}

#endif
