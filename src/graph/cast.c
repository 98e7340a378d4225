/*
 * cast.c - mixed precision: products round their operands to bfloat16 and add up in f32.
 *
 * Only the flag of the node changes.  What is stored, and every other operation, stays as it was; a
 * back end without such products may round and multiply in f32.
 */
#include "graph/inner.h"

mill_err mill_pass_cast(mill_graph *g)
{
    TRY(mill_graph_error(g));
    for (mill_ref r = 1; r < g->n; r++) {
        mill_node *node = g->node[r];
        if (node->op && (node->op->flags & MILL_OP_PRODUCT)) node->bf16 = true;
    }
    return MILL_OK;
}
