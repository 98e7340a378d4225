/*
 * v1.h - the parts of the v1 process, whose source prior.h names: hyper-parameters, causes,
 * network, classes.  For this room alone.
 */
#ifndef MILL_PRIOR_V1_H
#define MILL_PRIOR_V1_H

#include "prior/inner.h"

/* Activations; the last is the sum of 256 sines. */
typedef enum {
    ACT_TANH,
    ACT_LEAKY_RELU,
    ACT_ELU,
    ACT_IDENTITY,
    ACT_SELU,
    ACT_SILU,
    ACT_RELU,
    ACT_SOFTPLUS,
    ACT_RELU6,
    ACT_HARDTANH,
    ACT_SIGN,
    ACT_RBF,
    ACT_EXP,
    ACT_SQRT_ABS,
    ACT_UNIT_INTERVAL,
    ACT_SINE,
    ACT_SQUARE,
    ACT_ABS,
    ACT_FUNCTION,
    V1_N_ACT
} v1_act;
extern const char *const v1_act_name[V1_N_ACT];

typedef enum { CAUSES_NORMAL, CAUSES_MIXED, CAUSES_UNIFORM } v1_causes_kind;

/* What a group shares. */
typedef struct {
    bool is_causal, y_is_effect, in_clique, sort_features;
    bool is_block_wise, pre_cause_stats, pre_noise_std, by_rank;
    v1_causes_kind causes;
    int num_causes, num_layers, hidden_dim;
    double init_std, noise_std, dropout;
    double act[V1_N_ACT]; /* weights */
} v1_params;
void v1_draw_params(v1_params *out, const prior_try *t);
void v1_describe_params(const v1_params *p, prior_try *t);

/* x: n columns, column j at x + j * stride, `rows` numbers each. */
void v1_draw_causes(float *x, int64_t stride, int n, const v1_params *p, prior_try *t);

/* Some columns of t->x become categorical; y is cut into classes (unless it is wanted as a
 * number). */
mill_err v1_columns_to_classes(prior_try *t);
mill_err v1_assign_classes(const v1_params *p, prior_try *t);
/* y (rows) -> #{boundary < y}; with relabel, to 0 .. in a random order of those that occur.  How
 * many occur. */
int v1_assign(float *y, int64_t rows, float *boundary, int n_boundaries, bool relabel,
              prior_draw *d);

/*
 * A matrix of units by rows in tiles of 64 rows: unit k, row t at
 * p + ((t / 64) * width + k) * 64 + t % 64.  The width is odd, or at v3 and v4 the chunks of a unit
 * would lie on each other in the cache.
 */
typedef struct {
    float *p;
    int64_t width;
    int tiles;
} v1_matrix;
enum { V1_TILE = 64 };

/* Rows of weights that take the same inputs: outputs unit[first .. first + n - 1], n <= 6, are sums
 * over inputs k0 .. k0 + k - 1; row i of w at w + i * k. */
typedef struct {
    int first, n, k0, k;
    const float *w;
} v1_rows;

/*
 * out[unit] = bias + sum_k w in[k] + noise N(0, 1), each sum one chain of FMA in the order of k.
 * Either groups of rows, or (at not NULL) sparse rows: row i has weights w[at[i] .. at[i + 1] - 1]
 * of the inputs col[...]; `order` has the rows from the shortest to the longest, so that those
 * which are summed together end together.
 */
typedef struct {
    v1_matrix in, out;
    const v1_rows *group;
    int n_groups;
    const int32_t *at, *col, *order;
    const float *w;
    const int32_t *unit; /* (n_units) ascending */
    int n_units;
    const float *bias, *noise; /* (n_units); noise NULL: none */
    mill_vrand_key key;        /* of the noise: unit j, tile i is block j * tiles + i */
} v1_product;

/* Mean and 1 / (std + 1e-6) of units, ddof 1, and least and largest value of (x - mean) / std. */
typedef struct {
    float mean, scale, std, low, high;
} v1_stats;

/* sum_k w sin(2 pi (f x + phase)), k < 256, as a table with slopes; see cpu/v1_function.c. */
enum {
    V1_TERMS = 256,
    V1_CELLS = 68, /* at most: -8 .. 8 in quarters, with margins */
    V1_CELL_POINTS = 128,
    V1_BASIS = 2 * V1_TERMS * 64, /* parts of the scratch, in floats */
    V1_CENTRES = 2 * V1_TERMS * V1_CELLS,
    V1_HALF = 64 * V1_CELLS,
    V1_EDGE = 16,
    V1_PAIRS = 2 * V1_CELL_POINTS * V1_CELLS,
    V1_SCRATCH = V1_BASIS + V1_CENTRES + 2 * V1_HALF + V1_CELL_POINTS * V1_CELLS + 2 * V1_EDGE
};
typedef struct {
    float f[V1_TERMS], phase[V1_TERMS], w[V1_TERMS]; /* turns */
    float *pair;     /* (n_cells * 128, 2) value and slope: room for V1_PAIRS */
    float *scratch;  /* V1_SCRATCH */
    float low, high; /* what the table serves */
    float steps;     /* points per unit: 512, or 256 where high frequencies weigh little */
    int first, n_cells;
} v1_function;

typedef struct {
    v1_matrix x; /* in place */
    const int32_t *unit;
    int n_units;
    int64_t rows;
    v1_act act;
    float s, b; /* act(s ((x - mean) / std + b)) */
    v1_function *f;
    v1_stats *stats; /* (n_units) */
} v1_activation;

/* y[i]: how many of the n_steps ascending numbers of `step` are below a uniform y[i]; in place. */
MILL_LEVEL_DECLARE(void, v1_count_steps, (float *y, int64_t n, const float *step, int n_steps));
/* col: the k < n whose half word k of `word` is at least the threshold, ascending; how many. */
MILL_LEVEL_DECLARE(int64_t, v1_kept,
                   (int32_t * col, const uint32_t *word, int n, uint32_t threshold));

MILL_LEVEL_DECLARE(void, v1_product_run, (const v1_product *a));
MILL_LEVEL_DECLARE(void, v1_activate, (const v1_activation *a));
/* f: uniform -> turns per unit; w: normal -> times (256 f)^decay, their norm taken out. */
MILL_LEVEL_DECLARE(void, v1_function_weigh, (v1_function * f, float decay));
/* pair, first and n_cells for low .. high, as much of it as lies within -8 .. 8. */
MILL_LEVEL_DECLARE(void, v1_function_table, (v1_function * f, float low, float high));
/* y = f(x), as v1_activate has it inside: so that the tests can hold it against the 256 sines. */
MILL_LEVEL_DECLARE(void, v1_function_values,
                   (float *y, const float *x, int64_t n, const v1_function *f));

#endif
