/*
 * net.h - the networks, and where their parameters lie.
 *
 *     mlp              h = x W + b + (rows of W for the codes); activation, dropout, next layer
 *                      ...; head
 *     ft-transformer   every feature is a token: x_j W_j + b_j for numbers, a row of a table + b
 *                      for categories, and one that stands for the answer; blocks of attention
 *                      and feed-forward with the norm in front and a residual around; head of
 *                      the norm of the answer's token (Gorishniy, Rubachev, Khrulkov, Babenko
 *                      2021)
 *
 * Parameters lie in one flat array, each at a multiple of 16 floats, the trained ones first; so do
 * the gradients and Adam's moments.  What lies between them is zero and stays zero.
 */
#ifndef MILL_CLASSIFY_NET_H
#define MILL_CLASSIFY_NET_H

#include "classify/classify.h"
#include "nn/layer.h"
#include "train/shards.h"

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

/* One group, of the trained parameters; the others lie behind it. */
mill_err cls_layout_make(nn_flat *l, const cls_net *n, int64_t multiple);

/* Inputs of all graphs: num (rows, n_num) and code (rows, n_cat), where there are any.
 *
 * part: and label i32 (rows) or y (rows, 1), and weight (rows, 1).  Outputs: loss = sum of weight
 * times loss, out (rows, n_out), and the gradients by their names in the layout.
 * hook: of every bucket, borrowed until the graph is freed; or NULL. */
mill_err cls_build_part(mill_graph *g, const cls_net *n, const nn_flat *l, int64_t rows, bool bf16,
                        const flat_hook *hook);
mill_err cls_build_eval(mill_graph *g, const cls_net *n, int64_t rows); /* out, without dropout */
/* Inputs gradI (lines[i], SHARDS_LINE), pieces of the flat gradient; outputs squaresI: (lines[i],
 * 1), the sum of squares of each line. */
enum { CLS_GROUP = 8 }; /* lines whose squares are told together */
mill_err cls_build_norm(mill_graph *g, int n, const int64_t *lines);

#endif
