/*
 * ranks.h - commands that run as several ranks.
 *
 *     int n;  cli_ranks_count(&n, set, "auto");
 *     if (!cli_ranks_start(&status, set, n, "-")) return status;  forked, waited for, all gone
 *     if (!(status = cli_ranks_meet(&r, set, &talk))) ...
 *     cli_ranks_part(&r, err)
 */
#ifndef MILL_CLI_RANKS_H
#define MILL_CLI_RANKS_H

#include "cli/cli.h"
#include "rank/rank.h"
#include "train/loop.h"

enum { STATUS_RENDEZVOUS = 69, STATUS_PREEMPTED = 75 };

typedef struct {
    rank_identity who;
    rank_group *group; /* NULL: this process is alone */
    mill_pool *pool;
} cli_ranks;

bool cli_is_rank(void); /* somebody started this process as a rank, if only of one */

/*
 * train_run_state() of what was asked for.  A rank that was started again also goes on with the run
 * that the attempt before it began, which has the same configuration; with --force any other one is
 * older, and is begun anew.  o->resume and o->force become what is to be done.
 */
mill_err cli_run_state(train_run_status *status, train_options *o);

/* How many `text` asks for: a number or auto; 0 for NULL.  0, or exit status 2. */
int cli_ranks_count(int *n, const opt_set *set, const char *text);

/* With n > 1, in a process that is not a rank yet: starts n ranks and returns true in each of them;
 * in the launcher it returns false when all are gone.  Otherwise true.  Before any thread.
 * `input` is the table that all of them read, or NULL: if it is "-", each finds it on its stdin. */
bool cli_ranks_start(int *status, const opt_set *set, int n, const char *input);

/*
 * Log, threads (a rank has its share of the cores) and, if this is a rank of several, the group.
 * Ranks but 0 are mute: an error of theirs reaches the user through rank 0.  0, or the exit status;
 * cli_ranks_part in any case.
 */
int cli_ranks_meet(cli_ranks *r, const opt_set *set, talk_options *talk);
void cli_ranks_part(cli_ranks *r, mill_err err);

#endif
