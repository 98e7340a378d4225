/* t_prior_run.c - a run's files are a function of its manifest alone: workers, faults, resumes. */
#include "lib/test.h"

#include "base/mem.h"
#include "prior/check.h"

#include <unistd.h>

static char dirs[3][64];

static prior_config small(void)
{
    prior_config c = prior_config_default();

    c.prior = "dummy";
    c.max_features = 4;
    c.max_seq = 30;
    c.max_classes = 2;
    c.min_train_size = 0.4;
    c.max_train_size = 0.6;
    c.batch_size = 8;
    c.seed = 3;
    return c;
}

static prior_run_options options(const prior_config *c, const prior_format *f, int which)
{
    const char *where = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm"; /* where fsync is nothing */

    snprintf(dirs[which], sizeof dirs[which], "%s/t_prior_run-%d-%d", where, (int)getpid(), which);
    return (prior_run_options){.config = c,
                               .format = f,
                               .dir = dirs[which],
                               .n = 210,
                               .inner = 1,
                               .workers = 1,
                               .quiet = true,
                               .version = "test"};
}

static void clean(void)
{
    for (int k = 0; k < 3; k++)
        if (*dirs[k]) assert_ok(file_remove_tree(dirs[k]));
}

/* All files of both but run/. */
static void same_folders(const char *a, const char *b)
{
    char command[300];

    snprintf(command, sizeof command, "diff -r -x run %s %s", a, b);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c) */
}

static const prior_format *const formats[] = {&prior_shards, &prior_pt, &prior_npy};

/* Of data sets on both sides of a unit's end there are two units at least. */
static void begin_in_a_unit(prior_run_options *o)
{
    o->first = o->format->unit_size(o->config) - 2;
}

void test_run__has_the_same_bytes_for_any_workers_and_inner(void **state)
{
    const prior_config c = small();
    prior_run_result r;

    (void)state;
    for (int f = 0; f < 3; f++) {
        prior_run_options o = options(&c, formats[f], 0);
        begin_in_a_unit(&o);
        assert_int_equal(prior_run_workers(&o), 1);
        assert_ok(prior_run(&r, &o));
        assert_int_equal(r.made, 210);
        o = options(&c, formats[f], 1);
        begin_in_a_unit(&o);
        o.workers = 3;
        o.inner = 5;
        assert_in_range(prior_run_workers(&o), 2, 3);
        assert_ok(prior_run(&r, &o));
        same_folders(dirs[0], dirs[1]);
        clean();
    }
}

void test_run__goes_on_after_any_failed_operation(void **state)
{
    static const int64_t at[] = {2, 9, 40};
    const prior_config c = small();
    prior_run_result r;

    (void)state;
    for (int f = 0; f < 3; f++) {
        prior_run_options o = options(&c, formats[f], 0);
        o.n = 110;
        assert_ok(prior_run(&r, &o));
        for (int op = FILE_OP_WRITE; op < FILE_N_OP; op++) {
            for (int k = 0; k < 3; k++) {
                o = options(&c, formats[f], 1);
                o.n = 110;
                mill_file_fail_at((file_op)op, at[k]);
                const mill_err err = prior_run(&r, &o);
                mill_file_fail_at((file_op)op, 0);
                assert_true(err || r.made == 110);
                o.resume = true;
                assert_ok(prior_run(&r, &o));
                assert_int_equal(r.made, 110);
                same_folders(dirs[0], dirs[1]);
                assert_ok(file_remove_tree(dirs[1]));
            }
        }
        clean();
    }
}

void test_run__is_extended_to_what_a_longer_one_makes(void **state)
{
    const prior_config c = small();
    prior_run_result r;

    (void)state;
    for (int f = 0; f < 3; f++) {
        prior_run_options o = options(&c, formats[f], 0);
        o.n = 333; /* units are cut in the middle, at both ends */
        o.first = 37;
        assert_ok(prior_run(&r, &o));
        o = options(&c, formats[f], 1);
        o.n = 130;
        o.first = 37;
        assert_ok(prior_run(&r, &o));
        o.n = 333;
        assert_fails(MILL_EINPUT, "--resume", prior_run(&r, &o));
        o.resume = true;
        assert_ok(prior_run(&r, &o));
        same_folders(dirs[0], dirs[1]);
        o.n = 130;
        assert_fails(MILL_EINPUT, "333 or more", prior_run(&r, &o));
        clean();
    }
}

void test_run__refuses_another_configuration_with_the_difference(void **state)
{
    prior_config c = small();
    prior_run_result r;
    prior_run_options o = options(&c, &prior_shards, 0);

    (void)state;
    assert_ok(prior_run(&r, &o));
    o.resume = true;
    c.max_classes = 3;
    assert_fails(MILL_EINPUT, "max-classes was 2, is 3", prior_run(&r, &o));
    c = small();
    o.format = &prior_pt;
    assert_fails(MILL_EINPUT, "format was \"shards\", is \"pt\"", prior_run(&r, &o));
    o.format = &prior_shards;
    o.first = 1;
    assert_fails(MILL_EINPUT, "first was 0, is 1", prior_run(&r, &o));
    o.first = 0;
    assert_ok(prior_run(&r, &o));
    assert_int_equal(r.made_now, 0);
    clean();
}

void test_run__makes_again_what_was_lost(void **state)
{
    const prior_config c = small();
    prior_run_result r;
    prior_run_options o = options(&c, &prior_pt, 0), other = options(&c, &prior_pt, 1);
    char path[128];

    (void)state;
    assert_ok(prior_run(&r, &o));
    assert_ok(prior_run(&r, &other));
    snprintf(path, sizeof path, "%s/batch_000003.pt", dirs[1]);
    assert_ok(file_remove(path));
    snprintf(path, sizeof path, "%s/batch_000005.pt", dirs[1]);
    assert_ok(file_write_all(path, "short", 5));
    snprintf(path, sizeof path, "%s/index/batch_000007.jsonl", dirs[1]);
    assert_ok(file_remove(path));
    other.resume = true;
    assert_ok(prior_run(&r, &other));
    assert_int_equal(r.made_now, 24);
    same_folders(dirs[0], dirs[1]);
    clean();
}

/* Files that are not synced may have the right length and no content after a power failure. */
void test_run__reads_flat_files_again_after_a_restart_of_the_machine(void **state)
{
    const prior_config c = small();
    prior_run_result r;
    prior_run_options o = options(&c, &prior_npy, 0), other = options(&c, &prior_npy, 1);
    char path[128], *text;
    size_t len;

    (void)state;
    assert_ok(prior_run(&r, &o));
    assert_ok(prior_run(&r, &other));
    snprintf(path, sizeof path, "%s/episode_000150_X.npy", dirs[1]);
    assert_ok(file_read_all(&text, &len, path));
    memset(text, 0, len);
    assert_ok(file_write_all(path, text, len));
    mill_free(text);
    snprintf(path, sizeof path, "%s/run/boot", dirs[1]);
    assert_ok(file_write_all(path, "another\n", 8));
    other.resume = true;
    prior_folder stopped; /* a resume that ends before it has made anything */
    assert_ok(folder_open(&stopped, &other));
    folder_close(&stopped);
    assert_ok(prior_run(&r, &other));
    assert_int_equal(r.made_now, 100);
    same_folders(dirs[0], dirs[1]);
    clean();
}

static int n_bad;
static void count_bad(const char *line)
{
    (void)line;
    n_bad++;
}

void test_check__finds_a_changed_byte(void **state)
{
    static const struct {
        const prior_format *format;
        const char *name;
    } file[] = {{&prior_shards, "shard_000000.mill"},        {&prior_pt, "batch_000001.pt"},
                {&prior_pt, "index/batch_000001.jsonl"},     {&prior_npy, "episode_000007_y.npy"},
                {&prior_npy, "index/episodes_000000.jsonl"}, {&prior_npy, "episode_000200_X.csv"}};
    const prior_config c = small();
    prior_run_result r;
    prior_checked found;
    char path[128], *text;
    size_t len;

    (void)state;
    for (size_t k = 0; k < sizeof file / sizeof *file; k++) {
        prior_run_options o = options(&c, file[k].format, 0);
        o.csv = file[k].format == &prior_npy;
        assert_ok(prior_run(&r, &o));
        assert_ok(prior_check(&found, dirs[0], 2, count_bad));
        assert_int_equal(found.sets, 210);
        snprintf(path, sizeof path, "%s/%s", dirs[0], file[k].name);
        assert_ok(file_read_all(&text, &len, path));
        text[len / 2] ^= 1;
        assert_ok(file_write_all(path, text, len));
        mill_free(text);
        n_bad = 0;
        assert_fails(MILL_EINPUT, "damaged", prior_check(&found, dirs[0], 0, count_bad));
        assert_int_equal(n_bad, 1);
        clean();
    }
}

static int64_t n_told;
static mill_err count_told(void *ctx, const prior_set *set)
{
    (void)ctx;
    (void)set;
    n_told++;
    return MILL_OK;
}

void test_each__tells_of_lines_that_are_not_there(void **state)
{
    const prior_config c = small();
    prior_run_result r;
    prior_run_options o = options(&c, &prior_pt, 0);
    char path[128], *text;
    size_t len;

    (void)state;
    assert_ok(prior_run(&r, &o));
    assert_ok(prior_each(dirs[0], count_told, NULL));
    assert_int_equal(n_told, 210);
    snprintf(path, sizeof path, "%s/index/batch_000002.jsonl", dirs[0]);
    assert_ok(file_read_all(&text, &len, path));
    char *end = text;
    for (int k = 0; k < 5; k++) end = strchr(end, '\n') + 1;
    assert_ok(file_write_all(path, text, (size_t)(end - text)));
    assert_fails(MILL_EINPUT, "index/batch_000002.jsonl:6: is not the line of data set 21",
                 prior_each(dirs[0], count_told, NULL));
    text[len - 1] = 0;
    *strrchr(text, '\n') = ' '; /* two lines become one */
    text[len - 1] = '\n';
    assert_ok(file_write_all(path, text, len));
    assert_fails(MILL_EINPUT, "batch_000002.jsonl:7: is not",
                 prior_each(dirs[0], count_told, NULL));
    mill_free(text);
    clean();
}

/* Files that another program's rules have made are what making them again must give. */
void test_check__finds_data_of_another_seed(void **state)
{
    prior_config c = small();
    prior_run_result r;
    prior_checked found;
    prior_run_options o = options(&c, &prior_npy, 0), other = options(&c, &prior_npy, 1);
    char path[128], *text;
    size_t len;

    (void)state;
    assert_ok(prior_run(&r, &o));
    c.seed = 4;
    assert_ok(prior_run(&r, &other));
    snprintf(path, sizeof path, "%s/manifest.json", dirs[0]);
    assert_ok(file_read_all(&text, &len, path));
    snprintf(path, sizeof path, "%s/manifest.json", dirs[1]);
    assert_ok(file_write_all(path, text, len));
    mill_free(text);
    n_bad = 0;
    assert_fails(MILL_EINPUT, "damaged", prior_check(&found, dirs[1], 1, count_bad));
    assert_int_equal(n_bad, 1);
    clean();
}

void test_run__exports_to_what_a_run_of_that_format_makes(void **state)
{
    const prior_config c = small();
    prior_run_result r;
    prior_run_options o = options(&c, &prior_shards, 0);

    (void)state;
    assert_ok(prior_run(&r, &o));
    for (int f = 1; f < 3; f++) {
        o = options(&c, formats[f], 1);
        assert_ok(prior_run(&r, &o));
        o = options(&c, formats[f], 2);
        o.from = dirs[0];
        assert_ok(prior_run(&r, &o));
        same_folders(dirs[1], dirs[2]);
        assert_ok(file_remove_tree(dirs[1]));
        assert_ok(file_remove_tree(dirs[2]));
    }
    clean();
}

/* The promise of a worker at up to 1,024 rows and 100 features; three quarters are v1's weights. */
void test_run__takes_less_than_256_MiB_a_worker(void **state)
{
    static const char *const priors[] = {"mix_scm", "graph_scm", "dummy"};
    static const int rows[] = {10, 100, 300, 1024}, features[] = {2, 10, 30, 100};

    (void)state;
    for (int k = 0; k < 3 * 3 * 16; k++) {
        prior_config c = prior_config_default();
        c.prior = priors[k / 3 % 3];
        c.max_seq = rows[k / 9 % 4];
        c.max_features = features[k / 36];
        const prior_run_options o = options(&c, formats[k % 3], 0);
        assert_in_range(prior_run_memory(&o), 1 << 20, 256 << 20);
    }
}

void test_run__is_refused_above_the_memory_limit(void **state)
{
    const prior_config c = small();
    prior_run_result r;
    prior_run_options o = options(&c, &prior_pt, 0);

    (void)state;
    o.memory_limit = prior_run_memory(&o) * 2 - 1;
    o.workers = 2;
    assert_fails(MILL_EINPUT, "--memory-limit", prior_run(&r, &o));
    o.memory_limit++;
    assert_ok(prior_run(&r, &o));
    clean();
}
