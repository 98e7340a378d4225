/* extra_oob.c - memory and levels of extra_oob.h; the trees are in cpu/extra_oob.c. */
#include "learn/extra_oob.h"

#include "base/cpu.h"

#include <string.h>

static void (*const tree[MILL_N_LEVEL])(extra_oob_votes *, const extra_oob_job *,
                                        int) = MILL_LEVELS(extra_oob_tree);
static void (*const transpose_rows[MILL_N_LEVEL])(float *, const float *, int64_t, int,
                                                  int64_t) = MILL_LEVELS(extra_oob_transpose);

static size_t round_up(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static int64_t width_of(const extra_oob_job *j)
{
    return ((int64_t)j->classes + 15) / 16 * 16;
}

static size_t sum_bytes(const extra_oob_job *j)
{
    return round_up((size_t)j->n * (size_t)width_of(j) * sizeof(float));
}

/* Rows and their spare, weights (n each), thresholds (ld). */
static size_t work_bytes(const extra_oob_job *j)
{
    return 3 * round_up((size_t)(j->n + 64) * sizeof(int32_t)) + (size_t)j->ld * sizeof(float);
}

size_t extra_oob_bytes(const extra_oob_job *j)
{
    return sum_bytes(j) + round_up((size_t)j->n * sizeof(int32_t)) + work_bytes(j);
}

void extra_oob_init(extra_oob_votes *v, const extra_oob_job *j, void *memory)
{
    char *at = memory;

    memset(memory, 0, extra_oob_bytes(j));
    v->width = width_of(j);
    v->sum = (float *)at;
    at += sum_bytes(j);
    v->seen = (int32_t *)at;
    v->work = at + round_up((size_t)j->n * sizeof(int32_t));
}

void extra_oob_grow(extra_oob_votes *v, const extra_oob_job *j, int begin, int end)
{
    for (int t = begin; t < end; t++) tree[mill_cpu_level()](v, j, t);
}

void extra_oob_rows(float *x, const float *cols, int64_t n, int c, int64_t ldc)
{
    transpose_rows[mill_cpu_level()](x, cols, n, c, ldc);
}
