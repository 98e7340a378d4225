/*
 * v1_causes.c - the causes of a v1 data set, column by column.
 *
 *     normal     N(0, 1); with statistics drawn before: mean m ~ N(0, 1), deviation |m N(0, 1)|
 *     uniform    U(0, 1)
 *     mixed      each column normal, of 2..20 levels with weights U(0, 1) and standardised, Zipf
 *                clamped at 10 less its mean, or uniform, by three thresholds of .66 U(0, 1)
 *
 * A column that comes out constant is 0 / 0 and so rejects the attempt, as it does in the official
 * code.
 */
#include "prior/v1.h"

#include "base/cpu.h"

#include <math.h>

static void (*const count_steps[MILL_N_LEVEL])(float *, int64_t, const float *,
                                               int) = MILL_LEVELS(v1_count_steps);

enum { MOST_LEVELS = 20, ZIPF_CLAMP = 10 };

/* y = (y - mean) * scale, scale 1 / std if it is to be standardised */
static void centre(float *y, int64_t rows, bool standardise)
{
    double sum = 0, squares = 0;

    for (int64_t i = 0; i < rows; i++) sum += (double)y[i];
    const double mean = sum / (double)rows;
    for (int64_t i = 0; i < rows; i++) {
        const double e = (double)y[i] - mean;
        squares += e * e;
    }
    const double std = standardise ? sqrt(squares / (double)(rows - 1)) : 1.0;
    if (std == 0.0) {
        for (int64_t i = 0; i < rows; i++) y[i] = NAN;
        return;
    }
    const double scale = 1.0 / std;
    for (int64_t i = 0; i < rows; i++) y[i] = (float)(((double)y[i] - mean) * scale);
}

/* Level k with probability cdf[k] - cdf[k - 1]. */
static void levels_column(float *y, int64_t rows, const double *cdf, int n, prior_draw *d)
{
    float step[MOST_LEVELS];

    for (int k = 0; k + 1 < n; k++) step[k] = (float)cdf[k];
    draw_uniforms(d, y, rows);
    count_steps[mill_cpu_level()](y, rows, step, n - 1);
}

static void categorical(float *y, int64_t rows, prior_draw *d)
{
    const int n = (int)draw_int(d, 2, MOST_LEVELS);
    double cdf[MOST_LEVELS], sum = 0;

    for (int k = 0; k < n; k++) cdf[k] = sum += draw_u01(d);
    for (int k = 0; k < n; k++) cdf[k] /= sum;
    levels_column(y, rows, cdf, n, d);
    centre(y, rows, true);
}

static void zipf(float *y, int64_t rows, prior_draw *d)
{
    double cdf[ZIPF_CLAMP];

    draw_zipf_cdf(cdf, 2.0 + 2.0 * draw_u01(d), ZIPF_CLAMP);
    levels_column(y, rows, cdf, ZIPF_CLAMP, d);
    centre(y, rows, false);
}

static void normal(float *y, int64_t rows, const v1_params *p, prior_draw *d)
{
    const double mean = draw_normal(d), std = fabs(draw_normal(d) * mean);
    const bool given = p->pre_cause_stats;

    draw_normals_at(d, y, rows, given ? (float)mean : 0.0f, given ? (float)std : 1.0f);
}

static void mixed(float *y, int64_t rows, const double threshold[3], const v1_params *p,
                  prior_draw *d)
{
    if (draw_u01(d) > threshold[2])
        normal(y, rows, p, d);
    else if (draw_u01(d) > threshold[1])
        categorical(y, rows, d);
    else if (draw_u01(d) > threshold[0])
        zipf(y, rows, d);
    else
        draw_uniforms(d, y, rows);
}

void v1_draw_causes(float *x, int64_t stride, int n, const v1_params *p, prior_try *t)
{
    const int64_t rows = t->at.rows;
    prior_draw *const d = &t->draw;
    double threshold[3];

    for (int i = 0; i < 3; i++) threshold[i] = 0.66 * draw_u01(d);
    for (int j = 0; j < n; j++) {
        float *const y = x + j * stride;
        if (p->causes == CAUSES_NORMAL)
            normal(y, rows, p, d);
        else if (p->causes == CAUSES_UNIFORM)
            draw_uniforms(d, y, rows);
        else
            mixed(y, rows, threshold, p, d);
    }
}
