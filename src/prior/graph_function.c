/*
 * graph_function.c - random functions of a table, one of eight kinds, and functions of several.
 *
 *     mlp   linear maps of width log 1..127 with activations between, maybe before and after
 *     lin   a linear map
 *     prod  product of two of gp, tree, disc, lin, quad
 *     tree, quad, gp   graph_basis.c
 *     disc, em         graph_centre.c
 *
 * Matrices go to the left: y (out, rows) = M (out, in) x (in, rows), for rows come in the lanes.
 */
#include "prior/graph_inner.h"

#include <string.h>

mill_err mat_new(mat *out, scm *s, int d, const mat *like)
{
    *out = *like;
    out->d = d;
    out->x = prior_alloc(s->arena, like->ld * d, sizeof *out->x);
    return out->x ? MILL_OK : MILL_ENOMEM;
}

mat mat_slice(const mat *m, int first, int d)
{
    mat y = *m;

    y.x = m->x + first * m->ld;
    y.d = d;
    return y;
}

/* ---- lin, mlp ------------------------------------------------------------------------------ */

mill_err graph_linear(const mat *y, scm *s, const mat *x)
{
    float *const m = prior_alloc(s->arena, (int64_t)y->d * x->d, sizeof *m);

    if (!m) return MILL_ENOMEM;
    say(s, ",\"matrix\":");
    TRY(graph_matrices(m, s, 1, y->d, x->d));
    graph_product(y, m, x);
    return MILL_OK;
}

static mill_err mlp_layer(const mat *y, scm *s, const mat *x)
{
    const prior_mark mark = prior_arena_mark(s->arena);

    say(s, ",{\"width\":%d", y->d);
    TRY(graph_linear(y, s, x));
    say(s, "}");
    prior_arena_release(s->arena, mark);
    return MILL_OK;
}

static mill_err mlp(const mat *y, scm *s, const mat *x)
{
    const int width = (int)scalar_log_int(s, NUM_mlp_width, 1, 127);
    const int layers = (int)scalar_log_int(s, NUM_mlp_layers, 1, 3);
    const bool first = scalar_pick_of(s, PICK_first_act, 2) == 1;
    const bool last = scalar_pick_of(s, PICK_last_act, 2) == 1;
    mat in = *x, spare[2] = {{0}};

    say(s, ",\"layers\":[{\"width\":%d}", x->d);
    if (first) {
        TRY(mat_new(&in, s, x->d, x));
        memcpy(in.x, x->x, (size_t)x->ld * (size_t)x->d * sizeof *in.x);
        TRY(graph_activate(&in, s));
    }
    for (int i = 0; i < layers - 1; i++) {
        mat *const out = &spare[i % 2];
        if (!out->x) TRY(mat_new(out, s, width, x));
        TRY(mlp_layer(out, s, &in));
        TRY(graph_activate(out, s));
        in = *out;
    }
    TRY(mlp_layer(y, s, &in));
    if (last) TRY(graph_activate(y, s));
    say(s, "]");
    return MILL_OK;
}

/* ---- one of them --------------------------------------------------------------------------- */

static mill_err prod(const mat *y, scm *s, const mat *x)
{
    mat other;

    TRY(mat_new(&other, s, y->d, y));
    say(s, ",\"of\":[");
    TRY(graph_cheap_function(y, s, x));
    say(s, ",");
    TRY(graph_cheap_function(&other, s, x));
    say(s, "]");
    for (int k = 0; k < y->d; k++)
        s->k->graph_combine(y->x + k * y->ld, other.x + k * y->ld, y->n, 1);
    return MILL_OK;
}

static mill_err run(const mat *y, scm *s, const mat *x, func_kind kind)
{
    static mill_err (*const body[FUNC_N])(const mat *, scm *, const mat *) = {
        mlp, graph_tree, graph_disc, graph_linear, graph_quad, graph_gp, graph_em, prod};
    const prior_mark mark = prior_arena_mark(s->arena);
    mill_text *const text = s->text;

    say(s, "{\"function\":\"%s\",\"in\":%d,\"out\":%d", graph_func_name[kind], x->d, y->d);
    if (!s->in_full) s->text = NULL;
    TRY(body[kind](y, s, x));
    s->text = text;
    say(s, "}");
    prior_arena_release(s->arena, mark);
    return MILL_OK;
}

mill_err graph_function(const mat *y, scm *s, const mat *x)
{
    return run(y, s, x, s->functions[scalar_pick_of(s, PICK_function, s->n_functions)]);
}

mill_err graph_cheap_function(const mat *y, scm *s, const mat *x)
{
    static const func_kind cheap[] = {FUNC_gp, FUNC_tree, FUNC_disc, FUNC_lin, FUNC_quad};

    return run(y, s, x, cheap[scalar_pick_of(s, PICK_cheap_function, 5)]);
}

/* ---- several parents ----------------------------------------------------------------------- */

static mill_err of_all(const mat *y, scm *s, const mat *parent, int parents)
{
    int d = 0;
    mat all;

    for (int i = 0; i < parents; i++) d += parent[i].d;
    if (parents == 1) return graph_function(y, s, parent);
    TRY(mat_new(&all, s, d, y));
    for (int i = 0, at = 0; i < parents; at += parent[i++].d)
        memcpy(all.x + at * all.ld, parent[i].x,
               (size_t)parent[i].ld * (size_t)parent[i].d * sizeof *all.x);
    return graph_function(y, s, &all);
}

static mill_err of_each(const mat *y, scm *s, const mat *parent, int parents, int op)
{
    mat other;

    TRY(graph_function(y, s, parent));
    if (parents > 1) TRY(mat_new(&other, s, y->d, y));
    for (int i = 1; i < parents; i++) {
        say(s, ",");
        TRY(graph_function(&other, s, parent + i));
        for (int k = 0; k < y->d; k++)
            s->k->graph_combine(y->x + k * y->ld, other.x + k * y->ld, y->n, op);
    }
    return MILL_OK;
}

mill_err graph_multi_function(const mat *y, scm *s, const mat *parent, int parents)
{
    static const char *const op_name[] = {"sum", "product", "max", "logsumexp"};
    const prior_mark mark = prior_arena_mark(s->arena);
    const char *const types = s->c->multi_fct_types;
    const bool concat = !strcmp(types, "default") ? scalar_pick_of(s, PICK_multi_function, 2) == 0
                                                  : !strcmp(types, "concat");

    if (concat) {
        say(s, ",\"join\":\"concat\",\"functions\":[");
        TRY(of_all(y, s, parent, parents));
    } else {
        const int op = scalar_pick_of(s, PICK_aggregation, 4);
        say(s, ",\"join\":\"%s\",\"functions\":[", op_name[op]);
        TRY(of_each(y, s, parent, parents, op));
    }
    say(s, "]");
    prior_arena_release(s->arena, mark);
    return MILL_OK;
}
