/* inner.h - what the files of this room share: refusals, shapes, and each other's descriptors. */
#ifndef MILL_OPS_INNER_H
#define MILL_OPS_INNER_H

#include "ops/ops.h"

/* In a shape rule: refuse unless `cond`, naming the operation and the shapes of its operands. */
#define WANT(g, node, cond, what)                      \
    do {                                               \
        if (!(cond)) return ops_refuse(g, node, what); \
    } while (0)
mill_err ops_refuse(const mill_graph *g, const mill_node *node, const char *what);

/* Sources that are real unless their bit is in `ints`, which are i32. */
mill_err ops_check_dtypes(const mill_graph *g, const mill_node *node, unsigned ints);

static inline const mill_shape *src_shape(const mill_graph *g, const mill_node *node, int i)
{
    return mill_shape_of(g, node->src[i]);
}
static inline bool is_row_vector(const mill_shape *s, int64_t cols) /* (cols), or (1, .., cols) */
{
    return s->rank >= 1 && mill_cols(s) == cols && mill_rows(s) == 1;
}

mill_ref ops_broadcast_source(mill_graph *g, mill_ref x); /* x, or what a broadcast_to spreads */

/*
 * Sums over rows in two nodes.  The first has a partial result for each tile of mill_grain(rows)
 * rows of its source: (T, ..), T = ops_tiles(rows), and its units are those rows, so it shares a
 * visit with whatever makes them.  The second adds the T partials up in order.
 */
int64_t ops_tiles(int64_t rows);
mill_split ops_split_src0(const mill_graph *g, const mill_node *node);
mill_ref ops_tile_finish(mill_graph *g, mill_ref partials); /* (T, ..) -> (1, ..) */

/* A shape rule for gradients of x, whose sources are dy, x, ..: real, and as x is. */
mill_err ops_shape_like_src1(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                             const mill_node *node);

/* A shape in attributes i[0..4], for nodes whose sources do not say it. ORDER SHAPE ATTR */
mill_attr ops_shape_attr(const mill_shape *s);
mill_shape ops_attr_shape(const mill_attr *a);
mill_err ops_shape_from_attr(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                             const mill_node *node);

/* a + b where that is no addition: 0 if it is one after all. */
mill_ref ops_merge_scatter(mill_graph *g, mill_ref a, mill_ref b); /* one is a scatter: in place */
mill_ref ops_merge_product(mill_graph *g, mill_ref a, mill_ref b); /* b: a gradient's new product */
mill_ref ops_merge_pads(mill_graph *g, mill_ref a, mill_ref b); /* two paddings that make a whole */

#endif
