/*
 * generate_data.c - `tabmill generate-data`: the command line of generate_data.py.
 *
 * Its options with its defaults, in terms of a run of `prior`: pairs of .npy files, ids from 1, a
 * log, and its last two lines.  What its priors that are defined nowhere would take is refused by
 * name.  Rows are shared by blocks of 256 data sets, as its inner batch has them; --inner-bsz
 * bounds memory and changes no byte.
 */
#include "cli/prior.h"

#include "base/log.h"
#include "base/option.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

enum { BLOCK = 256, GROUP = 4 };

#define OPT OPT_FIELD
/* In the order of the help text. */
typedef struct { /* NOLINT(clang-analyzer-optin.performance.Padding) */
#include "cli/generate_data.def"
} flags;
#undef OPT
typedef struct {
    flags data;
    prior_talk talk;
} options;

#define OPT        OPT_ROW
#define OPT_STRUCT flags
static const opt_row rows[] = {
#include "cli/generate_data.def"
    {0}};

static const opt_group groups[] = {
    {.title = "Options", .row = rows, .base = offsetof(options, data)},
    {.title = "Everywhere", .row = prior_talk_rows, .base = offsetof(options, talk)},
};

#define NOWHERE(option, prior) \
    option, "an option of " prior ", which no publication and no program defines"
#define TREES    "deterministic_tree_scm"
#define CLUSTERS "gmm_clusters_scm and real_explicit_clusters_scm"
static const char *const refused[] = {NOWHERE("min-swap-prob", TREES),
                                      NOWHERE("max-swap-prob", TREES),
                                      NOWHERE("transform-type", TREES),
                                      NOWHERE("noise-type", TREES),
                                      NOWHERE("n-estimators", TREES),
                                      NOWHERE("max-depth", TREES),
                                      NOWHERE("label-noise", TREES),
                                      NOWHERE("class-separability", CLUSTERS),
                                      NOWHERE("separation-strength", CLUSTERS),
                                      NOWHERE("balance-strength", CLUSTERS),
                                      NOWHERE("cluster-separation", CLUSTERS),
                                      NOWHERE("within-cluster-std", CLUSTERS),
                                      NULL};
const opt_set generate_data_set = {
    .command = "generate-data",
    .usage = "generate-data --n_datasets N --out_dir FOLDER [options]",
    .about = "Make data sets as generate_data.py does: episode_%06d_X.npy and _y.npy.\n"
             "_ and - are the same in all options.  tabmill prior has all options and formats.",
    .group = groups,
    .n_groups = OPT_COUNT(groups),
    .size = sizeof(options),
    .refused = refused,
};

/* ---- the log ---- */

static const char *const levels[] = {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"};

static int level_of(const char *name)
{
    for (int k = 0; k < OPT_COUNT(levels); k++)
        if (!strcmp(levels[k], name)) return k;
    return -1;
}

/* "2026-11-21 17:00:00,123 - INFO - words"; a log that cannot be written stops nothing. */
static void note(const options *o, int level, const char *fmt, ...)
{
    char path[PRIOR_PATH], words[1024], when[40];
    struct timeval now;
    struct tm local;
    mill_file *f;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    if (level < level_of(o->data.log_level)) return;
    gettimeofday(&now, NULL);
    strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", localtime_r(&now.tv_sec, &local));
    if (prior_path(path, o->data.out_dir, "generate_data.log") || file_open_append(&f, path)) {
        mill_log(MILL_LOG_WARN, "%s", mill_error());
        return;
    }
    if (file_printf(f, "%s,%03d - %s - %s\n", when, (int)(now.tv_usec / 1000), levels[level],
                    words) ||
        file_flush(f))
        mill_log(MILL_LOG_WARN, "%s", mill_error());
    file_close(f);
}

/* ---- the options in terms of a prior ---- */

static const char *choice(const opt_parsed *p, const bool *value)
{
    return !opt_is_given(p, value) ? "drawn" : *value ? "yes" : "no";
}

static int check_names(const opt_parsed *p, const flags *f)
{
    static const char *const priors[] = {"mlp_scm", "tree_scm", "mix_scm", "dummy"};
    bool is_known = false;
    int status;

    if ((status = cli_prior_name(p->set, f->prior))) return status;
    for (int k = 0; k < OPT_COUNT(priors); k++) is_known |= !strcmp(f->prior, priors[k]);
    if (!is_known)
        return opt_usage_error(p->set, "--prior %s: mlp_scm, tree_scm, mix_scm or dummy", f->prior);
    if (strcmp(f->assigner_type, "rank") != 0 && strcmp(f->assigner_type, "value") != 0)
        return opt_usage_error(p->set,
                               "--assigner_type %s: rank or value; no publication and no program "
                               "defines another",
                               f->assigner_type);
    if (level_of(f->log_level) < 0)
        return opt_usage_error(p->set, "--log_level %s: DEBUG, INFO, WARNING, ERROR or CRITICAL",
                               f->log_level);
    if (f->no_causal && opt_is_given(p, &f->is_causal) && f->is_causal)
        return opt_usage_error(p->set, "--is_causal and --no_causal contradict each other");
    return 0;
}

static prior_config make_config(const opt_parsed *p, const flags *f)
{
    const bool is_dummy = !strcmp(f->prior, "dummy"), is_tree = !strcmp(f->prior, "tree_scm");
    const bool has_ratio =
        opt_is_given(p, &f->min_imbalance_ratio) || opt_is_given(p, &f->max_imbalance_ratio);
    prior_config c = prior_config_default();

    c.prior = f->prior;
    c.batch_size = BLOCK;
    c.batch_size_per_gp = GROUP;
    c.min_features = is_dummy ? c.min_features : f->min_features;
    c.max_features = f->max_features;
    c.min_seq = f->min_seq;
    c.max_seq = f->max_seq;
    c.log_seq = f->log_seq;
    c.min_classes = f->min_classes;
    c.max_classes = f->max_classes;
    c.seed = (uint64_t)f->seed;
    if (has_ratio) {
        c.min_imbalance_ratio = f->min_imbalance_ratio;
        c.max_imbalance_ratio = f->max_imbalance_ratio;
    }
    if (is_dummy) return c;
    c.replay_small = f->replay_small;
    c.seq_len_per_gp = f->seq_len_per_gp;
    c.assigner_type = f->assigner_type;
    c.noise_std = f->noise_std;
    c.pre_sample_noise_std = choice(p, &f->pre_sample_noise_std);
    if (is_tree) return c;
    c.is_causal = f->no_causal ? "no" : choice(p, &f->is_causal);
    c.y_is_effect = choice(p, &f->y_is_effect);
    c.in_clique = choice(p, &f->in_clique);
    c.num_layers = f->num_layers;
    c.num_causes = f->num_causes;
    return c;
}

/* An option that the prior does not have does nothing: refused. */
static int check_used(const opt_parsed *p, const char *prior)
{
    const opt_group *g = NULL;
    const opt_row *r;

    for (int i = 0; (r = opt_row_at(p->set, i, &g)); i++) {
        const char *name = strcmp(r->name, "no-causal") ? r->name : "is-causal";
        const char *who = prior_option_who(name);
        if (!p->is_given[i] || !who || option_is_for(who, prior)) continue;
        return opt_usage_error(p->set, "--%s does nothing with the prior %s: it is an option of %s",
                               r->name, prior, who);
    }
    return 0;
}

/* ---- the run ---- */

static int finish(const options *o, const prior_run_result *r, int status)
{
    char average[80];

    if (status) {
        note(o, 3, "Stopped: %lld of %lld datasets are complete", (long long)r->made,
             (long long)o->data.n_datasets);
        return status;
    }
    snprintf(average, sizeof average, "Average time per dataset: %.4f seconds",
             r->made_now ? r->seconds / (double)r->made_now : 0);
    cli_say("Finished generating %lld datasets in %.2f seconds", (long long)r->made_now,
            r->seconds);
    cli_say("%s", average);
    note(o, 1, "Finished generating %lld datasets in %.2f seconds", (long long)r->made_now,
         r->seconds);
    note(o, 1, "%s", average);
    return 0;
}

static int run(const opt_parsed *p, options *o)
{
    const flags *f = &o->data;
    prior_run_result result;
    int workers, status;

    if (!f->out_dir) return opt_usage_error(p->set, "--out_dir FOLDER is missing");
    if (f->n_datasets < 1) return opt_usage_error(p->set, "--n_datasets N is missing");
    if ((status = check_names(p, f)) || (status = check_used(p, f->prior))) return status;
    const prior_config config = make_config(p, f);
    if (prior_config_check(&config)) return opt_usage_error(p->set, "%s", mill_error());
    cli_talk(p->set, o->talk.quiet);
    if (opt_is_given(p, &f->master_port))
        cli_say("--master_port %s: no port is used, workers share memory", f->master_port);
    if ((status = cli_prior_workers(&workers, p->set, f->nproc, f->num_gpus))) return status;
    const prior_run_options run = {
        .config = &config,
        .format = &prior_npy,
        .dir = f->out_dir,
        .n = f->n_datasets,
        .csv = f->save_csv,
        .inner = f->inner_bsz,
        .workers = workers,
        .resume = f->resume,
        .quiet = o->talk.quiet,
        .memory_limit = f->memory_limit,
        .version = MILL_VERSION,
    };
    if (file_mkdir(f->out_dir)) return cli_error(p->set);
    note(o, 1, "Generating %lld datasets of %s into %s with %d worker%s", (long long)f->n_datasets,
         f->prior, f->out_dir, prior_run_workers(&run), mill_s(prior_run_workers(&run)));
    return finish(o, &result, cli_prior_run(&result, p->set, &run));
}

int cmd_generate_data(int argc, char **argv)
{
    options o;
    opt_parsed p;
    int status;

    if (opt_parse(&p, &status, &generate_data_set, &o, argc, argv) == OPT_STOP) return status;
    status = run(&p, &o);
    opt_free(&p);
    return status;
}
