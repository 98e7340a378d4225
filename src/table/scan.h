/*
 * scan.h - what kind of number a field is, fast.
 *
 *     integer   [+-] digits                     that fit 64 bits
 *     real      [+-] digits [. digits] [e [+-] digits]   and integers that do not fit
 *
 * Digits may lack on one side of the point.  A number that begins with a superfluous zero (007,
 * 02139) is not a number: it is a code, and reading it as a number would lose the zero.  Nor are
 * nan, inf and hex.  What overflows a double is told from both: 1e999 is huge.
 *
 * Every function may read up to 16 bytes behind the field: buffers are padded.
 * Up to eight digits at once: D. Lemire, "Quickly parsing eight digits", 2018; (double)m * 10^e is
 * exact for m <= 2^53 and |e| <= 22: W. Clinger, "How to read floating point numbers accurately",
 * PLDI 1990.
 */
#ifndef MILL_TABLE_SCAN_H
#define MILL_TABLE_SCAN_H

#include "base/power10.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

typedef enum { NUMBER_NOT, NUMBER_INT, NUMBER_REAL, NUMBER_HUGE } number_kind;

enum { NUMBER_MAX_DECIMALS = 15 };

typedef struct {
    int64_t i64;  /* NUMBER_INT */
    double f64;   /* both */
    int decimals; /* digits behind the point that it takes to write it without an exponent, at most
                     15 */
} number;

/* Any field, padded or not.  *out means nothing where it is NOT or HUGE. */
number_kind number_scan(number *out, const char *s, size_t n);
/* Where a type is given: superfluous zeros say nothing, 007 is 7. */
number_kind number_scan_given(number *out, const char *s, size_t n);
/* 12,5 or 1,234,567.8: what would be a number elsewhere. */
bool number_has_comma(const char *s, size_t n);

static inline uint64_t load_u64(const char *s)
{
    uint64_t w;
    memcpy(&w, s, sizeof w);
    return w;
}

/* The value of eight bytes that are digits, the first in the lowest byte. */
static inline uint64_t number_eight(uint64_t w)
{
    w = (w & 0x0f0f0f0f0f0f0f0fu) * 2561 >> 8;
    w = (w & 0x00ff00ff00ff00ffu) * 6553601 >> 16;
    return (w & 0x0000ffff0000ffffu) * 42949672960001u >> 32;
}

/* m followed by n digits. */
static inline uint64_t number_digits(uint64_t m, const char *s, int n)
{
    for (; n >= 8; n -= 8, s += 8) m = m * 100000000 + number_eight(load_u64(s));
    return n ? m * power10_u64[n] + number_eight(load_u64(s) << (64 - 8 * n)) : m;
}

/* How a plain number is written: [-] digits [. digits], 19 of them at most. */
typedef struct {
    const char *digits;
    int whole, fraction; /* digits before and behind the point; no point: fraction 0 */
    bool negative;
} number_shape;

#ifdef __SSE2__
static inline uint32_t number_other16(const char *s)
{
    const __m128i x =
        _mm_sub_epi8(_mm_loadu_si128((const __m128i *)(const void *)s), _mm_set1_epi8('0'));
    const __m128i digit = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(9)), x);
    return (uint32_t)_mm_movemask_epi8(digit) ^ 0xffff;
}
#endif

/* False: not such a number, or not seen quickly; number_scan() decides. */
static inline bool number_plain(number_shape *p, const char *s, size_t n)
{
#ifdef __SSE2__
    p->negative = *s == '-';
    s += p->negative;
    n -= p->negative;
    if (n - 1 >= 31) return false;
    uint32_t other = number_other16(s);
    if (n > 16) other |= number_other16(s + 16) << 16;
    other &= (UINT32_C(1) << n) - 1;
    p->digits = s;
    p->whole = (int)n;
    p->fraction = 0;
    if (other) {
        p->whole = __builtin_ctz(other);
        p->fraction = (int)n - p->whole - 1;
        if ((other & (other - 1)) || s[p->whole] != '.' || !p->whole || !p->fraction) return false;
    }
    return (*s != '0' || p->whole == 1) && p->whole + p->fraction <= 19;
#else
    (void)p, (void)s, (void)n;
    return false;
#endif
}

/* All its digits, as if there were no point. */
static inline uint64_t number_plain_digits(const number_shape *p)
{
    const uint64_t m = number_digits(0, p->digits, p->whole);
    return p->fraction ? number_digits(m, p->digits + p->whole + 1, p->fraction) : m;
}

/* 1 to 8 digits without a superfluous zero. */
static inline bool number_short_int(int64_t *out, const char *s, size_t n)
{
    if (n - 1 > 7) return false;
    const unsigned shift = 64 - 8 * (unsigned)n;
    uint64_t w = load_u64(s) << shift;
    w |= shift ? 0x3030303030303030u >> (64 - shift) : 0; /* zeros in front */
    if (((w & 0xf0f0f0f0f0f0f0f0u) | (((w + 0x0606060606060606u) & 0xf0f0f0f0f0f0f0f0u) >> 4)) !=
        0x3333333333333333u)
        return false;
    if (*s == '0' && n > 1) return false;
    *out = (int64_t)number_eight(w);
    return true;
}

#endif
