/*
 * support.c - are the synthetic rows where the real ones are, and everywhere they are; nearness.h.
 *
 *     alpha-precision   P(a) = share of synthetic rows within the ball around the real centre that
 *                       holds the share a of the real rows
 *     beta-recall       R(b) = share of real rows x with |x - s| <= |x - x'|, s the nearest
 *                       synthetic row, x' the nearest other real one, and s within the ball around
 *                       the synthetic centre that holds the share b of these s
 *
 * A column of codes is one-hot: with p the shares at the centre, |a - p|^2 = 1 - 2 p_a + sum p^2.
 */
#include "eval/nearness.h"

#include "base/mem.h"
#include "base/sort.h"
#include "learn/order.h"

#include <math.h>

enum { LEVELS = 30 };

/* ---- distances to a centre ---- */

/* The centre of some points: a mean, or for codes the share of each. */
typedef struct {
    double mean;
    double *share; /* by code + 1; NULL: a number */
    int32_t n_codes;
    double squares;
} centre_coord;

static void centre_free(centre_coord *c, int n)
{
    for (int k = 0; c && k < n; k++) mill_free(c[k].share);
    mill_free(c);
}

/* Codes were doubled to be coordinates, near.c. */
static int32_t code_at(const near_points *p, int64_t i, int k)
{
    return (int32_t)(p->row[i * p->n + k] / 2) + 1;
}

static mill_err centre_of(centre_coord **out, const near_scale *s, const near_points *p)
{
    centre_coord *const c = mill_alloc((size_t)s->n, sizeof *c);

    if (!c) return MILL_ENOMEM;
    for (int k = 0; k < s->n; k++) {
        double sum = 0;
        for (int64_t i = 0; i < p->rows; i++) {
            if (s->coord[k].is_code && code_at(p, i, k) >= c[k].n_codes)
                c[k].n_codes = code_at(p, i, k) + 1;
            sum += (double)p->row[i * p->n + k];
        }
        c[k].mean = sum / (double)p->rows;
        if (!s->coord[k].is_code) continue;
        if (!(c[k].share = mill_alloc((size_t)c[k].n_codes, sizeof *c[k].share))) {
            centre_free(c, s->n);
            return MILL_ENOMEM;
        }
        for (int64_t i = 0; i < p->rows; i++) c[k].share[code_at(p, i, k)] += 1;
        for (int32_t v = 0; v < c[k].n_codes; v++) {
            c[k].share[v] /= (double)p->rows;
            c[k].squares += c[k].share[v] * c[k].share[v];
        }
    }
    *out = c;
    return MILL_OK;
}

static double to_centre(const near_scale *s, const centre_coord *c, const near_points *p, int64_t i)
{
    double sum = 0;

    for (int k = 0; k < s->n; k++) {
        if (c[k].share) {
            const int32_t v = code_at(p, i, k);
            sum += 1 - 2 * (v < c[k].n_codes ? c[k].share[v] : 0) + c[k].squares;
        } else {
            const double d = (double)p->row[i * p->n + k] - c[k].mean;
            sum += d * d;
        }
    }
    return sqrt(sum);
}

/* ---- precision and recall ---- */

/* 1 - sum |level - curve(level)| / sum level, where curve is the share of `of` with d at or below
 * the level's quantile of `sorted`; rows with counts[i] == 0 never count. */
static double integrate(const double *sorted, int64_t n_sorted, const double *d,
                        const uint8_t *counts, int64_t of)
{
    double off = 0, sum = 0;

    for (int l = 0; l < LEVELS; l++) {
        const double level = (double)l / (LEVELS - 1);
        const double radius = sorted_quantile(sorted, n_sorted, level);
        int64_t within = 0;
        for (int64_t i = 0; i < of; i++) within += (!counts || counts[i]) && d[i] <= radius;
        off += fabs(level - (double)within / (double)of);
        sum += level;
    }
    return 1 - off / sum;
}

typedef struct {
    centre_coord *real_centre, *syn_centre;
    near_pair *own, *other; /* of each real row: nearest real, nearest synthetic */
    double *sorted, *d;     /* (most rows) */
    uint8_t *counts;
} curves;

static void curves_deinit(curves *c, int n)
{
    centre_free(c->real_centre, n);
    centre_free(c->syn_centre, n);
    mill_free(c->own);
    mill_free(c->other);
    mill_free(c->sorted);
    mill_free(c->d);
    mill_free(c->counts);
}

static mill_err precision_and_recall(double *alpha, double *beta, const near_scale *s,
                                     const near_points *real, const near_points *syn,
                                     mill_pool *pool)
{
    const int64_t n = real->rows, m = syn->rows, most = n > m ? n : m;
    curves c = {0};
    mill_err err = MILL_ENOMEM;

    c.own = mill_alloc((size_t)n, sizeof *c.own);
    c.other = mill_alloc((size_t)n, sizeof *c.other);
    c.sorted = mill_alloc((size_t)most, sizeof *c.sorted);
    c.d = mill_alloc((size_t)most, sizeof *c.d);
    c.counts = mill_alloc((size_t)n, 1);
    if (!c.own || !c.other || !c.sorted || !c.d || !c.counts) goto done;
    if ((err = centre_of(&c.real_centre, s, real))) goto done;
    if ((err = centre_of(&c.syn_centre, s, syn))) goto done;

    for (int64_t i = 0; i < n; i++) c.sorted[i] = to_centre(s, c.real_centre, real, i);
    for (int64_t i = 0; i < m; i++) c.d[i] = to_centre(s, c.real_centre, syn, i);
    if ((err = sort_f64(c.sorted, n))) goto done;
    *alpha = integrate(c.sorted, n, c.d, NULL, m);

    if ((err = near_two(c.own, s, real, real, true, pool))) goto done;
    if ((err = near_two(c.other, s, real, syn, false, pool))) goto done;
    for (int64_t i = 0; i < n; i++) {
        c.counts[i] = c.other[i].first <= c.own[i].first;
        c.sorted[i] = c.d[i] = to_centre(s, c.syn_centre, syn, c.other[i].at);
    }
    if ((err = sort_f64(c.sorted, n))) goto done;
    *beta = integrate(c.sorted, n, c.d, c.counts, n);
done:
    curves_deinit(&c, s->n);
    return err;
}

mill_err support_compute(support_result *r, const near_task *task)
{
    near_scale *s = NULL;
    near_points *real = NULL, *syn = NULL, *half[2] = {NULL, NULL};
    const mill_table *t = task->table[T_REAL];
    const int64_t *row = task->row[T_REAL], n = task->rows[T_REAL];
    const double nan = (double)NAN;
    mill_err err;

    *r = (support_result){nan, nan, nan, nan, nan, nan, nan, NULL};
    err = near_scale_new(&s, t, task->column, task->n_columns, NEAR_SQUARED, 2);
    if (!err) err = near_points_new(&real, s, t, row, n);
    if (!err)
        err = near_points_new(&syn, s, task->table[T_SYN], task->row[T_SYN], task->rows[T_SYN]);
    if (!err) err = mmd_compute(r, s, real, syn, task);
    if (!err && n > 1)
        err = precision_and_recall(&r->alpha_precision, &r->beta_recall, s, real, syn, task->pool);
    if (!err && n > 3) {
        err = near_points_new(&half[0], s, t, row, n / 2);
        if (!err) err = near_points_new(&half[1], s, t, row + n / 2, n - n / 2);
        if (!err)
            err = precision_and_recall(&r->expected_alpha, &r->expected_beta, s, half[0], half[1],
                                       task->pool);
    }
    near_scale_free(s);
    near_points_free(real);
    near_points_free(syn);
    for (int k = 0; k < 2; k++) near_points_free(half[k]);
    return err;
}
