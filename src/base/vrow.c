/* vrow.c - which level's functions vrow.h means. */
#include "base/vrow.h"

#include "base/cpu.h"

static void (*const map[MILL_N_LEVEL])(float *, const float *, int64_t,
                                       mill_vrow) = MILL_LEVELS(vrow_map);
static void (*const draw[MILL_N_LEVEL])(void *, int64_t, mill_vrand_key,
                                        mill_vrand) = MILL_LEVELS(vrow_random);

void mill_vrow_map(float *y, const float *x, int64_t n, mill_vrow f)
{
    map[mill_cpu_level()](y, x, n, f);
}

void mill_vrow_random(void *y, int64_t n, mill_vrand_key key, mill_vrand kind)
{
    draw[mill_cpu_level()](y, n, key, kind);
}
