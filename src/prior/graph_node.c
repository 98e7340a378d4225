/*
 * graph_node.c - the values of a node.
 *
 *     points, or a function of the parents
 *     (x - mean) / (std + 1e-4), times weights w / rms(w)          use_node_feature_importance
 *     over sqrt(mean over rows of |x|^2) + 1e-8                    use_node_l2_norm
 *     converters, each on columns of its own
 *     + logNum(1e-5, 1) N(0, 1)                                    graph_noise
 *     times logNum(.1, 10)                                         use_node_importance
 *
 * The first two are one pass: the sum of squares of a standardised column follows from its
 * deviation.  Columns that are emitted do not see the last two.  With two halves of rows
 * (ensure_iid) roots, weights, noise and importance are drawn for each half.
 */
#include "prior/graph_inner.h"

#include <math.h>
#include <string.h>

/* Where the second half begins; n: there is none. */
static int64_t half_of(const mat *y)
{
    return y->fit < y->n ? (y->fit + 15) / 16 * 16 : y->n;
}

static mill_err root(const mat *y, scm *s)
{
    const int64_t half = half_of(y);
    mat part = *y;

    if (half == y->n) return graph_points(y, s);
    part.n = y->fit;
    TRY(graph_points(&part, s));
    part.x += half;
    TRY(graph_points(&part, s));
    for (int k = 0; k < y->d; k++) /* rows between the halves are computed, too: as the first */
        for (int64_t i = y->fit; i < half; i++) y->x[k * y->ld + i] = y->x[k * y->ld];
    return MILL_OK;
}

/* w (d): over their root mean square. */
static mill_err importance(float *w, scm *s, int d)
{
    double squares = 0;

    TRY(graph_weights(w, s, 1, d));
    for (int k = 0; k < d; k++) squares += (double)w[k] * (double)w[k];
    const double scale = 1.0 / sqrt(squares / d);
    for (int k = 0; k < d; k++) w[k] = (float)((double)w[k] * scale);
    return MILL_OK;
}

/* Mean, and what the column is multiplied by; *squares: mean of what comes of it, squared. */
static void column_scale(double out[2], double *squares, scm *s, const float *x, int64_t fit,
                         double w)
{
    double moments[2] = {0, 0};

    if (!s->c->use_node_feature_importance) {
        s->k->graph_sum_squares(squares, x, fit);
        *squares /= (double)fit;
        out[0] = 0;
        out[1] = 1;
        return;
    }
    s->k->graph_moments(moments, x, fit);
    out[0] = moments[0];
    out[1] = w / (moments[1] + 1e-4);
    *squares = out[1] * moments[1] * (out[1] * moments[1]);
}

static mill_err weigh(const mat *y, scm *s)
{
    const int64_t half = half_of(y);
    float *const w = prior_alloc(s->arena, 2 * (int64_t)y->d, sizeof *w);
    double *const scale = prior_alloc(s->arena, 2 * (int64_t)y->d, sizeof *scale);
    double sum = 0;

    if (!w || !scale) return MILL_ENOMEM;
    if (s->c->use_node_feature_importance) {
        TRY(importance(w, s, y->d));
        if (half < y->n) TRY(importance(w + y->d, s, y->d));
    }
    for (int64_t k = 0; k < y->d; k++) {
        double squares;
        column_scale(scale + 2 * k, &squares, s, y->x + k * y->ld, y->fit, (double)w[k]);
        sum += squares;
    }
    const double l2 = s->c->use_node_l2_norm ? 1.0 / (sqrt(sum) + 1e-8) : 1.0;
    for (int64_t k = 0; k < y->d; k++) {
        float *const x = y->x + k * y->ld;
        const double a = scale[2 * k + 1] * l2;
        s->k->graph_affine(x, x, half, (float)scale[2 * k], (float)a);
        if (half == y->n) continue;
        const double other =
            s->c->use_node_feature_importance ? a / (double)w[k] * (double)w[y->d + k] : a;
        s->k->graph_affine(x + half, x + half, y->n - half, (float)scale[2 * k], (float)other);
    }
    return MILL_OK;
}

static mill_err convert(const mat *y, scm *s, const node_job *j, float *const *columns)
{
    const int64_t half = half_of(y), first = half == y->n ? 0 : half, rows = s->t->at.rows;
    float *const out = prior_alloc(s->arena, y->ld, sizeof *out);

    if (!out) return MILL_ENOMEM;
    say(s, ",\"columns\":[");
    for (int i = 0, at = 0; i < j->converters; at += j->converter[i++].dims) {
        const mat slice = mat_slice(y, at, j->converter[i].dims);
        if (i) say(s, ",");
        TRY(graph_convert(out, s, &j->converter[i], &slice));
        memcpy(columns[i], out + first, (size_t)rows * sizeof *out);
    }
    say(s, "]");
    return MILL_OK;
}

static mill_err disturb(const mat *y, scm *s, int64_t first, int64_t n)
{
    float *const noise = prior_alloc(s->arena, y->ld, sizeof *noise);
    const double level = s->c->graph_noise ? scalar_log(s, NUM_noise, 1e-5, 1.0) : 0.0;
    const double scale =
        s->c->use_node_importance ? scalar_log(s, NUM_node_importance, 0.1, 10.0) : 1.0;

    if (!noise) return MILL_ENOMEM;
    for (int k = 0; k < y->d; k++) {
        float *const x = y->x + k * y->ld + first;
        if (s->c->graph_noise) {
            draw_normals(s->draw, noise, n);
            s->k->graph_add_scaled(x, noise, n, (float)level);
        }
        s->k->graph_affine(x, x, n, 0.0f, (float)scale);
    }
    return MILL_OK;
}

mill_err graph_node(const mat *y, scm *s, const node_job *j, float *const *columns)
{
    const prior_mark mark = prior_arena_mark(s->arena);
    const int64_t half = half_of(y);

    if (j->parents) {
        TRY(graph_multi_function(y, s, j->parent, j->parents));
    } else {
        TRY(root(y, s));
    }
    if (s->c->use_node_feature_importance || s->c->use_node_l2_norm) TRY(weigh(y, s));
    TRY(convert(y, s, j, columns));
    if (!j->is_leaf) {
        TRY(disturb(y, s, 0, half));
        if (half < y->n) TRY(disturb(y, s, half, y->n - half));
    }
    prior_arena_release(s->arena, mark);
    return MILL_OK;
}
