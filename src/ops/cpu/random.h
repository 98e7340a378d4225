/*
 * random.h - the random numbers of a range of elements, in level files.
 *
 * Numbers come in blocks of 64 elements (base/philox.h); a range may begin and end inside one.
 */
#ifndef MILL_OPS_CPU_RANDOM_H
#define MILL_OPS_CPU_RANDOM_H

#include "ops/cpu/lanes.h"

typedef struct {
    uint64_t seed;
    uint32_t step, stream;
} source;

INLINE source source_of(const mill_call *c)
{
    return (source){c->seed, c->step, (uint32_t)c->node->attr.i[MILL_MAX_ATTR - 1]};
}

/* y[0..n) = the numbers of elements first .. first + n - 1 */
#define FILL(name, draw)                                                             \
    INLINE void name(real *y, source s, int64_t first, int64_t n)                    \
    {                                                                                \
        real t[64];                                                                  \
        for (int64_t at = first, end = first + n; at < end;) {                       \
            const int64_t skip = at % 64;                                            \
            const int64_t take = end - at < 64 - skip ? end - at : 64 - skip;        \
            draw(take == 64 ? y : t, s.seed, s.step, s.stream, (uint64_t)(at / 64)); \
            if (take < 64) row_copy(y, t + skip, take);                              \
            at += take;                                                              \
            y += take;                                                               \
        }                                                                            \
    }
FILL(fill_uniform, l_uniforms)
FILL(fill_normal, l_normals)
FILL(fill_gumbel, l_gumbels)

#endif
