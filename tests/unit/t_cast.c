/*
 * t_cast.c - products under mill_pass_cast: what is packed once, by a node, gives the bits of
 * the plain call, which packs for itself, for any number of threads.
 */
#include "lib/test.h"

#include "base/cpu.h"
#include "base/gemm.h"
#include "exec/exec.h"
#include "ops/ops.h"

/* LEVELS BF16 */

enum { MAX_A = 600 * 530, MAX_B = 530 * 570, MAX_Y = 600 * 600 };

static float a[MAX_A], b[MAX_B], c[MAX_Y], want[MAX_Y];

typedef struct {
    int n, k, m;
    bool ta, tb;
    int c_rows; /* 0: none is added */
} product;

/* By rows, with an odd k, with few rows for threads; by columns (b beyond a megabyte); inner. */
static const product products[] = {
    {200, 67, 90, false, false, 1},  {200, 67, 90, false, true, 200},
    {40, 33, 31, false, true, 0},    {129, 530, 570, false, false, 1},
    {130, 529, 570, false, true, 0}, {300, 77, 64, true, false, 0},
    {150, 512, 33, true, true, 150},
};
enum { N_PRODUCTS = sizeof products / sizeof *products };

static void fill(float *x, int n, int salt)
{
    for (int i = 0; i < n; i++) x[i] = (float)((i * 7919LL + salt) % 4093 - 2046) / 1024;
}

static void give(mill_exec *e, const char *name, const float *x)
{
    exec_tensor t;
    assert_ok(mill_exec_input(&t, e, name));
    memcpy(t.data, x, t.bytes);
}

static mill_ref matrix(mill_graph *g, const char *name, int rows, int cols, bool turned)
{
    return mill_input(g, name, MILL_T_REAL, turned ? SHAPE(cols, rows) : SHAPE(rows, cols));
}

static mill_ref build(mill_graph *g, const product *p)
{
    const mill_ref x = matrix(g, "a", p->n, p->k, p->ta), w = matrix(g, "b", p->k, p->m, p->tb);
    const mill_ref add = p->c_rows ? matrix(g, "c", p->c_rows, p->m, false) : 0;
    return mill_addmm(g, add, x, w, p->ta, p->tb);
}

static void plain(const product *p)
{
    gemm_bf16(&(gemm_args){.c = want,
                           .a = a,
                           .b = b,
                           .from = p->c_rows ? c : NULL,
                           .m = p->n,
                           .n = p->m,
                           .k = p->k,
                           .lda = p->ta ? p->n : p->k,
                           .ldb = p->tb ? p->k : p->m,
                           .ldc = p->m,
                           .ld_from = p->c_rows > 1 ? p->m : 0,
                           .ta = p->ta,
                           .tb = p->tb});
}

static void run(const product *p, int threads, unsigned flags)
{
    mill_pool *pool;
    mill_graph *g;
    mill_exec *e;
    exec_tensor y;

    assert_ok(mill_pool_new(&pool, threads));
    assert_ok(mill_graph_new(&g));
    mill_output(g, "y", build(g, p));
    assert_ok(mill_pass_cast(g));
    assert_ok(mill_exec_new(&e, g, &(exec_options){.pool = pool, .flags = flags}));
    give(e, "a", a);
    give(e, "b", b);
    if (p->c_rows) give(e, "c", c);
    assert_ok(mill_exec_run(e, 0));
    assert_ok(mill_exec_output(&y, e, "y"));
    assert_int_equal(y.bytes, (size_t)(p->n * p->m) * sizeof(float));
    assert_memory_equal(y.data, want, y.bytes);
    mill_exec_free(e);
    mill_graph_free(g);
    mill_pool_free(pool);
}

void test_cast__packing_once_changes_no_bit(void **state)
{
    static const unsigned flags[] = {0, EXEC_NO_FUSE, EXEC_NO_REUSE, EXEC_NAN, EXEC_GUARD};
    (void)state;
    assert_ok(mill_cpu_init());
    fill(a, MAX_A, 1);
    fill(b, MAX_B, 2);
    fill(c, MAX_Y, 3);
    for (int i = 0; i < N_PRODUCTS; i++) {
        plain(&products[i]);
        for (int threads = 1; threads < 8; threads += threads < 2 ? 1 : 5)
            run(&products[i], threads, 0);
        for (int f = 1; f < 5; f++) run(&products[i], 2, flags[f]);
    }
}

static bool is_packed(const mill_graph *g, mill_ref y, int source)
{
    return mill_get(g, mill_src(g, y, source))->dtype == MILL_T_BF16;
}

/* What every tile reads in full, and nothing else. */
void test_cast__packs_the_operand_that_is_read_by_every_tile(void **state)
{
    (void)state;
    assert_ok(mill_cpu_init());
    if (!mill_cpu_has_bf16()) skip_because("no products of bfloat16 here");
    for (int i = 0; i < N_PRODUCTS; i++) {
        const product *p = &products[i];
        const int at = p->c_rows > 0;
        const bool by_columns = p->n * p->k * p->m > 10000000 && !p->ta;
        mill_graph *g;

        assert_ok(mill_graph_new(&g));
        const mill_ref y = build(g, p);
        mill_output(g, "y", y);
        assert_ok(mill_pass_cast(g));
        assert_int_equal(is_packed(g, y, at), by_columns);
        assert_int_equal(is_packed(g, y, at + 1), !by_columns);
        mill_graph_free(g);
    }
}

/* Forward and in the update, w is one operand of two products: packed once, before w is written. */
void test_cast__products_share_what_is_packed(void **state)
{
    mill_graph *g;
    mill_exec *e;
    exec_tensor y;
    (void)state;
    assert_ok(mill_cpu_init());
    if (!mill_cpu_has_bf16()) skip_because("no products of bfloat16 here");
    assert_ok(mill_graph_new(&g));
    const mill_ref x = mill_input(g, "x", MILL_T_REAL, SHAPE(200, 8));
    const mill_ref w = mill_state(g, "w", MILL_T_REAL, SHAPE(8, 40), (mill_init){INIT_ONE, 0});
    const mill_ref p = mill_matmul(g, x, w, false, false);
    const mill_ref q = mill_matmul(g, mill_relu(g, x), w, false, false);
    const mill_ref turned = mill_matmul(g, p, w, false, true);
    mill_assign(g, w, mill_scale(g, w, 3, 0));
    mill_output(g, "y", mill_add(g, mill_add(g, p, q), mill_sum_last(g, turned)));
    assert_ok(mill_pass_cast(g));
    assert_int_equal(mill_src(g, p, 1), mill_src(g, q, 1));
    assert_int_not_equal(mill_src(g, p, 1), mill_src(g, turned, 1)); /* another form of w */
    assert_ok(mill_exec_new(&e, g, &(exec_options){.seed = 1}));
    for (int step = 0; step < 2; step++) {
        const float size = step ? 3 : 1;
        for (int i = 0; i < 1600; i++) a[i] = 1;
        give(e, "x", a);
        assert_ok(mill_exec_run(e, (uint32_t)step));
        assert_ok(mill_exec_output(&y, e, "y"));
        for (int i = 0; i < 8000; i++) /* 8 + 8, and 8 times 40 times 8 */
            assert_true(((const float *)y.data)[i] == 16 * size + 2560 * size * size);
    }
    mill_exec_free(e);
    mill_graph_free(g);
}
