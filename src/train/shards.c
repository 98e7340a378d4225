/*
 * shards.c - see shards.h.
 *
 * Statistics travel with the gradients.  A graph leaves its own in states that begin a part as
 * zeros (what follows a value with weight 1 then is that value), the tree adds them up, and the
 * owner of the slice moves the running value.
 */
#include "train/shards.h"

#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ranks of one host have one set of parameters; over MPI each rank has its own. */
static bool shares_memory(const train_shards *s)
{
    return strcmp(rank_body(s->group), "mpi") != 0;
}

bool shards_writes_first(const train_shards *s)
{
    return !shares_memory(s) || rank_of(s->group) == 0;
}

int64_t shards_multiple(const rank_group *g)
{
    return (int64_t)SHARDS_LINE * rank_world(g);
}

static int64_t n_left(const nn_flat *f)
{
    return f->bucket[f->n_buckets];
}

int64_t shards_bytes(const nn_flat *f, int parts)
{
    int64_t arrays = parts > 1 ? 3 : 2;          /* moments, and one to add from */
    for (int n = parts; n > 0; n /= 2) arrays++; /* slots of the tree */
    return arrays * f->all * (int64_t)sizeof(float);
}

/* ---- opening ---- */

/* The graph has left a bucket: into the tree, and behind the last part on its way to the others.
 * Any thread of the pool may come here, and an error's words belong to the thread. */
static void bucket_ready(void *ctx, int b)
{
    train_shards *s = ctx;
    const int64_t begin = s->flat->bucket[b], end = s->flat->bucket[b + 1];

    if (s->told_err) return;
    if (s->owns_left) rank_tree_add(s->tree, s->left, begin, end);
    if (!s->is_last) return;
    s->told_err = rank_start(rank_tree_buffer(s->tree), RANK_REDUCE_SCATTER, begin, end);
    if (s->told_err) snprintf(s->told, sizeof s->told, "%s", mill_error());
}

static mill_err make_buffers(train_shards *s, int shards)
{
    const int64_t n = n_left(s->flat);
    mill_err err = MILL_OK;

    TRY(rank_buffer_new(&s->params, s->group, s->flat->all, RANK_ONE));
    TRY(rank_buffer_new(&s->m, s->group, n, RANK_ONE));
    TRY(rank_buffer_new(&s->v, s->group, n, RANK_ONE));
    TRY(rank_tree_new(&s->tree, s->group, n, shards));
    s->owns_left = rank_tree_parts(s->tree) > 1;
    s->left = s->owns_left ? mill_alloc((size_t)n, sizeof *s->left) : rank_tree_slot(s->tree);
    if (!s->left) err = MILL_ENOMEM;
    for (int b = 0; b < s->flat->n_buckets; b++) {
        s->hook[b] = (flat_hook){bucket_ready, s, b};
        s->slice[b] = rank_slice(s->flat->bucket[b], s->flat->bucket[b + 1], rank_of(s->group),
                                 rank_world(s->group));
    }
    return rank_agree(s->group, err);
}

static void put_ones(train_shards *s)
{
    float *params = rank_buffer_data(s->params);

    for (int i = 0; i < s->flat->n; i++) {
        const flat_entry *e = &s->flat->entry[i];
        for (int64_t k = 0; e->is_one && k < e->count; k++) params[e->at + k] = 1;
    }
}

enum { P, M, V, GRAD, EACH }; /* ORDER UPDATE */
static const char *const tails[EACH] = {"p", "m", "v", "grad"};

int64_t shards_lines(const train_shards *s, int b)
{
    return (s->slice[b].end - s->slice[b].begin) / SHARDS_LINE;
}

static mill_err build_update(train_shards *s, int k, const shards_rule *rule)
{
    mill_graph *g = s->g[k];
    const mill_ref lr = mill_input(g, "lr", MILL_T_REAL, SCALAR);
    const mill_ref factor = mill_input(g, "factor", MILL_T_REAL, SCALAR);

    for (int b = s->flat->first_bucket[k]; b < s->flat->first_bucket[k + 1]; b++) {
        const mill_shape shape = SHAPE(shards_lines(s, b), SHARDS_LINE);
        mill_ref x[EACH];

        for (int i = 0; i < EACH; i++) {
            char name[24];
            snprintf(name, sizeof name, "%s%d", tails[i], b);
            x[i] = i == GRAD ? mill_input(g, name, MILL_T_REAL, shape)
                             : mill_state(g, name, MILL_T_REAL, shape, (mill_init){INIT_ZERO, 0});
        }
        x[P] = mill_adam(g, x[P], x[M], x[V], mill_mul(g, x[GRAD], factor), lr, &rule->adam);
        if (rule->least < rule->most)
            mill_assign(g, x[P], mill_clip(g, x[P], rule->least, rule->most));
    }
    return mill_graph_error(g);
}

static mill_err make_update(train_shards *s, int k, const shards_rule *rule)
{
    float *const flat[EACH] = {rank_buffer_data(s->params), rank_buffer_data(s->m),
                               rank_buffer_data(s->v), rank_buffer_data(rank_tree_buffer(s->tree))};
    char name[EACH * FLAT_MAX_BUCKETS][16];
    exec_place place[EACH * FLAT_MAX_BUCKETS];
    int n = 0;

    for (int b = s->flat->first_bucket[k]; b < s->flat->first_bucket[k + 1]; b++)
        for (int i = 0; i < EACH; i++, n++) {
            snprintf(name[n], sizeof name[n], "%s%d", tails[i], b);
            place[n] =
                (exec_place){name[n], flat[i] + s->slice[b].begin,
                             (size_t)(shards_lines(s, b) * SHARDS_LINE) * sizeof(float), false};
        }
    TRY(mill_graph_new(&s->g[k]));
    TRY(build_update(s, k, rule));
    const exec_options o = {.pool = s->pool,
                            .flags = getenv("TABMILL_PROFILE") ? EXEC_PROFILE : 0,
                            .place = place,
                            .n_place = n};
    return mill_exec_new(&s->e[k], s->g[k], &o);
}

static bool is_statistics(const nn_flat *f, int group)
{
    for (int i = 0; i < f->n; i++)
        if (f->entry[i].group == group) return f->entry[i].rate > 0;
    return true; /* nothing */
}

mill_err shards_open(train_shards *s, const nn_flat *f, const shards_rule *rule, int shards,
                     rank_group *group, mill_pool *pool)
{
    *s = (train_shards){.flat = f, .group = group, .pool = pool};
    mill_err err = make_buffers(s, shards);
    if (!err) {
        if (shards_writes_first(s)) put_ones(s);
        for (int k = 0; k < f->n_groups && !err; k++)
            if (!is_statistics(f, k)) err = make_update(s, k, &rule[k]);
        err = rank_agree(group, err);
    }
    if (err) shards_close(s);
    return err;
}

void shards_close(train_shards *s)
{
    for (int k = 0; k < FLAT_MAX_GROUPS; k++) {
        mill_exec_free(s->e[k]);
        mill_graph_free(s->g[k]);
    }
    if (s->owns_left) mill_free(s->left);
    rank_tree_free(s->tree);
    rank_buffer_free(s->v);
    rank_buffer_free(s->m);
    rank_buffer_free(s->params);
    *s = (train_shards){0};
}

int shards_places(exec_place *place, const train_shards *s, bool is_part)
{
    return flat_places(place, s->flat, rank_buffer_data(s->params),
                       is_part && shards_writes_first(s), is_part ? s->left : NULL);
}

/* ---- a pass ---- */

static void clear_statistics(train_shards *s)
{
    for (int i = 0; i < s->flat->n; i++) {
        const flat_entry *e = &s->flat->entry[i];
        if (e->rate > 0) memset(s->left + e->at, 0, (size_t)e->count * sizeof *s->left);
    }
}

void shards_skip(train_shards *s)
{
    const nn_flat *f = s->flat;
    const int first = f->first_bucket[s->first], end = f->first_bucket[s->end];

    memset(s->left + f->bucket[first], 0,
           (size_t)(f->bucket[end] - f->bucket[first]) * sizeof *s->left);
    for (int b = end - 1; b >= first; b--) bucket_ready(s, b);
}

mill_err shards_pass(train_shards *s, int first, int end, mill_err (*run)(void *ctx, int64_t part),
                     void *ctx)
{
    const int n = rank_tree_parts(s->tree);

    s->first = first;
    s->end = end;
    rank_tree_begin(s->tree);
    for (int i = 0; i < n; i++) {
        s->is_last = i == n - 1;
        clear_statistics(s);
        TRY(run(ctx, rank_tree_first(s->tree) + i));
        if (s->told_err) return mill_fail(s->told_err, "%s", s->told);
        rank_tree_next(s->tree);
    }
    return rank_wait(s->group);
}

/* ---- updates ---- */

/* The part of entry e that this rank has the sum of. */
static rank_span mine(const train_shards *s, const flat_entry *e, int b)
{
    const rank_span slice = s->slice[b];
    const int64_t begin = e->at > slice.begin ? e->at : slice.begin;
    const int64_t end = e->at + e->count < slice.end ? e->at + e->count : slice.end;
    return (rank_span){begin, end > begin ? end : begin};
}

static void move_statistics(train_shards *s, int group, double factor)
{
    const float *sum = rank_buffer_data(rank_tree_buffer(s->tree));
    float *value = rank_buffer_data(s->params);

    for (int i = 0; i < s->flat->n; i++) {
        const flat_entry *e = &s->flat->entry[i];
        const float rate = (float)e->rate;
        if (e->group != group) continue;
        for (int b = s->flat->first_bucket[group]; b < s->flat->first_bucket[group + 1]; b++) {
            const rank_span span = mine(s, e, b);
            for (int64_t k = span.begin; k < span.end; k++) {
                const float mean = sum[k] * (float)factor;
                value[k] = rate < 1 ? fmaf(rate, mean - value[k], value[k]) : mean;
            }
        }
    }
}

static mill_err put_scalar(mill_exec *e, const char *name, double x)
{
    exec_tensor to;

    TRY(mill_exec_input(&to, e, name));
    *(real *)to.data = (real)x;
    return MILL_OK;
}

/* Every rank's slices of the buckets first .. end - 1; on one host only the waiting is left. */
static mill_err gather(train_shards *s, rank_buffer *x, int first, int end)
{
    for (int b = first; b < end; b++)
        TRY(rank_start(x, RANK_ALL_GATHER, s->flat->bucket[b], s->flat->bucket[b + 1]));
    return rank_wait(s->group);
}

mill_err shards_update(train_shards *s, int64_t step, double rate, double factor)
{
    for (int k = s->first; k < s->end; k++) {
        if (!s->e[k]) {
            move_statistics(s, k, factor);
            continue;
        }
        TRY(put_scalar(s->e[k], "lr", rate));
        TRY(put_scalar(s->e[k], "factor", factor));
        TRY(mill_exec_run(s->e[k], (uint32_t)step));
    }
    return gather(s, s->params, s->flat->first_bucket[s->first], s->flat->first_bucket[s->end]);
}

double shards_value(const train_shards *s, const char *name)
{
    for (int i = 0; i < s->flat->n; i++)
        if (!strcmp(s->flat->entry[i].name, name))
            return (double)rank_buffer_data(s->params)[s->flat->entry[i].at];
    return (double)NAN;
}

/* ---- the state ---- */

/* Whether entry e has such a tensor in a file, and where it lies. */
static float *tensor(const train_shards *s, const flat_entry *e, int which, char *name, size_t size)
{
    static const char *const tail[] = {"", ".adam_m", ".adam_v"};
    rank_buffer *const from[] = {s->params, s->m, s->v};

    const bool is_trained = e->group < s->flat->n_groups && !(e->rate > 0);

    if (e->rate >= 1 || (which && !is_trained)) return NULL;
    snprintf(name, size, "%s%s", e->name, tail[which]);
    return rank_buffer_data(from[which]) + e->at;
}

mill_err shards_write(const train_shards *s, store_writer *w, const char *prefix, bool moments)
{
    char name[NN_MAX_NAME + 8];

    for (int i = 0; i < s->flat->n; i++) {
        const flat_entry *e = &s->flat->entry[i];
        if (strncmp(e->name, prefix, strlen(prefix)) != 0) continue;
        for (int which = 0; which < (moments ? 3 : 1); which++) {
            const float *x = tensor(s, e, which, name, sizeof name);
            if (x) TRY(store_writer_add(w, name, STORE_F32, e->shape.rank, e->shape.dim, x));
        }
    }
    return MILL_OK;
}

mill_err shards_read(train_shards *s, const store *f)
{
    char name[NN_MAX_NAME + 8];
    const store_tensor *from;

    for (int copy = 0; copy < 2; copy++) /* look at all of them, then copy */
        for (int i = 0; i < s->flat->n; i++)
            for (int which = 0; which < 3; which++) {
                const flat_entry *e = &s->flat->entry[i];
                float *x = tensor(s, e, which, name, sizeof name);
                if (!x) continue;
                TRY(store_get(&from, f, name, STORE_F32, e->shape.rank, e->shape.dim));
                if (copy) memcpy(x, from->data, (size_t)e->count * sizeof *x);
            }
    return MILL_OK;
}

mill_err shards_sync(train_shards *s)
{
    const size_t n = (size_t)n_left(s->flat) * sizeof(float);

    if (shares_memory(s)) return rank_barrier(s->group);
    TRY(rank_broadcast(s->group, rank_buffer_data(s->params), (size_t)s->flat->all * sizeof(float),
                       0));
    TRY(rank_broadcast(s->group, rank_buffer_data(s->m), n, 0));
    return rank_broadcast(s->group, rank_buffer_data(s->v), n, 0);
}

mill_err shards_collect(train_shards *s)
{
    TRY(gather(s, s->m, 0, s->flat->n_buckets));
    return gather(s, s->v, 0, s->flat->n_buckets);
}
