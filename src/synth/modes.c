/*
 * modes.c - variational Bayes for one column: a mixture of normals with a Dirichlet-process prior.
 *
 * Priors: concentration g = 0.001, mean m0 = mean(x), its weight b0 = 1, degrees of freedom 1,
 * scale W0 = var(x).  With N_k, x_k, S_k the count, mean and variance (+1e-6) of the
 * responsibilities,
 *
 *     a_k = 1 + N_k,  b_k = g + sum_{j>k} N_j,  beta_k = 1 + N_k,  nu_k = 1 + N_k,
 *     m_k = (m0 + N_k x_k) / beta_k,
 *     var_k = (W0 + N_k (S_k + (x_k - m0)^2 / beta_k)) / nu_k
 *     log rho_ik = E[log pi_k] - (x_i - m_k)^2 / (2 var_k)
 *                  + (log 2 + psi(nu_k/2) - 1/beta_k - log nu_k - log(2 pi) - log var_k) / 2
 *     E[log pi_k] = psi(a_k) - psi(a_k+b_k) + sum_{j<k} (psi(b_j) - psi(a_j+b_j))
 *
 * until the lower bound moves by less than 1e-3, at most 100 times; started from k-means++ and
 * Lloyd's iterations. The weight of mode k is a_k/(a_k+b_k) prod_{j<k} b_j/(a_j+b_j); modes at or
 * below 0.005 of all rows are dropped, but the
 * heaviest. Sources: Bishop 2006, 10.2; Blei and Jordan 2006; the defaults are
 * scikit-learn's BayesianGaussianMixture.  Atoms (modes.h) are taken out before.
 *
 * The ridge is no part of a scale: a column in [0, 1e-5] would become one normal of sd 1e-3.  So a
 * column of sd below 1/64 (or beyond 2^500, whose squares overflow) is fitted times a power of two.
 */
#include "synth/modes.h"

#include "base/cpu.h"
#include "base/mem.h"
#include "base/philox.h"
#include "base/sort.h"
#include "base/vmath.h"

#include <math.h>
#include <string.h>

static void (*const e_step[MILL_N_LEVEL])(modes_em *) = MILL_LEVELS(modes_e_step);
static void (*const spread[MILL_N_LEVEL])(double *, const modes_em *,
                                          const double *) = MILL_LEVELS(modes_spread);
static void (*const apply_rows[MILL_N_LEVEL])(float *, int32_t *, const double *, int64_t,
                                              const synth_modes *,
                                              const modes_draw *) = MILL_LEVELS(modes_apply_rows);

static const double prior_concentration = 0.001, ridge = 1e-6, least_weight = 0.005;
static const double least_variance = 0x1p-12; /* where the ridge is 1 of 250 parts of it */
enum {
    ATOM_SHARE = 20,
    ATOM_ROWS = 20
}; /* an atom: one row in so many or more, and so many rows */

/* Sorted values to at most MODES_MAX_BINS weighted means: equal values stay together. */
static int make_bins(double *bin, double *weight, const double *x, int64_t n)
{
    int64_t distinct = 1;
    for (int64_t i = 1; i < n; i++) distinct += x[i] != x[i - 1];
    /* a bin is closed when it holds its share of rows: half the bins are for the runs that overflow
     * theirs */
    const int64_t share =
        distinct <= MODES_MAX_BINS ? 1 : (n + MODES_MAX_BINS / 2 - 1) / (MODES_MAX_BINS / 2);

    int bins = 0;
    for (int64_t i = 0; i < n;) {
        int64_t j = i;
        double sum = 0;
        do {
            const double v = x[j];
            int64_t run = j;
            while (run < n && x[run] == v) run++;
            sum += (double)(run - j) * v;
            j = run;
        } while (j < n && j - i < share);
        bin[bins] = sum / (double)(j - i);
        weight[bins++] = (double)(j - i);
        i = j;
    }
    return bins;
}

/* k-means++ (weighted), then Lloyd; label[i] of each bin.  In one dimension, on sorted bins. */
static void k_means(int *label, const modes_em *e, mill_rng *rng)
{
    double centre[MODES_MAX], near[MODES_MAX_BINS];
    int n = 0;

    for (int i = 0; i < e->n_bins; i++) near[i] = 1;
    while (n < e->n_modes) {
        double total = 0;
        for (int i = 0; i < e->n_bins; i++) total += e->w[i] * near[i];
        if (total <= 0) break; /* fewer distinct values than modes */
        double left = mill_rng_f64(rng) * total;
        int pick = 0;
        for (; pick < e->n_bins - 1; pick++)
            if ((left -= e->w[pick] * near[pick]) < 0) break;
        centre[n++] = e->x[pick];
        for (int i = 0; i < e->n_bins; i++) {
            const double d = e->x[i] - centre[n - 1], d2 = d * d;
            near[i] = n == 1 || d2 < near[i] ? d2 : near[i];
        }
    }
    memset(label, 0, (size_t)e->n_bins * sizeof *label);
    for (int round = 0; round < 300; round++) {
        double sum[MODES_MAX] = {0}, count[MODES_MAX] = {0};
        bool moved = round == 0;

        for (int i = 0; i < e->n_bins; i++) {
            int best = 0;
            for (int k = 1; k < n; k++)
                if (fabs(e->x[i] - centre[k]) < fabs(e->x[i] - centre[best])) best = k;
            moved |= label[i] != best;
            label[i] = best;
            sum[best] += e->w[i] * e->x[i];
            count[best] += e->w[i];
        }
        if (!moved) return;
        for (int k = 0; k < n; k++)
            if (count[k] > 0) centre[k] = sum[k] / count[k];
    }
}

typedef struct {
    double m0, w0;
    double a[MODES_MAX], b[MODES_MAX], beta[MODES_MAX], mean[MODES_MAX], var[MODES_MAX];
} posterior;

static void m_step(posterior *p, const modes_em *e)
{
    double centre[MODES_MAX], s[MODES_MAX], after = 0;

    for (int k = 0; k < e->n_modes; k++) centre[k] = e->sum[k] / (e->count[k] + 10 * 0x1p-52);
    spread[mill_cpu_level()](s, e, centre);
    for (int k = e->n_modes - 1; k >= 0; k--) {
        const double n = e->count[k] + 10 * 0x1p-52, d = centre[k] - p->m0;

        p->a[k] = 1 + n;
        p->b[k] = prior_concentration + after;
        p->beta[k] = 1 + n;
        p->mean[k] = (p->m0 + n * centre[k]) / p->beta[k];
        p->var[k] = (p->w0 + n * (s[k] / n + ridge + d * d / p->beta[k])) / (1 + n);
        after += n;
    }
}

/* The constants of the next E step. */
static void expect(modes_em *e, const posterior *p)
{
    double stick = 0;
    for (int k = 0; k < e->n_modes; k++) {
        const double nu = p->beta[k], both = mill_digamma_f64(p->a[k] + p->b[k]);

        e->mean[k] = p->mean[k];
        e->inv2var[k] = 0.5 / p->var[k];
        e->log_weight[k] = stick + mill_digamma_f64(p->a[k]) - both +
                           0.5 * (0x1.62e42fefa39efp-1 + mill_digamma_f64(nu / 2) - 1 / nu -
                                  mill_log_f64(nu) - 1.8378770664093453 - mill_log_f64(p->var[k]));
        stick += mill_digamma_f64(p->b[k]) - both;
    }
}

static double log_beta(double a, double b)
{
    return mill_lgamma_f64(a) + mill_lgamma_f64(b) - mill_lgamma_f64(a + b);
}

static double lower_bound(const modes_em *e, const posterior *p)
{
    double bound = e->entropy;
    for (int k = 0; k < e->n_modes; k++) {
        const double nu = p->beta[k];
        const double log_det = -0.5 * (mill_log_f64(p->var[k]) + mill_log_f64(nu));
        bound += nu * log_det + nu * 0.5 * 0x1.62e42fefa39efp-1 + mill_lgamma_f64(nu / 2);
        bound += log_beta(p->a[k], p->b[k]) - 0.5 * mill_log_f64(nu);
    }
    return bound;
}

/* share: of the rows that the normals have, the others are atoms'. */
static void keep_valid(synth_modes *out, const modes_em *e, const posterior *p, double share)
{
    double weight[MODES_MAX], rest = 1, total = 0, most = 0;

    for (int k = 0; k < e->n_modes; k++) {
        weight[k] = rest * p->a[k] / (p->a[k] + p->b[k]);
        rest *= p->b[k] / (p->a[k] + p->b[k]);
        total += weight[k];
        most = weight[k] > most ? weight[k] : most;
    }
    for (int k = 0; k < e->n_modes; k++) {
        if (share * weight[k] <= least_weight * total && weight[k] < most) continue;
        out->mean[out->n] = p->mean[k];
        out->sd[out->n] = sqrt(p->var[k]);
        out->log_weight[out->n++] = e->log_weight[k];
    }
}

static void run(synth_modes *out, modes_em *e, posterior *p, double share)
{
    double last = -INFINITY;

    m_step(p, e);
    for (int round = 0; round < 100; round++) {
        expect(e, p);
        e_step[mill_cpu_level()](e);
        m_step(p, e);
        const double bound = lower_bound(e, p);
        if (fabs(bound - last) < 1e-3) break;
        last = bound;
    }
    expect(e, p);
    keep_valid(out, e, p, share);
}

static int64_t run_of(const double *x, int64_t n, int64_t i)
{
    int64_t j = i + 1;
    while (j < n && x[j] == x[i]) j++;
    return j - i;
}

static bool is_heavy(int64_t run, int64_t n)
{
    return run >= ATOM_ROWS && run * ATOM_SHARE >= n;
}

/*
 * The heaviest values of sorted x become atoms, in ascending order; returns how many values are
 * left in x.  At most 20 runs are heavy enough.
 */
static int64_t take_atoms(synth_modes *out, double *x, int64_t n)
{
    int64_t heavy[MODES_MAX_ATOMS] = {0}, left = 0;

    for (int64_t i = 0, run; i < n; i += run) { /* the largest runs, the first of equals */
        run = run_of(x, n, i);
        if (!is_heavy(run, n)) continue;
        int k = MODES_MAX_ATOMS;
        while (k > 0 && heavy[k - 1] < run) k--;
        for (int j = MODES_MAX_ATOMS - 1; j > k; j--) heavy[j] = heavy[j - 1];
        if (k < MODES_MAX_ATOMS) heavy[k] = run;
    }
    const int64_t least = heavy[MODES_MAX_ATOMS - 1];
    int ties = 0; /* of the least run that is in, only so many */
    for (int k = 0; k < MODES_MAX_ATOMS; k++) ties += heavy[k] == least;
    for (int64_t i = 0, run; i < n; i += run) {
        run = run_of(x, n, i);
        if (is_heavy(run, n) && (run > least || (run == least && ties-- > 0))) {
            out->mean[out->n] = x[i];
            out->log_weight[out->n++] = mill_log_f64((double)run / (double)n);
        } else {
            memmove(x + left, x + i, (size_t)run * sizeof *x);
            left += run;
        }
    }
    return left;
}

static void find_moments(posterior *p, const double *x, const double *w, int n_bins, int64_t n)
{
    p->m0 = p->w0 = 0;
    for (int i = 0; i < n_bins; i++) p->m0 += w[i] * x[i];
    p->m0 /= (double)n;
    for (int i = 0; i < n_bins; i++) p->w0 += w[i] * (x[i] - p->m0) * (x[i] - p->m0);
    p->w0 /= (double)(n > 1 ? n - 1 : 1);
}

/*
 * Mean and variance, of x times a power of two, the result, where the variance is so small that the
 * ridge would blur it or no square is a double: an sd of 1 to 2 then.  Ordinary columns stay as
 * they are to the bit.
 */
static int find_scale(posterior *p, double *x, const double *w, int n_bins, int64_t n)
{
    const double range = x[n_bins - 1] - x[0], size = range > 0 ? range : fabs(x[0]);
    int exponent = 0;

    find_moments(p, x, w, n_bins, n);
    if (range > 0 ? p->w0 >= least_variance && p->w0 <= 0x1p1000 : size < 0x1p500) return 0;
    for (int turn = 0; turn < 2; turn++) { /* by the range first, should the variance be lost */
        const bool known = p->w0 > 0x1p-1000 && p->w0 < 0x1p1000;
        const int k = known ? -ilogb(sqrt(p->w0)) : turn == 0 ? -ilogb(size) : 0;
        for (int i = 0; i < n_bins; i++) x[i] = ldexp(x[i], k);
        exponent += k;
        find_moments(p, x, w, n_bins, n);
    }
    return exponent;
}

mill_err modes_fit(synth_modes *out, double *x, int64_t n, uint64_t seed, uint32_t stream)
{
    modes_em e = {0};
    posterior p = {0};
    mill_rng rng = mill_rng_init(seed, stream, 0);
    int label[MODES_MAX_BINS];
    mill_err err = MILL_OK;

    memset(out, 0, sizeof *out);
    double *bin = mill_alloc((size_t)(2 + MODES_MAX) * MODES_MAX_BINS, sizeof *bin);
    if (!bin) return MILL_ENOMEM;
    if ((err = sort_f64(x, n))) goto done;
    const int64_t rows = n;
    n = take_atoms(out, x, rows);
    if (n == 0) goto done;
    e.x = bin;
    e.w = bin + MODES_MAX_BINS;
    e.r = bin + (int64_t)2 * MODES_MAX_BINS;
    e.n_bins = make_bins(bin, bin + MODES_MAX_BINS, x, n);
    e.n_modes = n < MODES_MAX - out->n ? (int)n : MODES_MAX - out->n;

    const int exponent = find_scale(&p, bin, e.w, e.n_bins, n);
    if (p.w0 <= 0) p.w0 = ridge; /* a column of one value */

    k_means(label, &e, &rng);
    for (int i = 0; i < e.n_bins; i++) {
        e.r[(int64_t)label[i] * MODES_MAX_BINS + i] = e.w[i];
        e.count[label[i]] += e.w[i];
        e.sum[label[i]] += e.w[i] * e.x[i];
    }
    run(out, &e, &p, (double)n / (double)rows);
    for (int k = modes_n_atoms(out); k < out->n && exponent; k++) {
        out->mean[k] = ldexp(out->mean[k], -exponent);
        out->sd[k] = fmax(ldexp(out->sd[k], -exponent), 0x1p-1074); /* 0 would be an atom */
    }
done:
    mill_free(bin);
    return err;
}

void modes_apply(float *u, int32_t *mode, const double *x, int64_t n, const synth_modes *m,
                 const modes_draw *d)
{
    apply_rows[mill_cpu_level()](u, mode, x, n, m, d);
}
