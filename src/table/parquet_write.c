/*
 * parquet_write.c - tables as a Parquet file.
 *
 *     integer     int64
 *     real        double, rounded to the column's decimals as in CSV
 *     boolean     boolean
 *     category    dictionary of texts
 *     datetime    date where the format has no hour; else timestamp in ms, of UTC where the format
 *                 ends in Z or an offset
 *     identifier  text
 *
 * A field's metadata say what the column was ("tabmill": {"type":, "decimals":, "format":,
 * "values":}), so that it comes back as it was.  Rows are collected into row groups of
 * PARQUET_GROUP_ROWS, and a group's dictionary holds the values of its rows in order of first
 * appearance: so the bytes do not depend on how the rows were dealt among tables.
 */
#include "table/parquet.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/power10.h"
#include "base/text.h"
#include "table/arrow_make.h"
#include "table/dict.h"
#include "table/parquet_reader.h"
#include "table/retype.h"

#include <math.h>
#include <stdlib.h>

enum { DAY_SECONDS = 86400, LEAST_TEXT = 1 << 16 };
/* The years 0001 to 9999. */
static const int64_t FIRST_SECOND = -62135596800, LAST_SECOND = 253402300799;

typedef enum { AS_INT64, AS_DOUBLE, AS_BOOLEAN, AS_DICTIONARY, AS_TEXT, AS_DATE, AS_TIME } form;

typedef struct {
    char *name;
    mill_coltype type;
    form form;
    bool is_utc;
    int decimals;
    /* the group */
    uint8_t *valid;
    int64_t n_missing;
    void *data;   /* values, codes, days, bits; of AS_TEXT the offsets */
    char *text;   /* AS_TEXT */
    size_t room;  /* bytes of text */
    dict values;  /* AS_DICTIONARY */
    int32_t *map; /* of the table's dictionary: code + 1, or 0 */
    size_t map_room;
    int32_t *offset; /* of values */
    size_t offset_room;
    arrow_column arrow;
} out_column;

struct parquet_writer {
    parquet_output out;
    mill_pool *pool;
    bool has_begun;
    int n_cols;
    out_column *col;
    struct ArrowArray **child;
    int64_t rows; /* of the group */
};

/* ---- the columns ---- */

/* The truth of each of the two values; false if it is not such a pair. */
static bool find_truth(int truth[2], const mill_column *c)
{
    int pair[2];

    for (int32_t k = 0; k < 2 && c->n_values == 2; k++) {
        int n;
        const char *s = column_value(c, k, &n);
        truth[k] = column_truth(&pair[k], s, (size_t)n);
    }
    return c->n_values == 2 && truth[0] && truth[0] == -truth[1] && pair[0] == pair[1];
}

static form form_of(const mill_column *c)
{
    int truth[2];

    switch (c->type) {
    case MILL_INTEGER:
        return AS_INT64;
    case MILL_REAL:
        return AS_DOUBLE;
    case MILL_DATETIME:
        return strstr(c->format, "%H") ? AS_TIME : AS_DATE;
    case MILL_IDENTIFIER:
        return AS_TEXT;
    case MILL_BOOLEAN:
        return find_truth(truth, c) ? AS_BOOLEAN : AS_DICTIONARY;
    default:
        return AS_DICTIONARY;
    }
}

/* %S or %M with something behind it: Z or an offset. */
static bool has_offset(const char *format)
{
    const char *last = strrchr(format, '%');
    return last && last[1] && last[2];
}

static size_t value_bytes(form f)
{
    return f == AS_DICTIONARY || f == AS_TEXT || f == AS_DATE ? 4 : f == AS_BOOLEAN ? 1 : 8;
}

static mill_err describe(char **out, const mill_column *c, form f)
{
    json_t *o = json_pack("{s:s}", "type", mill_coltype_name(c->type));
    int truth[2];

    if (c->type == MILL_REAL) json_object_set_new(o, "decimals", json_integer(c->decimals));
    if (c->type == MILL_DATETIME) json_object_set_new(o, "format", json_string(c->format));
    if (f == AS_BOOLEAN && find_truth(truth, c)) {
        json_t *values = json_array();
        for (int k = 0; k < 2; k++) {
            int n;
            const char *s = column_value(c, truth[0] > 0 ? 1 - k : k, &n);
            json_array_append_new(values, json_stringn(s, (size_t)n));
        }
        json_object_set_new(o, "values", values);
    }
    const mill_err err = mill_json_text(out, o, JSON_COMPACT);
    json_decref(o);
    return err;
}

static mill_err begin_column(out_column *o, const mill_column *c)
{
    o->form = form_of(c);
    o->type = c->type;
    o->decimals = c->decimals;
    o->is_utc = o->form == AS_TIME && has_offset(c->format);
    o->name = mill_strdup(c->name);
    o->valid = mill_alloc(PARQUET_GROUP_ROWS / 8, 1);
    o->data = mill_alloc(PARQUET_GROUP_ROWS + 1, value_bytes(o->form));
    if (o->form == AS_TEXT) o->text = mill_alloc(o->room = LEAST_TEXT, 1);
    return o->name && o->valid && o->data && (o->form != AS_TEXT || o->text) ? MILL_OK
                                                                             : MILL_ENOMEM;
}

static mill_err begin_schema(parquet_writer *w, const mill_table *t, arrow_field *field)
{
    static const char *const formats[] = {
        [AS_INT64] = "l", [AS_DOUBLE] = "g", [AS_BOOLEAN] = "b", [AS_DICTIONARY] = "u",
        [AS_TEXT] = "u",  [AS_DATE] = "tdD", [AS_TIME] = "tsm:"};
    struct ArrowSchema schema;

    for (int j = 0; j < t->n_cols; j++) {
        out_column *o = &w->col[j];
        char *text;
        TRY(begin_column(o, &t->col[j]));
        TRY(describe(&text, &t->col[j], o->form));
        field[j] = (arrow_field){.name = o->name,
                                 .format = o->is_utc ? "tsm:UTC" : formats[o->form],
                                 .key = PARQUET_KEY,
                                 .value = text,
                                 .has_dictionary = o->form == AS_DICTIONARY};
    }
    TRY(arrow_schema_make(&schema, field, t->n_cols));
    return parquet_output_begin(&w->out, &schema, w->pool ? mill_pool_threads(w->pool) : 1);
}

static mill_err begin(parquet_writer *w, const mill_table *t)
{
    arrow_field *field = mill_alloc((size_t)t->n_cols, sizeof *field);

    w->col = mill_alloc((size_t)t->n_cols, sizeof *w->col);
    w->child = mill_alloc((size_t)t->n_cols, sizeof(struct ArrowArray *));
    w->n_cols = w->col ? t->n_cols : 0;
    mill_err err = field && w->col && w->child ? begin_schema(w, t, field) : MILL_ENOMEM;
    for (int j = 0; field && j < t->n_cols; j++) mill_free((char *)field[j].value);
    mill_free(field);
    w->has_begun = !err;
    return err;
}

static mill_err check_same(const parquet_writer *w, const mill_table *t)
{
    bool is_same = w->n_cols == t->n_cols;

    for (int j = 0; is_same && j < t->n_cols; j++) {
        const out_column *o = &w->col[j];
        const mill_column *c = &t->col[j];
        is_same = !strcmp(o->name, c->name) && o->type == c->type && o->form == form_of(c);
    }
    if (is_same) return MILL_OK;
    return mill_fail(MILL_ESHAPE,
                     "parquet: the columns of a later table are not those of the first");
}

/* ---- rows into the group ---- */

typedef struct {
    parquet_writer *w;
    const mill_table *t;
    int64_t from, n; /* rows of t */
    mill_err *err;   /* of each column */
} add_job;

static bool is_there(const mill_column *c, int64_t i)
{
    return column_is_valid(c, i) && !(c->type == MILL_REAL && isnan(c->f64[i]));
}

/* The number that CSV would show. */
static double rounded(double x, int decimals)
{
    char buf[64];
    double y;

    if (decimals >= 15 || !(fabs(x) < 1e15)) return x;
    const double m = rint(x * power10_f64[decimals]);
    if (fabs(m) < 1e15 && m / power10_f64[decimals] == x) return x;
    const int n = mill_format_fixed(buf, x, decimals);
    return mill_parse_f64(&y, buf, (size_t)n) ? y : x;
}

static int64_t clamped(int64_t seconds)
{
    return seconds < FIRST_SECOND ? FIRST_SECOND : seconds > LAST_SECOND ? LAST_SECOND : seconds;
}

static int32_t day_of(int64_t seconds)
{
    const int64_t s = clamped(seconds);
    return (int32_t)((s - ((s % DAY_SECONDS) + DAY_SECONDS) % DAY_SECONDS) / DAY_SECONDS);
}

static mill_err put_value(out_column *o, const mill_column *c, int64_t i, int64_t at)
{
    int32_t *slot;
    int n;
    const char *s;

    switch (o->form) {
    case AS_INT64:
        ((int64_t *)o->data)[at] = c->i64[i];
        return MILL_OK;
    case AS_DOUBLE:
        ((double *)o->data)[at] = rounded(c->f64[i], c->decimals);
        return MILL_OK;
    case AS_DATE:
        ((int32_t *)o->data)[at] = day_of(c->i64[i]);
        return MILL_OK;
    case AS_TIME:
        ((int64_t *)o->data)[at] = 1000 * clamped(c->i64[i]);
        return MILL_OK;
    case AS_BOOLEAN:
        if (o->map[c->code[i]] > 0) ((uint8_t *)o->data)[at >> 3] |= (uint8_t)(1 << (at & 7));
        return MILL_OK;
    default:
        break;
    }
    slot = &o->map[c->code[i]];
    if (!*slot) {
        s = column_value(c, c->code[i], &n);
        TRY(dict_merge(&o->values, s, (size_t)n, 0, 0));
        *slot = dict_code(&o->values, s, (size_t)n) + 1;
    }
    ((int32_t *)o->data)[at] = *slot - 1;
    return MILL_OK;
}

/* Offsets and bytes: offset[at + 1] is the end of row `at`. */
static mill_err put_text(out_column *o, const mill_column *c, int64_t i, int64_t at)
{
    int32_t *offset = o->data;
    const size_t end = (size_t)offset[at];
    int n = 0;
    const char *s = is_there(c, i) ? column_value(c, c->code[i], &n) : "";

    if (end + (size_t)n > INT32_MAX)
        return mill_fail(MILL_EINPUT, "column \"%s\": more than 2 GiB of text in %d rows", o->name,
                         PARQUET_GROUP_ROWS);
    if (end + (size_t)n > o->room) {
        const size_t room = 2 * (end + (size_t)n);
        char *text = mill_realloc(o->text, room, 1);
        if (!text) return MILL_ENOMEM;
        o->text = text;
        o->room = room;
    }
    if (n) memcpy(o->text + end, s, (size_t)n);
    offset[at + 1] = (int32_t)(end + (size_t)n);
    return MILL_OK;
}

/* Zeros; of a boolean its two truths. */
static mill_err begin_map(out_column *o, const mill_column *c)
{
    const size_t n = (size_t)(c->n_values > 2 ? c->n_values : 2);
    int truth[2];

    if (n > o->map_room) {
        mill_free(o->map);
        o->map_room = 0;
        if (!(o->map = mill_alloc(n, sizeof *o->map))) return MILL_ENOMEM;
        o->map_room = n;
    }
    memset(o->map, 0, n * sizeof *o->map);
    if (o->form == AS_BOOLEAN && find_truth(truth, c)) memcpy(o->map, truth, sizeof truth);
    return MILL_OK;
}

static mill_err add_rows(out_column *o, const add_job *job, const mill_column *c)
{
    if (o->form == AS_DICTIONARY || o->form == AS_BOOLEAN) TRY(begin_map(o, c));
    for (int64_t k = 0; k < job->n; k++) {
        const int64_t i = job->from + k, at = job->w->rows + k;
        const bool there = is_there(c, i);
        if (there)
            o->valid[at >> 3] |= (uint8_t)(1 << (at & 7));
        else
            o->n_missing++;
        if (o->form == AS_TEXT)
            TRY(put_text(o, c, i, at));
        else if (there)
            TRY(put_value(o, c, i, at));
    }
    return MILL_OK;
}

static void add_column(void *ctx, int64_t j, int thread)
{
    const add_job *job = ctx;

    (void)thread;
    job->err[j] = add_rows(&job->w->col[j], job, &job->t->col[j]);
}

/* ---- groups into the file ---- */

static mill_err make_values(out_column *o)
{
    const dict *d = &o->values;
    const size_t need = (size_t)d->n + 1;

    if (d->n && d->offset[d->n] > INT32_MAX)
        return mill_fail(MILL_EINPUT, "column \"%s\": more than 2 GiB of text in %d rows", o->name,
                         PARQUET_GROUP_ROWS);
    if (need > o->offset_room) {
        int32_t *offset = mill_realloc(o->offset, need, sizeof *offset);
        if (!offset) return MILL_ENOMEM;
        o->offset = offset;
        o->offset_room = need;
    }
    for (int32_t k = 0; k < d->n; k++) o->offset[k + 1] = (int32_t)d->offset[k + 1];
    arrow_column_values(&o->arrow, d->n, o->offset, d->text ? d->text : "");
    return MILL_OK;
}

static void clear_column(out_column *o)
{
    memset(o->valid, 0, PARQUET_GROUP_ROWS / 8);
    memset(o->data, 0,
           PARQUET_GROUP_ROWS * value_bytes(o->form)); /* missing: 0, whoever was here */
    o->n_missing = 0;
    dict_free(&o->values);
}

static mill_err flush_group(parquet_writer *w)
{
    struct ArrowArray rows;

    for (int j = 0; j < w->n_cols; j++) {
        out_column *o = &w->col[j];
        arrow_column_make(&o->arrow, w->rows, o->valid, o->n_missing, o->data, o->text);
        if (o->form == AS_DICTIONARY) TRY(make_values(o));
        w->child[j] = &o->arrow.array;
    }
    arrow_rows_make(&rows, w->rows, w->child, w->n_cols);
    TRY(parquet_output_write(&w->out, &rows));
    for (int j = 0; j < w->n_cols; j++) clear_column(&w->col[j]);
    w->rows = 0;
    return MILL_OK;
}

mill_err parquet_writer_add(parquet_writer *w, const mill_table *t)
{
    if (t->n_cols < 1) return mill_fail(MILL_ESHAPE, "parquet: a table without columns");
    if (!w->has_begun) TRY(begin(w, t));
    TRY(check_same(w, t));

    mill_err *err = mill_alloc((size_t)t->n_cols, sizeof *err);
    mill_err first = err ? MILL_OK : MILL_ENOMEM;
    for (int64_t from = 0, n; !first && from < t->rows; from += n) {
        const int64_t room = PARQUET_GROUP_ROWS - w->rows;
        n = t->rows - from < room ? t->rows - from : room;
        add_job job = {w, t, from, n, err};
        mill_pool_run(w->pool, t->n_cols, add_column, &job);
        for (int j = 0; j < t->n_cols && !first; j++)
            if (err[j])
                first = mill_fail(err[j], "%s: column \"%s\" cannot be written: %s", w->out.path,
                                  w->col[j].name,
                                  err[j] == MILL_ENOMEM ? "no memory" : "more than 2 GiB of text");
        for (int j = 0; t->spool && j < t->n_cols; j++) table_column_release(t, j);
        w->rows += n;
        if (!first && w->rows == PARQUET_GROUP_ROWS) first = flush_group(w);
    }
    mill_free(err);
    return first;
}

mill_err parquet_writer_open(parquet_writer **out, const char *path, bool force, mill_pool *pool)
{
    parquet_writer *w = mill_alloc(1, sizeof *w);

    if (!w) return MILL_ENOMEM;
    w->pool = pool;
    const mill_err err = parquet_output_open(&w->out, path, force);
    if (err)
        mill_free(w);
    else
        *out = w;
    return err;
}

mill_err parquet_writer_commit(parquet_writer *w)
{
    if (!w->has_begun) return mill_fail(MILL_ESHAPE, "%s: no table was written", w->out.path);
    if (w->rows) TRY(flush_group(w));
    return parquet_output_commit(&w->out);
}

void parquet_writer_close(parquet_writer *w)
{
    if (!w) return;
    parquet_output_close(&w->out); /* before what it may still refer to */
    for (int j = 0; j < w->n_cols; j++) {
        out_column *o = &w->col[j];
        dict_free(&o->values);
        mill_free(o->name);
        mill_free(o->valid);
        mill_free(o->data);
        mill_free(o->text);
        mill_free(o->map);
        mill_free(o->offset);
    }
    mill_free(w->col);
    mill_free(w->child);
    mill_free(w);
}
