/* t_nn_layer.c - layers against plain loops in double. */
#include "lib/near.h"

#include "base/cpu.h"
#include "exec/exec.h"
#include "nn/layer.h"

enum { N = 2, S = 3, T = 5, D = 8, HEADS = 2, C = D / HEADS };

static double at(const exec_tensor *t, int64_t i)
{
    return (double)((const real *)t->data)[i];
}

static exec_tensor state_of(mill_exec *e, const char *name)
{
    exec_tensor t;
    assert_ok(mill_exec_state(&t, e, name));
    return t;
}

static void fill(mill_exec *e, const char *name, double scale)
{
    exec_tensor t;
    assert_ok(mill_exec_input(&t, e, name));
    for (size_t i = 0; i < t.bytes / sizeof(real); i++)
        ((real *)t.data)[i] = (real)(scale * (double)((int)(i * 7919 % 23) - 11));
}

/* out[r] = x[r] w + b, (rows, D) */
static void linear(double *out, const double *x, int rows, mill_exec *e, const char *name)
{
    char full[40];
    snprintf(full, sizeof full, "%s.w", name);
    const exec_tensor w = state_of(e, full);
    snprintf(full, sizeof full, "%s.b", name);
    const exec_tensor b = state_of(e, full);

    for (int r = 0; r < rows; r++)
        for (int j = 0; j < D; j++) {
            double sum = at(&b, j);
            for (int k = 0; k < D; k++) sum += x[r * D + k] * at(&w, k * D + j);
            out[r * D + j] = sum;
        }
}

static void read_input(double *x, mill_exec *e, const char *name, int n)
{
    exec_tensor t;
    assert_ok(mill_exec_input(&t, e, name));
    for (int i = 0; i < n; i++) x[i] = at(&t, i);
}

static void attend(double *y, const double *q, const double *k, const double *v)
{
    for (int n = 0; n < N; n++)
        for (int h = 0; h < HEADS; h++)
            for (int s = 0; s < S; s++) {
                double weight[T], sum = 0;
                for (int t = 0; t < T; t++) {
                    double dot = 0;
                    for (int c = 0; c < C; c++)
                        dot += q[(n * S + s) * D + h * C + c] * k[(n * T + t) * D + h * C + c];
                    sum += weight[t] = exp(dot / sqrt((double)C));
                }
                for (int c = 0; c < C; c++) {
                    double out = 0;
                    for (int t = 0; t < T; t++)
                        out += weight[t] / sum * v[(n * T + t) * D + h * C + c];
                    y[(n * S + s) * D + h * C + c] = out;
                }
            }
}

void test_attention__is_the_softmax_of_products(void **state)
{
    double from[N * S * D], to[N * T * D], q[N * S * D], k[N * T * D], v[N * T * D], y[N * S * D],
        want[N * S * D];
    nn_params p = {.prefix = "n"};
    mill_graph *g;
    mill_exec *e;
    exec_tensor out;
    (void)state;

    assert_ok(mill_cpu_init());
    assert_ok(mill_graph_new(&g));
    p.g = g;
    const mill_ref a = mill_input(g, "from", MILL_T_REAL, SHAPE(N, S, D));
    const mill_ref b = mill_input(g, "to", MILL_T_REAL, SHAPE(N, T, D));
    const nn_attention attention = nn_attention_init(&p, D, HEADS, "a");
    mill_output(g, "y", nn_attention_apply(&p, &attention, a, b, 0));
    assert_ok(mill_exec_new(&e, g, &(exec_options){.seed = 4}));
    fill(e, "from", 0.2);
    fill(e, "to", 0.3);
    assert_ok(mill_exec_run(e, 0));
    read_input(from, e, "from", N * S * D);
    read_input(to, e, "to", N * T * D);
    linear(q, from, N * S, e, "n.a.q");
    linear(k, to, N * T, e, "n.a.k");
    linear(v, to, N * T, e, "n.a.v");
    attend(y, q, k, v);
    linear(want, y, N * S, e, "n.a.out");
    assert_ok(mill_exec_output(&out, e, "y"));
    for (int i = 0; i < N * S * D; i++)
        assert_near(at(&out, i), want[i], 1e-5); /* float, sums of 8 */
    mill_exec_free(e);
    mill_graph_free(g);
}

void test_attention__wants_heads_that_divide_the_width(void **state)
{
    nn_params p = {.prefix = "n"};
    (void)state;

    assert_ok(mill_graph_new(&p.g));
    nn_attention_init(&p, 8, 3, "a");
    assert_fails(MILL_EINPUT, "3 heads do not divide", mill_graph_error(p.g));
    mill_graph_free(p.g);
}

void test_reglu__is_one_half_gated_by_the_other(void **state)
{
    mill_graph *g;
    mill_exec *e;
    exec_tensor x, y;
    (void)state;

    assert_ok(mill_cpu_init());
    assert_ok(mill_graph_new(&g));
    mill_output(g, "y", nn_reglu(g, mill_input(g, "x", MILL_T_REAL, SHAPE(1, 4))));
    assert_ok(mill_exec_new(&e, g, &(exec_options){.seed = 1}));
    assert_ok(mill_exec_input(&x, e, "x"));
    memcpy(x.data, ((const real[]){3, 5, -1, 2}), 4 * sizeof(real));
    assert_ok(mill_exec_run(e, 0));
    assert_ok(mill_exec_output(&y, e, "y"));
    assert_near(at(&y, 0), 0, 0);
    assert_near(at(&y, 1), 10, 0);
    mill_exec_free(e);
    mill_graph_free(g);
}

void test_activation__is_found_by_its_name(void **state)
{
    const char *const names[] = {
        [NN_RELU] = "relu", [NN_GELU] = "gelu", [NN_SILU] = "silu", [NN_TANH] = "tanh"};
    nn_activation a;
    (void)state;

    for (int i = 0; i < NN_N_ACTIVATION; i++) {
        assert_true(nn_activation_find(&a, names[i]));
        assert_int_equal(a, i);
    }
    assert_false(nn_activation_find(&a, "relux"));
}
