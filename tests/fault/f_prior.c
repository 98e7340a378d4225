/* f_prior.c - an allocation, a write or a rename that fails leaves nothing half written and no
 * leak. */
#include "lib/test.h"

#include "base/mem.h"
#include "prior/shard.h"

#include <unistd.h>

static const prior_format *const formats[] = {&prior_shards, &prior_pt, &prior_npy};
static char dir[64];

static prior_config small(void)
{
    prior_config c = prior_config_default();

    c.prior = "dummy";
    c.max_features = 3;
    c.max_seq = 20;
    c.max_classes = 2;
    c.min_train_size = c.max_train_size = 0.5;
    c.batch_size = 4;
    return c;
}

static mill_err write_unit(const prior_config *c, const prior_format *f, prior_maker *maker)
{
    prior_sink s = {0};
    prior_set set;
    mill_err err = prior_sink_open(&s, f, c, dir);

    if (!err) err = prior_sink_begin(&s, 0, 0, 4);
    for (int k = 0; k < 4 && !err; k++)
        if (!(err = prior_make(&set, maker, k, false))) err = prior_sink_add(&s, &set);
    if (!err) err = prior_sink_end(&s);
    prior_sink_close(&s);
    return err;
}

static int count_temporaries(void)
{
    char **names;
    int n, found = 0;

    assert_ok(file_list(&names, &n, dir));
    for (int i = 0; i < n; i++) found += strstr(names[i], ".tmp") != NULL;
    mill_free(names);
    return found;
}

static int64_t live_blocks(void)
{
    mill_mem_stats stats;

    mill_mem_get_stats(&stats);
    return stats.live;
}

/* arm(n) prepares the n-th operation; until a unit is written without it. */
static void sweep(const prior_format *f, void (*arm)(int64_t n))
{
    const prior_config c = small();
    prior_maker *maker;
    prior_set set;
    int64_t n = 1;

    snprintf(dir, sizeof dir, "/tmp/f_prior-%d", (int)getpid());
    assert_ok(file_mkdir(dir));
    assert_ok(prior_maker_new(&maker, &c));
    assert_ok(prior_make(&set, maker, 0, false)); /* its memory is there */
    for (;; n++) {
        const int64_t before = live_blocks();
        arm(n);
        const mill_err err = write_unit(&c, f, maker);
        arm(0);
        assert_int_equal(live_blocks(), before);
        assert_int_equal(count_temporaries(), 0);
        if (!err) break;
        assert_true(strlen(mill_error()) > 0);
    }
    assert_true(n > 1); /* something did fail */
    prior_maker_free(maker);
    assert_ok(file_remove_tree(dir));
}

static void fail_write(int64_t n)
{
    mill_file_fail_at(FILE_OP_WRITE, n);
}

static void fail_rename(int64_t n)
{
    mill_file_fail_at(FILE_OP_RENAME, n);
}

void test_prior_files__survive_every_allocation_that_fails(void **state)
{
    (void)state;
    for (int f = 0; f < 3; f++) sweep(formats[f], mill_mem_fail_at);
}

void test_prior_files__survive_every_write_that_fails(void **state)
{
    (void)state;
    for (int f = 0; f < 3; f++) sweep(formats[f], fail_write);
}

void test_prior_files__survive_every_rename_that_fails(void **state)
{
    (void)state;
    for (int f = 0; f < 3; f++) sweep(formats[f], fail_rename);
}
