/*
 * folder.h - the parts of run.h's folder, for their files alone.
 *
 *     folder.c     files: what is there, what a kill left, what is complete; open and close
 *     manifest.c   what the run is of, and whether a resume is of the same
 *     journal.c    what has been done: units, index, status, log
 */
#ifndef MILL_PRIOR_FOLDER_H
#define MILL_PRIOR_FOLDER_H

#include "prior/run.h"

enum { FOLDERS_ABOVE = 100000 }; /* npy: data sets in one folder at most */

/* Of DIR/name. */
mill_err folder_read_json(json_t **out, const char *dir, const char *name);
mill_err folder_write_json(const char *dir, const char *name, const json_t *o);

/* Is it what a run gives its files, whole or in the making?  (All but manifest.json.) */
bool folder_is_ours(const char *name);
/* Refuses the folder of strangers, and of another run; changes nothing. */
mill_err folder_check(const prior_folder *f);
/* The same, under the lock; then writes the manifest. */
mill_err folder_begin(prior_folder *f);
/* The journal anew, of the units that are complete. */
mill_err folder_write_journal(const prior_folder *f);
/* npy: a run that has grown past the limit of one folder: its files move to their folders. */
mill_err folder_spread(prior_folder *f);

#endif
