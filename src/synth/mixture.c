/*
 * mixture.c - fit a mixture of independent columns: the job of EM, and `independent`, the mixture
 * of one component.
 *
 * A step is one iteration of EM.  The state is the tables (log p, log w) and the likelihood of the
 * step before, so a job that is loaded goes on to the bit; codes and the number of components are
 * functions of table, options and seed and are made again. It has converged when a row gains less
 * than TOLERANCE nats in a step.
 */
#include "synth/mixture.h"

#include "base/mem.h"
#include "base/vmath.h"
#include "synth/probe.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double TOLERANCE = 1e-4;

typedef struct {
    const synth_schema *schema; /* borrowed until close */
    mill_pool *pool;
    uint64_t seed;
    synth_codes *codes;
    em *em;
    synth_probe *probe; /* NULL: none was asked for */
    int64_t iterations;
    double before; /* log-likelihood of the step before the last; NaN: there is none */
    bool converged;
    float *weight, *p; /* as they go to the file; made when first asked for */
} mixture_fit;

static void fit_close(void *ctx)
{
    mixture_fit *f = ctx;
    if (!f) return;
    em_free(f->em);
    synth_codes_free(f->codes);
    synth_probe_free(f->probe);
    mill_free(f->weight);
    mill_free(f->p);
    mill_free(f);
}

/* What is kept of the table: codes of the rows to learn from, and the probe. */
static mill_err take_table(mixture_fit *f, const mill_table *t, const synth_config *c)
{
    mill_table *learn = NULL, *hold = NULL;
    mill_err err = MILL_OK;

    if (c->holdout_fraction > 0) TRY(synth_probe_split(&learn, &hold, t, c));
    if (c->probe_every > 0) err = synth_probe_new(&f->probe, hold ? hold : t, f->schema);
    mill_table_free(hold);
    if (!err) err = synth_codes_fit(&f->codes, learn ? learn : t, f->schema, c, f->pool);
    mill_table_free(learn);
    return err;
}

static mill_err open_fit(void **out, const mill_table *t, const synth_schema *s,
                         const synth_config *c, int64_t k, mill_pool *pool)
{
    mixture_fit *f = mill_alloc(1, sizeof *f);
    mill_err err;
    int chosen = (int)k;

    if (!f) return MILL_ENOMEM;
    f->schema = s;
    f->pool = pool;
    f->seed = c->seed;
    f->before = (double)NAN;
    f->iterations = c->iterations;
    if ((err = take_table(f, t, c))) goto fail;
    if (!k && (err = mixture_choose_k(&chosen, f->codes, c->seed, pool))) goto fail;
    if ((err = em_new(&f->em, f->codes, chosen, NULL, f->codes->rows, false, pool))) goto fail;
    em_start(f->em, c->seed);
    *out = f;
    return MILL_OK;
fail:
    fit_close(f);
    return err;
}

static mill_err mixture_open(void **out, const mill_table *t, const synth_schema *s,
                             const synth_config *c, mill_pool *pool)
{
    return open_fit(out, t, s, c, c->components, pool);
}

static mill_err independent_open(void **out, const mill_table *t, const synth_schema *s,
                                 const synth_config *c, mill_pool *pool)
{
    synth_config one = *c;

    one.iterations = 1;
    one.probe_every = 0; /* there is no middle of training */
    one.holdout_fraction = 0;
    return open_fit(out, t, s, &one, 1, pool);
}

static mill_err step(void *ctx, int64_t i)
{
    mixture_fit *f = ctx;
    const double before = f->em->log_likelihood;

    TRY(em_step(f->em));
    f->before = i > 0 ? before : (double)NAN;
    f->converged = i > 1 && f->em->log_likelihood - f->before < TOLERANCE;
    return MILL_OK;
}

static void metrics(void *ctx, double *values)
{
    const mixture_fit *f = ctx;
    values[0] = f->em->log_likelihood;
}

static bool done(void *ctx)
{
    const mixture_fit *f = ctx;
    return f->converged;
}

static int64_t cells(const em *e)
{
    return (int64_t)e->codes->n_codes * e->lanes;
}

static mill_err save(void *ctx, store_writer *w, json_t *meta)
{
    mixture_fit *f = ctx;
    const int64_t n = cells(f->em), lanes = f->em->lanes, two = 2;

    f->em->state[0] = f->em->log_likelihood;
    f->em->state[1] = f->converged;
    if (json_object_set_new(meta, "components", json_integer(f->em->k))) {
        return mill_fail(MILL_ENOMEM, "no memory for the checkpoint's header");
    }
    TRY(store_writer_add(w, "em.state", STORE_F64, 1, &two, f->em->state));
    if (n) TRY(store_writer_add(w, "em.logp", STORE_F32, 1, &n, f->em->logp));
    return store_writer_add(w, "em.logw", STORE_F32, 1, &lanes, f->em->logw);
}

static mill_err load(void *ctx, const store *s)
{
    mixture_fit *f = ctx;
    const int64_t n = cells(f->em), lanes = f->em->lanes, two = 2;
    const store_tensor *logp = NULL, *logw, *state;

    TRY(store_get(&state, s, "em.state", STORE_F64, 1, &two));
    if (n) TRY(store_get(&logp, s, "em.logp", STORE_F32, 1, &n));
    TRY(store_get(&logw, s, "em.logw", STORE_F32, 1, &lanes));
    if (json_integer_value(json_object_get(store_meta(s), "components")) != f->em->k) {
        return mill_fail(MILL_EINPUT, "the checkpoint has another number of components");
    }
    if (n) memcpy(f->em->logp, logp->data, (size_t)n * sizeof(float));
    memcpy(f->em->logw, logw->data, (size_t)lanes * sizeof(float));
    f->em->log_likelihood = ((const double *)state->data)[0];
    f->converged = ((const double *)state->data)[1] != 0;
    return MILL_OK;
}

static mill_err share(void *ctx, rank_group *g)
{
    mixture_fit *f = ctx;
    f->em->group = g;
    return MILL_OK;
}

static mill_err sync(void *ctx)
{
    mixture_fit *f = ctx;
    em *e = f->em;
    double now[2] = {e->log_likelihood, f->converged};

    TRY(rank_broadcast(e->group, e->logp, (size_t)cells(e) * sizeof *e->logp, 0));
    TRY(rank_broadcast(e->group, e->logw, (size_t)e->lanes * sizeof *e->logw, 0));
    TRY(rank_broadcast(e->group, now, sizeof now, 0));
    e->log_likelihood = now[0];
    f->converged = now[1] != 0;
    return MILL_OK;
}

/* p(c | k) of one column out of the log table, made to sum to 1: (codes, k). */
static void export_column(float *p, const em *e, int j)
{
    const int32_t n = e->codes->coder[j].n, base = e->codes->base[j];

    for (int k = 0; k < e->k; k++) {
        const int block = k / EM_BLOCK, lane = k % EM_BLOCK;
        double sum = 0;
        for (int32_t c = 0; c < n; c++) {
            const double x = mill_exp_f64((double)e->logp[em_at(e, block, base + c) + lane]);
            p[(int64_t)c * e->k + k] = (float)x;
            sum += x;
        }
        for (int32_t c = 0; c < n; c++) {
            p[(int64_t)c * e->k + k] = (float)((double)p[(int64_t)c * e->k + k] / sum);
        }
    }
}

/* Weights and probabilities as they are now. */
static mill_err export_all(mixture_fit *f)
{
    const em *e = f->em;
    const int64_t k = e->k;
    double sum = 0;

    if (!f->weight) f->weight = mill_alloc((size_t)k, sizeof *f->weight);
    if (!f->p) f->p = mill_alloc((size_t)(e->codes->n_codes * k) + 1, sizeof *f->p);
    if (!f->weight || !f->p) return MILL_ENOMEM;
    for (int i = 0; i < k; i++) sum += mill_exp_f64((double)e->logw[i]);
    for (int i = 0; i < k; i++) f->weight[i] = (float)(mill_exp_f64((double)e->logw[i]) / sum);
    for (int a = 0; a < e->n_cols; a++)
        export_column(f->p + e->codes->base[e->col[a]] * k, e, e->col[a]);
    return MILL_OK;
}

/* Always the same noise: the figure moves with the model alone. */
static mill_err probe(void *ctx, int64_t step_, double *quality)
{
    mixture_fit *f = ctx;
    mixture_model *m;
    mill_table *t = NULL;
    (void)step_;

    TRY(export_all(f));
    TRY(mixture_model_of_fit(&m, f->schema, f->codes, f->em->k, f->weight, f->p, f->pool));
    mill_err err = synth_schema_table(&t, f->schema, synth_probe_rows(f->probe));
    if (!err) err = mixture_sample(m, t, 0, t->rows, ~f->seed, NULL, 0);
    if (!err) err = synth_probe_quality(quality, f->probe, t);
    mill_table_free(t);
    mixture_model_close(m);
    return err;
}

static void fit_job(train_job *job, void *ctx)
{
    const mixture_fit *f = ctx;
    *job = (train_job){
        .ctx = ctx,
        .name = "mixture",
        .n_steps = f->iterations,
        .steps_per_epoch = 1,
        .n_metrics = 1,
        .metric = {"log_likelihood"},
        .step = step,
        .metrics = metrics,
        .done = done,
        .probe = f->probe ? probe : NULL,
        .save = save,
        .load = load,
    };
}

/* The header's schema knows the cells that were missing in the table; numbers that --trim-rare has
 * left without a code are missing as well. */
static mill_err tell_missing(json_t *meta, const synth_codes *c)
{
    json_t *columns = json_object_get(json_object_get(meta, "schema"), "columns");

    for (int j = 0; j < c->n_cols; j++) {
        json_t *column = json_array_get(columns, (size_t)j);
        const int32_t missing = c->coder[j].missing;
        const int64_t n = missing < 0 ? 0 : c->count[c->base[j] + missing];
        if (n <= json_integer_value(json_object_get(column, "missing"))) continue;
        if (json_object_set_new(column, "missing", json_integer(n)))
            return mill_fail(MILL_ENOMEM, "no memory for the model's header");
    }
    return MILL_OK;
}

static mill_err fit_write(void *ctx, store_writer *w, json_t *meta)
{
    mixture_fit *f = ctx;
    const em *e = f->em;
    const int64_t k = e->k;

    TRY(export_all(f));
    if (json_object_set_new(meta, "components", json_integer(k))) {
        return mill_fail(MILL_ENOMEM, "no memory for the model's header");
    }
    TRY(tell_missing(meta, e->codes));
    TRY(store_writer_add(w, "mixture.weight", STORE_F32, 1, &k, f->weight));
    TRY(synth_coders_write(e->codes, w));
    for (int a = 0; a < e->n_cols; a++) {
        const int j = e->col[a];
        const int64_t dim[2] = {e->codes->coder[j].n, k};
        char name[64];
        snprintf(name, sizeof name, "mixture.%d.p", j);
        TRY(store_writer_add(w, name, STORE_F32, 2, dim, f->p + e->codes->base[j] * k));
    }
    return MILL_OK;
}

const synth_method synth_mixture = {
    .name = "mixture",
    .about = "mixture of independent columns by EM: fast, exact conditions and likelihood",
    .fit_open = mixture_open,
    .fit_job = fit_job,
    .fit_write = fit_write,
    .fit_close = fit_close,
    .fit_share = share,
    .fit_sync = sync,
    .estimate = mixture_estimate,
    .model_open = mixture_model_open,
    .model_close = mixture_model_close,
    .native = mixture_native,
    .sample = mixture_sample,
    .score = mixture_score,
};

const synth_method synth_independent = {
    .name = "independent",
    .about = "every column by itself: the floor that others are measured against",
    .fit_open = independent_open,
    .fit_job = fit_job,
    .fit_write = fit_write,
    .fit_close = fit_close,
    .fit_share = share,
    .fit_sync = sync,
    .estimate = independent_estimate,
    .model_open = mixture_model_open,
    .model_close = mixture_model_close,
    .native = mixture_native,
    .sample = mixture_sample,
    .score = mixture_score,
};
