/*
 * deal.h - which rows make which part of which step, and batches of them, prepared ahead.
 *
 * An epoch is a permutation of the n training rows, a function of (seed, epoch).  Step k of the
 * epoch takes positions k E .. (k + 1) E - 1 of it, less what is beyond n; E = shards accum batch.
 * Part p = shard accum + a of a step takes positions (a shards + shard) batch .. of the step's.  So
 * each row is dealt exactly once an epoch, whatever the numbers; the last step is shorter, and its
 * last parts may be empty.
 */
#ifndef MILL_CLASSIFY_DEAL_H
#define MILL_CLASSIFY_DEAL_H

#include "classify/data.h"

typedef struct {
    uint64_t seed;
    int64_t n, batch, shards, accum, steps_per_epoch;
} cls_deal;

/* Rows of step `step`, of all its parts. */
int64_t cls_deal_step_rows(const cls_deal *d, int64_t step);
/* row: (batch) out; returns how many, 0..batch. */
int64_t cls_deal_part(int64_t *row, const cls_deal *d, int64_t step, int64_t part);

/* A part as the network's inputs.  Rows from n on are padding: zeros, codes and labels of -1. */
typedef struct {
    int64_t n, seq;
    float *num;     /* (batch, n_num) */
    int32_t *code;  /* (batch, n_cat) */
    int32_t *label; /* (batch), or NULL */
    float *y;       /* (batch), standardised, or NULL */
    float *weight;  /* (batch): 1 / rows of the step; 0 for padding */
    int64_t *row;   /* (batch) */
} cls_batch;

/*
 * Parts first .. first + count - 1 of step `from`, then those of the next step, and so on.  With
 * workers > 0 so many threads prepare them ahead.
 */
typedef struct {
    int64_t from, first, count;
} cls_share;
typedef struct cls_loader cls_loader;
mill_err cls_loader_open(cls_loader **out, const cls_deal *d, const cls_rows *rows,
                         const cls_encoder *e, cls_share share, int workers);
void cls_loader_close(cls_loader *l);
int64_t cls_loader_bytes(const cls_rows *rows, int64_t batch, int workers); /* of its batches */
/* The next part; the loader's until cls_loader_release(). */
const cls_batch *cls_loader_take(cls_loader *l);
void cls_loader_release(cls_loader *l);
double cls_loader_waited(const cls_loader *l); /* seconds in cls_loader_take */

#endif
