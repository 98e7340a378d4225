/* linear.c - ridge regression over glm.c: one Newton step solves it, the further ones mend
 * rounding. See linear.h. */
#include "learn/linear.h"

#include "base/mem.h"
#include "learn/glm.h"

struct mill_ridge {
    int width;
    double *w;
};

void ridge_free(mill_ridge *m)
{
    if (!m) return;
    mill_free(m->w);
    mill_free(m);
}

mill_err ridge_fit(mill_ridge **out, const design_rows *x, const double *y, double alpha,
                   mill_pool *pool)
{
    if (!x->rows || !(alpha >= 0))
        return mill_fail(MILL_EINPUT, "ridge regression needs rows and alpha >= 0");

    mill_ridge *const m = mill_alloc(1, sizeof *m);
    mill_err err = m ? MILL_OK : MILL_ENOMEM;

    if (!err) {
        m->width = x->width;
        m->w = mill_alloc((size_t)x->width + 1, sizeof *m->w);
        if (!m->w) err = MILL_ENOMEM;
    }
    if (!err) {
        const glm_problem p = {.kind = GLM_SQUARED,
                               .k = 1,
                               .y = y,
                               .penalty = alpha,
                               .max_iterations = 20,
                               .tolerance = 1e-15};
        err = glm_solve(m->w, x, &p, pool);
    }
    if (err) {
        ridge_free(m);
        return err;
    }
    *out = m;
    return MILL_OK;
}

mill_err ridge_predict(double *guess, const mill_ridge *m, const design_rows *x, mill_pool *pool)
{
    if (x->width != m->width)
        return mill_fail(MILL_ESHAPE, "the model has %d weights, the rows %d", m->width, x->width);
    return glm_scores(guess, m->w, x, 1, pool);
}

const double *ridge_weights(const mill_ridge *m)
{
    return m->w;
}
