/*
 * draw.h - the random numbers of a data set: functions of (key, step, stream, element), never of
 * what was made before.
 *
 *     seed -> prior_key(seed, purpose, index) -> a prior_draw: a walk for single numbers (stream 0)
 *                                                and fresh streams 1, 2, ... for arrays
 *
 * Streams from 0x40000000 are a process's own, which numbers them itself: the layers of v1_mlp.c.
 * Those of the filter's trees begin there too; under the same key and step they are the same words,
 * put to other use.
 *
 * All in our own vmath and in doubles, so that every processor gives the same numbers; arrays go
 * through base/vrow.h, at the machine's level and with the same bytes.  A draw is a value: copy it,
 * and both copies go the same way.
 */
#ifndef MILL_PRIOR_DRAW_H
#define MILL_PRIOR_DRAW_H

#include "base/level.h"
#include "base/philox.h"
#include "base/vrow.h"
#include <stdbool.h>
#include <stdint.h>

/* What a key is for.  Of one seed, keys of different purposes and indices are independent. */
typedef enum { PRIOR_KEY_BLOCK, PRIOR_KEY_GROUP, PRIOR_KEY_SET } prior_purpose;

uint64_t prior_key(uint64_t seed, prior_purpose purpose, uint64_t index);

typedef struct {
    mill_rng rng;    /* stream 0 */
    uint32_t stream; /* the last that an array took */
} prior_draw;

prior_draw draw_init(uint64_t key, uint32_t step);

double draw_u01(prior_draw *d);                               /* in (0, 1) */
double draw_between(prior_draw *d, double a, double b);       /* uniform */
double draw_log_between(prior_draw *d, double a, double b);   /* log-uniform, 0 < a <= b */
bool draw_flip(prior_draw *d, double p);                      /* true with probability p */
int64_t draw_below(prior_draw *d, int64_t n);                 /* 0 .. n - 1, n < 2^32 */
int64_t draw_int(prior_draw *d, int64_t least, int64_t most); /* both included */
double draw_normal(prior_draw *d);                            /* by the quantile */
double draw_exponential(prior_draw *d, double mean);
double draw_cauchy(prior_draw *d);                   /* standard */
double draw_beta(prior_draw *d, double a, double b); /* any a, b > 0, however small */
/* N(mu, sigma^2) within [low, high], by the quantile; low below mu + 8 sigma. */
double draw_truncated_normal(prior_draw *d, double mu, double sigma, double low, double high);
/* cdf[k - 1] = P(X <= k) where X is 1, 2, ... with probability k^-a / zeta(a), a > 1; `most` and
 * all above it count as most: cdf[most - 1] = 1. */
void draw_zipf_cdf(double *cdf, double a, int most);
/* Index by weight; weights >= 0 with a positive sum. */
int draw_weighted(prior_draw *d, const double *weight, int n);
void draw_permutation(prior_draw *d, int32_t *p, int64_t n); /* of 0 .. n - 1 */

/* Arrays: n elements of a fresh stream each, at the machine's level. */
void draw_normals(prior_draw *d, float *y, int64_t n);
void draw_normals_at(prior_draw *d, float *y, int64_t n, float mean, float std);
void draw_uniforms(prior_draw *d, float *y, int64_t n); /* in (0, 1) */
void draw_words(prior_draw *d, uint32_t *y, int64_t n);

/* mean + std N(0, 1): for the two above. */
MILL_LEVEL_DECLARE(void, prior_normals,
                   (float *y, int64_t n, mill_vrand_key key, float mean, float std));

#endif
