/* inner.c - refusals in words, and shapes that travel in attributes. */
#include "ops/inner.h"
#include <stdio.h>

mill_err ops_refuse(const mill_graph *g, const mill_node *node, const char *what)
{
    char text[MILL_MAX_SRC * 72] = "", shape[64];
    int at = 0;

    for (int i = 0; i < node->n_src; i++)
        at += snprintf(text + at, sizeof text - (size_t)at, i ? " %s" : "%s",
                       mill_shape_text(shape, src_shape(g, node, i)));
    return mill_fail(MILL_ESHAPE, "%s: %s: %s", node->op->name, what, text);
}

mill_err ops_check_dtypes(const mill_graph *g, const mill_node *node, unsigned ints)
{
    for (int i = 0; i < node->n_src; i++) {
        const mill_dtype want = ints >> i & 1 ? MILL_T_I32 : MILL_T_REAL;
        if (mill_get(g, node->src[i])->dtype != want)
            return mill_fail(MILL_ESHAPE, "%s: operand %d is not %s", node->op->name, i,
                             want == MILL_T_I32 ? "i32" : "real");
    }
    return MILL_OK;
}

mill_err ops_shape_like_src1(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                             const mill_node *node)
{
    *out = *src_shape(g, node, 1);
    *dtype = MILL_T_REAL;
    return MILL_OK;
}

mill_attr ops_shape_attr(const mill_shape *s)
{
    mill_attr a = {{s->rank}, {0}, NULL};
    for (int i = 0; i < s->rank; i++) a.i[1 + i] = s->dim[i];
    return a;
}

mill_shape ops_attr_shape(const mill_attr *a)
{
    mill_shape s = {(int)a->i[0], {0}};
    for (int i = 0; i < s.rank && i < MILL_MAX_DIM; i++) s.dim[i] = a->i[1 + i];
    return s;
}

mill_err ops_shape_from_attr(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                             const mill_node *node)
{
    (void)g;
    *out = ops_attr_shape(&node->attr);
    *dtype = MILL_T_REAL;
    return MILL_OK;
}
