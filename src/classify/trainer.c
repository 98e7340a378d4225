/*
 * trainer.c - one step of training on any number of ranks.
 *
 *     each part that is this rank's: rows in, loss and gradient out, added up in the tree
 *     while the last part runs: each bucket of the flat gradient that is complete is reduced and
 *     scattered, so that each rank has the sum for its slice of it
 *     the ranks tell each other: loss and hits of their parts, the squares of their slice, a signal
 *     the slice of the parameters is updated, in memory that all ranks of a host share
 *     (train/shards.h)
 *
 * The loss of a part is the sum over its rows of 1 / (rows of the step) times the row's loss, so
 * sums over parts need no division, and a short last step is as right as a full one.  The squares
 * of the gradient are summed by lines of 1024, then over all lines in order: the same for any
 * slicing.
 */
#include "classify/trainer.h"

#include "base/cpu.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vmath.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- opening ---- */

static mill_err compile(cls_graph *to, cls_trainer *t, const exec_place *place, int n_place)
{
    const exec_options o = {.pool = t->pool,
                            .seed = t->c.seed,
                            .flags = getenv("TABMILL_PROFILE") ? EXEC_PROFILE : 0,
                            .place = place,
                            .n_place = n_place};
    return mill_exec_new(&to->e, to->g, &o);
}

static int64_t most_evaluated(const cls_data *d)
{
    return d->val->n > d->test->n ? d->val->n : d->test->n;
}

/* Answers to the larger set. */
static int64_t n_answers(const cls_data *d, const cls_net *n)
{
    return (most_evaluated(d) + 1) * n->n_out;
}

static int64_t tile_of(const cls_data *d, const cls_net *n)
{
    const int64_t rows = most_evaluated(d), most = n->is_ft ? CLS_MAX_TILE / 4 : CLS_MAX_TILE;
    return rows < 1 ? 1 : rows < most ? rows : most;
}

static mill_err make_buffers(cls_trainer *t)
{
    const shards_rule rule = {.adam = {.beta1 = 0.9,
                                       .beta2 = 0.999,
                                       .eps = 1e-8,
                                       .weight_decay = t->c.weight_decay,
                                       .decoupled = true}};

    TRY(shards_open(&t->shards, &t->layout, &rule, (int)t->plan.parts, t->group, t->pool));
    TRY(rank_buffer_new(&t->out, t->group, n_answers(&t->d, &t->net), RANK_EACH));
    int64_t groups = 0;
    for (int b = 0; t->c.max_grad_norm > 0 && b < t->layout.n_buckets; b++)
        groups += shards_lines(&t->shards, b) / CLS_GROUP;
    t->n_told = TELL_PARTS + 2 * rank_tree_parts(t->shards.tree) + groups;
    t->told = mill_alloc((size_t)t->n_told, sizeof *t->told);
    t->heard = mill_alloc((size_t)(t->n_told * t->plan.world), sizeof *t->heard);
    return rank_agree(t->group, t->told && t->heard ? MILL_OK : MILL_ENOMEM);
}

static mill_err make_networks(cls_trainer *t)
{
    exec_place place[2 * FLAT_MAX_ENTRIES];

    TRY(mill_graph_new(&t->part.g));
    TRY(cls_build_part(t->part.g, &t->net, &t->layout, t->c.batch_size, !strcmp(t->c.amp, "bf16"),
                       t->shards.hook));
    TRY(compile(&t->part, t, place, shards_places(place, &t->shards, true)));

    t->tile = tile_of(&t->d, &t->net);
    TRY(mill_graph_new(&t->eval.g));
    TRY(cls_build_eval(t->eval.g, &t->net, t->tile));
    return compile(&t->eval, t, place, shards_places(place, &t->shards, false));
}

static mill_err make_norm(cls_trainer *t)
{
    float *const grad = rank_buffer_data(rank_tree_buffer(t->shards.tree));
    char name[FLAT_MAX_BUCKETS][16];
    exec_place place[FLAT_MAX_BUCKETS];
    int64_t lines[FLAT_MAX_BUCKETS];
    const int n = t->layout.n_buckets;

    if (!(t->c.max_grad_norm > 0)) return MILL_OK;
    for (int b = 0; b < n; b++) {
        const rank_span slice = t->shards.slice[b];
        snprintf(name[b], sizeof name[b], "grad%d", b);
        lines[b] = shards_lines(&t->shards, b);
        place[b] = (exec_place){name[b], grad + slice.begin,
                                (size_t)(slice.end - slice.begin) * sizeof *grad, false};
    }
    TRY(mill_graph_new(&t->norm.g));
    TRY(cls_build_norm(t->norm.g, n, lines));
    return compile(&t->norm, t, place, n);
}

static mill_err load_encoder(cls_trainer *t)
{
    store *s;

    TRY(store_open(&s, t->c.encoder_path));
    const mill_err err = cls_params_load(t, s, true);
    store_close(s);
    return err;
}

static mill_err make(cls_trainer *t)
{
    TRY(cls_plan_make(&t->plan, &t->c, t->d.train->n, rank_world(t->group)));
    TRY(cls_net_init(&t->net, &t->c, t->d.encoder));
    TRY(cls_layout_make(&t->layout, &t->net, CLS_GROUP * shards_multiple(t->group)));
    t->deal = (cls_deal){.seed = t->c.seed,
                         .n = t->d.train->n,
                         .batch = t->c.batch_size,
                         .shards = t->plan.shards,
                         .accum = t->c.accum_steps,
                         .steps_per_epoch = t->plan.steps_per_epoch};
    TRY(make_buffers(t));
    mill_err err = make_networks(t);
    if (!err) err = make_norm(t);
    if (!err && t->c.encoder_path && shards_writes_first(&t->shards)) err = load_encoder(t);
    return rank_agree(t->group, err);
}

static void graph_free(cls_graph *g)
{
    mill_exec_free(g->e);
    mill_graph_free(g->g);
}

/* TABMILL_PROFILE=1: where the time of a part and of an update went, in words. */
static void tell_profile(const cls_trainer *t)
{
    mill_exec *const all[] = {t->part.e, t->shards.e[0], t->norm.e};
    char *text;

    if (!getenv("TABMILL_PROFILE") || rank_of(t->group)) return;
    for (int i = 0; i < 3; i++) {
        if (!all[i] || mill_exec_profile(&text, all[i])) continue;
        for (const char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
            mill_log(MILL_LOG_WARN, "%s", line);
        mill_free(text);
    }
}

void cls_trainer_close(cls_trainer *t)
{
    if (!t) return;
    tell_profile(t);
    cls_loader_close(t->loader);
    graph_free(&t->part);
    graph_free(&t->eval);
    graph_free(&t->norm);
    rank_buffer_free(t->out);
    shards_close(&t->shards);
    cls_metrics_deinit(&t->val);
    mill_free(t->told);
    mill_free(t->heard);
    mill_free(t);
}

mill_err cls_trainer_open(cls_trainer **out, const cls_config *c, const cls_data *d,
                          rank_group *group, mill_pool *pool)
{
    cls_trainer *t = mill_alloc(1, sizeof *t);

    if (!t) return MILL_ENOMEM;
    t->c = *c;
    t->d = *d;
    t->group = group;
    t->pool = pool;
    t->next_step = t->val_step = -1;
    const mill_err err = make(t);
    if (err)
        cls_trainer_close(t);
    else
        *out = t;
    return err;
}

const cls_plan *cls_trainer_plan(const cls_trainer *t)
{
    return &t->plan;
}

int64_t cls_trainer_n_params(const cls_trainer *t)
{
    int64_t n = 0;
    for (int i = 0; i < t->layout.n; i++) n += t->layout.entry[i].count;
    return n;
}

static mill_err plan_bytes(int64_t *bytes, mill_graph *g, int threads, bool has_params)
{
    mill_plan *plan = NULL;

    TRY(mill_plan_new(&plan, g, 0));
    *bytes += (int64_t)(mill_plan_bytes(plan, threads) - (has_params ? 0 : plan->state_bytes));
    mill_plan_free(plan);
    return MILL_OK;
}

/* A part's graph, which counts the parameters, and that of an evaluation. */
static mill_err networks_bytes(int64_t *bytes, const cls_config *c, const cls_data *d,
                               const cls_net *n, const nn_flat *layout, int threads)
{
    mill_graph *part = NULL, *eval = NULL;
    mill_err err = mill_graph_new(&part);

    if (!err) err = mill_graph_new(&eval);
    if (!err) err = cls_build_part(part, n, layout, c->batch_size, !strcmp(c->amp, "bf16"), NULL);
    if (!err) err = plan_bytes(bytes, part, threads, true);
    if (!err) err = cls_build_eval(eval, n, tile_of(d, n));
    if (!err) err = plan_bytes(bytes, eval, threads, false);
    mill_graph_free(part);
    mill_graph_free(eval);
    return err;
}

mill_err cls_trainer_bytes(int64_t *bytes, const cls_config *c, const cls_data *d,
                           const rank_identity *who, int threads)
{
    cls_plan plan;
    cls_net net;
    nn_flat *layout = mill_alloc(1, sizeof *layout);
    mill_err err = layout ? MILL_OK : MILL_ENOMEM;

    *bytes = 0;
    if (!err) err = cls_plan_make(&plan, c, d->train->n, who->world);
    if (!err) err = cls_net_init(&net, c, d->encoder);
    if (!err) err = cls_layout_make(layout, &net, (int64_t)SHARDS_LINE * CLS_GROUP * who->world);
    if (!err) err = networks_bytes(bytes, c, d, &net, layout, threads);
    if (!err) {
        *bytes += shards_bytes(layout, (int)(plan.parts / who->world));
        *bytes += cls_loader_bytes(d->train, c->batch_size, c->workers);
        *bytes += n_answers(d, &net) * (int64_t)sizeof(float);
        *bytes *= who->local_world;
        *bytes += cls_metrics_bytes(d->encoder, most_evaluated(d));
    }
    mill_free(layout);
    return err;
}

/* ---- a step ---- */

/* Rises in a line to the full rate, then falls by a cosine to 1e-6. */
double cls_rate(const cls_trainer *t, int64_t step)
{
    const double pi = 3.14159265358979323846;
    const int64_t warm = t->c.warmup_epochs * t->plan.steps_per_epoch;
    const double top = t->plan.lr, least = top < 1e-6 ? top : 1e-6;

    if (step < warm) return top * (double)(step + 1) / (double)warm;
    const int64_t left = t->plan.n_steps - warm;
    const double share = left > 0 ? (double)(step - warm) / (double)left : 0;
    return least + (top - least) * 0.5 * (1 + mill_cos_f64(pi * (share < 1 ? share : 1)));
}

static void put(mill_exec *e, const char *name, const void *from)
{
    exec_tensor to;
    if (from && mill_exec_input(&to, e, name) == MILL_OK) memcpy(to.data, from, to.bytes);
}

/* Rows whose largest answer is the right one. */
static double count_hits(const float *out, const cls_batch *b, int64_t k)
{
    double hits = 0;

    for (int64_t i = 0; b->label && i < b->n; i++, out += k) {
        int64_t best = 0;
        for (int64_t j = 1; j < k; j++) best = out[j] > out[best] ? j : best;
        hits += best == b->label[i];
    }
    return hits;
}

static mill_err run_part(void *ctx, int64_t part)
{
    cls_trainer *t = ctx;
    const int64_t i = part - rank_tree_first(t->shards.tree);
    const double waited = cls_loader_waited(t->loader);
    const cls_batch *b = cls_loader_take(t->loader);
    double *tell = t->told + TELL_PARTS + 2 * i;

    rank_waited_for_data(t->group, cls_loader_waited(t->loader) - waited);
    tell[0] = tell[1] = 0;
    if (!b->n) {
        shards_skip(&t->shards);
    } else {
        exec_tensor out;

        put(t->part.e, "num", b->num);
        put(t->part.e, "code", b->code);
        put(t->part.e, "label", b->label);
        put(t->part.e, "y", b->y);
        put(t->part.e, "weight", b->weight);
        TRY(mill_exec_run(t->part.e, (uint32_t)(t->running * t->plan.parts + part)));
        TRY(mill_exec_output(&out, t->part.e, "out"));
        tell[0] = mill_exec_output_scalar(t->part.e, "loss");
        tell[1] = count_hits(out.data, b, t->net.n_out);
    }
    cls_loader_release(t->loader);
    return MILL_OK;
}

static mill_err run_parts(cls_trainer *t, int64_t step)
{
    const rank_tree *tree = t->shards.tree;
    const cls_share share = {step, rank_tree_first(tree), rank_tree_parts(tree)};

    if (t->next_step != step) { /* the first one, or a state was loaded */
        cls_loader_close(t->loader);
        t->loader = NULL;
        TRY(cls_loader_open(&t->loader, &t->deal, t->d.train, t->d.encoder, share, t->c.workers));
        t->next_step = step;
    }
    t->next_step++;
    t->running = step;
    return shards_pass(&t->shards, 0, 1, run_part, t);
}

static mill_err run_norm(cls_trainer *t)
{
    double *tell = t->told + TELL_PARTS + (ptrdiff_t)2 * rank_tree_parts(t->shards.tree);

    if (!t->norm.e) return MILL_OK;
    TRY(mill_exec_run(t->norm.e, 0));
    for (int b = 0; b < t->layout.n_buckets; b++) {
        exec_tensor squares;
        char name[24];

        snprintf(name, sizeof name, "squares%d", b);
        TRY(mill_exec_output(&squares, t->norm.e, name));
        const float *x = squares.data;
        for (int64_t i = 0; i < shards_lines(&t->shards, b); i++) {
            if (i % CLS_GROUP == 0) *tell++ = 0;
            tell[-1] += (double)x[i];
        }
    }
    return MILL_OK;
}

/* Of all groups in the order of the flat array, whoever has them. */
static double sum_squares(const cls_trainer *t)
{
    int64_t at = TELL_PARTS + 2 * rank_tree_parts(t->shards.tree);
    double sum = 0;

    for (int b = 0; t->norm.e && b < t->layout.n_buckets; b++) {
        const int64_t groups = shards_lines(&t->shards, b) / CLS_GROUP;
        for (int r = 0; r < t->plan.world; r++)
            for (int64_t i = 0; i < groups; i++) sum += t->heard[r * t->n_told + at + i];
        at += groups;
    }
    return sum;
}

/* Sums over all ranks in order, the same on each of them. */
static mill_err hear(cls_trainer *t, int64_t step, double *factor)
{
    const int parts = rank_tree_parts(t->shards.tree);
    const double rows = (double)cls_deal_step_rows(&t->deal, step);
    double loss = 0, hits = 0;

    t->told[TELL_SIGNAL] = train_signal_received();
    TRY(rank_gather(t->group, t->heard, t->told, (size_t)t->n_told * sizeof *t->told));
    for (int r = 0; r < t->plan.world; r++) {
        const double *x = t->heard + r * t->n_told;

        /* Any rank's signal is rank 0's, which stops the run at this step. */
        if (x[TELL_SIGNAL] > 0 && !train_signal_received()) train_signal_note((int)x[TELL_SIGNAL]);
        for (int i = 0; i < parts; i++) {
            loss += x[TELL_PARTS + 2 * i];
            hits += x[TELL_PARTS + 2 * i + 1];
        }
    }
    t->grad_norm = t->norm.e ? sqrt(sum_squares(t)) : (double)NAN;
    if (!isfinite(loss) || (t->norm.e && !isfinite(t->grad_norm))) return cls_not_finite(t, step);
    *factor = t->norm.e ? t->c.max_grad_norm / (t->grad_norm + 1e-6) : 1;
    if (*factor > 1) *factor = 1;
    if (step % t->plan.steps_per_epoch == 0) t->sums = (cls_sums){0};
    t->sums.loss += loss * rows;
    t->sums.correct += hits;
    t->sums.rows += rows;
    return MILL_OK;
}

mill_err cls_step(cls_trainer *t, int64_t step)
{
    double factor = 1;

    rank_beat(t->group, step, RANK_COMPUTING);
    TRY(run_parts(t, step));
    TRY(run_norm(t));
    TRY(hear(t, step, &factor));
    t->lr = cls_rate(t, step);
    TRY(shards_update(&t->shards, step, t->lr, factor));
    t->step = step + 1;
    return MILL_OK;
}

/* ---- evaluation ---- */

const cls_rows *cls_set_rows(const cls_trainer *t, cls_set set)
{
    return set == CLS_VAL ? t->d.val : t->d.test;
}

/* Rows first.. of a set through a network of `tile` rows. */
static mill_err run_tile(cls_trainer *t, const cls_rows *r, int64_t first, float *to)
{
    const int64_t n = r->n - first < t->tile ? r->n - first : t->tile;
    exec_tensor num, code, out;

    if (r->n_num) {
        TRY(mill_exec_input(&num, t->eval.e, "num"));
        memset(num.data, 0, num.bytes);
        memcpy(num.data, r->num + first * r->n_num, (size_t)(n * r->n_num) * sizeof(float));
    }
    if (r->n_cat) {
        TRY(mill_exec_input(&code, t->eval.e, "code"));
        memset(code.data, 0xff, code.bytes);
        memcpy(code.data, r->code + first * r->n_cat, (size_t)(n * r->n_cat) * sizeof(int32_t));
    }
    TRY(mill_exec_run(t->eval.e, 0));
    TRY(mill_exec_output(&out, t->eval.e, "out"));
    memcpy(to + first * t->net.n_out, out.data, (size_t)(n * t->net.n_out) * sizeof(float));
    return MILL_OK;
}

/* Ranks share the tiles; an answer is one rank's and zero on the others, so the sum is it. */
mill_err cls_evaluate_set(cls_trainer *t, cls_set set)
{
    const cls_rows *r = cls_set_rows(t, set);
    const int64_t tiles = (r->n + t->tile - 1) / t->tile, n = r->n * t->net.n_out;
    const rank_span mine = rank_share(tiles, rank_of(t->group), t->plan.world);
    float *const out = rank_buffer_data(t->out);

    if (!r->n) return MILL_OK;
    rank_beat(t->group, t->step, RANK_EVALUATING);
    memset(out, 0, (size_t)n * sizeof *out);
    for (int64_t i = mine.begin; i < mine.end; i++) TRY(run_tile(t, r, i * t->tile, out));
    return rank_all_reduce(t->out, 0, n);
}

/* ---- orders ---- */

mill_err cls_order_give(cls_trainer *t, cls_order_kind kind, int64_t arg)
{
    cls_order order = {kind, arg};
    return rank_broadcast(t->group, &order, sizeof order, 0);
}

mill_err cls_trainer_follow(cls_trainer *t)
{
    for (;;) {
        cls_order order;

        TRY(rank_broadcast(t->group, &order, sizeof order, 0));
        switch (order.kind) {
        case ORDER_STEP:
            TRY(cls_step(t, order.arg));
            break;
        case ORDER_EVALUATE:
            TRY(cls_evaluate_set(t, (cls_set)order.arg));
            break;
        case ORDER_SHARE:
            TRY(shards_sync(&t->shards));
            t->next_step = -1;
            break;
        case ORDER_COLLECT:
            TRY(shards_collect(&t->shards));
            break;
        default:
            return MILL_OK;
        }
    }
}

mill_err cls_trainer_end(cls_trainer *t)
{
    rank_beat(t->group, t->step, RANK_ENDING);
    return cls_order_give(t, ORDER_END, 0);
}
