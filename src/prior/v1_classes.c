/*
 * v1_classes.c - Reg2Cls: columns with levels, y with classes.
 *
 *     columns   with probability .2: p ~ U(0, 1), and each column with probability p gets
 *               K = max(round(Exp(10)), 2) classes by rank (ordered with probability .3)
 *     y         standardised (2.2.0: clamped first), classes by rank or by value
 *     class     #{boundaries < x} of K - 1 boundaries: x at random rows (with replacement), or
 *               N(0, 1) for `value`
 *     labels    columns: with probability .7 those that occur become 0, 1, ... in a random order;
 *               then with probability .5 K - 1 - label.  y: 0, 1, ... in a random order (the
 *               official chain of three such steps comes to that)
 */
#include "prior/v1.h"

#include "base/cpu.h"

#include <stdlib.h>
#include <string.h>

static void (*const count_steps[MILL_N_LEVEL])(float *, int64_t, const float *,
                                               int) = MILL_LEVELS(v1_count_steps);

static int ascending(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

int v1_assign(float *y, int64_t rows, float *boundary, int n_boundaries, bool relabel,
              prior_draw *d)
{
    enum { MOST = 1024 };
    int32_t order[MOST];
    float label[MOST];
    bool occurs[MOST] = {false};
    int n = 0;

    qsort(boundary, (size_t)n_boundaries, sizeof *boundary, ascending);
    count_steps[mill_cpu_level()](y, rows, boundary, n_boundaries);
    for (int64_t i = 0; i < rows; i++) occurs[(int)y[i]] = true;
    for (int k = 0; k <= n_boundaries; k++) n += occurs[k];
    if (!relabel) return n;
    draw_permutation(d, order, n);
    for (int k = 0, next = 0; k <= n_boundaries; k++)
        label[k] = occurs[k] ? (float)order[next++] : 0.0f;
    for (int64_t i = 0; i < rows; i++) y[i] = label[(int)y[i]];
    return n;
}

static void at_random_rows(float *boundary, int n, const float *x, int64_t rows, prior_draw *d)
{
    for (int k = 0; k < n; k++) boundary[k] = x[draw_below(d, rows)];
}

static void one_column(float *x, int32_t *levels, int64_t rows, prior_draw *d)
{
    enum { MOST = 1000 }; /* of Exp(10): never */
    const double drawn = rint(draw_exponential(d, 10.0));
    const int k = drawn < 2 ? 2 : drawn > MOST ? MOST : (int)drawn;
    float boundary[MOST];

    at_random_rows(boundary, k - 1, x, rows, d);
    v1_assign(x, rows, boundary, k - 1, draw_u01(d) > 0.3, d);
    if (draw_u01(d) > 0.5)
        for (int64_t i = 0; i < rows; i++) x[i] = (float)(k - 1) - x[i];
    *levels = k;
}

static bool is_finite_column(const float *x, int64_t rows)
{
    for (int64_t i = 0; i < rows; i++)
        if (!(x[i] - x[i] == 0.0f)) return false;
    return true;
}

static void reject_empty(prior_try *t)
{
    t->is_rejected = true;
    t->why = PRIOR_REJECT_EMPTY;
}

mill_err v1_columns_to_classes(prior_try *t)
{
    prior_draw *const d = &t->draw;

    if (!draw_flip(d, 0.2)) return MILL_OK;
    const double p = draw_u01(d);
    for (int j = 0; j < t->at.features; j++) {
        float *const x = t->x + j * t->stride;
        if (!draw_flip(d, p)) continue;
        if (!is_finite_column(x, t->at.rows)) {
            reject_empty(t); /* classes would hide it */
            return MILL_OK;
        }
        one_column(x, &t->levels[j], t->at.rows, d);
    }
    return MILL_OK;
}

mill_err v1_assign_classes(const v1_params *p, prior_try *t)
{
    float boundary[1000];
    const int64_t rows = t->at.rows;
    const int n = t->at.classes - 1;
    const bool clamp = strcmp(t->c->compat, "0.1.4") != 0;

    if (t->wants_number) return MILL_OK;
    if (prior_post_column(t->y, t->y, rows, clamp) == COLUMN_NOT_FINITE) {
        reject_empty(t);
        return MILL_OK;
    }
    if (p->by_rank)
        at_random_rows(boundary, n, t->y, rows, &t->draw);
    else
        for (int k = 0; k < n; k++) boundary[k] = (float)draw_normal(&t->draw);
    t->classes = v1_assign(t->y, rows, boundary, n, true, &t->draw);
    return MILL_OK;
}
