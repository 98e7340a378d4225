/*
 * torch.c - the zip and the pickle of torch.h.
 *
 * The first local header is at offset 0 and is written last, when the length and the CRC of its
 * storage are known: its place is FIRST bytes, whatever the length of the name.  An extra field of
 * zeros ("FB", as torch's own writer has it) makes each storage begin at a multiple of 64.
 *
 * zip: APPNOTE 6.3.9, 4.3.7 (local header), 4.3.12 (central directory), 4.3.14-16 (ends), 4.5.3
 * (zip64).  Pickle: Python's pickletools, protocol 2.
 */
#include "table/torch.h"

#include "base/mem.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <zlib.h>

enum { ALIGN = 64, FIRST = 192, LOCAL = 30, ZIP64 = 20, EXTRA = 4 };
#define FOUR_GIB 0xffffffffll

static void put(mill_text *t, uint64_t value, int bytes)
{
    text_add_bytes(t, &value, (size_t)bytes);
}

/* ---- the zip ---- */

static uint64_t small(int64_t x)
{
    return x >= FOUR_GIB ? (uint64_t)FOUR_GIB : (uint64_t)x;
}

/* The fields that a local header and one of the central directory share. */
static void put_common(mill_text *t, const torch_entry *e, size_t name, size_t extra)
{
    put(t, e->bytes >= FOUR_GIB || e->at >= FOUR_GIB ? 45 : 20, 2);
    put(t, 0, 2);      /* flags */
    put(t, 0, 2);      /* stored */
    put(t, 0, 2);      /* time */
    put(t, 0x0021, 2); /* date: 1 January 1980, the least there is */
    put(t, e->crc, 4);
    put(t, small(e->bytes), 4);
    put(t, small(e->bytes), 4);
    put(t, name, 2);
    put(t, extra, 2);
}

/* So that what follows begins `size` bytes on, or, 0, at the next multiple of 64. */
static void put_local(mill_text *t, const torch_writer *w, const torch_entry *e, int64_t size)
{
    const size_t name = strlen(w->stem) + 1 + strlen(e->name);
    const size_t least = LOCAL + name + (e->bytes >= FOUR_GIB ? ZIP64 : 0) + EXTRA;
    const int64_t end = size ? e->at + size : (e->at + (int64_t)least + ALIGN - 1) / ALIGN * ALIGN;
    size_t padding = (size_t)(end - e->at) - least;

    put(t, 0x04034b50, 4);
    put_common(t, e, name, (size_t)(end - e->at) - LOCAL - name);
    text_add(t, "%s/%s", w->stem, e->name);
    if (e->bytes >= FOUR_GIB) {
        put(t, 1, 2);
        put(t, 16, 2);
        put(t, (uint64_t)e->bytes, 8);
        put(t, (uint64_t)e->bytes, 8);
    }
    put(t, 'F' | 'B' << 8, 2);
    put(t, padding, 2);
    while (padding--) put(t, 0, 1);
}

static void put_central(mill_text *t, const torch_writer *w, const torch_entry *e)
{
    const bool big = e->bytes >= FOUR_GIB || e->at >= FOUR_GIB;

    put(t, 0x02014b50, 4);
    put(t, big ? 45 : 20, 2); /* made by */
    put_common(t, e, strlen(w->stem) + 1 + strlen(e->name),
               big ? EXTRA + (e->bytes >= FOUR_GIB ? 16 : 0) + (e->at >= FOUR_GIB ? 8 : 0) : 0);
    put(t, 0, 2); /* comment */
    put(t, 0, 2); /* disk */
    put(t, 0, 2); /* attributes */
    put(t, 0, 4);
    put(t, small(e->at), 4);
    text_add(t, "%s/%s", w->stem, e->name);
    if (!big) return;
    put(t, 1, 2);
    put(t, (e->bytes >= FOUR_GIB ? 16 : 0) + (e->at >= FOUR_GIB ? 8 : 0), 2);
    if (e->bytes >= FOUR_GIB) {
        put(t, (uint64_t)e->bytes, 8);
        put(t, (uint64_t)e->bytes, 8);
    }
    if (e->at >= FOUR_GIB) put(t, (uint64_t)e->at, 8);
}

static void put_directory(mill_text *t, const torch_writer *w)
{
    const int64_t at = headed_tell(&w->file);

    for (int i = 0; i < w->n; i++) put_central(t, w, &w->entry[i]);
    const int64_t bytes = (int64_t)t->len;
    if (at >= FOUR_GIB) { /* the end of a zip64, and where it is */
        put(t, 0x06064b50, 4);
        put(t, 44, 8);
        put(t, 45, 2);
        put(t, 45, 2);
        put(t, 0, 4);
        put(t, 0, 4);
        put(t, (uint64_t)w->n, 8);
        put(t, (uint64_t)w->n, 8);
        put(t, (uint64_t)bytes, 8);
        put(t, (uint64_t)at, 8);
        put(t, 0x07064b50, 4);
        put(t, 0, 4);
        put(t, (uint64_t)(at + bytes), 8);
        put(t, 1, 4);
    }
    put(t, 0x06054b50, 4);
    put(t, 0, 2);
    put(t, 0, 2);
    put(t, (uint64_t)w->n, 2);
    put(t, (uint64_t)w->n, 2);
    put(t, (uint64_t)bytes, 4);
    put(t, small(at), 4);
    put(t, 0, 2);
}

static mill_err write_text(torch_writer *w, mill_text *t)
{
    mill_err err = text_check(t);

    if (!err) err = headed_write(&w->file, t->s, t->len);
    text_free(t);
    return err;
}

/* ---- the pickle ---- */

static const char *storage_class(store_dtype d)
{
    switch (d) {
    case STORE_F32:
        return "FloatStorage";
    case STORE_F64:
        return "DoubleStorage";
    case STORE_I64:
        return "LongStorage";
    case STORE_I32:
        return "IntStorage";
    default:
        return NULL;
    }
}

static void pickle_int(mill_text *t, int64_t x)
{
    int n = 1;

    if (x >= 0 && x < 256) {
        text_add(t, "K");
        put(t, (uint64_t)x, 1);
    } else if (x == (int32_t)x) {
        text_add(t, "J");
        put(t, (uint64_t)x, 4);
    } else {
        while (n < 8 && x != (int64_t)((uint64_t)x << (64 - 8 * n)) >> (64 - 8 * n)) n++;
        text_add(t, "\x8a");
        put(t, (uint64_t)n, 1);
        put(t, (uint64_t)x, n);
    }
}

static void pickle_text(mill_text *t, const char *s)
{
    text_add(t, "X");
    put(t, strlen(s), 4);
    text_add(t, "%s", s);
}

static void pickle_tuple(mill_text *t, int n, const int64_t *x)
{
    text_add(t, "(");
    for (int k = 0; k < n; k++) pickle_int(t, x[k]);
    text_add(t, "t");
}

static void pickle_tensor(mill_text *t, const torch_writer *w, int storage, int rank,
                          const int64_t *dim)
{
    const torch_entry *e = &w->entry[storage];
    int64_t stride[4], product = 1;

    for (int k = rank - 1; k >= 0; k--) {
        stride[k] = product;
        product *= dim[k];
    }
    text_add(t, "ctorch._utils\n_rebuild_tensor_v2\n((");
    pickle_text(t, "storage");
    text_add(t, "ctorch\n%s\n", storage_class(e->dtype));
    pickle_text(t, e->name + strlen("data/"));
    pickle_text(t, "cpu");
    pickle_int(t, e->bytes / (int64_t)store_dtype_size(e->dtype));
    text_add(t, "tQ");
    pickle_int(t, 0);
    pickle_tuple(t, rank, dim);
    pickle_tuple(t, rank, stride);
    text_add(t, "\x89"
                "ccollections\nOrderedDict\n)RtR");
}

static void pickle_nested(mill_text *t, const torch_writer *w, const torch_item *item)
{
    const torch_entry *e = &w->entry[item->storage[0]];
    const int64_t floats = e->bytes / (int64_t)store_dtype_size(e->dtype);
    const int64_t table[2] = {item->count, item->rank};

    text_add(t, "ctorch._utils\n_rebuild_nested_tensor\n(");
    pickle_tensor(t, w, item->storage[0], 1, &floats);
    pickle_tensor(t, w, item->storage[1], 2, table);
    pickle_tensor(t, w, item->storage[2], 2, table);
    pickle_tensor(t, w, item->storage[3], 1, table);
    text_add(t, "tR");
}

static void pickle(mill_text *t, const torch_writer *w, const torch_item *items, int n)
{
    text_add(t, "\x80\x02}(");
    for (int i = 0; i < n; i++) {
        pickle_text(t, items[i].name);
        if (items[i].kind == TORCH_INT)
            pickle_int(t, items[i].value);
        else if (items[i].kind == TORCH_TENSOR)
            pickle_tensor(t, w, items[i].storage[0], items[i].rank, items[i].dim);
        else
            pickle_nested(t, w, &items[i]);
    }
    text_add(t, "u.");
}

/* ---- the writer ---- */

static mill_err check_dtype(store_dtype dtype)
{
    if (storage_class(dtype)) return MILL_OK;
    return mill_fail(MILL_EINPUT, "torch's storages of %s are not written",
                     store_dtype_name(dtype));
}

mill_err torch_create(torch_writer *w, const char *path, store_dtype dtype)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const size_t len = strcspn(name, ".");

    *w = (torch_writer){.n = 1};
    TRY(check_dtype(dtype));
    if (len >= sizeof w->stem || !len)
        return mill_fail(MILL_EINPUT, "%s: a name of 1 to %zu characters is possible", path,
                         sizeof w->stem - 1);
    memcpy(w->stem, name, len);
    w->entry[0] = (torch_entry){.name = "data/0", .dtype = dtype};
    return headed_create(&w->file, path, FIRST);
}

mill_err torch_write(torch_writer *w, const void *p, int64_t n)
{
    torch_entry *e = &w->entry[0];
    const size_t bytes = (size_t)n * store_dtype_size(e->dtype);

    e->crc = (uint32_t)crc32_z(e->crc, p, bytes);
    e->bytes += (int64_t)bytes;
    return headed_write(&w->file, p, bytes);
}

static mill_err add_entry(torch_writer *w, const char *name, const void *p, size_t bytes,
                          store_dtype dtype)
{
    torch_entry *e = &w->entry[w->n];
    mill_text t = {0};

    if (w->n == TORCH_MAX_ENTRIES)
        return mill_fail(MILL_EINPUT, "more than %d parts in a file for torch", TORCH_MAX_ENTRIES);
    *e = (torch_entry){.at = headed_tell(&w->file), .bytes = (int64_t)bytes, .dtype = dtype};
    e->crc = bytes ? (uint32_t)crc32_z(0, p, bytes) : 0;
    snprintf(e->name, sizeof e->name, "%s", name);
    put_local(&t, w, e, 0);
    TRY(write_text(w, &t));
    w->n++;
    return headed_write(&w->file, p, bytes);
}

mill_err torch_add(torch_writer *w, store_dtype dtype, const void *p, int64_t n, int *storage)
{
    char name[TORCH_NAME];

    TRY(check_dtype(dtype));
    *storage = w->n;
    snprintf(name, sizeof name, "data/%d", w->n);
    return add_entry(w, name, p, (size_t)n * store_dtype_size(dtype), dtype);
}

mill_err torch_commit(torch_writer *w, const torch_item *items, int n, int64_t *bytes,
                      uint32_t *crc)
{
    mill_text t = {0}, head = {0};

    pickle(&t, w, items, n);
    mill_err err = text_check(&t);
    if (!err) err = add_entry(w, "data.pkl", t.s, t.len, STORE_U8);
    if (!err) err = add_entry(w, "version", "3\n", 2, STORE_U8);
    text_free(&t);
    if (!err) {
        put_directory(&t, w);
        err = write_text(w, &t);
    }
    if (!err) {
        put_local(&head, w, &w->entry[0], FIRST);
        err = text_check(&head);
    }
    if (!err) {
        if (bytes) *bytes = headed_tell(&w->file);
        if (crc) *crc = headed_crc(&w->file, head.s);
        err = headed_commit(&w->file, head.s);
    }
    text_free(&head);
    return err;
}

void torch_close(torch_writer *w)
{
    headed_close(&w->file);
}
