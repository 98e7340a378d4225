/* net.c - see net.h. */
#include "synth/net.h"

#include "base/log.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mill_err read_states(mill_exec *e, const store *f)
{
    const store_tensor *from;

    for (int pass = 0; pass < 2; pass++) /* look at all of them, then copy */
        for (int i = 0; i < mill_exec_n_states(e); i++) {
            const exec_tensor t = mill_exec_state_at(e, i);
            TRY(store_get(&from, f, t.name, STORE_F32, t.shape.rank, t.shape.dim));
            if (pass) memcpy(t.data, from->data, t.bytes);
        }
    return MILL_OK;
}

/* ---- rows out of a graph ---- */

static void close_sampler(net_sampler *n)
{
    mill_exec_free(n->e);
    mill_graph_free(n->g);
    n->e = NULL;
    n->g = NULL;
}

/* States come from the file, or where it is NULL from a training run: `o` says where they lie. */
static mill_err open_sampler(net_sampler *n, net_build build, const void *ctx,
                             const exec_options *o, const store *f)
{
    exec_options all = o ? *o : (exec_options){0};
    mill_err err;

    TRY(mill_graph_new(&n->g));
    if ((err = build(n->g, ctx))) goto fail;
    if ((err = mill_graph_error(n->g))) goto fail;
    all.pool = n->pool;
    all.seed = n->seed;
    if ((err = mill_exec_new(&n->e, n->g, &all))) goto fail;
    if (f && (err = read_states(n->e, f))) goto fail;
    return MILL_OK;
fail:
    close_sampler(n);
    return err;
}

mill_err net_sampler_seed(net_sampler *n, uint64_t seed, net_build build, const void *ctx,
                          const store *f)
{
    if (n->e && n->seed == seed) return MILL_OK;
    close_sampler(n);
    n->seed = seed;
    return open_sampler(n, build, ctx, NULL, f);
}

mill_err net_model_open(net_model *m, const char **dims, const char *kind, const char *key,
                        const store *f, const synth_schema *schema, mill_pool *pool)
{
    const json_t *net = json_object_get(store_meta(f), kind);
    const json_t *width = json_object_get(net, "embedding_dim"), *text = json_object_get(net, key);

    if (!json_is_integer(width) || !json_is_string(text) || json_integer_value(width) < 1 ||
        json_integer_value(width) > 65536)
        return mill_fail(MILL_EINPUT, "the header has no usable \"%s\" entry", kind);
    m->file = f;
    m->c = synth_config_default();
    m->c.embedding_dim = json_integer_value(width);
    *dims = json_string_value(text);
    TRY(spans_read(&m->s, f, schema));
    m->sampler = (net_sampler){.s = m->s, .schema = schema, .pool = pool};
    return MILL_OK;
}

void net_model_close(net_model *m)
{
    close_sampler(&m->sampler);
    spans_free(m->s);
}

enum { DECODE_ROWS = 128 };

typedef struct {
    const net_sampler *n;
    mill_table *out;
    const float *rows, *numbers; /* of the tile's row `skip` */
    int64_t to, count;
} decode_work;

/* Chunk bounds are multiples of DECODE_ROWS in the table, so no two chunks share a byte of a
 * bitmap. */
static void decode_chunk(void *ctx, int64_t chunk, int thread)
{
    const decode_work *w = ctx;
    const synth_spans *s = w->n->s;
    const int64_t base = w->to / DECODE_ROWS * DECODE_ROWS + chunk * DECODE_ROWS;
    const int64_t from = base > w->to ? base : w->to;
    const int64_t end =
        base + DECODE_ROWS < w->to + w->count ? base + DECODE_ROWS : w->to + w->count;
    const int64_t at = from - w->to;
    (void)thread;

    spans_decode(w->out, from, s, w->n->schema, w->rows + at * s->n_spans,
                 w->numbers ? w->numbers + at * s->n_numbers : NULL, end - from);
}

static mill_err decode_tile(const net_sampler *n, mill_table *out, int64_t to, int64_t skip,
                            int64_t count)
{
    exec_tensor rows, numbers = {0};
    TRY(mill_exec_output(&rows, n->e, "rows"));
    const bool noisy = mill_exec_output(&numbers, n->e, "numbers") == MILL_OK;
    decode_work w = {
        .n = n,
        .out = out,
        .rows = (const float *)rows.data + skip * n->s->n_spans,
        .numbers = noisy ? (const float *)numbers.data + skip * n->s->n_numbers : NULL,
        .to = to,
        .count = count,
    };
    const int64_t first = to / DECODE_ROWS, last = (to + count - 1) / DECODE_ROWS;
    mill_pool_run(n->pool, last - first + 1, decode_chunk, &w);
    return MILL_OK;
}

mill_err net_sampler_rows(net_sampler *n, mill_table *out, int64_t first, int64_t count)
{
    TRY(spans_decode_begin(out, n->s));
    for (int64_t done = 0; done < count;) {
        const int64_t row = first + done, tile = row / NET_TILE, skip = row % NET_TILE;
        const int64_t part = count - done < NET_TILE - skip ? count - done : NET_TILE - skip;

        TRY(mill_exec_run(n->e, (uint32_t)tile));
        TRY(decode_tile(n, out, done, skip, part));
        done += part;
    }
    spans_decode_end(out, n->s);
    return MILL_OK;
}

/* ---- a training run ---- */

mill_err net_fit_open(net_fit *f, const synth_method *method, const mill_table *t,
                      const synth_schema *s, const synth_config *c, mill_pool *pool)
{
    mill_table *learn = NULL, *hold = NULL;
    mill_err err;

    memset(f, 0, sizeof *f);
    f->method = method;
    f->c = *c;
    f->schema = s;
    f->pool = pool;
    if (c->holdout_fraction > 0) TRY(synth_probe_split(&learn, &hold, t, c));
    if ((err = spans_fit(&f->s, learn ? learn : t, s, c->seed, pool))) goto done;
    if (f->s->n == 0) {
        err = mill_fail(MILL_EINPUT, "no column to learn: all are identifiers");
        goto done;
    }
    if ((err = spans_encode(&f->rows, f->s, learn ? learn : t, s, c->seed, pool))) goto done;
    if ((err = ctgan_draw_init(&f->draw, f->s, &f->rows))) goto done;
    if (c->probe_every > 0) err = synth_probe_new(&f->probe, hold ? hold : t, s);
done:
    mill_table_free(learn);
    mill_table_free(hold);
    if (err) net_fit_close(f);
    return err;
}

/* TABMILL_PROFILE=1: where the time of a step went, in words, when the run closes. */
static void report_profile(const net_fit *f)
{
    char *text;

    if (!f->e[0] || !getenv("TABMILL_PROFILE") || mill_exec_profile(&text, f->e[0])) return;
    for (const char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        mill_log(MILL_LOG_WARN, "%s", line);
    mill_free(text);
}

void net_fit_close(net_fit *f)
{
    report_profile(f);
    close_sampler(&f->sampler);
    for (int i = 1; i >= 0; i--) { /* e[1] shares the states of e[0] */
        mill_exec_free(f->e[i]);
        mill_graph_free(f->g[i]);
    }
    shards_close(&f->shards);
    mill_free(f->flat);
    rank_close(f->alone, MILL_OK);
    synth_probe_free(f->probe);
    ctgan_draw_deinit(&f->draw);
    span_rows_free(&f->rows);
    spans_free(f->s);
    memset(f, 0, sizeof *f);
}

mill_err net_fit_compile(net_fit *f, int which, net_build build, const void *ctx)
{
    TRY(mill_graph_new(&f->g[which]));
    TRY(build(f->g[which], ctx));
    TRY(mill_graph_error(f->g[which]));
    if (!strcmp(f->c.amp, "bf16")) TRY(mill_pass_cast(f->g[which]));
    exec_place place[2 * FLAT_MAX_ENTRIES];
    const exec_options o = {
        .pool = f->pool,
        .seed = f->c.seed,
        .flags = getenv("TABMILL_PROFILE") ? EXEC_PROFILE : 0,
        .share = which && !f->flat ? f->e[0] : NULL,
        .place = place,
        .n_place = f->flat ? shards_places(place, &f->shards, true) : 0,
    };
    return mill_exec_new(&f->e[which], f->g[which], &o);
}

/* ---- in parts ---- */

mill_err net_check(const synth_config *c, int64_t unit)
{
    const int64_t v = c->virtual_shards, all = v * unit;

    if (strcmp(c->amp, "off") != 0 && strcmp(c->amp, "bf16") != 0)
        return mill_fail(MILL_EINPUT, "--amp %s: neither off nor bf16", c->amp);
    if (!net_in_parts(c) || c->batch_size % all == 0) return MILL_OK;
    const int64_t below = c->batch_size / all * all;
    char other[32] = "", packs[40] = "";
    if (unit > 1) snprintf(packs, sizeof packs, " in whole packs of %lld", (long long)unit);
    if (below) snprintf(other, sizeof other, "%lld or ", (long long)below);
    return mill_fail(
        MILL_EINPUT, "a batch of %lld rows cannot be dealt to %lld shards%s: a batch of %s%lld can",
        (long long)c->batch_size, (long long)v, packs, other, (long long)(below + all));
}

static mill_err open_alone(rank_group **g, mill_pool *pool)
{
    const rank_identity who = {.world = 1, .local_world = 1, .nodes = 1, .source = "single"};
    return rank_open(g, &who, &(rank_options){.pool = pool});
}

mill_err net_layout_new(nn_flat **out, net_layout layout, const void *ctx, int64_t multiple)
{
    nn_flat *f = mill_alloc(1, sizeof *f);
    mill_graph *g = NULL; /* for the shapes alone */
    mill_err err = f ? mill_graph_new(&g) : MILL_ENOMEM;

    if (!err) err = layout(f, g, ctx, multiple);
    mill_graph_free(g);
    if (err)
        mill_free(f);
    else
        *out = f;
    return err;
}

mill_err net_fit_shards(net_fit *f, rank_group *g, const shards_rule *rule, net_layout layout,
                        const void *ctx, int passes)
{
    const int64_t v = f->c.virtual_shards;
    const int64_t steps = f->c.epochs * f->steps_per_epoch;

    if (v < 2)
        return mill_fail(MILL_EINPUT, "%d ranks: --virtual-shards says how many parts a step has",
                         g ? rank_world(g) : 1);
    /* Noise is keyed by 32 bits of step, pass and part. */
    if (steps >= (int64_t)UINT32_MAX / (v * passes))
        return mill_fail(MILL_EINPUT, "%lld steps of %lld shards: fewer epochs or larger batches",
                         (long long)steps, (long long)v);
    if (!g) {
        TRY(open_alone(&f->alone, f->pool));
        g = f->alone;
    }
    TRY(net_layout_new(&f->flat, layout, ctx, shards_multiple(g)));
    return shards_open(&f->shards, f->flat, rule, (int)v, g, f->pool);
}

/* ---- the state ---- */

static mill_err write_states(net_fit *f, store_writer *w, const char *prefix, bool moments)
{
    if (f->flat) return shards_write(&f->shards, w, prefix, moments);
    for (int i = 0; i < mill_exec_n_states(f->e[0]); i++) {
        const exec_tensor t = mill_exec_state_at(f->e[0], i);
        if (strncmp(t.name, prefix, strlen(prefix)) != 0 || (!moments && strstr(t.name, ".adam_")))
            continue;
        TRY(store_writer_add(w, t.name, STORE_F32, t.shape.rank, t.shape.dim, t.data));
    }
    return MILL_OK;
}

mill_err net_fit_ready(net_fit *f)
{
    return net_in_parts(&f->c) && !f->flat ? f->method->fit_share(f, NULL) : MILL_OK;
}

mill_err net_fit_check(const net_fit *f, int64_t step, double a, double b)
{
    if (isfinite(a) && isfinite(b)) return MILL_OK;
    return mill_fail(MILL_EINPUT,
                     "%s: after step %lld a loss is no number any more: the training has gone "
                     "astray, as it does at too high a learning rate",
                     f->method->name, (long long)step + 1);
}

static mill_err job_save(void *ctx, store_writer *w, json_t *meta)
{
    net_fit *f = ctx;
    (void)meta;
    TRY(net_fit_ready(f));
    return write_states(f, w, "", true);
}

static mill_err job_load(void *ctx, const store *s)
{
    net_fit *f = ctx;
    TRY(net_fit_ready(f));
    return f->flat ? shards_read(&f->shards, s) : read_states(f->e[0], s);
}

void net_fit_job(train_job *job, net_fit *f)
{
    *job = (train_job){
        .ctx = f,
        .name = f->method->name,
        .n_steps = f->c.epochs * f->steps_per_epoch,
        .steps_per_epoch = f->steps_per_epoch,
        .save = job_save,
        .load = job_load,
    };
}

mill_err net_fit_write(net_fit *f, store_writer *w, json_t *meta, const char *key, const char *dims,
                       const char *prefix)
{
    json_t *net =
        json_pack("{s:I, s:s}", "embedding_dim", (json_int_t)f->c.embedding_dim, key, dims);

    if (!net || json_object_set_new(meta, f->method->name, net))
        return mill_fail(MILL_ENOMEM, "no memory for the model's header");
    TRY(net_fit_ready(f));
    TRY(spans_write(f->s, w));
    return write_states(f, w, prefix, false);
}

mill_err net_fit_sync(void *fit)
{
    return shards_sync(&((net_fit *)fit)->shards);
}

mill_err net_fit_collect(void *fit)
{
    return shards_collect(&((net_fit *)fit)->shards);
}

/* ---- the probe ---- */

mill_err net_fit_probe(net_fit *f, net_build build, const void *ctx, double *quality)
{
    mill_table *t = NULL;
    mill_err err;

    if (!f->sampler.e) {
        f->sampler =
            (net_sampler){.s = f->s, .schema = f->schema, .pool = f->pool, .seed = ~f->c.seed};
        exec_place place[2 * FLAT_MAX_ENTRIES];
        const exec_options o = {.share = f->flat ? NULL : f->e[0],
                                .place = place,
                                .n_place = f->flat ? shards_places(place, &f->shards, false) : 0};
        TRY(open_sampler(&f->sampler, build, ctx, &o, NULL));
    }
    TRY(synth_schema_table(&t, f->schema, synth_probe_rows(f->probe)));
    err = net_sampler_rows(&f->sampler, t, 0, t->rows);
    if (!err) err = synth_probe_quality(quality, f->probe, t);
    mill_table_free(t);
    return err;
}

/* ---- estimates ---- */

mill_err net_assume(net_assumed *a, const synth_schema *s, const synth_config *c)
{
    synth_schema learnt = *s;

    *a = (net_assumed){0};
    learnt.rows = a->rows = synth_probe_learnt(s->rows, c);
    TRY(spans_assume(&a->s, &a->rows_bytes, &learnt));
    const mill_err err = ctgan_draw_init(&a->draw, a->s, NULL);
    if (err) net_assumed_deinit(a);
    return err;
}

void net_assumed_deinit(net_assumed *a)
{
    ctgan_draw_deinit(&a->draw);
    spans_free(a->s);
}

static mill_err plan_bytes(int64_t *bytes, net_build build, const void *ctx, int threads)
{
    mill_graph *g;
    mill_plan *plan = NULL;
    mill_err err;

    TRY(mill_graph_new(&g));
    if (!(err = build(g, ctx)) && !(err = mill_graph_error(g)) &&
        !(err = mill_plan_new(&plan, g, 0)))
        *bytes = (int64_t)mill_plan_bytes(plan, threads);
    mill_plan_free(plan);
    mill_graph_free(g);
    return err;
}

mill_err net_estimate(int64_t *fit_bytes, int64_t *sample_bytes, const net_build build[2],
                      const void *ctx, int threads)
{
    TRY(plan_bytes(fit_bytes, build[0], ctx, threads));
    return plan_bytes(sample_bytes, build[1], ctx, threads);
}

int64_t net_fit_bytes(const net_assumed *a, int64_t steps, int64_t sampler, const synth_schema *s,
                      const synth_config *c)
{
    const int64_t coding = synth_coding_bytes(s, c, a->rows_bytes);
    const int64_t training = a->rows_bytes + steps + (c->probe_every ? sampler : 0);
    const int64_t after = training - synth_table_bytes(s, s->rows); /* which is gone then */

    return after > coding ? after : coding;
}
