/*
 * csv_write.c - tables to CSV: blocks of rows are formatted by all threads and written in order.
 *
 * A field is quoted if it holds the delimiter, a quote or a line end, or begins with '; a value
 * that is empty, blank or a word of the default `na` is quoted, so that it does not come back as
 * missing.  Quoting is decided once per value of a dictionary, not per row.  Missing is the empty
 * field; in a table of one column that is an empty line.  Reals have the column's decimals, or as
 * many digits as it takes to read the same number back where the column has 15, or from 1e15 on.
 * Lines end with LF.
 */
#include "table/csv_write.h"
#include "base/digits.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/power10.h"
#include "base/text.h"
#include "table/csv.h"
#include "table/datetime.h"
#include "table/parquet.h"

#include <math.h>
#include <string.h>

enum { WAVE = 64, BLOCK_BYTES = 1 << 17, MAX_BLOCK_ROWS = 4096, NUMBER_MAX = 40 };

typedef struct {
    char *buf;
    size_t cap, len;
    mill_err err;
} piece;

/* The dictionary of a column as it stands in the file, each value with the delimiter behind it. */
typedef struct {
    char *text;
    size_t *offset;
    size_t longest;
} encoded;

struct csv_writer {
    csv_sink *sink; /* NULL: text */
    mill_text text;
    bool has_header;
    char delimiter;
    mill_pool *pool;
    int n_cols; /* -1 before the first table */
    mill_text names;
    piece piece[WAVE];
};

static mill_err writer_new(csv_writer **out, bool has_header, char delimiter, mill_pool *pool)
{
    csv_writer *w = mill_alloc(1, sizeof *w);

    if (!w) return MILL_ENOMEM;
    w->has_header = has_header;
    w->delimiter = ',';
    if (delimiter) w->delimiter = delimiter;
    w->pool = pool;
    w->n_cols = -1;
    *out = w;
    return MILL_OK;
}

mill_err csv_writer_open_text(csv_writer **out, bool has_header, char delimiter, mill_pool *pool)
{
    return writer_new(out, has_header, delimiter, pool);
}

mill_err csv_writer_open(csv_writer **out, const char *path, bool force, char delimiter,
                         mill_pool *pool)
{
    if (mill_table_is_array(path) || parquet_is_name(path))
        return mill_fail(MILL_EINPUT, "%s: rows are written as CSV here; name it .csv", path);
    csv_writer *w;
    TRY(writer_new(&w, true, delimiter, pool));
    const mill_err err = csv_sink_open(&w->sink, path, force);
    if (err)
        mill_free(w);
    else
        *out = w;
    return err;
}

void csv_writer_close(csv_writer *w)
{
    if (!w) return;
    csv_sink_close(w->sink);
    for (int i = 0; i < WAVE; i++) mill_free(w->piece[i].buf);
    text_free(&w->names);
    text_free(&w->text);
    mill_free(w);
}

const char *csv_writer_text(const csv_writer *w, size_t *n)
{
    *n = w->text.len;
    return w->text.s;
}

void csv_writer_clear(csv_writer *w)
{
    text_clear(&w->text);
}

static mill_err emit(csv_writer *w, const char *p, size_t n)
{
    if (w->sink) return csv_sink_write(w->sink, p, n);
    text_add_bytes(&w->text, p, n);
    return text_check(&w->text);
}

mill_err csv_writer_add_text(csv_writer *w, const char *text, size_t n)
{
    return n ? emit(w, text, n) : MILL_OK;
}

mill_err csv_writer_commit(csv_writer *w)
{
    return csv_sink_commit(w->sink);
}

/* ---- quoting ---- */

static bool is_na_like(const char *s, size_t n)
{
    static const char *const words[] = {"NA", "N/A", "NaN", "null", "None"};

    while (n && (*s == ' ' || *s == '\t')) s++, n--;
    while (n && (s[n - 1] == ' ' || s[n - 1] == '\t')) n--;
    if (!n) return true;
    for (size_t k = 0; k < sizeof words / sizeof *words; k++)
        if (strlen(words[k]) == n && !memcmp(s, words[k], n)) return true;
    return false;
}

static bool needs_quotes(const char *s, size_t n, char delimiter)
{
    if (is_na_like(s, n) || *s == '\'') return true;
    for (size_t i = 0; i < n; i++)
        if (s[i] == delimiter || s[i] == '"' || s[i] == '\n' || s[i] == '\r') return true;
    return n >= 3 && !memcmp(s, "\xef\xbb\xbf", 3); /* would be taken for a BOM */
}

/* At most 2 n + 2 bytes. */
static size_t put_text(char *to, const char *s, size_t n, char delimiter)
{
    size_t at = 0;

    if (!needs_quotes(s, n, delimiter)) {
        memcpy(to, s, n);
        return n;
    }
    to[at++] = '"';
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '"') to[at++] = '"';
        to[at++] = s[i];
    }
    to[at++] = '"';
    return at;
}

static mill_err encode_dictionary(encoded *e, const mill_column *c, char delimiter)
{
    const size_t bytes = c->n_values ? (size_t)c->offset[c->n_values] : 0;

    e->offset = mill_alloc((size_t)c->n_values + 1, sizeof *e->offset);
    e->text = mill_alloc(2 * bytes + 2 * (size_t)c->n_values + 16, 1);
    if (!e->offset || !e->text) return MILL_ENOMEM;
    for (int32_t k = 0; k < c->n_values; k++) {
        int n;
        const char *s = column_value(c, k, &n);
        const size_t put = put_text(e->text + e->offset[k], s, (size_t)n, delimiter);
        e->offset[k + 1] = e->offset[k] + put;
        if (put > e->longest) e->longest = put;
    }
    return MILL_OK;
}

/* ---- numbers ---- */

static inline size_t put_i64(char *to, int64_t v)
{
    if (v >= 0) return digits_put(to, (uint64_t)v);
    *to = '-';
    return 1 + digits_put(to + 1, 0 - (uint64_t)v);
}

/*
 * With few digits in all, x * 10^d is within half a unit of an integer m of at most 15 digits;
 * where m / 10^d is x again the text of m is right.  What was read from such a text always is.
 * Everything else goes the slow way.
 */
static inline size_t put_real(char *to, double x, int decimals)
{
    if (x != x) return 0; /* NaN is missing */
    if (decimals < 15 && fabs(x) < 1e15) {
        const double scaled = x * power10_f64[decimals];
        if (fabs(scaled) < 1e15) {
            const int64_t m = (int64_t)rint(scaled);
            if ((double)m / power10_f64[decimals] == x) {
                const uint64_t u = m < 0 ? 0 - (uint64_t)m : (uint64_t)m;
                size_t n = 0;
                if (m < 0) to[n++] = '-';
                n += digits_put(to + n, u / power10_u64[decimals]);
                if (!decimals) return n;
                to[n++] = '.';
                digits_put_n(to + n, u % power10_u64[decimals], decimals);
                return n + (size_t)decimals;
            }
        }
        return (size_t)mill_format_fixed(to, x, decimals);
    }
    return (size_t)mill_format_f64(to, x);
}

/* ---- rows ---- */

typedef struct {
    csv_writer *w;
    const mill_table *t;
    const encoded *e; /* per column */
    int64_t from, block_rows;
    size_t row_max; /* bytes */
} write_job;

static inline size_t put_value(char *to, const mill_column *c, const encoded *e, int64_t i)
{
    switch (c->type) {
    case MILL_INTEGER:
        return put_i64(to, c->i64[i]);
    case MILL_REAL:
        return put_real(to, c->f64[i], c->decimals);
    case MILL_DATETIME:
        return (size_t)datetime_format(to, c->format, c->i64[i]);
    default:
        break;
    }
    const size_t at = e->offset[c->code[i]], n = e->offset[c->code[i] + 1] - at;
    if (n <= 16) {
        memcpy(to, e->text + at, 16); /* both are padded: one move instead of a call */
        return n;
    }
    memcpy(to, e->text + at, n);
    return n;
}

static void write_block(void *ctx, int64_t i, int thread)
{
    const write_job *job = ctx;
    const mill_table *t = job->t;
    piece *p = &job->w->piece[i];
    const int64_t first = job->from + i * job->block_rows;
    const int64_t end = first + job->block_rows < t->rows ? first + job->block_rows : t->rows;
    const size_t need = (size_t)(end - first) * job->row_max + NUMBER_MAX;

    (void)thread;
    p->len = 0;
    p->err = MILL_OK;
    if (need > p->cap || !p->buf) {
        char *buf = mill_realloc(p->buf, need, 1);
        if (!buf) {
            p->err = MILL_ENOMEM;
            return;
        }
        p->buf = buf;
        p->cap = need;
    }
    char *to = p->buf;
    for (int64_t row = first; row < end; row++) {
        for (int j = 0; j < t->n_cols; j++) {
            const mill_column *c = &t->col[j];
            if (column_is_valid(c, row)) to += put_value(to, c, &job->e[j], row);
            *to++ = job->w->delimiter;
        }
        to[-1] = '\n';
    }
    p->len = (size_t)(to - p->buf);
}

static mill_err write_rows(csv_writer *w, const mill_table *t, const encoded *e, size_t row_max)
{
    int64_t block_rows = (int64_t)(BLOCK_BYTES / row_max);
    if (block_rows < 1) block_rows = 1;
    if (block_rows > MAX_BLOCK_ROWS) block_rows = MAX_BLOCK_ROWS;

    for (int64_t from = 0; from < t->rows; from += WAVE * block_rows) {
        write_job job = {w, t, e, from, block_rows, row_max};
        const int64_t left = (t->rows - from + block_rows - 1) / block_rows;
        const int64_t n = left < WAVE ? left : WAVE;
        mill_pool_run(w->pool, n, write_block, &job);
        for (int64_t i = 0; i < n; i++) {
            if (w->piece[i].err) return mill_fail(w->piece[i].err, "no memory to format rows");
            TRY(emit(w, w->piece[i].buf, w->piece[i].len));
        }
        for (int j = 0; t->spool && j < t->n_cols; j++) table_column_release(t, j);
    }
    return MILL_OK;
}

static mill_err write_header(csv_writer *w, const mill_table *t)
{
    mill_text line = {0};
    mill_err err = MILL_OK;

    for (int j = 0; !err && j < t->n_cols; j++) {
        const size_t n = strlen(t->col[j].name);
        char *name = mill_alloc(2 * n + 3, 1);
        if (!name) {
            err = MILL_ENOMEM;
            break;
        }
        text_add_bytes(&line, name, put_text(name, t->col[j].name, n, w->delimiter));
        text_add_bytes(&line, j + 1 < t->n_cols ? &w->delimiter : "\n", 1);
        mill_free(name);
    }
    if (!err) err = text_check(&line);
    if (!err && w->has_header) err = emit(w, line.s, line.len);
    if (!err) w->n_cols = t->n_cols;
    text_free(&line);
    return err;
}

/* Whether t has the names of the first table: the header stands for all. */
static mill_err check_names(csv_writer *w, const mill_table *t)
{
    mill_text names = {0};

    for (int j = 0; j < t->n_cols; j++)
        text_add_bytes(&names, t->col[j].name, strlen(t->col[j].name) + 1);
    mill_err err = text_check(&names);
    if (!err && w->n_cols >= 0 &&
        (names.len != w->names.len || memcmp(names.s, w->names.s, names.len) != 0))
        err =
            mill_fail(MILL_ESHAPE, "csv: the columns of a later table are not those of the first");
    if (err || w->n_cols >= 0) {
        text_free(&names);
        return err;
    }
    text_free(&w->names);
    w->names = names;
    return MILL_OK;
}

mill_err csv_writer_add(csv_writer *w, const mill_table *t)
{
    if (t->n_cols < 1) return mill_fail(MILL_ESHAPE, "csv: a table without columns");
    TRY(check_names(w, t));
    if (w->n_cols < 0) TRY(write_header(w, t));

    encoded *e = mill_alloc((size_t)t->n_cols, sizeof *e);
    if (!e) return MILL_ENOMEM;
    size_t row_max = 0;
    mill_err err = MILL_OK;
    for (int j = 0; !err && j < t->n_cols; j++) {
        const mill_column *c = &t->col[j];
        if (column_has_codes(c)) err = encode_dictionary(&e[j], c, w->delimiter);
        const size_t number = c->type == MILL_DATETIME ? DATETIME_TEXT_MAX : NUMBER_MAX;
        row_max += 1 + (column_has_codes(c) ? (e[j].longest > 16 ? e[j].longest : 16) : number);
    }
    if (!err) err = write_rows(w, t, e, row_max);
    for (int j = 0; j < t->n_cols; j++) {
        mill_free(e[j].text);
        mill_free(e[j].offset);
    }
    mill_free(e);
    return err;
}
