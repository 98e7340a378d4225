/*
 * param.h - the trained states of a model: made with PyTorch's first values, updated by Adam.
 *
 * A set remembers its parameters in order of making, so that one call differentiates by all of them
 * and one updates them.
 */
#ifndef MILL_NN_PARAM_H
#define MILL_NN_PARAM_H

#include "ops/ops.h"

enum { NN_MAX_PARAMS = 192, NN_MAX_NAME = 64 };

typedef struct {
    mill_graph *g;
    const char *prefix; /* "g" gives states "g.w1"; borrowed */
    int n;
    mill_ref ref[NN_MAX_PARAMS]; /* the newest value */
    char name[NN_MAX_PARAMS][NN_MAX_NAME];
} nn_params;

/* A new parameter; returns its place in the set (not a ref: an update changes the ref).  fan_in >
 * 0: U(+-1/sqrt(fan_in)), PyTorch's nn.Linear for weight and bias alike; fan_in = 0: `value`. */
int nn_param(nn_params *p, mill_shape shape, int64_t fan_in, double value, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* One Adam step on every parameter with the gradient of `loss`; the set's refs become the new
 * values. */
void nn_adam(nn_params *p, mill_ref loss, mill_ref lr, const mill_adam_opts *o);

#endif
