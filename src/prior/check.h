/*
 * check.h - looking at the folder of a run: is it whole, what is in it.
 *
 * Both want a run that is complete (index.json is there).
 */
#ifndef MILL_PRIOR_CHECK_H
#define MILL_PRIOR_CHECK_H

#include "prior/run.h"

/* What prior_check found good. */
typedef struct {
    int64_t units, sets, bytes;
    int64_t remade; /* units that were made again and compared */
} prior_checked;

/*
 * Every file's length and checksum against index.json, what is inside of shards, and `remake`
 * units, spread over the run, made again into a folder of their own in TMPDIR or /tmp and compared
 * by checksum.  Goes on behind a bad unit: `bad` is told of each; MILL_EINPUT if there was one.
 * Another error: it could not be told (a unit cannot be made or written here).
 */
mill_err prior_check(prior_checked *out, const char *dir, int64_t remake,
                     void (*bad)(const char *line));

/* tell(ctx, set) for each data set of the run, in order; x and y are NULL but of shards.
 * `structure` is there. */
mill_err prior_each(const char *dir, mill_err (*tell)(void *ctx, const prior_set *set), void *ctx);

#endif
