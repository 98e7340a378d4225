/* spool.c - see spool.h. */
#include "table/spool.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct table_spool {
    char *map;
    size_t bytes;
    int fd;
};

/* An empty file of a new name, open for reading and writing. */
static mill_err temp_file(int *fd, char **path, const char *dir)
{
    mill_text name = {0};

    if (!dir) dir = getenv("TMPDIR");
    if (!dir || !*dir) dir = "/tmp";
    text_add(&name, "%s/tabmill-XXXXXX", dir);
    if (text_check(&name)) {
        text_free(&name);
        return MILL_ENOMEM;
    }
    *fd = mkostemp(name.s, O_CLOEXEC);
    if (*fd < 0) {
        const int e = errno;
        text_free(&name);
        return mill_fail(MILL_EIO, "%s: no temporary file can be made there: %s", dir, strerror(e));
    }
    *path = name.s;
    return MILL_OK;
}

mill_err spool_new(table_spool **out, size_t bytes, const char *dir)
{
    char *path;
    table_spool *s = mill_alloc(1, sizeof *s);
    if (!s) return MILL_ENOMEM;

    mill_err err = temp_file(&s->fd, &path, dir);
    if (err) {
        mill_free(s);
        return err;
    }
    unlink(path);
    mill_free(path);

    const int e = posix_fallocate(s->fd, 0, (off_t)(bytes ? bytes : 1));
    if (!e) {
        s->bytes = bytes ? bytes : 1;
        s->map = mmap(NULL, s->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
        if (s->map != MAP_FAILED) {
            *out = s;
            return MILL_OK;
        }
    }
    char need[32];
    err = mill_fail(MILL_EIO, "no %s for a temporary table: %s (TMPDIR names another place)",
                    mill_format_size(need, (double)bytes), strerror(e ? e : errno));
    close(s->fd);
    mill_free(s);
    return err;
}

void spool_free(table_spool *s)
{
    if (!s) return;
    munmap(s->map, s->bytes);
    close(s->fd);
    mill_free(s);
}

void *spool_at(const table_spool *s, size_t offset)
{
    return s->map + offset;
}

void spool_release(const table_spool *s, const void *p, size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t at = (size_t)((const char *)p - s->map) / page * page;
    size_t end = ((size_t)((const char *)p - s->map) + bytes + page - 1) / page * page;

    if (end > s->bytes) end = s->bytes;
    madvise(s->map + at, end - at, MADV_DONTNEED);
    posix_fadvise(s->fd, (off_t)at, (off_t)(end - at), POSIX_FADV_DONTNEED);
}

mill_err spool_stream(mill_file **writer, mill_file **reader, const char *dir)
{
    char *path;
    int fd;
    mill_file *w = NULL, *r = NULL;

    TRY(temp_file(&fd, &path, dir));
    close(fd);
    mill_err err = file_create(&w, path);
    if (!err) err = file_open(&r, path);
    unlink(path);
    mill_free(path);
    if (err) {
        file_close(w);
        return err;
    }
    *writer = w;
    *reader = r;
    return MILL_OK;
}
