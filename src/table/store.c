/*
 * store.c - the .mill file, see store.h.
 *
 * The header is padded so that 16 + h is a multiple of 64, offsets in it are from the start of the
 * file.  Since the length of the header depends on the digits of the offsets, it is made again with
 * 64 bytes more until it fits. Between tensors lie zeros.  Names are not empty, have no control
 * characters, and appear once.
 */
#include "table/store.h"
#include "base/file.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { ALIGN = 64, HEAD = 16, TAIL = 8, MAX_RANK = 4 };

static const char magic_head[8] = STORE_MAGIC, magic_tail[4] = "LLIM";

static const struct {
    const char *name;
    size_t size;
} dtypes[STORE_N_DTYPE] = {
    [STORE_F32] = {"F32", 4}, [STORE_F64] = {"F64", 8}, [STORE_BF16] = {"BF16", 2},
    [STORE_I64] = {"I64", 8}, [STORE_I32] = {"I32", 4}, [STORE_U32] = {"U32", 4},
    [STORE_U16] = {"U16", 2}, [STORE_U8] = {"U8", 1},
};

size_t store_dtype_size(store_dtype d)
{
    return (unsigned)d < STORE_N_DTYPE ? dtypes[d].size : 0;
}

const char *store_dtype_name(store_dtype d)
{
    return (unsigned)d < STORE_N_DTYPE ? dtypes[d].name : "unknown";
}

static size_t align_up(size_t n)
{
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

/* Bytes of a tensor; false if the shape is bad or does not fit. */
static bool tensor_bytes(size_t *out, store_dtype dtype, int rank, const int64_t *dim)
{
    size_t bytes = store_dtype_size(dtype);

    if (!bytes || rank < 0 || rank > MAX_RANK) return false;
    for (int k = 0; k < rank; k++)
        if (dim[k] < 0 || __builtin_mul_overflow(bytes, (size_t)dim[k], &bytes)) return false;
    *out = bytes;
    return bytes <= PTRDIFF_MAX;
}

/* ---- writing ---- */

struct store_writer {
    store_tensor *tensor; /* names are ours, data is borrowed */
    int n, cap;
};

mill_err store_writer_new(store_writer **out)
{
    store_writer *w = mill_alloc(1, sizeof *w);
    if (!w) return MILL_ENOMEM;
    *out = w;
    return MILL_OK;
}

void store_writer_free(store_writer *w)
{
    if (!w) return;
    for (int i = 0; i < w->n; i++) mill_free((char *)w->tensor[i].name);
    mill_free(w->tensor);
    mill_free(w);
}

static bool name_ok(const char *name)
{
    if (!*name) return false;
    for (; *name; name++)
        if ((unsigned char)*name < 32) return false;
    return true;
}

mill_err store_writer_add(store_writer *w, const char *name, store_dtype dtype, int rank,
                          const int64_t *dim, const void *data)
{
    store_tensor t = {.dtype = dtype, .rank = rank, .data = data};

    if (!name_ok(name)) return mill_fail(MILL_EINPUT, "\"%s\" cannot name a tensor", name);
    for (int i = 0; i < w->n; i++)
        if (!strcmp(w->tensor[i].name, name))
            return mill_fail(MILL_EINPUT, "two tensors named \"%s\"", name);
    if (!tensor_bytes(&t.bytes, dtype, rank, dim))
        return mill_fail(MILL_ESHAPE, "tensor \"%s\" has a bad dtype or shape", name);
    for (int k = 0; k < rank; k++) t.dim[k] = dim[k];

    if (w->n == w->cap) {
        const int cap = w->cap ? 2 * w->cap : 16;
        store_tensor *grown = mill_realloc(w->tensor, (size_t)cap, sizeof *grown);
        if (!grown) return MILL_ENOMEM;
        w->tensor = grown;
        w->cap = cap;
    }
    if (!(t.name = mill_strdup(name))) return MILL_ENOMEM;
    w->tensor[w->n++] = t;
    return MILL_OK;
}

static json_t *describe(const store_tensor *t, size_t offset, uint32_t crc)
{
    json_t *shape = json_array();
    for (int k = 0; shape && k < t->rank; k++)
        json_array_append_new(shape, json_integer(t->dim[k]));
    return json_pack("{s:s, s:o, s:I, s:I, s:I}", "dtype", store_dtype_name(t->dtype), "shape",
                     shape, "offset", (json_int_t)offset, "bytes", (json_int_t)t->bytes, "crc32c",
                     (json_int_t)crc);
}

/* The header for tensors that begin at `at`; free() it. */
static char *dump_header(const store_writer *w, const json_t *meta, const uint32_t *crc, size_t at)
{
    json_t *tensors = json_object();
    int bad = !tensors;

    for (int i = 0; !bad && i < w->n; i++) {
        bad = json_object_set_new(tensors, w->tensor[i].name, describe(&w->tensor[i], at, crc[i]));
        at = align_up(at + w->tensor[i].bytes);
    }
    json_t *copy = meta ? json_deep_copy(meta) : json_object();
    json_t *root =
        bad ? NULL : json_pack("{s:i, s:o, s:O}", "format", 1, "meta", copy, "tensors", tensors);
    char *text =
        root ? json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17)) : NULL;
    if (bad) json_decref(copy);
    json_decref(root);
    json_decref(tensors);
    return text;
}

/* The header in its final length h, 16 + h a multiple of 64, padded with spaces. */
static mill_err make_header(char **out, size_t *len, const store_writer *w, const json_t *meta,
                            const uint32_t *crc)
{
    for (size_t h = ALIGN - HEAD;; h += ALIGN) {
        char *text = dump_header(w, meta, crc, HEAD + h);
        if (!text)
            return mill_fail(MILL_ENOMEM,
                             "no memory for a model's header, or its text is not UTF-8");
        const size_t n = strlen(text);
        if (n > h) {
            free(text);
            h = (n + HEAD) / ALIGN * ALIGN - HEAD; /* goes on with the next larger one */
            continue;
        }
        char *padded = mill_alloc(h, 1);
        if (padded) {
            memset(padded, ' ', h);
            /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): h is its length */
            memcpy(padded, text, n);
        }
        free(text);
        *out = padded;
        *len = h;
        return padded ? MILL_OK : MILL_ENOMEM;
    }
}

typedef struct {
    mill_file *f;
    uint32_t crc;
} checked_file;

static mill_err put(checked_file *c, const void *p, size_t n)
{
    if (!n) return MILL_OK;
    c->crc = mill_crc32c(c->crc, p, n);
    return file_write(c->f, p, n);
}

static mill_err put_padding(checked_file *c, size_t n)
{
    static const char zeros[ALIGN];
    return put(c, zeros, align_up(n) - n);
}

static mill_err write_all(checked_file *c, const store_writer *w, const char *header, size_t len)
{
    const uint64_t h = len;

    TRY(put(c, magic_head, sizeof magic_head));
    TRY(put(c, &h, sizeof h));
    TRY(put(c, header, len));
    for (int i = 0; i < w->n; i++) {
        TRY(put(c, w->tensor[i].data, w->tensor[i].bytes));
        TRY(put_padding(c, w->tensor[i].bytes));
    }
    const uint32_t crc = c->crc;
    TRY(file_write(c->f, &crc, sizeof crc));
    TRY(file_write(c->f, magic_tail, sizeof magic_tail));
    return file_commit(c->f);
}

mill_err store_writer_commit(store_writer *w, const char *path, const json_t *meta)
{
    checked_file c = {0};
    char *header = NULL;
    size_t len = 0;
    uint32_t *crc = mill_alloc(w->n ? (size_t)w->n : 1, sizeof *crc);

    if (!crc) return MILL_ENOMEM;
    for (int i = 0; i < w->n; i++)
        crc[i] = w->tensor[i].bytes ? mill_crc32c(0, w->tensor[i].data, w->tensor[i].bytes) : 0;
    mill_err err = make_header(&header, &len, w, meta, crc);
    if (!err) err = file_create_atomic(&c.f, path);
    if (!err) err = write_all(&c, w, header, len);
    file_close(c.f);
    mill_free(header);
    mill_free(crc);
    return err;
}

/* ---- reading ---- */

struct store {
    const char *map; /* NULL: a copy */
    size_t len;
    char *copy; /* tensors and their names; NULL: a mapping */
    char *path;
    json_t *root;
    store_tensor *tensor; /* by offset; names belong to root, or to the copy */
    int n;
};

static mill_err bad(const store *s, const char *name, const char *why)
{
    if (!name) return mill_fail(MILL_EINPUT, "%s: %s", s->path, why);
    return mill_fail(MILL_EINPUT, "%s: tensor \"%s\": %s", s->path, name, why);
}

static bool whole_number(int64_t *out, const json_t *v)
{
    if (!json_is_integer(v)) return false;
    *out = json_integer_value(v);
    return *out >= 0;
}

static mill_err read_tensor(store *s, store_tensor *t, const char *name, const json_t *v,
                            size_t data_at)
{
    int64_t offset, bytes, crc;
    const json_t *shape = json_object_get(v, "shape");
    const char *dtype = json_string_value(json_object_get(v, "dtype"));
    size_t want;

    t->name = name;
    t->dtype = STORE_N_DTYPE;
    for (int d = 0; dtype && d < STORE_N_DTYPE; d++)
        if (!strcmp(dtype, dtypes[d].name)) t->dtype = (store_dtype)d;
    if (t->dtype == STORE_N_DTYPE) return bad(s, name, "its dtype is not known");
    if (!json_is_array(shape) || json_array_size(shape) > MAX_RANK)
        return bad(s, name, "bad shape");
    t->rank = (int)json_array_size(shape);
    for (int k = 0; k < t->rank; k++)
        if (!whole_number(&t->dim[k], json_array_get(shape, (size_t)k)))
            return bad(s, name, "bad shape");
    if (!whole_number(&offset, json_object_get(v, "offset")) ||
        !whole_number(&bytes, json_object_get(v, "bytes")) ||
        !whole_number(&crc, json_object_get(v, "crc32c")))
        return bad(s, name, "offset, bytes or crc32c is missing");
    if (!tensor_bytes(&want, t->dtype, t->rank, t->dim) || want != (size_t)bytes)
        return bad(s, name, "its size does not fit its shape");
    if (offset % ALIGN || (size_t)offset < data_at || (size_t)offset > s->len - TAIL ||
        (size_t)bytes > s->len - TAIL - (size_t)offset)
        return mill_fail(MILL_EINPUT,
                         "%s: tensor \"%s\": %lld bytes at offset %lld lie outside the file",
                         s->path, name, (long long)bytes, (long long)offset);
    t->data = s->map + offset;
    t->bytes = (size_t)bytes;
    if (mill_crc32c(0, t->data, t->bytes) != (uint32_t)crc || crc > UINT32_MAX)
        return mill_fail(MILL_EINPUT, "%s: tensor \"%s\" at offset %lld is damaged (checksum)",
                         s->path, name, (long long)offset);
    return MILL_OK;
}

static int by_offset(const void *pa, const void *pb)
{
    const store_tensor *a = pa, *b = pb;
    if (a->data != b->data) return (const char *)a->data < (const char *)b->data ? -1 : 1;
    if (a->bytes != b->bytes) return a->bytes < b->bytes ? -1 : 1;
    return strcmp(a->name, b->name);
}

static mill_err read_header(store *s)
{
    uint64_t h;
    uint32_t crc;
    json_error_t e;

    if (s->len < HEAD + TAIL || memcmp(s->map, magic_head, sizeof magic_head) != 0)
        return bad(s, NULL, "not a .mill file");
    memcpy(&h, s->map + 8, sizeof h);
    if (h > s->len - HEAD - TAIL || (HEAD + h) % ALIGN)
        return bad(s, NULL, "cut short, or its header is damaged");
    memcpy(&crc, s->map + s->len - TAIL, sizeof crc);
    if (memcmp(s->map + s->len - 4, magic_tail, sizeof magic_tail) != 0)
        return bad(s, NULL, "cut short");

    s->root = json_loadb(s->map + HEAD, h, JSON_REJECT_DUPLICATES, &e);
    if (!s->root) return mill_fail(MILL_EINPUT, "%s: bad header: %s", s->path, e.text);
    const json_t *tensors = json_object_get(s->root, "tensors");
    if (!json_is_object(tensors) || !json_is_object(json_object_get(s->root, "meta")))
        return bad(s, NULL, "bad header: no meta or tensors");
    if (json_integer_value(json_object_get(s->root, "format")) != 1)
        return bad(s, NULL, "its format is not 1: another version of tabmill wrote it");

    s->tensor = mill_alloc(json_object_size(tensors) + 1, sizeof *s->tensor);
    if (!s->tensor) return MILL_ENOMEM;
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)tensors, name, v)
        TRY(read_tensor(s, &s->tensor[s->n++], name, v, HEAD + (size_t)h));
    qsort(s->tensor, (size_t)s->n, sizeof *s->tensor, by_offset);
    for (int i = 1; i < s->n; i++)
        if ((const char *)s->tensor[i - 1].data + s->tensor[i - 1].bytes >
            (const char *)s->tensor[i].data)
            return bad(s, s->tensor[i].name, "overlaps another");
    /* Last: a damaged tensor should be named. */
    if (mill_crc32c(0, s->map, s->len - TAIL) != crc)
        return bad(s, NULL, "damaged (checksum of the file)");
    return MILL_OK;
}

mill_err store_open(store **out, const char *path)
{
    const void *map;
    store *s = mill_alloc(1, sizeof *s);

    if (!s) return MILL_ENOMEM;
    mill_err err = (s->path = mill_strdup(path)) ? MILL_OK : MILL_ENOMEM;
    if (!err && !(err = file_map(&map, &s->len, path))) {
        s->map = map;
        err = read_header(s);
    }
    if (err)
        store_close(s);
    else
        *out = s;
    return err;
}

/* Tensors at multiples of ALIGN, then their names. */
static mill_err copy_tensors(store *s, const store_writer *w)
{
    size_t bytes = 0, at = 0;

    for (int i = 0; i < w->n; i++)
        bytes += align_up(w->tensor[i].bytes) + strlen(w->tensor[i].name) + 1;
    s->copy = mill_alloc(bytes + 1, 1);
    s->tensor = mill_alloc((size_t)w->n + 1, sizeof *s->tensor);
    if (!s->copy || !s->tensor) return MILL_ENOMEM;
    for (int i = 0; i < w->n; i++) {
        s->tensor[i] = w->tensor[i];
        if (w->tensor[i].bytes) memcpy(s->copy + at, w->tensor[i].data, w->tensor[i].bytes);
        s->tensor[i].data = s->copy + at;
        at += align_up(w->tensor[i].bytes);
    }
    char *name = s->copy + at;
    for (int i = 0; i < w->n; i++) {
        const size_t len = strlen(w->tensor[i].name) + 1;
        s->tensor[i].name = memcpy(name, w->tensor[i].name, len);
        name += len;
    }
    s->n = w->n;
    return MILL_OK;
}

mill_err store_writer_copy(store **out, const store_writer *w, const json_t *meta)
{
    store *s = mill_alloc(1, sizeof *s);
    mill_err err = MILL_ENOMEM;

    if (!s) return err;
    if ((s->path = mill_strdup("a copy in memory"))) err = copy_tensors(s, w);
    if (!err) {
        json_t *copy = meta ? json_deep_copy(meta) : json_object();
        s->root = json_pack("{s:o}", "meta", copy);
        if (!s->root) err = mill_fail(MILL_ENOMEM, "no memory for a copy of a state");
    }
    if (err)
        store_close(s);
    else
        *out = s;
    return err;
}

void store_close(store *s)
{
    if (!s) return;
    json_decref(s->root);
    mill_free(s->copy);
    if (s->map) file_unmap(s->map, s->len);
    mill_free(s->tensor);
    mill_free(s->path);
    mill_free(s);
}

const json_t *store_meta(const store *s)
{
    return json_object_get(s->root, "meta");
}

int store_n_tensors(const store *s)
{
    return s->n;
}

const store_tensor *store_tensor_at(const store *s, int i)
{
    return &s->tensor[i];
}

const store_tensor *store_find(const store *s, const char *name)
{
    for (int i = 0; i < s->n; i++)
        if (!strcmp(s->tensor[i].name, name)) return &s->tensor[i];
    return NULL;
}

mill_err store_get(const store_tensor **out, const store *s, const char *name, store_dtype dtype,
                   int rank, const int64_t *dim)
{
    const store_tensor *t = store_find(s, name);

    if (!t) return mill_fail(MILL_EINPUT, "%s: there is no tensor \"%s\"", s->path, name);
    bool same = t->dtype == dtype && t->rank == rank;
    for (int k = 0; same && k < rank; k++) same = dim[k] < 0 || t->dim[k] == dim[k];
    if (!same)
        return mill_fail(
            MILL_EINPUT, "%s: tensor \"%s\" (%s, %d dimensions) is not as expected (%s, %d)",
            s->path, name, store_dtype_name(t->dtype), t->rank, store_dtype_name(dtype), rank);
    *out = t;
    return MILL_OK;
}

static int by_name(const void *pa, const void *pb)
{
    return strcmp((*(const store_tensor *const *)pa)->name,
                  (*(const store_tensor *const *)pb)->name);
}

mill_err store_hash(char hex[33], const store *s)
{
    const store_tensor **order = mill_alloc((size_t)s->n + 1, sizeof(store_tensor *));
    if (!order) return MILL_ENOMEM;

    for (int i = 0; i < s->n; i++) order[i] = &s->tensor[i];
    qsort(order, (size_t)s->n, sizeof(store_tensor *), by_name);
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    for (int i = 0; i < s->n; i++) {
        const store_tensor *t = order[i];
        const char *dtype = store_dtype_name(t->dtype);
        const int64_t rank = t->rank;
        XXH3_128bits_update(&state, t->name, strlen(t->name) + 1);
        XXH3_128bits_update(&state, dtype, strlen(dtype) + 1);
        XXH3_128bits_update(&state, &rank, sizeof rank);
        XXH3_128bits_update(&state, t->dim, (size_t)rank * sizeof t->dim[0]);
        XXH3_128bits_update(&state, t->data, t->bytes);
    }
    mill_free(order);

    XXH128_canonical_t canon;
    XXH128_canonicalFromHash(&canon, XXH3_128bits_digest(&state));
    for (int64_t i = 0; i < 16; i++) {
        hex[2 * i] = "0123456789abcdef"[canon.digest[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[canon.digest[i] & 15];
    }
    hex[32] = 0;
    return MILL_OK;
}
