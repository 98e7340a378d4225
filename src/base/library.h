/*
 * library.h - a shared library that is opened when it is first needed.
 *
 * Its header is used at build time, so that every pointer has the library's own type; the library
 * itself is not linked, so that a command that does without it neither waits for it nor misses it.
 * Who uses one lists its functions once:
 *
 *     #define CURL_FUNCTIONS(FN) FN(curl_easy_init) FN(curl_easy_setopt) ...
 *     struct curl_library { CURL_FUNCTIONS(LIBRARY_POINTER) } curl;
 *     static const char *const names[] = {CURL_FUNCTIONS(LIBRARY_NAME)};
 *     TRY(library_open(&curl, names, LIBRARY_COUNT(names), "libcurl.so.4", "libcurl4"));
 *     curl.curl_easy_init();
 */
#ifndef MILL_BASE_LIBRARY_H
#define MILL_BASE_LIBRARY_H

#include "base/err.h"

#define LIBRARY_POINTER(function) __typeof__(function) *function;
#define LIBRARY_NAME(function)    #function,
#define LIBRARY_COUNT(names)      (int)(sizeof(names) / sizeof *(names))

/*
 * Opens `file` and fills `pointers`, a struct of n function pointers in the order of `names`.  The
 * library stays open for the life of the process; calling again fills again.
 * MILL_EDEVICE, naming the Debian package, where it is absent or lacks a function.
 */
mill_err library_open(void *pointers, const char *const *names, int n, const char *file,
                      const char *package);

#endif
