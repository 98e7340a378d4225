/*
 * recompute.c - gradient checkpointing: what lies inside a segment is computed a second time for
 * the gradient, not kept for it.
 *
 *     forward                    |  backward
 *     x -> [ a -> b -> c ] -> y  |  dy, then a' b' c' (copies of a b c, from x), then what reads
 *                                |  them
 *
 * Kept are the values that the forward pass needs outside of the segment (x, y) and outputs.  All
 * others that a backward node reads are copied, with what they are made from, right before the
 * first such reader.  A copy draws the same random numbers, for its stream is an attribute; it must
 * not start before the gradient has arrived (`after`), or the planner would compute it at once and
 * keep it.
 *
 * Not copied, and so kept: updates in place, and what reads memory that is written over before the
 * copy would run. All is prepared first and changed last, so that without memory the graph is as it
 * was.
 */
#include "graph/inner.h"

typedef struct {
    mill_graph *g;
    int32_t n; /* nodes before the pass */
    bool *live, *kept, *wanted;
    struct {
        mill_ref home;
        int32_t at;
    } * write; /* all updates in place, in order */
    int32_t n_writes;
    mill_ref *copy;  /* by ref: its copy, 0 for none */
    int32_t *before; /* by copy - n: the place in seq before which it goes */
} recompute;

static bool inside(const recompute *w, mill_ref r, int32_t segment)
{
    const mill_node *node = w->g->node[r];
    return node->segment == segment && node->op && !node->backward;
}

/* The value at r can be made again at place `at`. */
static bool can_copy(const recompute *w, mill_ref r, int32_t at)
{
    const mill_graph *g = w->g;
    const mill_node *node = g->node[r];

    for (int i = 0; i < node->n_src; i++) {
        const mill_ref home = graph_home(g, node->src[i]);
        if (graph_writes(node, i)) return false;
        for (int32_t k = 0; k < w->n_writes; k++)
            if (w->write[k].home == home && w->write[k].at > g->pos[r] && w->write[k].at < at)
                return false;
    }
    return true;
}

static void mark_kept(recompute *w, int32_t segment)
{
    const mill_graph *g = w->g;

    for (int32_t k = 0; k < g->n_seq; k++) {
        const mill_ref r = g->seq[k];
        const mill_node *node = g->node[r];
        if (!w->live[r] || node->backward || inside(w, r, segment)) continue;
        for (int i = 0; i < node->n_src; i++) w->kept[node->src[i]] = true;
    }
    for (int i = 0; i < g->n_outputs; i++) w->kept[g->output[i].ref] = true;
}

static bool reads_inside(const recompute *w, mill_ref r, int32_t segment)
{
    const mill_node *node = w->g->node[r];
    if (!w->live[r] || !node->backward) return false;
    for (int i = 0; i < node->n_src; i++)
        if (inside(w, node->src[i], segment) && !w->kept[node->src[i]]) return true;
    return false;
}

/* The place of the first backward reader; n_seq if there is none. */
static int32_t first_reader(const recompute *w, int32_t segment)
{
    for (int32_t k = 0; k < w->g->n_seq; k++)
        if (reads_inside(w, w->g->seq[k], segment)) return k;
    return w->g->n_seq;
}

static void mark_wanted(recompute *w, int32_t segment, int32_t at)
{
    const mill_graph *g = w->g;

    for (int32_t k = 0; k < g->n_seq; k++)
        for (int i = 0; i < g->node[g->seq[k]]->n_src && reads_inside(w, g->seq[k], segment); i++)
            w->wanted[g->node[g->seq[k]]->src[i]] = true;
    for (int32_t k = g->n_seq; k-- > 0;) {
        const mill_ref r = g->seq[k];
        w->wanted[r] = w->wanted[r] && inside(w, r, segment) && !w->kept[r] && can_copy(w, r, at);
        for (int i = 0; i < g->node[r]->n_src && w->wanted[r]; i++)
            w->wanted[g->node[r]->src[i]] = true;
    }
}

/* The gradient that arrives at the segment: the latest backward source of its first reader. */
static mill_ref arriving(const recompute *w, int32_t at)
{
    const mill_graph *g = w->g;
    const mill_node *reader = g->node[g->seq[at]];
    mill_ref latest = 0;

    for (int i = 0; i < reader->n_src; i++) {
        const mill_ref s = reader->src[i];
        if (g->node[s]->backward && (!latest || g->pos[s] > g->pos[latest])) latest = s;
    }
    return latest;
}

static mill_err copy_segment(recompute *w, int32_t segment)
{
    mill_graph *g = w->g;

    for (mill_ref r = 0; r < w->n; r++) w->kept[r] = w->wanted[r] = false;
    mark_kept(w, segment);
    const int32_t at = first_reader(w, segment);
    if (at == g->n_seq) return MILL_OK;
    mark_wanted(w, segment, at);
    const mill_ref after = arriving(w, at);
    for (int32_t k = 0; k < g->n_seq; k++) {
        const mill_ref r = g->seq[k];
        if (!w->wanted[r]) continue;
        const mill_ref c = graph_clone(g, r);
        if (!c) return MILL_ENOMEM;
        mill_node *node = g->node[c];
        for (int i = 0; i < node->n_src; i++)
            if (w->wanted[node->src[i]]) node->src[i] = w->copy[node->src[i]];
        node->segment = 0;
        node->backward = true;
        node->after = after;
        w->copy[r] = c;
        w->before[c - w->n] = at;
    }
    return MILL_OK;
}

/* Nothing from here on can fail: seq has room for every node. */
static void commit(recompute *w)
{
    mill_graph *g = w->g;
    int32_t to = g->n_seq + (g->n - w->n), last = g->n - 1;

    for (int32_t k = 0; k < g->n_seq; k++) {
        mill_node *node = g->node[g->seq[k]];
        for (int i = 0; i < node->n_src && node->backward && w->live[g->seq[k]]; i++)
            if (w->copy[node->src[i]]) node->src[i] = w->copy[node->src[i]];
    }
    for (int32_t k = g->n_seq; k >= 0; k--) {
        if (k < g->n_seq) {
            g->seq[--to] = g->seq[k];
            g->pos[g->seq[to]] = to;
        }
        /* copies that go before place k, newest last; each segment's are in one block */
        for (mill_ref c = last; c >= w->n; c--)
            if (w->before[c - w->n] == k) {
                g->seq[--to] = c;
                g->pos[c] = to;
            }
    }
    g->n_seq += g->n - w->n;
}

static void find_writes(recompute *w)
{
    const mill_graph *g = w->g;

    for (int32_t k = 0; k < g->n_seq; k++) {
        const mill_node *node = g->node[g->seq[k]];
        for (int i = 0; i < node->n_src; i++) {
            if (!w->live[g->seq[k]] || !graph_writes(node, i)) continue;
            w->write[w->n_writes].home = graph_home(g, node->src[i]);
            w->write[w->n_writes++].at = k;
        }
    }
}

static mill_err copy_all(recompute *w)
{
    graph_live(w->g, w->live);
    find_writes(w);
    for (int32_t s = 1; s <= w->g->n_segments; s++) TRY(copy_segment(w, s));
    return MILL_OK;
}

mill_err mill_pass_recompute(mill_graph *g)
{
    TRY(mill_graph_error(g));
    const size_t n = (size_t)g->n;
    recompute w = {.g = g, .n = g->n};
    mill_err err = MILL_ENOMEM;

    w.live = mill_alloc(n, sizeof *w.live);
    w.kept = mill_alloc(n, sizeof *w.kept);
    w.wanted = mill_alloc(n, sizeof *w.wanted);
    w.write = mill_alloc(n * MILL_MAX_SRC, sizeof *w.write);
    w.copy = mill_alloc(n, sizeof *w.copy);
    w.before = mill_alloc(n, sizeof *w.before);
    if (w.live && w.kept && w.wanted && w.write && w.copy && w.before) err = copy_all(&w);
    if (!err) commit(&w);
    if (err) { /* the copies made so far are in no list: forget them */
        g->n = w.n;
        g->err = MILL_OK;
    }
    mill_free(w.live);
    mill_free(w.kept);
    mill_free(w.wanted);
    mill_free(w.write);
    mill_free(w.copy);
    mill_free(w.before);
    return err;
}
