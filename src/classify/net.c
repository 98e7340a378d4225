/* net.c - see net.h. */
#include "classify/net.h"

#include "base/option.h"

#include <stdio.h>
#include <string.h>

enum { MAX_HIDDEN = 16, MAX_BLOCKS = 9 };

mill_err cls_net_init(cls_net *n, const cls_config *c, const cls_encoder *e)
{
    *n = (cls_net){
        .is_ft = !strcmp(c->arch, "ft-transformer"),
        .token_dim = c->token_dim,
        .heads = c->heads,
        .layers = c->layers,
        .dropout = c->dropout,
        .smoothing = c->label_smoothing,
        .is_class = e->task == CLS_CLASSES,
        .is_frozen = c->freeze_encoder,
        .n_num = e->n_num,
        .n_cat = e->n_cat,
        .n_codes = e->n_codes,
        .n_out = cls_n_out(e),
    };
    if (!nn_activation_find(&n->activation, c->activation))
        return mill_fail(MILL_EINPUT, "--activation %s: relu, gelu, silu or tanh", c->activation);
    return option_dims(n->hidden, &n->n_hidden, MAX_HIDDEN, c->hidden_dims);
}

/* ---- networks: (rows, n_out) of num and code ---- */

typedef struct {
    nn_params p;
    mill_ref num, code; /* 0: none */
    int64_t rows;
    double dropout;
} build;

static void begin(build *b, mill_graph *g, const cls_net *n, int64_t rows, double dropout)
{
    memset(b, 0, sizeof *b);
    b->p.g = g;
    b->p.prefix = "net";
    b->rows = rows;
    b->dropout = dropout;
    if (n->n_num) b->num = mill_input(g, "num", MILL_T_REAL, SHAPE(rows, n->n_num));
    if (n->n_cat) b->code = mill_input(g, "code", MILL_T_I32, SHAPE(rows, n->n_cat));
}

static mill_ref head(build *b, int64_t width, const cls_net *n, mill_ref x)
{
    return nn_linear_apply(&b->p, nn_linear_init(&b->p, width, n->n_out, "head"), x);
}

/* The first layer: a product for the numbers, added rows for the codes. */
static mill_ref first_layer(build *b, const cls_net *n, int64_t width)
{
    nn_params *p = &b->p;
    const int64_t fan_in = n->n_num + n->n_cat;
    const int bias = nn_param(p, SHAPE(width), fan_in, 0, "h0.b");
    mill_ref x = 0;

    if (n->n_num) {
        const int w = nn_param(p, SHAPE(n->n_num, width), fan_in, 0, "h0.w");
        x = mill_linear(p->g, b->num, p->ref[w], p->ref[bias]);
    }
    if (!n->n_cat) return x;
    const int w = nn_param(p, SHAPE(n->n_codes, width), fan_in, 0, "h0.codes");
    return mill_codes_matmul(p->g, x ? x : p->ref[bias], p->ref[w], b->code, 0);
}

static mill_ref mlp(build *b, const cls_net *n)
{
    mill_ref x = 0;

    for (int i = 0; i < n->n_hidden; i++) {
        char name[24];
        snprintf(name, sizeof name, "h%d", i);
        if (!i)
            x = first_layer(b, n, n->hidden[0]);
        else
            x = nn_linear_apply(&b->p, nn_linear_init(&b->p, n->hidden[i - 1], n->hidden[i], name),
                                x);
        x = mill_dropout(b->p.g, nn_activate(b->p.g, x, n->activation), b->dropout);
    }
    return head(b, n->hidden[n->n_hidden - 1], n, x);
}

/* (rows, 1 + n_num + n_cat, d): the answer's token first */
static mill_ref tokens(build *b, const cls_net *n)
{
    nn_params *p = &b->p;
    mill_graph *g = p->g;
    const int64_t d = n->token_dim;
    mill_ref part[3];
    int n_parts = 0;

    const int cls = nn_param(p, SHAPE(d), d, 0, "answer");
    part[n_parts++] = mill_broadcast_to(g, p->ref[cls], SHAPE(b->rows, 1, d));
    if (n->n_num) {
        const int w = nn_param(p, SHAPE(n->n_num, d), d, 0, "num.w");
        const int bias = nn_param(p, SHAPE(n->n_num, d), d, 0, "num.b");
        const mill_ref x = mill_reshape(g, b->num, SHAPE(b->rows, n->n_num, 1));
        part[n_parts++] = mill_add(g, mill_mul(g, x, p->ref[w]), p->ref[bias]);
    }
    if (n->n_cat) {
        const int w = nn_param(p, SHAPE(n->n_codes, d), d, 0, "cat.w");
        const int bias = nn_param(p, SHAPE(n->n_cat, d), d, 0, "cat.b");
        const mill_ref code = mill_reshape(g, b->code, SHAPE(b->rows * n->n_cat));
        const mill_ref row = mill_gather_rows(g, p->ref[w], code);
        part[n_parts++] =
            mill_add(g, mill_reshape(g, row, SHAPE(b->rows, n->n_cat, d)), p->ref[bias]);
    }
    return mill_concat(g, n_parts, part, 1);
}

/* x + attention(norm x), then x + feed-forward(norm x); the first norm of all is left out, and the
 * last block asks for the answer's token alone. */
static mill_ref block(build *b, const cls_net *n, int64_t i, mill_ref x)
{
    nn_params *p = &b->p;
    mill_graph *g = p->g;
    const int64_t d = n->token_dim, wide = (4 * d + 2) / 3;
    char name[24];

    snprintf(name, sizeof name, "b%d.norm", (int)i);
    const mill_ref y = i ? nn_norm_apply(p, nn_norm_init(p, d, name), x) : x;
    snprintf(name, sizeof name, "b%d.attn", (int)i);
    const nn_attention a = nn_attention_init(p, d, n->heads, name);
    const bool is_last = i == n->layers - 1;
    const mill_ref asks = is_last ? mill_slice(g, y, 1, 0, 1) : y;
    if (is_last) x = mill_slice(g, x, 1, 0, 1);
    x = mill_add(g, x, nn_attention_apply(p, &a, asks, y, b->dropout));

    snprintf(name, sizeof name, "b%d.ffn.norm", (int)i);
    mill_ref h = nn_norm_apply(p, nn_norm_init(p, d, name), x);
    snprintf(name, sizeof name, "b%d.ffn.in", (int)i);
    h = nn_reglu(g, nn_linear_apply(p, nn_linear_init(p, d, 2 * wide, name), h));
    snprintf(name, sizeof name, "b%d.ffn.out", (int)i);
    h = nn_linear_apply(p, nn_linear_init(p, wide, d, name), mill_dropout(g, h, b->dropout));
    return mill_add(g, x, h);
}

static mill_ref ft_transformer(build *b, const cls_net *n)
{
    nn_params *p = &b->p;
    mill_ref x = tokens(b, n);

    for (int64_t i = 0; i < n->layers; i++) x = block(b, n, i, x);
    x = mill_reshape(p->g, x, SHAPE(b->rows, n->token_dim));
    x = mill_relu(p->g, nn_norm_apply(p, nn_norm_init(p, n->token_dim, "norm"), x));
    return head(b, n->token_dim, n, x);
}

static mill_ref network(build *b, const cls_net *n)
{
    return n->is_ft ? ft_transformer(b, n) : mlp(b, n);
}

/* ---- layout ---- */

static bool is_trained(const cls_net *n, const char *name)
{
    return !n->is_frozen || !strncmp(name, "net.head.", 9);
}

mill_err cls_layout_make(nn_flat *l, const cls_net *n, int64_t multiple)
{
    mill_graph *g;
    build b;

    memset(l, 0, sizeof *l);
    TRY(mill_graph_new(&g));
    begin(&b, g, n, 1, 0);
    network(&b, n);
    mill_err err = mill_graph_error(g);
    for (int pass = 0; !err && pass < 2; pass++) { /* the trained ones, then the others */
        for (int i = 0; i < b.p.n; i++)
            if (is_trained(n, b.p.name[i]) == !pass)
                flat_add(l, b.p.name[i], mill_shape_of(g, b.p.ref[i]));
        if (!pass) err = flat_end_group(l, multiple);
    }
    mill_graph_free(g);
    return err;
}

/* ---- graphs ---- */

static mill_ref loss_of(mill_graph *g, const cls_net *n, mill_ref out, int64_t rows)
{
    const mill_ref weight = mill_input(g, "weight", MILL_T_REAL, SHAPE(rows, 1));
    mill_ref each;

    if (n->is_class) {
        const mill_ref label = mill_input(g, "label", MILL_T_I32, SHAPE(rows));
        each = mill_cross_entropy(g, out, label, n->smoothing);
    } else {
        const mill_ref y = mill_input(g, "y", MILL_T_REAL, SHAPE(rows, 1));
        each = mill_square(g, mill_sub(g, out, y));
    }
    return mill_sum_all(g, mill_mul(g, each, weight));
}

mill_err cls_build_part(mill_graph *g, const cls_net *n, const nn_flat *l, int64_t rows, bool bf16,
                        const flat_hook *hook)
{
    flat_left left = {{0}};
    build b;

    begin(&b, g, n, rows, n->dropout);
    const mill_ref out = network(&b, n);
    const mill_ref loss = loss_of(g, n, out, rows);
    TRY(flat_gradients(&left, l, &b.p, loss));
    if (hook) flat_tell(g, l, 0, l->n_groups, &left, hook);
    mill_output(g, "loss", loss);
    mill_output(g, "out", out);
    TRY(mill_graph_error(g));
    return bf16 ? mill_pass_cast(g) : MILL_OK;
}

mill_err cls_build_eval(mill_graph *g, const cls_net *n, int64_t rows)
{
    build b;

    begin(&b, g, n, rows, 0);
    mill_output(g, "out", network(&b, n));
    return mill_graph_error(g);
}

mill_err cls_build_norm(mill_graph *g, int n, const int64_t *lines)
{
    for (int i = 0; i < n; i++) {
        char name[24];
        snprintf(name, sizeof name, "grad%d", i);
        const mill_ref grad = mill_input(g, name, MILL_T_REAL, SHAPE(lines[i], SHARDS_LINE));
        snprintf(name, sizeof name, "squares%d", i);
        mill_output(g, name, mill_sum_last(g, mill_square(g, grad)));
    }
    return mill_graph_error(g);
}
