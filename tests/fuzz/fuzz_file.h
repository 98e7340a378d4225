/* fuzz_file.h - the fuzzer's bytes as a file with a path, in memory. */
#ifndef TESTS_FUZZ_FUZZ_FILE_H
#define TESTS_FUZZ_FUZZ_FILE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define MUST(what)                                                             \
    do {                                                                       \
        if (!(what)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
            abort();                                                           \
        }                                                                      \
    } while (0)

static inline const char *fuzz_path(const void *data, size_t n)
{
    static int fd = -1;
    static char path[40];

    if (fd < 0) fd = memfd_create("fuzz", 0);
    MUST(fd >= 0 && !ftruncate(fd, 0) && pwrite(fd, data, n, 0) == (ssize_t)n);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return path;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#endif
