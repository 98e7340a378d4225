/*
 * table.h - a table: typed columns in the Arrow C data layout.
 *
 * A column is a validity bitmap (bit i of byte i/8, 1 = present; NULL when nothing is missing) and
 * one buffer of values; strings are dictionary-encoded: int32 codes into a dictionary of UTF-8
 * strings with int32 offsets.
 *
 *     INTEGER     int64    value as written
 *     REAL        double   `decimals` = the most digits behind the point seen in the column (0..15)
 *     BOOLEAN     int32 codes, dictionary of the two spellings found
 *     CATEGORY    int32 codes, dictionary in order of first appearance
 *     DATETIME    int64 seconds since 1970 UTC, `format` (a strftime pattern) for writing back
 *     IDENTIFIER  int32 codes, dictionary of all values (all different)
 *
 * Where a value is missing, the value buffer holds 0 and means nothing.  Category codes are <
 * n_values. A column may be backed by a mapped spool file (tables larger than memory): the pointers
 * are the same, table_column_release() tells the system that its pages can go.
 */
#ifndef MILL_TABLE_TABLE_H
#define MILL_TABLE_TABLE_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    MILL_INTEGER,
    MILL_REAL,
    MILL_BOOLEAN,
    MILL_CATEGORY,
    MILL_DATETIME,
    MILL_IDENTIFIER,
    MILL_N_COLTYPE
} mill_coltype;

typedef struct {
    char *name;
    mill_coltype type;
    int decimals; /* REAL */
    char *format; /* DATETIME: strftime pattern; else NULL */
    int64_t rows, n_missing;
    uint8_t *valid; /* NULL: nothing is missing */
    union {
        int64_t *i64;  /* INTEGER, DATETIME */
        double *f64;   /* REAL */
        int32_t *code; /* BOOLEAN, CATEGORY, IDENTIFIER */
    };
    int32_t n_values;   /* size of the dictionary */
    int32_t *offset;    /* n_values + 1, into text */
    char *text;         /* not NUL-terminated per value */
    size_t spool_bytes; /* > 0: valid and values lie in a mapping */
} mill_column;

typedef struct mill_table {
    int64_t rows;
    int n_cols;
    mill_column *col;
    struct table_spool *spool; /* NULL: all in memory */
} mill_table;

void mill_table_free(mill_table *t);                   /* NULL allowed */
int table_find(const mill_table *t, const char *name); /* index, or -1 */

static inline bool column_is_valid(const mill_column *c, int64_t i)
{
    return !c->valid || (c->valid[i >> 3] >> (i & 7) & 1);
}
static inline bool column_has_codes(const mill_column *c)
{
    return c->type == MILL_BOOLEAN || c->type == MILL_CATEGORY || c->type == MILL_IDENTIFIER;
}
/* Numeric value as double (INTEGER, REAL, DATETIME); NaN if missing. */
double column_f64(const mill_column *c, int64_t i);
/* Dictionary entry: pointer and length. */
const char *column_value(const mill_column *c, int32_t code, int *len);
void table_column_release(const mill_table *t, int col);

const char *mill_coltype_name(
    mill_coltype t); /* "integer", "real", "boolean", "category", "datetime", "identifier" */
bool mill_coltype_parse(mill_coltype *out, const char *name);

/*
 * Building a table in memory, column by column (samplers, tests, npz).  table_new makes empty
 * columns with names and types and room for rows; set values straight into the buffers;
 * column_set_missing(c, i) makes the bitmap on first use.
 */
mill_err table_new(mill_table **out, int64_t rows, int n_cols);
mill_err column_init(mill_column *c, const char *name, mill_coltype type, int64_t rows);
void column_deinit(
    mill_column *c); /* what it owns; for columns outside a table, tables free their own */
mill_err column_set_missing(mill_column *c, int64_t i);
mill_err column_set_dictionary(mill_column *c, int32_t n, const int32_t *offset,
                               const char *text); /* copies */

/* Copies. rows: (n) indices; or a range; or chosen columns. A new table owns everything. */
mill_err table_take_rows(mill_table **out, const mill_table *t, const int64_t *rows, int64_t n);
mill_err table_take_cols(mill_table **out, const mill_table *t, const int *cols, int n);

#endif
