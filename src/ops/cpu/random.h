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

INLINE lanes of_uniform(lanes u)
{
    return u;
}
INLINE lanes of_normal(lanes u)
{
    return l_quantile(u);
}
INLINE lanes of_gumbel(lanes u)
{
    const lanes zero = l_set(0);
    return l_sub(zero, l_log(l_sub(zero, l_log(u))));
}

/* y[0..n) = f of the uniforms of elements first .. first + n - 1 */
#define FILL(name, f)                                                            \
    INLINE void name(real *y, source s, int64_t first, int64_t n)                \
    {                                                                            \
        real t[64];                                                              \
        for (int64_t at = first, end = first + n; at < end;) {                   \
            const int64_t block = at / 64, skip = at % 64;                       \
            const int64_t take = end - at < 64 - skip ? end - at : 64 - skip;    \
            real *to = take == 64 ? y : t;                                       \
            l_uniforms(to, s.seed, s.step, s.stream, (uint64_t)block);           \
            for (int i = 0; i < 64; i += 16) l_store(to + i, f(l_load(to + i))); \
            if (take < 64) row_copy(y, t + skip, take);                          \
            at += take;                                                          \
            y += take;                                                           \
        }                                                                        \
    }
FILL(fill_uniform, of_uniform)
FILL(fill_normal, of_normal)
FILL(fill_gumbel, of_gumbel)

#endif
