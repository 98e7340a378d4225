/*
 * cpu.c - levels by cpuid and xgetbv, processors by affinity and cgroup quota, memory by cgroup
 * limit.
 *
 * A level counts only if the system saves its registers: XCR0 has 0x6 (SSE, AVX) for v3, 0xe6
 * (opmask, upper halves, upper sixteen) for v4.  The lists of features are the x86-64 psABI's,
 * "micro-architecture levels". Facts about the system are read with plain open and read, not
 * through base/file.h: they are no data of ours, and a test that fails the n-th read should not
 * meet them.  Whatever cannot be read is taken as "no limit".
 */
#include "base/cpu.h"

#include <cpuid.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct {
    char model[64];
    bool v3, v4, bf16; /* what the processor and the system have */
    mill_level level;  /* what we use */
    bool use_bf16;
    char why[160]; /* not empty: mill_cpu_init fails with it */
} cpu;

static uint64_t xgetbv(void)
{
    uint32_t lo, hi;

    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return (uint64_t)hi << 32 | lo;
}

static void find_features(void)
{
    enum {
        SSSE3_FMA_CX16_SSE4_MOVBE_POPCNT = 1 << 9 | 1 << 12 | 1 << 13 | 3 << 19 | 1 << 22 | 1 << 23
    };
    enum { XSAVE_AVX_F16C = 3 << 27 | 1 << 28 | 1 << 29 };
    enum { BMI1_AVX2_BMI2 = 1 << 3 | 1 << 5 | 1 << 8 };
    const unsigned all1 = SSSE3_FMA_CX16_SSE4_MOVBE_POPCNT | XSAVE_AVX_F16C;
    const unsigned avx512 =
        1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31; /* F DQ CD BW VL */
    unsigned a, b, c, d, b7, unused, a71, lzcnt;

    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & all1) != all1) return;
    const uint64_t saved = xgetbv();
    if (!__get_cpuid(0x80000001u, &a, &b, &lzcnt, &d)) return;
    if (!__get_cpuid_count(7, 0, &a, &b7, &c, &d)) return;
    cpu.v3 = (saved & 0x6) == 0x6 && (b7 & BMI1_AVX2_BMI2) == BMI1_AVX2_BMI2 && (lzcnt & 1u << 5);
    cpu.v4 = cpu.v3 && (saved & 0xe6) == 0xe6 && (b7 & avx512) == avx512;
    if (a < 1 || !__get_cpuid_count(7, 1, &a71, &b, &unused, &d)) return;
    cpu.bf16 = cpu.v4 && (a71 & 1u << 5);
}

static void find_model(void)
{
    unsigned r[12];
    char text[sizeof r + 1] = "";

    for (size_t i = 0; i < 3; i++) {
        unsigned *q = r + 4 * i;
        if (!__get_cpuid(0x80000002u + (unsigned)i, &q[0], &q[1], &q[2], &q[3])) return;
    }
    memcpy(text, r, sizeof r);
    char *s = text + strspn(text, " ");
    for (size_t n = strlen(s); n && s[n - 1] == ' '; n--) s[n - 1] = '\0';
    snprintf(cpu.model, sizeof cpu.model, "%s", s);
}

static void choose(void)
{
    static const char *const names[] = {"v3", "v4", "v4-bf16"};
    const int best = cpu.bf16 ? 2 : cpu.v4 ? 1 : 0;
    const char *want = getenv("TABMILL_ISA");
    int use = best;

    if (!cpu.v3) {
        snprintf(cpu.why, sizeof cpu.why,
                 "this processor has no AVX2 and FMA (x86-64-v3), which are needed");
        return;
    }
    if (want && *want) {
        for (use = 0; use < 3 && strcmp(want, names[use]) != 0; use++) continue;
        if (use == 3)
            snprintf(cpu.why, sizeof cpu.why, "TABMILL_ISA=%.32s is none of v3, v4, v4-bf16", want);
        else if (use > best)
            snprintf(cpu.why, sizeof cpu.why, "TABMILL_ISA=%s, but this processor has only %s",
                     want, names[best]);
        if (use > best) use = best;
    }
    cpu.level = use == 0 ? MILL_V3 : MILL_V4;
    cpu.use_bf16 = use == 2;
}

static void find_all(void)
{
    snprintf(cpu.model, sizeof cpu.model, "unknown");
    find_features();
    find_model();
    choose();
}

mill_err mill_cpu_init(void)
{
    pthread_once(&once, find_all);
    return *cpu.why ? mill_fail(MILL_EDEVICE, "%s", cpu.why) : MILL_OK;
}

mill_level mill_cpu_level(void)
{
    pthread_once(&once, find_all);
    return cpu.level;
}

bool mill_cpu_has_bf16(void)
{
    pthread_once(&once, find_all);
    return cpu.use_bf16;
}

const char *mill_cpu_level_name(void)
{
    return mill_cpu_has_bf16() ? "v4-bf16" : mill_cpu_level() == MILL_V4 ? "v4" : "v3";
}

const char *mill_cpu_model(void)
{
    pthread_once(&once, find_all);
    return cpu.model;
}

/* The beginning of a small file of the system; false if it cannot be read. */
static bool slurp(char *buf, size_t size, const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    const ssize_t n = read(fd, buf, size - 1);
    close(fd);
    buf[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/*
 * The folders of our cgroup and of those above it, one after another: fn(arg,
 * "/sys/fs/cgroup/a/b"), then ".../a", then the root. `v1` names a controller of the old layout
 * ("cpu", "memory"), which has a tree of its own.
 */
static void each_cgroup(const char *v1, void (*fn)(int64_t *least, const char *dir), int64_t *least)
{
    char list[4096], dir[4352];

    if (!slurp(list, sizeof list, "/proc/self/cgroup")) return;
    for (char *line = list, *save = NULL; (line = strtok_r(line, "\n", &save)); line = NULL) {
        char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;
        if (!path) continue;
        *path++ = '\0';
        names++;
        const bool old = *names != '\0';
        const size_t n = strlen(v1);
        if (old && (strncmp(names, v1, n) != 0 || (names[n] && names[n] != ','))) continue;
        snprintf(dir, sizeof dir, "/sys/fs/cgroup%s%s%s", old ? "/" : "", old ? v1 : "", path);
        const size_t root = strlen("/sys/fs/cgroup") + (old ? 1 + n : 0);
        for (size_t len = strlen(dir); len >= root; len--) {
            if (len > root && dir[len] != '\0' && dir[len] != '/') continue;
            dir[len] = '\0';
            fn(least, dir);
        }
    }
}

/* A number in dir/name; -1 for "max", for what is not there, and for the v1 way of saying no limit.
 */
static int64_t cgroup_number(const char *dir, const char *name)
{
    char path[4400], text[64], *end;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (!slurp(text, sizeof text, path)) return -1;
    const long long v = strtoll(text, &end, 10);
    return end == text || v > INT64_C(1) << 60 ? -1 : v;
}

static void quota_of(int64_t *least, const char *dir)
{
    char path[4400], text[64];
    long long quota = -1, period = 100000;

    snprintf(path, sizeof path, "%s/cpu.max", dir);
    if (slurp(text, sizeof text, path)) {
        char *end; /* "max 100000" is no number, and no limit */
        const long long first = strtoll(text, &end, 10);
        if (end != text) quota = first;
        const long long second = strtoll(end, NULL, 10);
        if (second > 0) period = second;
    } else {
        quota = cgroup_number(dir, "cpu.cfs_quota_us");
        period = cgroup_number(dir, "cpu.cfs_period_us");
    }
    if (quota <= 0 || period <= 0) return;
    const int64_t cpus = (quota + period - 1) / period;
    if (cpus < *least) *least = cpus;
}

static void memory_of(int64_t *least, const char *dir)
{
    int64_t bytes = cgroup_number(dir, "memory.max");

    if (bytes < 0) bytes = cgroup_number(dir, "memory.limit_in_bytes");
    if (bytes > 0 && bytes < *least) *least = bytes;
}

int mill_cpu_count(void)
{
    int64_t n = sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t *set = NULL;

    /* 8192 processors: more than cpu_set_t's 1024, which some machines exceed. */
    if ((set = CPU_ALLOC(8192))) {
        if (sched_getaffinity(0, CPU_ALLOC_SIZE(8192), set) == 0)
            n = CPU_COUNT_S(CPU_ALLOC_SIZE(8192), set);
        CPU_FREE(set);
    }
    each_cgroup("cpu", quota_of, &n);
    return n < 1 ? 1 : (int)n;
}

int64_t mill_cpu_memory_bytes(void)
{
    int64_t bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);

    each_cgroup("memory", memory_of, &bytes);
    return bytes;
}

static int64_t status_bytes(const char *key)
{
    char text[4096];

    if (!slurp(text, sizeof text, "/proc/self/status")) return 0;
    const char *at = strstr(text, key);
    return at ? strtoll(at + strlen(key) + 1, NULL, 10) * 1024 : 0; /* "VmRSS:   1234 kB" */
}

int64_t mill_cpu_rss_bytes(void)
{
    return status_bytes("\nVmRSS");
}

int64_t mill_cpu_peak_rss_bytes(void)
{
    return status_bytes("\nVmHWM");
}

double mill_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
