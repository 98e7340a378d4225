/* put.h - JSON values into objects; a failure is remembered in *failed, so that it is asked for
 * once. */
#ifndef MILL_EVAL_PUT_H
#define MILL_EVAL_PUT_H

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

static inline void put(json_t *o, const char *key, json_t *value, bool *failed)
{
    if (json_object_set_new(o, key, value)) *failed = true;
}
/* null for what is not finite: JSON has no such numbers. */
static inline void put_number(json_t *o, const char *key, double x, bool *failed)
{
    put(o, key, isfinite(x) ? json_real(x) : json_null(), failed);
}
static inline void put_int(json_t *o, const char *key, int64_t x, bool *failed)
{
    put(o, key, json_integer(x), failed);
}
static inline void put_text(json_t *o, const char *key, const char *s, bool *failed)
{
    put(o, key, s ? json_stringn_nocheck(s, strlen(s)) : json_null(), failed);
}
static inline void put_bool(json_t *o, const char *key, bool x, bool *failed)
{
    put(o, key, json_boolean(x), failed);
}
/* A new object under `key`; NULL (and then ignored by the above) if there is no memory. */
static inline json_t *put_object(json_t *o, const char *key, bool *failed)
{
    json_t *const value = json_object();
    put(o, key, value, failed);
    return *failed ? NULL : value;
}
static inline json_t *put_array(json_t *o, const char *key, bool *failed)
{
    json_t *const value = json_array();
    put(o, key, value, failed);
    return *failed ? NULL : value;
}
static inline json_t *append_object(json_t *array, bool *failed)
{
    json_t *const value = json_object();
    if (json_array_append_new(array, value)) *failed = true;
    return *failed ? NULL : value;
}

#endif
