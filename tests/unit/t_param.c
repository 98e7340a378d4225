/* t_param.c - parameters of a net: first values, names, and how many there may be. */
#include "lib/test.h"

#include "exec/exec.h"
#include "nn/param.h"

#include <math.h>

void test_param__begins_as_a_linear_layer_or_as_a_value(void **state)
{
    mill_graph *g = NULL;
    mill_exec *e = NULL;
    exec_tensor t;
    real most = 0;

    (void)state;
    assert_ok(mill_graph_new(&g));
    nn_params p = {.g = g, .prefix = "net"};
    assert_int_equal(nn_param(&p, SHAPE(16, 100), 16, 9, "w%d", 1), 0);
    assert_int_equal(nn_param(&p, SHAPE(3), 0, 0.75, "scale"), 1);
    assert_ok(mill_exec_new(&e, g, &(exec_options){.seed = 1}));
    assert_ok(mill_exec_state(&t, e, "net.w1"));
    for (int i = 0; i < 1600; i++) most = ((real *)t.data)[i] > most ? ((real *)t.data)[i] : most;
    assert_true(most <= (real)0.25 && most > (real)0.249); /* 1 / sqrt(16); the largest of 1600 */
    assert_ok(mill_exec_state(&t, e, "net.scale"));
    for (int i = 0; i < 3; i++) assert_true(((real *)t.data)[i] == (real)0.75);
    mill_exec_free(e);
    mill_graph_free(g);
}

void test_param__one_too_many_is_refused(void **state)
{
    mill_graph *g = NULL;
    char words[64];

    (void)state;
    snprintf(words, sizeof words, "net: more than %d parameters", NN_MAX_PARAMS);
    assert_ok(mill_graph_new(&g));
    nn_params p = {.g = g, .prefix = "net"};
    for (int i = 0; i < NN_MAX_PARAMS; i++)
        assert_int_equal(nn_param(&p, SHAPE(2), 0, 0, "b%d", i), i);
    assert_ok(mill_graph_error(g));
    nn_param(&p, SHAPE(2), 0, 0, "last");
    assert_fails(MILL_EINPUT, words, mill_graph_error(g));
    assert_int_equal(p.n, NN_MAX_PARAMS);
    mill_graph_free(g);
}
