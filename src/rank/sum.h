/* sum.h - sums over ranks, per processor level. */
#ifndef MILL_RANK_SUM_H
#define MILL_RANK_SUM_H

#include "base/level.h"
#include <stdint.h>

/*
 * dst[d][i] = the tree over src[0][i] .. src[world - 1][i], for every d and 0 <= i < n.
 * Destinations may be sources, as a whole.  The tree is that of rank_tree (rank.h).
 */
MILL_LEVEL_DECLARE(void, rank_sum,
                   (float *const *dst, int n_dst, const float *const *src, int world, int64_t n));

/* The same at this machine's level (tree.c). */
void rank_add_up(float *const *dst, int n_dst, const float *const *src, int world, int64_t n);

#endif
