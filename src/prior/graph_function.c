/*
 * graph_function.c - the eight kinds of random functions of a table, and functions of several.
 *
 *     mlp   linear maps of width log 1..127 with activations between, maybe before and after
 *     tree  mean of oblivious trees: splits x > a random row's value, columns by their deviation
 *     disc  a linear map of the nearest of k random rows
 *     lin   a linear map
 *     quad  x~' M_o x~, x~ up to 20 random columns and a 1: over products of pairs, M_o folded
 *     gp    256 random cosines, frequencies with density ~ (1 + r)^-a
 *     em    softmax of -ln(2 pi s^2) / 2 - (|x - c|_p / s)^q over centres, then a linear map
 *     prod  product of two of gp, tree, disc, lin, quad
 *
 * Matrices go to the left: y (out, rows) = M (out, in) x (in, rows), for rows come in the lanes.
 */
#include "prior/graph_inner.h"

#include "base/gemm.h"
#include "base/vrow.h"

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

static mill_err linear(const mat *y, scm *s, const mat *x)
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
    TRY(linear(y, s, x));
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

static mill_err tree(const mat *y, scm *s, const mat *x)
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

/* ---- disc, em: centres --------------------------------------------------------------------- */

mill_err graph_pick_rows(int32_t *row, scm *s, int64_t n, int k)
{
    const prior_mark mark = prior_arena_mark(s->arena);
    uint64_t *const taken = prior_alloc(s->arena, n / 64 + 1, sizeof *taken);

    if (!taken) return MILL_ENOMEM;
    if (2 * (int64_t)k > n) { /* many of few: a whole permutation */
        int32_t *const all = prior_alloc(s->arena, n, sizeof *all);
        if (!all) return MILL_ENOMEM;
        draw_permutation(s->draw, all, n);
        memcpy(row, all, (size_t)k * sizeof *row);
        prior_arena_release(s->arena, mark);
        return MILL_OK;
    }
    memset(taken, 0, (size_t)(n / 64 + 1) * sizeof *taken);
    for (int i = 0; i < k;) {
        const int64_t r = draw_below(s->draw, n);
        if (taken[r / 64] >> (r % 64) & 1) continue;
        taken[r / 64] |= (uint64_t)1 << (r % 64);
        row[i++] = (int32_t)r;
    }
    prior_arena_release(s->arena, mark);
    return MILL_OK;
}

static void copy_rows(float *centres, const mat *x, const int32_t *row, int k)
{
    for (int i = 0; i < k; i++)
        for (int c = 0; c < x->d; c++) centres[i * x->d + c] = x->x[c * x->ld + row[i]];
}

/* The largest difference of a row and a centre; not finite where one of them is not. */
static float widest(scm *s, const mat *x, const float *centres, int k)
{
    float most = 0;

    for (int c = 0; c < x->d; c++) {
        float range[2];
        s->k->graph_range(range, x->x + c * x->ld, x->n);
        for (int i = 0; i < k; i++) {
            const float v = centres[i * x->d + c];
            range[0] = v < range[0] ? v : range[0];
            range[1] = v > range[1] ? v : range[1];
        }
        const float width = range[1] - range[0];
        if (!(width < INFINITY)) return NAN;
        most = width > most ? width : most;
    }
    return most;
}

mill_err graph_nearest_centres(int32_t *at, scm *s, const mat *x, const float *centres, int k)
{
    const lp_job j = {x, centres, k, scalar_log(s, NUM_cat_disc_p, 0.5, 4.0)};
    const float wide = widest(s, x, centres, k);
    lp_power w;

    say(s, ",\"p\":%.6g", j.p);
    if (!(wide < INFINITY)) {
        s->is_lost = true;
        memset(at, 0, (size_t)x->ld * sizeof *at);
        return MILL_OK;
    }
    s->k->graph_lp_power(&w, j.p, wide);
    s->k->graph_nearest(at, &j, &w);
    return MILL_OK;
}

static mill_err disc(const mat *y, scm *s, const mat *x)
{
    const int64_t cap = s->c->max_discretization_cardinality;
    const int64_t most = (x->fit < cap ? x->fit : cap) - 1;
    const int k = (int)scalar_log_int(s, NUM_disc_centres, 2, most);
    int32_t *const row = prior_alloc(s->arena, k, sizeof *row);
    int32_t *const at = prior_alloc(s->arena, x->ld, sizeof *at);
    float *const centres = prior_alloc(s->arena, (int64_t)k * x->d, sizeof *centres);
    float *const m = prior_alloc(s->arena, (int64_t)y->d * x->d, sizeof *m);
    float *const target = prior_alloc(s->arena, (int64_t)y->d * k, sizeof *target);

    if (!row || !at || !centres || !m || !target) return MILL_ENOMEM;
    say(s, ",\"centres\":%d", k);
    TRY(graph_pick_rows(row, s, x->fit, k));
    copy_rows(centres, x, row, k);
    TRY(graph_nearest_centres(at, s, x, centres, k));
    say(s, ",\"matrix\":");
    TRY(graph_matrices(m, s, 1, y->d, x->d));
    const gemm_args g = {.c = target,
                         .a = m,
                         .b = centres,
                         .m = y->d,
                         .n = k,
                         .k = x->d,
                         .lda = x->d,
                         .ldb = x->d,
                         .ldc = k,
                         .tb = true};
    gemm_own(&g);
    for (int o = 0; o < y->d; o++)
        s->k->graph_gather(y->x + o * y->ld, target + (int64_t)o * k, at, x->n);
    return MILL_OK;
}

static mill_err em(const mat *y, scm *s, const mat *x)
{
    const int most = 2 * y->d > 16 ? 2 * y->d : 16;
    const int k = (int)scalar_log_int(s, NUM_em_components, 2, most);
    float *const centres = prior_alloc(s->arena, (int64_t)k * x->d, sizeof *centres);
    float *const noise = prior_alloc(s->arena, (int64_t)k * (x->d + 3), sizeof *noise);
    mat share;

    if (!centres || !noise) return MILL_ENOMEM;
    TRY(mat_new(&share, s, k, x));
    for (int i = 0; i < k; i++) {
        const int64_t row = draw_below(s->draw, x->fit);
        for (int c = 0; c < x->d; c++) centres[i * x->d + c] = x->x[c * x->ld + row];
    }
    draw_normals(s->draw, noise, (int64_t)k * (x->d + 1));
    s->k->graph_add_scaled(centres, noise, (int64_t)k * x->d, 1.0f);

    const double factor = scalar_number_of(s, NUM_em_std, (num_range){0.0, 1.0, false, false});
    const double p = scalar_log(s, NUM_em_p, 1.0, 4.0);
    const double q = scalar_number_of(s, NUM_em_q, (num_range){1.0, 2.0, false, false});
    const float wide = widest(s, x, centres, k);
    say(s, ",\"components\":%d,\"p\":%.6g,\"q\":%.6g", k, p, q);
    if (!(wide < INFINITY)) { /* NaN from here on, as upstream */
        for (int64_t i = 0; i < y->d * y->ld; i++) y->x[i] = NAN;
        return MILL_OK;
    }

    /* (|x - c|_p / sd)^q = exp(q / p ln sum - q ln sd), ln sd = factor N */
    float *const shift = noise + (int64_t)k * (x->d + 1), *const scale = shift + k;
    const lp_job j = {x, centres, k, p};
    lp_power w;
    s->k->graph_lp_power(&w, p, wide);
    for (int i = 0; i < k; i++) {
        const double log_sd = factor * (double)noise[(int64_t)k * x->d + i];
        shift[i] = (float)(-0.5 * 1.8378770664093453 - log_sd); /* ln 2 pi */
        scale[i] = (float)(q / p * w.log_unit - q * log_sd);
    }
    s->k->graph_sums(share.x, &j, &w);
    s->k->graph_em(&share, shift, scale, (float)(q / p));
    return linear(y, s, &share);
}

/* ---- quad ---------------------------------------------------------------------------------- */

enum { QUAD_INPUTS = 20, QUAD_ROWS = 64, QUAD_PAIRS = (QUAD_INPUTS + 1) * (QUAD_INPUTS + 2) / 2 };

/* (out, n, n) -> (out, pairs): what x_i x_j, i <= j, counts. */
static void fold(float *pair, const float *m, int out, int n)
{
    for (int o = 0; o < out; o++, m += n * n)
        for (int i = 0; i < n; i++)
            for (int j = i; j < n; j++)
                *pair++ = i == j ? m[i * n + i] : m[i * n + j] + m[j * n + i];
}

static mill_err quad(const mat *y, scm *s, const mat *x)
{
    const int f = x->d < QUAD_INPUTS ? x->d : QUAD_INPUTS, n = f + 1, pairs = n * (n + 1) / 2;
    int32_t *const from = prior_alloc(s->arena, x->d, sizeof *from);
    float *const m = prior_alloc(s->arena, (int64_t)y->d * n * n, sizeof *m);
    float *const coef = prior_alloc(s->arena, (int64_t)y->d * pairs, sizeof *coef);
    float *const in = prior_alloc(s->arena, n * QUAD_ROWS, sizeof *in);
    float *const pair = prior_alloc(s->arena, (int64_t)pairs * QUAD_ROWS, sizeof *pair);

    if (!from || !m || !coef || !in || !pair) return MILL_ENOMEM;
    draw_permutation(s->draw, from, x->d);
    say(s, ",\"inputs\":%d,\"matrix\":", f);
    TRY(graph_matrices(m, s, y->d, n, n));
    fold(coef, m, y->d, n);
    for (int64_t i = 0; i < x->n; i += QUAD_ROWS) {
        const int64_t left = (x->n - i + 15) / 16 * 16, rows = left < QUAD_ROWS ? left : QUAD_ROWS;
        for (int k = 0; k < f; k++)
            memcpy(in + k * QUAD_ROWS, x->x + (f < x->d ? from[k] : k) * x->ld + i,
                   (size_t)rows * sizeof *in);
        for (int64_t r = 0; r < rows; r++) in[f * QUAD_ROWS + r] = 1.0f;
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

static mill_err gp(const mat *y, scm *s, const mat *x)
{
    const double a = scalar_log(s, NUM_gp_a, 2.0, 20.0);
    const bool product = scalar_pick_of(s, PICK_product_kernel, 2) == 1;
    float *const freq = prior_alloc(s->arena, (int64_t)GP_WAVES * x->d, sizeof *freq);
    float *const phase = prior_alloc(s->arena, GP_WAVES, sizeof *phase);
    float *const weight = prior_alloc(s->arena, (int64_t)GP_WAVES * y->d, sizeof *weight);
    float *const wave = prior_alloc(s->arena, GP_WAVES * GP_ROWS, sizeof *wave);

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
        mlp, tree, disc, linear, quad, gp, em, prod};
    const prior_mark mark = prior_arena_mark(s->arena);

    say(s, "{\"function\":\"%s\",\"in\":%d,\"out\":%d", graph_func_name[kind], x->d, y->d);
    TRY(body[kind](y, s, x));
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
