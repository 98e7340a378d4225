/*
 * run.c - the run folder.
 *
 *     manifest.json   {"status":"running"|"finished","config":{..},"level":"v4","version":..}
 *                     and more facts of the caller
 *     metrics.jsonl   one JSON object a line, each step at most once, appended by single writes
 *     lock            held (file_lock) while a process trains in the folder; the system drops
 *                     it with the process
 *     step_*.mill, events.out.tfevents.*
 *
 * The manifest is written before all others but the lock, and stays when a folder is cleared, until
 * the new run writes its own.  So files of these names without a manifest of ours are not ours:
 * they are overwritten and removed with --force only.
 */
#include "train/run.h"

#include "base/cpu.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "train/checkpoint.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

static mill_err run_path(char path[PATH_SIZE], const train_options *o, const char *name)
{
    if (snprintf(path, PATH_SIZE, "%s/%s", o->run_dir, name) < PATH_SIZE) return MILL_OK;
    return mill_fail(MILL_EINPUT, "%.200s...: the path of the run folder is too long", o->run_dir);
}

/* Whether a run makes files of this name, besides manifest and lock. */
static bool is_of_runs(const char *name)
{
    return !strcmp(name, "metrics.jsonl") || !strcmp(name, "latest.mill") ||
           !strcmp(name, "best.mill") || !strncmp(name, "events.out.tfevents.", 20) ||
           checkpoint_step(name) >= 0;
}

/* A process that was killed in a write left the file's beginning under another name. */
static bool is_temporary(char *name)
{
    char *end = strrchr(name, '.');

    if (!end || strcmp(end, ".tmp") != 0) return false;
    *end = 0;
    const bool is_ours = is_of_runs(name) || !strcmp(name, "manifest.json");
    *end = '.';
    return is_ours;
}

static mill_err remove_temporaries(const train_options *o)
{
    char path[PATH_SIZE], **names;
    int n;
    mill_err err = MILL_OK;

    TRY(file_list(&names, &n, o->run_dir));
    for (int i = 0; i < n && !err; i++)
        if (is_temporary(names[i]) && !(err = run_path(path, o, names[i]))) err = file_remove(path);
    mill_free(names);
    return err;
}

static mill_err read_manifest(json_t **out, const train_options *o)
{
    char path[PATH_SIZE], *text;
    size_t len;
    json_error_t why;

    *out = NULL;
    TRY(run_path(path, o, "manifest.json"));
    if (!file_exists(path)) return MILL_OK;
    TRY(file_read_all(&text, &len, path));
    *out = json_loadb(text, len, 0, &why);
    mill_free(text);
    if (*out) return MILL_OK;
    return mill_fail(
        MILL_EINPUT,
        "%s:%d: %s; without it nothing can be resumed (--force without --resume starts over)", path,
        why.line, why.text);
}

/* What has the names of a run's files, and no manifest of a run beside it, is somebody's own. */
static mill_err check_ours(const train_options *o)
{
    const char *foreign = NULL;
    json_t *manifest;
    char **names;
    int n;

    if (o->force && !o->resume) return MILL_OK;
    TRY(read_manifest(&manifest, o));
    const bool is_ours = json_is_string(json_object_get(manifest, "status")) &&
                         json_is_string(json_object_get(manifest, "level"));
    json_decref(manifest);
    if (is_ours) return MILL_OK;
    TRY(file_list(&names, &n, o->run_dir));
    for (int i = 0; i < n && !foreign; i++)
        if (is_of_runs(names[i]) || !strcmp(names[i], "manifest.json")) foreign = names[i];
    const mill_err err =
        foreign ? mill_fail(MILL_EINPUT,
                            "%s: its %s is not of a run; --force without --resume starts one there "
                            "and overwrites it",
                            o->run_dir, foreign)
                : MILL_OK;
    mill_free(names);
    return err;
}

mill_err run_open(train_run *r, const train_options *o)
{
    char path[PATH_SIZE];

    *r = (train_run){.o = o, .lock = -1};
    TRY(file_mkdir(o->run_dir));
    TRY(check_ours(o));
    TRY(run_path(path, o, "lock"));
    const mill_err err = file_lock(&r->lock, path);
    if (err == MILL_EINPUT)
        return mill_fail(err, "%s: another process runs in this folder", o->run_dir);
    return err ? err : remove_temporaries(o);
}

void run_close(train_run *r)
{
    if (r->n_dropped)
        mill_log(MILL_LOG_WARN, "%s: %lld line%s of metrics could not be written", r->o->run_dir,
                 (long long)r->n_dropped, mill_s(r->n_dropped));
    file_close(r->metrics);
    if (r->lock >= 0) close(r->lock);
    r->metrics = NULL;
    r->lock = -1;
}

static void add_setting(mill_text *t, const json_t *value)
{
    char *text = NULL;

    if (value && mill_json_text(&text, value, JSON_ENCODE_ANY)) t->failed = true;
    text_add(t, "%s", text ? text : "not set");
    mill_free(text);
}

/* Appends "key was 1, is 2; " for every difference; objects are compared inside. */
static void add_differences(mill_text *t, const char *prefix, const json_t *was, const json_t *is)
{
    const char *key;
    const json_t *value;
    json_t *all = json_object();

    json_object_foreach((json_t *)is, key, value) json_object_set_new(all, key, json_null());
    json_object_foreach((json_t *)was, key, value) json_object_set_new(all, key, json_null());
    json_object_foreach(all, key, value)
    {
        const json_t *a = json_object_get(was, key), *b = json_object_get(is, key);

        if (json_equal(a, b)) continue;
        if (json_is_object(a) && json_is_object(b)) {
            mill_text inner = {0};
            text_add(&inner, "%s%s.", prefix, key);
            add_differences(t, inner.s ? inner.s : "", a, b);
            text_free(&inner);
            continue;
        }
        text_add(t, "%s%s%s was ", t->len ? "; " : "", prefix, key);
        add_setting(t, a);
        text_add(t, ", is ");
        add_setting(t, b);
    }
    json_decref(all);
}

/* *differs: by options, and is gone on with all the same.  says: a word on that. */
static mill_err check_config(bool *differs, const train_options *o, const json_t *manifest,
                             bool says)
{
    const char *level = json_string_value(json_object_get(manifest, "level"));
    const char *version = json_string_value(json_object_get(manifest, "version"));
    const char *now = json_string_value(json_object_get(o->manifest, "version"));
    mill_text t = {0};
    mill_err err = MILL_OK;

    if (level && strcmp(level, mill_cpu_level_name()) != 0 && !o->allow_other_level)
        return mill_fail(
            MILL_EINPUT,
            "%s: the run began at processor level %s and this is %s, where the last bits differ; "
            "--allow-other-level goes on",
            o->run_dir, level, mill_cpu_level_name());
    if (says && version && now && strcmp(version, now) != 0)
        mill_log(MILL_LOG_WARN, "%s: the run began with version %s and this is %s", o->run_dir,
                 version, now);
    add_differences(&t, "", json_object_get(manifest, "config"), o->config);
    *differs = t.len > 0;
    if (t.failed)
        err = text_check(&t);
    else if (t.len && o->force && says)
        mill_log(MILL_LOG_WARN, "%s: going on with another configuration: %s", o->run_dir, t.s);
    else if (t.len && !o->force)
        err = mill_fail(MILL_EINPUT,
                        "%s: a run of another configuration: %s (--force goes on all the same)",
                        o->run_dir, t.s);
    text_free(&t);
    return err;
}

/* A finished run of another configuration is one to go on with. */
static mill_err read_state(train_run_status *status, const train_options *o, bool says)
{
    json_t *manifest;
    bool differs = false;

    *status = TRAIN_RUN_NONE;
    TRY(read_manifest(&manifest, o));
    if (!manifest) return MILL_OK;
    const char *s = json_string_value(json_object_get(manifest, "status"));
    const bool is_finished = s && !strcmp(s, "finished");
    const mill_err err = check_config(&differs, o, manifest, says);
    *status = is_finished && !differs ? TRAIN_RUN_FINISHED : TRAIN_RUN_STARTED;
    json_decref(manifest);
    return err;
}

/* n: checkpoints there. */
static mill_err check_checkpoints(int *n, const train_options *o)
{
    int64_t newest;

    TRY(checkpoint_count(n, &newest, o->run_dir));
    if (!*n || o->resume || o->force) return MILL_OK;
    return mill_fail(
        MILL_EINPUT,
        "%s: holds a run with a checkpoint of step %lld: --resume goes on, --force starts over",
        o->run_dir, (long long)newest);
}

mill_err train_run_state(train_run_status *status, const train_options *o)
{
    train_run r;
    int n;

    *status = TRAIN_RUN_NONE;
    if (!file_exists(o->run_dir)) return MILL_OK;
    mill_err err = run_open(&r, o);
    if (!err) err = check_checkpoints(&n, o);
    if (!err && o->resume) err = read_state(status, o, !n); /* else the loop says it */
    run_close(&r);
    return err;
}

mill_err run_check(bool *resume, const train_options *o)
{
    train_run_status status = TRAIN_RUN_NONE;
    int n;

    *resume = false;
    TRY(check_checkpoints(&n, o));
    if (!o->resume) return MILL_OK;
    if (n) TRY(read_state(&status, o, true));
    *resume = status != TRAIN_RUN_NONE;
    if (!*resume)
        mill_log(MILL_LOG_INFO, "%s: nothing to resume, starting from the beginning", o->run_dir);
    return MILL_OK;
}

mill_err run_clear(const train_options *o)
{
    char path[PATH_SIZE], **names;
    int n;
    mill_err err = MILL_OK;

    TRY(checkpoint_remove_all(o->run_dir));
    TRY(file_list(&names, &n, o->run_dir));
    for (int i = 0; i < n && !err; i++)
        if (is_of_runs(names[i]) && !(err = run_path(path, o, names[i]))) err = file_remove(path);
    mill_free(names);
    return err;
}

mill_err run_write_manifest(const train_options *o, const char *status)
{
    char path[PATH_SIZE], *text;
    json_t *m = json_object();

    if (o->manifest) json_object_update(m, (json_t *)o->manifest);
    json_object_set_new(m, "status", json_string(status));
    json_object_set_new(m, "level", json_string(mill_cpu_level_name()));
    if (o->config) json_object_set(m, "config", (json_t *)o->config);
    mill_err err = mill_json_text(&text, m, JSON_INDENT(2) | JSON_SORT_KEYS);
    json_decref(m);
    TRY(err);
    err = run_path(path, o, "manifest.json");
    if (!err) {
        mill_text line = {0};
        text_add(&line, "%s\n", text);
        err = text_check(&line);
        if (!err) err = file_write_all(path, line.s, line.len);
        text_free(&line);
    }
    mill_free(text);
    return err;
}

/* Bytes of `text` that are whole lines of steps up to `step`.  Steps ascend, so the first later
 * line ends them. */
static size_t lines_until(const char *text, size_t len, int64_t step)
{
    size_t at = 0;

    while (at < len) {
        const char *end = memchr(text + at, '\n', len - at);
        if (!end) break;
        json_t *line = json_loadb(text + at, (size_t)(end - text) - at, 0, NULL);
        const json_t *number = json_object_get(line, "step");
        const bool is_kept = json_is_integer(number) && json_integer_value(number) <= step;
        json_decref(line);
        if (!is_kept) break;
        at = (size_t)(end - text) + 1;
    }
    return at;
}

mill_err run_cut_metrics(train_run *r, int64_t step)
{
    char path[PATH_SIZE], *text;
    size_t len;
    mill_err err = MILL_OK;

    r->step = step;
    TRY(run_path(path, r->o, "metrics.jsonl"));
    if (!file_exists(path)) return MILL_OK;
    TRY(file_read_all(&text, &len, path));
    const size_t kept = lines_until(text, len, step);
    if (kept < len) err = file_write_all(path, text, kept);
    mill_free(text);
    return err;
}

static mill_err append(train_run *r, const char *line, size_t len)
{
    if (!r->metrics) {
        char path[PATH_SIZE];
        TRY(run_path(path, r->o, "metrics.jsonl"));
        TRY(run_cut_metrics(r, r->step)); /* a line torn by an earlier failure goes */
        TRY(file_open_append(&r->metrics, path));
    }
    TRY(file_write(r->metrics, line, len));
    return file_flush(r->metrics);
}

void run_add_metrics(train_run *r, int64_t step, const char *line, size_t len)
{
    if (append(r, line, len) == MILL_OK) {
        r->step = step;
        return;
    }
    if (!r->n_dropped++)
        mill_log(MILL_LOG_WARN, "%s: training goes on without this line of metrics", mill_error());
    file_close(r->metrics);
    r->metrics = NULL;
}

mill_err train_run_finish(const train_options *o)
{
    TRY(run_write_manifest(o, "finished"));
    return o->keep_after ? MILL_OK : checkpoint_remove_all(o->run_dir);
}
