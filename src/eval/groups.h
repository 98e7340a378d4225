/*
 * groups.h - rows that agree in some columns, and what that tells of people.
 *
 * A cell is a word of 64 bits: a code, a whole number or a date, the bits of another number, or
 * CELL_MISSING (which the integer -2^63 is taken for).  Rows of tables that are aligned agree where
 * their cells do; of a column that has whole numbers in one table and others in the second both are
 * read `as_double`.
 */
#ifndef MILL_EVAL_GROUPS_H
#define MILL_EVAL_GROUPS_H

#include "base/pool.h"
#include "eval/view.h"
#include "table/table.h"

#define CELL_MISSING INT64_MIN

int64_t cell_of(const mill_column *c, int64_t i, bool as_double);

/* A set of keys of k words, numbered in the order in which they came. */
typedef struct groups groups;
mill_err groups_new(groups **out, int k);
void groups_free(groups *g); /* NULL allowed */
mill_err groups_add(int64_t *id, groups *g, const int64_t *key);
int64_t groups_find(const groups *g, const int64_t *key); /* -1: not there */
int64_t groups_count(const groups *g);

/* Rows of `c` whose value is one of those of `in`, the same column of an aligned table; missing is
 * none. */
mill_err copied_rows(int64_t *n, const mill_column *c, const mill_column *in);

/*
 * Share of the rows of t whose every chosen cell is that of some row of `in`.  By fingerprints of
 * 64 bits: that a pair of different rows counts as equal has probability 2^-64.
 */
mill_err identical_share(double *share, const mill_table *t, const mill_table *in,
                         const int *column, int n, mill_pool *pool);

/*
 * Share of the rows listed of syn without a match in `real`: a row with the same codes,
 * missing where it is missing, and every number within `tolerance` times the synthetic one of it.
 */
typedef struct {
    const mill_table *syn, *real;
    const int64_t *row; /* NULL: the first n_rows */
    int64_t n_rows;
    const int *column; /* (n) */
    int n;
    double tolerance;
} match_task;
mill_err new_rows_share(double *share, const match_task *t, mill_pool *pool);

/*
 * CAP.  An attacker knows the `known` columns of a real row, looks them up in the synthetic table,
 * and guesses the sensitive values that stand there, in proportion.  mean: over real rows whose
 * known values occur, the share of the true sensitive ones.  Numbers count in ten bins of the real
 * range, missing is a value, as SDMetrics has it.  guess: 1 / (number of sensitive tuples that the
 * real table's values could make), what is reached without any table; score: min((1 - mean) / (1 -
 * guess), 1).
 */
typedef struct {
    double mean, guess, score; /* NaN: no real row's known values occur in the synthetic table */
    int64_t found;             /* real rows whose known values occur */
} disclosure;

typedef struct {
    const int *known, *sensitive; /* columns */
    int n_known, n_sensitive;
} attacker;

/* row: (rows) of either side that stand for all; NULL: the first so many. */
mill_err disclosure_compute(disclosure *d, const eval_view *v, const int64_t *const row[N_SIDES],
                            const int64_t rows[N_SIDES], const attacker *who);

/*
 * Rows that agree in all known columns form a class.  k: rows of the smallest class; alone: share
 * of rows whose class is theirs alone; below_5: share of rows in classes of fewer than five.  l:
 * different sensitive values in the class that has fewest (missing is one), one_value: share of
 * rows in classes that have one only; 0 and NaN without a sensitive column (-1).
 */
typedef struct {
    int64_t classes, k, l;
    double alone, below_5, one_value;
} anonymity;
mill_err anonymity_compute(anonymity *a, const mill_table *t, const int *known, int n_known,
                           int sensitive);

#endif
