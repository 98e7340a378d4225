/* t_prior_files.c - shards give back the data sets that were made, and refuse what was damaged. */
#include "lib/test.h"

#include "base/mem.h"
#include "prior/run.h"
#include "prior/shard.h"

#include <unistd.h>

static char dir[64], path[PRIOR_PATH];

static prior_config small(void)
{
    prior_config c = prior_config_default();

    c.prior = "dummy";
    c.max_features = 5;
    c.max_seq = 40;
    c.min_seq = 20;
    c.batch_size = 4;
    c.min_train_size = c.max_train_size = 0.5;
    c.max_classes = 3;
    c.seed = 7;
    return c;
}

static bool in_folders; /* npy */

static void write_unit(prior_unit *u, const prior_config *c, const prior_format *f, int64_t unit,
                       int64_t first, int64_t count)
{
    prior_maker *maker;
    prior_sink s;
    prior_set set;

    snprintf(dir, sizeof dir, "/tmp/t_prior_files-%d", (int)getpid());
    assert_ok(file_mkdir(dir));
    assert_ok(prior_maker_new(&maker, c));
    assert_ok(prior_sink_open(&s, f, c, dir));
    s.folders = in_folders;
    assert_ok(prior_sink_begin(&s, unit, first, count));
    for (int64_t k = 0; k < count; k++) {
        assert_ok(prior_make(&set, maker, first + k, false));
        assert_ok(prior_sink_add(&s, &set));
    }
    assert_ok(prior_sink_end(&s));
    *u = s.unit;
    assert_true(f->path(path, &s, u, 0));
    prior_sink_close(&s);
    prior_maker_free(maker);
}

static void same_set(const prior_set *a, const prior_set *b)
{
    assert_int_equal(a->index, b->index);
    assert_int_equal(a->rows, b->rows);
    assert_int_equal(a->train_rows, b->train_rows);
    assert_int_equal(a->features, b->features);
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->classes, b->classes);
    assert_int_equal(a->attempts, b->attempts);
    assert_true(a->imbalance == b->imbalance);
    assert_string_equal(a->kind, b->kind);
    assert_memory_equal(a->x, b->x, (size_t)(a->rows * a->features) * sizeof *a->x);
    assert_memory_equal(a->y, b->y, (size_t)a->rows * sizeof *a->y);
    assert_memory_equal(a->levels, b->levels, (size_t)a->features * sizeof *a->levels);
    assert_int_equal(a->structure_len, b->structure_len);
    assert_memory_equal(a->structure, b->structure, a->structure_len);
}

void test_shard__gives_back_every_data_set(void **state)
{
    const prior_config c = small();
    prior_maker *maker;
    prior_set made, read;
    prior_unit u;
    shard s;

    (void)state;
    write_unit(&u, &c, &prior_shards, 0, 3, 9);
    assert_ok(prior_maker_new(&maker, &c));
    assert_ok(shard_open(&s, path));
    assert_int_equal(s.count, 9);
    assert_int_equal(s.first, 3);
    for (int64_t k = 0; k < 9; k++) {
        assert_ok(prior_make(&made, maker, 3 + k, false));
        assert_ok(shard_read(&read, &s, k));
        same_set(&made, &read);
        assert_int_equal((uintptr_t)read.x % 64, 0);
    }
    shard_close(&s);
    prior_maker_free(maker);
    assert_ok(file_remove_tree(dir));
}

void test_shard__is_refused_with_any_byte_changed(void **state)
{
    const prior_config c = small();
    prior_unit u;
    char *text;
    size_t len;
    shard s;

    (void)state;
    write_unit(&u, &c, &prior_shards, 0, 0, 4);
    assert_ok(file_read_all(&text, &len, path));
    assert_int_equal(len, u.bytes);
    assert_int_equal(mill_crc32c(0, text, len - 8), u.crc);
    for (size_t at = 0; at < len; at += 97) {
        text[at] ^= 4;
        assert_ok(file_write_all(path, text, len));
        assert_int_not_equal(shard_open(&s, path), MILL_OK);
        text[at] ^= 4;
    }
    assert_ok(file_write_all(path, text, len - 1));
    assert_fails(MILL_EINPUT, "cut short", shard_open(&s, path));
    mill_free(text);
    assert_ok(file_remove_tree(dir));
}

/* The store's own file of numbers is no shard. */
void test_shard__is_told_from_other_mill_files(void **state)
{
    store_writer *w;
    shard s;

    (void)state;
    snprintf(path, sizeof path, "/tmp/t_prior_files-%d.mill", (int)getpid());
    assert_ok(store_writer_new(&w));
    assert_ok(store_writer_commit(w, path, NULL));
    store_writer_free(w);
    assert_fails(MILL_EINPUT, "no data sets", shard_open(&s, path));
    assert_ok(file_remove(path));
}

void test_formats__say_the_bytes_and_checksum_of_their_files(void **state)
{
    static const prior_format *const format[] = {&prior_shards, &prior_pt, &prior_npy};
    const prior_config c = small();

    (void)state;
    for (int f = 0; f < 3; f++) {
        const prior_sink s = {.format = format[f], .config = &c, .dir = dir};
        uint32_t crc = 0;
        int64_t bytes = 0;
        prior_unit u;

        write_unit(&u, &c, format[f], 1, 4, 4);
        for (int64_t k = 0; format[f]->path(path, &s, &u, k); k++) {
            char *text;
            size_t len;
            assert_ok(file_read_all(&text, &len, path));
            crc = mill_crc32c(crc, text, len - (size_t)format[f]->tail);
            bytes += (int64_t)len;
            mill_free(text);
        }
        assert_int_equal(bytes, u.bytes);
        assert_int_equal(crc, u.crc);
        assert_ok(file_remove_tree(dir));
    }
}

/* Ids from 1, ten thousand to a folder; a run of that length itself is in tests/cli/prior.sh. */
void test_npy__lies_in_folders_above_100000(void **state)
{
    static const struct {
        int64_t first;
        const char *file[2]; /* the first and the last of 100 */
    } unit[] = {
        {0, {"0000/episode_000001_X.npy", "0000/episode_000100_y.npy"}},
        {9900, {"0000/episode_009901_X.npy", "0000/episode_010000_y.npy"}},
        {10000, {"0001/episode_010001_X.npy", "0001/episode_010100_y.npy"}},
        {1000000, {"0100/episode_1000001_X.npy", "0100/episode_1000100_y.npy"}},
    };
    const prior_config c = small();

    (void)state;
    assert_false(prior_folders_for(&prior_npy, 100000));
    assert_true(prior_folders_for(&prior_npy, 100001));
    assert_false(prior_folders_for(&prior_shards, 100001));
    in_folders = true;
    for (size_t k = 0; k < sizeof unit / sizeof *unit; k++) {
        prior_unit u;

        write_unit(&u, &c, &prior_npy, unit[k].first / 100, unit[k].first, 100);
        for (int i = 0; i < 2; i++) {
            assert_ok(prior_path(path, dir, unit[k].file[i]));
            assert_true(file_exists(path));
        }
    }
    in_folders = false;
    assert_ok(file_remove_tree(dir));
}

/* 64 MiB at the largest size, a power of two; small data sets by many. */
void test_shard__size_follows_from_the_configuration(void **state)
{
    prior_config c = prior_config_default();

    (void)state;
    assert_int_equal(prior_shards.unit_size(&c), 128);
    c.max_seq = 60000;
    assert_int_equal(prior_shards.unit_size(&c), 2);
    c.seq_len_per_gp = true; /* fewer columns where there are more rows: 20,000 * 80 at most */
    assert_int_equal(prior_shards.unit_size(&c), 8);
    c.max_seq = 100; /* what waits for a shard's end is bounded, too */
    c.max_features = 10;
    assert_int_equal(prior_shards.unit_size(&c), 4096);
}

void test_rows__are_padded_with_zeros(void **state)
{
    float x[] = {1, 2, 3, 4, 5, 6}, out[8];
    const prior_set set = {.rows = 3, .features = 2, .x = x};
    const float want[] = {2, 5, 0, 0, 3, 6, 0, 0};

    (void)state;
    prior_fill_rows(out, &set, 1, 2, 4);
    assert_memory_equal(out, want, sizeof want);
}
