/*
 * modes.h - mode-specific normalisation: a number as (which mode, where inside it).
 *
 * A column of numbers is described by a mixture of at most ten normals, fitted by variational Bayes
 * with a Dirichlet-process prior (Bishop 2006, section 10.2, in one dimension; CTGAN: Xu et al.
 * 2019, section 4.2).  A value becomes u = (x - mean_k) / (4 sd_k), clipped to +-0.99, and the mode
 * k, drawn by its responsibility.
 *
 * A value of at least a twentieth of the rows (and 20 rows) is an atom: a mode of its own with sd
 * 0, u = 0 inside it, and exactly that value again on the way back.  (Ours: 92 % zeros under a
 * normal of sd 48 would come back as 0 to 5.)  Atoms come first, in ascending order; the normals
 * are fitted to the other rows.
 *
 * The fit works on at most MODES_MAX_BINS weighted values, so its cost does not grow with the rows
 * once they are sorted.
 */
#ifndef MILL_SYNTH_MODES_H
#define MILL_SYNTH_MODES_H

#include "base/err.h"
#include "base/level.h"
#include <stdint.h>

enum { MODES_MAX = 10, MODES_MAX_ATOMS = 5, MODES_MAX_BINS = 1024 };

typedef struct {
    int n; /* atoms, and normals of more than 0.005 of all rows; at least one where atoms have not
              all */
    double mean[MODES_MAX], sd[MODES_MAX]; /* sd 0: an atom */
    double log_weight[MODES_MAX]; /* log rho_ik = log_weight[k] - (x - mean[k])^2 / (2 sd[k]^2); of
                                     an atom the log of its share */
} synth_modes;

/*
 * Fit to n >= 1 finite values (overwritten: sorted).  Same values in any order, same modes, on any
 * processor. MILL_ENOMEM only.
 */
mill_err modes_fit(synth_modes *out, double *x, int64_t n, uint64_t seed, uint32_t stream);

/*
 * Code n values: u[i] in [-0.99, 0.99] and mode[i] in 0..m->n-1.  An atom's value takes the atom;
 * another's mode is drawn from the normals' responsibilities (+1e-6, normalised) by one uniform
 * number of (seed, stream, element first + i).  Where all modes are atoms, the nearest.
 */
typedef struct {
    uint64_t seed;
    uint32_t stream;
    int64_t first;
} modes_draw;
void modes_apply(float *u, int32_t *mode, const double *x, int64_t n, const synth_modes *m,
                 const modes_draw *d);

static inline int modes_n_atoms(const synth_modes *m)
{
    int n = 0;
    while (n < m->n && m->sd[n] == 0) n++;
    return n;
}

static inline double modes_inverse(const synth_modes *m, double u, int k)
{
    u = u < -1 ? -1 : u > 1 ? 1 : u;
    return u * 4 * m->sd[k] + m->mean[k];
}

/* ---- the level file's half ---- */

typedef struct {
    int n_modes, n_bins;
    const double *x, *w; /* bins: value, how many rows */
    double *r;           /* (n_modes, MODES_MAX_BINS): weighted responsibilities */
    double mean[MODES_MAX], inv2var[MODES_MAX], log_weight[MODES_MAX]; /* of the E step */
    double count[MODES_MAX], sum[MODES_MAX];                           /* of the M step */
    double entropy;                                                    /* -sum w r log r */
} modes_em;

MILL_LEVEL_DECLARE(void, modes_e_step, (modes_em * e));
MILL_LEVEL_DECLARE(void, modes_spread, (double *out, const modes_em *e, const double *mean));
MILL_LEVEL_DECLARE(void, modes_apply_rows,
                   (float *u, int32_t *mode, const double *x, int64_t n, const synth_modes *m,
                    const modes_draw *d));

#endif
