/*
 * table_io.c - a table from and to whatever the file is: .npy, .npz, Parquet (by its name or its
 * ends), else CSV; written to a name that promises another format, with a warning.
 */
#include "base/log.h"
#include "base/mem.h"
#include "table/csv_reader.h"
#include "table/csv_write.h"
#include "table/npy.h"
#include "table/parquet.h"
#include "table/writer.h"

#include <string.h>

bool mill_table_is_array(const char *path)
{
    return path_has_suffix(path, ".npy") || path_has_suffix(path, ".npz");
}

mill_err mill_table_read(mill_table **out, const char *path, const csv_options *o, mill_pool *pool)
{
    bool is_parquet = parquet_is_name(path);
    source in;

    if (path_has_suffix(path, ".npy")) return npy_read(out, path, o);
    if (path_has_suffix(path, ".npz")) return npz_read(out, path, o);
    TRY(source_open(&in, path, o ? o->spool_dir : NULL));
    mill_err err = is_parquet ? MILL_OK : parquet_is_source(&is_parquet, &in);
    if (!err && is_parquet)
        err = parquet_read(out, &in, o, pool);
    else if (!err)
        err = csv_read_source(out, &in, o, pool);
    source_close(&in);
    return err;
}

mill_err mill_table_write(const mill_table *t, const char *path, bool force, mill_pool *pool)
{
    table_writer *w;

    if (path_has_suffix(path, ".npy")) return npy_write(t, path, force);
    if (path_has_suffix(path, ".npz")) return npz_write(t, path, force);
    TRY(table_writer_open(&w, path, force, pool));
    mill_err err = table_writer_add(w, t);
    if (!err) err = table_writer_commit(w);
    table_writer_close(w);
    return err;
}

/* ---- a writer of rows ---- */

/* The ending of a name, behind which .gz or .zst may stand; "" where it has none. */
static const char *ending_of(const char *path, size_t *n)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = NULL;

    *n = strlen(base);
    if (path_has_suffix(base, ".gz")) *n -= 3;
    if (path_has_suffix(base, ".zst")) *n -= 4;
    for (const char *c = base + 1; *base && c < base + *n; c++)
        if (*c == '.') dot = c;
    *n = dot ? (size_t)(base + *n - dot) : 0;
    return dot ? dot : "";
}

static bool is_ending(const char *path, const char *ending)
{
    size_t n;
    const char *s = ending_of(path, &n);
    return n == strlen(ending) && !memcmp(s, ending, n);
}

char csv_name_delimiter(const char *path)
{
    return is_ending(path, ".tsv") ? '\t' : ',';
}

/* A name that promises something else gets CSV all the same, and is told so. */
static void announce_csv(const char *path)
{
    static const char *const text[] = {"", ".csv", ".tsv", ".txt"};

    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        if (is_ending(path, text[i])) return;
    mill_log(MILL_LOG_WARN,
             "%s: written as CSV; tables of other formats end in .tsv, .parquet, .npy or .npz",
             path);
}

struct table_writer {
    csv_writer *csv; /* one of the two */
    parquet_writer *parquet;
};

mill_err table_writer_open(table_writer **out, const char *path, bool force, mill_pool *pool)
{
    table_writer *w = mill_alloc(1, sizeof *w);

    if (!w) return MILL_ENOMEM;
    const mill_err err = parquet_is_name(path) ? parquet_writer_open(&w->parquet, path, force, pool)
                                               : csv_writer_open(&w->csv, path, force,
                                                                 csv_name_delimiter(path), pool);
    if (!err && w->csv) announce_csv(path);
    if (err)
        mill_free(w);
    else
        *out = w;
    return err;
}

csv_writer *table_writer_csv(table_writer *w)
{
    return w->csv;
}

mill_err table_writer_add(table_writer *w, const mill_table *t)
{
    return w->csv ? csv_writer_add(w->csv, t) : parquet_writer_add(w->parquet, t);
}

mill_err table_writer_commit(table_writer *w)
{
    return w->csv ? csv_writer_commit(w->csv) : parquet_writer_commit(w->parquet);
}

void table_writer_close(table_writer *w)
{
    if (!w) return;
    csv_writer_close(w->csv);
    parquet_writer_close(w->parquet);
    mill_free(w);
}
