/*
 * csv_open.c - from a path and options to a layout, names and chosen columns.
 */
#include "base/mem.h"
#include "table/csv_reader.h"
#include "table/csv_sniff.h"
#include "table/datetime.h"
#include "table/store.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { SAMPLE = 1 << 16 };

static size_t bom_length(const char *s, size_t n)
{
    return n >= 3 && !memcmp(s, "\xef\xbb\xbf", 3) ? 3 : 0;
}

/* Lines that end with CR alone, as files of the classic Mac OS have them, would all be one. */
static mill_err check_line_ends(const csv_reader *r, const char *s, size_t n)
{
    const char *cr = memchr(s, '\r', n);

    if (!cr || cr == s + n - 1 || memchr(s, '\n', n)) return MILL_OK;
    return mill_fail(MILL_EINPUT,
                     "%s: its lines end with CR alone; they must end with LF or CR LF "
                     "(tr '\\r' '\\n' makes them so)",
                     r->src.path);
}

/*
 * The beginning of the file, at least 64 KiB and at least two lines, behind a BOM; a last line
 * without end gets one if the file ends there.
 */
static mill_err read_sample(csv_reader *r, csv_block *b, size_t *n)
{
    for (size_t want = SAMPLE; want <= CSV_RECORD_MAX; want *= 4) {
        size_t got;
        char *buf = mill_realloc(b->buf, want + 1 + CSV_PAD, 1);
        if (!buf) return MILL_ENOMEM;
        b->buf = buf;
        TRY(source_read(&r->src, buf, want, 0, &got));
        if (got >= 2 && (!memcmp(buf, "\xff\xfe", 2) || !memcmp(buf, "\xfe\xff", 2)))
            return mill_fail(MILL_EINPUT, "%s: this is UTF-16; it must be UTF-8", r->src.path);
        if (got >= strlen(STORE_MAGIC) && !memcmp(buf, STORE_MAGIC, strlen(STORE_MAGIC)))
            return mill_fail(MILL_EINPUT, "%s: is a .mill file, not a table", r->src.path);
        const size_t bom = bom_length(buf, got);
        r->layout.begin = (int64_t)bom;
        *n = got - bom;
        memmove(buf, buf + bom, *n);
        TRY(check_line_ends(r, buf, *n));
        if (got < want && *n && buf[*n - 1] != '\n') buf[(*n)++] = '\n';
        memset(buf + *n, 0, want + 1 + CSV_PAD - *n);
        const char *first = memchr(buf, '\n', *n);
        if (got < want) return MILL_OK;
        if (first && memchr(first + 1, '\n', *n - (size_t)(first + 1 - buf))) return MILL_OK;
    }
    return mill_fail(MILL_EINPUT, "%s:1: no line end in the first 64 MiB", r->src.path);
}

static csv_field header_field(csv_block *b, const csv_row *row, int j, int n)
{
    const int64_t r = row - b->row;
    csv_field f = csv_get(b, r, j, j == n - 1);
    return f;
}

static char *trimmed(const char *s, size_t n)
{
    while (n && (*s == ' ' || *s == '\t')) s++, n--;
    while (n && (s[n - 1] == ' ' || s[n - 1] == '\t')) n--;
    return mill_strndup(s, n);
}

static mill_err read_name(csv_reader *r, csv_block *b, const csv_row *row, int j)
{
    csv_thread *t = &r->thread[0];
    csv_field f = header_field(b, row, j, r->n_file_cols);
    mill_err err = MILL_OK;
    char made[24];

    csv_unquote(t, r->layout.quote, &f, &err);
    if (err) return err;
    if (memchr(f.s, 0, f.n))
        return mill_fail(MILL_EINPUT,
                         "%s:1: a NUL byte in the names: no text in UTF-8, or no table",
                         r->src.path);
    if (!csv_utf8_ok(f.s, f.n))
        return mill_fail(MILL_EINPUT, "%s:1: the name of column %d is not UTF-8", r->src.path,
                         j + 1);
    r->file_name[j] = trimmed(f.s, f.n);
    if (!r->file_name[j]) return MILL_ENOMEM;
    if (*r->file_name[j]) return MILL_OK;
    mill_free(r->file_name[j]); /* data frames write their index under an empty name */
    snprintf(made, sizeof made, "c%d", j);
    r->file_name[j] = mill_strdup(made);
    return r->file_name[j] ? MILL_OK : MILL_ENOMEM;
}

static mill_err check_names(const csv_reader *r)
{
    dict seen = {0};
    mill_err err = MILL_OK;

    for (int j = 0; !err && j < r->n_file_cols; j++) {
        const char *name = r->file_name[j];
        const size_t n = strlen(name);
        if (dict_code(&seen, name, n) >= 0)
            err = mill_fail(MILL_EINPUT, "%s:1: column \"%s\" appears twice in the header",
                            r->src.path, name);
        else
            err = dict_merge(&seen, name, n, j, 1);
    }
    dict_free(&seen);
    return err;
}

/* Names from the first non-empty line, or c0, c1, ...; layout.begin goes behind the header. */
static mill_err read_names(csv_reader *r, csv_block *b)
{
    const uint32_t n = b->row[0].field;

    if (n > 1000000) return mill_fail(MILL_EINPUT, "%s:1: %u columns", r->src.path, n);
    r->n_file_cols = (int)n;
    r->layout.n_cols = (int)n;
    r->file_name = mill_alloc(n, sizeof *r->file_name);
    if (!r->file_name) return MILL_ENOMEM;
    const uint32_t after = b->end[n - 1] + 1;
    b->row[0] = (csv_row){0, 0};
    for (int j = 0; j < r->n_file_cols; j++) {
        char made[24];
        if (r->has_header) {
            TRY(read_name(r, b, &b->row[0], j));
            continue;
        }
        snprintf(made, sizeof made, "c%d", j);
        if (!(r->file_name[j] = mill_strdup(made))) return MILL_ENOMEM;
    }
    if (r->has_header) r->layout.begin += after;
    return check_names(r);
}

static mill_err read_head(csv_reader *r, csv_block *b)
{
    csv_layout *l = &r->layout;
    size_t n = 0;
    bool found;
    csv_fault fault = {0};

    TRY(read_sample(r, b, &n));
    if (!n) return mill_fail(MILL_EINPUT, "%s: the file is empty", r->src.path);
    /* Empty lines at the top are no header. */
    size_t skip = 0;
    while (skip < n && (b->buf[skip] == '\n' || (b->buf[skip] == '\r' && b->buf[skip + 1] == '\n')))
        skip += b->buf[skip] == '\n' ? 1 : 2;
    if (skip == n) return mill_fail(MILL_EINPUT, "%s: the table has no columns", r->src.path);
    memmove(b->buf, b->buf + skip, n - skip);
    memset(b->buf + n - skip, 0, skip);
    n -= skip;
    l->begin += (int64_t)skip;

    l->delimiter = r->o->delimiter;
    TRY(csv_sniff_dialect(&l->delimiter, &l->quote, b, n));
    TRY(csv_block_index(&found, b, l, true, 0, n, SIZE_MAX, &fault));
    if (!b->n_lines) {
        r->n_file_cols = 0;
        return mill_fail(MILL_EINPUT, "%s:1: a quote in the first line is not closed", r->src.path);
    }
    const size_t line = b->end[b->row[0].field - 1];
    if (fault.kind == FAULT_QUOTE_TAIL && fault.at < b->base + (int64_t)line)
        return mill_fail(MILL_EINPUT, "%s:1: there is text behind the closing quote", r->src.path);
    r->has_header = r->o->header < 0 ? csv_sniff_header(r, b, &r->thread[0]) : r->o->header;
    TRY(read_names(r, b));
    if (l->begin >= r->src.bytes)
        return mill_fail(MILL_EINPUT, "%s: the table has no rows", r->src.path);
    return MILL_OK;
}

static int find_name(const csv_reader *r, const char *name, size_t n)
{
    for (int j = 0; j < r->n_file_cols; j++)
        if (strlen(r->file_name[j]) == n && !memcmp(r->file_name[j], name, n)) return j;
    return -1;
}

/* For each name of the comma-separated list: mark its column. */
static mill_err mark_names(const csv_reader *r, uint8_t *mark, const char *list, const char *option)
{
    for (const char *p = list; *p;) {
        const char *comma = strchr(p, ',');
        const size_t n = comma ? (size_t)(comma - p) : strlen(p);
        const int j = find_name(r, p, n);
        if (j < 0)
            return mill_fail(MILL_EINPUT, "%s: %s: there is no column \"%.*s\"", r->src.path,
                             option, (int)n, p);
        mark[j] = 1;
        p += n + (comma != NULL);
    }
    return MILL_OK;
}

static mill_err choose_columns(csv_reader *r, uint8_t *keep, uint8_t *drop)
{
    const csv_options *o = r->o;

    if (o->columns) TRY(mark_names(r, keep, o->columns, "--columns"));
    if (o->drop) TRY(mark_names(r, drop, o->drop, "--drop"));
    r->col = mill_alloc((size_t)r->n_file_cols, sizeof *r->col);
    if (!r->col) return MILL_ENOMEM;
    for (int j = 0; j < r->n_file_cols; j++) {
        if (drop[j] || (o->columns && !keep[j])) continue;
        csv_column *c = &r->col[r->n_cols];
        c->name = r->file_name[j];
        c->file_col = j;
        c->is_last = j == r->n_file_cols - 1;
        r->n_cols++;
    }
    if (!r->n_cols) return mill_fail(MILL_EINPUT, "%s: no column is left", r->src.path);
    return MILL_OK;
}

mill_err csv_choose_columns(csv_reader *r)
{
    uint8_t *keep = mill_alloc((size_t)r->n_file_cols, 1),
            *drop = mill_alloc((size_t)r->n_file_cols, 1);
    const mill_err err = keep && drop ? choose_columns(r, keep, drop) : MILL_ENOMEM;

    mill_free(keep);
    mill_free(drop);
    return err;
}

mill_err csv_reader_open(csv_reader *r)
{
    csv_block sample = {0};

    TRY(csv_na_init(r));
    r->threads = r->pool ? mill_pool_threads(r->pool) : 1;
    r->thread = mill_alloc((size_t)r->threads, sizeof *r->thread);
    if (!r->thread) return MILL_ENOMEM;
    r->layout.src = &r->src;
    mill_err err = read_head(r, &sample);
    csv_block_free(&sample);
    if (err) return err;

    TRY(csv_choose_columns(r));
    TRY(csv_layout_count(&r->layout, r->pool));
    r->stats = mill_alloc((size_t)r->threads * (size_t)r->n_cols, sizeof *r->stats);
    r->block_row = mill_alloc((size_t)r->layout.n_blocks + 1, sizeof *r->block_row);
    r->block_thread = mill_alloc((size_t)r->layout.n_blocks + 1, sizeof *r->block_thread);
    return r->stats && r->block_row && r->block_thread ? MILL_OK : MILL_ENOMEM;
}

/* ---- given types ---- */

static csv_column *find_chosen(csv_reader *r, const char *name)
{
    for (int j = 0; j < r->n_cols; j++)
        if (!strcmp(r->col[j].name, name)) return &r->col[j];
    return NULL;
}

static mill_err force(csv_reader *r, const char *name, mill_coltype type, const char *from)
{
    csv_column *c = find_chosen(r, name);

    if (c) {
        c->is_forced = true;
        c->type = type;
        c->like = NULL;
        return MILL_OK;
    }
    if (find_name(r, name, strlen(name)) >= 0) return MILL_OK; /* left out by --columns or --drop */
    return mill_fail(MILL_EINPUT, "%s: %s: there is no column \"%s\"", r->src.path, from, name);
}

static mill_err force_entry(csv_reader *r, const json_t *entry, const char *path)
{
    const char *name = json_string_value(json_object_get(entry, "name"));
    const char *word = json_string_value(json_object_get(entry, "type"));
    const char *format = json_string_value(json_object_get(entry, "format"));
    mill_coltype type;

    if (!name || !word)
        return mill_fail(MILL_EINPUT, "%s: a column needs a \"name\" and a \"type\"", path);
    if (!mill_coltype_parse(&type, word))
        return mill_fail(MILL_EINPUT, "%s: column \"%s\": there is no type \"%s\"", path, name,
                         word);
    TRY(force(r, name, type, path));
    csv_column *c = find_chosen(r, name);
    if (!c || !format || type != MILL_DATETIME) return MILL_OK;
    if (!datetime_pattern_ok(format))
        return mill_fail(MILL_EINPUT, "%s: column \"%s\": the format \"%s\" is not understood",
                         path, name, format);
    mill_free(c->format);
    c->format = mill_strdup(format);
    return c->format ? MILL_OK : MILL_ENOMEM;
}

static mill_err read_types_file(csv_reader *r, const char *path)
{
    char *text;
    size_t len;
    json_error_t e;

    TRY(file_read_all(&text, &len, path));
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
    mill_free(text);
    if (!root) return mill_fail(MILL_EINPUT, "%s:%d: %s", path, e.line, e.text);

    const json_t *columns = json_object_get(root, "columns");
    mill_err err = MILL_OK;
    if (!json_is_array(columns))
        err = mill_fail(MILL_EINPUT, "%s: it has no list \"columns\"", path);
    for (size_t i = 0; !err && i < json_array_size(columns); i++)
        err = force_entry(r, json_array_get(columns, i), path);
    json_decref(root);
    return err;
}

static mill_err force_like(csv_reader *r, const mill_table *like)
{
    for (int j = 0; j < r->n_cols; j++) {
        csv_column *c = &r->col[j];
        const int k = table_find(like, c->name);
        if (k < 0) continue;
        c->like = &like->col[k];
        c->is_forced = true;
        c->type = c->like->type;
        if (c->type == MILL_DATETIME && !(c->format = mill_strdup(c->like->format)))
            return MILL_ENOMEM;
    }
    return MILL_OK;
}

mill_err csv_reader_types(csv_reader *r)
{
    const csv_options *o = r->o;

    if (o->like) TRY(force_like(r, o->like));
    if (o->types) TRY(read_types_file(r, o->types));
    for (int i = 0; o->discrete && o->discrete[i]; i++)
        TRY(force(r, o->discrete[i], MILL_CATEGORY, "-d"));
    return MILL_OK;
}

void csv_reader_close(csv_reader *r)
{
    for (int j = 0; j < r->n_file_cols && r->file_name; j++) mill_free(r->file_name[j]);
    mill_free(r->file_name);
    for (int j = 0; j < r->n_cols; j++) {
        mill_free(r->col[j].format);
        mill_free(r->col[j].run);
        dict_free(&r->col[j].sum.values);
        csv_keep_drop(r, &r->col[j]);
    }
    for (int t = 0; t < r->threads && r->thread; t++) {
        csv_block_free(&r->thread[t].block);
        mill_free(r->thread[t].scratch);
        for (int j = 0; j < r->n_cols && r->stats; j++)
            dict_free(&r->stats[(int64_t)t * r->n_cols + j].values);
    }
    mill_free(r->thread);
    mill_free(r->stats);
    mill_free(r->col);
    mill_free(r->block_row);
    mill_free(r->block_thread);
    mill_free(r->na_text);
    mill_free(r->na);
    mill_free(r->na_len);
    csv_layout_free(&r->layout);
    source_close(&r->src);
}
