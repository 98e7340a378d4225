/*
 * output_file.c - the final file in its formats, the file of failures, the manifest.
 *
 * JSON lines and an array are written as they come.  A table's columns are those of all objects,
 * so a first pass looks for them, with the kinds that Parquet wants; what is no single value is
 * JSON text in a CSV file.
 */
#include "reason/output_inner.h"

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "table/parquet_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

typedef struct {
    parquet_field *at;
    int n;
} columns;

typedef struct {
    const output_options *o;
    output_summary *sum;
    output_format format;
    mill_file *file, *failed;
    parquet_rows_writer *table;
    columns columns;
    XXH3_state_t *hash;
    mill_text line;
} writer;

mill_err output_format_of(output_format *out, const char *path)
{
    static const struct {
        const char *end;
        output_format format;
    } ends[] = {{".jsonl", OUTPUT_JSONL},
                {".ndjson", OUTPUT_JSONL},
                {".json", OUTPUT_JSON},
                {".csv", OUTPUT_CSV},
                {".parquet", OUTPUT_PARQUET}};
    const size_t n = strlen(path);

    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        const size_t m = strlen(ends[i].end);
        if (n <= m || strcmp(path + n - m, ends[i].end) != 0) continue;
        *out = ends[i].format;
        return MILL_OK;
    }
    return mill_fail(MILL_EINPUT, "%s: the name has to end in .jsonl, .json, .csv or .parquet",
                     path);
}

mill_err output_check(const char *path)
{
    static const parquet_field field = {"problem", PARQUET_TEXT};
    parquet_rows_writer *w = NULL;
    output_format format;

    TRY(output_format_of(&format, path));
    if (format != OUTPUT_PARQUET) return MILL_OK;
    TRY(parquet_rows_create(&w, path, true, &field, 1));
    parquet_rows_writer_close(w); /* without a commit nothing is there */
    return MILL_OK;
}

/* ---- columns ---- */

static void free_columns(columns *c)
{
    for (int i = 0; i < c->n; i++) mill_free((char *)c->at[i].name);
    mill_free(c->at);
    *c = (columns){0};
}

static mill_err add_column(columns *c, const char *name, const json_t *value)
{
    int i = 0;

    while (i < c->n && strcmp(c->at[i].name, name) != 0) i++;
    if (i == c->n) {
        parquet_field *at = mill_realloc(c->at, (size_t)c->n + 1, sizeof *at);
        if (!at) return MILL_ENOMEM;
        c->at = at;
        if (!(at[i].name = mill_strdup(name))) return MILL_ENOMEM;
        at[i].kind = PARQUET_NONE;
        c->n++;
    }
    c->at[i].kind = parquet_kind_join(c->at[i].kind, value);
    return MILL_OK;
}

/* For tables, which need values. */
static mill_err build(json_t **out, mill_text *line, const output_chain *chain)
{
    text_clear(line);
    TRY(output_line(line, chain));
    *out = json_loadb(line->s, line->len, 0, NULL);
    return *out ? MILL_OK : mill_fail(MILL_ENOMEM, "no memory for a record");
}

static mill_err look(void *ctx, const output_chain *chain, const char *failure)
{
    writer *w = ctx;
    const char *name;
    json_t *x, *o;
    mill_err err = MILL_OK;

    if (failure) return MILL_OK;
    TRY(build(&o, &w->line, chain));
    json_object_foreach(o, name, x) if (!err) err = add_column(&w->columns, name, x);
    json_decref(o);
    return err;
}

/* ---- lines ---- */

static mill_err put(writer *w, const char *p, size_t n)
{
    w->sum->bytes += (int64_t)n;
    XXH3_128bits_update(w->hash, p, n);
    return file_write(w->file, p, n);
}

static mill_err put_json(writer *w, const output_chain *c)
{
    text_clear(&w->line);
    if (w->format == OUTPUT_JSON) text_add(&w->line, w->sum->lines ? ",\n" : "[\n");
    TRY(output_line(&w->line, c));
    if (w->format == OUTPUT_JSONL) text_add(&w->line, "\n");
    TRY(text_check(&w->line));
    return put(w, w->line.s, w->line.len);
}

/* A field in quotes where it needs them (RFC 4180). */
static void add_field(mill_text *line, const char *s)
{
    if (!s[strcspn(s, ",\"\r\n")] && *s != ' ') {
        text_add_bytes(line, s, strlen(s));
        return;
    }
    text_add_bytes(line, "\"", 1);
    for (const char *quote; (quote = strchr(s, '"')); s = quote + 1) {
        text_add_bytes(line, s, (size_t)(quote - s) + 1);
        text_add_bytes(line, "\"", 1);
    }
    text_add_bytes(line, s, strlen(s));
    text_add_bytes(line, "\"", 1);
}

static mill_err add_value(mill_text *line, const json_t *x)
{
    char *text;

    if (!x || json_is_null(x)) return MILL_OK;
    if (json_is_string(x)) {
        add_field(line, json_string_value(x));
        return MILL_OK;
    }
    TRY(mill_json_text(&text, x, JSON_COMPACT | JSON_ENCODE_ANY));
    add_field(line, text);
    mill_free(text);
    return MILL_OK;
}

static mill_err put_csv(writer *w, const json_t *o)
{
    text_clear(&w->line);
    for (int i = 0; i < w->columns.n; i++) {
        const char *name = w->columns.at[i].name;
        if (i) text_add(&w->line, ",");
        if (o)
            TRY(add_value(&w->line, json_object_get(o, name)));
        else
            add_field(&w->line, name);
    }
    text_add(&w->line, "\n");
    TRY(text_check(&w->line));
    return put(w, w->line.s, w->line.len);
}

static mill_err put_failure(writer *w, const output_chain *c, const char *failure)
{
    if (!w->o->failed) return MILL_OK;
    if (!w->failed) TRY(file_create_atomic(&w->failed, w->o->failed));
    text_clear(&w->line);
    TRY(output_failure(&w->line, c, failure));
    text_add(&w->line, "\n");
    TRY(text_check(&w->line));
    return file_write(w->failed, w->line.s, w->line.len);
}

static mill_err put_row(writer *w, const output_chain *c)
{
    json_t *o;

    TRY(build(&o, &w->line, c));
    const mill_err err =
        w->format == OUTPUT_PARQUET ? parquet_rows_add(w->table, o) : put_csv(w, o);
    json_decref(o);
    return err;
}

static mill_err write_chain(void *ctx, const output_chain *c, const char *failure)
{
    writer *w = ctx;

    if (failure) return put_failure(w, c, failure);
    TRY(w->format == OUTPUT_PARQUET || w->format == OUTPUT_CSV ? put_row(w, c) : put_json(w, c));
    w->sum->lines++;
    return MILL_OK;
}

/* ---- the file ---- */

static mill_err find_columns(writer *w)
{
    output_summary unused = {0};

    if (w->format != OUTPUT_CSV && w->format != OUTPUT_PARQUET) return MILL_OK;
    return output_walk(&unused, w->o, look, w);
}

static mill_err begin(writer *w)
{
    TRY(output_format_of(&w->format, w->o->path));
    TRY(find_columns(w));
    if (w->format == OUTPUT_PARQUET)
        return parquet_rows_create(&w->table, w->o->path, true, w->columns.at, w->columns.n);
    if (!(w->hash = XXH3_createState())) return mill_fail(MILL_ENOMEM, "no memory for a hash");
    XXH3_128bits_reset(w->hash);
    TRY(file_create_atomic(&w->file, w->o->path));
    return w->format == OUTPUT_CSV && w->columns.n ? put_csv(w, NULL) : MILL_OK;
}

static void tell_hash(output_summary *sum, XXH128_hash_t h)
{
    snprintf(sum->hash, sizeof sum->hash, "%016llx%016llx", (unsigned long long)h.high64,
             (unsigned long long)h.low64);
}

static mill_err hash_table(const writer *w)
{
    const void *p;
    size_t n;

    TRY(file_map(&p, &n, w->o->path));
    tell_hash(w->sum, XXH3_128bits(p, n));
    w->sum->bytes = (int64_t)n;
    file_unmap(p, n);
    return MILL_OK;
}

static mill_err finish(writer *w)
{
    /* The failures first: a final file that stands has its failures beside it. */
    if (w->failed)
        TRY(file_commit(w->failed));
    else if (w->o->failed)
        TRY(file_remove(w->o->failed));
    if (w->format == OUTPUT_PARQUET) {
        TRY(parquet_rows_commit(w->table));
        return hash_table(w);
    }
    if (w->format == OUTPUT_JSON) TRY(w->sum->lines ? put(w, "\n]\n", 3) : put(w, "[]\n", 3));
    tell_hash(w->sum, XXH3_128bits_digest(w->hash));
    return file_commit(w->file);
}

mill_err output_write(output_summary *out, const output_options *o)
{
    writer w = {.o = o, .sum = out};

    *out = (output_summary){0};
    mill_err err = begin(&w);
    if (!err) err = output_walk(out, o, write_chain, &w);
    if (!err) err = finish(&w);
    parquet_rows_writer_close(w.table);
    file_close(w.file);
    file_close(w.failed);
    free_columns(&w.columns);
    XXH3_freeState(w.hash);
    text_free(&w.line);
    return err;
}

/* ---- the manifest ---- */

static json_t *tokens_json(const results_counts *c)
{
    json_t *o = json_object();

    for (int s = 0; s < N_STAGE; s++)
        json_object_set_new(o, stage_name((reason_stage)s),
                            json_pack("{s:I,s:I,s:I,s:I}", "responses", (json_int_t)c->rows[s],
                                      "truncated", (json_int_t)c->truncated[s], "prompt",
                                      (json_int_t)c->prompt_tokens[s], "completion",
                                      (json_int_t)c->completion_tokens[s]));
    return o;
}

mill_err output_manifest(const char *folder, const output_options *o, const output_summary *s,
                         const results_counts *counts, const json_t *reasons, const json_t *config)
{
    json_t *m =
        json_pack("{s:s,s:s,s:I,s:i,s:I,s:I,s:I,s:I,s:I,s:s,s:o,s:O?,s:O?}", "version",
                  MILL_VERSION, "output", o->path, "records", (json_int_t)s->records,
                  "samples_per_example", o->run->samples, "good", (json_int_t)s->good,
                  "needs_improvement", (json_int_t)s->weak, "failed", (json_int_t)s->failed,
                  "lines", (json_int_t)s->lines, "bytes", (json_int_t)s->bytes, "xxh3_128", s->hash,
                  "stages", tokens_json(counts), "failures", reasons, "config", config);
    char path[4200], *text;

    snprintf(path, sizeof path, "%s/manifest.json", folder);
    mill_err err = mill_json_text(&text, m, JSON_INDENT(2));
    json_decref(m);
    if (err) return err;
    err = file_write_all(path, text, strlen(text));
    mill_free(text);
    return err;
}
