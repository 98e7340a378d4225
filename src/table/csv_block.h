/*
 * csv_block.h - where records and fields begin and end, block by block.
 *
 * The file is cut into blocks of CSV_BLOCK bytes.  A record belongs to the block in which its first
 * byte lies; whoever reads a block reads on until its last record ends.  Which bytes begin a record
 * depends on the quotes before; so a first, fast visit counts the quotes of every block, and a
 * block begins inside quotes if an odd number precedes it.
 *
 *   - regular files: every quote opens behind a delimiter or a line's start, closes before a
 *     delimiter or a line's end, or is half of a pair "" inside.  Then the parity above is right,
 *     and delimiters and line ends outside quotes are found 64 bytes at a time.
 *   - other files: `5" pipe,3` (RFC 4180 forbids it, the world has it): a quote counts only as the
 *     first character of a field, elsewhere it is text.  The first irregular quote is seen when
 *     blocks are indexed; then one thread walks the file and notes where each block's first record
 *     begins (csv_layout_walk), and blocks are indexed byte by byte.
 *
 * If no block has met an irregular quote, then block 0 was right from its start, so its end state
 * is what parity says, so block 1 was right, and so on: the fast way is exact or it is noticed.
 *
 * A line that is empty is not a record where there are several columns; in a table of one column it
 * is a missing value. A record longer than CSV_RECORD_MAX is refused.
 */
#ifndef MILL_TABLE_CSV_BLOCK_H
#define MILL_TABLE_CSV_BLOCK_H

#include "base/err.h"
#include "base/pool.h"
#include "table/source.h"
#include <stdbool.h>
#include <stdint.h>

/* Tests make it small, so that borders fall everywhere; never changed while a file is read. */
extern int64_t csv_block_bytes; /* CSV_BLOCK */

enum { CSV_BLOCK = 1 << 18, CSV_RECORD_MAX = 64 << 20, CSV_PAD = 64 };

typedef enum {
    FAULT_NONE,
    FAULT_SYSTEM,     /* err and words */
    FAULT_RAGGED,     /* detail: the number of fields */
    FAULT_QUOTE_OPEN, /* not closed */
    FAULT_QUOTE_TAIL, /* text behind the closing quote */
    FAULT_LONG,
    FAULT_NUL,
    FAULT_UTF8,
    FAULT_TYPE,    /* not a value of the column's type */
    FAULT_CHANGED, /* the second visit finds other values than the first */
} fault_kind;

/* What went wrong first in the file; found by any thread, told by the caller's. */
typedef struct {
    fault_kind kind;
    int64_t at; /* offset in the file of the field, record or quote */
    int col;    /* column of the file, or -1 */
    int64_t detail;
    mill_err err;
    char words[200];
} csv_fault;

/* Keep the one that lies first in the file; errors of the system before all. */
void fault_note(csv_fault *f, fault_kind kind, int64_t at, int col, int64_t detail);
void fault_note_system(csv_fault *f, mill_err err); /* with the thread's last message */
void fault_merge(csv_fault *f, const csv_fault *other);

typedef struct {
    const source *src;
    char delimiter, quote; /* quote 0: none */
    int n_cols;
    int64_t begin; /* of the first record (behind BOM and header) */
    int64_t block; /* bytes */
    int64_t n_blocks;
    uint8_t *inside; /* n_blocks: begins inside quotes (regular files) */
    int64_t *first;  /* n_blocks: where the first record begins, or NULL for a regular file */
    int64_t *lines;  /* n_blocks + 1: lines that begin before the block; NULL with first[] */
} csv_layout;

/* inside[] and lines[] by counting quotes and line ends. MILL_OK also when the quotes are odd: then
 * first[] is filled by csv_layout_walk. */
mill_err csv_layout_count(csv_layout *l, mill_pool *pool);
mill_err csv_layout_walk(csv_layout *l);
void csv_layout_free(csv_layout *l);

/*
 * One block in memory, one per thread.  Field j of row r ends at end[row[r].field + j] and begins
 * behind the end of the field before it, or at row[r].begin.  All are offsets into buf, and buf[0]
 * lies at `base` in the file.
 */
typedef struct {
    uint32_t field, begin;
} csv_row;

typedef struct {
    char *buf;
    size_t cap;
    uint32_t *end;
    size_t end_cap;
    csv_row *row;
    size_t row_cap;
    int64_t base;
    int64_t rows;
    bool irregular;         /* a quote that the fast way cannot take */
    bool no_room;           /* the index stopped for want of room in end or row */
    size_t n_ends, n_lines; /* while indexing */
} csv_block;

/* Read and index block i.  What is wrong goes to `fault`; the rows before it are indexed
 * nevertheless. */
void csv_block_load(csv_block *b, const csv_layout *l, int64_t i, csv_fault *fault);
void csv_block_free(csv_block *b);

/* Quotes and line ends of a piece of text; inside and outside as if it began outside of quotes. */
typedef struct {
    bool is_odd;    /* the number of quotes */
    bool ends_line; /* with its last byte; the caller knows */
    int64_t outside, inside;
} csv_counts;

/* s is padded. */
void csv_count(csv_counts *out, const char *s, size_t n, char quote);
/* Index [from, avail) of buf into ends and lines up to the first line end at or behind `stop`;
 * false if it is not there. */
bool csv_index_fast(csv_block *b, const csv_layout *l, size_t from, size_t avail, size_t stop);
bool csv_index_exact(csv_block *b, const csv_layout *l, size_t from, size_t avail, size_t stop,
                     csv_fault *fault);
/* Either of them, with as much room as it takes. */
mill_err csv_block_index(bool *found, csv_block *b, const csv_layout *l, bool exact, size_t from,
                         size_t avail, size_t stop, csv_fault *fault);

typedef struct {
    const char *s;
    uint32_t n;
} csv_field;

static inline csv_field csv_get(const csv_block *b, int64_t r, int j, bool is_last)
{
    const csv_row row = b->row[r];
    const uint32_t begin = j ? b->end[row.field + (uint32_t)j - 1] + 1 : row.begin;
    uint32_t end = b->end[row.field + (uint32_t)j];
    if (is_last && end > begin && b->buf[end - 1] == '\r') end--;
    return (csv_field){b->buf + begin, end - begin};
}

#endif
