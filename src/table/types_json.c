/*
 * types_json.c - the types file: what each column was taken for, to be read, edited and given to
 * --types.
 *
 *     {"columns": [{"name": "age", "type": "integer", "missing": 0, "min": 17, "max": 90}, ...]}
 *
 * Only name, type and format are read back (csv_open.c); the rest is for the reader.  min and max
 * of a datetime are in the column's own format; "values" is the number of different values;
 * "decimals" the digits behind the point.
 */
#include "base/json.h"
#include "table/csv.h"
#include "table/datetime.h"

/* Least and largest present value; false if there is none. */
static bool range_of(const mill_column *c, int64_t *least, int64_t *most)
{
    bool any = false;
    for (int64_t i = 0; i < c->rows; i++) {
        if (!column_is_valid(c, i)) continue;
        const int64_t k = c->i64[i];
        const bool is_real = c->type == MILL_REAL;
        if (!any || (is_real ? c->f64[i] < c->f64[*least] : k < c->i64[*least])) *least = i;
        if (!any || (is_real ? c->f64[i] > c->f64[*most] : k > c->i64[*most])) *most = i;
        any = true;
    }
    return any;
}

static json_t *value_json(const mill_column *c, int64_t i)
{
    char buf[DATETIME_TEXT_MAX];

    if (c->type == MILL_INTEGER) return json_integer(c->i64[i]);
    if (c->type == MILL_REAL) return json_real(c->f64[i]);
    return json_stringn(buf, (size_t)datetime_format(buf, c->format, c->i64[i]));
}

static json_t *column_json(const mill_column *c)
{
    int64_t least = 0, most = 0;
    json_t *o = json_pack("{s:s, s:s, s:I}", "name", c->name, "type", mill_coltype_name(c->type),
                          "missing", (json_int_t)c->n_missing);
    int bad = !o;

    if (!bad && column_has_codes(c)) {
        bad |= json_object_set_new(o, "values", json_integer(c->n_values));
    } else if (!bad) {
        if (range_of(c, &least, &most)) {
            bad |= json_object_set_new(o, "min", value_json(c, least));
            bad |= json_object_set_new(o, "max", value_json(c, most));
        }
        if (c->type == MILL_REAL)
            bad |= json_object_set_new(o, "decimals", json_integer(c->decimals));
        if (c->type == MILL_DATETIME)
            bad |= json_object_set_new(o, "format", json_string(c->format));
    }
    if (!bad) return o;
    json_decref(o);
    return NULL;
}

mill_err mill_table_types_json(char **json, const mill_table *t)
{
    json_t *columns = json_array();
    int bad = !columns;

    for (int j = 0; !bad && j < t->n_cols; j++) {
        bad = json_array_append_new(columns, column_json(&t->col[j]));
        table_column_release(t, j);
    }
    json_t *root = bad ? NULL : json_pack("{s:O}", "columns", columns);
    const mill_err err = mill_json_text(json, root, JSON_INDENT(1));
    json_decref(root);
    json_decref(columns);
    return err;
}
