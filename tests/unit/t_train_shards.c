/* LEVELS
 * t_train_shards.c - parts of a pass, dealt to ranks: sums, updates and telling, against plain
 * loops.
 */
#include "lib/test.h"

#include "base/cpu.h"
#include "train/shards.h"

#include <math.h>
#include <pthread.h>

/*
 * Two parameters a (3 lines and a bit) and b, of groups of their own, and a statistic.  Part p of
 * step s has the scalar x = 1 + p + s / 8, an input, and
 *     loss = sum(a x) + sum(b b) x / 2      da = x     db = b x      statistic: x
 */
enum { A = 3 * SHARDS_LINE + 37, B = 5, PARTS = 4, STEPS = 6 };

static nn_flat layout(int64_t multiple)
{
    nn_flat f = {0};

    flat_add(&f, "p.a", &SHAPE(A));
    assert_ok(flat_end_group(&f, multiple));
    flat_add(&f, "mean", &SHAPE(1))->rate = 0.25;
    assert_ok(flat_end_group(&f, multiple));
    flat_add(&f, "p.b", &SHAPE(B));
    assert_ok(flat_end_group(&f, multiple));
    return f;
}

typedef struct {
    train_shards s;
    mill_exec *e;
    int64_t step;
    int told[8], n_told;
} toy;

static void build(mill_graph *g, const nn_flat *f, const flat_hook *hook)
{
    nn_params p = {.g = g, .prefix = "p"};
    flat_left left = {{0}};
    const int a = nn_param(&p, SHAPE(A), 0, 0.5, "a"), b = nn_param(&p, SHAPE(B), 0, 2, "b");
    const mill_ref x = mill_input(g, "x", MILL_T_REAL, SHAPE(1));
    const mill_ref mean = mill_state(g, "mean", MILL_T_REAL, SHAPE(1), (mill_init){INIT_ZERO, 0});
    const mill_ref square = mill_scale(g, mill_mul(g, mill_square(g, p.ref[b]), x), 0.5, 0);
    const mill_ref loss =
        mill_add(g, mill_sum_all(g, mill_mul(g, p.ref[a], x)), mill_sum_all(g, square));

    flat_state(&left, f, "mean", mill_lerp_state(g, mean, x, 1));
    assert_ok(flat_gradients(&left, f, &p, loss));
    flat_tell(g, f, 0, f->n_groups, &left, hook);
    assert_ok(mill_graph_error(g));
}

static mill_err run_part(void *ctx, int64_t part)
{
    toy *t = ctx;
    exec_tensor x;

    if (part == 2 && t->step == 3) { /* nothing to do */
        shards_skip(&t->s);
        return MILL_OK;
    }
    TRY(mill_exec_input(&x, t->e, "x"));
    *(real *)x.data = (real)(1 + (double)part + (double)t->step / 8);
    return mill_exec_run(t->e, 0);
}

typedef struct {
    float a[A], b[B], mean;
} result;

static const shards_rule rules[] = {
    {.adam = {.beta1 = 0.5, .beta2 = 0.9, .eps = 1e-8, .weight_decay = 0.125}},
    {.adam = {0}},
    {.adam = {.beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8}, .least = 1.75, .most = 3},
};
static const double RATE = 0.125, FACTOR = 0.25;

static mill_err run_rank(void *ctx, rank_group *g)
{
    result *r = ctx;
    const nn_flat f = layout(shards_multiple(g));
    exec_place place[2 * FLAT_MAX_ENTRIES];
    mill_graph *graph;
    toy t = {.step = 0};

    TRY(shards_open(&t.s, &f, rules, PARTS, g, NULL));
    assert_ok(mill_graph_new(&graph));
    build(graph, &f, t.s.hook);
    const exec_options o = {.place = place, .n_place = shards_places(place, &t.s, true)};
    assert_ok(mill_exec_new(&t.e, graph, &o));
    TRY(rank_barrier(g)); /* rank 0 has written the first values */
    for (; t.step < STEPS; t.step++) {
        TRY(shards_pass(&t.s, 0, 3, run_part, &t));
        TRY(shards_update(&t.s, t.step, RATE, FACTOR));
    }
    if (!rank_of(g)) {
        const float *x = rank_buffer_data(t.s.params);
        memcpy(r->a, x + f.entry[0].at, sizeof r->a);
        memcpy(r->b, x + f.entry[2].at, sizeof r->b);
        r->mean = (float)shards_value(&t.s, "mean");
    }
    TRY(rank_barrier(g));
    mill_exec_free(t.e);
    mill_graph_free(graph);
    shards_close(&t.s);
    return MILL_OK;
}

static void run_on(result *r, int ranks)
{
    assert_ok(mill_cpu_init());
    memset(r, 0, sizeof *r);
    assert_ok(rank_threads(ranks, run_rank, r, &(rank_options){.timeout_seconds = 60}));
}

/* One value in double; returns the new one. */
static double adam(double p, double *m, double *v, double grad, const mill_adam_opts *o, int t)
{
    const double d = grad + o->weight_decay * p;
    *m += (1 - o->beta1) * (d - *m);
    *v = o->beta2 * *v + (1 - o->beta2) * d * d;
    return p -
           RATE / (1 - pow(o->beta1, t)) * *m / (sqrt(*v) / sqrt(1 - pow(o->beta2, t)) + o->eps);
}

void test_shards__follow_the_formulas(void **state)
{
    double a = 0.5, b = 2, mean = 0, m[2] = {0}, v[2] = {0};
    static result r;

    (void)state;
    for (int s = 0; s < STEPS; s++) {
        double sum = 0;
        for (int p = 0; p < PARTS; p++)
            if (!(s == 3 && p == 2)) sum += 1 + p + s / 8.0;
        sum *= FACTOR;
        mean += 0.25 * (sum - mean);
        a = adam(a, &m[0], &v[0], sum, &rules[0].adam, s + 1);
        b = adam(b, &m[1], &v[1], b * sum, &rules[2].adam, s + 1);
        b = b < 1.75 ? 1.75 : b;
    }
    run_on(&r, 1);
    for (int i = 0; i < A; i++) assert_true(fabs((double)r.a[i] - a) < 1e-5);
    for (int i = 0; i < B; i++) assert_true(fabs((double)r.b[i] - b) < 1e-5);
    assert_true(fabs((double)r.mean - mean) < 1e-5);
}

void test_shards__are_the_same_bits_for_1_2_and_4_ranks(void **state)
{
    static result one, more;

    (void)state;
    run_on(&one, 1);
    for (int ranks = 2; ranks <= 4; ranks *= 2) {
        run_on(&more, ranks);
        assert_memory_equal(&one, &more, sizeof one);
    }
}

static void note(void *ctx, int bucket)
{
    toy *t = ctx;
    t->told[t->n_told++] = bucket;
}

static void *tell_first(void *ctx)
{
    train_shards *s = ctx;

    s->hook[0].ready(s->hook[0].ctx, 0);
    return NULL;
}

static mill_err tell_on_a_thread(void *ctx, int64_t part)
{
    pthread_t thread;

    (void)part;
    assert_int_equal(pthread_create(&thread, NULL, tell_first, ctx), 0);
    pthread_join(thread, NULL);
    return MILL_OK;
}

/* A bucket that ends beyond the buffer: refused where it is told, which may be any thread. */
static mill_err tell_too_much(void *ctx, rank_group *g)
{
    nn_flat f = layout(shards_multiple(g));
    train_shards s;

    (void)ctx;
    TRY(shards_open(&s, &f, rules, 1, g, NULL));
    f.bucket[1] = (int64_t)1 << 40;
    (void)mill_fail(MILL_EIO, "something older");
    const mill_err err = shards_pass(&s, 0, 1, tell_on_a_thread, &s);
    shards_close(&s);
    return err;
}

void test_shards__have_the_words_of_the_thread_that_failed(void **state)
{
    (void)state;
    assert_ok(mill_cpu_init());
    assert_fails(MILL_EINPUT, "floats 0 to 1099511627776 of a buffer",
                 rank_threads(1, tell_too_much, NULL, &(rank_options){.timeout_seconds = 60}));
}

void test_flat__buckets_are_told_from_the_last_to_the_first(void **state)
{
    flat_hook hook[FLAT_ALL_BUCKETS];
    static nn_flat f;
    mill_graph *g;
    toy t = {.n_told = 0};

    (void)state;
    assert_ok(mill_cpu_init());
    f = layout(64);
    for (int i = 0; i < FLAT_ALL_BUCKETS; i++) hook[i] = (flat_hook){note, &t, i};
    assert_ok(mill_graph_new(&g));
    build(g, &f, hook);
    assert_ok(mill_exec_new(&t.e, g, &(exec_options){.seed = 1}));
    assert_ok(mill_exec_run(t.e, 0));
    assert_int_equal(t.n_told, 3);
    for (int i = 0; i < 3; i++) assert_int_equal(t.told[i], 2 - i);
    mill_exec_free(t.e);
    mill_graph_free(g);
}

static bool depends(const mill_graph *g, mill_ref r, mill_ref on)
{
    bool found = r == on;

    for (int i = 0; i < mill_get(g, r)->n_src && !found; i++)
        found = depends(g, mill_get(g, r)->src[i], on);
    return found;
}

/* Whatever order a plan takes: the graph itself says so.  Nothing is run. */
void test_flat__a_bucket_waits_for_every_tensor_in_it(void **state)
{
    static const int64_t size[] = {FLAT_BUCKET / 2, 2 * FLAT_BUCKET + 5, FLAT_BUCKET, 7};
    static nn_flat f;
    flat_hook hook[FLAT_ALL_BUCKETS] = {{0}};
    flat_left left = {{0}};
    mill_graph *g;
    mill_ref loss = 0;
    int in_two = 0;

    (void)state;
    f = (nn_flat){0};
    assert_ok(mill_graph_new(&g));
    nn_params p = {.g = g, .prefix = "p"};
    for (int i = 0; i < 4; i++) {
        const int k = nn_param(&p, SHAPE(size[i]), 0, 1, "%c", 'a' + i);
        const mill_ref square = mill_sum_all(g, mill_square(g, p.ref[k]));
        flat_add(&f, p.name[k], &SHAPE(size[i]));
        loss = i ? mill_add(g, loss, square) : square;
    }
    assert_ok(flat_end_group(&f, 1024));
    assert_ok(flat_gradients(&left, &f, &p, loss));
    flat_tell(g, &f, 0, 1, &left, hook);
    assert_ok(mill_graph_error(g));
    assert_true(f.n_buckets > 2);
    for (int b = 0; b < f.n_buckets; b++) {
        mill_ref told = 1;
        while (mill_get(g, told)->attr.p != &hook[b]) assert_true(++told < mill_graph_n(g));
        for (int i = 0; i < f.n; i++) {
            const int64_t at = f.entry[i].at, end = at + f.entry[i].count;
            if (at >= f.bucket[b + 1] || end <= f.bucket[b]) continue;
            assert_true(depends(g, told, left.ref[i]));
            in_two += at < f.bucket[b];
        }
    }
    assert_true(in_two >= 2); /* tensors that began in an earlier bucket */
    mill_graph_free(g);
}

void test_flat__groups_are_cut_into_whole_multiples(void **state)
{
    static nn_flat f;

    (void)state;
    f = (nn_flat){0};
    for (int i = 0; i < 5; i++) flat_add(&f, "x", &SHAPE(FLAT_BUCKET - 7));
    assert_ok(flat_end_group(&f, 3 * 1024));
    flat_add(&f, "y", &SHAPE(3));
    assert_ok(flat_end_group(&f, 3 * 1024));
    assert_int_equal(f.n_buckets, 6);
    assert_int_equal(f.first_bucket[1], 5);
    for (int b = 0; b < f.n_buckets; b++) {
        assert_true(f.bucket[b + 1] > f.bucket[b]);
        assert_int_equal(f.bucket[b] % (3 * 1024), 0);
    }
    for (int i = 0; i < f.n; i++) assert_int_equal(f.entry[i].at % 16, 0);
    assert_int_equal(f.entry[5].at, f.bucket[5]);
    assert_int_equal(f.all, f.bucket[6]);
    for (int i = f.n; i <= FLAT_MAX_ENTRIES; i++) flat_add(&f, "z", &SHAPE(1));
    assert_fails(MILL_EINPUT, "tensors", flat_end_group(&f, 1024));
}
