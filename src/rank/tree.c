/*
 * tree.c - adding up the parts of a gradient so that the bits do not depend on the number of ranks.
 *
 * Parts come one after the other; slot d holds the sum of a finished left subtree.  Part j is
 * written to slot popcount(j); then for every trailing one of j the two topmost slots become one,
 * like the carries of a binary counter.  After the last part what is left becomes one from the top
 * down, which is the same tree: the largest power of two on the left.  Slot 0 lies in a buffer that
 * the other ranks can see; it holds this rank's sum in the end.
 */
#include "rank/inner.h"

#include "base/cpu.h"
#include "base/mem.h"
#include "rank/sum.h"

#include <string.h>

enum { MAX_SLOTS = 32 };

struct rank_tree {
    rank_buffer *buffer; /* slot 0 */
    float *slot[MAX_SLOTS];
    int n_slots, parts, first;
    int part; /* the one that is being added */
};

mill_err rank_tree_check(int shards, int world)
{
    if (shards < 1 || (shards & (shards - 1)))
        return mill_fail(MILL_EINPUT, "%d virtual shards: a power of two is needed", shards);
    if (world & (world - 1))
        return mill_fail(MILL_EINPUT,
                         "%d ranks with virtual shards: the same sums need 1, 2, 4, 8, ... ranks",
                         world);
    if (world > shards)
        return mill_fail(MILL_EINPUT, "%d virtual shards are not enough for %d ranks", shards,
                         world);
    return MILL_OK;
}

mill_err rank_tree_new(rank_tree **out, rank_group *g, int64_t n, int shards)
{
    const int world = rank_world(g);
    rank_tree *t;
    mill_err err = MILL_OK;

    if (!shards) shards = world;
    if (shards < 1 || shards % world)
        return mill_fail(MILL_EINPUT, "%d shards cannot be dealt to %d ranks evenly", shards,
                         world);
    if (!(t = mill_alloc(1, sizeof *t))) return MILL_ENOMEM;
    t->parts = shards / world;
    t->first = t->parts * rank_of(g);
    for (t->n_slots = 1; 1 << t->n_slots <= t->parts; t->n_slots++) {
    }
    for (int s = 1; s < t->n_slots && !err; s++)
        if (!(t->slot[s] = mill_alloc((size_t)n, sizeof(float)))) err = MILL_ENOMEM;
    if ((err = rank_agree(g, err)) || (err = rank_buffer_new(&t->buffer, g, n, RANK_EACH))) {
        rank_tree_free(t);
        return err;
    }
    t->slot[0] = rank_buffer_data(t->buffer);
    *out = t;
    return MILL_OK;
}

void rank_tree_free(rank_tree *t)
{
    if (!t) return;
    for (int s = 1; s < t->n_slots; s++) mill_free(t->slot[s]);
    rank_buffer_free(t->buffer);
    mill_free(t);
}

int rank_tree_parts(const rank_tree *t)
{
    return t->parts;
}

int rank_tree_first(const rank_tree *t)
{
    return t->first;
}

rank_buffer *rank_tree_buffer(const rank_tree *t)
{
    return t->buffer;
}

void rank_tree_begin(rank_tree *t)
{
    t->part = 0;
}

float *rank_tree_slot(const rank_tree *t)
{
    return t->slot[__builtin_popcount((unsigned)t->part)];
}

void rank_add_up(float *const *dst, int n_dst, const float *const *src, int world, int64_t n)
{
    static void (*const sum[])(float *const *, int, const float *const *, int, int64_t) =
        MILL_LEVELS(rank_sum);

    sum[mill_cpu_level()](dst, n_dst, src, world, n);
}

/* sum += x, left and right as in the tree. */
static void add(float *sum, const float *x, int64_t begin, int64_t end)
{
    float *dst = sum + begin;
    const float *const src[] = {dst, x + begin};

    rank_add_up(&dst, 1, src, 2, end - begin);
}

void rank_tree_add(rank_tree *t, const float *g, int64_t begin, int64_t end)
{
    const bool is_last = t->part == t->parts - 1;
    int top = __builtin_popcount((unsigned)t->part);
    int carries = is_last ? top : __builtin_ctz(~(unsigned)t->part);

    if (!carries && g != t->slot[top])
        memcpy(t->slot[top] + begin, g + begin, (size_t)(end - begin) * sizeof *g);
    for (; carries > 0; carries--, top--) {
        add(t->slot[top - 1], g, begin, end);
        g = t->slot[top - 1];
    }
}

void rank_tree_next(rank_tree *t)
{
    t->part++;
}
