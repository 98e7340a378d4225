/*
 * sum.c - sums over ranks in one fixed tree, sixteen floats at a time.
 *
 * The tree is walked like a binary counter (tree.c): value r goes to place popcount(r), and for
 * each trailing one of r the two topmost places become one.  All of it stays in registers; every
 * line is read once per rank and written once per destination.
 *
 * Plain loads and stores: two ranks' 25 MB take what a loop of nothing but these takes (0.65 ms
 * where 0.65 to 0.72 was least, Zen 4).  Tried and slower in the same run: stores past the caches
 * (2.2 times), prefetching 2 KB ahead (1.35) or for writing (1.1), a page's sums kept in L1 and
 * written then (1.4).
 */
#include "rank/sum.h"
#include "base/vec16.h"

enum { MAX_DEPTH = 10 };

VI f16v tree_of_line(const float *const *src, int world, int64_t i, int lanes)
{
    f16v at[MAX_DEPTH], x = vset(0);

    for (int r = 0; r < world; r++) {
        int top = __builtin_popcount((unsigned)r);
        int carries = r == world - 1 ? top : __builtin_ctz(~(unsigned)r);

        x = lanes == 16 ? vload(src[r] + i) : vload_n(src[r] + i, lanes, 0);
        for (; carries > 0; carries--) x = vadd(at[--top], x);
        at[top] = x;
    }
    return x;
}

VI void put_line(float *const *dst, int n_dst, int64_t i, f16v x, int lanes)
{
    for (int d = 0; d < n_dst; d++) {
        if (lanes == 16)
            vstore(dst[d] + i, x);
        else
            vstore_n(dst[d] + i, x, lanes);
    }
}

/* Two ranks, the usual case: nothing but loads, sums and stores. */
VI void sum_two(float *const *dst, int n_dst, const float *a, const float *b, int64_t n)
{
    float *const y = dst[0], *const z = dst[n_dst - 1];

    for (int64_t i = 0; i + 16 <= n; i += 16) {
        const f16v x = vadd(vload(a + i), vload(b + i));
        vstore(y + i, x);
        if (n_dst > 1) vstore(z + i, x);
    }
}

void LEVEL_FN(rank_sum)(float *const *dst, int n_dst, const float *const *src, int world, int64_t n)
{
    const int64_t whole = n / 16 * 16;

    if (world == 2 && n_dst <= 2)
        sum_two(dst, n_dst, src[0], src[1], whole);
    else
        for (int64_t i = 0; i < whole; i += 16)
            put_line(dst, n_dst, i, tree_of_line(src, world, i, 16), 16);
    if (whole < n)
        put_line(dst, n_dst, whole, tree_of_line(src, world, whole, (int)(n - whole)),
                 (int)(n - whole));
}
