/* LEVELS QEMU
 * t_synth_golden.c - a mixture's bytes: the same from any number of threads and at every level. */
#include "lib/planted.h"

/* Made by this program.  They change when the formulas do, and then the commit says why. */
#define GOLDEN_MODEL "4982266e4d99f0a0c06aeb077cd0a392"
#define GOLDEN_ROWS  0xafe3f032u

static uint32_t digest(const mill_table *t)
{
    uint32_t crc = 0;
    for (int j = 0; j < t->n_cols; j++) {
        const mill_column *c = &t->col[j];
        const size_t size = column_has_codes(c) ? sizeof(int32_t) : sizeof(int64_t);
        crc = mill_crc32c(crc, c->i64, (size_t)t->rows * size);
        for (int64_t i = 0; i < t->rows; i++) {
            const bool valid = column_is_valid(c, i);
            crc = mill_crc32c(crc, &valid, 1);
        }
    }
    return crc;
}

/* The same digests from 1, 2 and 7 threads and, since the runner goes through the levels, from v3
 * and v4. */
void test_mixture__has_the_same_bytes_everywhere(void **state)
{
    static const int threads[] = {1, 2, 7};
    mill_table *t = planted_table(5003);
    synth_config c = synth_config_default();

    (void)state;
    c.components = 37; /* three times 16 lanes, not full */
    c.iterations = 7;
    c.seed = 5;
    for (int i = 0; i < 3; i++) {
        mill_pool *pool = planted_pool(threads[i]);
        synth_model *m = planted_model(t, c, pool);
        mill_table *d = planted_sample(m, 3001, 9, NULL);
        char hash[33];
        assert_ok(store_hash(hash, m->file));
        assert_string_equal(hash, GOLDEN_MODEL);
        assert_int_equal(digest(d), GOLDEN_ROWS);
        mill_table_free(d);
        synth_model_close(m);
        mill_pool_free(pool);
    }
    mill_table_free(t);
}

/* 150 columns take 226 random words a row: two tiles of them, whose bytes are those of one. */
void test_mixture__has_the_same_rows_of_many_columns(void **state)
{
    enum { ROWS = 600, COLUMNS = 150, GOLDEN_WIDE = 0x3051955e };
    static const int32_t offset[] = {0, 1, 2, 3};
    mill_pool *pool = planted_pool(2);
    synth_config c = synth_config_default();
    mill_table *t;
    char name[16];

    (void)state;
    assert_ok(table_new(&t, ROWS, COLUMNS));
    for (int j = 0; j < COLUMNS; j++) {
        sprintf(name, "c%d", j);
        assert_ok(column_init(&t->col[j], name, j % 2 ? MILL_CATEGORY : MILL_INTEGER, ROWS));
        if (j % 2) assert_ok(column_set_dictionary(&t->col[j], 3, offset, "abc"));
        for (int64_t i = 0; i < ROWS; i++) {
            if (j % 2)
                t->col[j].code[i] = (int32_t)((i * (j + 3) + i * i % 7) % 3);
            else
                t->col[j].i64[i] = i * (7 + j) % 1009;
        }
    }
    c.components = 3;
    c.iterations = 2;
    synth_model *m = planted_model(t, c, pool);
    mill_table *d = planted_sample(m, 3001, 9, NULL);
    assert_int_equal(digest(d), GOLDEN_WIDE);
    mill_table_free(d);
    synth_model_close(m);
    mill_table_free(t);
    mill_pool_free(pool);
}
