/*
 * encoder_file.c - an encoder in a model file.
 *
 * meta: {"arrays", "mode", "task", "y_mean", "y_scale", "columns": [..], "target": {..}} under
 * "encoder"; tensors "enc.mean" and "enc.scale" F64 (n_num); of a column with a dictionary
 * "enc.J.offset" I32 (n_values + 1) and "enc.J.text" U8; the target's J is "y".
 */
#include "base/mem.h"
#include "classify/inner.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static mill_err no_memory(void)
{
    return mill_fail(MILL_ENOMEM, "no memory for the model's header");
}

static json_t *column_json(const cls_column *c)
{
    json_t *dim = json_array();
    for (int i = 0; i < c->rank; i++) json_array_append_new(dim, json_integer(c->dim[i]));
    return json_pack("{s:s,s:s,s:i,s:s?,s:o,s:i,s:i,s:b,s:i,s:i,s:i}", "name", c->name, "type",
                     mill_coltype_name(c->type), "decimals", c->decimals, "format", c->format,
                     "dim", dim, "num", c->num, "n_num", c->n_num, "missing", c->has_missing, "cat",
                     c->cat, "base", (int)c->base, "values", (int)c->n_values);
}

static mill_err write_dictionary(const cls_column *c, const char *key, store_writer *w)
{
    char name[40];
    const int64_t n = c->n_values + 1, bytes = c->n_values ? c->offset[c->n_values] : 0;

    if (!c->n_values) return MILL_OK;
    snprintf(name, sizeof name, "enc.%s.offset", key);
    TRY(store_writer_add(w, name, STORE_I32, 1, &n, c->offset));
    if (!bytes) return MILL_OK;
    snprintf(name, sizeof name, "enc.%s.text", key);
    return store_writer_add(w, name, STORE_U8, 1, &bytes, c->text);
}

mill_err cls_encoder_write(const cls_encoder *e, store_writer *w, json_t *meta)
{
    static const char *const modes[] = {"flatten", "average", "first"};
    const int64_t n = e->n_num;
    json_t *columns = json_array(), *target = column_json(&e->target);

    for (int j = 0; j < e->n_cols; j++) {
        json_t *one = column_json(&e->col[j]);
        if (!one) {
            json_decref(columns);
            json_decref(target);
            return mill_fail(MILL_EINPUT, "the name of column %d is no UTF-8 text", j + 1);
        }
        json_array_append_new(columns, one);
    }
    json_t *o =
        json_pack("{s:b,s:s,s:s,s:f,s:f,s:o,s:o?}", "arrays", e->is_arrays, "mode", modes[e->mode],
                  "task", e->task == CLS_CLASSES ? "classification" : "regression", "y_mean",
                  e->y_mean, "y_scale", e->y_scale, "columns", columns, "target", target);
    if (!target || !o || json_object_set_new(meta, "encoder", o)) return no_memory();
    for (int j = 0; j < e->n_cols; j++) {
        char key[12];
        snprintf(key, sizeof key, "%d", j);
        TRY(write_dictionary(&e->col[j], key, w));
    }
    TRY(write_dictionary(&e->target, "y", w));
    if (!n) return MILL_OK;
    TRY(store_writer_add(w, "enc.mean", STORE_F64, 1, &n, e->mean));
    return store_writer_add(w, "enc.scale", STORE_F64, 1, &n, e->scale);
}

/* ---- reading: a file may say anything ---- */

static mill_err bad(const char *what)
{
    return mill_fail(MILL_EINPUT, "the header's encoder has no usable %s", what);
}

static bool get_int(int *out, const json_t *o, const char *key, int least, int most)
{
    const json_t *x = json_object_get(o, key);
    if (!json_is_integer(x) || json_integer_value(x) < least || json_integer_value(x) > most)
        return false;
    *out = (int)json_integer_value(x);
    return true;
}

static mill_err read_dictionary(cls_column *c, const char *key, const store *s)
{
    char name[40];
    const store_tensor *offset, *text = NULL;
    int64_t n = c->n_values + 1;

    if (!c->n_values) return MILL_OK;
    snprintf(name, sizeof name, "enc.%s.offset", key);
    TRY(store_get(&offset, s, name, STORE_I32, 1, &n));
    const int32_t *at = offset->data;
    for (int32_t k = 0; k < c->n_values; k++)
        if (at[k] > at[k + 1]) return bad("dictionary");
    int64_t bytes = at[c->n_values];
    if (at[0] != 0) return bad("dictionary");
    snprintf(name, sizeof name, "enc.%s.text", key);
    if (bytes) TRY(store_get(&text, s, name, STORE_U8, 1, &bytes));
    c->offset = mill_alloc((size_t)n, sizeof *c->offset);
    c->text = mill_alloc((size_t)bytes + 1, 1);
    if (!c->offset || !c->text) return MILL_ENOMEM;
    memcpy(c->offset, at, (size_t)n * sizeof *at);
    if (bytes) memcpy(c->text, text->data, (size_t)bytes);
    return MILL_OK;
}

static mill_err read_column(cls_column *c, const json_t *o, const char *key, const store *s)
{
    const char *name = json_string_value(json_object_get(o, "name"));
    const char *type = json_string_value(json_object_get(o, "type"));
    const char *format = json_string_value(json_object_get(o, "format"));
    const json_t *dim = json_object_get(o, "dim");
    int base, values;

    if (!name || !type || !mill_coltype_parse(&c->type, type)) return bad("name or type");
    if (!get_int(&c->decimals, o, "decimals", 0, 15) || !get_int(&c->num, o, "num", 0, 1 << 24) ||
        !get_int(&c->n_num, o, "n_num", 0, 1 << 24) || !get_int(&c->cat, o, "cat", -1, 1 << 20) ||
        !get_int(&base, o, "base", 0, INT32_MAX) || !get_int(&values, o, "values", 0, 1 << 30))
        return bad("column");
    c->base = base;
    c->n_values = values;
    c->has_missing = json_is_true(json_object_get(o, "missing"));
    c->rank = (int)json_array_size(dim);
    if (c->rank >= NPY_MAX_DIM) return bad("shape");
    for (int i = 0; i < c->rank; i++)
        c->dim[i] = json_integer_value(json_array_get(dim, (size_t)i));
    if (!(c->name = mill_strdup(name))) return MILL_ENOMEM;
    if (format && !(c->format = mill_strdup(format))) return MILL_ENOMEM;
    if (c->type == MILL_DATETIME && !format) return bad("format");
    return read_dictionary(c, key, s);
}

/* Features and codes follow one another without gaps. */
static mill_err check_columns(cls_encoder *e)
{
    for (int j = 0; j < e->n_cols; j++) {
        const cls_column *c = &e->col[j];

        if (column_type_has_codes(c->type) != (c->cat >= 0)) return bad("column");
        if (c->cat >= 0) {
            if (c->cat != e->n_cat++ || c->base != e->n_codes || c->n_num) return bad("codes");
            e->n_codes += c->n_values + 1;
            continue;
        }
        if (c->num != e->n_num || c->n_num < 1) return bad("features");
        if (!e->is_arrays && c->n_num != 1 + c->has_missing) return bad("features");
        if (e->is_arrays) {
            int64_t width = 1;
            for (int i = 0; i < c->rank; i++) {
                if (c->dim[i] < 1 || c->dim[i] > 1 << 24) return bad("shape");
                if (i || e->mode == CLS_FLATTEN) width *= c->dim[i];
                if (width > 1 << 24) return bad("shape");
            }
            if (width != c->n_num) return bad("shape");
        }
        e->n_num += c->n_num;
        if (e->n_num > 1 << 24) return bad("features");
    }
    return e->n_num || e->n_cat ? MILL_OK : bad("features");
}

static mill_err read_numbers(cls_encoder *e, const store *s)
{
    const store_tensor *mean, *scale;
    int64_t n = e->n_num;

    e->mean = mill_alloc((size_t)n + 1, sizeof *e->mean);
    e->scale = mill_alloc((size_t)n + 1, sizeof *e->scale);
    if (!e->mean || !e->scale) return MILL_ENOMEM;
    if (!n) return MILL_OK;
    TRY(store_get(&mean, s, "enc.mean", STORE_F64, 1, &n));
    TRY(store_get(&scale, s, "enc.scale", STORE_F64, 1, &n));
    memcpy(e->mean, mean->data, (size_t)n * sizeof *e->mean);
    memcpy(e->scale, scale->data, (size_t)n * sizeof *e->scale);
    return MILL_OK;
}

static mill_err read_all(cls_encoder *e, const json_t *o, const store *s)
{
    const json_t *columns = json_object_get(o, "columns");
    const char *mode = json_string_value(json_object_get(o, "mode"));
    const char *task = json_string_value(json_object_get(o, "task"));
    const size_t n = json_array_size(columns);

    if (!mode || !task || !n || n > 1 << 20) return bad("columns");
    e->is_arrays = json_is_true(json_object_get(o, "arrays"));
    e->mode = !strcmp(mode, "average") ? CLS_AVERAGE
              : !strcmp(mode, "first") ? CLS_FIRST
                                       : CLS_FLATTEN;
    e->task = !strcmp(task, "classification") ? CLS_CLASSES : CLS_NUMBER;
    e->y_mean = json_number_value(json_object_get(o, "y_mean"));
    e->y_scale = json_number_value(json_object_get(o, "y_scale"));
    if (!(e->col = mill_alloc(n, sizeof *e->col))) return MILL_ENOMEM;
    e->n_cols = (int)n;
    for (int j = 0; j < e->n_cols; j++) {
        char key[12];
        snprintf(key, sizeof key, "%d", j);
        TRY(read_column(&e->col[j], json_array_get(columns, (size_t)j), key, s));
    }
    TRY(read_column(&e->target, json_object_get(o, "target"), "y", s));
    if (e->task == CLS_CLASSES && !e->target.n_values) return bad("classes");
    TRY(check_columns(e));
    return read_numbers(e, s);
}

mill_err cls_encoder_read(cls_encoder **out, const store *s)
{
    const json_t *o = json_object_get(json_object_get(store_meta(s), "classifier"), "encoder");
    cls_encoder *e = mill_alloc(1, sizeof *e);

    if (!e) return MILL_ENOMEM;
    const mill_err err = read_all(e, o, s);
    if (err)
        cls_encoder_free(e);
    else
        *out = e;
    return err;
}
