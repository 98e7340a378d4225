/* predict.c - a network's answers as a table. */
#include "base/mem.h"
#include "base/vmath.h"
#include "classify/classify.h"

#include <string.h>

enum { ALL_DIGITS = 15 }; /* as decimals: those that it takes to read a number back */

static mill_err number_column(mill_table *t, const cls_encoder *e, const float *out, int64_t n)
{
    TRY(column_init(&t->col[0], e->target.name, MILL_REAL, n));
    t->col[0].decimals = ALL_DIGITS;
    for (int64_t i = 0; i < n; i++) t->col[0].f64[i] = (double)out[i] * e->y_scale + e->y_mean;
    return MILL_OK;
}

/* "p_" and the class. */
static mill_err name_probability(mill_column *c, const cls_column *target, int k, int64_t n)
{
    const int len = target->offset[k + 1] - target->offset[k];
    char *name = mill_alloc((size_t)len + 3, 1);

    if (!name) return MILL_ENOMEM;
    memcpy(name, "p_", 2); /* NOLINT(bugprone-not-null-terminated-result): more follows */
    memcpy(name + 2, target->text + target->offset[k], (size_t)len);
    const mill_err err = column_init(c, name, MILL_REAL, n);
    mill_free(name);
    c->decimals = ALL_DIGITS;
    return err;
}

static mill_err class_columns(mill_table *t, const cls_encoder *e, const float *out, int64_t n)
{
    const cls_column *target = &e->target;
    const int k = target->n_values;

    TRY(column_init(&t->col[0], target->name, MILL_CATEGORY, n));
    TRY(column_set_dictionary(&t->col[0], k, target->offset, target->text));
    for (int c = 0; c < k; c++) TRY(name_probability(&t->col[c + 1], target, c, n));
    for (int64_t i = 0; i < n; i++, out += k) {
        int best = 0;
        double sum = 0;
        for (int c = 1; c < k; c++) best = out[c] > out[best] ? c : best;
        for (int c = 0; c < k; c++)
            sum += t->col[c + 1].f64[i] = mill_exp_f64((double)out[c] - (double)out[best]);
        for (int c = 0; c < k; c++) t->col[c + 1].f64[i] /= sum;
        t->col[0].code[i] = best;
    }
    return MILL_OK;
}

mill_err cls_model_table(mill_table **out, const cls_model *m, const float *net_out, int64_t n)
{
    const cls_encoder *e = m->encoder;
    const bool is_class = e->task == CLS_CLASSES;
    mill_table *t;

    TRY(table_new(&t, n, is_class ? 1 + e->target.n_values : 1));
    const mill_err err =
        is_class ? class_columns(t, e, net_out, n) : number_column(t, e, net_out, n);
    if (err)
        mill_table_free(t);
    else
        *out = t;
    return err;
}
