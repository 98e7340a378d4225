/*
 * grow.h - one regression tree on gradients, best leaf first; for boost.c.
 *
 * A node splits on `bin` of column `col`: bins up to it go left, the others right, missing values
 * as they learnt. The children of a node are neighbours: left, left + 1.  left == 0 marks a leaf.
 */
#ifndef MILL_LEARN_GROW_H
#define MILL_LEARN_GROW_H

#include "base/pool.h"
#include "learn/bins.h"
#include "learn/boost.h"

typedef struct {
    int32_t left, col;
    uint8_t bin;
    bool missing_left;
    double value; /* of a leaf */
} tree_node;

typedef struct {
    int n_nodes;
    tree_node *node;
} tree;

typedef struct grower grower;

/* Borrows bin (n_cols, rows) and map until grower_free. */
mill_err grower_new(grower **out, const uint8_t *bin, int64_t rows, const bin_map *map,
                    const boost_options *o, mill_pool *pool);
void grower_free(grower *g);

/*
 * Grow a tree from gradients g (rows) and second derivatives h (rows; NULL: all one), and add its
 * leaves' values to score[i * stride].  to: room for 2 * leaves - 1 nodes.
 */
void grower_grow(tree *to, grower *gr, const float *g, const float *h, double *score, int stride);

/* Of the leaf that row `row` falls into; bin: (n_cols, rows). */
double tree_value(const tree *t, const uint8_t *bin, int64_t rows, int64_t row);

#endif
