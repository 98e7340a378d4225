/*
 * layer.h - layers as functions from refs to refs.
 *
 * x_init() makes a layer's parameters in a set, x_apply() adds its nodes.  A layer remembers the
 * places of its parameters in the set, so the same layer can be applied to several graphs' sets
 * that were made in the same order.  First values are PyTorch's nn.Linear and nn.LayerNorm.
 */
#ifndef MILL_NN_LAYER_H
#define MILL_NN_LAYER_H

#include "nn/param.h"

typedef enum { NN_RELU, NN_GELU, NN_SILU, NN_TANH, NN_N_ACTIVATION } nn_activation;
bool nn_activation_find(nn_activation *out, const char *name);
mill_ref nn_activate(mill_graph *g, mill_ref x, nn_activation a);

/* y = x w + b:  x (.., in), y (.., out); states NAME.w (in, out), NAME.b (out) */
typedef struct {
    int w, b;
} nn_linear;
nn_linear nn_linear_init(nn_params *p, int64_t in, int64_t out, const char *name);
mill_ref nn_linear_apply(const nn_params *p, nn_linear l, mill_ref x);

/* Layer normalisation with eps 1e-5; states NAME.gamma, NAME.beta (c) */
typedef struct {
    int gamma, beta;
} nn_norm;
nn_norm nn_norm_init(nn_params *p, int64_t c, const char *name);
mill_ref nn_norm_apply(const nn_params *p, nn_norm n, mill_ref x);

/*
 * Multi-head attention of every token to every token (Vaswani et al. 2017), without a mask.
 * d is a multiple of heads; the weights are dropped out with probability `dropout`.
 */
typedef struct {
    nn_linear q, k, v, out;
    int64_t d, heads;
} nn_attention;
nn_attention nn_attention_init(nn_params *p, int64_t d, int64_t heads, const char *name);
/* from: (n, s, d), the tokens that ask; to: (n, t, d), those that answer -> (n, s, d) */
mill_ref nn_attention_apply(const nn_params *p, const nn_attention *a, mill_ref from, mill_ref to,
                            double dropout);

/* x1 * relu(x2), where x = (x1, x2) in halves of the last dimension (Shazeer 2020): (.., 2c) ->
 * (.., c) */
mill_ref nn_reglu(mill_graph *g, mill_ref x);

#endif
