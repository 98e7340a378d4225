/*
 * cpu/modes.c - the loops of modes.c that are worth vectors.
 *
 * Sums run in eight lanes that are added by a fixed tree, so every level gives the same bits.
 */
#include "synth/modes.h"

#include "base/philox.h"
#include "base/vmath.h"

#include <math.h>

enum { LANES = 8 };

/* sum_i f(i) over n, padded: lanes then tree. */
#define LANE_SUM(out, n, expr)                                 \
    do {                                                       \
        double acc_[LANES] = {0};                              \
        int i_ = 0;                                            \
        for (; i_ + LANES <= (n); i_ += LANES)                 \
            for (int l_ = 0; l_ < LANES; l_++) {               \
                const int i = i_ + l_;                         \
                acc_[l_] += (expr);                            \
            }                                                  \
        for (int i = i_; i < (n); i++) acc_[i - i_] += (expr); \
        (out) = ((acc_[0] + acc_[4]) + (acc_[2] + acc_[6])) +  \
                ((acc_[1] + acc_[5]) + (acc_[3] + acc_[7]));   \
    } while (0)

/* r[k][i] = w[i] * responsibility of mode k for bin i; counts, sums, and the entropy. */
void LEVEL_FN(modes_e_step)(modes_em *e)
{
    const int n = e->n_bins, modes = e->n_modes;
    double top[MODES_MAX_BINS], total[MODES_MAX_BINS], lse[MODES_MAX_BINS];

    for (int i = 0; i < n; i++) top[i] = -INFINITY;
    for (int k = 0; k < modes; k++) {
        double *r = e->r + (int64_t)k * MODES_MAX_BINS;
        const double mean = e->mean[k], inv2var = e->inv2var[k], c = e->log_weight[k];

        for (int i = 0; i < n; i++) {
            const double d = e->x[i] - mean;
            r[i] = fma(-d * inv2var, d, c);
            top[i] = r[i] > top[i] ? r[i] : top[i];
        }
    }
    for (int i = 0; i < n; i++) total[i] = 0;
    for (int k = 0; k < modes; k++) {
        const double *r = e->r + (int64_t)k * MODES_MAX_BINS;
        for (int i = 0; i < n; i++) total[i] += mill_exp_f64(r[i] - top[i]);
    }
    for (int i = 0; i < n; i++) lse[i] = top[i] + mill_log_f64(total[i]);

    e->entropy = 0;
    for (int k = 0; k < modes; k++) {
        double *r = e->r + (int64_t)k * MODES_MAX_BINS, part;
        double log_r[MODES_MAX_BINS];

        for (int i = 0; i < n; i++) {
            log_r[i] = r[i] - lse[i];
            r[i] = e->w[i] * mill_exp_f64(log_r[i]);
        }
        LANE_SUM(part, n, r[i] > 0 ? r[i] * log_r[i] : 0);
        e->entropy -= part;
        LANE_SUM(e->count[k], n, r[i]);
        LANE_SUM(e->sum[k], n, r[i] * e->x[i]);
    }
}

/* out[k] = sum_i r[k][i] (x[i] - mean[k])^2 */
void LEVEL_FN(modes_spread)(double *out, const modes_em *e, const double *mean)
{
    for (int k = 0; k < e->n_modes; k++) {
        const double *r = e->r + (int64_t)k * MODES_MAX_BINS, m = mean[k];
        LANE_SUM(out[k], e->n_bins, r[i] * (e->x[i] - m) * (e->x[i] - m));
    }
}

/* Over the drawn modes: the atoms' rows. */
static void put_atoms(float *u, int32_t *mode, const double *x, int n, const synth_modes *m,
                      int n_atoms)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < n_atoms; k++)
            if (x[i] == m->mean[k]) mode[i] = k, u[i] = 0;
}

static int nearest(double x, const synth_modes *m)
{
    int best = 0;
    for (int k = 1; k < m->n; k++)
        if (fabs(x - m->mean[k]) < fabs(x - m->mean[best])) best = k;
    return best;
}

/* 1, or the power of two that takes sd to where its square is a double. */
static double unit_of(double sd)
{
    if (sd > 0x1p-500 && sd < 0x1p500) return 1;
    return sd < 1 ? 0x1p1000 : 0x1p-1000;
}

/* Sixty-four values at a time: log rho, softmax over the modes, cumulative draw. */
void LEVEL_FN(modes_apply_rows)(float *u, int32_t *mode, const double *x, int64_t n,
                                const synth_modes *m, const modes_draw *d)
{
    enum { BLOCK = 64 };
    double p[MODES_MAX][BLOCK], top[BLOCK], total[BLOCK];
    const int n_atoms = modes_n_atoms(m);

    if (n_atoms == m->n) {
        for (int64_t i = 0; i < n; i++) u[i] = 0, mode[i] = nearest(x[i], m);
        return;
    }
    for (int64_t at = 0; at < n; at += BLOCK) {
        const int len = (int)(n - at < BLOCK ? n - at : BLOCK);

        for (int i = 0; i < len; i++) top[i] = -INFINITY, total[i] = 0;
        for (int k = n_atoms; k < m->n; k++) {
            const double unit = unit_of(m->sd[k]), sd = m->sd[k] * unit;
            const double inv2var = 0.5 / (sd * sd);
            for (int i = 0; i < len; i++) {
                const double z = (x[at + i] - m->mean[k]) * unit;
                p[k][i] = fma(-z * inv2var, z, m->log_weight[k]);
                top[i] = p[k][i] > top[i] ? p[k][i] : top[i];
            }
        }
        for (int k = n_atoms; k < m->n; k++)
            for (int i = 0; i < len; i++) total[i] += p[k][i] = mill_exp_f64(p[k][i] - top[i]);
        for (int i = 0; i < len; i++) {
            const uint32_t bits =
                mill_rand_bits(d->seed, 0, d->stream, (uint64_t)(d->first + at + i));
            /* p_k / total + 1e-6, against a uniform number of their sum */
            double left = (double)mill_u01(bits) * (1 + 1e-6 * (m->n - n_atoms));
            int k = n_atoms;
            for (; k < m->n - 1; k++) {
                /* p was filled for these k above; the analyzer takes m->n for another by now. */
                left -= p[k][i] / total[i] + 1e-6; /* NOLINT(clang-analyzer-core.*) */
                if (left < 0) break;
            }
            double v = (x[at + i] - m->mean[k]) / (4 * m->sd[k]);
            v = v < -0.99 ? -0.99 : v > 0.99 ? 0.99 : v;
            u[at + i] = (float)v;
            mode[at + i] = k;
        }
        put_atoms(u + at, mode + at, x + at, len, m, n_atoms);
    }
}
