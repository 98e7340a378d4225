/*
 * job.h - what the loop must know of a thing that is trained.
 *
 * A job is a count of steps and a few functions.  Step i is a function of (job, state after step
 * i-1, i): randomness is keyed by i, so a job whose saved state is loaded goes on to the bit.  EM
 * iterations are steps as well.
 */
#ifndef MILL_TRAIN_JOB_H
#define MILL_TRAIN_JOB_H

#include "table/store.h"

enum { JOB_MAX_METRICS = 8 };

typedef struct {
    void *ctx;
    const char *name;        /* "ctgan" */
    int64_t n_steps;         /* in all */
    int64_t steps_per_epoch; /* metrics and progress are written once per epoch */
    int n_metrics;
    const char *metric[JOB_MAX_METRICS]; /* "loss_g", "loss_d" */
    const char *tag[JOB_MAX_METRICS];    /* in TensorBoard; NULL: as the metric */
    mill_err (*step)(void *ctx, int64_t step);
    void (*metrics)(void *ctx, double *values); /* of the last step */
    bool (*done)(void *ctx);                    /* converged before n_steps; NULL: never */
    /* 0..1, higher is better; a function of the state and `step`.  NULL: none. */
    mill_err (*probe)(void *ctx, int64_t step, double *quality);
    /* Everything that the next step depends on.  Tensors are borrowed until it is written. */
    mill_err (*save)(void *ctx, store_writer *w, json_t *meta);
    mill_err (*load)(void *ctx, const store *s); /* checks shapes; on error the job is as it was */
} train_job;

#endif
