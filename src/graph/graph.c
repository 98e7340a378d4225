/*
 * graph.c - the node array: leaves, operations, names, and the first error.
 *
 * Building cannot fail in the caller's face: whatever goes wrong (a shape, a missing operand, no
 * memory) poisons the graph. The first message is kept, 0 is returned, everything built on 0 is 0,
 * and who compiles the graph gets the error.
 */
#include "graph/inner.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Bytes of one tensor: far above any machine, and far below where sums of sizes could overflow. */
static const int64_t TENSOR_MAX_BYTES = (int64_t)1 << 48;

static mill_ref poison_here(mill_graph *g, mill_err code) /* keep the thread's last message */
{
    if (g->err == MILL_OK) {
        g->err = code;
        snprintf(g->words, sizeof g->words, "%s", mill_error());
    }
    return 0;
}

mill_ref mill_poison(mill_graph *g, mill_err code, const char *fmt, ...)
{
    char words[sizeof g->words];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    mill_fail(code, "%s", words);
    return poison_here(g, code);
}

mill_err mill_graph_error(const mill_graph *g)
{
    return g->err == MILL_OK ? MILL_OK : mill_fail(g->err, "%s", g->words);
}

static bool grow(mill_graph *g)
{
    if (g->n < g->cap) return true;
    const int32_t cap = g->cap ? 2 * g->cap : 64;
    void *p;

    p = mill_realloc(g->node, (size_t)cap, sizeof(void *));
    if (!p) return false;
    g->node = p;
    if (!(p = mill_realloc(g->seq, (size_t)cap, sizeof *g->seq))) return false;
    g->seq = p;
    if (!(p = mill_realloc(g->pos, (size_t)cap, sizeof *g->pos))) return false;
    g->pos = p;
    g->cap = cap;
    return true;
}

/* A zeroed node with the next ref, outside the order; NULL and poison without memory. */
static mill_node *new_node(mill_graph *g)
{
    mill_node *node = grow(g) ? mill_arena_alloc(g->arena, 1, sizeof *node) : NULL;
    if (!node) {
        poison_here(g, MILL_ENOMEM);
        return NULL;
    }
    g->pos[g->n] = -1;
    g->node[g->n++] = node;
    return node;
}

static mill_ref append(mill_graph *g) /* the newest node goes to the end of the order */
{
    const mill_ref r = g->n - 1;
    g->pos[r] = g->n_seq;
    g->seq[g->n_seq++] = r;
    return r;
}

mill_err mill_graph_new(mill_graph **out)
{
    mill_graph *g = mill_alloc(1, sizeof *g);
    if (!g) return MILL_ENOMEM;
    if (mill_arena_new(&g->arena) || !new_node(g)) {
        mill_graph_free(g);
        return MILL_ENOMEM;
    }
    *out = g;
    return MILL_OK;
}

void mill_graph_free(mill_graph *g)
{
    if (!g) return;
    mill_arena_free(g->arena);
    mill_free(g->node);
    mill_free(g->seq);
    mill_free(g->pos);
    mill_free(g->output);
    mill_free(g);
}

int32_t mill_graph_n(const mill_graph *g)
{
    return g->n;
}

const mill_node *mill_get(const mill_graph *g, mill_ref r)
{
    return g->node[r > 0 && r < g->n ? r : 0];
}

mill_ref mill_src(const mill_graph *g, mill_ref y, int i)
{
    const mill_node *node = mill_get(g, y);
    return i >= 0 && i < node->n_src ? node->src[i] : 0;
}

const mill_shape *mill_shape_of(const mill_graph *g, mill_ref r)
{
    return &mill_get(g, r)->shape;
}

int64_t mill_stream(mill_graph *g)
{
    return ++g->n_streams;
}

static mill_err check_shape(const mill_shape *s, mill_dtype t, const char *what)
{
    int64_t bytes = (int64_t)mill_dtype_size(t);

    if (s->rank < 0 || s->rank > MILL_MAX_DIM)
        return mill_fail(MILL_ESHAPE, "%s: a tensor has 0 to %d dimensions, not %d", what,
                         MILL_MAX_DIM, s->rank);
    for (int i = 0; i < s->rank; i++) {
        if (s->dim[i] < 1)
            return mill_fail(MILL_ESHAPE, "%s: dimension %d is %lld", what, i,
                             (long long)s->dim[i]);
        if (__builtin_mul_overflow(bytes, s->dim[i], &bytes) || bytes > TENSOR_MAX_BYTES)
            return mill_fail(MILL_ENOMEM, "%s: a tensor of this shape is too large", what);
    }
    return MILL_OK;
}

static mill_ref leaf(mill_graph *g, mill_kind kind, const char *name, mill_dtype dtype,
                     mill_shape shape)
{
    if (g->err) return 0;
    const char *what = name ? name : "constant";
    const mill_err err = check_shape(&shape, dtype, what);
    if (err) return poison_here(g, err);

    char *copy = name ? mill_arena_strdup(g->arena, name) : NULL;
    if (name && !copy) return poison_here(g, MILL_ENOMEM);
    mill_node *node = new_node(g);
    if (!node) return 0;
    node->kind = kind;
    node->name = copy;
    node->dtype = dtype;
    node->shape = shape;
    return append(g);
}

static mill_ref find_leaf(const mill_graph *g, mill_kind kind, const char *name)
{
    for (mill_ref r = 1; r < g->n; r++)
        if (g->node[r]->kind == kind && strcmp(g->node[r]->name, name) == 0) return r;
    return 0;
}

mill_ref mill_input(mill_graph *g, const char *name, mill_dtype dtype, mill_shape shape)
{
    if (g->err) return 0;
    if (find_leaf(g, MILL_INPUT, name))
        return mill_poison(g, MILL_ESHAPE, "graph: two inputs are called \"%s\"", name);
    return leaf(g, MILL_INPUT, name, dtype, shape);
}

/* The initial value travels in the attributes, which a state has no other use for. ORDER INIT ATTR
 */
mill_ref mill_state(mill_graph *g, const char *name, mill_dtype dtype, mill_shape shape,
                    mill_init init)
{
    if (g->err) return 0;
    const mill_ref old = find_leaf(g, MILL_STATE, name);
    if (old) {
        const mill_node *was = g->node[old];
        if (was->dtype == dtype && mill_shape_equal(&was->shape, &shape)) return old;
        return mill_poison(g, MILL_ESHAPE, "graph: state \"%s\" has two shapes or types", name);
    }
    const mill_ref r = leaf(g, MILL_STATE, name, dtype, shape);
    if (r) {
        g->node[r]->attr.i[0] = init.kind;
        g->node[r]->attr.f[0] = init.scale;
    }
    return r;
}

mill_init mill_state_init(const mill_graph *g, mill_ref state)
{
    const mill_attr *attr = &mill_get(g, state)->attr;
    return (mill_init){(mill_init_kind)attr->i[0], attr->f[0]};
}

mill_ref mill_const(mill_graph *g, mill_dtype dtype, mill_shape shape, const void *data)
{
    const mill_ref r = leaf(g, MILL_CONST, NULL, dtype, shape);
    if (!r || !data) return r;

    const size_t bytes = graph_bytes(g->node[r]);
    void *copy = mill_arena_alloc(g->arena, bytes, 1);
    if (!copy) return poison_here(g, MILL_ENOMEM);
    memcpy(copy, data, bytes);
    g->node[r]->data = copy;
    return r;
}

mill_ref mill_const_real(mill_graph *g, double value)
{
    const real x = (real)value;
    return mill_const(g, MILL_T_REAL, SCALAR, &x);
}

void mill_output(mill_graph *g, const char *name, mill_ref r)
{
    if (g->err) return;
    if (r <= 0 || r >= g->n) {
        mill_poison(g, MILL_ESHAPE, "graph: output \"%s\" is no node", name);
        return;
    }
    for (int i = 0; i < g->n_outputs; i++)
        if (strcmp(g->output[i].name, name) == 0) {
            mill_poison(g, MILL_ESHAPE, "graph: two outputs are called \"%s\"", name);
            return;
        }
    if (g->n_outputs == g->cap_outputs) {
        const int32_t cap = g->cap_outputs ? 2 * g->cap_outputs : 8;
        void *p = mill_realloc(g->output, (size_t)cap, sizeof *g->output);
        if (!p) {
            poison_here(g, MILL_ENOMEM);
            return;
        }
        g->output = p;
        g->cap_outputs = cap;
    }
    const char *copy = mill_arena_strdup(g->arena, name);
    if (!copy) {
        poison_here(g, MILL_ENOMEM);
        return;
    }
    if (!g->node[r]->name) g->node[r]->name = copy;
    g->output[g->n_outputs++] = (graph_output){copy, r};
}

mill_ref mill_find_input(const mill_graph *g, const char *name)
{
    return find_leaf(g, MILL_INPUT, name);
}

mill_ref mill_find_output(const mill_graph *g, const char *name)
{
    for (int i = 0; i < g->n_outputs; i++)
        if (strcmp(g->output[i].name, name) == 0) return g->output[i].ref;
    return 0;
}

/* What shapes alone cannot say: a view stays inside its source, an update in place has something to
 * update. */
static mill_err check_memory(const mill_graph *g, const mill_node *node)
{
    const mill_op *op = node->op;

    if (op->flags & MILL_OP_VIEW) {
        const int64_t at = node->attr.i[0];
        const size_t have = graph_bytes(mill_get(g, node->src[0])), want = graph_bytes(node);
        if (at < 0 || (size_t)at > have || want > have - (size_t)at ||
            (size_t)at % mill_dtype_size(node->dtype))
            return mill_fail(MILL_ESHAPE, "%s: the view does not lie inside its source", op->name);
    }
    for (int i = 0; i < node->n_src; i++) {
        if (!graph_writes(node, i)) continue;
        const mill_node *home = mill_get(g, graph_home(g, node->src[i]));
        if (home->kind == MILL_CONST || home->kind == MILL_INPUT)
            return mill_fail(MILL_ESHAPE, "%s: would write over %s \"%s\"", op->name,
                             home->kind == MILL_CONST ? "constant" : "input",
                             home->name ? home->name : "");
    }
    if ((op->flags & MILL_OP_INPLACE) &&
        graph_bytes(node) != graph_bytes(mill_get(g, node->src[0])))
        return mill_fail(MILL_ESHAPE, "%s: in place, but not of its source's size", op->name);
    return MILL_OK;
}

static mill_err fill_node(mill_node *node, const mill_graph *g)
{
    const mill_op *op = node->op;

    node->kind = MILL_OPERATION;
    node->dtype = node->n_src ? mill_get(g, node->src[0])->dtype : MILL_T_REAL;
    TRY((op->shape ? op->shape : shape_like_src0)(&node->shape, &node->dtype, g, node));
    TRY(check_shape(&node->shape, node->dtype, op->name));
    return check_memory(g, node);
}

mill_ref mill_apply(mill_graph *g, const mill_op *op, const mill_attr *attr, int n,
                    const mill_ref *src)
{
    if (g->err) return 0;
    if (n < op->n_src || n > MILL_MAX_SRC)
        return mill_poison(g, MILL_ESHAPE, "%s: %d operands; it takes %d", op->name, n, op->n_src);

    mill_node node = {.op = op, .n_src = n, .segment = g->segment, .backward = g->in_grad};
    for (int i = 0; i < n; i++) {
        if (src[i] <= 0 || src[i] >= g->n || g->pos[src[i]] < 0)
            return mill_poison(g, MILL_ESHAPE, "%s: operand %d is no node, or was pruned", op->name,
                               i);
        node.src[i] = src[i];
    }
    if (attr) node.attr = *attr;
    const mill_err err = fill_node(&node, g);
    if (err) return poison_here(g, err);

    mill_node *to = new_node(g);
    if (!to) return 0;
    *to = node;
    return append(g);
}

mill_ref graph_clone(mill_graph *g, mill_ref r)
{
    mill_node *to = new_node(g);
    if (!to) return 0;
    *to = *g->node[r];
    to->name = NULL;
    return g->n - 1;
}

void mill_segment_begin(mill_graph *g)
{
    if (g->segment) mill_poison(g, MILL_ESHAPE, "graph: segments do not nest");
    g->segment = ++g->n_segments;
}

void mill_segment_end(mill_graph *g)
{
    if (!g->segment) mill_poison(g, MILL_ESHAPE, "graph: no segment is open");
    g->segment = 0;
}

bool graph_writes(const mill_node *node, int i)
{
    if (!node->op) return false;
    return (i == 0 && (node->op->flags & MILL_OP_INPLACE)) || (node->op->writes & WRITE_SRC(i));
}

/* Walk down from r while the nodes carry one of `flags`. */
static mill_ref walk_down(const mill_graph *g, mill_ref r, unsigned flags)
{
    for (;;) {
        const mill_node *node = mill_get(g, r);
        if (!node->op || !(node->op->flags & flags)) return r;
        r = node->src[0];
    }
}

mill_ref graph_base(const mill_graph *g, mill_ref r)
{
    return walk_down(g, r, MILL_OP_VIEW);
}

mill_ref graph_home(const mill_graph *g, mill_ref r)
{
    return walk_down(g, r, MILL_OP_VIEW | MILL_OP_INPLACE);
}
