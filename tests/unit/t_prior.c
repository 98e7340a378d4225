/* LEVELS QEMU
 * t_prior.c - what all priors share: options, sizes, post-processing, labels, the accept test. */
#include "lib/test.h"

#include "base/cpu.h"
#include "base/mem.h"
#include "prior/inner.h"

#include <math.h>

static prior_config small_config(const char *prior)
{
    prior_config c = prior_config_default();

    assert_ok(mill_cpu_init());
    c.prior = prior;
    c.max_seq = 200;
    c.max_features = 20;
    c.seed = 7;
    return c;
}

void test_prior_config__goes_to_json_and_back(void **state)
{
    prior_config c = small_config("graph_scm"), d = prior_config_default();
    json_t *o, *again;

    (void)state;
    c.seed = UINT64_MAX - 5;
    c.max_train_size = 0.7;
    c.graph_noise = true;
    c.fct_types = "tabpfnv2";
    assert_ok(prior_config_json(&o, &c));
    assert_ok(prior_config_read(&d, o));
    assert_ok(prior_config_json(&again, &d));
    assert_true(json_equal(o, again));
    assert_int_equal(d.seed, c.seed);
    assert_string_equal(d.fct_types, "tabpfnv2");
    assert_null(json_object_get(o, "compat")); /* an option of v1 */
    json_decref(o);
    json_decref(again);
}

void test_prior_config__refuses_what_does_not_go_together(void **state)
{
    prior_config c = small_config("dummy");

    (void)state;
    assert_ok(prior_config_check(&c));
    c.max_features = 1; /* it has no least number of features */
    assert_ok(prior_config_check(&c));
    c = small_config("mlp_scm");
    c.min_features = 30;
    assert_fails(MILL_EINPUT, "min-features is 30", prior_config_check(&c));
    c.min_features = 2;
    c.min_seq = 5; /* 2.5 times 2: 4, halves to even */
    c.seq_lens_multiple_of = 2;
    c.max_classes = 5;
    assert_fails(MILL_EINPUT, "5 classes are more than 4 rows", prior_config_check(&c));
    c.min_seq = 500;
    c.max_seq = 501;
    c.seq_lens_multiple_of = 1000;
    assert_fails(MILL_EINPUT, "seq-lens-multiple-of 1000 leaves 0 of 500 rows",
                 prior_config_check(&c));
    c = small_config("dummy");
    c.max_classes = 201;
    assert_fails(MILL_EINPUT, "more than 200 rows", prior_config_check(&c));
    c = small_config("dummy");
    c.min_imbalance_ratio = c.max_imbalance_ratio = 0.5;
    assert_fails(MILL_EINPUT, "from 1 up", prior_config_check(&c));
    c.min_imbalance_ratio = c.max_imbalance_ratio = 1e5;
    assert_fails(MILL_EINPUT, "fewer than two of 200 rows", prior_config_check(&c));
    c = small_config("dummy");
    c.min_train_size = c.max_train_size = 200;
    assert_fails(MILL_EINPUT, "no test row", prior_config_check(&c));
    c = small_config("dummy");
    c.min_imbalance_ratio = c.max_imbalance_ratio = 2;
    c.max_classes = 19;
    c.min_train_size = 0.09;
    assert_fails(MILL_EINPUT, "18 training rows of 200 are fewer than 19 classes",
                 prior_config_check(&c));
    c.min_train_size = 0.5;
    c.max_train_size = 0.91;
    assert_fails(MILL_EINPUT, "18 test rows of 200 are fewer than 19 classes",
                 prior_config_check(&c));
    c.max_train_size = 0.9;
    assert_ok(prior_config_check(&c));
    c = small_config("gmm");
    assert_fails(MILL_EINPUT, "\"gmm\" is none of", prior_config_check(&c));
    c = small_config("graph_scm");
    c.fct_types = "mlp,tre";
    assert_fails(MILL_EINPUT, "\"tre\" is none of", prior_config_check(&c));
    c.fct_types = "mlp,"; /* an empty word is a word that is none of them */
    assert_fails(MILL_EINPUT, "\"\" is none of", prior_config_check(&c));
    assert_fails(MILL_EINPUT, "v2-reg-stage3", prior_recipe(&c, "v3"));
    assert_fails(MILL_EINPUT, "max-seq: from 2", prior_config_set(&c, "max_seq", "1"));
}

/* Sizes belong to the block, or with seq-len-per-gp to the group; features always to the group. */
void test_prior_sizes__belong_to_block_and_group(void **state)
{
    prior_config c = small_config("mix_scm");
    int64_t rows[64];
    int changes = 0;

    (void)state;
    c.min_seq = 50;
    c.batch_size = 8;
    c.batch_size_per_gp = 3; /* groups of 3, 3, 2 */
    for (int i = 0; i < 64; i++) {
        prior_place p, q;
        prior_place_of(&p, &c, i);
        prior_place_of(&q, &c, i / 8 * 8 + i % 8 / 3 * 3);
        rows[i] = p.rows;
        assert_int_equal(rows[i / 8 * 8], p.rows);
        assert_int_equal(q.features, p.features);
        assert_string_equal(q.kind, p.kind);
        assert_in_range(p.rows, 50, 199);
        assert_in_range(p.train_rows, p.rows / 10, p.rows * 9 / 10);
        assert_in_range(p.features, 2, 20);
        if (i && rows[i] != rows[i - 1]) {
            changes++;
            assert_int_equal(i % 8, 0);
        }
    }
    assert_in_range(changes, 6, 7);

    c.seq_len_per_gp = true;
    for (int i = 0; i < 64; i++) {
        prior_place p, q;
        prior_place_of(&p, &c, i);
        prior_place_of(&q, &c, i / 8 * 8 + i % 8 / 3 * 3);
        assert_int_equal(p.rows, q.rows);
    }
}

void test_prior_sizes__equal_bounds_mean_that_value(void **state)
{
    prior_config c = small_config("mlp_scm");
    prior_place p;

    (void)state;
    c.min_seq = c.max_seq = 77;
    c.min_train_size = c.max_train_size = 40;
    c.log_seq = true;
    prior_place_of(&p, &c, 123456789);
    assert_int_equal(p.rows, 77);
    assert_int_equal(p.train_rows, 40);
    assert_int_equal(p.width, 20);
}

void test_prior_sizes__fewer_features_with_many_rows(void **state)
{
    prior_config c = small_config("mlp_scm");
    prior_place p;

    (void)state;
    c.seq_len_per_gp = true;
    c.max_features = 200;
    c.max_seq = 10240;
    prior_place_of(&p, &c, 0);
    assert_int_equal(p.width, 100);
    c.compat = "2.2.0";
    prior_place_of(&p, &c, 0);
    assert_int_equal(p.width, 200);
    c.max_seq = 50001;
    prior_place_of(&p, &c, 0);
    assert_int_equal(p.width, 20);
    c.max_seq = 65001;
    c.max_features = 5;
    prior_place_of(&p, &c, 0);
    assert_int_equal(p.width, 10); /* the official cap, even above the maximum */
}

/* What buffers and files are sized by. */
void test_prior_sizes__stay_within_the_bounds(void **state)
{
    static const int64_t seq[][2] = {
        {0, 64}, {500, 600}, {400, 20001}, {60000, 65000}, {65000, 70000}};
    static const int64_t multiple[] = {1, 70, 1000};
    static const char *const priors[] = {"dummy", "mlp_scm", "graph_scm"};

    (void)state;
    for (int k = 0; k < 5 * 3 * 3 * 2 * 2 * 2; k++) {
        prior_config c = small_config(priors[k / 15 % 3]);
        c.min_seq = seq[k % 5][0];
        c.max_seq = seq[k % 5][1];
        c.seq_lens_multiple_of = multiple[k / 5 % 3];
        c.max_features = k / 45 % 2 ? 100 : 3;
        c.seq_len_per_gp = k / 90 % 2;
        c.replay_small = k / 180 % 2;
        c.batch_size = 1;
        for (int i = 0; i < 100; i++) {
            prior_place p;
            prior_place_of(&p, &c, i);
            assert_in_range(p.rows, 1, prior_most_rows(&c));
            assert_in_range(p.width, p.features, prior_most_width(&c));
            assert_in_range(p.rows * p.width, 1, prior_most_cells(&c));
        }
    }
}

static uint64_t hash_set(const prior_set *s)
{
    uint64_t h = 1469598103934665603u;
    const int64_t n = s->rows * s->features * 4;

    for (int64_t i = 0; i < n; i++) h = (h ^ ((const unsigned char *)s->x)[i]) * 1099511628211u;
    for (int64_t i = 0; i < s->rows * 4; i++)
        h = (h ^ ((const unsigned char *)s->y)[i]) * 1099511628211u;
    return h ^ (uint64_t)s->features;
}

void test_prior_make__does_not_depend_on_what_was_made_before(void **state)
{
    prior_config c = small_config("dummy");
    prior_maker *m;
    prior_set s;
    uint64_t h[20];

    (void)state;
    c.min_seq = 4; /* small and large ones in turn: memory is used again */
    c.max_classes = 4;
    c.batch_size = 1;
    assert_ok(prior_maker_new(&m, &c));
    for (int i = 0; i < 20; i++) {
        assert_ok(prior_make(&s, m, i, false));
        assert_int_equal(s.features, 20);
        assert_true(prior_labels_agree(s.y, s.rows, s.train_rows, s.classes));
        h[i] = hash_set(&s);
    }
    for (int i = 19; i >= 0; i--) {
        assert_ok(prior_make(&s, m, i, true));
        assert_true(h[i] == hash_set(&s));
        assert_true(i == 0 || h[i] != h[i - 1]);
    }
    prior_maker_free(m);
}

void test_prior_make__counts_and_bounds_rejections(void **state)
{
    prior_config c = small_config("dummy");
    prior_maker *m;
    prior_set s;

    (void)state;
    c.max_seq = 6; /* two training rows: accepted if only two of three classes occur, one in four */
    c.min_classes = c.max_classes = 3;
    c.min_train_size = c.max_train_size = 2;
    c.max_attempts = 3;
    assert_ok(prior_maker_new(&m, &c));
    int failures = 0, attempts = 0;
    for (int i = 0; i < 50; i++) {
        if (prior_make(&s, m, i, false) != MILL_OK) {
            assert_non_null(strstr(mill_error(), "none of 3 attempts"));
            assert_non_null(strstr(mill_error(), "3 with other classes in training"));
            failures++;
            continue;
        }
        attempts += s.attempts;
        assert_int_equal(s.rejected[PRIOR_REJECT_LABELS], s.attempts - 1);
    }
    assert_in_range(failures, 5, 49);
    assert_true(attempts > 50 - failures);
    prior_maker_free(m);
}

void test_prior_make__is_refused_above_its_memory(void **state)
{
    prior_arena *a;

    (void)state;
    assert_ok(prior_arena_new(&a, 3 << 20));
    for (int round = 0; round < 3; round++) {
        char *p = prior_alloc(a, 1000, 1), *q = prior_alloc(a, 2 << 20, 1);
        assert_non_null(p);
        assert_non_null(q);
        assert_int_equal((uintptr_t)p % 64 + (uintptr_t)q % 64, 0);
        memset(p, 1, 1000);
        memset(q, 2, 2 << 20);
        assert_int_equal(p[999], 1);
        prior_arena_reset(a);
    }
    assert_null(prior_alloc(a, 4 << 20, 1));
    assert_non_null(strstr(mill_error(), "more than 3145728 bytes"));
    prior_arena_free(a);
}

/* The promise of 256 MiB a worker at up to 1,024 rows and 100 features, and what is taken of it. */
void test_prior_make__keeps_within_the_memory_it_states(void **state)
{
    static const char *const priors[] = {"mlp_scm", "tree_scm", "dummy", "graph_scm"};

    (void)state;
    assert_ok(mill_cpu_init());
    for (size_t k = 0; k < sizeof priors / sizeof *priors; k++) {
        prior_config c = prior_config_default();
        mill_mem_stats stats;
        prior_maker *m;
        prior_set s;

        c.prior = priors[k];
        assert_true(prior_config_memory(&c) <= 256 << 20);
        mill_mem_get_stats(&stats);
        const int64_t before = stats.live_bytes;
        assert_ok(prior_maker_new(&m, &c));
        for (int i = 0; i < 40; i++) {
            assert_ok(prior_make(&s, m, 4 * i, false));
            mill_mem_get_stats(&stats);
            assert_true(stats.live_bytes - before <= prior_config_memory(&c));
        }
        prior_maker_free(m);
        mill_mem_get_stats(&stats);
        assert_int_equal(stats.live_bytes, before);
    }
}

/* Replayed sizes go beyond max-seq. */
void test_prior_make__has_memory_for_what_is_replayed(void **state)
{
    static const char *const priors[] = {"mlp_scm", "tree_scm", "graph_scm"};

    (void)state;
    for (int k = 0; k < 3; k++) {
        prior_config c = small_config(priors[k]);
        prior_maker *m;
        prior_set s;

        c.replay_small = true;
        c.min_seq = 150;
        c.max_features = 2;
        c.batch_size = 1;
        prior_place p = {0};
        while (p.rows < 9000) prior_place_of(&p, &c, p.index + 1);
        assert_ok(prior_maker_new(&m, &c));
        assert_ok(prior_make(&s, m, p.index, false));
        assert_int_equal(s.rows, p.rows);
        prior_maker_free(m);
    }
}

static double moments(double *mean, const double *x, const bool *in, int n)
{
    double sum = 0, squares = 0;
    int rows = 0;

    for (int i = 0; i < n; i++)
        if (in[i]) sum += x[i], rows++;
    *mean = sum / rows;
    for (int i = 0; i < n; i++)
        if (in[i]) squares += (x[i] - *mean) * (x[i] - *mean);
    return fmax(sqrt(squares / (rows - 1)), 1e-6);
}

/* The clamp at four deviations, in two stages, and the standardising, in double. */
static void reference_post(double *x, int n, bool clamp)
{
    bool in[2000];
    double mean, std;

    for (int i = 0; i < n; i++) in[i] = true;
    if (clamp) {
        std = moments(&mean, x, in, n);
        for (int i = 0; i < n; i++) in[i] = fabs(x[i] - mean) <= 4 * std;
        std = moments(&mean, x, in, n);
        for (int i = 0; i < n; i++) x[i] = fmin(fmax(x[i], mean - 4 * std), mean + 4 * std);
        for (int i = 0; i < n; i++) in[i] = true;
    }
    std = moments(&mean, x, in, n);
    for (int i = 0; i < n; i++) x[i] = fmin(fmax((x[i] - mean) / std, -100), 100);
}

void test_prior_post__clamps_and_standardises_as_in_double(void **state)
{
    static const int sizes[] = {2, 3, 15, 16, 17, 63, 64, 65, 200, 1024, 1999};
    prior_draw d = draw_init(3, 0);
    float x[2000], y[2000];
    double z[2000];

    (void)state;
    assert_ok(mill_cpu_init());
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int kind = 0; kind < 4; kind++) {
            const int n = sizes[s];
            draw_normals(&d, x, n);
            if (kind & 1) x[n / 2] = s % 2 ? 1e3f : -1e3f; /* beyond four deviations of the rest */
            for (int i = 0; i < n; i++) x[i] = fmaf(3.0f, x[i], 40.0f);
            for (int i = 0; i < n; i++) z[i] = (double)x[i];
            reference_post(z, n, kind & 2);
            assert_int_equal(prior_post_column(y, x, n, kind & 2), COLUMN_VARIES);
            /* sums of 1999 floats of size 40: 40 * 2^-24 * a few, over a deviation of 3 */
            for (int i = 0; i < n; i++)
                assert_true(fabs((double)y[i] - z[i]) < 1e-5 * (1 + fabs(z[i])));
        }
}

void test_prior_post__tells_constant_and_not_finite_columns(void **state)
{
    float x[100], y[100];

    (void)state;
    assert_ok(mill_cpu_init());
    for (int i = 0; i < 100; i++) x[i] = 0.1f;
    assert_int_equal(prior_post_column(y, x, 100, true), COLUMN_CONSTANT);
    x[97] = NAN;
    assert_int_equal(prior_post_column(y, x, 100, true), COLUMN_NOT_FINITE);
    x[97] = -INFINITY;
    assert_int_equal(prior_post_column(y, x, 100, false), COLUMN_NOT_FINITE);
    x[97] = 0.3f;
    assert_int_equal(prior_post_column(y, x, 100, true), COLUMN_VARIES);
}

/* Counts within one of the geometric shares, the ratio as near as whole rows allow. */
void test_prior_labels__have_the_ratio_that_was_asked_for(void **state)
{
    prior_config c = small_config("dummy");
    prior_maker *m;
    prior_set s;

    (void)state;
    c.max_seq = 1024;
    c.min_classes = 2;
    c.max_classes = 7;
    c.batch_size = 1;
    c.min_imbalance_ratio = 2;
    c.max_imbalance_ratio = 20;
    c.min_train_size = 0.3;
    assert_ok(prior_maker_new(&m, &c));
    for (int i = 0; i < 30; i++) {
        int64_t count[7] = {0}, train[7] = {0};
        prior_place p;

        prior_place_of(&p, &c, i);
        assert_ok(prior_make(&s, m, i, false));
        for (int64_t r = 0; r < s.rows; r++) {
            count[(int)s.y[r]]++;
            train[(int)s.y[r]] += r < s.train_rows;
        }
        int64_t least = s.rows, most = 0;
        for (int k = 0; k < s.classes; k++) {
            const double exact = (double)count[k] * (double)s.train_rows / (double)s.rows;
            assert_true(fabs((double)train[k] - exact) < 1);
            least = count[k] < least ? count[k] : least;
            most = count[k] > most ? count[k] : most;
        }
        assert_in_range(p.ratio * 1000, 2000, 20000);
        assert_true((double)(most - 1) / (double)(least + 1) <= p.ratio);
        assert_true((double)(most + 1) / (double)(least - 1) >= p.ratio);
        assert_true(fabs(s.imbalance - (double)most / (double)least) < 1e-12);
    }
    prior_maker_free(m);
}

/* 36 and 4 rows, 36 of 40 for training: of the small class 3.6, but one must be left to test. */
void test_prior_labels__leave_a_row_of_each_class_to_test(void **state)
{
    prior_config c = small_config("dummy");
    prior_maker *m;
    prior_set s;

    (void)state;
    c.max_seq = 40;
    c.max_classes = 2;
    c.min_imbalance_ratio = c.max_imbalance_ratio = 9;
    c.min_train_size = c.max_train_size = 36;
    c.max_attempts = 1;
    assert_ok(prior_maker_new(&m, &c));
    for (int i = 0; i < 20; i++) {
        assert_ok(prior_make(&s, m, i, false));
        assert_true(s.imbalance == 9);
    }
    prior_maker_free(m);
}

/* 20 rows for 20 classes, the largest of which has a share of 2.5: it gives what the small take. */
void test_prior_labels__leave_a_row_of_each_class_where_there_are_few(void **state)
{
    static const int classes[] = {20, 8, 10}, rows[] = {200, 200, 100};
    prior_set s;

    (void)state;
    for (int k = 0; k < 6; k++) {
        const int n = rows[k / 2];
        prior_config c = small_config("dummy");
        prior_maker *m;

        c.max_seq = n;
        c.min_classes = c.max_classes = classes[k / 2];
        c.min_imbalance_ratio = c.max_imbalance_ratio = 10;
        c.min_train_size = c.max_train_size = n * (k % 2 ? 0.9 : 0.1);
        c.max_attempts = 1;
        assert_ok(prior_maker_new(&m, &c));
        for (int i = 0; i < 20; i++) assert_ok(prior_make(&s, m, i, false));
        prior_maker_free(m);
    }
}
