/*
 * distribution.h - distances of two columns beyond the shapes of trends.h, and what a second sample
 * of the real table would score (docs/evaluate.md).
 *
 *     Wasserstein      integral of |F - F'|, over the range of the real column
 *     Jensen-Shannon   divergence to base 2; numbers in ten bins of the real range, missing is a
 *                      value
 *
 * Both are 0 at best.
 */
#ifndef MILL_EVAL_DISTRIBUTION_H
#define MILL_EVAL_DISTRIBUTION_H

#include "eval/diagnostic.h"
#include "eval/trends.h"

double wasserstein(const col_view *c);    /* NaN: no range, or no values on a side */
double jensen_shannon(const col_view *c); /* NaN: numbers without a finite range */

/*
 * What the figures of a column would be if the synthetic table were another sample of the real
 * distribution, of as many rows: the expected maximum (of distances: the least to be expected).
 *
 *     codes      TV in closed form, accuracy_noise(); Jensen-Shannon to second order
 *     numbers    the mean of 20 seeded bootstraps of real against real, of at most 2,000 rows;
 *                what is off shrinks with sqrt(1 / n + 1 / n') and is scaled to the tables' sizes
 *                (Jensen-Shannon: with 1 / n + 1 / n').
 *     coverage   the real rows dealt to two tables in proportion, in closed form
 */
typedef struct {
    double shape, wasserstein, jensen_shannon;
    col_diagnosis d;
} col_noise;

enum { NOISE_DRAWS = 20, NOISE_ROWS = 2000 };

/* Rows drawn for the bootstraps, the same for all columns. */
typedef struct {
    uint32_t *row[NOISE_DRAWS][N_SIDES];
    int64_t rows[N_SIDES];
    double scale; /* of what is off at those sizes to what is off at the tables' */
} noise_rows;

mill_err noise_rows_draw(noise_rows *r, const eval_view *v, uint64_t seed);
void noise_rows_free(noise_rows *r);

/* out: a col_noise for each column of the view. */
mill_err noise_of_columns(col_noise *out, const eval_view *v, const noise_rows *r, mill_pool *pool);
/* Sets expected of those of the n pairs that are correlations. */
void noise_of_pairs(pair_result *pair, int64_t n, const eval_view *v, const noise_rows *r,
                    mill_pool *pool);

#endif
