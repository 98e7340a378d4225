/*
 * ctgan.c - the method "ctgan": training run, model, sampling.
 *
 * The model file holds the generator with its running batch statistics, the spans and the
 * frequencies; nothing of the discriminator. Sampling draws a discrete column uniformly and a value
 * of it by its true frequency as the condition, runs the generator with running statistics, and
 * draws every choice from its softmax.  One condition COLUMN=VALUE on a discrete column is met by
 * fixing the condition vector; whatever the generator does not follow, and all other conditions,
 * are left to rejection.
 */
#include "base/mem.h"
#include "synth/ctgan_net.h"
#include "synth/net.h"

#include <string.h>

/* ---- training ---- */

static mill_err check_config(const synth_config *c)
{
    if (c->batch_size % 2)
        return mill_fail(MILL_EINPUT, "--batch-size %lld: ctgan needs an even number of rows",
                         (long long)c->batch_size);
    if (c->batch_size % c->pac)
        return mill_fail(MILL_EINPUT, "--batch-size %lld is not a multiple of --pac %lld",
                         (long long)c->batch_size, (long long)c->pac);
    if (strcmp(c->amp, "off") && strcmp(c->amp, "bf16"))
        return mill_fail(MILL_EINPUT, "--amp %s: off or bf16", c->amp);
    return MILL_OK;
}

/* What a graph is built from. */
typedef struct {
    const synth_config *c;
    const synth_spans *s;
    const ctgan_draw *d;
} net_parts;

static mill_err build_step(mill_graph *g, const void *ctx)
{
    const net_parts *p = ctx;
    ctgan_net n;
    TRY(ctgan_net_init(&n, g, p->c, p->s, p->d));
    ctgan_build_step(&n);
    return MILL_OK;
}

static mill_err build_sample(mill_graph *g, const void *ctx)
{
    const net_parts *p = ctx;
    ctgan_net n;
    TRY(ctgan_net_init(&n, g, p->c, p->s, p->d));
    ctgan_build_sample(&n, NET_TILE);
    return MILL_OK;
}

typedef struct {
    net_fit f;
    ctgan_draw probe_draw;
} ctgan_fit;

static void fit_close(void *fit)
{
    ctgan_fit *f = fit;
    if (!f) return;
    net_fit_close(&f->f);
    ctgan_draw_deinit(&f->probe_draw);
    mill_free(f);
}

static mill_err fit_open(void **fit, const mill_table *t, const synth_schema *s,
                         const synth_config *c, mill_pool *pool)
{
    mill_err err;

    TRY(check_config(c));
    ctgan_fit *f = mill_alloc(1, sizeof *f);
    if (!f) return MILL_ENOMEM;
    if ((err = net_fit_open(&f->f, t, s, c, pool))) goto fail;
    if ((err = ctgan_draw_init(&f->probe_draw, f->f.s, NULL))) goto fail;
    f->f.steps_per_epoch = f->f.rows.n / c->batch_size > 1 ? f->f.rows.n / c->batch_size : 1;
    const net_parts p = {&f->f.c, f->f.s, &f->f.draw};
    if ((err = net_fit_compile(&f->f, 0, build_step, &p))) goto fail;
    *fit = f;
    return MILL_OK;
fail:
    fit_close(f);
    return err;
}

static mill_err job_step(void *ctx, int64_t step)
{
    return mill_exec_run(((ctgan_fit *)ctx)->f.e[0], (uint32_t)step);
}

static void job_metrics(void *ctx, double *values)
{
    ctgan_fit *f = ctx;
    values[0] = mill_exec_output_scalar(f->f.e[0], "loss_g");
    values[1] = mill_exec_output_scalar(f->f.e[0], "loss_d");
}

static mill_err job_probe(void *ctx, int64_t step, double *quality)
{
    ctgan_fit *f = ctx;
    const net_parts p = {&f->f.c, f->f.s, &f->probe_draw};
    (void)step; /* always the same noise: the figure moves with the model alone */
    return net_fit_probe(&f->f, build_sample, &p, quality);
}

static mill_err job_save(void *ctx, store_writer *w, json_t *meta)
{
    (void)meta;
    return net_states_write(((ctgan_fit *)ctx)->f.e[0], w, "");
}

static mill_err job_load(void *ctx, const store *s)
{
    return net_fit_load(&((ctgan_fit *)ctx)->f, s);
}

static void fit_job(train_job *job, void *fit)
{
    const ctgan_fit *f = fit;
    *job = (train_job){
        .ctx = fit,
        .name = "ctgan",
        .n_steps = f->f.c.epochs * f->f.steps_per_epoch,
        .steps_per_epoch = f->f.steps_per_epoch,
        .n_metrics = 2,
        .metric = {"loss_g", "loss_d"},
        .step = job_step,
        .metrics = job_metrics,
        .probe = f->f.probe ? job_probe : NULL,
        .save = job_save,
        .load = job_load,
    };
}

static mill_err fit_write(void *fit, store_writer *w, json_t *meta)
{
    ctgan_fit *f = fit;
    json_t *net = json_pack("{s:I, s:s}", "embedding_dim", (json_int_t)f->f.c.embedding_dim,
                            "generator_dim", f->f.c.generator_dim);

    if (!net || json_object_set_new(meta, "ctgan", net))
        return mill_fail(MILL_ENOMEM, "no memory for the model's header");
    TRY(spans_write(f->f.s, w, meta));
    return net_model_write(f->f.e[0], w, "g.");
}

/* ---- model ---- */

typedef struct {
    net_model net;
    ctgan_draw draw;
} ctgan_model;

static void model_close(void *model)
{
    ctgan_model *m = model;
    if (!m) return;
    ctgan_draw_deinit(&m->draw);
    net_model_close(&m->net);
    mill_free(m);
}

static mill_err model_open(void **model, const store *f, const synth_schema *schema,
                           mill_pool *pool)
{
    ctgan_model *m = mill_alloc(1, sizeof *m);
    mill_err err;

    if (!m) return MILL_ENOMEM;
    if ((err = net_model_open(&m->net, &m->net.c.generator_dim, "ctgan", "generator_dim", f, schema,
                              pool)) ||
        (err = ctgan_draw_init(&m->draw, m->net.s, NULL))) {
        model_close(m);
        return err;
    }
    *model = m;
    return MILL_OK;
}

/* The first COLUMN=VALUE on a discrete column; -1 if there is none.  *cond: its place in the
 * condition vector. */
static int64_t guide(const ctgan_model *m, const synth_where *w, int n)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < m->net.s->n; k++) {
            const span_column *p = &m->net.s->col[k];
            if (w[i].op != WHERE_EQ || p->col != w[i].col || p->discrete < 0) continue;
            if (w[i].missing && !p->has_missing) continue;
            return p->cond + (w[i].missing ? p->width - 1 : w[i].code);
        }
    return -1;
}

static mill_err sample(void *model, mill_table *out, int64_t first, int64_t n, uint64_t seed,
                       const synth_where *w, int n_where)
{
    ctgan_model *m = model;
    const net_parts p = {&m->net.c, m->net.s, &m->draw};

    m->draw.fixed = guide(m, w, n_where);
    TRY(net_sampler_seed(&m->net.sampler, seed, build_sample, &p, m->net.file));
    return net_sampler_rows(&m->net.sampler, out, first, n);
}

static mill_err estimate(int64_t *fit_bytes, int64_t *sample_bytes, const synth_schema *s,
                         const synth_config *c, int threads)
{
    synth_spans *spans;
    ctgan_draw draw = {0};
    int64_t rows;
    mill_err err;

    synth_schema learnt = *s;

    TRY(check_config(c));
    learnt.rows = synth_probe_learnt(s->rows, c);
    TRY(spans_assume(&spans, &rows, &learnt));
    if ((err = ctgan_draw_init(&draw, spans, NULL))) goto done;
    const net_parts p = {c, spans, &draw};
    err =
        net_estimate(fit_bytes, sample_bytes, (net_build[]){build_step, build_sample}, &p, threads);
    if (!err) *fit_bytes = net_fit_bytes(rows, *fit_bytes, *sample_bytes, s, c);
done:
    ctgan_draw_deinit(&draw);
    spans_free(spans);
    return err;
}

const synth_method synth_ctgan = {
    .name = "ctgan",
    .about = "conditional GAN with mode-specific normalisation (Xu et al. 2019)",
    .fit_open = fit_open,
    .fit_job = fit_job,
    .fit_write = fit_write,
    .fit_close = fit_close,
    .estimate = estimate,
    .model_open = model_open,
    .model_close = model_close,
    .guided = true,
    .sample = sample,
};
