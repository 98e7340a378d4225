/*
 * cpu/glm_rows.c - rows of glm_rows.h.
 *
 *     scores    z = x_i w + b, a chain over numbers, then indicators
 *     add       sum += x_i' t
 *     weigh     t = D t: p (1 - p) t; of softmax p (t - p' t)
 *
 * A row's scores are eight classes at a time, which stay in registers while its numbers and
 * indicators pass by.  Sums over classes are eight chains and then a tree: the same bits at every
 * level.
 */
#include "learn/glm_rows.h"

#include "base/vec16.h"
#include "base/vmath.h"

#include <math.h>
#include <string.h>

enum { LANES = 8 };

typedef double v_d __attribute__((vector_size(4 * VL)));
typedef v_d v_dp __attribute__((aligned(8), may_alias));
typedef struct {
    v_d r[VN];
} d8v;

VI d8v d_load(const double *p)
{
    d8v a;
    UNROLL
    for (int i = 0; i < VN; i++) a.r[i] = *(const v_dp *)(p + i * VL / 2);
    return a;
}

VI void d_store(double *p, d8v a)
{
    UNROLL
    for (int i = 0; i < VN; i++) *(v_dp *)(p + i * VL / 2) = a.r[i];
}

VI d8v d_add(d8v a, d8v b)
{
    UNROLL
    for (int i = 0; i < VN; i++) a.r[i] += b.r[i];
    return a;
}

/* a + x b, rounded twice, as the scalar loops of one weight vector are */
VI d8v d_add_times(d8v a, double x, d8v b)
{
    UNROLL
    for (int i = 0; i < VN; i++) a.r[i] += x * b.r[i];
    return a;
}

VI double sum_lanes(const double s[LANES])
{
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

/* ---- one weight vector --------------------------------------------------------------------- */

VI double score_one(const glm_rows *g, int64_t i)
{
    const design_rows *x = g->x;
    const double *num = x->num + i * x->n_num;
    const int32_t *slot = x->slot + i * x->n_cat;
    double s = g->w[x->width];

    for (int j = 0; j < x->n_num; j++) s += num[j] * g->w[j];
    for (int j = 0; j < x->n_cat; j++) s += slot[j] < 0 ? 0 : g->w[slot[j]];
    return s;
}

/* With `square`, the squares of x_i. */
VI void add_one(double *sum, const design_rows *x, int64_t i, double t, int square)
{
    const double *num = x->num + i * x->n_num;
    const int32_t *slot = x->slot + i * x->n_cat;

    for (int j = 0; j < x->n_num; j++) sum[j] += (square ? num[j] * num[j] : num[j]) * t;
    for (int j = 0; j < x->n_cat; j++)
        if (slot[j] >= 0) sum[slot[j]] += t;
    sum[x->width] += t;
}

/* p: the probability, if it is asked for. */
VI double loss_one(double *p, const glm_rows *g, int64_t i, double z)
{
    const glm_problem *o = g->p;

    if (o->kind == GLM_SQUARED) return 0.5 * (z - o->y[i]) * (z - o->y[i]);
    if (p) *p = mill_sigmoid_f64(z);
    return mill_softplus_f64(o->label[i] ? -z : z);
}

VI double pass_one(const glm_rows *g, int64_t begin, int64_t end, double *sum, double *diag)
{
    const glm_problem *o = g->p;
    /* scores alone need no problem */
    const bool is_squared = g->pass != GLM_SCORES_ONLY && o->kind == GLM_SQUARED;
    double loss = 0;

    for (int64_t i = begin; i < end; i++) {
        switch (g->pass) {
        case GLM_AT_POINT:
            g->z[i] = score_one(g, i);
            loss += loss_one(&g->prob[i], g, i, g->z[i]);
            if (is_squared) {
                add_one(sum, g->x, i, g->z[i] - o->y[i], 0);
                add_one(diag, g->x, i, 1, 1);
            } else {
                add_one(sum, g->x, i, g->prob[i] - o->label[i], 0);
                add_one(diag, g->x, i, g->prob[i] * (1 - g->prob[i]), 1);
            }
            break;
        case GLM_TIMES_HESSIAN:
            add_one(sum, g->x, i,
                    score_one(g, i) * (is_squared ? 1 : g->prob[i] * (1 - g->prob[i])), 0);
            break;
        case GLM_ALONG_STEP:
            g->zd[i] = score_one(g, i);
            break;
        case GLM_TRY_STEP:
            loss += loss_one(NULL, g, i, g->z[i] + g->step * g->zd[i]);
            break;
        case GLM_SCORES_ONLY:
            g->out[i] = score_one(g, i);
            break;
        }
    }
    return loss;
}

/* ---- softmax ------------------------------------------------------------------------------- */

VI void scores(double *z, const glm_rows *g, int64_t i)
{
    const design_rows *x = g->x;
    const double *num = x->num + i * x->n_num;
    const int32_t *slot = x->slot + i * x->n_cat;
    const int64_t lanes = g->lanes;

    for (int64_t c = 0; c < lanes; c += LANES) {
        const double *w = g->w + c;
        d8v s = d_load(w + x->width * lanes);
        for (int j = 0; j < x->n_num; j++) s = d_add_times(s, num[j], d_load(w + j * lanes));
        for (int j = 0; j < x->n_cat; j++)
            if (slot[j] >= 0) s = d_add(s, d_load(w + slot[j] * lanes));
        d_store(z + c, s);
    }
}

VI void add(double *sum, const glm_rows *g, int64_t i, const double *t, int square)
{
    const design_rows *x = g->x;
    const double *num = x->num + i * x->n_num;
    const int32_t *slot = x->slot + i * x->n_cat;
    const int64_t lanes = g->lanes;

    for (int64_t c = 0; c < lanes; c += LANES) {
        const d8v v = d_load(t + c);
        double *const to = sum + c;
        for (int j = 0; j < x->n_num; j++)
            d_store(to + j * lanes,
                    d_add_times(d_load(to + j * lanes), square ? num[j] * num[j] : num[j], v));
        for (int j = 0; j < x->n_cat; j++)
            if (slot[j] >= 0) d_store(to + slot[j] * lanes, d_add(d_load(to + slot[j] * lanes), v));
        d_store(to + x->width * lanes, d_add(d_load(to + x->width * lanes), v));
    }
}

/* p = exp(z - max), not yet divided by their sum, which comes back; z behind the classes: -inf */
VI double exponentials(double *p, double *max, const double *z, int64_t lanes)
{
    double s[LANES] = {0}, m = z[0];

    for (int64_t c = 1; c < lanes; c++) m = z[c] > m ? z[c] : m;
    for (int64_t c = 0; c < lanes; c += LANES)
        for (int l = 0; l < LANES; l++) {
            const double e = mill_exp_f64(z[c + l] - m);
            p[c + l] = e;
            s[l] += e;
        }
    *max = m;
    return sum_lanes(s);
}

/* t = D t */
VI void weigh(double *t, const double *p, int64_t lanes)
{
    double s[LANES] = {0};

    for (int64_t c = 0; c < lanes; c += LANES)
        for (int l = 0; l < LANES; l++) s[l] += p[c + l] * t[c + l];
    const double mean = sum_lanes(s);
    for (int64_t c = 0; c < lanes; c++) t[c] = p[c] * (t[c] - mean);
}

VI double at_point(const glm_rows *g, int64_t i, double *sum, double *diag, double *t)
{
    const int64_t lanes = g->lanes;
    double *const z = g->z + i * lanes, *const p = g->prob + i * lanes, max;

    scores(z, g, i);
    const double all = exponentials(p, &max, z, lanes);
    for (int64_t c = 0; c < lanes; c++) t[c] = p[c] /= all;
    t[g->p->label[i]] -= 1;
    add(sum, g, i, t, 0);
    for (int64_t c = 0; c < lanes; c++) t[c] = p[c] * (1 - p[c]);
    add(diag, g, i, t, 1);
    return mill_log_f64(all) + max - z[g->p->label[i]];
}

VI double try_step(const glm_rows *g, int64_t i, double *t)
{
    const int64_t lanes = g->lanes;
    const double *z = g->z + i * lanes, *zd = g->zd + i * lanes;
    double max;

    for (int64_t c = 0; c < lanes; c++) t[c] = z[c] + g->step * zd[c];
    const double own = t[g->p->label[i]], all = exponentials(t, &max, t, lanes);
    return mill_log_f64(all) + max - own;
}

VI double pass_all(const glm_rows *g, int64_t begin, int64_t end, double *sum, double *diag,
                   double *t)
{
    double loss = 0;

    for (int64_t i = begin; i < end; i++) {
        switch (g->pass) {
        case GLM_AT_POINT:
            loss += at_point(g, i, sum, diag, t);
            break;
        case GLM_TIMES_HESSIAN:
            scores(t, g, i);
            weigh(t, g->prob + i * g->lanes, g->lanes);
            add(sum, g, i, t, 0);
            break;
        case GLM_ALONG_STEP:
            scores(g->zd + i * g->lanes, g, i);
            break;
        case GLM_TRY_STEP:
            loss += try_step(g, i, t);
            break;
        case GLM_SCORES_ONLY:
            scores(t, g, i);
            memcpy(g->out + i * g->k, t, (size_t)g->k * sizeof *t);
            break;
        }
    }
    return loss;
}

double LEVEL_FN(glm_rows_pass)(const glm_rows *g, int64_t begin, int64_t end, double *sum,
                               double *diag, double *t)
{
    return g->lanes == 1 ? pass_one(g, begin, end, sum, diag)
                         : pass_all(g, begin, end, sum, diag, t);
}

void LEVEL_FN(glm_rows_softmax)(double *z, int64_t rows, int k)
{
    for (int64_t i = 0; i < rows; i++, z += k) {
        double max = z[0], sum = 0;

        for (int c = 1; c < k; c++) max = z[c] > max ? z[c] : max;
        for (int c = 0; c < k; c++) z[c] = mill_exp_f64(z[c] - max);
        for (int c = 0; c < k; c++) sum += z[c];
        for (int c = 0; c < k; c++) z[c] /= sum;
    }
}
