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
 * exchanges ahead of one who still reads.  wait.c has the waiting, seat.c the coming.
 */
#include "rank/shm.h"

#include "base/mem.h"
#include "rank/sum.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CHUNK = 16384 /* floats of a sum that a thread takes */ };

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
        return shm_fail_now(g, r, words);
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

    const int64_t start = board_now_ns();

    TRY(compare_calls(g, w->seq));
    work(g, w, may_use_pool);
    announce(s, &s->me->done, w->seq + 1);
    s->n_worked++;
    g->usage.communication[g->phase] += (double)(board_now_ns() - start) / 1e9;
    return MILL_OK;
}

static mill_err shm_progress(rank_group *g, bool wait)
{
    shm_body *s = g->body;

    while (s->n_worked < g->n_open) {
        const uint32_t seq = g->open[s->n_worked].seq;

        if (wait)
            TRY(shm_wait_arrived(g, seq));
        else if (!shm_all_reached(g, seq, false))
            break;
        TRY(work_one(g, wait));
    }
    int n = 0; /* done by all */
    if (wait && g->n_open) {
        TRY(shm_wait_done(g, g->open[g->n_open - 1].seq));
        n = g->n_open;
    }
    while (n < s->n_worked && shm_all_reached(g, g->open[n].seq, true)) n++;
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
    TRY(shm_wait_arrived(g, seq));
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

static void shm_beat(rank_group *g, int64_t step, rank_phase phase)
{
    board_seat *me = ((shm_body *)g->body)->me;
    const int64_t now = g->phase_ns, before = me->beat_ns;

    me->usage = g->usage;

    if (now / 1000000000 != before / 1000000000) (void)shm_check_launcher(g);
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
    s->me->usage = g->usage;
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

#define METHODS(body)                                                                 \
    {                                                                                 \
        .name = (body), .buffer_new = shm_buffer_new, .buffer_free = shm_buffer_free, \
        .start = shm_start, .progress = shm_progress, .exchange = shm_exchange,       \
        .block = shm_block, .beat = shm_beat, .close = shm_close,                     \
    }
const rank_methods shm_of_processes = METHODS("shm"), shm_of_threads = METHODS("threads");
