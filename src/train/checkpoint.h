/*
 * checkpoint.h - the states of a run on disk: step_0000000840.mill, atomic and checksummed.
 *
 * A checkpoint is a store file: the job's tensors, the job's own keys in `meta`, and under
 * meta.loop what the loop must know.
 */
#ifndef MILL_TRAIN_CHECKPOINT_H
#define MILL_TRAIN_CHECKPOINT_H

#include "train/job.h"

typedef struct {
    int64_t step;      /* steps done */
    int64_t best_step; /* of the best probe, or -1 */
    double best_quality;
    int64_t since_best; /* probes since the last that was better than `mark` by enough */
    double mark;        /* its quality */
    double quality;     /* last probe; NaN before the first */
    bool is_ended;      /* nothing is left to do but to restore the best state */
    bool stopped_early;
} loop_state;

/* Counts a probe of `quality` after s->step; true if none was better, and its state is to be kept:
 * never of NaN or an infinity.  Patience begins anew when it is better than the last that did so by
 * more than `least_gain`. */
bool loop_state_probed(loop_state *s, double quality, double least_gain);

/*
 * The kept checkpoints of a run, oldest first: what rotation must know of each.  With the newest
 * CHECKPOINT_MAX the best state that the oldest of them refers to is kept (later ones refer to it
 * or to one among them), and while one is being noted it is one more.
 */
enum { CHECKPOINT_MAX = 64 };
typedef struct {
    int n;
    struct {
        int64_t step, best_step;
    } at[CHECKPOINT_MAX + 2];
} checkpoint_list;

int64_t checkpoint_step(const char *name); /* step_0000000840.mill: 840; of any other name -1 */
mill_err checkpoint_write(const char *dir, const train_job *job, const loop_state *s);
/*
 * Loads the newest valid checkpoint into the job; *found false if there is none.  Each one that is
 * passed over is named in the log with the reason and removed (strict: an error).  list: the ones
 * left.  An error of job->load() is returned.
 */
mill_err checkpoint_load_newest(bool *found, loop_state *s, checkpoint_list *list, const char *dir,
                                const train_job *job, bool strict);
mill_err checkpoint_load_step(const char *dir, const train_job *job, int64_t step);
/* Notes a written checkpoint and removes what is older than the newest `keep`, but no best state
 * that a kept one refers to. */
mill_err checkpoint_rotate(checkpoint_list *list, const char *dir, const loop_state *s, int keep);
/* latest.mill -> the checkpoint of s, best.mill -> that of its best step (without probes: the
 * same). */
mill_err checkpoint_link(const char *dir, const loop_state *s);
mill_err checkpoint_remove_all(const char *dir);
mill_err checkpoint_count(int *n, int64_t *newest, const char *dir); /* by names alone */

#endif
