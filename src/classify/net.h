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

typedef struct {
    int n, n_trained;
    cls_param param[NN_MAX_PARAMS];
    int64_t trained, all; /* floats; `trained` is a multiple of what was asked for */
} cls_layout;
mill_err cls_layout_make(cls_layout *l, const cls_net *n, int64_t multiple);

/* Inputs of all graphs: num (rows, n_num) and code (rows, n_cat), where there are any.
 *
 * part: and label i32 (rows) or y (rows, 1), and weight (rows, 1).  Outputs: loss = sum of weight
 * times loss, out (rows, n_out), and the gradients by their names in the layout. */
mill_err cls_build_part(mill_graph *g, const cls_net *n, const cls_layout *l, int64_t rows,
                        bool bf16);
mill_err cls_build_eval(mill_graph *g, const cls_net *n, int64_t rows); /* out, without dropout */
/* States p, m, v (rows, CLS_LINE); inputs grad alike, lr and factor (scalars):
 * AdamW with grad times factor. */
enum { CLS_LINE = 1024 };
mill_err cls_build_update(mill_graph *g, int64_t rows, double weight_decay);

/* exec_place of every parameter (at params) and, where it is not NULL, of every gradient. */
int cls_places(exec_place *place, const cls_layout *l, float *params, bool fill, float *grads);

#endif
