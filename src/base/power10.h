/*
 * power10.h - powers of ten to 128 bits, for reading and writing numbers (number.c).
 *
 *     10^e = (m + f) * 2^(power10_log2(e) - 127),   2^127 <= m < 2^128,  0 <= f < 1
 *
 * with f = 0 just for POWER10_FIRST_EXACT <= e <= POWER10_LAST_EXACT.
 */
#ifndef MILL_BASE_POWER10_H
#define MILL_BASE_POWER10_H

#include <stdint.h>

enum { POWER10_MIN = -342, POWER10_MAX = 324, POWER10_FIRST_EXACT = 0, POWER10_LAST_EXACT = 55 };

typedef unsigned __int128 mill_u128;

extern const double power10_f64[23];   /* 10^0 .. 10^22: those that a double holds exactly */
extern const uint64_t power10_u64[20]; /* 10^0 .. 10^19 */

mill_u128 power10_get(int e); /* m; POWER10_MIN <= e <= POWER10_MAX */

/* floor(log2(10^e)), for |e| <= 1233: 1741647 / 2^19 is log2(10) closely enough (t_number.c tries
 * all). */
static inline int power10_log2(int e)
{
    return (e * 1741647) >> 19;
}

#endif
