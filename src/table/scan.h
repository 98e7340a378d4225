/*
 * scan.h - what kind of number a field is, fast.
 *
 *     integer   [+-] digits                     that fit 64 bits
 *     real      [+-] digits [. digits] [e [+-] digits]   and integers that do not fit
 *
 * Digits may lack on one side of the point.  A number that begins with a superfluous zero (007,
 * 02139) is not a number: it is a code, and reading it as a number would lose the zero.  Nor are
 * nan, inf and hex.  Values that overflow a double are not numbers either.
 *
 * Every function may read up to 16 bytes behind the field: buffers are padded.
 * Up to eight digits at once: D. Lemire, "Quickly parsing eight digits", 2018; (double)m * 10^e is
 * exact for m <= 2^53 and |e| <= 22: W. Clinger, "How to read floating point numbers accurately",
 * PLDI 1990.
 */
#ifndef MILL_TABLE_SCAN_H
#define MILL_TABLE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef enum { NUMBER_NOT, NUMBER_INT, NUMBER_REAL } number_kind;

enum { NUMBER_MAX_DECIMALS = 15 };

typedef struct {
    int64_t i64;  /* NUMBER_INT */
    double f64;   /* both */
    int decimals; /* digits behind the point that it takes to write it without an exponent, at most
                     15 */
} number;

/* Any field, padded or not. */
number_kind number_scan(number *out, const char *s, size_t n);
/* 12,5 or 1,234,567.8: what would be a number elsewhere. */
bool number_has_comma(const char *s, size_t n);

static inline uint64_t load_u64(const char *s)
{
    uint64_t w;
    memcpy(&w, s, sizeof w);
    return w;
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
    w = (w & 0x0f0f0f0f0f0f0f0fu) * 2561 >> 8;
    w = (w & 0x00ff00ff00ff00ffu) * 6553601 >> 16;
    *out = (int64_t)((w & 0x0000ffff0000ffffu) * 42949672960001u >> 32);
    return true;
}

#endif
