/*
 * layer.c - layers of layer.h.
 *
 *     attention   per head h of width c = d / heads:
 *                 y_h = softmax(q_h k_h^T / sqrt(c)) v_h;   y = (y_1 .. y_heads) W + b
 *
 * Heads are a dimension of their own, so that all of them are one batched product:
 *
 *     (n, t, d) -> (n, t, heads, c) -> (n, heads, t, c)
 */
#include "nn/layer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {"relu", "gelu", "silu", "tanh"}; /* ORDER nn_activation */

bool nn_activation_find(nn_activation *out, const char *name)
{
    for (int i = 0; i < NN_N_ACTIVATION; i++) {
        if (strcmp(names[i], name) != 0) continue;
        *out = (nn_activation)i;
        return true;
    }
    return false;
}

mill_ref nn_activate(mill_graph *g, mill_ref x, nn_activation a)
{
    switch (a) {
    case NN_GELU:
        return mill_gelu(g, x);
    case NN_SILU:
        return mill_silu(g, x);
    case NN_TANH:
        return mill_tanh(g, x);
    default:
        return mill_relu(g, x);
    }
}

nn_linear nn_linear_init(nn_params *p, int64_t in, int64_t out, const char *name)
{
    nn_linear l;
    l.w = nn_param(p, SHAPE(in, out), in, 0, "%s.w", name);
    l.b = nn_param(p, SHAPE(out), in, 0, "%s.b", name);
    return l;
}

mill_ref nn_linear_apply(const nn_params *p, nn_linear l, mill_ref x)
{
    return mill_linear(p->g, x, p->ref[l.w], p->ref[l.b]);
}

nn_norm nn_norm_init(nn_params *p, int64_t c, const char *name)
{
    nn_norm n;
    n.gamma = nn_param(p, SHAPE(c), 0, 1, "%s.gamma", name);
    n.beta = nn_param(p, SHAPE(c), 0, 0, "%s.beta", name);
    return n;
}

mill_ref nn_norm_apply(const nn_params *p, nn_norm n, mill_ref x)
{
    return mill_layer_norm(p->g, x, p->ref[n.gamma], p->ref[n.beta], 1e-5);
}

nn_attention nn_attention_init(nn_params *p, int64_t d, int64_t heads, const char *name)
{
    nn_attention a = {.d = d, .heads = heads};
    nn_linear *const part[] = {&a.q, &a.k, &a.v, &a.out};
    static const char *const tail[] = {"q", "k", "v", "out"};
    char full[NN_MAX_NAME / 2];

    if (heads < 1 || d % heads)
        mill_poison(p->g, MILL_EINPUT, "%s: %lld heads do not divide a width of %lld", name,
                    (long long)heads, (long long)d);
    for (int i = 0; i < 4; i++) {
        snprintf(full, sizeof full, "%s.%s", name, tail[i]);
        *part[i] = nn_linear_init(p, d, d, full);
    }
    return a;
}

/* (n, t, d) -> (n, heads, t, c) */
static mill_ref split_heads(mill_graph *g, const nn_attention *a, mill_ref x)
{
    const mill_shape s = *mill_shape_of(g, x);
    const mill_ref parts = mill_reshape(g, x, SHAPE(s.dim[0], s.dim[1], a->heads, a->d / a->heads));
    return mill_transpose(g, parts, 1, 2);
}

mill_ref nn_attention_apply(const nn_params *p, const nn_attention *a, mill_ref from, mill_ref to,
                            double dropout)
{
    mill_graph *g = p->g;

    if (mill_graph_error(g)) return 0;
    const mill_ref q = split_heads(g, a, nn_linear_apply(p, a->q, from));
    const mill_ref k = split_heads(g, a, nn_linear_apply(p, a->k, to));
    const mill_ref v = split_heads(g, a, nn_linear_apply(p, a->v, to));
    const int64_t width = a->d / a->heads;
    const mill_ref score =
        mill_scale(g, mill_matmul(g, q, k, false, true), 1 / sqrt((double)width), 0);
    const mill_ref weight = mill_dropout(g, mill_softmax(g, score), dropout);
    const mill_ref y = mill_transpose(g, mill_matmul(g, weight, v, false, false), 1, 2);
    return nn_linear_apply(p, a->out, mill_reshape(g, y, *mill_shape_of(g, from)));
}

mill_ref nn_reglu(mill_graph *g, mill_ref x)
{
    const int64_t c = mill_cols(mill_shape_of(g, x)) / 2;
    return mill_mul(g, mill_slice(g, x, -1, 0, c), mill_relu(g, mill_slice(g, x, -1, c, 2 * c)));
}
