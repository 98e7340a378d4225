/*
 * metric.h - how good predictions are.
 *
 * Definitions are scikit-learn's, so that figures can be compared.  n rows, k classes; labels are
 * 0..k-1; probabilities are (n, k).  NaN where a metric is not defined (no rows; one class only for
 * AUC; constant truth for R2). Sums run in row order.
 */
#ifndef MILL_LEARN_METRIC_H
#define MILL_LEARN_METRIC_H

#include "base/err.h"
#include <stdint.h>

/* Area under the ROC curve: the share of (positive, negative) pairs in the right order, ties one
 * half. */
mill_err metric_auc(double *out, const double *score, const uint8_t *positive, int64_t n);
/* One class against the rest, the mean over classes that have both sides. */
mill_err metric_auc_macro(double *out, const double *p, const int32_t *label, int64_t n, int k);

double metric_accuracy(const int32_t *guess, const int32_t *label, int64_t n);
double metric_f1(const int32_t *guess, const int32_t *label, int64_t n, int32_t positive);
/* Mean F1 over the classes that occur in guess or label. */
mill_err metric_f1_macro(double *out, const int32_t *guess, const int32_t *label, int64_t n, int k);

/* Mean -log p[label], p clipped to [2^-52, 1 - 2^-52]. */
double metric_log_loss(const double *p, const int32_t *label, int64_t n, int k);

double metric_r2(const double *guess, const double *y, int64_t n);
double metric_rmse(const double *guess, const double *y, int64_t n);
double metric_mae(const double *guess, const double *y, int64_t n);

/* The likeliest class of each row, the first of equals. */
void metric_argmax(int32_t *guess, const double *p, int64_t n, int k);

#endif
