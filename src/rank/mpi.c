/*
 * mpi.c - ranks on several hosts: the collectives of rank.h over MPI.
 *
 * MPI makes no progress unless it is called, so a thread of its own makes all calls and does the
 * work that was started, in order, while the ranks compute.  The sums are ours: a rank gets the
 * others' parts of its slice (an all-to-all, as many bytes as the best ring), adds them up in the
 * tree of rank.h, and an all-gather makes them everybody's; so the bits are those of shm.
 *
 *     collective:   heads (what is called, by whom; small data with them)   gather of 256 bytes
 *                   a span                                                  deal, sum, join
 *                   an exchange of more than fits into a head               gather
 *
 * Notes: a rank that fails or leaves tells every other one, which looks for notes while it waits.
 * A rank that is killed ends the whole job by mpirun or srun.  Parts of a large span go one after
 * the other: MPI counts in int.
 */
#include "rank/board.h"

#include "base/cpu.h"
#include "base/mem.h"
#include "base/plugin.h"
#include "rank/plugin/shim.h"
#include "rank/sum.h"

#include <dlfcn.h>
#include <immintrin.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { HEAD = 256, INLINE = HEAD - 24, RING = 2 * RANK_MAX_OPEN, PART = 1 << 24 /* floats */ };
static const double SLICE = 0.05, AFTER_LEAVING = 1;

typedef struct {
    int64_t seq, what, size;
    char data[INLINE];
} head;

enum { NOTE_FAILED = 1, NOTE_LEFT };
typedef struct {
    int32_t kind, rank, err, pad;
    int64_t step;
    char words[RANK_WORDS];
} note;

/* What the thread has to do: a span, or an exchange of `n` bytes. */
typedef struct {
    rank_work w;
    bool is_exchange;
    size_t n;
} mpi_job;

typedef struct {
    const mpi_shim *mpi;
    void *library;
    rank_group *g;
    pthread_t thread;
    mpi_job job[RING];
    atomic_uint submitted, finished;          /* futexes; jobs, ever */
    atomic_uint state;                        /* of the thread: STARTING, READY, ENDED; a futex */
    atomic_bool stop, is_failing, has_failed; /* failing: `first` is being written */
    note mine, heard;                         /* told and being heard */
    int hearing;                              /* request */
    note first;                               /* the failure; written before has_failed */
    atomic_int left;                          /* rank + 1 of one that left */
    double left_at;
    int64_t step, left_step;
    head head;
    head *heads;               /* of all ranks */
    char *mine_block, *blocks; /* of an exchange */
    float *in;                 /* the others' parts of our slice */
    size_t n_in;
} mpi_body;

enum { STARTING, READY, ENDED };

/* ---- in the thread ---- */

/* The first failure is kept. */
static void keep_failure(mpi_body *b, int rank, mill_err err, const char *words)
{
    bool nobody = false;

    if (!atomic_compare_exchange_strong(&b->is_failing, &nobody, true)) return;
    b->first = (note){.kind = NOTE_FAILED, .rank = rank, .err = (int32_t)err};
    snprintf(b->first.words, sizeof b->first.words, "%s", words);
    atomic_store(&b->has_failed, true);
}

static void look_for_notes(mpi_body *b)
{
    int done = 0;

    if (b->hearing < 0 || b->mpi->test(b->hearing, &done) || !done) return;
    b->heard.words[RANK_WORDS - 1] = 0;
    if (b->heard.kind == NOTE_FAILED)
        keep_failure(b, b->heard.rank, (mill_err)b->heard.err, b->heard.words);
    else if (!b->left) {
        b->left_at = mill_clock();
        b->left_step = b->heard.step;
        b->left = b->heard.rank + 1;
    }
    if (b->mpi->hear(&b->hearing, &b->heard, sizeof b->heard)) b->hearing = -1;
}

static bool mpi_failed(mpi_body *b, int err, const char *what)
{
    char words[200], text[RANK_WORDS];

    if (!err) return false;
    b->mpi->words(err, words, sizeof words);
    snprintf(text, sizeof text, "MPI, %s: %s", what, words);
    keep_failure(b, b->g->who.rank, MILL_EDEVICE, text);
    return true;
}

/* Until the request is done; false when there is nothing to wait for any more. */
static bool finish(mpi_body *b, int request, const char *what)
{
    for (int tries = 0, done = 0;; tries++) {
        if (mpi_failed(b, b->mpi->test(request, &done), what)) return false;
        if (done) return true;
        look_for_notes(b);
        if (b->has_failed || b->stop) return false;
        if (b->left && mill_clock() - b->left_at > AFTER_LEAVING) {
            char words[RANK_WORDS];
            snprintf(words, sizeof words, "it left at step %lld, and rank %d is at %s",
                     (long long)b->left_step, b->g->who.rank, what);
            keep_failure(b, b->left - 1, MILL_EDEVICE, words);
            return false;
        }
        if (tries > 100) usleep(20); /* the slack of this thread's timers is 1 us */
    }
}

/* Everybody says what it is about to do; rank 0's word counts. */
static bool compare_heads(mpi_body *b)
{
    const head *first = &b->heads[0];
    char words[RANK_WORDS];
    int request;

    if (mpi_failed(b, b->mpi->gather(&request, b->heads, &b->head, HEAD), "heads") ||
        !finish(b, request, board_call_name(b->head.what)))
        return false;
    for (int r = 1; r < b->g->who.world; r++) {
        const head *h = &b->heads[r];
        if (h->seq == first->seq && h->what == first->what && h->size == first->size) continue;
        snprintf(words, sizeof words,
                 "at number %lld it called %s of size %lld where rank 0 called %s of size %lld",
                 (long long)h->seq, board_call_name(h->what), (long long)h->size,
                 board_call_name(first->what), (long long)first->size);
        keep_failure(b, r, MILL_EDEVICE, words);
        return false;
    }
    return true;
}

typedef struct {
    int count[RANK_MAX_WORLD], at[RANK_MAX_WORLD];
} parts;

/* Slices of [begin, end) with places counted from x = data + begin. */
static void lay_out(parts *p, int64_t begin, int64_t end, int world)
{
    for (int r = 0; r < world; r++) {
        const rank_span s = rank_slice(begin, end, r, world);
        p->count[r] = (int)(s.end - s.begin);
        p->at[r] = (int)(s.begin - begin);
    }
}

static bool reduce_part(mpi_body *b, float *x, const parts *p)
{
    const int world = b->g->who.world, me = b->g->who.rank, n = p->count[me];
    const float *src[RANK_MAX_WORLD];
    float *dst = x + p->at[me];
    int request;

    if ((size_t)n * (size_t)world > b->n_in) {
        float *in = mill_realloc(b->in, (size_t)n * (size_t)world, sizeof *in);
        if (!in) {
            keep_failure(b, me, MILL_ENOMEM, mill_error());
            return false;
        }
        b->in = in;
        b->n_in = (size_t)n * (size_t)world;
    }
    if (mpi_failed(b, b->mpi->deal(&request, b->in, n, x, p->count, p->at), "all-to-all") ||
        !finish(b, request, "reduction"))
        return false;
    for (int r = 0; r < world; r++) src[r] = b->in + (int64_t)r * n;
    rank_add_up(&dst, 1, src, world, n);
    return true;
}

/* The slices are those of the whole span; a part is so many floats of every slice. */
static bool run_span(mpi_body *b, const rank_work *w)
{
    const int world = b->g->who.world;
    const rank_span first = rank_slice(w->begin, w->end, 0, world);
    float *x = w->b->data + w->begin;
    parts all, p;
    int request;

    lay_out(&all, w->begin, w->end, world);
    for (int64_t at = 0; at == 0 || at < first.end - first.begin; at += PART / world) {
        for (int r = 0; r < world; r++) {
            const int64_t rest = all.count[r] - at;
            p.count[r] = (int)(rest < 0 ? 0 : rest < PART / world ? rest : PART / world);
            p.at[r] = all.at[r] + (int)(p.count[r] ? at : 0);
        }
        if (w->kind != RANK_ALL_GATHER && !reduce_part(b, x, &p)) return false;
        if (w->kind == RANK_REDUCE_SCATTER) continue;
        if (mpi_failed(b, b->mpi->join(&request, x, p.count, p.at), "all-gather") ||
            !finish(b, request, "all-gather"))
            return false;
    }
    return true;
}

static bool run_exchange(mpi_body *b, size_t n)
{
    int request;

    if (n <= INLINE) {
        for (int r = 0; r < b->g->who.world; r++)
            memcpy(b->blocks + (size_t)r * RANK_SMALL, b->heads[r].data, n);
        return true;
    }
    /* Blocks lie RANK_SMALL apart: gather them whole. */
    return !mpi_failed(b, b->mpi->gather(&request, b->blocks, b->mine_block, RANK_SMALL),
                       "exchange") &&
           finish(b, request, "exchange");
}

static void run_job(mpi_body *b, const mpi_job *j)
{
    b->head = (head){.seq = j->w.seq,
                     .what = j->is_exchange ? CALL_EXCHANGE : (int64_t)j->w.kind,
                     .size = j->is_exchange ? (int64_t)j->n : j->w.end - j->w.begin};
    if (j->is_exchange && j->n <= INLINE) memcpy(b->head.data, b->mine_block, j->n);
    if (!compare_heads(b)) return;
    if (j->is_exchange)
        run_exchange(b, j->n);
    else
        run_span(b, &j->w);
}

/* So that the others do not wait for their deadline.  Half a second is enough, or they are gone. */
static void tell_all(mpi_body *b)
{
    const double end = mill_clock() + 0.5;
    int request[RANK_MAX_WORLD], done;

    for (int r = 0; r < b->g->who.world; r++)
        if (r == b->g->who.rank || b->mpi->tell(&request[r], r, &b->mine, sizeof b->mine))
            request[r] = -1;
    for (int r = 0; r < b->g->who.world; r++)
        for (done = request[r] < 0; !done && mill_clock() < end;)
            if (b->mpi->test(request[r], &done)) break;
}

static bool start_mpi(mpi_body *b)
{
    int rank = -1, world = -1;
    char words[RANK_WORDS];

    if (mpi_failed(b, b->mpi->init(&rank, &world), "start")) return false;
    if (rank != b->g->who.rank || world != b->g->who.world) {
        snprintf(words, sizeof words, "%s says rank %d of %d, and MPI says rank %d of %d",
                 b->g->who.source, b->g->who.rank, b->g->who.world, rank, world);
        keep_failure(b, b->g->who.rank, MILL_EINPUT, words);
        return false;
    }
    if (mpi_failed(b, b->mpi->hear(&b->hearing, &b->heard, sizeof b->heard), "notes")) return false;
    return true;
}

static void *thread_main(void *arg)
{
    mpi_body *b = arg;

    _mm_setcsr(0x1f80);
    prctl(PR_SET_TIMERSLACK, 1000);
    const bool is_up = start_mpi(b);
    atomic_store(&b->state, READY);
    board_rouse(&b->state);
    while (is_up) {
        const uint32_t n = b->finished;
        if (atomic_load(&b->submitted) == n) {
            if (b->stop) break;
            board_sleep(&b->submitted, n, SLICE);
            look_for_notes(b);
            continue;
        }
        if (!b->has_failed && !b->stop) run_job(b, &b->job[n % RING]);
        atomic_store(&b->finished, n + 1);
        board_rouse(&b->finished);
    }
    if (is_up) tell_all(b);
    if (is_up && b->mine.kind == NOTE_LEFT) b->mpi->end();
    atomic_store(&b->state, ENDED);
    board_rouse(&b->state);
    return NULL;
}

/* ---- the methods ---- */

static mill_err failure(mpi_body *b)
{
    return mill_fail(MILL_EDEVICE, "rank %d failed: %s", b->first.rank, b->first.words);
}

static void submit(mpi_body *b, const mpi_job *j)
{
    const uint32_t n = b->submitted;

    b->job[n % RING] = *j;
    atomic_store(&b->submitted, n + 1);
    board_rouse(&b->submitted);
}

/* Until the first `n` jobs are done. */
static mill_err wait_finished(rank_group *g, uint32_t n)
{
    mpi_body *b = g->body;
    const int64_t start = board_now_ns();
    double waited = 0;
    uint32_t seen;

    while ((int32_t)((seen = atomic_load(&b->finished)) - n) < 0 && !b->has_failed) {
        const double before = mill_clock();
        board_sleep(&b->finished, seen, SLICE);
        const double slice = mill_clock() - before;
        waited += slice < 4 * SLICE ? slice : 4 * SLICE;
        if (waited < g->timeout) continue;
        char words[RANK_WORDS];
        snprintf(words, sizeof words,
                 "its collective was not done within %g s: a rank has not come", g->timeout);
        keep_failure(b, g->who.rank, MILL_EDEVICE, words);
    }
    g->usage.communication[g->phase] +=
        (double)(board_now_ns() - start) / 1e9; /* imbalance is not seen */
    return b->has_failed ? failure(b) : MILL_OK;
}

static mill_err mpi_progress(rank_group *g, bool wait)
{
    mpi_body *b = g->body;
    const uint32_t begun = b->submitted - (uint32_t)g->n_open;

    if (wait) TRY(wait_finished(g, b->submitted));
    const int n = (int)(atomic_load(&b->finished) - begun);
    memmove(g->open, g->open + n, (size_t)(g->n_open - n) * sizeof *g->open);
    g->n_open -= n;
    return b->has_failed ? failure(b) : MILL_OK;
}

static mill_err mpi_start(rank_group *g, const rank_work *w)
{
    submit(g->body, &(mpi_job){.w = *w});
    return mpi_progress(g, false);
}

static mill_err mpi_exchange(rank_group *g, const void *mine, size_t n)
{
    mpi_body *b = g->body;

    if (b->has_failed) return failure(b);
    memcpy(b->mine_block, mine, n);
    submit(b, &(mpi_job){.w.seq = g->seq++, .is_exchange = true, .n = n});
    return wait_finished(g, b->submitted);
}

static const void *mpi_block(const rank_group *g, int rank)
{
    return ((mpi_body *)g->body)->blocks + (size_t)rank * RANK_SMALL;
}

static mill_err mpi_buffer_new(rank_buffer *b)
{
    float *p = mill_alloc((size_t)b->n, sizeof *p);

    const mill_err err = rank_agree(b->g, p ? MILL_OK : MILL_ENOMEM);
    if (err) mill_free(p);
    if (err) return err;
    b->data = p;
    b->stride = 1; /* each has its own; `map` stays NULL: nobody sees another's */
    return MILL_OK;
}

static void mpi_buffer_free(rank_buffer *b)
{
    mill_free(b->data);
}

static void mpi_beat(rank_group *g, int64_t step, rank_phase phase)
{
    (void)phase;
    ((mpi_body *)g->body)->step = step;
}

static void free_body(mpi_body *b)
{
    mill_free(b->heads);
    mill_free(b->mine_block);
    mill_free(b->blocks);
    mill_free(b->in);
    mill_free(b); /* the library stays open: MPI cannot be unloaded */
}

static void mpi_close(rank_group *g, mill_err err)
{
    mpi_body *b = g->body;

    const char *words;

    if (err) {
        const int rank = rank_to_blame(g, &words);
        keep_failure(b, rank, err, words);
    }
    while (b->is_failing && !b->has_failed) usleep(10);
    b->mine = b->has_failed ? b->first : (note){.kind = NOTE_LEFT, .rank = g->who.rank};
    b->mine.step = b->step;
    b->stop = true;
    board_rouse(&b->submitted);
    pthread_join(b->thread, NULL);
    free_body(b);
}

static const rank_methods methods = {
    .name = "mpi",
    .buffer_new = mpi_buffer_new,
    .buffer_free = mpi_buffer_free,
    .start = mpi_start,
    .progress = mpi_progress,
    .exchange = mpi_exchange,
    .block = mpi_block,
    .beat = mpi_beat,
    .close = mpi_close,
};

/* ---- opening ---- */

static mill_err load(mpi_body *b)
{
    b->library = mill_plugin_open("libtabmill_mpi.so", "TABMILL_MPI", RTLD_NOW | RTLD_GLOBAL);
    if (!b->library)
        return mill_fail(MILL_EDEVICE,
                         "%d ranks on several hosts need MPI between them: start them with mpirun "
                         "or srun, with libtabmill_mpi.so (built where mpicc is, package "
                         "libopenmpi-dev): %s",
                         b->g->who.world, dlerror());
    const mpi_shim *(*get)(void);
    *(void **)&get = dlsym(b->library, "tabmill_mpi");
    if (!get || get()->version != MPI_SHIM_VERSION)
        return mill_fail(MILL_EDEVICE, "libtabmill_mpi.so is of another version");
    b->mpi = get();
    return MILL_OK;
}

static mill_err start_thread(mpi_body *b, double meet_seconds)
{
    sigset_t all, before;
    const double end = mill_clock() + meet_seconds;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int e = pthread_create(&b->thread, NULL, thread_main, b);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (e) return mill_fail(MILL_EIO, "cannot start a thread: %s", strerror(e));
    while (atomic_load(&b->state) == STARTING) {
        board_sleep(&b->state, STARTING, SLICE);
        if (mill_clock() > end) /* the thread cannot be ended; the process will be */
            return mill_fail(MILL_EDEVICE, "MPI did not start within %g s", meet_seconds);
    }
    return MILL_OK;
}

static bool allocate(mpi_body *b)
{
    const size_t world = (size_t)b->g->who.world;

    b->heads = mill_alloc(world, sizeof *b->heads);
    b->mine_block = mill_alloc(1, RANK_SMALL);
    b->blocks = mill_alloc(world, RANK_SMALL);
    return b->heads && b->mine_block && b->blocks;
}

mill_err rank_mpi_open(rank_group *g, double meet_seconds)
{
    mpi_body *b = mill_alloc(1, sizeof *b);
    mill_err err;

    if (!b) return MILL_ENOMEM;
    b->g = g;
    b->hearing = -1;
    g->methods = &methods;
    g->body = b;
    err = allocate(b) ? load(b) : MILL_ENOMEM;
    if (err) {
        free_body(b);
        return err;
    }
    if ((err = start_thread(b, meet_seconds))) return err; /* b is the thread's for ever */
    if (b->has_failed) {
        err = (mill_err)b->first.err;
        mill_fail(err, "%s", b->first.words);
        pthread_join(b->thread, NULL);
        free_body(b);
    }
    return err;
}
