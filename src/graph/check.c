/*
 * check.c - proves that a plan is right, without asking those who made it.
 *
 * From the order of execution alone (stages one after the other, visits of a stage at the same
 * time, nodes of a visit one after the other tile by tile) it shows that
 *
 *  1. every needed node runs once, in a visit with its own split, and its shape is what its
 * operation says;
 *  2. what a node reads is complete, or warm: made earlier in the same visit and read row by row;
 *  3. a view lies in its source, an update in place on its source, everything inside its arena;
 *  4. no write hits a value that is still needed.  For a write w and a value x whose bytes overlap,
 *     either
 *      - x is made after w: in a later stage, or later in the same visit over the same rows; or
 *      - all of x's readers come before w: in an earlier stage, or not after it in the same visit,
 *        row by row over the same rows; and x is no input, constant or output, and if it is a
 *        state, w is a declared update.  So an old ref of a state that is read after its update is
 *        found here, and named.
 *
 * Pairs are compared all with all; a graph of 5,000 nodes takes some 50 ms.
 */
#include "graph/inner.h"
#include <stdio.h>

typedef struct {
    mill_ref r;
    int src;
} link;

typedef struct {
    int64_t from, to;
    bool states;
} bytes_of;

typedef struct {
    const mill_plan *p;
    const mill_graph *g;
    int32_t *stage, *visit, *at; /* by ref; -1: does not run */
    int32_t *first;              /* readers of value x: reader[first[x] .. first[x + 1]) */
    link *reader;
    bool *kept; /* by ref: an output shows this value */
    bytes_of *range;
} checker;

static const char *node_text(char buf[96], const checker *c, mill_ref r)
{
    const mill_node *node = mill_get(c->g, r);
    static const char *const leaf[] = {"input", "state", "constant", "?"};
    if (node->op)
        snprintf(buf, 96, "'%s' (node %d)", node->op->name, r);
    else
        snprintf(buf, 96, "%s \"%s\"", leaf[node->kind], node->name ? node->name : "");
    return buf;
}

static mill_err broken(const checker *c, mill_ref r, const char *what)
{
    char text[96];
    return mill_fail(MILL_ESHAPE, "plan check: %s %s", node_text(text, c, r), what);
}

static bool is_view(const mill_node *node)
{
    return node->op && (node->op->flags & MILL_OP_VIEW);
}

/* ---- 1. order ---- */

static mill_err index_visit(checker *c, int32_t stage, int32_t v)
{
    const mill_plan *p = c->p;
    const plan_visit *visit = &p->visit[v];

    if (visit->first < 0 || visit->n < 1 || visit->first + visit->n > p->n_order)
        return mill_fail(MILL_ESHAPE, "plan check: visit %d lies outside the order", v);
    for (int32_t k = visit->first; k < visit->first + visit->n; k++) {
        const mill_ref r = p->order[k];
        const mill_split split = graph_split(c->g, r);
        if (!mill_get(c->g, r)->op || is_view(mill_get(c->g, r)))
            return broken(c, r, "does not run, but is in the order");
        if (c->at[r] >= 0) return broken(c, r, "runs twice");
        if (split.units != visit->split.units || split.grain != visit->split.grain)
            return broken(c, r, "is in a visit of another split");
        if (p->stage_of[r] != stage) return broken(c, r, "is said to be in another stage");
        c->at[r] = k;
        c->visit[r] = v;
        c->stage[r] = stage;
    }
    return MILL_OK;
}

static mill_err index_order(checker *c)
{
    const mill_plan *p = c->p;
    int32_t v = 0, n = 0;

    for (mill_ref r = 0; r < c->g->n; r++) c->stage[r] = c->visit[r] = c->at[r] = -1;
    for (int32_t s = 0; s < p->n_stages; s++) {
        const plan_stage *stage = &p->stage[s];
        int64_t chunks = 0;
        if (stage->first_visit != v)
            return mill_fail(MILL_ESHAPE, "plan check: stage %d leaves visits out", s);
        for (; v < stage->first_visit + stage->n_visits && v < p->n_visits; v++) {
            const mill_split *split = &p->visit[v].split;
            TRY(index_visit(c, s, v));
            n += p->visit[v].n;
            chunks += (split->units + split->grain - 1) / split->grain;
        }
        if (chunks != stage->n_chunks)
            return mill_fail(MILL_ESHAPE, "plan check: stage %d miscounts its chunks", s);
    }
    if (v != p->n_visits || n != p->n_order)
        return mill_fail(MILL_ESHAPE, "plan check: stages and visits do not cover the order");
    return MILL_OK;
}

static mill_err check_shape(const checker *c, mill_ref r)
{
    const mill_node *node = mill_get(c->g, r);
    mill_shape shape = {0};
    mill_dtype dtype = node->n_src ? mill_get(c->g, node->src[0])->dtype : MILL_T_REAL;

    TRY((node->op->shape ? node->op->shape : shape_like_src0)(&shape, &dtype, c->g, node));
    if (!mill_shape_equal(&shape, &node->shape) || dtype != node->dtype)
        return broken(c, r, "has another shape or type than its operation says");
    return MILL_OK;
}

/* ---- 2. readiness ---- */

/* Unit u of reader r needs unit u of value b = base(source i), and no other. */
static bool row_by_row(const checker *c, mill_ref r, int i)
{
    const mill_node *node = mill_get(c->g, r);
    const mill_split split = graph_split(c->g, r);
    mill_ref s = node->src[i];

    if (!split.by_rows || !(node->op->rowwise & ROW_SRC(i))) return false;
    for (;; s = mill_get(c->g, s)->src[0]) {
        const mill_node *x = mill_get(c->g, s);
        if (mill_rows(&x->shape) != split.units) return false;
        if (!is_view(x)) return true;
        if (x->attr.i[0] || graph_bytes(x) != graph_bytes(mill_get(c->g, x->src[0]))) return false;
    }
}

static mill_err check_source(const checker *c, mill_ref r, int i)
{
    const mill_ref b = graph_base(c->g, mill_get(c->g, r)->src[i]);
    char what[160], text[96];

    if (!mill_get(c->g, b)->op) return MILL_OK;
    if (c->at[b] >= 0) {
        if (c->stage[b] < c->stage[r]) return MILL_OK;
        if (c->visit[b] == c->visit[r] && c->at[b] < c->at[r] && row_by_row(c, r, i) &&
            graph_split(c->g, b).by_rows)
            return MILL_OK;
    }
    snprintf(what, sizeof what, "reads %s before it is ready", node_text(text, c, b));
    return broken(c, r, what);
}

static mill_err check_node(const checker *c, mill_ref r)
{
    const mill_node *node = mill_get(c->g, r);

    TRY(check_shape(c, r));
    for (int i = 0; i < node->n_src; i++) TRY(check_source(c, r, i));
    if (node->after) {
        const mill_ref b = graph_base(c->g, node->after);
        if (c->at[b] >= 0 && c->stage[b] >= c->stage[r]) return broken(c, r, "runs too early");
    }
    return MILL_OK;
}

/* ---- 3. where things lie ---- */

static bool in_states(const checker *c, mill_ref r)
{
    const mill_kind kind = mill_get(c->g, graph_home(c->g, r))->kind;
    return kind == MILL_STATE || kind == MILL_CONST;
}

static mill_err check_place(const checker *c, mill_ref r)
{
    const mill_plan *p = c->p;
    const mill_node *node = mill_get(c->g, r);
    const size_t top = in_states(c, r) ? p->state_bytes : p->arena_bytes;

    if (!p->root[r] || p->offset[r] < 0 || (size_t)p->offset[r] + graph_bytes(node) > top)
        return broken(c, r, "does not lie in its arena");
    const mill_kind root = mill_get(c->g, p->root[r])->kind;
    if ((root == MILL_STATE || root == MILL_CONST) != in_states(c, r))
        return broken(c, r, "lies in the wrong arena");
    if (p->root[r] == r && p->offset[r] % 64) return broken(c, r, "is not aligned to 64 bytes");
    if (!node->op || !(node->op->flags & (MILL_OP_VIEW | MILL_OP_INPLACE))) return MILL_OK;
    const int64_t want = p->offset[node->src[0]] + (is_view(node) ? node->attr.i[0] : 0);
    return p->offset[r] == want ? MILL_OK : broken(c, r, "does not lie in its source");
}

/* ---- 4. writes against values ---- */

static bytes_of range_of(const checker *c, mill_ref r)
{
    const int64_t at = c->p->offset[r];
    return (bytes_of){at, at + (int64_t)graph_bytes(mill_get(c->g, r)), in_states(c, r)};
}

static bool overlap(bytes_of a, bytes_of b)
{
    return a.states == b.states && a.from < b.to && b.from < a.to;
}

/* w and x lie in the same bytes, and unit u of the one is unit u of the other. */
static bool same_rows(const checker *c, mill_ref w, mill_ref x, bytes_of a, bytes_of b)
{
    const mill_split split = graph_split(c->g, w);
    return a.from == b.from && a.to == b.to && split.by_rows &&
           mill_rows(mill_shape_of(c->g, x)) == split.units;
}

static mill_err conflict(const checker *c, mill_ref w, mill_ref x, mill_ref u)
{
    char a[96], b[96], d[96];
    return mill_fail(MILL_ESHAPE, "plan check: %s writes over %s, which %s %s", node_text(a, c, w),
                     node_text(b, c, x), u ? node_text(d, c, u) : "is",
                     u ? "reads afterwards" : "kept");
}

/* w says that it updates the memory in which x lies. */
static bool updates(const checker *c, mill_ref w, mill_ref x)
{
    const mill_node *node = mill_get(c->g, w);
    for (int i = 0; i < node->n_src; i++)
        if (graph_writes(node, i) && graph_home(c->g, node->src[i]) == graph_home(c->g, x))
            return true;
    return false;
}

/* u updates through an operand that has no new name (Adam's moments): it wants that as the updates
 * before it have left it, so it may come after w wherever it was built after w. */
static bool updates_next(const checker *c, const link *u, mill_ref w, bool rows)
{
    const mill_node *node = mill_get(c->g, u->r);

    if (u->src == 0 || !(node->op->writes & WRITE_SRC(u->src))) return false;
    if (c->g->pos[u->r] <= c->g->pos[w]) return false;
    if (c->stage[u->r] > c->stage[w]) return true;
    return c->visit[u->r] == c->visit[w] && c->at[u->r] > c->at[w] && rows &&
           row_by_row(c, u->r, u->src);
}

/* Write w to bytes `a` against value x. */
static mill_err check_write(const checker *c, mill_ref w, bytes_of a, mill_ref x)
{
    const mill_node *value = mill_get(c->g, x);
    const bytes_of b = c->range[x];

    if (!overlap(a, b)) return MILL_OK;
    const bool declared = updates(c, w, x);
    const bool rows = same_rows(c, w, x, a, b);
    if (value->op && c->stage[x] > c->stage[w]) return MILL_OK;
    if (value->op && c->visit[x] == c->visit[w] && c->at[x] > c->at[w] && rows) return MILL_OK;
    if (value->op && c->stage[x] == c->stage[w] && (c->visit[x] != c->visit[w] || !rows))
        return conflict(c, w, x, w);
    if (c->kept[x] || value->kind == MILL_INPUT || value->kind == MILL_CONST ||
        (value->kind == MILL_STATE && !declared))
        return conflict(c, w, x, 0);
    for (int32_t k = c->first[x]; k < c->first[x + 1]; k++) {
        const link *u = &c->reader[k];
        if (c->stage[u->r] < c->stage[w]) continue;
        if (u->r == w && declared && graph_writes(mill_get(c->g, w), u->src)) continue;
        if (declared && updates_next(c, u, w, rows)) continue;
        const bool before = c->visit[u->r] == c->visit[w] && c->at[u->r] <= c->at[w];
        if (!before || !rows || !row_by_row(c, u->r, u->src)) return conflict(c, w, x, u->r);
    }
    return MILL_OK;
}

static mill_err check_writes_of(const checker *c, mill_ref w)
{
    const mill_node *node = mill_get(c->g, w);

    for (mill_ref x = 1; x < c->g->n; x++) {
        const mill_node *value = mill_get(c->g, x);
        if (x == w || is_view(value) || (value->op && c->at[x] < 0) || !c->p->root[x]) continue;
        TRY(check_write(c, w, c->range[w], x));
        for (int i = 0; i < node->n_src; i++)
            if (node->op->writes & WRITE_SRC(i)) TRY(check_write(c, w, c->range[node->src[i]], x));
    }
    return MILL_OK;
}

static void index_readers(checker *c)
{
    const mill_plan *p = c->p;

    for (int pass = 0; pass < 2; pass++) {
        for (int32_t k = 0; k < p->n_order; k++) {
            const mill_node *node = mill_get(c->g, p->order[k]);
            for (int i = 0; i < node->n_src; i++) {
                const mill_ref x = graph_base(c->g, node->src[i]);
                if (pass == 0)
                    c->first[x + 2]++;
                else
                    c->reader[c->first[x + 1]++] = (link){p->order[k], i};
            }
        }
        for (mill_ref r = 1; r < c->g->n + 2 && pass == 0; r++) c->first[r] += c->first[r - 1];
    }
}

static mill_err check_all(checker *c)
{
    const mill_graph *g = c->g;

    TRY(index_order(c));
    index_readers(c);
    for (int i = 0; i < g->n_outputs; i++) {
        const mill_ref r = graph_base(g, g->output[i].ref);
        c->kept[r] = true;
        if (g->node[r]->op && c->at[r] < 0) return broken(c, r, "is an output, but does not run");
    }
    for (mill_ref r = 1; r < g->n; r++) {
        const mill_node *node = g->node[r];
        for (int i = 0; i < node->n_src && c->at[r] < 0 && g->pos[r] >= 0; i++)
            if (graph_writes(node, i) && g->node[graph_home(g, r)]->kind == MILL_STATE)
                return broken(c, r, "updates a state, but does not run");
        if (!c->p->root[r]) {
            if (c->at[r] >= 0 || c->first[r + 1] > c->first[r]) return broken(c, r, "has no place");
            continue;
        }
        TRY(check_place(c, r));
        c->range[r] = range_of(c, r);
    }
    for (int32_t k = 0; k < c->p->n_order; k++) TRY(check_node(c, c->p->order[k]));
    for (int32_t k = 0; k < c->p->n_order; k++) TRY(check_writes_of(c, c->p->order[k]));
    return MILL_OK;
}

mill_err mill_plan_check(const mill_plan *p, const mill_graph *g)
{
    const size_t n = (size_t)g->n;
    size_t links = 1;
    checker c = {.p = p, .g = g};
    mill_err err = MILL_ENOMEM;

    if (p->n_nodes != g->n) return mill_fail(MILL_ESHAPE, "plan check: a plan of another graph");
    for (mill_ref r = 1; r < g->n; r++) links += (size_t)g->node[r]->n_src;
    c.stage = mill_alloc(n, sizeof *c.stage);
    c.visit = mill_alloc(n, sizeof *c.visit);
    c.at = mill_alloc(n, sizeof *c.at);
    c.first = mill_alloc(n + 2, sizeof *c.first);
    c.reader = mill_alloc(links, sizeof *c.reader);
    c.kept = mill_alloc(n, sizeof *c.kept);
    c.range = mill_alloc(n, sizeof *c.range);
    if (c.stage && c.visit && c.at && c.first && c.reader && c.kept && c.range) err = check_all(&c);
    mill_free(c.stage);
    mill_free(c.visit);
    mill_free(c.at);
    mill_free(c.first);
    mill_free(c.reader);
    mill_free(c.kept);
    mill_free(c.range);
    return err;
}
