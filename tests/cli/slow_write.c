/* slow_write.c - a disk that takes 4 ms for each write of half a kilobyte or more to a file;
 * preloaded. */
#define _GNU_SOURCE /* NOLINT(bugprone-reserved-identifier): what the headers ask for */
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

ssize_t write(int fd, const void *p, size_t n)
{
    struct stat st;

    if (n >= 512 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) usleep(4000);
    return syscall(SYS_write, fd, p, n);
}
