/*
 * cpu/post.c - a column clamped, standardised and clipped; see finish.c.
 *
 * Sums run in 64 lanes (four vectors), added as (0 + 1) + (2 + 3) and then by vec16's tree.
 * Variances are of the differences from the mean, ddof 1; a deviation is at least 1e-6.
 */
#include "base/vec16.h"
#include "prior/inner.h"

/* sum over i < n of e(x[i]); lanes beyond n hold 0, whatever e(0) is. */
#define COLUMN_SUM(out, n, e)                                               \
    do {                                                                    \
        f16v acc_[4] = {vset(0.0f), vset(0.0f), vset(0.0f), vset(0.0f)};    \
        int64_t i_ = 0;                                                     \
        for (; i_ + 64 <= (n); i_ += 64) {                                  \
            UNROLL for (int64_t k_ = 0; k_ < 4; k_++)                       \
            {                                                               \
                const f16v x = vload(src + i_ + 16 * k_);                   \
                acc_[k_] = vadd(acc_[k_], e);                               \
            }                                                               \
        }                                                                   \
        for (int k_ = 0; i_ < (n); i_ += 16, k_++) {                        \
            const int left_ = (n)-i_ < 16 ? (int)((n)-i_) : 16;             \
            const f16v x = vload_n(src + i_, left_, 0.0f);                  \
            acc_[k_] = vadd(acc_[k_], vsel(ifirst(left_), e, vset(0.0f)));  \
        }                                                                   \
        (out) = vsum(vadd(vadd(acc_[0], acc_[1]), vadd(acc_[2], acc_[3]))); \
    } while (0)

typedef struct {
    float mean, std;
} moments;

VI float at_least(float x, float least)
{
    return x < least ? least : x; /* NaN stays */
}

VI f16v clamped(f16v x, f16v low, f16v high)
{
    return vmin(vmax(x, low), high);
}

VI f16v squared(f16v x)
{
    return vmul(x, x);
}

VI moments of_column(const float *src, int64_t n, f16v low, f16v high)
{
    float sum, squares;

    COLUMN_SUM(sum, n, clamped(x, low, high));
    const float mean = sum / (float)n;
    const f16v m = vset(mean);
    COLUMN_SUM(squares, n, squared(vsub(clamped(x, low, high), m)));
    return (moments){mean, at_least(sqrtf(squares / (float)(n - 1)), 1e-6f)};
}

VI i16v within(f16v x, f16v low, f16v high)
{
    return iand(vle(low, x), vle(x, high));
}

/* Of the rows within low .. high; all of them, almost always. */
VI moments of_inliers(const float *src, int64_t n, moments all)
{
    const f16v low = vset(fmaf(-4.0f, all.std, all.mean));
    const f16v high = vset(fmaf(4.0f, all.std, all.mean));
    const f16v zero = vset(0.0f), one = vset(1.0f);
    float sum, squares, rows;

    COLUMN_SUM(rows, n, vsel(within(x, low, high), one, zero));
    if (rows == (float)n) return all;
    COLUMN_SUM(sum, n, vsel(within(x, low, high), x, zero));
    if (!(rows > 1.0f)) return (moments){rows == 1.0f ? sum : all.mean, 1e-6f};
    const float mean = sum / rows;
    const f16v m = vset(mean);
    COLUMN_SUM(squares, n, vsel(within(x, low, high), squared(vsub(x, m)), zero));
    return (moments){mean, at_least(sqrtf(squares / (rows - 1.0f)), 1e-6f)};
}

VI bool any_outside(const float *src, int64_t n, f16v low, f16v high)
{
    float outside;

    COLUMN_SUM(outside, n, vsel(within(x, low, high), vset(0.0f), vset(1.0f)));
    return outside > 0.0f;
}

VI bool is_finite(float x)
{
    return x - x == 0.0f;
}

int LEVEL_FN(prior_post)(float *dst, const float *src, int64_t n, bool clamp)
{
    const f16v none = vset(INFINITY);
    f16v low = vneg(none), high = none;
    moments m = of_column(src, n, low, high);

    if (!is_finite(m.mean)) return COLUMN_NOT_FINITE;
    if (clamp) {
        const moments in = of_inliers(src, n, m);
        const float least = fmaf(-4.0f, in.std, in.mean), most = fmaf(4.0f, in.std, in.mean);
        low = vset(least);
        high = vset(most);
        if (!is_finite(in.std) || any_outside(src, n, low, high)) m = of_column(src, n, low, high);
    }
    if (!is_finite(m.mean)) return COLUMN_NOT_FINITE;

    const f16v mean = vset(m.mean), scale = vset(1.0f / m.std);
    const f16v clip = vset(100.0f), clip_low = vset(-100.0f);
    i16v differs = iset(0);
    f16v first = vset(0.0f);
    for (int64_t i = 0; i < n; i += 16) {
        const int left = n - i < 16 ? (int)(n - i) : 16;
        f16v x = clamped(vload_n(src + i, left, 0.0f), low, high);
        x = clamped(vmul(vsub(x, mean), scale), clip_low, clip);
        vstore_n(dst + i, x, left);
        if (i == 0) first = vset(dst[0]);
        differs = ior(differs, iand(ifirst(left), vne(x, first)));
    }
    uint32_t any[16], bits = 0;
    istore(any, differs);
    for (int k = 0; k < 16; k++) bits |= any[k];
    return bits ? COLUMN_VARIES : COLUMN_CONSTANT;
}
