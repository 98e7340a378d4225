/*
 * csv.h - CSV in and out: RFC 4180 and what the world makes of it.
 *
 * Reading: parallel over blocks of the file.  One visit infers types over ALL rows (unless given)
 * and puts values where they belong; a second fills the columns that turned out otherwise than they
 * began, and all of a table that goes to a spool file. The delimiter (, ; tab |), header and quote
 * are sniffed from the first 64 KiB unless given.  UTF-8 with or without BOM, LF or CRLF; .gz and
 * .zst by their magic bytes;
 * "-" is stdin, spooled to a temporary file first.  Strings are verbatim, spaces included; missing
 * is the empty unquoted field or a word of `na`.
 *
 * Types, narrowest that holds for every present value of the column: integer, real, boolean
 * (true/false, yes/no, t/f, y/n, case-insensitive; the two spellings are kept; 0/1 is integer),
 * datetime (ISO 8601 date or date-time with T or space, optional seconds, Z or offset; one format a
 * column), else category; integers each of which is the one before plus one, and texts that all
 * differ, are an identifier where there are more than 50: the rules stand in docs/tables.md.
 *
 * Errors name file, line and column name: `people.csv:1042: column "age": ...`.
 */
#ifndef MILL_TABLE_CSV_H
#define MILL_TABLE_CSV_H

#include "base/pool.h"
#include "table/table.h"

#define CSV_NA_WORDS "NA,N/A,NaN,null,None"

typedef struct {
    char delimiter;              /* 0: sniff */
    int header;                  /* -1 sniff, 0 none (columns are named c0, c1, ...), 1 */
    const char *na;              /* comma-separated words; NULL: CSV_NA_WORDS */
    const char *columns;         /* keep only these, comma-separated; NULL: all */
    const char *drop;            /* leave these out */
    const char *types;           /* JSON file from `inspect`, or NULL */
    const char *const *discrete; /* names to be read as category; NULL-terminated, or NULL */
    const mill_table *like;      /* types and order of values, where names match; or NULL */
    int64_t memory_bytes;  /* larger tables go to a spool file; 0: half of the memory there is */
    const char *spool_dir; /* NULL: TMPDIR or /tmp */
} csv_options;

#define CSV_DEFAULTS ((csv_options){.header = -1})

mill_err mill_table_read_csv(mill_table **out, const char *path, const csv_options *o,
                             mill_pool *pool);

/* Writing: fields quoted only where needed; missing is the empty field; reals with the column's
 * decimals. "-" is stdout. A writer takes tables of the same columns one after another (streams of
 * millions of rows). .gz/.zst by suffix.  delimiter 0: a comma. */
typedef struct csv_writer csv_writer;
mill_err csv_writer_open(csv_writer **out, const char *path, bool force, char delimiter,
                         mill_pool *pool);
mill_err csv_writer_add(csv_writer *w, const mill_table *t); /* the header goes before the first */
/* What stands between fields in a file of this name: a tab in .tsv (.tsv.gz, .tsv.zst), else a
 * comma. */
char csv_name_delimiter(const char *path);
/* Lines that another writer made as text; the header is among them. */
mill_err csv_writer_add_text(csv_writer *w, const char *text, size_t n);
mill_err csv_writer_commit(csv_writer *w); /* the file appears under its name */
void csv_writer_close(csv_writer *w);

/* .npy and .npz by the name, Parquet by the name and, when it is read, also by its ends; else
 * CSV.  What every command calls. */
mill_err mill_table_read(mill_table **out, const char *path, const csv_options *o, mill_pool *pool);
mill_err mill_table_write(const mill_table *t, const char *path, bool force, mill_pool *pool);

/*
 * A writer to memory: the text of what was added since the last csv_writer_clear, which is borrowed
 * until then.  Without has_header there are rows alone.
 */
mill_err csv_writer_open_text(csv_writer **out, bool has_header, char delimiter, mill_pool *pool);
const char *csv_writer_text(const csv_writer *w, size_t *n);
void csv_writer_clear(csv_writer *w);

/* .npy or .npz: written as a whole table, not row by row (csv_writer_open refuses the name). */
bool mill_table_is_array(const char *path);

/* The types file: {"columns":[{"name":.., "type":.., "missing":.., "min":.., "max":..,
 *                             "values":.., "format":..}]}. */
mill_err mill_table_types_json(char **json, const mill_table *t); /* mill_free */

#endif
