/* param.c - see param.h. */
#include "nn/param.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

int nn_param(nn_params *p, mill_shape shape, int64_t fan_in, double value, const char *fmt, ...)
{
    const mill_init init = fan_in > 0 ? (mill_init){INIT_UNIFORM, 1 / sqrt((double)fan_in)}
                                      : (mill_init){INIT_VALUE, value};
    char tail[NN_MAX_NAME / 2];
    va_list ap;

    if (p->n == NN_MAX_PARAMS) {
        mill_poison(p->g, MILL_EINPUT, "%s: more than %d parameters: fewer layers, please",
                    p->prefix, NN_MAX_PARAMS);
        return 0;
    }
    va_start(ap, fmt);
    vsnprintf(tail, sizeof tail, fmt, ap);
    va_end(ap);
    snprintf(p->name[p->n], NN_MAX_NAME, "%.16s.%s", p->prefix, tail);
    p->ref[p->n] = mill_state(p->g, p->name[p->n], MILL_T_REAL, shape, init);
    return p->n++;
}

static mill_ref moment(nn_params *p, int i, const char *suffix)
{
    char name[NN_MAX_NAME + 8];
    snprintf(name, sizeof name, "%s%s", p->name[i], suffix);
    const mill_shape *s = mill_shape_of(p->g, p->ref[i]);
    return mill_state(p->g, name, MILL_T_REAL, *s, (mill_init){INIT_ZERO, 0});
}

void nn_adam(nn_params *p, mill_ref loss, mill_ref lr, const mill_adam_opts *o)
{
    mill_ref grad[NN_MAX_PARAMS];

    if (mill_grad(p->g, loss, p->ref, p->n, grad)) return; /* the graph is poisoned and says why */
    for (int i = 0; i < p->n; i++)
        p->ref[i] = mill_adam(p->g, p->ref[i], moment(p, i, ".adam_m"), moment(p, i, ".adam_v"),
                              grad[i], lr, o);
}
