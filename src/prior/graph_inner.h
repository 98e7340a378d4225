/*
 * graph_inner.h - the parts of graph_scm (v2), for its files alone.
 *
 *     graph_scm.c       columns, graph, their places; the walk; y
 *     graph_node.c      a node: roots or functions of parents, weights, converters, importance
 *     graph_convert.c   columns out of a node, and what they leave in it
 *     graph_points.c    random points, and a Gaussian mixture
 *     graph_function.c  functions: linear maps, networks, products; and of several parents
 *     graph_basis.c     trees, products of pairs, waves
 *     graph_centre.c    functions of the distances to some rows
 *     graph_activate.c  activations of an mlp and of a matrix
 *     graph_matrix.c    random weights and the five kinds of matrices
 *     graph_options.c   words of options
 *     graph_scalar.c    numbers and choices that agree within a data set
 *     cpu/graph_*.c     their loops (graph_kernel.h)
 *
 * The process is that of tabicl 2.2.0 (tabicl.prior.graph_lib), with its known errors unless an
 * option corrects them.  Every part is drawn when it is used and forgotten: with ensure_iid the
 * table has two halves of rows, parameters are taken from the first (mat.fit) and the second is
 * emitted, so that nothing has to be kept.
 *
 * What is described goes to scm.text in order: an object or array is opened, filled and closed by
 * say().  Inside of a function nothing is said unless all of it is wanted (graph_function.c: run).
 */
#ifndef MILL_PRIOR_GRAPH_INNER_H
#define MILL_PRIOR_GRAPH_INNER_H

#include "prior/graph_kernel.h"
#include "prior/inner.h"

/* Numbers by name: what is drawn under one name agrees within a data set. */
/* clang-format off */
#define GRAPH_NUMBERS(N)                                                                         \
    N(cat_size_limit) N(cat_size) N(n_nodes) N(n_feature_nodes) N(node_dim) N(node_importance)   \
    N(noise) N(weight_decay) N(weight_spread) N(mlp_width) N(mlp_layers) N(trees) N(tree_depth)  \
    N(disc_centres) N(cat_disc_p) N(gp_a) N(gp_scale) N(em_components) N(em_std) N(em_p) N(em_q) \
    N(mixture_centres) N(kernel_factor) N(rescale) N(relu_power) N(power) N(neg_power)           \
    N(int_power) N(kumaraswamy_a) N(kumaraswamy_b) N(softmax_factor)
#define GRAPH_CHOICES(N)                                                                    \
    N(function) N(cheap_function) N(multi_function) N(aggregation) N(product_kernel)        \
    N(first_act) N(last_act) N(act_kind) N(act_fixed) N(plain_act_kind) N(matrix)           \
    N(simple_matrix) N(points) N(covariance_points) N(num_mode) N(cat_mode) N(cat_all_dims)
/* clang-format on */

typedef enum {
#define NAME_ENUM(name) NUM_##name,
    GRAPH_NUMBERS(NAME_ENUM) NUM_N
#undef NAME_ENUM
} num_name;
typedef enum {
#define NAME_ENUM(name) PICK_##name,
    GRAPH_CHOICES(NAME_ENUM) PICK_N
#undef NAME_ENUM
} pick_name;

typedef enum { MODE_META, MODE_LOCAL, MODE_GLOBAL } scalar_mode;

typedef struct {
    bool is_set;
    double a, b;  /* meta: parameters of the beta distribution */
    double value; /* global */
} scalar_number;

enum { PICK_MOST = 32 };
typedef struct {
    int n; /* 0: not drawn yet */
    int value;
    double weight[PICK_MOST];
} scalar_pick;

typedef struct {
    double low, high;
    bool log, boundary; /* boundary: mass at both ends */
} num_range;

typedef enum {
    FUNC_mlp,
    FUNC_tree,
    FUNC_disc,
    FUNC_lin,
    FUNC_quad,
    FUNC_gp,
    FUNC_em,
    FUNC_prod,
    FUNC_N
} func_kind;
enum { FUNC_LIST = 64 }; /* longest list of functions that an option may name */

typedef enum {
    CAT_neighbor_id,
    CAT_neighbor_disc,
    CAT_neighbor_func,
    CAT_neighbor_int,
    CAT_softmax_id,
    CAT_softmax_disc,
    CAT_softmax_int,
    CAT_N
} cat_mode;

typedef struct {
    prior_try *t;
    const prior_config *c;
    const graph_kernels *k;
    prior_draw *draw;
    prior_arena *arena;
    mill_text *text; /* NULL: nothing is said now */
    bool in_full;    /* say what functions are made of, too */
    bool is_lost;    /* a number that is not finite where it cannot be carried on */

    scalar_mode mode;
    scalar_number number[NUM_N];
    scalar_pick pick[PICK_N];
    func_kind functions[FUNC_LIST]; /* of the option fct_types */
    int n_functions;
    cat_mode cat_modes[CAT_N];
    int n_cat_modes;
    bool uniform_weights, gaussian_matrices;
} scm;

#define say(s, ...)                                      \
    do {                                                 \
        if ((s)->text) text_add((s)->text, __VA_ARGS__); \
    } while (0)

/* ---- graph_scalar.c ---- */
double scalar_number_of(scm *s, num_name name, num_range r);
/* n values of one name. */
void scalar_betas(double *u, int64_t n, scm *s, num_name name);
double scalar_log(scm *s, num_name name, double low, double high);
/* least .. most, both included; an empty range gives most. */
int64_t scalar_int(scm *s, num_name name, int64_t least, int64_t most);
int64_t scalar_log_int(scm *s, num_name name, int64_t least, int64_t most);
/* Not shared with anything. */
int64_t scalar_local_int(scm *s, int64_t least, int64_t most, bool log, bool boundary);
int scalar_pick_of(scm *s, pick_name name, int n);

/* ---- graph_options.c ---- */
extern const char *const graph_func_name[FUNC_N];
extern const char *const graph_cat_name[CAT_N];
mill_err graph_options(scm *s);

/* ---- memory ---- */
mill_err mat_new(mat *out, scm *s, int d, const mat *like); /* the same rows */
mat mat_slice(const mat *m, int first, int d);

/* ---- graph_matrix.c ---- */
/* w (rows, n) */
mill_err graph_weights(float *w, scm *s, int64_t rows, int n);
/* m (batch, rows, cols), one kind for all */
mill_err graph_matrices(float *m, scm *s, int64_t batch, int rows, int cols);
/* y = m x, m (y->d, x->d) */
void graph_product(const mat *y, const float *m, const mat *x);

/* ---- graph_activate.c ---- */
mill_err graph_activate(const mat *x, scm *s); /* standardise, rescale, activate, standardise */
mill_err graph_activate_plain(float *x, scm *s, int64_t batch, int64_t n); /* rows of n */

/* ---- graph_function.c ---- */
mill_err graph_function(const mat *y, scm *s, const mat *x);
mill_err graph_cheap_function(const mat *y, scm *s, const mat *x);
mill_err graph_multi_function(const mat *y, scm *s, const mat *parent, int parents);
/* y = M x, M random */
mill_err graph_linear(const mat *y, scm *s, const mat *x);

/* ---- graph_basis.c ---- */
mill_err graph_tree(const mat *y, scm *s, const mat *x);
mill_err graph_quad(const mat *y, scm *s, const mat *x);
mill_err graph_gp(const mat *y, scm *s, const mat *x);

/* ---- graph_centre.c ---- */
mill_err graph_disc(const mat *y, scm *s, const mat *x);
mill_err graph_em(const mat *y, scm *s, const mat *x);
/* k different rows of the first n. */
mill_err graph_pick_rows(int32_t *row, scm *s, int64_t n, int k);
/* centres (k, d) = rows of x; at: nearest of them by the Lp distance; is_lost: nothing */
mill_err graph_nearest_centres(int32_t *at, scm *s, const mat *x, const float *centres, int k);

/* ---- graph_points.c ---- */
mill_err graph_points(const mat *y, scm *s);
/* p: 3 coordinates of n points each at p + a * n */
mill_err graph_mixture(float *p, scm *s, int64_t n);

/* ---- graph_convert.c ---- */
typedef struct {
    int column; /* of the data set; -1: y */
    int levels; /* 0: a number */
    cat_mode mode;
    int dims;
} converter;
void graph_converter_draw(converter *c, scm *s);
/* slice: the converter's columns of the node; out (slice->n): the column */
mill_err graph_convert(float *out, scm *s, const converter *c, const mat *slice);

/* ---- graph_node.c ---- */
typedef struct {
    const mat *parent; /* in the order of the graph */
    int parents;
    converter *converter;
    int converters;
    bool is_leaf; /* no other node reads it */
} node_job;
/* columns: (converters) where each converter's column goes */
mill_err graph_node(const mat *y, scm *s, const node_job *j, float *const *columns);

#endif
