/*
 * wait.c - waiting for another rank, and what can go wrong meanwhile.
 *
 * A short spin, then sleep on the counter of the one that is waited for, in slices; between slices
 * look whether somebody failed, left or died, and at the clock.  Time is counted by slices, so that
 * a job that was stopped as a whole (Ctrl-Z) has not waited meanwhile.  A rank that has a launcher
 * leaves it a moment to say why another one died.
 */
#include "rank/shm.h"

#include "base/cpu.h"
#include "base/log.h"

#include <immintrin.h>
#include <poll.h>
#include <stdio.h>

static const double LAUNCHERS_TURN = 0.3, WARN_AFTER = 15, MARGIN = 30; /* seconds */

mill_err shm_fail_now(rank_group *g, int rank, const char *words)
{
    shm_body *s = g->body;

    board_fail(s->b, rank, MILL_EDEVICE, words);
    return board_failure(s->b);
}

static const char *call_name(const rank_group *g, uint32_t seq)
{
    return board_call_name(((shm_body *)g->body)->me->call[seq % BOARD_RING].what);
}

static bool is_gone(int pidfd)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};

    return p.fd >= 0 && poll(&p, 1, 0) == 1;
}

/* A rank that a script started for the launcher does not die with it by itself. */
mill_err shm_check_launcher(rank_group *g)
{
    shm_body *s = g->body;

    if (!is_gone(s->launcher_fd)) return MILL_OK;
    return shm_fail_now(g, g->who.rank, "the launcher died");
}

typedef struct {
    atomic_uint *word;
    uint32_t target;
    int peer;
    uint32_t seq;        /* of the collective, for words */
    double waited, gone; /* seconds */
    bool has_warned;
} waiting;

/* Seconds until this rank gives up; the launcher, if it watches, is to be first: it knows more. */
static double deadline(const rank_group *g)
{
    const shm_body *s = g->body;
    const double launchers = s->b->patience ? (double)s->b->patience + MARGIN : 0;

    return g->timeout_given || launchers < g->timeout ? g->timeout : launchers;
}

static mill_err check_peer(rank_group *g, waiting *w, double slice)
{
    shm_body *s = g->body;
    board_seat *seat = &s->b->seat[w->peer];
    char words[RANK_WORDS], where[80];
    const bool has_left = seat->state == SEAT_LEFT, gone = is_gone(s->pidfd[w->peer]);

    if (shm_reached(atomic_load(w->word), w->target)) return MILL_OK;
    TRY(shm_check_launcher(g));
    board_place(where, sizeof where, seat);
    if (has_left) {
        snprintf(words, sizeof words, "it left %s, and rank %d is at %s number %u", where,
                 g->who.rank, call_name(g, w->seq), w->seq);
        return shm_fail_now(g, w->peer, words);
    }
    if (gone && (w->gone += slice) > (s->b->launcher ? LAUNCHERS_TURN : 0)) {
        snprintf(words, sizeof words, "process %d died %s", seat->pid, where);
        return shm_fail_now(g, w->peer, words);
    }
    if (w->waited > deadline(g)) {
        snprintf(words, sizeof words, "it did not come to %s number %u within %g s; last seen %s",
                 call_name(g, w->seq), w->seq, deadline(g), where);
        return shm_fail_now(g, w->peer, words);
    }
    if (w->waited > WARN_AFTER && !w->has_warned && !s->b->launcher) {
        w->has_warned = true;
        mill_log(MILL_LOG_WARN, "rank %d waits for rank %d (process %d) since %.0f s; last seen %s",
                 g->who.rank, w->peer, seat->pid, w->waited, where);
    }
    return MILL_OK;
}

static mill_err sleep_until(rank_group *g, waiting *w)
{
    shm_body *s = g->body;
    atomic_uint *sleepers = &s->b->seat[w->peer].sleepers;
    mill_err err = MILL_OK;
    uint32_t seen;

    atomic_fetch_add(sleepers, 1);
    s->me->waits_ns = board_now_ns();
    s->me->waits_for = w->peer + 1;
    while (!shm_reached(seen = atomic_load(w->word), w->target) && !err) {
        const double before = mill_clock();

        if (board_has_failed(s->b)) {
            err = board_failure(s->b);
            break;
        }
        board_sleep(w->word, seen, SHM_SLICE);
        const double slice = mill_clock() - before;
        w->waited += slice < SHM_MOST ? slice : SHM_MOST;
        if (slice > SHM_SLICE / 2) err = check_peer(g, w, slice < SHM_SLICE ? slice : SHM_SLICE);
    }
    s->me->waits_for = 0;
    atomic_fetch_sub(sleepers, 1);
    return err;
}

static mill_err wait_for(rank_group *g, atomic_uint *word, uint32_t target, int peer, uint32_t seq)
{
    shm_body *s = g->body;

    for (int i = 0; i < s->spins; i++) {
        if (shm_reached(atomic_load_explicit(word, memory_order_acquire), target)) return MILL_OK;
        _mm_pause();
    }
    return sleep_until(g, &(waiting){.word = word, .target = target, .peer = peer, .seq = seq});
}

/* The time goes to `seconds`; none when there is nothing to wait for. */
static mill_err wait_for_all(rank_group *g, uint32_t seq, bool done, double *seconds)
{
    shm_body *s = g->body;
    mill_err err = MILL_OK;

    if (shm_all_reached(g, seq, done)) return MILL_OK;
    const int64_t start = board_now_ns();
    for (int r = 0; r < g->who.world && !err; r++)
        if (r != g->who.rank)
            err = wait_for(g, done ? &s->b->seat[r].done : &s->b->seat[r].arrived, seq + 1, r, seq);
    *seconds += (double)(board_now_ns() - start) / 1e9;
    return err;
}

mill_err shm_wait_arrived(rank_group *g, uint32_t seq)
{
    return wait_for_all(g, seq, false, &g->usage.imbalance[g->phase]);
}

mill_err shm_wait_done(rank_group *g, uint32_t seq)
{
    return wait_for_all(g, seq, true, &g->usage.communication[g->phase]);
}

bool shm_all_reached(const rank_group *g, uint32_t seq, bool done)
{
    const shm_body *s = g->body;

    for (int r = 0; r < g->who.world; r++) {
        board_seat *seat = &s->b->seat[r];
        if (!shm_reached(
                atomic_load_explicit(done ? &seat->done : &seat->arrived, memory_order_acquire),
                seq + 1))
            return false;
    }
    return true;
}
