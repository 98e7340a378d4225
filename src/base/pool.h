/*
 * pool.h - threads that walk together.
 *
 * A pool of n threads (the caller is thread 0).  mill_pool_walk() wakes all and runs fn on each;
 * inside, the threads go through the same list of stages, each stage a number of chunks.  A thread
 * takes the chunks of its own share first and then helps the others: shares keep caches warm,
 * helping keeps a foreign busy process from stalling everyone.  Chunk bounds come from shapes,
 * never from the number of threads (docs/processors.md, "The pool").
 *
 *     static void work(void *ctx, int thread, mill_walk *w)
 *     {
 *         for (int s = 0; s < n_stages; s++) {
 *             int64_t i;
 *             mill_stage_begin(w, s_chunks[s]);
 *             while ((i = mill_stage_next(w)) >= 0) do_chunk(ctx, s, i, thread);
 *             mill_stage_end(w);  // returns when every chunk of the stage is done, by whomever
 *         }
 *     }
 *
 * Threads spin briefly, then sleep on a futex.  Each starts with MXCSR 0x1f80.
 */
#ifndef MILL_BASE_POOL_H
#define MILL_BASE_POOL_H

#include "base/err.h"
#include <stdint.h>

typedef struct mill_pool mill_pool;
typedef struct mill_walk mill_walk;

mill_err mill_pool_new(mill_pool **out, int threads); /* threads <= 0: mill_cpu_count() */
void mill_pool_free(mill_pool *p);
int mill_pool_threads(const mill_pool *p);

/* Run fn on the caller (thread 0) and on every other thread that comes before the caller is
 * through; returns when all that came have returned.  So fn works with any number of threads, and
 * all its work is in stages.  Not reentrant. */
void mill_pool_walk(mill_pool *p, void (*fn)(void *ctx, int thread, mill_walk *w), void *ctx);
void mill_stage_begin(mill_walk *w, int64_t n_chunks); /* n_chunks < 2^28 */
int64_t mill_stage_next(mill_walk *w);                 /* a chunk that nobody has, or -1 */
void mill_stage_end(mill_walk *w);

/* One stage: fn(ctx, chunk, thread) for chunk 0..n-1.  p may be NULL: the caller does all. */
void mill_pool_run(mill_pool *p, int64_t n_chunks, void (*fn)(void *ctx, int64_t chunk, int thread),
                   void *ctx);

#endif
