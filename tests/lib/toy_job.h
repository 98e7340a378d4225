/*
 * toy_job.h - a job whose state is a few numbers, for tests of the loop.
 *
 * x[i] <- x[i] * a + step, all exact in double; the quality rises to a peak at step `peak` and
 * falls from there.
 */
#ifndef TESTS_LIB_TOY_JOB_H
#define TESTS_LIB_TOY_JOB_H

#include "train/job.h"

enum { TOY_SIZE = 64 };

typedef struct {
    double x[TOY_SIZE];
    double steps_seen;     /* part of the state */
    int64_t steps_run;     /* by this process: not saved */
    double peak, bad_step; /* step() fails at bad_step (0: never) */
    int64_t raise_at;      /* raise SIGTERM in this step; 0: never */
    int64_t converged_at;  /* done() from this step on; 0: never */
} toy;

void toy_init(toy *t, double peak);
train_job toy_job(toy *t, int64_t n_steps, int64_t steps_per_epoch);
uint64_t toy_hash(const toy *t);

#endif
