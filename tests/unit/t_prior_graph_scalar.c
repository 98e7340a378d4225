/* LEVELS QEMU
 * t_prior_graph_scalar.c - numbers and choices of a data set: ranges, and what agrees with what. */
#include "lib/near.h"

#include "base/cpu.h"
#include "prior/graph_inner.h"

typedef struct {
    prior_config c;
    prior_draw draw;
    scm s;
} world;

static void start(world *w, scalar_mode mode, uint64_t set)
{
    assert_ok(mill_cpu_init());
    *w = (world){.c = prior_config_default(), .draw = draw_init(1000 + set, 0)};
    w->s = (scm){.c = &w->c, .k = graph_kernels_get(), .draw = &w->draw, .mode = mode};
}

/* Deviation of a number within a data set, mean over data sets; uniform: 1 / sqrt(12) = .289. */
static double spread_within(scalar_mode mode)
{
    enum { SETS = 300, TIMES = 20 };
    const num_range unit = {0, 1, false, false};
    double sum = 0;

    for (uint64_t set = 0; set < SETS; set++) {
        double x[TIMES], mean = 0, var = 0;
        world w;
        start(&w, mode, set);
        for (int i = 0; i < TIMES; i++) mean += (x[i] = scalar_number_of(&w.s, NUM_gp_a, unit));
        mean /= TIMES;
        for (int i = 0; i < TIMES; i++) var += (x[i] - mean) * (x[i] - mean) / (TIMES - 1);
        sum += var / SETS;
    }
    return sqrt(sum);
}

void test_graph_scalar__agrees_within_a_set_by_mode(void **state)
{
    (void)state;
    assert_near(spread_within(MODE_LOCAL), 0.289, 0.01);
    assert_true(spread_within(MODE_GLOBAL) < 1e-9);
    /* E[t (1 - t) / (s + 1)] = E[1 / (s + 1)] / 6, s log-uniform in .1 .. 1e4:
     * ln(s / (s + 1)) between the bounds over ln 1e5 is .2083, so .1863 */
    assert_near(spread_within(MODE_META), 0.1863, 0.02);
}

void test_graph_scalar__stays_in_its_range(void **state)
{
    int count[4] = {0};

    (void)state;
    for (uint64_t set = 0; set < 500; set++) {
        world w;
        start(&w, set % 2 ? MODE_META : MODE_LOCAL, set);
        for (int i = 0; i < 20; i++) {
            const int64_t a = scalar_int(&w.s, NUM_tree_depth, 1, 7);
            const int64_t b = scalar_log_int(&w.s, NUM_mlp_width, 1, 127);
            const double c = scalar_log(&w.s, NUM_kernel_factor, 0.1, 10);
            assert_true(a >= 1 && a <= 7 && b >= 1 && b <= 127 && c >= 0.1 && c <= 10.0001);
            count[scalar_local_int(&w.s, 2, 5, false, false) - 2]++;
            assert_int_equal(scalar_log_int(&w.s, NUM_disc_centres, 2, 1), 1); /* empty */
        }
    }
    for (int k = 0; k < 4; k++) assert_near(count[k] / 1e4, 0.25, 0.022); /* five deviations */
}

/* u -> clip(1.2 u - .1, 0, 1): a twelfth of the mass at each end. */
void test_graph_scalar__puts_mass_at_the_ends(void **state)
{
    int low = 0, high = 0;
    world w;

    (void)state;
    start(&w, MODE_LOCAL, 1);
    for (int i = 0; i < 12000; i++) {
        const double x = scalar_number_of(&w.s, NUM_gp_a, (num_range){2, 20, true, true});
        low += x < 2.000001;
        high += x > 19.99999;
    }
    assert_near(low / 12000.0, 1 / 12.0, 0.0127); /* five deviations */
    assert_near(high / 12000.0, 1 / 12.0, 0.0127);
}

/* How often two choices of one data set are the same, of eight. */
static double agreement(scalar_mode mode, bool corrected)
{
    int same = 0;

    for (uint64_t set = 0; set < 4000; set++) {
        world w;
        start(&w, mode, set);
        w.c.use_corrected_cat_meta_sampling = corrected;
        const int a = scalar_pick_of(&w.s, PICK_function, 8);
        assert_true(a >= 0 && a < 8);
        same += a == scalar_pick_of(&w.s, PICK_function, 8);
    }
    return same / 4000.0;
}

void test_graph_scalar__chooses_alone_unless_corrected(void **state)
{
    (void)state;
    assert_near(agreement(MODE_META, false), 0.125, 0.027); /* the kept error: five deviations */
    assert_near(agreement(MODE_LOCAL, true), 0.125, 0.027);
    assert_true(agreement(MODE_META, true) > 0.25);
    assert_true(agreement(MODE_GLOBAL, false) == 1);
}
