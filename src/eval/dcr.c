/*
 * dcr.c - distance to the closest record, and attacks on membership; see nearness.h.
 *
 *     DCR(a row, a table)   the least distance to a row of the table, near.h's L1 over columns
 *     baseline protection   min(median DCR(synthetic, real) / median DCR(random, real), 1)
 *     overfitting prot.     min(2 (1 - p), 1), p = share of synthetic rows with
 *                           DCR(row, real) < DCR(row, holdout)
 *     NNDR                  (d1 + 1e-8) / (d2 + 1e-8), the two nearest real rows
 *     membership            the attacker takes rows near to a synthetic one for such that were
 *                           learnt from: score -DCR(row, synthetic)
 */
#include "eval/nearness.h"

#include "base/mem.h"
#include "base/sort.h"
#include "learn/metric.h"
#include "learn/order.h"

#include <math.h>

#define TINY 1e-8 /* of NNDR: keeps 0 / 0 away */

static double quantile_of(double *scratch, const near_pair *p, int64_t n, double q, mill_err *err)
{
    for (int64_t i = 0; i < n; i++) scratch[i] = p[i].first;
    if (!*err) *err = sort_f64(scratch, n);
    return sorted_quantile(scratch, n, q);
}

static double nndr_of(double *scratch, const near_pair *p, int64_t n, double q, mill_err *err)
{
    int64_t m = 0;

    for (int64_t i = 0; i < n; i++)
        if (isfinite(p[i].second)) scratch[m++] = (p[i].first + TINY) / (p[i].second + TINY);
    if (!*err) *err = sort_f64(scratch, m);
    return m ? sorted_quantile(scratch, m, q) : (double)NAN;
}

mill_err attack_compute(attack *a, const double *learnt, int64_t n_learnt, const double *other,
                        int64_t n_other)
{
    const int64_t n = n_learnt + n_other;
    double *const score = mill_alloc((size_t)n, sizeof *score);
    double *const sorted = mill_alloc((size_t)n_other, sizeof *sorted);
    uint8_t *const is_learnt = mill_alloc((size_t)n, 1);
    mill_err err = score && sorted && is_learnt ? MILL_OK : MILL_ENOMEM;

    *a = (attack){(double)NAN, (double)NAN};
    for (int64_t i = 0; !err && i < n; i++) {
        score[i] = i < n_learnt ? learnt[i] : other[i - n_learnt];
        is_learnt[i] = i < n_learnt;
        if (i >= n_learnt) sorted[i - n_learnt] = score[i];
    }
    if (!err) err = metric_auc(&a->auc, score, is_learnt, n);
    if (!err) err = sort_f64(sorted, n_other);
    if (!err && n_other && n_learnt) {
        const int64_t may_be_wrong = n_other / 100; /* a threshold above all others but these */
        const double threshold = sorted[n_other - 1 - may_be_wrong];
        int64_t hits = 0;
        for (int64_t i = 0; i < n_learnt; i++) hits += learnt[i] > threshold;
        a->tpr = (double)hits / (double)n_learnt;
    }
    mill_free(score);
    mill_free(sorted);
    mill_free(is_learnt);
    return err;
}

enum { SYN_REAL, RANDOM_REAL, SYN_HOLDOUT, HOLDOUT_REAL, REAL_SYN, HOLDOUT_SYN, N_SEARCHES };

typedef struct {
    near_scale *scale;
    near_points *points[N_TABLES], *random;
    near_pair *found[N_SEARCHES];
    double *scratch; /* of the largest table */
    int64_t rows[N_TABLES];
} work;

static void deinit(work *w)
{
    near_scale_free(w->scale);
    for (int t = 0; t < N_TABLES; t++) near_points_free(w->points[t]);
    near_points_free(w->random);
    for (int k = 0; k < N_SEARCHES; k++) mill_free(w->found[k]);
    mill_free(w->scratch);
}

static mill_err find(work *w, int what, const near_points *query, const near_points *ref,
                     mill_pool *pool)
{
    w->found[what] = mill_alloc((size_t)query->rows, sizeof *w->found[what]);
    if (!w->found[what]) return MILL_ENOMEM;
    return near_two(w->found[what], w->scale, query, ref, false, pool);
}

static mill_err make_points(work *w, const near_task *task, double code_weight)
{
    TRY(near_scale_new(&w->scale, task->table[T_REAL], task->column, task->n_columns, NEAR_L1,
                       code_weight));
    for (int t = 0; t < N_TABLES; t++) {
        if (!task->table[t]) continue;
        TRY(near_points_new(&w->points[t], w->scale, task->table[t], task->row[t], w->rows[t]));
    }
    return MILL_OK;
}

static void closer(dcr_result *d, const work *w, double n)
{
    int64_t real = 0, holdout = 0;

    for (int64_t i = 0; i < w->rows[T_SYN]; i++) {
        const double to_real = w->found[SYN_REAL][i].first,
                     to_holdout = w->found[SYN_HOLDOUT][i].first;
        real += to_real < to_holdout;
        holdout += to_holdout < to_real;
    }
    d->closer_to_real = (double)real / n;
    d->closer_to_holdout = (double)holdout / n;
    d->share = 0.5 + (d->closer_to_real - d->closer_to_holdout) / 2;
    d->overfitting = fmin(2 * (1 - d->closer_to_real), 1);
}

/* TabSyn's share: one-hot, of real and held-out rows as many as the smaller table has. */
static mill_err tabsyn(dcr_result *d, const near_task *task)
{
    work w = {.rows = {task->rows[T_REAL], task->rows[T_SYN], task->rows[T_HOLDOUT]}};
    dcr_result two = {0};

    const int64_t n = w.rows[T_REAL] < w.rows[T_HOLDOUT] ? w.rows[T_REAL] : w.rows[T_HOLDOUT];
    w.rows[T_REAL] = w.rows[T_HOLDOUT] = n;
    mill_err err = make_points(&w, task, 2);
    if (!err) err = find(&w, SYN_REAL, w.points[T_SYN], w.points[T_REAL], task->pool);
    if (!err) err = find(&w, SYN_HOLDOUT, w.points[T_SYN], w.points[T_HOLDOUT], task->pool);
    if (!err) closer(&two, &w, (double)w.rows[T_SYN]);
    if (!err) d->tabsyn_share = two.share;
    deinit(&w);
    return err;
}

/* Distances of synthetic rows to the holdout in the holdout's own ranges. */
static mill_err find_by_own_range(work *w, const near_task *task)
{
    near_task swapped = *task;
    work own = {.rows = {task->rows[T_HOLDOUT], task->rows[T_SYN], 0}};

    swapped.table[T_REAL] = task->table[T_HOLDOUT];
    swapped.row[T_REAL] = task->row[T_HOLDOUT];
    swapped.table[T_HOLDOUT] = NULL;
    mill_err err = make_points(&own, &swapped, 1);
    if (!err) err = find(&own, SYN_HOLDOUT, own.points[T_SYN], own.points[T_REAL], task->pool);
    w->found[SYN_HOLDOUT] = own.found[SYN_HOLDOUT];
    own.found[SYN_HOLDOUT] = NULL;
    deinit(&own);
    return err;
}

static mill_err against_holdout(dcr_result *d, work *w, const near_task *task)
{
    const int64_t n_real = w->rows[T_REAL], n = w->rows[T_HOLDOUT];
    const double columns = task->n_columns;
    mill_err err = MILL_OK;

    TRY(task->own_range ? find_by_own_range(w, task)
                        : find(w, SYN_HOLDOUT, w->points[T_SYN], w->points[T_HOLDOUT], task->pool));
    TRY(find(w, HOLDOUT_REAL, w->points[T_HOLDOUT], w->points[T_REAL], task->pool));
    TRY(find(w, REAL_SYN, w->points[T_REAL], w->points[T_SYN], task->pool));
    TRY(find(w, HOLDOUT_SYN, w->points[T_HOLDOUT], w->points[T_SYN], task->pool));
    d->holdout_median = quantile_of(w->scratch, w->found[HOLDOUT_REAL], n, 0.5, &err) / columns;
    if (d->random_median > 0) d->holdout_baseline = fmin(d->holdout_median / d->random_median, 1);
    d->holdout_low = quantile_of(w->scratch, w->found[HOLDOUT_REAL], n, 0.05, &err) / columns;
    d->holdout_nndr = nndr_of(w->scratch, w->found[HOLDOUT_REAL], n, 0.5, &err);
    d->holdout_nndr_low = nndr_of(w->scratch, w->found[HOLDOUT_REAL], n, 0.05, &err);
    closer(d, w, (double)w->rows[T_SYN]);
    if (err) return err;

    double *const score = mill_alloc((size_t)(n_real + n), sizeof *score);
    if (!score) return MILL_ENOMEM;
    for (int64_t i = 0; i < n_real; i++) score[i] = -w->found[REAL_SYN][i].first;
    for (int64_t i = 0; i < n; i++) score[n_real + i] = -w->found[HOLDOUT_SYN][i].first;
    err = attack_compute(&d->by_distance, score, n_real, score + n_real, n);
    mill_free(score);
    return err ? err : tabsyn(d, task);
}

mill_err dcr_compute(dcr_result *d, const near_task *task)
{
    work w = {.rows = {task->rows[T_REAL], task->rows[T_SYN], task->rows[T_HOLDOUT]}};
    const double nan = (double)NAN, columns = task->n_columns;
    int64_t most = 0;
    mill_err err = make_points(&w, task, 1);

    *d = (dcr_result){nan, nan, nan, nan, nan, nan, nan, nan,       nan,
                      nan, nan, nan, nan, nan, nan, nan, {nan, nan}};
    for (int t = 0; t < N_TABLES; t++) most = w.rows[t] > most ? w.rows[t] : most;
    if (!err && !(w.scratch = mill_alloc((size_t)most, sizeof *w.scratch))) err = MILL_ENOMEM;
    if (!err)
        err =
            near_points_random(&w.random, w.scale, task->table[T_REAL], w.rows[T_SYN], task->seed);
    if (!err) err = find(&w, SYN_REAL, w.points[T_SYN], w.points[T_REAL], task->pool);
    if (!err) err = find(&w, RANDOM_REAL, w.random, w.points[T_REAL], task->pool);
    if (!err) {
        const int64_t n = w.rows[T_SYN];
        d->syn_median = quantile_of(w.scratch, w.found[SYN_REAL], n, 0.5, &err) / columns;
        d->syn_low = quantile_of(w.scratch, w.found[SYN_REAL], n, 0.05, &err) / columns;
        d->random_median = quantile_of(w.scratch, w.found[RANDOM_REAL], n, 0.5, &err) / columns;
        d->nndr = nndr_of(w.scratch, w.found[SYN_REAL], n, 0.5, &err);
        d->nndr_low = nndr_of(w.scratch, w.found[SYN_REAL], n, 0.05, &err);
        if (d->random_median > 0) d->baseline = fmin(d->syn_median / d->random_median, 1);
    }
    if (!err && task->table[T_HOLDOUT]) err = against_holdout(d, &w, task);
    deinit(&w);
    return err;
}
