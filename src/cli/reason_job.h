/* reason_job.h - a run of `tabmill reason` between its flags (reason_run.c) and its files
 * (reason_job.c, reason_dry.c). */
#ifndef MILL_CLI_REASON_JOB_H
#define MILL_CLI_REASON_JOB_H

#include "cli/reason.h"

typedef struct {
    reason_flags *flags;
    char *path, *folder, *store, *extra;
    char hash[33]; /* of the data */
    int64_t bytes;
    record_file *records;
    reason_data all, data; /* of all machines, of this one */
    prompt *prompt[N_STAGE];
    json_t *dataset;
    reason_options options;
} reason_job;

/* Every n-th record from the i-th on. */
reason_data reason_share(const reason_data *all, int64_t i, int64_t n);

/* Exit statuses. */
int cli_reason_job(reason_job *job, const opt_set *set);
int cli_reason_dry_run(const reason_job *job);

#endif
