/* t_plan.c - what becomes a visit and a stage, who shares memory, and that the check finds what is
 * wrong. */
#include "lib/test.h"

#include "base/mem.h"
#include "graph/plan.h"
#include "lib/random_graph.h"

static mill_graph *new_graph(void)
{
    mill_graph *g = NULL;
    assert_ok(mill_graph_new(&g));
    return g;
}

static mill_plan *new_plan(const mill_graph *g, unsigned flags)
{
    mill_plan *p = NULL;
    assert_ok(mill_plan_new(&p, g, flags));
    assert_ok(mill_plan_check(p, g));
    return p;
}

void test_plan__rowwise_chain_is_one_visit_in_one_buffer(void **state)
{
    mill_graph *g = new_graph();
    (void)state;
    mill_ref x = tiny_make_noise(g, 200, 32);
    for (int i = 0; i < 10; i++) x = tiny_1(g, &tiny_half, x);
    mill_output(g, "y", x);
    mill_plan *p = new_plan(g, 0);
    assert_int_equal(p->n_stages, 1);
    assert_int_equal(p->n_visits, 1);
    assert_int_equal(p->stage[0].n_chunks, 4); /* 64 + 64 + 64 + 8 */
    assert_int_equal(p->arena_bytes, 200 * 32 * sizeof(real));
    mill_plan_free(p);
    p = new_plan(g, PLAN_NO_FUSE | PLAN_NO_REUSE);
    assert_int_equal(p->n_stages, 11);
    assert_int_equal(p->arena_bytes, 11 * 200 * 32 * sizeof(real));
    mill_plan_free(p);
    mill_graph_free(g);
}

void test_plan__whole_reads_start_a_new_stage(void **state)
{
    mill_graph *g = new_graph();
    (void)state;
    const mill_ref a = mill_input(g, "a", MILL_T_REAL, SHAPE(200, 8));
    const mill_ref x = tiny_1(g, &tiny_centre, a);
    mill_output(g, "y", tiny_2(g, &tiny_bias, x, tiny_1(g, &tiny_colmean, x)));
    mill_plan *p = new_plan(g, 0);
    assert_int_equal(p->n_stages, 3); /* centre; colmean of all rows; bias by the mean */
    mill_plan_free(p);
    mill_graph_free(g);
}

void test_plan__independent_branches_share_stages(void **state)
{
    mill_graph *g = new_graph();
    (void)state;
    for (int b = 0; b < 3; b++) {
        char name[32];
        snprintf(name, sizeof name, "in%d", b);
        mill_ref x = mill_input(g, name, MILL_T_REAL, SHAPE(200, 8));
        for (int i = 0; i < 4; i++) x = tiny_1(g, &tiny_flip, x);
        snprintf(name, sizeof name, "out%d", b);
        mill_output(g, name, x);
    }
    mill_plan *p = new_plan(g, 0);
    assert_int_equal(p->n_stages, 4);
    assert_int_equal(p->n_visits, 12);
    mill_plan_free(p);
    mill_graph_free(g);
}

void test_plan__readers_of_one_value_share_a_stage(void **state)
{
    mill_graph *g = new_graph();
    (void)state;
    const mill_ref a = mill_input(g, "a", MILL_T_REAL, SHAPE(200, 8));
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "out%d", i);
        mill_output(g, name, tiny_1(g, &tiny_flip, a));
    }
    mill_plan *p = new_plan(g, 0);
    assert_int_equal(p->n_stages, 1);
    mill_plan_free(p);
    mill_graph_free(g);
}

void test_plan__noise_waits_for_its_reader(void **state)
{
    mill_graph *g = new_graph();
    (void)state;
    mill_ref x = mill_input(g, "a", MILL_T_REAL, SHAPE(200, 8));
    const mill_ref noise = tiny_1(g, &tiny_half, tiny_make_noise(g, 200, 8));
    const mill_ref other = tiny_make_noise(g, 200, 8);
    for (int i = 0; i < 5; i++) x = tiny_1(g, &tiny_flip, x);
    x = tiny_2(g, &tiny_plus, x, noise);
    mill_output(g, "y", tiny_2(g, &tiny_plus, x, tiny_1(g, &tiny_flip, other)));
    mill_plan *p = new_plan(g, 0);
    assert_int_equal(p->stage_of[x], 4); /* the fifth flip's visit */
    assert_int_equal(p->stage_of[noise], 4);
    assert_int_equal(p->stage_of[other], 0); /* read as a whole, in stage 1: right before that */
    mill_plan_free(p);
    mill_graph_free(g);
}

void test_plan__few_rows_by_columns_link_to_nothing(void **state)
{
    mill_graph *g = new_graph();
    (void)state;
    /* 4 rows and 4 columns, both of grain 1: as many units, but the product's are columns */
    const mill_ref a = mill_input(g, "a", MILL_T_REAL, SHAPE(4, 5));
    const mill_ref w = mill_state(g, "w", MILL_T_REAL, SHAPE(5, 4), (mill_init){INIT_ONE, 0});
    mill_output(g, "y", tiny_1(g, &tiny_half, tiny_2(g, &tiny_mm, tiny_1(g, &tiny_half, a), w)));
    mill_plan *p = new_plan(g, 0);
    assert_int_equal(p->n_stages, 3);
    mill_plan_free(p);
    mill_graph_free(g);
}

void test_plan__update_comes_after_all_readers_of_the_old_value(void **state)
{
    mill_graph *g = new_graph();
    (void)state;
    const mill_ref s = mill_state(g, "s", MILL_T_REAL, SHAPE(40, 4), (mill_init){INIT_ONE, 0});
    const mill_ref x = mill_input(g, "a", MILL_T_REAL, SHAPE(40, 4));
    mill_ref late = tiny_1(g, &tiny_flip, tiny_1(g, &tiny_flip, x));
    late = tiny_2(g, &tiny_plus, late, tiny_1(g, &tiny_flip, s)); /* reads all of s, in stage 0 */
    const mill_ref whole = tiny_2(g, &tiny_bias, late, s);        /* reads all of s, after `late` */
    const mill_ref update = tiny_2(g, &tiny_move, s, x);
    mill_output(g, "y", whole);
    mill_plan *p = new_plan(g, 0);
    assert_true(p->stage_of[update] > p->stage_of[whole]);
    mill_plan_free(p);
    mill_graph_free(g);
}

void test_plan__old_value_read_after_update_is_refused_by_name(void **state)
{
    mill_graph *g = new_graph();
    mill_plan *p = NULL;
    (void)state;
    const mill_ref s =
        mill_state(g, "weights", MILL_T_REAL, SHAPE(40, 4), (mill_init){INIT_ONE, 0});
    tiny_2(g, &tiny_move, s, tiny_make_noise(g, 40, 4));
    mill_output(g, "y", tiny_1(g, &tiny_centre, s));
    assert_ok(mill_plan_new(&p, g, 0));
    assert_fails(MILL_ESHAPE, "state \"weights\"", mill_plan_check(p, g));
    assert_non_null(strstr(mill_error(), "'move'"));
    assert_non_null(strstr(mill_error(), "'centre'"));
    mill_plan_free(p);
    mill_graph_free(g);
}

void test_plan__node_starts_after_the_one_that_it_waits_for(void **state)
{
    mill_graph *g = new_graph();
    (void)state;
    const mill_ref a = mill_input(g, "a", MILL_T_REAL, SHAPE(200, 8));
    const mill_ref first = tiny_1(g, &tiny_flip, a), second = tiny_1(g, &tiny_flip, a);
    mill_output(g, "first", first);
    mill_output(g, "second", second);
    mill_plan *p = new_plan(g, 0);
    assert_int_equal(p->stage_of[second], p->stage_of[first]);
    ((mill_node *)mill_get(g, second))->after = first; /* as mill_pass_recompute does it */
    assert_fails(MILL_ESHAPE, "runs too early", mill_plan_check(p, g));
    mill_plan_free(p);
    p = new_plan(g, 0);
    assert_int_equal(p->stage_of[second], p->stage_of[first] + 1);
    mill_plan_free(p);
    mill_graph_free(g);
}

void test_plan__outputs_and_inputs_are_never_written_over(void **state)
{
    mill_graph *g = new_graph();
    (void)state;
    const mill_ref a = mill_input(g, "a", MILL_T_REAL, SHAPE(200, 8));
    const mill_ref x = tiny_1(g, &tiny_half, a), y = tiny_1(g, &tiny_half, x);
    mill_output(g, "x", x);
    mill_output(g, "y", y);
    mill_plan *p = new_plan(g, 0);
    assert_int_equal(p->root[x], x);
    assert_int_equal(p->root[y], y);
    assert_int_equal(p->arena_bytes, 3 * 200 * 8 * sizeof(real));
    mill_plan_free(p);
    mill_graph_free(g);
}

void test_plan__products_with_large_operands_do_not_share_a_visit(void **state)
{
    (void)state;
    for (int64_t width = 64; width <= 512; width *= 8) {
        mill_graph *g = new_graph();
        mill_ref x = mill_input(g, "a", MILL_T_REAL, SHAPE(256, width));
        for (int i = 0; i < 2; i++) {
            char name[32];
            snprintf(name, sizeof name, "w%d", i);
            x = tiny_2(
                g, &tiny_mm, x,
                mill_state(g, name, MILL_T_REAL, SHAPE(width, width), (mill_init){INIT_ONE, 0}));
        }
        mill_output(g, "y", x);
        mill_plan *p = new_plan(g, 0);
        assert_int_equal(p->n_stages, width == 64 ? 1 : 2);
        mill_plan_free(p);
        mill_graph_free(g);
    }
}

void test_plan__products_of_earlier_stages_do_not_fill_a_visit(void **state)
{
    mill_graph *g = new_graph();
    const mill_init one = {INIT_ONE, 0};

    (void)state;
    const mill_ref a = mill_input(g, "a", MILL_T_REAL, SHAPE(256, 512));
    const mill_ref large = mill_state(g, "large", MILL_T_REAL, SHAPE(512, 512), one);
    const mill_ref small = mill_state(g, "small", MILL_T_REAL, SHAPE(512, 512), one);
    const mill_ref early = tiny_2(g, &tiny_mm, a, large); /* a MiB, in stage 0 */
    const mill_ref b = tiny_1(g, &tiny_flip, tiny_1(g, &tiny_flip, a));
    const mill_ref late = tiny_2(g, &tiny_mm, b, small); /* in stage 1, another MiB */
    mill_output(g, "y", tiny_2(g, &tiny_plus, early, late));
    mill_plan *p = new_plan(g, 0);
    assert_int_equal(p->n_stages, 2); /* the sum joins `late`: `early` is no longer warm */
    mill_plan_free(p);
    mill_graph_free(g);
}

/* ---- faults, put into good plans of random graphs ---- */

typedef bool (*breaker)(mill_plan *p, const mill_graph *g, mill_rng *rng);

static bool reads(const mill_graph *g, mill_ref r, mill_ref x) /* directly */
{
    for (int i = 0; i < mill_get(g, r)->n_src; i++)
        if (mill_get(g, r)->src[i] == x) return true;
    return false;
}

static mill_ref pick(const mill_plan *p, mill_rng *rng)
{
    return p->order[mill_rng_below(rng, (uint32_t)p->n_order)];
}

/* b is made after a, while a will still be read later than that: put b where a lies. */
static bool overlap(mill_plan *p, const mill_graph *g, mill_rng *rng)
{
    const mill_ref a = pick(p, rng), b = pick(p, rng);
    if (p->root[a] != a || p->root[b] != b || p->stage_of[b] <= p->stage_of[a]) return false;
    for (int32_t k = 0; k < p->n_order; k++)
        if (reads(g, p->order[k], a) && p->stage_of[p->order[k]] > p->stage_of[b]) {
            p->offset[b] = p->offset[a];
            p->arena_bytes *= 2; /* so that only the overlap is wrong */
            return true;
        }
    return false;
}

/* A node before one that it reads, in a visit. */
static bool swap_order(mill_plan *p, const mill_graph *g, mill_rng *rng)
{
    const uint32_t k = mill_rng_below(rng, (uint32_t)p->n_order);
    if (k == 0 || !reads(g, p->order[k], p->order[k - 1])) return false;
    if (p->stage_of[p->order[k]] != p->stage_of[p->order[k - 1]]) return false;
    const mill_ref r = p->order[k];
    p->order[k] = p->order[k - 1];
    p->order[k - 1] = r;
    return true;
}

/* Two stages, the second of which reads the first, as one. */
static bool join_stages(mill_plan *p, const mill_graph *g, mill_rng *rng)
{
    if (p->n_stages < 2) return false;
    const int32_t s = (int32_t)mill_rng_below(rng, (uint32_t)p->n_stages - 1);
    bool linked = false;
    for (int32_t k = 0; k < p->n_order; k++)
        for (int32_t j = 0; j < p->n_order; j++)
            linked |= p->stage_of[p->order[k]] == s + 1 && p->stage_of[p->order[j]] == s &&
                      reads(g, p->order[k], p->order[j]);
    if (!linked) return false;
    p->stage[s].n_visits += p->stage[s + 1].n_visits;
    p->stage[s].n_chunks += p->stage[s + 1].n_chunks;
    memmove(&p->stage[s + 1], &p->stage[s + 2], (size_t)(p->n_stages - s - 2) * sizeof *p->stage);
    p->n_stages--;
    for (int32_t r = 0; r < p->n_nodes; r++) p->stage_of[r] -= p->stage_of[r] > s;
    return true;
}

static bool drop_node(mill_plan *p, const mill_graph *g, mill_rng *rng)
{
    (void)g;
    plan_visit *v = &p->visit[mill_rng_below(rng, (uint32_t)p->n_visits)];
    if (v->n < 2) return false;
    v->n--;
    return true;
}

static bool move_view(mill_plan *p, const mill_graph *g, mill_rng *rng)
{
    const mill_ref r = (mill_ref)mill_rng_below(rng, (uint32_t)p->n_nodes);
    const mill_node *node = mill_get(g, r);
    if (!node->op || !(node->op->flags & (MILL_OP_VIEW | MILL_OP_INPLACE)) || !p->root[r])
        return false;
    p->offset[r] += 64;
    p->arena_bytes *= 2;
    p->state_bytes *= 2;
    return true;
}

static bool shrink_arena(mill_plan *p, const mill_graph *g, mill_rng *rng)
{
    (void)g;
    (void)rng;
    if (p->arena_bytes < 64) return false;
    p->arena_bytes -= 64;
    return true;
}

/* Everything half a cache line further: no overlap, nothing outside. */
static bool misalign(mill_plan *p, const mill_graph *g, mill_rng *rng)
{
    (void)rng;
    bool any = false;
    for (mill_ref r = 1; r < p->n_nodes; r++) {
        const mill_kind kind = mill_get(g, p->root[r])->kind;
        if (!p->root[r] || kind == MILL_STATE || kind == MILL_CONST) continue;
        p->offset[r] += 32;
        any = true;
    }
    p->arena_bytes += 64;
    return any;
}

static bool lose_place(mill_plan *p, const mill_graph *g, mill_rng *rng)
{
    (void)g;
    p->root[mill_rng_below(rng, 2) ? p->order[0] : pick(p, rng)] = 0;
    return true;
}

static bool wrong_stage(mill_plan *p, const mill_graph *g, mill_rng *rng)
{
    (void)g;
    p->stage_of[pick(p, rng)]++;
    return true;
}

/* Tiles of twice the rows, counted rightly: a kernel may not be ready for them. */
static bool other_split(mill_plan *p, const mill_graph *g, mill_rng *rng)
{
    plan_stage *stage = &p->stage[mill_rng_below(rng, (uint32_t)p->n_stages)];
    mill_split *split = &p->visit[stage->first_visit].split;
    const int64_t was = (split->units + split->grain - 1) / split->grain;

    (void)g;
    split->grain *= 2;
    stage->n_chunks += (split->units + split->grain - 1) / split->grain - was;
    return true;
}

static bool run_twice(mill_plan *p, const mill_graph *g, mill_rng *rng)
{
    const uint32_t k = mill_rng_below(rng, (uint32_t)p->n_order);
    (void)g;
    if (k == 0 || p->stage_of[p->order[k]] != p->stage_of[p->order[k - 1]]) return false;
    p->order[k] = p->order[k - 1];
    return true;
}

void test_plan__check_finds_every_injected_fault(void **state)
{
    static const breaker faults[] = {overlap,     swap_order,   join_stages, drop_node,
                                     move_view,   shrink_arena, misalign,    lose_place,
                                     wrong_stage, other_split,  run_twice};
    enum { N_FAULTS = sizeof faults / sizeof *faults };
    int injected[N_FAULTS] = {0};

    (void)state;
    for (uint64_t seed = 1000; seed < 1120; seed++) {
        random_graph d;
        random_graph_new(&d, seed, 60);
        for (int f = 0; f < N_FAULTS; f++) {
            mill_plan *p = new_plan(d.g, 0);
            bool broke = false;
            for (int tries = 0; tries < 50 && !broke && p->n_order; tries++)
                broke = faults[f](p, d.g, &d.rng);
            if (broke && mill_plan_check(p, d.g) == MILL_OK)
                fail_msg("seed %d: fault %d was not found", (int)seed, f);
            injected[f] += broke;
            mill_plan_free(p);
        }
        mill_graph_free(d.g);
    }
    for (int f = 0; f < N_FAULTS; f++)
        if (injected[f] < 20) fail_msg("fault %d was injected %d times only", f, injected[f]);
}

void test_plan__reuse_makes_random_arenas_smaller(void **state)
{
    size_t reused = 0, plain = 0, in_order = 0;
    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        random_graph d;
        random_graph_new(&d, seed, 100);
        mill_plan *a = new_plan(d.g, 0), *b = new_plan(d.g, PLAN_NO_REUSE),
                  *c = new_plan(d.g, PLAN_NO_FUSE);
        assert_true(a->arena_bytes <= b->arena_bytes);
        reused += a->arena_bytes;
        plain += b->arena_bytes;
        in_order += c->arena_bytes;
        mill_plan_free(a);
        mill_plan_free(b);
        mill_plan_free(c);
        mill_graph_free(d.g);
    }
    print_message(
        "# arenas of 100 random graphs: fused %zu, in order %zu, a buffer per node %zu bytes\n",
        reused, in_order, plain);
    assert_true(reused < plain * 2 / 3);
}

void test_plan__prints_stages_visits_and_places(void **state)
{
    mill_graph *g = new_graph();
    char *text = NULL;
    (void)state;
    const mill_ref a = mill_input(g, "a", MILL_T_REAL, SHAPE(200, 8));
    const mill_ref w = mill_state(g, "w", MILL_T_REAL, SHAPE(8, 4), (mill_init){INIT_ONE, 0});
    mill_segment_begin(g);
    const mill_ref x = tiny_1(g, &tiny_half, tiny_1(g, &tiny_flip, a));
    mill_segment_end(g);
    mill_output(g, "y", tiny_2(g, &tiny_mm, tiny_1(g, &tiny_flip, x), w));
    assert_ok(mill_pass_cast(g));
    mill_plan *p = new_plan(g, 0);
    assert_ok(mill_plan_print(&text, p, g));
    assert_string_equal(
        text, "4 operations, 2 visits, 2 stages; arena 22400, states 128, scratch 0 bytes\n"
              "stage 0, 4 chunks\n"
              "  visit of 200 rows by 64, about 2 us\n"
              "    3 = flip(1) (200, 8) at 6400, alive 0..1, segment 1\n"
              "    4 = half(3) (200, 8) at 6400 in 3, segment 1\n"
              "stage 1, 4 chunks\n"
              "  visit of 200 rows by 64, about 2 us\n"
              "    5 = flip(4) (200, 8) at 12800, alive 1..1\n"
              "    6 = mm(5 2) (200, 4) bf16 at 19200, alive 1..2\n");
    mill_free(text);
    mill_plan_free(p);
    mill_graph_free(g);
}
