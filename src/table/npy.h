/*
 * npy.h - NumPy's .npy and .npz: arrays of booleans, integers and reals as tables, and tables as
 * arrays.
 *
 *     .npy   format 1.0 to 3.0 (numpy.lib.format).  A 1-D array is one column c0, a 2-D array is
 *            columns c0, c1, ...
 *     .npz   a zip of .npy; an array of one column is a column of the array's name, of several
 *            columns name_0, name_1, ...  All arrays must have the same number of rows.
 *
 * Read: bool -> boolean (False, True); all integers -> integer (unsigned ones beyond 2^63-1 ->
 * real); float16, 32, 64 -> real, NaN is missing; str and bytes -> category, or identifier where
 * more than 50 all differ, an empty one is missing; datetime64 -> datetime, NaT is missing; little
 * or big endian, C or Fortran order.  Object, complex and structured arrays are refused.
 * --columns, --drop and -d act; --types is refused for these files.
 *
 * Written: .npy one 2-D array, int64 if all columns are integers without missing values, else
 * float64, NaN for missing; text is refused: its codes would mean nothing without their values.
 * .npz one 1-D array for each column: int64, float64, bool, str, datetime64.
 */
#ifndef MILL_TABLE_NPY_H
#define MILL_TABLE_NPY_H

#include "table/csv.h"
#include "table/table.h"

mill_err npy_read(mill_table **out, const char *path, const csv_options *o);
mill_err npz_read(mill_table **out, const char *path, const csv_options *o);
mill_err npy_write(const mill_table *t, const char *path, bool force);
mill_err npz_write(const mill_table *t, const char *path, bool force);

/* ---- arrays of any number of dimensions ---- */

enum { NPY_MAX_DIM = 8 };

typedef struct {
    char kind; /* b i u f; U S M: npy_text.c */
    int unit;  /* of M */
    int size;  /* bytes of an element */
    bool swap; /* big endian */
    bool fortran;
    int rank;
    int64_t dim[NPY_MAX_DIM];
    int64_t rows, cols; /* the first dimension, and the product of the others */
    bool is_flat;       /* 1-D */
    size_t data_at;     /* where the elements begin */
} npy_array;

/* Parse the header of n bytes; checks that the elements are all there. `what` names it in messages.
 */
mill_err npy_parse(npy_array *a, const char *data, size_t n, const char *what);
/* MILL_EINPUT unless it has one or two dimensions. */
mill_err npy_check_table(const npy_array *a, const char *what);
/* MILL_EINPUT unless its elements are numbers: what the next two take. */
mill_err npy_check_numbers(const npy_array *a, const char *what);
/* The elements of one row (index of the first dimension) in C order; out: (cols). */
void npy_row(double *out, const npy_array *a, const char *data, int64_t row);
/* Element i of a 1-D array (or of (n, 1)) as a double. */
double npy_element(const npy_array *a, const char *data, int64_t i);
/* One column of it. */
mill_err npy_column(mill_column *c, const char *name, const npy_array *a, const char *data,
                    int64_t col);

/* The arrays of an .npz, in the file's order, all of numbers and with as many rows. */
typedef struct {
    char *name; /* without .npy */
    char *data;
    npy_array array;
} npz_entry;
mill_err npz_entries_read(npz_entry **out, int *n, const char *path);
void npz_entries_free(npz_entry *e, int n); /* NULL allowed */

/* ---- shared by the files ---- */

enum { NPY_DESCR = 24, NPY_MAX_TEXT = 1 << 24 /* characters of an element */ };
/* npy_text.c.  `at`: the first element, each `stride` bytes behind the one before. */
bool npy_time_unit(int *unit, const char *s, size_t n);
mill_err npy_text_column(mill_column *c, const char *name, const npy_array *a, const char *at,
                         size_t stride);
mill_err npy_time_column(mill_column *c, const char *name, const npy_array *a, const char *at,
                         size_t stride);
mill_err npy_text_elements(char **out, size_t *n, char descr[NPY_DESCR], const mill_column *c);
mill_err npy_time_elements(char **out, size_t *n, char descr[NPY_DESCR], const mill_column *c);

/* 1 if the boolean's spelling says yes. */
int64_t npy_truth(const mill_column *c, int64_t i);
/* Header of an array, 1-D if cols < 0; its length is a multiple of 64; buf >= 256. */
size_t npy_header(char *buf, const char *descr, int64_t rows, int64_t cols);
/* --columns, --drop, -d and like; may replace *t. */
mill_err npy_apply_options(mill_table **t, const char *path, const csv_options *o);

#endif
