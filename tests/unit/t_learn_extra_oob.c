/* LEVELS QEMU
 * t_learn_extra_oob.c - votes of bagged trees against a plain loop with the same random numbers. */
#include "lib/near.h"

#include "base/cpu.h"
#include "base/philox.h"
#include "learn/extra_oob.h"

enum { ROWS = 203, MOST_COLS = 83, MOST_CLASSES = 20 };

typedef struct {
    extra_oob_job j;
    extra_oob_votes v;
    float x[ROWS * 96], cols[MOST_COLS * ROWS], y[ROWS];
    uint16_t label[ROWS];
    void *memory;
} world;

/* Columns of numbers, of few levels, constant to 1e-8; y and labels that follow two of them. */
static world *world_new(int cols, int classes, uint64_t seed)
{
    world *w = calloc(1, sizeof *w);
    mill_rng r = mill_rng_init(seed, 1, 0);

    assert_ok(mill_cpu_init());
    for (int c = 0; c < cols; c++)
        for (int i = 0; i < ROWS; i++)
            w->cols[c * ROWS + i] = c % 5 == 3   ? (float)mill_rng_below(&r, 3)
                                    : c % 5 == 4 ? 1.0f + 1e-8f * mill_rng_f32(&r)
                                                 : mill_rng_f32(&r);
    for (int i = 0; i < ROWS; i++) {
        /* sums are exact, so that cuts with the same rows on each side, or the other, are equal */
        w->y[i] = rintf(64.0f * (w->cols[i] + 0.3f * mill_rng_f32(&r))) / 64.0f;
        w->label[i] = (uint16_t)((float)classes * 0.999f * w->cols[i]);
    }
    w->j = (extra_oob_job){.x = w->x,
                           .n = ROWS,
                           .ld = (cols + 15) / 16 * 16,
                           .c = cols,
                           .classes = classes,
                           .max_depth = 6,
                           .seed = seed,
                           .stream = 100};
    if (classes > 1) {
        w->j.label = w->label;
    } else {
        w->j.y = w->y;
    }
    extra_oob_rows(w->x, w->cols, ROWS, cols, ROWS);
    w->memory = aligned_alloc(64, (extra_oob_bytes(&w->j) + 63) / 64 * 64);
    extra_oob_init(&w->v, &w->j, w->memory);
    return w;
}

static void world_free(world *w)
{
    free(w->memory);
    free(w);
}

/* ---- the oracle: doubles, one row at a time, no order ---------------------------------------- */

typedef struct {
    const extra_oob_job *j;
    uint32_t tree;
    int times[ROWS];
    double sum[ROWS * MOST_CLASSES];
    int seen[ROWS];
} plain;

static double target(const extra_oob_job *j, int row, int k)
{
    return j->y ? (double)j->y[row] : j->label[row] == k;
}

/* Sum of squared sums over weight of the marked rows with x[feature] on this side of the cut. */
static double side(const plain *p, const bool *here, int feature, float cut, bool left)
{
    double weight = 0, gain = 0;

    for (int i = 0; i < ROWS; i++)
        if (here[i] && (p->j->x[i * p->j->ld + feature] <= cut) == left) weight += p->times[i];
    for (int k = 0; k < p->j->classes; k++) {
        double sum = 0;
        for (int i = 0; i < ROWS; i++)
            if (here[i] && (p->j->x[i * p->j->ld + feature] <= cut) == left)
                sum += p->times[i] * target(p->j, i, k);
        gain += sum * sum / weight;
    }
    return gain;
}

static void leaf(plain *p, const bool *here)
{
    double weight = 0;

    for (int i = 0; i < ROWS; i++) weight += here[i] * p->times[i];
    for (int i = 0; i < ROWS; i++) {
        if (!here[i] || p->times[i]) continue;
        p->seen[i]++;
        for (int k = 0; k < p->j->classes; k++) {
            double sum = 0;
            for (int r = 0; r < ROWS; r++) sum += here[r] * p->times[r] * target(p->j, r, k);
            p->sum[i * MOST_CLASSES + k] += sum / weight;
        }
    }
}

static void grow(plain *p, const bool *here, uint32_t id, int depth)
{
    const extra_oob_job *j = p->j;
    double best = -1;
    float best_cut = 0;
    int feature = -1;

    for (int f = 0; f < j->c && depth < j->max_depth; f++) {
        float least = INFINITY, most = -INFINITY;
        for (int i = 0; i < ROWS; i++) {
            if (!here[i] || !p->times[i]) continue;
            least = fminf(least, j->x[i * j->ld + f]);
            most = fmaxf(most, j->x[i * j->ld + f]);
        }
        if (!(least + 1e-7f < most)) continue;
        float cut =
            fmaf(mill_rand_u01(j->seed, id, j->stream + p->tree, (uint64_t)f), most - least, least);
        if (!(cut < most)) cut = least;
        const double gain = side(p, here, f, cut, true) + side(p, here, f, cut, false);
        if (gain > best * (1 + 1e-6)) { /* equal but for rounding: the first */
            best = gain;
            best_cut = cut;
            feature = f;
        }
    }
    bool pure = true;
    int first = -1;
    for (int i = 0; i < ROWS; i++) {
        if (!here[i] || !p->times[i]) continue;
        first = first < 0 ? i : first;
        for (int k = 0; k < j->classes; k++) pure = pure && target(j, i, k) == target(j, first, k);
    }
    if (pure || feature < 0) {
        leaf(p, here);
        return;
    }
    for (int s = 0; s < 2; s++) {
        bool child[ROWS];
        for (int i = 0; i < ROWS; i++)
            child[i] = here[i] && (j->x[i * j->ld + feature] <= best_cut) == (s == 0);
        grow(p, child, 2 * id + (uint32_t)s, depth + 1);
    }
}

static void plain_tree(plain *p, uint32_t tree)
{
    bool all[ROWS];

    p->tree = tree;
    memset(p->times, 0, sizeof p->times);
    for (int i = 0; i < ROWS; i++) {
        const uint64_t bits = mill_rand_bits(p->j->seed, 0, p->j->stream + tree, (uint64_t)i);
        p->times[bits * ROWS >> 32]++;
        all[i] = true;
    }
    grow(p, all, 1, 0);
}

static void check_against_plain(int cols, int classes)
{
    world *w = world_new(cols, classes, (uint64_t)cols * 100 + (uint64_t)classes);
    plain *p = calloc(1, sizeof *p);

    p->j = &w->j;
    extra_oob_grow(&w->v, &w->j, 0, 3);
    for (uint32_t t = 0; t < 3; t++) plain_tree(p, t);
    for (int i = 0; i < ROWS; i++) {
        assert_int_equal(w->v.seen[i], p->seen[i]);
        for (int k = 0; k < classes; k++) /* floats, three leaves */
            assert_near((double)w->v.sum[i * w->v.width + k], p->sum[i * MOST_CLASSES + k], 2e-6);
    }
    free(p);
    world_free(w);
}

void test_extra_oob__votes_as_plain_trees_do(void **state)
{
    (void)state;
    check_against_plain(1, 1);
    check_against_plain(7, 2);
    check_against_plain(16, 3);
    check_against_plain(40, 1);
    check_against_plain(61, 10);
    check_against_plain(MOST_COLS, MOST_CLASSES);
}

/* Trees are added up: ten are ten, in any portions. */
void test_extra_oob__grows_in_portions(void **state)
{
    world *a = world_new(20, 4, 3), *b = world_new(20, 4, 3);

    (void)state;
    extra_oob_grow(&a->v, &a->j, 0, 10);
    extra_oob_grow(&b->v, &b->j, 0, 4);
    extra_oob_grow(&b->v, &b->j, 4, 10);
    assert_memory_equal(a->v.sum, b->v.sum, ROWS * 16 * sizeof(float));
    assert_memory_equal(a->v.seen, b->v.seen, ROWS * sizeof(int32_t));
    world_free(a);
    world_free(b);
}

/* A row is left out by (1 - 1/n)^n = .367 of the trees. */
void test_extra_oob__leaves_out_a_third(void **state)
{
    world *w = world_new(5, 2, 4);
    int seen = 0;

    (void)state;
    extra_oob_grow(&w->v, &w->j, 0, 100);
    for (int i = 0; i < ROWS; i++) seen += w->v.seen[i];
    assert_near(seen / 100.0 / ROWS, 0.367, 0.01); /* 20,300 bits: sd .0034, less by the draw */
    world_free(w);
}

void test_extra_oob__has_the_same_bytes_everywhere(void **state)
{
    static const uint64_t golden[] = {0x588076723528ad83u, 0xfc6455ab98019332u,
                                      0x371e6d2dc5136fb6u};
    static const int cols[] = {3, 50, 83}, classes[] = {1, 7, 2};

    (void)state;
    for (int k = 0; k < 3; k++) {
        world *w = world_new(cols[k], classes[k], 77);
        uint64_t h = 0xcbf29ce484222325u;
        extra_oob_grow(&w->v, &w->j, 0, 25);
        for (int64_t i = 0; i < ROWS * w->v.width; i++)
            h = (h ^ mill_bits_of(w->v.sum[i])) * 0x100000001b3u;
        if (h != golden[k]) fail_msg("%d columns, %d classes: 0x%lx", cols[k], classes[k], h);
        world_free(w);
    }
}
