/*
 * ctgan_net.c - generator, discriminator, and one training step.
 *
 *     generator       h = [z, c];  per block  n = relu(batch_norm(h W + b)),  h = [n, h];
 *                     o = h W + b
 *     activation      tanh on a number's unit, Gumbel-softmax (tau 0.2) on every other span
 *     discriminator   pac rows and their conditions as one vector x;
 *                     per layer  x = dropout(leaky_relu(x W + b));  y = x w + b
 *
 *     L_D  =  mean y(fake) - mean y(real) + 10 mean (|dy/dx at x^| - 1)^2,
 *             x^ = a real + (1 - a) fake,  a ~ U(0,1) per pack
 *     L_G  = -mean y(fake) + mean of the cross-entropy of the conditioned column's logits
 *
 * What is not computed, and why the numbers are the same:
 *   - c and real rows are one-hot, so their products with a weight are gathers (codes_matmul),
 *     and no gradient by them is wanted;
 *   - h is never concatenated: a weight is kept in one block per part of h, and the products
 *     add up;
 *   - the first layer is affine, so the pre-activation of x^ is the same blend of those of real
 *     and fake;
 *   - the masks of leaky_relu and dropout have no derivative, so the penalty's gradient runs
 *     through the weights alone;
 *   - the fake batch of L_D is detached, and L_G asks for no gradient of the discriminator's
 *     weights.
 */
#include "synth/ctgan_net.h"

#include "base/mem.h"
#include "base/option.h"

#include <stdio.h>
#include <string.h>

mill_err ctgan_net_init(ctgan_net *n, mill_graph *g, const synth_config *c, const synth_spans *s,
                        const ctgan_draw *d)
{
    memset(n, 0, sizeof *n);
    n->g = g;
    n->c = c;
    n->s = s;
    n->d = d;
    n->rows = c->batch_size;
    n->momentum = 0.1;
    n->g_params = (nn_params){.g = g, .prefix = "g"};
    n->d_params = (nn_params){.g = g, .prefix = "d"};
    TRY(option_dims(n->gen, &n->n_gen, CTGAN_MAX_LAYERS, c->generator_dim));
    return option_dims(n->disc, &n->n_disc, CTGAN_MAX_LAYERS, c->discriminator_dim);
}

/* ---- generator ---- */

/* One dense layer over the parts of h, as products that add up: places in n->g_params. */
typedef struct {
    int bias, cond, part[CTGAN_MAX_LAYERS + 1];
    int gamma, beta;
} gen_layer;

typedef struct {
    gen_layer layer[CTGAN_MAX_LAYERS + 1];
} generator;

/* parts of h before layer l: block l-1, ..., block 0, z */
static int64_t part_width(const ctgan_net *n, int l, int part)
{
    return part == l ? n->c->embedding_dim : n->gen[l - 1 - part];
}

static void generator_init(generator *gen, ctgan_net *n)
{
    for (int l = 0; l <= n->n_gen; l++) {
        const int64_t out = l < n->n_gen ? n->gen[l] : n->s->width;
        int64_t in = n->s->cond_width;
        gen_layer *p = &gen->layer[l];

        for (int k = 0; k <= l; k++) in += part_width(n, l, k);
        for (int k = 0; k <= l; k++)
            p->part[k] =
                nn_param(&n->g_params, SHAPE(part_width(n, l, k), out), in, 0, "w%d.%d", l, l - k);
        if (n->s->cond_width)
            p->cond = nn_param(&n->g_params, SHAPE(n->s->cond_width, out), in, 0, "w%d.cond", l);
        p->bias = nn_param(&n->g_params, SHAPE(out), in, 0, "b%d", l);
        if (l == n->n_gen) break;
        p->gamma = nn_param(&n->g_params, SHAPE(out), 0, 1, "gamma%d", l);
        p->beta = nn_param(&n->g_params, SHAPE(out), 0, 0, "beta%d", l);

        char name[32];
        snprintf(name, sizeof name, "g.mean%d", l);
        n->bn_mean[l] = mill_state(n->g, name, MILL_T_REAL, SHAPE(out), (mill_init){INIT_ZERO, 0});
        snprintf(name, sizeof name, "g.var%d", l);
        n->bn_var[l] = mill_state(n->g, name, MILL_T_REAL, SHAPE(out), (mill_init){INIT_ONE, 0});
    }
}

/* z (n, embedding), cond i32 (n, 1) or 0 -> logits (n, D) */
static mill_ref generate(ctgan_net *n, const generator *gen, mill_ref z, mill_ref cond, bool train)
{
    const mill_ref *w = n->g_params.ref;
    mill_ref part[CTGAN_MAX_LAYERS + 1] = {z}; /* newest first */

    for (int l = 0;; l++) {
        const gen_layer *p = &gen->layer[l];
        mill_ref a = w[p->bias];
        if (cond) a = mill_codes_matmul(n->g, a, w[p->cond], cond, 0);
        for (int k = 0; k <= l; k++) a = mill_addmm(n->g, a, part[k], w[p->part[k]], false, false);
        if (l == n->n_gen) return a;

        a = mill_batch_norm(n->g, a, w[p->gamma], w[p->beta], &n->bn_mean[l], &n->bn_var[l],
                            n->momentum, 1e-5, train);
        memmove(part + 1, part, (size_t)(l + 1) * sizeof *part);
        part[0] = mill_relu(n->g, a);
    }
}

/* ---- discriminator ---- */

typedef struct {
    int first, cond, w[CTGAN_MAX_LAYERS + 1], b[CTGAN_MAX_LAYERS + 1];
} discriminator;

static void discriminator_init(discriminator *d, ctgan_net *n)
{
    nn_params *p = &n->d_params;
    const int64_t pac = n->c->pac, in = pac * (n->s->width + n->s->cond_width);

    d->first = nn_param(p, SHAPE(pac * n->s->width, n->disc[0]), in, 0, "w0");
    if (n->s->cond_width)
        d->cond = nn_param(p, SHAPE(pac * n->s->cond_width, n->disc[0]), in, 0, "w0.cond");
    d->b[0] = nn_param(p, SHAPE(n->disc[0]), in, 0, "b0");
    for (int l = 1; l <= n->n_disc; l++) {
        const int64_t from = n->disc[l - 1], to = l < n->n_disc ? n->disc[l] : 1;
        d->w[l] = nn_param(p, SHAPE(from, to), from, 0, "w%d", l);
        d->b[l] = nn_param(p, SHAPE(to), from, 0, "b%d", l);
    }
}

/* First layer before its activation, of dense rows (B, D) with conditions i32 (B, 1) or 0 ->
 * (B/pac, disc[0]) */
static mill_ref first_layer(const ctgan_net *n, const discriminator *d, mill_ref rows,
                            mill_ref cond)
{
    const mill_ref *w = n->d_params.ref;
    const int64_t pac = n->c->pac;
    mill_ref a = w[d->b[0]];

    if (cond)
        a = mill_codes_matmul(n->g, a, w[d->cond], mill_reshape(n->g, cond, SHAPE(-1, pac)), 0);
    return mill_addmm(n->g, a, mill_reshape(n->g, rows, SHAPE(-1, pac * n->s->width)), w[d->first],
                      false, false);
}

/* The same of real rows, as codes and values */
static mill_ref first_layer_codes(const ctgan_net *n, const discriminator *d, mill_ref draw)
{
    mill_graph *g = n->g;
    const mill_ref *w = n->d_params.ref;
    const int64_t pac = n->c->pac, units = pac * (n->s->n_numbers + n->s->n);
    const mill_ref codes = ctgan_row_codes(g, draw, n->d, DRAW_REAL_ROW, pac);
    const mill_ref values = ctgan_row_values(g, draw, n->d, DRAW_REAL_ROW);
    const mill_ref a =
        mill_codes_matmul(g, w[d->b[0]], w[d->first], mill_reshape(g, codes, SHAPE(-1, units)),
                          mill_reshape(g, values, SHAPE(-1, units)));

    if (!n->s->cond_width) return a;
    const mill_ref cond = ctgan_cond_codes(g, draw, n->d, DRAW_REAL_COND, pac);
    return mill_codes_matmul(g, a, w[d->cond], mill_reshape(g, cond, SHAPE(-1, pac)), 0);
}

/* From the first layer's pre-activation to the score (B/pac, 1); dropout is drawn anew in every
 * pass */
static mill_ref score(const ctgan_net *n, const discriminator *d, mill_ref a)
{
    const mill_ref *w = n->d_params.ref;

    for (int l = 1; l <= n->n_disc; l++) {
        const mill_ref h = mill_dropout(n->g, mill_leaky_relu(n->g, a, 0.2), 0.5);
        a = mill_linear(n->g, h, w[d->w[l]], w[d->b[l]]);
    }
    return a;
}

/* 10 mean (|d score / d x^| - 1)^2 */
static mill_ref penalty(const ctgan_net *n, const discriminator *d, mill_ref real_a,
                        mill_ref fake_a)
{
    mill_graph *g = n->g;
    const mill_ref *w = n->d_params.ref;
    const mill_ref alpha = mill_uniform(g, SHAPE(n->rows / n->c->pac, 1));
    const mill_ref blend = mill_add(g, fake_a, mill_mul(g, mill_sub(g, real_a, fake_a), alpha));
    const mill_ref a = mill_detach(g, blend);
    const mill_ref y = mill_sum_all(g, score(n, d, a));
    mill_ref da;

    if (mill_grad(g, y, &a, 1, &da)) return 0;
    mill_ref sum = mill_sum_last(g, mill_square(g, mill_matmul(g, da, w[d->first], false, true)));
    if (n->s->cond_width)
        sum = mill_add(
            g, sum, mill_sum_last(g, mill_square(g, mill_matmul(g, da, w[d->cond], false, true))));
    /* Dropout may clear a whole layer; 1e-30, far below the last bit else, gives the root of 0 a
     * slope. */
    const mill_ref length = mill_sqrt(g, mill_scale(g, sum, 1, 1e-30));
    const mill_ref excess = mill_scale(g, length, 1, -1);
    return mill_scale(g, mill_mean_all(g, mill_square(g, excess)), 10, 0);
}

/* ---- one step ---- */

typedef struct {
    mill_ref draw, cond, logits, rows;
} fake_batch;

/* real_rows: real ones are drawn beside them, for a step of the discriminator */
static fake_batch make_fake(ctgan_net *n, const generator *gen, bool real_rows)
{
    const int64_t b = n->rows;
    fake_batch f = {.draw = ctgan_draw_batch(n->g, n->d, b, n->c->log_frequency, real_rows)};
    const mill_ref z = mill_normal(n->g, SHAPE(b, n->c->embedding_dim));

    f.cond = n->s->cond_width ? ctgan_cond_codes(n->g, f.draw, n->d, DRAW_FAKE_COND, 1) : 0;
    f.logits = generate(n, gen, z, f.cond, true);
    f.rows = mill_span_activate(n->g, f.logits, spans_node(n->g, n->s), 0.2, SPAN_GUMBEL);
    return f;
}

static mill_ref pack_cond(const ctgan_net *n, const fake_batch *f)
{
    return n->s->cond_width ? ctgan_cond_codes(n->g, f->draw, n->d, DRAW_FAKE_COND, n->c->pac) : 0;
}

mill_adam_opts ctgan_adam(double decay, int64_t t_mul, int64_t t_add)
{
    return (mill_adam_opts){.beta1 = 0.5,
                            .beta2 = 0.9,
                            .eps = 1e-8,
                            .weight_decay = decay,
                            .t_mul = t_mul,
                            .t_add = t_add};
}

/* *gap: what is shown of it. */
static mill_ref discriminator_loss(ctgan_net *n, const discriminator *d, const fake_batch *f,
                                   mill_ref *gap)
{
    mill_graph *g = n->g;
    const mill_ref real_a = first_layer_codes(n, d, f->draw);
    const mill_ref fake_a = first_layer(n, d, mill_detach(g, f->rows), pack_cond(n, f));
    /* one statement each: the order of calls is the order of the random streams */
    const mill_ref y_fake = mill_mean_all(g, score(n, d, fake_a));
    const mill_ref y_real = mill_mean_all(g, score(n, d, real_a));

    *gap = mill_sub(g, y_fake, y_real);
    return mill_add(g, *gap, penalty(n, d, real_a, fake_a));
}

static mill_ref generator_loss(ctgan_net *n, const discriminator *d, const fake_batch *f)
{
    mill_graph *g = n->g;
    const mill_ref y = score(n, d, first_layer(n, d, f->rows, pack_cond(n, f)));
    const mill_ref loss = mill_neg(g, mill_mean_all(g, y));

    if (!n->s->cond_width) return loss;
    const mill_ref ce =
        mill_span_ce(g, f->logits, spans_node(g, n->s), ctgan_target(g, f->draw, n->d));
    return mill_add(g, loss, mill_mean_all(g, ce));
}

void ctgan_build_step(ctgan_net *n)
{
    const int turns = (int)n->c->discriminator_steps;
    const mill_adam_opts g_adam = ctgan_adam(n->c->generator_decay, 1, 1);
    generator gen = {0};
    discriminator d = {0};
    mill_ref gap = 0;

    generator_init(&gen, n);
    discriminator_init(&d, n);
    fake_batch f = make_fake(n, &gen, true), next = f;
    for (int turn = 0; turn < turns; turn++) {
        const mill_adam_opts d_adam = ctgan_adam(n->c->discriminator_decay, turns, turn + 1);
        f = next;
        next = make_fake(n, &gen, turn + 1 < turns); /* the generator does not change here: all its
                                                        passes may run side by side */
        const mill_ref loss = discriminator_loss(n, &d, &f, &gap);
        nn_adam(&n->d_params, loss, mill_const_real(n->g, n->c->discriminator_lr), &d_adam);
    }
    const mill_ref loss_g = generator_loss(n, &d, &next);
    nn_adam(&n->g_params, loss_g, mill_const_real(n->g, n->c->generator_lr), &g_adam);
    mill_output(n->g, "loss_d", gap);
    mill_output(n->g, "loss_g", loss_g);
}

/* ---- the step in parts ---- */

static void add_params(nn_flat *f, const nn_params *p)
{
    for (int i = 0; i < p->n; i++) flat_add(f, p->name[i], mill_shape_of(p->g, p->ref[i]));
}

static const char *const statistic[] = {"g.mean%d", "g.var%d"};

mill_err ctgan_layout(nn_flat *f, ctgan_net *n, int64_t multiple)
{
    generator gen = {0};
    discriminator d = {0};
    char name[32];

    generator_init(&gen, n);
    discriminator_init(&d, n);
    TRY(mill_graph_error(n->g));
    memset(f, 0, sizeof *f);
    add_params(f, &n->d_params);
    TRY(flat_end_group(f, multiple));
    for (int l = 0; l < n->n_gen; l++)
        for (int k = 0; k < 2; k++) {
            snprintf(name, sizeof name, statistic[k], l);
            flat_entry *e = flat_add(f, name, &SHAPE(n->gen[l]));
            e->rate = n->momentum;
            e->is_one = k == 1;
        }
    flat_add(f, "loss", &SCALAR)->rate = 1;
    TRY(flat_end_group(f, multiple));
    add_params(f, &n->g_params);
    return flat_end_group(f, multiple);
}

/* The part's own batch statistics, out of states that it begins as zeros. */
static void leave_statistics(flat_left *left, const nn_flat *f, const ctgan_net *n)
{
    char name[32];

    for (int l = 0; l < n->n_gen; l++)
        for (int k = 0; k < 2; k++) {
            snprintf(name, sizeof name, statistic[k], l);
            flat_state(left, f, name, k ? n->bn_var[l] : n->bn_mean[l]);
        }
}

mill_err ctgan_build_part(ctgan_net *n, const nn_flat *f, int network, int64_t rows,
                          const flat_hook *hook)
{
    const bool is_d = network == CTGAN_DISCRIMINATOR;
    flat_left left = {{0}};
    generator gen = {0};
    discriminator d = {0};
    mill_ref shown;

    n->rows = rows;
    n->momentum = 1;
    generator_init(&gen, n);
    discriminator_init(&d, n);
    const fake_batch fake = make_fake(n, &gen, is_d);
    const mill_ref loss =
        is_d ? discriminator_loss(n, &d, &fake, &shown) : generator_loss(n, &d, &fake);
    leave_statistics(&left, f, n);
    flat_output(&left, f, n->g, "loss", is_d ? shown : loss);
    TRY(flat_gradients(&left, f, is_d ? &n->d_params : &n->g_params, loss));
    if (is_d)
        flat_tell(n->g, f, CTGAN_DISCRIMINATOR, CTGAN_GENERATOR, &left, hook);
    else
        flat_tell(n->g, f, CTGAN_STATISTICS, CTGAN_N_GROUPS, &left, hook);
    return mill_graph_error(n->g);
}

void ctgan_build_sample(ctgan_net *n, int64_t n_rows)
{
    mill_graph *g = n->g;
    generator gen = {0};

    generator_init(&gen, n);
    const mill_ref z = mill_normal(g, SHAPE(n_rows, n->c->embedding_dim));
    const mill_ref draw = ctgan_draw_batch(g, n->d, n_rows, false, false);
    const mill_ref cond = n->s->cond_width ? ctgan_cond_codes(g, draw, n->d, DRAW_FAKE_COND, 1) : 0;
    const mill_ref o = generate(n, &gen, z, cond, false);
    mill_output(g, "rows", mill_span_pick(g, o, spans_node(g, n->s), true));
}
