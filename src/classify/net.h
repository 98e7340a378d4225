/*
 * net.h - the networks, and where their parameters lie.
 *
 *     mlp              h = x W + b + (rows of W for the codes); activation, dropout, next layer
 * ...; head ft-transformer   every feature is a token: x_j W_j + b_j for numbers, a row of a table
 * + b for categories, and one that stands for the answer; blocks of attention and feed-forward with
 * the norm in front and a residual around; head of the norm of the answer's token (Gorishniy,
 * Rubachev, Khrulkov, Babenko 2021)
 *
 * Parameters lie in one flat array, each at a multiple of 16 floats, the trained ones first; so do
 * the gradients and Adam's moments.  What lies between them is zero and stays zero.
 */
#ifndef MILL_CLASSIFY_NET_H
#define MILL_CLASSIFY_NET_H

#include "classify/classify.h"
#include "exec/exec.h"
#include "nn/layer.h"

typedef struct {
    bool is_ft;
    nn_activation activation;
    int n_hidden;
    int64_t hidden[16];
    int64_t token_dim, heads, layers;
    double dropout, smoothing;
    bool is_class, is_frozen; /* frozen: only the head is trained */
    int64_t n_num, n_cat, n_codes, n_out;
} cls_net;

mill_err cls_net_init(cls_net *n, const cls_config *c, const cls_encoder *e);

typedef struct {
    char name[NN_MAX_NAME], grad[NN_MAX_NAME + 8];
    mill_shape shape;
    int64_t at, count;
    bool is_trained;
} cls_param;

enum {
    CLS_MAX_BUCKETS = 16,
    CLS_BUCKET = 1 << 20
}; /* floats of a bucket, where there are so few */

typedef struct {
    int n, n_trained;
    cls_param param[NN_MAX_PARAMS];
    int64_t trained, all; /* floats; `trained` is a multiple of what was asked for */
    int n_buckets;        /* bucket b: floats bucket[b] .. bucket[b + 1] - 1 of the trained ones */
    int64_t bucket[CLS_MAX_BUCKETS + 1];
} cls_layout;
mill_err cls_layout_make(cls_layout *l, const cls_net *n, int64_t multiple);

/* Called when the gradient of a bucket is complete (bucket.c); one for each. */
typedef struct cls_hook {
    void (*ready)(void *ctx, int bucket);
    void *ctx;
    int bucket;
} cls_hook;
void cls_tell_buckets(mill_graph *g, const cls_layout *l, const mill_ref *grad,
                      const cls_hook *hook);

/* Inputs of all graphs: num (rows, n_num) and code (rows, n_cat), where there are any.
 *
 * part: and label i32 (rows) or y (rows, 1), and weight (rows, 1).  Outputs: loss = sum of weight
 * times loss, out (rows, n_out), and the gradients by their names in the layout.
 * hook: of every bucket, borrowed until the graph is freed; or NULL. */
mill_err cls_build_part(mill_graph *g, const cls_net *n, const cls_layout *l, int64_t rows,
                        bool bf16, const struct cls_hook *hook);
mill_err cls_build_eval(mill_graph *g, const cls_net *n, int64_t rows); /* out, without dropout */
/* Of each piece i of the flat arrays states pI, mI, vI and the input gradI (lines[i], CLS_LINE);
 * inputs lr and factor (scalars): AdamW with grad times factor. */
enum {
    CLS_LINE = 1024,
    CLS_GROUP = 8
}; /* floats of a line; lines whose squares are told together */
mill_err cls_build_update(mill_graph *g, int n, const int64_t *lines, double weight_decay);
/* Inputs gradI; outputs squaresI: (lines[i], 1), the sum of squares of each line. */
mill_err cls_build_norm(mill_graph *g, int n, const int64_t *lines);

/* exec_place of every parameter (at params) and, where it is not NULL, of every gradient. */
int cls_places(exec_place *place, const cls_layout *l, float *params, bool fill, float *grads);

#endif
