/*
 * writer.h - tables of the same columns, one after another, to one file: streams of millions of
 * rows.
 *
 * .parquet (.pq) is Parquet, everything else CSV, and .tsv has tabs.  A name that promises another
 * format (x.xlsx) is warned of.  The file appears when it is committed.  Arrays
 * (mill_table_is_array) are written as a whole: mill_table_write.
 */
#ifndef MILL_TABLE_WRITER_H
#define MILL_TABLE_WRITER_H

#include "table/csv.h"

typedef struct table_writer table_writer;

/* MILL_EINPUT if the file exists, without force, and for the name of an array. */
mill_err table_writer_open(table_writer **out, const char *path, bool force, mill_pool *pool);
/* The writer behind it, for rows that are text already; NULL where it is not CSV. */
csv_writer *table_writer_csv(table_writer *w);
mill_err table_writer_add(table_writer *w, const mill_table *t);
mill_err table_writer_commit(table_writer *w);
void table_writer_close(table_writer *w); /* NULL allowed */

#endif
