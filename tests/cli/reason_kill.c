/*
 * reason_kill.c - preloaded: the process is killed at the n-th call that changes a file of a run.
 *
 *     KILL_UNDER=TEXT   files whose path has TEXT in it
 *     KILL_AT=N         SIGKILL at the N-th such write, fsync, ftruncate, rename or unlink;
 *                       0: never
 *     KILL_HOW=         before: nothing of that call is done; half: a write writes half of its
 *                       bytes; after: all of it is done
 *     KILL_COUNT=FILE   at the end, how many calls there were
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static long calls;

static int is_ours(int fd, const char *path)
{
    const char *under = getenv("KILL_UNDER");
    char link[64], to[4096];

    if (!path) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        const ssize_t n = readlink(link, to, sizeof to - 1);
        to[n > 0 ? n : 0] = '\0';
        path = to;
    }
    return under && strstr(path, under) != NULL;
}

/* 'b', 'h', 'a': this is the call; 0: it is not. */
static char how(int fd, const char *path)
{
    if (!is_ours(fd, path)) return 0;
    const char *at = getenv("KILL_AT"), *how = getenv("KILL_HOW");
    const long n = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
    if (!at || n != atol(at)) return 0;
    if (how) return *how;
    return 'b';
}

static void die_if(char now)
{
    if (now) raise(SIGKILL);
}

#define NEXT(fn) ((__typeof__(fn) *)dlsym(RTLD_NEXT, #fn))

/* A call that writes n bytes: call(half of them), call(all). */
#define WRITES(fd, n, call)                                  \
    do {                                                     \
        const char when = how(fd, NULL);                     \
        die_if(when == 'b');                                 \
        const ssize_t r = call(when == 'h' ? (n) / 2 : (n)); \
        die_if(when);                                        \
        return r;                                            \
    } while (0)
#define CHANGES(fd, path, call)             \
    do {                                    \
        const char when = how(fd, path);    \
        die_if(when == 'b' || when == 'h'); \
        const int r = call;                 \
        die_if(when);                       \
        return r;                           \
    } while (0)

ssize_t write(int fd, const void *p, size_t n)
{
#define CALL(bytes) NEXT(write)(fd, p, bytes)
    WRITES(fd, n, CALL);
#undef CALL
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
#define CALL(bytes) NEXT(pwrite)(fd, p, bytes, at)
    WRITES(fd, n, CALL);
#undef CALL
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
#define CALL(bytes) NEXT(pwrite64)(fd, p, bytes, at)
    WRITES(fd, n, CALL);
#undef CALL
}

int fsync(int fd)
{
    CHANGES(fd, NULL, NEXT(fsync)(fd));
}
int fdatasync(int fd)
{
    CHANGES(fd, NULL, NEXT(fdatasync)(fd));
}
int ftruncate(int fd, off_t n)
{
    CHANGES(fd, NULL, NEXT(ftruncate)(fd, n));
}
int ftruncate64(int fd, off64_t n)
{
    CHANGES(fd, NULL, NEXT(ftruncate64)(fd, n));
}
int unlink(const char *path)
{
    CHANGES(-1, path, NEXT(unlink)(path));
}
int rename(const char *from, const char *to)
{
    CHANGES(-1, to, NEXT(rename)(from, to));
}

__attribute__((destructor)) static void tell(void)
{
    const char *count = getenv("KILL_COUNT");
    FILE *f = count ? fopen(count, "w") : NULL;

    if (!f) return;
    fprintf(f, "%ld\n", calls);
    fclose(f);
}
