/*
 * rolling.h - a log file that takes at most twice what it may have, however long its writer lives.
 *
 * One that would grow beyond `most` bytes becomes NAME.1, over an older one, and NAME begins anew;
 * of many lines at once, between two of them.  A line that is longer by itself stays whole.  Where
 * the rename fails, it grows on.  A disk that is full loses bytes and nothing else: every put tries
 * again.
 */
#ifndef MILL_BASE_ROLLING_H
#define MILL_BASE_ROLLING_H

#include "base/file.h"

typedef struct {
    char path[600];  /* "": none, and puts are for nothing */
    int64_t most;    /* bytes; 0: any number */
    mill_file *file; /* NULL until the first byte, and after a failed write */
    int64_t bytes;   /* that the file has */
} rolling_log;

/* Appends, and hands to the system at once.  MILL_EIO: these bytes are lost, in part at least. */
mill_err rolling_put(rolling_log *l, const char *p, size_t n);
void rolling_close(rolling_log *l); /* a further put opens it again */

#endif
