/*
 * pool.c - what a stage costs, and what a foreign busy process costs.
 *
 *     pool [THREADS [SECONDS]]
 *
 * empty stage: dispatch and barrier, in walks of 10,000 stages.   step: a walk of 200 stages of 20
 * us (on one thread) in 16 chunks.  line: one way of a cache line between two threads, which bounds
 * the first from below and differs between virtual machines.  Medians.
 */
#include "base/pool.h"
#include "base/cpu.h"
#include "bench.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EMPTY = 10000, STAGES = 200, CHUNKS = 16, LINE_TRIPS = 100000 };

static volatile double sink;
static int64_t spins_per_chunk = 1000;

static void burn(int64_t n)
{
    double x = 1;
    for (int64_t i = 0; i < n; i++) x = x * 1.0000001 + 1e-9;
    sink = x;
}

static void empty(void *ctx, int thread, mill_walk *w)
{
    (void)ctx, (void)thread;
    for (int s = 0; s < EMPTY; s++) {
        mill_stage_begin(w, 2);
        while (mill_stage_next(w) >= 0) continue;
        mill_stage_end(w);
    }
}

static void step(void *ctx, int thread, mill_walk *w)
{
    (void)ctx, (void)thread;
    for (int s = 0; s < STAGES; s++) {
        mill_stage_begin(w, CHUNKS);
        while (mill_stage_next(w) >= 0) burn(spins_per_chunk);
        mill_stage_end(w);
    }
}

/* Median seconds of a walk, over `limit` seconds. */
static double median(mill_pool *p, void (*fn)(void *, int, mill_walk *), double limit)
{
    static double t[100000];
    int n = 0;
    const double end = mill_clock() + limit;
    for (double now = mill_clock(); n < 5 || (now < end && n < 100000); n++) {
        mill_pool_walk(p, fn, NULL);
        const double then = now;
        t[n] = (now = mill_clock()) - then;
    }
    qsort(t, (size_t)n, sizeof *t, ascending);
    return t[n / 2];
}

static double mean(mill_pool *p, void (*fn)(void *, int, mill_walk *), double limit)
{
    const double start = mill_clock();
    int n = 0;
    for (; n < 5 || mill_clock() < start + limit; n++) mill_pool_walk(p, fn, NULL);
    return (mill_clock() - start) / n;
}

static atomic_int ball;

static void *throw_back(void *arg)
{
    for (int i = 0; i < LINE_TRIPS; i++) {
        while (atomic_load_explicit(&ball, memory_order_acquire) != 2 * i + 1) continue;
        atomic_store_explicit(&ball, 2 * i + 2, memory_order_release);
    }
    return arg;
}

static double line_us(void)
{
    pthread_t other;
    if (pthread_create(&other, NULL, throw_back, NULL)) return 0;
    const double start = mill_clock();
    for (int i = 0; i < LINE_TRIPS; i++) {
        atomic_store_explicit(&ball, 2 * i + 1, memory_order_release);
        while (atomic_load_explicit(&ball, memory_order_acquire) != 2 * i + 2) continue;
    }
    const double us = (mill_clock() - start) / LINE_TRIPS / 2 * 1e6;
    pthread_join(other, NULL);
    return us;
}

int main(int argc, char **argv)
{
    const int threads = (int)number_at(argc, argv, 1, 2);
    const double seconds = number_at(argc, argv, 2, 1);
    mill_pool *p;

    for (double t = 0; t < 20e-6 / CHUNKS; spins_per_chunk += 50) { /* find what 20 us / 16 are */
        double best = 1;
        for (int k = 0; k < 20; k++) {
            const double start = mill_clock();
            burn(spins_per_chunk);
            const double took = mill_clock() - start;
            best = took < best ? took : best;
        }
        t = best;
    }
    if (mill_pool_new(&p, threads)) {
        fprintf(stderr, "%s\n", mill_error());
        return 1;
    }
    const double node = median(p, empty, seconds) / EMPTY, alone = median(p, step, seconds);
    const double alone_mean = mean(p, step, seconds), one = median(NULL, step, seconds);
    const double line = line_us();
    const pid_t busy = fork();
    if (busy == 0)
        for (;;) burn(1000000);
    usleep(200000);
    const double crowded = median(p, step, 2 * seconds), crowded_mean = mean(p, step, 2 * seconds);
    kill(busy, SIGKILL);
    waitpid(busy, NULL, 0);
    printf("%s, %d threads: empty stage %.3f us (a cache line one way: %.3f us); 200 stages of 20 "
           "us: one thread "
           "%.2f ms, %d threads %.2f ms, with a busy process %.2f ms = %.2f x (means %.2f, %.2f ms "
           "= %.2f x)\n",
           mill_cpu_model(), threads, node * 1e6, line, one * 1e3, threads, alone * 1e3,
           crowded * 1e3, crowded / alone, alone_mean * 1e3, crowded_mean * 1e3,
           crowded_mean / alone_mean);
    mill_pool_free(p);
    return 0;
}
