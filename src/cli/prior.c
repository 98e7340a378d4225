/*
 * prior.c - `tabmill prior`: synthetic data sets for pre-training, into a folder.
 */
#include "cli/prior.h"

#include "base/cpu.h"
#include "base/log.h"
#include "base/option.h"
#include "base/text.h"
#include "rank/nvml.h"

#include <stdio.h>
#include <string.h>

#define OPT        OPT_ROW
#define OPT_STRUCT prior_config
const opt_row prior_rows[] = {
#include "prior/options.def"
    {0}};
#undef OPT_STRUCT
#define OPT_STRUCT prior_source
const opt_row prior_source_rows[] = {
#include "cli/prior_config.def"
    {0}};
#undef OPT_STRUCT
#define OPT_STRUCT prior_talk
const opt_row prior_talk_rows[] = {
#include "cli/prior_talk.def"
    {0}};
#undef OPT_STRUCT
#define OPT_STRUCT prior_options
static const opt_row rows[] = {
#include "cli/prior.def"
    {0}};

typedef struct {
    prior_options run;
    prior_source source;
    prior_config config;
    prior_talk talk;
} options;

static const opt_group groups[] = {
    {.title = "The run", .row = rows, .base = offsetof(options, run)},
    {.title = "The data sets", .row = prior_source_rows, .base = offsetof(options, source)},
    PRIOR_GROUP(offsetof(options, config)),
    {.title = "Everywhere", .row = prior_talk_rows, .base = offsetof(options, talk)},
};
/* What both this and generate-data are asked for. */
static const char *const refused[] = {"device",
                                      "priors are made on processor cores; see --num-gpus", NULL};
const opt_set prior_run_set = {
    .command = "prior",
    .usage = "prior -n N -o FOLDER [options]\n"
             "       tabmill prior show|stream|verify|export|stats ... (each with -h)",
    .about = "Make synthetic data sets for pre-training tabular in-context models.\n"
             "Data set i is a function of the options, the seed and i alone.",
    .group = groups,
    .n_groups = OPT_COUNT(groups),
    .size = sizeof(options),
    .refused = refused,
};

/* ---- the configuration ---- */

static size_t field_size(const opt_row *r)
{
    switch (r->kind) {
    case OPT_REAL:
        return sizeof(double);
    case OPT_BOOL:
        return sizeof(bool);
    case OPT_TEXT:
        return sizeof(const char *);
    default:
        return sizeof(int64_t);
    }
}

int cli_prior_name(const opt_set *set, const char *name)
{
    static const char *const nowhere[] = {"deterministic_tree_scm", "gmm_clusters_scm",
                                          "real_explicit_clusters_scm"};

    for (int i = 0; i < OPT_COUNT(nowhere); i++)
        if (!strcmp(name, nowhere[i]))
            return opt_usage_error(set, "--prior %s: no publication and no program defines it",
                                   name);
    return 0;
}

/* Takes the recipe, but leaves what the command line says. */
static int apply_recipe(prior_config *c, const opt_parsed *p, const char *recipe)
{
    prior_config made = prior_config_default();

    if (prior_recipe(&made, recipe)) return opt_usage_error(p->set, "--recipe: %s", mill_error());
    for (const opt_row *r = prior_rows; r->name; r++) {
        char *from = (char *)c + r->offset, *to = (char *)&made + r->offset;
        if (opt_is_given(p, from)) memcpy(to, from, field_size(r));
    }
    *c = made;
    return 0;
}

/* Options that others leave without effect; NULL: this is none, or acts. */
static const char *idle_because(const char *name, const prior_config *c)
{
    const struct {
        const char *names, *why;
        bool is_idle;
    } row[] = {
        {"log-seq replay-small", "without --min-seq", !c->min_seq},
        {"trivial-dataset-threshold", "without --remove-trivial-datasets",
         !c->remove_trivial_datasets},
        {"min-classes max-classes binary-half", "with --regression", c->regression},
        {"num-causes", "with --is-causal no", !strcmp(c->is_causal, "no")},
    };

    for (int i = 0; i < OPT_COUNT(row); i++)
        if (row[i].is_idle && option_is_for(row[i].names, name)) return row[i].why;
    return NULL;
}

static int check_used(const opt_parsed *p, const prior_config *c)
{
    const opt_group *g = NULL;
    const opt_row *r;

    for (int i = 0; (r = opt_row_at(p->set, i, &g)); i++) {
        if (g->row != prior_rows || !p->is_given[i]) continue;
        if (!option_is_for(r->value, c->prior))
            return opt_usage_error(p->set,
                                   "--%s does nothing with the prior %s: it is an option of %s",
                                   r->name, c->prior, r->value);
        const char *why = idle_because(r->name, c);
        if (why) return opt_usage_error(p->set, "--%s does nothing %s", r->name, why);
    }
    return 0;
}

int cli_prior_config(prior_config *c, const opt_parsed *p, const prior_source *source)
{
    int status = 0;

    if (source->recipe) status = apply_recipe(c, p, source->recipe);
    if (status || (status = cli_prior_name(p->set, c->prior))) return status;
    c->seed = (uint64_t)source->seed;
    if (prior_config_check(c)) return opt_usage_error(p->set, "%s", mill_error());
    return check_used(p, c);
}

/* ---- workers ---- */

static int count_gpus(char why[200])
{
    nvml *gpus;
    nvml_sample sample;
    int n = 0;

    *why = 0;
    if (nvml_open(&gpus)) {
        snprintf(why, 200, " (%s)", mill_error());
        return 0;
    }
    for (int i = 0; i < nvml_count(gpus); i++) {
        nvml_read(gpus, i, &sample);
        n += sample.cuda_index >= 0;
    }
    nvml_close(gpus);
    return n;
}

int cli_prior_workers(int *n, const opt_set *set, const char *nproc, int64_t num_gpus)
{
    int64_t asked;
    char why[200];

    *n = mill_cpu_count();
    if (nproc && !strcmp(nproc, "auto")) return 0;
    if (nproc) {
        if (!mill_parse_i64(&asked, nproc, strlen(nproc)) || asked < 1 || asked > 256)
            return opt_usage_error(set, "--nproc %s: auto, or 1 to 256", nproc);
        *n = (int)asked;
        return 0;
    }
    if (num_gpus == 0) return 0;
    const int gpus = count_gpus(why);
    if (num_gpus > gpus)
        return opt_usage_error(set, "--num-gpus %lld: this machine has %d that may be used%s",
                               (long long)num_gpus, gpus, why);
    if (num_gpus < 0 && !gpus) {
        cli_say("no GPU here%s: one worker for each of %d core%s", why, *n, mill_s(*n));
        return 0;
    }
    *n = num_gpus < 0 ? gpus : (int)num_gpus;
    cli_say("%d worker%s, one for each GPU asked for; they compute on processor cores, no GPU does",
            *n, mill_s(*n));
    return 0;
}

/* ---- the run ---- */

static void say_end(const prior_run_result *r, const prior_run_options *o)
{
    char size[32], now[64] = "";
    int64_t rejected = 0;

    for (int k = 0; k < PRIOR_N_REJECT; k++) rejected += r->rejected[k];
    if (r->made_now < r->made)
        snprintf(now, sizeof now, ", %lld of them made now,", (long long)r->made_now);
    cli_say(
        "%s: %lld data set%s, %s%s in %.1f s (%.0f a minute); %lld attempt%s rejected "
        "(%lld empty, %lld labels, %lld filter, %lld trivial)",
        o->dir, (long long)r->made, mill_s(r->made), mill_format_size(size, (double)r->bytes),
        *now ? now : ",", r->seconds, r->seconds > 0 ? 60 * (double)r->made_now / r->seconds : 0,
        (long long)rejected, mill_s(rejected), (long long)r->rejected[PRIOR_REJECT_EMPTY],
        (long long)r->rejected[PRIOR_REJECT_LABELS], (long long)r->rejected[PRIOR_REJECT_FILTER],
        (long long)r->rejected[PRIOR_REJECT_TRIVIAL]);
    if (r->disk_share > 0.5 && r->seconds > 1)
        cli_say("the disk was the limit: %.0f%% of the workers' time went into writing",
                100 * r->disk_share);
}

int cli_prior_run(prior_run_result *result, const opt_set *set, const prior_run_options *o)
{
    const int n = prior_run_workers(o);
    char size[32], fewer[64] = "";

    if (n < o->workers) snprintf(fewer, sizeof fewer, " for %d unit%s of the format", n, mill_s(n));
    cli_say("%lld data set%s of %s, %d worker%s%s, at most %s each", (long long)o->n, mill_s(o->n),
            o->config->prior, n, mill_s(n), fewer,
            mill_format_size(size, (double)prior_run_memory(o)));
    train_signals_install();
    fflush(NULL);
    const mill_err err = prior_run(result, o);
    if (err) cli_error(set);
    if (!err && !result->signal) {
        say_end(result, o);
        return 0;
    }
    if (result->seconds > 0) /* it had begun */
        mill_log(MILL_LOG_ERROR, "%s: %lld of %lld data sets are complete; --resume goes on",
                 o->dir, (long long)result->made, (long long)o->n);
    return err ? 1 : 128 + result->signal;
}

static int run(const opt_parsed *p, options *o)
{
    const prior_format *format = prior_format_find(o->run.format);
    prior_run_result result;
    int status, workers;

    if (!o->run.out_dir) return opt_usage_error(p->set, "--out-dir FOLDER is missing");
    if (o->run.n_datasets < 1) return opt_usage_error(p->set, "--n-datasets N is missing");
    if (!format) return opt_usage_error(p->set, "--format %s: shards, pt or npy", o->run.format);
    if (o->run.save_csv && format != &prior_npy)
        return opt_usage_error(p->set, "--save-csv goes with --format npy");
    if ((status = cli_prior_config(&o->config, p, &o->source))) return status;
    cli_talk(p->set, o->talk.quiet);
    status = cli_prior_workers(&workers, p->set, o->run.nproc, o->run.num_gpus);
    if (status) return status;
    const prior_run_options run = {
        .config = &o->config,
        .format = format,
        .dir = o->run.out_dir,
        .first = o->run.start_index,
        .n = o->run.n_datasets,
        .csv = o->run.save_csv,
        .inner = o->run.inner_bsz,
        .workers = workers,
        .resume = o->run.resume,
        .quiet = o->talk.quiet,
        .memory_limit = o->run.memory_limit,
        .version = MILL_VERSION,
    };
    return cli_prior_run(&result, p->set, &run);
}

static const cli_verb verbs[] = {
    {"show", cmd_prior_show},     {"stream", cmd_prior_stream}, {"verify", cmd_prior_verify},
    {"export", cmd_prior_export}, {"stats", cmd_prior_stats},
};

int cmd_prior(int argc, char **argv)
{
    options o;
    opt_parsed p;
    int status;

    if (cli_run_verb(&status, &prior_run_set, verbs, OPT_COUNT(verbs), argc, argv)) return status;
    if (opt_parse(&p, &status, &prior_run_set, &o, argc, argv) == OPT_STOP) return status;
    status = run(&p, &o);
    opt_free(&p);
    return status;
}
