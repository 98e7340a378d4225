/*
 * store_stream.c - a .mill file whose first tensor is written as it is made.
 *
 * The header has a fixed length, chosen before; what its text does not take is spaces, as store.h
 * allows.  store_open() reads the result like any other.
 */
#include "table/store_stream.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, HEAD = 16, TENSOR_ROOM = 256 };

static size_t align_up(size_t n)
{
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

mill_err store_stream_open(store_stream *s, const char *path, const char *name, store_dtype dtype,
                           size_t room)
{
    *s = (store_stream){.name = name, .dtype = dtype};
    return headed_create(&s->file, path,
                         align_up(HEAD + room + ((size_t)STORE_STREAM_TENSORS + 1) * TENSOR_ROOM));
}

mill_err store_stream_add(store_stream *s, const void *p, int64_t n)
{
    const size_t bytes = (size_t)n * store_dtype_size(s->dtype);

    s->crc = mill_crc32c(s->crc, p, bytes);
    s->count += n;
    return headed_write(&s->file, p, bytes);
}

static int put_description(json_t *tensors, const store_tensor *t, int64_t at, uint32_t crc)
{
    json_t *shape = json_array();

    for (int k = 0; k < t->rank; k++) json_array_append_new(shape, json_integer(t->dim[k]));
    return json_object_set_new(tensors, t->name,
                               json_pack("{s:s, s:o, s:I, s:I, s:I}", "dtype",
                                         store_dtype_name(t->dtype), "shape", shape, "offset",
                                         (json_int_t)at, "bytes", (json_int_t)t->bytes, "crc32c",
                                         (json_int_t)crc));
}

/* Magic, length and the padded text, s->file.head bytes. */
static mill_err make_head(char **out, const store_stream *s, const json_t *meta,
                          const json_t *tensors)
{
    const uint64_t h = s->file.head - HEAD;
    json_t *root =
        json_pack("{s:i, s:O, s:O}", "format", 1, "meta", (json_t *)meta, "tensors", tensors);
    char *text =
        root ? json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17)) : NULL;
    const size_t n = text ? strlen(text) : 0;
    char *head = text && n <= h ? mill_alloc(s->file.head, 1) : NULL;

    if (head) {
        /* NOLINTBEGIN(bugprone-not-null-terminated-result): their lengths are known */
        memcpy(head, STORE_MAGIC, 8);
        memcpy(head + 8, &h, sizeof h);
        memset(head + HEAD, ' ', h);
        memcpy(head + HEAD, text, n);
        /* NOLINTEND(bugprone-not-null-terminated-result) */
    }
    json_decref(root);
    free(text);
    *out = head;
    if (head) return MILL_OK;
    return mill_fail(n > h ? MILL_EINPUT : MILL_ENOMEM,
                     n > h ? "a header of %zu bytes in a place of %zu"
                           : "no memory for a header of %zu bytes in %zu",
                     n, (size_t)h);
}

mill_err store_stream_commit(store_stream *s, const store_tensor *rest, int n, const json_t *meta,
                             int64_t *bytes, uint32_t *crc)
{
    json_t *tensors = json_object();
    char *head = NULL;
    const store_tensor first = {.name = s->name,
                                .dtype = s->dtype,
                                .rank = 1,
                                .dim = {s->count},
                                .bytes = (size_t)s->count * store_dtype_size(s->dtype)};
    int bad = put_description(tensors, &first, (int64_t)s->file.head, s->crc);
    mill_err err = headed_pad(&s->file, ALIGN);

    for (int i = 0; !err && i < n; i++) {
        bad |= put_description(tensors, &rest[i], headed_tell(&s->file),
                               rest[i].bytes ? mill_crc32c(0, rest[i].data, rest[i].bytes) : 0);
        err = headed_write(&s->file, rest[i].data, rest[i].bytes);
        if (!err) err = headed_pad(&s->file, ALIGN);
    }
    if (!err && bad) err = mill_fail(MILL_ENOMEM, "out of memory for a header");
    if (!err) err = make_head(&head, s, meta, tensors);
    if (!err) {
        const uint32_t all = headed_crc(&s->file, head);
        if (crc) *crc = all;
        err = headed_write(&s->file, &all, sizeof all);
        if (!err) err = headed_write(&s->file, "LLIM", 4);
    }
    if (!err) {
        if (bytes) *bytes = headed_tell(&s->file);
        err = headed_commit(&s->file, head);
    }
    json_decref(tensors);
    mill_free(head);
    return err;
}

void store_stream_close(store_stream *s)
{
    headed_close(&s->file);
}
