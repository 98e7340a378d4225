/*
 * source.h - the bytes of a table, at any offset, whatever they came from.
 *
 * A plain file is read where it lies.  A pipe ("-" or a FIFO) and a .gz or .zst file, known by its
 * first bytes, are first written to a temporary file without a name (spool.h), since a table is
 * visited twice.
 */
#ifndef MILL_TABLE_SOURCE_H
#define MILL_TABLE_SOURCE_H

#include "base/err.h"
#include "base/file.h"
#include <stdint.h>

typedef struct {
    mill_file *f;
    const char
        *path; /* as the user wrote it, "stdin" for "-"; borrowed from the caller of source_open */
    int64_t bytes;
} source;

mill_err source_open(source *out, const char *path, const char *spool_dir);
void source_close(source *s);
/* Any thread; got < n only at the end, as it was when the source was opened: what has been written
 * behind it since (a log grows) is not seen. */
mill_err source_read(const source *s, void *p, size_t n, int64_t at, size_t *got);

/* Fails: the file is not what it was. */
mill_err source_changed(const source *s);

#endif
