/* state.c - kernels of ops/state.c and ops/adam.c: one pass over what lives between steps. */
#include "ops/cpu/lanes.h"

KERNEL(op_assign)
{
    row_copy((real *)c->out + tile_first(c), (const real *)c->src[1] + tile_first(c),
             tile_elems(c));
}

KERNEL(op_lerp_state)
{
    const int64_t first = tile_first(c), n = tile_elems(c);
    const real *x = (const real *)c->src[1] + first, w = attr_real(c, 0);
    real *y = (real *)c->out + first;

    APART for (int64_t i = 0; i < n; i++) y[i] = mr_fma(w, x[i] - y[i], y[i]);
}

INLINE double power(double base, int64_t n) /* by squaring, n >= 0 */
{
    double y = 1;
    for (; n > 0; n >>= 1, base *= base)
        if (n & 1) y *= base;
    return y;
}

/* attributes: ORDER ADAM ATTR */
KERNEL(op_adam)
{
    const mill_attr *a = &c->node->attr;
    const int64_t first = tile_first(c), n = tile_elems(c);
    const int64_t t = (int64_t)c->step * a->i[1] + a->i[2];
    const double lr = (double)*(const real *)c->src[4], decay = a->f[3];
    const bool decoupled = a->i[0];
    const double bias1 = 1.0 - power(a->f[0], t), bias2 = 1.0 - power(a->f[1], t);

    const real take1 = (real)(1.0 - a->f[0]), keep2 = (real)a->f[1], take2 = (real)(1.0 - a->f[1]);
    const real rate = (real)(-lr / bias1), eps = (real)a->f[2];
    const real root = (real)(1.0 / sqrt(bias2));
    const real pull = decoupled ? K(0) : (real)decay;
    const real shrink = decoupled ? (real)(1.0 - lr * decay) : K(1);
    real *p = (real *)c->out + first, *m = (real *)c->src[1] + first;
    real *v = (real *)c->src[2] + first;
    const real *grad = (const real *)c->src[3] + first;

    APART for (int64_t i = 0; i < n; i++)
    {
        const real d = mr_fma(pull, p[i], grad[i]);
        const real m_new = mr_fma(take1, d - m[i], m[i]);
        const real v_new = mr_fma(take2 * d, d, keep2 * v[i]);
        const real below = mr_fma(mr_sqrt(v_new), root, eps);
        m[i] = m_new;
        v[i] = v_new;
        p[i] = mr_fma(rate, m_new / below, shrink * p[i]);
    }
}
