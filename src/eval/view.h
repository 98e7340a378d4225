/*
 * view.h - two aligned tables as the metrics want them: numbers with NaN, codes, bins; side
 * SIDE_REAL and side SIDE_SYN.
 *
 * Bins are NumPy's: ten of equal width from the least to the largest value, digitised so that bin i
 * holds edge[i-1] <= x < edge[i]; a column of one value v has edges from v - .5 to v + .5.
 *
 *     own bins    edges of the side itself; the largest value and missing ones have bin 11
 *                 (np.digitize, as SDMetrics' report)
 *     real bins   edges of the real side with open ends; missing ones have bin 11
 */
#ifndef MILL_EVAL_VIEW_H
#define MILL_EVAL_VIEW_H

#include "base/pool.h"
#include "table/table.h"

enum { SIDE_REAL, SIDE_SYN, N_SIDES };
enum { N_BINS = 10, MISSING_CODE = 11, N_BIN_CODES = 12 };

typedef struct {
    int64_t rows, n; /* n: present */
    double *x;       /* (rows) numbers, NaN if missing; NULL for codes */
    double *sorted;  /* (n) */
    int64_t n_different;
    double min, max, mean, median, std; /* std with n - 1; NaN where there are no values */
    uint32_t *code;     /* (rows): codes, n_codes - 1 for missing; own bins for numbers */
    uint32_t *real_bin; /* (rows) numbers: real bins */
    int64_t *count;     /* (n_codes - 1) present codes */
} col_side;

typedef struct {
    const char *name;
    mill_coltype type;    /* the real one's */
    bool is_code, is_key; /* is_key: names rows, has no distribution */
    int32_t n_codes;      /* of both sides, with the one for missing; N_BIN_CODES for numbers */
    bool can_bin;         /* the range of both sides is finite */
    double unit;          /* numbers are so many times the column's: 1e9 for dates in_ns, else 1 */
    col_side side[N_SIDES];
} col_view;

typedef struct {
    int n_cols;
    col_view *col;
} eval_view;

/* Borrows the tables' names. in_ns: dates in nanoseconds, as pandas has them. */
mill_err view_new(eval_view **out, const mill_table *real, const mill_table *syn, bool in_ns,
                  mill_pool *pool);
void view_free(eval_view *v);
/* n_different, min, max, mean, median and std of `sorted`; n_different counts on from what it is.
 */
void side_describe(col_side *s);

#endif
