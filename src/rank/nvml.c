/*
 * nvml.c - some twenty functions of libnvidia-ml.so.1, by name.
 *
 * Prototypes as in NVIDIA's public nvml.h (a stable C ABI): handles are pointers, every function
 * returns 0 or an error.  Only the first few must be there; what an older driver lacks reads -1.
 * GPU i of CUDA is not GPU i of NVML: CUDA_VISIBLE_DEVICES chooses and orders, by index or by UUID
 * (or a beginning of it).  Of a divided GPU CUDA sees instances only; which one an index means, or
 * no list at all, is not told, so an instance is found by its UUID alone.
 */
#include "rank/nvml.h"

#include "base/mem.h"

#include <dlfcn.h>
#include <immintrin.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void *handle;
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
    handle gpu;
    unsigned long long type, data;
    unsigned gpu_instance, compute_instance;
} event;
typedef struct {
    unsigned id, scope;
    long long time, latency;
    int type, err;
    unsigned long long value;
} field;

typedef struct {
    handle at;
    int gpu, instance;
    bool is_divided;
    double xid; /* as nvml_sample.xid */
} device;

struct nvml {
    void *library;
    int n;
    device device[NVML_MAX_GPUS];
    int (*shutdown)(void);
    int (*name)(handle, char *, unsigned);
    int (*uuid)(handle, char *, unsigned);
    int (*memory)(handle, memory_info *);
    int (*busy)(handle, utilization *);
    int (*temperature)(handle, int, unsigned *);
    int (*power)(handle, unsigned *);
    int (*power_limit)(handle, unsigned *);
    int (*energy)(handle, unsigned long long *);
    int (*clock)(handle, int, unsigned *);
    int (*throttle)(handle, unsigned long long *);
    int (*pcie)(handle, int, unsigned *);
    int (*processes)(handle, unsigned *, process_info *);
    int (*fields)(handle, int, field *);
    int (*fan)(handle, unsigned *);
    int (*encoder)(handle, unsigned *, unsigned *);
    int (*errors)(handle, int, int, unsigned long long *);
    int (*replays)(handle, unsigned *);
    void *events; /* NULL: the driver tells of none */
    int (*next_event)(void *, event *, unsigned);
    int (*free_events)(void *);
};

enum { CLOCK_SM = 1, CLOCK_MEMORY = 2, PCIE_TX = 0, PCIE_RX = 1, TOO_SMALL = 7, EVENT_XID = 8 };
enum { UNCORRECTED = 1, SINCE_LOADED = 0 };
enum { NVLINK_TX = 138, NVLINK_RX = 139, ALL_LINKS = -1, UNSIGNED_LONG_LONG = 3 };

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
    find(so, &n->fields, "nvmlDeviceGetFieldValues");
    find(so, &n->fan, "nvmlDeviceGetFanSpeed");
    find(so, &n->encoder, "nvmlDeviceGetEncoderUtilization");
    find(so, &n->errors, "nvmlDeviceGetTotalEccErrors");
    find(so, &n->replays, "nvmlDeviceGetPcieReplayCounter");
}

/* Errors are events; a GPU that has none of them stays at "not known". */
static void await_errors(nvml *n)
{
    int (*create)(void **), (*add)(handle, unsigned long long, void *);

    find(n->library, &create, "nvmlEventSetCreate");
    find(n->library, &add, "nvmlDeviceRegisterEvents");
    find(n->library, &n->next_event, "nvmlEventSetWait_v2");
    find(n->library, &n->free_events, "nvmlEventSetFree");
    if (!create || !add || !n->next_event || !n->free_events || create(&n->events)) return;
    for (int i = 0; i < n->n; i++)
        if (n->device[i].instance < 0 && !add(n->device[i].at, EVENT_XID, n->events))
            n->device[i].xid = 0;
}

/* What has come meanwhile; does not wait. */
static void take_errors(nvml *n)
{
    event e;

    for (int most = 1000; n->events && most > 0 && !n->next_event(n->events, &e, 0); most--)
        for (int i = 0; i < n->n; i++)
            if (n->device[i].at == e.gpu && e.type & EVENT_XID) n->device[i].xid = (double)e.data;
}

static device *add_device(nvml *n, handle at, int gpu, int instance)
{
    device *d = &n->device[n->n++];

    *d = (device){.at = at, .gpu = gpu, .instance = instance, .xid = -1};
    return d;
}

/* The instances of a GPU, if it is divided.  Their numbers may have gaps. */
static void add_instances(nvml *n, device *gpu)
{
    int (*mode)(handle, unsigned *, unsigned *), (*most)(handle, unsigned *),
        (*get)(handle, unsigned, handle *);
    unsigned is_on = 0, pending, places = 0;
    handle at;

    find(n->library, &mode, "nvmlDeviceGetMigMode");
    find(n->library, &most, "nvmlDeviceGetMaxMigDeviceCount");
    find(n->library, &get, "nvmlDeviceGetMigDeviceHandleByIndex");
    if (!mode || !most || !get || mode(gpu->at, &is_on, &pending) || !is_on) return;
    gpu->is_divided = true;
    if (most(gpu->at, &places)) return;
    for (unsigned i = 0; i < places && n->n < NVML_MAX_GPUS; i++)
        if (!get(gpu->at, i, &at)) (void)add_device(n, at, gpu->gpu, (int)i);
}

static mill_err start(nvml *n)
{
    int (*init)(void), (*count)(unsigned *), (*get)(unsigned, handle *), err;
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
        for (unsigned i = 0; i < found && n->n < NVML_MAX_GPUS; i++) {
            handle at;
            if (get(i, &at)) continue;
            add_instances(n, add_device(n, at, (int)i, -1));
        }
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

/* Its place in CUDA_VISIBLE_DEVICES: "1,0", "GPU-8f2a,MIG-77"; as CUDA does, the list ends at the
 * first entry that is none. */
static int cuda_index(const device *d, const char *uuid)
{
    const char *list = getenv("CUDA_VISIBLE_DEVICES");
    const int gpu = d->instance < 0 && !d->is_divided ? d->gpu : -1; /* that an index can mean */
    int place = 0;

    if (!list) return gpu;
    for (; *list; place++) {
        const size_t len = strcspn(list, ",");
        char *end;
        const long i = strtol(list, &end, 10);
        const bool is_index = end != list && end == list + len;
        const bool is_uuid = !strncmp(list, "GPU-", 4) || !strncmp(list, "MIG-", 4);

        if (is_index ? i < 0 : !is_uuid) return -1;
        if (is_index ? i == gpu : !d->is_divided && !strncmp(list, uuid, len)) return place;
        list += len + (list[len] == ',');
    }
    return -1;
}

static void read_processes(const nvml *n, handle d, nvml_sample *out)
{
    process_info p[NVML_MAX_PIDS];
    unsigned there = NVML_MAX_PIDS;
    const int err = n->processes ? n->processes(d, &there, p) : -1;

    out->processes = err == 0 || err == TOO_SMALL ? (double)there : -1;
    if (err || there > NVML_MAX_PIDS) return;
    out->n_pids = (int)there;
    for (unsigned i = 0; i < there; i++) out->pid[i] = p[i].pid;
}

static double counter(const field *f)
{
    return !f->err && f->type == UNSIGNED_LONG_LONG ? (double)f->value : -1;
}

/* What is seldom there: NVLink, fans (not in servers), ECC. */
static void read_health(const nvml *n, handle d, nvml_sample *out)
{
    field link[2] = {{.id = NVLINK_TX, .scope = (unsigned)ALL_LINKS, .err = -1},
                     {.id = NVLINK_RX, .scope = (unsigned)ALL_LINKS, .err = -1}};
    const bool told = n->fields && !n->fields(d, 2, link);
    unsigned v, period;
    unsigned long long w;

    out->nvlink_tx = told ? counter(&link[0]) : -1;
    out->nvlink_rx = told ? counter(&link[1]) : -1;
    out->fan = n->fan && !n->fan(d, &v) ? (double)v : -1;
    out->encoder = n->encoder && !n->encoder(d, &v, &period) ? (double)v : -1;
    out->memory_errors = n->errors && !n->errors(d, UNCORRECTED, SINCE_LOADED, &w) ? (double)w : -1;
    out->pcie_replays = n->replays && !n->replays(d, &v) ? (double)v : -1;
}

void nvml_read(nvml *n, int i, nvml_sample *out)
{
    const device *of = &n->device[i];
    const handle d = of->at;
    memory_info memory;
    utilization busy;
    unsigned v;
    unsigned long long w;

    *out = (nvml_sample){.gpu = of->gpu,
                         .instance = of->instance,
                         .busy = -1,
                         .memory_busy = -1,
                         .used_bytes = -1,
                         .total_bytes = -1};
    if (n->name) (void)n->name(d, out->name, sizeof out->name);
    if (n->uuid) (void)n->uuid(d, out->uuid, sizeof out->uuid);
    out->cuda_index = cuda_index(of, out->uuid);
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
    read_health(n, d, out);
    read_processes(n, d, out);
    take_errors(n);
    out->xid = of->xid;
}
