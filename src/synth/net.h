/*
 * net.h - what CTGAN and TVAE share: encoded rows, states in files, and rows out of a sampling
 * graph.
 */
#ifndef MILL_SYNTH_NET_H
#define MILL_SYNTH_NET_H

#include "synth/ctgan_draw.h"
#include "synth/probe.h"
#include "train/shards.h"

/* ---- rows out of a graph ---- */

enum {
    NET_TILE = 2048
}; /* rows of one run of the sampling graph: row i is element i mod NET_TILE of step i / NET_TILE */

/* Builds the sampling graph: output "rows" (NET_TILE, n_spans) and, where numbers have noise of
 * their own, "numbers" (NET_TILE, n_numbers). */
typedef mill_err (*net_build)(mill_graph *g, const void *ctx);

typedef struct {
    const synth_spans *s;
    const synth_schema *schema;
    mill_pool *pool;
    mill_graph *g;
    mill_exec *e;
    uint64_t seed;
} net_sampler;

/* Open for `seed`, anew if it is open for another; states come from the file. */
mill_err net_sampler_seed(net_sampler *n, uint64_t seed, net_build build, const void *ctx,
                          const store *f);
/* Rows first .. first+count-1 of the sequence into rows [0, count) of `out`. */
mill_err net_sampler_rows(net_sampler *n, mill_table *out, int64_t first, int64_t count);

/* ---- a model out of its file ---- */

typedef struct {
    const store *file;
    synth_spans *s;
    synth_config c; /* embedding_dim and the layers' widths are the file's */
    net_sampler sampler;
} net_model;

/*
 * The header's entry `kind` is {"embedding_dim": N, key: "256,256"}; the widths go to *dims, a
 * field of m->c, and belong to the file.
 */
mill_err net_model_open(net_model *m, const char **dims, const char *kind, const char *key,
                        const store *f, const synth_schema *schema, mill_pool *pool);
void net_model_close(net_model *m);

/* ---- estimates: the plans of graphs that are never run ---- */

/* What the graphs of a fit by these options are built from, without data. */
typedef struct {
    synth_spans *s;
    ctgan_draw draw;
    int64_t rows;       /* that are learnt from */
    int64_t rows_bytes; /* of them encoded */
} net_assumed;
mill_err net_assume(net_assumed *a, const synth_schema *s, const synth_config *c);
void net_assumed_deinit(net_assumed *a);

/* Peak bytes of the step (build[0]) and of sampling (build[1]), from their plans. */
mill_err net_estimate(int64_t *fit_bytes, int64_t *sample_bytes, const net_build build[2],
                      const void *ctx, int threads);

/* Of a fit: rows encoded out of the table, which may be a copy with rows withheld; or these rows
 * and the plans of steps and of the probe's sampler, when the table is gone. */
int64_t net_fit_bytes(const net_assumed *a, int64_t steps, int64_t sampler, const synth_schema *s,
                      const synth_config *c);

/* ---- a training run ---- */

/*
 * In one piece (a step is a graph), or with --virtual-shards in parts, which any number of ranks
 * share (train/shards.h).  A method's own run begins with its net_fit: `fit` points to both.
 */
typedef struct {
    const synth_method *method;
    synth_config c;
    const synth_schema *schema; /* borrowed until close */
    mill_pool *pool;
    synth_spans *s;
    span_rows rows;
    ctgan_draw draw;
    synth_probe *probe;
    net_sampler sampler; /* of the probe; opened when first asked */
    mill_graph *g[2];    /* the step; tvae: and the step of an epoch's last, smaller batch.  In
                            parts: those of the discriminator and of the generator; or likewise */
    mill_exec *e[2];
    int64_t steps_per_epoch;

    nn_flat *flat; /* in parts; else NULL */
    train_shards shards;
    rank_group *alone; /* the group, where there are no other ranks */
} net_fit;

/* Encode the table (less the held-out rows), make the probe. */
mill_err net_fit_open(net_fit *f, const synth_method *method, const mill_table *t,
                      const synth_schema *s, const synth_config *c, mill_pool *pool);
void net_fit_close(net_fit *f);
mill_err net_fit_compile(net_fit *f, int which, net_build build, const void *ctx);
mill_err net_fit_probe(net_fit *f, net_build build, const void *ctx, double *quality);
/* Before a step and before the state is asked for: a run in parts that nobody shares is done by
 * this process alone. */
mill_err net_fit_ready(net_fit *f);
/* After a step: MILL_EINPUT where a loss is no number any more, so that no such model is written.
 */
mill_err net_fit_check(const net_fit *f, int64_t step, double a, double b);
/* All of the job but what a step is, its metrics and its probe. */
void net_fit_job(train_job *job, net_fit *f);
/* The model: the header's entry that net_model_open reads, spans, and the states whose names begin
 * with the prefix, less Adam's moments. */
mill_err net_fit_write(net_fit *f, store_writer *w, json_t *meta, const char *key, const char *dims,
                       const char *prefix);
/* synth_method's. */
mill_err net_fit_sync(void *fit);
mill_err net_fit_collect(void *fit);

/* Whether the step is to be in parts. */
static inline bool net_in_parts(const synth_config *c)
{
    return c->virtual_shards > 1;
}
/* MILL_EINPUT unless --amp is one of those there are, and each part gets as many rows, a multiple
 * of `unit` of them. */
mill_err net_check(const synth_config *c, int64_t unit);
/* Fills the layout; g is of no other use. */
typedef mill_err (*net_layout)(nn_flat *f, mill_graph *g, const void *ctx, int64_t multiple);
mill_err net_layout_new(nn_flat **out, net_layout layout, const void *ctx, int64_t multiple);
/* Opens f->shards for the ranks of g; NULL: for this process alone.  passes: of a step. */
mill_err net_fit_shards(net_fit *f, rank_group *g, const shards_rule *rule, net_layout layout,
                        const void *ctx, int passes);
#endif
