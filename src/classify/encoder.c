/*
 * encoder.c - from a source to an encoder: columns, classes, means and deviations.
 *
 * Sums run in row order over the training rows, the variance around the mean.
 */
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "classify/inner.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void column_free(cls_column *c)
{
    mill_free(c->name);
    mill_free(c->format);
    mill_free(c->offset);
    mill_free(c->text);
}

void cls_encoder_free(cls_encoder *e)
{
    if (!e) return;
    for (int j = 0; j < e->n_cols; j++) column_free(&e->col[j]);
    column_free(&e->target);
    mill_free(e->col);
    mill_free(e->mean);
    mill_free(e->scale);
    mill_free(e);
}

static mill_err copy_dictionary(cls_column *to, const mill_column *from)
{
    const size_t bytes = from->n_values ? (size_t)from->offset[from->n_values] : 0;

    to->n_values = from->n_values;
    to->offset = mill_alloc((size_t)from->n_values + 1, sizeof *to->offset);
    to->text = mill_alloc(bytes + 1, 1);
    if (!to->offset || !to->text) return MILL_ENOMEM;
    if (from->n_values)
        memcpy(to->offset, from->offset, ((size_t)from->n_values + 1) * sizeof *to->offset);
    if (bytes) memcpy(to->text, from->text, bytes);
    return MILL_OK;
}

static mill_err column_from_table(cls_column *to, const mill_column *from)
{
    to->type = from->type;
    to->decimals = from->decimals;
    to->cat = -1;
    if (!(to->name = mill_strdup(from->name))) return MILL_ENOMEM;
    if (from->format && !(to->format = mill_strdup(from->format))) return MILL_ENOMEM;
    return column_has_codes(from) ? copy_dictionary(to, from) : MILL_OK;
}

static mill_err add_table_columns(cls_encoder *e, const cls_source *s, const char *target)
{
    const mill_table *t = s->table;

    if (!(e->col = mill_alloc((size_t)t->n_cols, sizeof *e->col))) return MILL_ENOMEM;
    for (int j = 0; j < t->n_cols; j++) {
        const mill_column *c = &t->col[j];

        if (!strcmp(c->name, target)) continue;
        if (c->type == MILL_IDENTIFIER) {
            mill_log(MILL_LOG_INFO, "%s: column \"%s\" is an identifier and is left out", s->path,
                     c->name);
            continue;
        }
        cls_column *to = &e->col[e->n_cols++];
        TRY(column_from_table(to, c));
        if (column_has_codes(c)) {
            to->cat = e->n_cat++;
            to->base = e->n_codes;
            e->n_codes += to->n_values + 1;
            continue;
        }
        to->num = e->n_num;
        to->has_missing = c->n_missing > 0;
        to->n_num = 1 + to->has_missing;
        e->n_num += to->n_num;
    }
    return MILL_OK;
}

static mill_err add_arrays(cls_encoder *e, const cls_source *s, const char *target)
{
    if (!(e->col = mill_alloc((size_t)s->n_arrays, sizeof *e->col))) return MILL_ENOMEM;
    for (int k = 0; k < s->n_arrays; k++) {
        const npz_entry *a = &s->array[k];
        int64_t width = a->array.cols;

        if (!strcmp(a->name, target)) continue;
        if (e->mode != CLS_FLATTEN && a->array.rank < 3)
            return mill_fail(MILL_EINPUT,
                             "%s: \"%s\" has %d dimensions; --mode average and first are for "
                             "arrays [N, C, ...] of three and more",
                             s->path, a->name, a->array.rank);
        if (e->mode != CLS_FLATTEN) width /= a->array.dim[1];
        if (e->n_num + width > 1 << 24)
            return mill_fail(MILL_EINPUT, "%s: more than %d features", s->path, 1 << 24);
        cls_column *to = &e->col[e->n_cols++];
        if (!(to->name = mill_strdup(a->name))) return MILL_ENOMEM;
        to->type = MILL_REAL;
        to->cat = -1;
        to->rank = a->array.rank - 1;
        for (int i = 0; i < to->rank; i++) to->dim[i] = a->array.dim[i + 1];
        to->num = e->n_num;
        to->n_num = (int)width;
        e->n_num += to->n_num;
    }
    return MILL_OK;
}

/* ---- the target ---- */

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

typedef struct {
    int n; /* different values, at most CLS_MAX_CLASSES + 1 */
    bool is_whole;
    double *value; /* sorted */
} few_values;

static mill_err count_values(few_values *f, const cls_target *t, int64_t rows)
{
    *f = (few_values){.is_whole = true};
    if (!(f->value = mill_alloc(CLS_MAX_CLASSES + 1, sizeof *f->value))) return MILL_ENOMEM;
    for (int64_t i = 0; i < rows; i++) {
        const double x = cls_target_number(t, i);
        if (isnan(x)) continue;
        if (x != rint(x) || fabs(x) > 9e15) f->is_whole = false;
        if (f->n > CLS_MAX_CLASSES || !f->is_whole) continue;
        int low = 0, high = f->n;
        while (low < high) {
            const int middle = (low + high) / 2;
            if (by_value(&f->value[middle], &x) < 0)
                low = middle + 1;
            else
                high = middle;
        }
        if (low < f->n && !by_value(&f->value[low], &x)) continue;
        memmove(f->value + low + 1, f->value + low, (size_t)(f->n - low) * sizeof *f->value);
        f->value[low] = x;
        f->n++;
        if (f->n > CLS_MAX_CLASSES) break;
    }
    return MILL_OK;
}

static mill_err number_classes(cls_column *to, const few_values *f)
{
    enum { LONGEST = 20 };
    int32_t at = 0;

    to->n_values = f->n;
    to->offset = mill_alloc((size_t)f->n + 1, sizeof *to->offset);
    to->text = mill_alloc((size_t)f->n * LONGEST + 1, 1);
    if (!to->offset || !to->text) return MILL_ENOMEM;
    for (int k = 0; k < f->n; k++) {
        at += snprintf(to->text + at, LONGEST + 1, "%lld", (long long)f->value[k]);
        to->offset[k + 1] = at;
    }
    return MILL_OK;
}

/* Classes or a number? */
static mill_err choose_task(cls_encoder *e, const few_values *f, bool is_real, const char *path)
{
    const char *name = e->target.name;

    if (e->task == CLS_AUTO)
        e->task = !is_real && f->is_whole && f->n <= CLS_FEW_WHOLE ? CLS_CLASSES : CLS_NUMBER;
    if (e->task == CLS_NUMBER) return MILL_OK;
    if (!f->is_whole)
        return mill_fail(MILL_EINPUT, "%s: \"%s\" holds numbers that are not whole: no classes",
                         path, name);
    if (f->n > CLS_MAX_CLASSES)
        return mill_fail(MILL_EINPUT, "%s: \"%s\" has more than %d different values", path, name,
                         CLS_MAX_CLASSES);
    return number_classes(&e->target, f);
}

static mill_err set_target(cls_encoder *e, const cls_source *s, const char *name)
{
    cls_target t;
    few_values f = {0};

    TRY(cls_target_open(&t, s, name));
    if (t.col) {
        TRY(column_from_table(&e->target, t.col));
    } else {
        e->target.type = t.array->array.kind == 'f' ? MILL_REAL : MILL_INTEGER;
        if (!(e->target.name = mill_strdup(name))) return MILL_ENOMEM;
    }
    e->target.decimals = t.col ? t.col->decimals : 15;
    if (column_type_has_codes(e->target.type)) {
        if (e->task == CLS_NUMBER)
            return mill_fail(MILL_EINPUT, "%s: \"%s\" holds words: no regression", s->path, name);
        if (e->target.type == MILL_IDENTIFIER || e->target.n_values > CLS_MAX_CLASSES)
            return mill_fail(MILL_EINPUT, "%s: \"%s\" has %d different value%s: no classes",
                             s->path, name, e->target.n_values, mill_s(e->target.n_values));
        e->task = CLS_CLASSES;
        return MILL_OK;
    }
    if (e->target.type == MILL_DATETIME)
        return mill_fail(MILL_EINPUT, "%s: \"%s\" holds times, which cannot be a target", s->path,
                         name);
    mill_err err = count_values(&f, &t, s->rows);
    if (!err) err = choose_task(e, &f, e->target.type == MILL_REAL, s->path);
    mill_free(f.value);
    return err;
}

static mill_err build(cls_encoder *e, const cls_source *s, const char *target)
{
    TRY(set_target(e, s, target));
    if (e->is_arrays)
        TRY(add_arrays(e, s, target));
    else
        TRY(add_table_columns(e, s, target));
    if (!e->n_num && !e->n_cat)
        return mill_fail(MILL_EINPUT, "%s: nothing but the target is left to learn from", s->path);
    e->mean = mill_alloc((size_t)e->n_num + 1, sizeof *e->mean);
    e->scale = mill_alloc((size_t)e->n_num + 1, sizeof *e->scale);
    return e->mean && e->scale ? MILL_OK : MILL_ENOMEM;
}

mill_err cls_encoder_new(cls_encoder **out, const cls_source *s, const char *target, cls_task task,
                         cls_mode mode)
{
    cls_encoder *e = mill_alloc(1, sizeof *e);

    if (!e) return MILL_ENOMEM;
    e->is_arrays = s->array;
    e->task = task;
    e->mode = mode;
    e->y_scale = 1;
    const mill_err err = build(e, s, target);
    if (err)
        cls_encoder_free(e);
    else
        *out = e;
    return err;
}

/* ---- means and deviations ---- */

/* sums of (x - around)^power of each feature over the rows that have one; count: how many. */
typedef struct {
    double *sum;
    int64_t *count;
} feature_sums;

static double power(double x, int k)
{
    return k == 1 ? x : x * x;
}

static mill_err sum_rows(feature_sums *f, const cls_encoder *e, const cls_source *s,
                         const int64_t *rows, int64_t n, int k)
{
    cls_reader r;

    TRY(cls_reader_open(&r, e, s));
    for (int64_t i = 0; i < n; i++) {
        cls_reader_numbers(&r, rows[i]);
        for (int j = 0; j < e->n_num; j++) {
            const double x = r.num[j];
            if (isnan(x)) continue;
            f->sum[j] += k == 1 ? x : power(x - e->mean[j], k);
            f->count[j]++;
        }
    }
    cls_reader_close(&r);
    return MILL_OK;
}

static mill_err fit_features(cls_encoder *e, feature_sums *f, const cls_source *s,
                             const int64_t *rows, int64_t n)
{
    TRY(sum_rows(f, e, s, rows, n, 1));
    for (int j = 0; j < e->n_num; j++) {
        e->mean[j] = f->count[j] ? f->sum[j] / (double)f->count[j] : 0;
        f->sum[j] = 0;
        f->count[j] = 0;
    }
    TRY(sum_rows(f, e, s, rows, n, 2));
    for (int j = 0; j < e->n_num; j++) {
        const double d = f->count[j] ? sqrt(f->sum[j] / (double)f->count[j]) : 0;
        e->scale[j] = d > 0 && isfinite(d) ? d : 1;
    }
    for (int j = 0; j < e->n_cols; j++) { /* "missing" stays 0 or 1 */
        const cls_column *c = &e->col[j];
        if (!c->has_missing) continue;
        e->mean[c->num + 1] = 0;
        e->scale[c->num + 1] = 1;
    }
    return MILL_OK;
}

static mill_err fit_target(cls_encoder *e, const cls_source *s, const int64_t *rows, int64_t n)
{
    cls_target t;
    double sum = 0, squares = 0;

    TRY(cls_target_open(&t, s, e->target.name));
    for (int64_t i = 0; i < n; i++) sum += cls_target_number(&t, rows[i]);
    e->y_mean = n ? sum / (double)n : 0;
    for (int64_t i = 0; i < n; i++) squares += power(cls_target_number(&t, rows[i]) - e->y_mean, 2);
    const double d = n ? sqrt(squares / (double)n) : 0;
    e->y_scale = d > 0 && isfinite(d) ? d : 1;
    return MILL_OK;
}

mill_err cls_encoder_fit(cls_encoder *e, const cls_source *s, const int64_t *rows, int64_t n)
{
    const size_t width = (size_t)e->n_num + 1;
    feature_sums f = {mill_alloc(width, sizeof *f.sum), mill_alloc(width, sizeof *f.count)};
    mill_err err = f.sum && f.count ? fit_features(e, &f, s, rows, n) : MILL_ENOMEM;

    mill_free(f.sum);
    mill_free(f.count);
    if (!err && e->task == CLS_NUMBER) err = fit_target(e, s, rows, n);
    return err;
}
