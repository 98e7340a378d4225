/* library.c - dlopen and dlsym. */
#include "base/library.h"

#include <dlfcn.h>
#include <string.h>

mill_err library_open(void *pointers, const char *const *names, int n, const char *file,
                      const char *package)
{
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);

    if (!library)
        return mill_fail(MILL_EDEVICE, "%s is not to be had (%s): install the package %s", file,
                         dlerror(), package);
    for (int i = 0; i < n; i++) {
        void *p = dlsym(library, names[i]);

        if (!p)
            return mill_fail(MILL_EDEVICE, "%s has no function %s: the package %s is too old", file,
                             names[i], package);
        memcpy((char *)pointers + (size_t)i * sizeof p, &p, sizeof p);
    }
    return MILL_OK;
}
