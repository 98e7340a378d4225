/*
 * csv_reader.h - what the parts of the CSV reader share (csv_open.c, csv_infer.c, csv_fill.c,
 * csv_read.c).
 *
 *     open     sniff delimiter, quote and header, read the names, choose the columns, note the
 *              types that are given
 *     infer    first visit: every value of every chosen column is classified; texts go to
 *              dictionaries
 *     decide   type of each column; dictionaries of all threads become one, in order of first
 *              appearance
 *     fill     second visit: values into columns, where the first has not kept them
 */
#ifndef MILL_TABLE_CSV_READER_H
#define MILL_TABLE_CSV_READER_H

#include "base/pool.h"
#include "table/csv.h"
#include "table/csv_block.h"
#include "table/dict.h"

/*
 * SOFT: blank, or quoted and empty or a word of `na`: a value among texts, missing among numbers.
 * HUGE: a number that overflows a double; a text, but worth a word where all others are numbers.
 */
typedef enum {
    VALUE_MISSING,
    VALUE_SOFT,
    VALUE_INT,
    VALUE_REAL,
    VALUE_DATE,
    VALUE_COMMA,
    VALUE_HUGE,
    VALUE_TEXT,
    VALUE_N
} value_kind;

typedef struct {
    number num;      /* INT, REAL */
    int64_t seconds; /* DATE */
    int form;        /* DATE */
    bool is_plain;   /* INT: written as we would write it */
} csv_value;

/* What was seen in a column; sums and extremes, so that the order of adding does not matter. */
typedef struct {
    int64_t n[VALUE_N];
    int64_t first[VALUE_N]; /* offset in the file of the first of each kind */
    int64_t n_unlisted;     /* present values that did not go to `values` */
    bool is_misfit;         /* some value could not be kept */
    int decimals;
    int form; /* of all dates; 0 none yet, -1 several */
    dict values;
} csv_stats;

typedef enum { EXPECT_ANY, EXPECT_NUMBER, EXPECT_TEXT } csv_expect;
#define RUN_BROKEN INT64_MIN

/* What the first visit puts into its place at once (csv_keep.c). */
typedef enum { KEEP_NOTHING, KEEP_INTEGERS, KEEP_REALS, KEEP_DATES, KEEP_CODES } csv_keep;

/* Codes of the column's dictionary for those of a thread's. */
typedef struct {
    int32_t n, *code;
} csv_codes;

typedef struct {
    char *name;
    int file_col;
    bool is_last; /* in the record: a CR may follow */
    /* given */
    bool is_forced;
    mill_coltype type; /* given or decided */
    char *format;      /* likewise; NULL */
    const mill_column *like;
    /* inference */
    csv_expect expect;
    int64_t *run; /* for a column of consecutive integers so far: each block's first; else NULL */
    csv_stats sum;
    int32_t n_values; /* of those in sum.values: a boolean's soft ones stand last and are missing */
    bool is_run;      /* IDENTIFIER of consecutive integers, no dictionary needed */
    /* kept */
    csv_keep keep;
    union {
        int64_t *kept_i64;  /* INTEGERS, DATES */
        double *kept_f64;   /* REALS */
        int32_t *kept_code; /* CODES of the thread that has visited the block; -1: missing */
    };
    uint8_t *missing;   /* of the others: a bit for each row, set where it is */
    csv_codes *code_of; /* threads; CODES */
} csv_column;

typedef struct {
    csv_block block;
    csv_fault fault;
    char *scratch; /* an unquoted field */
    size_t scratch_cap;
    bool irregular;
    bool is_astray; /* a block had other rows than were counted */
    int64_t newest; /* the last block in the file that it has inferred */
} csv_thread;

/* Texts on their way to a dictionary: a few at a time, so that their slots are fetched together. */
enum { CSV_TEXTS = 16 };
typedef struct {
    int n;
    struct {
        csv_field f;
        dict_key key;
        int64_t at;    /* where it came from, or where it goes */
        int32_t *code; /* where its code goes, or NULL */
        bool is_quoted;
    } at[CSV_TEXTS];
} csv_texts;

typedef struct {
    const csv_options *o;
    source src;
    csv_layout layout;
    mill_pool *pool;
    int threads;
    char **file_name; /* n_file_cols */
    int n_file_cols;
    csv_column *col;
    int n_cols;
    csv_thread *thread;
    csv_stats *stats;   /* threads x n_cols */
    int64_t *block_row; /* n_blocks + 1: rows before it, once known */
    int *block_thread;  /* n_blocks: who has inferred it */
    bool has_header;
    /* words of --na */
    char *na_text;
    const char **na;
    size_t *na_len;
    int n_na;
    uint8_t na_first[256];
    bool na_numeric; /* some word begins like a number */
} csv_reader;

/* csv_read.c; takes the source over */
mill_err csv_read_source(mill_table **out, source *in, const csv_options *o, mill_pool *pool);
/* csv_open.c */
mill_err csv_reader_open(csv_reader *r);
mill_err csv_choose_columns(csv_reader *r); /* of the names: those that the options leave */
mill_err csv_reader_types(csv_reader *r);
void csv_reader_close(csv_reader *r);

/* csv_value.c */
mill_err csv_na_init(csv_reader *r);
csv_field csv_trim(csv_field f); /* without the spaces and tabs around */
bool csv_is_na(const csv_reader *r, const char *s, size_t n); /* blanks around do not count */
/* Content of a field: quotes off, pairs made one (in t->scratch, padded).  True if it was quoted;
 * *err for want of memory. */
bool csv_unquote(csv_thread *t, char quote, csv_field *f, mill_err *err);
value_kind csv_classify(const csv_reader *r, csv_value *v, csv_field f, bool is_quoted);
/* The same where the column's type is given: superfluous zeros do not keep a number from being one.
 */
value_kind csv_classify_given(const csv_reader *r, csv_value *v, csv_field f, bool is_quoted,
                              mill_coltype type);
bool csv_utf8_ok(const char *s, size_t n);

/* csv_infer.c */
mill_err csv_infer(csv_reader *r);
mill_err csv_list_again(csv_reader *r); /* the texts of columns that expect ANY now */
/* csv_keep.c */
csv_keep csv_keep_what(const csv_column *c, const csv_stats *st); /* st: of block 0 */
mill_err csv_keep_begin(csv_reader *r);
/* Whether the block has the rows that were counted, or the last one fewer. */
bool csv_keep_fits(const csv_reader *r, int64_t block, int64_t rows);
void csv_keep_decide(const csv_reader *r); /* types are known; what cannot stay is dropped */
void csv_keep_moved(const csv_reader *r, csv_column *c, const int32_t *moved); /* dict_order's */
void csv_keep_take(mill_column *out, csv_column *c, int64_t rows); /* its buffer goes over */
void csv_keep_drop(const csv_reader *r, csv_column *c);
size_t csv_memory_limit(const csv_reader *r); /* above it a table goes to a spool file */
/* csv_decide.c */
mill_err csv_decide(csv_reader *r);
/* csv_fill.c */
mill_err csv_fill(csv_reader *r, mill_table *t);
/* What is boolean in the table of o->like takes its values by their truth, however they are spelt
 * here; with other values too it is a category. */
mill_err csv_match_booleans(const csv_reader *r, mill_table *t);
mill_err csv_allocate(csv_reader *r, mill_table **out);
/* csv_fault.c: the fault in words, with line, column and value. */
mill_err csv_fault_tell(const csv_reader *r, const csv_fault *f);
int64_t csv_line_of(const csv_reader *r, int64_t at);
/* The field at `at`, for messages: unquoted, cut, made printable. */
void csv_quote_value(const csv_reader *r, char out[64], int64_t at);
/* The first fault that any thread has met, told. */
mill_err csv_faults(const csv_reader *r);

static inline int64_t csv_offset(const csv_block *b, const char *field)
{
    return b->base + (field - b->buf);
}

#endif
