/*
 * near.h - rows of tables as points, and how far the nearest ones are: every pair is looked at.
 *
 * Two measures of a pair of rows, sums over columns:
 *
 *     L1        number    min(|a - b| / range of the real column, 1); range 0: [a != b]
 *               code      weight [a != b], weight 1 (Gower; SDMetrics' DCR) or 2 (one-hot; TabSyn)
 *               missing   both: 0, one: as much as two different codes, or 1 for a number
 *     SQUARED   number    (a - b)^2 / variance of the real column, missing ones at the mean
 *               code      2 [a != b], which is one-hot; missing is a value
 *               whether a number is missing is a code, where the real column has missing ones
 *
 * The kernels (cpu/near.c) compare one row with sixteen at a time in floats.  For L1 that is a
 * sieve only: whatever may be nearer than the best two so far is measured again in double, so the
 * result does not depend on rounding in float, nor on the order of the rows.  SQUARED is float
 * throughout.  The same bytes on every level and for any number of threads.
 *
 * Identifiers have no distance and are left out by who chooses the columns.
 */
#ifndef MILL_EVAL_NEAR_H
#define MILL_EVAL_NEAR_H

#include "base/level.h"
#include "base/pool.h"
#include "table/table.h"

typedef enum { NEAR_L1, NEAR_SQUARED } near_measure;

enum { NEAR_LANES = 16, NEAR_BLOCKS = 32 }; /* rows of a block; blocks of a call to the kernel */

typedef struct {
    int source; /* column of the tables */
    bool is_code, is_missing_flag;
    double low, range; /* L1: of the real column; SQUARED: mean and standard deviation */
    float cap;         /* a term counts this much at the most */
} near_coord;

typedef struct {
    near_measure measure;
    double code_weight; /* L1 */
    int n, n_numbers;   /* coordinates; those among them that are numbers */
    near_coord *coord;
} near_scale;

/* From all rows of the real table; `column`: n of its columns. */
mill_err near_scale_new(near_scale **out, const mill_table *real, const int *column, int n,
                        near_measure measure, double code_weight);
void near_scale_free(near_scale *s); /* NULL allowed */

typedef struct {
    int64_t rows, n_blocks;
    int n;
    float *row;    /* (rows, n) */
    float *block;  /* (n_blocks, n, NEAR_LANES); rows behind the last are far from everything */
    double *exact; /* L1: (rows, n) */
} near_points;

/* Rows row[0 .. n) of t, which is aligned with the real table; row NULL: the first n. */
mill_err near_points_new(near_points **out, const near_scale *s, const mill_table *t,
                         const int64_t *row, int64_t n);
/* n rows without any sense: numbers uniform over the real range (integers whole), codes uniform
 * over the values that the real column has, missing as often as there.  L1 alone. */
mill_err near_points_random(near_points **out, const near_scale *s, const mill_table *real,
                            int64_t n, uint64_t seed);
void near_points_free(near_points *p); /* NULL allowed */

typedef struct {
    double first, second; /* sums over coordinates; squared ones are not rooted; INFINITY: none */
    int64_t at;           /* the nearest point; the lowest of equals; -1: none */
} near_pair;

/*
 * Of every point of `query` the two nearest of `ref`.  but_itself: query and ref are the same
 * points, and a point is not its own neighbour.
 */
mill_err near_two(near_pair *out, const near_scale *s, const near_points *query,
                  const near_points *ref, bool but_itself, mill_pool *pool);

/* The distance of two points as it is defined above. */
double near_distance(const near_scale *s, const near_points *a, int64_t i, const near_points *b,
                     int64_t j);

/* Sum over all pairs of exp(-gamma d^2); of a set with itself the pairs i != j, each twice. */
mill_err near_kernel_sum(double *sum, const near_scale *s, const near_points *a,
                         const near_points *b, double gamma, mill_pool *pool);

/*
 * Level functions.  NEAR_TILE rows against up to NEAR_BLOCKS blocks of n coordinates:
 * near_sieve: bit l of mask[q * NEAR_BLOCKS + b] says that row q's sum over block b, lane l is at
 * most limit[q].  near_gauss: sum[q] += sum over the blocks of exp(-gamma sum).
 */
enum { NEAR_TILE = 8 };
MILL_LEVEL_DECLARE(void, near_sieve_l1,
                   (uint16_t * mask, const float *row, const float *block, int n_blocks,
                    const float *cap, int n, const float *limit));
MILL_LEVEL_DECLARE(void, near_sieve_squared,
                   (uint16_t * mask, const float *row, const float *block, int n_blocks,
                    const float *cap, int n, const float *limit));
MILL_LEVEL_DECLARE(void, near_gauss,
                   (double *sum, const float *row, const float *block, int n_blocks,
                    const float *cap, int n, float gamma));

#endif
