/*
 * loop.c - run a job to its end, whatever happens on the way.
 *
 * After each step: is an epoch complete, a probe due, the job done?  Then metrics and probe of this
 * step are written, then a checkpoint if one is due.  In this order, since a checkpoint of step s
 * promises that metrics.jsonl holds everything up to s.
 *
 * A new best state (early stop) is checkpointed at once: restoring it is loading that checkpoint.
 * When a run has ended a last checkpoint says so; a process killed between there and the model file
 * repeats no step.
 */
#include "train/loop.h"

#include "base/cpu.h"
#include "base/log.h"
#include "base/text.h"
#include "train/checkpoint.h"
#include "train/progress.h"
#include "train/run.h"
#include "train/tensorboard.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

typedef struct {
    const train_job *job;
    const train_options *o;
    loop_state s;
    checkpoint_list kept;
    train_run run;
    tensorboard *tb;
    train_progress progress;
    double saved_at;     /* mill_clock of the last checkpoint */
    int64_t n_unsaved;   /* checkpoints that could not be written */
    int64_t n_no_number; /* probes whose quality was none */
    bool has_no_links;   /* the file system: latest.mill and best.mill are wanted and not there */
    double value[JOB_MAX_METRICS];
    mill_text facts, line; /* reused, so that the loop does not allocate */
} loop;

static void add_number(mill_text *t, double x)
{
    char buf[40];

    buf[isfinite(x) ? mill_format_f64(buf, x) : snprintf(buf, sizeof buf, "null")] = 0;
    text_add(t, "%s", buf);
}

static void format_facts(loop *l)
{
    text_clear(&l->facts);
    for (int i = 0; i < l->job->n_metrics; i++)
        if (!isnan(l->value[i])) /* not known at this step */
            text_add(&l->facts, "%s%s %.4g", l->facts.len ? "  " : "", l->job->metric[i],
                     l->value[i]);
    if (!isnan(l->s.quality))
        text_add(&l->facts, "%squality %.3f", l->facts.len ? "  " : "", l->s.quality);
}

/* One line of metrics.jsonl and one event; both may fail without harm to the training. */
static void write_metrics(loop *l, bool is_probed)
{
    const train_job *job = l->job;
    const double rate = progress_rate(&l->progress, l->s.step);
    const char *name[JOB_MAX_METRICS + 2], *tag[JOB_MAX_METRICS + 2];
    double value[JOB_MAX_METRICS + 2];
    struct timespec now;
    int n = 0;

    for (; n < job->n_metrics; n++) {
        name[n] = job->metric[n];
        tag[n] = job->tag[n] ? job->tag[n] : name[n];
        value[n] = l->value[n];
    }
    name[n] = tag[n] = "steps_per_s";
    value[n++] = rate;
    if (is_probed) {
        name[n] = tag[n] = "quality";
        value[n++] = l->s.quality;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    text_clear(&l->line);
    text_add(&l->line, "{\"ts\":%lld.%03d,\"step\":%lld,\"epoch\":%lld,\"rank\":0",
             (long long)now.tv_sec, (int)(now.tv_nsec / 1000000), (long long)l->s.step,
             (long long)(l->s.step / job->steps_per_epoch));
    for (int i = 0; i < n; i++) {
        text_add(&l->line, ",\"%s\":", name[i]);
        add_number(&l->line, value[i]);
    }
    text_add(&l->line, "}\n");
    if (l->line.failed) return;
    run_add_metrics(&l->run, l->s.step, l->line.s, l->line.len);
    if (l->tb && tensorboard_scalars(l->tb, l->s.step, n, tag, value)) {
        mill_log(MILL_LOG_WARN, "%s: no more TensorBoard events in this run", mill_error());
        tensorboard_close(l->tb);
        l->tb = NULL;
    }
}

static bool keeps_best(const loop *l)
{
    return l->o->early_stop || l->o->keep_best;
}

/* Where a file system has no links the states are known by their steps alone. */
static mill_err link_states(loop *l)
{
    if (!l->o->links || l->has_no_links) return MILL_OK;
    const mill_err err = checkpoint_link(l->o->run_dir, &l->s);
    if (err != MILL_EINPUT) return err;
    l->has_no_links = true;
    mill_log(MILL_LOG_WARN,
             "%s: this run has neither latest.mill nor best.mill, only the checkpoints themselves",
             mill_error());
    return MILL_OK;
}

static mill_err save(loop *l)
{
    TRY(checkpoint_write(l->o->run_dir, l->job, &l->s));
    l->saved_at = mill_clock();
    TRY(link_states(l));
    return checkpoint_rotate(&l->kept, l->o->run_dir, &l->s, l->o->keep < 2 ? 2 : l->o->keep);
}

/* In the middle of a run a full disk is a warning: the older checkpoints still stand. */
static void save_or_warn(loop *l)
{
    l->saved_at = mill_clock();
    if (save(l) == MILL_OK) return;
    if (!l->n_unsaved++)
        mill_log(MILL_LOG_WARN, "%s: training goes on without this checkpoint", mill_error());
}

/* The best state has to be there when it is to be restored: one that cannot be written is none. */
static mill_err save_best(loop *l, const loop_state *before)
{
    const mill_err err = save(l);

    if (err != MILL_EIO) return err;
    l->s.best_step = before->best_step;
    l->s.best_quality = before->best_quality;
    if (!l->n_unsaved++)
        mill_log(MILL_LOG_WARN, "%s: training goes on, and this state is not kept as the best",
                 mill_error());
    return MILL_OK;
}

/* *is_best: this state is to be kept. */
static mill_err probe(loop *l, bool *is_best)
{
    loop_state *s = &l->s;
    double quality;

    TRY(l->job->probe(l->job->ctx, s->step, &quality));
    if (!isfinite(quality) && !l->n_no_number++)
        mill_log(MILL_LOG_WARN, "step %lld: the probe's quality is no number, and never the best",
                 (long long)s->step);
    if (keeps_best(l))
        *is_best = loop_state_probed(s, quality, l->o->least_gain);
    else
        s->quality = quality;
    return MILL_OK;
}

/* All that follows a step; sets s.is_ended. */
static mill_err after_step(loop *l)
{
    const train_job *job = l->job;
    loop_state *s = &l->s;
    const loop_state before = *s;
    const bool is_done = s->step >= job->n_steps || (job->done && job->done(job->ctx));
    const bool is_epoch = s->step % job->steps_per_epoch == 0;
    const bool is_probed =
        job->probe && l->o->probe_steps && (is_done || s->step % l->o->probe_steps == 0);
    bool is_best = false;

    if (is_probed) TRY(probe(l, &is_best));
    s->stopped_early = !is_done && l->o->early_stop && s->since_best >= l->o->early_stop;
    s->is_ended = is_done || s->stopped_early;
    const bool is_logged = l->o->log_steps && s->step % l->o->log_steps == 0;
    if (is_epoch || is_probed || is_logged || s->is_ended) {
        job->metrics(job->ctx, l->value);
        format_facts(l);
        write_metrics(l, is_probed);
    }
    progress_show(&l->progress, s->step, l->facts.s);
    if (is_best) return save_best(l, &before);
    if (s->is_ended || train_signal_received()) return MILL_OK; /* saved by the caller */
    const double every = l->o->checkpoint_seconds;
    if (every > 0 ? mill_clock() - l->saved_at >= every : is_epoch) save_or_warn(l);
    return MILL_OK;
}

static mill_err run_steps(loop *l, train_end *end)
{
    loop_state *s = &l->s;

    if (s->is_ended && l->o->force && !s->stopped_early)
        s->is_ended = false; /* the end may lie elsewhere now */
    if (s->step >= l->job->n_steps) s->is_ended = true;
    if (s->is_ended) return MILL_OK;
    while (!s->is_ended && !train_signal_received()) {
        TRY(l->job->step(l->job->ctx, s->step));
        s->step++;
        TRY(after_step(l));
    }
    const mill_err err = save(l);
    if (err) *end = TRAIN_NOT_SAVED;
    return err;
}

static mill_err restore_best(loop *l)
{
    const loop_state *s = &l->s;

    if (!keeps_best(l) || s->best_step < 0 || s->best_step == s->step) return MILL_OK;
    TRY(checkpoint_load_step(l->o->run_dir, l->job, s->best_step));
    mill_log(MILL_LOG_INFO,
             "the state of step %lld was the best (quality %.4f) and is the one that is kept",
             (long long)s->best_step, s->best_quality);
    return MILL_OK;
}

/* The folder is ours: go on from its newest state, or clear it and begin. */
static mill_err prepare(loop *l)
{
    bool resume, found = false;

    TRY(run_check(&resume, l->o));
    if (resume) {
        TRY(checkpoint_load_newest(&found, &l->s, &l->kept, l->o->run_dir, l->job, l->o->strict));
        if (found)
            mill_log(MILL_LOG_INFO, "%s: going on from step %lld of %lld", l->o->run_dir,
                     (long long)l->s.step, (long long)l->job->n_steps);
        else
            mill_log(MILL_LOG_WARN, "%s: no valid checkpoint, starting from the beginning",
                     l->o->run_dir);
    }
    if (!found) TRY(run_clear(l->o));
    /* Killed between a checkpoint and its links: they still name the one before. */
    if (found) TRY(link_states(l));
    TRY(run_write_manifest(l->o, "running"));
    TRY(run_cut_metrics(&l->run, l->s.step));
    if (tensorboard_open(&l->tb, l->o->run_dir, found ? l->s.step : -1))
        mill_log(MILL_LOG_WARN, "%s: no TensorBoard events of this run", mill_error());
    return MILL_OK;
}

mill_err train_loop(train_end *end, const train_job *job, const train_options *o)
{
    loop l = {.job = job, .o = o, .s = {.best_step = -1, .quality = (double)NAN}};
    mill_err err;

    if ((err = run_open(&l.run, o))) goto done;
    progress_begin(&l.progress, o->progress_fd, o->quiet, job->name, "steps");
    if ((err = prepare(&l))) goto done;
    progress_range(&l.progress, l.s.step, job->n_steps);
    l.saved_at = mill_clock();
    err = run_steps(&l, end);
    if (err) goto done;
    *end = !l.s.is_ended ? TRAIN_INTERRUPTED : l.s.stopped_early ? TRAIN_STOPPED_EARLY : TRAIN_DONE;
    progress_end(&l.progress, l.s.step, l.facts.s,
                 *end == TRAIN_DONE            ? "done"
                 : *end == TRAIN_STOPPED_EARLY ? "stopped early"
                                               : "interrupted, saved");
    if (*end != TRAIN_INTERRUPTED) err = restore_best(&l);
done:
    if (l.progress.is_open_line) progress_end(&l.progress, l.s.step, l.facts.s, "failed");
    tensorboard_close(l.tb);
    run_close(&l.run);
    text_free(&l.facts);
    text_free(&l.line);
    return err;
}
