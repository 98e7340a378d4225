/* t_synth_estimate.c - each term of the mixture's plan of memory; tests/cli/estimate.sh has the sum
 * against real fits. */
#include "lib/planted.h"

#include "synth/probe.h"

enum { ROWS = 10000000, SAMPLE_CHUNK = 1024 };

static const int32_t no_text[1 << 17]; /* a dictionary whose texts are all empty */

static synth_column category(int32_t n_values, int64_t n_missing)
{
    return (synth_column){.type = MILL_CATEGORY,
                          .n_values = n_values,
                          .offset = (int32_t *)no_text,
                          .n_missing = n_missing};
}

static synth_column number(int64_t n_different)
{
    return (synth_column){.type = MILL_REAL, .n_different = n_different};
}

typedef struct {
    int64_t fit, sample;
} bytes;

static bytes plan(synth_column *col, int n, synth_config c, int threads)
{
    const synth_schema s = {.rows = ROWS, .n = n, .col = col};
    bytes b;

    assert_ok(mixture_estimate(&b.fit, &b.sample, &s, &c, threads));
    return b;
}

static synth_config one_component(void)
{
    synth_config c = synth_config_default();

    c.components = 1;
    c.probe_every = 0;
    return c;
}

static bytes plan_of(synth_column col)
{
    return plan(&col, 1, one_component(), 1);
}

void test_estimate__a_table_takes_what_is_allocated(void **state)
{
    static const int cols[] = {PLANTED_KIND, PLANTED_FLAG, PLANTED_N, PLANTED_X};
    mill_table *all = planted_table(4000), *t, *rows;
    const synth_config c = synth_config_default();
    mill_mem_stats before, after;
    synth_schema *s;

    (void)state;
    assert_ok(table_take_cols(&t, all, cols, 4));
    assert_ok(synth_schema_fit(&s, t, &c));
    for (int64_t n = 1000; n < 100000; n *= 3) {
        mill_mem_get_stats(&before);
        assert_ok(synth_schema_table(&rows, s, n));
        assert_ok(column_set_missing(&rows->col[1], 7));
        mill_mem_get_stats(&after);
        const int64_t least = synth_table_bytes(s, n), is = after.live_bytes - before.live_bytes;
        assert_true(is >= least && is < least + 1024); /* the columns themselves, their names */
        assert_int_equal(synth_table_bytes(s, n + 8) - least, 8 * (4 + 4 + 8 + 8) + 1);
        mill_table_free(rows);
    }
    synth_schema_free(s);
    mill_table_free(t);
    mill_table_free(all);
}

/* A code takes 1, 2 or 4 bytes; missing is a code; tables of one component are small. */
void test_estimate__counts_the_bytes_of_codes(void **state)
{
    const int64_t narrow = plan_of(category(256, 0)).fit, wide = plan_of(category(257, 0)).fit;
    const int64_t most = plan_of(category(1 << 16, 0)).fit;

    (void)state;
    assert_true(narrow >= ROWS && narrow < ROWS + (1 << 20));
    assert_true(wide >= narrow + ROWS && wide < narrow + ROWS + 4096);
    assert_int_equal(plan_of(category(256, 1)).fit, wide);
    assert_true(plan_of(category(1 << 16, 1)).fit >= most + 2 * (int64_t)ROWS);
    assert_int_equal(plan_of(category(0, ROWS)).fit, plan_of(category(1, 0)).fit);
    assert_int_equal(plan_of(number(50)).fit, plan_of(category(100, 0)).fit); /* bins: 100 */

    synth_column with_id[] = {category(256, 0), {.type = MILL_IDENTIFIER}};
    const int64_t more = plan(with_id, 2, one_component(), 1).fit - narrow;
    assert_true(more >= 0 && more < 1 << 17); /* no code: a place in the span of rows */
}

/* Past the values that are counted all of a column are sorted: 8 bytes, and two arrays of keys. */
void test_estimate__counts_the_sorting_of_many_values(void **state)
{
    (void)state;
    assert_true(plan_of(number(SYNTH_FEW_VALUES)).fit < 2 * ROWS);
    assert_int_equal(plan_of(number(SYNTH_FEW_VALUES + 1)).fit, 24 * (int64_t)ROWS);
}

void test_estimate__counts_the_random_words_of_a_chunk(void **state)
{
    static const struct {
        int32_t n_values;
        int words; /* the component's, and the column's */
    } cases[] = {{20, 2}, {MIXTURE_MANY_CODES, 2}, {MIXTURE_MANY_CODES + 1, 3}, {-1, 3}};

    (void)state;
    for (int i = 0; i < 4; i++) {
        synth_column col = cases[i].n_values < 0 ? number(9) : category(cases[i].n_values, 0);
        const bytes two = plan(&col, 1, one_component(), 2),
                    three = plan(&col, 1, one_component(), 3);
        assert_int_equal(three.sample - two.sample, SAMPLE_CHUNK * (cases[i].words * 4 + 8));
        assert_int_equal(three.fit, two.fit);
    }
}

void test_estimate__counts_a_probe_and_what_it_withholds(void **state)
{
    synth_column cols[] = {category(300, 5), number(9)};
    const synth_schema s = {.rows = ROWS, .n = 2, .col = cols};
    synth_config c = one_component();

    (void)state;
    c.components = 20;
    const bytes without = plan(cols, 2, c, 2);
    const int64_t probabilities = (301 + 100) * 20;
    assert_int_equal(without.sample, 12 * probabilities + 2 * SAMPLE_CHUNK * (4 * 4 + 8));
    c.probe_every = 1;
    assert_int_equal(plan(cols, 2, c, 2).fit - without.fit,
                     without.sample - 4 * probabilities + synth_table_bytes(&s, PROBE_ROWS));
    /* A copy of the table, and beside it the order of its rows: 8 bytes against 3 of codes. */
    c.holdout_fraction = .1;
    assert_int_equal(plan(cols, 2, c, 2).fit, synth_table_bytes(&s, ROWS) + 8 * (int64_t)ROWS);
    c.components = 0;
    cols[0].n_missing = 0;
    const int64_t chosen = plan(cols, 2, c, 2).sample;
    c.components = mixture_most_k(ROWS, 300 + 100);
    assert_int_equal(plan(cols, 2, c, 2).sample, chosen);
    assert_true(c.components > 20);
}

void test_estimate__of_independent_is_of_one_component(void **state)
{
    synth_column cols[] = {category(300, 5), number(9)};
    const synth_schema s = {.rows = ROWS, .n = 2, .col = cols};
    synth_config c = synth_config_default();
    bytes b;

    (void)state;
    const bytes one = plan(cols, 2, one_component(), 2);
    assert_ok(independent_estimate(&b.fit, &b.sample, &s, &c, 2));
    assert_int_equal(b.fit, one.fit);
    assert_int_equal(b.sample, one.sample);
}
