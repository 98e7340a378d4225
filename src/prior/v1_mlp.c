/*
 * v1_mlp.c - mlp_scm: columns of a data set from inside a random network.
 *
 *     layer 0           linear (causes -> hidden), no noise
 *     layer 1 ..        activation of the layer before, linear, noise
 *     causal            num_layers layers; features and y are outputs of layers 1 .., laid side by
 *                       side
 *     not causal        one more layer, of one unit, is y; the causes are the features
 *
 * Only what reaches a picked output is computed: from the last layer down, which units are needed
 * and which of their weights are not zero.  Weights, biases and noise of a layer are drawn from
 * streams of its own, one needed unit behind another: what a layer leaves out moves no other layer.
 * A number that is not finite therefore
 * rejects only where it is needed; the official code multiplies it by zero weights too (one attempt
 * in some thousands).
 *
 * Weights, block-wise (layer 0 too): nb = 1 .. ceil(sqrt(min(out, in))) diagonal blocks of
 * floor(out / nb) x floor(in / nb), N(0, init_std / sqrt(share that is kept)).  Otherwise N(0,
 * init_std / sqrt(1 - p)), each dropped with probability p, none in layer 0; p in 65,536ths.
 */
#include "prior/v1.h"

#include "base/cpu.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void (*const run_product[MILL_N_LEVEL])(const v1_product *) = MILL_LEVELS(v1_product_run);
static void (*const activate[MILL_N_LEVEL])(const v1_activation *) = MILL_LEVELS(v1_activate);
static int64_t (*const kept[MILL_N_LEVEL])(int32_t *, const uint32_t *, int,
                                           uint32_t) = MILL_LEVELS(v1_kept);

static void (*const weigh[MILL_N_LEVEL])(v1_function *, float) = MILL_LEVELS(v1_function_weigh);

/* Dropped weights: sparse rows below this share of kept ones, dense rows with zeros above. */
#define SPARSE_BELOW 0.62

typedef struct {
    int in, out;
    bool has_noise;
    int n_blocks, block_out, block_in; /* n_blocks 0: not block-wise */
    uint32_t drop;                     /* half words below it are dropped */
    double std;
    uint8_t *need; /* (out) units that are computed */
    int32_t *unit; /* the same as a list */
    int n_units;
    int32_t *at, *col; /* kept weights of unit i: inputs col[at[i]] .. */
    prior_draw draw;   /* of the layer's arrays */
    v1_act act;        /* of its input */
    float act_s, act_b;
} layer;

typedef struct {
    const v1_params *p;
    prior_try *t;
    layer *layer;
    int n_layers, hidden, causes;
    int64_t padded;        /* rows, whole tiles */
    int32_t *feature, y;   /* outputs that are picked: (l - 1) * hidden + unit; -1: the causes */
    v1_matrix a, b;        /* input and output of the layer at hand */
    v1_function *function; /* NULL until the first */
} net;

static void *take(const net *n, int64_t count, size_t size)
{
    return prior_alloc(n->t->arena, count, size);
}

/* A layer draws from streams of its own, whatever the layers before took. */
static prior_draw layer_draw(const net *n, int l)
{
    const uint32_t first = 0x40000000u + 16u * (uint32_t)l;
    const mill_rng *const r = &n->t->draw.rng;

    return (prior_draw){.rng = mill_rng_init(r->seed, first, r->step), .stream = first};
}

static mill_err begin_layer(net *n, int l)
{
    const v1_params *const p = n->p;
    layer *const y = &n->layer[l];
    const bool last = !p->is_causal && l + 1 == n->n_layers;

    *y = (layer){.in = l ? n->hidden : n->causes, .out = last ? 1 : n->hidden, .has_noise = l > 0};
    y->draw = layer_draw(n, l);
    y->act = (v1_act)draw_weighted(&y->draw, p->act, V1_N_ACT);
    const double s = draw_normal(&y->draw), b = draw_normal(&y->draw);
    y->act_s = mill_expf((float)(2.0 * s));
    y->act_b = (float)b;

    const int narrow = y->in < y->out ? y->in : y->out;
    if (p->is_block_wise) {
        y->n_blocks = (int)draw_int(&y->draw, 1, (int64_t)ceil(sqrt((double)narrow)));
        y->block_out = y->out / y->n_blocks;
        y->block_in = y->in / y->n_blocks;
        const double share =
            (double)y->n_blocks * y->block_out * y->block_in / ((double)y->out * y->in);
        y->std = p->init_std / sqrt(share);
    } else {
        const double drop = l ? (p->dropout < 0.99 ? p->dropout : 0.99) : 0.0;
        y->drop = (uint32_t)rint(drop * 65536.0);
        y->std = p->init_std / sqrt(1.0 - drop);
    }
    y->need = take(n, y->out, sizeof *y->need);
    y->unit = take(n, y->out, sizeof *y->unit);
    if (!y->need || !y->unit) return MILL_ENOMEM;
    memset(y->need, 0, (size_t)y->out * sizeof *y->need);
    return MILL_OK;
}

static int ascending(const void *a, const void *b)
{
    return *(const int32_t *)a - *(const int32_t *)b;
}

/* Features and y among the outputs of layers 1 ..; marks what is needed. */
static mill_err pick(net *n)
{
    const v1_params *const p = n->p;
    const int features = n->t->at.features, width = (n->n_layers - 1) * n->hidden;

    n->y = -1;
    if (!p->is_causal) {
        n->layer[n->n_layers - 1].need[0] = 1;
        return MILL_OK;
    }
    int32_t *const order = take(n, width, sizeof *order);
    if (!order) return MILL_ENOMEM;
    if (p->in_clique) {
        const int first = (int)draw_int(&n->t->draw, 0, width - 1 - features);
        draw_permutation(&n->t->draw, order, features + 1);
        for (int i = 0; i <= features; i++) order[i] += first;
    } else { /* the first features + 1 of a permutation of all but the last */
        for (int i = 0; i < width; i++) order[i] = i;
        for (int i = 0; i <= features; i++) {
            const int j = (int)draw_int(&n->t->draw, i, width - 2);
            const int32_t was = order[i];
            order[i] = order[j];
            order[j] = was;
        }
    }
    n->y = p->y_is_effect ? width - 1 : order[0];
    n->feature = order + 1;
    if (p->sort_features) qsort(n->feature, (size_t)features, sizeof *n->feature, ascending);
    for (int i = 0; i < features; i++)
        n->layer[1 + n->feature[i] / n->hidden].need[n->feature[i] % n->hidden] = 1;
    n->layer[1 + n->y / n->hidden].need[n->y % n->hidden] = 1;
    return MILL_OK;
}

/* Inputs of a block-wise layer that its units need. */
static void need_blocks(uint8_t *below, const layer *y)
{
    for (int i = 0; i < y->n_units; i++) {
        const int block = y->unit[i] / y->block_out;
        if (block < y->n_blocks)
            memset(below + (int64_t)block * y->block_in, 1, (size_t)y->block_in);
    }
}

/* Draws which weights are kept, and marks their inputs. */
static mill_err need_kept(const net *n, uint8_t *below, layer *y)
{
    const int64_t words = (y->in + 1) / 2, most = (int64_t)y->in * y->n_units + 1;
    int64_t found = 0;

    if (most > INT32_MAX)
        return mill_fail(MILL_EINPUT, "a layer of %d x %d weights is too large; fewer features",
                         y->n_units, y->in);
    y->at = take(n, y->n_units + 1, sizeof *y->at);
    const prior_mark before = prior_arena_mark(n->t->arena);
    y->col = take(n, most, sizeof *y->col);
    uint32_t *const word = take(n, words * y->n_units, sizeof *word);
    if (!word || !y->at || !y->col) return MILL_ENOMEM;
    draw_words(&y->draw, word, words * y->n_units);
    for (int i = 0, missing = y->in; i < y->n_units; i++) {
        int32_t *const col = y->col + found;
        const int64_t k = kept[mill_cpu_level()](col, word + i * words, y->in, y->drop);
        y->at[i] = (int32_t)found;
        for (int64_t j = 0; missing && j < k; j++) {
            missing -= !below[col[j]];
            below[col[j]] = 1;
        }
        found += k;
    }
    y->at[y->n_units] = (int32_t)found;
    if (before.block == prior_arena_mark(n->t->arena).block) { /* give the rest back */
        prior_arena_release(n->t->arena, before);
        y->col = take(n, found, sizeof *y->col); /* where it was */
    }
    return MILL_OK;
}

static mill_err find_needed(net *n)
{
    for (int l = n->n_layers - 1; l >= 0; l--) {
        layer *const y = &n->layer[l];
        uint8_t none[1] = {0}, *const below = l ? n->layer[l - 1].need : none;

        for (int i = 0; i < y->out; i++)
            if (y->need[i]) y->unit[y->n_units++] = i;
        if (!l) break;
        if (y->n_blocks)
            need_blocks(below, y);
        else if (y->drop)
            TRY(need_kept(n, below, y));
        else if (y->n_units)
            memset(below, 1, (size_t)y->in);
    }
    return MILL_OK;
}

static int group_blocks(v1_rows *group, const layer *y, const float *w)
{
    int n = 0;

    for (int i = 0, next; i < y->n_units; i = next) {
        const int block = y->unit[i] / y->block_out;
        const bool empty = block >= y->n_blocks;
        next = i + 1;
        while (next < y->n_units && next - i < 6 &&
               (empty || y->unit[next] / y->block_out == block))
            next++;
        group[n++] = (v1_rows){.first = i,
                               .n = next - i,
                               .k0 = empty ? 0 : block * y->block_in,
                               .k = empty ? 0 : y->block_in,
                               .w = w + (int64_t)i * y->block_in};
    }
    return n;
}

static int group_rows(v1_rows *group, const layer *y, const float *w)
{
    int n = 0;

    for (int i = 0; i < y->n_units; i += 6) {
        const int rows = y->n_units - i < 6 ? y->n_units - i : 6;
        group[n++] = (v1_rows){.first = i, .n = rows, .k = y->in, .w = w + (int64_t)i * y->in};
    }
    return n;
}

/* Dense rows meet the inputs that nobody needs, with weight 0: there must be a number. */
static void clear_unneeded(const net *n, const layer *below)
{
    for (int tile = 0; tile < n->a.tiles; tile++)
        for (int k = 0; k < below->out; k++)
            if (!below->need[k])
                memset(n->a.p + ((int64_t)tile * n->a.width + k) * V1_TILE, 0,
                       V1_TILE * sizeof *n->a.p);
}

/* Sparse rows from the shortest to the longest, equal ones as they are. */
static mill_err order_rows(v1_product *a, const net *n, const layer *y)
{
    int32_t *const order = take(n, y->n_units, sizeof *order);
    int32_t *const next = take(n, y->in + 2, sizeof *next); /* of each length: its next place */

    if (!order || !next) return MILL_ENOMEM;
    memset(next, 0, ((size_t)y->in + 2) * sizeof *next);
    for (int i = 0; i < y->n_units; i++) next[y->at[i + 1] - y->at[i] + 1]++;
    for (int k = 0; k <= y->in; k++) next[k + 1] += next[k];
    for (int i = 0; i < y->n_units; i++) order[next[y->at[i + 1] - y->at[i]]++] = i;
    a->order = order;
    return MILL_OK;
}

/* The weights of the units, a row after the other; y->at sparse, or NULL once they are dense. */
static mill_err draw_weights(v1_product *a, const net *n, layer *y)
{
    const int64_t row = y->n_blocks ? y->block_in : y->in, whole = row * y->n_units;
    const int64_t drawn = y->at ? y->at[y->n_units] : whole;
    float *w = take(n, drawn, sizeof *w);
    v1_rows *const group = take(n, y->n_units, sizeof *group);

    if (!w || !group) return MILL_ENOMEM;
    draw_normals_at(&y->draw, w, drawn, 0.0f, (float)y->std);
    a->w = w;
    a->at = y->at;
    a->col = y->col;
    if (y->at && (double)drawn >= SPARSE_BELOW * (double)whole) {
        float *const dense = take(n, whole, sizeof *dense);
        if (!dense) return MILL_ENOMEM;
        memset(dense, 0, (size_t)whole * sizeof *dense);
        for (int i = 0; i < y->n_units; i++)
            for (int k = y->at[i]; k < y->at[i + 1]; k++) dense[i * row + y->col[k]] = w[k];
        w = dense;
        a->at = NULL;
        clear_unneeded(n, y - 1);
    }
    a->group = group;
    if (a->at) return order_rows(a, n, y);
    a->n_groups = y->n_blocks ? group_blocks(group, y, w) : group_rows(group, y, w);
    return MILL_OK;
}

/* bias ~ U(+-1 / sqrt(in)) as PyTorch's; noise: one level, or |N(0, noise_std)| per unit */
static mill_err draw_unit_values(v1_product *a, const net *n, layer *y)
{
    float *const bias = take(n, y->out, sizeof *bias), *const noise =
                                                           take(n, y->out, sizeof *noise);
    const float bound = (float)(1.0 / sqrt((double)y->in));

    if (!bias || !noise) return MILL_ENOMEM;
    draw_uniforms(&y->draw, bias, y->out);
    draw_normals_at(&y->draw, noise, y->out, 0.0f, (float)n->p->noise_std);
    for (int i = 0; i < y->n_units; i++) {
        bias[i] = (2.0f * bias[y->unit[i]] - 1.0f) * bound;
        noise[i] = n->p->pre_noise_std ? fabsf(noise[y->unit[i]]) : (float)n->p->noise_std;
    }
    a->bias = bias;
    a->noise = y->has_noise ? noise : NULL;
    return MILL_OK;
}

static mill_err draw_function(net *n, layer *y)
{
    v1_function *f = n->function;

    if (!f) {
        n->function = f = take(n, 1, sizeof *f);
        if (!f) return MILL_ENOMEM;
        f->pair = take(n, V1_PAIRS + 16, sizeof *f->pair);
        f->scratch = take(n, V1_SCRATCH, sizeof *f->scratch);
        if (!f->pair || !f->scratch) return MILL_ENOMEM;
    }
    const double decay = -draw_log_between(&y->draw, 0.7, 3.0);
    draw_uniforms(&y->draw, f->f, V1_TERMS);
    draw_uniforms(&y->draw, f->phase, V1_TERMS);
    draw_normals_at(&y->draw, f->w, V1_TERMS, 0.0f, 1.0f);
    weigh[mill_cpu_level()](f, (float)decay);
    return MILL_OK;
}

/* The outputs of the layer below, in n->b, become the inputs of y. */
static mill_err activate_below(net *n, const layer *below, layer *y)
{
    const prior_mark mark = prior_arena_mark(n->t->arena);
    v1_activation a = {.x = n->b,
                       .unit = below->unit,
                       .n_units = below->n_units,
                       .rows = n->t->at.rows,
                       .act = y->act,
                       .s = y->act_s,
                       .b = y->act_b};
    const v1_matrix was = n->a;

    if (y->act == ACT_FUNCTION) TRY(draw_function(n, y));
    const prior_mark kept_function = y->act == ACT_FUNCTION ? prior_arena_mark(n->t->arena) : mark;
    a.f = n->function;
    a.stats = take(n, below->n_units, sizeof *a.stats);
    if (!a.stats) return MILL_ENOMEM;
    activate[mill_cpu_level()](&a);
    n->a = n->b;
    n->b = was;
    prior_arena_release(n->t->arena, kept_function);
    return MILL_OK;
}

static mill_err new_matrix(v1_matrix *m, const net *n, int units)
{
    m->width = units | 1;
    m->tiles = (int)(n->padded / V1_TILE);
    m->p = take(n, n->padded * m->width, sizeof *m->p);
    return m->p ? MILL_OK : MILL_ENOMEM;
}

static mill_err run_layer(net *n, int l)
{
    layer *const y = &n->layer[l];
    const prior_mark mark = prior_arena_mark(n->t->arena);
    v1_product a = {.in = n->a, .out = n->b, .unit = y->unit, .n_units = y->n_units};

    TRY(draw_weights(&a, n, y));
    TRY(draw_unit_values(&a, n, y));
    a.key = (mill_vrand_key){
        .seed = y->draw.rng.seed, .step = y->draw.rng.step, .stream = ++y->draw.stream};
    run_product[mill_cpu_level()](&a);
    prior_arena_release(n->t->arena, mark);
    return MILL_OK;
}

static void copy_unit(float *dst, const net *n, int unit)
{
    for (int tile = 0; tile < n->b.tiles; tile++) {
        const int64_t left = n->t->stride - (int64_t)tile * V1_TILE;
        memcpy(dst + (int64_t)tile * V1_TILE,
               n->b.p + ((int64_t)tile * n->b.width + unit) * V1_TILE,
               (size_t)(left < V1_TILE ? left : V1_TILE) * sizeof *dst);
    }
}

/* What was picked of layer l, before it is activated. */
static void copy_picked(const net *n, int l)
{
    prior_try *const t = n->t;

    if (!n->p->is_causal) {
        if (l + 1 == n->n_layers) copy_unit(t->y, n, 0);
        return;
    }
    for (int j = 0; j < t->at.features; j++)
        if (1 + n->feature[j] / n->hidden == l)
            copy_unit(t->x + j * t->stride, n, n->feature[j] % n->hidden);
    if (1 + n->y / n->hidden == l) copy_unit(t->y, n, n->y % n->hidden);
}

static mill_err begin_causes(net *n)
{
    prior_try *const t = n->t;
    const prior_mark mark = prior_arena_mark(t->arena);
    float *x = t->x;

    if (n->p->is_causal) x = take(n, t->stride * n->causes, sizeof *x);
    if (!x) return MILL_ENOMEM;
    v1_draw_causes(x, t->stride, n->causes, n->p, t);
    for (int tile = 0; tile < n->a.tiles; tile++) {
        const int64_t left = t->stride - (int64_t)tile * V1_TILE;
        for (int k = 0; k < n->causes; k++)
            memcpy(n->a.p + ((int64_t)tile * n->a.width + k) * V1_TILE,
                   x + k * t->stride + (int64_t)tile * V1_TILE,
                   (size_t)(left < V1_TILE ? left : V1_TILE) * sizeof *x);
    }
    prior_arena_release(t->arena, mark);
    return MILL_OK;
}

static void describe(const net *n)
{
    mill_text *const s = n->t->structure;

    text_add(s, ",\"layers\":[");
    for (int l = 0; l < n->n_layers; l++) {
        const layer *const y = &n->layer[l];
        text_add(s, "%s{\"in\":%d,\"out\":%d", l ? "," : "", y->in, y->out);
        if (l) text_add(s, ",\"activation\":\"%s\"", v1_act_name[y->act]);
        if (n->t->describe) {
            text_add(s, ",\"computed\":%d", y->n_units);
            if (y->n_blocks) text_add(s, ",\"blocks\":%d", y->n_blocks);
            if (y->at) text_add(s, ",\"weights\":%d", y->at[y->n_units]);
        }
        text_add(s, "}");
    }
    text_add(s, "]");
    if (!n->t->describe || !n->p->is_causal) return;
    text_add(s, ",\"y\":%d,\"x\":[", n->y);
    for (int j = 0; j < n->t->at.features; j++) text_add(s, "%s%d", j ? "," : "", n->feature[j]);
    text_add(s, "]");
}

static mill_err run_net(net *n)
{
    const v1_params *const p = n->p;
    const int features = n->t->at.features;
    int widest;

    n->hidden = p->is_causal && p->hidden_dim < 1 + 2 * features ? 1 + 2 * features : p->hidden_dim;
    n->causes = p->is_causal ? p->num_causes : features;
    n->n_layers = p->num_layers + !p->is_causal;
    n->padded = (n->t->at.rows + V1_TILE - 1) / V1_TILE * V1_TILE;
    n->layer = take(n, n->n_layers, sizeof *n->layer);
    if (!n->layer) return MILL_ENOMEM;
    for (int l = 0; l < n->n_layers; l++) TRY(begin_layer(n, l));
    TRY(pick(n));
    TRY(find_needed(n));
    describe(n);

    widest = n->hidden > n->causes ? n->hidden : n->causes;
    TRY(new_matrix(&n->a, n, widest));
    TRY(new_matrix(&n->b, n, widest));
    TRY(begin_causes(n));
    for (int l = 0; l < n->n_layers; l++) {
        if (!n->layer[l].n_units) continue;
        if (l) TRY(activate_below(n, &n->layer[l - 1], &n->layer[l]));
        TRY(run_layer(n, l));
        if (l) copy_picked(n, l);
    }
    return MILL_OK;
}

/* The bound: hidden units and layers six deviations above their largest mean, all weights kept;
 * a quarter for what the arena cannot use. */
int64_t prior_v1_bytes(const prior_config *c)
{
    const int64_t rows = (prior_most_rows(c) + V1_TILE) / V1_TILE * V1_TILE;
    const int64_t width = prior_most_width(c), causal = 1 + 2 * width, drawn = 4 + 130 + 6 * 130;
    const int64_t hidden = causal > drawn ? causal : drawn,
                  layers = c->num_layers ? c->num_layers : 2 + 6 + 6 * 6;
    const int64_t causes = c->num_causes ? c->num_causes : 1 + 12 + 6 * 12;
    const int64_t columns = 2 * width + 2 * (hidden + 2) + causes + 16;
    const int64_t weights = layers * hidden * (hidden + 8) + 3 * hidden * hidden;
    const int64_t floats = columns * rows + weights + V1_SCRATCH + V1_PAIRS + 4096;

    return floats * 4 / 4 * 5 + (1 << 20);
}

mill_err prior_mlp_scm(prior_try *t)
{
    v1_params p;
    net n = {.p = &p, .t = t};

    v1_draw_params(&p, t);
    v1_describe_params(&p, t);
    TRY(run_net(&n));
    TRY(v1_columns_to_classes(t));
    if (t->is_rejected) return MILL_OK;
    return v1_assign_classes(&p, t);
}
