/*
 * graph.h - a training step as one static graph: built once, differentiated by adding nodes,
 * planned, checked.
 *
 * Nodes are ordered: a node's sources come before it.  A STATE lives across runs.  A node that
 * updates a state (adam, assign) returns a ref to the new value, which lies in the same memory;
 * whatever wants the old value must stand before it, and the check pass refuses a graph that reads
 * the old ref afterwards.
 */
#ifndef MILL_GRAPH_GRAPH_H
#define MILL_GRAPH_GRAPH_H

#include "graph/op.h"

mill_err mill_graph_new(mill_graph **out);
void mill_graph_free(mill_graph *g);
/* MILL_OK, or the first failure, whose words are recorded again. */
mill_err mill_graph_error(const mill_graph *g);
int32_t mill_graph_n(const mill_graph *g); /* refs are 1 .. n-1 */

#define SHAPE(...) \
    ((mill_shape){(int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), {__VA_ARGS__}})
#define SCALAR ((mill_shape){0, {0}})

/* First value of a state: a function of (seed, name, element), so the order of building does not
 * matter. */
typedef enum { INIT_ZERO, INIT_ONE, INIT_UNIFORM, INIT_NORMAL, INIT_VALUE } mill_init_kind;
typedef struct {
    mill_init_kind kind;
    double scale; /* UNIFORM: U(-scale, scale); NORMAL: standard deviation; VALUE: the value */
} mill_init;

mill_ref mill_input(mill_graph *g, const char *name, mill_dtype dtype, mill_shape shape);
mill_ref mill_state(mill_graph *g, const char *name, mill_dtype dtype, mill_shape shape,
                    mill_init init);
/* `data` is copied; NULL: zeros. */
mill_ref mill_const(mill_graph *g, mill_dtype dtype, mill_shape shape, const void *data);
mill_ref mill_const_real(mill_graph *g, double value);         /* scalar */
void mill_output(mill_graph *g, const char *name, mill_ref r); /* kept to be read after a run */

/* By name; 0 if there is none. */
mill_ref mill_find_input(const mill_graph *g, const char *name);
mill_ref mill_find_output(const mill_graph *g, const char *name);

mill_init mill_state_init(const mill_graph *g, mill_ref state);

/* A fresh stream number for a random node (1, 2, ...), in order of building. */
int64_t mill_stream(mill_graph *g);

/*
 * Append the gradient of scalar `loss` by each of wrt[0..n): dwrt[i] = d loss / d wrt[i], 0-filled
 * const where there is no path. Any node can be differentiated by, also nodes of an earlier
 * gradient: second derivatives are the same walk again. Several calls may share forward nodes.  An
 * operation on the path without a gradient poisons by name.
 */
mill_err mill_grad(mill_graph *g, mill_ref loss, const mill_ref *wrt, int n, mill_ref *dwrt);
mill_ref mill_detach(mill_graph *g, mill_ref x); /* a view through which no gradient flows */

/* Passes (each a pure function over the node array; errors as mill_err). */
/* Products get operands in bfloat16 where the operation allows it. */
mill_err mill_pass_cast(mill_graph *g);
/* Gradient checkpointing: nodes built between begin and end form a segment, whose insides the pass,
 * run after the gradients are in, computes again for the gradient instead of keeping them. */
void mill_segment_begin(mill_graph *g);
void mill_segment_end(mill_graph *g);
mill_err mill_pass_recompute(mill_graph *g);
/* Drops what neither an output nor a state update needs; its refs are then void. */
mill_err mill_pass_prune(mill_graph *g);

#endif
