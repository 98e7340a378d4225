/* json.h - JSON as text for people: every real in the fewest digits that read back as it. */
#ifndef MILL_BASE_JSON_H
#define MILL_BASE_JSON_H

#include "base/err.h"

#include <jansson.h>

/*
 * What json_dumps(v, flags) writes, but .1 is 0.1 and not 0.10000000000000001: jansson prints 17
 * digits.  mill_free.  MILL_ENOMEM also for v == NULL: whoever made it had no memory.
 */
mill_err mill_json_text(char **out, const json_t *v, size_t flags);

/* The name of a file, or what a program printed, which may be any bytes, as JSON, which may not:
 * U+FFFD for what is no UTF-8.  NULL: no memory. */
json_t *mill_json_path(const char *path);

#endif
