/*
 * parquet_plugin.h - a Parquet file through the plug-in (plugin/parquet_shim.h): what reading and
 * writing of tables and of rows share.
 */
#ifndef MILL_TABLE_PARQUET_PLUGIN_H
#define MILL_TABLE_PARQUET_PLUGIN_H

#include "base/file.h"
#include "table/plugin/parquet_shim.h"
#include "table/source.h"

#include <pthread.h>
#include <stdbool.h>

/* The first failure of a file under Arrow's hands, on any of its threads. */
typedef struct {
    pthread_mutex_t lock;
    mill_err err;
    char words[PARQUET_WORDS];
} parquet_failure;

typedef struct {
    const source *in; /* borrowed */
    const parquet_shim *shim;
    shim_reader *reader;
    shim_facts facts;
    struct ArrowSchema schema; /* of all columns, as children */
    struct ArrowArrayStream stream;
    parquet_failure failure;
} parquet_file;

/* as_table, threads: shim_how.  On error there is nothing to close. */
mill_err parquet_file_open(parquet_file *f, const source *in, bool as_table, int threads);
mill_err parquet_file_stream(parquet_file *f, const int *column, int n, int64_t batch_rows);
/* The next batch, to be released; out->release is NULL behind the last. */
mill_err parquet_file_next(parquet_file *f, struct ArrowArray *out);
void parquet_file_close(parquet_file *f);

typedef struct {
    mill_file *to;
    const char *path; /* borrowed */
    const parquet_shim *shim;
    shim_writer *writer;
    parquet_failure failure;
} parquet_output;

/* Opens the file, and the plug-in; MILL_EINPUT if it exists, without force. */
mill_err parquet_output_open(parquet_output *o, const char *path, bool force);
/* Once, before the first rows; the schema is taken over. */
mill_err parquet_output_begin(parquet_output *o, struct ArrowSchema *schema, int threads);
/* One row group; `rows` is taken over and released. */
mill_err parquet_output_write(parquet_output *o, struct ArrowArray *rows);
mill_err parquet_output_commit(parquet_output *o);
void parquet_output_close(parquet_output *o); /* may be called twice */

#endif
