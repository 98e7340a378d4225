/* t_ops_large.c - products whose second operand no near cache holds are dealt by columns: against
 * plain loops, forward and backward, plain and transposed, with a row added. */
#include "lib/near.h"

#include "base/cpu.h"
#include "exec/exec.h"
#include "ops/ops.h"

enum { N = 130, K = 530, M = 570 }; /* b: 1.2 MB in float */

static real a[N * K], b[K * M], c[M], weight[N * M];

static void fill(real *x, int n, int salt)
{
    for (int i = 0; i < n; i++) x[i] = (real)((i * 37 + salt) % 23 - 11) / 16;
}

static void give(mill_exec *e, const char *name, const real *x)
{
    exec_tensor t;
    assert_ok(mill_exec_input(&t, e, name));
    memcpy(t.data, x, t.bytes);
}

static double b_at(int k, int m, bool tb)
{
    return (double)b[tb ? m * K + k : k * M + m];
}

/* Sums of 530 products of at most .5 in float: 1e-4 leaves ten times what rounding can do. */
static void check(const exec_tensor *y, const exec_tensor *da, bool tb)
{
    for (int i = 0; i < N; i += 7)
        for (int m = 0; m < M; m++) {
            double sum = (double)c[m];
            for (int k = 0; k < K; k++) sum += (double)a[i * K + k] * b_at(k, m, tb);
            assert_near((double)((const real *)y->data)[i * M + m], sum, 1e-4);
        }
    for (int i = 0; i < N; i += 7)
        for (int k = 0; k < K; k++) {
            double sum = 0;
            for (int m = 0; m < M; m++) sum += (double)weight[i * M + m] * b_at(k, m, tb);
            assert_near((double)((const real *)da->data)[i * K + k], sum, 1e-4);
        }
}

void test_product__by_columns_is_the_sum_of_products(void **state)
{
    (void)state;
    assert_ok(mill_cpu_init());
    fill(a, N * K, 1);
    fill(b, K * M, 2);
    fill(c, M, 3);
    fill(weight, N * M, 4);
    for (int tb = 0; tb < 2; tb++) {
        mill_graph *g;
        mill_exec *e;
        exec_tensor y, da;
        mill_ref grad;

        assert_ok(mill_graph_new(&g));
        const mill_ref ra = mill_input(g, "a", MILL_T_REAL, SHAPE(N, K));
        const mill_ref rb = mill_input(g, "b", MILL_T_REAL, tb ? SHAPE(M, K) : SHAPE(K, M));
        const mill_ref rc = mill_input(g, "c", MILL_T_REAL, SHAPE(M));
        const mill_ref rw = mill_input(g, "w", MILL_T_REAL, SHAPE(N, M));
        const mill_ref out = mill_addmm(g, rc, ra, rb, false, tb);
        assert_ok(mill_grad(g, mill_sum_all(g, mill_mul(g, out, rw)), &ra, 1, &grad));
        mill_output(g, "y", out);
        mill_output(g, "da", grad);
        assert_ok(mill_exec_new(&e, g, &(exec_options){.seed = 1}));
        give(e, "a", a);
        give(e, "b", b);
        give(e, "c", c);
        give(e, "w", weight);
        assert_ok(mill_exec_run(e, 0));
        assert_ok(mill_exec_output(&y, e, "y"));
        assert_ok(mill_exec_output(&da, e, "da"));
        check(&y, &da, tb);
        mill_exec_free(e);
        mill_graph_free(g);
    }
}
