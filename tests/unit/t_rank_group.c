/* t_rank_group.c - collectives between threads and between processes: values to the bit, any number
 * of ranks, odd spans. */
/* LEVELS */ /* TSAN */
#include "lib/rank_checks.h"

static void on_both_bodies(rank_body_fn run, void *ctx)
{
    for (int n = 1; n <= 5; n++) {
        assert_ok(rank_threads(n, run, ctx, NULL));
        run_ranks_ok(n, run, ctx);
    }
}

void test_rank_all_reduce__is_the_tree_on_every_rank(void **state)
{
    (void)state;
    on_both_bodies(check_all_reduce, NULL);
}

void test_rank_scatter__and_gather_make_all_ranks_equal(void **state)
{
    (void)state;
    on_both_bodies(check_scatter_gather, NULL);
}

void test_rank_all_reduce__has_the_same_bits_with_threads(void **state)
{
    (void)state;
    run_ranks_ok(2, check_pool, NULL);
    assert_ok(rank_threads(2, check_pool, NULL, NULL));
}

void test_rank_combine__sums_and_compares(void **state)
{
    (void)state;
    on_both_bodies(check_combine, NULL);
}

void test_rank_broadcast__reaches_all(void **state)
{
    (void)state;
    on_both_bodies(check_broadcast, NULL);
}

void test_rank_agree__gives_all_the_first_reason(void **state)
{
    (void)state;
    on_both_bodies(check_agree, NULL);
}

void test_rank_start__takes_many_at_once(void **state)
{
    (void)state;
    on_both_bodies(check_many_open, NULL);
}
