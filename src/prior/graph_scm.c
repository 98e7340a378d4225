/*
 * graph_scm.c - the v2 process: columns, a graph, their places in it, and a walk along it.
 *
 *     columns   a share clip(U(-.5, 1.2), 0, 1) of them categorical; levels local or shared, up to
 *               9 (known error; use_corrected_cat_sizes lifts it)
 *     graph     N = logInt(2..32) nodes, i -> j (i < j) with probability sigmoid(A + B_i + C_j),
 *               A, B, C standard Cauchy
 *     places    for x and for y: a random subset of the nodes, each column at one of them; again
 *               until x and y share an ancestor (filter_unpredictable_graphs)
 *     walk      nodes in order, those that nothing depends on left out
 *
 * A node's values live until its last child is made; their memory then serves another node.
 */
#include "prior/graph_inner.h"

#include "base/vmath.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_GRAPHS = 10000, LEVELS_KEPT = 9, LEVELS_CORRECTED = 200 };

typedef struct {
    int n;            /* nodes */
    uint8_t *edge;    /* (n, n): edge[i * n + j], i -> j */
    int32_t *place;   /* (columns + 1): the node of each column, the last is y */
    bool *is_needed;  /* (n) */
    int32_t *waiting; /* (n): children that are still to be made */
    int tries;
} graph;

typedef struct {
    float *x;
    int columns;
    bool is_free;
} buffer;

typedef struct {
    scm *s;
    graph g;
    converter *column; /* (features + 1) */
    int columns;       /* features + 1 */
    mat like;          /* rows of every node */
    mat *value;        /* (n) */
    int32_t *held;     /* (n): index of the buffer that a node has */
    buffer *buffer;    /* (n) */
    int buffers;
    int made; /* nodes */
} walk;

/* ---- columns ------------------------------------------------------------------------------- */

/* Categorical columns first; the last is y. */
static void draw_columns(walk *w)
{
    scm *const s = w->s;
    const int features = w->columns - 1, corrected = s->c->use_corrected_cat_sizes;
    double share = draw_between(s->draw, -0.5, 1.2);

    share = share < 0 ? 0 : share > 1 ? 1 : share;
    const int cats = (int)rint(features * share);
    const int local = (int)scalar_local_int(s, 0, cats, false, true);
    const int limit = corrected ? (int)scalar_local_int(s, 2, LEVELS_CORRECTED, true, false)
                                : (int)scalar_log_int(s, NUM_cat_size_limit, 2, LEVELS_KEPT);
    const int shared = limit < LEVELS_KEPT ? limit : LEVELS_KEPT;

    for (int j = 0; j < features; j++) {
        int levels = 0;
        if (j < local) {
            levels = (int)scalar_local_int(s, 2, limit, true, false);
        } else if (j < cats) {
            levels = (int)scalar_log_int(s, NUM_cat_size, 2, shared);
        }
        w->column[j] = (converter){.column = j, .levels = levels};
        s->t->levels[j] = levels;
    }
    w->column[features] =
        (converter){.column = -1, .levels = s->t->wants_number ? 0 : s->t->classes};
}

/* ---- graph --------------------------------------------------------------------------------- */

static void draw_edges(graph *g, scm *s, double *cauchy)
{
    const double offset = draw_cauchy(s->draw) + s->c->cauchy_dag_offset;

    for (int i = 0; i < 2 * g->n; i++) cauchy[i] = draw_cauchy(s->draw);
    for (int i = 0; i < g->n * g->n; i++) g->edge[i] = 0;
    for (int j = 1; j < g->n; j++)
        for (int i = 0; i < j; i++) {
            const double p = mill_sigmoid_f64(offset + cauchy[i] + cauchy[g->n + j]);
            g->edge[i * g->n + j] = draw_flip(s->draw, p);
        }
}

/* Columns [first, end) to nodes of a random subset. */
static void place_columns(graph *g, scm *s, int first, int end, int32_t *subset)
{
    int size = g->n;

    if (s->c->subsample_feature_nodes) {
        size = (int)scalar_int(s, NUM_n_feature_nodes, 1, g->n);
        draw_permutation(s->draw, subset, g->n);
    } else {
        for (int i = 0; i < g->n; i++) subset[i] = i;
    }
    for (int j = first; j < end; j++) g->place[j] = subset[draw_below(s->draw, size)];
}

enum { ABOVE_X = 1, ABOVE_Y = 2 };

/* Marks ancestors; true if x and y share one. */
static bool mark_ancestors(graph *g, int columns, uint8_t *above)
{
    bool shared = false;

    for (int j = 0; j < g->n; j++) above[j] = 0;
    for (int j = 0; j < columns; j++) above[g->place[j]] |= j + 1 < columns ? ABOVE_X : ABOVE_Y;
    for (int j = g->n - 1; j >= 0; j--) {
        for (int i = 0; i < j; i++)
            if (g->edge[i * g->n + j]) above[i] |= above[j];
        shared = shared || above[j] == (ABOVE_X | ABOVE_Y);
    }
    for (int j = 0; j < g->n; j++) g->is_needed[j] = above[j] != 0;
    return shared;
}

static mill_err draw_graph(walk *w)
{
    scm *const s = w->s;
    graph *const g = &w->g;
    const int64_t most = s->c->max_n_nodes;
    double *const cauchy = prior_alloc(s->arena, 2 * most, sizeof *cauchy);
    int32_t *const subset = prior_alloc(s->arena, most, sizeof *subset);
    uint8_t *const above = prior_alloc(s->arena, most, sizeof *above);

    g->edge = prior_alloc(s->arena, most * most, sizeof *g->edge);
    g->place = prior_alloc(s->arena, w->columns, sizeof *g->place);
    g->is_needed = prior_alloc(s->arena, most, sizeof *g->is_needed);
    g->waiting = prior_alloc(s->arena, most, sizeof *g->waiting);
    if (!cauchy || !subset || !above || !g->edge || !g->place || !g->is_needed || !g->waiting)
        return MILL_ENOMEM;
    for (g->tries = 1; g->tries <= MOST_GRAPHS; g->tries++) {
        g->n = (int)scalar_log_int(s, NUM_n_nodes, s->c->min_n_nodes, most);
        draw_edges(g, s, cauchy);
        place_columns(g, s, 0, w->columns - 1, subset);
        place_columns(g, s, w->columns - 1, w->columns, subset);
        if (mark_ancestors(g, w->columns, above) || !s->c->filter_unpredictable_graphs)
            return MILL_OK;
    }
    s->is_lost = true;
    return MILL_OK;
}

/* ---- walk ---------------------------------------------------------------------------------- */

/* The smallest free buffer of so many columns, or a new one. */
static mill_err take_buffer(walk *w, int node, int columns)
{
    int best = -1;

    for (int i = 0; i < w->buffers; i++) {
        const buffer *b = &w->buffer[i];
        if (b->is_free && b->columns >= columns &&
            (best < 0 || b->columns < w->buffer[best].columns))
            best = i;
    }
    if (best < 0) {
        best = w->buffers++;
        w->buffer[best].columns = columns;
        w->buffer[best].x = prior_alloc(w->s->arena, w->like.ld * columns, sizeof(float));
        if (!w->buffer[best].x) return MILL_ENOMEM;
    }
    w->buffer[best].is_free = false;
    w->held[node] = best;
    w->value[node] = w->like;
    w->value[node].d = columns;
    w->value[node].x = w->buffer[best].x;
    return MILL_OK;
}

static void release_parents(walk *w, int node)
{
    const graph *g = &w->g;

    for (int i = 0; i < node; i++)
        if (g->edge[i * g->n + node] && --g->waiting[i] == 0) w->buffer[w->held[i]].is_free = true;
    if (!g->waiting[node]) w->buffer[w->held[node]].is_free = true;
}

static void count_children(graph *g)
{
    for (int i = 0; i < g->n; i++) {
        g->waiting[i] = 0;
        for (int j = i + 1; j < g->n; j++)
            g->waiting[i] += g->edge[i * g->n + j] && g->is_needed[j];
    }
}

static mill_err make_node(walk *w, int node)
{
    scm *const s = w->s;
    const graph *g = &w->g;
    mat *const parent = prior_alloc(s->arena, node + 1, sizeof *parent);
    converter *const conv = prior_alloc(s->arena, w->columns, sizeof *conv);
    float **const out = prior_alloc(s->arena, w->columns, sizeof *out);
    node_job j = {.parent = parent, .converter = conv, .is_leaf = !g->waiting[node]};

    if (!parent || !conv || !out) return MILL_ENOMEM;
    say(s, "%s{\"node\":%d,\"parents\":[", w->made++ ? "," : "", node);
    for (int i = 0; i < node; i++) {
        if (!g->edge[i * g->n + node]) continue;
        say(s, "%s%d", j.parents ? "," : "", i);
        parent[j.parents++] = w->value[i];
    }
    int dims = 0;
    for (int c = 0; c < w->columns; c++) {
        if (g->place[c] != node) continue;
        conv[j.converters] = w->column[c];
        out[j.converters] = c + 1 < w->columns ? s->t->x + c * s->t->stride : s->t->y;
        graph_converter_draw(&conv[j.converters], s);
        dims += conv[j.converters++].dims;
    }
    dims += (int)scalar_log_int(s, NUM_node_dim, 1, 31);
    say(s, "],\"dims\":%d", dims);
    TRY(take_buffer(w, node, dims));
    TRY(graph_node(&w->value[node], s, &j, out));
    say(s, "}");
    release_parents(w, node);
    return MILL_OK;
}

static mill_err walk_graph(walk *w)
{
    scm *const s = w->s;
    const int64_t n = w->g.n, rows = s->t->at.rows, padded = (rows + 15) / 16 * 16;

    w->like.fit = rows;
    w->like.n = s->c->ensure_iid ? padded + rows : rows;
    /* odd multiples of 16: columns of one row fall into different sets of a cache */
    w->like.ld = (w->like.n + 15) / 16 * 16 | 16;
    w->value = prior_alloc(s->arena, n, sizeof *w->value);
    w->held = prior_alloc(s->arena, n, sizeof *w->held);
    w->buffer = prior_alloc(s->arena, n, sizeof *w->buffer);
    if (!w->value || !w->held || !w->buffer) return MILL_ENOMEM;
    count_children(&w->g);
    say(s, ",\"graph\":[");
    for (int i = 0; i < n; i++) {
        if (w->g.is_needed[i]) TRY(make_node(w, i));
        if (s->is_lost) return MILL_OK;
    }
    say(s, "]");
    return MILL_OK;
}

/* y holds levels: give the classes new names. */
static mill_err permute_labels(scm *s)
{
    const int classes = s->t->classes;
    int32_t *const name = prior_alloc(s->arena, classes, sizeof *name);

    if (!name) return MILL_ENOMEM;
    draw_permutation(s->draw, name, classes);
    for (int64_t i = 0; i < s->t->at.rows; i++) s->t->y[i] = (float)name[(int)s->t->y[i]];
    return MILL_OK;
}

mill_err prior_graph_scm(prior_try *t)
{
    scm s = {.t = t,
             .c = t->c,
             .k = graph_kernels_get(),
             .draw = &t->draw,
             .arena = t->arena,
             .text = t->structure,
             .in_full = t->describe};
    walk w = {.s = &s, .columns = t->at.features + 1};
    int computed = 0;

    TRY(graph_options(&s));
    w.column = prior_alloc(s.arena, w.columns, sizeof *w.column);
    if (!w.column) return MILL_ENOMEM;
    draw_columns(&w);
    TRY(draw_graph(&w));
    for (int i = 0; i < w.g.n; i++) computed += w.g.is_needed[i];
    text_add(t->structure, ",\"nodes\":%d,\"computed\":%d,\"graphs\":%d", w.g.n, computed,
             w.g.tries);
    if (!s.is_lost) TRY(walk_graph(&w));
    if (s.is_lost) {
        t->is_rejected = true;
        t->why = PRIOR_REJECT_EMPTY;
        return MILL_OK;
    }
    return t->wants_number ? MILL_OK : permute_labels(&s);
}

/* ---- memory -------------------------------------------------------------------------------- */

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/*
 * The most of a node of d columns whose parents have p, p + d at most all columns of all nodes:
 *
 *     rows      all nodes at once; the parents side by side and a copy of them (mlp), or one and
 *               shares of 2 d components (em) and d more of another function
 *     matrices  (d, p) six times, with what a matrix is made of; or of em 2 d centres of p
 *               twice, and a matrix (d, 2 d) likewise; or (p, p) of gp; or d of 21 x 21 seven
 *               times (quad)
 *
 * and a third on top for what falls between blocks.
 */
static int64_t bytes_for(const prior_config *c, int64_t rows, int64_t features)
{
    const int64_t levels = c->use_corrected_cat_sizes ? LEVELS_CORRECTED : LEVELS_KEPT;
    const int64_t n = c->max_n_nodes, y = c->regression ? 1 : c->max_classes;
    const int64_t node = 31 + features * levels + y, all = 31 * n + features * levels + y;
    const int64_t padded = ((rows + 15) / 16 * 16 + 16) * (c->ensure_iid ? 2 : 1);
    const int64_t half = node < all / 2 ? node : all / 2, product = half * (all - half);
    const int64_t columns = larger(3 * all, 2 * (all + node)) + 3 * features + 600;
    const int64_t linear = 7 * product + node * node, em = 4 * product + 13 * node * node,
                  gp = all * all;
    const int64_t matrices =
        larger(linear, larger(em, gp)) + node * 8 * 441 + 128L * 128 * 32 + all * 256 * 3;

    return ((padded * columns + matrices) * 4 + n * n + (4 << 20)) / 3 * 4;
}

int64_t prior_graph_bytes(const prior_config *c)
{
    int64_t rows, features, most = 0;

    for (int i = 0; prior_largest(&rows, &features, c, i); i++)
        most = larger(bytes_for(c, rows, features), most);
    return most;
}
