/*
 * t_grad.c - gradients of whole graphs against finite differences, once and twice, and what
 * recomputation changes.
 *
 * In double the central difference with step h errs by h^2 |f'''| / 6 + eps |f| / h: at h = 1e-5
 * about 1e-10 for functions of order one; the tolerance of 1e-7 leaves room for third derivatives
 * of order 1e3.  In float (h = 1e-2) it shows no more than signs and factors.
 */
#include "lib/test.h"

#include "base/mem.h"
#include "exec/exec.h"
#include "lib/tiny_ops.h"
#include "ops/ops.h"

#include <math.h>

static const double H = sizeof(real) == 8 ? 1e-5 : 1e-2,
                    TOLERANCE = sizeof(real) == 8 ? 1e-7 : 2e-2;

enum { MAX_WRT = 8 };

typedef struct {
    mill_graph *g;
    mill_exec *e;
    mill_ref x[MAX_WRT];
    int n;
} problem;

static void begin(problem *p)
{
    *p = (problem){0};
    assert_ok(mill_graph_new(&p->g));
}

/* An input that is differentiated by: values U(-1, 1). */
static mill_ref variable(problem *p, mill_shape shape)
{
    char name[32];
    snprintf(name, sizeof name, "x%d", p->n);
    return p->x[p->n++] = mill_input(p->g, name, MILL_T_REAL, shape);
}

static exec_tensor tensor(problem *p, const char *kind, int i)
{
    char name[32];
    exec_tensor t;
    snprintf(name, sizeof name, "%s%d", kind, i);
    if (kind[0] == 'x')
        assert_ok(mill_exec_input(&t, p->e, name));
    else
        assert_ok(mill_exec_output(&t, p->e, name));
    return t;
}

static void compile(problem *p, unsigned flags)
{
    const exec_options o = {.seed = 5, .flags = flags};
    assert_ok(mill_exec_new(&p->e, p->g, &o));
    for (int i = 0; i < p->n; i++) {
        const exec_tensor t = tensor(p, "x", i);
        mill_rng rng = mill_rng_init(2, (uint32_t)i, 0);
        for (int64_t k = 0; k < mill_elems(&t.shape); k++)
            ((real *)t.data)[k] = (real)(2 * mill_rng_f64(&rng) - 1);
    }
}

static double run(problem *p)
{
    assert_ok(mill_exec_run(p->e, 1));
    return mill_exec_output_scalar(p->e, "loss");
}

static void differentiate(problem *p, mill_ref loss)
{
    mill_ref dx[MAX_WRT];
    mill_output(p->g, "loss", loss);
    assert_ok(mill_grad(p->g, loss, p->x, p->n, dx));
    for (int i = 0; i < p->n; i++) {
        char name[32];
        snprintf(name, sizeof name, "d%d", i);
        mill_output(p->g, name, dx[i]);
    }
}

static void end(problem *p)
{
    mill_exec_free(p->e);
    mill_graph_free(p->g);
}

/* Every derivative against a central difference. */
static void check_derivatives(problem *p)
{
    compile(p, 0);
    run(p);
    for (int i = 0; i < p->n; i++) {
        const exec_tensor x = tensor(p, "x", i), d = tensor(p, "d", i);
        for (int64_t k = 0; k < mill_elems(&x.shape); k++) {
            const real was = ((real *)x.data)[k];
            run(p);
            const double have = (double)((real *)d.data)[k];
            ((real *)x.data)[k] = was + (real)H;
            const double above = run(p);
            ((real *)x.data)[k] = was - (real)H;
            const double below = run(p);
            ((real *)x.data)[k] = was;
            const double want = (above - below) / (2 * H);
            if (!(fabs(have - want) <= TOLERANCE * (1 + fabs(want))))
                fail_msg("d loss / d x%d[%d]: %.10g, by differences %.10g", i, (int)k, have, want);
        }
    }
}

void test_grad__perceptron_agrees_with_finite_differences(void **state)
{
    problem p;
    (void)state;
    begin(&p);
    const mill_ref x = variable(&p, SHAPE(9, 5)), w = variable(&p, SHAPE(5, 7)),
                   b = variable(&p, SHAPE(7));
    const mill_ref w2 = variable(&p, SHAPE(7, 3));
    const mill_ref h = mill_tanh(p.g, mill_linear(p.g, x, w, b));
    const mill_ref y = mill_linear(p.g, h, w2, 0);
    differentiate(&p,
                  mill_mean_all(p.g, mill_square(p.g, mill_add(p.g, y, mill_sum_last(p.g, h)))));
    check_derivatives(&p);
    end(&p);
}

/* The gradient penalty of a critic: a gradient by x, its norm, and the gradient of that by the
 * weights. */
void test_grad__penalty_of_a_critic_has_right_second_derivatives(void **state)
{
    problem p;
    mill_ref dx;
    (void)state;
    begin(&p);
    const mill_ref w = variable(&p, SHAPE(5, 7)), b = variable(&p, SHAPE(7)),
                   w2 = variable(&p, SHAPE(7, 1));
    const mill_ref x = variable(&p, SHAPE(9, 5));
    const mill_ref h = mill_tanh(p.g, mill_linear(p.g, x, w, b));
    const mill_ref d = mill_sum_all(p.g, mill_linear(p.g, h, w2, 0));
    assert_ok(mill_grad(p.g, d, &x, 1, &dx));
    const mill_ref norm = mill_sqrt(p.g, mill_sum_last(p.g, mill_square(p.g, dx)));
    differentiate(&p, mill_mean_all(p.g, mill_square(p.g, mill_scale(p.g, norm, 1, -1))));
    check_derivatives(&p);
    end(&p);
}

void test_grad__gradients_of_several_readers_add_up(void **state)
{
    problem p;
    (void)state;
    begin(&p);
    const mill_ref x = variable(&p, SHAPE(4));
    /* x^2 + x, summed: 2 x + 1 */
    differentiate(&p, mill_sum_all(p.g, mill_add(p.g, mill_mul(p.g, x, x), x)));
    compile(&p, 0);
    const exec_tensor v = tensor(&p, "x", 0), d = tensor(&p, "d", 0);
    for (int k = 0; k < 4; k++) ((real *)v.data)[k] = (real)k / 4; /* sums without rounding */
    run(&p);
    for (int k = 0; k < 4; k++) assert_true(((real *)d.data)[k] == 2 * ((real *)v.data)[k] + 1);
    end(&p);
}

void test_grad__no_path_gives_zeros_and_detach_cuts(void **state)
{
    problem p;
    (void)state;
    begin(&p);
    const mill_ref x = variable(&p, SHAPE(3, 2)), other = variable(&p, SHAPE(5));
    const mill_ref cut = mill_detach(p.g, mill_square(p.g, x));
    differentiate(&p, mill_sum_all(p.g, mill_mul(p.g, x, cut))); /* x^2 counts as constant */
    (void)other;
    compile(&p, EXEC_NAN);
    run(&p);
    const exec_tensor v = tensor(&p, "x", 0), d = tensor(&p, "d", 0), zero = tensor(&p, "d", 1);
    for (int k = 0; k < 6; k++)
        assert_true(((real *)d.data)[k] == ((real *)v.data)[k] * ((real *)v.data)[k]);
    for (int k = 0; k < 5; k++) assert_true(((real *)zero.data)[k] == 0);
    end(&p);
}

void test_grad__operation_without_gradient_is_named(void **state)
{
    problem p;
    mill_ref d[2];
    (void)state;
    begin(&p);
    const mill_ref x = variable(&p, SHAPE(3, 2)), y = variable(&p, SHAPE(3, 2));
    const mill_ref flip = tiny_1(p.g, &tiny_flip, x);
    const mill_ref loss = mill_sum_all(p.g, mill_add(p.g, flip, y));
    assert_ok(mill_grad(p.g, loss, &y, 1, d)); /* not on the path: fine */
    assert_fails(MILL_ESHAPE, "'flip' has no gradient", mill_grad(p.g, loss, p.x, 2, d));
    assert_int_equal(d[0], 0);
    assert_fails(MILL_ESHAPE, "'flip' has no gradient", mill_graph_error(p.g));
    end(&p);
}

static void transposed_vjp(mill_graph *g, mill_ref y, mill_ref dy, mill_ref *dx)
{
    (void)y;
    dx[0] = mill_transpose(g, dy, 0, 1);
}

void test_grad__gradient_of_another_shape_is_refused(void **state)
{
    mill_op wrong = tiny_flip;
    problem p;
    mill_ref d;
    (void)state;
    begin(&p);
    wrong.vjp = transposed_vjp;
    const mill_ref x = variable(&p, SHAPE(3, 2));
    const mill_ref loss = mill_sum_all(p.g, tiny_1(p.g, &wrong, x));
    assert_fails(MILL_ESHAPE, "a gradient of shape (2, 3) for a node of shape (3, 2)",
                 mill_grad(p.g, loss, &x, 1, &d));
    end(&p);
}

void test_grad__loss_must_be_one_number(void **state)
{
    problem p;
    mill_ref d;
    (void)state;
    begin(&p);
    const mill_ref x = variable(&p, SHAPE(3, 2));
    assert_fails(MILL_ESHAPE, "its shape is (3, 2)", mill_grad(p.g, x, &x, 1, &d));
    end(&p);
}

/* ---- recomputation ---- */

/* Eight residual blocks with dropout; a running mean of each is kept in a state.  Segments on
 * request. */
static void residual_stack(problem *p, bool segments)
{
    begin(p);
    mill_ref x = variable(p, SHAPE(256, 32));
    const mill_ref w = variable(p, SHAPE(32, 32));
    for (int i = 0; i < 8; i++) {
        char name[32];
        snprintf(name, sizeof name, "m%d", i);
        const mill_ref mean =
            mill_state(p->g, name, MILL_T_REAL, SHAPE(32), (mill_init){INIT_ZERO, 0});
        if (segments) mill_segment_begin(p->g);
        const mill_ref h = mill_tanh(p->g, mill_linear(p->g, x, w, 0));
        mill_lerp_state(p->g, mean, mill_mean(p->g, h, AXIS(0), false), 0.1);
        const mill_ref k = mill_silu(p->g, mill_dropout(p->g, h, 0.25));
        const mill_ref y = mill_gelu(p->g, mill_linear(p->g, k, w, 0));
        if (segments) mill_segment_end(p->g);
        x = mill_add(p->g, x, y);
    }
    differentiate(p, mill_mean_all(p->g, mill_square(p->g, x)));
}

static size_t arena_of(const mill_graph *g, int *n_order)
{
    mill_plan *p = NULL;
    assert_ok(mill_plan_new(&p, g, 0));
    const size_t bytes = p->arena_bytes;
    *n_order = p->n_order;
    mill_plan_free(p);
    return bytes;
}

void test_recompute__same_bits_in_less_memory(void **state)
{
    problem p, q;
    int n_p, n_q;
    (void)state;
    residual_stack(&p, false);
    residual_stack(&q, true);
    assert_ok(mill_pass_recompute(q.g));
    const size_t kept = arena_of(p.g, &n_p), again = arena_of(q.g, &n_q);
    print_message(
        "# residual stack: %zu bytes kept, %zu bytes computed again; %d and %d operations\n", kept,
        again, n_p, n_q);
    assert_true(again < kept * 2 / 3);
    assert_true(n_q > n_p);
    compile(&p, EXEC_NO_FUSE | EXEC_NO_REUSE);
    compile(&q, EXEC_NAN);
    for (int step = 0; step < 2; step++) assert_true(run(&p) == run(&q));
    for (int i = 0; i < 2; i++) {
        const exec_tensor a = tensor(&p, "d", i), b = tensor(&q, "d", i);
        assert_memory_equal(a.data, b.data, a.bytes);
    }
    for (int i = 0; i < 8; i++) { /* the means were updated once a step, not twice */
        const exec_tensor a = mill_exec_state_at(p.e, i), b = mill_exec_state_at(q.e, i);
        assert_memory_equal(a.data, b.data, a.bytes);
        assert_true(((real *)a.data)[0] != 0);
    }
    end(&p);
    end(&q);
}

void test_recompute__a_second_pass_changes_nothing(void **state)
{
    problem q;
    (void)state;
    residual_stack(&q, true);
    assert_ok(mill_pass_recompute(q.g));
    const int32_t n = mill_graph_n(q.g);
    assert_ok(mill_pass_recompute(q.g));
    assert_int_equal(mill_graph_n(q.g), n);
    end(&q);
}

void test_recompute__without_memory_the_graph_is_as_it_was(void **state)
{
    problem q;
    int n_before, n_after;
    bool failed = true;
    (void)state;
    residual_stack(&q, true);
    const int32_t n = mill_graph_n(q.g);
    const size_t before = arena_of(q.g, &n_before);
    for (int64_t i = 1; failed; i++) {
        mill_mem_fail_at(i);
        failed = mill_pass_recompute(q.g) != MILL_OK;
        mill_mem_fail_at(0);
        if (!failed) break;
        assert_int_equal(mill_graph_n(q.g), n);
        assert_ok(mill_graph_error(q.g));
        assert_int_equal(arena_of(q.g, &n_after), before);
        assert_int_equal(n_after, n_before);
        assert_true(i < 100);
    }
    assert_true(mill_graph_n(q.g) > n);
    end(&q);
}
