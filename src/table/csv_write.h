/*
 * csv_write.h - where the text of a table goes: a file that appears when it is whole, or stdout;
 * plain, .gz or .zst.
 */
#ifndef MILL_TABLE_CSV_WRITE_H
#define MILL_TABLE_CSV_WRITE_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

typedef struct csv_sink csv_sink;

mill_err csv_sink_open(csv_sink **out, const char *path,
                       bool force); /* MILL_EINPUT if it exists, without force */
mill_err csv_sink_write(csv_sink *s, const void *p, size_t n);
mill_err csv_sink_commit(csv_sink *s);
void csv_sink_close(csv_sink *s); /* NULL allowed; without commit nothing appears */

/* Longer than the suffix, and ends with it. */
bool path_has_suffix(const char *path, const char *suffix);
/* MILL_EINPUT if there is a file or a folder of that name, unless it is forced. */
mill_err path_check_new(const char *path, bool force);

#endif
