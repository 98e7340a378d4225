/*
 * t_cpu_fake.c - levels, quotas and limits of machines that this one is not: base/cpu.c with
 * made-up answers from processor and system.
 */
#include "lib/test.h"

#include <cpuid.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- a processor: leaves 1, 7, 7.1, 0x80000001 ---- */

static unsigned leaf1_c, leaf7_b, leaf71_a, extended_c;
static bool has_brand;

static int fake_cpuid(unsigned leaf, unsigned *a, unsigned *b, unsigned *c, unsigned *d)
{
    static const char brand[49] = "  Made-up CPU 9      "; /* padded, as some are */

    *a = *b = *c = *d = 0;
    if (leaf == 1) *c = leaf1_c;
    if (leaf == 0x80000001u) *c = extended_c;
    if (leaf >= 0x80000002u && leaf <= 0x80000004u) {
        if (!has_brand) return 0;
        const char *s = brand + (size_t)16 * (leaf - 0x80000002u);
        memcpy(a, s, 4), memcpy(b, s + 4, 4), memcpy(c, s + 8, 4), memcpy(d, s + 12, 4);
    }
    return 1;
}

static int fake_cpuid_count(unsigned leaf, unsigned sub, unsigned *a, unsigned *b, unsigned *c,
                            unsigned *d)
{
    *c = *d = *b = 0;
    *a = leaf == 7 && sub == 0 ? 1 : leaf71_a;
    if (sub == 0) *b = leaf7_b;
    return 1;
}

/* ---- a system: files by path, ended by a NULL ---- */

static const char *const *files;

static int fake_open(const char *path, int flags)
{
    for (const char *const *f = files; f && *f; f += 2)
        if (!strcmp(path, f[0])) {
            const int fd = memfd_create("fake", 0);
            const ssize_t n = (ssize_t)strlen(f[1]);
            assert_true(fd >= 0 && write(fd, f[1], (size_t)n) == n && !lseek(fd, 0, SEEK_SET));
            return fd;
        }
    return strncmp(path, "/proc/self/status", 17) ? -1 : open(path, flags);
}

/* NOLINTBEGIN(bugprone-reserved-identifier): the compiler's own names are what is replaced */
#define __get_cpuid       fake_cpuid
#define __get_cpuid_count fake_cpuid_count
/* NOLINTEND(bugprone-reserved-identifier) */
#define open fake_open
#include "base/cpu.c" /* NOLINT(bugprone-suspicious-include): with the fakes inside */
#undef open

/* The features by their names in the psABI's "micro-architecture levels", and nothing else. */
enum {
    SSSE3 = 1u << 9,
    FMA = 1u << 12,
    CX16 = 1u << 13,
    SSE4_1 = 1u << 19,
    SSE4_2 = 1u << 20,
    MOVBE = 1u << 22,
    POPCNT = 1u << 23,
    OSXSAVE = 1u << 27,
    AVX = 1u << 28,
    F16C = 1u << 29,
    BMI1 = 1u << 3,
    AVX2 = 1u << 5,
    BMI2 = 1u << 8,
    LZCNT = 1u << 5,
    AVX512F = 1u << 16,
    AVX512DQ = 1u << 17,
    AVX512CD = 1u << 28,
    AVX512BW = 1u << 30
};
static const unsigned AVX512VL = 1u << 31, AVX512_BF16 = 1u << 5;

static void have_all(void)
{
    leaf1_c = SSSE3 | FMA | CX16 | SSE4_1 | SSE4_2 | MOVBE | POPCNT | OSXSAVE | AVX | F16C;
    leaf7_b = BMI1 | AVX2 | BMI2 | AVX512F | AVX512DQ | AVX512CD | AVX512BW | AVX512VL;
    leaf71_a = AVX512_BF16;
    extended_c = LZCNT;
    has_brand = true;
}

/* What is chosen; `isa` may be NULL. */
static const char *level_with(const char *isa)
{
    pthread_once_t again = PTHREAD_ONCE_INIT;

    memset(&cpu, 0, sizeof cpu);
    once = again;
    if (isa)
        setenv("TABMILL_ISA", isa, 1);
    else
        unsetenv("TABMILL_ISA");
    return mill_cpu_init() ? mill_error() : mill_cpu_level_name();
}

void test_cpu__takes_the_best_level_that_is_complete(void **state)
{
    (void)state;
    if ((xgetbv() & 0xe6) != 0xe6) skip_because("the system saves no AVX-512 registers");
    have_all();
    assert_string_equal(level_with(NULL), "v4-bf16");
    assert_string_equal(level_with("v4"), "v4");
    assert_string_equal(level_with("v3"), "v3");
    leaf71_a = ~AVX512_BF16;
    assert_string_equal(level_with(NULL), "v4");
    for (unsigned bit = 0; bit < 32; bit++) {
        have_all();
        leaf7_b &= ~(1u << bit);
        const bool needed = 1u << bit & (AVX512F | AVX512DQ | AVX512CD | AVX512BW | AVX512VL);
        if (needed) assert_string_equal(level_with(NULL), "v3");
    }
}

void test_cpu__below_v3_nothing_runs(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 96; bit++) {
        have_all();
        unsigned *word = bit < 32 ? &leaf1_c : bit < 64 ? &leaf7_b : &extended_c;
        const unsigned v3[] = {leaf1_c, BMI1 | AVX2 | BMI2, LZCNT};
        if (!(v3[bit / 32] & 1u << bit % 32)) continue;
        *word &= ~(1u << bit % 32);
        assert_non_null(strstr(level_with(NULL), "no AVX2 and FMA"));
    }
}

void test_cpu__a_refused_level_leaves_one_that_runs(void **state)
{
    (void)state;
    have_all();
    leaf7_b &= ~(unsigned)AVX512F;
    assert_string_equal(level_with("v4"), "TABMILL_ISA=v4, but this processor has only v3");
    assert_int_equal(mill_cpu_level(), MILL_V3);
    assert_false(mill_cpu_has_bf16());
}

void test_cpu__model_is_the_brand_without_its_blanks(void **state)
{
    (void)state;
    have_all();
    level_with(NULL);
    assert_string_equal(mill_cpu_model(), "Made-up CPU 9");
    has_brand = false;
    level_with(NULL);
    assert_string_equal(mill_cpu_model(), "unknown");
}

static int64_t cpus_with(const char *const *system)
{
    int64_t n = 64;
    files = system;
    each_cgroup("cpu", quota_of, &n);
    return n;
}

void test_cpu__quota_is_the_least_of_all_groups_above(void **state)
{
    static const char *const none[] = {"/proc/self/cgroup", "0::/\n", NULL};
    static const char *const v2[] = {"/proc/self/cgroup",
                                     "0::/a/b\n",
                                     "/sys/fs/cgroup/a/b/cpu.max",
                                     "max 100000\n",
                                     "/sys/fs/cgroup/a/cpu.max",
                                     "350000 100000\n",
                                     "/sys/fs/cgroup/cpu.max",
                                     "900000 100000\n",
                                     NULL};
    static const char *const v1[] = {"/proc/self/cgroup",
                                     "7:cpuset:/z\n4:cpu,cpuacct:/x\n",
                                     "/sys/fs/cgroup/cpuset/z/cpu.cfs_quota_us",
                                     "100000\n",
                                     "/sys/fs/cgroup/cpuset/z/cpu.cfs_period_us",
                                     "100000\n",
                                     "/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us",
                                     "250000\n",
                                     "/sys/fs/cgroup/cpu/x/cpu.cfs_period_us",
                                     "50000\n",
                                     "/sys/fs/cgroup/cpu/cpu.cfs_quota_us",
                                     "-1\n",
                                     "/sys/fs/cgroup/cpu/cpu.cfs_period_us",
                                     "50000\n",
                                     NULL};
    static const char *const half[] = {"/proc/self/cgroup", "0::/\n", "/sys/fs/cgroup/cpu.max",
                                       "50000 100000\n", NULL};

    (void)state;
    assert_int_equal(cpus_with(none), 64);
    assert_int_equal(cpus_with(v2), 4); /* 3.5, rounded up */
    assert_int_equal(cpus_with(v1), 5);
    files = half;
    assert_int_equal(mill_cpu_count(), 1);
    files = none;
    cpu_set_t set;
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    assert_int_equal(mill_cpu_count(), CPU_COUNT(&set));
}

void test_cpu__memory_is_what_the_group_may_use(void **state)
{
    static const char *const v2[] = {"/proc/self/cgroup",
                                     "0::/a\n",
                                     "/sys/fs/cgroup/a/memory.max",
                                     "123456789\n",
                                     "/sys/fs/cgroup/memory.max",
                                     "max\n",
                                     NULL};
    static const char *const v1[] = {"/proc/self/cgroup",
                                     "5:memory:/y\n",
                                     "/sys/fs/cgroup/memory/y/memory.limit_in_bytes",
                                     "9223372036854771712\n",
                                     "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                                     "98765432\n",
                                     NULL};

    (void)state;
    files = NULL;
    const int64_t all = mill_cpu_memory_bytes();
    assert_int_equal(all, (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE));
    files = v2;
    assert_int_equal(mill_cpu_memory_bytes(), 123456789);
    files = v1;
    assert_int_equal(mill_cpu_memory_bytes(), 98765432);
}
