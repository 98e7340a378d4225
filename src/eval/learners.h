/*
 * learners.h - how useful the synthetic table is to a learner, and how easily one tells it from the
 * real one.
 *
 * Two learners: a linear one (logistic regression, or ridge for values) and boosted trees.
 *
 *     utility    learn on the synthetic table, test on real rows that were not learnt from; the
 *                same after learning on the real table
 *     detection  three stratified folds of real (1) and synthetic (0) rows;
 *                1 - mean(2 max(1/2, AUC) - 1): 1 is "cannot be told apart"
 *
 * docs/evaluate.md has both in full.
 */
#ifndef MILL_EVAL_LEARNERS_H
#define MILL_EVAL_LEARNERS_H

#include "base/pool.h"
#include "table/table.h"

enum { LEARNER_LINEAR, LEARNER_BOOSTED, N_LEARNERS };
enum { TRAIN_REAL, TRAIN_SYN, N_TRAININGS };
enum { N_FOLDS = 3, MAX_CLASSES = 100 };

/* Streams of random numbers under the evaluation's seed. */
enum { STREAM_SPLIT = 0x65760001, STREAM_SAMPLE, STREAM_FOLDS, STREAM_PAIRS, STREAM_DEALS };

typedef struct {
    double auc, f1, accuracy; /* classification */
    double r2, rmse;          /* regression */
} learner_score;

typedef struct {
    bool is_classification;
    int n_classes;
    int64_t train_rows[N_TRAININGS], test_rows;
    int64_t dropped[3]; /* rows without a usable target: real, synthetic, test */
    learner_score score[N_LEARNERS][N_TRAININGS];
    const char *why; /* nothing was computed: why; else NULL */
} utility_result;

typedef struct {
    const int *feature; /* columns */
    int n_features, target;
    int64_t learner_rows;
    uint64_t seed;
    mill_pool *pool;
} learn_task;

/*
 * Tables are aligned.  test NULL: a fifth of the real rows is the test, the rest is learnt from.
 * Two values, whatever their type, and codes are classes; other numbers are regressed on.  With two
 * classes the rarer one of the real table is the positive one; with more, AUC (one against the
 * rest) and F1 are means over classes.  Classes are those of the real table and of the test; a
 * synthetic row of another one is not learnt from.
 */
mill_err utility_compute(utility_result *u, const mill_table *real, const mill_table *syn,
                         const mill_table *test, const learn_task *task);

typedef struct {
    double score[N_LEARNERS], auc[N_LEARNERS][N_FOLDS];
    double expected; /* of two real samples: 1 - mean over folds of sqrt(2 / pi) sigma, where sigma
                        is the standard deviation of the AUC of a guess, (n + m + 1) / (12 n m),
                        rooted; n and m are the fold's real and synthetic rows */
    int64_t rows[2]; /* used of the real and the synthetic table */
    const char *why;
} detection_result;

mill_err detection_compute(detection_result *d, const mill_table *real, const mill_table *syn,
                           const learn_task *task);

/* k of 0..n-1 in random order; all of them, in order, if k >= n.  *k is what it became. */
mill_err draw_rows(int64_t **out, int64_t *k, int64_t n, uint64_t seed, uint32_t stream,
                   uint32_t step);

#endif
