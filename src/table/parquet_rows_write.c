/*
 * parquet_rows_write.c - JSON objects as rows of a Parquet file, see parquet_rows.h.
 *
 * Rows are collected into row groups of GROUP_ROWS, or of GROUP_BYTES of text if that comes first.
 * A column of JSON is one of texts whose metadata say so ("tabmill": "json").
 */
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "table/arrow_make.h"
#include "table/parquet_plugin.h"
#include "table/parquet_reader.h"
#include "table/parquet_rows.h"

#include <string.h>

enum { GROUP_ROWS = 1 << 14, GROUP_BYTES = 64 << 20, THREADS = 1 };

typedef struct {
    char *name;
    parquet_kind kind;
    uint8_t valid[GROUP_ROWS / 8];
    int64_t n_missing;
    void *data; /* int64, double, bits; of texts the offsets */
    mill_text text;
    arrow_column arrow;
} out_column;

struct parquet_rows_writer {
    parquet_output out;
    int n_cols;
    out_column *col;
    struct ArrowArray **child;
    int64_t rows, written; /* of the group; before it */
    size_t bytes;          /* of text in the group */
};

static parquet_kind kind_of(const json_t *v)
{
    switch (v ? json_typeof(v) : JSON_NULL) {
    case JSON_NULL:
        return PARQUET_NONE;
    case JSON_TRUE:
    case JSON_FALSE:
        return PARQUET_BOOLEAN;
    case JSON_INTEGER:
        return PARQUET_INTEGER;
    case JSON_REAL:
        return PARQUET_REAL;
    case JSON_STRING:
        return PARQUET_TEXT;
    default:
        return PARQUET_JSON;
    }
}

parquet_kind parquet_kind_join(parquet_kind kind, const json_t *value)
{
    const parquet_kind new = kind_of(value);
    const bool are_numbers = (kind == PARQUET_INTEGER && new == PARQUET_REAL) ||
                             (kind == PARQUET_REAL && new == PARQUET_INTEGER);

    if (new == kind || new == PARQUET_NONE) return kind;
    if (kind == PARQUET_NONE) return new;
    return are_numbers ? PARQUET_REAL : PARQUET_JSON;
}

static bool is_text(const out_column *c)
{
    return c->kind == PARQUET_TEXT || c->kind == PARQUET_JSON || c->kind == PARQUET_NONE;
}

/* ---- opening ---- */

static mill_err begin_column(out_column *c, const parquet_field *f)
{
    const size_t bytes = f->kind == PARQUET_BOOLEAN                              ? 1
                         : f->kind == PARQUET_INTEGER || f->kind == PARQUET_REAL ? 8
                                                                                 : 4;
    c->kind = f->kind;
    c->name = mill_strdup(f->name);
    c->data = mill_alloc(GROUP_ROWS + 1, bytes);
    return c->name && c->data ? MILL_OK : MILL_ENOMEM;
}

static mill_err begin(parquet_rows_writer *w, const parquet_field *field, int n, arrow_field *to)
{
    static const char *const formats[] = {
        [PARQUET_NONE] = "u", [PARQUET_BOOLEAN] = "b", [PARQUET_INTEGER] = "l",
        [PARQUET_REAL] = "g", [PARQUET_TEXT] = "u",    [PARQUET_JSON] = "u"};
    struct ArrowSchema schema;

    for (int j = 0; j < n; j++) {
        for (int k = 0; k < j; k++)
            if (!strcmp(field[k].name, field[j].name))
                return mill_fail(MILL_EINPUT, "%s: two fields are called \"%s\"", w->out.path,
                                 field[j].name);
        TRY(begin_column(&w->col[j], &field[j]));
        to[j] = (arrow_field){.name = field[j].name,
                              .format = formats[field[j].kind],
                              .key = field[j].kind == PARQUET_JSON ? PARQUET_KEY : NULL,
                              .value = "json"};
    }
    TRY(arrow_schema_make(&schema, to, n));
    return parquet_output_begin(&w->out, &schema, THREADS);
}

mill_err parquet_rows_create(parquet_rows_writer **out, const char *path, bool force,
                             const parquet_field *field, int n)
{
    if (n < 1) return mill_fail(MILL_ESHAPE, "%s: rows without fields", path);

    parquet_rows_writer *w = mill_alloc(1, sizeof *w);
    if (!w) return MILL_ENOMEM;
    mill_err err = parquet_output_open(&w->out, path, force);
    arrow_field *to = mill_alloc((size_t)n, sizeof *to);
    w->col = mill_alloc((size_t)n, sizeof *w->col);
    w->child = mill_alloc((size_t)n, sizeof(struct ArrowArray *));
    w->n_cols = w->col ? n : 0;
    if (!err) err = to && w->col && w->child ? begin(w, field, n, to) : MILL_ENOMEM;
    mill_free(to);
    if (err)
        parquet_rows_writer_close(w);
    else
        *out = w;
    return err;
}

/* ---- rows ---- */

static mill_err flush(parquet_rows_writer *w)
{
    struct ArrowArray rows;

    for (int j = 0; j < w->n_cols; j++) {
        out_column *c = &w->col[j];
        const char *text = is_text(c) ? c->text.s ? c->text.s : "" : NULL;
        arrow_column_make(&c->arrow, w->rows, c->valid, c->n_missing, c->data, text);
        w->child[j] = &c->arrow.array;
    }
    arrow_rows_make(&rows, w->rows, w->child, w->n_cols);
    TRY(parquet_output_write(&w->out, &rows));
    for (int j = 0; j < w->n_cols; j++) {
        out_column *c = &w->col[j];
        memset(c->valid, 0, sizeof c->valid);
        if (c->kind == PARQUET_BOOLEAN) memset(c->data, 0, GROUP_ROWS);
        c->n_missing = 0;
        text_clear(&c->text);
    }
    w->written += w->rows;
    w->rows = 0;
    w->bytes = 0;
    return MILL_OK;
}

static mill_err refuse(const parquet_rows_writer *w, const char *name, const char *why)
{
    return mill_fail(MILL_EINPUT, "%s: row %lld: field \"%s\": %s", w->out.path,
                     (long long)(w->written + w->rows + 1), name, why);
}

/* Before anything is added. */
static mill_err check(const parquet_rows_writer *w, const json_t *object)
{
    size_t found = 0;
    const char *name;
    json_t *v;

    if (!json_is_object(object))
        return mill_fail(MILL_EINPUT, "%s: row %lld is not an object", w->out.path,
                         (long long)(w->written + w->rows + 1));
    for (int j = 0; j < w->n_cols; j++) {
        const out_column *c = &w->col[j];
        const json_t *value = json_object_get(object, c->name);
        const parquet_kind kind = c->kind == PARQUET_NONE ? PARQUET_TEXT : c->kind;
        found += value != NULL;
        if (kind != PARQUET_JSON && parquet_kind_join(kind, value) != kind)
            return refuse(w, c->name, "a value of another kind than its column");
    }
    if (found == json_object_size(object)) return MILL_OK;
    json_object_foreach((json_t *)object, name, v)
    {
        int j = 0;
        while (j < w->n_cols && strcmp(w->col[j].name, name) != 0) j++;
        if (j == w->n_cols) return refuse(w, name, "there is no such column");
    }
    return MILL_OK;
}

static mill_err put_text(out_column *c, const json_t *v, int64_t at)
{
    int32_t *offset = c->data;
    char *text = NULL;

    if (c->kind == PARQUET_JSON && v) {
        TRY(mill_json_text(&text, v, JSON_COMPACT | JSON_ENCODE_ANY));
        text_add_bytes(&c->text, text, strlen(text));
        mill_free(text);
    } else if (v) {
        text_add_bytes(&c->text, json_string_value(v), json_string_length(v));
    }
    TRY(text_check(&c->text));
    if (c->text.len > INT32_MAX)
        return mill_fail(MILL_EINPUT, "column \"%s\": more than 2 GiB in a row", c->name);
    offset[at + 1] = (int32_t)c->text.len;
    return MILL_OK;
}

static mill_err put(out_column *c, const json_t *v, int64_t at)
{
    if (json_is_null(v)) v = NULL;
    if (v) c->valid[at >> 3] |= (uint8_t)(1 << (at & 7));
    c->n_missing += !v;
    switch (c->kind) {
    case PARQUET_BOOLEAN:
        if (json_is_true(v)) ((uint8_t *)c->data)[at >> 3] |= (uint8_t)(1 << (at & 7));
        return MILL_OK;
    case PARQUET_INTEGER:
        ((int64_t *)c->data)[at] = json_integer_value(v);
        return MILL_OK;
    case PARQUET_REAL:
        ((double *)c->data)[at] = json_number_value(v);
        return MILL_OK;
    default:
        return put_text(c, v, at);
    }
}

/* A row that could not be added leaves no trace in its columns. */
static void take_back(parquet_rows_writer *w, int n_put)
{
    const int64_t at = w->rows;

    for (int j = 0; j < n_put; j++) {
        out_column *c = &w->col[j];
        const uint8_t bit = (uint8_t)(1 << (at & 7));
        c->n_missing -= !(c->valid[at >> 3] & bit);
        c->valid[at >> 3] &= (uint8_t)~bit;
        if (c->kind == PARQUET_BOOLEAN) ((uint8_t *)c->data)[at >> 3] &= (uint8_t)~bit;
        if (is_text(c)) c->text.len = (size_t)((int32_t *)c->data)[at];
    }
}

mill_err parquet_rows_add(parquet_rows_writer *w, const json_t *object)
{
    mill_err err = MILL_OK;

    if (w->rows == GROUP_ROWS || w->bytes >= GROUP_BYTES) TRY(flush(w));
    TRY(check(w, object));
    for (int j = 0; j < w->n_cols; j++) {
        out_column *c = &w->col[j];
        const size_t before = c->text.len;
        err = put(c, json_object_get(object, c->name), w->rows);
        if (err) {
            take_back(w, j + 1);
            return err;
        }
        w->bytes += c->text.len - before;
    }
    w->rows++;
    return MILL_OK;
}

mill_err parquet_rows_commit(parquet_rows_writer *w)
{
    if (w->rows) TRY(flush(w));
    return parquet_output_commit(&w->out);
}

void parquet_rows_writer_close(parquet_rows_writer *w)
{
    if (!w) return;
    parquet_output_close(&w->out); /* before what it may still refer to */
    for (int j = 0; j < w->n_cols; j++) {
        mill_free(w->col[j].name);
        mill_free(w->col[j].data);
        text_free(&w->col[j].text);
    }
    mill_free(w->col);
    mill_free(w->child);
    mill_free(w);
}
