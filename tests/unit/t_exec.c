/* t_exec.c - however a graph is planned and dealt, the bits are the same; nothing is allocated
 * between steps. */
#include "lib/test.h"

#include "base/cpu.h"
#include "base/mem.h"
#include "exec/exec.h"
#include "lib/random_graph.h"

#include <math.h>

enum { N_SEEDS = 300, N_STEPS = 3 };

static void fill_inputs(mill_exec *e, uint64_t seed)
{
    for (int i = 0; i < 3; i++) {
        char name[8];
        exec_tensor t;
        mill_rng rng = mill_rng_init(seed, 77, (uint32_t)i);
        snprintf(name, sizeof name, "in%d", i);
        assert_ok(mill_exec_input(&t, e, name));
        for (size_t k = 0; k < t.bytes / sizeof(real); k++)
            ((real *)t.data)[k] = (real)mill_rng_f32(&rng);
    }
}

static void assert_same_tensor(const exec_tensor *a, const exec_tensor *b, uint64_t seed,
                               int config)
{
    if (a->bytes != b->bytes || memcmp(a->data, b->data, a->bytes))
        fail_msg("seed %d, configuration %d: %s differs", (int)seed, config, a->name);
}

/* Run both for the same steps and compare all that can be seen from outside. */
static void assert_same_runs(mill_exec *want, mill_exec *have, int n_outputs, uint64_t seed,
                             int config)
{
    assert_int_equal(mill_exec_n_states(want), mill_exec_n_states(have));
    for (int i = 0; i < n_outputs; i++) {
        char name[16];
        exec_tensor a, b;
        snprintf(name, sizeof name, "out%d", i);
        assert_ok(mill_exec_output(&a, want, name));
        assert_ok(mill_exec_output(&b, have, name));
        assert_same_tensor(&a, &b, seed, config);
    }
    for (int i = 0; i < mill_exec_n_states(want); i++) {
        const exec_tensor a = mill_exec_state_at(want, i), b = mill_exec_state_at(have, i);
        assert_same_tensor(&a, &b, seed, config);
    }
}

static mill_exec *run_graph(mill_graph *g, mill_pool *pool, unsigned flags, uint64_t seed)
{
    const exec_options o = {.pool = pool, .seed = seed, .flags = flags};
    mill_exec *e = NULL;
    assert_ok(mill_exec_new(&e, g, &o));
    fill_inputs(e, seed);
    for (uint32_t step = 0; step < N_STEPS; step++) assert_ok(mill_exec_run(e, step));
    return e;
}

void test_exec__all_plans_and_thread_counts_give_the_same_bits(void **state)
{
    static const unsigned flags[] = {
        0, EXEC_NO_FUSE, EXEC_NO_REUSE, EXEC_NAN, EXEC_NAN | EXEC_NO_FUSE, EXEC_PROFILE};
    mill_pool *pool[3];
    static const int threads[3] = {1, 2, 7};
    int64_t planned = 0, unplanned = 0;

    (void)state;
    for (int t = 0; t < 3; t++) assert_ok(mill_pool_new(&pool[t], threads[t]));
    for (uint64_t seed = 0; seed < N_SEEDS; seed++) {
        random_graph d;
        random_graph_new(&d, seed, 10 + (int)(seed % 120));
        mill_exec *oracle = run_graph(d.g, NULL, EXEC_NO_FUSE | EXEC_NO_REUSE, seed);
        unplanned += (int64_t)mill_exec_bytes(oracle);
        for (int f = 0; f < 6; f++) {
            mill_exec *e = run_graph(d.g, pool[(f + (int)seed) % 3], flags[f], seed);
            assert_same_runs(oracle, e, d.n_outputs, seed, f);
            if (f == 0) planned += (int64_t)mill_exec_bytes(e);
            mill_exec_free(e);
        }
        mill_exec_free(oracle);
        mill_graph_free(d.g);
    }
    assert_true(planned < unplanned);
    for (int t = 0; t < 3; t++) mill_pool_free(pool[t]);
}
