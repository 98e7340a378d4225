/*
 * checkpoint.c - write, find, load and rotate checkpoints.
 *
 * meta of the file: the job's own keys, and
 *
 *     "kind":"checkpoint",
 *     "loop":{"job","step","best_step","best_quality","since_best","mark","quality","ended",
 *             "early"}
 *
 * With early stop the best state is itself the checkpoint of its step.  A checkpoint whose best
 * state is missing or damaged cannot end in the same bytes, so it is passed over like a damaged
 * one.
 */
#include "train/checkpoint.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_SIZE = 4096 };

static mill_err step_path(char path[PATH_SIZE], const char *dir, int64_t step)
{
    if (snprintf(path, PATH_SIZE, "%s/step_%010lld.mill", dir, (long long)step) < PATH_SIZE)
        return MILL_OK;
    return mill_fail(MILL_EINPUT, "%.200s...: the path of the run folder is too long", dir);
}

int64_t checkpoint_step(const char *name)
{
    char *end;

    if (strncmp(name, "step_", 5) != 0 || name[5] < '0' || name[5] > '9') return -1;
    const long long step = strtoll(name + 5, &end, 10);
    return strcmp(end, ".mill") == 0 ? step : -1;
}

bool loop_state_probed(loop_state *s, double quality, double least_gain)
{
    const bool is_first = s->best_step < 0, is_number = isfinite(quality);
    const bool is_best = is_number && (is_first || quality > s->best_quality);
    const bool is_gain = is_number && (is_first || quality > s->mark + least_gain);

    s->quality = quality;
    s->since_best = is_gain ? 0 : s->since_best + 1;
    if (is_gain) s->mark = quality;
    if (is_best) {
        s->best_step = s->step;
        s->best_quality = quality;
    }
    return is_best;
}

static json_t *loop_json(const train_job *job, const loop_state *s)
{
    return json_pack("{s:s,s:I,s:I,s:o,s:I,s:f,s:o,s:b,s:b}", "job", job->name, "step",
                     (json_int_t)s->step, "best_step", (json_int_t)s->best_step, "best_quality",
                     s->best_step < 0 ? json_null() : json_real(s->best_quality), "since_best",
                     (json_int_t)s->since_best, "mark", s->mark, "quality",
                     isfinite(s->quality) ? json_real(s->quality) : json_null(), "ended",
                     s->is_ended, "early", s->stopped_early);
}

mill_err checkpoint_write(const char *dir, const train_job *job, const loop_state *s)
{
    char path[PATH_SIZE];
    store_writer *w = NULL;
    json_t *meta = NULL;
    mill_err err;

    TRY(step_path(path, dir, s->step));
    TRY(store_writer_new(&w));
    meta = json_pack("{s:s,s:o}", "kind", "checkpoint", "loop", loop_json(job, s));
    err = meta ? MILL_OK : mill_fail(MILL_ENOMEM, "out of memory for a checkpoint");
    if (!err) err = job->save(job->ctx, w, meta);
    if (!err) err = store_writer_commit(w, path, meta);
    json_decref(meta);
    store_writer_free(w);
    return err;
}

static mill_err read_loop(loop_state *s, const store *file, const char *path, const train_job *job)
{
    const json_t *loop = json_object_get(store_meta(file), "loop");
    const char *name = json_string_value(json_object_get(loop, "job"));
    const json_t *quality = json_object_get(loop, "quality");

    if (!name) return mill_fail(MILL_EINPUT, "%s: this is not a checkpoint", path);
    if (strcmp(name, job->name) != 0)
        return mill_fail(MILL_EINPUT, "%s: a checkpoint of %s, not of %s", path, name, job->name);
    *s = (loop_state){
        .step = json_integer_value(json_object_get(loop, "step")),
        .best_step = json_integer_value(json_object_get(loop, "best_step")),
        .best_quality = json_number_value(json_object_get(loop, "best_quality")),
        .since_best = json_integer_value(json_object_get(loop, "since_best")),
        .mark = json_number_value(
            json_object_get(loop, json_object_get(loop, "mark") ? "mark" : "best_quality")),
        .quality = json_is_number(quality) ? json_number_value(quality) : (double)NAN,
        .is_ended = json_is_true(json_object_get(loop, "ended")),
        .stopped_early = json_is_true(json_object_get(loop, "early")),
    };
    return MILL_OK;
}

/* MILL_OK if the file of this step can be read whole. */
static mill_err check_step(loop_state *s, const char *dir, const train_job *job, int64_t step)
{
    char path[PATH_SIZE];
    store *file;

    TRY(step_path(path, dir, step));
    TRY(store_open(&file, path));
    mill_err err = read_loop(s, file, path, job);
    if (!err && s->step != step)
        err = mill_fail(MILL_EINPUT, "%s: the state of step %lld under another name", path,
                        (long long)s->step);
    store_close(file);
    return err;
}

static mill_err check_with_best(loop_state *s, const char *dir, const train_job *job, int64_t step)
{
    loop_state best;

    TRY(check_step(s, dir, job, step));
    return s->best_step < 0 || s->best_step == step ? MILL_OK
                                                    : check_step(&best, dir, job, s->best_step);
}

mill_err checkpoint_load_step(const char *dir, const train_job *job, int64_t step)
{
    char path[PATH_SIZE];
    store *file;

    TRY(step_path(path, dir, step));
    TRY(store_open(&file, path));
    const mill_err err = job->load(job->ctx, file);
    store_close(file);
    return err;
}

static mill_err remove_step(const char *dir, int64_t step)
{
    char path[PATH_SIZE];

    TRY(step_path(path, dir, step));
    return file_remove(path);
}

/* The steps of all checkpoints in the folder, ascending; mill_free. */
static mill_err list_steps(int64_t **out, int *n, const char *dir)
{
    char **names;
    int n_names;

    *n = 0;
    *out = NULL;
    if (!file_exists(dir)) return MILL_OK;
    TRY(file_list(&names, &n_names, dir));
    int64_t *steps = mill_alloc((size_t)n_names + 1, sizeof *steps);
    for (int i = 0; steps && i < n_names; i++)
        if (checkpoint_step(names[i]) >= 0) steps[(*n)++] = checkpoint_step(names[i]);
    mill_free(names);
    if (!steps) return MILL_ENOMEM;
    for (int i = 1; i < *n; i++) /* names sort like numbers up to ten digits; be right beyond */
        for (int j = i; j > 0 && steps[j] < steps[j - 1]; j--) {
            const int64_t t = steps[j];
            steps[j] = steps[j - 1];
            steps[j - 1] = t;
        }
    *out = steps;
    return MILL_OK;
}

static void list_prepend(checkpoint_list *list, const loop_state *s)
{
    if (list->n > CHECKPOINT_MAX) return;
    memmove(list->at + 1, list->at, (size_t)list->n * sizeof list->at[0]);
    list->at[0].step = s->step;
    list->at[0].best_step = s->best_step;
    list->n++;
}

mill_err checkpoint_load_newest(bool *found, loop_state *s, checkpoint_list *list, const char *dir,
                                const train_job *job, bool strict)
{
    int64_t *steps;
    int n;
    mill_err err = MILL_OK;

    *found = false;
    list->n = 0;
    TRY(list_steps(&steps, &n, dir));
    for (int i = n - 1; i >= 0 && !err; i--) {
        loop_state one;

        err = check_with_best(&one, dir, job, steps[i]);
        if (!err) {
            if (!*found && !(err = checkpoint_load_step(dir, job, steps[i]))) {
                *s = one;
                *found = true;
            }
            if (*found) list_prepend(list, &one);
        } else if (err != MILL_ENOMEM && !strict) {
            mill_log(MILL_LOG_WARN, "%s%s", mill_error(),
                     *found ? "" : ": this checkpoint is passed over");
            err = remove_step(dir, steps[i]);
        }
    }
    mill_free(steps);
    return err;
}

static bool is_needed(const checkpoint_list *list, int first_kept, int64_t step)
{
    for (int i = first_kept; i < list->n; i++)
        if (list->at[i].step == step || list->at[i].best_step == step) return true;
    return false;
}

mill_err checkpoint_rotate(checkpoint_list *list, const char *dir, const loop_state *s, int keep)
{
    mill_err err = MILL_OK;
    int left = 0;

    if (!list->n || list->at[list->n - 1].step != s->step) list->n++;
    list->at[list->n - 1].step = s->step;
    list->at[list->n - 1].best_step = s->best_step;

    const int first_kept = list->n > keep ? list->n - keep : 0;
    for (int i = 0; i < list->n; i++) {
        if (is_needed(list, first_kept, list->at[i].step))
            list->at[left++] = list->at[i];
        else if (remove_step(dir, list->at[i].step)) /* it stays, and is none of ours any more */
            err = MILL_EIO;
    }
    list->n = left;
    return err;
}

static mill_err link_step(const char *dir, const char *name, int64_t step)
{
    char path[PATH_SIZE], target[40];

    if (snprintf(path, PATH_SIZE, "%s/%s", dir, name) >= PATH_SIZE)
        return mill_fail(MILL_EINPUT, "%.200s...: the path of the run folder is too long", dir);
    snprintf(target, sizeof target, "step_%010lld.mill", (long long)step);
    return file_symlink(target, path);
}

mill_err checkpoint_link(const char *dir, const loop_state *s)
{
    TRY(link_step(dir, "latest.mill", s->step));
    return link_step(dir, "best.mill", s->best_step < 0 ? s->step : s->best_step);
}

mill_err checkpoint_remove_all(const char *dir)
{
    int64_t *steps;
    int n;
    mill_err err = MILL_OK;

    TRY(list_steps(&steps, &n, dir));
    for (int i = 0; i < n && !err; i++) err = remove_step(dir, steps[i]);
    mill_free(steps);
    return err;
}

mill_err checkpoint_count(int *n, int64_t *newest, const char *dir)
{
    int64_t *steps;

    TRY(list_steps(&steps, n, dir));
    *newest = *n ? steps[*n - 1] : -1;
    mill_free(steps);
    return MILL_OK;
}
