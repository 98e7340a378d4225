/* model.c - include/tabmill.h: fit, open, sample, score. */
#include "api/api.h"

#include "base/mem.h"
#include "table/csv.h"

#include <string.h>

enum { FILE_BATCH = 65536, MAX_WHERE = 32, MAX_NAME = 64 };

static mill_err read_config(synth_config *c, const char *const *options, const mill_table *t)
{
    const char *method = "auto";
    char why[256];

    for (; options && *options; options++) {
        const char *value = strchr(*options, '=');
        char name[MAX_NAME];
        if (!value || value - *options >= MAX_NAME) {
            return mill_fail(MILL_EINPUT, "\"%s\": an option is key=value", *options);
        }
        memcpy(name, *options, (size_t)(value - *options));
        name[value - *options] = 0;
        if (!strcmp(name, "method")) {
            method = value + 1;
        } else {
            TRY(synth_config_set(c, name, value + 1));
        }
    }
    if (c->early_stop) {
        return mill_fail(MILL_EINPUT, "early-stop: only the command stops early, with checkpoints");
    }
    return synth_choose(&c->method, why, method, t);
}

static mill_err train(void *fit, const synth_method *method, mill_progress progress, void *ctx)
{
    train_job job = {0};
    double value[JOB_MAX_METRICS] = {0};
    int64_t i = 0;

    method->fit_job(&job, fit);
    for (; i < job.n_steps && !(job.done && job.done(job.ctx)); i++) {
        TRY(job.step(job.ctx, i));
        if (!progress) continue;
        if (job.n_metrics) job.metrics(job.ctx, value);
        if (i + 1 < job.n_steps && progress(ctx, i + 1, job.n_steps, value[0])) {
            return mill_fail(MILL_EINPUT, "stopped after step %lld of %lld", (long long)i + 1,
                             (long long)job.n_steps);
        }
    }
    if (progress && progress(ctx, job.n_steps, job.n_steps, value[0])) {
        return mill_fail(MILL_EINPUT, "stopped after the last step");
    }
    return MILL_OK;
}

int mill_model_fit(const char *path, mill_engine *e, const mill_table *t,
                   const char *const *options, mill_progress progress, void *ctx)
{
    synth_config c = synth_config_default();
    synth_schema *s = NULL;
    void *fit = NULL;
    mill_err err;

    TRY(read_config(&c, options, t));
    const synth_method *method = synth_method_find(c.method);
    if ((err = synth_schema_fit(&s, t, &c))) goto done;
    if ((err = method->fit_open(&fit, t, s, &c, e->pool))) goto done;
    if ((err = train(fit, method, progress, ctx))) goto done;
    err = synth_model_write(path, method, fit, s, &c);
done:
    if (fit) method->fit_close(fit);
    synth_schema_free(s);
    return err;
}

int mill_model_open(mill_model **out, mill_engine *e, const char *path)
{
    mill_model *m = mill_alloc(1, sizeof *m);
    if (!m) return MILL_ENOMEM;
    m->engine = e;
    const mill_err err = synth_model_open(&m->synth, path, e->pool);
    if (err != MILL_OK) {
        mill_free(m);
        return err;
    }
    *out = m;
    return MILL_OK;
}

void mill_model_close(mill_model *m)
{
    if (!m) return;
    synth_model_close(m->synth);
    mill_free(m);
}

const char *mill_model_method(const mill_model *m)
{
    return m->synth->method->name;
}

static mill_err open_sampler(synth_sampler **out, mill_model *m, int64_t n, uint64_t seed,
                             const char *const *where)
{
    synth_where w[MAX_WHERE];
    int n_where = 0;

    if (n < 0) return mill_fail(MILL_EINPUT, "%lld rows cannot be drawn", (long long)n);
    for (; where && where[n_where]; n_where++) {
        if (n_where == MAX_WHERE) {
            return mill_fail(MILL_EINPUT, "more than %d conditions", MAX_WHERE);
        }
        TRY(synth_where_parse(&w[n_where], m->synth->schema, where[n_where]));
    }
    return synth_sampler_open(out, m->synth, seed, w, n_where);
}

int mill_model_sample(mill_table **out, mill_model *m, int64_t n, uint64_t seed,
                      const char *const *where)
{
    synth_sampler *s;

    TRY(open_sampler(&s, m, n, seed, where));
    const mill_err err = synth_sampler_next(s, out, n);
    synth_sampler_close(s);
    return err;
}

static bool is_numpy(const char *path)
{
    const size_t n = strlen(path);
    return n > 4 && (!strcmp(path + n - 4, ".npy") || !strcmp(path + n - 4, ".npz"));
}

/* At least one batch is written, so that a file of no rows has its header. */
static mill_err write_batches(const char *path, mill_model *m, synth_sampler *s, int64_t n,
                              bool force)
{
    csv_writer *w;
    mill_err err = MILL_OK;

    TRY(csv_writer_open(&w, path, force, 0, m->engine->pool));
    for (int64_t at = 0; err == MILL_OK && (at < n || at == 0); at += FILE_BATCH) {
        mill_table *batch;
        err = synth_sampler_next(s, &batch, n - at < FILE_BATCH ? n - at : FILE_BATCH);
        if (err != MILL_OK) break;
        err = csv_writer_add(w, batch);
        mill_table_free(batch);
    }
    if (err == MILL_OK) err = csv_writer_commit(w);
    csv_writer_close(w);
    return err;
}

int mill_model_sample_file(const char *path, mill_model *m, int64_t n, uint64_t seed,
                           const char *const *where, int force)
{
    synth_sampler *s;
    mill_err err;

    TRY(open_sampler(&s, m, n, seed, where));
    if (is_numpy(path)) {
        mill_table *t = NULL;
        err = synth_sampler_next(s, &t, n);
        if (err == MILL_OK) err = mill_table_write(t, path, force != 0, m->engine->pool);
        mill_table_free(t);
    } else {
        err = write_batches(path, m, s, n, force != 0);
    }
    synth_sampler_close(s);
    return err;
}

int mill_model_score(double *out, mill_model *m, const mill_table *t)
{
    if (!m->synth->method->score) {
        return mill_fail(MILL_EINPUT, "the method %s has no likelihood", m->synth->method->name);
    }
    return m->synth->method->score(m->synth->model, out, t);
}
