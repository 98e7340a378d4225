/*
 * parquet_rows.c - Parquet rows as lines of JSON, see parquet_rows.h.
 *
 * A batch is so many rows that they are about 4 MiB, and of each column the page that it lies in is
 * held, so memory grows with the longest rows and not with the file.  Values are written from
 * Arrow's buffers straight into the line, lists and structs by recursion.
 */
#include "table/parquet_rows.h"

#include "base/mem.h"
#include "base/text.h"
#include "table/arrow_value.h"
#include "table/csv_reader.h"
#include "table/datetime.h"
#include "table/parquet_plugin.h"
#include "table/parquet_reader.h"

#include <math.h>
#include <stdio.h>

enum { BATCH_BYTES = 4 << 20, MOST_ROWS = 4096, MOST_DEPTH = 32, DAY_SECONDS = 86400 };

/* A column, or what is inside of one. */
typedef struct node {
    const struct ArrowSchema *schema;
    arrow_type type; /* of its values */
    arrow_type index;
    bool has_dictionary, is_json;
    int n_children;
    struct node *child;
} node;

struct parquet_rows {
    parquet_file file;
    mill_arena *arena;
    node root;
    struct ArrowArray batch;
    int64_t at, seen; /* rows of the batch, of the file, that were given out */
    mill_text line;
};

/* ---- the schema ---- */

static mill_err plan_node(parquet_rows *r, node *x, const struct ArrowSchema *s, int depth)
{
    size_t n;
    const char *own = arrow_metadata(&n, s, PARQUET_KEY);

    x->schema = s;
    x->has_dictionary = s->dictionary != NULL;
    x->index = arrow_type_of(s);
    x->type = x->has_dictionary ? arrow_type_of(s->dictionary) : x->index;
    x->is_json = own && n == strlen("json") && !memcmp(own, "json", n);
    if (x->type.kind == ARROW_OTHER || depth > MOST_DEPTH ||
        (x->has_dictionary && s->dictionary->n_children))
        return mill_fail(MILL_EINPUT, "%s: \"%s\" is of a type that is not read (format \"%s\")",
                         r->file.in->path, s->name, s->format);
    if (s->n_children > 100000)
        return mill_fail(MILL_EINPUT, "%s: \"%s\" has %lld parts", r->file.in->path, s->name,
                         (long long)s->n_children);
    x->n_children = (int)s->n_children;
    x->child = mill_arena_alloc(r->arena, (size_t)x->n_children + 1, sizeof *x->child);
    if (!x->child) return MILL_ENOMEM;
    for (int k = 0; k < x->n_children; k++)
        TRY(plan_node(r, &x->child[k], s->children[k], depth + 1));
    return MILL_OK;
}

/* ---- values ---- */

static void put_string(mill_text *t, const char *s, size_t n)
{
    size_t from = 0;

    text_add_bytes(t, "\"", 1);
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)s[i];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        text_add_bytes(t, s + from, i - from);
        from = i + 1;
        if (c == '"' || c == '\\')
            text_add_bytes(t, c == '"' ? "\\\"" : "\\\\", 2);
        else if (c == '\n')
            text_add_bytes(t, "\\n", 2);
        else
            text_add(t, "\\u%04x", c);
    }
    text_add_bytes(t, s + from, n - from);
    text_add_bytes(t, "\"", 1);
}

static void put_base64(mill_text *t, const char *bytes, size_t n)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    const unsigned char *s = (const unsigned char *)bytes;

    text_add_bytes(t, "\"", 1);
    for (size_t i = 0; i < n; i += 3) {
        const uint32_t v = (uint32_t)s[i] << 16 | (i + 1 < n ? (uint32_t)s[i + 1] << 8 : 0) |
                           (i + 2 < n ? s[i + 2] : 0);
        const char four[4] = {letters[v >> 18], letters[v >> 12 & 63],
                              letters[i + 1 < n ? v >> 6 & 63 : 64],
                              letters[i + 2 < n ? v & 63 : 64]};
        text_add_bytes(t, four, sizeof four);
    }
    text_add_bytes(t, "\"", 1);
}

/* Digits behind the point, without the zeros at the end. */
static void put_fraction(mill_text *t, int64_t part, int64_t per_second)
{
    char digits[16];
    int n = 0;

    for (int64_t unit = per_second / 10; unit && part; part %= unit, unit /= 10)
        digits[n++] = (char)('0' + part / unit);
    if (n) text_add(t, ".%.*s", n, digits);
}

static void put_time(mill_text *t, const arrow_type *type, int64_t v)
{
    const int64_t per = type->per_second ? type->per_second : 1;
    int64_t seconds = v / per, part = v % per;
    char buf[DATETIME_TEXT_MAX];

    if (part < 0) {
        part += per;
        seconds--;
    }
    if (type->kind == ARROW_DATE) {
        text_add(t, "\"%.*s\"",
                 datetime_format(buf, "%Y-%m-%d", type->per_second ? seconds : v * DAY_SECONDS),
                 buf);
        return;
    }
    const char *pattern = type->kind == ARROW_TIME ? "%H:%M:%S" : "%Y-%m-%dT%H:%M:%S";
    const int n = datetime_format(buf, pattern, seconds);
    text_add(t, "\"%.*s", n, buf);
    put_fraction(t, part, per);
    text_add_bytes(t, type->has_zone ? "Z\"" : "\"", type->has_zone ? 2 : 1);
}

static void put_real(mill_text *t, double x)
{
    char buf[48];

    if (isnan(x) || isinf(x)) {
        text_add_bytes(t, "null", 4);
        return;
    }
    const int n = mill_format_f64(buf, x);
    text_add_bytes(t, buf, (size_t)n);
    /* A real stays one. */
    if (!memchr(buf, '.', (size_t)n) && !memchr(buf, 'e', (size_t)n)) text_add_bytes(t, ".0", 2);
}

static void put_integer(mill_text *t, const arrow_type *type, int64_t v)
{
    char buf[48];

    if (type->kind == ARROW_UINT && v < 0)
        put_real(t, (double)(uint64_t)v);
    else
        text_add_bytes(t, buf, (size_t)mill_format_i64(buf, v));
}

static void put_text(mill_text *t, const node *x, const struct ArrowArray *a, int64_t i)
{
    size_t n;
    const char *s = arrow_text(&n, &x->type, a, i);

    if (x->is_json && n && !memchr(s, '\n', n)) /* ours has no line end */
        text_add_bytes(t, s, n);
    else if (x->type.kind == ARROW_BINARY && !csv_utf8_ok(s, n))
        put_base64(t, s, n);
    else
        put_string(t, s, n);
}

static void put(mill_text *t, const node *x, const struct ArrowArray *a, int64_t i);

static void put_list(mill_text *t, const node *x, const struct ArrowArray *a, int64_t i)
{
    int64_t begin, end;

    arrow_span(&begin, &end, &x->type, a, i);
    text_add_bytes(t, "[", 1);
    for (int64_t k = begin; k < end; k++) {
        if (k > begin) text_add_bytes(t, ",", 1);
        put(t, &x->child[0], a->children[0], k);
    }
    text_add_bytes(t, "]", 1);
}

static void put_struct(mill_text *t, const node *x, const struct ArrowArray *a, int64_t i)
{
    text_add_bytes(t, "{", 1);
    for (int k = 0; k < x->n_children; k++) {
        const char *name = x->child[k].schema->name;
        if (k) text_add_bytes(t, ",", 1);
        put_string(t, name, strlen(name));
        text_add_bytes(t, ":", 1);
        put(t, &x->child[k], a->children[k], a->offset + i);
    }
    text_add_bytes(t, "}", 1);
}

/* Its child is a struct of key and value. */
static void put_map(mill_text *t, const node *x, const struct ArrowArray *a, int64_t i)
{
    const node *entry = &x->child[0];
    const struct ArrowArray *entries = a->children[0];
    int64_t begin, end;

    if (entry->n_children != 2 || entry->child[0].type.kind != ARROW_TEXT) {
        put_list(t, x, a, i);
        return;
    }
    arrow_span(&begin, &end, &x->type, a, i);
    text_add_bytes(t, "{", 1);
    for (int64_t k = begin; k < end; k++) {
        if (k > begin) text_add_bytes(t, ",", 1);
        put(t, &entry->child[0], entries->children[0], entries->offset + k);
        text_add_bytes(t, ":", 1);
        put(t, &entry->child[1], entries->children[1], entries->offset + k);
    }
    text_add_bytes(t, "}", 1);
}

static void put(mill_text *t, const node *x, const struct ArrowArray *a, int64_t i)
{
    char decimal[ARROW_DECIMAL_MAX];

    if (x->type.kind == ARROW_NULL || !arrow_is_valid(a, i)) {
        text_add_bytes(t, "null", 4);
        return;
    }
    if (x->has_dictionary) {
        node values = *x;
        values.has_dictionary = false;
        put(t, &values, a->dictionary, arrow_i64(&x->index, a, i));
        return;
    }
    switch (x->type.kind) {
    case ARROW_BOOLEAN:
        text_add(t, "%s", arrow_boolean(a, i) ? "true" : "false");
        return;
    case ARROW_INT:
    case ARROW_UINT:
        put_integer(t, &x->type, arrow_i64(&x->type, a, i));
        return;
    case ARROW_FLOAT:
        put_real(t, arrow_f64(&x->type, a, i));
        return;
    case ARROW_DECIMAL:
        text_add_bytes(t, decimal, (size_t)arrow_decimal(decimal, &x->type, a, i));
        return;
    case ARROW_DATE:
    case ARROW_TIME:
    case ARROW_TIMESTAMP:
        put_time(t, &x->type, arrow_i64(&x->type, a, i));
        return;
    case ARROW_LIST:
        put_list(t, x, a, i);
        return;
    case ARROW_STRUCT:
        put_struct(t, x, a, i);
        return;
    case ARROW_MAP:
        put_map(t, x, a, i);
        return;
    default:
        put_text(t, x, a, i);
    }
}

/* ---- rows ---- */

static mill_err open_rows(parquet_rows *r, const source *in)
{
    TRY(parquet_file_open(&r->file, in, false, 1));
    const int n = (int)r->file.schema.n_children;
    const int64_t fit = BATCH_BYTES / r->file.facts.row_bytes;
    const int64_t batch = fit < 1 ? 1 : fit > MOST_ROWS ? MOST_ROWS : fit;
    int *column = mill_alloc((size_t)n, sizeof *column);

    mill_err err = column ? mill_arena_new(&r->arena) : MILL_ENOMEM;
    for (int j = 0; !err && j < n; j++) column[j] = j;
    if (!err) err = plan_node(r, &r->root, &r->file.schema, 0);
    if (!err) err = parquet_file_stream(&r->file, column, n, batch);
    mill_free(column);
    return err;
}

mill_err parquet_rows_open(parquet_rows **out, const source *in)
{
    parquet_rows *r = mill_alloc(1, sizeof *r);
    const mill_err err = r ? open_rows(r, in) : MILL_ENOMEM;

    if (err)
        parquet_rows_close(r);
    else
        *out = r;
    return err;
}

void parquet_rows_close(parquet_rows *r)
{
    if (!r) return;
    if (r->batch.release) r->batch.release(&r->batch);
    parquet_file_close(&r->file);
    if (r->arena) mill_arena_free(r->arena);
    text_free(&r->line);
    mill_free(r);
}

/* A row behind r->at; at the end of the file r->batch is released. */
static mill_err need_batch(parquet_rows *r)
{
    while (!r->batch.release || r->at == r->batch.length) {
        if (r->batch.release) r->batch.release(&r->batch);
        r->at = 0;
        TRY(parquet_file_next(&r->file, &r->batch));
        if (!r->batch.release) break;
        if (r->batch.n_children != r->root.n_children ||
            r->batch.length > r->file.facts.rows - r->seen)
            return mill_fail(MILL_EINPUT, "%s: more rows than the file says: it is damaged",
                             r->file.in->path);
    }
    if (!r->batch.release && r->seen != r->file.facts.rows)
        return mill_fail(MILL_EINPUT, "%s: fewer rows than the file says: it is damaged",
                         r->file.in->path);
    return MILL_OK;
}

mill_err parquet_rows_next(parquet_rows *r, const char **line, size_t *n)
{
    *line = NULL;
    *n = 0;
    TRY(need_batch(r));
    if (!r->batch.release) return MILL_OK;
    text_clear(&r->line);
    put_struct(&r->line, &r->root, &r->batch, r->at);
    text_add_bytes(&r->line, "\n", 1);
    TRY(text_check(&r->line));
    r->at++;
    r->seen++;
    *line = r->line.s;
    *n = r->line.len;
    return MILL_OK;
}
