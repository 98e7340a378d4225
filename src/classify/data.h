/*
 * data.h - from files to the numbers that a network sees.
 *
 * A SOURCE is a table or the arrays of an .npz.  An ENCODER says how its rows become features:
 *
 *     number      (x - mean) / deviation of the training rows; missing: 0, and where the
 *                 training rows had any, a second feature is 1 for missing
 *     category    one code per value of the training table; missing and unknown share the code
 *                 behind
 *     identifier  left out
 *     array       [N, C, ...]: channels flattened, averaged, or the first; then like numbers
 *                 (NaN: 0)
 *
 * and what the target is: classes (categories, booleans, few whole numbers) or a number, which is
 * standardised too.  A deviation of zero counts as one.  A number that a float does not hold is
 * missing; what lies beyond 1e12 deviations lies there.
 */
#ifndef MILL_CLASSIFY_DATA_H
#define MILL_CLASSIFY_DATA_H

#include "table/csv.h"
#include "table/npy.h"
#include "table/store.h"

enum { CLS_FEW_WHOLE = 20, CLS_MAX_CLASSES = 10000 };

typedef enum { CLS_AUTO, CLS_CLASSES, CLS_NUMBER } cls_task;
typedef enum { CLS_FLATTEN, CLS_AVERAGE, CLS_FIRST } cls_mode;

typedef struct {
    const char *path;
    mill_table *table; /* or: */
    npz_entry *array;
    int n_arrays;
    int64_t rows;
} cls_source;

typedef struct {
    char *name;
    mill_coltype type;
    int decimals;
    char *format;             /* datetimes */
    int64_t dim[NPY_MAX_DIM]; /* arrays: of one row; [0] is the channel */
    int rank;                 /* arrays: dimensions of one row; 0 for columns of tables */
    int num, n_num;           /* features: the first, and how many; 0 for categories */
    bool has_missing;         /* numbers: the last feature says "missing" */
    int cat;                  /* place among the codes, -1 for numbers */
    int32_t base;             /* the column's first code among all */
    int32_t n_values, *offset;
    char *text; /* the dictionary */
} cls_column;

typedef struct cls_encoder {
    bool is_arrays;
    cls_mode mode;
    int n_cols;
    cls_column *col;
    int n_num, n_cat;
    int32_t n_codes;      /* of all columns, "missing or unknown" included */
    double *mean, *scale; /* (n_num) */
    cls_task task;
    cls_column target; /* its dictionary: the classes */
    double y_mean, y_scale;
} cls_encoder;

/* Encoded rows, row-major.  Without a target both y are NULL. */
typedef struct cls_rows {
    int64_t n;
    int n_num, n_cat;
    float *num;
    int32_t *code;
    int32_t *label; /* classes */
    double *y;      /* numbers, as they are */
} cls_rows;

/* CSV, npy or npz.  `e` NULL: as it is; else with the encoder's types and dictionaries. */
mill_err cls_source_read(cls_source *out, const char *path, const csv_options *csv,
                         const cls_encoder *e, mill_pool *pool);
void cls_source_close(cls_source *s);

/* Columns, task and classes: over all rows, since a class that is only in the test rows is a class.
 */
mill_err cls_encoder_new(cls_encoder **out, const cls_source *s, const char *target, cls_task task,
                         cls_mode mode);
/* Means and deviations of the chosen rows. */
mill_err cls_encoder_fit(cls_encoder *e, const cls_source *s, const int64_t *rows, int64_t n);
void cls_encoder_free(cls_encoder *e);
static inline int64_t cls_n_out(const cls_encoder *e)
{
    return e->task == CLS_CLASSES ? e->target.n_values : 1;
}
/* The tensors are borrowed until the writer has written. */
mill_err cls_encoder_write(const cls_encoder *e, store_writer *w, json_t *meta);
mill_err cls_encoder_read(cls_encoder **out, const store *s);

/* The target of the chosen rows (NULL: of all): label -1 or NaN where it is missing.  One of the
 * two is NULL, by task.  MILL_EINPUT for a class that the encoder has not. */
mill_err cls_targets(int32_t *label, double *y, const cls_encoder *e, const cls_source *s,
                     const int64_t *rows, int64_t n);
/* The chosen rows (NULL: all of them).  with_target: rows[] must have one. */
mill_err cls_rows_new(cls_rows **out, const cls_encoder *e, const cls_source *s,
                      const int64_t *rows, int64_t n, bool with_target);
void cls_rows_free(cls_rows *r);

/*
 * Deal n rows to train, val and test: part[i] = 0, 1, 2, or -1 where label[i] < 0 or y[i] is NaN.
 * By classes: each has its share of every part (to one row), and a row in training.  A function of
 * the seed, the row's number and its class.
 */
mill_err cls_split(int8_t *part, const int32_t *label, const double *y, int64_t n,
                   double val_fraction, double test_fraction, uint64_t seed);

#endif
