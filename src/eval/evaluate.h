/*
 * evaluate.h - how good a synthetic table is, measured against the real one.
 *
 * The report is one JSON object; docs/evaluate.md describes every key.  At its top:
 *
 *   - shapes: mean over columns of 1 - KS (numbers, dates) or 1 - TV (categories, booleans)
 *   - trends: mean over pairs of columns of 1 - |r - r'| / 2 for two numbers, else 1 - TV of the
 *     joint table, numbers in ten bins between the real column's least and largest value
 *   - trends_own_bins: the same, each table in bins of its own (what SDMetrics does)
 *   - trends_thresholded: trends_own_bins over pairs with |r| > .5 or Cramer's V > .3 in the real
 *     table; trends_thresholded_real_bins: likewise, in real bins
 *   - overall: mean of shapes and trends; with sdmetrics_compat of shapes and trends_thresholded
 *   - expected: what a second sample of the real table would score, of as many rows
 *   - accuracy (accuracy.h), support, privacy (nearness.h, groups.h), diagnostic, utility,
 *     detection, columns, pairs, options, rows, seed, notes, skipped
 *
 * What could not be computed is null and stands in `skipped` with the reason; what was done to the
 * data (rows drawn, types read otherwise, a split of the real table) stands in `notes`.
 *
 * The tables need not agree in types: the synthetic one and the holdout are read as the real one's
 * (eval_align). The same bytes for any number of threads.
 */
#ifndef MILL_EVAL_EVALUATE_H
#define MILL_EVAL_EVALUATE_H

#include "base/pool.h"
#include "base/text.h"
#include "table/table.h"
#include <jansson.h>

enum {
    EVAL_QUALITY = 1, /* shapes, trends, overall: always there, as the others are cheap beside it */
    EVAL_DIAGNOSTIC = 2,
    EVAL_UTILITY = 4,
    EVAL_DETECTION = 8,
    EVAL_ACCURACY = 16,
    EVAL_SUPPORT = 32,
    EVAL_PRIVACY = 64,
    EVAL_ALL = 127
};

enum { EVAL_VERSION = 1, EVAL_MAX_ROWS = 50000 }; /* of the report; docs/evaluate.schema.json */

typedef struct {
    const mill_table *holdout; /* real rows that the generator has not seen, or NULL */
    const char *target;        /* what the utility's learners predict; NULL: no utility */
    bool sdmetrics_compat;     /* all details as SDMetrics 0.32 has them */
    uint64_t seed;
    unsigned parts;   /* 0: EVAL_ALL */
    int64_t max_rows; /* what looks at pairs of rows, and learners, get so many rows of a table at
                         most; 0: EVAL_MAX_ROWS */
    const char *key;  /* the column that names a row: it has no distribution; or NULL */
    const char *sensitive;    /* what an attacker would like to know; or NULL */
    const char *const *known; /* (n_known) what she knows already */
    int n_known;
    /* Log-likelihoods of the real and the held-out rows under the model that made the synthetic
     * ones; NULL, and then no_likelihood says why, or is NULL too: there is no model. */
    const double *likelihood[2];
    const char *no_likelihood;
} eval_options;

/* MILL_EINPUT: no rows, no common column, a column that cannot be read as the real one's type, no
 * such target. */
mill_err mill_evaluate(json_t **report, const mill_table *real, const mill_table *synthetic,
                       const eval_options *o, mill_pool *pool);

/* The report as text, indented, keys in their order; mill_free. */
mill_err mill_evaluate_json(char **out, const json_t *report);

/* The report as a few lines for people. */
mill_err mill_evaluate_summary(mill_text *out, const json_t *report);

#endif
