/* fake_nvml.c - pretends to be NVIDIA's library, with two GPUs; the second one is old and knows
 * little. The first uses 30 % at first, 80 % later, and 100 J a question; with FAKE_PLAIN it tells
 * neither its energy nor what throttles it.  With FAKE_MIG it is divided: three places, with
 * instances in the first and the last; it then tells no utilization. */
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    unsigned long long total, free, used;
} memory_info;
typedef struct {
    unsigned gpu, memory;
} utilization;
enum { NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, TIMEOUT = 10 };

/* The GPUs, and what the first may be divided into. */
enum { FIRST, SECOND, INSTANCE, INSTANCE_2 = INSTANCE + 2 };
static int gpus[] = {FIRST, SECOND, INSTANCE, 0, INSTANCE_2}, asked;
static unsigned long long energy = 5000000;

static int index_of(void *d)
{
    return *(int *)d;
}

int nvmlInit_v2(void)
{
    return 0;
}
int nvmlShutdown(void)
{
    return 0;
}
const char *nvmlErrorString(int e)
{
    return e ? "some error" : "no error";
}
int nvmlDeviceGetCount_v2(unsigned *n)
{
    *n = 2;
    return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **d)
{
    *d = &gpus[i];
    return 0;
}
static int is_divided(void *d)
{
    return index_of(d) == FIRST && getenv("FAKE_MIG");
}
int nvmlDeviceGetMigMode(void *d, unsigned *now, unsigned *later)
{
    *now = is_divided(d) ? 1 : 0;
    *later = 0;
    return index_of(d) == SECOND ? NOT_SUPPORTED : 0;
}
int nvmlDeviceGetMaxMigDeviceCount(void *d, unsigned *n)
{
    *n = is_divided(d) ? 3 : 0;
    return 0;
}
int nvmlDeviceGetMigDeviceHandleByIndex(void *d, unsigned i, void **instance)
{
    if (!is_divided(d) || i == 1) return NOT_FOUND;
    *instance = &gpus[INSTANCE + i];
    return 0;
}
int nvmlDeviceGetName(void *d, char *name, unsigned n)
{
    static const char *const names[] = {"Fake \"GPU\", big", "Old GPU", "Fake MIG 1g.10gb", "",
                                        "Fake MIG 2g.20gb"};
    snprintf(name, n, "%s", names[index_of(d)]);
    return 0;
}
int nvmlDeviceGetUUID(void *d, char *name, unsigned n)
{
    static const char *const names[] = {"GPU-aaaa-1", "GPU-bbbb-2", "MIG-cccc-3", "", "MIG-dddd-4"};
    snprintf(name, n, "%s", names[index_of(d)]);
    return 0;
}
int nvmlDeviceGetMemoryInfo(void *d, memory_info *m)
{
    static const unsigned long long total[] = {80, 0, 10, 0, 20}, used[] = {20, 0, 2, 0, 4};
    const int i = index_of(d);

    *m = (memory_info){total[i] << 30, (total[i] - used[i]) << 30, used[i] << 30};
    return index_of(d) == SECOND ? NOT_SUPPORTED : 0;
}
int nvmlDeviceGetUtilizationRates(void *d, utilization *u)
{
    if (index_of(d) || is_divided(d)) return NOT_SUPPORTED;
    *u = (utilization){asked++ ? 80 : 30, 11};
    return 0;
}
int nvmlDeviceGetTemperature(void *d, int sensor, unsigned *t)
{
    *t = sensor == 0 ? 55 : 0;
    return index_of(d) ? NOT_SUPPORTED : 0;
}
int nvmlDeviceGetPowerUsage(void *d, unsigned *mw)
{
    *mw = 123456;
    return index_of(d) ? NOT_SUPPORTED : 0;
}
int nvmlDeviceGetTotalEnergyConsumption(void *d, unsigned long long *mj)
{
    if (index_of(d) || getenv("FAKE_PLAIN")) return NOT_SUPPORTED;
    *mj = energy += 100000;
    return 0;
}
int nvmlDeviceGetClockInfo(void *d, int type, unsigned *mhz)
{
    *mhz = type == 1 ? 1500 : type == 2 ? 2600 : 0;
    return index_of(d) ? NOT_SUPPORTED : 0;
}
int nvmlDeviceGetCurrentClocksThrottleReasons(void *d, unsigned long long *bits)
{
    *bits = 4;
    return index_of(d) || getenv("FAKE_PLAIN") ? NOT_SUPPORTED : 0;
}
/* 1 MiB out and 3 MiB in a question, over all links; the second GPU has none, as its field says. */
typedef struct {
    unsigned id, scope;
    long long time, latency;
    int type, err;
    unsigned long long value;
} field;
int nvmlDeviceGetFieldValues(void *d, int n, field *f)
{
    static unsigned long long questions;

    questions += index_of(d) == FIRST;
    for (int i = 0; i < n; i++) {
        const unsigned long long each = f[i].id == 138 ? 1024 : f[i].id == 139 ? 3072 : 0;
        f[i].err = index_of(d) || f[i].scope != 0xffffffffu || !each ? NOT_SUPPORTED : 0;
        f[i].type = 3;
        f[i].value = 7777 + each * questions;
    }
    return 0;
}
int nvmlDeviceGetFanSpeed(void *d, unsigned *percent)
{
    *percent = 42;
    return index_of(d) ? NOT_SUPPORTED : 0;
}
int nvmlDeviceGetEncoderUtilization(void *d, unsigned *percent, unsigned *us)
{
    *percent = 7;
    *us = 167000;
    return index_of(d) ? NOT_SUPPORTED : 0;
}
int nvmlDeviceGetTotalEccErrors(void *d, int type, int since, unsigned long long *n)
{
    *n = type == 1 && since == 0 ? 2 : 99;
    return index_of(d) ? NOT_SUPPORTED : 0;
}
int nvmlDeviceGetPcieReplayCounter(void *d, unsigned *n)
{
    *n = 5;
    return index_of(d) ? NOT_SUPPORTED : 0;
}
typedef struct {
    unsigned pid;
    unsigned long long used;
    unsigned instance[2];
} process;
int nvmlDeviceGetComputeRunningProcesses_v3(void *d, unsigned *n, process *p)
{
    const unsigned most = *n;

    *n = index_of(d) == FIRST ? 3 : index_of(d) == INSTANCE_2 ? 1 : 0;
    for (unsigned i = 0; i < *n && i < most; i++) p[i].pid = 100 + i;
    return *n > most ? TOO_SMALL : 0;
}

/* Errors: 31 and then 79 of the first GPU at its third question; the second has no such events. */
typedef struct {
    void *gpu;
    unsigned long long type, data;
    unsigned instance[2];
} event;
static int sets, told;
int nvmlEventSetCreate(void **set)
{
    *set = &sets;
    sets++;
    return 0;
}
int nvmlDeviceRegisterEvents(void *d, unsigned long long types, void *set)
{
    return index_of(d) || types != 8 || set != &sets ? NOT_SUPPORTED : 0;
}
int nvmlEventSetWait_v2(void *set, event *e, unsigned ms)
{
    if (set != &sets || ms || asked < 3 || told == 2) return TIMEOUT;
    *e = (event){.gpu = &gpus[0], .type = 8, .data = told++ ? 79 : 31};
    return 0;
}
int nvmlEventSetFree(void *set)
{
    return set != &sets;
}
