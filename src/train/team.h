/*
 * team.h - one job done by several ranks.
 *
 * Rank 0 runs the loop and says by a broadcast what all do next: step i, take over rank 0's state,
 * hand over their part of it, or go home.  So every decision (early stop, signals, which
 * checkpoint) is made once.  The others follow.  A step is done by all ranks together; metrics,
 * probes and saving are rank 0's alone.
 */
#ifndef MILL_TRAIN_TEAM_H
#define MILL_TRAIN_TEAM_H

#include "rank/rank.h"
#include "train/job.h"

typedef struct {
    train_job job; /* this rank's: its step is called on every rank with the same number */
    rank_group *group;
    mill_err (*sync)(void *ctx);    /* on every rank: the state becomes rank 0's; job.ctx */
    mill_err (*collect)(void *ctx); /* on every rank, before rank 0 saves; NULL: it has it all */
} train_team;

void team_lead(train_job *out, train_team *t); /* rank 0: a job for train_loop; t is borrowed */
mill_err team_follow(const train_team *t);     /* the others, until team_end */
mill_err team_end(const train_team *t);        /* rank 0: nothing follows; also when nothing came */

#endif
