/*
 * graph_scalar.c - numbers and choices that agree within a data set.
 *
 *     meta    per name, once: t ~ U(0, 1), s ~ logU(.1, 1e4); each time u ~ Beta(s t, s (1 - t))
 *     local   each time u ~ U(0, 1)
 *     global  per name, once
 *
 *     value = a + (b - a) u, in logarithms if asked for; integers are its floor in a .. b + 1
 *
 * Choices are meant to agree too, by one vector of weights per name; the official code draws the
 * vector again for each choice, so they are uniform and independent, unless
 * use_corrected_cat_meta_sampling is on.  A name whose number of categories changes (warps, where y
 * has none) draws its vector again; there the official code stops.
 */
#include "prior/graph_inner.h"

#include "base/vmath.h"

static double fresh_share(scm *s, scalar_number *n)
{
    double u;

    if (!n->is_set) {
        const double loc = draw_u01(s->draw), sum = draw_log_between(s->draw, 0.1, 1e4);
        *n = (scalar_number){.is_set = true, .a = loc * sum, .b = (1.0 - loc) * sum};
    }
    s->k->graph_betas(&u, 1, n->a, n->b, s->draw);
    return u;
}

static double place(double u, num_range r)
{
    const double low = r.log ? mill_log_f64(r.low) : r.low;
    const double high = r.log ? mill_log_f64(r.high) : r.high;

    if (r.boundary) u = mill_min_f64(mill_max_f64(fma(1.2, u, -0.1), 0.0), 1.0);
    const double v = fma(high - low, u, low);
    return r.log ? mill_exp_f64(v) : v;
}

double scalar_number_of(scm *s, num_name name, num_range r)
{
    scalar_number *const n = &s->number[name];

    if (s->mode == MODE_LOCAL) return place(draw_u01(s->draw), r);
    if (s->mode == MODE_META) return place(fresh_share(s, n), r);
    if (!n->is_set) *n = (scalar_number){.is_set = true, .value = place(draw_u01(s->draw), r)};
    return n->value;
}

/* Shares in 0 .. 1 for kernels that place them themselves. */
void scalar_betas(double *u, int64_t n, scm *s, num_name name)
{
    scalar_number *const state = &s->number[name];

    if (s->mode == MODE_META) {
        fresh_share(s, state);
        s->k->graph_betas(u, n, state->a, state->b, s->draw);
        return;
    }
    if (s->mode == MODE_GLOBAL && !state->is_set)
        *state = (scalar_number){.is_set = true, .value = draw_u01(s->draw)};
    for (int64_t i = 0; i < n; i++)
        u[i] = s->mode == MODE_GLOBAL ? state->value : draw_u01(s->draw);
}

double scalar_log(scm *s, num_name name, double low, double high)
{
    return scalar_number_of(s, name, (num_range){low, high, true, false});
}

static int64_t floor_within(double v, int64_t least, int64_t most)
{
    const double f = floor(v);

    if (f >= (double)most) return most;
    return f < (double)least ? least : (int64_t)f;
}

int64_t scalar_int(scm *s, num_name name, int64_t least, int64_t most)
{
    const num_range r = {(double)least, (double)most + 1.0, false, false};

    return floor_within(scalar_number_of(s, name, r), least, most);
}

int64_t scalar_log_int(scm *s, num_name name, int64_t least, int64_t most)
{
    const num_range r = {(double)least, (double)most + 1.0, true, false};

    return floor_within(scalar_number_of(s, name, r), least, most);
}

int64_t scalar_local_int(scm *s, int64_t least, int64_t most, bool log, bool boundary)
{
    const num_range r = {(double)least, (double)most + 1.0, log, boundary};

    return floor_within(place(draw_u01(s->draw), r), least, most);
}

/* One vector of random weights, from numbers of its own. */
static void draw_weights(scm *s, scalar_pick *p, int n)
{
    scalar_number decay = {0}, spread = {0};
    const double u[2] = {fresh_share(s, &decay), fresh_share(s, &spread)};
    float w[PICK_MOST], log_rank[PICK_MOST];

    for (int i = 0; i < n; i++) w[i] = (float)draw_normal(s->draw);
    s->k->graph_weight_rows(w, 1, n, u, log_rank, s->draw);
    for (int i = 0; i < n; i++) p->weight[i] = (double)w[i];
    p->n = n;
}

int scalar_pick_of(scm *s, pick_name name, int n)
{
    scalar_pick *const p = &s->pick[name];
    const bool corrected = s->mode == MODE_META && s->c->use_corrected_cat_meta_sampling;

    if (n < 2) return 0;
    if (corrected && n <= PICK_MOST) {
        if (p->n != n) draw_weights(s, p, n);
        return draw_weighted(s->draw, p->weight, n);
    }
    if (s->mode != MODE_GLOBAL) return (int)draw_below(s->draw, n);
    if (p->n != n) {
        p->n = n;
        p->value = (int)draw_below(s->draw, n);
    }
    return p->value;
}
