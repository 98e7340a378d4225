/*
 * grow.c - histogram trees, best leaf first; see grow.h.
 *
 * For every leaf that may be split there is one histogram: for each column and bin the sums of g
 * and h and the number of rows. A split counts the rows of the smaller child only, the larger one's
 * histogram is the parent's less that (in the parent's place). The scan over bins runs twice where
 * rows are missing: with those rows to the right, then to the left.
 *
 * Parallel over columns: a column is counted and scanned by one thread, its rows in the order of
 * the leaf (which partitioning keeps), so that sums and splits do not depend on who does it.  Of
 * equal gains the first column, then the lowest bin wins.
 */
#include "learn/grow.h"

#include "base/mem.h"

#include <string.h>

#define LEAST_HESSIAN 1e-3       /* of a child, as scikit-learn: sums below are mostly rounding */
enum { SERIAL_CELLS = 1 << 14 }; /* rows times columns that are not worth waking anyone */

typedef struct {
    double g, h;
    int64_t n;
} cell;

typedef struct {
    double gain; /* 0: no split */
    cell left;   /* sums of the left child */
    int32_t col;
    uint8_t bin;
    bool missing_left;
} split;

typedef struct {
    int64_t begin, end; /* rows: order[begin..end) */
    cell sum;
    cell *hist; /* NULL where nothing can be split */
    split best;
    int node;
} leaf;

struct grower {
    const uint8_t *bin;
    int64_t rows;
    const bin_map *map;
    boost_options o;
    mill_pool *pool;
    int64_t *cell_at;          /* (n_cols + 1) where a column's cells begin */
    cell *cells;               /* (leaves, cell_at[n_cols]) */
    uint32_t *order, *scratch; /* (rows) */
    float *pair;               /* (rows, 2) g and h in the order of the leaf at hand */
    leaf *leaves;
    split *found; /* (2, n_cols) */
    const float *g, *h;
    leaf *small, *large; /* of the split at hand; large is NULL at the root */
};

void grower_free(grower *g)
{
    if (!g) return;
    mill_free(g->cell_at);
    mill_free(g->cells);
    mill_free(g->order);
    mill_free(g->scratch);
    mill_free(g->pair);
    mill_free(g->leaves);
    mill_free(g->found);
    mill_free(g);
}

mill_err grower_new(grower **out, const uint8_t *bin, int64_t rows, const bin_map *map,
                    const boost_options *o, mill_pool *pool)
{
    grower *const g = mill_alloc(1, sizeof *g);
    const size_t cols = (size_t)map->n_cols;

    if (!g) return MILL_ENOMEM;
    *g = (grower){.bin = bin, .rows = rows, .map = map, .o = *o, .pool = pool};
    g->cell_at = mill_alloc(cols + 1, sizeof *g->cell_at);
    for (int c = 0; g->cell_at && c < map->n_cols; c++)
        g->cell_at[c + 1] = g->cell_at[c] + map->col[c].n_bins + 1; /* the last one for missing */
    if (g->cell_at)
        g->cells = mill_alloc((size_t)o->leaves * (size_t)g->cell_at[cols], sizeof *g->cells);
    g->order = mill_alloc((size_t)rows, sizeof *g->order);
    g->scratch = mill_alloc((size_t)rows, sizeof *g->scratch);
    g->pair = mill_alloc((size_t)rows, 2 * sizeof *g->pair);
    g->leaves = mill_alloc((size_t)o->leaves, sizeof *g->leaves);
    g->found = mill_alloc(cols, 2 * sizeof *g->found);
    if (!g->cells || !g->order || !g->scratch || !g->pair || !g->leaves || !g->found) {
        grower_free(g);
        return MILL_ENOMEM;
    }
    *out = g;
    return MILL_OK;
}

/* hist (n_bins + 1) of column c over the rows of l, whose gradients lie in g->pair. */
static void count_rows(cell *hist, const grower *g, const leaf *l, int64_t c)
{
    const uint8_t *bin = g->bin + c * g->rows;
    const uint32_t *order = g->order + l->begin;
    const int64_t n = l->end - l->begin;
    cell all[256];

    memset(all, 0, sizeof all);
    for (int64_t i = 0; i < n; i++) {
        cell *to = &all[bin[order[i]]];
        to->g += (double)g->pair[2 * i];
        to->h += (double)g->pair[2 * i + 1];
        to->n++;
    }
    memcpy(hist, all, (size_t)g->map->col[c].n_bins * sizeof *hist);
    hist[g->map->col[c].n_bins] = all[MISSING_BIN];
}

static cell minus(cell a, cell b)
{
    return (cell){a.g - b.g, a.h - b.h, a.n - b.n};
}

static double score(const grower *g, cell s)
{
    return s.g * s.g / (s.h + g->o.l2);
}

static void consider(split *best, const grower *g, cell all, cell left, int bin)
{
    const cell right = minus(all, left);

    if (left.n < g->o.min_leaf_rows || right.n < g->o.min_leaf_rows) return;
    if (left.h < LEAST_HESSIAN || right.h < LEAST_HESSIAN) return;

    const double gain = score(g, left) + score(g, right) - score(g, all);
    if (!(gain > best->gain)) return;
    best->gain = gain;
    best->left = left;
    best->bin = (uint8_t)bin;
}

static split scan(const grower *g, const leaf *l, int64_t c)
{
    const cell *hist = l->hist + g->cell_at[c];
    const int n_bins = g->map->col[c].n_bins;
    const cell missing = hist[n_bins];
    split best = {.col = (int32_t)c};

    for (int side = 0; side < (missing.n ? 2 : 1); side++) {
        const double before = best.gain;
        const bool can_be_alone = missing.n && side == 0; /* the missing ones against the rest */
        cell left = side ? missing : (cell){0};

        for (int b = 0; b < n_bins - !can_be_alone; b++) {
            left.g += hist[b].g;
            left.h += hist[b].h;
            left.n += hist[b].n;
            consider(&best, g, l->sum, left, b);
        }
        if (best.gain > before) best.missing_left = side;
    }
    if (!missing.n)
        best.missing_left = best.left.n > l->sum.n - best.left.n; /* unseen: with the many */
    return best;
}

static void count_and_scan(void *ctx, int64_t c, int thread)
{
    grower *const g = ctx;
    const int64_t at = g->cell_at[c], n = g->cell_at[c + 1] - at;

    (void)thread;
    count_rows(g->small->hist + at, g, g->small, c);
    g->found[2 * c] = scan(g, g->small, c);
    if (!g->large) return;

    cell *large = g->large->hist + at; /* still the parent's */
    for (int64_t b = 0; b < n; b++) large[b] = minus(large[b], g->small->hist[at + b]);
    g->found[2 * c + 1] = scan(g, g->large, c);
}

/* Histograms and best splits of small and, if there is one, large. */
static void evaluate(grower *g, leaf *small, leaf *large)
{
    const int64_t n = small->end - small->begin;
    const int n_cols = g->map->n_cols;

    for (int64_t i = 0; i < n; i++) {
        const uint32_t row = g->order[small->begin + i];
        g->pair[2 * i] = g->g[row];
        g->pair[2 * i + 1] = g->h ? g->h[row] : 1.0f;
    }
    g->small = small;
    g->large = large;
    mill_pool_run(n * n_cols < SERIAL_CELLS ? NULL : g->pool, n_cols, count_and_scan, g);
    for (int side = 0; side < (large ? 2 : 1); side++) {
        leaf *l = side ? large : small;
        l->best = (split){0};
        for (int c = 0; c < n_cols; c++)
            if (g->found[2 * c + side].gain > l->best.gain) l->best = g->found[2 * c + side];
    }
}

/* Move the rows of l that go left to the front, both sides in their order; where the right ones
 * begin. */
static int64_t partition(grower *g, const leaf *l)
{
    const uint8_t *bin = g->bin + (int64_t)l->best.col * g->rows;
    uint8_t goes_left[256];
    int64_t left = l->begin, right = 0;

    for (int b = 0; b < 256; b++)
        goes_left[b] = b == MISSING_BIN ? l->best.missing_left : b <= l->best.bin;
    for (int64_t i = l->begin; i < l->end; i++) {
        const uint32_t row = g->order[i];
        const uint8_t to_left = goes_left[bin[row]];
        g->order[left] = g->scratch[right] = row;
        left += to_left;
        right += !to_left;
    }
    memcpy(g->order + left, g->scratch, (size_t)right * sizeof *g->order);
    return left;
}

static bool can_split(const grower *g, const leaf *l)
{
    return l->end - l->begin >= 2 * (int64_t)g->o.min_leaf_rows;
}

/* Split leaf `at` into itself and a new last leaf. */
static void split_leaf(tree *t, grower *g, int at, int n_leaves)
{
    leaf *const a = &g->leaves[at], *const b = &g->leaves[n_leaves];
    const split s = a->best;
    const int64_t middle = partition(g, a);

    t->node[a->node] =
        (tree_node){.left = t->n_nodes, .col = s.col, .bin = s.bin, .missing_left = s.missing_left};
    *b = (leaf){
        .begin = middle, .end = a->end, .sum = minus(a->sum, s.left), .node = t->n_nodes + 1};
    *a = (leaf){
        .begin = a->begin, .end = middle, .sum = s.left, .hist = a->hist, .node = t->n_nodes};
    t->n_nodes += 2;
    if (n_leaves + 1 == g->o.leaves || (!can_split(g, a) && !can_split(g, b))) return;

    const bool a_is_small = a->end - a->begin <= b->end - b->begin;
    leaf *const small = a_is_small ? a : b, *const large = a_is_small ? b : a;

    large->hist = a->hist;
    small->hist = g->cells + n_leaves * g->cell_at[g->map->n_cols];
    evaluate(g, small, large);
}

void grower_grow(tree *to, grower *gr, const float *g, const float *h, double *score_, int stride)
{
    leaf *const root = gr->leaves;
    int n_leaves = 1;

    gr->g = g;
    gr->h = h;
    *root = (leaf){.end = gr->rows, .hist = gr->cells};
    for (int64_t i = 0; i < gr->rows; i++) {
        gr->order[i] = (uint32_t)i;
        root->sum.g += (double)g[i];
        root->sum.h += h ? (double)h[i] : 1;
    }
    root->sum.n = gr->rows;
    to->n_nodes = 1;
    if (can_split(gr, root)) evaluate(gr, root, NULL);

    while (n_leaves < gr->o.leaves) {
        int best = 0;
        for (int i = 1; i < n_leaves; i++)
            if (gr->leaves[i].best.gain > gr->leaves[best].best.gain) best = i;
        if (!(gr->leaves[best].best.gain > 0)) break;
        split_leaf(to, gr, best, n_leaves++);
    }
    for (int i = 0; i < n_leaves; i++) {
        const leaf *l = &gr->leaves[i];
        const double value = -gr->o.rate * l->sum.g / (l->sum.h + gr->o.l2 + 1e-15);

        to->node[l->node] = (tree_node){.value = value};
        for (int64_t r = l->begin; r < l->end; r++) score_[(int64_t)gr->order[r] * stride] += value;
    }
}

double tree_value(const tree *t, const uint8_t *bin, int64_t rows, int64_t row)
{
    const tree_node *n = t->node;

    while (n->left) {
        const uint8_t b = bin[n->col * rows + row];
        const bool left = b == MISSING_BIN ? n->missing_left : b <= n->bin;
        n = &t->node[n->left + !left];
    }
    return n->value;
}
