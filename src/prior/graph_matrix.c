/*
 * graph_matrix.c - random weights and random matrices.
 *
 *     weights(n)   softmax of -q ln i + s N(0, 1) in random order, to norm sqrt(n)
 *     gaussian     N(0, 1)
 *     weights      a row of weights times Gaussians, normalised
 *     singular     U diag(weights) V, U and V Gaussian, min(rows, cols) values
 *     kernel       +- exp(-g |p_i - q_j|), points of a 3-D mixture
 *     activation   one of the four above, finished, through an activation as one row; + 1e-3 N
 *
 * then + 1e-6 N, and rows over 1e-6 + their norm.  Decay q and spread s are drawn for each row, the
 * kind once for a batch, as are a kernel's g and its mixture.
 */
#include "prior/graph_inner.h"

#include "base/gemm.h"

static const char *const kind_name[] = {"gaussian", "weights", "singular", "kernel", "activation"};
enum { KIND_GAUSSIAN, KIND_WEIGHTS, KIND_SINGULAR, KIND_KERNEL, KIND_ACTIVATION };

mill_err graph_weights(float *w, scm *s, int64_t rows, int n)
{
    if (s->uniform_weights) {
        draw_uniforms(s->draw, w, rows * n);
        return MILL_OK;
    }
    const prior_mark mark = prior_arena_mark(s->arena);
    double *const u = prior_alloc(s->arena, 2 * rows, sizeof *u);
    float *const log_rank = prior_alloc(s->arena, n + 16, sizeof *log_rank);

    if (!u || !log_rank) return MILL_ENOMEM;
    scalar_betas(u, rows, s, NUM_weight_decay);
    scalar_betas(u + rows, rows, s, NUM_weight_spread);
    draw_normals(s->draw, w, rows * n);
    s->k->graph_weight_rows(w, rows, n, u, log_rank, s->draw);
    prior_arena_release(s->arena, mark);
    return MILL_OK;
}

static mill_err weights_matrix(float *m, scm *s, int64_t rows, int cols)
{
    float *const g = prior_alloc(s->arena, rows * cols, sizeof *g);

    if (!g) return MILL_ENOMEM;
    TRY(graph_weights(m, s, rows, cols));
    draw_normals(s->draw, g, rows * cols);
    s->k->graph_scale_by(m, g, rows * cols);
    s->k->graph_normalise_rows(m, rows, cols);
    return MILL_OK;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): written through the product */
static mill_err singular_matrix(float *m, scm *s, int64_t batch, int rows, int cols)
{
    const int k = rows < cols ? rows : cols;
    float *const u = prior_alloc(s->arena, batch * rows * k, sizeof *u);
    float *const v = prior_alloc(s->arena, batch * k * cols, sizeof *v);
    float *const w = prior_alloc(s->arena, batch * k, sizeof *w);

    if (!u || !v || !w) return MILL_ENOMEM;
    draw_normals(s->draw, u, batch * rows * k);
    TRY(graph_weights(w, s, batch, k));
    draw_normals(s->draw, v, batch * k * cols);
    for (int64_t b = 0; b < batch; b++) {
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < k; j++) u[(b * rows + i) * k + j] *= w[b * k + j];
        const gemm_args g = {.c = m + b * rows * cols,
                             .a = u + b * rows * k,
                             .b = v + b * k * cols,
                             .m = rows,
                             .n = cols,
                             .k = k,
                             .lda = k,
                             .ldb = cols,
                             .ldc = cols};
        gemm_own(&g);
    }
    return MILL_OK;
}

static mill_err kernel_matrix(float *m, scm *s, int64_t batch, int rows, int cols)
{
    const int64_t n = batch * (rows + cols);
    float *const p = prior_alloc(s->arena, 3 * n, sizeof *p);

    if (!p) return MILL_ENOMEM;
    TRY(graph_mixture(p, s, n));
    const double g = scalar_log(s, NUM_kernel_factor, 0.1, 10.0);
    draw_normals(s->draw, m, batch * rows * cols); /* the signs */
    for (int64_t b = 0; b < batch; b++)
        s->k->graph_laplace(m + b * rows * cols, rows, cols, p + b * (rows + cols), n, (float)g);
    return MILL_OK;
}

static mill_err finish(float *m, scm *s, int64_t rows, int cols)
{
    float *const noise = prior_alloc(s->arena, rows * cols, sizeof *noise);

    if (!noise) return MILL_ENOMEM;
    draw_normals(s->draw, noise, rows * cols);
    s->k->graph_add_scaled(m, noise, rows * cols, 1e-6f);
    s->k->graph_normalise_rows(m, rows, cols);
    return MILL_OK;
}

static mill_err simple(float *m, scm *s, int kind, int64_t batch, int rows, int cols)
{
    if (kind == KIND_WEIGHTS) return weights_matrix(m, s, batch * rows, cols);
    if (kind == KIND_SINGULAR) return singular_matrix(m, s, batch, rows, cols);
    if (kind == KIND_KERNEL) return kernel_matrix(m, s, batch, rows, cols);
    draw_normals(s->draw, m, batch * rows * cols);
    return MILL_OK;
}

static mill_err activation_matrix(float *m, scm *s, int64_t batch, int rows, int cols)
{
    const int64_t n = (int64_t)rows * cols;
    const int kind = scalar_pick_of(s, PICK_simple_matrix, 4);
    float *const noise = prior_alloc(s->arena, batch * n, sizeof *noise);

    say(s, ",\"of\":\"%s\"", kind_name[kind]);
    if (!noise) return MILL_ENOMEM;
    TRY(simple(m, s, kind, batch, rows, cols));
    TRY(finish(m, s, batch * rows, cols));
    TRY(graph_activate_plain(m, s, batch, n));
    draw_normals(s->draw, noise, batch * n);
    s->k->graph_add_scaled(m, noise, batch * n, 1e-3f);
    return MILL_OK;
}

mill_err graph_matrices(float *m, scm *s, int64_t batch, int rows, int cols)
{
    const prior_mark mark = prior_arena_mark(s->arena);
    const int kind = s->gaussian_matrices ? KIND_GAUSSIAN : scalar_pick_of(s, PICK_matrix, 5);

    say(s, "{\"kind\":\"%s\",\"shape\":[%lld,%d,%d]", kind_name[kind], (long long)batch, rows,
        cols);
    if (kind == KIND_ACTIVATION) {
        TRY(activation_matrix(m, s, batch, rows, cols));
    } else {
        TRY(simple(m, s, kind, batch, rows, cols));
    }
    TRY(finish(m, s, batch * rows, cols));
    say(s, "}");
    prior_arena_release(s->arena, mark);
    return MILL_OK;
}

void graph_product(const mat *y, const float *m, const mat *x)
{
    const gemm_args g = {.c = y->x,
                         .a = m,
                         .b = x->x,
                         .m = y->d,
                         .n = (x->n + 15) / 16 * 16,
                         .k = x->d,
                         .lda = x->d,
                         .ldb = x->ld,
                         .ldc = y->ld};

    gemm_own(&g);
}
