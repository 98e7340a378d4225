/*
 * graph_points.c - random points: the values of a root, the places of a softmax's levels; and the
 * mixture that kernel matrices are made of.
 *
 *     uniform in [-1, 1]^d | in the unit ball | N(0, 1) | (uniform or N(0, 1)) through a Gaussian
 *     matrix with weighted columns;  then a random function to as many columns
 *
 *     mixture: centres N(0, 1); a point is centre + e^(N1 + N2 N_c) (G_c diag(w_c)) g, N1 and N2
 *     one for all, N_c, G_c and weights w_c per centre
 */
#include "prior/graph_inner.h"

#include "base/vmath.h"

#include <math.h>

static const char *const kind_name[] = {"uniform", "ball", "normal", "covariance"};

static void uniform(const mat *y, scm *s)
{
    for (int k = 0; k < y->d; k++) {
        draw_uniforms(s->draw, y->x + k * y->ld, y->n);
        s->k->graph_affine(y->x + k * y->ld, y->x + k * y->ld, y->n, 0.5f, 2.0f);
    }
}

static void normal(const mat *y, scm *s)
{
    for (int k = 0; k < y->d; k++) draw_normals(s->draw, y->x + k * y->ld, y->n);
}

static mill_err ball(const mat *y, scm *s)
{
    float *const u = prior_alloc(s->arena, y->ld, sizeof *u);

    if (!u) return MILL_ENOMEM;
    normal(y, s);
    draw_uniforms(s->draw, u, y->n);
    s->k->graph_ball(y, u);
    return MILL_OK;
}

static mill_err covariance(const mat *y, scm *s)
{
    float *const m = prior_alloc(s->arena, (int64_t)y->d * y->d, sizeof *m);
    float *const w = prior_alloc(s->arena, y->d, sizeof *w);
    mat base;

    if (!m || !w) return MILL_ENOMEM;
    TRY(mat_new(&base, s, y->d, y));
    draw_normals(s->draw, m, (int64_t)y->d * y->d);
    TRY(graph_weights(w, s, 1, y->d));
    for (int i = 0; i < y->d; i++)
        for (int k = 0; k < y->d; k++) m[i * y->d + k] *= w[k];
    if (scalar_pick_of(s, PICK_covariance_points, 2)) {
        normal(&base, s);
    } else {
        uniform(&base, s);
    }
    graph_product(y, m, &base);
    return MILL_OK;
}

mill_err graph_points(const mat *y, scm *s)
{
    const prior_mark mark = prior_arena_mark(s->arena);
    const int kind = scalar_pick_of(s, PICK_points, 4);
    mat base;

    TRY(mat_new(&base, s, y->d, y));
    say(s, ",\"points\":\"%s\",\"functions\":[", kind_name[kind]);
    if (kind == 0) uniform(&base, s);
    if (kind == 1) TRY(ball(&base, s));
    if (kind == 2) normal(&base, s);
    if (kind == 3) TRY(covariance(&base, s));
    TRY(graph_function(y, s, &base));
    say(s, "]");
    prior_arena_release(s->arena, mark);
    return MILL_OK;
}

/* ---- the mixture --------------------------------------------------------------------------- */

enum { CENTRES = 15 };

/* m (centres, 3, 3) with its scale and weights. */
static mill_err draw_maps(float *m, scm *s, int centres)
{
    float w[CENTRES * 3];
    const double mean = draw_normal(s->draw), spread = draw_normal(s->draw);

    TRY(graph_weights(w, s, centres, 3));
    draw_normals(s->draw, m, (int64_t)centres * 9);
    for (int c = 0; c < centres; c++) {
        const double scale = mill_exp_f64(fma(spread, draw_normal(s->draw), mean));
        for (int i = 0; i < 9; i++) m[c * 9 + i] *= w[c * 3 + i % 3] * (float)scale;
    }
    return MILL_OK;
}

mill_err graph_mixture(float *p, scm *s, int64_t n)
{
    const prior_mark mark = prior_arena_mark(s->arena);
    const int centres = (int)scalar_log_int(s, NUM_mixture_centres, 1, CENTRES);
    float *const g = prior_alloc(s->arena, 3 * n, sizeof *g);
    float *const u = prior_alloc(s->arena, n, sizeof *u);
    float weight[CENTRES], centre[CENTRES * 3], m[CENTRES * 9];

    if (!g || !u) return MILL_ENOMEM;
    TRY(graph_weights(weight, s, 1, centres));
    for (int c = 1; c < centres; c++) weight[c] += weight[c - 1];
    draw_normals(s->draw, centre, (int64_t)centres * 3);
    TRY(draw_maps(m, s, centres));
    draw_normals(s->draw, g, 3 * n);
    draw_uniforms(s->draw, u, n);
    for (int64_t i = 0; i < n; i++) {
        const float target = u[i] * weight[centres - 1];
        int c = 0;
        while (c + 1 < centres && target >= weight[c]) c++;
        for (int a = 0; a < 3; a++) {
            const float *row = m + 9 * (int64_t)c + 3 * (int64_t)a;
            p[a * n + i] =
                centre[c * 3 + a] + (row[0] * g[i] + row[1] * g[n + i] + row[2] * g[2 * n + i]);
        }
    }
    prior_arena_release(s->arena, mark);
    return MILL_OK;
}
