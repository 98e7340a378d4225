/*
 * store_stream.h - a .mill file (store.h) whose first tensor is written as it is made.
 *
 * For files that are larger than what one wants to hold: the first tensor, of one dimension, comes
 * in pieces; the others, which are small, are given at the end, and only then the header is known.
 */
#ifndef MILL_TABLE_STORE_STREAM_H
#define MILL_TABLE_STORE_STREAM_H

#include "table/headed.h"
#include "table/store.h"

typedef struct {
    headed_file file;
    const char *name; /* of the first tensor; borrowed */
    store_dtype dtype;
    uint32_t crc; /* of it so far */
    int64_t count;
} store_stream;

enum { STORE_STREAM_TENSORS = 15 }; /* at most, beside the first */

/* `room`: bytes that the JSON of meta will take at most. */
mill_err store_stream_open(store_stream *s, const char *path, const char *name, store_dtype dtype,
                           size_t room);
mill_err store_stream_add(store_stream *s, const void *p, int64_t n); /* n elements */
/* `rest` is borrowed.  The file's length, and the checksum that it ends with, if they are wanted.
 */
mill_err store_stream_commit(store_stream *s, const store_tensor *rest, int n, const json_t *meta,
                             int64_t *bytes, uint32_t *crc);
void store_stream_close(store_stream *s); /* may be called twice */

#endif
