/*
 * ops.h - constructors of every operation.
 *
 * Each adds one node (or a few) to the graph and returns its ref; on a wrong shape it poisons the
 * graph and returns 0, so that calls nest.  Shapes are written (n, c); "..." stands for any leading
 * dimensions, also none.  Tensors are real unless i32 is said.  Formulas and edges stand in the
 * head comments of src/ops/X.c; docs/ops.md lists the descriptors.
 *
 * Weights are stored (in, out): y = x w + b.  A leading-dimension slice of a weight is then a view.
 */
#ifndef MILL_OPS_OPS_H
#define MILL_OPS_OPS_H

#include "graph/graph.h"

/* ---- element by element: y like x (ops.def) ---- */
mill_ref mill_relu(mill_graph *g, mill_ref x);
mill_ref mill_leaky_relu(mill_graph *g, mill_ref x, double slope);
mill_ref mill_elu(mill_graph *g, mill_ref x, double alpha);
mill_ref mill_selu(mill_graph *g, mill_ref x);
mill_ref mill_gelu(mill_graph *g, mill_ref x); /* exact: x Phi(x) */
mill_ref mill_silu(mill_graph *g, mill_ref x);
mill_ref mill_tanh(mill_graph *g, mill_ref x);
mill_ref mill_sigmoid(mill_graph *g, mill_ref x);
mill_ref mill_softplus(mill_graph *g, mill_ref x);
mill_ref mill_exp(mill_graph *g, mill_ref x);
mill_ref mill_ln(mill_graph *g, mill_ref x); /* natural logarithm; mill_log speaks to people */
mill_ref mill_sqrt(mill_graph *g, mill_ref x);
mill_ref mill_square(mill_graph *g, mill_ref x);
mill_ref mill_abs(mill_graph *g, mill_ref x);
mill_ref mill_neg(mill_graph *g, mill_ref x);
mill_ref mill_reciprocal(mill_graph *g, mill_ref x);
mill_ref mill_clip(mill_graph *g, mill_ref x, double lo, double hi);
mill_ref mill_scale(mill_graph *g, mill_ref x, double a, double b); /* a x + b */

/* ---- two operands, broadcast as in NumPy up to rank 4; gradients are summed back to the operand's
 * shape ---- */
mill_ref mill_add(mill_graph *g, mill_ref a, mill_ref b);
mill_ref mill_sub(mill_graph *g, mill_ref a, mill_ref b);
mill_ref mill_mul(mill_graph *g, mill_ref a, mill_ref b);
mill_ref mill_div(mill_graph *g, mill_ref a, mill_ref b);
mill_ref mill_max2(mill_graph *g, mill_ref a, mill_ref b); /* at a tie the gradient goes to a */
mill_ref mill_min2(mill_graph *g, mill_ref a, mill_ref b);
mill_ref mill_ge(mill_graph *g, mill_ref a, mill_ref b); /* a >= b as 1 or 0; no gradient flows */

/* ---- matrix products; op(x) is x or, with its flag, x with the last two dimensions swapped ----
 */
/* (..., n, k) (..., k, m) -> (..., n, m).  Leading dimensions are the same, or one operand has none
 * and is shared. */
mill_ref mill_matmul(mill_graph *g, mill_ref a, mill_ref b, bool ta, bool tb);
/* c + op(a) op(b); c: (..., n, m), whose memory may be taken over, or a row vector (m).  c = 0:
 * mill_matmul. */
mill_ref mill_addmm(mill_graph *g, mill_ref c, mill_ref a, mill_ref b, bool ta, bool tb);
/* x (..., k), w (k, m), b (m) or 0 for none -> (..., m) */
mill_ref mill_linear(mill_graph *g, mill_ref x, mill_ref w, mill_ref b);

/* Operands of products in bfloat16, for mill_pass_cast (pack.c). */
mill_ref mill_pack_rows(mill_graph *g, mill_ref x);
mill_ref mill_pack_panels(mill_graph *g, mill_ref x, bool tb);

/* ---- sparse first layers: codes in, never a dense one-hot ---- */
/* y[i,:] = c[i,:] + sum_j val[i,j] w[codes[i,j],:]   w (V, m), codes i32 (n, s), code -1 adds
 * nothing. c: (n, m), or a row vector (m), or 0 for none; val: (n, s), or 0 for all ones.  -> (n,
 * m). The gradient by w is dense (V, m), by mill_scatter. */
mill_ref mill_codes_matmul(mill_graph *g, mill_ref c, mill_ref w, mill_ref codes, mill_ref val);
/* out[v,:] = sum over (i,j) with codes[i,j] = v of val[i,j] y[i,:]   y (n, m) -> (V, m); codes i32
 * (n, s) or (n). */
mill_ref mill_scatter(mill_graph *g, int64_t V, mill_ref y, mill_ref codes, mill_ref val);
/* The same, added onto dst (V, m), whose memory may be taken over.  mill_add(dense, scatter)
 * becomes this by itself. */
mill_ref mill_scatter_add(mill_graph *g, mill_ref dst, mill_ref y, mill_ref codes, mill_ref val);
/* w (V, m), idx i32 (n) -> (n, m): w[idx[i],:]; -1 gives zeros */
mill_ref mill_gather_rows(mill_graph *g, mill_ref w, mill_ref idx);
/* x (..., c), cols i32 const (k), all different -> (..., k): x[.., cols[j]] */
mill_ref mill_gather_cols(mill_graph *g, mill_ref x, mill_ref cols);
/* idx i32 (n) -> (n, V); for tests and small tables: mill_codes_matmul needs none of it */
mill_ref mill_one_hot(mill_graph *g, mill_ref idx, int64_t V);

/* ---- reductions.  axes: bit i stands for dimension i; keep: reduced dimensions stay as 1 ---- */
#define AXIS(i) (1u << (i))
mill_ref mill_sum(mill_graph *g, mill_ref x, unsigned axes, bool keep);
mill_ref mill_mean(mill_graph *g, mill_ref x, unsigned axes, bool keep);
mill_ref mill_sum_last(mill_graph *g, mill_ref x);  /* (..., c) -> (..., 1), row by row */
mill_ref mill_mean_last(mill_graph *g, mill_ref x); /* likewise */
/* Likewise; the gradient goes to the first maximum. */
mill_ref mill_max_last(mill_graph *g, mill_ref x);
mill_ref mill_sum_all(mill_graph *g, mill_ref x);  /* -> scalar */
mill_ref mill_mean_all(mill_graph *g, mill_ref x); /* -> scalar */
/* Undoes a broadcast: x -> to */
mill_ref mill_sum_to(mill_graph *g, mill_ref x, const mill_shape *to);

/* ---- softmax over the last dimension; losses ---- */
mill_ref mill_softmax(mill_graph *g, mill_ref x);
mill_ref mill_log_softmax(mill_graph *g, mill_ref x);
/* softmax((x + gumbel) / tau) */
mill_ref mill_gumbel_softmax(mill_graph *g, mill_ref x, double tau);
/* logits (n, c), target i32 (n), -1: this row has no loss.  -> (n, 1), smoothing in [0, 1): torch's
 * label_smoothing */
mill_ref mill_cross_entropy(mill_graph *g, mill_ref logits, mill_ref target, double smoothing);
/* max(x, 0) - x t + log(1 + exp(-|x|)), x and t alike (t takes no gradient) -> like x */
mill_ref mill_bce_with_logits(mill_graph *g, mill_ref x, mill_ref target);

/* ---- spans of columns (CTGAN, TVAE): spans is a const i32 (S, 3) of start, length, kind; they
 * cover 0..D-1 in order ---- */
enum { SPAN_TANH = 0, SPAN_SOFTMAX = 1 }; /* kind; a tanh span may have any length */
typedef enum {
    SPAN_GUMBEL, /* tanh(o); softmax((o + gumbel) / tau): training.  Own stream */
    SPAN_SOFT,   /* tanh(o); softmax(o / tau) */
} mill_span_mode;
mill_ref mill_span_activate(mill_graph *g, mill_ref o, mill_ref spans, double tau,
                            mill_span_mode mode); /* (n, D) */
/* Kinds are ignored: every span is a softmax. */
mill_ref mill_span_softmax(mill_graph *g, mill_ref o, mill_ref spans);
mill_ref mill_span_log_softmax(mill_graph *g, mill_ref o, mill_ref spans);
/* One number a span -> (n, S): tanh(o) of a tanh span, which has one unit here; else the index of a
 * draw from softmax(o), or of its first largest.  No gradient; own stream. */
mill_ref mill_span_pick(mill_graph *g, mill_ref o, mill_ref spans, bool draw);
/* target i32 (n, S): index inside the span, -1: this span has no loss -> (n, 1): sum of -log
 * softmax(o_span)[target] */
mill_ref mill_span_ce(mill_graph *g, mill_ref o, mill_ref spans, mill_ref target);

/* ---- normalisation ---- */
/* x (..., c), gamma and beta (c) or both 0 */
mill_ref mill_layer_norm(mill_graph *g, mill_ref x, mill_ref gamma, mill_ref beta, double eps);
/* x (n, c); gamma, beta (c); *mean, *var: states (c).  train: batch statistics, and *mean, *var
 * become the refs of the updated states (old + momentum (batch - old), unbiased variance, as
 * torch), so that a second use in the same graph goes on from there.  Else the states are used and
 * left alone. */
mill_ref mill_batch_norm(mill_graph *g, mill_ref x, mill_ref gamma, mill_ref beta, mill_ref *mean,
                         mill_ref *var, double momentum, double eps, bool train);

/* ---- randomness: each node has its own stream, numbers are a function of (seed, stream, step,
 * element) ---- */
/* x / (1 - p) or 0; no mask is kept.  p = 0: x itself. */
mill_ref mill_dropout(mill_graph *g, mill_ref x, double p);
mill_ref mill_uniform(mill_graph *g, mill_shape shape); /* in (0, 1) */
mill_ref mill_normal(mill_graph *g, mill_shape shape);  /* N(0, 1) */
mill_ref mill_gumbel(mill_graph *g, mill_shape shape);  /* -log(-log(u)) */

/* ---- shapes ---- */
mill_ref mill_full(mill_graph *g, mill_shape shape, double value);
mill_ref mill_reshape(mill_graph *g, mill_ref x, mill_shape shape); /* a view; one dim may be -1 */
/* x[.., begin:end, ..] along axis; a view where it is contiguous (all dims before axis are 1), else
 * a copy. axis < 0: from the end */
mill_ref mill_slice(mill_graph *g, mill_ref x, int axis, int64_t begin, int64_t end);
/* Any n >= 1; axis < 0: from the end */
mill_ref mill_concat(mill_graph *g, int n, const mill_ref *x, int axis);
mill_ref mill_transpose(mill_graph *g, mill_ref x, int a, int b); /* swap dims a and b: a copy */
mill_ref mill_broadcast_to(mill_graph *g, mill_ref x, mill_shape shape);

/* ---- states in place; each returns the ref of the new value.  Old refs must not be read
 * afterwards ---- */
mill_ref mill_assign(mill_graph *g, mill_ref state, mill_ref x); /* state = x */
/* state += w (x - state) */
mill_ref mill_lerp_state(mill_graph *g, mill_ref state, mill_ref x, double w);

typedef struct {
    double beta1, beta2, eps;
    double weight_decay;
    bool decoupled; /* AdamW: p -= lr wd p; else wd p is added to the gradient (torch.optim.Adam) */
    int64_t t_mul, t_add; /* t = step * t_mul + t_add, the update's number, >= 1; 0, 0 means 1, 1:
                             steps count from 0 */
} mill_adam_opts;
/* p, m, v states and grad alike, lr scalar -> new p; m and v are updated too */
mill_ref mill_adam(mill_graph *g, mill_ref p, mill_ref m, mill_ref v, mill_ref grad, mill_ref lr,
                   const mill_adam_opts *o);

/* sqrt of the sum of all squares: scalar */
mill_ref mill_global_norm(mill_graph *g, const mill_ref *grads, int n);
/* grads[i] becomes grads[i] min(1, max_norm / (norm + 1e-6)), as torch.  Returns the norm. */
mill_ref mill_clip_by_global_norm(mill_graph *g, mill_ref *grads, int n, double max_norm);

#endif
