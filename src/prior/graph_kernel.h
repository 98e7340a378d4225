/*
 * graph_kernel.h - the loops of graph_scm, one body for each processor level.
 *
 * A table of the process is columns of rows: column k at x + k * ld, rows in the lanes, so no sum
 * crosses lanes but those over rows (moments).  ld is a multiple of 16: kernels of single elements
 * run over whole vectors, and what they write beyond the rows is never read.
 *
 * All the same bytes on every level (cpu/graph_*.c).
 */
#ifndef MILL_PRIOR_GRAPH_KERNEL_H
#define MILL_PRIOR_GRAPH_KERNEL_H

#include "base/level.h"
#include "prior/draw.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows [0, fit) are what parameters are taken from; rows [0, n) are computed. */
typedef struct {
    float *x;
    int64_t ld, n, fit;
    int d;
} mat;

/* Lp distances: |v|^p = 2^(p e) m^p, v = 2^e m: two tables of 2^(p e) over 32 exponents and a
 * polynomial of m^p, 1 <= m < 2; relative error below 3e-6.  Differences below 2^-24 of the largest
 * in the data count as that. */
typedef struct {
    float coarse[8], fine[8]; /* |v|^p = coarse[e / 8 % 4] * fine[e % 8] * poly(m), e biased */
    float both[32];           /* their products */
    float poly[6];
    float least;     /* of |v| */
    double log_unit; /* sums are true ones times exp(-log_unit) */
} lp_power;

typedef struct {
    const mat *x;
    const float *centres; /* (k, d): centre j at centres + j * d */
    int k;
    double p;
} lp_job;

/* Activations: those of one element first, then those of a row. */
/* clang-format off */
#define ACTS(A)                                                                            \
    A(tanh) A(leaky_relu) A(elu) A(identity) A(selu) A(silu) A(relu) A(softplus) A(relu6)  \
    A(hardtanh) A(sgn) A(heaviside) A(rbf) A(exp) A(unit_interval) A(sin) A(square) A(abs) \
    A(log_abs) A(sigmoid) A(round) A(modulo) A(logsigmoid) A(rank) A(softmax) A(is_max)    \
    A(argsort) A(relu_power) A(power) A(neg_power) A(int_power)
/* clang-format on */
typedef enum {
#define ACT_ENUM(name) ACT_##name,
    ACTS(ACT_ENUM)
#undef ACT_ENUM
        ACT_N
} graph_act;
enum { ACT_FIXED = 27 }; /* those before relu_power */

/* Where an oblivious tree goes right: x[dim] > cut. */
typedef struct {
    int32_t dim;
    float cut;
} tree_split;

typedef struct {
    const tree_split *split; /* (trees, depth) */
    const float *leaf;       /* (trees, 2^depth, out), and 16 elements that may be read beyond */
    int trees, depth, out;
} tree_job;

enum { TREE_MOST = 128, TREE_DEPTH = 7 };

/* y[i] = (x[i] - shift) * scale over n elements (rounded up to 16) */
#define GRAPH_KERNELS(K)                                                                          \
    /* mean and standard deviation (ddof 0); doubles where floats overflow */                     \
    K(void, graph_moments, (double out[2], const float *x, int64_t n))                            \
    K(void, graph_range, (float out[2], const float *x, int64_t n))                               \
    K(void, graph_affine, (float *y, const float *x, int64_t n, float shift, float scale))        \
    /* ACT_power and its kin take the exponent q; not for activations of a row */                 \
    K(void, graph_act_each, (float *y, const float *x, int64_t n, graph_act act, float q))        \
    /* rank, softmax, is_max, argsort along the d columns, in place; spare: (d, 16) */            \
    K(void, graph_act_row, (const mat *x, graph_act act, float *spare))                           \
    /* index of the centre nearest to each row: the first of equals */                            \
    K(void, graph_nearest, (int32_t * at, const lp_job *j, const lp_power *w))                    \
    /* sums (k, ld): sum_d |x - c|^p, in units */                                                 \
    K(void, graph_sums, (float *sum, const lp_job *j, const lp_power *w))                         \
    K(void, graph_lp_power, (lp_power * w, double p, float widest))                               \
    /* y (k, ld) = softmax over k of shift[k] - exp(power log y[k] + scale[k]), in place */       \
    K(void, graph_em, (const mat *y, const float *shift, const float *scale, float power))        \
    K(void, graph_trees, (const mat *y, const mat *x, const tree_job *j))                         \
    /* y = cos(2 pi (y + phase[k])) for column k, n elements from `first` on */                   \
    K(void, graph_cosines, (float *y, int64_t ld, int k, int64_t n, const float *phase))          \
    /* products of columns i <= j of x (d of them, d * (d + 1) / 2 products) for n elements */    \
    K(void, graph_pairs, (float *y, int64_t ldy, const float *x, int64_t ldx, int d, int64_t n))  \
    K(void, graph_gather, (float *y, const float *table, const int32_t *at, int64_t n))           \
    /* y = y op x over n elements: 0 sum, 1 product, 2 max, 3 log of the sum of exponentials */   \
    K(void, graph_combine, (float *y, const float *x, int64_t n, int op))                         \
    /* y = 1 - (1 - u^a)^b, u = (x - low) * scale clamped to [0, 1] */                            \
    K(void, graph_kumaraswamy,                                                                    \
      (float *y, const float *x, int64_t n, const float low_scale[2], const float a_b[2]))        \
    /* at[i]: drawn from the softmax of column k * scale[k] + shift[k] by u[i] */                 \
    K(void, graph_pick,                                                                           \
      (int32_t * at, const mat *x, const float *scale, const float *shift, const float *u))       \
    K(void, graph_sum_squares, (double *out, const float *x, int64_t n))                          \
    /* rows of x to length u^(1/d) */                                                             \
    K(void, graph_ball, (const mat *x, const float *u))                                           \
    /* w (n, m) = exp(-g |p_i - q_j|) with the sign of w; p, q in 3-D, coordinate a of point i at \
     * p[a * stride + i] */                                                                       \
    K(void, graph_laplace, (float *w, int n, int m, const float *p, int64_t stride, float g))     \
    /* w *= x, w += a x over n elements, exactly n */                                             \
    K(void, graph_scale_by, (float *w, const float *x, int64_t n))                                \
    K(void, graph_add_scaled, (float *w, const float *x, int64_t n, float a))                     \
    /* n beta variables */                                                                        \
    K(void, graph_betas, (double *y, int64_t n, double a, double b, prior_draw *d))               \
    /* w (rows, n) of normals -> random weights; u (2, rows): what decay and spread are made of;  \
     * log_rank: (n) of room */                                                                   \
    K(void, graph_weight_rows,                                                                    \
      (float *w, int64_t rows, int n, const double *u, float *log_rank, prior_draw *d))           \
    /* rows (n, m): each over 1e-6 + its norm */                                                  \
    K(void, graph_normalise_rows, (float *w, int64_t rows, int m))

#define GRAPH_DECLARE(type, name, args) MILL_LEVEL_DECLARE(type, name, args);
GRAPH_KERNELS(GRAPH_DECLARE)
#undef GRAPH_DECLARE

/* The kernels of this machine. */
typedef struct {
#define GRAPH_MEMBER(type, name, args) type(*name) args;
    GRAPH_KERNELS(GRAPH_MEMBER)
#undef GRAPH_MEMBER
} graph_kernels;
const graph_kernels *graph_kernels_get(void);

#endif
