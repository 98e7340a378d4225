/*
 * cpu/graph_draw.c - many beta variables and rows of random weights.
 *
 * As draw_beta() (two gammas by Marsaglia and Tsang, in logarithms), with the processor's FMA: in
 * a plain file each fma is a call.
 */
#include "prior/graph_kernel.h"

#include "base/vec16.h"

VI double uniform(prior_draw *d)
{
    return mill_rng_f64(&d->rng);
}

/* log of a gamma variable of shape a >= 1 */
static double log_gamma_from_one(prior_draw *d, double a)
{
    const double e = a - 1.0 / 3.0, c = 1.0 / sqrt(9.0 * e);

    for (;;) {
        const double x = (double)mill_quantilef(mill_rng_f32(&d->rng));
        const double root = fma(c, x, 1.0), u = uniform(d);
        if (root <= 0.0) continue;
        const double v = root * root * root, log_v = 3.0 * mill_log_f64(root);
        /* the squeeze of the paper: most draws need no logarithm of u */
        if (u < 1.0 - 0.0331 * x * x * x * x) return mill_log_f64(e) + log_v;
        if (mill_log_f64(u) < 0.5 * x * x + e * (1.0 - v + log_v)) return mill_log_f64(e) + log_v;
    }
}

static double log_gamma_variable(prior_draw *d, double a)
{
    if (a >= 1.0) return log_gamma_from_one(d, a);
    const double log_u = mill_log_f64(uniform(d));
    return log_gamma_from_one(d, a + 1.0) + log_u / a;
}

void LEVEL_FN(graph_betas)(double *y, int64_t n, double a, double b, prior_draw *d)
{
    for (int64_t i = 0; i < n; i++) {
        const double p = log_gamma_variable(d, a), q = log_gamma_variable(d, b);
        y[i] = mill_sigmoid_f64(p - q);
    }
}

/* Decay n^-q, q log-uniform-like in .1 / ln(n + 1) .. 6 with mass at both ends; spread s in
 * 1e-4 .. 10. */
VI float decay_of(double u, int n)
{
    const double low = mill_log_f64(0.1 / mill_log_f64(n + 1.0)), high = mill_log_f64(6.0);
    double v = fma(1.2, u, -0.1);

    v = v < 0 ? 0 : v > 1 ? 1 : v;
    return (float)mill_exp_f64(fma(high - low, v, low));
}

VI float spread_of(double u)
{
    const double low = mill_log_f64(1e-4), high = mill_log_f64(10.0);
    return (float)mill_exp_f64(fma(high - low, u, low));
}

/* The logarithms of 1 .. n are shuffled on from row to row: each order is as likely. */
void LEVEL_FN(graph_weight_rows)(float *w, int64_t rows, int n, const double *u, float *log_rank,
                                 prior_draw *d)
{
    for (int k = 0; k < n; k++) log_rank[k] = (float)mill_log_f64(k + 1.0);
    for (int64_t r = 0; r < rows; r++) {
        float *const row = w + r * n;
        const f16v decay = vset(-decay_of(u[r], n)), std = vset(spread_of(u[rows + r]));
        f16v top = vset(-INFINITY), squares = vset(0.0f);

        for (int k = n - 1; k > 0; k--) {
            const uint32_t at = mill_rng_below(&d->rng, (uint32_t)k + 1);
            const float t = log_rank[k];
            log_rank[k] = log_rank[at];
            log_rank[at] = t;
        }
        for (int k = 0; k < n; k += 16) {
            const int left = n - k < 16 ? n - k : 16;
            const f16v l = vfma(decay, vload_n(log_rank + k, left, 0.0f),
                                vmul(std, vload_n(row + k, left, 0.0f)));
            top = vsel(ifirst(left), vmax(l, top), top);
            vstore_n(row + k, l, left);
        }
        const f16v most = vset(vhmax(top));
        for (int k = 0; k < n; k += 16) {
            const int left = n - k < 16 ? n - k : 16;
            const f16v e = vexp(vsub(vload_n(row + k, left, -INFINITY), most));
            squares = vfma(e, e, squares);
            vstore_n(row + k, e, left);
        }
        const f16v scale = vset(sqrtf((float)n / vsum(squares)));
        for (int k = 0; k < n; k += 16) {
            const int left = n - k < 16 ? n - k : 16;
            vstore_n(row + k, vmul(scale, vload_n(row + k, left, 0.0f)), left);
        }
    }
}

void LEVEL_FN(graph_normalise_rows)(float *w, int64_t rows, int m)
{
    for (int64_t r = 0; r < rows; r++) {
        float *const row = w + r * m;
        f16v squares = vset(0.0f);

        for (int k = 0; k < m; k += 16) {
            const f16v v = vload_n(row + k, m - k < 16 ? m - k : 16, 0.0f);
            squares = vfma(v, v, squares);
        }
        float norm = sqrtf(vsum(squares));
        if (!(norm < INFINITY)) { /* doubles, in order: entries may be 1e30 */
            double sum = 0;
            for (int k = 0; k < m; k++) sum = fma((double)row[k], (double)row[k], sum);
            norm = (float)sqrt(sum);
        }
        const f16v over = vset(1e-6f + norm);
        for (int k = 0; k < m; k += 16) {
            const int left = m - k < 16 ? m - k : 16;
            vstore_n(row + k, vdiv(vload_n(row + k, left, 0.0f), over), left);
        }
    }
}

void LEVEL_FN(graph_scale_by)(float *w, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += 16) {
        const int left = n - i < 16 ? (int)(n - i) : 16;
        vstore_n(w + i, vmul(vload_n(w + i, left, 0.0f), vload_n(x + i, left, 0.0f)), left);
    }
}

void LEVEL_FN(graph_add_scaled)(float *w, const float *x, int64_t n, float a)
{
    for (int64_t i = 0; i < n; i += 16) {
        const int left = n - i < 16 ? (int)(n - i) : 16;
        const f16v y = vfma(vset(a), vload_n(x + i, left, 0.0f), vload_n(w + i, left, 0.0f));
        vstore_n(w + i, y, left);
    }
}

void LEVEL_FN(graph_ball)(const mat *x, const float *u)
{
    const float over = 1.0f / (float)x->d;

    for (int64_t i = 0; i < x->n; i += 16) {
        f16v squares = vset(0.0f);
        for (int k = 0; k < x->d; k++) {
            const f16v v = vload(x->x + k * x->ld + i);
            squares = vfma(v, v, squares);
        }
        const f16v length = vexp(vmul(vlog(vload(u + i)), vset(over)));
        const f16v scale = vdiv(length, vsqrt(squares));
        for (int k = 0; k < x->d; k++)
            vstore(x->x + k * x->ld + i, vmul(scale, vload(x->x + k * x->ld + i)));
    }
}

void LEVEL_FN(graph_laplace)(float *w, int n, int m, const float *p, int64_t stride, float g)
{
    const float *const q = p + n;

    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j += 16) {
            const int left = m - j < 16 ? m - j : 16;
            f16v squares = vset(0.0f);
            for (int a = 0; a < 3; a++) {
                const f16v v =
                    vsub(vload_n(q + a * stride + j, left, 0.0f), vset(p[a * stride + i]));
                squares = vfma(v, v, squares);
            }
            const f16v e = vexp(vneg(vmul(vset(g), vsqrt(squares))));
            float *const at = w + (int64_t)i * m + j;
            vstore_n(at, vcopysign(e, vload_n(at, left, 0.0f)), left);
        }
}
