/*
 * torch.h - files that torch.load() reads: dictionaries of tensors.
 *
 *     torch_create(&w, path, STORE_F32);          storage 0 is written as it is made
 *     torch_write(&w, p, n) ...
 *     torch_add(&w, STORE_I64, d, n, &key);       others, that are there already
 *     torch_commit(&w, items, n_items, ...);      names, shapes, and what lies in which storage
 *
 * The container, as torch has written it since 1.6: a zip without compression,
 *
 *     STEM/data/0 .. k   the storages, little-endian, each begun at a multiple of 64 bytes
 *     STEM/data.pkl      a pickle, protocol 2: the dictionary
 *     STEM/version       "3\n"
 *
 * each with its CRC-32, with the zip64 fields where 4 GiB are not enough.  In the pickle a tensor
 * is torch._utils._rebuild_tensor_v2(storage, offset, size, stride, False, OrderedDict()), a nested
 * one torch._utils._rebuild_nested_tensor(buffer, sizes, strides, offsets); a storage is a
 * persistent id
 * ("storage", torch.FloatStorage, key, "cpu", number of elements).  So weights_only loading, the
 * default, takes them.
 */
#ifndef MILL_TABLE_TORCH_H
#define MILL_TABLE_TORCH_H

#include "table/headed.h"
#include "table/store.h"

enum { TORCH_MAX_ENTRIES = 32, TORCH_NAME = 32 };

typedef struct {
    char name[TORCH_NAME]; /* behind the stem */
    int64_t at, bytes;     /* where its local header lies */
    uint32_t crc;          /* CRC-32, as zip has it */
    store_dtype dtype;     /* of a storage */
} torch_entry;

typedef struct {
    headed_file file;
    char stem[64];
    torch_entry entry[TORCH_MAX_ENTRIES]; /* storages first */
    int n;
} torch_writer;

typedef enum { TORCH_INT, TORCH_TENSOR, TORCH_NESTED } torch_kind;
typedef struct {
    const char *name;
    torch_kind kind;
    int64_t value;  /* INT */
    int storage[4]; /* TENSOR: the first; NESTED: buffer, sizes, strides, offsets */
    int rank;       /* TENSOR: its dimensions; NESTED: those of an element of it */
    int64_t dim[4];
    int64_t count; /* NESTED: elements */
} torch_item;

/* dtypes: F32, F64, I64, I32.  The file appears on commit. */
mill_err torch_create(torch_writer *w, const char *path, store_dtype dtype);
mill_err torch_write(torch_writer *w, const void *p, int64_t n); /* before the first torch_add */
mill_err torch_add(torch_writer *w, store_dtype dtype, const void *p, int64_t n, int *storage);
/* The file's length and its crc32c, if they are wanted. */
mill_err torch_commit(torch_writer *w, const torch_item *items, int n, int64_t *bytes,
                      uint32_t *crc);
void torch_close(torch_writer *w); /* may be called twice */

#endif
