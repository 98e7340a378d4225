/*
 * cast.c - mixed precision: products round their operands to bfloat16 and add up in f32.
 *
 * What is stored, and every other operation, stays as it was; a back end without such products may
 * round and multiply in f32.  An operand that a product would round many times over is rounded
 * once, by a node that its descriptor's `cast` adds; products of the same operand share it.  It
 * goes right before the first of them, so before any update in place that they come before.
 */
#include "graph/inner.h"
#include <string.h>

typedef struct {
    mill_graph *g;
    mill_ref *before; /* by ref of a product: the node that goes right before it, or 0 */
    mill_ref *added;
    int32_t n_added;
} caster;

static bool same_attr(const mill_attr *a, const mill_attr *b)
{
    bool same = a->p == b->p;

    for (int k = 0; k < MILL_MAX_ATTR; k++) same &= a->i[k] == b->i[k] && a->f[k] == b->f[k];
    return same;
}

static bool same_node(const mill_node *a, const mill_node *b)
{
    return a->op == b->op && a->src[0] == b->src[0] && same_attr(&a->attr, &b->attr);
}

/* One that was added before, like the newest; or the newest. */
static mill_ref shared(const caster *c, mill_ref newest)
{
    for (int32_t i = 0; i < c->n_added; i++)
        if (same_node(c->g->node[c->added[i]], c->g->node[newest])) return c->added[i];
    return newest;
}

static mill_err cast_node(caster *c, mill_ref r)
{
    mill_graph *g = c->g;
    mill_node *node = g->node[r];

    node->bf16 = true;
    if (!node->op->cast) return MILL_OK;
    const mill_cast cast = node->op->cast(g, node);
    TRY(mill_graph_error(g));
    if (!cast.with) return MILL_OK;
    const mill_ref with = shared(c, cast.with);
    if (with == cast.with) {
        g->node[with]->backward = node->backward;
        c->before[r] = c->added[c->n_added++] = with;
    }
    node->attr = cast.attr;
    node->src[cast.source] = with;
    return MILL_OK;
}

/* The order of before, with what was added in its places; doubles are left out. */
static void reorder(const caster *c, int32_t n_seq)
{
    mill_graph *g = c->g;
    int32_t to = n_seq + c->n_added;

    for (int32_t k = n_seq; k < g->n_seq; k++) g->pos[g->seq[k]] = -1;
    g->n_seq = to;
    for (int32_t k = n_seq; k-- > 0;) {
        const mill_ref r = g->seq[k], add = c->before[r];
        g->seq[--to] = r;
        g->pos[r] = to;
        if (!add) continue;
        g->seq[--to] = add;
        g->pos[add] = to;
    }
}

mill_err mill_pass_cast(mill_graph *g)
{
    TRY(mill_graph_error(g));
    const size_t n = (size_t)g->n;
    const int32_t n_seq = g->n_seq;
    caster c = {.g = g, .before = mill_alloc(n, sizeof *c.before)};
    mill_err err = MILL_ENOMEM;

    c.added = mill_alloc(n, sizeof *c.added);
    if (c.before && c.added) err = MILL_OK;
    for (int32_t k = 0; k < n_seq && !err; k++) {
        const mill_node *node = g->node[g->seq[k]];
        if (node->op && (node->op->flags & MILL_OP_PRODUCT)) err = cast_node(&c, g->seq[k]);
    }
    if (!err) reorder(&c, n_seq);
    mill_free(c.before);
    mill_free(c.added);
    return err;
}
