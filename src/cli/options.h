/*
 * options.h - options as rows: parsing, defaults, ranges, help and the configuration file all read
 * the same tables.
 *
 *     OPT(kind, field, "long-name", 'x', default, least, most, "VALUE", "help")
 *
 * One .def file per table.  Kinds: INT int64_t, REAL double, SIZE int64_t bytes ("2GB"), TEXT and
 * DIMS const char *, CHAR char (a delimiter: one byte, or "tab"; 0 without a default), FLAG bool
 * (--x only), BOOL bool (--x and --no-x), AUTO a BOOL without a default, LIST opt_list (repeats). A
 * command's options are several groups, each a table whose fields lie in a part of the command's
 * struct.
 */
#ifndef MILL_CLI_OPTIONS_H
#define MILL_CLI_OPTIONS_H

#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    OPT_INT,
    OPT_REAL,
    OPT_SIZE,
    OPT_TEXT,
    OPT_DIMS,
    OPT_CHAR,
    OPT_FLAG,
    OPT_BOOL,
    OPT_LIST,
    OPT_AUTO = OPT_BOOL
} opt_kind;

typedef struct {
    const char **item; /* NULL-terminated once it holds anything; NULL before */
    int n;
} opt_list;

#define OPT_FIELD_INT(f)  int64_t f
#define OPT_FIELD_REAL(f) double f
#define OPT_FIELD_SIZE(f) int64_t f
#define OPT_FIELD_TEXT(f) const char *f
#define OPT_FIELD_DIMS(f) const char *f
#define OPT_FIELD_CHAR(f) char f
#define OPT_FIELD_FLAG(f) bool f
#define OPT_FIELD_BOOL(f) bool f
#define OPT_FIELD_AUTO(f) bool f
#define OPT_FIELD_LIST(f) opt_list f

/* Rows as the fields of a struct: OPT is OPT_FIELD, and the .def is included inside it. */
#define OPT_FIELD(kind, field, name, letter, def, least, most, value, help) OPT_FIELD_##kind(field);

/* The default as text: what -h shows and what is parsed.  NULL: none. */
#define OPT_DEF_INT(d)  #d
#define OPT_DEF_REAL(d) #d
#define OPT_DEF_SIZE(d) d
#define OPT_DEF_TEXT(d) d
#define OPT_DEF_DIMS(d) d
#define OPT_DEF_CHAR(d) d
#define OPT_DEF_FLAG(d) #d
#define OPT_DEF_BOOL(d) #d
#define OPT_DEF_AUTO(d) NULL
#define OPT_DEF_LIST(d) d

typedef struct {
    opt_kind kind;
    size_t offset; /* into the group's struct */
    const char *name;
    char letter; /* 0: none */
    const char *def;
    double least, most; /* INT and REAL; least: SIZE too */
    const char *value;  /* "FILE"; of synth/options.def: the methods that use it */
    const char *help;
} opt_row;

typedef struct {
    const char *title;
    const opt_row *row;        /* ends with a row without a name */
    size_t base;               /* where the group's struct lies in the command's */
    bool names_methods;        /* row.value names methods, not the value */
    const char *old, *renamed; /* one row goes by another name in this command, or NULL */
} opt_group;

typedef struct {
    const char *command, *usage, *about;
    const opt_group *group;
    int n_groups;
    size_t size; /* of the command's struct */
    int least_args, most_args;
    bool args_end_options; /* what follows the first positional argument is not ours to read */
    const char *args;      /* "MODEL.mill": how the positional arguments are called */
    const char *const
        *alias; /* pairs: another spelling, the row's name; NULL-terminated; or NULL */
    const char *const
        *refused; /* pairs: option name without dashes, reason; NULL-terminated; or NULL */
} opt_set;

enum { OPT_ON_LINE = 1, OPT_IN_FILE };
typedef struct {
    const opt_set *set;
    void *values;
    uint8_t *is_given; /* by row, group after group: 0, OPT_ON_LINE or OPT_IN_FILE */
    const char **arg;  /* positional */
    int n_args;
    json_t *config; /* keeps the text that values point to */
} opt_parsed;

typedef enum {
    OPT_GO,
    OPT_STOP
} opt_next; /* STOP: help or an error was printed; *status is the exit status */

/* Fills `values` (a struct of set->size bytes): defaults, then --config FILE, then the command
 * line. */
opt_next opt_parse(opt_parsed *p, int *status, const opt_set *set, void *values, int argc,
                   char **argv);
void opt_free(opt_parsed *p);
bool opt_is_given(const opt_parsed *p, const void *field); /* field: its address in `values` */
const opt_row *opt_row_at(const opt_set *set, int i,
                          const opt_group **group); /* NULL behind the last */
const char *opt_name(const opt_group *g, const opt_row *r);
void opt_help(const opt_set *set); /* on stdout */

/* "tabmill fit: ..." on stderr; returns 2. */
int opt_usage_error(const opt_set *set, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
