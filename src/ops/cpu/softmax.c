/* softmax.c - kernels of ops/softmax.c. */
#include "ops/cpu/softmax.h"

KERNEL(op_softmax)
{
    const int64_t n = mill_cols(&c->node->shape);
    for (int64_t i = c->begin; i < c->end; i++)
        row_softmax((real *)c->out + i * n, (const real *)c->src[0] + i * n, NULL, n, 1);
}

KERNEL(op_softmax_grad)
{
    const int64_t n = mill_cols(&c->node->shape);
    for (int64_t i = c->begin; i < c->end; i++)
        row_softmax_grad((real *)c->out + i * n, (const real *)c->src[0] + i * n,
                         (const real *)c->src[1] + i * n, n, 1);
}

KERNEL(op_log_softmax)
{
    const int64_t n = mill_cols(&c->node->shape);
    for (int64_t i = c->begin; i < c->end; i++)
        row_log_softmax((real *)c->out + i * n, (const real *)c->src[0] + i * n, n);
}

KERNEL(op_log_softmax_grad)
{
    const int64_t n = mill_cols(&c->node->shape);
    for (int64_t i = c->begin; i < c->end; i++)
        row_log_softmax_grad((real *)c->out + i * n, (const real *)c->src[0] + i * n,
                             (const real *)c->src[1] + i * n, n);
}
