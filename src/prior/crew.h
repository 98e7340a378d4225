/*
 * crew.h - worker processes that take work from a counter, and the one that looks after them.
 *
 * Work is numbered 0 .. n - 1.  A worker takes the next number, or one that a dead worker left; who
 * makes it changes nothing about it.  The parent starts a new worker for each that was killed,
 * until one piece of work has ended three of them.
 *
 *     crew_new(&c, workers, n, window)          shared memory; before any thread
 *     crew_start(c, work, ctx)                  forks; work(ctx, c, seat) runs in each child
 *     while (!crew_is_done(c)) { crew_look(c) ... }    reaps and replaces
 *     crew_free(c)
 *
 * Everything shared is behind atomics; a worker that is killed in any instruction leaves them
 * whole.
 */
#ifndef MILL_PRIOR_CREW_H
#define MILL_PRIOR_CREW_H

#include "base/err.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { CREW_MAX = 256, CREW_WORDS = 1024, CREW_STRIKES = 3 };

/* What one worker has done, over all processes that sat there. */
typedef struct {
    _Alignas(64) _Atomic int64_t piece;  /* that it is at; -1: none */
    _Atomic int64_t left;                /* by a dead worker, to be taken by the next; -1: none */
    _Atomic int64_t at;                  /* the data set it is making, for the words of its end */
    _Atomic int64_t made;                /* data sets */
    _Atomic int64_t begun;               /* those of them that are of the piece it is at */
    _Atomic int64_t bytes;               /* of finished pieces */
    _Atomic int64_t busy_ns, written_ns; /* making, and in the system's writes */
    atomic_int err;                      /* mill_err that it ended with */
    char words[CREW_WORDS];              /* and its words, to be read when err is set */
} crew_seat;

typedef struct {
    int64_t n, window;
    int n_seats;
    _Atomic int64_t next, n_done, floor; /* floor: pieces below it are consumed */
    atomic_int stop;
    atomic_uint news; /* a futex: something has changed */
    crew_seat seat[];
} crew_board;

typedef mill_err (*crew_work)(void *ctx, crew_board *b, int seat);

typedef struct {
    crew_board *board;
    int n_workers, n_alive, n_died; /* n_died: killed so far */
    int pid[CREW_MAX];
    crew_work work;
    void *ctx;
    int64_t strike[CREW_MAX]; /* pieces that ended workers, kept at the seat that was the first */
    int n_strikes[CREW_MAX];
} crew;

/* n pieces; a worker does not begin one that lies `window` or more above the floor. */
mill_err crew_new(crew **out, int workers, int64_t n, int64_t window);
mill_err crew_start(crew *c, crew_work work, void *ctx);
/* Reaps; starts others in place of the killed.  The error of a worker that failed, with its words;
 * all are asked to stop then. */
mill_err crew_look(crew *c);
bool crew_is_done(const crew *c); /* no worker is left */
void crew_stop(crew *c);          /* asks all to stop at the next data set */
void crew_free(crew *c);          /* waits for a second, then kills; NULL is allowed */

/* ---- in a worker (board and seat as `work` got them) ---- */

/* The next piece; -1: there is none, or the crew is to stop.  Waits for the window. */
int64_t crew_take(crew_board *b, int seat);
void crew_finish(crew_board *b, int seat); /* the piece is done */
bool crew_must_stop(const crew_board *b);

/* Sleeps until something has changed since `seen` was read from b->news, at most so long. */
void crew_wait(crew_board *b, unsigned seen, double seconds);
void crew_tell(crew_board *b);

#endif
