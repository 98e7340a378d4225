/*
 * glm.c - penalised linear models by Newton's method with conjugate gradients.
 *
 *     f(w) = sum_i loss(z_i, y_i) + penalty |w|^2 / 2,   z_i = x_i w + b
 *     grad = X' r + penalty w,        r = dloss/dz
 *     H v  = X' D (X v) + penalty v,  D = d2loss/dz2 (p (1 - p); diag(p) - p p' for softmax; 1)
 *
 * Each Newton step solves H d = -grad by conjugate gradients with the diagonal of H as
 * preconditioner (columns may differ in scale by 10^5: a robust scaler leaves a mostly-zero column
 * as it is), to a residual that shrinks with the gradient, and halves the step until f falls
 * (Armijo).  The products with H never form it: a row with n numbers and m categories costs n + m
 * multiplications each way.  See Nocedal and Wright, "Numerical Optimization", 7.1.
 *
 * Rows are cut into chunks by shape alone; every chunk has its own sums, added in chunk order: the
 * same bits for any number of threads.
 */
#include "learn/glm_rows.h"

#include "base/cpu.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

enum { MAX_CHUNKS = 64, CHUNK_ROWS = 2048, MAX_CG = 500 };
#define MAX_PARTIAL ((int64_t)1 << 24) /* numbers in all chunks' sums together: 128 MiB */

static double (*const rows_pass[MILL_N_LEVEL])(const glm_rows *, int64_t, int64_t, double *,
                                               double *, double *) = MILL_LEVELS(glm_rows_pass);
static void (*const rows_softmax[MILL_N_LEVEL])(double *, int64_t,
                                                int) = MILL_LEVELS(glm_rows_softmax);

typedef struct {
    glm_rows rows;
    const design_rows *x;
    const glm_problem *p;
    int k, lanes;
    int64_t size, padded; /* numbers of all weights: by k, by lanes */
    int64_t n_chunks, chunk_rows;
    double *partial;      /* (chunks, padded) */
    double *partial_diag; /* (chunks, padded) */
    double *chunk_loss;   /* (chunks) */
    double *scaled;       /* (padded) weights times unit; then each thread's room (lanes) */
} glm;

void glm_softmax(double *z, int64_t rows, int k)
{
    rows_softmax[mill_cpu_level()](z, rows, k);
}

static void run_chunk(void *ctx, int64_t chunk, int thread)
{
    const glm *g = ctx;
    const glm_pass pass = g->rows.pass;
    const int64_t begin = chunk * g->chunk_rows;
    const int64_t end = begin + g->chunk_rows < g->x->rows ? begin + g->chunk_rows : g->x->rows;
    double *sum = g->partial + chunk * g->padded, *diag = g->partial_diag + chunk * g->padded;
    double *const room = g->scaled + g->padded + (int64_t)thread * g->lanes;

    if (pass == GLM_AT_POINT || pass == GLM_TIMES_HESSIAN)
        memset(sum, 0, (size_t)g->padded * sizeof *sum);
    if (pass == GLM_AT_POINT) memset(diag, 0, (size_t)g->padded * sizeof *diag);
    const double loss = rows_pass[mill_cpu_level()](&g->rows, begin, end, sum, diag, room);
    if (g->chunk_loss) g->chunk_loss[chunk] = loss;
}

/* w: (width + 1, k), or NULL where the pass reads none. */
static void run_pass(glm *g, glm_pass pass, const double *w, mill_pool *pool)
{
    const bool is_of_point = pass == GLM_AT_POINT || pass == GLM_SCORES_ONLY;

    g->rows.pass = pass;
    for (int j = 0; w && j <= g->x->width; j++) {
        const double unit = j < g->x->width ? g->x->unit[j] : 1;
        double *const to = g->scaled + (int64_t)j * g->lanes;
        for (int c = 0; c < g->k; c++) to[c] = w[(int64_t)j * g->k + c] * unit;
        for (int c = g->k; c < g->lanes; c++) /* no class: no probability */
            to[c] = j == g->x->width && is_of_point ? -(double)INFINITY : 0;
    }
    mill_pool_run(pool, g->n_chunks, run_chunk, g);
}

/* dst (size) = the chunks' sums, times unit `power` times. */
static void add_chunks(double *dst, const glm *g, const double *partial, int power)
{
    memset(dst, 0, (size_t)g->size * sizeof *dst);
    for (int64_t b = 0; b < g->n_chunks; b++)
        for (int j = 0; j <= g->x->width; j++) {
            const double *from = partial + b * g->padded + (int64_t)j * g->lanes;
            for (int c = 0; c < g->k; c++) dst[(int64_t)j * g->k + c] += from[c];
        }
    for (int j = 0; j < g->x->width; j++) {
        const double u = power == 2 ? g->x->unit[j] * g->x->unit[j] : g->x->unit[j];
        for (int c = 0; c < g->k; c++) dst[j * g->k + c] *= u;
    }
}

static double total_loss(const glm *g, const double *w, const double *d, double step)
{
    double loss = 0, norm = 0;

    for (int64_t b = 0; b < g->n_chunks; b++) loss += g->chunk_loss[b];
    for (int64_t j = 0; j < (int64_t)g->x->width * g->k; j++) {
        const double v = w[j] + (d ? step * d[j] : 0);
        norm += v * v;
    }
    return loss + 0.5 * g->p->penalty * norm;
}

static double dot(const double *a, const double *b, int64_t n)
{
    double s = 0;

    for (int64_t j = 0; j < n; j++) s += a[j] * b[j];
    return s;
}

typedef struct {
    double *grad, *diag, *d, *r, *u, *v, *hv; /* (size) each, one block */
} vectors;

static void times_hessian(glm *g, const vectors *q, mill_pool *pool)
{
    run_pass(g, GLM_TIMES_HESSIAN, q->v, pool);
    add_chunks(q->hv, g, g->partial, 1);
    for (int64_t j = 0; j < (int64_t)g->x->width * g->k; j++) q->hv[j] += g->p->penalty * q->v[j];
}

/* q->d: an approximate solution of H d = -grad, the residual at most `share` of the gradient in the
 * norm of the preconditioner. */
static void solve_step(glm *g, const vectors *q, double share, mill_pool *pool)
{
    const int64_t n = g->size;

    memset(q->d, 0, (size_t)n * sizeof *q->d);
    for (int64_t j = 0; j < n; j++) {
        q->r[j] = -q->grad[j];
        q->v[j] = q->u[j] = q->r[j] / q->diag[j];
    }
    double rho = dot(q->r, q->u, n);
    const double enough = share * share * rho;

    for (int it = 0; it < MAX_CG && rho > enough; it++) {
        times_hessian(g, q, pool);
        const double curve = dot(q->v, q->hv, n);
        if (!(curve > 0))
            return; /* rounding alone: H is positive but for the direction that moves nothing */
        const double a = rho / curve;
        for (int64_t j = 0; j < n; j++) {
            q->d[j] += a * q->v[j];
            q->r[j] -= a * q->hv[j];
            q->u[j] = q->r[j] / q->diag[j];
        }
        const double before = rho;
        rho = dot(q->r, q->u, n);
        for (int64_t j = 0; j < n; j++) q->v[j] = q->u[j] + rho / before * q->v[j];
    }
}

/* Halve the step from 1 until f falls enough; its length, 0 if it never does. */
static double find_step(glm *g, const double *w, const double *d, double loss, double slope,
                        mill_pool *pool)
{
    const double rounding = 1e-14 * fabs(loss);

    run_pass(g, GLM_ALONG_STEP, d, pool);
    for (g->rows.step = 1; g->rows.step > 0x1p-40; g->rows.step /= 2) {
        run_pass(g, GLM_TRY_STEP, NULL, pool);
        if (total_loss(g, w, d, g->rows.step) <= loss + 1e-4 * g->rows.step * slope + rounding)
            return g->rows.step;
    }
    return 0;
}

static void newton(double *w, glm *g, const vectors *q, mill_pool *pool)
{
    double first = 0;

    for (int i = 0; i < g->p->max_iterations; i++) {
        run_pass(g, GLM_AT_POINT, w, pool);
        add_chunks(q->grad, g, g->partial, 1);
        add_chunks(q->diag, g, g->partial_diag, 2);
        const double loss = total_loss(g, w, NULL, 0);

        double norm = 0;
        for (int64_t j = 0; j < g->size; j++) {
            const bool is_bias = j >= (int64_t)g->x->width * g->k;
            q->grad[j] += is_bias ? 0 : g->p->penalty * w[j];
            q->diag[j] += is_bias ? 0 : g->p->penalty;
            if (!(q->diag[j] > 1e-300)) q->diag[j] = 1;
            norm += q->grad[j] * q->grad[j] / q->diag[j];
        }
        if (i == 0) first = norm;
        if (norm <= 1e-30 * first || norm == 0) return;

        const double share = fmin(0.1, sqrt(sqrt(norm / first)));
        solve_step(g, q, share, pool);
        const double slope = dot(q->grad, q->d, g->size);
        const double step = slope < 0 ? find_step(g, w, q->d, loss, slope, pool) : 0;
        for (int64_t j = 0; j < g->size; j++) w[j] += step * q->d[j];
        if (-slope <= g->p->tolerance * (fabs(loss) + 1) || step == 0) return;
    }
}

static mill_err glm_init(glm *g, const design_rows *x, int k, int threads)
{
    g->x = x;
    g->k = k;
    g->lanes = k == 1 ? 1 : (k + 7) / 8 * 8;
    g->size = ((int64_t)x->width + 1) * k;
    g->padded = ((int64_t)x->width + 1) * g->lanes;

    int64_t most = MAX_PARTIAL / g->padded;
    most = most < 1 ? 1 : most > MAX_CHUNKS ? MAX_CHUNKS : most;
    g->chunk_rows = (x->rows + most - 1) / most;
    if (g->chunk_rows < CHUNK_ROWS) g->chunk_rows = CHUNK_ROWS;
    g->n_chunks = (x->rows + g->chunk_rows - 1) / g->chunk_rows;
    g->scaled =
        mill_alloc((size_t)g->padded + (size_t)threads * (size_t)g->lanes, sizeof *g->scaled);
    if (!g->scaled) return MILL_ENOMEM;
    g->rows = (glm_rows){.x = x, .p = g->p, .k = k, .lanes = g->lanes, .w = g->scaled};
    return MILL_OK;
}

static void glm_deinit(glm *g)
{
    mill_free(g->rows.z);
    mill_free(g->partial);
    mill_free(g->chunk_loss);
    mill_free(g->scaled);
}

mill_err glm_solve(double *w, const design_rows *x, const glm_problem *p, mill_pool *pool)
{
    glm g = {.p = p};
    double *block = NULL;
    mill_err err = glm_init(&g, x, p->k, pool ? mill_pool_threads(pool) : 1);

    if (err) goto done;
    err = MILL_ENOMEM;
    const int64_t cells = x->rows * g.lanes, sums = g.n_chunks * g.padded;
    if (!(g.rows.z = mill_alloc((size_t)cells + 1, 3 * sizeof *g.rows.z))) goto done;
    if (!(g.partial = mill_alloc((size_t)sums + 1, 2 * sizeof *g.partial))) goto done;
    if (!(g.chunk_loss = mill_alloc((size_t)g.n_chunks + 1, sizeof *g.chunk_loss))) goto done;
    if (!(block = mill_alloc((size_t)g.size, 7 * sizeof *block))) goto done;
    g.rows.prob = g.rows.z + cells;
    g.rows.zd = g.rows.prob + cells;
    g.partial_diag = g.partial + sums;

    double *part[7];
    for (int i = 0; i < 7; i++) part[i] = block + i * g.size;
    const vectors q = {part[0], part[1], part[2], part[3], part[4], part[5], part[6]};
    newton(w, &g, &q, pool);
    err = MILL_OK;
done:
    mill_free(block);
    glm_deinit(&g);
    return err;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): written through the job */
mill_err glm_scores(double *z, const double *w, const design_rows *x, int k, mill_pool *pool)
{
    glm g = {.k = k};
    const mill_err err = glm_init(&g, x, k, pool ? mill_pool_threads(pool) : 1);

    g.rows.out = z;
    if (!err) run_pass(&g, GLM_SCORES_ONLY, w, pool);
    glm_deinit(&g);
    return err;
}
