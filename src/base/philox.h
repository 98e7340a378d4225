/*
 * philox.h - Philox4x32-10: randomness as a function of (seed, stream, counter), not a state.
 *
 * Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.  The same numbers on every
 * processor, thread and device.  key = seed; the 128-bit counter is (index lo, index hi, stream,
 * step). This is the scalar form; base/vec16.h has sixteen lanes with the same results.
 *
 * An array of random numbers is addressed by element: blocks of 64 elements take 16 counters, and
 *
 *     element e = 64 b + 16 w + l   is   word w of counter 16 b + l,     w = 0..3, l = 0..15
 *
 * so that one call of the sixteen-lane form fills 64 elements in order, and any element can be had
 * alone.
 */
#ifndef MILL_BASE_PHILOX_H
#define MILL_BASE_PHILOX_H

#include "base/vmath.h"
#include <stdint.h>

MILL_FN void mill_philox(uint32_t out[4], uint64_t seed, uint32_t step, uint32_t stream,
                         uint64_t index)
{
    uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32), c2 = stream, c3 = step;
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);

    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        const uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* Uniform in (0, 1): 23 bits and a half, all of them exact floats, so never 0 or 1 (24 would round
 * up to 1). */
MILL_FN float mill_u01(uint32_t bits)
{
    return ((float)(bits >> 9) + 0.5f) * 0x1p-23f;
}
/* Uniform in (0, 1): 52 bits from two words. */
MILL_FN double mill_u01_f64(uint32_t lo, uint32_t hi)
{
    return ((double)(((uint64_t)(hi >> 6) << 26) | (lo >> 6)) + 0.5) * 0x1p-52;
}

/* Element `element` of the array (seed, step, stream): raw bits, uniform, normal, Gumbel. */
MILL_FN uint32_t mill_rand_bits(uint64_t seed, uint32_t step, uint32_t stream, uint64_t element)
{
    uint32_t word[4];
    mill_philox(word, seed, step, stream, element / 64 * 16 + element % 16);
    return word[element / 16 % 4];
}

MILL_FN float mill_rand_u01(uint64_t seed, uint32_t step, uint32_t stream, uint64_t element)
{
    return mill_u01(mill_rand_bits(seed, step, stream, element));
}

MILL_FN float mill_rand_normal(uint64_t seed, uint32_t step, uint32_t stream, uint64_t element)
{
    return mill_quantilef(mill_rand_u01(seed, step, stream, element));
}

MILL_FN float mill_gumbel_of(float u01)
{
    return -mill_logf(-mill_logf(u01));
}

MILL_FN float mill_rand_gumbel(uint64_t seed, uint32_t step, uint32_t stream, uint64_t element)
{
    return mill_gumbel_of(mill_rand_u01(seed, step, stream, element));
}

/* A walk along one stream, for code that runs on one thread: shuffles, initial values, choices. */
typedef struct {
    uint64_t seed, index;
    uint32_t stream, step, word[4];
    int left;
} mill_rng;

MILL_FN mill_rng mill_rng_init(uint64_t seed, uint32_t stream, uint32_t step)
{
    mill_rng r = {seed, 0, stream, step, {0, 0, 0, 0}, 0};
    return r;
}

MILL_FN uint32_t mill_rng_u32(mill_rng *r)
{
    if (!r->left) {
        mill_philox(r->word, r->seed, r->step, r->stream, r->index++);
        r->left = 4;
    }
    return r->word[4 - r->left--];
}

MILL_FN float mill_rng_f32(mill_rng *r)
{
    return mill_u01(mill_rng_u32(r));
}
MILL_FN double mill_rng_f64(mill_rng *r)
{
    const uint32_t lo = mill_rng_u32(r), hi = mill_rng_u32(r);
    return mill_u01_f64(lo, hi);
}
/* Uniform in 0..n-1, n >= 1, without bias for n < 2^32 (Lemire 2019 with rejection). */
MILL_FN uint32_t mill_rng_below(mill_rng *r, uint32_t n)
{
    uint64_t m = (uint64_t)mill_rng_u32(r) * n;
    if ((uint32_t)m < n)
        for (const uint32_t t = (0u - n) % n; (uint32_t)m < t;) m = (uint64_t)mill_rng_u32(r) * n;
    return (uint32_t)(m >> 32);
}

#endif
