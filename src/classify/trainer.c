/*
 * trainer.c - one step of training on any number of ranks.
 *
 *     each part that is this rank's: rows in, loss and gradient out, added up in the tree
 *     while the last part runs: each bucket of the flat gradient that is complete is reduced and
 *     scattered, so that each rank has the sum for its slice of it
 *     the ranks tell each other: loss and hits of their parts, the squares of their slice, a signal
 *     the slice of the parameters is updated, in memory that all ranks of a host share
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

/* Ranks of one host have one set of parameters; over MPI each rank has its own. */
static bool shares_memory(const cls_trainer *t)
{
    return strcmp(rank_body(t->group), "mpi") != 0;
}

static bool writes_first_values(const cls_trainer *t)
{
    return !shares_memory(t) || rank_of(t->group) == 0;
}

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

/* The graph has left a bucket of a part's gradient: into the tree, and behind the last part on its
 * way to the other ranks. */
static void bucket_ready(void *ctx, int b)
{
    cls_trainer *t = ctx;
    const int64_t begin = t->layout.bucket[b], end = t->layout.bucket[b + 1];

    if (t->told_err) return;
    if (t->owns_grads) rank_tree_add(t->tree, t->grads, begin, end);
    if (t->is_last)
        t->told_err = rank_start(rank_tree_buffer(t->tree), RANK_REDUCE_SCATTER, begin, end);
}

static mill_err make_buffers(cls_trainer *t)
{
    const int64_t n = t->layout.trained;
    int64_t answers = t->d.val->n > t->d.test->n ? t->d.val->n : t->d.test->n;

    TRY(rank_buffer_new(&t->params, t->group, t->layout.all, RANK_ONE));
    TRY(rank_buffer_new(&t->m, t->group, n, RANK_ONE));
    TRY(rank_buffer_new(&t->v, t->group, n, RANK_ONE));
    answers = (answers + 1) * t->net.n_out;
    TRY(rank_buffer_new(&t->out, t->group, answers, RANK_EACH));
    TRY(rank_tree_new(&t->tree, t->group, n, (int)t->plan.parts));
    int64_t groups = 0;
    for (int b = 0; b < t->layout.n_buckets; b++) {
        t->slice[b] = rank_slice(t->layout.bucket[b], t->layout.bucket[b + 1], rank_of(t->group),
                                 t->plan.world);
        t->lines[b] = (t->slice[b].end - t->slice[b].begin) / CLS_LINE;
        if (t->c.max_grad_norm > 0) groups += t->lines[b] / CLS_GROUP;
        t->hook[b] = (cls_hook){bucket_ready, t, b};
    }
    mill_err err = MILL_OK;
    if (rank_tree_parts(t->tree) == 1) {
        t->grads = rank_tree_slot(t->tree);
    } else {
        t->owns_grads = true;
        if (!(t->grads = mill_alloc((size_t)n, sizeof *t->grads))) err = MILL_ENOMEM;
    }
    t->n_told = TELL_PARTS + 2 * rank_tree_parts(t->tree) + groups;
    t->told = mill_alloc((size_t)t->n_told, sizeof *t->told);
    t->heard = mill_alloc((size_t)(t->n_told * t->plan.world), sizeof *t->heard);
    if (!err && (!t->told || !t->heard)) err = MILL_ENOMEM;
    return rank_agree(t->group, err);
}

static mill_err make_networks(cls_trainer *t)
{
    exec_place place[2 * NN_MAX_PARAMS];
    float *const params = rank_buffer_data(t->params);
    const bool first = writes_first_values(t);

    TRY(mill_graph_new(&t->part.g));
    TRY(cls_build_part(t->part.g, &t->net, &t->layout, t->c.batch_size, !strcmp(t->c.amp, "bf16"),
                       t->hook));
    int n = cls_places(place, &t->layout, params, first, t->grads);
    TRY(compile(&t->part, t, place, n));

    const int64_t most = t->net.is_ft ? CLS_MAX_TILE / 4 : CLS_MAX_TILE;
    const int64_t rows = t->d.val->n > t->d.test->n ? t->d.val->n : t->d.test->n;
    t->tile = rows < 1 ? 1 : rows < most ? rows : most;
    TRY(mill_graph_new(&t->eval.g));
    TRY(cls_build_eval(t->eval.g, &t->net, t->tile));
    n = cls_places(place, &t->layout, params, false, NULL);
    return compile(&t->eval, t, place, n);
}

static mill_err make_update(cls_trainer *t)
{
    enum { EACH = 4 }; /* ORDER UPDATE: p, m, v, grad */
    static const char *const tail[EACH] = {"p", "m", "v", "grad"};
    float *const flat[EACH] = {rank_buffer_data(t->params), rank_buffer_data(t->m),
                               rank_buffer_data(t->v), rank_buffer_data(rank_tree_buffer(t->tree))};
    char name[EACH * CLS_MAX_BUCKETS][16];
    exec_place place[EACH * CLS_MAX_BUCKETS];
    const int n = t->layout.n_buckets;

    for (int b = 0; b < n; b++)
        for (int k = 0; k < EACH; k++) {
            const int i = b * EACH + k;
            snprintf(name[i], sizeof name[i], "%s%d", tail[k], b);
            place[i] =
                (exec_place){name[i], flat[k] + t->slice[b].begin,
                             (size_t)(t->lines[b] * CLS_LINE) * sizeof(float), k == 1 || k == 2};
        }
    TRY(mill_graph_new(&t->update.g));
    TRY(cls_build_update(t->update.g, n, t->lines, t->c.weight_decay));
    TRY(compile(&t->update, t, place, EACH * n));
    if (!(t->c.max_grad_norm > 0)) return MILL_OK;
    TRY(mill_graph_new(&t->norm.g));
    TRY(cls_build_norm(t->norm.g, n, t->lines));
    return compile(&t->norm, t, place, EACH * n);
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
    TRY(cls_layout_make(&t->layout, &t->net, (int64_t)CLS_LINE * CLS_GROUP * t->plan.world));
    t->deal = (cls_deal){.seed = t->c.seed,
                         .n = t->d.train->n,
                         .batch = t->c.batch_size,
                         .shards = t->plan.shards,
                         .accum = t->c.accum_steps,
                         .steps_per_epoch = t->plan.steps_per_epoch};
    TRY(make_buffers(t));
    mill_err err = make_networks(t);
    if (!err) err = make_update(t);
    if (!err && t->c.encoder_path && writes_first_values(t)) err = load_encoder(t);
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
    mill_exec *const all[] = {t->part.e, t->update.e, t->norm.e};
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
    graph_free(&t->update);
    graph_free(&t->norm);
    if (t->owns_grads) mill_free(t->grads);
    rank_tree_free(t->tree);
    rank_buffer_free(t->out);
    rank_buffer_free(t->v);
    rank_buffer_free(t->m);
    rank_buffer_free(t->params);
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
    for (int i = 0; i < t->layout.n; i++) n += t->layout.param[i].count;
    return n;
}

static mill_err plan_bytes(int64_t *bytes, mill_graph *g, int threads)
{
    mill_plan *plan = NULL;

    TRY(mill_plan_new(&plan, g, 0));
    *bytes += (int64_t)mill_plan_bytes(plan, threads);
    mill_plan_free(plan);
    return MILL_OK;
}

static int64_t rows_bytes(const cls_rows *r)
{
    return r->n * (int64_t)(sizeof(float) * (size_t)(r->n_num + r->n_cat) + sizeof(double));
}

mill_err cls_trainer_bytes(int64_t *bytes, const cls_config *c, const cls_data *d, int world,
                           int threads)
{
    cls_plan plan;
    cls_net net;
    cls_layout layout;
    mill_graph *g;

    TRY(cls_plan_make(&plan, c, d->train->n, world));
    TRY(cls_net_init(&net, c, d->encoder));
    TRY(cls_layout_make(&layout, &net, (int64_t)CLS_LINE * CLS_GROUP * world));
    *bytes = rows_bytes(d->train) + rows_bytes(d->val) + rows_bytes(d->test);
    TRY(mill_graph_new(&g));
    mill_err err = cls_build_part(g, &net, &layout, c->batch_size, false, NULL);
    if (!err) err = plan_bytes(bytes, g, threads);
    mill_graph_free(g);
    /* Moments; a slot of the tree for each doubling of a rank's parts, and one more. */
    int64_t flats = 3;
    for (int64_t parts = plan.parts / world; parts > 1; parts /= 2) flats++;
    *bytes += flats * layout.trained * (int64_t)sizeof(float);
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

static mill_err run_part(cls_trainer *t, int64_t step, int i)
{
    const double waited = cls_loader_waited(t->loader);
    const cls_batch *b = cls_loader_take(t->loader);
    double *tell = t->told + TELL_PARTS + (ptrdiff_t)2 * i;

    rank_waited_for_data(t->group, cls_loader_waited(t->loader) - waited);
    tell[0] = tell[1] = 0;
    t->is_last = i == rank_tree_parts(t->tree) - 1;
    if (!b->n) {
        memset(t->grads, 0, (size_t)t->layout.trained * sizeof *t->grads);
        for (int k = t->layout.n_buckets - 1; k >= 0; k--) bucket_ready(t, k);
    } else {
        const int64_t part = rank_tree_first(t->tree) + i;
        exec_tensor out;

        put(t->part.e, "num", b->num);
        put(t->part.e, "code", b->code);
        put(t->part.e, "label", b->label);
        put(t->part.e, "y", b->y);
        put(t->part.e, "weight", b->weight);
        TRY(mill_exec_run(t->part.e, (uint32_t)(step * t->plan.parts + part)));
        TRY(mill_exec_output(&out, t->part.e, "out"));
        tell[0] = mill_exec_output_scalar(t->part.e, "loss");
        tell[1] = count_hits(out.data, b, t->net.n_out);
    }
    cls_loader_release(t->loader);
    rank_tree_next(t->tree);
    return t->told_err;
}

static mill_err run_parts(cls_trainer *t, int64_t step)
{
    const cls_share share = {step, rank_tree_first(t->tree), rank_tree_parts(t->tree)};

    if (t->next_step != step) { /* the first one, or a state was loaded */
        cls_loader_close(t->loader);
        t->loader = NULL;
        TRY(cls_loader_open(&t->loader, &t->deal, t->d.train, t->d.encoder, share, t->c.workers));
        t->next_step = step;
    }
    t->next_step++;
    rank_tree_begin(t->tree);
    for (int i = 0; i < rank_tree_parts(t->tree); i++) TRY(run_part(t, step, i));
    return MILL_OK;
}

static mill_err run_norm(cls_trainer *t)
{
    double *tell = t->told + TELL_PARTS + (ptrdiff_t)2 * rank_tree_parts(t->tree);

    if (!t->norm.e) return MILL_OK;
    TRY(mill_exec_run(t->norm.e, 0));
    for (int b = 0; b < t->layout.n_buckets; b++) {
        exec_tensor squares;
        char name[24];

        snprintf(name, sizeof name, "squares%d", b);
        TRY(mill_exec_output(&squares, t->norm.e, name));
        const float *x = squares.data;
        for (int64_t i = 0; i < t->lines[b]; i++) {
            if (i % CLS_GROUP == 0) *tell++ = 0;
            tell[-1] += (double)x[i];
        }
    }
    return MILL_OK;
}

/* Of all groups in the order of the flat array, whoever has them. */
static double sum_squares(const cls_trainer *t)
{
    int64_t at = TELL_PARTS + 2 * rank_tree_parts(t->tree);
    double sum = 0;

    for (int b = 0; t->norm.e && b < t->layout.n_buckets; b++) {
        const int64_t groups = t->lines[b] / CLS_GROUP;
        for (int r = 0; r < t->plan.world; r++)
            for (int64_t i = 0; i < groups; i++) sum += t->heard[r * t->n_told + at + i];
        at += groups;
    }
    return sum;
}

/* Sums over all ranks in order, the same on each of them. */
static mill_err hear(cls_trainer *t, int64_t step, double *factor)
{
    const int parts = rank_tree_parts(t->tree);
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
    if (!isfinite(loss) || (t->norm.e && !isfinite(t->grad_norm)))
        return cls_not_finite(t, step);
    *factor = t->norm.e ? t->c.max_grad_norm / (t->grad_norm + 1e-6) : 1;
    if (*factor > 1) *factor = 1;
    if (step % t->plan.steps_per_epoch == 0) t->sums = (cls_sums){0};
    t->sums.loss += loss * rows;
    t->sums.correct += hits;
    t->sums.rows += rows;
    return MILL_OK;
}

static mill_err run_update(cls_trainer *t, int64_t step, double factor)
{
    const real rate = (real)cls_rate(t, step), scale = (real)factor;

    t->lr = cls_rate(t, step);
    put(t->update.e, "lr", &rate);
    put(t->update.e, "factor", &scale);
    TRY(mill_exec_run(t->update.e, (uint32_t)step));
    /* On one host whoever goes on waits for all in the next order; rank 0 gives one before it
     * saves. */
    return shares_memory(t) ? MILL_OK : rank_all_gather(t->params, 0, t->layout.trained);
}

mill_err cls_step(cls_trainer *t, int64_t step)
{
    double factor = 1;

    rank_beat(t->group, step, RANK_COMPUTING);
    TRY(run_parts(t, step));
    TRY(rank_wait(t->group)); /* the buckets that were started while it ran */
    TRY(run_norm(t));
    TRY(hear(t, step, &factor));
    TRY(run_update(t, step, factor));
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

/* Where ranks have parameters of their own, they get rank 0's. */
mill_err cls_share_state(cls_trainer *t)
{
    const size_t n = (size_t)t->layout.trained * sizeof(float);

    if (shares_memory(t)) return rank_barrier(t->group);
    TRY(rank_broadcast(t->group, rank_buffer_data(t->params), (size_t)t->layout.all * sizeof(float),
                       0));
    TRY(rank_broadcast(t->group, rank_buffer_data(t->m), n, 0));
    return rank_broadcast(t->group, rank_buffer_data(t->v), n, 0);
}

mill_err cls_collect_state(cls_trainer *t)
{
    TRY(rank_all_gather(t->m, 0, t->layout.trained));
    return rank_all_gather(t->v, 0, t->layout.trained);
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
            TRY(cls_share_state(t));
            t->next_step = -1;
            break;
        case ORDER_COLLECT:
            TRY(cls_collect_state(t));
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
