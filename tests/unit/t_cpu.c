/* t_cpu.c - what the processor can do, compared with what the kernel says; and the log. */
/* LEVELS BF16 */
/* QEMU */
#include "lib/test.h"

#include "base/cpu.h"
#include "base/level.h"
#include "base/log.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static bool flag(const char *name)
{
    static char text[1 << 16];
    if (!*text) {
        FILE *f = fopen("/proc/cpuinfo", "r");
        const size_t n = fread(text, 1, sizeof text - 1, f);
        text[n] = '\0';
        fclose(f);
    }
    const size_t n = strlen(name);
    for (const char *s = text; (s = strstr(s, name)); s += n)
        if (s[-1] == ' ' && (s[n] == ' ' || s[n] == '\n')) return true;
    return false;
}

void test_cpu__has_the_level_that_was_asked_for(void **state)
{
    const char *want = getenv("TABMILL_ISA");

    (void)state;
    assert_ok(mill_cpu_init());
    if (want) assert_string_equal(mill_cpu_level_name(), want);
    assert_int_equal(mill_cpu_level() == MILL_V3, strcmp(mill_cpu_level_name(), "v3") == 0);
    assert_int_equal(mill_cpu_has_bf16(), strcmp(mill_cpu_level_name(), "v4-bf16") == 0);
    if (mill_cpu_level() == MILL_V4)
        assert_true(flag("avx512f") && flag("avx512vl") && flag("avx512dq"));
    if (mill_cpu_has_bf16()) assert_true(flag("avx512_bf16"));
    if (!want) assert_int_equal(mill_cpu_level() == MILL_V4, flag("avx512bw") && flag("avx512cd"));
}

void test_cpu__counts_what_affinity_allows(void **state)
{
    cpu_set_t all, one;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    assert_in_range(mill_cpu_count(), 1, CPU_COUNT(&all));
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && !CPU_COUNT(&one); i++)
        if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(mill_cpu_count(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
}

void test_cpu__memory_figures_move_with_memory(void **state)
{
    enum { MIB = 1 << 20 };

    (void)state;
    const int64_t rss = mill_cpu_rss_bytes();
    assert_true(rss > 100000 && rss < mill_cpu_memory_bytes());
    assert_true(mill_cpu_peak_rss_bytes() >= rss - 4 * MIB);
    char *p = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED);
    for (int i = 0; i < 64 * MIB; i += 4096) p[i] = 1;
    const int64_t more = mill_cpu_rss_bytes();
    assert_in_range(more - rss, 60 * MIB, 70 * MIB);
    munmap(p, 64 * MIB);
    assert_true(mill_cpu_rss_bytes() < more - 50 * MIB);
    /* The kernel gathers these per thread and adds them up in batches: some pages late. */
    assert_true(mill_cpu_peak_rss_bytes() >= more - 4 * MIB);
}

void test_cpu__clock_runs_in_seconds(void **state)
{
    const double start = mill_clock();

    (void)state;
    usleep(20000);
    assert_true(mill_clock() - start >= 0.02 && mill_clock() - start < 5);
    assert_true(strlen(mill_cpu_model()) > 0);
}

#define MILL_LEVEL v3
static int LEVEL_FN(answer)(void)
{
    return 3;
}
#undef MILL_LEVEL
#define MILL_LEVEL v4
static int LEVEL_FN(answer)(void)
{
    return 4;
}

void test_level__names_make_a_table_in_the_order_of_the_levels(void **state)
{
    int (*const table[MILL_N_LEVEL])(void) = MILL_LEVELS(answer);

    (void)state;
    assert_int_equal(table[MILL_V3](), 3);
    assert_int_equal(table[MILL_V4](), 4);
}

static char logged[2000];

static void keep(void *ctx, mill_log_level level, const char *line)
{
    const size_t n = strlen(logged);
    snprintf(logged + n, sizeof logged - n, "%s%d:%s\n", (const char *)ctx, (int)level, line);
}

void test_log__passes_lines_from_the_chosen_level_on(void **state)
{
    (void)state;
    mill_log_set(keep, ">", MILL_LOG_INFO);
    mill_log(MILL_LOG_DEBUG, "not this");
    mill_log(MILL_LOG_INFO, "rows %d", 5);
    mill_log(MILL_LOG_ERROR, "bad");
    mill_log_set(NULL, NULL, MILL_LOG_WARN);
    mill_log(MILL_LOG_INFO, "nor this");
    assert_string_equal(logged, ">1:rows 5\n>3:bad\n");
}

static void *fail_elsewhere(void *arg)
{
    assert_string_equal(mill_error(), "");
    mill_fail(MILL_EIO, "of the other thread");
    return arg;
}

void test_err__messages_belong_to_their_thread(void **state)
{
    pthread_t other;

    (void)state;
    assert_int_equal(mill_fail(MILL_EINPUT, "line %d", 7), MILL_EINPUT);
    pthread_create(&other, NULL, fail_elsewhere, NULL);
    pthread_join(other, NULL);
    assert_string_equal(mill_error(), "line 7");
}
