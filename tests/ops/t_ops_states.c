/*
 * t_ops_states.c - operations that write states, over several steps, and operands that are refused.
 *
 * Oracles are the formulas of torch.optim and torch.nn.BatchNorm1d in double.
 */
#include "base/cpu.h"
#include "base/philox.h"
#include "exec/exec.h"
#include "lib/test.h"
#include "ops/ops.h"
#include <math.h>
#include <string.h>

static double draw(int which, int64_t e)
{
    return 2 * (double)mill_rand_u01(1, 0, (uint32_t)which, (uint64_t)e) - 1;
}

static void fill(mill_exec *e, const char *name, bool is_state, int which)
{
    exec_tensor t;
    assert_ok(is_state ? mill_exec_state(&t, e, name) : mill_exec_input(&t, e, name));
    for (int64_t i = 0; i < mill_elems(&t.shape); i++) ((real *)t.data)[i] = (real)draw(which, i);
}

static real state_at(mill_exec *e, const char *name, int64_t i)
{
    exec_tensor t;
    assert_ok(mill_exec_state(&t, e, name));
    return ((real *)t.data)[i];
}

/* Torch's Adam on n numbers: p, m and v are states, grad is an input. */
typedef struct {
    mill_graph *g;
    mill_ref p, m, v, grad, lr;
} adam;
enum { ADAM_N = 130 * 7 };
static const double ADAM_RATE = 0.05;

static adam adam_new(void)
{
    const mill_shape shape = SHAPE(130, 7);
    const mill_init zero = {INIT_ZERO, 0};
    adam a;

    assert_ok(mill_cpu_init());
    assert_ok(mill_graph_new(&a.g));
    a.p = mill_state(a.g, "p", MILL_T_REAL, shape, zero);
    a.m = mill_state(a.g, "m", MILL_T_REAL, shape, zero);
    a.v = mill_state(a.g, "v", MILL_T_REAL, shape, zero);
    a.grad = mill_input(a.g, "grad", MILL_T_REAL, shape);
    a.lr = mill_const_real(a.g, ADAM_RATE);
    return a;
}

/* The same in double: want is (p, m, v), of each number. */
static void adam_begin(double want[3][ADAM_N], mill_exec *e)
{
    fill(e, "p", true, 1);
    memset(want, 0, 3 * sizeof *want);
    for (int i = 0; i < ADAM_N; i++) want[0][i] = (double)(real)draw(1, i);
}

static void adam_update(double want[3][ADAM_N], int i, double grad, double t,
                        const mill_adam_opts *o)
{
    const double d = grad + o->weight_decay * want[0][i];

    want[1][i] = o->beta1 * want[1][i] + (1 - o->beta1) * d;
    want[2][i] = o->beta2 * want[2][i] + (1 - o->beta2) * d * d;
    want[0][i] -= ADAM_RATE * want[1][i] / (1 - pow(o->beta1, t)) /
                  (sqrt(want[2][i] / (1 - pow(o->beta2, t))) + o->eps);
}

static void assert_adam(mill_exec *e, double want[3][ADAM_N], double off_p, double off_moments)
{
    for (int i = 0; i < ADAM_N; i++) {
        assert_true(fabs((double)state_at(e, "p", i) - want[0][i]) < off_p);
        assert_true(fabs((double)state_at(e, "m", i) - want[1][i]) < off_moments);
        assert_true(fabs((double)state_at(e, "v", i) - want[2][i]) < off_moments);
    }
}

void test_adam__keeps_its_moments_over_steps(void **state)
{
    const mill_adam_opts o = {.beta1 = 0.5, .beta2 = 0.9, .eps = 1e-8, .weight_decay = 1e-2};
    const adam a = adam_new();
    double want[3][ADAM_N];
    mill_exec *e;
    (void)state;

    assert_true(mill_adam(a.g, a.p, a.m, a.v, a.grad, a.lr, &o));
    assert_ok(mill_exec_new(&e, a.g, &(exec_options){.seed = 1}));
    adam_begin(want, e);
    for (uint32_t step = 0; step < 4; step++) {
        fill(e, "grad", false, 10 + (int)step);
        assert_ok(mill_exec_run(e, step));
        for (int i = 0; i < ADAM_N; i++)
            adam_update(want, i, draw(10 + (int)step, i), step + 1, &o);
    }
    assert_adam(e, want, 3e-6, 1e-6); /* four updates of a few float roundings each */
    mill_exec_free(e);
    mill_graph_free(a.g);
}

/* Two updates in one graph, as CTGAN makes with two turns of its discriminator: the second
 * gradient, p' + grad, is of the parameter that the first has left, and so are the moments. */
void test_adam__updates_twice_in_one_step(void **state)
{
    mill_adam_opts o = {.beta1 = 0.5, .beta2 = 0.9, .eps = 1e-8, .t_mul = 2, .t_add = 1};
    const adam a = adam_new();
    double want[3][ADAM_N];
    mill_exec *e;
    (void)state;

    const mill_ref once = mill_adam(a.g, a.p, a.m, a.v, a.grad, a.lr, &o);
    o.t_add = 2;
    assert_true(mill_adam(a.g, once, a.m, a.v, mill_add(a.g, once, a.grad), a.lr, &o));
    assert_ok(mill_exec_new(&e, a.g, &(exec_options){.seed = 1}));
    adam_begin(want, e);
    for (uint32_t step = 0; step < 3; step++) {
        fill(e, "grad", false, 10 + (int)step);
        assert_ok(mill_exec_run(e, step));
        for (int i = 0; i < ADAM_N; i++)
            for (int turn = 0; turn < 2; turn++)
                adam_update(want, i, draw(10 + (int)step, i) + (turn ? want[0][i] : 0),
                            2 * step + 1 + (double)turn, &o);
    }
    assert_adam(e, want, 1e-5, 1e-5); /* six updates of a few float roundings each */
    mill_exec_free(e);
    mill_graph_free(a.g);
}

/* Two forwards in one graph, as CTGAN's generator has them: the second starts from the first's
 * states. */
void test_batch_norm__moves_its_running_states_twice(void **state)
{
    const double momentum = 0.1;
    const mill_shape shape = SHAPE(65, 3);
    mill_graph *g;
    mill_exec *e;
    (void)state;

    assert_ok(mill_cpu_init());
    assert_ok(mill_graph_new(&g));
    mill_ref mean = mill_state(g, "mean", MILL_T_REAL, SHAPE(3), (mill_init){INIT_ZERO, 0});
    mill_ref var = mill_state(g, "var", MILL_T_REAL, SHAPE(3), (mill_init){INIT_ONE, 0});
    const mill_ref a = mill_input(g, "a", MILL_T_REAL, shape);
    const mill_ref b = mill_input(g, "b", MILL_T_REAL, shape);
    mill_output(g, "ya", mill_batch_norm(g, a, 0, 0, &mean, &var, momentum, 1e-5, true));
    mill_output(g, "yb", mill_batch_norm(g, b, 0, 0, &mean, &var, momentum, 1e-5, true));
    assert_ok(mill_exec_new(&e, g, &(exec_options){.seed = 1}));
    fill(e, "a", false, 1);
    fill(e, "b", false, 2);
    assert_ok(mill_exec_run(e, 0));

    for (int j = 0; j < 3; j++) {
        double want_mean = 0, want_var = 1;
        for (int which = 1; which <= 2; which++) {
            double mu = 0, sum = 0;
            for (int i = 0; i < 65; i++) mu += draw(which, 3 * i + j) / 65;
            for (int i = 0; i < 65; i++) sum += pow(draw(which, 3 * i + j) - mu, 2);
            want_mean += momentum * (mu - want_mean);
            want_var += momentum * (sum / 64 - want_var);
        }
        assert_true(fabs((double)state_at(e, "mean", j) - want_mean) < 1e-6);
        assert_true(fabs((double)state_at(e, "var", j) - want_var) < 1e-6);
    }
    mill_exec_free(e);
    mill_graph_free(g);
}

void test_batch_norm__does_not_lose_the_variance_of_large_numbers(void **state)
{
    mill_graph *g;
    mill_exec *e;
    exec_tensor t;
    (void)state;

    assert_ok(mill_cpu_init());
    assert_ok(mill_graph_new(&g));
    mill_ref mean = mill_state(g, "mean", MILL_T_REAL, SHAPE(1), (mill_init){INIT_ZERO, 0});
    mill_ref var = mill_state(g, "var", MILL_T_REAL, SHAPE(1), (mill_init){INIT_ONE, 0});
    const mill_ref x = mill_input(g, "x", MILL_T_REAL, SHAPE(500, 1));
    mill_output(g, "y", mill_batch_norm(g, x, 0, 0, &mean, &var, 1, 1e-5, true));
    assert_ok(mill_exec_new(&e, g, &(exec_options){.seed = 1}));
    assert_ok(mill_exec_input(&t, e, "x"));
    for (int i = 0; i < 500; i++) ((real *)t.data)[i] = (real)(10000 + (i % 2 ? 0.5 : -0.5));
    assert_ok(mill_exec_run(e, 0));
    /* variance 1/4 of numbers whose squares have an ulp of 8 */
    assert_true(fabs((double)state_at(e, "var", 0) - 0.25 * 500 / 499) < 1e-4);
    mill_exec_free(e);
    mill_graph_free(g);
}

static void refused(const char *words, mill_graph *g, mill_ref r)
{
    assert_int_equal(r, 0);
    assert_fails(MILL_ESHAPE, words, mill_graph_error(g));
    mill_graph_free(g);
}

/* Spans in columns of sixteen rows against the same spans row by row: runs that end at a long span,
 * at 256 units and inside a vector, blocks of fewer than sixteen rows; values and gradients. */
void test_span_activate__has_the_bits_of_rows_done_alone(void **state)
{
    enum { S = 12, ROWS = 39 };
    static const int64_t length[S] = {1, 7, 70, 64, 64, 64, 60, 10, 33, 1, 16, 17};
    int32_t spans[S][3];
    int64_t D = 0;
    mill_graph *g;
    mill_exec *e;
    (void)state;

    for (int k = 0; k < S; D += length[k++])
        memcpy(spans[k], (int32_t[]){(int32_t)D, (int32_t)length[k], SPAN_SOFTMAX}, 12);
    assert_ok(mill_cpu_init());
    assert_ok(mill_graph_new(&g));
    const mill_ref table = mill_const(g, MILL_T_I32, SHAPE(S, 3), spans);
    const mill_ref x = mill_input(g, "x", MILL_T_REAL, SHAPE(ROWS, D));
    const mill_ref w = mill_input(g, "w", MILL_T_REAL, SHAPE(ROWS, D));
    const mill_ref y[2] = {mill_span_activate(g, x, table, 1, SPAN_SOFT),
                           mill_span_softmax(g, x, table)};
    const char *name[4] = {"columns", "rows", "columns' gradient", "rows' gradient"};
    for (int i = 0; i < 2; i++) {
        mill_ref dx;
        assert_ok(mill_grad(g, mill_sum_all(g, mill_mul(g, y[i], w)), &x, 1, &dx));
        mill_output(g, name[i], y[i]);
        mill_output(g, name[2 + i], dx);
    }
    assert_ok(mill_exec_new(&e, g, &(exec_options){.seed = 1}));
    fill(e, "x", false, 3);
    fill(e, "w", false, 4);
    assert_ok(mill_exec_run(e, 0));
    for (int i = 0; i < 4; i += 2) {
        exec_tensor a, b;
        assert_ok(mill_exec_output(&a, e, name[i]));
        assert_ok(mill_exec_output(&b, e, name[i + 1]));
        assert_memory_equal(a.data, b.data, a.bytes);
    }
    mill_exec_free(e);
    mill_graph_free(g);
}

/* Counts of 20,000 draws from one softmax, a short span and one that is done row by row: each
 * within 5 standard deviations of what is expected. */
void test_span_pick__draws_as_often_as_softmax_says(void **state)
{
    enum { ROWS = 20000, D = 4 + 90 };
    const int32_t spans[2][3] = {{0, 4, SPAN_SOFTMAX}, {4, 90, SPAN_SOFTMAX}};
    double p[D], sum[2] = {0};
    int64_t count[D] = {0};
    exec_tensor x, y;
    mill_graph *g;
    mill_exec *e;
    (void)state;

    assert_ok(mill_cpu_init());
    assert_ok(mill_graph_new(&g));
    mill_output(g, "y",
                mill_span_pick(g, mill_input(g, "x", MILL_T_REAL, SHAPE(ROWS, D)),
                               mill_const(g, MILL_T_I32, SHAPE(2, 3), spans), true));
    assert_ok(mill_exec_new(&e, g, &(exec_options){.seed = 1}));
    assert_ok(mill_exec_input(&x, e, "x"));
    for (int64_t i = 0; i < (int64_t)ROWS * D; i++)
        ((real *)x.data)[i] = (real)(2 * draw(5, i % D));
    for (int k = 0; k < D; k++) sum[k >= 4] += p[k] = exp((double)((real *)x.data)[k]);
    assert_ok(mill_exec_run(e, 0));
    assert_ok(mill_exec_output(&y, e, "y"));
    for (int64_t i = 0; i < ROWS; i++)
        for (int k = 0; k < 2; k++) count[4 * k + (int64_t)((real *)y.data)[2 * i + k]]++;
    for (int k = 0; k < D; k++) {
        const double share = p[k] / sum[k >= 4], want = ROWS * share;
        if (!(fabs((double)count[k] - want) < 5 * sqrt(want * (1 - share))))
            fail_msg("unit %d: %d draws, not %.0f", k, (int)count[k], want);
    }
    mill_exec_free(e);
    mill_graph_free(g);
}

static mill_ref input(mill_graph **g, mill_shape shape)
{
    assert_ok(mill_graph_new(g));
    return mill_input(*g, "x", MILL_T_REAL, shape);
}

void test_ops__refuse_operands_in_words(void **state)
{
    const int32_t gap[2][3] = {{0, 1, 0}, {2, 1, 1}}, twice[2] = {1, 1};
    mill_graph *g;
    mill_ref x;
    (void)state;

    x = input(&g, SHAPE(4, 3));
    refused("add: operands do not broadcast: (4, 3) (4,)", g,
            mill_add(g, x, mill_input(g, "b", MILL_T_REAL, SHAPE(4))));
    x = input(&g, SHAPE(4, 3));
    refused("inner dimensions differ", g, mill_matmul(g, x, x, false, false));
    x = input(&g, SHAPE(4, 3));
    refused("reshape: (4, 3) cannot become (5, 2)", g, mill_reshape(g, x, SHAPE(5, -1)));
    x = input(&g, SHAPE(4, 3));
    refused("slice", g, mill_slice(g, x, 1, 2, 4));
    x = input(&g, SHAPE(4, 3));
    refused("differ beside the axis", g,
            mill_concat(g, 2, (mill_ref[]){x, mill_input(g, "b", MILL_T_REAL, SHAPE(4, 2))}, 0));
    x = input(&g, SHAPE(4, 3));
    refused("span_softmax: span 1 (2, 1, 1) is not the next one", g,
            mill_span_softmax(g, x, mill_const(g, MILL_T_I32, SHAPE(2, 3), gap)));
    x = input(&g, SHAPE(4, 3));
    refused("column 1 twice", g,
            mill_gather_cols(g, x, mill_const(g, MILL_T_I32, SHAPE(2), twice)));
    x = input(&g, SHAPE(4, 3));
    refused("operand 1 is not i32", g, mill_cross_entropy(g, x, x, 0));
    x = input(&g, SHAPE(4, 3));
    refused("leaky_relu: -1 is below 0", g, mill_leaky_relu(g, x, -1));
    x = input(&g, SHAPE(4, 3));
    refused("dropout: p = 1", g, mill_dropout(g, x, 1));
}
