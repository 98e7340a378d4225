/*
 * random_graph.h - graphs that nobody would write, from a seed: for the tests of planner and
 * executor.
 *
 * Tensors of a few heights and widths (some below, some above the grain), views that keep or break
 * rows, states that are updated row by row and otherwise, temporaries updated in place.  A value
 * that was written over is never used again.
 */
#ifndef TESTS_LIB_RANDOM_GRAPH_H
#define TESTS_LIB_RANDOM_GRAPH_H

#include "tiny_ops.h"
#include <stdio.h>

enum { RANDOM_GRAPH_MAX = 400 };

typedef struct {
    mill_graph *g;
    mill_rng rng;
    int n, n_states, n_outputs;
    struct {
        mill_ref ref, base; /* base: the node whose value it shows */
        bool dead, fixed;   /* fixed: must not be written over */
    } x[RANDOM_GRAPH_MAX];
} random_graph;

TINY void random_keep(random_graph *d, mill_ref r, mill_ref base, bool fixed)
{
    if (!r || d->n == RANDOM_GRAPH_MAX) return;
    d->x[d->n].ref = r;
    d->x[d->n].base = base;
    d->x[d->n].fixed = fixed;
    d->x[d->n++].dead = false;
}

TINY int random_pick(random_graph *d)
{
    for (;;) {
        /* newer ones more often, so that there are chains */
        const int a = (int)mill_rng_below(&d->rng, (uint32_t)d->n),
                  b = (int)mill_rng_below(&d->rng, (uint32_t)d->n);
        const int i = mill_rng_below(&d->rng, 2) && b > a ? b : a;
        if (!d->x[i].dead) return i;
    }
}

TINY mill_ref random_like(random_graph *d, mill_ref x) /* another value of the same shape, or 0 */
{
    for (int tries = 0; tries < 60; tries++) {
        const mill_ref y = d->x[random_pick(d)].ref;
        if (mill_shape_equal(mill_shape_of(d->g, x), mill_shape_of(d->g, y))) return y;
    }
    return 0;
}

TINY void random_bury(random_graph *d, mill_ref base)
{
    for (int i = 0; i < d->n; i++)
        if (d->x[i].base == base) d->x[i].dead = true;
}

TINY mill_ref random_state(random_graph *d, int64_t rows, int64_t cols)
{
    char name[32];
    snprintf(name, sizeof name, "s%d", d->n_states++);
    return mill_state(d->g, name, MILL_T_REAL, SHAPE(rows, cols), (mill_init){INIT_UNIFORM, 1});
}

TINY void random_view(random_graph *d, int i)
{
    const mill_ref x = d->x[i].ref, base = d->x[i].base;
    const int64_t r = mill_rows(mill_shape_of(d->g, x)), c = mill_cols(mill_shape_of(d->g, x));
    mill_ref v = 0;
    switch (mill_rng_below(&d->rng, 4)) {
    case 0:
        v = tiny_make_view(d->g, x, 0, r, c);
        break;
    case 1:
        v = r % 2 ? 0 : tiny_make_view(d->g, x, 0, r / 2, 2 * c);
        break;
    case 2:
        v = r < 3 ? 0 : tiny_make_view(d->g, x, c, r - 2, c);
        break;
    default:
        v = tiny_make_view(d->g, x, 0, 1, r * c);
        break;
    }
    random_keep(d, v, base, true);
}

/* Write over x[i]; only a whole, unshared value, never a leaf that is no state. */
TINY void random_update(random_graph *d, int i)
{
    static const mill_op *const ops[] = {&tiny_move, &tiny_spill, &tiny_step};
    const mill_ref x = d->x[i].ref;
    const mill_node *node = mill_get(d->g, x);
    if (d->x[i].fixed || d->x[i].base != x) return;
    const mill_op *op = ops[mill_rng_below(&d->rng, 3)];
    const mill_ref y = random_like(d, x);
    if (!y) return;
    mill_ref src[3] = {x, y, y};
    for (int k = 0; k < d->n; k++)
        if (d->x[k].ref == y && d->x[k].base == x && op != &tiny_move)
            return; /* reads what it writes */
    if (op == &tiny_move && y != x)
        for (int k = 0; k < d->n; k++)
            if (d->x[k].ref == y && d->x[k].base == x) return;
    if (y == x) return;
    if (op == &tiny_step) src[1] = random_state(d, node->shape.dim[0], node->shape.dim[1]);
    const mill_ref z = mill_apply(d->g, op, NULL, op->n_src, src);
    random_bury(d, x);
    random_keep(d, z, z, false);
}

TINY void random_step(random_graph *d)
{
    const int i = random_pick(d);
    const mill_ref x = d->x[i].ref;
    const int64_t r = mill_rows(mill_shape_of(d->g, x)), c = mill_cols(mill_shape_of(d->g, x));
    mill_ref y = 0, z;
    if (r * c > 6000) return;
    switch (mill_rng_below(&d->rng, 12)) {
    case 0:
    case 1:
        y = tiny_1(d->g, &tiny_half, x);
        break;
    case 2:
        y = tiny_1(d->g, &tiny_centre, x);
        break;
    case 3:
        y = tiny_1(d->g, &tiny_flip, x);
        break;
    case 4:
    case 5:
        y = (z = random_like(d, x)) ? tiny_2(d->g, &tiny_plus, x, z) : 0;
        break;
    case 6:
        y = tiny_2(d->g, &tiny_bias, x, tiny_1(d->g, &tiny_colmean, x));
        break;
    case 7:
        y = tiny_make_noise(d->g, r, c);
        break;
    case 8:
        if (c <= 40)
            y = tiny_2(d->g, &tiny_mm, x, random_state(d, c, 1 + mill_rng_below(&d->rng, 16)));
        break;
    case 9:
        random_view(d, i);
        break;
    default:
        random_update(d, i);
        break;
    }
    random_keep(d, y, y, false);
}

TINY void random_graph_new(random_graph *d, uint64_t seed, int steps)
{
    static const int64_t height[] = {1, 3, 6, 40, 130, 200}, width[] = {1, 5, 16};
    *d = (random_graph){.rng = mill_rng_init(seed, 9, 9)};
    if (mill_graph_new(&d->g)) abort();
    for (int i = 0; i < 3; i++) {
        char name[32];
        const int64_t h = height[mill_rng_below(&d->rng, 6)], w = width[mill_rng_below(&d->rng, 3)];
        snprintf(name, sizeof name, "in%d", i);
        const mill_ref x = mill_input(d->g, name, MILL_T_REAL, SHAPE(h, w));
        random_keep(d, x, x, true);
        const mill_ref s = random_state(d, h, w);
        random_keep(d, s, s, false);
    }
    for (int i = 0; i < steps; i++) random_step(d);
    for (int i = d->n; i-- > 0 && d->n_outputs < 4;)
        if (!d->x[i].dead && mill_rng_below(&d->rng, 3) == 0) {
            char name[32];
            snprintf(name, sizeof name, "out%d", d->n_outputs++);
            mill_output(d->g, name, d->x[i].ref);
        }
}

#endif
