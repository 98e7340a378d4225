/*
 * prior.h - what the commands of `tabmill prior` share: the options of a configuration, workers.
 *
 *     tabmill prior [options]           cli/prior.c
 *     tabmill prior show ...            prior_show.c
 *     tabmill prior stream ...          prior_stream.c
 *     tabmill prior verify|export|stats DIR   prior_verify.c
 *     tabmill generate-data ...         generate_data.c
 */
#ifndef MILL_CLI_PRIOR_H
#define MILL_CLI_PRIOR_H

#include "cli/cli.h"
#include "prior/run.h"

#define OPT OPT_FIELD
typedef struct {
#include "cli/prior.def"
} prior_options;
typedef struct {
#include "cli/prior_config.def"
} prior_source;
typedef struct {
#include "cli/prior_talk.def"
} prior_talk;
#undef OPT

extern const opt_row prior_rows[]; /* prior/options.def */
extern const opt_row prior_source_rows[], prior_talk_rows[];

/* The group whose rows are the prior's own options; their values lie in a prior_config at `base`.
 */
#define PRIOR_GROUP(at)                                                               \
    {                                                                                 \
        .title = "The prior, and the priors that have the option", .row = prior_rows, \
        .base = (at), .names_methods = true                                           \
    }

/* Recipe and seed into c, whose options were parsed as `p`; options of another prior and what does
 * not fit together are refused.  0, or exit status 2. */
int cli_prior_config(prior_config *c, const opt_parsed *p, const prior_source *source);
/* Refuses the priors that a public program names and nothing defines.  0, or exit status 2. */
int cli_prior_name(const opt_set *set, const char *name);
/* Workers by --nproc, else --num-gpus; `nproc` may be NULL.  0, or exit status 2. */
int cli_prior_workers(int *n, const opt_set *set, const char *nproc, int64_t num_gpus);
/* A run with a progress line and words about how it ended; the exit status. */
int cli_prior_run(prior_run_result *result, const opt_set *set, const prior_run_options *o);

int cmd_prior_show(int argc, char **argv);
int cmd_prior_stream(int argc, char **argv);
int cmd_prior_verify(int argc, char **argv);
int cmd_prior_export(int argc, char **argv);
int cmd_prior_stats(int argc, char **argv);

#endif
