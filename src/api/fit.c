/*
 * fit.c - include/tabmill.h: a table and options in, a model file out.
 *
 * The steps are those of `tabmill fit` (train/loop.c), without its run folder: there is nothing to
 * resume.  With early stop the best probed state is copied to memory and loaded at the end.
 */
#include "api/api.h"

#include "base/option.h"

#include "train/checkpoint.h"

#include <math.h>
#include <string.h>

enum { MAX_NAME = 64 };

/* "key=value" -> name; the value stands behind the '='. */
static mill_err split(char name[MAX_NAME], const char **value, const char *option)
{
    const char *equals = strchr(option, '=');

    if (!equals || equals - option >= MAX_NAME)
        return mill_fail(MILL_EINPUT, "\"%s\": an option is key=value", option);
    memcpy(name, option, (size_t)(equals - option));
    name[equals - option] = 0;
    *value = equals + 1;
    return MILL_OK;
}

static mill_err read_config(synth_config *c, const char *const *options, const mill_table *t)
{
    const char *method = "auto", *value = NULL;
    char why[256], name[MAX_NAME] = "";
    bool probe_is_given = false;

    for (int i = 0; options && options[i]; i++) {
        TRY(split(name, &value, options[i]));
        if (!strcmp(name, "method"))
            method = value;
        else
            TRY(synth_config_set(c, name, value));
    }
    TRY(synth_choose(&c->method, why, method, t));
    for (int i = 0; options && options[i]; i++) { /* now it is known what they are to act on */
        TRY(split(name, &value, options[i]));
        TRY(synth_option_check(name, c->method));
        if (option_same_name(name, "probe-every")) probe_is_given = true;
    }
    synth_config_settle(c, probe_is_given);
    if (c->early_stop && !c->probe_every)
        return mill_fail(MILL_EINPUT, "early-stop needs probes: probe-every is 0");
    if (c->holdout_fraction > 0 && !c->probe_every)
        return mill_fail(MILL_EINPUT, "holdout-fraction is for probes: probe-every is 0");
    return MILL_OK;
}

typedef struct {
    train_job job;
    const synth_config *c;
    loop_state s;
    store *best; /* the state after s.best_step, or NULL */
    mill_progress progress;
    void *ctx;
} training;

static mill_err keep_best(training *t)
{
    store_writer *w = NULL;
    store *copy = NULL;
    json_t *meta = json_object();
    mill_err err = meta ? store_writer_new(&w) : mill_fail(MILL_ENOMEM, "no memory for a state");

    if (!err) err = t->job.save(t->job.ctx, w, meta);
    if (!err) err = store_writer_copy(&copy, w, meta);
    if (!err) {
        store_close(t->best);
        t->best = copy;
    }
    store_writer_free(w);
    json_decref(meta);
    return err;
}

/* What follows a step; sets s.is_ended. */
static mill_err after_step(training *t)
{
    const train_job *job = &t->job;
    const int64_t every = t->c->early_stop ? t->c->probe_every * job->steps_per_epoch : 0;
    loop_state *s = &t->s;
    double quality;

    s->is_ended = s->step >= job->n_steps || (job->done && job->done(job->ctx));
    if (!every || (!s->is_ended && s->step % every)) return MILL_OK;
    TRY(job->probe(job->ctx, s->step, &quality));
    if (loop_state_probed(s, quality, 0)) TRY(keep_best(t));
    if (s->since_best >= t->c->early_stop) s->is_ended = true;
    return MILL_OK;
}

static mill_err tell(const training *t, double value[JOB_MAX_METRICS])
{
    const train_job *job = &t->job;

    if (!t->progress) return MILL_OK;
    if (job->n_metrics) job->metrics(job->ctx, value);
    if (t->s.is_ended || !t->progress(t->ctx, t->s.step, job->n_steps, value[0])) return MILL_OK;
    return mill_fail(MILL_EINPUT, "stopped after step %lld of %lld", (long long)t->s.step,
                     (long long)job->n_steps);
}

static mill_err run(training *t)
{
    const train_job *job = &t->job;
    double value[JOB_MAX_METRICS] = {0};

    while (!t->s.is_ended && t->s.step < job->n_steps) {
        TRY(job->step(job->ctx, t->s.step));
        t->s.step++;
        TRY(after_step(t));
        TRY(tell(t, value));
    }
    if (t->best && t->s.best_step != t->s.step) TRY(job->load(job->ctx, t->best));
    if (t->progress && t->progress(t->ctx, job->n_steps, job->n_steps, value[0]))
        return mill_fail(MILL_EINPUT, "stopped after the last step");
    return MILL_OK;
}

int mill_model_fit(const char *path, mill_engine *e, const mill_table *t,
                   const char *const *options, mill_progress progress, void *ctx)
{
    API_ENTER;
    synth_config c = synth_config_default();
    training work = {.c = &c, .s = {.best_step = -1}, .progress = progress, .ctx = ctx};
    synth_schema *s = NULL;
    void *fit = NULL;
    mill_err err;

    TRY(read_config(&c, options, t));
    const synth_method *method = synth_method_find(c.method);
    if ((err = synth_schema_fit(&s, t, &c))) goto done;
    if ((err = method->fit_open(&fit, t, s, &c, e->pool))) goto done;
    method->fit_job(&work.job, fit);
    if ((err = run(&work))) goto done;
    err = synth_model_write(path, method, fit, s, &c);
done:
    store_close(work.best);
    if (fit) method->fit_close(fit);
    synth_schema_free(s);
    return err;
}
