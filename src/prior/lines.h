/* lines.h - index/NAME_%06u.jsonl: what the files of pt and npy have no place for (sink.h). */
#ifndef MILL_PRIOR_LINES_H
#define MILL_PRIOR_LINES_H

#include "prior/sink.h"

/* Appends the data set's line to `t`. */
void lines_add(mill_text *t, const prior_set *set);
/* Whole and on the disk, or not there; the last file of s->unit, whose bytes and crc it adds to. */
mill_err lines_write(prior_sink *s, const mill_text *t, const char *name);
mill_err lines_path(char path[PRIOR_PATH], const prior_sink *s, const char *name, int64_t unit);

#endif
