/*
 * reason.h - what the commands of `tabmill reason` share.
 *
 *     tabmill reason [options]          reason_run.c
 *     tabmill reason verify FILE        reason_verify.c
 *     tabmill reason status RUN ...     each in a file of its own; reason.c has the table
 */
#ifndef MILL_CLI_REASON_H
#define MILL_CLI_REASON_H

#include "cli/cli.h"
#include "reason/output.h"
#include "reason/status.h"

#define OPT OPT_FIELD
typedef struct {
#include "cli/reason_data.def"
} reason_data_options;
typedef struct {
#include "cli/reason_servers.def"
} reason_server_options;
typedef struct {
#include "cli/reason_ask.def"
} reason_ask_options;
typedef struct {
#include "cli/reason_run.def"
} reason_run_options;
typedef struct {
#include "cli/reason_talk.def"
} reason_talk_options;
#undef OPT

typedef struct {
    reason_data_options data;
    reason_server_options servers;
    reason_ask_options ask;
    reason_run_options run;
    reason_talk_options talk;
} reason_flags;

int cmd_reason_run(int argc, char **argv);
int cmd_reason_verify(int argc, char **argv);
extern const opt_set reason_verify_set;

/* reason_keys.c: data sets by key. */
int cli_reason_list(const reason_data_options *o);                     /* exit status */
int cli_reason_info(const opt_set *set, const reason_data_options *o); /* exit status */
/* The path of --dataset, mill_free, and the fields of a key where the command line names none.
 * MILL_EINPUT: the file of a key is not there, with where to get it. */
mill_err cli_reason_dataset(char **path, reason_data_options *o, const opt_parsed *p);

/* What is beside the store in the folder of a run. */
typedef struct {
    json_t *json;        /* json_decref; the rest is borrowed from it */
    const char *dataset; /* path of the data */
    const char *output;
    const char *store;
    int nodes;
} reason_run_file;
mill_err cli_reason_run_read(reason_run_file *out, const char *folder);

/* reason_open.c: a run that is there, its stores read only.  RUN is its folder or its final file.
 */
typedef struct {
    reason_run_file file;
    int n; /* parts: one, or one for each machine */
    output_part *part;
    status_part *status; /* n, of the same stores */
    char **folder;       /* n */
    int64_t chains;
    reason_options options; /* reason_config_read, of part 0 */
    record_file *records;   /* cli_reason_open_records */
} reason_opened;
mill_err cli_reason_open_records(reason_opened *o); /* and the parts' data */
/*
 * A command whose one argument is RUN: the words are read into `values` (of set->size, `quiet` in
 * them), the run is opened, and `work` done; exit status.  `missing`: what the command line lacks,
 * NULL: nothing; NULL where nothing can be.
 */
int cli_reason_look(int argc, char **argv, const opt_set *set, void *values, const bool *quiet,
                    const char *(*missing)(const void *values),
                    mill_err (*work)(reason_opened *run, const void *values));

int cmd_reason_status(int argc, char **argv);
int cmd_reason_export(int argc, char **argv);
int cmd_reason_import(int argc, char **argv);
int cmd_reason_watch(int argc, char **argv);
extern const opt_set reason_status_set, reason_export_set, reason_import_set, reason_watch_set;

#endif
