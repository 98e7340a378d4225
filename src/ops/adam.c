/*
 * adam.c - Adam and AdamW, and the norm of all gradients.
 *
 * Kingma and Ba, "Adam: a method for stochastic optimization", 2015; Loshchilov and Hutter,
 * "Decoupled weight decay regularization", 2019; the arithmetic is that of torch.optim:
 *
 *     coupled:   d += wd p                decoupled:   p -= lr wd p
 *     m += (1 - b1) (d - m)               v = b2 v + (1 - b2) d^2
 *     p -= lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps)
 *
 * t = step * t_mul + t_add counts updates from 1; b^t is multiplied up in double by squaring.
 * p, m, v, d: alike; lr: a scalar, so that a schedule is an input.  p, m and v are written in
 * place.
 */
#include "ops/inner.h"

enum { F_BETA1, F_BETA2, F_EPS, F_DECAY }; /* ORDER ADAM ATTR */
enum { I_DECOUPLED, I_T_MUL, I_T_ADD };

static mill_err shape_adam(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                           const mill_node *node)
{
    TRY(ops_check_dtypes(g, node, 0));
    for (int i = 1; i < 4; i++)
        WANT(g, node,
             mill_elems(src_shape(g, node, i)) == mill_elems(src_shape(g, node, 0)) &&
                 mill_rows(src_shape(g, node, i)) == mill_rows(src_shape(g, node, 0)),
             "parameter, moments and gradient differ");
    WANT(g, node, mill_elems(src_shape(g, node, 4)) == 1, "the rate is a scalar");
    return shape_like_src0(out, dtype, g, node);
}

DECLARE_KERNELS(op_adam);
static const mill_op op_adam = {
    .name = "adam",
    .n_src = 5, /* p, m, v, gradient, lr */
    .rowwise = ROW_SRC(0) | ROW_SRC(1) | ROW_SRC(2) | ROW_SRC(3),
    .writes = WRITE_SRC(0) | WRITE_SRC(1) | WRITE_SRC(2),
    .flags = MILL_OP_INPLACE,
    .shape = shape_adam,
    .run = KERNELS(op_adam),
};

mill_ref mill_adam(mill_graph *g, mill_ref p, mill_ref m, mill_ref v, mill_ref grad, mill_ref lr,
                   const mill_adam_opts *o)
{
    const bool counted = o->t_mul || o->t_add;
    const mill_attr attr = {
        .i = {[I_DECOUPLED] = o->decoupled,
              [I_T_MUL] = counted ? o->t_mul : 1,
              [I_T_ADD] = counted ? o->t_add : 1},
        .f = {[F_BETA1] = o->beta1,
              [F_BETA2] = o->beta2,
              [F_EPS] = o->eps,
              [F_DECAY] = o->weight_decay},
    };
    if (!(o->beta1 >= 0 && o->beta1 < 1 && o->beta2 >= 0 && o->beta2 < 1 && o->eps > 0))
        return mill_poison(g, MILL_ESHAPE, "adam: betas %g, %g and eps %g", o->beta1, o->beta2,
                           o->eps);
    return MILL_APPLY(g, &op_adam, &attr, p, m, v, grad, lr);
}

mill_ref mill_global_norm(mill_graph *g, const mill_ref *grads, int n)
{
    mill_ref sum = 0;
    for (int i = 0; i < n; i++) {
        const mill_ref one = mill_sum_all(g, mill_square(g, grads[i]));
        sum = i ? mill_add(g, sum, one) : one;
    }
    return mill_sqrt(g, sum);
}

mill_ref mill_clip_by_global_norm(mill_graph *g, mill_ref *grads, int n, double max_norm)
{
    const mill_ref norm = mill_global_norm(g, grads, n);
    const mill_ref ratio =
        mill_scale(g, mill_reciprocal(g, mill_scale(g, norm, 1, 1e-6)), max_norm, 0);
    const mill_ref factor = mill_clip(g, ratio, 0, 1);
    for (int i = 0; i < n; i++) grads[i] = mill_mul(g, grads[i], factor);
    return norm;
}
