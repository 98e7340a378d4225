/*
 * npz.c - .npz, a zip of .npy arrays: read through libzip, written by us.
 *
 * Written entries are stored, not compressed, and padded by an extra field so that their elements
 * begin at a multiple of 64 bytes and can be mapped.  Sizes beyond 4 GiB have ZIP64 records
 * (APPNOTE 6.3.9, 4.3 and 4.5.3).  No times: the same table gives the same bytes.
 *
 *     local header, name, extra (padding), array     for each entry
 *     central directory                              one record for each entry
 *     [zip64 end record, locator] end record
 */
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "table/csv_write.h"
#include "table/npy.h"

#include <stdio.h>
#include <string.h>
#include <zip.h>
#include <zlib.h>

/* ---- reading ---- */

typedef npz_entry entry;

static mill_err bad_zip(const char *path, const char *name, const char *why)
{
    return mill_fail(MILL_EINPUT, "%s%s%s: %s", path, name ? ": " : "", name ? name : "", why);
}

static mill_err read_entry(entry *e, zip_t *z, zip_uint64_t i, const char *path, uint64_t limit)
{
    zip_stat_t st;
    char what[300];

    if (zip_stat_index(z, i, 0, &st) || !(st.valid & ZIP_STAT_NAME) || !(st.valid & ZIP_STAT_SIZE))
        return bad_zip(path, NULL, "an entry without name or size");
    const size_t n = strlen(st.name);
    if (!path_has_suffix(st.name, ".npy")) return bad_zip(path, st.name, "not a .npy array");
    if (st.size > limit) return bad_zip(path, st.name, "larger than the memory there is");
    snprintf(what, sizeof what, "%s: %s", path, st.name);
    if (!(e->name = mill_strndup(st.name, n - 4))) return MILL_ENOMEM;
    if (!(e->data = mill_alloc((size_t)st.size + 1, 1))) return MILL_ENOMEM;

    zip_file_t *f = zip_fopen_index(z, i, 0);
    if (!f) return bad_zip(path, st.name, zip_strerror(z));
    zip_uint64_t got = 0;
    while (got < st.size) {
        const zip_int64_t k = zip_fread(f, e->data + got, st.size - got);
        if (k <= 0) break;
        got += (zip_uint64_t)k;
    }
    char rest;
    const bool ok =
        got == st.size && zip_fread(f, &rest, 1) == 0; /* the last read checks the CRC */
    zip_fclose(f);
    if (!ok) return bad_zip(path, st.name, "damaged or cut short");
    return npy_parse(&e->array, e->data, (size_t)st.size, what);
}

static mill_err make_columns(mill_table *t, const entry *entries, int n)
{
    int at = 0;

    for (int k = 0; k < n; k++) {
        const entry *e = &entries[k];
        for (int64_t j = 0; j < e->array.cols; j++) {
            mill_text name = {0};
            if (e->array.cols == 1)
                text_add(&name, "%s", e->name);
            else
                text_add(&name, "%s_%lld", e->name, (long long)j);
            mill_err err = text_check(&name);
            if (!err && table_find(&(mill_table){.n_cols = at, .col = t->col}, name.s) >= 0)
                err = mill_fail(MILL_EINPUT, "two columns would be named \"%s\"", name.s);
            if (!err) err = npy_column(&t->col[at], name.s, &e->array, e->data, j);
            text_free(&name);
            if (err) return err;
            at++;
        }
    }
    return MILL_OK;
}

static mill_err read_zip(zip_t *z, entry *entries, int n, const char *path, uint64_t limit)
{
    uint64_t left = limit;

    for (int k = 0; k < n; k++) {
        TRY(read_entry(&entries[k], z, (zip_uint64_t)k, path, left));
        left -= (uint64_t)entries[k].array.rows * (uint64_t)entries[k].array.cols *
                (uint64_t)entries[k].array.size;
        if (entries[k].array.rows != entries[0].array.rows)
            return mill_fail(MILL_EINPUT, "%s: \"%s\" has %lld rows, \"%s\" has %lld", path,
                             entries[0].name, (long long)entries[0].array.rows, entries[k].name,
                             (long long)entries[k].array.rows);
    }
    return MILL_OK;
}

void npz_entries_free(npz_entry *e, int n)
{
    for (int k = 0; e && k < n; k++) {
        mill_free(e[k].name);
        mill_free(e[k].data);
    }
    mill_free(e);
}

static mill_err read_entries(npz_entry **out, int *n_out, const char *path)
{
    mill_file *f;
    int64_t bytes = 0;

    TRY(file_open(&f, path)); /* for the words of a file that cannot be opened */
    mill_err err = file_size(f, &bytes);
    file_close(f);
    if (err) return err;
    int code = 0;
    zip_t *z = zip_open(path, ZIP_RDONLY, &code);
    if (!z) return bad_zip(path, NULL, "not a zip file, or a damaged one");
    const zip_int64_t n = zip_get_num_entries(z, 0);
    /* Deflate makes at most 1032 bytes of one. */
    const uint64_t limit = (uint64_t)bytes * 1040 + 65536;
    entry *entries = n > 0 && n < 1000000 ? mill_alloc((size_t)n, sizeof *entries) : NULL;
    if (n < 1 || n >= 1000000)
        err = bad_zip(path, NULL, "the table has no columns");
    else if (!entries)
        err = MILL_ENOMEM;
    else
        err = read_zip(z, entries, (int)n, path, limit);
    zip_discard(z);
    if (err) {
        npz_entries_free(entries, (int)n);
        return err;
    }
    *out = entries;
    *n_out = (int)n;
    return MILL_OK;
}

mill_err npz_entries_read(npz_entry **out, int *n, const char *path)
{
    npz_entry *e;
    char what[300];
    mill_err err = MILL_OK;

    TRY(read_entries(&e, n, path));
    for (int k = 0; k < *n && !err; k++) {
        snprintf(what, sizeof what, "%s: %s.npy", path, e[k].name);
        err = npy_check_numbers(&e[k].array, what);
    }
    if (err)
        npz_entries_free(e, *n);
    else
        *out = e;
    return err;
}

/* The arrays as one table. */
static mill_err to_table(mill_table **out, const entry *entries, int n, const char *path)
{
    int64_t cols = 0;
    char what[300];

    for (int k = 0; k < n; k++) {
        snprintf(what, sizeof what, "%s: %s.npy", path, entries[k].name);
        TRY(npy_check_table(&entries[k].array, what));
        cols += entries[k].array.cols;
    }
    if (cols > 1000000) return bad_zip(path, NULL, "more than a million columns");
    TRY(table_new(out, entries[0].array.rows, (int)cols));
    return make_columns(*out, entries, n);
}

mill_err npz_read(mill_table **out, const char *path, const csv_options *o)
{
    entry *entries = NULL;
    mill_table *t = NULL;
    int n = 0;

    TRY(read_entries(&entries, &n, path));
    mill_err err = to_table(&t, entries, n, path);
    npz_entries_free(entries, n);
    if (!err) err = npy_apply_options(&t, path, o);
    if (err)
        mill_table_free(t);
    else
        *out = t;
    return err;
}

/* ---- writing ---- */

enum { LOCAL_FIXED = 30, CENTRAL_FIXED = 46, ALIGN = 64, DOS_DATE = 0x21 /* 1980-01-01 */ };

static void put_le(mill_text *t, uint64_t v, int bytes)
{
    char buf[8];
    for (int k = 0; k < bytes; k++) buf[k] = (char)(v >> (8 * k));
    text_add_bytes(t, buf, (size_t)bytes);
}

typedef struct {
    mill_file *f;
    mill_text central;
    int64_t entries;
} zip_writer;

/* The elements of a column: of numbers 8 bytes each, or 1 for a boolean without missing values. */
static mill_err column_elements(char **out, size_t *n, char descr[NPY_DESCR], const mill_column *c)
{
    if (c->type == MILL_CATEGORY || c->type == MILL_IDENTIFIER)
        return npy_text_elements(out, n, descr, c);
    if (c->type == MILL_DATETIME) return npy_time_elements(out, n, descr, c);
    const bool as_bool = c->type == MILL_BOOLEAN && !c->n_missing;
    const bool as_f64 = c->type == MILL_REAL || c->n_missing;
    const size_t size = as_bool ? 1 : 8;
    char *data = mill_alloc(c->rows ? (size_t)c->rows : 1, size);

    if (!data) return MILL_ENOMEM;
    for (int64_t i = 0; i < c->rows; i++) {
        char *at = data + (size_t)i * size;
        const bool flag = c->type == MILL_BOOLEAN && column_is_valid(c, i);
        const double x = flag ? (double)npy_truth(c, i) : column_f64(c, i);
        if (as_bool)
            *at = (char)npy_truth(c, i);
        else if (as_f64)
            memcpy(at, &x, sizeof x);
        else
            memcpy(at, &c->i64[i], sizeof c->i64[i]);
    }
    memcpy(descr, as_bool ? "|b1" : as_f64 ? "<f8" : "<i8", sizeof "<f8");
    *out = data;
    *n = (size_t)c->rows * size;
    return MILL_OK;
}

/* Local header, padding and directory record for an entry of `size` bytes at the writer's place. */
static mill_err begin_entry(zip_writer *w, const char *name, uint32_t crc, uint64_t size)
{
    const size_t n = strlen(name) + 4; /* .npy */
    const uint64_t at = (uint64_t)file_tell(w->f);
    const bool big = size >= UINT32_MAX, far = at >= UINT32_MAX;
    const size_t extra64 = big ? 20 : 0;
    const size_t before = at % ALIGN + LOCAL_FIXED + n + extra64 + 4;
    const size_t pad = (ALIGN - before % ALIGN) % ALIGN;
    mill_text local = {0};

    if (n > 60000) return mill_fail(MILL_EINPUT, "npz: a name of %zu bytes", n);
    put_le(&local, 0x04034b50, 4);
    put_le(&local, big ? 45 : 20, 2);
    put_le(&local, 0x0800, 2); /* the name is UTF-8 */
    put_le(&local, 0, 4);      /* stored; no time */
    put_le(&local, DOS_DATE, 2);
    put_le(&local, crc, 4);
    put_le(&local, big ? UINT32_MAX : size, 4);
    put_le(&local, big ? UINT32_MAX : size, 4);
    put_le(&local, n, 2);
    put_le(&local, extra64 + 4 + pad, 2);
    text_add(&local, "%s.npy", name);
    if (big) {
        put_le(&local, 1, 2);
        put_le(&local, 16, 2);
        put_le(&local, size, 8);
        put_le(&local, size, 8);
    }
    put_le(&local, 0x4c4d, 2); /* padding, under an id that nobody has */
    put_le(&local, pad, 2);
    for (size_t k = 0; k < pad; k++) put_le(&local, 0, 1);

    put_le(&w->central, 0x02014b50, 4);
    put_le(&w->central, 45, 2);
    put_le(&w->central, big || far ? 45 : 20, 2);
    put_le(&w->central, 0x0800, 2);
    put_le(&w->central, 0, 4);
    put_le(&w->central, DOS_DATE, 2);
    put_le(&w->central, crc, 4);
    put_le(&w->central, big ? UINT32_MAX : size, 4);
    put_le(&w->central, big ? UINT32_MAX : size, 4);
    put_le(&w->central, n, 2);
    const size_t extra = (big ? 16 : 0) + (far ? 8 : 0);
    put_le(&w->central, extra ? extra + 4 : 0, 2);
    put_le(&w->central, 0, 8); /* no comment, disk 0, binary */
    put_le(&w->central, 0, 2);
    put_le(&w->central, far ? UINT32_MAX : at, 4);
    text_add(&w->central, "%s.npy", name);
    if (extra) {
        put_le(&w->central, 1, 2);
        put_le(&w->central, extra, 2);
        if (big) put_le(&w->central, size, 8);
        if (big) put_le(&w->central, size, 8);
        if (far) put_le(&w->central, at, 8);
    }
    w->entries++;
    mill_err err = text_check(&local);
    if (!err) err = text_check(&w->central);
    if (!err) err = file_write(w->f, local.s, local.len);
    text_free(&local);
    return err;
}

static mill_err write_column(zip_writer *w, const mill_column *c)
{
    char descr[NPY_DESCR], header[256], *data;
    size_t n;

    TRY(column_elements(&data, &n, descr, c));
    const size_t head = npy_header(header, descr, c->rows, -1);
    uint32_t crc = (uint32_t)crc32(0, (const unsigned char *)header, (uInt)head);
    crc = (uint32_t)crc32_z(crc, (const unsigned char *)data, n);
    mill_err err = begin_entry(w, c->name, crc, head + n);
    if (!err) err = file_write(w->f, header, head);
    if (!err) err = file_write(w->f, data, n);
    mill_free(data);
    return err;
}

static mill_err write_directory(zip_writer *w)
{
    const uint64_t at = (uint64_t)file_tell(w->f), bytes = w->central.len, n = (uint64_t)w->entries;
    const bool large = at >= UINT32_MAX || bytes >= UINT32_MAX || n >= UINT16_MAX;
    mill_text end = {0};

    if (large) {
        put_le(&end, 0x06064b50, 4);
        put_le(&end, 44, 8);
        put_le(&end, 45 | 45 << 16, 4);
        put_le(&end, 0, 8);
        put_le(&end, n, 8);
        put_le(&end, n, 8);
        put_le(&end, bytes, 8);
        put_le(&end, at, 8);
        put_le(&end, 0x07064b50, 4);
        put_le(&end, 0, 4);
        put_le(&end, at + bytes, 8);
        put_le(&end, 1, 4);
    }
    put_le(&end, 0x06054b50, 4);
    put_le(&end, 0, 4);
    put_le(&end, large ? UINT16_MAX : n, 2);
    put_le(&end, large ? UINT16_MAX : n, 2);
    put_le(&end, large ? UINT32_MAX : bytes, 4);
    put_le(&end, large ? UINT32_MAX : at, 4);
    put_le(&end, 0, 2);
    mill_err err = text_check(&end);
    if (!err) err = file_write(w->f, w->central.s, w->central.len);
    if (!err) err = file_write(w->f, end.s, end.len);
    text_free(&end);
    return err;
}

mill_err npz_write(const mill_table *t, const char *path, bool force)
{
    zip_writer w = {0};
    mill_err err = MILL_OK;

    TRY(path_check_new(path, force));
    TRY(file_create_atomic(&w.f, path));
    for (int j = 0; !err && j < t->n_cols; j++) err = write_column(&w, &t->col[j]);
    if (!err) err = write_directory(&w);
    if (!err) err = file_commit(w.f);
    file_close(w.f);
    text_free(&w.central);
    return err;
}
