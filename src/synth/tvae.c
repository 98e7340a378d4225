/*
 * tvae.c - the method "tvae": a variational autoencoder on spans (Xu et al. 2019, section 4.5;
 * Kingma and Welling 2014).
 *
 *     encoder   h = relu(x W + b) ...;  mu = h W + b,  l = h W + b (the log of the variance)
 *     latent    z = mu + e exp(l / 2),  e ~ N(0, 1)
 *     decoder   h = relu(z W + b) ...;  o = h W + b
 *     recon     sum over numbers ((x - tanh o)^2 / (2 s^2) + log s)
 *               + sum over the other spans of the cross-entropy of o
 *     KL        -1/2 sum (1 + l - mu^2 - exp l)
 *     L         loss_factor recon / B + KL / B
 *
 * s is one learnt number per column, starts at 0.1, is kept in [0.01, 1].  Adam with coupled L2 on
 * every parameter, s too.  Rows are shuffled every epoch; the last, smaller batch of an epoch is a
 * graph of its own on the same states.  x is one-hot but for the numbers: the first layer is a
 * gather.  In parts (train/shards.h) a part takes B / V rows; the last batch of an epoch fills its
 * first parts, the next one is smaller, the others have none.
 *
 * Sampling: z ~ N(0, 1); the largest unit of each span; u ~ N(tanh o, s), clipped.
 */
#include "base/mem.h"
#include "base/option.h"
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
    const nn_flat *flat;            /* of parts; else NULL */
    const flat_hook *hook;          /* of parts */
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

    TRY(option_dims(enc, &n_enc, TVAE_MAX_LAYERS, p->c->compress_dims));
    TRY(option_dims(dec, &n_dec, TVAE_MAX_LAYERS, p->c->decompress_dims));
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

/* What a step lowers, of the rows of the graph: sums over them by the rows of a batch, or of a part
 * of one. */
typedef struct {
    mill_ref loss, kl;
} tvae_loss;

static mill_err build_loss(tvae_loss *out, tvae_net *n, mill_graph *g, const tvae_parts *p)
{
    const double b = (double)(p->flat ? p->batch : p->rows);

    const mill_ref rows = ctgan_shuffled_rows(g, p->d, p->rows, p->batch, p->per_epoch);
    TRY(tvae_init(n, g, p));
    const mill_ref values = ctgan_row_values(g, rows, p->d, 0);
    const mill_ref h = encode(n, p, rows, values);
    const mill_ref mu = dense_apply(&n->p, &n->mu, h, 0, true);
    const mill_ref lv = dense_apply(&n->p, &n->log_var, h, 0, true);
    const mill_ref noise = mill_normal(g, SHAPE(p->rows, p->c->embedding_dim));
    const mill_ref deviation = mill_exp(g, mill_scale(g, lv, 0.5, 0)); /* its square: exp(lv) */
    const mill_ref z = mill_add(g, mu, mill_mul(g, noise, deviation));
    const mill_ref o = dense_apply(&n->p, &n->decoder, z, 0, true);

    mill_ref recon =
        mill_sum_all(g, mill_span_ce(g, o, spans_node(g, p->s), ctgan_row_targets(g, rows, p->d)));
    if (n->sigma >= 0) recon = mill_add(g, recon, number_loss(n, p, o, values));
    const mill_ref inner = mill_sub(g, mill_scale(g, lv, 1, 1),
                                    mill_add(g, mill_square(g, mu), mill_square(g, deviation)));
    out->kl = mill_scale(g, mill_sum_all(g, inner), -0.5 / b, 0);
    out->loss = mill_add(g, mill_scale(g, recon, p->c->loss_factor / b, 0), out->kl);
    return MILL_OK;
}

static mill_adam_opts adam(const synth_config *c)
{
    return (mill_adam_opts){.beta1 = 0.9,
                            .beta2 = 0.999,
                            .eps = 1e-8,
                            .weight_decay = c->l2scale,
                            .t_mul = 1,
                            .t_add = 1};
}

static const double LEAST_SIGMA = 0.01, MOST_SIGMA = 1;

static mill_err build_step(mill_graph *g, const void *ctx)
{
    const tvae_parts *p = ctx;
    const mill_adam_opts opts = adam(p->c);
    tvae_net n;
    tvae_loss l;

    TRY(build_loss(&l, &n, g, p));
    nn_adam(&n.p, l.loss, mill_const_real(g, p->c->lr), &opts);
    if (n.sigma >= 0) {
        const mill_ref sigma = n.p.ref[n.sigma];
        mill_assign(g, sigma, mill_clip(g, sigma, LEAST_SIGMA, MOST_SIGMA));
    }
    if (p->silent) return MILL_OK; /* and what only they need is dead code */
    mill_output(g, "loss", l.loss);
    mill_output(g, "kl", l.kl);
    return MILL_OK;
}

/* ---- the step in parts ---- */

enum { TVAE_WEIGHTS, TVAE_LOSSES, TVAE_SIGMA, TVAE_N_GROUPS }; /* without numbers no sigma */

static mill_err lay_out(nn_flat *f, mill_graph *g, const void *ctx, int64_t multiple)
{
    tvae_net n;

    TRY(tvae_init(&n, g, ctx));
    TRY(mill_graph_error(g));
    for (int i = 0; i < n.p.n; i++)
        if (i != n.sigma) flat_add(f, n.p.name[i], mill_shape_of(g, n.p.ref[i]));
    TRY(flat_end_group(f, multiple));
    flat_add(f, "loss", &SCALAR)->rate = 1;
    flat_add(f, "kl", &SCALAR)->rate = 1;
    TRY(flat_end_group(f, multiple));
    if (n.sigma < 0) return MILL_OK;
    flat_add(f, n.p.name[n.sigma], mill_shape_of(g, n.p.ref[n.sigma]));
    return flat_end_group(f, multiple);
}

static mill_err build_part(mill_graph *g, const void *ctx)
{
    const tvae_parts *p = ctx;
    flat_left left = {{0}};
    tvae_net n;
    tvae_loss l;

    TRY(build_loss(&l, &n, g, p));
    flat_output(&left, p->flat, g, "loss", l.loss);
    flat_output(&left, p->flat, g, "kl", l.kl);
    TRY(flat_gradients(&left, p->flat, &n.p, l.loss));
    flat_tell(g, p->flat, 0, p->flat->n_groups, &left, p->hook);
    return mill_graph_error(g);
}

static mill_err build_sample(mill_graph *g, const void *ctx)
{
    const tvae_parts *p = ctx;
    const synth_spans *s = p->s;
    int64_t dec[TVAE_MAX_LAYERS + 1];
    int n_dec;
    tvae_net n = {.p = {.g = g, .prefix = "v"}};

    TRY(option_dims(dec, &n_dec, TVAE_MAX_LAYERS, p->c->decompress_dims));
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

typedef struct {
    net_fit f;    /* first, as net.h wants it */
    int64_t step; /* that runs in parts */
} tvae_fit;

static void fit_close(void *fit)
{
    tvae_fit *f = fit;
    if (!f) return;
    net_fit_close(&f->f);
    mill_free(f);
}

static mill_err check_config(const synth_config *c)
{
    return net_check(c, 1);
}

static mill_err compile_steps(net_fit *f)
{
    const int64_t n = f->rows.n, batch = f->c.batch_size < n ? f->c.batch_size : n;
    const int64_t last = n - (f->steps_per_epoch - 1) * batch;
    tvae_parts p = {&f->c, f->s,         &f->draw, batch, f->steps_per_epoch,
                    batch, last < batch, NULL,     NULL};

    TRY(net_fit_compile(f, 0, build_step, &p));
    p.rows = last;
    p.silent = false;
    return p.rows < batch ? net_fit_compile(f, 1, build_step, &p) : MILL_OK;
}

static mill_err fit_open(void **fit, const mill_table *t, const synth_schema *s,
                         const synth_config *c, mill_pool *pool)
{
    mill_err err;

    TRY(check_config(c));
    tvae_fit *f = mill_alloc(1, sizeof *f);
    if (!f) return MILL_ENOMEM;
    if ((err = net_fit_open(&f->f, &synth_tvae, t, s, c, pool))) goto fail;
    f->f.steps_per_epoch = (f->f.rows.n + c->batch_size - 1) / c->batch_size;
    if (!net_in_parts(c) && (err = compile_steps(&f->f))) goto fail;
    *fit = f;
    return MILL_OK;
fail:
    fit_close(f);
    return err;
}

/* ---- steps in parts ---- */

/* p->rows: of a full part. */
static tvae_parts part_of(const synth_config *c, const synth_spans *s, const ctgan_draw *d,
                          int64_t steps_per_epoch)
{
    const int64_t rows = c->batch_size / c->virtual_shards;
    return (tvae_parts){.c = c,
                        .s = s,
                        .d = d,
                        .batch = rows,
                        .per_epoch = steps_per_epoch * c->virtual_shards,
                        .rows = rows};
}

static mill_err fit_share(void *fit, rank_group *g)
{
    net_fit *f = &((tvae_fit *)fit)->f;
    const shards_rule rule[TVAE_N_GROUPS] = {
        [TVAE_WEIGHTS] = {adam(&f->c), 0, 0},
        [TVAE_SIGMA] = {adam(&f->c), LEAST_SIGMA, MOST_SIGMA},
    };
    tvae_parts p = part_of(&f->c, f->s, &f->draw, f->steps_per_epoch);

    TRY(net_fit_shards(f, g, rule, lay_out, &p, 1));
    p.flat = f->flat;
    p.hook = f->shards.hook;
    TRY(net_fit_compile(f, 0, build_part, &p));
    p.rows = f->rows.n % p.batch;
    return p.rows ? net_fit_compile(f, 1, build_part, &p) : MILL_OK;
}

static mill_err run_part(void *ctx, int64_t part)
{
    tvae_fit *f = ctx;
    const int64_t v = f->f.c.virtual_shards, rows = f->f.c.batch_size / v;
    const int64_t run = f->step * v + part;
    const int64_t left = f->f.rows.n - run % (f->f.steps_per_epoch * v) * rows;

    if (left > 0) return mill_exec_run(f->f.e[left < rows], (uint32_t)run);
    shards_skip(&f->f.shards);
    return MILL_OK;
}

static mill_err step_in_parts(tvae_fit *f, int64_t step)
{
    const int64_t batch = f->f.c.batch_size;
    const int64_t left = f->f.rows.n - step % f->f.steps_per_epoch * batch;
    const int64_t rows = left < batch ? left : batch;
    const double part = (double)batch / (double)f->f.c.virtual_shards;

    f->step = step;
    TRY(shards_pass(&f->f.shards, 0, f->f.flat->n_groups, run_part, f));
    return shards_update(&f->f.shards, step, f->f.c.lr, part / (double)rows);
}

/* ---- the job ---- */

/* Of the newest step that ends an epoch; where all batches are alike, of the newest step. */
static void job_metrics(void *ctx, double *values)
{
    const net_fit *f = &((tvae_fit *)ctx)->f;
    mill_exec *e = f->e[1] ? f->e[1] : f->e[0];
    values[0] = f->flat ? shards_value(&f->shards, "loss") : mill_exec_output_scalar(e, "loss");
    values[1] = f->flat ? shards_value(&f->shards, "kl") : mill_exec_output_scalar(e, "kl");
}

static mill_err job_step(void *ctx, int64_t step)
{
    tvae_fit *f = ctx;
    const bool last = step % f->f.steps_per_epoch == f->f.steps_per_epoch - 1;
    double value[2];

    TRY(net_fit_ready(&f->f));
    TRY(f->f.flat ? step_in_parts(f, step)
                  : mill_exec_run(last && f->f.e[1] ? f->f.e[1] : f->f.e[0], (uint32_t)step));
    if (!last) return MILL_OK; /* a batch within an epoch may tell no loss */
    job_metrics(f, value);
    return net_fit_check(&f->f, step, value[0], value[1]);
}

static mill_err job_probe(void *ctx, int64_t step, double *quality)
{
    net_fit *f = &((tvae_fit *)ctx)->f;
    const tvae_parts p = {.c = &f->c, .s = f->s};
    (void)step;
    return net_fit_probe(f, build_sample, &p, quality);
}

static void fit_job(train_job *job, void *fit)
{
    net_fit *f = fit;

    net_fit_job(job, f);
    job->n_metrics = 2;
    job->metric[0] = "loss";
    job->metric[1] = "kl";
    job->step = job_step;
    job->metrics = job_metrics;
    job->probe = f->probe ? job_probe : NULL;
}

static mill_err fit_write(void *fit, store_writer *w, json_t *meta)
{
    net_fit *f = fit;
    return net_fit_write(f, w, meta, "decompress_dims", f->c.decompress_dims, "v.");
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

/* p->rows == 0: that there is no such graph. */
static mill_err estimate_graph(int64_t *fit_bytes, int64_t *sample_bytes, const tvae_parts *p,
                               int threads)
{
    const net_build build[] = {p->flat ? build_part : build_step, build_sample};

    *fit_bytes = 0;
    return p->rows ? net_estimate(fit_bytes, sample_bytes, build, p, threads) : MILL_OK;
}

/* An epoch's last batch, or the last part that has rows, has a graph of its own. */
static mill_err estimate_fit(int64_t *fit_bytes, int64_t *sample_bytes, tvae_parts *p, int64_t n,
                             int threads)
{
    nn_flat *flat = NULL;
    int64_t smaller;
    mill_err err = MILL_OK;

    if (net_in_parts(p->c)) err = net_layout_new(&flat, lay_out, p, SHARDS_LINE);
    p->flat = flat;
    if (!err) err = estimate_graph(fit_bytes, sample_bytes, p, threads);
    p->rows = n % p->batch;
    if (!err) err = estimate_graph(&smaller, sample_bytes, p, threads);
    if (!err) *fit_bytes += smaller;
    if (!err && flat) *fit_bytes += shards_bytes(flat, (int)p->c->virtual_shards);
    mill_free(flat);
    return err;
}

static mill_err estimate(int64_t *fit_bytes, int64_t *sample_bytes, const synth_schema *s,
                         const synth_config *c, int threads)
{
    net_assumed a;

    TRY(check_config(c));
    TRY(net_assume(&a, s, c));
    const int64_t n = a.rows > 0 ? a.rows : 1;
    const int64_t batch = c->batch_size < n ? c->batch_size : n;
    tvae_parts p = {.c = c,
                    .s = a.s,
                    .d = &a.draw,
                    .batch = batch,
                    .per_epoch = (n + batch - 1) / batch,
                    .rows = batch};
    if (net_in_parts(c)) p = part_of(c, a.s, &a.draw, (n + c->batch_size - 1) / c->batch_size);
    const mill_err err = estimate_fit(fit_bytes, sample_bytes, &p, n, threads);
    if (!err) *fit_bytes = net_fit_bytes(&a, *fit_bytes, *sample_bytes, s, c);
    net_assumed_deinit(&a);
    return err;
}

const synth_method synth_tvae = {
    .name = "tvae",
    .about = "variational autoencoder with mode-specific normalisation (Xu et al. 2019)",
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
    .sample = sample,
};
