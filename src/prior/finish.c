/*
 * finish.c - from what a process drew to a data set, or to the reason why not.
 *
 *     columns   clamp to mean +- 4 std of the rows that lie within it, standardise, clip to +-100;
 *               permuted; those with a single value are dropped
 *     y         regression: clamped (not by 0.1.4) and standardised.  Classes: as the process
 *               labelled them, or cut at ranks where a ratio is asked for
 *     test      training and test rows hold the same classes, at least two, if need be after up to
 *               ten permutations of the rows
 *
 * What is not finite rejects: the official code lets NaN columns through that come from infinities.
 */
#include "prior/inner.h"

#include "base/cpu.h"

#include <string.h>

enum { MOST_PERMUTATIONS = 10 };

static int (*const post[MILL_N_LEVEL])(float *, const float *, int64_t,
                                       bool) = MILL_LEVELS(prior_post);

prior_column prior_post_column(float *dst, const float *src, int64_t n, bool clamp)
{
    return (prior_column)post[mill_cpu_level()](dst, src, n, clamp);
}

static void reject(prior_try *t, prior_reject why)
{
    t->is_rejected = true;
    t->why = why;
}

static bool has_two_values(const float *x, int64_t n)
{
    for (int64_t i = 1; i < n; i++)
        if (x[i] != x[0]) return true;
    return false;
}

static mill_err finish_columns(prior_done *out, prior_try *t, bool is_finished)
{
    const int64_t rows = t->at.rows;
    const int n = t->at.features;
    int32_t *const from = prior_alloc(t->arena, n, sizeof *from);
    int kept = 0;

    if (!from) return MILL_ENOMEM;
    draw_permutation(&t->draw, from, n);
    for (int j = 0; j < n; j++) {
        const int source = is_finished ? j : from[j];
        const float *const src = t->x + source * t->stride;
        float *const dst = out->x + kept * rows;
        prior_column what = COLUMN_VARIES;

        if (is_finished) {
            memcpy(dst, src, (size_t)rows * sizeof *dst);
            what = has_two_values(dst, rows) ? COLUMN_VARIES : COLUMN_CONSTANT;
        } else {
            what = prior_post_column(dst, src, rows, true);
        }
        if (what == COLUMN_NOT_FINITE) {
            reject(t, PRIOR_REJECT_EMPTY);
            return MILL_OK;
        }
        if (what == COLUMN_VARIES) out->levels[kept++] = t->levels[source];
    }
    out->features = kept;
    if (!kept) reject(t, PRIOR_REJECT_EMPTY);
    return MILL_OK;
}

/* The rows of all columns and y in this order. */
static mill_err order_rows(prior_done *d, const int32_t *order, prior_try *t)
{
    const int64_t rows = t->at.rows;
    const prior_mark mark = prior_arena_mark(t->arena);
    float *const was = prior_alloc(t->arena, rows, sizeof *was);

    if (!was) return MILL_ENOMEM;
    for (int j = 0; j <= d->features; j++) {
        float *const column = j < d->features ? d->x + j * rows : d->y;
        memcpy(was, column, (size_t)rows * sizeof *was);
        for (int64_t i = 0; i < rows; i++) column[i] = was[order[i]];
    }
    prior_arena_release(t->arena, mark);
    return MILL_OK;
}

static mill_err test_labels(prior_done *d, prior_try *t)
{
    const int64_t rows = t->at.rows, train = t->at.train_rows;
    const prior_mark mark = prior_arena_mark(t->arena);
    int32_t *const order = prior_alloc(t->arena, rows, sizeof *order);
    float *const y = prior_alloc(t->arena, rows, sizeof *y);
    bool agree = prior_labels_agree(d->y, rows, train, t->classes);
    bool is_moved = false;

    if (!order || !y) return MILL_ENOMEM;
    for (int n = 0; !agree && n < MOST_PERMUTATIONS; n++) {
        is_moved = true;
        draw_permutation(&t->draw, order, rows);
        for (int64_t i = 0; i < rows; i++) y[i] = d->y[order[i]];
        agree = prior_labels_agree(y, rows, train, t->classes);
    }
    if (!agree) reject(t, PRIOR_REJECT_LABELS);
    if (agree && is_moved) TRY(order_rows(d, order, t));
    prior_arena_release(t->arena, mark);
    return MILL_OK;
}

/* y cut at the ranks of the ratio, rows split with the classes' shares. */
static mill_err finish_shares(prior_done *d, prior_try *t)
{
    const int64_t rows = t->at.rows;
    int64_t count[1000];
    int32_t *const order = prior_alloc(t->arena, rows, sizeof *order);

    if (!order) return MILL_ENOMEM;
    prior_shares(count, t->classes, t->at.ratio, rows);
    TRY(prior_cut_at_ranks(d->y, count, t));
    TRY(prior_stratify(order, d->y, t));
    TRY(order_rows(d, order, t));
    if (!prior_labels_agree(d->y, rows, t->at.train_rows, t->classes))
        reject(t, PRIOR_REJECT_LABELS);
    return MILL_OK;
}

static bool all_finite(const float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!(y[i] - y[i] == 0.0f)) return false;
    return true;
}

mill_err prior_finish(prior_done *out, prior_try *t)
{
    const int64_t rows = t->at.rows;
    const bool is_finished = prior_kind_find(t->at.kind)->is_finished;

    out->x = prior_alloc(t->arena, rows * t->at.features, sizeof *out->x);
    out->levels = prior_alloc(t->arena, t->at.features, sizeof *out->levels);
    out->y = t->y;
    if (!out->x || !out->levels) return MILL_ENOMEM;
    if (!all_finite(t->y, rows)) {
        reject(t, PRIOR_REJECT_EMPTY);
        return MILL_OK;
    }
    TRY(finish_columns(out, t, is_finished));
    if (t->is_rejected) return MILL_OK;
    if (t->at.ratio > 0) return finish_shares(out, t);
    if (t->at.classes) return test_labels(out, t);

    const bool clamp = !strcmp(t->at.kind, "graph_scm") || strcmp(t->c->compat, "0.1.4") != 0;
    if (!is_finished && prior_post_column(out->y, t->y, rows, clamp) == COLUMN_NOT_FINITE)
        reject(t, PRIOR_REJECT_EMPTY);
    return MILL_OK;
}
