/* t_rank.c - collectives, sums in a tree, agreement: the same for every body. */
#include "lib/test.h"

#include "base/mem.h"
#include "rank/bind.h"
#include "rank/rank.h"

#include <string.h>

/* The sum of parts first..first+n-1 as the header describes it: an oracle by recursion. */
static float tree(float (*part)(int), int first, int n)
{
    int left = 1;

    if (n == 1) return part(first);
    while (2 * left < n) left *= 2;
    return tree(part, first, left) + tree(part, first + left, n - left);
}

/* Addends whose sum depends on the order of adding. */
static float awkward(int part)
{
    static const float x[] = {1e8f, 1.25f, -1e8f, 3.0f,  7e7f, -0.3f,
                              5.5f, -7e7f, 0.1f,  2e-3f, 11.f};

    return x[part % 11];
}

static rank_group *alone(void)
{
    rank_identity id = {.world = 1, .local_world = 1, .nodes = 1};
    rank_group *g;

    assert_ok(rank_open(&g, &id, NULL));
    return g;
}

void test_rank_tree__adds_parts_in_the_one_order(void **state)
{
    (void)state;
    for (int parts = 1; parts <= 11; parts++)
        for (int in_slot = 0; in_slot < 2; in_slot++) {
            rank_group *g = alone();
            rank_tree *t;
            float own[3];

            assert_ok(rank_tree_new(&t, g, 3, parts));
            assert_int_equal(rank_tree_parts(t), parts);
            rank_tree_begin(t);
            for (int i = 0; i < parts; i++) {
                float *x = in_slot ? rank_tree_slot(t) : own;
                for (int k = 0; k < 3; k++) x[k] = awkward(i + k);
                rank_tree_add(t, x, 0, 2);
                rank_tree_add(t, x, 2, 3);
                rank_tree_next(t);
            }
            assert_ok(rank_all_reduce(rank_tree_buffer(t), 0, 3));
            const float want = tree(awkward, 0, parts);
            assert_memory_equal(rank_buffer_data(rank_tree_buffer(t)), &want, sizeof want);
            rank_tree_free(t);
            rank_close(g, MILL_OK);
        }
}

void test_rank_tree__refuses_shards_that_would_give_other_bits(void **state)
{
    (void)state;
    assert_ok(rank_tree_check(8, 1));
    assert_ok(rank_tree_check(8, 8));
    assert_fails(MILL_EINPUT, "power of two", rank_tree_check(6, 2));
    assert_fails(MILL_EINPUT, "3 ranks", rank_tree_check(8, 3));
    assert_fails(MILL_EINPUT, "not enough", rank_tree_check(2, 4));
}

void test_rank_slice__covers_everything_once(void **state)
{
    (void)state;
    for (int64_t begin = 0; begin < 40; begin += 13)
        for (int64_t n = 0; n < 200; n += 7)
            for (int world = 1; world < 6; world++) {
                int64_t at = begin, rows = 0;
                for (int r = 0; r < world; r++) {
                    const rank_span s = rank_slice(begin, begin + n, r, world);
                    assert_int_equal(s.begin, at);
                    assert_true(s.end >= s.begin);
                    assert_true((s.end - begin) % 16 == 0 || s.end == begin + n);
                    at = s.end;
                    const rank_span share = rank_share(n, r, world);
                    assert_int_equal(share.begin, rows);
                    assert_in_range(share.end - share.begin, n / world, n / world + 1);
                    rows = share.end;
                }
                assert_int_equal(at, begin + n);
                assert_int_equal(rows, n);
            }
}

void test_rank_self__combines_with_nobody(void **state)
{
    rank_group *g = alone();
    double x[2] = {1.5, -2};
    char word[] = "abc", all[4];

    (void)state;
    assert_string_equal(rank_body(g), "self");
    assert_ok(rank_combine(g, x, 2, RANK_F64, RANK_SUM));
    assert_true(x[0] == 1.5 && x[1] == -2);
    assert_ok(rank_broadcast(g, word, 4, 0));
    assert_ok(rank_gather(g, all, word, 4));
    assert_string_equal(all, "abc");
    assert_ok(rank_barrier(g));
    assert_ok(rank_agree(g, MILL_OK));
    assert_fails(MILL_EIO, "no such disk", rank_agree(g, mill_fail(MILL_EIO, "no such disk")));
    rank_close(g, MILL_OK);
}

/* Two packages of two cores of two threads, numbered as Linux often does: threads last. */
void test_rank_bind__deals_whole_cores_by_package(void **state)
{
    static const bind_cpu machine[] = {{0, 0, 0}, {1, 0, 1}, {2, 1, 0}, {3, 1, 1},
                                       {4, 0, 0}, {5, 0, 1}, {6, 1, 0}, {7, 1, 1}};
    static const struct {
        int rank, world;
        unsigned cpus; /* a bit each */
    } want[] = {{0, 1, 0xff}, {0, 2, 0x33}, {1, 2, 0xcc}, {0, 3, 0x33}, {1, 3, 0x44}, {2, 3, 0x88},
                {1, 4, 0x22}, {0, 5, 0x01}, {1, 5, 0x10}, {4, 5, 0x04}, {9, 10, 0x10}};

    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        bind_cpu cpus[8];
        cpu_set_t set;
        unsigned got = 0;

        memcpy(cpus, machine, sizeof cpus);
        bind_share(&set, cpus, 8, want[i].rank, want[i].world);
        for (int c = 0; c < CPU_SETSIZE; c++) got |= CPU_ISSET(c, &set) ? 1u << (c & 31) : 0;
        assert_int_equal(got, want[i].cpus);
    }
}
