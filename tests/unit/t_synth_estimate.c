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

static int64_t live_bytes(void)
{
    mill_mem_stats m;

    mill_mem_get_stats(&m);
    return m.live_bytes;
}

/* All that is allocated beside it: the columns, their names, an end for each dictionary's offsets
 * and texts. */
static int64_t rest_of(const synth_schema *s)
{
    int64_t rest = (int64_t)sizeof(mill_table);

    for (int j = 0; j < s->n; j++)
        rest += (int64_t)(sizeof(mill_column) + strlen(s->col[j].name) + 1) +
                (s->col[j].type != MILL_INTEGER && s->col[j].type != MILL_REAL ? 5 : 0);
    return rest;
}

void test_estimate__a_table_takes_what_is_allocated(void **state)
{
    mill_table *t = planted_table(4000), *rows;
    const synth_config c = synth_config_default();
    synth_schema *s;

    (void)state;
    assert_ok(synth_schema_fit(&s, t, &c));
    for (int64_t n = 1000; n < 5000; n += 1000) { /* identifiers of as many digits */
        const int64_t before = live_bytes();
        assert_ok(synth_schema_table(&rows, s, n));
        assert_ok(synth_put_ids(rows, s, 0));
        assert_ok(column_set_missing(&rows->col[PLANTED_FLAG], 7));
        const int64_t is = live_bytes() - before - rest_of(s);
        assert_in_range(is - synth_table_bytes(s, n), 0, 8); /* what alignment adds */
        mill_table_free(rows);
    }
    synth_schema_free(s);
    mill_table_free(t);
}

/* What a fit holds at its end, when the probabilities have been written. */
void test_estimate__a_fit_takes_what_is_allocated(void **state)
{
    static const int32_t at[] = {0, 1, 2};
    enum { N = 20000, VALUES = 600 };
    synth_config c = one_component();
    int32_t *offset = calloc(VALUES + 1, sizeof *offset);
    char text[VALUES];
    bytes plan;
    mill_table *t;
    synth_schema *s;
    void *fit;

    (void)state;
    c.components = 48;
    memset(text, 'x', sizeof text);
    for (int v = 0; v <= VALUES; v++) offset[v] = v;
    assert_ok(table_new(&t, N, 2));
    assert_ok(column_init(&t->col[0], "many", MILL_CATEGORY, N));
    assert_ok(column_set_dictionary(&t->col[0], VALUES, offset, text));
    assert_ok(column_init(&t->col[1], "two", MILL_CATEGORY, N));
    assert_ok(column_set_dictionary(&t->col[1], 2, at, "ab"));
    for (int i = 0; i < N; i++) t->col[0].code[i] = i % VALUES;
    for (int i = 0; i < N; i++) t->col[1].code[i] = i % 2;
    assert_ok(synth_schema_fit(&s, t, &c));
    assert_ok(mixture_estimate(&plan.fit, &plan.sample, s, &c, 1));
    const int64_t before = live_bytes();
    assert_ok(synth_mixture.fit_open(&fit, t, s, &c, NULL));
    char path[64];
    planted_path(path, "model");
    assert_ok(synth_model_write(path, &synth_mixture, fit, s, &c));
    assert_in_range(live_bytes() - before - plan.fit, 0, 4096); /* coders and structures */
    synth_mixture.fit_close(fit);
    assert_ok(file_remove(path));
    synth_schema_free(s);
    mill_table_free(t);
    free(offset);
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
    /* A copy of the table whose two parts have all values each, and beside it the order of its
     * rows: 8 bytes against 3 of codes. */
    c.holdout_fraction = .1;
    const int64_t both = synth_table_bytes(&s, ROWS) + synth_table_bytes(&s, 0);
    assert_int_equal(plan(cols, 2, c, 2).fit, both + 8 * (int64_t)ROWS);
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
    c.holdout_fraction = .5; /* neither probe nor holdout: there is no middle of training */
    const bytes one = plan(cols, 2, one_component(), 2);
    assert_ok(independent_estimate(&b.fit, &b.sample, &s, &c, 2));
    assert_int_equal(b.fit, one.fit);
    assert_int_equal(b.sample, one.sample);
}
