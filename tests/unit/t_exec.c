/* t_exec.c - however a graph is planned and dealt, the bits are the same; nothing is allocated
 * between steps. */
/* TSAN */
#include "lib/test.h"

#include "base/cpu.h"
#include "base/mem.h"
#include "exec/exec.h"
#include "lib/random_graph.h"
#include "ops/ops.h"

#include <math.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N_SEEDS = 300, N_STEPS = 3 };

static void fill_inputs(mill_exec *e, uint64_t seed)
{
    for (int i = 0; i < 3; i++) {
        char name[32];
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
    if (a->bytes != b->bytes || memcmp(a->data, b->data, a->bytes) != 0)
        fail_msg("seed %d, configuration %d: %s differs", (int)seed, config, a->name);
}

/* Run both for the same steps and compare all that can be seen from outside. */
static void assert_same_runs(mill_exec *want, mill_exec *have, int n_outputs, uint64_t seed,
                             int config)
{
    assert_int_equal(mill_exec_n_states(want), mill_exec_n_states(have));
    for (int i = 0; i < n_outputs; i++) {
        char name[32];
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

/* A step with noise, a product, a reduction and two updates: inputs a (200, 16), states w (16, 8),
 * m (16, 8). */
static mill_graph *small_step(void)
{
    mill_graph *g = NULL;
    assert_ok(mill_graph_new(&g));
    const mill_ref a = mill_input(g, "in0", MILL_T_REAL, SHAPE(200, 16));
    const mill_ref w =
        mill_state(g, "w", MILL_T_REAL, SHAPE(16, 8), (mill_init){INIT_UNIFORM, 0.5});
    const mill_ref m = mill_state(g, "m", MILL_T_REAL, SHAPE(16, 8), (mill_init){INIT_ZERO, 0});
    const mill_ref x = tiny_2(g, &tiny_plus, a, tiny_make_noise(g, 200, 16));
    const mill_ref y = tiny_2(g, &tiny_mm, tiny_1(g, &tiny_centre, x), w);
    const mill_ref mean = tiny_1(g, &tiny_colmean, y);
    mill_output(g, "y", tiny_2(g, &tiny_bias, y, mean));
    mill_output(g, "mean", mean);
    const mill_ref step = MILL_APPLY(g, &tiny_step, NULL, w, m, tiny_make_view(g, y, 0, 16, 8));
    mill_output(g, "w", step);
    assert_ok(mill_graph_error(g));
    return g;
}

void test_exec__nothing_is_allocated_between_steps(void **state)
{
    mill_pool *pool = NULL;
    mill_exec *e = NULL;
    mill_mem_stats before, after;
    mill_graph *g = small_step();

    (void)state;
    assert_ok(mill_pool_new(&pool, 2));
    const exec_options o = {.pool = pool};
    assert_ok(mill_exec_new(&e, g, &o));
    assert_ok(mill_exec_run(e, 0));
    mill_mem_get_stats(&before);
    for (uint32_t step = 1; step < 50; step++) assert_ok(mill_exec_run(e, step));
    mill_mem_get_stats(&after);
    assert_int_equal(after.calls, before.calls);
    mill_exec_free(e);
    mill_pool_free(pool);
    mill_graph_free(g);
}

void test_exec__plan_bytes_is_what_exec_allocates(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 7; threads += 3) {
        for (uint64_t seed = 0; seed < 20; seed++) {
            random_graph d;
            mill_pool *pool = NULL;
            mill_exec *e = NULL;
            mill_plan *p = NULL;
            mill_mem_stats before, planned, made;
            random_graph_new(&d, seed, 60);
            assert_ok(mill_pool_new(&pool, threads));
            const exec_options o = {.pool = pool};
            mill_mem_get_stats(&before);
            assert_ok(mill_plan_new(&p, d.g, 0));
            mill_mem_get_stats(&planned);
            assert_ok(mill_exec_new(&e, d.g, &o));
            mill_mem_get_stats(&made);
            const int64_t want = (int64_t)mill_plan_bytes(p, threads);
            assert_int_equal(mill_exec_bytes(e), want);
            /* besides, exec holds a plan like ours, a pointer a node, a group a stage and a name a
             * state */
            const int64_t rest = made.live_bytes - planned.live_bytes - want -
                                 (planned.live_bytes - before.live_bytes);
            assert_true(rest >= 0 && rest < 2048 + 64 * p->n_nodes + 128 * mill_exec_n_states(e));
            mill_exec_free(e);
            mill_plan_free(p);
            mill_pool_free(pool);
            mill_graph_free(d.g);
        }
    }
}

/* Whatever allocation fails, the error is MILL_ENOMEM, nothing leaks, and the same call then
 * succeeds on the same graph. */
void test_exec__survives_every_failed_allocation(void **state)
{
    mill_mem_stats before, after;
    int failures = 0;

    (void)state;
    for (int64_t n = 1;; n++) {
        mill_mem_get_stats(&before);
        mill_exec *e = NULL;
        mill_graph *g = NULL;
        const exec_options o = {0};
        mill_mem_fail_at(n);
        mill_err err = mill_graph_new(&g);
        if (!err) {
            random_graph d = {.g = g, .rng = mill_rng_init(4, 9, 9)};
            const mill_ref a = mill_input(g, "in0", MILL_T_REAL, SHAPE(200, 16));
            random_keep(&d, a ? a : 1, a ? a : 1, true);
            for (int i = 0; i < 90 && !mill_graph_error(g); i++) random_step(&d);
            mill_output(g, "y", d.x[d.n - 1].ref);
            err = mill_exec_new(&e, g, &o);
        }
        mill_mem_fail_at(0);
        if (err) {
            assert_int_equal(err, MILL_ENOMEM);
            assert_null(e);
            assert_string_not_equal(mill_error(), "");
            if (g && !mill_graph_error(g)) { /* failed in exec: the graph is as it was */
                assert_ok(mill_exec_new(&e, g, &o));
                assert_ok(mill_exec_run(e, 0));
            }
            failures++;
        }
        mill_exec_free(e);
        mill_graph_free(g);
        mill_mem_get_stats(&after);
        assert_int_equal(after.live, before.live);
        if (!err) break;
    }
    assert_true(failures > 40);
}

void test_exec__guard_names_the_node_that_makes_a_nan(void **state)
{
    mill_graph *g = small_step();
    const exec_options o = {.flags = EXEC_GUARD};
    mill_exec *e = NULL;
    exec_tensor t;

    (void)state;
    assert_ok(mill_exec_new(&e, g, &o));
    assert_ok(mill_exec_run(e, 6));
    assert_ok(mill_exec_input(&t, e, "in0"));
    ((real *)t.data)[16 * 100 + 3] = (real)NAN;
    assert_fails(MILL_EDEVICE, "step 7: node", mill_exec_run(e, 7));
    assert_non_null(strstr(mill_error(), "'plus' (200, 16)"));
    assert_non_null(strstr(mill_error(), "element 1603"));
    mill_exec_free(e);
    mill_graph_free(g);
}

void test_exec__steps_and_seeds_change_the_noise(void **state)
{
    mill_graph *g = small_step();
    double mean[4] = {0};

    (void)state;
    for (int i = 0; i < 4; i++) { /* (seed, step): (0, 0) (0, 1) (1, 0) (0, 0) */
        const exec_options o = {.seed = i == 2};
        mill_exec *e = NULL;
        assert_ok(mill_exec_new(&e, g, &o));
        assert_ok(mill_exec_run(e, i == 1));
        mean[i] = mill_exec_output_scalar(e, "mean");
        mill_exec_free(e);
    }
    assert_true(mean[0] != mean[1] && mean[0] != mean[2] && mean[1] != mean[2]);
    assert_true(mean[0] == mean[3]);
    mill_graph_free(g);
}

void test_exec__shared_states_are_one_memory(void **state)
{
    mill_graph *g = small_step(), *other = NULL;
    exec_options o = {.seed = 3};
    mill_exec *a = NULL, *b = NULL;
    exec_tensor wa, wb, own;

    (void)state;
    assert_ok(mill_graph_new(&other));
    const mill_ref w = mill_state(other, "w", MILL_T_REAL, SHAPE(16, 8), (mill_init){INIT_ZERO, 0});
    mill_state(other, "m", MILL_T_REAL, SHAPE(8, 16),
               (mill_init){INIT_ZERO, 0}); /* another shape */
    mill_output(other, "y", tiny_1(other, &tiny_half, w));
    assert_ok(mill_exec_new(&a, g, &o));
    o.share = a;
    assert_ok(mill_exec_new(&b, other, &o));
    assert_ok(mill_exec_state(&wa, a, "w"));
    assert_ok(mill_exec_state(&wb, b, "w"));
    assert_ok(mill_exec_state(&own, b, "m"));
    assert_ptr_equal(wa.data, wb.data);
    assert_true(((real *)wa.data)[5] != 0); /* not initialised anew */
    assert_ok(mill_exec_run(a, 0));
    assert_ok(mill_exec_run(b, 0));
    assert_true(mill_exec_output_scalar(b, "y") ==
                (double)(((real *)wa.data)[0] * (real)0.5 + (real)0.25));
    assert_ok(mill_exec_state(&wb, a, "m"));
    assert_ptr_not_equal(wb.data, own.data);
    mill_exec_free(b);
    mill_exec_free(a);
    mill_graph_free(other);
    mill_graph_free(g);
}

/* The same name gives the same values wherever it stands; moments are those of the distribution. */
void test_exec__first_values_depend_on_seed_name_and_element(void **state)
{
    enum { N = 100003 };
    static const mill_init inits[] = {
        {INIT_UNIFORM, 3}, {INIT_NORMAL, 2}, {INIT_ONE, 0}, {INIT_VALUE, 0.5}};
    static const double mean[] = {0, 0, 1, 0.5}, variance[] = {3, 4, 0, 0};
    const exec_options o = {.seed = 11};
    mill_exec *first = NULL;
    mill_graph *g[2];

    (void)state;
    for (int order = 0; order < 2; order++) {
        mill_exec *e = NULL;
        assert_ok(mill_graph_new(&g[order]));
        for (int i = 0; i < 4; i++) {
            char name[32];
            snprintf(name, sizeof name, "s%d", order ? 3 - i : i);
            mill_state(g[order], name, MILL_T_REAL, SHAPE(N), inits[order ? 3 - i : i]);
        }
        assert_ok(mill_exec_new(&e, g[order], &o));
        for (int i = 0; i < 4; i++) {
            const exec_tensor t = mill_exec_state_at(e, i); /* sorted by name */
            double m = 0, v = 0;
            for (int k = 0; k < N; k++) m += (double)((real *)t.data)[k] / N;
            for (int k = 0; k < N; k++)
                v += ((double)((real *)t.data)[k] - m) * ((double)((real *)t.data)[k] - m) / N;
            /* five standard errors of a mean, and of a variance of a normal (2 v^2 / N), or the
             * rounding of sums */
            assert_true(fabs(m - mean[i]) <= 5 * sqrt(variance[i] / N) + 1e-9);
            assert_true(fabs(v - variance[i]) <= 5 * variance[i] * sqrt(2.0 / N) + 1e-9);
            if (first) {
                const exec_tensor was = mill_exec_state_at(first, i);
                assert_memory_equal(t.data, was.data, t.bytes);
            }
        }
        const exec_tensor a = mill_exec_state_at(e, 0), b = mill_exec_state_at(e, 1);
        assert_memory_not_equal(a.data, b.data, a.bytes);
        if (order)
            mill_exec_free(e);
        else
            first = e;
    }
    mill_exec_free(first);
    for (int order = 0; order < 2; order++) mill_graph_free(g[order]);
}

/* The formula of states.c, with FNV-1a's published value of "foobar" as the stream. */
void test_exec__first_values_are_those_of_the_formula(void **state)
{
    enum { N = 23 };
    const uint32_t stream = 0xbf9cf968u | 0x80000000u;
    const exec_options o = {.seed = 6};
    mill_graph *g = NULL;
    mill_exec *e = NULL;
    exec_tensor t;

    (void)state;
    assert_ok(mill_graph_new(&g));
    mill_state(g, "foobar", MILL_T_REAL, SHAPE(N), (mill_init){INIT_UNIFORM, 0.5});
    assert_ok(mill_exec_new(&e, g, &o));
    assert_ok(mill_exec_state(&t, e, "foobar"));
    for (int i = 0; i < N; i++) {
        uint32_t word[4];
        mill_philox(word, 6, 0, stream, (uint64_t)(i / 4));
        const double want = 0.5 * (2 * (double)mill_u01(word[i % 4]) - 1);
        assert_true(((real *)t.data)[i] == (real)want);
    }
    mill_exec_free(e);
    mill_graph_free(g);
}

void test_exec__tensors_that_do_not_exist_are_refused_by_name(void **state)
{
    mill_graph *g = small_step();
    const exec_options o = {0};
    mill_exec *e = NULL;
    exec_tensor t;

    (void)state;
    assert_ok(mill_exec_new(&e, g, &o));
    assert_fails(MILL_EINPUT, "\"nil\"", mill_exec_input(&t, e, "nil"));
    assert_fails(MILL_EINPUT, "\"nil\"", mill_exec_output(&t, e, "nil"));
    assert_fails(MILL_EINPUT, "\"nil\"", mill_exec_state(&t, e, "nil"));
    assert_true(isnan(mill_exec_output_scalar(e, "nil")));
    mill_exec_free(e);
    mill_graph_free(g);
}

void test_exec__operation_without_a_kernel_is_refused(void **state)
{
    static const mill_op hollow = {.name = "hollow", .n_src = 1, .shape = shape_like_src0};
    mill_graph *g = NULL;
    const exec_options o = {0};
    mill_exec *e = NULL;

    (void)state;
    assert_ok(mill_graph_new(&g));
    mill_output(g, "y", tiny_1(g, &hollow, mill_input(g, "a", MILL_T_REAL, SHAPE(2))));
    assert_fails(MILL_EDEVICE, "'hollow' has no kernel", mill_exec_new(&e, g, &o));
    mill_graph_free(g);
}

void test_exec__profile_lists_every_visit(void **state)
{
    mill_graph *g = small_step();
    const exec_options o = {.flags = EXEC_PROFILE};
    mill_exec *e = NULL;
    char *text = NULL;

    (void)state;
    assert_ok(mill_exec_new(&e, g, &o));
    assert_fails(MILL_EINPUT, "no profile", mill_exec_profile(&text, e));
    for (uint32_t i = 0; i < 3; i++) assert_ok(mill_exec_run(e, i));
    assert_ok(mill_exec_profile(&text, e));
    assert_non_null(strstr(text, "3 runs of"));
    assert_non_null(strstr(text, "noise(200, 16) plus(200, 16) centre(200, 16) mm(200, 8)"));
    assert_non_null(strstr(text, "step(16, 8)"));
    mill_free(text);
    mill_exec_free(e);
    mill_graph_free(g);
}

/* A product of 2 x 512 x 512 x 512 beside a few rows: the first line is its, with nearly all of the
 * time.  Times are of the processor, so that they fit into the wall's whatever else runs. */
void test_exec__profile_finds_where_the_time_goes(void **state)
{
    const exec_options o = {.flags = EXEC_PROFILE};
    mill_graph *g = NULL;
    mill_exec *e = NULL;
    char *text = NULL, first[8] = "";
    double run_ms = 0, ms = 0, share = 0, rate = 0;

    (void)state;
    assert_ok(mill_graph_new(&g));
    const mill_ref a = mill_input(g, "a", MILL_T_REAL, SHAPE(512, 512));
    const mill_ref w = mill_state(g, "w", MILL_T_REAL, SHAPE(512, 512), (mill_init){INIT_ONE, 0});
    mill_output(g, "few", tiny_1(g, &tiny_flip, tiny_1(g, &tiny_flip, tiny_make_noise(g, 4, 4))));
    mill_output(g, "y", tiny_2(g, &tiny_mm, a, w));
    assert_ok(mill_exec_new(&e, g, &o));
    assert_ok(mill_exec_run(e, 0));
    assert_ok(mill_exec_run(e, 1));
    assert_ok(mill_exec_profile(&text, e));
    assert_int_equal(sscanf(text, "2 runs of %lf ms", &run_ms), 1);
    const char *row = strstr(text, "nodes\n");
    assert_non_null(row);
    assert_int_equal(sscanf(row, "nodes %lf %lf%% %lf %*d 8 x 64 %7s", &ms, &share, &rate, first),
                     4);
    assert_memory_equal(first, "mm(512,", 7);
    assert_true(share > 80 && share <= 100);
    assert_true(ms > 0 && ms < 1.02 * run_ms);
    const double want = 2 * 512.0 * 512 * 512 / ms * 1e-6; /* the row has one decimal of it */
    assert_true(fabs(rate - want) <= 0.05 + 0.01 * want);
    mill_free(text);
    mill_exec_free(e);
    mill_graph_free(g);
}

/* The same numbers, wherever they lie; and only what has a first value of its own is given one. */
void test_exec__puts_tensors_where_the_caller_wants_them(void **state)
{
    enum { N = 16, M = 4 };
    static _Alignas(64) real w[N * M], grad[N * M], x[N * N];
    const real mark = (real)0.25;
    mill_graph *g;
    mill_exec *plain, *placed;
    exec_tensor t;
    (void)state;

    assert_ok(mill_cpu_init());
    assert_ok(mill_graph_new(&g));
    const mill_ref in = mill_input(g, "x", MILL_T_REAL, SHAPE(N, N));
    const mill_ref state_w =
        mill_state(g, "w", MILL_T_REAL, SHAPE(N, M), (mill_init){INIT_UNIFORM, 1});
    mill_ref dw;
    const mill_ref loss =
        mill_sum_all(g, mill_square(g, mill_matmul(g, in, state_w, false, false)));
    assert_ok(mill_grad(g, loss, &state_w, 1, &dw));
    mill_output(g, "dw", dw);
    const exec_place place[] = {
        {"w", w, sizeof w, true}, {"dw", grad, sizeof grad, false}, {"x", x, sizeof x, false}};
    exec_options o = {.seed = 9, .place = place, .n_place = 3};
    assert_ok(mill_exec_new(&plain, g, &(exec_options){.seed = 9}));
    assert_ok(mill_exec_new(&placed, g, &o));
    assert_ok(mill_exec_input(&t, plain, "x"));
    for (int i = 0; i < N * N; i++) ((real *)t.data)[i] = x[i] = (real)(i % 7) - 3;
    assert_ok(mill_exec_run(plain, 0));
    assert_ok(mill_exec_run(placed, 0));
    assert_ok(mill_exec_state(&t, plain, "w"));
    assert_memory_equal(t.data, w, sizeof w);
    assert_ok(mill_exec_output(&t, plain, "dw"));
    assert_memory_equal(t.data, grad, sizeof grad);
    mill_exec_free(placed);

    /* A second one finds the state as it is, and sees it change. */
    exec_place found = {"w", w, sizeof w, false};
    o = (exec_options){.seed = 9, .place = &found, .n_place = 1};
    for (int i = 0; i < N * M; i++) w[i] = mark;
    assert_ok(mill_exec_new(&placed, g, &o));
    assert_true(w[5] == mark);
    mill_exec_free(placed);
    found.bytes -= sizeof(real);
    assert_fails(MILL_EINPUT, "\"w\"", mill_exec_new(&placed, g, &o));
    found = (exec_place){"dw", (char *)grad + 4, sizeof grad, false};
    assert_fails(MILL_EINPUT, "\"dw\"", mill_exec_new(&placed, g, &o));
    mill_exec_free(plain);
    mill_graph_free(g);
}

static volatile sig_atomic_t n_alarms;

static void count_alarm(int sig)
{
    (void)sig;
    n_alarms++;
}

/* A handler's frame on the stack of oneDNN's kernels broke their pointers: wrong products, a broken
 * heap.  A weight gradient is a product that goes to it.  In a child, which may die of it. */
static int run_under_alarms(void)
{
    enum { M = 256, K = 300, MOST = 400 };
    const struct sigaction action = {.sa_handler = count_alarm, .sa_flags = SA_RESTART};
    const struct itimerval often = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
    real *first = malloc(sizeof(real) * M * K);
    mill_graph *g;
    mill_exec *e;
    exec_tensor t;
    int wrong = 0;

    assert_ok(mill_graph_new(&g));
    const mill_ref a = mill_input(g, "in0", MILL_T_REAL, SHAPE(K, M));
    const mill_ref b = mill_input(g, "in1", MILL_T_REAL, SHAPE(K, K));
    mill_input(g, "in2", MILL_T_REAL, SHAPE(1));
    mill_output(g, "out0", mill_matmul(g, a, b, true, false));
    const exec_options o = {0};
    assert_ok(mill_exec_new(&e, g, &o));
    fill_inputs(e, 1);
    assert_ok(mill_exec_run(e, 0));
    assert_ok(mill_exec_output(&t, e, "out0"));
    memcpy(first, t.data, t.bytes);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < 200000 && n_alarms < MOST; i++) {
        assert_ok(mill_exec_run(e, 0));
        wrong += memcmp(first, t.data, t.bytes) != 0;
    }
    setitimer(ITIMER_REAL, &never, NULL);
    free(first);
    mill_exec_free(e);
    mill_graph_free(g);
    return n_alarms < 10 ? 2 : wrong != 0;
}

void test_exec__signals_do_not_break_products(void **state)
{
    int status;

    (void)state;
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) _exit(run_under_alarms());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}
