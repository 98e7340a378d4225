/* flat.c - see flat.h. */
#include "nn/flat.h"

#include <stdio.h>
#include <string.h>

/* ---- the layout ---- */

static int64_t round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

flat_entry *flat_add(nn_flat *f, const char *name, const mill_shape *shape)
{
    f->is_full |= f->n == FLAT_MAX_ENTRIES;
    flat_entry *e = &f->entry[f->is_full ? 0 : f->n++];

    snprintf(e->name, sizeof e->name, "%s", name);
    snprintf(e->grad, sizeof e->grad, "grad.%s", name);
    e->shape = *shape;
    e->count = mill_elems(shape);
    e->at = f->all;
    e->group = f->n_groups;
    f->all += round_up(e->count, 16);
    return e;
}

mill_err flat_end_group(nn_flat *f, int64_t multiple)
{
    const int64_t begin = f->bucket[f->n_buckets];

    if (f->is_full) return mill_fail(MILL_EINPUT, "more than %d tensors", FLAT_MAX_ENTRIES);
    const int64_t units = (f->all - begin + multiple - 1) / multiple;
    int64_t n = units * multiple / FLAT_BUCKET;
    if (n < 1) n = 1;
    if (n > FLAT_MAX_BUCKETS) n = FLAT_MAX_BUCKETS;
    for (int64_t k = 1; k <= n; k++) f->bucket[++f->n_buckets] = begin + units * k / n * multiple;
    f->all = begin + units * multiple;
    f->first_bucket[++f->n_groups] = f->n_buckets;
    return MILL_OK;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the places are written to */
int flat_places(exec_place *place, const nn_flat *f, float *params, bool fill, float *left)
{
    int n = 0;

    for (int i = 0; i < f->n; i++) {
        const flat_entry *e = &f->entry[i];
        const size_t bytes = (size_t)e->count * sizeof(float);

        if (left && e->rate > 0) {
            place[n++] = (exec_place){e->name, left + e->at, bytes, false};
            continue;
        }
        place[n++] = (exec_place){e->name, params + e->at, bytes, fill};
        if (left && e->group < f->n_groups)
            place[n++] = (exec_place){e->grad, left + e->at, bytes, false};
    }
    return n;
}

/* ---- what a graph leaves ---- */

/* It is to lie where the layout says: what is a part of something larger is copied. */
static mill_ref whole(mill_graph *g, mill_ref x, int64_t count)
{
    mill_ref r = x;

    while (mill_get(g, r)->op && mill_get(g, r)->op->flags & MILL_OP_VIEW) r = mill_src(g, r, 0);
    return mill_elems(mill_shape_of(g, r)) == count ? x : mill_scale(g, x, 1, 0);
}

mill_err flat_gradients(flat_left *left, const nn_flat *f, const nn_params *p, mill_ref loss)
{
    mill_ref wrt[NN_MAX_PARAMS], grad[NN_MAX_PARAMS];
    int entry[NN_MAX_PARAMS], n = 0;

    TRY(mill_graph_error(p->g));
    for (int i = 0; i < f->n; i++)
        for (int k = 0; f->entry[i].group < f->n_groups && k < p->n; k++) {
            if (strcmp(p->name[k], f->entry[i].name) != 0) continue;
            entry[n] = i;
            wrt[n++] = p->ref[k];
        }
    TRY(mill_grad(p->g, loss, wrt, n, grad));
    for (int i = 0; i < n; i++) {
        const flat_entry *e = &f->entry[entry[i]];
        left->ref[entry[i]] = whole(p->g, grad[i], e->count);
        mill_output(p->g, e->grad, left->ref[entry[i]]);
    }
    return MILL_OK;
}

void flat_state(flat_left *left, const nn_flat *f, const char *name, mill_ref r)
{
    for (int i = 0; i < f->n; i++)
        if (!strcmp(f->entry[i].name, name)) left->ref[i] = r;
}

void flat_output(flat_left *left, const nn_flat *f, mill_graph *g, const char *name, mill_ref r)
{
    r = whole(g, r, mill_elems(mill_shape_of(g, r)));
    mill_output(g, name, r);
    flat_state(left, f, name, r);
}

/* ---- telling ---- */

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
    const flat_hook *hook = c->node->attr.p;

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
static mill_ref behind(mill_graph *g, const mill_ref *src, int n, const flat_hook *hook)
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

/* Each node reads the one before it too, so every rank tells in the same order. */
void flat_tell(mill_graph *g, const nn_flat *f, int first, int end, const flat_left *left,
               const flat_hook *hook)
{
    mill_ref src[FLAT_MAX_ENTRIES + 1], told = 0, any = 0;

    for (int i = 0; i < f->n && !any; i++) any = left->ref[i];
    for (int b = f->first_bucket[end] - 1; b >= f->first_bucket[first]; b--) {
        int n = 0;
        if (told) src[n++] = told;
        for (int i = 0; i < f->n; i++) {
            const flat_entry *e = &f->entry[i];
            const bool lies_here = e->at < f->bucket[b + 1] && e->at + e->count > f->bucket[b];
            if (lies_here && left->ref[i]) src[n++] = left->ref[i];
        }
        if (!n) src[n++] = any; /* padding alone */
        told = behind(g, src, n, hook ? &hook[b] : NULL);
    }
    mill_output(g, "told", told);
}
