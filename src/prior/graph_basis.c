/*
 * graph_basis.c - random functions that weigh many fixed ones: trees, products of pairs, waves.
 *
 *     tree  mean of oblivious trees: splits x > a random row's value, columns by their deviation
 *     quad  x~' M_o x~, x~ up to 20 random columns and a 1: over products of pairs, M_o folded
 *     gp    256 random cosines, frequencies with density ~ (1 + r)^-a
 */
#include "prior/graph_inner.h"

#include "base/gemm.h"
#include "base/vrow.h"

#include <math.h>
#include <string.h>

/* ---- tree ---------------------------------------------------------------------------------- */

/* cumulated (d): standard deviations as weights. */
static void cumulate_spread(double *cumulated, scm *s, const mat *x)
{
    double sum = 0, moments[2];

    for (int k = 0; k < x->d; k++) {
        s->k->graph_moments(moments, x->x + k * x->ld, x->fit);
        sum += moments[1] > 1e-8 && moments[1] < 1e300 ? moments[1] : 1e-8;
        cumulated[k] = sum;
    }
}

static int find_weighted(const double *cumulated, int n, double target)
{
    int low = 0, high = n - 1;

    while (low < high) {
        const int mid = (low + high) / 2;
        if (target < cumulated[mid]) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return low;
}

enum { TREE_OUTPUTS = 32 }; /* leaves of so many outputs at a time: 2 MiB at most */

mill_err graph_tree(const mat *y, scm *s, const mat *x)
{
    const double drawn = scalar_log(s, NUM_trees, 1.0, (double)TREE_MOST);
    const int trees = (int)rint(drawn), depth = (int)scalar_int(s, NUM_tree_depth, 1, TREE_DEPTH);
    const int splits = trees * depth, leaves = trees << depth;
    const int wide = y->d < TREE_OUTPUTS ? y->d : TREE_OUTPUTS;
    double *const cumulated = prior_alloc(s->arena, x->d, sizeof *cumulated);
    tree_split *const split = prior_alloc(s->arena, splits, sizeof *split);
    float *const leaf = prior_alloc(s->arena, (int64_t)leaves * wide + 16, sizeof *leaf);

    if (!cumulated || !split || !leaf) return MILL_ENOMEM;
    say(s, ",\"trees\":%d,\"depth\":%d", trees, depth);
    cumulate_spread(cumulated, s, x);
    for (int i = 0; i < splits; i++) {
        const double target = draw_u01(s->draw) * cumulated[x->d - 1];
        const int dim = find_weighted(cumulated, x->d, target);
        split[i] = (tree_split){dim, x->x[dim * x->ld + draw_below(s->draw, x->fit)]};
    }
    for (int o = 0; o < y->d; o += TREE_OUTPUTS) {
        const tree_job j = {.split = split,
                            .leaf = leaf,
                            .trees = trees,
                            .depth = depth,
                            .out = y->d - o < TREE_OUTPUTS ? y->d - o : TREE_OUTPUTS};
        const mat part = mat_slice(y, o, j.out);
        draw_normals(s->draw, leaf, (int64_t)leaves * j.out);
        s->k->graph_trees(&part, x, &j);
    }
    return MILL_OK;
}

/* ---- quad ---------------------------------------------------------------------------------- */

enum { QUAD_INPUTS = 20, QUAD_ROWS = 64 };

/* (out, n, n) -> (out, pairs): what x_i x_j, i <= j, counts. */
static void fold(float *pair, const float *m, int out, int n)
{
    for (int o = 0; o < out; o++, m += (int64_t)n * n)
        for (int i = 0; i < n; i++)
            for (int j = i; j < n; j++)
                *pair++ = i == j ? m[i * n + i] : m[i * n + j] + m[j * n + i];
}

mill_err graph_quad(const mat *y, scm *s, const mat *x)
{
    const int f = x->d < QUAD_INPUTS ? x->d : QUAD_INPUTS, n = f + 1, pairs = n * (n + 1) / 2;
    int32_t *const from = prior_alloc(s->arena, x->d, sizeof *from);
    float *const m = prior_alloc(s->arena, (int64_t)y->d * n * n, sizeof *m);
    float *const coef = prior_alloc(s->arena, (int64_t)y->d * pairs, sizeof *coef);
    float *const in = prior_alloc(s->arena, (int64_t)n * QUAD_ROWS, sizeof *in);
    float *const pair = prior_alloc(s->arena, (int64_t)pairs * QUAD_ROWS, sizeof *pair);

    if (!from || !m || !coef || !in || !pair) return MILL_ENOMEM;
    draw_permutation(s->draw, from, x->d);
    say(s, ",\"inputs\":%d,\"matrix\":", f);
    TRY(graph_matrices(m, s, y->d, n, n));
    fold(coef, m, y->d, n);
    for (int64_t i = 0; i < x->n; i += QUAD_ROWS) {
        const int64_t left = (x->n - i + 15) / 16 * 16, rows = left < QUAD_ROWS ? left : QUAD_ROWS;
        for (int64_t k = 0; k < f; k++)
            memcpy(in + k * QUAD_ROWS, x->x + (f < x->d ? from[k] : k) * x->ld + i,
                   (size_t)rows * sizeof *in);
        for (int64_t r = 0; r < rows; r++) in[(int64_t)f * QUAD_ROWS + r] = 1.0f;
        s->k->graph_pairs(pair, QUAD_ROWS, in, QUAD_ROWS, n, rows);
        const gemm_args g = {.c = y->x + i,
                             .a = coef,
                             .b = pair,
                             .m = y->d,
                             .n = rows,
                             .k = pairs,
                             .lda = pairs,
                             .ldb = QUAD_ROWS,
                             .ldc = y->ld};
        gemm_own(&g);
    }
    return MILL_OK;
}

/* ---- gp ------------------------------------------------------------------------------------ */

enum { GP_WAVES = 256, GP_ROWS = 128 };

/* r (n): 1 / (1 + r)^(a - 1) uniform */
static void draw_radii(float *r, scm *s, int64_t n, double a)
{
    draw_uniforms(s->draw, r, n);
    for (int64_t i = 0; i < n; i++) {
        r[i] = r[i] < 1e-6f ? 1e-6f : r[i];
        r[i] = r[i] > (float)(1.0 - 1e-6) ? (float)(1.0 - 1e-6) : r[i];
    }
    mill_vrow_map(r, r, n, VROW_LOG);
    for (int64_t i = 0; i < n; i++) r[i] *= (float)(1.0 / (1.0 - a));
    mill_vrow_map(r, r, n, VROW_EXP);
    for (int64_t i = 0; i < n; i++) r[i] -= 1.0f;
}

/* freq (GP_WAVES, d): directions of random length through a random map of the inputs. */
/* NOLINTNEXTLINE(readability-non-const-parameter): written through the product */
static mill_err draw_frequencies(float *freq, scm *s, int d, double a)
{
    float *const radius = prior_alloc(s->arena, GP_WAVES, sizeof *radius);
    float *const way = prior_alloc(s->arena, (int64_t)GP_WAVES * d, sizeof *way);
    float *const map = prior_alloc(s->arena, (int64_t)d * d, sizeof *map);
    float *const weight = prior_alloc(s->arena, d, sizeof *weight);

    if (!radius || !way || !map || !weight) return MILL_ENOMEM;
    draw_radii(radius, s, GP_WAVES, a);
    draw_normals(s->draw, way, (int64_t)GP_WAVES * d);
    for (int w = 0; w < GP_WAVES; w++) {
        float *const v = way + (int64_t)w * d;
        float squares = 0;
        for (int k = 0; k < d; k++) squares += v[k] * v[k];
        const float scale = radius[w] / sqrtf(squares);
        for (int k = 0; k < d; k++) v[k] *= scale;
    }
    draw_normals(s->draw, map, (int64_t)d * d);
    TRY(graph_weights(weight, s, 1, d));
    const double scale = scalar_log(s, NUM_gp_scale, 0.5, 10.0);
    for (int i = 0; i < d; i++)
        for (int k = 0; k < d; k++) map[i * d + k] *= weight[i] * (float)scale;
    const gemm_args g = {.c = freq,
                         .a = way,
                         .b = map,
                         .m = GP_WAVES,
                         .n = d,
                         .k = d,
                         .lda = d,
                         .ldb = d,
                         .ldc = d,
                         .tb = true};
    gemm_own(&g);
    return MILL_OK;
}

mill_err graph_gp(const mat *y, scm *s, const mat *x)
{
    const double a = scalar_log(s, NUM_gp_a, 2.0, 20.0);
    const bool product = scalar_pick_of(s, PICK_product_kernel, 2) == 1;
    float *const freq = prior_alloc(s->arena, (int64_t)GP_WAVES * x->d, sizeof *freq);
    float *const phase = prior_alloc(s->arena, GP_WAVES, sizeof *phase);
    float *const weight = prior_alloc(s->arena, (int64_t)GP_WAVES * y->d, sizeof *weight);
    float *const wave = prior_alloc(s->arena, (int64_t)GP_WAVES * GP_ROWS, sizeof *wave);

    if (!freq || !phase || !weight || !wave) return MILL_ENOMEM;
    say(s, ",\"a\":%.6g,\"product_kernel\":%s", a, product ? "true" : "false");
    if (product) {
        draw_radii(freq, s, (int64_t)GP_WAVES * x->d, a);
    } else {
        TRY(draw_frequencies(freq, s, x->d, a));
    }
    for (int64_t i = 0; i < (int64_t)GP_WAVES * x->d; i++) freq[i] *= 0x1.45f306p-3f; /* turns */
    draw_uniforms(s->draw, phase, GP_WAVES);
    draw_normals(s->draw, weight, (int64_t)GP_WAVES * y->d);
    for (int64_t i = 0; i < (int64_t)GP_WAVES * y->d; i++) weight[i] *= 1.0f / 16.0f;

    for (int64_t i = 0; i < x->n; i += GP_ROWS) {
        const int64_t left = (x->n - i + 15) / 16 * 16, rows = left < GP_ROWS ? left : GP_ROWS;
        const gemm_args in = {.c = wave,
                              .a = freq,
                              .b = x->x + i,
                              .m = GP_WAVES,
                              .n = rows,
                              .k = x->d,
                              .lda = x->d,
                              .ldb = x->ld,
                              .ldc = GP_ROWS};
        gemm_own(&in);
        s->k->graph_cosines(wave, GP_ROWS, GP_WAVES, rows, phase);
        const gemm_args out = {.c = y->x + i,
                               .a = weight,
                               .b = wave,
                               .m = y->d,
                               .n = rows,
                               .k = GP_WAVES,
                               .lda = GP_WAVES,
                               .ldb = GP_ROWS,
                               .ldc = y->ld};
        gemm_own(&out);
    }
    return MILL_OK;
}
