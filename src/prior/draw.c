/*
 * draw.c - see draw.h.
 *
 *     gamma      Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS
 *                26, 2000; below shape 1 that of shape + 1 times u^(1/shape)
 *     beta       x / (x + y) of two gammas, by their logarithms: u^(1/shape) may be below any
 *                double
 *     zeta       14 terms, then Euler and Maclaurin's remainder
 */
#include "prior/draw.h"

#include "base/cpu.h"
#include "base/vmath.h"

enum { STREAM_KEY = 0x70726b79 };

uint64_t prior_key(uint64_t seed, prior_purpose purpose, uint64_t index)
{
    uint32_t w[4];

    mill_philox(w, seed, (uint32_t)purpose, STREAM_KEY, index);
    return (uint64_t)w[1] << 32 | w[0];
}

prior_draw draw_init(uint64_t key, uint32_t step)
{
    return (prior_draw){.rng = mill_rng_init(key, 0, step)};
}

double draw_u01(prior_draw *d)
{
    return mill_rng_f64(&d->rng);
}

double draw_between(prior_draw *d, double a, double b)
{
    return fma(b - a, draw_u01(d), a);
}

double draw_log_between(prior_draw *d, double a, double b)
{
    return mill_exp_f64(draw_between(d, mill_log_f64(a), mill_log_f64(b)));
}

bool draw_flip(prior_draw *d, double p)
{
    return draw_u01(d) < p;
}

int64_t draw_below(prior_draw *d, int64_t n)
{
    return mill_rng_below(&d->rng, (uint32_t)n);
}

int64_t draw_int(prior_draw *d, int64_t least, int64_t most)
{
    return least + draw_below(d, most - least + 1);
}

double draw_normal(prior_draw *d)
{
    return mill_quantile_f64(draw_u01(d));
}

double draw_exponential(prior_draw *d, double mean)
{
    return -mean * mill_log_f64(draw_u01(d));
}

double draw_cauchy(prior_draw *d)
{
    const double half_turn = 3.14159265358979323846 * (draw_u01(d) - 0.5);

    return mill_sin_f64(half_turn) / mill_cos_f64(half_turn);
}

static double gamma_from_one(prior_draw *d, double shape)
{
    const double e = shape - 1.0 / 3.0, c = 1.0 / sqrt(9.0 * e);

    for (;;) {
        const double x = draw_normal(d), root = fma(c, x, 1.0), v = root * root * root;
        const double u = draw_u01(d);
        if (root <= 0.0) continue;
        if (mill_log_f64(u) < 0.5 * x * x + e * (1.0 - v + mill_log_f64(v))) return e * v;
    }
}

/* log of a gamma variable */
static double log_gamma_variable(prior_draw *d, double shape)
{
    if (shape >= 1.0) return mill_log_f64(gamma_from_one(d, shape));
    const double log_u = mill_log_f64(draw_u01(d));
    return mill_log_f64(gamma_from_one(d, shape + 1.0)) + log_u / shape;
}

double draw_beta(prior_draw *d, double a, double b)
{
    const double x = log_gamma_variable(d, a), y = log_gamma_variable(d, b);

    return mill_sigmoid_f64(x - y);
}

static double normal_cdf(double x)
{
    return 0.5 * (1.0 + mill_erf_f64(x * 0.70710678118654752440));
}

double draw_truncated_normal(prior_draw *d, double mu, double sigma, double low, double high)
{
    const double p0 = normal_cdf((low - mu) / sigma), p1 = normal_cdf((high - mu) / sigma);
    double p = fma(p1 - p0, draw_u01(d), p0);

    p = mill_min_f64(p, 0x1.fffffffffffffp-1); /* 1 would be infinite */
    const double x = fma(sigma, mill_quantile_f64(p), mu);
    return mill_min_f64(mill_max_f64(x, low), high);
}

static double zeta(double a)
{
    enum { TERMS = 14 };
    const double n = TERMS, tail = mill_pow_f64(n, -a);
    double sum = 0;

    for (int k = 1; k < TERMS; k++) sum += mill_pow_f64(k, -a);
    const double b4 = a * (a + 1.0) * (a + 2.0) / (720.0 * n * n * n);
    const double b6 = b4 * (a + 3.0) * (a + 4.0) / (42.0 * n * n);
    return sum + tail * (n / (a - 1.0) + 0.5 + a / (12.0 * n) - b4 + b6);
}

void draw_zipf_cdf(double *cdf, double a, int most)
{
    const double scale = 1.0 / zeta(a);
    double sum = 0;

    for (int k = 1; k < most; k++) {
        sum = fma(mill_pow_f64(k, -a), scale, sum);
        cdf[k - 1] = sum;
    }
    cdf[most - 1] = 1.0;
}

int draw_weighted(prior_draw *d, const double *weight, int n)
{
    double sum = 0, target = draw_u01(d);
    int last = 0;

    for (int i = 0; i < n; i++) sum += weight[i];
    target *= sum;
    sum = 0;
    for (int i = 0; i < n; i++) {
        if (!(weight[i] > 0)) continue;
        last = i; /* the sums are rounded: the last one that can come takes what is left */
        sum += weight[i];
        if (target < sum) return i;
    }
    return last;
}

void draw_permutation(prior_draw *d, int32_t *p, int64_t n)
{
    for (int64_t i = 0; i < n; i++) p[i] = (int32_t)i;
    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t j = draw_below(d, i + 1);
        const int32_t t = p[i];
        p[i] = p[j];
        p[j] = t;
    }
}

static void fill(prior_draw *d, void *y, int64_t n, mill_vrand kind)
{
    const mill_vrand_key key = {
        .seed = d->rng.seed, .step = d->rng.step, .stream = ++d->stream, .first = 0};

    mill_vrow_random(y, n, key, kind);
}

static void (*const normals[MILL_N_LEVEL])(float *, int64_t, mill_vrand_key, float,
                                           float) = MILL_LEVELS(prior_normals);

void draw_normals_at(prior_draw *d, float *y, int64_t n, float mean, float std)
{
    const mill_vrand_key key = {
        .seed = d->rng.seed, .step = d->rng.step, .stream = ++d->stream, .first = 0};

    normals[mill_cpu_level()](y, n, key, mean, std);
}

void draw_normals(prior_draw *d, float *y, int64_t n)
{
    draw_normals_at(d, y, n, 0.0f, 1.0f);
}

void draw_uniforms(prior_draw *d, float *y, int64_t n)
{
    fill(d, y, n, VRAND_U01);
}

void draw_words(prior_draw *d, uint32_t *y, int64_t n)
{
    fill(d, y, n, VRAND_BITS);
}
