/*
 * report.h - what the parts of an evaluation share while it is put together; for evaluate.c and its
 * parts only.
 */
#ifndef MILL_EVAL_REPORT_H
#define MILL_EVAL_REPORT_H

#include "eval/distribution.h"
#include "eval/evaluate.h"
#include "eval/put.h"
#include "eval/trends.h"

typedef struct {
    eval_options o;
    mill_pool *pool;
    const char **name; /* common columns */
    int n_common;
    mill_table real;           /* those of the real table, borrowed */
    mill_table *syn, *holdout; /* aligned */
    eval_view *view;
    json_t *report, *notes, *skipped, *columns;
    col_noise *noise; /* (n_common) */
    noise_rows resampled;
    json_t *expected;
    double shapes, trends[N_BINNINGS], thresholded[N_BINNINGS];
    bool failed; /* some JSON value could not be made */
} evaluation;

/* A line under "notes". */
void report_note(evaluation *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/*
 * A line under "skipped".  what: the keys, with dots, of a figure that is not there, and of all
 * below it: of the report, or of a column or a pair that is named.  What is skipped for the same
 * reason as the line before joins it, behind a comma.
 */
void report_skip(evaluation *e, const char *what, const char *column, const char *other,
                 const char *why);

/* Where figures stand: the keys above them ("": none) in the report, a column, or a pair. */
typedef struct {
    const char *under, *column, *other;
} report_place;

/* A figure; one that is not finite is null, and is skipped because of `why`. */
void report_number(evaluation *e, json_t *to, const report_place *at, const char *key, double x,
                   const char *why);

/* A running mean that leaves NaN out. */
typedef struct {
    double sum;
    int64_t n;
} mean;

static inline void mean_add(mean *m, double x)
{
    if (isnan(x)) return;
    m->sum += x;
    m->n++;
}

static inline double mean_get(const mean *m)
{
    return m->n ? m->sum / (double)m->n : (double)NAN;
}

static inline double mean_of_two(double a, double b)
{
    mean m = {0};

    mean_add(&m, a);
    mean_add(&m, b);
    return mean_get(&m);
}

/* The parts; each fills its keys of e->report. */
mill_err report_quality(evaluation *e);
mill_err report_diagnostic(evaluation *e, const mill_table *real, const mill_table *syn);
mill_err report_utility(evaluation *e);
mill_err report_detection(evaluation *e);
mill_err report_accuracy(evaluation *e);
bool report_histogram(evaluation *e, json_t *column, int c); /* false: nothing to draw, null */
mill_err report_support(evaluation *e);
mill_err report_privacy(evaluation *e);
int64_t report_max_rows(const evaluation *e);          /* the option, or its default */
bool report_is_compared(const evaluation *e, int col); /* neither an identifier nor the key */

#endif
