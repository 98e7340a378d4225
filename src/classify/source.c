/* source.c - reading what is trained on; and the target of its rows. */
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "classify/inner.h"
#include "table/csv_write.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A table without rows that has the encoder's names, types and dictionaries. */
static mill_err like_table(mill_table **out, const cls_encoder *e)
{
    mill_table *t;

    TRY(table_new(&t, 0, e->n_cols + 1));
    mill_err err = MILL_OK;
    for (int j = 0; !err && j <= e->n_cols; j++) {
        const cls_column *from = j < e->n_cols ? &e->col[j] : &e->target;
        mill_column *c = &t->col[j];

        if ((err = column_init(c, from->name, from->type, 0))) break;
        c->decimals = from->decimals;
        if (from->format && !(c->format = mill_strdup(from->format))) err = MILL_ENOMEM;
        if (!err && from->n_values && column_has_codes(c))
            err = column_set_dictionary(c, from->n_values, from->offset, from->text);
    }
    if (err)
        mill_table_free(t);
    else
        *out = t;
    return err;
}

static mill_err read_file(cls_source *out, const char *path, const csv_options *csv,
                          const cls_encoder *e, mill_pool *pool)
{
    csv_options o = csv ? *csv : CSV_DEFAULTS;
    mill_table *like = NULL;

    *out = (cls_source){.path = path};
    if (path_has_suffix(path, ".npz")) {
        if (e && !e->is_arrays)
            return mill_fail(MILL_EINPUT, "%s: arrays, where the model knows a table", path);
        TRY(npz_entries_read(&out->array, &out->n_arrays, path));
        out->rows = out->array[0].array.rows;
        return MILL_OK;
    }
    if (e && e->is_arrays)
        return mill_fail(MILL_EINPUT, "%s: a table, where the model knows arrays (.npz)", path);
    if (e) {
        TRY(like_table(&like, e));
        o.like = like;
        o.columns = o.drop = o.types = NULL; /* were chosen when the encoder was made */
        o.discrete = NULL;
    }
    const mill_err err = mill_table_read(&out->table, path, &o, pool);
    mill_table_free(like);
    TRY(err);
    out->rows = out->table->rows;
    return MILL_OK;
}

static mill_err count_in_array(int64_t *n, const npz_entry *a)
{
    double *const row = mill_alloc((size_t)a->array.cols + 1, sizeof *row);

    if (!row) return MILL_ENOMEM;
    for (int64_t i = 0; i < a->array.rows; i++) {
        npy_row(row, &a->array, a->data, i);
        for (int64_t k = 0; k < a->array.cols; k++) *n += cls_is_infinite(row[k]);
    }
    mill_free(row);
    return MILL_OK;
}

/* Numbers that are there and are taken for missing. */
static mill_err tell_infinite(const cls_source *s)
{
    int64_t n = 0;

    for (int j = 0; s->table && j < s->table->n_cols; j++) {
        const mill_column *c = &s->table->col[j];
        for (int64_t i = 0; c->type == MILL_REAL && i < s->rows; i++)
            n += cls_is_infinite(column_f64(c, i));
    }
    for (int j = 0; j < s->n_arrays; j++)
        if (s->array[j].array.kind == 'f') TRY(count_in_array(&n, &s->array[j]));
    if (n)
        mill_log(MILL_LOG_WARN, "%s: %lld number%s infinite or beyond 3.4e38, taken for missing",
                 s->path, (long long)n, mill_s(n));
    return MILL_OK;
}

mill_err cls_source_read(cls_source *out, const char *path, const csv_options *csv,
                         const cls_encoder *e, mill_pool *pool)
{
    mill_err err = read_file(out, path, csv, e, pool);

    if (!err) err = tell_infinite(out);
    if (err) cls_source_close(out);
    return err;
}

void cls_source_close(cls_source *s)
{
    mill_table_free(s->table);
    npz_entries_free(s->array, s->n_arrays);
    *s = (cls_source){0};
}

const npz_entry *cls_find_array(const cls_source *s, const char *name)
{
    for (int i = 0; i < s->n_arrays; i++)
        if (!strcmp(s->array[i].name, name)) return &s->array[i];
    return NULL;
}

/* ---- the target ---- */

/* Names the columns, or arrays, that are there: a few, and the one that was probably meant. */
static mill_err no_target(const cls_source *s, const char *name)
{
    enum { SHOWN = 12 };
    const int n = s->table ? s->table->n_cols : s->n_arrays;
    const char **const names = mill_alloc((size_t)n + 1, sizeof *names);
    mill_text list = {0};

    if (!names) return MILL_ENOMEM;
    for (int i = 0; i < n; i++) {
        names[i] = s->table ? s->table->col[i].name : s->array[i].name;
        if (i < SHOWN) text_add(&list, "%s%s", i ? ", " : "", names[i]);
    }
    if (n > SHOWN) text_add(&list, " and %d more", n - SHOWN);
    const char *const near = mill_nearest(name, names, n);
    mill_fail(MILL_EINPUT, "%s: no %s is called \"%s\"%s%s%s; there %s %s", s->path,
              s->table ? "column" : "array", name, near ? "; did you mean \"" : "",
              near ? near : "", near ? "\"?" : "", n == 1 ? "is" : "are", list.s ? list.s : "none");
    text_free(&list);
    mill_free(names);
    return MILL_EINPUT;
}

mill_err cls_target_open(cls_target *t, const cls_source *s, const char *name)
{
    *t = (cls_target){0};
    if (s->table) {
        const int at = table_find(s->table, name);
        if (at < 0) return no_target(s, name);
        t->col = &s->table->col[at];
        return MILL_OK;
    }
    t->array = cls_find_array(s, name);
    if (!t->array) return no_target(s, name);
    if (t->array->array.cols != 1)
        return mill_fail(MILL_EINPUT, "%s: the target \"%s\" has %lld numbers a row, not one",
                         s->path, name, (long long)t->array->array.cols);
    return MILL_OK;
}

double cls_target_number(const cls_target *t, int64_t i)
{
    assert(t->col || t->array); /* it was opened */
    return cls_number(t->col ? column_f64(t->col, i)
                             : npy_element(&t->array->array, t->array->data, i));
}

/* The class of a number, or -1: the texts are whole numbers in the order of their values. */
static int32_t class_of_number(const cls_column *target, double x)
{
    int32_t low = 0, high = target->n_values;

    while (low < high) {
        const int32_t middle = (low + high) / 2, at = target->offset[middle];
        int64_t value;

        if (!mill_parse_i64(&value, target->text + at, (size_t)(target->offset[middle + 1] - at)))
            return -1;
        if ((double)value == x) return middle;
        if ((double)value < x)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

static mill_err unknown_class(const cls_source *s, const cls_encoder *e, int64_t row,
                              const char *text, int len)
{
    return mill_fail(MILL_EINPUT,
                     "%s: row %lld: \"%.*s\" is not among the classes of \"%s\" that are trained",
                     s->path, (long long)row + 1, len > 100 ? 100 : len, text, e->target.name);
}

mill_err cls_targets(int32_t *label, double *y, const cls_encoder *e, const cls_source *s,
                     const int64_t *rows, int64_t n)
{
    cls_target t;

    TRY(cls_target_open(&t, s, e->target.name));
    const bool has_codes = t.col && column_has_codes(t.col);
    if (has_codes != column_type_has_codes(e->target.type))
        return mill_fail(MILL_EINPUT, "%s: the target \"%s\" is of another type here", s->path,
                         e->target.name);
    for (int64_t i = 0; i < (rows ? n : s->rows); i++) {
        const int64_t row = rows ? rows[i] : i;

        if (has_codes) {
            label[i] = column_is_valid(t.col, row) ? t.col->code[row] : -1;
            if (label[i] < e->target.n_values) continue;
            int len;
            const char *text = column_value(t.col, label[i], &len);
            return unknown_class(s, e, row, text, len);
        }
        const double x = cls_target_number(&t, row);
        if (y) {
            y[i] = x;
        } else if ((label[i] = isnan(x) ? -1 : class_of_number(&e->target, x)) < 0 && !isnan(x)) {
            char text[40];
            return unknown_class(s, e, row, text, snprintf(text, sizeof text, "%.15g", x));
        }
    }
    return MILL_OK;
}
