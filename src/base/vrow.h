/*
 * vrow.h - vec16's functions over arrays, at the machine's level, for code that is not a level
 * file.
 *
 * The same bytes as the scalar forms of base/vmath.h and base/philox.h, at ten to fifty times their
 * speed there, since plain objects call libm's exact fmaf.  y may be x; no other overlap.
 * mill_cpu_init() must have succeeded.
 */
#ifndef MILL_BASE_VROW_H
#define MILL_BASE_VROW_H

#include "base/level.h"
#include <stdint.h>

typedef enum {
    VROW_EXP,
    VROW_LOG,
    VROW_LOG1P,
    VROW_TANH,
    VROW_SIGMOID,
    VROW_SOFTPLUS,
    VROW_ERF,
    VROW_QUANTILE,
    VROW_N
} mill_vrow;

/* y[i] = f(x[i]), 0 <= i < n */
void mill_vrow_map(float *y, const float *x, int64_t n, mill_vrow f);

typedef enum { VRAND_BITS, VRAND_U01, VRAND_NORMAL, VRAND_GUMBEL, VRAND_N } mill_vrand;

/* Elements first .. first + n - 1 of the array (seed, step, stream), as base/philox.h numbers them;
 * of four bytes each: uint32_t for VRAND_BITS, float for the others. */
typedef struct {
    uint64_t seed;
    uint32_t step, stream;
    uint64_t first;
} mill_vrand_key;
void mill_vrow_random(void *y, int64_t n, mill_vrand_key key, mill_vrand kind);

MILL_LEVEL_DECLARE(void, vrow_map, (float *y, const float *x, int64_t n, mill_vrow f));
MILL_LEVEL_DECLARE(void, vrow_random, (void *y, int64_t n, mill_vrand_key key, mill_vrand kind));

#endif
