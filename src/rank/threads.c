/*
 * threads.c - ranks as threads of one process, on a board like that of processes.
 *
 * For a program that cannot fork, and for the tests: the thread sanitizer sees all ranks at once.
 * The command does without: `train --multi-gpu dp` makes the parts of one group of one rank
 * (classify/trainer.c), which are the same parts to the bit.
 */
#include "rank/board.h"

#include "base/mem.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <xmmintrin.h>

typedef struct {
    mill_err (*run)(void *ctx, rank_group *g);
    void *ctx;
    const rank_options *options;
    board_map *map;
    int rank;
    mill_err err;
} thread_rank;

static mill_err run_rank(thread_rank *t)
{
    rank_group *g = mill_alloc(1, sizeof *g);
    mill_err err;

    if (!g) {
        board_fail(t->map->at, t->rank, MILL_ENOMEM, mill_error());
        return MILL_ENOMEM;
    }
    rank_group_init(g, t->options);
    g->who = (rank_identity){.rank = t->rank,
                             .world = t->map->at->world,
                             .local_rank = t->rank,
                             .local_world = t->map->at->world,
                             .nodes = 1,
                             .source = "threads"};
    if ((err = rank_shm_join(g, t->map))) {
        mill_free(g);
        return err;
    }
    err = t->run(t->ctx, g);
    rank_close(g, err);
    return err;
}

static void *thread_main(void *arg)
{
    thread_rank *t = arg;

    _mm_setcsr(0x1f80);
    t->err = run_rank(t);
    return NULL;
}

static mill_err start_and_join(thread_rank *t, pthread_t *thread, int n)
{
    sigset_t all, before;
    int started = 1, e = 0;

    sigfillset(&all); /* signals belong to the program's own threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; started < n && !e; started++)
        if ((e = pthread_create(&thread[started], NULL, thread_main, &t[started]))) break;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (e) {
        mill_fail(MILL_EIO, "cannot start thread %d: %s", started, strerror(e));
        board_fail(t->map->at, started, MILL_EIO, mill_error());
    } else {
        t[0].err = run_rank(&t[0]);
    }
    for (int i = 1; i < started; i++) pthread_join(thread[i], NULL);
    return e ? MILL_EIO : MILL_OK;
}

mill_err rank_threads(int n, mill_err (*run)(void *ctx, rank_group *g), void *ctx,
                      const rank_options *o)
{
    thread_rank *t;
    pthread_t *thread;
    board_map map;
    mill_err err;

    if (n < 1 || n > RANK_MAX_WORLD)
        return mill_fail(MILL_EINPUT, "%d ranks: 1 to %d are possible", n, RANK_MAX_WORLD);
    TRY(board_new(&map, n, "threads", 0));
    t = mill_alloc((size_t)n, sizeof *t);
    thread = mill_alloc((size_t)n, sizeof *thread);
    err = t && thread ? MILL_OK : MILL_ENOMEM;
    if (err) goto done;
    for (int r = 0; r < n; r++)
        t[r] = (thread_rank){.run = run, .ctx = ctx, .options = o, .map = &map, .rank = r};
    err = start_and_join(t, thread, n);
    if (!err && board_has_failed(map.at)) { /* the code of the first, and its words */
        err = (mill_err)map.at->fail_err;
        mill_fail(err, "rank %d: %s", map.at->fail_rank, map.at->fail_words);
    }
done:
    mill_free(t);
    mill_free(thread);
    board_unmap(&map);
    return err;
}
