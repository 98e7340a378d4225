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
        return mill_fail(MILL_EINPUT, "a batch of %lld rows: ctgan needs an even number",
                         (long long)c->batch_size);
    if (c->batch_size % c->pac)
        return mill_fail(MILL_EINPUT, "a batch of %lld rows is not a multiple of --pac %lld",
                         (long long)c->batch_size, (long long)c->pac);
    return net_check(c, c->pac > 1 ? c->pac : 2); /* one row has no variance */
}

/* What a graph is built from. */
typedef struct {
    const synth_config *c;
    const synth_spans *s;
    const ctgan_draw *d;
    const nn_flat *flat;   /* of parts */
    const flat_hook *hook; /* of parts */
} net_parts;

static mill_err build_step(mill_graph *g, const void *ctx)
{
    const net_parts *p = ctx;
    ctgan_net n;
    TRY(ctgan_net_init(&n, g, p->c, p->s, p->d));
    ctgan_build_step(&n);
    return MILL_OK;
}

static mill_err build_part(mill_graph *g, const net_parts *p, int network)
{
    ctgan_net n;
    TRY(ctgan_net_init(&n, g, p->c, p->s, p->d));
    return ctgan_build_part(&n, p->flat, network, p->c->batch_size / p->c->virtual_shards, p->hook);
}

static mill_err build_discriminator(mill_graph *g, const void *ctx)
{
    return build_part(g, ctx, CTGAN_DISCRIMINATOR);
}

static mill_err build_generator(mill_graph *g, const void *ctx)
{
    return build_part(g, ctx, CTGAN_GENERATOR);
}

static mill_err lay_out(nn_flat *f, mill_graph *g, const void *ctx, int64_t multiple)
{
    const net_parts *p = ctx;
    ctgan_net n;
    TRY(ctgan_net_init(&n, g, p->c, p->s, p->d));
    return ctgan_layout(f, &n, multiple);
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
    net_fit f; /* first, as net.h wants it */
    ctgan_draw probe_draw;
    double loss_g, loss_d; /* of the last step in parts */
    mill_exec *e;          /* of the pass in parts that runs, and its number */
    int64_t pass;
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
    if ((err = net_fit_open(&f->f, &synth_ctgan, t, s, c, pool))) goto fail;
    if ((err = ctgan_draw_init(&f->probe_draw, f->f.s, NULL))) goto fail;
    f->f.steps_per_epoch = f->f.rows.n / c->batch_size > 1 ? f->f.rows.n / c->batch_size : 1;
    const net_parts p = {&f->f.c, f->f.s, &f->f.draw, NULL, NULL};
    if (!net_in_parts(c) && (err = net_fit_compile(&f->f, 0, build_step, &p))) goto fail;
    *fit = f;
    return MILL_OK;
fail:
    fit_close(f);
    return err;
}

/* ---- steps in parts ---- */

static mill_err fit_share(void *fit, rank_group *g)
{
    ctgan_fit *f = fit;
    const synth_config *c = &f->f.c;
    const shards_rule rule[CTGAN_N_GROUPS] = {
        [CTGAN_DISCRIMINATOR] = {ctgan_adam(c->discriminator_decay, 1, 1), 0, 0},
        [CTGAN_GENERATOR] = {ctgan_adam(c->generator_decay, 1, 1), 0, 0},
    };
    net_parts p = {c, f->f.s, &f->f.draw, NULL, NULL};

    TRY(net_fit_shards(&f->f, g, rule, lay_out, &p, (int)c->discriminator_steps + 1));
    p.flat = f->f.flat;
    p.hook = f->f.shards.hook;
    TRY(net_fit_compile(&f->f, 0, build_discriminator, &p));
    return net_fit_compile(&f->f, 1, build_generator, &p);
}

static mill_err run_part(void *ctx, int64_t part)
{
    const ctgan_fit *f = ctx;
    return mill_exec_run(f->e, (uint32_t)(f->pass * f->f.c.virtual_shards + part));
}

static mill_err step_in_parts(ctgan_fit *f, int64_t step)
{
    train_shards *s = &f->f.shards;
    const synth_config *c = &f->f.c;
    const int64_t turns = c->discriminator_steps;
    const double each = 1.0 / (double)c->virtual_shards;

    f->e = f->f.e[0];
    f->pass = step * (turns + 1);
    for (int64_t turn = 0; turn < turns; turn++, f->pass++) {
        TRY(shards_pass(s, CTGAN_DISCRIMINATOR, CTGAN_GENERATOR, run_part, f));
        TRY(shards_update(s, step * turns + turn, c->discriminator_lr, each));
    }
    f->loss_d = shards_value(s, "loss");
    f->e = f->f.e[1];
    TRY(shards_pass(s, CTGAN_STATISTICS, CTGAN_N_GROUPS, run_part, f));
    TRY(shards_update(s, step, c->generator_lr, each));
    f->loss_g = shards_value(s, "loss");
    return MILL_OK;
}

/* ---- the job ---- */

static void job_metrics(void *ctx, double *values)
{
    ctgan_fit *f = ctx;
    values[0] = f->f.flat ? f->loss_g : mill_exec_output_scalar(f->f.e[0], "loss_g");
    values[1] = f->f.flat ? f->loss_d : mill_exec_output_scalar(f->f.e[0], "loss_d");
}

static mill_err job_step(void *ctx, int64_t step)
{
    ctgan_fit *f = ctx;
    double loss[2];

    TRY(net_fit_ready(&f->f));
    TRY(f->f.flat ? step_in_parts(f, step) : mill_exec_run(f->f.e[0], (uint32_t)step));
    job_metrics(f, loss);
    return net_fit_check(&f->f, step, loss[0], loss[1]);
}

static mill_err job_probe(void *ctx, int64_t step, double *quality)
{
    ctgan_fit *f = ctx;
    const net_parts p = {&f->f.c, f->f.s, &f->probe_draw, NULL, NULL};
    (void)step; /* always the same noise: the figure moves with the model alone */
    return net_fit_probe(&f->f, build_sample, &p, quality);
}

static void fit_job(train_job *job, void *fit)
{
    net_fit *f = fit;

    net_fit_job(job, f);
    job->n_metrics = 2;
    job->metric[0] = "loss_g";
    job->metric[1] = "loss_d";
    job->step = job_step;
    job->metrics = job_metrics;
    job->probe = f->probe ? job_probe : NULL;
}

static mill_err fit_write(void *fit, store_writer *w, json_t *meta)
{
    net_fit *f = fit;
    return net_fit_write(f, w, meta, "generator_dim", f->c.generator_dim, "g.");
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
    const net_parts p = {&m->net.c, m->net.s, &m->draw, NULL, NULL};

    m->draw.fixed = guide(m, w, n_where);
    TRY(net_sampler_seed(&m->net.sampler, seed, build_sample, &p, m->net.file));
    return net_sampler_rows(&m->net.sampler, out, first, n);
}

/* In parts: the graphs of both networks, and what they leave. */
static mill_err estimate_parts(int64_t *fit_bytes, int64_t *sample_bytes, net_parts *p, int threads)
{
    nn_flat *flat;
    int64_t generator;
    mill_err err;

    TRY(net_layout_new(&flat, lay_out, p, SHARDS_LINE));
    p->flat = flat;
    if (!(err = net_estimate(&generator, sample_bytes, (net_build[]){build_generator, build_sample},
                             p, threads)) &&
        !(err = net_estimate(fit_bytes, sample_bytes,
                             (net_build[]){build_discriminator, build_sample}, p, threads)))
        *fit_bytes += generator + shards_bytes(flat, (int)p->c->virtual_shards);
    mill_free(flat);
    return err;
}

static mill_err estimate(int64_t *fit_bytes, int64_t *sample_bytes, const synth_schema *s,
                         const synth_config *c, int threads)
{
    net_assumed a;
    mill_err err;

    TRY(check_config(c));
    TRY(net_assume(&a, s, c));
    net_parts p = {c, a.s, &a.draw, NULL, NULL};
    if (net_in_parts(c))
        err = estimate_parts(fit_bytes, sample_bytes, &p, threads);
    else
        err = net_estimate(fit_bytes, sample_bytes, (net_build[]){build_step, build_sample}, &p,
                           threads);
    if (!err) *fit_bytes = net_fit_bytes(&a, *fit_bytes, *sample_bytes, s, c);
    net_assumed_deinit(&a);
    return err;
}

const synth_method synth_ctgan = {
    .name = "ctgan",
    .about = "conditional GAN with mode-specific normalisation (Xu et al. 2019)",
    .check = check_config,
    .fit_open = fit_open,
    .fit_job = fit_job,
    .fit_write = fit_write,
    .fit_close = fit_close,
    .fit_share = fit_share,
    .fit_sync = net_fit_sync,
    .fit_collect = net_fit_collect,
    .estimate = estimate,
    .model_open = model_open,
    .model_close = model_close,
    .guided = true,
    .sample = sample,
};
