/*
 * tvae.c - the method "tvae": a variational autoencoder on spans (Xu et al. 2019, section 4.5;
 * Kingma and Welling 2014).
 *
 *     encoder   h = relu(x W + b) ...;  mu = h W + b,  l = h W + b (the log of the variance)
 *     latent    z = mu + e exp(l / 2),  e ~ N(0, 1)
 *     decoder   h = relu(z W + b) ...;  o = h W + b
 *     recon = sum over numbers ((x - tanh o)^2 / (2 s^2) + log s) + sum over the other spans of the
 * cross-entropy of o KL    = -1/2 sum (1 + l - mu^2 - exp l) L     = loss_factor recon / B + KL / B
 *
 * s is one learnt number per column, starts at 0.1, is kept in [0.01, 1].  Adam with coupled L2 on
 * every parameter, s too. Rows are shuffled every epoch; the last, smaller batch of an epoch is a
 * graph of its own on the same states. x is one-hot but for the numbers: the first layer is a
 * gather. Sampling: z ~ N(0, 1); the largest unit of each span; u ~ N(tanh o, s), clipped.
 */
#include "base/mem.h"
#include "nn/param.h"
#include "synth/net.h"

#include <string.h>

enum { TVAE_MAX_LAYERS = 16 };

typedef struct {
    const synth_config *c;
    const synth_spans *s;
    const ctgan_draw *d;
    int64_t batch, per_epoch, rows; /* of the step */
    bool silent;                    /* no losses: they are read at the end of an epoch only */
} tvae_parts;

typedef struct {
    int w[TVAE_MAX_LAYERS + 1], b[TVAE_MAX_LAYERS + 1], n;
} dense;

static dense dense_init(nn_params *p, const char *name, int64_t in, const int64_t *dim, int n)
{
    dense d = {.n = n};
    for (int l = 0; l < n; l++) {
        d.w[l] = nn_param(p, SHAPE(in, dim[l]), in, 0, "%s.w%d", name, l);
        d.b[l] = nn_param(p, SHAPE(dim[l]), in, 0, "%s.b%d", name, l);
        in = dim[l];
    }
    return d;
}

/* relu after every layer but, where `last_linear`, the last */
static mill_ref dense_apply(const nn_params *p, const dense *d, mill_ref x, int from,
                            bool last_linear)
{
    for (int l = from; l < d->n; l++) {
        x = mill_linear(p->g, x, p->ref[d->w[l]], p->ref[d->b[l]]);
        if (!last_linear || l < d->n - 1) x = mill_relu(p->g, x);
    }
    return x;
}

/* The tanh units of (n, D): (n, n_numbers) */
static mill_ref number_units(mill_graph *g, const synth_spans *s, mill_ref x)
{
    int32_t *unit = mill_alloc((size_t)s->n_numbers + 1, sizeof *unit);
    if (!unit)
        return mill_poison(g, MILL_ENOMEM, "no memory for a list of %d columns", s->n_numbers);
    for (int k = 0; k < s->n; k++)
        if (s->col[k].is_number) unit[s->col[k].number] = s->col[k].start - 1;
    const mill_ref cols = mill_const(g, MILL_T_I32, SHAPE(s->n_numbers), unit);
    mill_free(unit);
    return mill_gather_cols(g, x, cols);
}

typedef struct {
    nn_params p;
    dense encoder, mu, log_var, decoder;
    int sigma; /* -1: no numbers */
} tvae_net;

static mill_err tvae_init(tvae_net *n, mill_graph *g, const tvae_parts *p)
{
    int64_t enc[TVAE_MAX_LAYERS], dec[TVAE_MAX_LAYERS + 1], latent = p->c->embedding_dim;
    int n_enc, n_dec;

    TRY(synth_dims(enc, &n_enc, TVAE_MAX_LAYERS, p->c->compress_dims));
    TRY(synth_dims(dec, &n_dec, TVAE_MAX_LAYERS, p->c->decompress_dims));
    dec[n_dec++] = p->s->width;
    *n = (tvae_net){.p = {.g = g, .prefix = "v"}, .sigma = -1};
    n->encoder = dense_init(&n->p, "enc", p->s->width, enc, n_enc);
    n->mu = dense_init(&n->p, "mu", enc[n_enc - 1], &latent, 1);
    n->log_var = dense_init(&n->p, "logvar", enc[n_enc - 1], &latent, 1);
    n->decoder = dense_init(&n->p, "dec", latent, dec, n_dec);
    if (p->s->n_numbers) n->sigma = nn_param(&n->p, SHAPE(p->s->n_numbers), 0, 0.1, "sigma");
    return MILL_OK;
}

/* First encoder layer from codes and values */
static mill_ref encode(const tvae_net *n, const tvae_parts *p, mill_ref rows, mill_ref values)
{
    mill_graph *g = n->p.g;
    const mill_ref a = mill_codes_matmul(g, n->p.ref[n->encoder.b[0]], n->p.ref[n->encoder.w[0]],
                                         ctgan_row_codes(g, rows, p->d, 0, 1), values);
    return dense_apply(&n->p, &n->encoder, mill_relu(g, a), 1, false);
}

/* sum over numbers of ((x - tanh o)^2 / (2 s^2) + log s), all rows: a scalar */
static mill_ref number_loss(const tvae_net *n, const tvae_parts *p, mill_ref o, mill_ref values)
{
    mill_graph *g = n->p.g;
    const mill_ref s = n->p.ref[n->sigma];
    const mill_ref x = mill_slice(g, values, -1, 0, p->s->n_numbers);
    const mill_ref gap = mill_sub(g, x, mill_tanh(g, number_units(g, p->s, o)));
    const mill_ref weight = mill_reciprocal(g, mill_scale(g, mill_square(g, s), 2, 0));
    const mill_ref fit = mill_sum_all(g, mill_mul(g, mill_square(g, gap), weight));
    return mill_add(g, fit, mill_scale(g, mill_sum_all(g, mill_ln(g, s)), (double)p->rows, 0));
}

static mill_err build_step(mill_graph *g, const void *ctx)
{
    const tvae_parts *p = ctx;
    const double b = (double)p->rows;
    tvae_net n;

    const mill_ref rows = ctgan_shuffled_rows(g, p->d, p->rows, p->batch, p->per_epoch);
    TRY(tvae_init(&n, g, p));
    const mill_ref values = ctgan_row_values(g, rows, p->d, 0);
    const mill_ref h = encode(&n, p, rows, values);
    const mill_ref mu = dense_apply(&n.p, &n.mu, h, 0, true);
    const mill_ref lv = dense_apply(&n.p, &n.log_var, h, 0, true);
    const mill_ref noise = mill_normal(g, SHAPE(p->rows, p->c->embedding_dim));
    const mill_ref deviation = mill_exp(g, mill_scale(g, lv, 0.5, 0)); /* its square: exp(lv) */
    const mill_ref z = mill_add(g, mu, mill_mul(g, noise, deviation));
    const mill_ref o = dense_apply(&n.p, &n.decoder, z, 0, true);

    mill_ref recon =
        mill_sum_all(g, mill_span_ce(g, o, spans_node(g, p->s), ctgan_row_targets(g, rows, p->d)));
    if (n.sigma >= 0) recon = mill_add(g, recon, number_loss(&n, p, o, values));
    const mill_ref inner = mill_sub(g, mill_scale(g, lv, 1, 1),
                                    mill_add(g, mill_square(g, mu), mill_square(g, deviation)));
    const mill_ref kl = mill_scale(g, mill_sum_all(g, inner), -0.5 / b, 0);
    const mill_ref loss = mill_add(g, mill_scale(g, recon, p->c->loss_factor / b, 0), kl);

    const mill_adam_opts opts = {.beta1 = 0.9,
                                 .beta2 = 0.999,
                                 .eps = 1e-8,
                                 .weight_decay = p->c->l2scale,
                                 .t_mul = 1,
                                 .t_add = 1};
    nn_adam(&n.p, loss, mill_const_real(g, p->c->lr), &opts);
    if (n.sigma >= 0) mill_assign(g, n.p.ref[n.sigma], mill_clip(g, n.p.ref[n.sigma], 0.01, 1));
    if (p->silent) return MILL_OK; /* and what only they need is dead code */
    mill_output(g, "loss", loss);
    mill_output(g, "kl", kl);
    return MILL_OK;
}

static mill_err build_sample(mill_graph *g, const void *ctx)
{
    const tvae_parts *p = ctx;
    const synth_spans *s = p->s;
    int64_t dec[TVAE_MAX_LAYERS + 1];
    int n_dec;
    tvae_net n = {.p = {.g = g, .prefix = "v"}};

    TRY(synth_dims(dec, &n_dec, TVAE_MAX_LAYERS, p->c->decompress_dims));
    dec[n_dec++] = s->width;
    n.decoder = dense_init(&n.p, "dec", p->c->embedding_dim, dec, n_dec);
    const mill_ref z = mill_normal(g, SHAPE(NET_TILE, p->c->embedding_dim));
    const mill_ref o = dense_apply(&n.p, &n.decoder, z, 0, true);
    mill_output(g, "rows", mill_span_pick(g, o, spans_node(g, s), false));
    if (!s->n_numbers) return MILL_OK;

    const mill_ref sigma = n.p.ref[nn_param(&n.p, SHAPE(s->n_numbers), 0, 0.1, "sigma")];
    const mill_ref noise = mill_mul(g, mill_normal(g, SHAPE(NET_TILE, s->n_numbers)), sigma);
    mill_output(g, "numbers", mill_add(g, mill_tanh(g, number_units(g, s, o)), noise));
    return MILL_OK;
}

/* ---- training ---- */

static void fit_close(void *fit)
{
    if (!fit) return;
    net_fit_close(fit);
    mill_free(fit);
}

static mill_err fit_open(void **fit, const mill_table *t, const synth_schema *s,
                         const synth_config *c, mill_pool *pool)
{
    mill_err err;

    if (strcmp(c->amp, "off") && strcmp(c->amp, "bf16"))
        return mill_fail(MILL_EINPUT, "--amp %s: off or bf16", c->amp);
    net_fit *f = mill_alloc(1, sizeof *f);
    if (!f) return MILL_ENOMEM;
    if ((err = net_fit_open(f, t, s, c, pool))) goto fail;

    const int64_t n = f->rows.n, batch = c->batch_size < n ? c->batch_size : n;
    f->steps_per_epoch = (n + batch - 1) / batch;
    const int64_t last = n - (f->steps_per_epoch - 1) * batch;
    tvae_parts p = {&f->c, f->s, &f->draw, batch, f->steps_per_epoch, batch, last < batch};
    if ((err = net_fit_compile(f, 0, build_step, &p))) goto fail;
    p.rows = last;
    p.silent = false;
    if (p.rows < batch && (err = net_fit_compile(f, 1, build_step, &p))) goto fail;
    *fit = f;
    return MILL_OK;
fail:
    fit_close(f);
    return err;
}

static mill_err job_step(void *ctx, int64_t step)
{
    const net_fit *f = ctx;
    const bool last = step % f->steps_per_epoch == f->steps_per_epoch - 1;

    return mill_exec_run(last && f->e[1] ? f->e[1] : f->e[0], (uint32_t)step);
}

/* Of the newest step that ends an epoch; where all batches are alike, of the newest step. */
static void job_metrics(void *ctx, double *values)
{
    const net_fit *f = ctx;
    mill_exec *e = f->e[1] ? f->e[1] : f->e[0];
    values[0] = mill_exec_output_scalar(e, "loss");
    values[1] = mill_exec_output_scalar(e, "kl");
}

static mill_err job_probe(void *ctx, int64_t step, double *quality)
{
    net_fit *f = ctx;
    const tvae_parts p = {.c = &f->c, .s = f->s};
    (void)step;
    return net_fit_probe(f, build_sample, &p, quality);
}

static mill_err job_save(void *ctx, store_writer *w, json_t *meta)
{
    (void)meta;
    return net_states_write(((net_fit *)ctx)->e[0], w, "");
}

static mill_err job_load(void *ctx, const store *s)
{
    return net_fit_load(ctx, s);
}

static void fit_job(train_job *job, void *fit)
{
    const net_fit *f = fit;
    *job = (train_job){
        .ctx = fit,
        .name = "tvae",
        .n_steps = f->c.epochs * f->steps_per_epoch,
        .steps_per_epoch = f->steps_per_epoch,
        .n_metrics = 2,
        .metric = {"loss", "kl"},
        .step = job_step,
        .metrics = job_metrics,
        .probe = f->probe ? job_probe : NULL,
        .save = job_save,
        .load = job_load,
    };
}

static mill_err fit_write(void *fit, store_writer *w, json_t *meta)
{
    net_fit *f = fit;
    json_t *net = json_pack("{s:I, s:s}", "embedding_dim", (json_int_t)f->c.embedding_dim,
                            "decompress_dims", f->c.decompress_dims);

    if (!net || json_object_set_new(meta, "tvae", net))
        return mill_fail(MILL_ENOMEM, "no memory for the model's header");
    TRY(spans_write(f->s, w, meta));
    return net_model_write(f->e[0], w, "v.");
}

/* ---- model ---- */

static void model_close(void *model)
{
    net_model *m = model;
    if (!m) return;
    net_model_close(m);
    mill_free(m);
}

static mill_err model_open(void **model, const store *f, const synth_schema *schema,
                           mill_pool *pool)
{
    net_model *m = mill_alloc(1, sizeof *m);

    if (!m) return MILL_ENOMEM;
    const mill_err err =
        net_model_open(m, &m->c.decompress_dims, "tvae", "decompress_dims", f, schema, pool);
    if (err)
        model_close(m);
    else
        *model = m;
    return err;
}

static mill_err sample(void *model, mill_table *out, int64_t first, int64_t n, uint64_t seed,
                       const synth_where *w, int n_where)
{
    net_model *m = model;
    const tvae_parts p = {.c = &m->c, .s = m->s};

    (void)w, (void)n_where;
    TRY(net_sampler_seed(&m->sampler, seed, build_sample, &p, m->file));
    return net_sampler_rows(&m->sampler, out, first, n);
}

static mill_err estimate(int64_t *fit_bytes, int64_t *sample_bytes, const synth_schema *s,
                         const synth_config *c, int threads)
{
    synth_spans *spans;
    ctgan_draw draw = {0};
    int64_t rows;
    mill_err err;

    synth_schema learnt = *s;

    learnt.rows = synth_probe_learnt(s->rows, c);
    TRY(spans_assume(&spans, &rows, &learnt));
    if ((err = ctgan_draw_init(&draw, spans, NULL))) goto done;
    const int64_t n = learnt.rows > 0 ? learnt.rows : 1,
                  batch = c->batch_size < n ? c->batch_size : n;
    int64_t smaller = 0; /* an epoch's last batch has a graph of its own */
    tvae_parts p = {c, spans, &draw, batch, (n + batch - 1) / batch, n % batch, false};
    if (p.rows)
        err = net_estimate(&smaller, sample_bytes, (net_build[]){build_step, build_sample}, &p,
                           threads);
    p.rows = batch;
    if (!err)
        err = net_estimate(fit_bytes, sample_bytes, (net_build[]){build_step, build_sample}, &p,
                           threads);
    if (!err) *fit_bytes = net_fit_bytes(rows, *fit_bytes + smaller, *sample_bytes, s, c);
done:
    ctgan_draw_deinit(&draw);
    spans_free(spans);
    return err;
}

const synth_method synth_tvae = {
    .name = "tvae",
    .about = "variational autoencoder with mode-specific normalisation (Xu et al. 2019)",
    .fit_open = fit_open,
    .fit_job = fit_job,
    .fit_write = fit_write,
    .fit_close = fit_close,
    .estimate = estimate,
    .model_open = model_open,
    .model_close = model_close,
    .sample = sample,
};
