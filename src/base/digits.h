/*
 * digits.h - integers to decimal digits, two at a time: for writing numbers (number.c) and whole
 * tables of them (table/csv_write.c), which is why it is inline.
 */
#ifndef MILL_BASE_DIGITS_H
#define MILL_BASE_DIGITS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { DIGITS_MAX = 20 }; /* of a uint64_t */

extern const char digit_pairs[201]; /* "000102...99" (number.c) */

/* Exactly n digits of x, with zeros in front. */
static inline void digits_put_n(char *to, uint64_t x, int n)
{
    for (; n >= 2; n -= 2) {
        memcpy(to + n - 2, digit_pairs + 2 * (x % 100), 2);
        x /= 100;
    }
    if (n) to[0] = (char)('0' + x % 10);
}

/* The digits of x, no NUL; how many. */
static inline size_t digits_put(char *to, uint64_t x)
{
    char buf[DIGITS_MAX];
    size_t at = sizeof buf;

    while (x >= 100) {
        at -= 2;
        memcpy(buf + at, digit_pairs + 2 * (x % 100), 2);
        x /= 100;
    }
    if (x >= 10) {
        at -= 2;
        memcpy(buf + at, digit_pairs + 2 * x, 2);
    } else {
        buf[--at] = (char)('0' + x);
    }
    memcpy(to, buf + at, sizeof buf - at);
    return sizeof buf - at;
}

#endif
