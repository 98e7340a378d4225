/*
 * headed.h - a file whose first bytes are known last: sizes, offsets and checksums of what follows.
 *
 * The head is written as zeros and patched at the end; the file appears under its name whole or not
 * at all (base/file.h).  What is written is checksummed on the way, so that nothing is read again.
 */
#ifndef MILL_TABLE_HEADED_H
#define MILL_TABLE_HEADED_H

#include "base/file.h"

typedef struct {
    mill_file *f;
    size_t head;   /* bytes kept for it */
    uint32_t crc;  /* crc32c of what is behind it */
    int64_t began; /* bytes whose writing out the system has been told to begin */
} headed_file;

mill_err headed_create(headed_file *h, const char *path, size_t head);
mill_err headed_write(headed_file *h, const void *p, size_t n);
mill_err headed_pad(headed_file *h, size_t multiple); /* zeros until the length is one */
int64_t headed_tell(const headed_file *h);
uint32_t headed_crc(const headed_file *h, const void *head); /* of the file as it would be now */
mill_err headed_commit(headed_file *h, const void *head);    /* head: h->head bytes */
void headed_close(headed_file *h); /* without a commit nothing is left; may be called twice */

#endif
