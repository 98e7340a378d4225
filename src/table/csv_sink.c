/* csv_sink.c - see csv_write.h. */
#include "base/file.h"
#include "base/mem.h"
#include "table/csv_write.h"

#include <string.h>
#include <sys/stat.h>
#include <zlib.h>
#include <zstd.h>

enum { CHUNK = 1 << 17, GZIP_LEVEL = 6, ZSTD_LEVEL = 3 };

struct csv_sink {
    mill_file *f;
    bool is_stdout;
    bool has_gzip;
    z_stream gzip;
    ZSTD_CStream *zstd;
    unsigned char *buf; /* CHUNK, when compressing */
};

bool path_has_suffix(const char *path, const char *suffix)
{
    const size_t n = strlen(path), k = strlen(suffix);
    return n > k && !strcmp(path + n - k, suffix);
}

mill_err path_check_new(const char *path, bool force)
{
    struct stat st;

    if (force || !strcmp(path, "-") || stat(path, &st)) return MILL_OK;
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) return MILL_OK; /* /dev/null, a pipe */
    return mill_fail(MILL_EINPUT, "%s exists (--force overwrites it)", path);
}

mill_err csv_sink_open(csv_sink **out, const char *path, bool force)
{
    TRY(path_check_new(path, force));

    csv_sink *s = mill_alloc(1, sizeof *s);
    mill_err err = MILL_OK;
    if (!s) return MILL_ENOMEM;
    s->is_stdout = !strcmp(path, "-");
    const bool gz = path_has_suffix(path, ".gz"), zst = path_has_suffix(path, ".zst");
    if ((gz || zst) && !(s->buf = mill_alloc(CHUNK, 1))) err = MILL_ENOMEM;
    if (!err && gz) {
        s->has_gzip =
            deflateInit2(&s->gzip, GZIP_LEVEL, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK;
        if (!s->has_gzip) err = mill_fail(MILL_ENOMEM, "%s: deflate", path);
    }
    if (!err && zst) {
        s->zstd = ZSTD_createCStream();
        if (!s->zstd || ZSTD_isError(ZSTD_initCStream(s->zstd, ZSTD_LEVEL)))
            err = mill_fail(MILL_ENOMEM, "%s: zstd", path);
    }
    if (!err) err = s->is_stdout ? file_create(&s->f, path) : file_create_atomic(&s->f, path);
    if (err)
        csv_sink_close(s);
    else
        *out = s;
    return err;
}

void csv_sink_close(csv_sink *s)
{
    if (!s) return;
    if (s->has_gzip) deflateEnd(&s->gzip);
    ZSTD_freeCStream(s->zstd);
    file_close(s->f);
    mill_free(s->buf);
    mill_free(s);
}

static mill_err write_gzip(csv_sink *s, const void *p, size_t n, int flush)
{
    s->gzip.next_in = (unsigned char *)p; /* zlib only reads it */
    s->gzip.avail_in = (uInt)n;           /* pieces are far below 4 GiB, see csv_sink_write */
    do {
        s->gzip.next_out = s->buf;
        s->gzip.avail_out = CHUNK;
        if (deflate(&s->gzip, flush) == Z_STREAM_ERROR)
            return mill_fail(MILL_EIO, "deflate failed");
        TRY(file_write(s->f, s->buf, CHUNK - s->gzip.avail_out));
    } while (!s->gzip.avail_out);
    return MILL_OK;
}

static mill_err write_zstd(csv_sink *s, const void *p, size_t n, ZSTD_EndDirective end)
{
    ZSTD_inBuffer in = {p, n, 0};
    size_t left;

    do {
        ZSTD_outBuffer to = {s->buf, CHUNK, 0};
        left = ZSTD_compressStream2(s->zstd, &to, &in, end);
        if (ZSTD_isError(left)) return mill_fail(MILL_EIO, "zstd: %s", ZSTD_getErrorName(left));
        TRY(file_write(s->f, s->buf, to.pos));
    } while (in.pos < in.size || (end == ZSTD_e_end && left));
    return MILL_OK;
}

mill_err csv_sink_write(csv_sink *s, const void *p, size_t n)
{
    const char *at = p;

    if (s->zstd) return write_zstd(s, p, n, ZSTD_e_continue);
    if (!s->has_gzip) return file_write(s->f, p, n);
    while (n) {
        const size_t part = n < (1u << 30) ? n : 1u << 30;
        TRY(write_gzip(s, at, part, Z_NO_FLUSH));
        at += part;
        n -= part;
    }
    return MILL_OK;
}

mill_err csv_sink_commit(csv_sink *s)
{
    if (s->has_gzip) TRY(write_gzip(s, NULL, 0, Z_FINISH));
    if (s->zstd) TRY(write_zstd(s, NULL, 0, ZSTD_e_end));
    return s->is_stdout ? file_flush(s->f) : file_commit(s->f);
}
