/*
 * combine.c - the small collectives, all from one: exchange, after which everybody can read a block
 * of everybody.
 *
 * Every rank computes the result itself, from the same blocks in the same order, so all have the
 * same bits.
 */
#include "rank/inner.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Where the tree over n > 1 leaves splits: the largest power of two below n. */
static int split(int n)
{
    int left = 1;

    while (2 * left < n) left *= 2;
    return left;
}

#define TREE(type, name)                                             \
    static type name(const type *x, int n)                           \
    {                                                                \
        if (n == 1) return x[0];                                     \
        return name(x, split(n)) + name(x + split(n), n - split(n)); \
    }
TREE(float, tree_f32)
TREE(double, tree_f64)
TREE(uint64_t, tree_u64) /* wraps */

static int64_t tree_i64(const int64_t *x, int n)
{
    return (int64_t)tree_u64((const uint64_t *)x, n);
}

/* x[i] from the i-th value of each rank's block.  NOLINT: a type takes no parentheses. */
#define REDUCE(type, name, tree)                                                         \
    static void name(const rank_group *g, type *x, int64_t n, rank_op op) /* NOLINT */   \
    {                                                                                    \
        const int world = g->who.world;                                                  \
        type v[RANK_MAX_WORLD] = {0};                                                    \
                                                                                         \
        for (int64_t i = 0; i < n; i++) {                                                \
            for (int r = 0; r < world; r++) {                                            \
                const type *of = g->methods->block(g, r); /* NOLINT */                   \
                v[r] = of[i];                                                            \
            }                                                                            \
            x[i] = op == RANK_SUM ? tree(v, world) : v[0];                               \
            for (int r = 1; r < world && op != RANK_SUM; r++)                            \
                if (isnan((double)v[r]) || (op == RANK_MAX ? v[r] > x[i] : v[r] < x[i])) \
                    x[i] = v[r];                                                         \
        }                                                                                \
    }
REDUCE(float, reduce_f32, tree_f32)
REDUCE(double, reduce_f64, tree_f64)
REDUCE(int64_t, reduce_i64, tree_i64)

mill_err rank_combine(rank_group *g, void *x, int64_t n, rank_type type, rank_op op)
{
    const int64_t size = type == RANK_F32 ? 4 : 8, most = RANK_SMALL / size;

    TRY(rank_wait(g));
    for (int64_t at = 0; at < n; at += most) {
        const int64_t part = n - at < most ? n - at : most;
        void *p = (char *)x + at * size;

        TRY(g->methods->exchange(g, p, (size_t)(part * size)));
        if (type == RANK_F32)
            reduce_f32(g, p, part, op);
        else if (type == RANK_F64)
            reduce_f64(g, p, part, op);
        else
            reduce_i64(g, p, part, op);
    }
    return MILL_OK;
}

mill_err rank_broadcast(rank_group *g, void *p, size_t n, int root)
{
    if (root < 0 || root >= g->who.world)
        return mill_fail(MILL_EINPUT, "a broadcast from rank %d of %d", root, g->who.world);
    TRY(rank_wait(g));
    for (size_t at = 0; at < n; at += RANK_SMALL) {
        const size_t part = n - at < RANK_SMALL ? n - at : RANK_SMALL;
        char *here = (char *)p + at;

        TRY(g->methods->exchange(g, here, part));
        if (root != g->who.rank) memcpy(here, g->methods->block(g, root), part);
    }
    return MILL_OK;
}

mill_err rank_gather(rank_group *g, void *all, const void *mine, size_t n)
{
    TRY(rank_wait(g));
    for (size_t at = 0; at < n; at += RANK_SMALL) {
        const size_t part = n - at < RANK_SMALL ? n - at : RANK_SMALL;

        TRY(g->methods->exchange(g, (const char *)mine + at, part));
        for (int r = 0; r < g->who.world; r++)
            memcpy((char *)all + (size_t)r * n + at, g->methods->block(g, r), part);
    }
    return MILL_OK;
}

mill_err rank_barrier(rank_group *g)
{
    TRY(rank_wait(g));
    return g->methods->exchange(g, "", 0);
}

typedef struct {
    int64_t err;
    char words[RANK_WORDS];
} verdict;

mill_err rank_agree(rank_group *g, mill_err mine)
{
    verdict v = {.err = mine};

    if (mine) snprintf(v.words, sizeof v.words, "%s", mill_error());
    if (g->who.world == 1) return mine;
    TRY(rank_wait(g));
    TRY(g->methods->exchange(g, &v, sizeof v));
    for (int r = 0; r < g->who.world; r++) {
        const verdict *of = g->methods->block(g, r);
        if (!of->err) continue;
        g->blamed = r + 1;
        return mill_fail((mill_err)of->err, "rank %d: %s", r, of->words);
    }
    return MILL_OK;
}

int rank_to_blame(const rank_group *g, const char **words)
{
    char prefix[24];
    const int n = snprintf(prefix, sizeof prefix, "rank %d: ", g->blamed - 1);

    *words = mill_error();
    if (!g->blamed || strncmp(*words, prefix, (size_t)n) != 0) return g->who.rank;
    *words += n;
    return g->blamed - 1;
}
