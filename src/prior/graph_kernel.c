/* graph_kernel.c - which level's loops graph_scm runs. */
#include "prior/graph_kernel.h"

#include "base/cpu.h"

#define KERNEL_V3(type, name, args) .name = name##_v3,
#define KERNEL_V4(type, name, args) .name = name##_v4,

static const graph_kernels levels[MILL_N_LEVEL] = {
    [MILL_V3] = {GRAPH_KERNELS(KERNEL_V3)},
    [MILL_V4] = {GRAPH_KERNELS(KERNEL_V4)},
};

const graph_kernels *graph_kernels_get(void)
{
    return &levels[mill_cpu_level()];
}
