/*
 * power10.c - the table of power10.h, made at first use (some 50 us), since a page of constants
 * cannot be checked by eye.
 *
 * 10^e and 5^e differ by a power of two, which the normalised m does not show.  For e >= 0 the
 * powers of five are exact integers; for e < 0 the integers floor(2^N / 5^-e) are exact too, since
 * floor(floor(a / b) / c) = floor(a / (b c)).  The first 128 bits of either are m.
 */
#include "base/power10.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

enum { WORDS = 32, TOP = 29 }; /* 1024 bits: 5^324 has 753, and 2^928 / 5^342 has 134 */

const double power10_f64[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
const uint64_t power10_u64[20] = {1,
                                  10,
                                  100,
                                  1000,
                                  10000,
                                  100000,
                                  1000000,
                                  10000000,
                                  100000000,
                                  1000000000,
                                  10000000000,
                                  100000000000,
                                  1000000000000,
                                  10000000000000,
                                  100000000000000,
                                  1000000000000000,
                                  10000000000000000,
                                  100000000000000000,
                                  1000000000000000000,
                                  UINT64_C(10000000000000000000)};

static mill_u128 table[POWER10_MAX - POWER10_MIN + 1];
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The first 128 bits of the number whose 32-bit words are `w`, lowest first. */
static mill_u128 first_bits(const uint32_t w[WORDS])
{
    int n = WORDS - 1;
    mill_u128 m = 0;

    while (!w[n]) n--;
    const int shift = __builtin_clz(w[n]);
    for (int i = 0; i < 4; i++) m = m << 32 | (n >= i ? w[n - i] : 0);
    if (shift == 0) return m;
    return m << shift | (n >= 4 ? w[n - 4] : 0) >> (32 - shift);
}

static void fill(void)
{
    uint32_t w[WORDS] = {1};

    for (int e = 0; e <= POWER10_MAX; e++) {
        table[e - POWER10_MIN] = first_bits(w);
        uint64_t carry = 0;
        for (int i = 0; i < WORDS; i++) {
            carry += (uint64_t)w[i] * 5;
            w[i] = (uint32_t)carry;
            carry >>= 32;
        }
    }
    memset(w, 0, sizeof w);
    w[TOP] = 1;
    for (int e = -1; e >= POWER10_MIN; e--) {
        uint64_t rest = 0;
        for (int i = WORDS - 1; i >= 0; i--) {
            rest = rest << 32 | w[i];
            w[i] = (uint32_t)(rest / 5);
            rest %= 5;
        }
        table[e - POWER10_MIN] = first_bits(w);
    }
}

mill_u128 power10_get(int e)
{
    assert(e >= POWER10_MIN && e <= POWER10_MAX);
    pthread_once(&once, fill);
    return table[e - POWER10_MIN];
}
