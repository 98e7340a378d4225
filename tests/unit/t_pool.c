/* t_pool.c - every chunk is done once, stages do not overlap, whoever is late does no harm. */
/* TSAN */
#include "lib/test.h"

#include "base/mem.h"
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>
#include <xmmintrin.h>

enum { STAGES = 40, MOST = 300 };

typedef struct {
    int64_t n[STAGES];
    int32_t value[STAGES][MOST]; /* plain memory: TSan sees a stage that starts too early */
    atomic_int times[STAGES][MOST];
    atomic_int runs;
    int delay_thread; /* this one dawdles; -1: none */
} job;

/* Chunk i of stage s needs what all chunks of stage s-1 have written. */
static void work(void *ctx, int thread, mill_walk *w)
{
    job *j = ctx;

    for (int s = 0; s < STAGES; s++) {
        int64_t i;
        mill_stage_begin(w, j->n[s]);
        if (thread == j->delay_thread && s % 3 == 0) usleep(300);
        while ((i = mill_stage_next(w)) >= 0) {
            int32_t sum = 1;
            for (int64_t k = 0; s && k < j->n[s - 1]; k++) sum += j->value[s - 1][k] & 0xff;
            j->value[s][i] = sum + (int32_t)i;
            atomic_fetch_add(&j->times[s][i], 1);
        }
        mill_stage_end(w);
    }
    atomic_fetch_add(&j->runs, 1);
}

static job *job_new(int delay_thread)
{
    job *j = calloc(1, sizeof *j);

    for (int s = 0; s < STAGES; s++) j->n[s] = (int64_t[]){1, 2, 7, 64, 0, 3, 299, 13}[s % 8];
    j->delay_thread = delay_thread;
    return j;
}

static void compare(int threads, int delay_thread, int walks)
{
    mill_pool *p = NULL;
    job *alone = job_new(-1);

    assert_ok(mill_pool_new(&p, threads));
    assert_int_equal(mill_pool_threads(p), threads);
    mill_pool_walk(NULL, work, alone);
    for (int k = 0; k < walks; k++) {
        job *j = job_new(delay_thread);
        mill_pool_walk(p, work, j);
        assert_in_range(j->runs, 1, threads);
        assert_memory_equal(j->value, alone->value, sizeof j->value);
        for (int s = 0; s < STAGES; s++)
            for (int i = 0; i < MOST; i++) assert_int_equal(j->times[s][i], i < j->n[s]);
        free(j);
    }
    mill_pool_free(p);
    free(alone);
}

void test_pool__does_every_chunk_once_on_1_2_and_7_threads(void **state)
{
    (void)state;
    compare(1, -1, 3);
    compare(2, -1, 60);
    compare(7, -1, 30); /* more than this machine has, likely */
}

void test_pool__a_late_thread_is_harmless(void **state)
{
    (void)state;
    compare(2, 0, 4);
    compare(2, 1, 4);
    compare(3, 2, 4);
}

static void add_chunk(void *ctx, int64_t chunk, int thread)
{
    (void)thread;
    atomic_fetch_add((atomic_llong *)ctx, 1 + chunk);
}

void test_pool__run_covers_any_number_of_chunks(void **state)
{
    mill_pool *pools[3] = {NULL};

    (void)state;
    assert_ok(mill_pool_new(&pools[1], 2));
    assert_ok(mill_pool_new(&pools[2], 5));
    for (int k = 0; k < 3; k++)
        for (int64_t n = 0; n < 4000; n = 2 * n + 1) {
            atomic_llong sum = 0;
            mill_pool_run(pools[k], n, add_chunk, &sum);
            assert_int_equal(sum, n * (n + 1) / 2);
        }
    mill_pool_free(pools[1]);
    mill_pool_free(pools[2]);
    mill_pool_free(NULL);
}

typedef struct {
    atomic_int first_of_own, chunks;
} shares;

/* Thread 0 waits in its first chunk until all others are done: possible only if the other thread
 * helps. */
static void hold_first(void *ctx, int thread, mill_walk *w)
{
    shares *s = ctx;
    int64_t i;

    mill_stage_begin(w, 16);
    while ((i = mill_stage_next(w)) >= 0) {
        if (i == 0) {
            assert_int_equal(
                thread,
                0); /* its own share comes first, and thread 1 waits below until it has begun */
            atomic_store(&s->first_of_own, 1);
            while (atomic_load(&s->chunks) < 15) sched_yield();
        }
        while (!atomic_load(&s->first_of_own)) sched_yield();
        atomic_fetch_add(&s->chunks, 1);
    }
    mill_stage_end(w);
    assert_int_equal(s->chunks, 16);
}

void test_pool__threads_help_with_the_shares_of_others(void **state)
{
    mill_pool *p;

    (void)state;
    assert_ok(mill_pool_new(&p, 2));
    for (int k = 0; k < 6; k++) {
        shares s = {0, 0};
        if (k % 2) usleep(20000); /* long enough for thread 1 to be asleep on its futex */
        mill_pool_walk(p, hold_first, &s);
    }
    mill_pool_free(p);
}

typedef struct {
    unsigned csr[3];
    atomic_int inside;
} csr_job;

static void read_csr(void *ctx, int thread, mill_walk *w)
{
    csr_job *j = ctx;

    (void)w;
    j->csr[thread] = _mm_getcsr() & 0xffc0u; /* without the sticky exception flags */
    atomic_fetch_add(&j->inside, 1);
    while (atomic_load(&j->inside) < 3) sched_yield(); /* so that nobody is too late to come */
}

void test_pool__walks_with_default_rounding_and_denormals(void **state)
{
    mill_pool *p;
    csr_job j = {{0}, 0};
    const unsigned before = _mm_getcsr();

    (void)state;
    _mm_setcsr(before |
               0x8040); /* flush to zero, denormals are zero: what fast-math libraries set */
    assert_ok(mill_pool_new(&p, 3)); /* threads inherit it */
    mill_pool_walk(p, read_csr, &j);
    assert_int_equal(_mm_getcsr() & 0x8040, 0x8040); /* the caller's own is given back */
    _mm_setcsr(before);
    mill_pool_free(p);
    for (int t = 0; t < 3; t++) assert_int_equal(j.csr[t], 0x1f80);
}

void test_pool__every_allocation_of_new_may_fail(void **state)
{
    mill_mem_stats before, after;
    int64_t n = 0;
    mill_pool *p = NULL;
    mill_err err;

    (void)state;
    mill_mem_get_stats(&before);
    do {
        mill_mem_fail_at(++n);
        err = mill_pool_new(&p, 4);
        mill_mem_fail_at(0);
        if (err) assert_int_equal(err, MILL_ENOMEM);
    } while (err);
    assert_int_equal(n, 7); /* pool, shares, handles, three threads; the seventh never comes */
    mill_pool_free(p);
    mill_mem_get_stats(&after);
    assert_int_equal(after.live, before.live);
}
