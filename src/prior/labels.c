/*
 * labels.c - classes with given shares, and splits that keep them.
 *
 * With a ratio R of largest to smallest of K classes the shares are geometric, share k ~ q^-k,
 * q = R^(1 / (K - 1)); counts by largest remainder.  y is cut at those ranks, ties by row, the
 * largest class lowest, and the labels are permuted.
 *
 * Stratified: of class k, with n_k of n rows, floor or ceil of n_train n_k / n rows are for
 * training, at least one and at most n_k - 1; which are rounded up: the largest remainders.  Where
 * these ones alone come to more than n_train, the classes with the most training rows have fewer;
 * likewise for the test rows.
 */
#include "base/vmath.h"
#include "prior/inner.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_CLASSES = 1000 }; /* of options.def */

typedef struct {
    double part;
    int k;
} remainder_of;

/* Largest first, then by number. */
static int by_part(const void *a, const void *b)
{
    const remainder_of *x = a, *y = b;

    if (x->part != y->part) return x->part > y->part ? -1 : 1;
    return x->k - y->k;
}

void prior_shares(int64_t *count, int classes, double ratio, int64_t rows)
{
    remainder_of left[MOST_CLASSES];
    double share[MOST_CLASSES], sum = 0;
    int64_t given = 0;

    for (int k = 0; k < classes; k++) {
        const double at = classes > 1 ? (double)k / (classes - 1) : 0;
        sum += share[k] = mill_pow_f64(ratio, -at);
    }
    for (int k = 0; k < classes; k++) {
        const double exact = share[k] / sum * (double)rows;
        count[k] = (int64_t)exact;
        given += count[k];
        left[k] = (remainder_of){exact - (double)count[k], k};
    }
    qsort(left, (size_t)classes, sizeof *left, by_part);
    for (int i = 0; given < rows; i = (i + 1) % classes, given++) count[left[i].k]++;
}

typedef struct {
    float y;
    int32_t row;
} ranked;

static int by_value(const void *a, const void *b)
{
    const ranked *x = a, *y = b;

    if (x->y != y->y) return x->y < y->y ? -1 : 1;
    return x->row - y->row;
}

mill_err prior_cut_at_ranks(float *y, const int64_t *count, prior_try *t)
{
    const int64_t rows = t->at.rows;
    const prior_mark mark = prior_arena_mark(t->arena);
    ranked *const r = prior_alloc(t->arena, rows, sizeof *r);
    int32_t label[MOST_CLASSES];

    if (!r) return MILL_ENOMEM;
    for (int64_t i = 0; i < rows; i++) r[i] = (ranked){y[i], (int32_t)i};
    qsort(r, (size_t)rows, sizeof *r, by_value);
    draw_permutation(&t->draw, label, t->classes);
    int k = 0;
    int64_t left = count[0];
    for (int64_t i = 0; i < rows; i++, left--) {
        while (!left) left = count[++k];
        y[r[i].row] = (float)label[k];
    }
    prior_arena_release(t->arena, mark);
    return MILL_OK;
}

static void count_labels(int64_t *count, const float *y, int64_t rows, int classes)
{
    memset(count, 0, (size_t)classes * sizeof *count);
    for (int64_t i = 0; i < rows; i++) count[(int)y[i]]++;
}

/* The class with the most rows for training, or for testing. */
static int largest(const int64_t *quota, const int64_t *count, int classes, bool of_test)
{
    int64_t most = -1;
    int at = 0;

    for (int k = 0; k < classes; k++) {
        const int64_t n = of_test ? count[k] - quota[k] : quota[k];
        if (n <= most) continue;
        most = n;
        at = k;
    }
    return at;
}

/* quota[k]: training rows of class k. */
static void train_quota(int64_t *quota, const int64_t *count, const prior_try *t)
{
    const double share = (double)t->at.train_rows / (double)t->at.rows;
    remainder_of left[MOST_CLASSES];
    int64_t open = t->at.train_rows;
    int n = 0;

    for (int k = 0; k < t->classes; k++) {
        const double exact = share * (double)count[k];
        quota[k] = (int64_t)exact;
        if (quota[k] == 0 && count[k] > 1) {
            quota[k] = 1;
        } else if (quota[k] + 1 < count[k] && exact > (double)quota[k]) {
            left[n++] = (remainder_of){exact - (double)quota[k], k};
        }
        open -= quota[k];
    }
    qsort(left, (size_t)n, sizeof *left, by_part);
    for (int i = 0; i < n && open > 0; i++, open--) quota[left[i].k]++;
    for (; open < 0; open++) quota[largest(quota, count, t->classes, false)]--;
    for (; open > 0; open--) quota[largest(quota, count, t->classes, true)]++;
}

mill_err prior_stratify(int32_t *order, const float *y, prior_try *t)
{
    const int64_t rows = t->at.rows, train = t->at.train_rows;
    const prior_mark mark = prior_arena_mark(t->arena);
    int32_t *const shuffled = prior_alloc(t->arena, rows, sizeof *shuffled);
    int64_t count[MOST_CLASSES], quota[MOST_CLASSES] = {0}, first = 0, last = rows;

    if (!shuffled) return MILL_ENOMEM;
    count_labels(count, y, rows, t->classes);
    train_quota(quota, count, t);
    draw_permutation(&t->draw, shuffled, rows);
    for (int64_t i = 0; i < rows; i++) {
        const int32_t row = shuffled[i];
        int64_t *const q = &quota[(int)y[row]];
        const bool to_train = first < train && (*q > 0 || last == train);
        if (to_train) {
            order[first++] = row;
            --*q;
        } else {
            order[--last] = row;
        }
    }
    prior_arena_release(t->arena, mark);
    return MILL_OK;
}

bool prior_labels_agree(const float *y, int64_t rows, int64_t train_rows, int classes)
{
    unsigned char seen[MOST_CLASSES] = {0};
    int n = 0;

    for (int64_t i = 0; i < train_rows; i++) seen[(int)y[i]] |= 1;
    for (int64_t i = train_rows; i < rows; i++) seen[(int)y[i]] |= 2;
    for (int k = 0; k < classes; k++) {
        if (seen[k] == 1 || seen[k] == 2) return false;
        n += seen[k] == 3;
    }
    return n >= 2;
}
