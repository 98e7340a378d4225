/* bind.h - ranks on cores of their own; of the launcher. */
#ifndef MILL_RANK_BIND_H
#define MILL_RANK_BIND_H

#include "base/err.h"

#include <sched.h>

typedef struct {
    int cpu, package, core;
} bind_cpu;

/* Those of n processors, of this machine or another, that rank `rank` among `world` of its host is
 * kept on.  Sorts `cpus`. */
void bind_share(cpu_set_t *set, bind_cpu *cpus, int n, int rank, int world);
/* This process is that rank, from now on; its threads and children, too. */
mill_err bind_rank(int rank, int world);

#endif
