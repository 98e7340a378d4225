/*
 * nearness.h - what the distances of rows say of privacy and of the shape of the whole.
 *
 * Every table stands for itself by the rows listed, in random order.  What follows from them:
 * docs/evaluate.md, "Privacy" and "Further distances".
 */
#ifndef MILL_EVAL_NEARNESS_H
#define MILL_EVAL_NEARNESS_H

#include "eval/near.h"

enum { T_REAL, T_SYN, T_HOLDOUT, N_TABLES };

typedef struct {
    const mill_table *table[N_TABLES]; /* aligned; T_HOLDOUT may be NULL */
    const int64_t *row[N_TABLES];
    int64_t rows[N_TABLES];
    const int *column; /* without identifiers and keys */
    int n_columns;
    bool own_range; /* the holdout measures by its own range, as SDMetrics has it */
    uint64_t seed;
    mill_pool *pool;
} near_task;

/* Of a membership attack: how well a score tells rows that were learnt from others. */
typedef struct {
    double auc, tpr; /* tpr: at a false positive rate of at most 1 % */
} attack;

typedef struct {
    /* Distance to the closest record, a mean over columns (0 to 1): medians, fifth percentiles. */
    double syn_median, random_median, syn_low;
    double baseline; /* SDMetrics' protection: synthetic over random, at most 1 */
    /* Nearest neighbour distance ratio, median and fifth percentile. */
    double nndr, nndr_low;

    /* With a holdout, else NaN. */
    double holdout_median, holdout_low, holdout_baseline, holdout_nndr, holdout_nndr_low;
    double overfitting;                              /* SDMetrics' protection */
    double closer_to_real, closer_to_holdout, share; /* share: ties count one half */
    double tabsyn_share; /* one-hot; of equally many real and held-out rows */
    attack by_distance;
} dcr_result;

mill_err dcr_compute(dcr_result *d, const near_task *task);

/* score: of rows that were learnt from and of others; the higher, the likelier learnt from. */
mill_err attack_compute(attack *a, const double *learnt, int64_t n_learnt, const double *other,
                        int64_t n_other);

/*
 * mmd: unbiased estimate of the squared maximum mean discrepancy, RBF kernel, bandwidth the median
 * distance of 1,000 real rows; 0 is expected of two samples of one distribution, so it can be
 * below 0; expected_mmd: how far from 0 such two samples are, in the mean (NaN of fewer than four
 * real rows).  alpha_precision, beta_recall: Alaa et al., arXiv 2102.08921, on standardised and
 * one-hot columns, 30 levels, 1 - sum |level - curve| / sum level; their expected_*: of one half of
 * the real rows against the other.
 */
typedef struct {
    double mmd, expected_mmd, bandwidth;
    double alpha_precision, beta_recall, expected_alpha, expected_beta;
    const char *why_no_mmd; /* NULL: there is one */
} support_result;

mill_err support_compute(support_result *s, const near_task *task);

/* mmd.c: the first three, of a result where they are NaN. */
mill_err mmd_compute(support_result *r, const near_scale *s, const near_points *real,
                     const near_points *syn, const near_task *task);

#endif
