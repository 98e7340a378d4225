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
#include "learn/glm.h"

#include "base/mem.h"
#include "base/vmath.h"

#include <math.h>
#include <string.h>

enum { MAX_CHUNKS = 64, CHUNK_ROWS = 2048, MAX_CG = 500 };
#define MAX_PARTIAL ((int64_t)1 << 24) /* numbers in all chunks' sums together: 128 MiB */

typedef enum { AT_POINT, TIMES_HESSIAN, ALONG_STEP, TRY_STEP, SCORES_ONLY } pass_kind;

typedef struct {
    const design_rows *x;
    const glm_problem *p;
    int k;
    int64_t size, n_chunks, chunk_rows;
    double *z, *prob, *zd; /* (rows, k): scores, probabilities, scores of the step */
    double *partial;       /* (chunks, size) */
    double *partial_diag;  /* (chunks, size) */
    double *chunk_loss;    /* (chunks) */
    double *scaled;        /* (size) weights times unit */
    pass_kind pass;
    double step;
    double *out; /* of SCORES_ONLY */
} glm;

void glm_softmax(double *z, int k)
{
    double max = z[0], sum = 0;

    for (int c = 1; c < k; c++) max = z[c] > max ? z[c] : max;
    for (int c = 0; c < k; c++) sum += z[c] = mill_exp_f64(z[c] - max);
    for (int c = 0; c < k; c++) z[c] /= sum;
}

/* z (k) = x_i w, w (width + 1, k) scaled. */
static void row_scores(double *z, const design_rows *x, int64_t i, const double *w, int k)
{
    const double *num = x->num + i * x->n_num;
    const int32_t *slot = x->slot + i * x->n_cat;
    const double *bias = w + (int64_t)x->width * k;

    if (k == 1) {
        double s = bias[0];
        for (int j = 0; j < x->n_num; j++) s += num[j] * w[j];
        for (int j = 0; j < x->n_cat; j++) s += slot[j] < 0 ? 0 : w[slot[j]];
        z[0] = s;
        return;
    }
    for (int c = 0; c < k; c++) z[c] = bias[c];
    for (int j = 0; j < x->n_num; j++)
        for (int c = 0; c < k; c++) z[c] += num[j] * w[j * k + c];
    for (int j = 0; j < x->n_cat; j++) {
        if (slot[j] < 0) continue;
        for (int c = 0; c < k; c++) z[c] += w[(int64_t)slot[j] * k + c];
    }
}

/* sum (width + 1, k) += x_i' t; with `square`, the squares of x_i. */
static void row_add(double *sum, const design_rows *x, int64_t i, const double *t, int k,
                    bool square)
{
    const double *num = x->num + i * x->n_num;
    const int32_t *slot = x->slot + i * x->n_cat;

    for (int j = 0; j < x->n_num; j++) {
        const double v = square ? num[j] * num[j] : num[j];
        for (int c = 0; c < k; c++) sum[j * k + c] += v * t[c];
    }
    for (int j = 0; j < x->n_cat; j++) {
        if (slot[j] < 0) continue;
        for (int c = 0; c < k; c++) sum[(int64_t)slot[j] * k + c] += t[c];
    }
    for (int c = 0; c < k; c++) sum[(int64_t)x->width * k + c] += t[c];
}

/* Loss of row i at scores z; p: its probabilities (k), if asked for. */
static double row_loss(double *p, const glm *g, int64_t i, const double *z)
{
    const glm_problem *o = g->p;

    if (o->kind == GLM_SQUARED) return 0.5 * (z[0] - o->y[i]) * (z[0] - o->y[i]);
    if (o->kind == GLM_LOGISTIC) {
        if (p) p[0] = mill_sigmoid_f64(z[0]);
        return mill_softplus_f64(o->label[i] ? -z[0] : z[0]);
    }
    double max = z[0], sum = 0;
    for (int c = 1; c < g->k; c++) max = z[c] > max ? z[c] : max;
    for (int c = 0; c < g->k; c++) {
        const double e = mill_exp_f64(z[c] - max);
        if (p) p[c] = e;
        sum += e;
    }
    for (int c = 0; p && c < g->k; c++) p[c] /= sum;
    return mill_log_f64(sum) + max - z[o->label[i]];
}

static void at_point(const glm *g, int64_t i, double *sum, double *diag, double *t)
{
    const glm_problem *o = g->p;
    const int k = g->k;
    const double *p = g->prob + i * k;

    for (int c = 0; c < k; c++) {
        if (o->kind == GLM_SQUARED)
            t[c] = g->z[i] - o->y[i];
        else
            t[c] = p[c] - (o->kind == GLM_LOGISTIC ? o->label[i] : o->label[i] == c);
    }
    row_add(sum, g->x, i, t, k, false);
    for (int c = 0; c < k; c++) t[c] = o->kind == GLM_SQUARED ? 1 : p[c] * (1 - p[c]);
    row_add(diag, g->x, i, t, k, true);
}

/* t (k) = D t for row i. */
static void times_d(const glm *g, int64_t i, double *t)
{
    const double *p = g->prob + i * g->k;

    if (g->p->kind == GLM_SQUARED) return;
    if (g->p->kind == GLM_LOGISTIC) {
        t[0] *= p[0] * (1 - p[0]);
        return;
    }
    double mean = 0;
    for (int c = 0; c < g->k; c++) mean += p[c] * t[c];
    for (int c = 0; c < g->k; c++) t[c] = p[c] * (t[c] - mean);
}

static void run_chunk(void *ctx, int64_t chunk, int thread)
{
    const glm *g = ctx;
    const int k = g->k;
    const int64_t begin = chunk * g->chunk_rows;
    const int64_t end = begin + g->chunk_rows < g->x->rows ? begin + g->chunk_rows : g->x->rows;
    double *sum = g->partial + chunk * g->size, *diag = g->partial_diag + chunk * g->size;
    double *t = g->scaled + g->size + (int64_t)thread * k; /* this thread's room */
    double loss = 0;

    if (g->pass == AT_POINT || g->pass == TIMES_HESSIAN)
        memset(sum, 0, (size_t)g->size * sizeof *sum);
    if (g->pass == AT_POINT) memset(diag, 0, (size_t)g->size * sizeof *diag);
    for (int64_t i = begin; i < end; i++) {
        switch (g->pass) {
        case AT_POINT:
            row_scores(g->z + i * k, g->x, i, g->scaled, k);
            loss += row_loss(g->prob + i * k, g, i, g->z + i * k);
            at_point(g, i, sum, diag, t);
            break;
        case TIMES_HESSIAN:
            row_scores(t, g->x, i, g->scaled, k);
            times_d(g, i, t);
            row_add(sum, g->x, i, t, k, false);
            break;
        case ALONG_STEP:
            row_scores(g->zd + i * k, g->x, i, g->scaled, k);
            break;
        case TRY_STEP:
            for (int c = 0; c < k; c++) t[c] = g->z[i * k + c] + g->step * g->zd[i * k + c];
            loss += row_loss(NULL, g, i, t);
            break;
        case SCORES_ONLY:
            row_scores(g->out + i * k, g->x, i, g->scaled, k);
            break;
        }
    }
    if (g->chunk_loss) g->chunk_loss[chunk] = loss;
}

static void run_pass(glm *g, pass_kind pass, const double *w, mill_pool *pool)
{
    g->pass = pass;
    if (w) {
        for (int j = 0; j < g->x->width; j++)
            for (int c = 0; c < g->k; c++)
                g->scaled[j * g->k + c] = w[j * g->k + c] * g->x->unit[j];
        for (int c = 0; c < g->k; c++)
            g->scaled[g->x->width * g->k + c] = w[g->x->width * g->k + c];
    }
    mill_pool_run(pool, g->n_chunks, run_chunk, g);
}

/* dst (size) = the chunks' sums, times unit `power` times. */
static void add_chunks(double *dst, const glm *g, const double *partial, int power)
{
    memset(dst, 0, (size_t)g->size * sizeof *dst);
    for (int64_t b = 0; b < g->n_chunks; b++)
        for (int64_t j = 0; j < g->size; j++) dst[j] += partial[b * g->size + j];
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
    run_pass(g, TIMES_HESSIAN, q->v, pool);
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

    run_pass(g, ALONG_STEP, d, pool);
    for (g->step = 1; g->step > 0x1p-40; g->step /= 2) {
        run_pass(g, TRY_STEP, NULL, pool);
        if (total_loss(g, w, d, g->step) <= loss + 1e-4 * g->step * slope + rounding)
            return g->step;
    }
    return 0;
}

static void newton(double *w, glm_outcome *how, glm *g, const vectors *q, mill_pool *pool)
{
    double first = 0;

    for (how->iterations = 0; how->iterations < g->p->max_iterations; how->iterations++) {
        run_pass(g, AT_POINT, w, pool);
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
        if (how->iterations == 0) first = norm;
        how->converged = norm <= 1e-30 * first || norm == 0;
        if (how->converged) return;

        const double share = fmin(0.1, sqrt(sqrt(norm / first)));
        solve_step(g, q, share, pool);
        const double slope = dot(q->grad, q->d, g->size);
        const double step = slope < 0 ? find_step(g, w, q->d, loss, slope, pool) : 0;
        for (int64_t j = 0; j < g->size; j++) w[j] += step * q->d[j];
        how->converged = -slope <= g->p->tolerance * (fabs(loss) + 1) || step == 0;
        if (how->converged) return;
    }
}

static mill_err glm_init(glm *g, const design_rows *x, int k, int threads)
{
    g->x = x;
    g->k = k;
    g->size = ((int64_t)x->width + 1) * k;

    int64_t most = MAX_PARTIAL / g->size;
    most = most < 1 ? 1 : most > MAX_CHUNKS ? MAX_CHUNKS : most;
    g->chunk_rows = (x->rows + most - 1) / most;
    if (g->chunk_rows < CHUNK_ROWS) g->chunk_rows = CHUNK_ROWS;
    g->n_chunks = (x->rows + g->chunk_rows - 1) / g->chunk_rows;
    g->scaled = mill_alloc((size_t)g->size + (size_t)threads * (size_t)k, sizeof *g->scaled);
    return g->scaled ? MILL_OK : MILL_ENOMEM;
}

static void glm_deinit(glm *g)
{
    mill_free(g->z);
    mill_free(g->partial);
    mill_free(g->chunk_loss);
    mill_free(g->scaled);
}

mill_err glm_solve(double *w, glm_outcome *how, const design_rows *x, const glm_problem *p,
                   mill_pool *pool)
{
    glm g = {.p = p};
    double *block = NULL;
    mill_err err = glm_init(&g, x, p->k, pool ? mill_pool_threads(pool) : 1);

    if (err) goto done;
    err = MILL_ENOMEM;
    const int64_t cells = x->rows * p->k;
    if (!(g.z = mill_alloc((size_t)cells + 1, 3 * sizeof *g.z))) goto done;
    if (!(g.partial = mill_alloc((size_t)(g.n_chunks * g.size) + 1, 2 * sizeof *g.partial)))
        goto done;
    if (!(g.chunk_loss = mill_alloc((size_t)g.n_chunks + 1, sizeof *g.chunk_loss))) goto done;
    if (!(block = mill_alloc((size_t)g.size, 7 * sizeof *block))) goto done;
    g.prob = g.z + cells;
    g.zd = g.prob + cells;
    g.partial_diag = g.partial + g.n_chunks * g.size;

    double *part[7];
    for (int i = 0; i < 7; i++) part[i] = block + i * g.size;
    const vectors q = {part[0], part[1], part[2], part[3], part[4], part[5], part[6]};
    newton(w, how, &g, &q, pool);
    err = MILL_OK;
done:
    mill_free(block);
    glm_deinit(&g);
    return err;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): written through the job */
mill_err glm_scores(double *z, const double *w, const design_rows *x, int k, mill_pool *pool)
{
    glm g = {.out = z};
    const mill_err err = glm_init(&g, x, k, pool ? mill_pool_threads(pool) : 1);

    if (!err) run_pass(&g, SCORES_ONLY, w, pool);
    glm_deinit(&g);
    return err;
}
