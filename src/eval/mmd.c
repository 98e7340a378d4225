/*
 * mmd.c - the maximum mean discrepancy of rows, and what noise alone makes of it; nearness.h.
 *
 *     mmd = mean k(x, x') + mean k(s, s') - 2 mean k(x, s),   k = exp(-d^2 / 2 bandwidth^2)
 *
 * over pairs of different real rows x, synthetic rows s, and of both: unbiased (Gretton et al.,
 * JMLR 13, 2012).  Of two samples of n and m rows of one distribution it is off 0 by what goes
 * with 1/n + 1/m.  How much is seen in the first real rows, dealt to two halves twenty times.
 */
#include "eval/nearness.h"

#include "base/mem.h"
#include "base/philox.h"
#include "base/sort.h"
#include "base/vmath.h"
#include "eval/learners.h"
#include "learn/order.h"

#include <math.h>

enum { FEW_ROWS = 1000, DEALS = 20 };

/* d2 (i (i - 1) / 2 + j): squared distances of the first n rows, j < i. */
static double *few_distances(const near_scale *s, const near_points *p, int64_t n)
{
    double *const d2 = mill_alloc((size_t)(n * n / 2 + 1), sizeof *d2);
    int64_t m = 0;

    for (int64_t i = 0; d2 && i < n; i++)
        for (int64_t j = 0; j < i; j++) d2[m++] = near_distance(s, p, i, p, j);
    return d2;
}

static mill_err median_distance(double *out, const double *d2, int64_t n)
{
    const int64_t m = n * (n - 1) / 2;
    double *const d = mill_alloc((size_t)m + 1, sizeof *d);
    mill_err err = d ? MILL_OK : MILL_ENOMEM;

    for (int64_t i = 0; d && i < m; i++) d[i] = sqrt(d2[i]);
    if (!err) err = sort_f64(d, m);
    if (!err) *out = sorted_quantile(d, m, 0.5);
    mill_free(d);
    return err;
}

/* The mmd of n rows dealt to two halves by `side` (n), +1 or -1; k as d2 above. */
static double mmd_of_halves(const double *k, const double *side, int64_t n)
{
    const double h = (double)n / 2;
    double all = 0, within_less_across = 0;

    for (int64_t i = 0; i < n; i++) {
        double sum = 0, signed_sum = 0;
        for (int64_t j = 0; j < i; j++, k++) {
            sum += *k;
            signed_sum += side[j] * *k;
        }
        all += sum;
        within_less_across += side[i] * signed_sum;
    }
    return (all + within_less_across) / (h * (h - 1)) - (all - within_less_across) / (h * h);
}

/* Mean |mmd| of two real samples, for tables with scale = 1/n + 1/m; k: as d2, n of them, even. */
static mill_err expect(double *out, const double *k, int64_t n, double scale, uint64_t seed)
{
    double *const side = mill_alloc((size_t)n, sizeof *side), sum = 0;
    mill_rng r = mill_rng_init(seed, STREAM_DEALS, 0);

    if (!side) return MILL_ENOMEM;
    for (int64_t i = 0; i < n; i++) side[i] = i % 2 ? 1 : -1;
    for (int deal = 0; deal < DEALS; deal++) {
        for (int64_t i = n - 1; i > 0; i--) {
            const int64_t j = (int64_t)mill_rng_below(&r, (uint32_t)(i + 1));
            const double was = side[i];
            side[i] = side[j];
            side[j] = was;
        }
        sum += fabs(mmd_of_halves(k, side, n));
    }
    mill_free(side);
    *out = sum / DEALS * scale / (4 / (double)n);
    return MILL_OK;
}

static mill_err of_tables(double *out, const near_scale *s, const near_points *real,
                          const near_points *syn, double gamma, mill_pool *pool)
{
    const double n = (double)real->rows, m = (double)syn->rows;
    double rr, ss, rs;

    TRY(near_kernel_sum(&rr, s, real, real, gamma, pool));
    TRY(near_kernel_sum(&ss, s, syn, syn, gamma, pool));
    TRY(near_kernel_sum(&rs, s, real, syn, gamma, pool));
    *out = rr / (n * (n - 1)) + ss / (m * (m - 1)) - 2 * rs / (n * m);
    return MILL_OK;
}

mill_err mmd_compute(support_result *r, const near_scale *s, const near_points *real,
                     const near_points *syn, const near_task *task)
{
    const int64_t few = real->rows < FEW_ROWS ? real->rows : FEW_ROWS, even = few / 2 * 2;
    const double scale = 1 / (double)real->rows + 1 / (double)syn->rows;

    if (real->rows < 2 || syn->rows < 2) {
        r->why_no_mmd = "it takes two rows of either table";
        return MILL_OK;
    }
    double *const k = few_distances(s, real, few);
    mill_err err = k ? median_distance(&r->bandwidth, k, few) : MILL_ENOMEM;
    const double gamma = 1 / (2 * r->bandwidth * r->bandwidth);
    if (!err && !(r->bandwidth > 0)) {
        r->why_no_mmd = "most real rows are equal: there is no distance to measure by";
        goto done;
    }
    if (!err) err = of_tables(&r->mmd, s, real, syn, gamma, task->pool);
    for (int64_t i = 0; !err && i < few * (few - 1) / 2; i++) k[i] = mill_exp_f64(-gamma * k[i]);
    if (!err && even >= 4) err = expect(&r->expected_mmd, k, even, scale, task->seed);
done:
    mill_free(k);
    return err;
}
