/*
 * codes.h - every column as a small set of codes: what the mixture learns from.
 *
 * A number with at most `bins` different values that repeat is coded by value.  Else its sorted
 * values are cut into bins of about equal mass; a value that holds more than its share
 * (capital-gain: 92 % zeros) has a code of its own, and what is left of the bins goes to the rest.
 * A code of a number is one of
 *
 *     CODE_VALUE    one value
 *     CODE_POINTS   few different values that repeat: 16 points of equal mass, one of which is
 *                   drawn
 *     CODE_RANGE    many: 2 to 16 quantile points, drawn by interpolation between them
 *
 * and stands for the numbers of a cell [first, last]; cells do not overlap, and between bins they
 * leave no gap.  A category's code is its place in the schema's dictionary.  Missing is the last
 * code, where anything was missing.
 *
 * At most one point is kept per 8 rows of a bin (and at least 2, at most 16), so no column can be
 * read back.
 */
#ifndef MILL_SYNTH_CODES_H
#define MILL_SYNTH_CODES_H

#include "synth/schema.h"
#include "table/spool.h"

enum { CODE_MAX_POINTS = 16 };
typedef enum { CODE_VALUE, CODE_POINTS, CODE_RANGE, CODE_N_KIND } code_kind;

typedef struct {
    int32_t n;       /* codes, missing included; 0 for identifiers */
    int32_t missing; /* its code, or -1 */
    bool is_number;
    bool clips;           /* values outside the range count as its end (--trim-rare) */
    double unit;          /* numbers: all training values are multiples of it; 0: of nothing */
    double *first, *last; /* of each present code */
    uint8_t *kind;
    int32_t *at; /* points of code c: point[at[c]] .. point[at[c + 1] - 1] */
    double *point;
} synth_coder;

static inline int32_t coder_n_present(const synth_coder *c)
{
    return c->n - (c->missing >= 0);
}

mill_err synth_coder_fit(synth_coder *out, const synth_column *s, const mill_column *c,
                         int64_t bins, int64_t trim_rare);
void synth_coder_free(synth_coder *c);
/* The code of a present number; missing where the coder has no place for it and trims, else -1. */
int32_t synth_coder_find(const synth_coder *c, double x);
/* How many different numbers (REAL: what length) the cell of a code covers; 1 for a single value.
 */
double synth_coder_width(const synth_coder *c, const synth_column *s, int32_t code);
/*
 * The number at u in [0, 1) of a code's distribution, on the column's grid.  A CODE_POINTS takes
 * point floor(u n).
 */
double synth_coder_value(const synth_coder *c, const synth_column *s, int32_t code, double u);
/* The share of a CODE_RANGE's distribution below x, before values are put on the grid. */
double synth_coder_below(const synth_coder *c, int32_t code, double x);

/* A table in codes: column-major, each column in the narrowest of 1, 2 and 4 bytes. */
typedef struct {
    int64_t rows;
    int n_cols;
    int32_t n_codes; /* of all columns */
    synth_coder *coder;
    int32_t *base; /* n_cols + 1: where the codes of a column begin among all */
    uint8_t *width;
    void **code;
    int64_t *count;     /* n_codes: rows of the training table with it */
    table_spool *spool; /* where the codes lie, or NULL: in memory */
    int32_t *size;      /* what goes to the file as "code.size" and "code.unit" */
    double *unit;
} synth_codes;

/* Columns are released (table_column_release) as they are done.  More than 1 GiB of codes go to a
 * file in TMPDIR. */
extern int64_t synth_codes_in_memory; /* that GiB; tests make it small */
mill_err synth_codes_fit(synth_codes **out, const mill_table *t, const synth_schema *s,
                         const synth_config *c, mill_pool *pool);
void synth_codes_free(synth_codes *c);
mill_err synth_coders_write(const synth_codes *c, store_writer *w);
mill_err synth_coders_read(synth_coder **out, const synth_schema *s, const store *f);
void synth_coders_free(synth_coder *c, int n); /* NULL allowed */
/* Codes of a few rows of another table: out (n, n_cols), -1 where the model has no code for the
 * value. */
mill_err synth_codes_rows(int32_t *out, const synth_coder *coder, const synth_schema *s,
                          const mill_table *t);

static inline int32_t codes_at(const synth_codes *c, int col, int64_t row)
{
    switch (c->width[col]) {
    case 1:
        return ((const uint8_t *)c->code[col])[row];
    case 2:
        return ((const uint16_t *)c->code[col])[row];
    default:
        return ((const int32_t *)c->code[col])[row];
    }
}

#endif
