/* detection.c - can a learner tell the synthetic rows from the real ones; see learners.h. */
#include "eval/learners.h"

#include "base/mem.h"
#include "eval/guess.h"
#include "learn/metric.h"

#include <math.h>

#define SQRT_2_OVER_PI 0.79788456080286535588

/* Replace missing numbers by the mean of the first n rows, the real ones; those of an empty column
 * by 0. */
static void impute(mill_features *f, int64_t n)
{
    for (int c = 0; c < f->n_cols; c++) {
        double *x = f->col[c].x, sum = 0;
        int64_t present = 0;

        if (!x) continue;
        for (int64_t i = 0; i < n; i++) {
            if (isnan(x[i])) continue;
            sum += x[i];
            present++;
        }
        for (int64_t i = 0; i < f->rows; i++)
            if (isnan(x[i])) x[i] = present ? sum / (double)present : 0;
    }
}

/* The AUC of one fold: the rows with fold[i] == k are tested, the others learnt from. x[l]:
 * features for learner l. */
static mill_err do_fold(double auc[N_LEARNERS], mill_features *const x[N_LEARNERS], const double *y,
                        const uint8_t *fold, int k, mill_pool *pool)
{
    const int64_t n = x[0]->rows;
    int64_t *const row = mill_alloc((size_t)n, 2 * sizeof *row), *const test_row = row + n;
    double *const y_train = mill_alloc((size_t)n, sizeof *y_train), *const p = mill_alloc(
                                                                        (size_t)n, 2 * sizeof *p);
    uint8_t *const positive = mill_alloc((size_t)n, 1);
    int64_t n_train = 0, n_test = 0;
    mill_err err = row && y_train && p && positive ? MILL_OK : MILL_ENOMEM;

    for (int64_t i = 0; !err && i < n; i++) {
        if (fold[i] == k) {
            positive[n_test] = y[i] > 0;
            test_row[n_test++] = i;
        } else {
            y_train[n_train] = y[i];
            row[n_train++] = i;
        }
    }
    for (int l = 0; !err && l < N_LEARNERS; l++) {
        mill_features *train = NULL, *test = NULL;

        err = features_take(&train, x[l], row, n_train);
        if (!err) err = features_take(&test, x[l], test_row, n_test);
        if (!err) err = eval_guess(p, l, train, y_train, test, 2, pool);
        for (int64_t i = 0; !err && i < n_test; i++) p[i] = p[2 * i + 1];
        if (!err) err = metric_auc(&auc[l], p, positive, n_test);
        features_free(train);
        features_free(test);
    }
    mill_free(row);
    mill_free(y_train);
    mill_free(p);
    mill_free(positive);
    return err;
}

/* Rows of both tables, `learner_rows` of each at the most, real ones first. */
static mill_err stack(mill_features **out, int64_t rows[2], const mill_table *real,
                      const mill_table *syn, const learn_task *task)
{
    const mill_table *const table[2] = {real, syn};
    mill_features *some[2] = {NULL, NULL};
    mill_err err = MILL_OK;

    for (int s = 0; !err && s < 2; s++) {
        mill_features *all = NULL;
        int64_t *row = NULL;

        rows[s] = task->learner_rows;
        err =
            draw_rows(&row, &rows[s], table[s]->rows, task->seed, STREAM_SAMPLE, (uint32_t)(8 + s));
        if (!err) err = features_new(&all, table[s], task->feature, task->n_features);
        if (!err) err = features_take(&some[s], all, row, rows[s]);
        features_free(all);
        mill_free(row);
    }
    if (!err) err = features_concat(out, some[0], some[1]);
    for (int s = 0; s < 2; s++) features_free(some[s]);
    return err;
}

/* fold (rows[0] + rows[1]): each side dealt in turn, in random order. */
static mill_err deal_folds(uint8_t *fold, const int64_t rows[2], uint64_t seed)
{
    for (int s = 0; s < 2; s++) {
        int64_t *order = NULL, k = rows[s] - 1;

        TRY(draw_rows(&order, &k, rows[s], seed, STREAM_FOLDS, (uint32_t)s));
        for (int64_t i = 0; i < rows[s]; i++)
            fold[(s ? rows[0] : 0) + order[i]] = (uint8_t)(i % N_FOLDS);
        mill_free(order);
    }
    return MILL_OK;
}

/* The mean of 2 max(1/2, AUC) - 1 where only chance moves the AUC: Mann and Whitney's variance. */
static double expected_score(const int64_t rows[2])
{
    double sum = 0;

    for (int k = 0; k < N_FOLDS; k++) { /* dealt in turn */
        const int64_t tested[2] = {(rows[0] + N_FOLDS - 1 - k) / N_FOLDS,
                                   (rows[1] + N_FOLDS - 1 - k) / N_FOLDS};
        const double n = (double)tested[0], m = (double)tested[1];
        sum += sqrt((n + m + 1) / (12 * n * m));
    }
    return fmax(0, 1 - SQRT_2_OVER_PI * sum / N_FOLDS);
}

mill_err detection_compute(detection_result *d, const mill_table *real, const mill_table *syn,
                           const learn_task *task)
{
    mill_features *x[N_LEARNERS] = {NULL, NULL};
    double *y = NULL;
    uint8_t *fold = NULL;
    mill_err err;

    *d = (detection_result){.score = {(double)NAN, (double)NAN}, .expected = (double)NAN};
    if (!task->n_features)
        d->why = "no column that a learner could use";
    else if (real->rows < N_FOLDS || syn->rows < N_FOLDS || task->learner_rows < N_FOLDS)
        d->why = "fewer rows than folds";
    if (d->why) return MILL_OK;

    if ((err = stack(&x[LEARNER_BOOSTED], d->rows, real, syn, task))) goto done;
    if ((err = stack(&x[LEARNER_LINEAR], d->rows, real, syn, task))) goto done;
    impute(x[LEARNER_LINEAR], d->rows[0]);
    err = MILL_ENOMEM;
    const int64_t n = d->rows[0] + d->rows[1];
    if (!(y = mill_alloc((size_t)n, sizeof *y))) goto done;
    if (!(fold = mill_alloc((size_t)n, 1))) goto done;
    for (int64_t i = 0; i < d->rows[0]; i++) y[i] = 1;
    if ((err = deal_folds(fold, d->rows, task->seed))) goto done;
    for (int k = 0; !err && k < N_FOLDS; k++) {
        double auc[N_LEARNERS];
        err = do_fold(auc, x, y, fold, k, task->pool);
        for (int l = 0; !err && l < N_LEARNERS; l++) d->auc[l][k] = auc[l];
    }
    for (int l = 0; !err && l < N_LEARNERS; l++) {
        double sum = 0;
        for (int k = 0; k < N_FOLDS; k++) sum += fmax(0.5, d->auc[l][k]) * 2 - 1;
        d->score[l] = 1 - sum / N_FOLDS;
    }
    d->expected = expected_score(d->rows);
done:
    for (int l = 0; l < N_LEARNERS; l++) features_free(x[l]);
    mill_free(y);
    mill_free(fold);
    return err;
}
