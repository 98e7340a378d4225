/*
 * metrics.c - how good a network's answers are, over exactly the rows of a set.
 *
 * Probabilities are softmax of the answers in double, with our own exp; sums run in row order.  AUC
 * is the mean over the classes that have rows on both sides.
 */
#include "base/mem.h"
#include "base/vmath.h"
#include "classify/classify.h"
#include "learn/metric.h"

#include <math.h>
#include <string.h>

void cls_metrics_deinit(cls_metrics *m)
{
    mill_free(m->class_accuracy);
    mill_free(m->class_rows);
    *m = (cls_metrics){0};
}

/* p: (k) */
static void probabilities(double *p, const float *out, int64_t k)
{
    double most = (double)out[0], sum = 0;

    for (int64_t j = 1; j < k; j++) most = (double)out[j] > most ? (double)out[j] : most;
    for (int64_t j = 0; j < k; j++) sum += p[j] = mill_exp_f64((double)out[j] - most);
    for (int64_t j = 0; j < k; j++) p[j] /= sum;
}

static mill_err class_metrics(cls_metrics *m, const cls_rows *r, double *p, int32_t *guess, int k)
{
    const int64_t n = r->n;
    double hits = 0;

    m->class_accuracy = mill_alloc((size_t)k, sizeof *m->class_accuracy);
    m->class_rows = mill_alloc((size_t)k, sizeof *m->class_rows);
    if (!m->class_accuracy || !m->class_rows) return MILL_ENOMEM;
    metric_argmax(guess, p, n, k);
    for (int64_t i = 0; i < n; i++) {
        const bool hit = guess[i] == r->label[i];
        hits += hit;
        m->class_accuracy[r->label[i]] += hit;
        m->class_rows[r->label[i]]++;
    }
    for (int c = 0; c < k; c++)
        m->class_accuracy[c] =
            m->class_rows[c] ? m->class_accuracy[c] / (double)m->class_rows[c] : (double)NAN;
    m->accuracy = hits / (double)n;
    m->loss = metric_log_loss(p, r->label, n, k);
    TRY(metric_auc_macro(&m->auc, p, r->label, n, k));
    return metric_f1_macro(&m->f1, guess, r->label, n, k);
}

static mill_err of_classes(cls_metrics *m, const cls_rows *r, const float *out, int k)
{
    size_t cells;

    TRY(mill_size_mul(&cells, (size_t)r->n, (size_t)k));
    double *p = mill_alloc(cells, sizeof *p);
    int32_t *guess = mill_alloc((size_t)r->n, sizeof *guess);
    mill_err err = p && guess ? MILL_OK : MILL_ENOMEM;
    if (!err) {
        for (int64_t i = 0; i < r->n; i++) probabilities(p + i * k, out + i * k, k);
        err = class_metrics(m, r, p, guess, k);
    }
    mill_free(p);
    mill_free(guess);
    return err;
}

static mill_err of_numbers(cls_metrics *m, const cls_encoder *e, const cls_rows *r,
                           const float *out)
{
    double *guess = mill_alloc((size_t)r->n, sizeof *guess);

    if (!guess) return MILL_ENOMEM;
    for (int64_t i = 0; i < r->n; i++) guess[i] = (double)out[i] * e->y_scale + e->y_mean;
    m->rmse = metric_rmse(guess, r->y, r->n);
    m->mae = metric_mae(guess, r->y, r->n);
    m->r2 = metric_r2(guess, r->y, r->n);
    m->loss = m->rmse * m->rmse / (e->y_scale * e->y_scale);
    mill_free(guess);
    return MILL_OK;
}

mill_err cls_metrics_make(cls_metrics *m, const cls_encoder *e, const cls_rows *rows,
                          const float *out)
{
    const double none = (double)NAN;
    cls_metrics made = {rows->n, none, none, none, none, none, none, none, NULL, NULL};
    mill_err err = MILL_OK;

    if (rows->n && e->task == CLS_CLASSES)
        err = of_classes(&made, rows, out, e->target.n_values);
    else if (rows->n)
        err = of_numbers(&made, e, rows, out);
    if (err) {
        cls_metrics_deinit(&made);
        return err;
    }
    cls_metrics_deinit(m);
    *m = made;
    return MILL_OK;
}

/* Probabilities and guesses; for the AUC of a class a copy of its column, whether a row is of it,
 * the order of the rows, and the two lists of pairs by which that is found. */
int64_t cls_metrics_bytes(const cls_encoder *e, int64_t rows)
{
    enum { NUMBER = sizeof(double), AUC = NUMBER + 1 + 5 * sizeof(int64_t) };

    if (e->task == CLS_NUMBER) return rows * NUMBER;
    return rows * ((int64_t)e->target.n_values * NUMBER + (int64_t)sizeof(int32_t) + AUC);
}

static void set(json_t *o, const char *key, double x)
{
    json_object_set_new(o, key, isfinite(x) ? json_real(x) : json_null());
}

/* The class's text; where it is not UTF-8, its number. */
static json_t *class_json(const cls_metrics *m, const cls_encoder *e, int c)
{
    const char *text = e->target.text + e->target.offset[c];
    const size_t len = (size_t)(e->target.offset[c + 1] - e->target.offset[c]);
    json_t *o = json_pack("{s:o?,s:I}", "class", json_stringn(text, len), "rows",
                          (json_int_t)m->class_rows[c]);

    if (!o) o = json_pack("{s:i,s:I}", "class", c, "rows", (json_int_t)m->class_rows[c]);
    set(o, "accuracy", m->class_accuracy[c]);
    return o;
}

json_t *cls_metrics_json(const cls_metrics *m, const cls_encoder *e)
{
    json_t *o = json_object();

    json_object_set_new(o, "rows", json_integer(m->rows));
    set(o, "loss", m->loss);
    if (e->task == CLS_NUMBER) {
        set(o, "rmse", m->rmse);
        set(o, "mae", m->mae);
        set(o, "r2", m->r2);
        return o;
    }
    set(o, "accuracy", m->accuracy);
    set(o, "f1_macro", m->f1);
    set(o, "auc_macro", m->auc);
    json_t *classes = json_array();
    for (int c = 0; m->class_rows && c < e->target.n_values; c++)
        json_array_append_new(classes, class_json(m, e, c));
    json_object_set_new(o, "per_class", classes);
    return o;
}
