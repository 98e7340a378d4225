/*
 * records.h - a data set of records, read where it lies.
 *
 *   .jsonl, .ndjson   one JSON object a line; empty lines are left out
 *   .json             one array of objects; a file that begins with { is read as lines
 *   .csv, .tsv        RFC 4180, the first record names the fields, every value is text
 *   .parquet          known by its first bytes too: a row is a record (table/parquet_rows.h)
 *
 * any of them plain or as .gz or .zst.  Opening passes over the file once and keeps 8 bytes for
 * each record: where it begins.  Parquet is written out to a temporary file as lines of JSON, so
 * that any record can be had at once.  A record is read when it is asked for, so memory does not
 * grow with their size; any thread may ask.
 */
#ifndef MILL_REASON_RECORDS_H
#define MILL_REASON_RECORDS_H

#include "base/err.h"
#include "reason/members.h"
#include <jansson.h>
#include <stdint.h>

typedef struct record_file record_file;

enum { RECORD_MAX_BYTES = 256 << 20 };

/* `spool_dir`: where a compressed file or a pipe is written out; NULL: the system's.
 * MILL_EINPUT: no records, no array, an item missing in it, a quote that is not closed, a header
 * twice. */
mill_err records_open(record_file **out, const char *path, const char *spool_dir);
void records_close(record_file *r); /* NULL is allowed */
int64_t records_count(const record_file *r);
int64_t records_bytes(const record_file *r, int64_t i); /* of record i in the file */

/*
 * Record i as an object, its members in the file's order; json_decref.  MILL_EINPUT, with file and
 * line, for what is not one object (the file itself stays good: the next record may be), or has an
 * integer beyond 64 bits.
 */
mill_err records_read(json_t **out, const record_file *r, int64_t i);

/* A record as JSON text, in one line, and where its members lie in it. */
typedef struct {
    char *text; /* mill_free */
    size_t n;
    members in;
} record_json;

/* As records_read says, and at most MEMBERS_MOST members; those of a line or of an array's item are
 * passed on as they are, but for what only jansson understands. */
mill_err records_json(record_json *out, const record_file *r, int64_t i);

/* The text of a member: of a string itself, of a number its digits, of true and false the word.
 * *out: mill_free.  MILL_EINPUT, naming record and field, where it is absent, null, or not a
 * single value. */
mill_err record_text(char **out, const json_t *record, const char *field);
mill_err record_json_text(char **out, const record_json *record, const char *field); /* the same */
/* A member built; NULL: it is not there, or no memory.  json_decref. */
json_t *record_json_value(const record_json *record, const char *field);

#endif
