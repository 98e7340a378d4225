/*
 * parquet_shim.h - what libtabmill_parquet.so does for us: Parquet files to and from Arrow's C
 * structures.
 *
 * The plug-in is one C++ file over the Arrow library of the pyarrow wheel.  It has no files of its
 * own: bytes come and go through the caller's functions.  Every function that can fail returns a
 * shim_end, with words for people where it is SHIM_BAD; no exception passes.  What is read has been
 * validated in full: offsets, dictionary indices, UTF-8.
 */
#ifndef MILL_TABLE_PLUGIN_PARQUET_SHIM_H
#define MILL_TABLE_PLUGIN_PARQUET_SHIM_H

#include <stdint.h>

#include "table/arrow.h"

enum { PARQUET_SHIM_VERSION = 1, PARQUET_WORDS = 500 };

typedef enum { SHIM_OK, SHIM_NOMEM, SHIM_BAD } shim_end;

typedef struct {
    void *ctx;
    int64_t bytes;
    /* How many were read, fewer than n at the end only; -1: it failed.  Any thread calls. */
    int64_t (*read)(void *ctx, void *p, int64_t n, int64_t at);
} shim_input;

typedef struct {
    void *ctx;
    int (*write)(void *ctx, const void *p, int64_t n); /* not 0: it failed */
} shim_output;

typedef struct {
    int threads; /* that decode and encode columns */
    /* Read: texts come as dictionaries; else column chunks are read by and by, so that memory does
     * not grow with the file's row groups. */
    int as_table;
} shim_how;

typedef struct {
    int64_t rows;
    int64_t row_bytes; /* of the row group with the longest rows, decoded, on the average */
} shim_facts;

typedef struct shim_reader shim_reader;
typedef struct shim_writer shim_writer;

typedef struct {
    int version;

    /* `in` is borrowed until close; schema and facts are filled in. */
    shim_end (*open)(shim_reader **out, struct ArrowSchema *schema, shim_facts *facts,
                     const shim_input *in, const shim_how *how, char words[PARQUET_WORDS]);
    /* All rows of the chosen columns, in batches of at most `batch_rows`; ends before close. */
    shim_end (*stream)(struct ArrowArrayStream *out, shim_reader *r, const int *column, int n,
                       int64_t batch_rows, char words[PARQUET_WORDS]);
    void (*close)(shim_reader *r);

    /* Takes the schema over. */
    shim_end (*create)(shim_writer **out, struct ArrowSchema *schema, const shim_output *to,
                       const shim_how *how, char words[PARQUET_WORDS]);
    /* One row group; takes `rows` over and has released it when it returns. */
    shim_end (*write)(shim_writer *w, struct ArrowArray *rows, char words[PARQUET_WORDS]);
    shim_end (*finish)(shim_writer *w, char words[PARQUET_WORDS]);
    void (*drop)(shim_writer *w); /* after finish, or instead of it */
} parquet_shim;

/* The symbol `tabmill_parquet` of the plug-in. */
typedef const parquet_shim *(*parquet_shim_get)(void);

#endif
