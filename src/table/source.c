/* source.c - see source.h. */
#include "table/source.h"
#include "base/mem.h"
#include "table/spool.h"

#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum { CHUNK = 1 << 18 };

typedef struct {
    const char *path;
    mill_file *in, *out;
    unsigned char *src, *dst; /* CHUNK bytes each */
} pump;

static mill_err pump_plain(pump *p)
{
    for (;;) {
        size_t got;
        TRY(file_read(p->in, p->src, CHUNK, &got));
        if (!got) return MILL_OK;
        TRY(file_write(p->out, p->src, got));
    }
}

static mill_err bad_stream(const pump *p, const char *kind, const char *why)
{
    return mill_fail(MILL_EINPUT, "%s: broken %s file: %s", p->path, kind, why ? why : "cut short");
}

/* From what was read until it is used up or a member ends. */
static mill_err inflate_member(bool *ended, pump *p, z_stream *z)
{
    do {
        z->next_out = p->dst;
        z->avail_out = CHUNK;
        const int rc = inflate(z, Z_NO_FLUSH);
        if (rc == Z_MEM_ERROR) return mill_fail(MILL_ENOMEM, "%s: inflate", p->path);
        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
            return bad_stream(p, "gzip", z->msg ? z->msg : "bad data");
        TRY(file_write(p->out, p->dst, CHUNK - z->avail_out));
        *ended = rc == Z_STREAM_END;
    } while (!*ended && !z->avail_out);
    return MILL_OK;
}

/* One or more gzip members; zeros behind the last are padding. */
static mill_err gunzip(pump *p, z_stream *z)
{
    bool between = false; /* a member has ended and the next has not begun */

    for (;;) {
        size_t got;
        TRY(file_read(p->in, p->src, CHUNK, &got));
        if (!got) return between ? MILL_OK : bad_stream(p, "gzip", NULL);
        z->next_in = p->src;
        z->avail_in = (uInt)got;
        while (z->avail_in) {
            if (between) {
                while (z->avail_in && !*z->next_in) z->next_in++, z->avail_in--;
                if (!z->avail_in) break;
                inflateReset(z);
            }
            TRY(inflate_member(&between, p, z));
        }
    }
}

static mill_err pump_gzip(pump *p)
{
    z_stream z;

    memset(&z, 0, sizeof z);
    if (inflateInit2(&z, 15 + 16) != Z_OK) return mill_fail(MILL_ENOMEM, "%s: inflate", p->path);
    const mill_err err = gunzip(p, &z);
    inflateEnd(&z);
    return err;
}

static mill_err unzstd(pump *p, ZSTD_DStream *z)
{
    size_t left = 1; /* 0 when a frame has just ended */

    for (;;) {
        size_t got;
        TRY(file_read(p->in, p->src, CHUNK, &got));
        if (!got) return left ? bad_stream(p, "zstd", NULL) : MILL_OK;
        ZSTD_inBuffer in = {p->src, got, 0};
        bool full = false; /* more output may be waiting although the input is used up */
        while (in.pos < in.size || full) {
            ZSTD_outBuffer out = {p->dst, CHUNK, 0};
            left = ZSTD_decompressStream(z, &out, &in);
            if (ZSTD_isError(left)) return bad_stream(p, "zstd", ZSTD_getErrorName(left));
            TRY(file_write(p->out, p->dst, out.pos));
            full = left && out.pos == out.size;
        }
    }
}

static mill_err pump_zstd(pump *p)
{
    ZSTD_DStream *z = ZSTD_createDStream();

    if (!z) return mill_fail(MILL_ENOMEM, "%s: zstd", p->path);
    const mill_err err = unzstd(p, z);
    ZSTD_freeDStream(z);
    return err;
}

/* Replace s->f by a temporary file with what `how` makes of it. */
static mill_err respool(source *s, mill_err (*how)(pump *), const char *dir)
{
    pump p = {.path = s->path, .in = s->f};
    mill_file *reader = NULL;
    mill_err err = MILL_OK;

    p.src = mill_alloc(CHUNK, 1);
    p.dst = mill_alloc(CHUNK, 1);
    if (!p.src || !p.dst) err = MILL_ENOMEM;
    if (!err) err = spool_stream(&p.out, &reader, dir);
    if (!err) err = how(&p);
    if (!err) err = file_flush(p.out);
    file_close(p.out);
    mill_free(p.src);
    mill_free(p.dst);
    if (!err) err = file_size(reader, &s->bytes);
    if (err) {
        file_close(reader);
        return err;
    }
    file_close(s->f);
    s->f = reader;
    return MILL_OK;
}

mill_err source_open(source *out, const char *path, const char *spool_dir)
{
    source s = {.path = strcmp(path, "-") ? path : "stdin"};
    unsigned char magic[4] = {0};
    size_t got;
    mill_err err;

    TRY(file_open(&s.f, path));
    if (file_size(s.f, &s.bytes) && (err = respool(&s, pump_plain, spool_dir))) goto fail;
    if ((err = file_pread(s.f, magic, sizeof magic, 0, &got))) goto fail;
    if (got >= 2 && magic[0] == 0x1f && magic[1] == 0x8b)
        err = respool(&s, pump_gzip, spool_dir);
    else if (got == 4 && !memcmp(magic, "\x28\xb5\x2f\xfd", 4))
        err = respool(&s, pump_zstd, spool_dir);
    if (err) goto fail;
    *out = s;
    return MILL_OK;
fail:
    file_close(s.f);
    return err;
}

void source_close(source *s)
{
    file_close(s->f);
    s->f = NULL;
}

mill_err source_read(const source *s, void *p, size_t n, int64_t at, size_t *got)
{
    const int64_t left = at < s->bytes ? s->bytes - at : 0;
    const size_t want = (int64_t)n < left ? n : (size_t)left;

    TRY(file_pread(s->f, p, want, at, got));
    return *got == want ? MILL_OK : source_changed(s);
}

mill_err source_changed(const source *s)
{
    return mill_fail(MILL_EINPUT, "%s: the file was changed while it was read", s->path);
}
