/*
 * extra.c - extremely randomised trees; see extra.h.
 *
 * A tree is grown depth first from its own random stream. A node holds rows[begin..end) with
 * weights (how often a bootstrap drew them) and tries features in random order. The gain of a cut
 * is, up to a constant of the node,
 *
 *     sum_j (left_j^2 / n_left + right_j^2 / n_right)
 *
 * with left_j, right_j the weighted sums of output j, which is the fall of the squared error, or
 * of the Gini impurity times two for one-hot outputs.
 */
#include "learn/extra.h"

#include "base/mem.h"
#include "base/philox.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

typedef struct {
    int32_t left, feature; /* left 0: a leaf; right is left + 1 */
    float cut;             /* x <= cut goes left */
    int64_t value;         /* of a leaf: where its m outputs begin */
} extra_node;

typedef struct {
    extra_node *node;
    float *value;
    int64_t n_nodes, room, n_values, values_room;
} extra_tree;

struct mill_extra {
    extra_options o;
    int64_t c, m;
    extra_tree *tree; /* (o.trees) */
};

void extra_free(mill_extra *m)
{
    if (!m) return;
    for (int t = 0; m->tree && t < m->o.trees; t++) {
        mill_free(m->tree[t].node);
        mill_free(m->tree[t].value);
    }
    mill_free(m->tree);
    mill_free(m);
}

typedef struct {
    const float *x, *y;
    int64_t n, c, m;
    const extra_options *o;
    mill_extra *model;
    uint32_t *weight; /* (trees, n) with a bootstrap: how often a tree saw a row */
    atomic_int err;
} job;

typedef struct {
    int64_t begin, end, node;
    int depth;
} range;

/* What one tree needs while it grows. */
typedef struct {
    const job *j;
    extra_tree *tree;
    const uint32_t *weight; /* (n), or NULL: all one */
    mill_rng rng;
    int64_t *rows, *scratch; /* (n) */
    int32_t *features;       /* (c) */
    double *left, *all;      /* (m) sums */
    double all_weight;
    range *stack;
    int64_t depth, stack_room;
} growing;

static double weight_of(const growing *w, int64_t row)
{
    return w->weight ? (double)w->weight[row] : 1.0;
}

/* Double the room of *p once n has reached it. */
static bool make_room(void **p, int64_t *room, int64_t n, size_t size)
{
    if (n <= *room) return true;

    const int64_t more = n > 2 * *room ? n : 2 * *room;
    void *const q = mill_realloc(*p, (size_t)more, size);

    if (!q) return false;
    *p = q;
    *room = more;
    return true;
}

/* Sums of outputs over rows[begin..end) with x[feature] <= cut; all of them for feature < 0. */
static void add_outputs(double *sum, double *weight, int64_t *n, const growing *w, const range *r,
                        int32_t feature, float cut)
{
    const job *j = w->j;

    memset(sum, 0, (size_t)j->m * sizeof *sum);
    *weight = 0;
    *n = 0;
    for (int64_t i = r->begin; i < r->end; i++) {
        const int64_t row = w->rows[i];
        const double a = weight_of(w, row);

        if (feature >= 0 && j->x[row * j->c + feature] > cut) continue;
        for (int64_t k = 0; k < j->m; k++) sum[k] += a * (double)j->y[row * j->m + k];
        *weight += a;
        ++*n;
    }
}

typedef struct {
    double gain;
    int32_t feature;
    float cut;
} choice;

static void try_cut(choice *best, const growing *w, const range *r, int32_t feature, float cut)
{
    const job *j = w->j;
    double weight, gain = 0;
    int64_t n;

    add_outputs(w->left, &weight, &n, w, r, feature, cut);
    if (n < j->o->min_leaf_rows || r->end - r->begin - n < j->o->min_leaf_rows) return;
    for (int64_t k = 0; k < j->m; k++) {
        const double right = w->all[k] - w->left[k];
        gain += w->left[k] * w->left[k] / weight + right * right / (w->all_weight - weight);
    }
    if (best->feature < 0 || gain > best->gain) *best = (choice){gain, feature, cut};
}

static choice choose(growing *w, const range *r)
{
    const job *j = w->j;
    choice best = {.feature = -1};
    const int64_t wanted = j->o->max_features == EXTRA_SQRT
                               ? (int64_t)fmax(1, floor(sqrt((double)j->c)))
                           : j->o->max_features ? j->o->max_features
                                                : j->c;

    for (int64_t tried = 0, drawn = 0; drawn < j->c && tried < wanted; drawn++) {
        const int64_t pick = drawn + mill_rng_below(&w->rng, (uint32_t)(j->c - drawn));
        const int32_t f = w->features[pick];
        w->features[pick] = w->features[drawn];
        w->features[drawn] = f;

        float min = INFINITY, max = -INFINITY;
        for (int64_t i = r->begin; i < r->end; i++) {
            const float v = j->x[w->rows[i] * j->c + f];
            min = v < min ? v : min;
            max = v > max ? v : max;
        }
        if (!(max > min)) continue;
        tried++;
        const float cut =
            (float)((double)min + mill_rng_f64(&w->rng) * ((double)max - (double)min));
        try_cut(&best, w, r, f,
                cut < max ? cut : min); /* rounding could leave nothing on the right */
    }
    return best;
}

/* Whether all rows of r have the same outputs, so that no cut gains anything. */
static bool is_pure(const growing *w, const range *r)
{
    const job *j = w->j;
    const float *first = j->y + w->rows[r->begin] * j->m;

    for (int64_t i = r->begin + 1; i < r->end; i++)
        for (int64_t k = 0; k < j->m; k++)
            if (j->y[w->rows[i] * j->m + k] != first[k]) return false;
    return true;
}

static bool make_leaf(growing *w, int64_t node)
{
    extra_tree *t = w->tree;

    if (!make_room((void **)&t->value, &t->values_room, t->n_values + w->j->m, sizeof *t->value))
        return false;
    t->node[node] = (extra_node){.value = t->n_values};
    for (int64_t k = 0; k < w->j->m; k++)
        t->value[t->n_values++] = (float)(w->all[k] / w->all_weight);
    return true;
}

static int64_t partition(growing *w, const range *r, const choice *c)
{
    int64_t left = r->begin, right = 0;

    for (int64_t i = r->begin; i < r->end; i++) {
        const int64_t row = w->rows[i];
        if (w->j->x[row * w->j->c + c->feature] <= c->cut)
            w->rows[left++] = row;
        else
            w->scratch[right++] = row;
    }
    memcpy(w->rows + left, w->scratch, (size_t)right * sizeof *w->rows);
    return left;
}

/* Make the node of r a leaf, or split it and put its children on the stack. */
static bool grow_node(growing *w, range r)
{
    const extra_options *o = w->j->o;
    extra_tree *t = w->tree;
    int64_t n;

    add_outputs(w->all, &w->all_weight, &n, w, &r, -1, 0);
    const bool stop = n < o->min_split_rows || n < 2 * (int64_t)o->min_leaf_rows ||
                      (o->max_depth && r.depth == o->max_depth) || is_pure(w, &r);
    const choice c = stop ? (choice){.feature = -1} : choose(w, &r);
    if (c.feature < 0) return make_leaf(w, r.node);

    if (!make_room((void **)&t->node, &t->room, t->n_nodes + 2, sizeof *t->node)) return false;
    if (!make_room((void **)&w->stack, &w->stack_room, w->depth + 2, sizeof *w->stack))
        return false;
    const int64_t middle = partition(w, &r, &c), left = t->n_nodes;
    t->n_nodes += 2;
    t->node[r.node] = (extra_node){.left = (int32_t)left, .feature = c.feature, .cut = c.cut};
    w->stack[w->depth++] = (range){middle, r.end, left + 1, r.depth + 1};
    w->stack[w->depth++] = (range){r.begin, middle, left, r.depth + 1};
    return true;
}

static bool grow_tree(growing *w)
{
    const job *j = w->j;
    int64_t n = 0;

    if (!make_room((void **)&w->tree->node, &w->tree->room, 1, sizeof *w->tree->node)) return false;
    if (!make_room((void **)&w->stack, &w->stack_room, 1, sizeof *w->stack)) return false;
    for (int64_t i = 0; i < j->n; i++)
        if (!w->weight || w->weight[i]) w->rows[n++] = i;
    for (int64_t f = 0; f < j->c; f++) w->features[f] = (int32_t)f;
    w->tree->n_nodes = 1;
    w->stack[w->depth++] = (range){0, n, 0, 0};
    while (w->depth)
        if (!grow_node(w, w->stack[--w->depth])) return false;
    return true;
}

static void run_tree(void *ctx, int64_t t, int thread)
{
    job *const j = ctx;
    growing w = {.j = j,
                 .tree = &j->model->tree[t],
                 .rng = mill_rng_init(j->o->seed, j->o->stream + (uint32_t)t, 0)};

    (void)thread;
    if (j->weight) {
        uint32_t *weight = j->weight + t * j->n;
        for (int64_t i = 0; i < j->n; i++) weight[mill_rng_below(&w.rng, (uint32_t)j->n)]++;
        w.weight = weight;
    }
    w.rows = mill_alloc((size_t)j->n, sizeof *w.rows);
    w.scratch = mill_alloc((size_t)j->n, sizeof *w.scratch);
    w.features = mill_alloc((size_t)j->c, sizeof *w.features);
    w.left = mill_alloc((size_t)j->m, sizeof *w.left);
    w.all = mill_alloc((size_t)j->m, sizeof *w.all);
    if (!w.rows || !w.scratch || !w.features || !w.left || !w.all || !grow_tree(&w))
        j->err = MILL_ENOMEM;
    mill_free(w.rows);
    mill_free(w.scratch);
    mill_free(w.features);
    mill_free(w.left);
    mill_free(w.all);
    mill_free(w.stack);
}

static const float *tree_outputs(const extra_tree *t, const float *x)
{
    const extra_node *n = t->node;

    while (n->left) n = &t->node[n->left + !(x[n->feature] <= n->cut)];
    return t->value + n->value;
}

static mill_err set_oob(float *oob, const job *j)
{
    double *const sum = mill_alloc((size_t)j->m, sizeof *sum);

    if (!sum) return MILL_ENOMEM;
    for (int64_t i = 0; i < j->n; i++) {
        int trees = 0;

        memset(sum, 0, (size_t)j->m * sizeof *sum);
        for (int t = 0; t < j->o->trees; t++) {
            if (j->weight[t * j->n + i]) continue;
            const float *y = tree_outputs(&j->model->tree[t], j->x + i * j->c);
            for (int64_t k = 0; k < j->m; k++) sum[k] += (double)y[k];
            trees++;
        }
        for (int64_t k = 0; k < j->m; k++)
            oob[i * j->m + k] = trees ? (float)(sum[k] / trees) : NAN;
    }
    mill_free(sum);
    return MILL_OK;
}

static mill_err check(const float *oob, const float *x, const float *y, const int64_t dim[3],
                      const extra_options *o)
{
    const int64_t n = dim[0], c = dim[1], m = dim[2];

    if (n < 1 || n > UINT32_MAX || c < 1 || c > INT32_MAX || m < 1)
        return mill_fail(MILL_EINPUT, "extra trees need rows, columns and outputs");
    if (o->trees < 1 || o->max_depth < 0 || o->max_features < EXTRA_SQRT || o->max_features > c ||
        o->min_leaf_rows < 1 || o->min_split_rows < 2)
        return mill_fail(MILL_EINPUT, "extra trees: an option is out of range");
    if (oob && !o->bootstrap)
        return mill_fail(MILL_EINPUT, "extra trees: no row is left out without a bootstrap");
    for (int64_t i = 0; i < n * c; i++)
        if (!isfinite(x[i]))
            return mill_fail(MILL_EINPUT, "extra trees: row %lld is not finite",
                             (long long)(i / c));
    for (int64_t i = 0; i < n * m; i++)
        if (!isfinite(y[i]))
            return mill_fail(MILL_EINPUT, "extra trees: the target of row %lld is not finite",
                             (long long)(i / m));
    return MILL_OK;
}

mill_err extra_fit(mill_extra **out, float *oob, const float *x, const float *y,
                   const int64_t dim[3], const extra_options *o, mill_pool *pool)
{
    TRY(check(oob, x, y, dim, o));

    mill_extra *const m = mill_alloc(1, sizeof *m);
    job j = {.x = x, .y = y, .n = dim[0], .c = dim[1], .m = dim[2], .o = o, .model = m};
    mill_err err = MILL_ENOMEM;

    if (!m) return err;
    m->o = *o;
    m->c = j.c;
    m->m = j.m;
    if (!(m->tree = mill_alloc((size_t)o->trees, sizeof *m->tree))) goto done;
    if (o->bootstrap && !(j.weight = mill_alloc((size_t)o->trees * (size_t)j.n, sizeof *j.weight)))
        goto done;
    mill_pool_run(pool, o->trees, run_tree, &j);
    err =
        j.err ? mill_fail(MILL_ENOMEM, "out of memory while growing %d trees", o->trees) : MILL_OK;
    if (!err && oob) err = set_oob(oob, &j);
done:
    mill_free(j.weight);
    if (err) {
        extra_free(m);
        return err;
    }
    *out = m;
    return MILL_OK;
}

typedef struct {
    const mill_extra *m;
    const float *x;
    float *y;
    int64_t n;
    atomic_int err;
} prediction;

enum { PREDICT_ROWS = 256 };

static void predict_chunk(void *ctx, int64_t chunk, int thread)
{
    prediction *const p = ctx;
    const int64_t m = p->m->m, begin = chunk * PREDICT_ROWS;
    const int64_t end = begin + PREDICT_ROWS < p->n ? begin + PREDICT_ROWS : p->n;
    double *const sum = mill_alloc((size_t)m, sizeof *sum);

    (void)thread;
    if (!sum) {
        p->err = MILL_ENOMEM;
        return;
    }
    for (int64_t i = begin; i < end; i++) {
        memset(sum, 0, (size_t)m * sizeof *sum);
        for (int t = 0; t < p->m->o.trees; t++) {
            const float *y = tree_outputs(&p->m->tree[t], p->x + i * p->m->c);
            for (int64_t k = 0; k < m; k++) sum[k] += (double)y[k];
        }
        for (int64_t k = 0; k < m; k++) p->y[i * m + k] = (float)(sum[k] / p->m->o.trees);
    }
    mill_free(sum);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): written through the job */
mill_err extra_predict(float *y, const mill_extra *m, const float *x, int64_t n, mill_pool *pool)
{
    prediction p = {.m = m, .x = x, .y = y, .n = n};

    mill_pool_run(pool, (n + PREDICT_ROWS - 1) / PREDICT_ROWS, predict_chunk, &p);
    return p.err ? mill_fail(MILL_ENOMEM, "out of memory while predicting") : MILL_OK;
}
