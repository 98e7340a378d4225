/*
 * store.h - the .mill file: JSON header and raw tensors, checksummed, mappable.
 *
 *     8 bytes   "TABMILL1"
 *     8 bytes   u64 LE: length h of the header
 *     h bytes   JSON: {"format":1, "meta":{...}, "tensors":{"name":{
 *                   "dtype":"F32", "shape":[..], "offset":.., "bytes":.., "crc32c":..}, ..}}
 *               padded with spaces, so that 16 + h is a multiple of 64
 *     tensors   each at a multiple of 64; "offset" is from the start of the file
 *     4 bytes   u32 LE: crc32c of everything before
 *     4 bytes   "LLIM"
 *
 * dtypes: F32 F64 BF16 I64 I32 U32 U16 U8.  Models, checkpoints and shards use it.  Reading checks
 * sizes, overlaps, bounds and checksums before anything is used; a bad file is refused by name of
 * the tensor and offset.  Same content gives the same bytes.
 */
#ifndef MILL_TABLE_STORE_H
#define MILL_TABLE_STORE_H

#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_MAGIC "TABMILL1"

typedef enum {
    STORE_F32,
    STORE_F64,
    STORE_BF16,
    STORE_I64,
    STORE_I32,
    STORE_U32,
    STORE_U16,
    STORE_U8,
    STORE_N_DTYPE
} store_dtype;

typedef struct {
    const char *name;
    store_dtype dtype;
    int rank;
    int64_t dim[4];
    const void *data;
    size_t bytes;
} store_tensor;

/* Writer: tensors are borrowed until store_writer_commit returns.  meta is borrowed; keys are
 * written sorted. */
typedef struct store_writer store_writer;
mill_err store_writer_new(store_writer **out);
mill_err store_writer_add(store_writer *w, const char *name, store_dtype dtype, int rank,
                          const int64_t *dim, const void *data);
mill_err store_writer_commit(store_writer *w, const char *path, const json_t *meta); /* atomic */
void store_writer_free(store_writer *w);

/* Reader: a mapping (or a copy); tensors point into it until store_close. */
typedef struct store store;
mill_err store_open(store **out, const char *path);
void store_close(store *s);
const json_t *store_meta(const store *s);
int store_n_tensors(const store *s);
const store_tensor *store_tensor_at(const store *s, int i);       /* in file order */
const store_tensor *store_find(const store *s, const char *name); /* NULL if absent */
/* What store_open() would give after a commit, copied to memory and without the file. */
mill_err store_writer_copy(store **out, const store_writer *w, const json_t *meta);
/* Found, with this dtype and shape (dim -1: any), or MILL_EINPUT. */
mill_err store_get(const store_tensor **out, const store *s, const char *name, store_dtype dtype,
                   int rank, const int64_t *dim);
size_t store_dtype_size(store_dtype d);
const char *store_dtype_name(store_dtype d);
/* One digest of all tensors (name, dtype, shape, bytes; sorted by name), independent of the layout
 * of the file: 32 hex digits. */
mill_err store_hash(char hex[33], const store *s);

#endif
