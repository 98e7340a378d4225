/*
 * progress.h - tell a person how far a long job is.
 *
 * On a terminal one line is rewritten at most ten times a second; elsewhere (a log file, a pipe) a
 * plain line comes at most every ten seconds, and always a last one.  Errors of the descriptor are
 * ignored: talk never stops work.
 */
#ifndef MILL_TRAIN_PROGRESS_H
#define MILL_TRAIN_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    int fd;
    bool is_terminal, quiet, is_open_line;
    const char *name, *unit; /* "ctgan", "steps"; borrowed */
    int64_t first, total;    /* where this process began; where the job ends */
    double began, shown;     /* mill_clock */
} train_progress;

void progress_begin(train_progress *p, int fd, bool quiet, const char *name, const char *unit);
void progress_range(train_progress *p, int64_t first, int64_t total); /* also starts the clock */
/* Units a second since progress_range(). */
double progress_rate(const train_progress *p, int64_t done);
/* `facts` go between rate and ETA: "loss_g -0.41  quality 0.88". */
void progress_show(train_progress *p, int64_t done, const char *facts);
/* The last line of a job, whatever the time; `how`: "done", "interrupted". */
void progress_end(train_progress *p, int64_t done, const char *facts, const char *how);

#endif
