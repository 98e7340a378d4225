/*
 * records.c - a file of records is opened, and one of them read, as an object or as text.
 */
#include "reason/records_inner.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "table/parquet.h"

#include <string.h>

/* ---- the bytes of a record ---- */

static int64_t line_of(const record_file *r, int64_t i)
{
    char buf[4096];
    int64_t line = r->line[i / RECORD_LINES], at = r->begin[i - i % RECORD_LINES];

    while (at < r->begin[i]) {
        size_t got, left = (size_t)(r->begin[i] - at);
        if (source_read(&r->in, buf, left < sizeof buf ? left : sizeof buf, at, &got) || !got)
            break;
        for (size_t k = 0; k < got; k++) line += buf[k] == '\n';
        at += (int64_t)got;
    }
    return line;
}

/* Behind a record's own bytes: blanks are text in a table. */
static bool is_behind(const record_file *r, char c)
{
    return c == '\n' || c == '\r' ||
           (r->layout != CSV && (c == ' ' || c == '\t' || (r->layout == ARRAY && c == ',')));
}

static mill_err read_bytes(char **out, size_t *n, const record_file *r, int64_t i)
{
    const int64_t begin = r->begin[i], bytes = r->begin[i + 1] - begin;
    char *s;

    if (bytes > RECORD_MAX_BYTES)
        return mill_fail(MILL_EINPUT, "%s:%lld: a record of %lld bytes; at most %d are read",
                         r->path, (long long)line_of(r, i), (long long)bytes, RECORD_MAX_BYTES);
    if (!(s = mill_alloc((size_t)bytes + 1, 1))) return MILL_ENOMEM;
    const mill_err err = source_read(&r->in, s, (size_t)bytes, begin, n);
    if (err) {
        mill_free(s);
        return err;
    }
    while (*n && is_behind(r, s[*n - 1])) --*n;
    s[*n] = 0;
    *out = s;
    return MILL_OK;
}

/* ---- CSV ---- */

/* The next field of [*s, end): its text goes to the same place, without quotes; NUL behind it.
 * *more: a delimiter followed. */
static const char *take_field(char **s, const char *end, char delimiter, bool *more)
{
    char *const field = *s, *to = field, *at = field;

    if (at < end && *at == '"') {
        for (at++; at < end; at++) {
            if (*at == '"' && !(at + 1 < end && at[1] == '"')) {
                at++;
                break;
            }
            at += *at == '"';
            *to++ = *at;
        }
    }
    while (at < end && *at != delimiter) *to++ = *at++;
    *more = at < end;
    *s = at + 1;
    *to = 0;
    return field;
}

static mill_err read_names(record_file *r)
{
    size_t n;
    char *s;
    bool more = true;

    TRY(read_bytes(&s, &n, r, 0));
    char *at = s, *const end = s + n;
    mill_err err = MILL_OK;
    while (more && !err) {
        const char *name = take_field(&at, end, r->delimiter, &more);
        char **p = mill_realloc(r->name, (size_t)r->n_names + 1, sizeof *p);
        if (p) r->name = p;
        char *copy = p ? mill_strdup(name) : NULL;
        if (!copy) err = MILL_ENOMEM;
        for (int i = 0; !err && i < r->n_names; i++)
            if (!strcmp(r->name[i], copy))
                err = mill_fail(MILL_EINPUT, "%s:1: two columns are called \"%s\"", r->path, copy);
        if (copy && !err)
            r->name[r->n_names++] = copy;
        else
            mill_free(copy);
    }
    mill_free(s);
    return err;
}

static mill_err csv_object(json_t **out, const record_file *r, char *s, size_t n, int64_t i)
{
    char *at = s, *const end = s + n;
    json_t *o = json_object();
    bool more = true;
    int count = 0;

    for (; o && more; count++) {
        const char *value = take_field(&at, end, r->delimiter, &more);
        if (count < r->n_names && json_object_set_new(o, r->name[count], json_string(value))) {
            json_decref(o);
            return mill_fail(MILL_EINPUT, "%s:%lld: column \"%s\" is not UTF-8", r->path,
                             (long long)line_of(r, i), r->name[count]);
        }
    }
    if (!o) return mill_fail(MILL_ENOMEM, "no memory for a record");
    if (count != r->n_names) {
        json_decref(o);
        return mill_fail(MILL_EINPUT, "%s:%lld: %d fields, and the header has %d", r->path,
                         (long long)line_of(r, i), count, r->n_names);
    }
    *out = o;
    return MILL_OK;
}

/* ---- opening ---- */

static bool ends_in(const char *path, size_t n, const char *ending)
{
    const size_t m = strlen(ending);
    return n >= m && !strncmp(path + n - m, ending, m);
}

static mill_err choose_layout(record_file *r, const char *first, size_t n, int64_t *from)
{
    size_t len = strlen(r->path), at = 0;

    if (n >= 3 && !memcmp(first, "\xef\xbb\xbf", 3)) at = 3;
    *from = (int64_t)at;
    if (ends_in(r->path, len, ".gz")) len -= 3;
    if (ends_in(r->path, len, ".zst")) len -= 4;
    while (at < n && record_is_space(first[at])) at++;
    if (ends_in(r->path, len, ".csv") || ends_in(r->path, len, ".tsv")) {
        r->layout = CSV;
        r->delimiter = ends_in(r->path, len, ".tsv") ? '\t' : ',';
    } else if (ends_in(r->path, len, ".json") && at < n && first[at] == '[') {
        r->layout = ARRAY;
    } else if (at < n && first[at] == '{') {
        r->layout = LINES;
    } else {
        return mill_fail(MILL_EINPUT,
                         "%s: neither objects in lines (.jsonl) nor an array of them (.json) nor "
                         "a table (.csv, .tsv, .parquet)",
                         r->path);
    }
    return MILL_OK;
}

static mill_err open_file(record_file *r, const char *path, const char *spool_dir, char *chunk)
{
    int64_t from = 0;
    bool is_parquet;
    size_t got;

    if (!(r->path = mill_strdup(path))) return MILL_ENOMEM;
    TRY(source_open(&r->in, r->path, spool_dir));
    TRY(parquet_is_source(&is_parquet, &r->in));
    if (is_parquet || parquet_is_name(path)) {
        TRY(records_spool_parquet(r, spool_dir));
        if (r->n < 1) return mill_fail(MILL_EINPUT, "%s: there are no records", path);
        return MILL_OK;
    }
    TRY(source_read(&r->in, chunk, RECORD_CHUNK, 0, &got));
    if (!got) return mill_fail(MILL_EINPUT, "%s: the file is empty", path);
    TRY(choose_layout(r, chunk, got, &from));
    TRY(records_find(r, chunk, from));
    if (r->layout == CSV && r->n) TRY(read_names(r));
    if (records_count(r) < 1) return mill_fail(MILL_EINPUT, "%s: there are no records", path);
    return MILL_OK;
}

mill_err records_open(record_file **out, const char *path, const char *spool_dir)
{
    record_file *r = mill_alloc(1, sizeof *r);
    char *chunk = mill_alloc(RECORD_CHUNK, 1);
    mill_err err = r && chunk ? open_file(r, path, spool_dir, chunk) : MILL_ENOMEM;

    mill_free(chunk);
    if (err)
        records_close(r);
    else
        *out = r;
    return err;
}

void records_close(record_file *r)
{
    if (!r) return;
    source_close(&r->in);
    for (int i = 0; i < r->n_names; i++) mill_free(r->name[i]);
    mill_free(r->name);
    mill_free(r->begin);
    mill_free(r->line);
    mill_free(r->path);
    mill_free(r);
}

int64_t records_count(const record_file *r)
{
    return r->n - (r->layout == CSV && r->n);
}

int64_t records_bytes(const record_file *r, int64_t i)
{
    i += r->layout == CSV;
    return r->begin[i + 1] - r->begin[i];
}

mill_err records_read(json_t **out, const record_file *r, int64_t i)
{
    json_error_t why;
    size_t n;
    char *s;

    i += r->layout == CSV; /* behind the header */
    TRY(read_bytes(&s, &n, r, i));
    mill_err err = MILL_OK;
    if (r->layout == CSV) {
        err = csv_object(out, r, s, n, i);
    } else {
        json_t *o = json_loadb(s, n, JSON_REJECT_DUPLICATES, &why);
        if (json_is_object(o)) {
            *out = o;
        } else {
            err = mill_fail(MILL_EINPUT, "%s:%lld: %s", r->path,
                            (long long)line_of(r, i) + (o ? 0 : why.line - 1),
                            o ? "this is not an object" : why.text);
            json_decref(o);
        }
    }
    mill_free(s);
    return err;
}

/* ---- text, and its members ---- */

static mill_err built_json(record_json *out, const record_file *r, int64_t i)
{
    record_json j;
    json_t *o;

    TRY(records_read(&o, r, i));
    const mill_err err = mill_json_text(&j.text, o, JSON_COMPACT);
    json_decref(o);
    if (err) return err;
    j.n = strlen(j.text);
    if (members_scan(&j.in, j.text, j.n, true)) {
        *out = j;
        return MILL_OK;
    }
    mill_free(j.text);
    return mill_fail(MILL_EINPUT, "%s:%lld: more than %d members, or %d levels of them", r->path,
                     (long long)line_of(r, i + (r->layout == CSV)), MEMBERS_MOST, 24);
}

mill_err records_json(record_json *out, const record_file *r, int64_t i)
{
    record_json j;

    if (r->layout == CSV) return built_json(out, r, i);
    TRY(read_bytes(&j.text, &j.n, r, i));
    /* A line break inside of an array's item would end a line of the final file. */
    if (!memchr(j.text, '\n', j.n) && !memchr(j.text, '\r', j.n) &&
        members_scan(&j.in, j.text, j.n, false)) {
        *out = j;
        return MILL_OK;
    }
    mill_free(j.text);
    return built_json(out, r, i);
}

json_t *record_json_value(const record_json *record, const char *field)
{
    const member *m = members_find(&record->in, field);

    return m ? json_loadb(m->value, m->n_value, JSON_DECODE_ANY, NULL) : NULL;
}

static mill_err value_text(char **out, const json_t *x, const char *field)
{
    char number[40];
    const char *s = number;

    if (!x) return mill_fail(MILL_EINPUT, "there is no field \"%s\"", field);
    switch (json_typeof(x)) {
    case JSON_STRING:
        s = json_string_value(x);
        break;
    case JSON_INTEGER:
        number[mill_format_i64(number, json_integer_value(x))] = 0;
        break;
    case JSON_REAL:
        number[mill_format_f64(number, json_real_value(x))] = 0;
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        s = json_is_true(x) ? "true" : "false";
        break;
    default:
        return mill_fail(MILL_EINPUT, "the field \"%s\" is %s, not text", field,
                         json_is_null(x)    ? "null"
                         : json_is_array(x) ? "an array"
                                            : "an object");
    }
    *out = mill_strdup(s);
    return *out ? MILL_OK : MILL_ENOMEM;
}

mill_err record_text(char **out, const json_t *record, const char *field)
{
    return value_text(out, json_object_get(record, field), field);
}

mill_err record_json_text(char **out, const record_json *record, const char *field)
{
    const member *m = members_find(&record->in, field);

    if (m && m->is_plain) {
        *out = mill_strndup(m->value + 1, m->n_value - 2);
        return *out ? MILL_OK : MILL_ENOMEM;
    }
    json_t *x = record_json_value(record, field);
    const mill_err err = value_text(out, x, field);
    json_decref(x);
    return err;
}
