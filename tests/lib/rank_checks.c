/* rank_checks.c - what every body of the collectives has to do, to the bit; run on each rank. */
#include "lib/rank_checks.h"

#include <math.h>

/* Floats whose sum depends on the order of adding. */
static float awkward(int rank, int64_t i)
{
    static const float x[] = {1e8f, 1.25f, -1e8f, 3.0f,  7e7f, -0.3f,
                              5.5f, -7e7f, 0.1f,  2e-3f, 11.f};

    return x[((int64_t)rank * 3 + i) % 11] * (float)(1 + i % 5);
}

/* As rank.h says it: the largest power of two below n on the left. */
static float tree(int64_t i, int first, int n)
{
    int left = 1;

    if (n == 1) return awkward(first, i);
    while (2 * left < n) left *= 2;
    return tree(i, first, left) + tree(i, first + left, n - left);
}

static bool same_bits(float a, float b)
{
    uint32_t x, y;

    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    return x == y;
}

enum { LONG = 1000 };

static void fill(rank_buffer *b, int rank)
{
    for (int64_t i = 0; i < LONG; i++) rank_buffer_data(b)[i] = awkward(rank, i);
}

mill_err check_all_reduce(void *ctx, rank_group *g)
{
    const int me = rank_of(g), world = rank_world(g);
    rank_buffer *b;

    (void)ctx;
    TRY(rank_buffer_new(&b, g, LONG, RANK_EACH));
    for (int64_t i = 0; i < LONG; i++) WANT(rank_buffer_data(b)[i] == 0);
    for (int64_t n = 0; n < 200; n += 19) {
        fill(b, me);
        TRY(rank_all_reduce(b, 7, 7 + n));
        for (int64_t i = 0; i < LONG; i++) {
            const bool inside = i >= 7 && i < 7 + n;
            const float want = inside ? tree(i, 0, world) : awkward(me, i);
            WANT(same_bits(rank_buffer_data(b)[i], want));
        }
        TRY(rank_barrier(g)); /* nobody fills while others compare what all see */
    }
    rank_buffer_free(b);
    return MILL_OK;
}

static const int64_t span_at[] = {0, 5, 600, LONG};
typedef struct {
    rank_buffer *grad, *param, *own;
} buffers;

/* Every rank adds the sum of its slices to the parameters, and copies what it has to its own. */
static mill_err update(rank_group *g, const buffers *b)
{
    const int me = rank_of(g), world = rank_world(g);

    for (int s = 0; s < 3; s++) {
        const rank_span mine = rank_slice(span_at[s], span_at[s + 1], me, world);
        for (int64_t i = mine.begin; i < mine.end; i++) {
            const float want = tree(i, 0, world);
            WANT(same_bits(rank_buffer_data(b->grad)[i], want));
            rank_buffer_data(b->param)[i] += want;
            rank_buffer_data(b->own)[i] = rank_buffer_data(b->param)[i];
        }
        TRY(rank_start(b->param, RANK_ALL_GATHER, span_at[s], span_at[s + 1]));
        TRY(rank_start(b->own, RANK_ALL_GATHER, span_at[s], span_at[s + 1]));
    }
    return rank_wait(g);
}

mill_err check_scatter_gather(void *ctx, rank_group *g)
{
    buffers b;

    (void)ctx;
    TRY(rank_buffer_new(&b.grad, g, LONG, RANK_EACH));
    TRY(rank_buffer_new(&b.param, g, LONG, RANK_ONE));
    TRY(rank_buffer_new(&b.own, g, LONG, RANK_EACH));
    for (int step = 0; step < 30; step++) {
        fill(b.grad, rank_of(g));
        /* Spans that become complete one after the other, all under way at once. */
        for (int s = 2; s >= 0; s--)
            TRY(rank_start(b.grad, RANK_REDUCE_SCATTER, span_at[s], span_at[s + 1]));
        TRY(rank_wait(g));
        TRY(update(g, &b));
        for (int64_t i = 0; i < LONG; i++) {
            const float x = rank_buffer_data(b.own)[i];
            WANT(x == rank_buffer_data(b.param)[i] && (step || x == tree(i, 0, rank_world(g))));
        }
    }
    /* The same in two calls that wait. */
    fill(b.grad, rank_of(g));
    TRY(rank_reduce_scatter(b.grad, 0, LONG));
    TRY(rank_all_gather(b.grad, 0, LONG));
    for (int64_t i = 0; i < LONG; i++)
        WANT(same_bits(rank_buffer_data(b.grad)[i], tree(i, 0, rank_world(g))));
    rank_buffer_free(b.own);
    rank_buffer_free(b.grad);
    rank_buffer_free(b.param);
    return MILL_OK;
}

mill_err check_pool(void *ctx, rank_group *g)
{
    const int64_t n = 100000;
    rank_buffer *b;
    mill_pool *pool;

    (void)ctx;
    TRY(mill_pool_new(&pool, 3));
    rank_set_pool(g, pool);
    TRY(rank_buffer_new(&b, g, n, RANK_EACH));
    for (int64_t i = 0; i < n; i++) rank_buffer_data(b)[i] = awkward(rank_of(g), i);
    TRY(rank_all_reduce(b, 0, n));
    for (int64_t i = 0; i < n; i++) WANT(rank_buffer_data(b)[i] == tree(i, 0, rank_world(g)));
    rank_buffer_free(b);
    mill_pool_free(pool);
    return MILL_OK;
}

mill_err check_combine(void *ctx, rank_group *g)
{
    const int me = rank_of(g), world = rank_world(g);
    int64_t sum = 0, whole[3] = {me, -me, INT64_C(1) << 60};
    double x[4] = {me, -me, me == 1 ? NAN : 1, 0.1 * me};

    (void)ctx;
    for (int r = 0; r < world; r++) sum += r;
    TRY(rank_combine(g, whole, 3, RANK_I64, RANK_SUM));
    WANT(whole[0] == sum && whole[1] == -sum && whole[2] == world * (INT64_C(1) << 60));
    TRY(rank_combine(g, x, 4, RANK_F64, RANK_MAX));
    WANT(x[0] == world - 1 && x[1] == 0 && isnan(x[2]) == (world > 1) && x[3] == 0.1 * (world - 1));
    x[0] = me;
    TRY(rank_combine(g, x, 1, RANK_F64, RANK_MIN));
    WANT(x[0] == 0);
    float f[5000]; /* more than one exchange */
    for (int i = 0; i < 5000; i++) f[i] = awkward(me, i);
    TRY(rank_combine(g, f, 5000, RANK_F32, RANK_SUM));
    for (int i = 0; i < 5000; i++) WANT(f[i] == tree(i, 0, world));
    return MILL_OK;
}

mill_err check_broadcast(void *ctx, rank_group *g)
{
    const int me = rank_of(g), world = rank_world(g);
    unsigned char p[40000], all[5 * 100];

    (void)ctx;
    for (int root = 0; root < world; root++) {
        for (size_t i = 0; i < sizeof p; i++)
            p[i] = (unsigned char)(me == root ? i * 7 + i / 300 : 0);
        TRY(rank_broadcast(g, p, sizeof p, root));
        for (size_t i = 0; i < sizeof p; i++) WANT(p[i] == (unsigned char)(i * 7 + i / 300));
    }
    memset(p, 'a' + me, 100);
    TRY(rank_gather(g, all, p, 100));
    for (int i = 0; i < world * 100; i++) WANT(all[i] == 'a' + i / 100);
    return MILL_OK;
}

mill_err check_agree(void *ctx, rank_group *g)
{
    (void)ctx;
    TRY(rank_agree(g, MILL_OK));
    const mill_err mine = rank_of(g) >= 1 ? mill_fail(MILL_EIO, "disk %d", rank_of(g)) : MILL_OK;
    const mill_err err = rank_agree(g, mine);
    if (rank_world(g) == 1) return err;
    WANT(err == MILL_EIO && !strcmp(mill_error(), "rank 1: disk 1"));
    return rank_barrier(g); /* the group stays good */
}

/* Many spans without a wait: a slow rank holds the others at RANK_MAX_OPEN. */
mill_err check_many_open(void *ctx, rank_group *g)
{
    rank_buffer *b;

    (void)ctx;
    TRY(rank_buffer_new(&b, g, RANK_MAX_OPEN * 16, RANK_EACH));
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < RANK_MAX_OPEN; i++) {
            rank_buffer_data(b)[16 * i] = 1;
            TRY(rank_start(b, RANK_ALL_REDUCE, 16 * i, 16 * i + 16));
            if (rank_of(g) == 1 && i % 16 == 0) usleep(1000);
        }
        TRY(rank_wait(g));
        for (int i = 0; i < RANK_MAX_OPEN; i++)
            WANT(rank_buffer_data(b)[16 * i] == (float)rank_world(g));
    }
    rank_buffer_free(b);
    return MILL_OK;
}
