/*
 * prune.c - what nobody needs.
 *
 * Needed are outputs, updates of states, and all that they are made from.  States and inputs stay
 * whether or not they are read: a checkpoint holds the first, the caller writes the second.
 */
#include "graph/inner.h"

void graph_live(const mill_graph *g, bool *live)
{
    for (mill_ref r = 0; r < g->n; r++) live[r] = false;
    for (int i = 0; i < g->n_outputs; i++) live[g->output[i].ref] = true;

    for (int32_t k = g->n_seq; k-- > 0;) {
        const mill_ref r = g->seq[k];
        const mill_node *node = g->node[r];
        if (node->kind == MILL_STATE || node->kind == MILL_INPUT) live[r] = true;
        for (int i = 0; i < node->n_src && !live[r]; i++)
            live[r] = graph_writes(node, i) &&
                      mill_get(g, graph_home(g, node->src[i]))->kind == MILL_STATE;
        if (!live[r]) continue;
        for (int i = 0; i < node->n_src; i++) live[node->src[i]] = true;
    }
}

mill_err mill_pass_prune(mill_graph *g)
{
    TRY(mill_graph_error(g));
    bool *live = mill_alloc((size_t)g->n, sizeof *live);
    if (!live) return MILL_ENOMEM;

    graph_live(g, live);
    int32_t kept = 0;
    for (int32_t k = 0; k < g->n_seq; k++) {
        const mill_ref r = g->seq[k];
        g->pos[r] = live[r] ? kept : -1;
        if (live[r]) g->seq[kept++] = r;
    }
    g->n_seq = kept;
    mill_free(live);
    return MILL_OK;
}
