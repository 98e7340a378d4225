/*
 * option.h - the fields of a struct as rows: from text, to JSON and back.
 *
 * A .def file has a row for each field, OPT(kind, field, "long-name", short, default, least, most,
 * "who uses it", "help"); who includes it makes the struct, the defaults and the rows of it:
 *
 *     typedef struct {
 *     #define OPT MILL_FIELD
 *     #include "synth/options.def"
 *     #undef OPT
 *     } synth_config;
 *
 *     static const mill_option options[] = {
 *     #define OPT MILL_OPTION
 *     #define OPTION_STRUCT synth_config
 *     #include "synth/options.def"
 *
 * Long names are the same with - and _.  Every function leaves the struct as it was on an error,
 * which names the option.
 */
#ifndef MILL_BASE_OPTION_H
#define MILL_BASE_OPTION_H

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* int64_t, double, bool, const char *, and const char * that says "256,256"; a FLAG is a bool that
 * the command alone sets. */
typedef enum { OPTION_INT, OPTION_REAL, OPTION_BOOL, OPTION_TEXT, OPTION_DIMS } option_kind;

typedef struct {
    option_kind kind;
    const char *name;
    size_t at;          /* offset in the struct */
    double least, most; /* of numbers, included */
    const char *who;    /* what it is an option of: words, or "all" */
} mill_option;

#define MILL_FIELD_INT(f)                                                  int64_t f
#define MILL_FIELD_REAL(f)                                                 double f
#define MILL_FIELD_BOOL(f)                                                 bool f
#define MILL_FIELD_TEXT(f)                                                 const char *f
#define MILL_FIELD_DIMS(f)                                                 const char *f
#define MILL_FIELD_FLAG(f)                                                 bool f
#define MILL_FIELD(kind, field, name, letter, def, least, most, who, help) MILL_FIELD_##kind(field);

#define MILL_OPTION(kind, field, name, letter, def, least, most, who, help) \
    {OPTION_##kind, name, offsetof(OPTION_STRUCT, field), least, most, who},

enum { OPTION_MAX_DIMS = 16 };

bool option_same_name(const char *a, const char *b);
bool option_is_for(const char *who, const char *what); /* one of the words, or "all"; "" is none */
/* NULL: there is none of this name. */
const mill_option *option_find(const mill_option *options, int n, const char *name);

/* Text is borrowed.  MILL_EINPUT: not of its kind, or out of range. */
mill_err option_set(void *fields, const mill_option *o, const char *value);
json_t *option_json(const void *fields, const mill_option *o); /* NULL: no memory */
mill_err option_read(void *fields, const mill_option *o, const json_t *value);

/* Seeds have 64 bits, and the integers of JSON a sign: one is written as the signed integer with
 * the same bits, and read from that or from digits. */
mill_err option_seed(uint64_t *seed, const char *value);
mill_err option_read_seed(uint64_t *seed, const json_t *value);

/* 0 1 false true no yes off on; false if it is none of these. */
bool option_bool(bool *out, const char *s);

/* "256,256": positive integers up to 2^20; "" has none.  dim: (max). */
mill_err option_dims(int64_t *dim, int *n, int max, const char *text);

#endif
