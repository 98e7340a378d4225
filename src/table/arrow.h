/*
 * arrow.h - tables as they cross a border: the Arrow C data and stream interfaces.
 *
 * Declared after their specification (arrow.apache.org/docs/format/CDataInterface.html and
 * CStreamInterface.html), whose names and layout are fixed.  A structure is alive while its
 * `release` is not NULL; whoever takes it calls that once, and children and dictionary go with it.
 *
 * Formats that are met here:
 *
 *     n null   b boolean   c C s S i I l L integers of 8 to 64 bits, capitals unsigned
 *     e f g floats of 16, 32, 64 bits   d:P,S[,BITS] decimal   w:N fixed binary
 *     z Z binary, u U text, with offsets of 32 or 64 bits; vz vu their views
 *     tdD tdm dates in days or ms   tts ttm ttu ttn times of a day   tss:ZONE tsm: tsu: tsn: times
 *     +l +L list   +w:N fixed list   +s struct   +m map
 */
#ifndef MILL_TABLE_ARROW_H
#define MILL_TABLE_ARROW_H

#include <stdint.h>

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE           2
#define ARROW_FLAG_MAP_KEYS_SORTED    4

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata; /* int32 pairs, then each key and value as int32 bytes and its text */
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count; /* -1: not counted */
    int64_t offset;     /* of the first element in the buffers */
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers; /* the validity bitmap first (NULL: all are valid) */
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

#endif

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE

struct ArrowArrayStream {
    /* 0, or an errno and then words from get_last_error. */
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out); /* released: the end */
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};

#endif
#endif
