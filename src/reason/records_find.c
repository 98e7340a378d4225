/*
 * records_find.c - where the records of a file begin.
 *
 * One scanner passes over the bytes with a few words of state, so a chunk may end anywhere.  It
 * finds beginnings only: whether a record is well-formed is seen when it is read.
 */
#include "reason/records_inner.h"

#include "base/mem.h"
#include "table/parquet_rows.h"
#include "table/spool.h"

/* ---- a scanner ---- */

typedef struct {
    record_file *r;
    int64_t at, line;
    bool in_record, in_quotes, is_escaped, is_over;
    int depth; /* of an array's brackets and braces */
} scanner;

static mill_err begin_record(scanner *s)
{
    record_file *r = s->r;

    if (r->n + 1 >= r->room) {
        const int64_t room = r->room ? 2 * r->room : 1024;
        int64_t *p = mill_realloc(r->begin, (size_t)room, sizeof *p);
        if (!p) return MILL_ENOMEM;
        r->begin = p;
        if (!(p = mill_realloc(r->line, (size_t)(room / RECORD_LINES), sizeof *p)))
            return MILL_ENOMEM;
        r->line = p;
        r->room = room;
    }
    if (r->n % RECORD_LINES == 0) r->line[r->n / RECORD_LINES] = s->line;
    r->begin[r->n++] = s->at;
    s->in_record = true;
    return MILL_OK;
}

static mill_err scan_lines(scanner *s, char c)
{
    if (c == '\n') {
        s->line++;
        if (s->in_record) s->r->begin[s->r->n] = s->at;
        s->in_record = false;
    } else if (!s->in_record && !record_is_space(c)) {
        return begin_record(s);
    }
    return MILL_OK;
}

/* A quote inside a quoted field is doubled, so its two halves leave and enter again. */
static mill_err scan_csv(scanner *s, char c)
{
    s->line += c == '\n';
    if (c == '"') s->in_quotes = !s->in_quotes;
    if (c == '\n' && !s->in_quotes) {
        if (s->in_record) s->r->begin[s->r->n] = s->at;
        s->in_record = false;
    } else if (!s->in_record && c != '\r' && c != '\n') {
        return begin_record(s);
    }
    return MILL_OK;
}

/* At the array's own level and outside of its items: one begins, or the array ends. */
static mill_err begin_item(scanner *s, char c)
{
    if (c == ',' || (c == ']' && s->r->n))
        return mill_fail(MILL_EINPUT, "%s:%lld: an item of the array is missing", s->r->path,
                         (long long)s->line);
    return c == ']' ? MILL_OK : begin_record(s);
}

static mill_err scan_array(scanner *s, char c)
{
    s->line += c == '\n';
    if (s->in_quotes) {
        if (s->is_escaped)
            s->is_escaped = false;
        else if (c == '\\')
            s->is_escaped = true;
        else if (c == '"')
            s->in_quotes = false;
        return MILL_OK;
    }
    if (record_is_space(c)) return MILL_OK;
    if (s->is_over)
        return mill_fail(MILL_EINPUT, "%s: there is more behind the end of the array", s->r->path);
    if (s->depth == 1 && !s->in_record) TRY(begin_item(s, c));
    if (c == '"')
        s->in_quotes = true;
    else if (c == '[' || c == '{')
        s->depth++;
    else if (c == ']' || c == '}')
        s->is_over = --s->depth == 0;
    if (s->depth == 1 && c == ',') s->in_record = false;
    if (s->is_over && s->in_record) s->r->begin[s->r->n] = s->at;
    return MILL_OK;
}

static mill_err scan(scanner *s, const char *p, size_t n)
{
    static mill_err (*const step[])(scanner *, char) = {
        [LINES] = scan_lines, [ARRAY] = scan_array, [CSV] = scan_csv};

    for (size_t i = 0; i < n; i++, s->at++) TRY(step[s->r->layout](s, p[i]));
    return MILL_OK;
}

mill_err records_find(record_file *r, char *chunk, int64_t from)
{
    scanner s = {.r = r, .at = from, .line = 1};
    size_t got = RECORD_CHUNK;

    for (int64_t at = from; got == RECORD_CHUNK; at += (int64_t)got) {
        TRY(source_read(&r->in, chunk, RECORD_CHUNK, at, &got));
        TRY(scan(&s, chunk, got));
    }
    if (r->layout == ARRAY && !s.is_over)
        return mill_fail(MILL_EINPUT, "%s: the array is not closed: the file was cut short?",
                         r->path);
    if (r->layout == CSV && s.in_quotes)
        return mill_fail(MILL_EINPUT, "%s: a quote is opened and never closed", r->path);
    if (s.in_record && r->layout != ARRAY) r->begin[r->n] = s.at;
    return MILL_OK;
}

/* ---- Parquet ---- */

static mill_err write_lines(record_file *r, parquet_rows *rows, mill_file *to)
{
    scanner s = {.r = r, .line = 1};
    const char *line;
    size_t n;

    for (;;) {
        TRY(parquet_rows_next(rows, &line, &n));
        if (!line) break;
        TRY(begin_record(&s));
        TRY(file_write(to, line, n));
        s.at += (int64_t)n;
        s.line++;
        r->begin[r->n] = s.at;
    }
    return file_flush(to);
}

mill_err records_spool_parquet(record_file *r, const char *spool_dir)
{
    parquet_rows *rows = NULL;
    mill_file *writer = NULL, *reader = NULL;

    mill_err err = parquet_rows_open(&rows, &r->in);
    if (!err) err = spool_stream(&writer, &reader, spool_dir);
    if (!err) err = write_lines(r, rows, writer);
    parquet_rows_close(rows);
    file_close(writer);
    if (err) {
        file_close(reader);
        return err;
    }
    source_close(&r->in);
    r->in.f = reader;
    return file_size(reader, &r->in.bytes);
}
