/*
 * order.c - radix sort of positions by their numbers.
 *
 * As base/sort.c, but positions move along with the keys: key = bits with the sign flipped for x >=
 * 0 and all bits flipped for x < 0, eleven bits a pass, and a pass in which all keys agree is left
 * out.
 */
#include "learn/order.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

enum { BITS = 11, BUCKETS = 1 << BITS, PASSES = 6 };

typedef struct {
    uint64_t key;
    int64_t at;
} item;

static uint64_t key_of(double x)
{
    uint64_t u;

    x += 0.0; /* -0 becomes 0 */
    memcpy(&u, &x, sizeof u);
    return u >> 63 ? ~u : u | (uint64_t)1 << 63;
}

static int digit(uint64_t key, int pass)
{
    return (int)(key >> pass * BITS & (BUCKETS - 1));
}

/* Items to be sorted in a; b is as large.  Returns the one that holds the result. */
static item *radix(item *a, item *b, int64_t n, int64_t (*count)[BUCKETS])
{
    for (int64_t i = 0; i < n; i++)
        for (int pass = 0; pass < PASSES; pass++) count[pass][digit(a[i].key, pass)]++;

    for (int pass = 0; pass < PASSES; pass++) {
        int64_t *to = count[pass], sum = 0;

        if (n == 0 || to[digit(a[0].key, pass)] == n) continue;
        for (int v = 0; v < BUCKETS; v++) {
            const int64_t here = to[v];
            to[v] = sum;
            sum += here;
        }
        for (int64_t i = 0; i < n; i++) b[to[digit(a[i].key, pass)]++] = a[i];
        item *const t = a;
        a = b;
        b = t;
    }
    return a;
}

mill_err order_f64(int64_t *order, const double *x, int64_t n)
{
    item *const items = mill_alloc((size_t)n, 2 * sizeof *items);
    int64_t(*const count)[BUCKETS] = mill_alloc(PASSES, sizeof *count);
    const mill_err err = items && count ? MILL_OK : MILL_ENOMEM;

    if (!err) {
        for (int64_t i = 0; i < n; i++) items[i] = (item){key_of(x[i]), i};
        const item *sorted = radix(items, items + n, n, count);
        for (int64_t i = 0; i < n; i++) order[i] = sorted[i].at;
    }
    mill_free(items);
    mill_free(count);
    return err;
}

double sorted_quantile(const double *x, int64_t n, double q)
{
    if (n <= 0) return (double)NAN;

    const double at = q * (double)(n - 1), below = floor(at);
    const int64_t i = (int64_t)below, j = i + 1 < n ? i + 1 : i;

    return x[i] + (at - below) * (x[j] - x[i]);
}
