/*
 * multi_tree.h - boosted regression trees whose leaves are vectors, as XGBoost's `hist` with
 * `multi_output_tree` grows them (Chen and Guestrin, KDD 2016; squared error, so h = 1).
 *
 *     start    the mean of each output
 *     bins     up to 256 different values: each its own; more: rows of rank r in bin 256 r / n
 *     split    gain = sum over outputs of GL^2 / (nL + l2) + GR^2 / (nR + l2) - G^2 / (n + l2)
 *     grow     level by level down to `depth`, where the gain is above 1e-6 and both sides have a
 *              row; of equal gains the first column, then the lowest bin
 *     leaf     -rate G / (n + l2)
 *
 * G are sums of prediction less target.  Values are told apart by their upper 24 bits.  For small
 * tables on one thread: there are no missing values, and nothing is kept but the predictions.  The
 * same bytes at each level.
 */
#ifndef MILL_LEARN_MULTI_TREE_H
#define MILL_LEARN_MULTI_TREE_H

#include "base/level.h"
#include <stddef.h>
#include <stdint.h>

enum { MULTI_TREE_OUTPUTS = 15, MULTI_TREE_LANES = 16 };

typedef struct {
    int outputs; /* at most MULTI_TREE_OUTPUTS */
    int trees, depth;
    float rate, l2;
} multi_tree_options;

size_t multi_tree_scratch(int64_t n); /* bytes, aligned to 64, for both functions */

/* code (n) of a column x (n) without NaN. */
void multi_tree_bin(uint8_t *code, const float *x, int64_t n, void *scratch);

/* y and out: (n, 16), of which `outputs` lanes count; code: (cols, n).  out: the predictions for
 * the rows that the trees were fitted to. */
void multi_tree_fit(float *out, const float *y, const uint8_t *code, int64_t n, int cols,
                    const multi_tree_options *o, void *scratch);

/* For multi_tree.c: a node's best split on one column. */
typedef struct {
    float gain; /* 0: none */
    int bin;    /* rows up to it go left */
} multi_split;
typedef struct {
    const float *g;        /* (n, 16) gradients; lane 15 is 1 */
    const uint32_t *order; /* (rows) of the node */
    int64_t rows;
    int outputs;
    float l2;
} multi_node;
MILL_LEVEL_DECLARE(void, multi_tree_best,
                   (multi_split * out, const multi_node *node, const uint8_t *code));
MILL_LEVEL_DECLARE(void, multi_tree_sum, (float sum[16], const multi_node *node));
MILL_LEVEL_DECLARE(void, multi_tree_gradients,
                   (float *g, const float *out, const float *y, int64_t n));
MILL_LEVEL_DECLARE(void, multi_tree_add,
                   (float *out, const multi_node *node, const float leaf[16]));

#endif
