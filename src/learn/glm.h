/* glm.h - the solver behind logistic.h and linear.h; no one else's business. */
#ifndef MILL_LEARN_GLM_H
#define MILL_LEARN_GLM_H

#include "base/pool.h"
#include "learn/features.h"

typedef enum { GLM_LOGISTIC, GLM_SOFTMAX, GLM_SQUARED } glm_kind;

typedef struct {
    glm_kind kind;
    int k;                /* weight vectors: classes for GLM_SOFTMAX, else 1 */
    const int32_t *label; /* (rows) classes, or NULL */
    const double *y;      /* (rows) values, for GLM_SQUARED */
    double penalty;       /* of |w|^2 / 2 */
    int max_iterations;
    double tolerance;
} glm_problem;

/* w: (width + 1, k), the intercepts last; in: where to start; out: the minimum, or where
 * max_iterations led. */
mill_err glm_solve(double *w, const design_rows *x, const glm_problem *p, mill_pool *pool);

/* z: (rows, k) = X w + b. */
mill_err glm_scores(double *z, const double *w, const design_rows *x, int k, mill_pool *pool);

void glm_softmax(double *z, int64_t rows, int k); /* each row, in place */

#endif
