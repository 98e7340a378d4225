/*
 * features.h - what a learner sees of a table.
 *
 * A column is numbers (INTEGER, REAL, DATETIME as seconds; NaN is missing) or codes (BOOLEAN,
 * CATEGORY; -1 is missing). Trees take this as it is, codes as numbers.  Linear models take
 * design_rows: numbers with missing ones replaced by the mean, less the median, over the
 * interquartile range; one indicator for each category (and for "missing", where it occurs), put
 * through the same scaler.  The pipeline is that of SDMetrics' detection: SimpleImputer,
 * RobustScaler, and then the model. An interquartile range of zero counts as one.  A category that
 * was not there when the design was fitted has no indicator.
 *
 * The one-hot matrix is never made: a row holds the position of its indicator in the weight vector.
 */
#ifndef MILL_LEARN_FEATURES_H
#define MILL_LEARN_FEATURES_H

#include "table/table.h"

typedef struct {
    int source;      /* column of the table */
    int32_t n_codes; /* codes are < n_codes; 0: numbers */
    double *x;       /* (rows), or NULL */
    int32_t *code;   /* (rows), or NULL */
} feature_col;

typedef struct {
    int64_t rows;
    int n_cols;
    feature_col *col;
} mill_features;

/* The chosen columns of t; MILL_EINPUT for an identifier, which says nothing about other rows. */
mill_err features_new(mill_features **out, const mill_table *t, const int *cols, int n_cols);
mill_err features_take(mill_features **out, const mill_features *f, const int64_t *rows, int64_t n);
/* Rows of a, then those of b; MILL_ESHAPE unless their columns are alike. n_codes is the larger of
 * the two. */
mill_err features_concat(mill_features **out, const mill_features *a, const mill_features *b);
void features_free(mill_features *f); /* NULL allowed */

/* A view of one feature as a number: NaN if missing, codes as they are. */
static inline double feature_f64(const feature_col *c, int64_t i)
{
    if (c->x) return c->x[i];
    return c->code[i] < 0 ? __builtin_nan("") : (double)c->code[i];
}

typedef struct mill_design mill_design;

typedef struct {
    int64_t rows;
    int n_num, n_cat;
    int width;     /* weights without the intercept: n_num + all indicators */
    double *num;   /* (rows, n_num), scaled */
    int32_t *slot; /* (rows, n_cat): where the row's indicator has its weight, or -1 */
    double *unit;  /* (width): what an indicator counts, 1 / scale; 1 for numbers */
} design_rows;

mill_err design_fit(mill_design **out, const mill_features *x);
/* MILL_ESHAPE unless x has the columns that the design was fitted on. */
mill_err design_apply(design_rows **out, const mill_design *d, const mill_features *x);
void design_free(mill_design *d);
void design_rows_free(design_rows *r);

#endif
