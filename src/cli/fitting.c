/*
 * fitting.c - from a table to a trained model: what `fit` and `generate` share.
 *
 * Cheap refusals come first: flags, names, the output, then the table, its method, the
 * configuration and the folder of an earlier run, memory; only then training.
 *
 * As ranks, all read the table; rank 0 looks after the output and the run folder and leads the
 * training, the others follow it.
 */
#include "cli/ranks.h"

#include "base/cpu.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "train/team.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const fitting *f;
    fitted *out;
    mill_pool *pool;
    cli_input in;
    csv_options csv;
    mill_table *table;
    synth_schema *schema;
    const synth_method *method;
    json_t *config, *manifest;
    train_options train;
} work;

static const opt_set *set_of(const work *w)
{
    return w->f->p->set;
}

/* The run folder: as given, beside the output, or a passing one where the output is stdout. */
static mill_err name_files(work *w)
{
    const fitting *f = w->f;
    fitted *out = w->out;
    const bool is_stdout = !strcmp(f->output, "-");
    const char *tmp = getenv("TMPDIR");
    int n;

    out->run_is_temporary = is_stdout && !f->run->run_dir;
    if (f->run->run_dir)
        n = snprintf(out->run_dir, sizeof out->run_dir, "%s", f->run->run_dir);
    else if (!is_stdout)
        n = snprintf(out->run_dir, sizeof out->run_dir, "%s.run", f->output);
    else
        n = snprintf(out->run_dir, sizeof out->run_dir, "%s/tabmill-run-XXXXXX",
                     tmp && *tmp ? tmp : "/tmp");
    if (n >= (int)sizeof out->run_dir)
        return mill_fail(MILL_EINPUT, "the path of the run folder is too long");
    if (out->run_is_temporary && !mkdtemp(out->run_dir))
        return mill_fail(MILL_EIO, "%s: cannot create: %s", out->run_dir, strerror(errno));
    if (f->model_in_run || is_stdout)
        snprintf(out->model, sizeof out->model, "%s/model.mill", out->run_dir);
    else
        snprintf(out->model, sizeof out->model, "%s", f->output);
    return MILL_OK;
}

static bool is_follower(const work *w)
{
    return w->f->group && rank_of(w->f->group) > 0;
}

/* Whether the options of a method go together for so many ranks; 0 or 2. */
static int check_together(const fitting *f, const char *method, int world)
{
    synth_config c = *f->synth;
    mill_err err = MILL_OK;

    c.method = method;
    if (c.virtual_shards)
        err = rank_tree_check((int)c.virtual_shards, world);
    else if (world > 1)
        c.virtual_shards = world;
    if (!err) err = synth_config_check(&c);
    if (!err) return 0;
    return f->group && rank_of(f->group) ? 2 : opt_usage_error(f->p->set, "%s", mill_error());
}

/* Refusals before anything is read, or one of n ranks is started. */
static int check_flags(const fitting *f)
{
    const opt_set *set = f->p->set;
    const char *amp = f->synth->amp;
    int status;

    if ((status = cli_check_method(set, f->run->method))) return status;
    if ((status = cli_check_device(set, f->run->device))) return status;
    if (strcmp(f->run->method, "auto") != 0 && ((status = cli_check_used(f->p, f->run->method)) ||
                                                (status = check_together(f, f->run->method, 1))))
        return status;
    if (strcmp(amp, "off") != 0 && strcmp(amp, "bf16") != 0)
        return opt_usage_error(set, "--amp %s: neither off nor bf16", amp);
    if (!strcmp(amp, "bf16") && !mill_cpu_has_bf16())
        cli_say("--amp bf16: this processor has no bfloat16 products, so it will not be faster");
    if (f->synth->early_stop && !f->synth->probe_every)
        return opt_usage_error(set, "--early-stop needs probes: --probe-every is 0");
    if (f->synth->holdout_fraction > 0 && !f->synth->probe_every)
        return opt_usage_error(set, "--holdout-fraction is for probes: --probe-every is 0");
    if (strcmp(f->run->strategy, "data_parallel") != 0 &&
        strcmp(f->run->strategy, "data-parallel") != 0)
        return opt_usage_error(set, "--strategy %s: there is data_parallel", f->run->strategy);
    if (!strcmp(f->output, "-") && !f->run->run_dir && f->run->resume)
        return opt_usage_error(set, "--resume with the output on stdout needs --run-dir");
    if (!strcmp(f->output, "-") && !f->run->run_dir && opt_is_given(f->p, &f->run->keep))
        return opt_usage_error(set, "--keep with the output on stdout needs --run-dir");
    /* With --resume the output may be there: whether it is this run's is looked at when the
     * configuration is known. */
    if (cli_check_apart(f->output, f->input) ||
        cli_check_output(f->output, f->run->force || f->run->resume))
        return cli_error(set);
    return 0;
}

static mill_err read_table(work *w)
{
    const fitting *f = w->f;

    cli_csv_options(&w->csv, f->p, f->csv, f->columns);
    if (f->run->memory_limit) w->csv.memory_bytes = f->run->memory_limit / 2;
    TRY(cli_input_open(&w->in, f->input));
    TRY(mill_table_read(&w->table, w->in.path, &w->csv, w->pool));
    w->out->rows = w->table->rows;
    return MILL_OK;
}

/* A network's step on ranks is in parts: as many as there are ranks, unless the user says. */
static int choose_shards(work *w)
{
    synth_config *c = w->f->synth;
    const int world = w->f->group ? rank_world(w->f->group) : 1;

    const int status = check_together(w->f, c->method, world);

    if (status || synth_option_check("virtual-shards", c->method)) return status;
    if (world == 1 || c->virtual_shards) return 0;
    c->virtual_shards = world;
    cli_say("%d ranks make %d virtual shards: the batch normalisation of each is its own, so the "
            "model depends on their number; --virtual-shards V makes it the same for any",
            world, world);
    return 0;
}

static int choose_method(work *w)
{
    synth_config *c = w->f->synth;
    char why[256] = "";
    int status;

    if (synth_choose(&c->method, why, w->f->run->method, w->table)) return cli_error(set_of(w));
    c->seed = (uint64_t)w->f->run->seed;
    synth_config_settle(c, opt_is_given(w->f->p, &c->probe_every));
    if (*why && !strcmp(w->f->run->method, "auto")) cli_say("%s", why);
    if ((status = cli_check_used(w->f->p, c->method))) return status;
    w->method = synth_method_find(c->method);
    char ranks[32] = "";
    if (w->f->group)
        snprintf(ranks, sizeof ranks, "%d rank%s of ", rank_world(w->f->group),
                 mill_s(rank_world(w->f->group)));
    if ((status = choose_shards(w))) return status;
    cli_say("%s on %lld row%s, %d column%s; seed %llu, %s%d thread%s, %s (%s)", c->method,
            (long long)w->table->rows, mill_s(w->table->rows), w->table->n_cols,
            mill_s(w->table->n_cols), (unsigned long long)c->seed, ranks,
            mill_pool_threads(w->pool), mill_s(mill_pool_threads(w->pool)), mill_cpu_model(),
            mill_cpu_level_name());
    return 0;
}

/* A table was written whole or not at all; a model can be checked. */
static mill_err check_output_is_whole(const work *w)
{
    store *file;

    if (w->f->model_in_run) return MILL_OK;
    TRY(store_open(&file, w->f->output));
    store_close(file);
    return MILL_OK;
}

/* Other conditions mean other rows. */
static void add_where(json_t *config, const opt_list *where)
{
    json_t *list = json_array();

    for (int i = 0; where && i < where->n; i++)
        json_array_append_new(list, mill_json_path(where->item[i]));
    if (json_array_size(list)) json_object_set(config, "where", list);
    json_decref(list);
}

/* The configuration, and whether an earlier run in the folder already did the work. */
static mill_err look_at_run(work *w)
{
    const run_options *run = w->f->run;
    train_run_status status = TRAIN_RUN_NONE;
    const synth_config *c = w->f->synth;

    w->config = json_pack("{s:s,s:I,s:o}", "method", c->method, "seed", (json_int_t)c->seed,
                          "input", cli_config_file(&w->in));
    cli_config_options(w->config, set_of(w), c->method, c);
    cli_config_csv(w->config, &w->csv);
    if (w->f->rows) json_object_set_new(w->config, "n", json_integer(w->f->rows));
    add_where(w->config, w->f->where);
    w->manifest = json_pack("{s:s,s:o,s:i}", "version", MILL_VERSION, "input_path",
                            mill_json_path(w->in.path), "threads", mill_pool_threads(w->pool));
    w->train = (train_options){
        .run_dir = w->out->run_dir,
        .checkpoint_seconds = run->checkpoint_every,
        .keep = (int)run->keep,
        .keep_after = opt_is_given(w->f->p, &run->keep),
        .resume = run->resume,
        .force = run->force,
        .allow_other_level = run->allow_other_level,
        .early_stop = (int)w->f->synth->early_stop,
        .quiet = w->f->talk->quiet,
        .progress_fd = 2,
        .config = w->config,
        .manifest = w->manifest,
    };
    if (!w->out->run_is_temporary) TRY(cli_run_state(&status, &w->train));
    if (!w->train.resume || !strcmp(w->f->output, "-")) return MILL_OK;
    if (!file_exists(w->f->output) || status == TRAIN_RUN_STARTED) return MILL_OK;
    if (status == TRAIN_RUN_NONE && run->force) return MILL_OK;
    if (status == TRAIN_RUN_NONE)
        return mill_fail(MILL_EINPUT,
                         "%s: exists, and %s does not say of which run; --force starts over",
                         w->f->output, w->out->run_dir);
    TRY(check_output_is_whole(w));
    w->out->was_finished = true;
    cli_say("%s: this run is finished, there is nothing to do", w->f->output);
    return MILL_OK;
}

/* A condition on what follows the fit names a column and a value of the table. */
static mill_err check_where(const work *w)
{
    const opt_list *where = w->f->where;
    synth_where parsed;

    for (int i = 0; where && i < where->n; i++)
        TRY(synth_where_parse(&parsed, w->schema, where->item[i]));
    return MILL_OK;
}

static mill_err check_memory(const work *w)
{
    const int64_t limit = w->f->run->memory_limit;
    const int ranks = w->f->group ? rank_who(w->f->group)->local_world : 1;
    const int64_t now = mill_cpu_rss_bytes() + cli_library_bytes(w->method);
    int64_t fit_bytes, sample_bytes;
    char a[32], b[32];

    if (!limit) return MILL_OK;
    TRY(w->method->estimate(&fit_bytes, &sample_bytes, w->schema, w->f->synth,
                            mill_pool_threads(w->pool)));
    if (ranks * (now + fit_bytes) <= limit) return MILL_OK;
    const int64_t batch = cli_largest_batch(w->method, w->schema, w->f->synth,
                                            mill_pool_threads(w->pool), limit / ranks - now);
    mill_format_size(a, (double)(ranks * (now + fit_bytes)));
    mill_format_size(b, (double)limit);
    if (batch > 0)
        return mill_fail(MILL_EINPUT,
                         "the fit needs %s, over the limit of %s; a batch of %lld rows would fit",
                         a, b, (long long)batch);
    return mill_fail(MILL_EINPUT, "the fit needs %s, over the limit of %s, with any batch", a, b);
}

/* Rank 0's loop, with the others behind it. */
static mill_err lead(train_end *end, work *w, train_team *team)
{
    train_job job;

    team_lead(&job, team);
    TRY(train_loop(end, &job, &w->train));
    return team_end(team);
}

static mill_err train(work *w, void **fit)
{
    synth_config *c = w->f->synth;
    train_job job = {0};
    train_end end = TRAIN_DONE;

    TRY(w->method->fit_open(fit, w->table, w->schema, c, w->pool));
    mill_table_free(w->table);
    w->table = NULL;
    mill_mem_trim();
    w->method->fit_job(&job, *fit);
    w->train.probe_steps = job.probe ? c->probe_every * job.steps_per_epoch : 0;
    if (w->f->group) {
        train_team team = {.job = job,
                           .group = w->f->group,
                           .sync = w->method->fit_sync,
                           .collect = w->method->fit_collect};
        TRY(w->method->fit_share(*fit, w->f->group));
        TRY(is_follower(w) ? team_follow(&team) : lead(&end, w, &team));
    } else {
        TRY(train_loop(&end, &job, &w->train));
    }
    w->out->is_interrupted = end == TRAIN_INTERRUPTED;
    if (end == TRAIN_INTERRUPTED && !w->out->run_is_temporary)
        cli_say("the same command with --resume goes on");
    return MILL_OK;
}

static void close_work(work *w)
{
    mill_table_free(w->table);
    synth_schema_free(w->schema);
    json_decref(w->config);
    json_decref(w->manifest);
}

/* After all refusals. */
static mill_err train_and_write(work *w)
{
    void *fit = NULL;
    mill_err err = train(w, &fit);

    if (!err && !w->out->is_interrupted && !is_follower(w))
        err = synth_model_write(w->out->model, w->method, fit, w->schema, w->f->synth);
    if (fit) w->method->fit_close(fit);
    return err;
}

mill_err cli_fit_finish(const fitted *out, const fitting *f)
{
    const train_options o = {.run_dir = out->run_dir,
                             .keep_after = opt_is_given(f->p, &f->run->keep),
                             .config = out->config,
                             .manifest = out->manifest};

    return train_run_finish(&o);
}

static void fitted_deinit(fitted *f)
{
    if (f->run_is_temporary && file_remove_tree(f->run_dir)) cli_say("%s", mill_error());
    json_decref(f->config);
    json_decref(f->manifest);
    *f = (fitted){0};
}

static int fit_table(fitted *out, const fitting *f, mill_pool *pool)
{
    work w = {.f = f, .out = out, .pool = pool};
    int status = 0;

    *out = (fitted){0};
    if (!is_follower(&w) && name_files(&w)) return cli_error(set_of(&w));
    train_signals_install();
    if (cli_is_rank()) train_signals_of_rank();
    mill_err err = read_table(&w);
    if (!err && (status = choose_method(&w))) goto done;
    if (!err && !is_follower(&w)) err = look_at_run(&w);
    /* Whether there is anything to do is rank 0's to say, before a fit is shared. */
    if (!err && f->group)
        err = rank_broadcast(f->group, &out->was_finished, sizeof out->was_finished, 0);
    if (!err && !out->was_finished) {
        err = synth_schema_fit(&w.schema, w.table, w.f->synth);
        if (!err) err = check_where(&w);
        if (!err) err = check_memory(&w);
        if (!err && train_signal_received())
            out->is_interrupted = true; /* nothing to save yet */
        else if (!err)
            err = train_and_write(&w);
    }
    if (err)
        status = cli_error(set_of(&w));
    else if (out->is_interrupted)
        status = f->group ? STATUS_PREEMPTED : cli_exit_status();
    out->config = json_incref(w.config);
    out->manifest = json_incref(w.manifest);
done:
    close_work(&w);
    return status;
}

fitting cli_fitting(const opt_parsed *p, fit_options *o)
{
    return (fitting){
        .p = p,
        .run = &o->run,
        .synth = &o->synth,
        .csv = &o->csv,
        .columns = &o->columns,
        .talk = &o->talk,
        .input = o->files.input,
        .output = o->files.output,
    };
}

/* auto: as many as there are cores and a step has equal parts. */
static int fit_ranks(const fitting *f, int n)
{
    const int most = synth_most_ranks(f->synth, f->run->method, n);

    if (most < n)
        cli_say("--nproc auto: %d rank%s on %d cores, as a batch of %lld rows has no %d equal "
                "parts",
                most, mill_s(most), n, (long long)f->synth->batch_size, n);
    return most;
}

/* All ranks go on with rank 0's model, if it has a new one. */
static mill_err tell_model(bool *is_new, fitted *done, rank_group *g)
{
    TRY(rank_broadcast(g, is_new, sizeof *is_new, 0));
    return rank_broadcast(g, done->model, sizeof done->model, 0);
}

int cli_fit_and(fitting *f, int (*after)(const fitted *done, const fitting *f, mill_pool *pool))
{
    const opt_set *set = f->p->set;
    cli_ranks r;
    fitted done;
    int status, n;

    if (!f->input) return opt_usage_error(set, "-i TABLE is missing");
    if (!f->output)
        return opt_usage_error(set, "-o %s is missing", f->model_in_run ? "OUTPUT" : "MODEL");
    cli_talk(set, f->talk->quiet);
    if ((status = cli_ranks_count(&n, set, f->run->nproc)) || (status = check_flags(f)))
        return status;
    if (n > 1 && !strcmp(f->run->nproc, "auto")) n = fit_ranks(f, n);
    if (n > 1 && (status = check_together(f, f->run->method, n))) return status;
    if (!cli_ranks_start(&status, set, n, f->input)) return status;
    if (!(status = cli_ranks_meet(&r, set, f->talk))) {
        f->group = r.group;
        status = fit_table(&done, f, r.pool);
        bool is_new = !status && !done.was_finished && r.who.rank == 0;
        if (r.group && f->after_on_all && (!status || status == STATUS_PREEMPTED))
            status = tell_model(&is_new, &done, r.group) ? cli_error(set) : status;
        if (is_new) status = after(&done, f, r.pool);
        fitted_deinit(&done);
    }
    cli_ranks_part(&r, status && status != STATUS_PREEMPTED ? MILL_EINPUT : MILL_OK);
    return status;
}

/* What both name, they agree in. */
static bool agrees(const json_t *config, const json_t *options)
{
    const char *key;
    const json_t *value;

    json_object_foreach((json_t *)options, key, value)
    {
        const json_t *other = json_object_get(config, key);
        if (other && !json_equal(other, value)) return false;
    }
    return json_is_object(config);
}

json_t *cli_fit_manifest(const char *model, const json_t *options)
{
    char path[4096], *text = NULL;
    size_t len;
    json_t *manifest = NULL;

    if (snprintf(path, sizeof path, "%s.run/manifest.json", model) < (int)sizeof path &&
        file_exists(path) && !file_read_all(&text, &len, path))
        manifest = json_loadb(text, len, 0, NULL);
    mill_free(text);
    if (agrees(json_object_get(manifest, "config"), options)) return manifest;
    json_decref(manifest);
    return json_null();
}
