/*
 * shard.h - the native file of data sets: shard_%06u.mill.
 *
 * A .mill file (table/store.h) of these tensors, in this order, each begun at a multiple of 64
 * bytes:
 *
 *     x          F32 (floats)      data set after data set, each (features, rows): column after
 *                                  column; each data set begins at a multiple of 16 floats
 *     y          F32 (rows)        labels or numbers; of data set k from y_at on
 *     levels     I32 (columns)     of each column: 0 numeric, else the levels it was drawn with
 *     sets       I64 (sets, 16)    a row of numbers each, named in meta.columns
 *     imbalance  F64 (sets)        largest class over smallest; 0: regression
 *     text       U8  (bytes)       of each data set a JSON object: kind and structure
 *
 * meta: {"kind":"prior-shard","unit":u,"first":index,"count":sets,"columns":[..],"config":{..}}.
 * Columns of `sets`: index, rows, train_rows, features, width, classes, attempts, rejected_empty,
 * rejected_labels, rejected_filter, rejected_trivial, x_at (floats), y_at, levels_at, text_at,
 * text_bytes.
 */
#ifndef MILL_PRIOR_SHARD_H
#define MILL_PRIOR_SHARD_H

#include "prior/sink.h"
#include "table/store.h"

/* What `sets` says of a data set, a column each.  ORDER COLUMN */
enum {
    SHARD_INDEX,
    SHARD_ROWS,
    SHARD_TRAIN_ROWS,
    SHARD_FEATURES,
    SHARD_WIDTH,
    SHARD_CLASSES,
    SHARD_ATTEMPTS,
    SHARD_REJECTED,
    SHARD_X_AT = SHARD_REJECTED + PRIOR_N_REJECT,
    SHARD_Y_AT,
    SHARD_LEVELS_AT,
    SHARD_TEXT_AT,
    SHARD_TEXT_BYTES,
    SHARD_N_COLUMN
};

/* A shard that is open for reading; data sets point into the mapping.  All checksums and bounds are
 * checked when it is opened. */
typedef struct {
    store *file;
    const int64_t *sets; /* (count, SHARD_N_COLUMN) */
    const float *x, *y;
    const int32_t *levels;
    const double *imbalance;
    const char *text;
    int64_t count, first;
    char kind[16]; /* of the data set that was read last */
} shard;

mill_err shard_open(shard *s, const char *path);
/* k: 0 .. count - 1.  x, y and levels are read-only. */
mill_err shard_read(prior_set *out, shard *s, int64_t k);
const json_t *shard_config(const shard *s);
void shard_close(shard *s); /* may be called twice */

#endif
