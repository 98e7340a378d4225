/*
 * pool.c - threads that walk the same stages, own share first (docs/processors.md, "The pool").
 *
 * Chunks 0..n-1 of a stage are dealt to T threads as shares [ceil(n t / T), ceil(n (t+1) / T)).
 * Each share has one 64-bit word,
 *
 *     | stage number : 36 | chunks taken : 28 |
 *
 * from which chunks are taken by compare and swap, by its owner and by those who are done with
 * theirs.  A word that shows an earlier stage is a fresh share: whoever comes first writes the new
 * number, since nobody is in stage s before all of s-1 is done.  A word that shows a later stage
 * tells a thread that it is late: its stage is done, there is nothing to take.
 *
 * Completion counts chunks, over the whole life of the pool: every thread adds up n_chunks on its
 * way, and stage s is done when `done` has reached that sum.  So no counter is ever reset, and a
 * late thread can do no harm.
 *
 * A walk has a gate: threads that have not come in when the caller is through its last stage stay
 * out, so that a short walk does not wait for a thread to wake up.  The caller does wait for those
 * inside, since they may still read its memory.
 *
 * Waiting, for a stage as for the next walk: a short spin, then a futex on the low half of the
 * count.  A waiter announces itself in `sleepers` before it looks again at the count, and a
 * signaller looks at `sleepers` after it has added; both sequentially consistent, so one of the two
 * sees the other.
 */
#include "base/pool.h"

#include "base/cpu.h"
#include "base/mem.h"

#include <assert.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xmmintrin.h>

enum { TAKEN_BITS = 28, LINE = 64, SPINS = 200, SPINS_CROWDED = 20, MXCSR_DEFAULT = 0x1f80 };
#define TAKEN_MASK ((UINT64_C(1) << TAKEN_BITS) - 1)

/* A count that only grows, and those who wait for it to reach something. */
typedef struct {
    _Alignas(LINE) atomic_uint_fast64_t count;
    atomic_int sleepers;
} event;

typedef struct {
    _Alignas(LINE) atomic_uint_fast64_t word;
} share;

/* Padded so that what the threads write has lines of its own:
 * NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
struct mill_pool {
    int n, spins;
    event epoch;                              /* walks begun; the threads wait for it */
    event done;                               /* chunks done, ever */
    event returned;                           /* threads that came back from a walk, ever */
    _Alignas(LINE) atomic_uint_fast64_t gate; /* twice the threads inside the walk; odd: closed */
    _Alignas(LINE) atomic_bool stop;
    /* Written by the caller between walks only: */
    void (*fn)(void *ctx, int thread, mill_walk *w);
    void *ctx;
    uint64_t stage, target; /* where the last walk ended */
    uint64_t entered;       /* threads that ever entered a walk, the caller not counted */
    share *shares;
    pthread_t *threads;
};

struct mill_walk {
    mill_pool *pool;    /* NULL: alone, nothing is shared */
    int thread, helped; /* helped: how many shares are known to be empty, own first */
    int64_t n, next;    /* next: alone only */
    uint64_t stage, target, taken;
};

static void futex(event *e, int op, uint32_t value)
{
    syscall(SYS_futex, (uint32_t *)&e->count, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static void event_wait(event *e, uint64_t target, int spins)
{
    uint64_t seen;

    for (int i = 0; i < spins; i++) {
        if (atomic_load_explicit(&e->count, memory_order_acquire) >= target) return;
        _mm_pause();
    }
    atomic_fetch_add(&e->sleepers, 1);
    while ((seen = atomic_load(&e->count)) < target) futex(e, FUTEX_WAIT, (uint32_t)seen);
    atomic_fetch_sub(&e->sleepers, 1);
}

/* Add, and wake everybody if that reaches what they wait for. */
static void event_add(event *e, uint64_t n, uint64_t target)
{
    if (atomic_fetch_add(&e->count, n) + n >= target && atomic_load(&e->sleepers) > 0)
        futex(e, FUTEX_WAKE, INT32_MAX);
}

/* Enter the walk that is open; false if there is none. */
static bool enter(mill_pool *p)
{
    uint64_t gate = atomic_load(&p->gate);

    do {
        if (gate & 1) return false;
    } while (!atomic_compare_exchange_weak(&p->gate, &gate, gate + 2));
    return true;
}

/* Let nobody in any more, and wait for those who are inside. */
static void close_gate(mill_pool *p)
{
    p->entered += atomic_fetch_or(&p->gate, 1) / 2;
    event_wait(&p->returned, p->entered, p->spins);
}

static void run_walk(mill_pool *p, int thread)
{
    mill_walk w = {
        .pool = p->n > 1 ? p : NULL, .thread = thread, .stage = p->stage, .target = p->target};
    const unsigned csr = _mm_getcsr();

    _mm_setcsr(MXCSR_DEFAULT); /* a caller may have been linked with fast-math */
    p->fn(p->ctx, thread, &w);
    _mm_setcsr(csr);
    if (thread != 0 || p->n == 1) return;
    close_gate(p);
    p->stage = w.stage;
    p->target = w.target;
}

typedef struct {
    mill_pool *pool;
    int thread;
} thread_start;

static void *thread_main(void *arg)
{
    mill_pool *p = ((thread_start *)arg)->pool;
    const int thread = ((thread_start *)arg)->thread;

    mill_free(arg);
    _mm_setcsr(MXCSR_DEFAULT);
    for (uint64_t seen = 0;;) {
        event_wait(&p->epoch, seen + 1, p->spins);
        seen = atomic_load(&p->epoch.count);
        if (p->stop) return NULL;
        if (!enter(p)) continue;
        run_walk(p, thread);
        event_add(&p->returned, 1, 0);
    }
}

/* Thread `thread`, with all signals blocked: they belong to the program's own threads. */
static mill_err start_thread(mill_pool *p, int thread)
{
    sigset_t all, before;
    thread_start *arg = mill_alloc(1, sizeof *arg);

    if (!arg) return MILL_ENOMEM;
    *arg = (thread_start){p, thread};
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int e = pthread_create(&p->threads[thread], NULL, thread_main, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!e) return MILL_OK;
    mill_free(arg);
    return mill_fail(MILL_EIO, "cannot start thread %d: %s", thread, strerror(e));
}

mill_err mill_pool_new(mill_pool **out, int threads)
{
    mill_pool *p = mill_alloc(1, sizeof *p);
    mill_err err = MILL_ENOMEM;

    if (!p) return MILL_ENOMEM;
    if (threads <= 0) threads = mill_cpu_count();
    p->spins = threads > mill_cpu_count() ? SPINS_CROWDED : SPINS;
    p->gate = 1;
    p->shares = mill_alloc((size_t)threads, sizeof *p->shares);
    p->threads = mill_alloc((size_t)threads, sizeof *p->threads);
    if (!p->shares || !p->threads) goto fail;
    for (p->n = 1; p->n < threads; p->n++) /* n: also what mill_pool_free has to join */
        if ((err = start_thread(p, p->n))) goto fail;
    *out = p;
    return MILL_OK;
fail:
    mill_pool_free(p);
    return err;
}

void mill_pool_free(mill_pool *p)
{
    if (!p) return;
    p->stop = true;
    event_add(&p->epoch, 1, 0);
    for (int t = 1; t < p->n; t++) pthread_join(p->threads[t], NULL);
    mill_free(p->shares);
    mill_free(p->threads);
    mill_free(p);
}

int mill_pool_threads(const mill_pool *p)
{
    return p ? p->n : 1;
}

void mill_pool_walk(mill_pool *p, void (*fn)(void *ctx, int thread, mill_walk *w), void *ctx)
{
    mill_pool alone = {.n = 1};

    if (!p) p = &alone;
    p->fn = fn;
    p->ctx = ctx;
    if (p->n > 1) {
        /* Words of shares that were not used for long, so that no number is ever compared across
         * half its range. */
        for (int t = 0; t < p->n; t++)
            atomic_store_explicit(&p->shares[t].word, p->stage << TAKEN_BITS, memory_order_relaxed);
        atomic_store(&p->gate, 0);
        event_add(&p->epoch, 1, 0);
    }
    run_walk(p, 0);
}

void mill_stage_begin(mill_walk *w, int64_t n_chunks)
{
    w->n = n_chunks;
    w->next = 0;
    w->helped = 0;
    w->taken = 0;
    w->stage++;
    w->target += (uint64_t)n_chunks;
    assert(n_chunks >= 0 && n_chunks <= (int64_t)TAKEN_MASK);
}

/* A chunk of the share of thread `owner`, or -1. */
static int64_t take(mill_walk *w, int owner)
{
    const int64_t threads = w->pool->n, first = (w->n * owner + threads - 1) / threads;
    const uint64_t size = (uint64_t)((w->n * (owner + 1) + threads - 1) / threads - first);
    const uint64_t stage = w->stage & (UINT64_MAX >> TAKEN_BITS);
    share *s = &w->pool->shares[owner];
    uint64_t word = atomic_load_explicit(&s->word, memory_order_relaxed), taken;

    do {
        const uint64_t there = word >> TAKEN_BITS;
        /* Later than ours, modulo 2^36: a sign in the top bit of the difference. */
        const bool is_late = (int64_t)((stage - there) << TAKEN_BITS) < 0;
        taken = there == stage ? word & TAKEN_MASK : 0;
        if (is_late || taken >= size) return -1;
    } while (!atomic_compare_exchange_weak(&s->word, &word, stage << TAKEN_BITS | (taken + 1)));
    return first + (int64_t)taken;
}

int64_t mill_stage_next(mill_walk *w)
{
    if (!w->pool) return w->next < w->n ? w->next++ : -1;
    for (const int threads = w->pool->n; w->helped < threads; w->helped++) {
        const int owner = w->thread + w->helped;
        const int64_t chunk = take(w, owner < threads ? owner : owner - threads);
        if (chunk < 0) continue;
        w->taken++;
        return chunk;
    }
    return -1;
}

void mill_stage_end(mill_walk *w)
{
    if (!w->pool) return;
    if (w->taken) event_add(&w->pool->done, w->taken, w->target);
    event_wait(&w->pool->done, w->target, w->pool->spins);
}

typedef struct {
    int64_t n;
    void (*fn)(void *ctx, int64_t chunk, int thread);
    void *ctx;
} one_stage;

static void walk_one_stage(void *ctx, int thread, mill_walk *w)
{
    const one_stage *s = ctx;

    mill_stage_begin(w, s->n);
    for (int64_t i; (i = mill_stage_next(w)) >= 0;) s->fn(s->ctx, i, thread);
    mill_stage_end(w);
}

void mill_pool_run(mill_pool *p, int64_t n_chunks, void (*fn)(void *ctx, int64_t chunk, int thread),
                   void *ctx)
{
    one_stage s = {n_chunks, fn, ctx};

    mill_pool_walk(n_chunks > 1 ? p : NULL, walk_one_stage, &s);
}
