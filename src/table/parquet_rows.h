/*
 * parquet_rows.h - Parquet row by row, as JSON objects: records, with lists and structs in them.
 *
 *     boolean                        true, false
 *     integers                       an integer; a uint64 beyond 2^63 - 1 a real
 *     floats                         a real; NaN and infinities, which JSON has not, null
 *     decimal                        a number with all its digits
 *     text, dictionary of texts      a string
 *     binary                         a string where it is UTF-8, else one in base64
 *     date, time, timestamp          a string: 2020-02-29, 10:30:59.5, 2020-02-29T10:30:59Z
 *     list                           an array
 *     struct, map with text keys     an object; other maps an array of {"key":, "value":}
 *     JSON (written here)            what the text says
 *
 * A row has all columns of the file, in its order; what is missing is null.
 */
#ifndef MILL_TABLE_PARQUET_ROWS_H
#define MILL_TABLE_PARQUET_ROWS_H

#include "base/err.h"
#include "table/source.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* ---- reading: once, from the first row to the last ---- */

typedef struct parquet_rows parquet_rows;

/* in: open, borrowed until close.  MILL_EINPUT: no Parquet, damaged, encrypted, two columns of one
 * name.  MILL_EDEVICE: the plug-in is not there; one line says how to get it. */
mill_err parquet_rows_open(parquet_rows **out, const source *in);
void parquet_rows_close(parquet_rows *r); /* NULL allowed */
/* The next row as one line of JSON with LF behind it, borrowed until the next call; *line NULL
 * behind the last. */
mill_err parquet_rows_next(parquet_rows *r, const char **line, size_t *n);

/* ---- writing: the file appears when it is whole ---- */

typedef enum {
    PARQUET_NONE, /* nothing but null so far; written as text */
    PARQUET_BOOLEAN,
    PARQUET_INTEGER,
    PARQUET_REAL,
    PARQUET_TEXT,
    PARQUET_JSON /* the value as JSON text, of any kind; reading gives it back as it was */
} parquet_kind;

typedef struct {
    const char *name;
    parquet_kind kind;
} parquet_field;

/*
 * The narrowest kind that holds what `kind` holds and this value too (NULL and null: anything
 * does).  To be folded over all values of a column where its kind is not known.
 */
parquet_kind parquet_kind_join(parquet_kind kind, const json_t *value);

typedef struct parquet_rows_writer parquet_rows_writer;

/* MILL_EINPUT where the file exists, without force; two fields of one name. */
mill_err parquet_rows_create(parquet_rows_writer **out, const char *path, bool force,
                             const parquet_field *field, int n);
/*
 * One object: members that are absent or null are missing.  MILL_EINPUT, naming field and row: a
 * member that is no field, or of a kind that its field does not hold; nothing was added then.
 */
mill_err parquet_rows_add(parquet_rows_writer *w, const json_t *object);
mill_err parquet_rows_commit(parquet_rows_writer *w);
void parquet_rows_writer_close(parquet_rows_writer *w); /* NULL allowed; without commit no file */

#endif
