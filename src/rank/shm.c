/*
 * shm.c - collectives of the ranks of one host, in shared memory, in place.
 *
 * Collective k of a rank, on a span of a buffer:
 *
 *     arrived = k + 1        my data is in place               (rank_start)
 *     all others arrived     -> my share of the work: my slice of the sum, read from all copies
 *     done = k + 1           my share is done, and I read nothing of yours any more
 *     all others done        -> the span is the caller's again (rank_wait)
 *
 * An exchange needs the first half only: each rank has two blocks, used by turns; nobody can be two
 * exchanges ahead of one who still reads.
 *
 * Waiting: a short spin, then sleep on the counter of the one that is waited for, in slices;
 * between slices look whether somebody failed, left or died, and at the clock.  Time is counted by
 * slices, so that a job that was stopped as a whole (Ctrl-Z) has not waited meanwhile.  A rank that
 * has a launcher leaves it a moment to say why another one died.
 */
#include "rank/board.h"

#include "base/cpu.h"
#include "base/log.h"
#include "base/mem.h"
#include "rank/sum.h"

#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <immintrin.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SPINS = 2000, SPINS_CROWDED = 50, CHUNK = 16384 /* floats of a sum that a thread takes */ };
static const double SLICE = 0.05, MOST_PER_SLICE = 0.2, LAUNCHERS_TURN = 0.3, WARN_AFTER = 15;

typedef struct {
    board_map map;
    board *b;
    board_seat *me;
    bool owns_map, is_thread;
    int spins;
    int pidfd[RANK_MAX_WORLD]; /* of the others; -1: none */
    int launcher_fd;           /* -1: none */
    int n_worked;              /* of g->open: this rank's share is done */
    uint32_t last_exchange;    /* number of the last one */
} shm_body;

static bool reached(uint32_t count, uint32_t target)
{
    return (int32_t)(count - target) >= 0;
}

/* ---- what can go wrong while waiting ---- */

static mill_err fail_now(rank_group *g, int rank, const char *words)
{
    shm_body *s = g->body;

    board_fail(s->b, rank, MILL_EDEVICE, words);
    return board_failure(s->b);
}

/* "step 7, computing" */
static const char *place(char buf[80], board_seat *seat)
{
    const long long step = (long long)seat->step;
    const int phase = seat->phase;

    if (step < 0)
        snprintf(buf, 80, "before its first step");
    else
        snprintf(buf, 80, "step %lld, %s", step,
                 phase >= 0 && phase < RANK_N_PHASE ? rank_phase_names[phase] : "?");
    return buf;
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
static mill_err check_launcher(rank_group *g)
{
    shm_body *s = g->body;

    if (!is_gone(s->launcher_fd)) return MILL_OK;
    return fail_now(g, g->who.rank, "the launcher died");
}

typedef struct {
    atomic_uint *word;
    uint32_t target;
    int peer;
    uint32_t seq;        /* of the collective, for words */
    double waited, gone; /* seconds */
    bool has_warned;
} waiting;

static mill_err check_peer(rank_group *g, waiting *w, double slice)
{
    shm_body *s = g->body;
    board_seat *seat = &s->b->seat[w->peer];
    char words[RANK_WORDS], where[80];
    const bool has_left = seat->state == SEAT_LEFT, gone = is_gone(s->pidfd[w->peer]);

    if (reached(atomic_load(w->word), w->target)) return MILL_OK;
    TRY(check_launcher(g));
    if (has_left) {
        snprintf(words, sizeof words, "it left at %s, and rank %d is at %s number %u",
                 place(where, seat), g->who.rank, call_name(g, w->seq), w->seq);
        return fail_now(g, w->peer, words);
    }
    if (gone && (w->gone += slice) > (s->b->launcher ? LAUNCHERS_TURN : 0)) {
        snprintf(words, sizeof words, "process %d died at %s", seat->pid, place(where, seat));
        return fail_now(g, w->peer, words);
    }
    if (w->waited > g->timeout) {
        snprintf(words, sizeof words,
                 "it did not come to %s number %u within %g s; last seen at %s",
                 call_name(g, w->seq), w->seq, g->timeout, place(where, seat));
        return fail_now(g, w->peer, words);
    }
    if (w->waited > WARN_AFTER && !w->has_warned && !s->b->launcher) {
        w->has_warned = true;
        mill_log(MILL_LOG_WARN,
                 "rank %d waits for rank %d (process %d) since %.0f s; last seen at %s",
                 g->who.rank, w->peer, seat->pid, w->waited, place(where, seat));
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
    while (!reached(seen = atomic_load(w->word), w->target) && !err) {
        const double before = mill_clock();

        if (board_has_failed(s->b)) {
            err = board_failure(s->b);
            break;
        }
        board_sleep(w->word, seen, SLICE);
        const double slice = mill_clock() - before;
        w->waited += slice < MOST_PER_SLICE ? slice : MOST_PER_SLICE;
        if (slice > SLICE / 2) err = check_peer(g, w, slice < SLICE ? slice : SLICE);
    }
    s->me->waits_for = 0;
    atomic_fetch_sub(sleepers, 1);
    return err;
}

static mill_err wait_for(rank_group *g, atomic_uint *word, uint32_t target, int peer, uint32_t seq)
{
    shm_body *s = g->body;

    for (int i = 0; i < s->spins; i++) {
        if (reached(atomic_load_explicit(word, memory_order_acquire), target)) return MILL_OK;
        _mm_pause();
    }
    return sleep_until(g, &(waiting){.word = word, .target = target, .peer = peer, .seq = seq});
}

static mill_err wait_arrived(rank_group *g, uint32_t seq)
{
    shm_body *s = g->body;

    for (int r = 0; r < g->who.world; r++)
        if (r != g->who.rank) TRY(wait_for(g, &s->b->seat[r].arrived, seq + 1, r, seq));
    return MILL_OK;
}

static mill_err wait_done(rank_group *g, uint32_t seq)
{
    shm_body *s = g->body;

    for (int r = 0; r < g->who.world; r++)
        if (r != g->who.rank) TRY(wait_for(g, &s->b->seat[r].done, seq + 1, r, seq));
    return MILL_OK;
}

static bool all_reached(const rank_group *g, uint32_t seq, bool done)
{
    const shm_body *s = g->body;

    for (int r = 0; r < g->who.world; r++) {
        board_seat *seat = &s->b->seat[r];
        if (!reached(
                atomic_load_explicit(done ? &seat->done : &seat->arrived, memory_order_acquire),
                seq + 1))
            return false;
    }
    return true;
}

/* ---- one collective ---- */

static void announce(shm_body *s, atomic_uint *word, uint32_t count)
{
    atomic_store(word, count);
    if (atomic_load(&s->me->sleepers)) board_rouse(word);
}

static void arrive(rank_group *g, uint32_t seq, int64_t what, int64_t size)
{
    shm_body *s = g->body;
    board_call *c = &s->me->call[seq % BOARD_RING];

    atomic_store_explicit(&c->what, what, memory_order_relaxed);
    atomic_store_explicit(&c->size, size, memory_order_relaxed);
    announce(s, &s->me->arrived, seq + 1);
}

/* All have arrived: did they come for the same thing?  Rank 0 says what it is, so that all blame
 * the same one. */
static mill_err compare_calls(rank_group *g, uint32_t seq)
{
    shm_body *s = g->body;
    const board_call *first = &s->b->seat[0].call[seq % BOARD_RING];
    char words[RANK_WORDS];

    for (int r = 1; r < g->who.world; r++) {
        const board_call *c = &s->b->seat[r].call[seq % BOARD_RING];

        if (c->what == first->what && c->size == first->size) continue;
        snprintf(words, sizeof words,
                 "at number %u it called %s of size %lld where rank 0 called %s of size %lld", seq,
                 board_call_name(c->what), (long long)c->size, board_call_name(first->what),
                 (long long)first->size);
        return fail_now(g, r, words);
    }
    return MILL_OK;
}

typedef struct {
    float *copy[RANK_MAX_WORLD];
    int world, me;
    bool to_all;
    int64_t begin, end;
} sum_job;

static void sum_span(const sum_job *j, int64_t begin, int64_t end)
{
    float *at[RANK_MAX_WORLD];

    for (int r = 0; r < j->world; r++) at[r] = j->copy[r] + begin;
    rank_add_up(j->to_all ? at : &at[j->me], j->to_all ? j->world : 1, (const float *const *)at,
                j->world, end - begin);
}

static void sum_chunk(void *ctx, int64_t chunk, int thread)
{
    const sum_job *j = ctx;
    const int64_t begin = j->begin + chunk * CHUNK;

    (void)thread;
    sum_span(j, begin, begin + CHUNK < j->end ? begin + CHUNK : j->end);
}

static void work(rank_group *g, const rank_work *w, bool may_use_pool)
{
    const rank_span mine = rank_slice(w->begin, w->end, g->who.rank, g->who.world);
    sum_job j = {.world = g->who.world,
                 .me = g->who.rank,
                 .to_all = w->kind == RANK_ALL_REDUCE,
                 .begin = mine.begin,
                 .end = mine.end};

    if (w->kind == RANK_ALL_GATHER) {
        for (int r = 0; r < j.world && w->b->stride; r++) {
            const rank_span of = rank_slice(w->begin, w->end, r, j.world);
            if (r != j.me)
                memcpy(w->b->data + of.begin, rank_buffer_of(w->b, r) + of.begin,
                       (size_t)(of.end - of.begin) * sizeof(float));
        }
        return;
    }
    for (int r = 0; r < j.world; r++) j.copy[r] = rank_buffer_of(w->b, r);
    const int64_t chunks = (mine.end - mine.begin + CHUNK - 1) / CHUNK;
    if (may_use_pool && mill_pool_threads(g->pool) > 1)
        mill_pool_run(g->pool, chunks, sum_chunk, &j);
    else
        sum_span(&j, mine.begin, mine.end);
}

static mill_err work_one(rank_group *g, bool may_use_pool)
{
    shm_body *s = g->body;
    const rank_work *w = &g->open[s->n_worked];

    TRY(compare_calls(g, w->seq));
    work(g, w, may_use_pool);
    announce(s, &s->me->done, w->seq + 1);
    s->n_worked++;
    return MILL_OK;
}

static mill_err shm_progress(rank_group *g, bool wait)
{
    shm_body *s = g->body;

    while (s->n_worked < g->n_open) {
        const uint32_t seq = g->open[s->n_worked].seq;

        if (wait)
            TRY(wait_arrived(g, seq));
        else if (!all_reached(g, seq, false))
            break;
        TRY(work_one(g, wait));
    }
    int n = 0; /* done by all */
    if (wait && g->n_open) {
        TRY(wait_done(g, g->open[g->n_open - 1].seq));
        n = g->n_open;
    }
    while (n < s->n_worked && all_reached(g, g->open[n].seq, true)) n++;
    memmove(g->open, g->open + n, (size_t)(g->n_open - n) * sizeof *g->open);
    g->n_open -= n;
    s->n_worked -= n;
    return board_has_failed(s->b) ? board_failure(s->b) : MILL_OK;
}

static mill_err shm_start(rank_group *g, const rank_work *w)
{
    const rank_work copy = *w;

    arrive(g, copy.seq, copy.kind, copy.end - copy.begin);
    return shm_progress(g, false);
}

static mill_err shm_exchange(rank_group *g, const void *mine, size_t n)
{
    shm_body *s = g->body;
    const uint32_t seq = g->seq++;

    /* Two blocks by turns of exchanges, not of collectives: others lie between them. */
    s->last_exchange++;
    memcpy(board_block(&s->map, g->who.rank, s->last_exchange), mine, n);
    arrive(g, seq, CALL_EXCHANGE, (int64_t)n);
    TRY(wait_arrived(g, seq));
    TRY(compare_calls(g, seq));
    announce(s, &s->me->done, seq + 1);
    return MILL_OK;
}

static const void *shm_block(const rank_group *g, int rank)
{
    const shm_body *s = g->body;

    return board_block(&s->map, rank, s->last_exchange);
}

/* ---- buffers ---- */

/* Where buffers begin is the same sum on every rank. */
static mill_err shm_buffer_new(rank_buffer *b)
{
    rank_group *g = b->g;
    shm_body *s = g->body;
    const size_t each = ((size_t)b->n * sizeof(float) + 4095) / 4096 * 4096;
    const bool is_each = b->sharing == RANK_EACH;
    const size_t all = is_each ? each * (size_t)g->who.world : each;
    const off_t at = (off_t)(board_bytes(g->who.world) + g->bytes_given);
    mill_err err = MILL_OK;

    if (s->b->users[b->serial % RANK_MAX_BUFFERS] > 0 && b->serial >= RANK_MAX_BUFFERS)
        err = mill_fail(MILL_EINPUT, "more than %d shared buffers", RANK_MAX_BUFFERS);
    /* Each its own part: touched first by its owner. */
    else if (is_each || g->who.rank == 0) {
        const off_t mine = is_each ? at + (off_t)(each * (size_t)g->who.rank) : at;
        const int e = posix_fallocate(s->map.fd, mine, (off_t)each);
        if (e)
            err = mill_fail(MILL_ENOMEM, "no memory for %zu shared bytes: %s", each, strerror(e));
    }
    TRY(rank_agree(g, err));
    void *p = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, s->map.fd, at);
    if (p == MAP_FAILED)
        err = mill_fail(MILL_ENOMEM, "cannot map %zu shared bytes: %s", all, strerror(errno));
    if ((err = rank_agree(g, err))) {
        if (p != MAP_FAILED) munmap(p, all);
        return err;
    }
    g->bytes_given += all;
    atomic_fetch_add(&s->b->users[b->serial % RANK_MAX_BUFFERS], 1);
    b->map = p;
    b->map_bytes = all;
    b->at = at;
    b->stride = is_each ? (int64_t)(each / sizeof(float)) : 0;
    b->data = (float *)p + b->stride * g->who.rank;
    return rank_barrier(g); /* nobody frees before all are counted as users */
}

static void shm_buffer_free(rank_buffer *b)
{
    shm_body *s = b->g->body;

    munmap(b->map, b->map_bytes);
    if (atomic_fetch_sub(&s->b->users[b->serial % RANK_MAX_BUFFERS], 1) == 1)
        (void)!fallocate(s->map.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, b->at,
                         (off_t)b->map_bytes);
}

/* ---- coming and going ---- */

static void shm_fail(rank_group *g, mill_err err, const char *words)
{
    board_fail(((shm_body *)g->body)->b, g->who.rank, err, words);
}

static void shm_beat(rank_group *g, int64_t step, rank_phase phase)
{
    board_seat *me = ((shm_body *)g->body)->me;
    const int64_t now = board_now_ns(), before = me->beat_ns;

    if (now / 1000000000 != before / 1000000000) (void)check_launcher(g);
    atomic_store_explicit(&me->step, step, memory_order_relaxed);
    atomic_store_explicit(&me->phase, (int)phase, memory_order_relaxed);
    atomic_store_explicit(&me->beat_ns, now, memory_order_relaxed);
}

static void shm_close(rank_group *g, mill_err err)
{
    shm_body *s = g->body;

    const char *words;

    if (err) {
        const int rank = rank_to_blame(g, &words);
        board_fail(s->b, rank, err, words);
    }
    s->me->state = SEAT_LEFT;
    if (atomic_load(&s->me->sleepers)) {
        board_rouse(&s->me->arrived);
        board_rouse(&s->me->done);
    }
    for (int r = 0; r < g->who.world; r++)
        if (s->pidfd[r] >= 0) close(s->pidfd[r]);
    if (s->launcher_fd >= 0) close(s->launcher_fd);
    if (s->owns_map) board_unmap(&s->map);
    mill_free(s);
}

#define METHODS(body)                                                               \
    {                                                                               \
        .name = body, .buffer_new = shm_buffer_new, .buffer_free = shm_buffer_free, \
        .start = shm_start, .progress = shm_progress, .exchange = shm_exchange,     \
        .block = shm_block, .fail = shm_fail, .beat = shm_beat, .close = shm_close, \
    }
static const rank_methods of_processes = METHODS("shm"), of_threads = METHODS("threads");

static mill_err take_seat(rank_group *g, shm_body *s)
{
    int free = SEAT_FREE;

    s->me = &s->b->seat[g->who.rank];
    if (!atomic_compare_exchange_strong(&s->me->state, &free, SEAT_TAKEN))
        return mill_fail(MILL_EINPUT, "rank %d is there already: process %d of job %s", g->who.rank,
                         s->me->pid, s->b->run_id);
    s->me->pid = (int)getpid();
    s->me->beat_ns = board_now_ns();
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
        board_sleep((atomic_uint *)&s->b->n_there, (uint32_t)there, SLICE);
        const double slice = mill_clock() - before;
        waited += slice < MOST_PER_SLICE ? slice : MOST_PER_SLICE;
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

static mill_err sit_down(rank_group *g, shm_body *s, double meet_seconds)
{
    const int wanted = g->who.world * g->threads;

    for (int r = 0; r < RANK_MAX_WORLD; r++) s->pidfd[r] = -1;
    s->launcher_fd = -1;
    s->b = s->map.at;
    s->spins = wanted > mill_cpu_count() ? SPINS_CROWDED : SPINS;
    TRY(take_seat(g, s));
    g->body = s;
    const mill_err err = wait_for_all(g, s, meet_seconds);
    if (err) {
        board_fail(s->b, g->who.rank, err, mill_error());
        return err;
    }
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
    g->methods = &of_threads;
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
    return rank_has_board(who) ? open(getenv("TABMILL_BOARD"), O_RDWR | O_CLOEXEC) : -1;
}

mill_err rank_shm_open(rank_group *g, double meet_seconds)
{
    shm_body *s = mill_alloc(1, sizeof *s);
    const int fd = open_board(&g->who);
    mill_err err;

    if (!s) return MILL_ENOMEM;
    g->methods = &of_processes;
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
