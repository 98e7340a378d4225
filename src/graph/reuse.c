/*
 * reuse.c - where every tensor lies.
 *
 * A ROOT is a node with memory of its own; views, updates in place, and nodes that take over the
 * memory of a source lie in the root of that source.  A root lives from the stage that makes it to
 * the last stage that reads it; inputs live always, outputs to the end.  Within a stage nothing is
 * reused, for its visits run at the same time; but a node may take over (alias) memory whose other
 * readers are all in earlier stages, or before it in its own visit and rowwise: then tile by tile
 * nobody needs the old rows.
 *
 * Roots are placed largest first, each into the smallest gap among those alive at the same time
 * (best fit).  Offsets are multiples of 64.  States and constants lie in an arena of their own, one
 * after the other.
 */
#include "graph/inner.h"
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, BEFORE_ALL = -1 };

typedef struct {
    int64_t offset, size;
    int32_t first, last; /* stages, both included */
    mill_ref root;
} span;

typedef struct {
    mill_plan *p;
    const mill_graph *g;
    const mill_split *split;
    home_readers readers;
    int32_t *visit_of; /* by ref; -1 for what does not run */
    int32_t *at;       /* by ref: place in p->order */
    mill_ref *newest;  /* by root: the value that lies there now */
    int64_t *rel;      /* by ref: bytes from the start of its root */
    bool *kept;        /* by ref: the base of an output */
} reuser;

static int64_t align_up(int64_t n)
{
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

/* Nobody but v needs b's rows when v overwrites them, tile by tile. */
static bool dies_at(const reuser *u, mill_ref b, mill_ref v)
{
    const mill_graph *g = u->g;
    const mill_plan *p = u->p;
    const mill_ref home = graph_home(g, b);

    for (int32_t k = u->readers.first[home]; k < u->readers.first[home + 1]; k++) {
        const mill_ref r = u->readers.reader[k];
        const mill_node *reader = g->node[r];
        for (int i = 0; i < reader->n_src; i++) {
            if (graph_base(g, reader->src[i]) != b) continue;
            if (r != v && p->stage_of[r] < p->stage_of[v]) continue;
            const bool before = r == v || (u->visit_of[r] == u->visit_of[v] && u->at[r] < u->at[v]);
            if (!before || !graph_reads_rows(g, u->split, r, i)) return false;
        }
    }
    return true;
}

/* Which source's memory v may take over; -1 for none. */
static int find_alias(const reuser *u, mill_ref v)
{
    const mill_graph *g = u->g;
    const mill_node *node = g->node[v];

    for (int i = 0; i < node->n_src; i++) {
        if (!(node->op->alias & ALIAS_SRC(i)) || !graph_reads_rows(g, u->split, v, i)) continue;
        const mill_ref b = graph_base(g, node->src[i]), root = u->p->root[b];
        if (g->node[root]->kind != MILL_OPERATION || u->kept[b] || u->newest[root] != b) continue;
        if (u->rel[b] || graph_bytes(g->node[root]) != graph_bytes(node)) continue;
        if (graph_bytes(g->node[b]) == graph_bytes(node) && dies_at(u, b, v)) return i;
    }
    return -1;
}

static void find_roots(reuser *u, const bool *live, bool reuse)
{
    const mill_graph *g = u->g;
    mill_plan *p = u->p;

    for (int32_t k = 0; k < g->n_seq; k++) {
        const mill_ref r = g->seq[k];
        const mill_node *node = g->node[r];
        if (!live[r]) continue;
        p->root[r] = r;
        if (node->op && (node->op->flags & (MILL_OP_VIEW | MILL_OP_INPLACE))) {
            p->root[r] = p->root[node->src[0]];
            u->rel[r] = u->rel[node->src[0]];
            if (node->op->flags & MILL_OP_VIEW) {
                u->rel[r] += node->attr.i[0];
                continue;
            }
        } else if (node->op && reuse) {
            const int i = find_alias(u, r);
            if (i >= 0) p->root[r] = p->root[node->src[i]];
        }
        u->newest[p->root[r]] = r;
    }
}

static void touch(const mill_plan *p, int32_t *first, mill_ref root, int32_t stage)
{
    if (stage < first[root]) first[root] = stage;
    if (stage > p->last_of[root]) p->last_of[root] = stage;
}

/* first, last_of: by root, the stages between which it must stay as it is. */
static void find_lifetimes(const reuser *u, int32_t *first, bool reuse)
{
    const mill_graph *g = u->g;
    mill_plan *p = u->p;

    for (mill_ref r = 0; r < g->n; r++) {
        first[r] = p->n_stages;
        p->last_of[r] = -1;
    }
    for (int32_t k = 0; k < p->n_order; k++) {
        const mill_ref r = p->order[k];
        const mill_node *node = g->node[r];
        touch(p, first, p->root[r], p->stage_of[r]);
        for (int i = 0; i < node->n_src; i++)
            touch(p, first, p->root[node->src[i]], p->stage_of[r]);
    }
    for (mill_ref r = 1; r < g->n; r++) {
        if (!p->root[r]) continue;
        if (!reuse || g->node[r]->kind != MILL_OPERATION) first[p->root[r]] = BEFORE_ALL;
        if (!reuse || g->node[r]->kind != MILL_OPERATION || u->kept[r])
            p->last_of[p->root[r]] = p->n_stages;
    }
}

static int by_size(const void *a, const void *b)
{
    const span *x = a, *y = b;
    if (x->size != y->size) return x->size > y->size ? -1 : 1;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x->root < y->root ? -1 : x->root > y->root;
}

/* The start of the smallest gap for s between the spans that live with it; placed: sorted by
 * offset. */
static int64_t best_gap(const span *s, const span *placed, int32_t n)
{
    int64_t best = -1, best_gap_size = INT64_MAX, end = 0;

    for (int32_t k = 0; k < n; k++) {
        const span *q = &placed[k];
        if (q->last < s->first || q->first > s->last) continue;
        const int64_t gap = q->offset - end;
        if (gap >= s->size && gap < best_gap_size) {
            best = end;
            best_gap_size = gap;
        }
        if (q->offset + q->size > end) end = q->offset + q->size;
    }
    return best >= 0 ? best : end;
}

static void place_spans(mill_plan *p, span *todo, span *placed, int32_t n)
{
    int64_t top = 0;

    qsort(todo, (size_t)n, sizeof *todo, by_size);
    for (int32_t k = 0; k < n; k++) {
        span s = todo[k];
        s.offset = best_gap(&s, placed, k);
        p->offset[s.root] = s.offset;
        if (s.offset + s.size > top) top = s.offset + s.size;
        int32_t to = k;
        for (; to > 0 && placed[to - 1].offset > s.offset; to--) placed[to] = placed[to - 1];
        placed[to] = s;
    }
    p->arena_bytes = (size_t)top;
}

static mill_err place(const reuser *u, bool reuse)
{
    const mill_graph *g = u->g;
    mill_plan *p = u->p;
    const size_t n = (size_t)g->n;
    int32_t *first = mill_alloc(n, sizeof *first), n_spans = 0;
    span *spans = mill_alloc(2 * n, sizeof *spans);
    mill_err err = MILL_ENOMEM;

    if (!first || !spans) goto done;
    find_lifetimes(u, first, reuse);
    for (mill_ref r = 1; r < g->n; r++) {
        if (p->root[r] != r) continue;
        const int64_t size = align_up((int64_t)graph_bytes(g->node[r]));
        if (g->node[r]->kind == MILL_STATE || g->node[r]->kind == MILL_CONST) {
            p->offset[r] = (int64_t)p->state_bytes;
            p->state_bytes += (size_t)size;
        } else {
            spans[n_spans++] = (span){0, size, first[r], p->last_of[r], r};
        }
    }
    place_spans(p, spans, spans + n, n_spans);
    for (mill_ref r = 1; r < g->n; r++) /* a root keeps its own, rel = 0 */
        p->offset[r] = p->root[r] ? p->offset[p->root[r]] + (p->root[r] == r ? 0 : u->rel[r]) : -1;
    err = MILL_OK;
done:
    mill_free(first);
    mill_free(spans);
    return err;
}

static void index_order(reuser *u)
{
    const mill_plan *p = u->p;
    for (mill_ref r = 0; r < u->g->n; r++) u->visit_of[r] = u->at[r] = -1;
    for (int32_t v = 0; v < p->n_visits; v++)
        for (int32_t k = p->visit[v].first; k < p->visit[v].first + p->visit[v].n; k++) {
            u->visit_of[p->order[k]] = v;
            u->at[p->order[k]] = k;
        }
    for (int i = 0; i < u->g->n_outputs; i++) u->kept[graph_base(u->g, u->g->output[i].ref)] = true;
}

mill_err plan_reuse(mill_plan *p, const mill_graph *g, const bool *live, const mill_split *split,
                    bool reuse)
{
    const size_t n = (size_t)g->n;
    reuser u = {.p = p, .g = g, .split = split};
    mill_err err = MILL_ENOMEM;

    u.visit_of = mill_alloc(n, sizeof *u.visit_of);
    u.at = mill_alloc(n, sizeof *u.at);
    u.newest = mill_alloc(n, sizeof *u.newest);
    u.rel = mill_alloc(n, sizeof *u.rel);
    u.kept = mill_alloc(n, sizeof *u.kept);
    if (!u.visit_of || !u.at || !u.newest || !u.rel || !u.kept) goto done;
    if ((err = home_readers_init(&u.readers, g, live))) goto done;
    index_order(&u);
    find_roots(&u, live, reuse);
    err = place(&u, reuse);
done:
    home_readers_deinit(&u.readers);
    mill_free(u.visit_of);
    mill_free(u.at);
    mill_free(u.newest);
    mill_free(u.rel);
    mill_free(u.kept);
    return err;
}
