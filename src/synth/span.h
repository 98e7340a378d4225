/*
 * span.h - the row that CTGAN and TVAE see: spans of units, one or two per column.
 *
 *     number, datetime    [u: tanh, 1 unit] [mode: softmax, one unit per mode, and one more for
 *                         "missing"]
 *     category, boolean   [value: softmax, one unit per value, and one more for "missing"]
 *     identifier          none: identifiers are not learnt
 *
 * A row of n columns is stored as its numbers u and one code per column (mode or value), never as a
 * dense one-hot.  `missing` is the last code of a column that has missing cells.  Discrete columns
 * (one span) also have a place in the condition vector.
 *
 * Source: Xu et al. 2019, sections 4.2 and 4.3; missing numbers as one more mode are ours.
 */
#ifndef MILL_SYNTH_SPAN_H
#define MILL_SYNTH_SPAN_H

#include "ops/ops.h" /* SPAN_TANH, SPAN_SOFTMAX */
#include "synth/modes.h"
#include "synth/synth.h"

typedef struct {
    int col; /* of the schema */
    bool is_number, has_missing;
    synth_modes modes; /* numbers */
    int32_t start; /* unit where its softmax span begins; a number's tanh unit is the one before */
    int32_t width; /* of the softmax span */
    int number;    /* place among the numbers; -1 */
    int discrete;  /* place among the discrete columns; -1 */
    int32_t cond;  /* where its values begin in the condition vector */
} span_column;

typedef struct {
    int n, n_numbers, n_discrete, n_spans;
    int32_t width, cond_width; /* D and C of the papers */
    span_column *col;          /* (n) */
    int32_t *table;            /* (n_spans, 3): start, length, kind */
    int64_t *count;            /* (cond_width) rows with this value, missing included */
    double *file_modes;        /* what spans_write lends to the writer */
    int32_t *file_cols;
} synth_spans;

mill_err spans_fit(synth_spans **out, const mill_table *t, const synth_schema *s, uint64_t seed,
                   mill_pool *pool);
/* Without data, for estimates: MODES_MAX modes for every number.  *row_bytes: of all encoded rows.
 */
mill_err spans_assume(synth_spans **out, int64_t *row_bytes, const synth_schema *s);
void spans_free(synth_spans *s);
mill_err spans_write(const synth_spans *s, store_writer *w); /* borrowed until written */
mill_err spans_read(synth_spans **out, const store *f, const synth_schema *schema);

/* Encoded rows; codes take two bytes where every span is narrow enough. */
typedef struct {
    int64_t n;
    int n_numbers, n_cols;
    float *u;         /* (n, n_numbers) */
    uint16_t *code16; /* (n, n_cols), or NULL */
    int32_t *code32;
    /* rows by value: rows id[first[c] .. first[c+1]) have value c of the condition vector */
    int64_t *first; /* (cond_width + 1) */
    int32_t *id;
} span_rows;

mill_err spans_encode(span_rows *out, const synth_spans *s, const mill_table *t,
                      const synth_schema *schema, uint64_t seed, mill_pool *pool);
void span_rows_free(span_rows *r);

static inline int32_t span_code(const span_rows *r, int64_t row, int col)
{
    const int64_t at = row * r->n_cols + col;
    return r->code16 ? r->code16[at] : r->code32[at];
}

/* Make room for missing marks, so that blocks of rows can be decoded side by side; count them
 * afterwards. */
mill_err spans_decode_begin(mill_table *out, const synth_spans *s);
void spans_decode_end(mill_table *out, const synth_spans *s);

/*
 * Picks to cells: rows [0, n) of x (n, n_spans) into rows [row, row+n) of `out`.  x has the index
 * of the mode or value that each softmax span fell on; a number's u is u[i, number] (u: (n,
 * n_numbers)) or, where u is NULL, x at its tanh span.  Two threads may decode into one table if
 * their rows do not share a multiple of eight.
 */
void spans_decode(mill_table *out, int64_t row, const synth_spans *s, const synth_schema *schema,
                  const float *x, const float *u, int64_t n);

/* The span table as a const node. */
mill_ref spans_node(mill_graph *g, const synth_spans *s);

#endif
