/*
 * plan.c - a plan from a graph: what runs, in which order, in which memory.
 *
 * Dead code is left out (prune.c says what is alive); fuse.c makes visits and stages, reuse.c deals
 * the memory.  Nothing here depends on the number of threads or on the machine: the same graph has
 * the same plan everywhere.
 */
#include "graph/inner.h"

enum { ALIGN = 64 };

static mill_err alloc_plan(mill_plan *p, const mill_graph *g)
{
    const size_t n = (size_t)g->n;

    p->n_nodes = g->n;
    p->order = mill_alloc(n, sizeof *p->order);
    p->visit = mill_alloc(n, sizeof *p->visit);
    p->stage = mill_alloc(n, sizeof *p->stage);
    p->offset = mill_alloc(n, sizeof *p->offset);
    p->stage_of = mill_alloc(n, sizeof *p->stage_of);
    p->last_of = mill_alloc(n, sizeof *p->last_of);
    p->root = mill_alloc(n, sizeof *p->root);
    if (!p->order || !p->visit || !p->stage || !p->offset || !p->stage_of || !p->last_of ||
        !p->root)
        return MILL_ENOMEM;
    for (mill_ref r = 0; r < g->n; r++) p->stage_of[r] = -1;
    return MILL_OK;
}

static void find_scratch(mill_plan *p, const mill_graph *g)
{
    for (int32_t k = 0; k < p->n_order; k++) {
        const mill_node *node = g->node[p->order[k]];
        const size_t bytes = node->op->scratch ? node->op->scratch(g, node) : 0;
        if (bytes > p->scratch_bytes) p->scratch_bytes = bytes;
    }
    p->scratch_bytes = (p->scratch_bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static mill_err check_splits(const mill_graph *g, const bool *live, const mill_split *split)
{
    for (mill_ref r = 1; r < g->n; r++)
        if (live[r] && (split[r].units < 1 || split[r].grain < 1))
            return mill_fail(MILL_ESHAPE, "plan: operation '%s' splits into %lld units of %lld",
                             g->node[r]->op ? g->node[r]->op->name : "leaf",
                             (long long)split[r].units, (long long)split[r].grain);
    return MILL_OK;
}

mill_err mill_plan_new(mill_plan **out, const mill_graph *g, unsigned flags)
{
    TRY(mill_graph_error(g));
    mill_plan *p = mill_alloc(1, sizeof *p);
    bool *live = mill_alloc((size_t)g->n, sizeof *live);
    mill_split *split = mill_alloc((size_t)g->n, sizeof *split);
    mill_err err = MILL_ENOMEM;

    if (!p || !live || !split || (err = alloc_plan(p, g))) goto done;
    graph_live(g, live);
    for (mill_ref r = 1; r < g->n; r++)
        if (live[r]) split[r] = graph_split(g, r);
    if ((err = check_splits(g, live, split))) goto done;
    if ((err = plan_fuse(p, g, live, split, !(flags & PLAN_NO_FUSE)))) goto done;
    if ((err = plan_reuse(p, g, live, split, !(flags & PLAN_NO_REUSE)))) goto done;
    find_scratch(p, g);
done:
    mill_free(live);
    mill_free(split);
    if (err)
        mill_plan_free(p);
    else
        *out = p;
    return err;
}

void mill_plan_free(mill_plan *p)
{
    if (!p) return;
    mill_free(p->order);
    mill_free(p->visit);
    mill_free(p->stage);
    mill_free(p->offset);
    mill_free(p->stage_of);
    mill_free(p->last_of);
    mill_free(p->root);
    mill_free(p);
}

size_t mill_plan_bytes(const mill_plan *p, int threads)
{
    const size_t per_thread = p->scratch_bytes + (size_t)p->n_order * sizeof(mill_call);
    return p->arena_bytes + p->state_bytes + (size_t)threads * per_thread +
           (size_t)p->n_order * sizeof(mill_kernel) + (size_t)p->n_chunks * sizeof(plan_chunk);
}
