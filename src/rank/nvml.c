/*
 * nvml.c - a dozen functions of libnvidia-ml.so.1, by name.
 *
 * Prototypes as in NVIDIA's public nvml.h (a stable C ABI): handles are pointers, every function
 * returns 0 or an error.  Only the first few must be there; what an older driver lacks reads -1.
 * GPU i of CUDA is not GPU i of NVML: CUDA_VISIBLE_DEVICES chooses and orders, by index or by UUID
 * (or a beginning of it).
 */
#include "rank/nvml.h"

#include "base/mem.h"

#include <dlfcn.h>
#include <immintrin.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void *device;
typedef struct {
    unsigned long long total, free, used;
} memory_info;
typedef struct {
    unsigned gpu, memory;
} utilization;

typedef struct {
    unsigned pid;
    unsigned long long bytes;
    unsigned gpu_instance, compute_instance;
} process_info;
typedef struct {
    device gpu;
    unsigned long long type, data;
    unsigned gpu_instance, compute_instance;
} event;

struct nvml {
    void *library;
    int n;
    device gpu[NVML_MAX_GPUS];
    int (*shutdown)(void);
    int (*name)(device, char *, unsigned);
    int (*uuid)(device, char *, unsigned);
    int (*memory)(device, memory_info *);
    int (*busy)(device, utilization *);
    int (*temperature)(device, int, unsigned *);
    int (*power)(device, unsigned *);
    int (*power_limit)(device, unsigned *);
    int (*energy)(device, unsigned long long *);
    int (*clock)(device, int, unsigned *);
    int (*throttle)(device, unsigned long long *);
    int (*pcie)(device, int, unsigned *);
    int (*processes)(device, unsigned *, process_info *);
    void *events; /* NULL: the driver tells of none */
    int (*next_event)(void *, event *, unsigned);
    int (*free_events)(void *);
    double xid[NVML_MAX_GPUS]; /* as nvml_sample.xid */
};

enum { CLOCK_SM = 1, CLOCK_MEMORY = 2, PCIE_TX = 0, PCIE_RX = 1, TOO_SMALL = 7, EVENT_XID = 8 };

static void find(void *library, void *function, const char *name)
{
    void *p = dlsym(library, name);

    memcpy(function, &p, sizeof p);
}

static void find_all(nvml *n)
{
    void *so = n->library;

    find(so, &n->shutdown, "nvmlShutdown");
    find(so, &n->name, "nvmlDeviceGetName");
    find(so, &n->uuid, "nvmlDeviceGetUUID");
    find(so, &n->memory, "nvmlDeviceGetMemoryInfo");
    find(so, &n->busy, "nvmlDeviceGetUtilizationRates");
    find(so, &n->temperature, "nvmlDeviceGetTemperature");
    find(so, &n->power, "nvmlDeviceGetPowerUsage");
    find(so, &n->power_limit, "nvmlDeviceGetEnforcedPowerLimit");
    find(so, &n->energy, "nvmlDeviceGetTotalEnergyConsumption");
    find(so, &n->clock, "nvmlDeviceGetClockInfo");
    find(so, &n->throttle, "nvmlDeviceGetCurrentClocksThrottleReasons");
    find(so, &n->pcie, "nvmlDeviceGetPcieThroughput");
    find(so, &n->processes, "nvmlDeviceGetComputeRunningProcesses_v3");
}

/* Errors are events; a GPU that has none of them stays at "not known". */
static void await_errors(nvml *n)
{
    int (*create)(void **), (*add)(device, unsigned long long, void *);

    for (int i = 0; i < n->n; i++) n->xid[i] = -1;
    find(n->library, &create, "nvmlEventSetCreate");
    find(n->library, &add, "nvmlDeviceRegisterEvents");
    find(n->library, &n->next_event, "nvmlEventSetWait_v2");
    find(n->library, &n->free_events, "nvmlEventSetFree");
    if (!create || !add || !n->next_event || !n->free_events || create(&n->events)) return;
    for (int i = 0; i < n->n; i++)
        if (!add(n->gpu[i], EVENT_XID, n->events)) n->xid[i] = 0;
}

/* What has come meanwhile; does not wait. */
static void take_errors(nvml *n)
{
    event e;

    for (int most = 1000; n->events && most > 0 && !n->next_event(n->events, &e, 0); most--)
        for (int i = 0; i < n->n; i++)
            if (n->gpu[i] == e.gpu && e.type & EVENT_XID) n->xid[i] = (double)e.data;
}

static mill_err start(nvml *n)
{
    int (*init)(void), (*count)(unsigned *), (*get)(unsigned, device *), err;
    const char *(*words)(int);
    unsigned found = 0;

    find(n->library, &init, "nvmlInit_v2");
    find(n->library, &count, "nvmlDeviceGetCount_v2");
    find(n->library, &get, "nvmlDeviceGetHandleByIndex_v2");
    find(n->library, &words, "nvmlErrorString");
    find_all(n);
    if (!init || !count || !get || !n->shutdown)
        return mill_fail(MILL_EDEVICE, "the NVML library lacks functions");
    if ((err = init()))
        return mill_fail(MILL_EDEVICE, "NVML: %s", words ? words(err) : "does not start");
    if (!count(&found))
        for (unsigned i = 0; i < found && n->n < NVML_MAX_GPUS; i++)
            if (!get(i, &n->gpu[n->n])) n->n++;
    await_errors(n);
    return MILL_OK;
}

mill_err nvml_open(nvml **out)
{
    const char *given = getenv("TABMILL_NVML");
    const unsigned csr = _mm_getcsr();
    nvml *n = mill_alloc(1, sizeof *n);
    mill_err err;

    if (!n) return MILL_ENOMEM;
    n->library = dlopen(given ? given : "libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    _mm_setcsr(csr); /* a library linked with fast-math changes it */
    err = n->library ? start(n) : mill_fail(MILL_EDEVICE, "no NVIDIA driver here: %s", dlerror());
    if (err) {
        if (n->library) dlclose(n->library);
        mill_free(n);
        return err;
    }
    *out = n;
    return MILL_OK;
}

void nvml_close(nvml *n)
{
    if (!n) return;
    if (n->events) n->free_events(n->events);
    n->shutdown();
    dlclose(n->library);
    mill_free(n);
}

int nvml_count(const nvml *n)
{
    return n ? n->n : 0;
}

/* Its place in CUDA_VISIBLE_DEVICES: "1,0", "GPU-8f2a,GPU-77"; as CUDA does, the list ends at the
 * first entry that is none. */
static int cuda_index(int gpu, const char *uuid)
{
    const char *list = getenv("CUDA_VISIBLE_DEVICES");
    int place = 0;

    if (!list) return gpu;
    for (; *list; place++) {
        const size_t len = strcspn(list, ",");
        char *end;
        const long i = strtol(list, &end, 10);
        const bool is_index = end != list && end == list + len;

        if (is_index ? i < 0 : strncmp(list, "GPU-", 4) != 0) return -1;
        if (is_index ? i == gpu : !strncmp(list, uuid, len)) return place;
        list += len + (list[len] == ',');
    }
    return -1;
}

static void read_processes(const nvml *n, device d, nvml_sample *out)
{
    process_info p[NVML_MAX_PIDS];
    unsigned there = NVML_MAX_PIDS;
    const int err = n->processes ? n->processes(d, &there, p) : -1;

    out->processes = err == 0 || err == TOO_SMALL ? (double)there : -1;
    if (err || there > NVML_MAX_PIDS) return;
    out->n_pids = (int)there;
    for (unsigned i = 0; i < there; i++) out->pid[i] = p[i].pid;
}

void nvml_read(nvml *n, int gpu, nvml_sample *out)
{
    const device d = n->gpu[gpu];
    memory_info memory;
    utilization busy;
    unsigned v;
    unsigned long long w;

    *out = (nvml_sample){.busy = -1, .memory_busy = -1, .used_bytes = -1, .total_bytes = -1};
    if (n->name) (void)n->name(d, out->name, sizeof out->name);
    if (n->uuid) (void)n->uuid(d, out->uuid, sizeof out->uuid);
    out->cuda_index = cuda_index(gpu, out->uuid);
    if (n->memory && !n->memory(d, &memory)) {
        out->used_bytes = (double)memory.used;
        out->total_bytes = (double)memory.total;
    }
    if (n->busy && !n->busy(d, &busy)) {
        out->busy = busy.gpu;
        out->memory_busy = busy.memory;
    }
    out->temperature = n->temperature && !n->temperature(d, 0, &v) ? (double)v : -1;
    out->power = n->power && !n->power(d, &v) ? v / 1000.0 : -1;
    out->power_limit = n->power_limit && !n->power_limit(d, &v) ? v / 1000.0 : -1;
    out->energy = n->energy && !n->energy(d, &w) ? (double)w / 1000.0 : -1;
    out->sm_clock = n->clock && !n->clock(d, CLOCK_SM, &v) ? (double)v : -1;
    out->memory_clock = n->clock && !n->clock(d, CLOCK_MEMORY, &v) ? (double)v : -1;
    out->throttle = n->throttle && !n->throttle(d, &w) ? (double)w : -1;
    out->pcie_tx = n->pcie && !n->pcie(d, PCIE_TX, &v) ? (double)v : -1;
    out->pcie_rx = n->pcie && !n->pcie(d, PCIE_RX, &v) ? (double)v : -1;
    read_processes(n, d, out);
    take_errors(n);
    out->xid = n->xid[gpu];
}
