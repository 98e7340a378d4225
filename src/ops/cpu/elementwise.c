/*
 * elementwise.c - the loops of ops.def: one body, its gradient, and the gradient's, for each row.
 *
 * Operands are contiguous and alike, so a tile is one flat range.  A source may be the output's own
 * memory.  Expressions stay scalar: the compiler vectorises them to the same bytes at each level.
 */
#include "ops/cpu/kernel.h"

#define SELU_SCALE K(1.0507009873554804934193349852946)
#define SELU_ALPHA K(1.6732632423543772848170429916717)
#define SIG(x)     mr_sigmoid(x)
#define PHI(x)     mr_fma(K(0.5), mr_erf((x)*K(0.70710678118654752440)), K(0.5))
#define DENSITY(x) (K(0.39894228040143267794) * mr_exp(K(-0.5) * (x) * (x)))

#define LETTER_X x
#define LETTER_Y y

#define FORWARD(row, expr)                                      \
    KERNEL(op_##row)                                            \
    {                                                           \
        const int64_t first = tile_first(c), n = tile_elems(c); \
        const real a = attr_real(c, 0), b = attr_real(c, 1);    \
        const real *x_ = (const real *)c->src[0] + first;       \
        real *y_ = (real *)c->out + first;                      \
        (void)a, (void)b;                                       \
        APART for (int64_t i = 0; i < n; i++)                   \
        {                                                       \
            const real x = x_[i];                               \
            y_[i] = expr;                                       \
        }                                                       \
    }

#define GRADIENT(row, letter, expr)                             \
    KERNEL(op_##row##_grad)                                     \
    {                                                           \
        const int64_t first = tile_first(c), n = tile_elems(c); \
        const real a = attr_real(c, 0), b = attr_real(c, 1);    \
        const real *dy = (const real *)c->src[0] + first;       \
        const real *k = (const real *)c->src[1] + first;        \
        real *dx = (real *)c->out + first;                      \
        (void)a, (void)b;                                       \
        APART for (int64_t i = 0; i < n; i++)                   \
        {                                                       \
            const real letter = k[i];                           \
            dx[i] = dy[i] * (expr);                             \
        }                                                       \
    }

#define SECOND(row, letter, expr)                               \
    KERNEL(op_##row##_grad2)                                    \
    {                                                           \
        const int64_t first = tile_first(c), n = tile_elems(c); \
        const real a = attr_real(c, 0), b = attr_real(c, 1);    \
        const real *back = (const real *)c->src[0] + first;     \
        const real *dy = (const real *)c->src[1] + first;       \
        const real *k = (const real *)c->src[2] + first;        \
        real *dk = (real *)c->out + first;                      \
        (void)a, (void)b;                                       \
        APART for (int64_t i = 0; i < n; i++)                   \
        {                                                       \
            const real letter = k[i];                           \
            (void)(letter);                                     \
            dk[i] = back[i] * dy[i] * (expr);                   \
        }                                                       \
    }

#define UNARY(row, n_attr, keep, f, d, d2) \
    FORWARD(row, f)                        \
    GRADIENT(row, LETTER_##keep, d)        \
    SECOND(row, LETTER_##keep, d2)
#define UNARY_FLAT(row, n_attr, keep, f, d) \
    FORWARD(row, f)                         \
    GRADIENT(row, LETTER_##keep, d)

#include "ops/ops.def"

FORWARD(scale, mr_fma(a, x, b))
