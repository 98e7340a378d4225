/* t_graph.c - building: names, poison, views, what is dropped. */
#include "lib/test.h"

#include "base/mem.h"
#include "exec/exec.h"
#include "lib/tiny_ops.h"

static const mill_init zero = {INIT_ZERO, 0};

static mill_graph *new_graph(void)
{
    mill_graph *g = NULL;
    assert_ok(mill_graph_new(&g));
    return g;
}

void test_graph__first_failure_is_kept_and_reaches_compile(void **state)
{
    mill_graph *g = new_graph();
    const exec_options o = {0};
    mill_exec *e = NULL;
    mill_plan *p = NULL;
    mill_ref d;

    (void)state;
    const mill_ref a = mill_input(g, "a", MILL_T_REAL, SHAPE(4, 3));
    const mill_ref b = mill_input(g, "b", MILL_T_REAL, SHAPE(3, 4));
    assert_ok(mill_graph_error(g));
    /* the error sits deep inside a nested expression, and a second one follows */
    const mill_ref y = tiny_1(g, &tiny_half, tiny_2(g, &tiny_plus, a, b));
    assert_int_equal(y, 0);
    assert_int_equal(tiny_2(g, &tiny_mm, a, a), 0);
    assert_int_equal(tiny_1(g, &tiny_half, a), 0);
    mill_output(g, "y", y);
    assert_fails(MILL_ESHAPE, "plus: operands differ", mill_graph_error(g));
    assert_fails(MILL_ESHAPE, "plus: operands differ", mill_exec_new(&e, g, &o));
    assert_fails(MILL_ESHAPE, "plus: operands differ", mill_plan_new(&p, g, 0));
    assert_fails(MILL_ESHAPE, "plus: operands differ", mill_grad(g, a, &a, 1, &d));
    assert_fails(MILL_ESHAPE, "plus: operands differ", mill_pass_cast(g));
    assert_fails(MILL_ESHAPE, "plus: operands differ", mill_pass_prune(g));
    assert_fails(MILL_ESHAPE, "plus: operands differ", mill_pass_recompute(g));
    assert_null(e);
    mill_graph_free(g);
}

void test_graph__operand_that_is_no_node_poisons(void **state)
{
    mill_graph *g = new_graph();
    (void)state;
    assert_int_equal(tiny_1(g, &tiny_half, 99), 0);
    assert_fails(MILL_ESHAPE, "half: operand 0", mill_graph_error(g));
    mill_graph_free(g);
}

void test_graph__state_of_one_name_is_one_state(void **state)
{
    mill_graph *g = new_graph();
    (void)state;
    const mill_ref a = mill_state(g, "w", MILL_T_REAL, SHAPE(2, 2), zero);
    assert_int_equal(mill_state(g, "w", MILL_T_REAL, SHAPE(2, 2), zero), a);
    assert_int_equal(mill_state(g, "w", MILL_T_REAL, SHAPE(2, 3), zero), 0);
    assert_fails(MILL_ESHAPE, "\"w\" has two shapes", mill_graph_error(g));
    mill_graph_free(g);
}

void test_graph__names_of_inputs_and_outputs_are_single(void **state)
{
    mill_graph *g = new_graph();
    (void)state;
    const mill_ref a = mill_input(g, "a", MILL_T_REAL, SHAPE(2));
    mill_output(g, "y", a);
    assert_ok(mill_graph_error(g));
    mill_output(g, "y", a);
    assert_fails(MILL_ESHAPE, "two outputs are called \"y\"", mill_graph_error(g));
    mill_graph_free(g);
    g = new_graph();
    mill_input(g, "a", MILL_T_REAL, SHAPE(2));
    assert_int_equal(mill_input(g, "a", MILL_T_REAL, SHAPE(2)), 0);
    mill_graph_free(g);
}

void test_graph__view_must_lie_inside_its_source(void **state)
{
    (void)state;
    for (int64_t at = 0; at < 4; at++) {
        mill_graph *g = new_graph();
        const mill_ref a = mill_input(g, "a", MILL_T_REAL, SHAPE(3, 2));
        const mill_ref v = tiny_make_view(g, a, at, 2, 2); /* 4 of 6 elements, from `at` */
        assert_int_equal(v != 0, at <= 2);
        if (!v) assert_fails(MILL_ESHAPE, "does not lie inside", mill_graph_error(g));
        mill_graph_free(g);
    }
}

void test_graph__inputs_and_constants_cannot_be_updated(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        mill_graph *g = new_graph();
        const mill_ref x = kind == 0   ? mill_input(g, "a", MILL_T_REAL, SHAPE(3, 2))
                           : kind == 1 ? mill_const(g, MILL_T_REAL, SHAPE(3, 2), NULL)
                                       : mill_state(g, "s", MILL_T_REAL, SHAPE(3, 2), zero);
        const mill_ref y = tiny_make_noise(g, 3, 2);
        assert_int_equal(tiny_2(g, &tiny_move, tiny_make_view(g, x, 0, 3, 2), y) != 0, kind == 2);
        if (kind < 2) assert_fails(MILL_ESHAPE, "move: would write over", mill_graph_error(g));
        mill_graph_free(g);
    }
}

void test_graph__hopeless_shapes_are_refused(void **state)
{
    (void)state;
    mill_graph *g = new_graph();
    assert_int_equal(mill_input(g, "a", MILL_T_REAL, SHAPE(3, 0)), 0);
    assert_fails(MILL_ESHAPE, "dimension 1 is 0", mill_graph_error(g));
    mill_graph_free(g);
    g = new_graph();
    assert_int_equal(mill_input(g, "a", MILL_T_REAL, SHAPE(INT64_C(1) << 40, INT64_C(1) << 40)), 0);
    assert_fails(MILL_ENOMEM, "too large", mill_graph_error(g));
    mill_graph_free(g);
}

void test_graph__grain_is_64_from_128_rows_on_and_a_quarter_below(void **state)
{
    static const int64_t want[][2] = {{1, 1},    {2, 1},    {4, 1},    {5, 2},      {50, 13},
                                      {127, 32}, {128, 64}, {500, 64}, {100000, 64}};
    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        assert_int_equal(mill_grain(want[i][0]), want[i][1]);
}

void test_graph__dead_code_is_not_planned_and_pruned_refs_are_void(void **state)
{
    mill_graph *g = new_graph();
    mill_plan *p = NULL;

    (void)state;
    const mill_ref a = mill_input(g, "a", MILL_T_REAL, SHAPE(4, 3));
    const mill_ref s = mill_state(g, "s", MILL_T_REAL, SHAPE(4, 3), zero);
    const mill_ref used = tiny_1(g, &tiny_half, a), dead = tiny_1(g, &tiny_flip, used);
    const mill_ref dead2 = tiny_1(g, &tiny_half, dead);
    const mill_ref update = tiny_2(g, &tiny_move, s, tiny_1(g, &tiny_centre, a));
    mill_output(g, "y", used);
    assert_ok(mill_plan_new(&p, g, 0));
    assert_int_equal(p->n_order, 3);
    assert_int_equal(p->root[dead], 0);
    assert_int_equal(p->stage_of[dead2], -1);
    assert_int_equal(p->root[update], s);
    mill_plan_free(p);

    assert_ok(mill_pass_prune(g));
    assert_int_equal(tiny_1(g, &tiny_half, dead), 0);
    assert_fails(MILL_ESHAPE, "pruned", mill_graph_error(g));
    mill_graph_free(g);
}

void test_graph__cast_marks_products_alone(void **state)
{
    mill_graph *g = new_graph();
    (void)state;
    const mill_ref a = mill_input(g, "a", MILL_T_REAL, SHAPE(9, 9));
    const mill_ref y = tiny_2(g, &tiny_mm, a, a), z = tiny_1(g, &tiny_half, y);
    assert_ok(mill_pass_cast(g));
    assert_true(mill_get(g, y)->bf16);
    assert_false(mill_get(g, z)->bf16);
    mill_graph_free(g);
}

void test_shape__is_written_as_numpy_writes_it(void **state)
{
    char text[64];
    const mill_shape none = SCALAR, one = SHAPE(5), two = SHAPE(200, 8);
    const mill_shape four = SHAPE(100000000, 200000000, 300000000, 400000000);
    const mill_shape large = SHAPE(INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX);

    (void)state;
    assert_string_equal(mill_shape_text(text, &none), "()");
    assert_string_equal(mill_shape_text(text, &one), "(5,)");
    assert_string_equal(mill_shape_text(text, &two), "(200, 8)");
    assert_string_equal(mill_shape_text(text, &four),
                        "(100000000, 200000000, 300000000, 400000000)");
    assert_in_range(strlen(mill_shape_text(text, &large)), 40, 63); /* cut, but inside the text */
}
