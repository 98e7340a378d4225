/*
 * diagnostic.h - is the synthetic table valid, and does it cover the real one.
 *
 * All scores are 0 to 1, NaN where they are not defined.
 *
 *     boundary    share of synthetic values within [min, max] of the real ones.  Missing ones are
 *                 left out if the real column has some, else they are out of bounds
 *     category    share of synthetic values that the real column has; missing is a value
 *     key         1 - share of rows that are missing or repeat an earlier one
 *     range       1 - the share of the real range, at both ends, that synthetic values do not
 *                 reach, at least 0
 *     categories  share of real categories that the synthetic column has
 *     missing     1 - |difference of the shares of missing values|
 *     statistic   1 - |s - s'| / (max - min), at least 0, for mean, median and deviation
 */
#ifndef MILL_EVAL_DIAGNOSTIC_H
#define MILL_EVAL_DIAGNOSTIC_H

#include "eval/view.h"

typedef struct {
    const char *validity_metric; /* "BoundaryAdherence", "CategoryAdherence", "KeyUniqueness" */
    double validity;
    const char *coverage_metric; /* "RangeCoverage", "CategoryCoverage"; NULL for keys */
    double coverage;
    double missing;
    double mean, median, std; /* NaN for codes */
} col_diagnosis;

col_diagnosis diagnose(const col_view *c);

/* Validity of a second sample of the real table: its rows, each beside all others (Good-Turing). */
double expected_validity(const col_view *c);

/*
 * |common| / |either| of the sets of (name, type).  compat: types as pandas would have them after
 * reading the table: an integer column with missing values is a real one, a boolean one is text.
 */
double structure_score(const mill_table *real, const mill_table *syn, bool compat);

#endif
