/*
 * sort.c - least-significant-digit radix sort, eleven bits at a time.
 *
 * Numbers become unsigned keys of the same order (an IEEE 754 double sorts by its bits once
 * negatives are flipped), all histograms are counted in one visit, and a digit that is the same
 * everywhere costs nothing.
 */
#include "base/sort.h"

#include "base/mem.h"

#include <string.h>

enum { BITS = 11, BUCKETS = 1 << BITS, PASSES = 6 };

static int digit(uint64_t key, int pass)
{
    return (int)(key >> (pass * BITS) & (BUCKETS - 1));
}

/* Keys to be sorted in `a`; `b` is as large.  Returns the one that holds the result. */
static uint64_t *radix(uint64_t *a, uint64_t *b, int64_t n, int64_t (*count)[BUCKETS])
{
    for (int64_t i = 0; i < n; i++)
        for (int pass = 0; pass < PASSES; pass++) count[pass][digit(a[i], pass)]++;

    for (int pass = 0; pass < PASSES; pass++) {
        int64_t *at = count[pass], sum = 0;
        if (at[digit(a[0], pass)] == n) continue;
        for (int k = 0; k < BUCKETS; k++) {
            const int64_t here = at[k];
            at[k] = sum;
            sum += here;
        }
        for (int64_t i = 0; i < n; i++) b[at[digit(a[i], pass)]++] = a[i];
        uint64_t *swap = a;
        a = b;
        b = swap;
    }
    return a;
}

/* Of a negative double all bits are turned, of everything else the sign: keys in the same order. */
static uint64_t to_key(uint64_t bits, int is_double)
{
    const uint64_t sign = 1ull << 63;
    return is_double && bits & sign ? ~bits : bits ^ sign;
}

static uint64_t from_key(uint64_t key, int is_double)
{
    const uint64_t sign = 1ull << 63;
    return is_double && !(key & sign) ? ~key : key ^ sign;
}

static mill_err sort_bits(void *x, int64_t n, int is_double)
{
    if (n < 2) return MILL_OK;
    uint64_t *keys = mill_alloc(2 * (size_t)n, sizeof *keys);
    int64_t(*count)[BUCKETS] = mill_alloc(PASSES, sizeof *count);
    mill_err err = MILL_ENOMEM;
    if (!keys || !count) goto done;

    memcpy(keys, x, (size_t)n * sizeof *keys);
    for (int64_t i = 0; i < n; i++) keys[i] = to_key(keys[i], is_double);
    uint64_t *sorted = radix(keys, keys + n, n, count);
    for (int64_t i = 0; i < n; i++) sorted[i] = from_key(sorted[i], is_double);
    memcpy(x, sorted, (size_t)n * sizeof *keys);
    err = MILL_OK;
done:
    mill_free(count);
    mill_free(keys);
    return err;
}

mill_err sort_f64(double *x, int64_t n)
{
    return sort_bits(x, n, 1);
}

mill_err sort_i64(int64_t *x, int64_t n)
{
    return sort_bits(x, n, 0);
}
