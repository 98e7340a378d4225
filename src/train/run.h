/*
 * run.h - the run folder: who may write in it, what it is a run of, and its metrics.
 */
#ifndef MILL_TRAIN_RUN_H
#define MILL_TRAIN_RUN_H

#include "base/file.h"
#include "train/loop.h"

typedef struct {
    const train_options *o;
    int lock;           /* descriptor that holds the folder, or -1 */
    mill_file *metrics; /* NULL until the first line, and after a failed one */
    int64_t step;       /* of the last whole line */
    int64_t n_dropped;  /* lines that could not be written */
} train_run;

/* Makes the folder and locks it; MILL_EINPUT if another process runs in it, or if it holds files of
 * somebody else under the names of a run's and `force` is not set. */
mill_err run_open(train_run *r, const train_options *o);
void run_close(train_run *r);
/*
 * Whether the folder's run may be gone on with.  *resume false: nothing is there to resume, start
 * over. MILL_EINPUT: without `resume` the folder holds an unfinished run and `force` is not set; or
 * configuration or level differ.
 */
mill_err run_check(bool *resume, const train_options *o);
mill_err run_clear(const train_options *o); /* what an earlier run left */
mill_err run_write_manifest(const train_options *o, const char *status);
/* Drops the lines after `step`, and a torn last one. */
mill_err run_cut_metrics(train_run *r, int64_t step);
/* Appends one whole line; a failure is counted and warned about, and the run goes on. */
void run_add_metrics(train_run *r, int64_t step, const char *line, size_t len);

#endif
