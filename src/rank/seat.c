/*
 * seat.c - a rank takes its seat at the board of its host, and waits until all are there.
 */
#include "rank/shm.h"

#include "base/cpu.h"
#include "base/mem.h"

#include <execinfo.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Before it is there, so that all can see it then. */
static void note_cpus(board_seat *me)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set)) return;
    memcpy(me->cpus, &set, sizeof me->cpus < sizeof set ? sizeof me->cpus : sizeof set);
}

static mill_err take_seat(rank_group *g, shm_body *s)
{
    int free = SEAT_FREE;

    s->me = &s->b->seat[g->who.rank];
    if (!atomic_compare_exchange_strong(&s->me->state, &free, SEAT_TAKEN))
        return mill_fail(MILL_EINPUT, "rank %d is there already: process %d of job %s", g->who.rank,
                         s->me->pid, s->b->run_id);
    s->me->pid = (int)getpid();
    s->me->beat_ns = board_now_ns();
    note_cpus(s->me);
    atomic_fetch_add(&s->b->n_there, 1);
    board_rouse((atomic_uint *)&s->b->n_there);
    return MILL_OK;
}

/* "1, 3": who is not there. */
static void list_missing(char *text, size_t size, board *b)
{
    size_t n = 0;

    *text = 0;
    for (int r = 0; r < b->world && n + 8 < size; r++)
        if (b->seat[r].state == SEAT_FREE)
            n += (size_t)snprintf(text + n, size - n, "%s%d", n ? ", " : "", r);
}

static mill_err wait_for_all(rank_group *g, shm_body *s, double seconds)
{
    double waited = 0;
    int there;

    while ((there = atomic_load(&s->b->n_there)) < g->who.world) {
        const double before = mill_clock();
        char missing[120];

        if (board_has_failed(s->b)) return board_failure(s->b);
        if (waited > seconds) {
            list_missing(missing, sizeof missing, s->b);
            return mill_fail(MILL_EDEVICE, "%d of %d ranks came within %g s; missing: %s", there,
                             g->who.world, seconds, missing);
        }
        board_sleep((atomic_uint *)&s->b->n_there, (uint32_t)there, SHM_SLICE);
        const double slice = mill_clock() - before;
        waited += slice < SHM_MOST ? slice : SHM_MOST;
    }
    return MILL_OK;
}

/* To see others die.  Not to be had for processes of another pid namespace: then only their
 * launcher sees it. */
static void watch_peers(rank_group *g, shm_body *s)
{
    for (int r = 0; r < g->who.world; r++) {
        const int pid = s->b->seat[r].pid;
        if (r != g->who.rank && !s->is_thread) s->pidfd[r] = (int)syscall(SYS_pidfd_open, pid, 0);
    }
    if (s->b->launcher) s->launcher_fd = (int)syscall(SYS_pidfd_open, s->b->launcher, 0);
}

/* A processor for every thread of every rank?  Ranks may be bound, each to some of its own; a quota
 * makes less of them. */
static bool have_processors(const rank_group *g, const shm_body *s)
{
    int all = 0, mine = 0;

    for (int i = 0; i < 16; i++) {
        uint64_t any = 0;
        for (int r = 0; r < g->who.world; r++) any |= s->b->seat[r].cpus[i];
        all += __builtin_popcountll(any);
        mine += __builtin_popcountll(s->me->cpus[i]);
    }
    if (mill_cpu_count() < mine) all = mill_cpu_count();
    return g->who.world * g->threads <= all;
}

static mill_err sit_down(rank_group *g, shm_body *s, double meet_seconds)
{
    for (int r = 0; r < RANK_MAX_WORLD; r++) s->pidfd[r] = -1;
    s->launcher_fd = -1;
    s->b = s->map.at;
    TRY(take_seat(g, s));
    g->body = s;
    const mill_err err = wait_for_all(g, s, meet_seconds);
    if (err) {
        board_fail(s->b, g->who.rank, err, mill_error());
        return err;
    }
    s->spins = have_processors(g, s) ? SHM_SPINS : SHM_SPINS_CROWDED;
    watch_peers(g, s);
    return MILL_OK;
}

mill_err rank_shm_join(rank_group *g, const board_map *m)
{
    shm_body *s = mill_alloc(1, sizeof *s);
    mill_err err;

    if (!s) return MILL_ENOMEM;
    s->map = *m;
    s->is_thread = true;
    g->methods = &shm_of_threads;
    if ((err = sit_down(g, s, 60))) mill_free(s);
    return err;
}

/* TABMILL_BOARD is of the launcher that started this very job; a job inside of a rank is another.
 */
bool rank_has_board(const rank_identity *who)
{
    const char *path = getenv("TABMILL_BOARD"), *job = getenv("TABMILL_BOARD_JOB");

    return path && job && !strcmp(job, who->run_id);
}

/* The launcher asks a rank that hangs where it is.  backtrace() has been called before: the first
 * time it loads a library. */
static void dump_stack(int sig)
{
    static const char title[] = "tabmill: asked by the launcher, this rank is at\n";
    void *frame[64];

    (void)sig;
    (void)!write(2, title, sizeof title - 1);
    backtrace_symbols_fd(frame, backtrace(frame, 64), 2);
}

static void offer_dumps(shm_body *s)
{
    struct sigaction old;
    void *frame[1];

    if (!s->b->launcher || sigaction(SIGUSR2, NULL, &old) || old.sa_handler != SIG_DFL) return;
    (void)backtrace(frame, 1);
    sigaction(SIGUSR2, &(struct sigaction){.sa_handler = dump_stack, .sa_flags = SA_RESTART}, NULL);
    s->me->dumps = true;
}

static int open_board(const rank_identity *who)
{
    const char *path = getenv("TABMILL_BOARD");

    return path && rank_has_board(who) ? open(path, O_RDWR | O_CLOEXEC) : -1;
}

mill_err rank_shm_open(rank_group *g, double meet_seconds)
{
    shm_body *s = mill_alloc(1, sizeof *s);
    const int fd = open_board(&g->who);
    mill_err err;

    if (!s) return MILL_ENOMEM;
    g->methods = &shm_of_processes;
    err = fd >= 0 ? board_attach(&s->map, fd, &g->who) : board_meet(&s->map, &g->who, meet_seconds);
    if (err) goto fail;
    s->owns_map = true;
    if ((err = sit_down(g, s, meet_seconds))) goto fail;
    offer_dumps(s);
    return MILL_OK;
fail:
    board_unmap(&s->map);
    mill_free(s);
    return err;
}
