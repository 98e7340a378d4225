/*
 * kernel.h - for the level files of this room: how a kernel is named, and how a loop is vectorised.
 *
 * In a level file everything is static or a KERNEL; a KERNEL takes what it calls into itself, so
 * that no shared copy is left to be linked into the wrong level, and loops over rows vectorise.
 */
#ifndef MILL_OPS_CPU_KERNEL_H
#define MILL_OPS_CPU_KERNEL_H

#include "base/level.h"
#include "base/vmath.h"
#include "graph/op.h"

#define KERNEL(name)                         \
    void LEVEL_FN(name)(const mill_call *c); \
    __attribute__((flatten)) void LEVEL_FN(name)(const mill_call *c)

#define INLINE   static inline __attribute__((always_inline))
#define K(value) ((real)(value))

/* The loop that follows has no dependence between its turns: pointers are equal or apart (`alias`
 * of the descriptors), never shifted.  Without it the compiler's test for overlap would send every
 * in-place call to the scalar loop. */
#ifdef __clang__
#define APART _Pragma("clang loop vectorize(assume_safety)")
#else
#define APART _Pragma("GCC ivdep")
#endif

INLINE real attr_real(const mill_call *c, int i)
{
    return (real)c->node->attr.f[i];
}

/* The tile's elements when all operands are alike: [first, first + n). */
INLINE int64_t tile_first(const mill_call *c)
{
    return c->begin * mill_cols(&c->node->shape);
}
INLINE int64_t tile_elems(const mill_call *c)
{
    return (c->end - c->begin) * mill_cols(&c->node->shape);
}

#endif
