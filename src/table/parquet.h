/*
 * parquet.h - Parquet files as tables, and tables as Parquet files.
 *
 * The Arrow library behind it is opened when the first such file is met (parquet_plugin.h); where
 * it is not there, MILL_EDEVICE says in one line how to get it.  What becomes of each type, and
 * what differs from the same table as CSV: docs/tables.md.
 */
#ifndef MILL_TABLE_PARQUET_H
#define MILL_TABLE_PARQUET_H

#include "table/csv.h"
#include "table/source.h"
#include "table/table.h"

/* By the name's end, or by its first and last four bytes. */
bool parquet_is_name(const char *path);
mill_err parquet_is_source(bool *is, const source *in);

/* --columns, --drop, --types, -d, --na and `like` act as they do on CSV. */
mill_err parquet_read(mill_table **out, const source *in, const csv_options *o, mill_pool *pool);

/*
 * Tables of the same columns, one after another; the bytes of the file depend on all their rows and
 * not on how those were dealt among tables.  At most PARQUET_GROUP_ROWS rows are held.
 */
enum { PARQUET_GROUP_ROWS = 1 << 17 };
typedef struct parquet_writer parquet_writer;
mill_err parquet_writer_open(parquet_writer **out, const char *path, bool force, mill_pool *pool);
mill_err parquet_writer_add(parquet_writer *w, const mill_table *t);
mill_err parquet_writer_commit(parquet_writer *w); /* the file appears under its name */
void parquet_writer_close(parquet_writer *w);      /* NULL allowed; without commit no file */

#endif
