/* slow_open.c - a disk that takes 0.3 s to open a model.mill for reading; preloaded. */
#define _GNU_SOURCE /* NOLINT(bugprone-reserved-identifier): what the headers ask for */
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int open(const char *path, int flags, ...)
{
    va_list more;

    va_start(more, flags);
    const int mode = flags & O_CREAT ? va_arg(more, int) : 0;
    va_end(more);
    if ((flags & O_ACCMODE) == O_RDONLY && strstr(path, "/model.mill")) usleep(300000);
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}
