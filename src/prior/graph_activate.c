/*
 * graph_activate.c - activations: of an mlp's layer, and plain ones for matrices.
 *
 *     mlp     standardise, s (x - a row of x, one for each column), activate, standardise
 *             4/6 one of 27 fixed ones, 1/6 relu(x)^q, 1/6 sgn(x) |x|^q
 *     plain   8/12 fixed, 1/12 each relu(x)^q, sgn(x) |x|^q, (|x| + 1e-3)^-q, x^m with m in 2..5
 *
 * Standardising is (x - mean) / (std + 1e-4), std with ddof 0 over the rows that parameters are
 * taken from.
 */
#include "prior/graph_inner.h"

#include "base/sort.h"
#include "base/vrow.h"

static const char *const act_name[] = {
#define ACT_NAME(name) #name,
    ACTS(ACT_NAME)
#undef ACT_NAME
};

typedef struct {
    graph_act act;
    double q;
} chosen;

static bool is_of_row(graph_act act)
{
    return act >= ACT_rank && act <= ACT_argsort;
}

static chosen choose(scm *s, bool plain)
{
    const int kinds = plain ? 12 : 6, fixed = plain ? 8 : 4;
    const int kind = scalar_pick_of(s, plain ? PICK_plain_act_kind : PICK_act_kind, kinds) - fixed;
    chosen c = {ACT_relu_power, 0};

    if (kind < 0) {
        c.act = (graph_act)scalar_pick_of(s, PICK_act_fixed, ACT_FIXED);
    } else if (kind == 0) {
        c.q = scalar_log(s, NUM_relu_power, 0.1, 10.0);
    } else if (kind == 1) {
        c = (chosen){ACT_power, scalar_log(s, NUM_power, 0.1, 10.0)};
    } else if (kind == 2) {
        c = (chosen){ACT_neg_power, scalar_log(s, NUM_neg_power, 0.1, 10.0)};
    } else {
        c = (chosen){ACT_int_power, (double)scalar_int(s, NUM_int_power, 2, 5)};
    }
    return c;
}

static void standardise(float *y, scm *s, const float *x, const mat *m)
{
    double moments[2];

    s->k->graph_moments(moments, x, m->fit);
    s->k->graph_affine(y, x, m->n, (float)moments[0], (float)(1.0 / (moments[1] + 1e-4)));
}

static void standardise_all(const mat *x, scm *s)
{
    for (int k = 0; k < x->d; k++) standardise(x->x + k * x->ld, s, x->x + k * x->ld, x);
}

mill_err graph_activate(const mat *x, scm *s)
{
    const prior_mark mark = prior_arena_mark(s->arena);
    const chosen c = choose(s, false);
    const double scale = scalar_log(s, NUM_rescale, 1.0, 10.0);

    say(s, ",{\"act\":\"%s\"", act_name[c.act]);
    if (c.q > 0) say(s, ",\"exponent\":%.6g", c.q);
    say(s, ",\"scale\":%.6g}", scale);
    for (int k = 0; k < x->d; k++) {
        float *const v = x->x + k * x->ld;
        const float origin = v[draw_below(s->draw, x->fit)];
        double moments[2];

        s->k->graph_moments(moments, v, x->fit); /* the mean cancels out */
        s->k->graph_affine(v, v, x->n, origin, (float)(scale / (moments[1] + 1e-4)));
        if (is_of_row(c.act)) continue;
        s->k->graph_act_each(v, v, x->n, c.act, (float)c.q);
        standardise(v, s, v, x);
    }
    if (is_of_row(c.act)) {
        float *const spare = prior_alloc(s->arena, (int64_t)x->d * 16, sizeof *spare);
        if (!spare) return MILL_ENOMEM;
        s->k->graph_act_row(x, c.act, spare);
        standardise_all(x, s);
    }
    prior_arena_release(s->arena, mark);
    return MILL_OK;
}

/* ---- one row of n entries ------------------------------------------------------------------ */

/* The order of floats as integers, with the place in the low half. */
static int64_t key_of(float v, int64_t at)
{
    uint32_t u = mill_bits_of(v);

    u = u & 0x80000000u ? ~u : u | 0x80000000u;
    return (int64_t)((uint64_t)u << 31 | (uint64_t)at);
}

static mill_err order_row(float *x, scm *s, int64_t n, graph_act act)
{
    int64_t *const key = prior_alloc(s->arena, n, sizeof *key);

    if (!key) return MILL_ENOMEM;
    for (int64_t i = 0; i < n; i++) key[i] = key_of(x[i], i);
    TRY(sort_i64(key, n));
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = key[i] & 0x7fffffff;
        if (act == ACT_rank) {
            x[at] = (float)i;
        } else {
            x[i] = (float)at;
        }
    }
    return MILL_OK;
}

static void softmax_row(float *x, int64_t n)
{
    float top = -INFINITY, sum = 0;

    for (int64_t i = 0; i < n; i++) top = x[i] > top ? x[i] : top;
    for (int64_t i = 0; i < n; i++) x[i] -= top;
    mill_vrow_map(x, x, n, VROW_EXP);
    for (int64_t i = 0; i < n; i++) sum += x[i];
    for (int64_t i = 0; i < n; i++) x[i] /= sum;
}

static void is_max_row(float *x, int64_t n)
{
    float top = -INFINITY;

    for (int64_t i = 0; i < n; i++) top = x[i] > top ? x[i] : top;
    for (int64_t i = 0; i < n; i++) x[i] = x[i] == top ? 1.0f : 0.0f;
}

static mill_err each_in_place(float *x, scm *s, int64_t n, const chosen *c)
{
    const int64_t whole = n / 16 * 16;
    float tail[16] = {0};

    s->k->graph_act_each(x, x, whole, c->act, (float)c->q);
    for (int64_t i = whole; i < n; i++) tail[i - whole] = x[i];
    s->k->graph_act_each(tail, tail, 16, c->act, (float)c->q);
    for (int64_t i = whole; i < n; i++) x[i] = tail[i - whole];
    return MILL_OK;
}

mill_err graph_activate_plain(float *x, scm *s, int64_t batch, int64_t n)
{
    const chosen c = choose(s, true);

    say(s, ",\"act\":\"%s\"", act_name[c.act]);
    if (!is_of_row(c.act)) return each_in_place(x, s, batch * n, &c);
    for (int64_t b = 0; b < batch; b++) {
        const prior_mark mark = prior_arena_mark(s->arena);
        float *const row = x + b * n;

        if (c.act == ACT_softmax) {
            softmax_row(row, n);
        } else if (c.act == ACT_is_max) {
            is_max_row(row, n);
        } else {
            TRY(order_row(row, s, n, c.act));
        }
        prior_arena_release(s->arena, mark);
    }
    return MILL_OK;
}
