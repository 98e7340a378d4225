/*
 * loop.h - run a job: progress, metrics, probes, checkpoints, early stop, signals, resume.
 *
 * The run folder holds manifest.json (configuration, versions, seed, input fingerprint, level),
 * metrics.jsonl (the source of truth), an events.out.tfevents file, and checkpoints
 * step_%010d.mill.  After SIGKILL at any moment a resumed run ends in the same bytes: checkpoints
 * carry the loop's own state too (best quality, patience), and metrics.jsonl is cut back to the
 * checkpoint's step on resume.
 */
#ifndef MILL_TRAIN_LOOP_H
#define MILL_TRAIN_LOOP_H

#include "train/job.h"

typedef struct {
    const char *run_dir;
    double checkpoint_seconds; /* 30; 0: after every epoch */
    int keep;                  /* checkpoints kept while running, 2..64 */
    bool keep_after;           /* leave them after success */
    bool resume;
    bool force; /* resume although the configuration differs; without resume: start over */
    bool allow_other_level;
    int early_stop;      /* probes without a better quality; 0: off */
    double least_gain;   /* that counts as better there; the best state is the best by any gain */
    bool keep_best;      /* without early stop too: the best probed state is kept and returned */
    bool strict;         /* a damaged checkpoint is an error; else it is named and passed over */
    bool links;          /* latest.mill and best.mill in the folder name checkpoints */
    int64_t log_steps;   /* metrics within epochs too, every so many steps; 0: no */
    int64_t probe_steps; /* a probe every so many steps (and at the end); 0: never */
    bool quiet;
    int progress_fd; /* where the progress line goes: 2; a terminal gets one line rewritten, else
                        plain lines */
    const json_t *config;   /* what a resume must agree with; borrowed */
    const json_t *manifest; /* more facts for the manifest: input fingerprint, versions; borrowed */
} train_options;

/* NOT_SAVED, with an error: all was trained, and the last checkpoint could not be written. */
typedef enum { TRAIN_DONE, TRAIN_STOPPED_EARLY, TRAIN_INTERRUPTED, TRAIN_NOT_SAVED } train_end;

/*
 * Runs until the job is done.  TRAIN_INTERRUPTED: SIGINT/SIGTERM came (train_signals_install), a
 * checkpoint is saved. With early stop (or keep_best) the job's state is the best probed one at
 * return.
 */
mill_err train_loop(train_end *end, const train_job *job, const train_options *o);
/* SIGINT, SIGTERM, SIGUSR1: the first stops the loop at the next step boundary, a second SIGINT or
 * SIGTERM ends the process at once. */
void train_signals_install(void);
/* After it, in a rank, if only of one: a second signal may be the first once more, and does not end
 * the process. */
void train_signals_of_rank(void);
void train_signal_note(int sig); /* as if it had come: another rank got it */
int train_signal_received(void); /* 0, SIGINT or SIGTERM (SIGUSR1 counts as that) */
/* After success: drops the checkpoints unless keep_after. */
mill_err train_run_finish(const train_options *o);

/*
 * All for which train_loop would refuse the run folder, before any work: another process, files of
 * others, a run without o->resume or o->force.  With o->resume configuration and level are compared
 * (MILL_EINPUT names the differences) and *status says how far the run is: STARTED with o->force if
 * it differs.
 */
typedef enum { TRAIN_RUN_NONE, TRAIN_RUN_STARTED, TRAIN_RUN_FINISHED } train_run_status;
mill_err train_run_state(train_run_status *status, const train_options *o);

#endif
