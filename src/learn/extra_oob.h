/*
 * extra_oob.h - what bagged extremely randomised trees say of the rows that they did not see.
 *
 * Geurts, Ernst and Wehenkel, Machine Learning 63, 2006, as scikit-learn's ExtraTreesRegressor with
 * a bootstrap, on one-hot labels or on numbers: each node tries all features, each at one threshold
 * drawn uniformly between its least and its largest value there, and takes the one that lowers the
 * squared error most; two rows can be split, one is a leaf, and so is the depth's end.  They are
 * grown for nothing but their out-of-bag predictions and forgotten: the case of a filter that asks
 * of thousands of data sets whether anything in them can be predicted.  A node costs two passes
 * over its rows with sixteen features in the lanes of a vector, so there are neither sums across
 * lanes nor gathers:
 *
 *     least and largest value of each feature;  a threshold between them, uniform, for each
 *     weights (and sums of y) of the rows at or below the thresholds;  the best gain
 *
 *     gain = sum_k (left_k^2 / w_left + right_k^2 / w_right)        k: classes, or y alone
 *
 * Rows of a node stay ordered by class, so that the sums of a class are registers.  For two classes
 * this is the criterion of one output up to a factor, so the trees are the same.  A feature whose
 * values at a node differ by no more than 1e-7 is constant (scikit-learn's FEATURE_THRESHOLD).
 * Nodes that no out-of-bag row reaches are not grown.  Tree t draws from (seed, stream + t): the
 * same bytes on every level.
 */
#ifndef MILL_LEARN_EXTRA_OOB_H
#define MILL_LEARN_EXTRA_OOB_H

#include "base/err.h"
#include "base/level.h"
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const float *x; /* (n, ld): row i at x + i * ld; columns c .. ld - 1 are constant */
    int64_t n, ld;  /* ld: c rounded up to 16 */
    int c;
    const float *y;        /* (n), or NULL */
    const uint16_t *label; /* (n) below classes, where y is NULL */
    int classes;           /* 1: y */
    int max_depth;         /* 1 .. EXTRA_OOB_DEPTH */
    uint64_t seed;
    uint32_t stream;
} extra_oob_job;

enum { EXTRA_OOB_DEPTH = 12, EXTRA_OOB_CLASSES = 1024 };

/* What the trees have said so far.  sum (n, width), width: classes rounded up to 16; the mean over
 * trees is sum / seen, and there is none where seen is 0. */
typedef struct {
    float *sum;
    int32_t *seen; /* (n) */
    int64_t width;
    void *work;
} extra_oob_votes;

/* Bytes of the votes and of their work; and how they are laid out, zeroed, in that memory
 * (aligned to 64). */
size_t extra_oob_bytes(const extra_oob_job *j);
void extra_oob_init(extra_oob_votes *v, const extra_oob_job *j, void *memory);
/* Grow trees begin .. end - 1 and add what they say.  Nothing here allocates or fails. */
void extra_oob_grow(extra_oob_votes *v, const extra_oob_job *j, int begin, int end);

/* cols (c, ldc) column-major to rows (n, ld), zeros in the columns beyond c. */
void extra_oob_rows(float *x, const float *cols, int64_t n, int c, int64_t ldc);

MILL_LEVEL_DECLARE(void, extra_oob_tree, (extra_oob_votes * v, const extra_oob_job *j, int tree));
MILL_LEVEL_DECLARE(void, extra_oob_transpose,
                   (float *x, const float *cols, int64_t n, int c, int64_t ldc));

#endif
