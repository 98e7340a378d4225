/*
 * grad.c - gradients, by adding nodes.
 *
 *     dx = sum over the readers y of x of  (dy/dx)^T dy
 *
 * One walk backwards from the loss.  A node is visited if it lies on a path from one of `wrt` to
 * the loss; its operation's vjp adds the nodes for its sources, and where gradients of several
 * readers meet they are added up, in the order of the walk. What the walk adds are ordinary nodes,
 * so the gradient of a gradient is the same walk again.
 *
 * No path means a constant of zeros.  Integers and operations marked MILL_OP_STOP carry no
 * gradient.  A vjp may return gradients that nobody asked for; they are dead code, and the planner
 * leaves dead code out.
 */
#include "graph/inner.h"

typedef struct {
    mill_graph *g;
    int32_t n;    /* nodes when the walk began */
    bool *from;   /* depends on one of wrt */
    mill_ref *dy; /* gradient so far; 0 for none */
} grad_walk;

static bool carries(const mill_node *node)
{
    return node->dtype != MILL_T_I32 && !(node->op && (node->op->flags & MILL_OP_STOP));
}

static void mark_from(grad_walk *w, const mill_ref *wrt, int n)
{
    const mill_graph *g = w->g;

    for (int i = 0; i < n; i++) w->from[wrt[i]] = true;
    for (int32_t k = 0; k < g->n_seq; k++) {
        const mill_ref r = g->seq[k];
        const mill_node *node = g->node[r];
        for (int i = 0; i < node->n_src && !w->from[r]; i++)
            w->from[r] = carries(node) && w->from[node->src[i]];
    }
}

static void add_up(grad_walk *w, mill_ref to, mill_ref d)
{
    mill_graph *g = w->g;

    if (!mill_shape_equal(mill_shape_of(g, to), mill_shape_of(g, d))) {
        char want[64], have[64];
        mill_poison(g, MILL_ESHAPE, "grad: a gradient of shape %s for a node of shape %s",
                    mill_shape_text(have, mill_shape_of(g, d)),
                    mill_shape_text(want, mill_shape_of(g, to)));
        return;
    }
    w->dy[to] = w->dy[to] ? mill_add(g, w->dy[to], d) : d;
}

static void step_back(grad_walk *w, mill_ref y)
{
    mill_graph *g = w->g;
    const mill_node node = *g->node[y];
    mill_ref dsrc[MILL_MAX_SRC] = {0};
    bool wanted = false;

    for (int i = 0; i < node.n_src; i++) wanted |= w->from[node.src[i]];
    if (!wanted || !carries(&node)) return;
    if (!node.op->vjp) {
        mill_poison(g, MILL_ESHAPE, "grad: operation '%s' has no gradient", node.op->name);
        return;
    }
    node.op->vjp(g, y, w->dy[y], dsrc);
    for (int i = 0; i < node.n_src && !g->err; i++)
        if (dsrc[i] && w->from[node.src[i]]) add_up(w, node.src[i], dsrc[i]);
}

static mill_ref one_like(mill_graph *g, mill_ref loss)
{
    const mill_node node = *g->node[loss];
    const real one = 1;
    const double one_f64 = 1;
    const void *data = node.dtype == MILL_T_F64 ? (const void *)&one_f64 : (const void *)&one;
    return mill_const(g, node.dtype, node.shape, data);
}

static mill_err check_request(mill_graph *g, mill_ref loss, const mill_ref *wrt, int n)
{
    TRY(mill_graph_error(g));
    const mill_node *node = mill_get(g, loss);
    if (loss <= 0 || loss >= g->n || g->pos[loss] < 0 || mill_elems(&node->shape) != 1 ||
        node->dtype == MILL_T_I32) {
        char shape[64];
        mill_poison(g, MILL_ESHAPE, "grad: the loss must be one real number; its shape is %s",
                    mill_shape_text(shape, &node->shape));
    }
    for (int i = 0; i < n && !g->err; i++)
        if (wrt[i] <= 0 || wrt[i] >= g->n || g->pos[wrt[i]] < 0 ||
            g->node[wrt[i]]->dtype == MILL_T_I32) /* a detached node is fine: it begins here */
            mill_poison(g, MILL_ESHAPE, "grad: wrt[%d] is no node that has a gradient", i);
    return mill_graph_error(g);
}

static void walk_back(grad_walk *w, mill_ref loss, const mill_ref *wrt, int n, mill_ref *dwrt)
{
    mill_graph *g = w->g;

    mark_from(w, wrt, n);
    w->dy[loss] = one_like(g, loss);
    for (int32_t k = g->pos[loss] + 1; k-- > 0 && !g->err;) {
        const mill_ref y = g->seq[k];
        if (g->node[y]->op && w->dy[y] && w->from[y]) step_back(w, y);
    }
    for (int i = 0; i < n; i++) {
        const mill_node node = *g->node[wrt[i]];
        dwrt[i] = w->dy[wrt[i]];
        if (!dwrt[i]) dwrt[i] = mill_const(g, node.dtype, node.shape, NULL);
    }
}

mill_err mill_grad(mill_graph *g, mill_ref loss, const mill_ref *wrt, int n, mill_ref *dwrt)
{
    for (int i = 0; i < n; i++) dwrt[i] = 0;
    TRY(check_request(g, loss, wrt, n));

    const int32_t segment = g->segment;
    grad_walk w = {.g = g, .n = g->n};
    w.from = mill_alloc((size_t)w.n, sizeof *w.from);
    w.dy = mill_alloc((size_t)w.n, sizeof *w.dy);
    if (w.from && w.dy) {
        g->segment = 0; /* what a gradient adds is never part of the segment it goes through */
        g->in_grad = true;
        walk_back(&w, loss, wrt, n, dwrt);
        g->in_grad = false;
        g->segment = segment;
    } else {
        mill_poison(g, MILL_ENOMEM, "grad: no memory");
    }
    mill_free(w.from);
    mill_free(w.dy);
    if (g->err)
        for (int i = 0; i < n; i++) dwrt[i] = 0;
    return mill_graph_error(g);
}

static const mill_op op_detach = {
    .name = "detach",
    .n_src = 1,
    .rowwise = ROW_SRC(0),
    .flags = MILL_OP_VIEW | MILL_OP_STOP,
    .shape = shape_like_src0,
};

mill_ref mill_detach(mill_graph *g, mill_ref x)
{
    return MILL_APPLY(g, &op_detach, NULL, x);
}
