/*
 * links.c - what fuse and reuse both ask about a graph: which links are rowwise, who reads which
 * memory, what a node costs.
 */
#include "graph/inner.h"
#include <math.h>

bool graph_reads_rows(const mill_graph *g, const mill_split *split, mill_ref r, int i)
{
    const mill_node *node = mill_get(g, r);
    if (!node->op || !(node->op->rowwise & ROW_SRC(i)) || !split[r].by_rows) return false;

    mill_ref s = node->src[i];
    const int64_t rows = mill_rows(mill_shape_of(g, s));
    if (rows != split[r].units) return false;
    for (;;) { /* a view keeps the rows if it shows all of its source in as many rows */
        const mill_node *view = mill_get(g, s);
        if (!view->op || !(view->op->flags & MILL_OP_VIEW)) return true;
        const mill_node *under = mill_get(g, view->src[0]);
        if (view->attr.i[0] || graph_bytes(view) != graph_bytes(under)) return false;
        if (mill_rows(&under->shape) != rows) return false;
        s = view->src[0];
    }
}

double graph_cost_ns(const mill_graph *g, mill_ref r)
{
    const mill_node *node = mill_get(g, r);
    double elems = (double)mill_elems(&node->shape), moved = elems;

    for (int i = 0; i < node->n_src; i++)
        moved += (double)mill_elems(mill_shape_of(g, node->src[i]));
    if ((node->op->flags & MILL_OP_PRODUCT) && node->n_src >= 2) {
        /* (n,k) (k,m) -> (n,m): the square root of the three sizes' product is n k m.  0.02 ns a
         * multiply-add. */
        const double a = (double)mill_elems(mill_shape_of(g, node->src[node->n_src - 2]));
        const double b = (double)mill_elems(mill_shape_of(g, node->src[node->n_src - 1]));
        return 50 + 0.25 * moved + 0.02 * sqrt(a * b * elems);
    }
    return 20 + (node->op->flags & MILL_OP_RANDOM ? 1.0 : 0.25) * moved;
}

mill_err home_readers_init(home_readers *out, const mill_graph *g, const bool *live)
{
    const size_t n = (size_t)g->n;
    size_t links = 0;
    home_readers h = {NULL, NULL};

    for (mill_ref r = 1; r < g->n; r++) links += (size_t)g->node[r]->n_src;
    h.first = mill_alloc(n + 2, sizeof *h.first);
    h.reader = mill_alloc(links + 1, sizeof *h.reader);
    if (!h.first || !h.reader) {
        home_readers_deinit(&h);
        return MILL_ENOMEM;
    }
    /* Count into first[home + 2], sum up, then fill through first[home + 1], which so becomes the
     * end. */
    for (int pass = 0; pass < 2; pass++) {
        for (int32_t k = 0; k < g->n_seq; k++) {
            const mill_ref r = g->seq[k];
            const mill_node *node = g->node[r];
            if (!live[r] || !node->op || (node->op->flags & MILL_OP_VIEW)) continue;
            for (int i = 0; i < node->n_src; i++) {
                const mill_ref home = graph_home(g, node->src[i]);
                if (pass == 0)
                    h.first[home + 2]++;
                else
                    h.reader[h.first[home + 1]++] = r;
            }
        }
        if (pass == 0)
            for (size_t i = 1; i < n + 2; i++) h.first[i] += h.first[i - 1];
    }
    *out = h;
    return MILL_OK;
}

void home_readers_deinit(home_readers *h)
{
    mill_free(h->first);
    mill_free(h->reader);
}
