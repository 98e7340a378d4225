/* LEVELS SLOW
 * t_prior_graph.c - graph_scm: its bytes with every option, and what holds for all it makes. */
#include "lib/test.h"

#include "base/cpu.h"
#include "prior/inner.h"
#include "prior/sink.h"

#include <math.h>

static prior_config config_of(const char *recipe)
{
    prior_config c = prior_config_default();

    assert_ok(mill_cpu_init());
    assert_ok(prior_recipe(&c, recipe));
    c.seed = 11;
    return c;
}

static uint64_t digest_set(uint64_t h, const prior_set *s)
{
    for (int64_t i = 0; i < s->features * s->rows; i++)
        h = (h ^ mill_bits_of(s->x[i])) * 0x100000001b3u;
    for (int64_t i = 0; i < s->rows; i++) h = (h ^ mill_bits_of(s->y[i])) * 0x100000001b3u;
    for (int j = 0; j < s->features; j++) h = (h ^ (uint64_t)s->levels[j]) * 0x100000001b3u;
    return (h ^ (uint64_t)s->attempts) * 0x100000001b3u;
}

static uint64_t digest_of(const prior_config *c, int first, int n)
{
    uint64_t h = 0xcbf29ce484222325u;
    prior_maker *m;
    prior_set s;

    assert_ok(prior_maker_new(&m, c));
    for (int i = first; i < first + n; i++) {
        assert_ok(prior_make(&s, m, i, false));
        h = digest_set(h, &s);
    }
    prior_maker_free(m);
    return h;
}

/* Made by this program.  They change when the process does, and then the commit says why. */
static const struct {
    const char *recipe;
    uint64_t first, all; /* of the first 20, of 200 */
} recipes[] = {
#include "prior_graph_recipes.def"
};

/* 200 data sets of each stage-1 recipe have the same bytes everywhere; 20 of them here, all with
 * TEST_FULL. */
void test_graph_scm__has_the_same_bytes_everywhere(void **state)
{
    const char *asked = getenv("TEST_FULL");
    const bool full = asked && !strcmp(asked, "1");
    int wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++) {
        const prior_config c = config_of(recipes[i].recipe);
        const uint64_t h = digest_of(&c, 0, full ? 200 : 20);
        if (h == (full ? recipes[i].all : recipes[i].first)) continue;
        wrong++;
        print_message("%s, %s: 0x%016lx\n", recipes[i].recipe, full ? "200" : "20", h);
    }
    assert_int_equal(wrong, 0);
}

static const struct {
    const char *option, *value;
    uint64_t digest;
} options[] = {
#include "prior_graph_options.def"
};

/* Small data sets, six for each value of each option. */
void test_graph_scm__has_the_same_bytes_with_every_option(void **state)
{
    prior_config plain = config_of("v2-clf-stage1");
    enum { SETS = 6 };
    int wrong = 0;

    (void)state;
    plain.max_seq = 150;
    plain.max_features = 25;
    const uint64_t without = digest_of(&plain, 0, SETS);
    for (size_t i = 0; i < sizeof options / sizeof *options; i += test_stride(4)) {
        prior_config c = plain;
        const bool of_numbers = !strcmp(options[i].option, "disallow-y-warping");
        c.regression = of_numbers;
        const bool is_rare = !strcmp(options[i].option, "filter-unpredictable-graphs");
        c.trivial_dataset_threshold = 0.7;
        const int n = is_rare ? 10 * SETS : SETS; /* most graphs can be predicted */
        const uint64_t other = of_numbers || is_rare ? digest_of(&c, 0, n) : without;
        assert_ok(prior_config_set(&c, options[i].option, options[i].value));
        const uint64_t h = digest_of(&c, 0, n);
        if (h != options[i].digest) {
            wrong++;
            print_message("{\"%s\", \"%s\", 0x%016lx},\n", options[i].option, options[i].value, h);
        }
        if (h == other) { /* an option that is parsed acts */
            wrong++;
            print_message("%s does nothing\n", options[i].option);
        }
    }
    assert_int_equal(wrong, 0);
}

/* Any order, any maker, described or not. */
void test_graph_scm__makes_a_set_from_its_index_alone(void **state)
{
    prior_config c = config_of("v2-clf-stage1");
    uint64_t forth[6];
    prior_maker *m;
    prior_set s;

    (void)state;
    assert_ok(prior_maker_new(&m, &c));
    for (int i = 0; i < 6; i++) {
        assert_ok(prior_make(&s, m, i, false));
        forth[i] = digest_set(1, &s);
    }
    for (int i = 5; i >= 0; i--) {
        assert_ok(prior_make(&s, m, i, true));
        assert_true(digest_set(1, &s) == forth[i]);
    }
    prior_maker_free(m);
}

static void check_described(json_t *o, const prior_set *s, int features)
{
    json_t *const graph = json_object_get(o, "graph");
    int columns = 0, ys = 0;

    assert_int_equal(json_array_size(graph), json_integer_value(json_object_get(o, "computed")));
    for (size_t i = 0; i < json_array_size(graph); i++) {
        json_t *const node = json_array_get(graph, i), *const list =
                                                           json_object_get(node, "columns");
        const bool is_root = !json_array_size(json_object_get(node, "parents"));
        assert_true(is_root == !json_object_get(node, "join"));
        assert_true(is_root == !!json_object_get(node, "points"));
        json_t *const functions = json_object_get(node, "functions");
        assert_true(json_array_size(functions) >= 1);
        for (size_t k = 0; k < json_array_size(functions); k++)
            assert_true(json_is_string(json_object_get(json_array_get(functions, k), "function")));
        for (size_t k = 0; k < json_array_size(list); k++) {
            json_t *const c = json_array_get(list, k);
            const int column = (int)json_integer_value(json_object_get(c, "column"));
            columns += column >= 0;
            ys += column < 0;
            if (column < 0)
                assert_int_equal(json_integer_value(json_object_get(c, "levels")), s->classes);
        }
    }
    assert_int_equal(columns, features);
    assert_int_equal(ys, 1);
}

void test_graph_scm__describes_its_graph(void **state)
{
    prior_config c = config_of("v2-clf-stage1");
    prior_maker *m;
    prior_set s;

    (void)state;
    c.max_seq = 200;
    c.min_features = c.max_features = 12;
    assert_ok(prior_maker_new(&m, &c));
    for (int i = 0; i < 24; i++) { /* in full, and as files have it */
        const bool in_full = i % 2;
        json_error_t where;
        assert_ok(prior_make(&s, m, i, in_full));
        json_t *o = json_loadb(s.structure, s.structure_len, 0, &where);
        if (!o) fail_msg("%d: %s: %.80s", i, where.text, s.structure + where.position);
        check_described(o, &s, 12);
        json_decref(o);
        assert_true(in_full || !strstr(s.structure, "\"matrix\""));
        assert_true(in_full || s.structure_len <= (size_t)prior_text_bytes(&c));
    }
    prior_maker_free(m);
}

/* What post-processing and the filters promise. */
void test_graph_scm__emits_standardised_columns_and_labels(void **state)
{
    prior_config c = config_of("v2-clf-stage1");
    prior_maker *m;
    prior_set s;
    int categorical = 0;

    (void)state;
    assert_ok(prior_maker_new(&m, &c));
    for (int i = 0; i < 12; i++) {
        assert_ok(prior_make(&s, m, i, false));
        assert_true(s.features >= 1 && s.features <= 100 && s.classes >= 2 && s.classes <= 10);
        for (int j = 0; j < s.features; j++) {
            double mean = 0, var = 0;
            for (int r = 0; r < s.rows; r++) mean += (double)s.x[j * s.rows + r] / (double)s.rows;
            for (int r = 0; r < s.rows; r++)
                var += pow((double)s.x[j * s.rows + r] - mean, 2) / (double)(s.rows - 1);
            /* rounding and clipping take from where nearly all values are equal */
            assert_true(fabs(mean) < 0.5 && var < 1.001);
            assert_true(s.levels[j] >= 0 && s.levels[j] <= 9);
            categorical += s.levels[j] > 0;
        }
        for (int r = 0; r < s.rows; r++)
            assert_true(s.y[r] == floorf(s.y[r]) && s.y[r] >= 0 && s.y[r] < (float)s.classes);
        assert_true(prior_labels_agree(s.y, s.rows, s.train_rows, s.classes));
    }
    assert_true(categorical > 25);
    prior_maker_free(m);
}

/* Categorical columns take no more values than levels. */
void test_graph_scm__emits_levels_as_such(void **state)
{
    prior_config c = config_of("v2-reg-stage1");
    prior_maker *m;
    prior_set s;

    (void)state;
    c.use_corrected_cat_sizes = true;
    int most = 0;
    assert_ok(prior_maker_new(&m, &c));
    for (int i = 0; i < 12; i++) {
        assert_ok(prior_make(&s, m, i, false));
        for (int j = 0; j < s.features; j++) {
            const float *x = s.x + j * s.rows;
            float seen[200];
            int n = 0;
            if (!s.levels[j]) continue;
            most = s.levels[j] > most ? s.levels[j] : most;
            for (int r = 0; r < s.rows; r++) {
                int k = 0;
                while (k < n && seen[k] != x[r]) k++;
                if (k == n) {
                    assert_true(n < s.levels[j]);
                    seen[n++] = x[r];
                }
            }
        }
    }
    assert_true(most > 9);
    prior_maker_free(m);
}

/* y: 0 nothing to do with x, 1 follows a column, 2 is a column of two values. */
static bool is_rejected(int kind, uint64_t key, prior_reject why, bool regression)
{
    enum { ROWS = 400, COLS = 6 };
    static float x[COLS * ROWS], y[ROWS], noise[ROWS];
    prior_config c = config_of(regression ? "v2-reg-stage1" : "v2-clf-stage1");
    prior_draw draw = draw_init(key, 0);
    prior_try t = {.c = &c, .at = {.rows = ROWS, .classes = regression ? 0 : 3}, .classes = 3};
    const prior_done d = {.features = COLS, .x = x, .y = y};

    c.remove_trivial_datasets = why == PRIOR_REJECT_TRIVIAL;
    t.draw = draw;
    for (int j = 0; j < COLS; j++) draw_normals(&draw, x + j * ROWS, ROWS);
    draw_normals(&draw, noise, ROWS);
    for (int i = 0; i < ROWS && kind == 2; i++)
        x[i] = x[i] > 0 ? 1 : -1; /* any cut hits the step */
    for (int i = 0; i < ROWS; i++) {
        const float v = kind == 0 ? noise[i] : kind == 1 ? x[i] + noise[i] : x[i] > 0 ? 1.0f : 0.0f;
        y[i] = regression || kind == 2 ? v : v < -0.4f ? 0.0f : v < 0.4f ? 1.0f : 2.0f;
    }
    assert_ok(prior_arena_new(&t.arena, 1 << 24));
    assert_ok(prior_filter(&t, &d));
    prior_arena_free(t.arena);
    if (t.is_rejected) assert_int_equal(t.why, why);
    return t.is_rejected;
}

void test_prior_filter__knows_noise_from_signal(void **state)
{
    int noise = 0, signal = 0, trivial = 0;

    (void)state;
    for (uint64_t k = 0; k < 40; k++) {
        noise += is_rejected(0, k, PRIOR_REJECT_FILTER, k % 2);
        signal += is_rejected(1, k, PRIOR_REJECT_FILTER, k % 2);
        trivial += is_rejected(2, k, PRIOR_REJECT_TRIVIAL, k % 2);
    }
    assert_true(noise >= 39); /* trees out of the bag do worse than the mean on noise */
    assert_int_equal(signal, 0);
    assert_int_equal(trivial, 40);
}

/* Every allocation of an attempt may be the one that does not fit: MILL_ENOMEM, nothing worse. */
void test_graph_scm__stops_where_memory_ends(void **state)
{
    prior_config c = config_of("v2-clf-stage1");
    int refused = 0;

    (void)state;
    c.max_seq = 48;
    c.min_features = c.max_features = 9;
    for (int64_t limit = 8 << 10;; limit += 2 << 10) {
        mill_text text = {0};
        prior_try t = {.c = &c, .stride = 48, .structure = &text, .describe = true};
        mill_err err = MILL_ENOMEM;

        prior_place_of(&t.at, &c, 3);
        t.classes = t.at.classes;
        t.draw = draw_init(t.at.set_key, 0);
        assert_ok(prior_arena_new(&t.arena, limit));
        t.x = prior_alloc(t.arena, 9 * t.stride, sizeof *t.x);
        t.y = prior_alloc(t.arena, t.stride, sizeof *t.y);
        t.levels = prior_alloc(t.arena, 9, sizeof *t.levels);
        if (t.x && t.y && t.levels) err = prior_graph_scm(&t);
        prior_arena_free(t.arena);
        text_free(&text);
        if (!err) break;
        assert_int_equal(err, MILL_ENOMEM);
        refused++;
    }
    assert_true(refused > 20);
}
