/* logistic.c - logistic and softmax regression over glm.c; see logistic.h. */
#include "learn/logistic.h"

#include "base/mem.h"
#include "base/vmath.h"
#include "learn/glm.h"

struct mill_logistic {
    int n_classes, k, width;
    double *w;
};

void logistic_free(mill_logistic *m)
{
    if (!m) return;
    mill_free(m->w);
    mill_free(m);
}

mill_err logistic_fit(mill_logistic **out, const design_rows *x, const int32_t *label,
                      int n_classes, const logistic_options *o, mill_pool *pool)
{
    if (n_classes < 2 || !(o->c > 0) || !x->rows)
        return mill_fail(MILL_EINPUT, "logistic regression needs rows, two classes and C > 0");

    mill_logistic *const m = mill_alloc(1, sizeof *m);
    mill_err err = m ? MILL_OK : MILL_ENOMEM;

    if (!err) {
        m->n_classes = n_classes;
        m->k = n_classes == 2 ? 1 : n_classes;
        m->width = x->width;
        m->w = mill_alloc(((size_t)x->width + 1) * (size_t)m->k, sizeof *m->w);
        if (!m->w) err = MILL_ENOMEM;
    }
    if (!err) {
        const glm_problem p = {.kind = n_classes == 2 ? GLM_LOGISTIC : GLM_SOFTMAX,
                               .k = m->k,
                               .label = label,
                               .penalty = 1 / o->c,
                               .max_iterations = o->max_iterations,
                               .tolerance = o->tolerance};
        err = glm_solve(m->w, x, &p, pool);
    }
    if (err) {
        logistic_free(m);
        return err;
    }
    *out = m;
    return MILL_OK;
}

mill_err logistic_predict(double *p, const mill_logistic *m, const design_rows *x, mill_pool *pool)
{
    if (x->width != m->width)
        return mill_fail(MILL_ESHAPE, "the model has %d weights, the rows %d", m->width, x->width);

    if (m->k > 1) {
        TRY(glm_scores(p, m->w, x, m->k, pool));
        glm_softmax(p, x->rows, m->k);
        return MILL_OK;
    }
    TRY(glm_scores(p, m->w, x, 1, pool)); /* in the first half, then spread from the end */
    for (int64_t i = x->rows - 1; i >= 0; i--) {
        const double z = p[i];
        p[2 * i + 1] = mill_sigmoid_f64(z);
        p[2 * i] = mill_sigmoid_f64(-z);
    }
    return MILL_OK;
}

const double *logistic_weights(const mill_logistic *m)
{
    return m->w;
}
