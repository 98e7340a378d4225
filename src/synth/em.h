/*
 * em.h - maximum likelihood of a mixture of independent columns, by EM over codes.
 *
 *     p(x) = sum_k w_k prod_j p_j(x_j | k),    x_j a code of column j
 *
 *     E:  r_ik = w_k prod_j p_j(x_ij | k) / p(x_i)
 *     M:  N_k = sum_i r_ik,   w_k = (N_k + s) / (n + K s),
 *         p_j(c | k) = (sum_{i: x_ij = c} r_ik + a_j m_j(c)) / (N_k + a_j),   m_j the marginal
 *
 * The last line is the mode under a Dirichlet prior of strength a_j shaped as the marginal, so no
 * code ever has probability 0.  a_j is 1; with `smooth` 1 and the codes of the column more: that is
 * what makes rows that were not seen likeliest, and what K is chosen by, but rows drawn from it are
 * blurred (docs/synth.md has figures).
 *
 * Layout: components are lanes, padded to 16, in blocks of EM_BLOCK lanes; a table holds block
 * after block, in each one row of lanes per code.  The tables of a block (600 codes: 150 KB) stay
 * in L2.  Rows of data go through in spans: responsibilities of a span are computed row chunk by
 * row chunk, then added up column by column, each (column, block) in the order of the rows.  So
 * every sum has one order, whatever the number of threads, and there is one accumulator.
 *
 * The tables of 1,000 columns (28 MB) are in no L2: there chunks are long, and both walks take
 * EM_TILE columns at a time for all rows of the chunk, so that a table is read once a chunk and
 * not once a row.  A sum that waits in memory for its next columns is the same sum.
 *
 * Counts are floats for EM_UNIT rows; then they go into totals of 64-bit integers, 2^-EM_BITS each.
 * Integers add up to the same total in any order: ranks may share the units, and any number of them
 * gives the same tables.
 */
#ifndef MILL_SYNTH_EM_H
#define MILL_SYNTH_EM_H

#include "base/level.h"
#include "rank/rank.h"
#include "synth/codes.h"

enum {
    EM_BLOCK = 64,
    EM_ROWS = 64 /* whose likelihoods are added up as doubles */,
    EM_TOGETHER = 3 /* columns counted at once */,
    EM_TILE = 24 /* columns whose tables share a cache: a multiple of EM_TOGETHER */,
    EM_ROWS_WIDE = 1024 /* of a chunk at most */,
    EM_STRIDE = EM_ROWS_WIDE + 16 /* columns of codes do not meet in one set of the cache */,
    EM_UNIT = 8192 /* rows whose counts are added up as floats: a multiple of every span */,
    EM_BITS = 28 /* of a total behind the point; 256 units of counts stay below 2^51 */
};

typedef struct {
    const synth_codes *codes;
    mill_pool *pool;
    rank_group *group;  /* that shares the rows, or NULL; borrowed */
    int64_t rows;       /* that are learnt from: */
    const int32_t *row; /* these ones; NULL: 0, 1, ... */
    int k, lanes, blocks;
    int n_cols;                 /* with codes */
    int32_t *col;               /* which */
    int64_t span;               /* rows at once: from the lanes alone */
    float *logp, *acc;          /* n_codes x lanes */
    int64_t *total;             /* likewise; NULL for few rows */
    float *marginal, *strength; /* per code: m_j(c), a_j */
    int32_t *wait;              /* per code: units that it waits for; a power of two */
    float *logw, *mass;         /* per lane */
    float *r, *inverse;         /* of the span */
    double *chunk_sum;          /* log-likelihood of each EM_ROWS of the span */
    int32_t most_wait;
    double log_likelihood; /* of the last E step: nats per row */
    double state[2];       /* what else a checkpoint holds, while it is written */
} em;

/* Borrows codes, pool and row.  Tables are set by em_start or em_load. */
mill_err em_new(em **out, const synth_codes *codes, int k, const int32_t *row, int64_t rows,
                bool smooth, mill_pool *pool);
void em_free(em *e);
void em_start(em *e, uint64_t seed); /* component k begins near a row drawn by (seed, k) */
/* One E and M step.  With a group all ranks call it, and all have the same tables afterwards; it
 * fails only there. */
mill_err em_step(em *e);
/* Mean log-likelihood of other rows under the tables as they are; the state stays. */
double em_score(em *e, const int32_t *row, int64_t rows);
int64_t em_bytes(const synth_codes *codes, int64_t rows, int64_t k); /* what em_new takes */

/* float index of (code among all, lane 0) of a block */
static inline int64_t em_at(const em *e, int block, int64_t code)
{
    const int width = e->lanes - block * EM_BLOCK;
    return (int64_t)block * EM_BLOCK * e->codes->n_codes +
           code * (width < EM_BLOCK ? width : EM_BLOCK);
}
static inline int em_width(const em *e, int block)
{
    const int width = e->lanes - block * EM_BLOCK;
    return width < EM_BLOCK ? width : EM_BLOCK;
}

/* Columns of a span: row i of column j has code[j * stride + i]. */
typedef struct {
    const int32_t *code;
    int64_t stride;
    int n_cols;
} em_columns;

/* The kernels: cpu/em.c.  width is 16, 32, 48 or 64 lanes.  em_logits adds a row of the table per
 * column to logw, or, if that is NULL, to what r holds. */
MILL_LEVEL_DECLARE(void, em_logits,
                   (float *r, const float *table, const float *logw, int width, const em_columns *c,
                    int64_t rows));
/* Rows from, ... of r, blocks of `span` rows: leaves exp(x - max), and 1 / their sum in
 * inverse[from], ...; the log-likelihood of the rows. */
MILL_LEVEL_DECLARE(double, em_softmax,
                   (float *r, int64_t from, float *inverse, int64_t span, int lanes, int64_t rows));
/* At most EM_TOGETHER columns. */
MILL_LEVEL_DECLARE(void, em_count,
                   (float *acc, const float *r, const float *inverse, int width,
                    const em_columns *c, int64_t rows));
/* n totals take up the counts in acc, which is left zero. */
MILL_LEVEL_DECLARE(void, em_collect, (int64_t * total, float *acc, int64_t n));
/* acc = n totals, which are left zero. */
MILL_LEVEL_DECLARE(void, em_deliver, (float *acc, int64_t *total, int64_t n));
/* logp of n codes; acc is left zero. */
MILL_LEVEL_DECLARE(void, em_logs,
                   (float *logp, float *acc, const float *marginal, const float *strength,
                    const float *mass, int width, int64_t n));

#endif
