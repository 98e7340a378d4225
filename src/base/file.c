/*
 * file.c - files that appear whole or not at all.
 *
 * An atomic file is written as NAME.tmp and renamed at commit: fsync the file, rename, fsync the
 * folder.  The temporary's name is fixed, so a killed process leaves at most one, which the next
 * writer takes over; a lock on it keeps two writers of one name apart.  Where NAME exists and is no
 * regular file (/dev/null, a pipe), it is written in place.
 *
 * Every read, write, fsync and rename goes through step(), where a test makes the n-th fail or
 * kills the process.
 */
#include "base/file.h"

#include "base/cpu.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { BUFFER = 1 << 16 };

struct mill_file {
    int fd;
    bool writes, is_std; /* is_std: stdin or stdout, not ours to close */
    char *path, *tmp;    /* tmp: not NULL from file_create_atomic to file_commit */
    unsigned char *buf;  /* writers: `held` bytes that are not written yet */
    size_t held;
    int64_t at; /* bytes written or read so far, the held ones included */
};

static struct {
    pthread_once_t once;
    atomic_int_fast64_t left[FILE_N_OP]; /* operations until the one that fails; 0: none */
    bool kill;
} fault = {.once = PTHREAD_ONCE_INIT};

static void fault_from_environment(void)
{
    static const char *const names[FILE_N_OP] = {"read", "write", "fsync", "rename"};
    const char *s = getenv("TABMILL_FAULT"); /* write:3:kill */
    const size_t op = s ? strcspn(s, ":") : 0;
    char *end;

    if (!s || !s[op]) return;
    const long long n = strtoll(s + op + 1, &end, 10);
    if (*end != ':') return;
    for (int i = 0; i < FILE_N_OP; i++)
        if (strlen(names[i]) == op && !memcmp(s, names[i], op)) fault.left[i] = n;
    fault.kill = strcmp(end + 1, "kill") == 0;
}

void mill_file_fail_at(file_op what, int64_t n)
{
    pthread_once(&fault.once, fault_from_environment);
    fault.left[what] = n;
}

/* To be asked before each operation: false, with errno set, if it has to fail. */
static bool step(file_op what)
{
    pthread_once(&fault.once, fault_from_environment);
    if (atomic_load_explicit(&fault.left[what], memory_order_relaxed) <= 0) return true;
    if (atomic_fetch_sub(&fault.left[what], 1) != 1) return true;
    if (fault.kill) raise(SIGKILL);
    errno = EIO;
    return false;
}

static mill_err io_fail(const char *path, const char *verb)
{
    const int e = errno;
    const mill_err code = e == ENOMEM ? MILL_ENOMEM : MILL_EIO;
    char text[128];

    return mill_fail(code, "%s: cannot %s: %s", path, verb, strerror_r(e, text, sizeof text));
}

static mill_err file_new(mill_file **out, const char *path, bool writes)
{
    mill_file *f = mill_alloc(1, sizeof *f);

    if (!f) return MILL_ENOMEM;
    f->fd = -1;
    f->writes = writes;
    f->path = mill_strdup(path);
    f->buf = writes ? mill_alloc(BUFFER, 1) : NULL;
    if (!f->path || (writes && !f->buf)) {
        file_close(f);
        return MILL_ENOMEM;
    }
    *out = f;
    return MILL_OK;
}

static mill_err open_plain(mill_file **out, const char *path, int flags)
{
    const bool writes = (flags & O_ACCMODE) != O_RDONLY;
    mill_file *f;

    TRY(file_new(&f, path, writes));
    f->is_std = strcmp(path, "-") == 0 && !(flags & O_APPEND);
    if (f->is_std)
        f->fd = writes ? STDOUT_FILENO : STDIN_FILENO;
    else
        f->fd = open(path, flags | O_CLOEXEC, 0666);
    if (f->fd < 0) {
        const mill_err err = io_fail(path, writes ? "create" : "open");
        file_close(f);
        return err;
    }
    *out = f;
    return MILL_OK;
}

mill_err file_create(mill_file **out, const char *path)
{
    return open_plain(out, path, O_WRONLY | O_CREAT | O_TRUNC);
}

mill_err file_open_append(mill_file **out, const char *path)
{
    return open_plain(out, path, O_WRONLY | O_CREAT | O_APPEND);
}

mill_err file_open(mill_file **out, const char *path)
{
    struct stat st;

    TRY(open_plain(out, path, O_RDONLY));
    if (fstat((*out)->fd, &st) == 0 &&
        S_ISDIR(st.st_mode)) { /* open() succeeds, read() would not */
        file_close(*out);
        *out = NULL;
        return mill_fail(MILL_EIO, "%s: is a folder", path);
    }
    return MILL_OK;
}

/* Open f->tmp and lock it.  Between open and lock another writer may have renamed or removed it:
 * then try again. */
static mill_err open_locked(mill_file *f)
{
    for (;;) {
        struct stat mine, there;
        f->fd = open(f->tmp, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        if (f->fd < 0) return io_fail(f->tmp, "create");
        if (flock(f->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
            close(f->fd);
            f->fd = -1;
            return mill_fail(MILL_EIO, "%s: another process is writing this file", f->path);
        }
        if (fstat(f->fd, &mine) == 0 && stat(f->tmp, &there) == 0 && mine.st_ino == there.st_ino &&
            mine.st_dev == there.st_dev)
            break;
        close(f->fd);
    }
    return ftruncate(f->fd, 0) == 0 ? MILL_OK : io_fail(f->tmp, "truncate");
}

mill_err file_create_atomic(mill_file **out, const char *path)
{
    struct stat st;
    mill_file *f;
    mill_err err;

    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return mill_fail(MILL_EIO, "%s: is a folder", path);
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) return file_create(out, path);
    TRY(file_new(&f, path, true));
    const size_t size = strlen(path) + sizeof ".tmp";
    char *tmp = mill_alloc(size, 1);
    if (!tmp) {
        file_close(f);
        return MILL_ENOMEM;
    }
    snprintf(tmp, size, "%s.tmp", path);
    f->tmp = tmp;
    if ((err = open_locked(f))) {
        if (f->fd < 0) { /* not ours: leave it to its writer */
            f->tmp = NULL;
            mill_free(tmp);
        }
        file_close(f);
        return err;
    }
    *out = f;
    return MILL_OK;
}

/* ---- how long the system takes ---- */

static atomic_int_fast64_t busy_ns;

int64_t file_busy_ns(void)
{
    return atomic_load_explicit(&busy_ns, memory_order_relaxed);
}

static void add_busy(double began)
{
    const int64_t ns = (int64_t)((mill_clock() - began) * 1e9);

    atomic_fetch_add_explicit(&busy_ns, ns, memory_order_relaxed);
}

/* ---- writing ---- */

static mill_err put_all(mill_file *f, const unsigned char *p, size_t n)
{
    while (n) {
        const ssize_t done = step(FILE_OP_WRITE) ? write(f->fd, p, n) : -1;
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return io_fail(f->path, "write");
        p += done;
        n -= (size_t)done;
    }
    return MILL_OK;
}

static mill_err write_all(mill_file *f, const unsigned char *p, size_t n)
{
    const double began = mill_clock();
    const mill_err err = put_all(f, p, n);

    add_busy(began);
    return err;
}

mill_err file_flush(mill_file *f)
{
    const size_t n = f->held;

    f->held = 0; /* also after a failure: what was half written is not written twice */
    return n ? write_all(f, f->buf, n) : MILL_OK;
}

mill_err file_write(mill_file *f, const void *p, size_t n)
{
    if (n > BUFFER - f->held) TRY(file_flush(f));
    f->at += (int64_t)n;
    if (n >= BUFFER) return write_all(f, p, n);
    if (n) memcpy(f->buf + f->held, p, n);
    f->held += n;
    return MILL_OK;
}

mill_err file_printf(mill_file *f, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    const int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0) return mill_fail(MILL_EIO, "%s: cannot format", f->path);
    if ((size_t)n < sizeof text) return file_write(f, text, (size_t)n);

    char *big = mill_alloc((size_t)n + 1, 1);
    if (!big) return MILL_ENOMEM;
    va_start(ap, fmt);
    vsnprintf(big, (size_t)n + 1, fmt, ap);
    va_end(ap);
    const mill_err err = file_write(f, big, (size_t)n);
    mill_free(big);
    return err;
}

static mill_err sync_fd(int fd, const char *path)
{
    const double began = mill_clock();
    const bool done = step(FILE_OP_FSYNC) && fsync(fd) == 0;
    const int why = errno;

    add_busy(began);
    if (done) return MILL_OK;
    errno = why;
    if (errno == EINVAL || errno == EROFS) return MILL_OK; /* a pipe, a terminal: nothing to keep */
    return io_fail(path, "fsync");
}

/* The folder that `path` lies in. */
static mill_err open_folder(int *fd, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir =
        slash ? mill_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : mill_strdup(".");

    if (!dir) return MILL_ENOMEM;
    *fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const mill_err err = *fd < 0 ? io_fail(dir, "open") : MILL_OK;
    mill_free(dir);
    return err;
}

/*
 * All that can fail comes before the rename, but for the fsync that makes the rename itself last.
 * By then the new file stands whole under its name, and to report a failure would be untrue: it is
 * a warning.
 */
mill_err file_commit(mill_file *f)
{
    int folder;

    TRY(file_flush(f));
    TRY(sync_fd(f->fd, f->path));
    if (!f->tmp) return MILL_OK;
    TRY(open_folder(&folder, f->path));
    if (!step(FILE_OP_RENAME) || rename(f->tmp, f->path) != 0) {
        const mill_err err = io_fail(f->path, "rename to");
        close(folder);
        return err;
    }
    mill_free(f->tmp);
    f->tmp = NULL;
    if (sync_fd(folder, f->path))
        mill_log(MILL_LOG_WARN,
                 "%s: written, but its folder could not be synced: a power failure may undo it",
                 f->path);
    close(folder);
    return MILL_OK;
}

mill_err file_publish(mill_file *f)
{
    TRY(file_flush(f));
    if (!f->tmp) return MILL_OK;
    if (!step(FILE_OP_RENAME) || rename(f->tmp, f->path) != 0) return io_fail(f->path, "rename to");
    mill_free(f->tmp);
    f->tmp = NULL;
    return MILL_OK;
}

mill_err file_sync_all(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) return io_fail(path, "open");
    const mill_err err =
        step(FILE_OP_FSYNC) && syncfs(fd) == 0 ? MILL_OK : io_fail(path, "sync the file system of");
    close(fd);
    return err;
}

mill_err file_patch(mill_file *f, const void *p, size_t n, int64_t at)
{
    TRY(file_flush(f));
    for (size_t done = 0; done < n;) {
        const ssize_t w = step(FILE_OP_WRITE) ? pwrite(f->fd, (const char *)p + done, n - done,
                                                       (off_t)(at + (int64_t)done))
                                              : -1;
        if (w < 0 && errno == EINTR) continue;
        if (w < 0) return io_fail(f->path, "write");
        done += (size_t)w;
    }
    return MILL_OK;
}

void file_start_writeback(mill_file *f)
{
    const double began = mill_clock();

    (void)sync_file_range(f->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    add_busy(began);
}

int64_t file_tell(const mill_file *f)
{
    return f->at;
}

int file_fd(const mill_file *f)
{
    return f->fd;
}

void file_close(mill_file *f)
{
    if (!f) return;
    if (f->writes && !f->tmp && f->fd >= 0) (void)file_flush(f);
    if (f->tmp) unlink(f->tmp); /* before close: the lock is still ours */
    if (f->fd >= 0 && !f->is_std) close(f->fd);
    mill_free(f->tmp);
    mill_free(f->path);
    mill_free(f->buf);
    mill_free(f);
}

mill_err file_read(mill_file *f, void *p, size_t n, size_t *got)
{
    *got = 0;
    while (*got < n) {
        const ssize_t r = step(FILE_OP_READ) ? read(f->fd, (char *)p + *got, n - *got) : -1;
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return io_fail(f->path, "read");
        if (r == 0) break;
        *got += (size_t)r;
        f->at += r;
    }
    return MILL_OK;
}

mill_err file_pread(mill_file *f, void *p, size_t n, int64_t at, size_t *got)
{
    *got = 0;
    while (*got < n) {
        const ssize_t r =
            step(FILE_OP_READ) ? pread(f->fd, (char *)p + *got, n - *got, at + (int64_t)*got) : -1;
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return io_fail(f->path, "read");
        if (r == 0) break;
        *got += (size_t)r;
    }
    return MILL_OK;
}

mill_err file_size(mill_file *f, int64_t *bytes)
{
    struct stat st;

    if (fstat(f->fd, &st) != 0) return io_fail(f->path, "stat");
    if (!S_ISREG(st.st_mode))
        return mill_fail(MILL_EIO, "%s: has no size (it is no regular file)", f->path);
    *bytes = st.st_size;
    return MILL_OK;
}

int64_t file_free_bytes(const char *dir)
{
    struct statvfs s;

    if (statvfs(dir, &s)) return INT64_MAX;
    return (int64_t)s.f_bavail * (int64_t)s.f_frsize;
}

mill_err file_rename(const char *from, const char *to)
{
    if (step(FILE_OP_RENAME) && rename(from, to) == 0) return MILL_OK;
    return mill_fail(MILL_EIO, "%s: cannot be renamed to %s: %s", from, to, strerror(errno));
}

mill_err file_symlink(const char *target, const char *path)
{
    const size_t n = strlen(path) + 5;
    char *tmp = mill_alloc(n, 1);

    if (!tmp) return MILL_ENOMEM;
    snprintf(tmp, n, "%s.tmp", path);
    bool ok = unlink(tmp) == 0 || errno == ENOENT;
    ok = ok && symlink(target, tmp) == 0;
    if (ok && (!step(FILE_OP_RENAME) || rename(tmp, path) != 0)) {
        const int e = errno;
        unlink(tmp);
        errno = e;
        ok = false;
    }
    const int why = errno;
    mill_free(tmp);
    if (ok) return MILL_OK;
    return mill_fail(why == EPERM || why == EOPNOTSUPP || why == ENOSYS ? MILL_EINPUT : MILL_EIO,
                     "%s: cannot make a link to %s: %s", path, target, strerror(why));
}
