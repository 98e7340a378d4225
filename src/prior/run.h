/*
 * run.h - data sets into a folder, by several workers; stopped and gone on with at will.
 *
 *     DIR/manifest.json      what the run is of: configuration, first data set, number, format
 *     DIR/shard_*, batch_*, episode_*, index/, metadata.json   the data (sink.h)
 *     DIR/index.json         every unit with its bytes and checksum, and the sums; written last
 *     DIR/run/journal.jsonl  one line for each unit that is complete, in the order of completion
 *     DIR/run/status.json    times, host, workers, how it ended
 *     DIR/run/log            a line for each beginning, end and killed worker
 *     DIR/run/boot           the start of the machine under which the units were written
 *     DIR/run/lock           held while a run writes here
 *
 * All but run/ is a function of the manifest alone: the same bytes for any number of workers, with
 * any number of kills and resumes in between.
 */
#ifndef MILL_PRIOR_RUN_H
#define MILL_PRIOR_RUN_H

#include "prior/sink.h"

typedef struct {
    const prior_config *config;
    const prior_format *format;
    const char *dir;
    int64_t first, n; /* data sets first .. first + n - 1 */
    bool csv;         /* npy: CSV files too */
    int64_t inner;    /* finished data sets that a worker holds before it writes them; >= 1 */
    int workers;      /* at most */
    bool resume;
    bool quiet;
    int64_t memory_limit; /* of all workers together; 0: none */
    const char *version;  /* for the manifest */
    const char *from; /* a complete run of shards of the same data sets: read, not made; or NULL */
} prior_run_options;

typedef struct {
    int64_t made;     /* data sets that are complete now, earlier runs' among them */
    int64_t made_now; /* by this process */
    int64_t bytes;    /* of all complete units */
    int64_t attempts, rejected[PRIOR_N_REJECT];
    double seconds;     /* of this process */
    double disk_share;  /* of the workers' time: in writes and syncs */
    int n_died, signal; /* workers that were killed; what stopped the run, or 0 */
} prior_run_result;

/*
 * Forks, so the caller has no threads and nothing unflushed.  Where it fails, or a signal comes
 * (MILL_OK and result->signal), whole units stay and *result says how far it came.
 */
mill_err prior_run(prior_run_result *result, const prior_run_options *o);

bool prior_folders_for(const prior_format *f, int64_t n); /* npy: a folder for each 10,000 */

int64_t prior_run_units(const prior_run_options *o);
int prior_run_workers(const prior_run_options *o); /* that start: no more than there are units */
/* Most bytes of one worker: the maker's, the format's and what it holds. */
int64_t prior_run_memory(const prior_run_options *o);

/* ---- what lies in the folder (folder.h) ---- */

typedef struct {
    prior_run_options o;
    prior_unit *unit; /* by number less the first; .count 0: not complete */
    int64_t first_unit, n_units;
    int lock;
} prior_folder;

/* Of a folder that is there: reads its manifest.  `config` and texts live until folder_close. */
typedef struct {
    json_t *manifest;
    prior_config config;
    const prior_format *format;
    int64_t first, n;
    bool csv, is_complete; /* index.json is there */
} prior_manifest;
mill_err prior_manifest_read(prior_manifest *m, const char *dir);
void prior_manifest_free(prior_manifest *m);

/* Makes or resumes the folder, takes its lock, reads the journal, removes what a kill left. */
mill_err folder_open(prior_folder *f, const prior_run_options *o);
void folder_close(prior_folder *f);
/* MILL_EINPUT unless the unit's files have its length and checksum; reads them all. */
mill_err prior_unit_check(const prior_sink *s, const prior_unit *u);
/* Data sets of unit u (by number less the first) that belong to the run. */
void folder_span(const prior_folder *f, int64_t u, int64_t *first, int64_t *count);
/* A worker tells that a unit is complete: one line of the journal. */
mill_err folder_note(const char *dir, const prior_unit *u);
mill_err folder_read_journal(prior_folder *f); /* what workers have told so far */
mill_err folder_finish(prior_folder *f);       /* index.json */
mill_err folder_write_status(const prior_folder *f, const prior_run_result *r, const char *how);
/* A line of run/log; where it cannot be written, a warning. */
void folder_log(const prior_folder *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The units of a folder that is complete, from index.json; mill_free. */
mill_err folder_units(prior_unit **out, int64_t *n, const char *dir);

#endif
