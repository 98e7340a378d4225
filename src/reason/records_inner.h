/*
 * records_inner.h - for records*.c only: a file of records, and how its beginnings are found.
 */
#ifndef MILL_REASON_RECORDS_INNER_H
#define MILL_REASON_RECORDS_INNER_H

#include "reason/records.h"
#include "table/source.h"

enum {
    RECORD_CHUNK = 1 << 18, /* bytes read at once to find beginnings */
    RECORD_LINES = 64,      /* the line of each such record is remembered */
};

typedef enum { LINES, ARRAY, CSV } layout;

struct record_file {
    source in;
    char *path;
    layout layout;
    char delimiter;
    int64_t n, room;
    int64_t *begin; /* (n + 1): the last is where the last record ends */
    int64_t *line;  /* of records 0, RECORD_LINES, 2 RECORD_LINES ... */
    char **name;    /* CSV: (n_names) */
    int n_names;
};

static inline bool record_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Fills begin and n from the bytes at `from` on; chunk: RECORD_CHUNK bytes to use.  MILL_EINPUT: an
 * array or a quote that is not closed, an item that is missing. */
mill_err records_find(record_file *r, char *chunk, int64_t from);
/* The rows of a Parquet file as lines in a file without a name, which takes its place. */
mill_err records_spool_parquet(record_file *r, const char *spool_dir);

#endif
