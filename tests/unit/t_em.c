/* LEVELS
 * t_em.c - EM over more than one unit of rows: the same tables from any number of ranks. */
#include "lib/planted.h"

#include "base/file.h"
#include "rank/rank.h"
#include "synth/em.h"

#include <stdio.h>
#include <string.h>

enum { ROWS = 60000, K = 20, STEPS = 3 };

/* 60,000 rows, seven units and a part: columns of 3, 40 and 2,500 values; the last waits for four
 * units. */
typedef struct {
    mill_pool *pool;
    synth_schema *schema;
    synth_codes *codes;
} fixture;

static void set_up(fixture *f)
{
    static const int values[3] = {3, 40, 2500};
    static const char *const names[3] = {"few", "some", "many"};
    synth_config c = synth_config_default();
    mill_table *t;

    f->pool = planted_pool(2);
    assert_ok(table_new(&t, ROWS, 3));
    for (int j = 0; j < 3; j++) {
        int32_t offset[2501] = {0};
        char text[2500 * 5];
        for (int v = 0; v < values[j]; v++)
            offset[v + 1] = offset[v] + sprintf(text + offset[v], "%d", v);
        assert_ok(column_init(&t->col[j], names[j], MILL_CATEGORY, ROWS));
        assert_ok(column_set_dictionary(&t->col[j], values[j], offset, text));
        for (int64_t i = 0; i < ROWS; i++)
            t->col[j].code[i] = (int32_t)((i % 7 * 5 + i * i % 11) * (j + 1) % values[j]);
    }
    for (int64_t i = 0; i < ROWS; i++) t->col[2].code[i] = (int32_t)(i * 7919 % 5000 % 2500);
    assert_ok(synth_schema_fit(&f->schema, t, &c));
    assert_ok(synth_codes_fit(&f->codes, t, f->schema, &c, f->pool));
    mill_table_free(t);
}

static void tear_down(fixture *f)
{
    synth_codes_free(f->codes);
    synth_schema_free(f->schema);
    mill_pool_free(f->pool);
}

typedef struct {
    const fixture *f;
    uint32_t digest[8]; /* of each rank's tables */
    double likelihood[8];
} shared;

/* Pools are not shared between ranks: each has one thread of its own. */
static mill_err learn(void *ctx, rank_group *g)
{
    shared *s = ctx;
    const int rank = g ? rank_of(g) : 0;
    mill_pool *pool = planted_pool(1);
    em *e;

    assert_ok(em_new(&e, s->f->codes, K, NULL, ROWS, false, pool));
    e->group = g;
    em_start(e, 1);
    for (int i = 0; i < STEPS; i++) TRY(em_step(e));
    s->digest[rank] =
        mill_crc32c(0, e->logp, sizeof(float) * (size_t)e->lanes * (size_t)e->codes->n_codes);
    s->digest[rank] = mill_crc32c(s->digest[rank], e->logw, sizeof(float) * (size_t)e->lanes);
    s->likelihood[rank] = e->log_likelihood;
    em_free(e);
    mill_pool_free(pool);
    return MILL_OK;
}

void test_em__has_the_same_tables_from_any_number_of_ranks(void **state)
{
    fixture f;
    shared alone = {.f = &f};

    (void)state;
    set_up(&f);
    assert_ok(learn(&alone, NULL));
    for (int world = 2; world <= 5; world++) {
        shared s = {.f = &f};
        assert_ok(rank_threads(world, learn, &s, NULL));
        for (int r = 0; r < world; r++) {
            assert_int_equal(s.digest[r], alone.digest[0]);
            assert_true(s.likelihood[r] == alone.likelihood[0]);
        }
    }
    tear_down(&f);
}

void test_em__has_the_same_tables_on_every_level(void **state)
{
    fixture f;
    shared alone = {.f = &f};

    (void)state;
    set_up(&f);
    assert_ok(learn(&alone, NULL));
    assert_int_equal(alone.digest[0], 0xd84f0b68);
    tear_down(&f);
}

/*
 * 200 columns of 2 to 41 values, 70 components in two blocks, all rows but every fifth: chunks of
 * many tiles.  The digest is that of one table row per column and row, in their order.
 */
void test_em__has_the_same_tables_of_many_columns(void **state)
{
    enum { COLUMNS = 200, WIDE_ROWS = 5000, LEARNT = 4000, MANY_K = 70 };
    synth_config c = synth_config_default();
    int32_t offset[42] = {0}, row[LEARNT];
    char text[41 * 3], name[16];
    fixture f = {.pool = planted_pool(1)};
    mill_table *t;

    (void)state;
    for (int v = 0; v < 41; v++) offset[v + 1] = offset[v] + sprintf(text + offset[v], "%d", v);
    for (int i = 0; i < LEARNT; i++) row[i] = i / 4 * 5 + i % 4;
    assert_ok(table_new(&t, WIDE_ROWS, COLUMNS));
    for (int j = 0; j < COLUMNS; j++) {
        const int values = 2 + j % 40;
        sprintf(name, "c%d", j);
        assert_ok(column_init(&t->col[j], name, MILL_CATEGORY, WIDE_ROWS));
        assert_ok(column_set_dictionary(&t->col[j], values, offset, text));
        for (int64_t i = 0; i < WIDE_ROWS; i++)
            t->col[j].code[i] = (int32_t)((i * 7919 + i % 5 * j + i * i % 13) % values);
    }
    assert_ok(synth_schema_fit(&f.schema, t, &c));
    assert_ok(synth_codes_fit(&f.codes, t, f.schema, &c, f.pool));
    mill_table_free(t);
    for (int threads = 1; threads <= 7; threads += 3) {
        mill_pool *pool = planted_pool(threads);
        em *e;
        assert_ok(em_new(&e, f.codes, MANY_K, row, LEARNT, false, pool));
        em_start(e, 1);
        for (int i = 0; i < STEPS; i++) assert_ok(em_step(e));
        assert_int_equal(
            mill_crc32c(0, e->logp, sizeof(float) * (size_t)e->lanes * (size_t)e->codes->n_codes),
            0xd74beaa6);
        em_free(e);
        mill_pool_free(pool);
    }
    tear_down(&f);
}
