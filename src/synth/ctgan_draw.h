/*
 * ctgan_draw.h - training by sampling, as nodes of the graph (Xu et al. 2019, section 4.3).
 *
 * Row i of a batch draws a discrete column uniformly and one of its values by log(frequency + 1):
 * that is the fake row's condition.  A real row takes the condition of another row of the batch (a
 * random permutation) and is drawn uniformly among the training rows with that value.  All of it is
 * a function of (seed, step, stream, i), so the tiles of a batch are drawn in any order.
 */
#ifndef MILL_SYNTH_CTGAN_DRAW_H
#define MILL_SYNTH_CTGAN_DRAW_H

#include "synth/span.h"

typedef struct {
    const synth_spans *s;
    const span_rows *rows; /* NULL when sampling */
    uint32_t *by_log;      /* (C) cumulative share of 2^32 within its column, by log frequency */
    uint32_t *by_count;    /* likewise by frequency */
    int32_t *disc_col;     /* (n_discrete) place in s->col */
    int32_t *unit;         /* (n_numbers + n) the tanh units, then where each softmax span begins */
    int32_t *span;         /* (n) number of each column's softmax span */
    int64_t fixed;         /* >= 0: every condition is this one */
} ctgan_draw;

mill_err ctgan_draw_init(ctgan_draw *d, const synth_spans *s, const span_rows *rows);
void ctgan_draw_deinit(ctgan_draw *d);

/* i32 (n, 3): the fake row's condition (0..C-1, or -1 without discrete columns), the real row's
 * number, the real row's condition; 0 and -1 unless `real_rows`, and when sampling. `d` is borrowed
 * until the graph is freed. */
mill_ref ctgan_draw_batch(mill_graph *g, const ctgan_draw *d, int64_t n, bool log_frequency,
                          bool real_rows);
enum { DRAW_FAKE_COND, DRAW_REAL_ROW, DRAW_REAL_COND };

/* draw (n, 3) -> i32 (n, 1): condition in column `field`, shifted by (i mod pac) * C: an index into
 * a pack's first-layer weights. */
mill_ref ctgan_cond_codes(mill_graph *g, mill_ref draw, const ctgan_draw *d, int field,
                          int64_t pac);

/* draw (n, 3) -> i32 (n, n_spans): the value inside the conditioned column's span, -1 in all
 * others. */
mill_ref ctgan_target(mill_graph *g, mill_ref draw, const ctgan_draw *d);

/* rows i32 (n, w), the row numbers in column `field` -> i32 (n, s) units of those rows, numbers
 * first, shifted by (i mod pac) * D; and their values, real (n, s).  s = n_numbers + n. */
mill_ref ctgan_row_codes(mill_graph *g, mill_ref rows, const ctgan_draw *d, int field, int64_t pac);
mill_ref ctgan_row_values(mill_graph *g, mill_ref rows, const ctgan_draw *d, int field);

/* rows i32 (n, 1) -> i32 (n, n_spans): the code of each softmax span, -1 for tanh spans.  (TVAE's
 * targets) */
mill_ref ctgan_row_targets(mill_graph *g, mill_ref rows, const ctgan_draw *d);

/* i32 (n, 1): row numbers of batch `step mod per_epoch` of the epoch's own shuffle, `batch` rows a
 * step.  (TVAE) */
mill_ref ctgan_shuffled_rows(mill_graph *g, const ctgan_draw *d, int64_t n, int64_t batch,
                             int64_t per_epoch);

#endif
