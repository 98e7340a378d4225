/*
 * schema.c - the columns as the user sees them: names, types, ranges, dictionaries; no rows.
 *
 * Values of a dictionary that no row has are left out, and so are, with --trim-rare N, those that
 * fewer than N rows have: their rows count as missing.  Numbers are cut to the N-th from either
 * end.
 *
 * In the file: meta "schema" {"rows",
 * "columns":[{"name","type","decimals","format","missing","id_prefix", "id_digits","id_first"}]},
 * tensors "schema.range" F64 (n, 2) of least and most (0, 0 where a column has no numbers), and per
 * column with a dictionary "schema.I.offset" I32 (n_values + 1), "schema.I.text" U8 and
 * "schema.I.count" I64.  Identifiers are never kept, only the shape that new ones are made in
 * (ids.c).
 */
#include "synth/schema.h"

#include "base/mem.h"
#include "base/sort.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void synth_schema_free(synth_schema *s)
{
    if (!s) return;
    for (int j = 0; j < s->n && s->col; j++) {
        synth_column *c = &s->col[j];
        mill_free(c->name);
        mill_free(c->format);
        mill_free(c->offset);
        mill_free(c->text);
        mill_free(c->count);
        mill_free(c->id_prefix);
    }
    mill_free(s->col);
    mill_free(s);
}

static mill_err schema_new(synth_schema **out, int n)
{
    synth_schema *s = mill_alloc(1, sizeof *s);
    if (!s) return MILL_ENOMEM;
    s->n = n;
    s->col = mill_alloc((size_t)n + 1, sizeof *s->col);
    if (!s->col) {
        mill_free(s);
        return MILL_ENOMEM;
    }
    *out = s;
    return MILL_OK;
}

double synth_raw_number(const mill_column *c, int64_t i)
{
    return c->type == MILL_REAL ? c->f64[i] : (double)c->i64[i];
}

/* Numbers are learnt as doubles; a key of 17 digits would come back as its neighbour. */
static mill_err check_exact(const mill_column *c)
{
    const int64_t most = (int64_t)1 << 53;

    for (int64_t i = 0; i < c->rows; i++) {
        if (!column_is_valid(c, i) || (c->i64[i] <= most && c->i64[i] >= -most)) continue;
        return mill_fail(MILL_EINPUT,
                         "column \"%s\": %lld has too many digits to be learnt as a number; "
                         "-d \"%s\" makes the column a category, --types an identifier, or a real "
                         "of 15 digits",
                         c->name, (long long)c->i64[i], c->name);
    }
    return MILL_OK;
}

/* The N-th value from either end; N = 1 is the extremes. */
static mill_err fit_range(synth_column *s, const mill_column *c, int64_t nth)
{
    double least = INFINITY, most = -INFINITY;

    if (c->type == MILL_INTEGER) TRY(check_exact(c));
    for (int64_t i = 0; i < c->rows; i++) {
        if (!column_is_valid(c, i)) continue;
        const double x = synth_raw_number(c, i);
        least = x < least ? x : least;
        most = x > most ? x : most;
    }
    const int64_t n = c->rows - c->n_missing;
    if (nth > 1 && n > 0) {
        double *x = mill_alloc((size_t)n, sizeof *x);
        if (!x) return MILL_ENOMEM;
        int64_t k = 0;
        for (int64_t i = 0; i < c->rows; i++) {
            if (column_is_valid(c, i)) x[k++] = synth_raw_number(c, i);
        }
        const mill_err err = sort_f64(x, k);
        const int64_t cut = nth - 1 < (n - 1) / 2 ? nth - 1 : (n - 1) / 2;
        least = x[cut];
        most = x[n - 1 - cut];
        mill_free(x);
        TRY(err);
    }
    synth_values v;
    TRY(synth_values_count(&v, c, least, most));
    s->n_different = v.n;
    synth_values_free(&v);
    s->least = n ? least : 0;
    s->most = n ? most : 0;
    return MILL_OK;
}

static mill_err fit_dictionary(synth_column *s, const mill_column *c, int64_t least_count)
{
    int64_t *count = mill_alloc((size_t)c->n_values + 1, sizeof *count);
    if (!count) return MILL_ENOMEM;
    for (int64_t i = 0; i < c->rows; i++) {
        if (column_is_valid(c, i)) count[c->code[i]]++;
    }

    int32_t n = 0;
    size_t bytes = 0;
    for (int32_t v = 0; v < c->n_values; v++) {
        if (count[v] < least_count) {
            s->n_missing += count[v];
            count[v] = 0;
            continue;
        }
        n++;
        bytes += (size_t)(c->offset[v + 1] - c->offset[v]);
    }
    s->offset = mill_alloc((size_t)n + 1, sizeof *s->offset);
    s->text = mill_alloc(bytes + 1, 1);
    s->count = mill_alloc((size_t)n + 1, sizeof *s->count);
    if (!s->offset || !s->text || !s->count) {
        mill_free(count);
        return MILL_ENOMEM;
    }
    for (int32_t v = 0; v < c->n_values; v++) {
        if (!count[v]) continue;
        const int32_t len = c->offset[v + 1] - c->offset[v], at = s->offset[s->n_values];
        memcpy(s->text + at, c->text + c->offset[v], (size_t)len);
        s->count[s->n_values++] = count[v];
        s->offset[s->n_values] = at + len;
    }
    mill_free(count);
    return MILL_OK;
}

static mill_err fit_column(synth_column *s, const mill_column *c, int64_t trim_rare)
{
    s->type = c->type;
    s->decimals = c->decimals;
    s->n_missing = c->n_missing;
    if (!(s->name = mill_strdup(c->name))) return MILL_ENOMEM;
    if (c->format && !(s->format = mill_strdup(c->format))) return MILL_ENOMEM;
    const int64_t least_count = trim_rare > 1 ? trim_rare : 1;
    if (c->type == MILL_IDENTIFIER) return synth_fit_ids(s, c);
    if (synth_is_number(c->type)) return fit_range(s, c, least_count);
    return fit_dictionary(s, c, least_count);
}

mill_err synth_schema_fit(synth_schema **out, const mill_table *t, const synth_config *c)
{
    synth_schema *s;
    mill_err err = MILL_OK;

    if (t->rows < 1 || t->n_cols < 1) {
        return mill_fail(MILL_EINPUT, "the table has %s", t->rows < 1 ? "no rows" : "no columns");
    }
    TRY(schema_new(&s, t->n_cols));
    s->rows = t->rows;
    for (int j = 0; j < s->n && err == MILL_OK; j++) {
        err = fit_column(&s->col[j], &t->col[j], c->trim_rare);
        table_column_release(t, j);
    }
    if (err != MILL_OK) {
        synth_schema_free(s);
        return err;
    }
    *out = s;
    return MILL_OK;
}

static mill_err add_tensor(store_writer *w, const char *what, int col, store_dtype dtype, int64_t n,
                           const void *data)
{
    char name[64];
    snprintf(name, sizeof name, "schema.%d.%s", col, what);
    return store_writer_add(w, name, dtype, 1, &n, data);
}

static json_t *column_json(const synth_column *c)
{
    json_t *o = json_pack("{s:s, s:s, s:i, s:I, s:i}", "name", c->name, "type",
                          mill_coltype_name(c->type), "decimals", c->decimals, "missing",
                          (json_int_t)c->n_missing, "n_values", (int)c->n_values);
    if (o && c->format && json_object_set_new(o, "format", json_string(c->format))) {
        json_decref(o);
        return NULL;
    }
    if (o && c->type == MILL_IDENTIFIER &&
        (json_object_set_new(o, "id_prefix", json_string(c->id_prefix)) ||
         json_object_set_new(o, "id_digits", json_integer(c->id_digits)) ||
         json_object_set_new(o, "id_first", json_integer(c->id_first)))) {
        json_decref(o);
        return NULL;
    }
    return o;
}

/* The writer borrows: the range is kept in the schema. */
mill_err synth_schema_write(const synth_schema *s, store_writer *w, json_t *meta)
{
    json_t *columns = json_array();
    int bad = !columns;

    for (int j = 0; j < s->n && !bad; j++) {
        bad = json_array_append_new(columns, column_json(&s->col[j]));
    }
    json_t *schema =
        bad ? NULL : json_pack("{s:I, s:O}", "rows", (json_int_t)s->rows, "columns", columns);
    json_decref(columns);
    if (!schema || json_object_set_new(meta, "schema", schema)) {
        return mill_fail(MILL_ENOMEM, "no memory for the schema, or a name that is not UTF-8");
    }
    for (int j = 0; j < s->n; j++) {
        const synth_column *c = &s->col[j];
        if (synth_is_number(c->type)) {
            /* least and most stand side by side in the struct: ORDER RANGE */
            TRY(add_tensor(w, "range", j, STORE_F64, 2, &c->least));
        }
        if (!c->n_values) continue;
        TRY(add_tensor(w, "offset", j, STORE_I32, c->n_values + 1, c->offset));
        if (c->offset[c->n_values]) {
            TRY(add_tensor(w, "text", j, STORE_U8, c->offset[c->n_values], c->text));
        }
        if (c->count) TRY(add_tensor(w, "count", j, STORE_I64, c->n_values, c->count));
    }
    return MILL_OK;
}
_Static_assert(offsetof(synth_column, most) == offsetof(synth_column, least) + sizeof(double),
               "ORDER RANGE");

static mill_err get_tensor(const store_tensor **out, const store *f, const char *what, int col,
                           store_dtype dtype, int64_t n)
{
    char name[64];
    snprintf(name, sizeof name, "schema.%d.%s", col, what);
    return store_get(out, f, name, dtype, 1, &n);
}

static mill_err read_dictionary(synth_column *c, const store *f, int col)
{
    const store_tensor *offset, *text = NULL, *count;

    TRY(get_tensor(&offset, f, "offset", col, STORE_I32, (int64_t)c->n_values + 1));
    TRY(get_tensor(&count, f, "count", col, STORE_I64, c->n_values));
    const int32_t *at = offset->data;
    bool good = at[0] == 0;
    for (int32_t v = 0; v < c->n_values; v++) good = good && at[v + 1] >= at[v];
    const int32_t bytes = at[c->n_values];
    if (!good) return mill_fail(MILL_EINPUT, "column \"%s\": broken dictionary", c->name);
    if (bytes) TRY(get_tensor(&text, f, "text", col, STORE_U8, bytes));

    c->offset = mill_alloc((size_t)c->n_values + 1, sizeof *c->offset);
    c->text = mill_alloc((size_t)bytes + 1, 1);
    c->count = mill_alloc((size_t)c->n_values, sizeof *c->count);
    if (!c->offset || !c->text || !c->count) return MILL_ENOMEM;
    memcpy(c->offset, at, ((size_t)c->n_values + 1) * sizeof *at);
    memcpy(c->count, count->data, (size_t)c->n_values * sizeof *c->count);
    if (bytes) memcpy(c->text, text->data, (size_t)bytes);
    return MILL_OK;
}

static mill_err read_column(synth_column *c, const json_t *o, const store *f, int col)
{
    const char *name = json_string_value(json_object_get(o, "name"));
    const char *type = json_string_value(json_object_get(o, "type"));
    const char *format = json_string_value(json_object_get(o, "format"));
    const char *prefix = json_string_value(json_object_get(o, "id_prefix"));
    const json_int_t n_values = json_integer_value(json_object_get(o, "n_values"));
    const json_int_t decimals = json_integer_value(json_object_get(o, "decimals"));

    if (!name || !type || !mill_coltype_parse(&c->type, type) || n_values < 0 ||
        n_values >= INT32_MAX || decimals < 0 || decimals > 15 ||
        (c->type == MILL_IDENTIFIER && !prefix) || (c->type == MILL_DATETIME && !format)) {
        return mill_fail(MILL_EINPUT, "column %d of the model's schema is broken", col + 1);
    }
    c->decimals = (int)decimals;
    c->n_values = (int32_t)n_values;
    c->n_missing = json_integer_value(json_object_get(o, "missing"));
    c->id_digits = (int)json_integer_value(json_object_get(o, "id_digits"));
    c->id_first = json_integer_value(json_object_get(o, "id_first"));
    if (!(c->name = mill_strdup(name))) return MILL_ENOMEM;
    if (format && !(c->format = mill_strdup(format))) return MILL_ENOMEM;
    if (prefix && !(c->id_prefix = mill_strdup(prefix))) return MILL_ENOMEM;
    if (synth_is_number(c->type)) {
        const store_tensor *range;
        TRY(get_tensor(&range, f, "range", col, STORE_F64, 2));
        memcpy(&c->least, range->data, 2 * sizeof(double));
        if (!(c->least <= c->most) || !isfinite(c->least) || !isfinite(c->most)) {
            return mill_fail(MILL_EINPUT, "column \"%s\": broken range", c->name);
        }
    }
    return c->n_values ? read_dictionary(c, f, col) : MILL_OK;
}

mill_err synth_schema_read(synth_schema **out, const store *f)
{
    const json_t *o = json_object_get(store_meta(f), "schema");
    const json_t *columns = json_object_get(o, "columns");
    const size_t n = json_array_size(columns);
    synth_schema *s;
    mill_err err = MILL_OK;

    if (!n || n > 1 << 20) return mill_fail(MILL_EINPUT, "the file has no schema of columns");
    TRY(schema_new(&s, (int)n));
    s->rows = json_integer_value(json_object_get(o, "rows"));
    for (int j = 0; j < s->n && err == MILL_OK; j++) {
        err = read_column(&s->col[j], json_array_get(columns, (size_t)j), f, j);
    }
    if (err != MILL_OK) {
        synth_schema_free(s);
        return err;
    }
    *out = s;
    return MILL_OK;
}

static mill_err table_column(mill_column *c, const synth_column *s, int64_t rows)
{
    TRY(column_init(c, s->name, s->type, rows));
    c->decimals = s->decimals;
    if (s->format && !(c->format = mill_strdup(s->format))) return MILL_ENOMEM;
    if (!column_has_codes(c)) return MILL_OK;
    if (s->n_values) return column_set_dictionary(c, s->n_values, s->offset, s->text);
    static const int32_t none[1] = {0};
    return column_set_dictionary(c, 0, none, "");
}

mill_err synth_schema_table(mill_table **out, const synth_schema *s, int64_t n)
{
    mill_table *t;
    mill_err err = MILL_OK;

    TRY(table_new(&t, n, s->n));
    for (int j = 0; j < s->n && err == MILL_OK; j++) err = table_column(&t->col[j], &s->col[j], n);
    if (err != MILL_OK) {
        mill_table_free(t);
        return err;
    }
    *out = t;
    return MILL_OK;
}

static const double power_of_ten[16] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                        1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

double synth_pow10(int k)
{
    return k < 0 ? 1 / power_of_ten[-k] : power_of_ten[k];
}

double synth_round_number(const synth_column *s, double x)
{
    if (s->type != MILL_REAL) {
        x = rint(x);
    } else if (synth_has_decimals(s, x)) {
        const double ten = power_of_ten[s->decimals];
        x = rint(x * ten) / ten;
    }
    x = x >= s->least ? x : s->least; /* NaN, of a model with broken weights, too */
    return x > s->most ? s->most : x;
}

void synth_put_number(mill_column *c, const synth_column *s, int64_t row, double x)
{
    x = synth_round_number(s, x);
    if (s->type == MILL_REAL) {
        c->f64[row] = x;
        return;
    }
    c->i64[row] = synth_integer(x);
}

/* A table of the schema's values by text: open addressing, FNV-1a. */
static uint64_t hash_text(const char *s, int32_t n)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (int32_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 0x100000001b3u;
    return h ^ h >> 29;
}

mill_err synth_code_map(int32_t **map, const synth_column *s, const mill_column *c)
{
    uint64_t mask = 15;
    while (mask < 2 * (uint64_t)s->n_values) mask = 2 * mask + 1;
    int32_t *slot = mill_alloc((size_t)mask + 1, sizeof *slot); /* code + 1; 0: empty */
    int32_t *out = mill_alloc((size_t)c->n_values + 1, sizeof *out);
    if (!slot || !out) {
        mill_free(slot);
        mill_free(out);
        return MILL_ENOMEM;
    }
    for (int32_t v = 0; v < s->n_values; v++) {
        uint64_t i = hash_text(s->text + s->offset[v], s->offset[v + 1] - s->offset[v]) & mask;
        while (slot[i]) i = (i + 1) & mask;
        slot[i] = v + 1;
    }
    out[c->n_values] = -1;
    for (int32_t v = 0; v < c->n_values; v++) {
        const char *text = c->text + c->offset[v];
        const int32_t len = c->offset[v + 1] - c->offset[v];
        uint64_t i = hash_text(text, len) & mask;
        out[v] = -1;
        for (; slot[i]; i = (i + 1) & mask) {
            const int32_t k = slot[i] - 1;
            if (s->offset[k + 1] - s->offset[k] != len) continue;
            if (memcmp(s->text + s->offset[k], text, (size_t)len) != 0) continue;
            out[v] = k;
            break;
        }
    }
    mill_free(slot);
    *map = out;
    return MILL_OK;
}
