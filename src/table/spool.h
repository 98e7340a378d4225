/*
 * spool.h - memory that lies in a file without a name: columns of tables larger than memory.
 *
 * The file is removed from its folder as soon as it is open, so that nothing is left whatever
 * happens; its space is reserved at once, so that a full disk is an error here and not a SIGBUS
 * later.
 */
#ifndef MILL_TABLE_SPOOL_H
#define MILL_TABLE_SPOOL_H

#include "base/err.h"
#include "base/file.h"
#include <stddef.h>
#include <stdint.h>

typedef struct table_spool table_spool;

/* dir NULL: TMPDIR or /tmp. */
mill_err spool_new(table_spool **out, size_t bytes, const char *dir);
void spool_free(table_spool *s); /* NULL allowed */
void *spool_at(const table_spool *s, size_t offset);
/* The pages of [p, p + bytes) may leave memory; their content stays in the file. */
void spool_release(const table_spool *s, const void *p, size_t bytes);

/* A stream to write and a reader of the same bytes; the file has no name any more. */
mill_err spool_stream(mill_file **writer, mill_file **reader, const char *dir);

/* Bits 0..rows-1 set, the rest of the last byte clear. */
void column_fill_valid(uint8_t *valid, int64_t rows);

#endif
