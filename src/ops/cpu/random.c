/* random.c - kernels of ops/random.c. */
#include "ops/cpu/random.h"

KERNEL(op_uniform)
{
    fill_uniform((real *)c->out + tile_first(c), source_of(c), tile_first(c), tile_elems(c));
}

KERNEL(op_normal)
{
    fill_normal((real *)c->out + tile_first(c), source_of(c), tile_first(c), tile_elems(c));
}

KERNEL(op_gumbel)
{
    fill_gumbel((real *)c->out + tile_first(c), source_of(c), tile_first(c), tile_elems(c));
}

/* In place: y may be x.  p is compared in float, as the numbers were drawn. */
KERNEL(op_dropout)
{
    const double p = c->node->attr.f[0];
    const lanes least = l_set((real)(float)p), factor = l_set((real)(1.0 / (1.0 - p)));
    const source s = source_of(c);
    const int64_t first = tile_first(c), end = first + tile_elems(c);
    const real *x = c->src[0];
    real *y = c->out, u[64];

    for (int64_t at = first; at < end;) {
        const int64_t skip = at % 64, take = end - at < 64 - skip ? end - at : 64 - skip;
        l_uniforms(u, s.seed, s.step, s.stream, (uint64_t)(at / 64));
        if (take < 64) /* to the front, so that one loop serves both */
            for (int64_t i = 0; i < take; i++) u[i] = u[i + skip];
        BLOCKS(j, w, take)
        {
            const lanes kept = l_mul(l_take(x + at + j, w, 0), factor);
            l_put(y + at + j, l_if_le(least, l_load(u + j), kept, l_set(0)), w);
        }
        at += take;
    }
}
