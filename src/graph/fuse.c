/*
 * fuse.c - nodes into visits, visits into stages.
 *
 * A visit is a list of nodes that run tile by tile: the rows that one node has just written are
 * warm when the next reads them. A stage is a set of visits that need nothing of one another;
 * between stages all threads meet.
 *
 * Nodes are placed in their order, each in the EARLIEST stage that its dependencies allow: few
 * stages mean few meetings, and branches that do not depend on one another (real and fake rows, two
 * losses) share them.  A dependency is a source, a reader of the old value of memory that is
 * updated in place, or `after`.  If all of them that stand in that stage are linked to the node row
 * by row, it joins their visit; visits that it links become one.
 *
 *     rowwise link, same units and grain:    stage(node) >= stage(dep), in the same visit if equal
 *     any other dependency:                  stage(node) >= stage(dep) + 1
 *
 * A node that depends on leaves alone (noise, gathered rows) waits: its visit is placed with its
 * first reader, not in stage 0, so that its memory is not held from the beginning.
 *
 * A product reads its other operand in full for each tile.  Two products share a visit only while
 * those operands fit into the L2 cache together; past it, one pass over the rows per product is
 * cheaper.  Element-wise nodes always join: leaving a visit never makes their rows warmer.
 */
#include "graph/inner.h"
#include <stdlib.h>
#include <string.h>

enum { WAITS = -1, NO_VISIT = -1 };
static const int64_t FULL_OPERANDS_MAX =
    INT64_C(512) * 1024; /* bytes in one visit with several products */

typedef struct {
    int32_t stage; /* WAITS: not placed yet */
    int32_t into;  /* the visit that has swallowed this one, or itself */
    int32_t n_products;
    int64_t full_bytes; /* of what its products read in full */
    mill_split split;
    double cost_ns;
} visit;

typedef struct {
    const mill_graph *g;
    const bool *live;
    const mill_split *split;
    home_readers readers;
    visit *v;
    int32_t n_visits, n_stages;
    int32_t *visit_of; /* by ref */
    struct dep {
        int32_t visit;
        bool row;
    } * dep; /* of the node that is being placed */
    int32_t n_deps;
} fuser;

static bool same_split(const mill_split *a, const mill_split *b)
{
    return a->by_rows && b->by_rows && a->units == b->units && a->grain == b->grain;
}

static bool runs(const mill_node *node)
{
    return node->op && !(node->op->flags & MILL_OP_VIEW);
}

static int32_t top(fuser *f, int32_t v)
{
    while (f->v[v].into != v) v = f->v[v].into = f->v[f->v[v].into].into;
    return v;
}

static void add_dep(fuser *f, mill_ref on, bool row)
{
    if (f->visit_of[on] != NO_VISIT)
        f->dep[f->n_deps++] = (struct dep){top(f, f->visit_of[on]), row};
}

/* Who must be done with the memory that r writes: every earlier reader of it. */
static void add_write_deps(fuser *f, mill_ref r, int i)
{
    const mill_graph *g = f->g;
    const mill_ref home = graph_home(g, g->node[r]->src[i]);
    const bool by_row = graph_reads_rows(g, f->split, r, i);
    const size_t bytes = graph_bytes(g->node[g->node[r]->src[i]]);

    for (int32_t k = f->readers.first[home]; k < f->readers.first[home + 1]; k++) {
        const mill_ref u = f->readers.reader[k];
        if (g->pos[u] >= g->pos[r]) break;
        bool row = by_row && same_split(&f->split[u], &f->split[r]);
        for (int j = 0; j < g->node[u]->n_src && row; j++)
            if (graph_home(g, g->node[u]->src[j]) == home)
                row = graph_reads_rows(g, f->split, u, j) &&
                      graph_bytes(g->node[g->node[u]->src[j]]) == bytes;
        add_dep(f, u, row);
    }
}

static void find_deps(fuser *f, mill_ref r)
{
    const mill_graph *g = f->g;
    const mill_node *node = g->node[r];

    f->n_deps = 0;
    for (int i = 0; i < node->n_src; i++) {
        const mill_ref base = graph_base(g, node->src[i]);
        add_dep(f, base,
                graph_reads_rows(g, f->split, r, i) && same_split(&f->split[base], &f->split[r]));
        if (graph_writes(node, i)) add_write_deps(f, r, i);
    }
    if (node->after) add_dep(f, graph_base(g, node->after), false);
}

static int32_t new_visit(fuser *f, int32_t stage, const mill_split *split)
{
    const int32_t v = f->n_visits++;
    f->v[v] = (visit){.stage = stage, .into = v, .split = *split};
    if (stage >= f->n_stages) f->n_stages = stage + 1;
    return v;
}

static bool fits(const visit *a, const visit *b)
{
    if (!a->n_products || !b->n_products) return true;
    return a->full_bytes + b->full_bytes <= FULL_OPERANDS_MAX;
}

static void swallow(fuser *f, int32_t into, int32_t v)
{
    visit *a = &f->v[into];
    const visit *b = &f->v[v];
    if (into == v) return;
    a->n_products += b->n_products;
    a->full_bytes += b->full_bytes;
    a->cost_ns += b->cost_ns;
    if (a->stage == WAITS) a->stage = b->stage;
    f->v[v].into = into;
}

/* What r alone would be as a visit. */
static visit visit_of_one(const fuser *f, mill_ref r)
{
    const mill_node *node = f->g->node[r];
    visit one = {.split = f->split[r], .cost_ns = graph_cost_ns(f->g, r)};

    if (!(node->op->flags & MILL_OP_PRODUCT)) return one;
    one.n_products = 1;
    for (int i = 0; i < node->n_src; i++)
        if (!graph_reads_rows(f->g, f->split, r, i))
            one.full_bytes += (int64_t)graph_bytes(mill_get(f->g, node->src[i]));
    return one;
}

static void join(fuser *f, mill_ref r, int32_t v)
{
    const visit one = visit_of_one(f, r);
    f->v[v].n_products += one.n_products;
    f->v[v].full_bytes += one.full_bytes;
    f->v[v].cost_ns += one.cost_ns;
    f->visit_of[r] = v;
}

/* A node that may wait for its first reader: cheap, and made from leaves and waiting rows alone. */
static bool may_wait(const fuser *f, mill_ref r)
{
    const mill_node *node = f->g->node[r];
    if (node->after || (node->op->flags & MILL_OP_PRODUCT)) return false;
    for (int i = 0; i < node->n_src; i++)
        if (graph_writes(node, i)) return false;
    for (int32_t d = 0; d < f->n_deps; d++)
        if (!f->dep[d].row || f->v[f->dep[d].visit].stage != WAITS) return false;
    return true;
}

static int32_t earliest_stage(const fuser *f)
{
    int32_t e = 0;
    for (int32_t d = 0; d < f->n_deps; d++) {
        const int32_t s = f->v[f->dep[d].visit].stage;
        const int32_t least = s == WAITS ? !f->dep[d].row : s + !f->dep[d].row;
        if (least > e) e = least;
    }
    return e;
}

/* A visit of stage e that reads a source of r, row by row too: the rows are then read once. */
static int32_t find_sharer(fuser *f, mill_ref r, int32_t e)
{
    const mill_graph *g = f->g;
    const mill_node *node = g->node[r];
    const visit one = visit_of_one(f, r);

    for (int i = 0; i < node->n_src; i++) {
        if (!graph_reads_rows(g, f->split, r, i)) continue;
        const mill_ref home = graph_home(g, node->src[i]);
        for (int32_t k = f->readers.first[home]; k < f->readers.first[home + 1]; k++) {
            const mill_ref u = f->readers.reader[k];
            if (g->pos[u] >= g->pos[r]) break;
            if (f->visit_of[u] == NO_VISIT || !same_split(&f->split[u], &f->split[r])) continue;
            const int32_t v = top(f, f->visit_of[u]);
            if (f->v[v].stage == e && fits(&f->v[v], &one)) return v;
        }
    }
    return NO_VISIT;
}

/* All visits that r is linked to in stage e, or that wait, as one; NO_VISIT if there are none or
 * they are too much together. */
static int32_t merge_hosts(fuser *f, mill_ref r, int32_t e)
{
    visit sum = visit_of_one(f, r);
    int32_t host = NO_VISIT;

    for (int32_t d = 0; d < f->n_deps; d++) {
        const int32_t v = f->dep[d].visit;
        bool counted = f->v[v].stage != e && f->v[v].stage != WAITS;
        for (int32_t c = 0; c < d && !counted; c++) counted = f->dep[c].visit == v;
        if (counted) continue;
        if (!fits(&sum, &f->v[v])) return NO_VISIT;
        sum.n_products += f->v[v].n_products;
        sum.full_bytes += f->v[v].full_bytes;
    }
    for (int32_t d = 0; d < f->n_deps; d++) {
        const int32_t v = top(f, f->dep[d].visit);
        if (f->v[v].stage != e && f->v[v].stage != WAITS) continue;
        if (host == NO_VISIT)
            host = v;
        else
            swallow(f, host, v);
    }
    if (host != NO_VISIT) f->v[host].stage = e;
    return host;
}

static bool linked_at(const fuser *f, int32_t e)
{
    for (int32_t d = 0; d < f->n_deps; d++)
        if (f->v[f->dep[d].visit].stage == e || f->v[f->dep[d].visit].stage == WAITS) return true;
    return false;
}

static void place(fuser *f, mill_ref r)
{
    find_deps(f, r);
    if (may_wait(f, r)) {
        int32_t v = merge_hosts(f, r, WAITS);
        if (v == NO_VISIT) v = new_visit(f, WAITS, &f->split[r]);
        join(f, r, v);
        return;
    }
    int32_t e = earliest_stage(f);
    for (int32_t d = 0; d < f->n_deps; d++) /* what waits and must be complete goes right before */
        if (!f->dep[d].row && f->v[f->dep[d].visit].stage == WAITS)
            f->v[f->dep[d].visit].stage = e - 1;

    int32_t v = NO_VISIT;
    if (linked_at(f, e) && (v = merge_hosts(f, r, e)) == NO_VISIT) {
        for (int32_t d = 0; d < f->n_deps; d++)
            if (f->v[f->dep[d].visit].stage == WAITS) f->v[f->dep[d].visit].stage = e;
        e++;
    }
    if (v == NO_VISIT) v = find_sharer(f, r, e);
    if (v == NO_VISIT) v = new_visit(f, e, &f->split[r]);
    if (e >= f->n_stages) f->n_stages = e + 1;
    join(f, r, v);
}

/* ---- from placed nodes to the plan ---- */

typedef struct {
    int32_t v, stage, pos;
    double cost_ns;
    mill_ref r;
} placed;

static int by_stage(const void *a, const void *b)
{
    const placed *x = a, *y = b;
    if (x->stage != y->stage) return x->stage < y->stage ? -1 : 1;
    if (x->cost_ns != y->cost_ns) return x->cost_ns > y->cost_ns ? -1 : 1;
    if (x->v != y->v) return x->v < y->v ? -1 : 1;
    return x->pos < y->pos ? -1 : x->pos > y->pos;
}

static void emit_visit(mill_plan *p, const placed *at, const mill_split *split)
{
    plan_visit *visits = &p->visit[p->n_visits++];
    const int64_t tiles = (split->units + split->grain - 1) / split->grain;

    if (p->n_stages == 0 || at->stage != at[-1].stage)
        p->stage[p->n_stages++] = (plan_stage){p->n_visits - 1, 0, 0};
    plan_stage *stage = &p->stage[p->n_stages - 1];
    *visits = (plan_visit){p->n_order, 0, *split, stage->n_chunks, at->cost_ns};
    stage->n_visits++;
    stage->n_chunks += tiles;
    p->n_chunks += tiles;
}

static mill_err emit(mill_plan *p, fuser *f)
{
    const mill_graph *g = f->g;
    placed *list = mill_alloc((size_t)g->n, sizeof *list);
    int32_t n = 0;

    if (!list) return MILL_ENOMEM;
    for (mill_ref r = 1; r < g->n; r++) {
        if (f->visit_of[r] == NO_VISIT) continue;
        const int32_t v = top(f, f->visit_of[r]);
        const int32_t stage = f->v[v].stage == WAITS ? 0 : f->v[v].stage;
        list[n++] = (placed){v, stage, g->pos[r], f->v[v].cost_ns, r};
    }
    qsort(list, (size_t)n, sizeof *list, by_stage);
    for (int32_t k = 0; k < n; k++) {
        if (k == 0 || list[k].v != list[k - 1].v) emit_visit(p, &list[k], &f->split[list[k].r]);
        p->stage_of[list[k].r] = p->n_stages - 1;
        p->order[p->n_order++] = list[k].r;
        p->visit[p->n_visits - 1].n++;
    }
    mill_free(list);
    return MILL_OK;
}

static void place_all(fuser *f, bool fuse)
{
    const mill_graph *g = f->g;
    for (int32_t k = 0; k < g->n_seq; k++) {
        const mill_ref r = g->seq[k];
        if (!f->live[r] || !runs(g->node[r])) continue;
        if (fuse)
            place(f, r);
        else
            join(f, r, new_visit(f, f->n_stages, &f->split[r]));
    }
}

mill_err plan_fuse(mill_plan *p, const mill_graph *g, const bool *live, const mill_split *split,
                   bool fuse)
{
    fuser f = {.g = g, .live = live, .split = split};
    size_t links = 2;
    mill_err err = MILL_ENOMEM;

    for (mill_ref r = 1; r < g->n; r++) links += (size_t)g->node[r]->n_src;
    f.v = mill_alloc((size_t)g->n, sizeof *f.v);
    f.visit_of = mill_alloc((size_t)g->n, sizeof *f.visit_of);
    f.dep = mill_alloc(links * MILL_MAX_SRC + MILL_MAX_SRC, sizeof *f.dep);
    if (!f.v || !f.visit_of || !f.dep) goto done;
    if ((err = home_readers_init(&f.readers, g, live))) goto done;
    for (mill_ref r = 0; r < g->n; r++) f.visit_of[r] = NO_VISIT;
    place_all(&f, fuse);
    err = emit(p, &f);
done:
    home_readers_deinit(&f.readers);
    mill_free(f.v);
    mill_free(f.visit_of);
    mill_free(f.dep);
    return err;
}
