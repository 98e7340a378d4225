/*
 * bind.c - the processors that a rank is kept on: its share of the physical cores.
 *
 * The processors that this process may use (affinity, and so the cgroup's) are put in the order
 * (package, core, number).  With at most as many ranks as cores each rank gets whole cores, all of
 * their hardware threads, one behind the other: neighbours share a package and its memory, since
 * pages lie where they are first touched.  With more ranks than cores each gets one processor, by
 * turns.  The kernel's own files say which is where; a library of topologies would say no more
 * here.
 */
#include "rank/bind.h"

#include "base/file.h"
#include "base/mem.h"
#include "rank/rank.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_place(const void *a, const void *b)
{
    const bind_cpu *x = a, *y = b;

    if (x->package != y->package) return x->package < y->package ? -1 : 1;
    if (x->core != y->core) return x->core < y->core ? -1 : 1;
    return x->cpu < y->cpu ? -1 : x->cpu > y->cpu;
}

/* Whether processor i of the sorted ones begins a core. */
static bool is_first(const bind_cpu *c, int i)
{
    return !i || c[i].package != c[i - 1].package || c[i].core != c[i - 1].core;
}

void bind_share(cpu_set_t *set, bind_cpu *cpus, int n, int rank, int world)
{
    int cores = 0;

    CPU_ZERO(set);
    qsort(cpus, (size_t)n, sizeof *cpus, by_place);
    for (int i = 0; i < n; i++) cores += is_first(cpus, i);
    if (world > cores) {
        CPU_SET(cpus[rank % n].cpu, set);
        return;
    }
    const rank_span mine = rank_share(cores, rank, world);
    for (int i = 0, core = -1; i < n; i++) {
        core += is_first(cpus, i);
        if (core >= mine.begin && core < mine.end) CPU_SET(cpus[i].cpu, set);
    }
}

/* A number of the kernel's; `otherwise` where it does not say. */
static int read_number(int cpu, const char *name, int otherwise)
{
    char path[120], *text, *end;
    size_t len;

    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/%s", cpu, name);
    if (!file_exists(path) || file_read_all(&text, &len, path)) return otherwise;
    const long x = strtol(text, &end, 10);
    const int got = end == text ? otherwise : (int)x;
    mill_free(text);
    return got;
}

mill_err bind_rank(int rank, int world)
{
    static bind_cpu cpus[CPU_SETSIZE];
    cpu_set_t set;
    int n = 0;

    if (sched_getaffinity(0, sizeof set, &set))
        return mill_fail(MILL_EDEVICE, "cannot see the processors: %s", strerror(errno));
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &set))
            cpus[n++] = (bind_cpu){cpu, read_number(cpu, "physical_package_id", 0),
                                   read_number(cpu, "core_id", cpu)};
    bind_share(&set, cpus, n, rank, world);
    if (sched_setaffinity(0, sizeof set, &set))
        return mill_fail(MILL_EDEVICE, "cannot keep rank %d on its processors: %s", rank,
                         strerror(errno));
    return MILL_OK;
}
