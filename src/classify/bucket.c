/*
 * bucket.c - word, in the middle of the backward pass, that a part of the flat gradient is
 * complete.
 *
 * A node that reads the gradients of a bucket calls the hook when it runs, which is as soon as the
 * last of them is there: while other products still run, and on any thread of the pool, but never
 * two hooks at a time.  Buckets are told from the last to the first, on every rank in the same
 * order: each node also reads the one before it.
 */
#include "classify/net.h"

static mill_err shape_told(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                           const mill_node *node)
{
    (void)g, (void)node;
    *out = SHAPE(1);
    *dtype = MILL_T_REAL;
    return MILL_OK;
}

static void tell(const mill_call *c)
{
    const cls_hook *hook = c->node->attr.p;

    *(real *)c->out = 0;
    if (hook) hook->ready(hook->ctx, hook->bucket);
}

static const mill_op told_op = {
    .name = "bucket_told",
    .n_src = 1,
    .flags = MILL_OP_STOP,
    .shape = shape_told,
    .run = {tell, tell, 0},
};

/* A node behind n others; the hook is called by the last of a chain of them. */
static mill_ref behind(mill_graph *g, const mill_ref *src, int n, const cls_hook *hook)
{
    mill_ref told = src[0], group[MILL_MAX_SRC];

    for (int i = 1; i < n || i == 1;) {
        int k = 0;
        group[k++] = told;
        while (i < n && k < MILL_MAX_SRC) group[k++] = src[i++];
        const bool is_last = i >= n;
        told = mill_apply(g, &told_op, &(mill_attr){.p = is_last ? hook : NULL}, k, group);
        if (is_last) break;
    }
    return told;
}

void cls_tell_buckets(mill_graph *g, const cls_layout *l, const mill_ref *grad,
                      const cls_hook *hook)
{
    mill_ref src[NN_MAX_PARAMS + 1], told = 0;

    for (int b = l->n_buckets - 1; b >= 0; b--) {
        int n = 0;
        if (told) src[n++] = told;
        for (int i = 0; i < l->n_trained; i++) {
            const cls_param *p = &l->param[i];
            if (p->at < l->bucket[b + 1] && p->at + p->count > l->bucket[b]) src[n++] = grad[i];
        }
        if (!n) src[n++] = grad[0]; /* padding alone */
        told = behind(g, src, n, &hook[b]);
    }
    mill_output(g, "told", told);
}
