/*
 * reason_job.c - a run, its final file, and what is said of it; with several machines and no common
 * store, waiting for the others.
 *
 * A machine that is done writes FILE.run/node-R.done once its store is closed; machine 0 waits for
 * those of all others and folds their stores together, record by record in turn.
 */
#include "cli/reason_job.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "train/loop.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_REASONS = 8 };

reason_data reason_share(const reason_data *all, int64_t i, int64_t n)
{
    reason_data share = *all;

    share.first = all->first + i * all->stride;
    share.stride = all->stride * n;
    share.n = (all->n - i + n - 1) / n;
    return share;
}

static mill_err path_in(char **out, const char *folder, const char *name)
{
    mill_text t = {0};

    text_add(&t, "%s/%s", folder, name);
    *out = t.s;
    return text_check(&t);
}

static bool is_shared_run(const reason_job *job)
{
    return !job->flags->run.store && job->flags->run.num_nodes > 1;
}

/* FILE.run/node-R.done */
static mill_err done_path(char **out, const reason_job *job, int64_t node)
{
    mill_text t = {0};

    text_add(&t, "%s.run/node-%lld.done", job->flags->run.output, (long long)node);
    *out = t.s;
    return text_check(&t);
}

/* ---- the folder ---- */

static mill_err remove_old(const reason_job *job)
{
    static const char *const names[] = {"metrics.jsonl", "manifest.json", "failed.jsonl"};

    for (int i = 0; i < OPT_COUNT(names); i++) {
        char *path;
        TRY(path_in(&path, job->folder, names[i]));
        const mill_err err = file_remove(path);
        mill_free(path);
        if (err) return err;
    }
    return MILL_OK;
}

/* For its owner's eyes: the store's URL may have a password. */
static mill_err write_run_file(const reason_job *job)
{
    const reason_run_options *r = &job->flags->run;
    char full[PATH_MAX], *path;
    json_error_t why;
    json_t *o = json_pack_ex(&why, 0, "{s:s,s:s,s:s,s:s?,s:I,s:I}", "version", MILL_VERSION,
                             "dataset", realpath(job->path, full) ? full : job->path, "output",
                             r->output, "store", r->store ? job->store : NULL, "num_nodes",
                             (json_int_t)r->num_nodes, "node_rank", (json_int_t)r->node_rank);
    char *text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;

    json_decref(o);
    if (!o && json_error_code(&why) == json_error_invalid_utf8)
        return mill_fail(MILL_EINPUT, "%s, %s: a path that is not UTF-8: run.json cannot name it",
                         job->path, r->output);
    if (!text) return mill_fail(MILL_ENOMEM, "no memory for the run's description");
    mill_err err = path_in(&path, job->folder, "run.json");
    const mode_t mask = umask(S_IRWXG | S_IRWXO);
    if (!err) err = file_write_all(path, text, strlen(text));
    umask(mask);
    mill_free(path);
    free(text);
    return err;
}

mill_err cli_reason_run_read(reason_run_file *out, const char *folder)
{
    char *path, *text;
    size_t n;
    json_error_t why;
    reason_run_file f = {0};

    TRY(path_in(&path, folder, "run.json"));
    mill_err err = file_read_all(&text, &n, path);
    mill_free(path);
    if (err) return mill_fail(err, "%s: not the folder of a run: there is no run.json", folder);
    f.json = json_loadb(text, n, 0, &why);
    mill_free(text);
    f.store = json_string_value(json_object_get(f.json, "store")); /* null: none */
    if (json_unpack(f.json, "{s:s,s:s,s:i}", "dataset", &f.dataset, "output", &f.output,
                    "num_nodes", &f.nodes)) {
        json_decref(f.json);
        return mill_fail(MILL_EINPUT, "%s/run.json: not the description of a run", folder);
    }
    *out = f;
    return MILL_OK;
}

static mill_err prepare(const reason_job *job)
{
    const reason_run_options *r = &job->flags->run;

    if (!r->resume) TRY(data_check_ids(&job->data));
    if (!r->store && (r->master_addr || r->master_port))
        cli_say("--master-addr and --master-port are of --store; without it machines meet in "
                "%s.run",
                r->output);
    return file_mkdir(job->folder);
}

/* The store is this run's, so its folder is: reason_options.opened. */
static mill_err take_folder(void *ctx)
{
    const reason_job *job = ctx;
    char *done;

    if (job->options.force) TRY(remove_old(job));
    if (is_shared_run(job)) {
        TRY(done_path(&done, job, job->flags->run.node_rank));
        const mill_err err = file_remove(done);
        mill_free(done);
        if (err) return err;
    }
    return write_run_file(job);
}

/* ---- the final file ---- */

static void say_summary(const output_summary *s, const results_counts *c, const json_t *reasons,
                        const char *path)
{
    int64_t rows = 0, truncated = 0, in = 0, out = 0;
    const char *reason;
    json_t *n;
    int shown = 0;

    for (int k = 0; k < N_STAGE; k++) {
        rows += c->rows[k];
        truncated += c->truncated[k];
        in += c->prompt_tokens[k];
        out += c->completion_tokens[k];
    }
    const int64_t chains = s->good + s->weak + s->failed;
    cli_say("%s: %lld in = %lld good + %lld to improve + %lld failed", path, (long long)chains,
            (long long)s->good, (long long)s->weak, (long long)s->failed);
    cli_say("%lld responses, %lld tokens in and %lld out; %.1f%% hit the cap of tokens",
            (long long)rows, (long long)in, (long long)out,
            rows ? 100 * (double)truncated / (double)rows : 0);
    json_object_foreach((json_t *)reasons, reason, n)
    {
        if (shown++ < MOST_REASONS)
            cli_say("failed %lld: %s", (long long)json_integer_value(n), reason);
    }
}

static mill_err write_output(const reason_job *job, const output_part *part, int n_parts,
                             const results_counts *counts, const json_t *reasons,
                             const json_t *config)
{
    output_summary summary;
    char *failed;

    TRY(path_in(&failed, job->folder, "failed.jsonl"));
    const output_options o = {.run = &job->options,
                              .part = part,
                              .n_parts = n_parts,
                              .path = job->flags->run.output,
                              .failed = failed};
    mill_err err = output_write(&summary, &o);
    if (!err) err = output_manifest(job->folder, &o, &summary, counts, reasons, config);
    if (!err) say_summary(&summary, counts, reasons, o.path);
    if (!err && summary.failed)
        cli_say("%s has the %lld record%s that failed, to be run again", failed,
                (long long)summary.failed_records, mill_s(summary.failed_records));
    mill_free(failed);
    return err;
}

/* ---- several machines ---- */

static mill_err say_done(const reason_job *job, const char *text)
{
    char *path;

    TRY(done_path(&path, job, job->flags->run.node_rank));
    const mill_err err = file_write_all(path, text, strlen(text));
    mill_free(path);
    return err;
}

static mill_err wait_for(const reason_job *job, int64_t node, double began)
{
    const reason_run_options *r = &job->flags->run;
    bool is_there = false, has_said = false;
    char *path;

    TRY(done_path(&path, job, node));
    while (!(is_there = file_exists(path)) && !train_signal_received() &&
           http_now() - began < r->node_timeout) {
        if (!has_said) cli_say("waiting for machine %lld", (long long)node);
        has_said = true;
        usleep(200000);
    }
    mill_free(path);
    if (is_there || train_signal_received()) return MILL_OK;
    return mill_fail(
        MILL_EINPUT,
        "machine %lld has not finished after %g s; what is done is kept, --resume waits "
        "again",
        (long long)node, r->node_timeout);
}

static void add_counts(results_counts *sum, const results_counts *c)
{
    for (int i = 0; i < N_STAGE; i++) {
        sum->rows[i] += c->rows[i];
        sum->truncated[i] += c->truncated[i];
        sum->prompt_tokens[i] += c->prompt_tokens[i];
        sum->completion_tokens[i] += c->completion_tokens[i];
    }
}

static void add_reasons(json_t *sum, const json_t *more)
{
    const char *reason;
    json_t *n;

    json_object_foreach((json_t *)more, reason, n)
    {
        const json_int_t before = json_integer_value(json_object_get(sum, reason));
        json_object_set_new(sum, reason, json_integer(before + json_integer_value(n)));
    }
}

/* The two are of one run, but for which records. */
static bool is_same_run(const json_t *a, const json_t *b)
{
    json_t *x = json_copy((json_t *)a), *y = json_copy((json_t *)b);

    json_object_del(x, "first_record"), json_object_del(y, "first_record");
    json_object_del(x, "records"), json_object_del(y, "records");
    const bool same = json_equal(x, y);
    json_decref(x);
    json_decref(y);
    return same;
}

static mill_err open_part(output_part *part, const reason_job *job, int64_t node,
                          reason_result *result)
{
    results_counts counts;
    json_t *reasons = NULL;
    mill_text path = {0};

    text_add(&path, "%s.run/node-%lld/" RESULTS_FILE, job->flags->run.output, (long long)node);
    TRY(text_check(&path));
    mill_err err =
        results_open(&part->store, &(results_options){.where = path.s, .read_only = true});
    text_free(&path);
    if (err) return err;
    part->data = reason_share(&job->all, node, job->flags->run.num_nodes);
    if (!is_same_run(result->config, results_config(part->store)))
        return mill_fail(MILL_EINPUT, "machine %lld ran with another configuration",
                         (long long)node);
    TRY(results_count(part->store, &counts));
    TRY(results_reasons(part->store, &reasons));
    add_counts(&result->counts, &counts);
    add_reasons(result->reasons, reasons);
    json_decref(reasons);
    return MILL_OK;
}

/* Machine 0: the others' stores and its own into one file. */
static mill_err merge(const reason_job *job, reason_result *result)
{
    const int n = (int)job->flags->run.num_nodes;
    const double began = http_now();
    output_part *part = mill_alloc((size_t)n, sizeof *part);
    mill_err err = part ? MILL_OK : MILL_ENOMEM;

    if (!err) part[0] = (output_part){result->store, job->data};
    for (int i = 1; i < n && !err; i++) err = wait_for(job, i, began);
    for (int i = 1; i < n && !err && !train_signal_received(); i++)
        err = open_part(&part[i], job, i, result);
    if (!err && !train_signal_received())
        err = write_output(job, part, n, &result->counts, result->reasons, result->config);
    for (int i = 1; i < n && part; i++) results_close(part[i].store);
    mill_free(part);
    return err;
}

/* ---- all of it ---- */

static mill_err finish(const reason_job *job, reason_result *result)
{
    const output_part part = {result->store, job->data};
    const bool is_follower = is_shared_run(job) && job->flags->run.node_rank;

    if (is_follower) {
        results_close(result->store);
        result->store = NULL;
        cli_say("machine %lld is done; machine 0 writes the final file",
                (long long)job->flags->run.node_rank);
        return say_done(job, "done\n");
    }
    if (is_shared_run(job)) return merge(job, result);
    if (!result->writes) {
        cli_say("another machine writes the final file");
        return MILL_OK;
    }
    return write_output(job, &part, 1, &result->counts, result->reasons, result->config);
}

int cli_reason_job(reason_job *job, const opt_set *set)
{
    reason_result result = {0};

    job->options.opened = take_folder;
    job->options.ctx = job;
    train_signals_install();
    mill_err err = prepare(job);
    if (!err) err = reason_run(&result, &job->options);
    if (!err && !result.signal) err = finish(job, &result);
    int status = err ? cli_error(set) : cli_exit_status();
    if (!err && result.signal) {
        cli_say("interrupted: what has come is kept, --resume goes on");
        status = 128 + result.signal;
    }
    results_close(result.store);
    json_decref(result.reasons);
    json_decref(result.config);
    return status;
}
