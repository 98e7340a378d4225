/*
 * shape.c - shapes, sizes, and the rule by which rows are dealt.
 *
 * A shape is row-major with at most four dimensions.  Its rows are all dimensions but the last, its
 * columns the last; a scalar has one of each, a vector one row.
 */
#include "graph/inner.h"
#include <stdio.h>

int64_t mill_elems(const mill_shape *s)
{
    int64_t n = 1;
    for (int i = 0; i < s->rank; i++) n *= s->dim[i];
    return n;
}

int64_t mill_rows(const mill_shape *s)
{
    int64_t n = 1;
    for (int i = 0; i + 1 < s->rank; i++) n *= s->dim[i];
    return n;
}

int64_t mill_cols(const mill_shape *s)
{
    return s->rank ? s->dim[s->rank - 1] : 1;
}

bool mill_shape_equal(const mill_shape *a, const mill_shape *b)
{
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i]) return false;
    return true;
}

size_t mill_dtype_size(mill_dtype t)
{
    static const size_t size[MILL_N_DTYPE] = {sizeof(real), sizeof(double), sizeof(int32_t), 2};
    return size[t];
}

const char *mill_shape_text(char buf[64], const mill_shape *s)
{
    int at = snprintf(buf, 64, "(");
    for (int i = 0; i < s->rank && at < 60; i++)
        at += snprintf(buf + at, (size_t)(64 - at), i ? ", %lld" : "%lld", (long long)s->dim[i]);
    if (at < 62) snprintf(buf + at, (size_t)(64 - at), s->rank == 1 ? ",)" : ")");
    return buf;
}

int64_t mill_grain(int64_t rows)
{
    if (rows >= 128) return 64;
    const int64_t quarter = (rows + 3) / 4;
    return quarter > 1 ? quarter : 1;
}

mill_split mill_split_rows(const mill_graph *g, const mill_node *node)
{
    (void)g;
    const int64_t rows = mill_rows(&node->shape);
    return (mill_split){rows, mill_grain(rows), true};
}

mill_err shape_like_src0(mill_shape *out, mill_dtype *dtype, const mill_graph *g,
                         const mill_node *node)
{
    const mill_node *src = mill_get(g, node->src[0]);
    *out = src->shape;
    *dtype = src->dtype;
    return MILL_OK;
}

size_t graph_bytes(const mill_node *node)
{
    return (size_t)mill_elems(&node->shape) * mill_dtype_size(node->dtype);
}

mill_split graph_split(const mill_graph *g, mill_ref r)
{
    const mill_node *node = mill_get(g, r);
    return node->op && node->op->split ? node->op->split(g, node) : mill_split_rows(g, node);
}
