/*
 * folder.c - whole files, mappings, folders, locks: the rest of file.h, on top of file.c.
 */
#include "base/file.h"

#include "base/log.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static mill_err sys_fail(const char *path, const char *verb)
{
    char text[128];

    return mill_fail(errno == ENOMEM ? MILL_ENOMEM : MILL_EIO, "%s: cannot %s: %s", path, verb,
                     strerror_r(errno, text, sizeof text));
}

mill_err file_read_all(char **out, size_t *len, const char *path)
{
    mill_file *f;
    int64_t guess;
    size_t cap = 1 << 16, n = 0, got;
    char *buf = NULL;
    mill_err err;

    TRY(file_open(&f, path));
    if (file_size(f, &guess) == MILL_OK && guess > 0) cap = (size_t)guess + 1;
    do { /* a pipe, or a file of /proc, has more than its size says */
        char *more = mill_realloc(buf, cap + 1, 1);
        err = more ? MILL_OK : MILL_ENOMEM;
        if (err) goto fail;
        buf = more;
        if ((err = file_read(f, buf + n, cap - n, &got))) goto fail;
        n += got;
        if (n < cap) break;
        err = cap > SIZE_MAX / 4 ? mill_fail(MILL_ENOMEM, "%s: too large", path) : MILL_OK;
        if (err) goto fail;
        cap *= 2;
    } while (true);
    file_close(f);
    memset(buf + n, 0, cap + 1 - n);
    *out = buf;
    *len = n;
    return MILL_OK;
fail:
    mill_free(buf);
    file_close(f);
    return err;
}

mill_err file_write_all(const char *path, const void *p, size_t n)
{
    mill_file *f;
    mill_err err;

    TRY(file_create_atomic(&f, path));
    if (!(err = file_write(f, p, n))) err = file_commit(f);
    file_close(f);
    return err;
}

static const char nothing[1]; /* what an empty file maps to: the system refuses to map no bytes */

mill_err file_map(const void **out, size_t *len, const char *path)
{
    mill_file *f;
    int64_t bytes;
    mill_err err;

    TRY(file_open(&f, path));
    if ((err = file_size(f, &bytes))) goto done;
    void *p =
        bytes ? mmap(NULL, (size_t)bytes, PROT_READ, MAP_PRIVATE, file_fd(f), 0) : (void *)nothing;
    if (p == MAP_FAILED) {
        err = sys_fail(path, "map");
        goto done;
    }
    *out = p;
    *len = (size_t)bytes;
done:
    file_close(f);
    return err;
}

void file_unmap(const void *p, size_t len)
{
    if (p && len) munmap((void *)p, len);
}

bool file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

mill_err file_mkdir(const char *path)
{
    struct stat st;
    mill_err err = MILL_OK;
    char *part = mill_strdup(path);

    if (!part) return MILL_ENOMEM;
    for (char *s = part + 1; *path && !err; s++) {
        const char c = *s;
        if (c != '/' && c != '\0') continue;
        *s = '\0';
        if (mkdir(part, 0777) != 0 &&
            (errno != EEXIST || stat(part, &st) != 0 || !S_ISDIR(st.st_mode)))
            err = errno == EEXIST ? mill_fail(MILL_EIO, "%s: is a file, not a folder", part)
                                  : sys_fail(part, "make folder");
        *s = c;
        if (c == '\0') break;
    }
    mill_free(part);
    return err;
}

mill_err file_remove(const char *path)
{
    return unlink(path) == 0 || errno == ENOENT ? MILL_OK : sys_fail(path, "remove");
}

mill_err file_lock(int *fd, const char *path)
{
    char why[128];

    const int f = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (f < 0) return sys_fail(path, "open");
    if (flock(f, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            close(f);
            return mill_fail(MILL_EINPUT, "%s: is locked by another process", path);
        }
        mill_log(MILL_LOG_WARN, "%s: cannot lock: %s; other processes are not kept away", path,
                 strerror_r(errno, why, sizeof why));
    }
    *fd = f;
    return MILL_OK;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

mill_err file_remove_tree(const char *path)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT) return MILL_OK;
    return sys_fail(path, "remove");
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The pointers and the texts they point to are one block: pointers first. */
static mill_err pack(char ***names, int n, const char *text, size_t bytes)
{
    const size_t head = ((size_t)n + 1) * sizeof(char *);
    char **list = mill_alloc(1, head + bytes + 1);

    if (!list) return MILL_ENOMEM;
    char *s = memcpy((char *)list + head, bytes ? text : "", bytes);
    for (int i = 0; i < n; i++) {
        list[i] = s;
        s += strlen(s) + 1;
    }
    qsort(list, (size_t)n, sizeof *list, by_name);
    *names = list;
    return MILL_OK;
}

mill_err file_list(char ***names, int *n, const char *dir)
{
    char *text = NULL;
    size_t len = 0, cap = 0;
    int count = 0;
    mill_err err = MILL_OK;

    DIR *d = opendir(dir);
    if (!d) return sys_fail(dir, "list");
    for (const struct dirent *e; (errno = 0, e = readdir(d));) {
        const size_t size = strlen(e->d_name) + 1;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (len + size > cap) {
            char *more = mill_realloc(text, cap = 2 * cap + size + 1024, 1);
            if (!more) {
                err = MILL_ENOMEM;
                goto done;
            }
            text = more;
        }
        memcpy(text + len, e->d_name, size);
        len += size;
        count++;
    }
    err = errno ? sys_fail(dir, "list") : pack(names, count, text, len);
    if (!err) *n = count;
done:
    closedir(d);
    mill_free(text);
    return err;
}
