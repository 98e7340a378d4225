/*
 * filter.c - can extra trees predict y from x at all, or without effort?
 *
 *     25 trees of depth 6 on all rows (learn/extra_oob.h), y as it is or as one indicator per
 *     class; p_i: mean of the trees that did not see row i, 0 where all did
 *
 *     gain_i = |y_i - mean|^2 - |y_i - p_i|^2
 *
 * Unpredictable: of 200 bootstrap means of the gains at least 5 % are not above 0.  Trivial: the
 * trees' root mean squared error is at most `threshold` times that of the mean.
 *
 * The 200 means are drawn only where they could decide: with m, s^2 and b the gains' mean, variance
 * and largest distance from the mean in the direction of 0, Bernstein's inequality bounds the
 * probability that a bootstrap mean lies beyond 0 by
 *
 *     exp(-n m^2 / (2 (s^2 + b |m| / 3)))
 *
 * At 1e-3 on the side of predictable ten of 200 have a probability below 1e-13, at 1/2 on the other
 * side fewer than ten one below 1e-40.
 */
#include "prior/inner.h"

#include "base/vmath.h"
#include "learn/extra_oob.h"

#include <math.h>
#include <string.h>

enum { TREES = 25, DEPTH = 6, MEANS = 200, REJECTED_MEANS = MEANS / 20, STREAM_TREES = 0x40000000 };

typedef struct {
    double trees, mean; /* mean squared errors, summed over outputs */
} errors;

static void gain_of_numbers(float *gain, errors *e, const extra_oob_votes *v, const float *y,
                            int64_t n)
{
    double mean = 0;

    for (int64_t i = 0; i < n; i++) mean += (double)y[i];
    mean /= (double)n;
    for (int64_t i = 0; i < n; i++) {
        const double p = v->seen[i] ? (double)v->sum[i * v->width] / v->seen[i] : 0.0;
        const double base = (double)y[i] - mean, left = (double)y[i] - p;
        gain[i] = (float)(base * base - left * left);
        e->mean += base * base;
        e->trees += left * left;
    }
}

/* Two classes count once, as upstream, where one indicator serves. */
static void gain_of_classes(float *gain, errors *e, const extra_oob_votes *v,
                            const extra_oob_job *j)
{
    const int outputs = j->classes == 2 ? 1 : j->classes;
    double share[EXTRA_OOB_CLASSES] = {0}, shares = 0;

    for (int64_t i = 0; i < j->n; i++) share[j->label[i]] += 1.0;
    for (int k = 0; k < j->classes; k++) share[k] /= (double)j->n;
    for (int k = 0; k < outputs; k++) shares += share[k] * share[k];
    for (int64_t i = 0; i < j->n; i++) {
        const float *sum = v->sum + i * v->width;
        const double over = v->seen[i] ? 1.0 / v->seen[i] : 0.0;
        const int own = j->label[i] < outputs ? j->label[i] : -1;
        double squares = 0;

        for (int k = 0; k < outputs; k++) squares += (double)sum[k] * (double)sum[k];
        double base = shares, left = squares * over * over;
        if (own >= 0) {
            base += 1.0 - 2.0 * share[own];
            left += 1.0 - 2.0 * (double)sum[own] * over;
        }
        gain[i] = (float)(base - left);
        e->mean += base;
        e->trees += left;
    }
}

/* How many of 200 bootstrap means are not above 0. */
static int draw_means(const float *gain, int64_t n, prior_draw *d, uint32_t *word)
{
    int below = 0;

    for (int b = 0; b < MEANS; b++) {
        double sum = 0;
        draw_words(d, word, n);
        for (int64_t i = 0; i < n; i++)
            sum += (double)gain[((uint64_t)word[i] * (uint64_t)n) >> 32];
        below += !(sum > 0);
    }
    return below;
}

typedef enum { UNDECIDED, PREDICTABLE, UNPREDICTABLE } verdict;

static verdict decide_by_bound(const float *gain, int64_t n)
{
    double mean = 0, var = 0, least = INFINITY, most = -INFINITY;

    for (int64_t i = 0; i < n; i++) mean += (double)gain[i];
    mean /= (double)n;
    for (int64_t i = 0; i < n; i++) {
        const double v = (double)gain[i] - mean;
        var += v * v;
        least = v < least ? v : least;
        most = v > most ? v : most;
    }
    var /= (double)n;
    const double far = mean > 0 ? -least : most, size = fabs(mean);
    const double exponent = (double)n * size * size / (2.0 * (var + far * size / 3.0));
    if (mean > 0 && exponent >= 6.9077552789821368) return PREDICTABLE; /* ln 1000 */
    if (mean <= 0 && exponent >= 0.6931471805599453) return UNPREDICTABLE;
    return UNDECIDED;
}

static mill_err judge(prior_try *t, const extra_oob_job *j, const extra_oob_votes *v,
                      const float *y)
{
    float *const gain = prior_alloc(t->arena, j->n, sizeof *gain);
    uint32_t *const word = prior_alloc(t->arena, j->n, sizeof *word);
    errors e = {0};

    if (!gain || !word) return MILL_ENOMEM;
    if (j->y) {
        gain_of_numbers(gain, &e, v, y, j->n);
    } else {
        gain_of_classes(gain, &e, v, j);
    }
    const double threshold = t->c->trivial_dataset_threshold;
    if (t->c->remove_trivial_datasets && e.trees <= threshold * threshold * e.mean) {
        t->is_rejected = true;
        t->why = PRIOR_REJECT_TRIVIAL;
        return MILL_OK;
    }
    if (!t->c->filter_unpredictable_datasets) return MILL_OK;
    const verdict sure = decide_by_bound(gain, j->n);
    if (sure == PREDICTABLE) return MILL_OK;
    if (sure == UNDECIDED && draw_means(gain, j->n, &t->draw, word) < REJECTED_MEANS)
        return MILL_OK;
    t->is_rejected = true;
    t->why = PRIOR_REJECT_FILTER;
    return MILL_OK;
}

/* classes may have gaps: as many outputs as the largest label. */
static mill_err set_target(extra_oob_job *j, prior_try *t, const float *y)
{
    if (!t->at.classes) {
        j->y = y;
        j->classes = 1;
        return MILL_OK;
    }
    uint16_t *const label = prior_alloc(t->arena, j->n, sizeof *label);
    if (!label) return MILL_ENOMEM;
    for (int64_t i = 0; i < j->n; i++) {
        label[i] = (uint16_t)y[i];
        j->classes = label[i] + 1 > j->classes ? label[i] + 1 : j->classes;
    }
    j->label = label;
    return MILL_OK;
}

mill_err prior_filter(prior_try *t, const prior_done *d)
{
    const prior_mark mark = prior_arena_mark(t->arena);
    const int64_t ld = ((int64_t)d->features + 15) / 16 * 16;
    extra_oob_job j = {.n = t->at.rows,
                       .ld = ld,
                       .c = d->features,
                       .max_depth = DEPTH,
                       .seed = t->draw.rng.seed,
                       .stream = STREAM_TREES + (uint32_t)t->attempt * TREES};
    extra_oob_votes v;

    if (!t->c->filter_unpredictable_datasets && !t->c->remove_trivial_datasets) return MILL_OK;
    if (t->classes > EXTRA_OOB_CLASSES)
        return mill_fail(MILL_EINPUT, "the filters take up to %d classes", EXTRA_OOB_CLASSES);
    float *const x = prior_alloc(t->arena, j.n * ld, sizeof *x);
    if (!x) return MILL_ENOMEM;
    extra_oob_rows(x, d->x, j.n, d->features, t->at.rows);
    j.x = x;
    TRY(set_target(&j, t, d->y));
    void *const memory = prior_alloc(t->arena, (int64_t)extra_oob_bytes(&j), 1);
    if (!memory) return MILL_ENOMEM;
    extra_oob_init(&v, &j, memory);
    extra_oob_grow(&v, &j, 0, TREES);
    TRY(judge(t, &j, &v, d->y));
    prior_arena_release(t->arena, mark);
    return MILL_OK;
}
