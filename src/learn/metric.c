/*
 * metric.c - the formulas of metric.h.
 *
 * AUC by midranks: (sum of the ranks of the positives - P (P + 1) / 2) / (P N), where equal scores
 * share the mean of their ranks; that is the area under the curve with ties joined by straight
 * lines.
 */
#include "learn/metric.h"

#include "base/mem.h"
#include "base/vmath.h"
#include "learn/order.h"

#include <math.h>

mill_err metric_auc(double *out, const double *score, const uint8_t *positive, int64_t n)
{
    int64_t *const order = mill_alloc((size_t)n, sizeof *order);
    double rank_sum = 0, n_pos = 0;
    mill_err err = order ? order_f64(order, score, n) : MILL_ENOMEM;

    for (int64_t i = 0, end; !err && i < n; i = end) {
        int64_t pos = 0;
        for (end = i; end < n && !(score[order[end]] > score[order[i]]); end++)
            pos += positive[order[end]];
        rank_sum += 0.5 * (double)(i + 1 + end) * (double)pos;
        n_pos += (double)pos;
    }
    if (!err) {
        const double n_neg = (double)n - n_pos;
        *out = n_pos > 0 && n_neg > 0 ? (rank_sum - n_pos * (n_pos + 1) / 2) / (n_pos * n_neg)
                                      : (double)NAN;
    }
    mill_free(order);
    return err;
}

mill_err metric_auc_macro(double *out, const double *p, const int32_t *label, int64_t n, int k)
{
    double *const score = mill_alloc((size_t)n, sizeof *score);
    uint8_t *const positive = mill_alloc((size_t)n, 1);
    mill_err err = score && positive ? MILL_OK : MILL_ENOMEM;
    double sum = 0;
    int counted = 0;

    for (int c = 0; !err && c < k; c++) {
        double auc = 0;

        for (int64_t i = 0; i < n; i++) {
            score[i] = p[i * k + c];
            positive[i] = label[i] == c;
        }
        if ((err = metric_auc(&auc, score, positive, n)) || isnan(auc)) continue;
        sum += auc;
        counted++;
    }
    if (!err) *out = counted ? sum / counted : (double)NAN;
    mill_free(score);
    mill_free(positive);
    return err;
}

double metric_accuracy(const int32_t *guess, const int32_t *label, int64_t n)
{
    int64_t right = 0;

    for (int64_t i = 0; i < n; i++) right += guess[i] == label[i];
    return n ? (double)right / (double)n : (double)NAN;
}

double metric_f1(const int32_t *guess, const int32_t *label, int64_t n, int32_t positive)
{
    int64_t hit = 0, guessed = 0, there = 0;

    for (int64_t i = 0; i < n; i++) {
        hit += guess[i] == positive && label[i] == positive;
        guessed += guess[i] == positive;
        there += label[i] == positive;
    }
    return guessed + there ? 2.0 * (double)hit / (double)(guessed + there) : (double)NAN;
}

mill_err metric_f1_macro(double *out, const int32_t *guess, const int32_t *label, int64_t n, int k)
{
    int64_t(*const count)[2] = mill_alloc((size_t)k, sizeof *count); /* hits; guessed and there */
    double sum = 0;
    int present = 0;

    if (!count) return MILL_ENOMEM;
    for (int64_t i = 0; i < n; i++) {
        count[guess[i]][0] += guess[i] == label[i];
        count[guess[i]][1]++;
        count[label[i]][1]++;
    }
    for (int c = 0; c < k; c++) {
        if (!count[c][1]) continue;
        sum += 2.0 * (double)count[c][0] / (double)count[c][1];
        present++;
    }
    *out = present ? sum / present : (double)NAN;
    mill_free(count);
    return MILL_OK;
}

double metric_log_loss(const double *p, const int32_t *label, int64_t n, int k)
{
    const double least = 0x1p-52, most = 1 - 0x1p-52;
    double sum = 0;

    for (int64_t i = 0; i < n; i++) {
        const double q = p[i * k + label[i]];
        sum -= mill_log_f64(q < least ? least : q > most ? most : q);
    }
    return n ? sum / (double)n : (double)NAN;
}

static double squared_error(const double *guess, const double *y, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++) sum += (guess[i] - y[i]) * (guess[i] - y[i]);
    return sum;
}

double metric_r2(const double *guess, const double *y, int64_t n)
{
    double mean = 0, spread = 0;

    for (int64_t i = 0; i < n; i++) mean += y[i];
    mean /= (double)n;
    for (int64_t i = 0; i < n; i++) spread += (y[i] - mean) * (y[i] - mean);
    return spread > 0 ? 1 - squared_error(guess, y, n) / spread : (double)NAN;
}

double metric_rmse(const double *guess, const double *y, int64_t n)
{
    return n ? sqrt(squared_error(guess, y, n) / (double)n) : (double)NAN;
}

double metric_mae(const double *guess, const double *y, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++) sum += fabs(guess[i] - y[i]);
    return n ? sum / (double)n : (double)NAN;
}

void metric_argmax(int32_t *guess, const double *p, int64_t n, int k)
{
    for (int64_t i = 0; i < n; i++) {
        int best = 0;
        for (int c = 1; c < k; c++)
            if (p[i * k + c] > p[i * k + best]) best = c;
        guess[i] = best;
    }
}
