/* plugin.c - see plugin.h. */
#include "base/plugin.h"

#include <dlfcn.h>
#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_MAX_BYTES = 4096 };

/* Without what is behind the last slash; false where there is none. */
static int cut_name(char *path)
{
    char *slash = strrchr(path, '/');

    if (slash) *slash = 0;
    return slash != NULL;
}

/* is_there: a file of this name exists, so that the reason why it is not opened is the one to tell.
 */
static void *open_in(const char *folder, const char *file, int flags, int *is_there)
{
    static const char *const places[] = {"", "/../lib", "/..", "/../.."};
    char path[PATH_MAX_BYTES + 300];

    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(path, sizeof path, "%s%s/%s", folder, places[i], file);
        if (access(path, R_OK)) continue;
        *is_there = 1;
        return dlopen(path, flags);
    }
    return NULL;
}

static void *find(const char *file, const char *variable, int flags)
{
    const char *given = getenv(variable);
    char program[PATH_MAX_BYTES] = "", library[PATH_MAX_BYTES] = "";
    int is_there = 0;
    Dl_info self;
    void *so = NULL;

    if (given) return dlopen(given, flags);
    const ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n > 0 && cut_name(program)) so = open_in(program, file, flags, &is_there);
    if (so || is_there) return so;
    static const char here;
    if (dladdr(&here, &self) && self.dli_fname)
        snprintf(library, sizeof library, "%s", self.dli_fname);
    if (cut_name(library)) so = open_in(library, file, flags, &is_there);
    return so || is_there ? so : dlopen(file, flags);
}

void *mill_plugin_open(const char *file, const char *variable, int flags)
{
    const unsigned csr = _mm_getcsr();
    void *so = find(file, variable, flags);

    _mm_setcsr(csr); /* a library linked with fast-math changes it */
    return so;
}
