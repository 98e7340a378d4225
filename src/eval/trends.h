/*
 * trends.h - shapes of columns and trends of pairs of columns: docs/evaluate.md, "Definitions".
 */
#ifndef MILL_EVAL_TRENDS_H
#define MILL_EVAL_TRENDS_H

#include "eval/view.h"

#define CORRELATION_THRESHOLD 0.5
#define ASSOCIATION_THRESHOLD 0.3

/* 1 - sup |F - F'|, values rounded to 14 decimals; NaN if a side has no values. */
double shape_ks(const col_view *c);
/* The same of values as they are: for bootstraps, which draw them from one column. */
double shape_ks_unrounded(const col_view *c);
/*
 * 1 - (sum over values of |p - p'|) / 2; NaN if a side has no values.  compat: a value that only
 * the synthetic side has counts as 10^-6 of a real one, as SDMetrics does to keep from dividing by
 * zero elsewhere.
 */
double shape_tv(const col_view *c, bool compat);

/* Pearson's r over those of the rows listed (NULL: all) that have both; NaN with fewer than two of
 * them, or without spread. */
double pearson_of(const double *x, const double *y, const uint32_t *row, int64_t rows);

enum { BINS_REAL, BINS_OWN, N_BINNINGS };

typedef struct {
    int a, b; /* columns of the view */
    bool is_correlation;
    double score[N_BINNINGS]; /* by binning; both the same for correlations and for two codes. NaN:
                                 none */
    double expected[N_BINNINGS]; /* the most that sampling noise leaves: of contingencies in closed
                                    form, of correlations by noise_of_pairs */
    double association[N_BINNINGS]; /* Cramer's V in the real table */
    double r[N_SIDES];              /* Pearson's, of correlations */
    bool counts[N_BINNINGS];        /* |r| or V above its threshold */
    const char *why;                /* no score: why; else NULL */
} pair_result;

/*
 * Fill score, expected (of contingencies), association, r, counts and why of n pairs.  pick: for
 * contingencies, only these n_pick rows of a side; NULL: all.
 */
mill_err trends_compute(pair_result *pair, int64_t n, const eval_view *v,
                        const int64_t *const pick[N_SIDES], const int64_t n_pick[N_SIDES],
                        mill_pool *pool);

#endif
