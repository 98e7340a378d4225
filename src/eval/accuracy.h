/*
 * accuracy.h - shares of bins, pairs and triples of bins, with what sampling noise leaves of them;
 * the definitions of mostlyai-qa (Apache-2.0), so that figures can be compared.
 *
 *     accuracy   1 - (sum over cells of |p - p'|) / 2
 *     its most   1 - (sum over cells of sqrt(2 / pi p (1 - p) (1 / n + 1 / n'))) / 2: what a
 *                second sample of the real distribution would reach
 *
 *     numbers    up to ten values: each a bin.  More: edges at i = 11, 12, .. 999 evenly spaced
 *                places of the sorted values, the first i that makes eleven different ones; edges
 *                cut down to as few decimals as keep them apart; a bin has its lower edge
 *     dates      the same, without the first rule and without cutting
 *     codes      the ten most frequent values that five rows have, the others together
 *
 * Missing is a bin.  Bins are the real table's; values beyond go to the outer ones.
 */
#ifndef MILL_EVAL_ACCURACY_H
#define MILL_EVAL_ACCURACY_H

#include "eval/view.h"

enum { ACCURACY_MAX_TRIPLES = 10000 };

typedef struct {
    int col[3]; /* of the view */
    double score, most;
} accuracy_cell;

typedef struct {
    accuracy_cell *of[3]; /* columns, pairs, triples, each in order */
    int64_t n[3],
        n_triples; /* n_triples: that there are; more than n[2], if only some were taken */
    double mean[3], mean_most[3]; /* NaN: there is none */
} accuracy_result;

/* Over the columns listed. */
mill_err accuracy_compute(accuracy_result *a, const eval_view *v, const int *column, int n,
                          uint64_t seed, mill_pool *pool);
void accuracy_deinit(accuracy_result *a);

/* E|p - p'| / 2 of a cell with real share p, by sampling noise alone: what the cell takes off the
 * most. */
double accuracy_noise(double p, double n_real, double n_syn);

#endif
