/*
 * graph_centre.c - random functions of the distances to some rows; the nearest of them.
 *
 *     disc  a linear map of the nearest of k random rows
 *     em    softmax of -ln(2 pi s^2) / 2 - (|x - c|_p / s)^q over centres, then a linear map
 */
#include "prior/graph_inner.h"

#include "base/gemm.h"

#include <math.h>
#include <string.h>

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

mill_err graph_disc(const mat *y, scm *s, const mat *x)
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

mill_err graph_em(const mat *y, scm *s, const mat *x)
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
    return graph_linear(y, s, &share);
}
