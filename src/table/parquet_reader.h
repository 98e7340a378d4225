/*
 * parquet_reader.h - what the parts of the reader of Parquet tables share.
 *
 *     open     names, columns that are wanted, types that are given           parquet_read.c
 *     fill     batch by batch, a column a task: values into columns           parquet_fill.c
 *     finish   the type of each column from all that was seen; other types    parquet_finish.c
 */
#ifndef MILL_TABLE_PARQUET_READER_H
#define MILL_TABLE_PARQUET_READER_H

#include "table/arrow_value.h"
#include "table/csv_reader.h"
#include "table/parquet.h"
#include "table/parquet_plugin.h"

#include <jansson.h>

/* The key of a field's metadata in files of ours: {"type":, "decimals":, "format":, "values":}. */
#define PARQUET_KEY "tabmill"

typedef struct {
    arrow_type type;  /* of its values */
    arrow_type index; /* with a dictionary: of the array's elements */
    bool has_dictionary;
    /* of a file of ours */
    json_t *ours; /* NULL: of another's */

    /* what was seen so far */
    int64_t present;
    dict values;       /* of texts; those of `like` first */
    int32_t *map;      /* of the batch's dictionary: code + 1, 0 not yet known, -1 missing */
    size_t map_room;   /* elements of it */
    int64_t run_first; /* of consecutive integers: the first, and the next if it goes on */
    int64_t run_next;
    bool is_run;
    bool is_large; /* an integer beyond 64 bits: the column became real */
    bool first_boolean;
    bool has_time; /* not all times are midnight */
    int64_t n_fractions, n_infinite;

    mill_err err; /* of the thread that filled it, with its words */
    char words[PARQUET_WORDS];
} parquet_column;

typedef struct {
    csv_reader csv; /* names, chosen columns, given types, words of --na; no source */
    parquet_file file;
    parquet_column *col; /* csv.n_cols */
    mill_table *t;
    int64_t row; /* of the batch's first */
    bool has_na; /* --na says other words than those that CSV knows by itself */
    struct ArrowArray batch;
} parquet_reader;

/* INTEGER, REAL, ...: what a column of the type becomes; MILL_N_COLTYPE: no column of a table. */
mill_coltype parquet_natural_type(const parquet_column *c);

/* A task of mill_pool_run: column j of the batch into the table; ctx: the reader. */
void parquet_fill_column(void *ctx, int64_t j, int thread);

/* The column's final type, dictionary, decimals and format. */
mill_err parquet_finish_column(parquet_reader *r, int j);

#endif
