/*
 * glm_rows.h - what glm.c does with every row, for it alone; the loops are in cpu/glm_rows.c.
 *
 * Vectors over classes have `lanes` numbers: 1 of one weight vector, else the classes in whole
 * eights, the lanes behind them 0 (weights, sums) or without probability (scores).
 */
#ifndef MILL_LEARN_GLM_ROWS_H
#define MILL_LEARN_GLM_ROWS_H

#include "base/level.h"
#include "learn/glm.h"

typedef enum {
    GLM_AT_POINT,      /* z, prob, sum = X' r, diag = the diagonal of X' D X, loss */
    GLM_TIMES_HESSIAN, /* sum = X' D X w */
    GLM_ALONG_STEP,    /* zd = X w */
    GLM_TRY_STEP,      /* loss at z + step zd */
    GLM_SCORES_ONLY    /* out = X w */
} glm_pass;

typedef struct {
    const design_rows *x;
    const glm_problem *p;
    glm_pass pass;
    int k, lanes;
    const double *w;       /* (width + 1, lanes) */
    double *z, *prob, *zd; /* (rows, lanes) */
    double step;
    double *out; /* (rows, k) */
} glm_rows;

/* Rows begin .. end - 1; sum, diag (width + 1, lanes) are added to, t (lanes) is room.  The loss.
 */
MILL_LEVEL_DECLARE(double, glm_rows_pass,
                   (const glm_rows *g, int64_t begin, int64_t end, double *sum, double *diag,
                    double *t));

/* z (rows, k): each row to its softmax. */
MILL_LEVEL_DECLARE(void, glm_rows_softmax, (double *z, int64_t rows, int k));

#endif
