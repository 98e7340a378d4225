/*
 * group.c - opening a group, its buffers, and the collectives that work in them.
 *
 * Everything that differs between bodies is in rank_methods; here is what is the same for all:
 * numbers, order, and what a caller must not do.
 */
#include "rank/board.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double seconds(double given, const char *variable, double otherwise)
{
    const char *text = getenv(variable);
    const double v = text ? strtod(text, NULL) : 0;

    return given > 0 ? given : v > 0 ? v : otherwise;
}

static mill_err open_body(rank_group *g, double meet_seconds)
{
    const char *body = getenv("TABMILL_RANK_BODY"); /* "mpi": on one host too */

    if (body && !strcmp(body, "mpi") && g->who.world > 1) return rank_mpi_open(g, meet_seconds);
    if (g->who.world == 1 && !rank_has_board(&g->who)) return rank_self_open(g);
    if (g->who.local_world == g->who.world) return rank_shm_open(g, meet_seconds);
    if (!strcmp(g->who.source, "torchrun"))
        return mill_fail(MILL_EDEVICE,
                         "%d ranks on several hosts need MPI between them: start them with mpirun "
                         "or srun",
                         g->who.world);
    return rank_mpi_open(g, meet_seconds);
}

void rank_group_init(rank_group *g, const rank_options *o)
{
    static const rank_options none = {0};

    if (!o) o = &none;
    g->timeout = seconds(o->timeout_seconds, "TABMILL_RANK_TIMEOUT", 0);
    g->timeout_given = g->timeout > 0;
    if (!g->timeout_given) g->timeout = 600;
    g->threads = o->threads > 0 ? o->threads : 1;
    g->pool = o->pool;
    g->usage.step = -1;
    g->phase_ns = board_now_ns();
}

mill_err rank_open(rank_group **out, const rank_identity *who, const rank_options *o)
{
    rank_group *g = mill_alloc(1, sizeof *g);
    mill_err err;

    if (!g) return MILL_ENOMEM;
    g->who = *who;
    rank_group_init(g, o);
    if ((err = open_body(g, seconds(o ? o->meet_seconds : 0, "TABMILL_RANK_MEET", 60)))) {
        mill_free(g);
        return err;
    }
    *out = g;
    return MILL_OK;
}

/* The time until now belongs to the phase that was. */
static void count_phase(rank_group *g)
{
    const int64_t now = board_now_ns();

    g->usage.seconds[g->phase] += (double)(now - g->phase_ns) / 1e9;
    g->phase_ns = now;
}

void rank_close(rank_group *g, mill_err err)
{
    if (!g) return;
    count_phase(g);
    g->methods->close(g, err);
    mill_free(g);
}

const rank_identity *rank_who(const rank_group *g)
{
    return &g->who;
}

int rank_of(const rank_group *g)
{
    return g->who.rank;
}

int rank_world(const rank_group *g)
{
    return g->who.world;
}

const char *rank_body(const rank_group *g)
{
    return g->methods->name;
}

void rank_set_pool(rank_group *g, mill_pool *pool)
{
    g->pool = pool;
}

void rank_beat(rank_group *g, int64_t step, rank_phase phase)
{
    count_phase(g);
    g->phase = phase;
    g->usage.step = step;
    g->methods->beat(g, step, phase);
}

void rank_usage_get(const rank_group *g, rank_usage *out)
{
    *out = g->usage;
    out->seconds[g->phase] += (double)(board_now_ns() - g->phase_ns) / 1e9;
}

void rank_waited_for_data(rank_group *g, double seconds)
{
    g->usage.data[g->phase] += seconds;
}

/* ---- buffers ---- */

mill_err rank_buffer_new(rank_buffer **out, rank_group *g, int64_t n, rank_sharing sharing)
{
    rank_buffer *b;
    mill_err err;

    if (n < 1 || n > INT64_MAX / 1024)
        return mill_fail(MILL_EINPUT, "a buffer of %ld floats", (long)n);
    if (!(b = mill_alloc(1, sizeof *b))) return MILL_ENOMEM;
    *b = (rank_buffer){.g = g, .n = n, .sharing = sharing, .serial = g->n_buffers};
    if ((err = rank_wait(g)) || (err = g->methods->buffer_new(b))) {
        mill_free(b);
        return err;
    }
    g->n_buffers++;
    *out = b;
    return MILL_OK;
}

void rank_buffer_free(rank_buffer *b)
{
    if (!b) return;
    b->g->methods->buffer_free(b);
    mill_free(b);
}

float *rank_buffer_data(const rank_buffer *b)
{
    return b->data;
}

float *rank_buffer_of(const rank_buffer *b, int rank)
{
    if (rank == b->g->who.rank) return b->data;
    if (!b->map) return NULL;
    return (float *)b->map + (b->sharing == RANK_EACH ? rank * b->stride : 0);
}

int64_t rank_buffer_count(const rank_buffer *b)
{
    return b->n;
}

rank_span rank_slice(int64_t begin, int64_t end, int rank, int world)
{
    const int64_t lines = (end - begin + 15) / 16;
    const rank_span s = rank_share(lines, rank, world);

    return (rank_span){begin + 16 * s.begin < end ? begin + 16 * s.begin : end,
                       begin + 16 * s.end < end ? begin + 16 * s.end : end};
}

/* The first n mod world ranks have one more. */
rank_span rank_share(int64_t n, int rank, int world)
{
    const int64_t each = n / world, more = n % world;

    return (rank_span){rank * each + (rank < more ? rank : more),
                       (rank + 1) * each + (rank + 1 < more ? rank + 1 : more)};
}

/* ---- spans of buffers ---- */

mill_err rank_start(rank_buffer *b, rank_kind kind, int64_t begin, int64_t end)
{
    rank_group *g = b->g;

    if (begin < 0 || end > b->n || begin > end)
        return mill_fail(MILL_EINPUT, "floats %ld to %ld of a buffer of %ld", (long)begin,
                         (long)end, (long)b->n);
    if (b->sharing == RANK_ONE && kind != RANK_ALL_GATHER)
        return mill_fail(MILL_EINPUT, "a buffer that the ranks share cannot be summed over ranks");
    if (g->n_open == RANK_MAX_OPEN) TRY(g->methods->progress(g, false));
    if (g->n_open == RANK_MAX_OPEN)
        return mill_fail(MILL_EINPUT, "more than %d collectives started", RANK_MAX_OPEN);
    rank_work *w = &g->open[g->n_open++];
    *w = (rank_work){b, kind, begin, end, g->seq++};
    return g->methods->start(g, w);
}

mill_err rank_wait(rank_group *g)
{
    return g->n_open ? g->methods->progress(g, true) : MILL_OK;
}

mill_err rank_all_reduce(rank_buffer *b, int64_t begin, int64_t end)
{
    TRY(rank_start(b, RANK_ALL_REDUCE, begin, end));
    return rank_wait(b->g);
}

mill_err rank_reduce_scatter(rank_buffer *b, int64_t begin, int64_t end)
{
    TRY(rank_start(b, RANK_REDUCE_SCATTER, begin, end));
    return rank_wait(b->g);
}

mill_err rank_all_gather(rank_buffer *b, int64_t begin, int64_t end)
{
    TRY(rank_start(b, RANK_ALL_GATHER, begin, end));
    return rank_wait(b->g);
}
