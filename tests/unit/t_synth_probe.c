/* t_synth_probe.c - rows that are withheld, and the quality that a probe measures. */
#include "lib/planted.h"

#include "synth/probe.h"

/* A coin per row: the two parts are the table, and nothing of one is in the other. */
void test_probe__withholds_rows(void **state)
{
    mill_table *t = planted_table(4000), *learn, *hold;
    synth_config c = planted_config(4);
    bool seen[4000] = {false};

    (void)state;
    c.holdout_fraction = 0.25;
    assert_ok(synth_probe_split(&learn, &hold, t, &c));
    assert_true(fabs((double)hold->rows - 1000) < 110); /* 4 sigma */
    assert_int_equal(learn->rows + hold->rows, t->rows);
    for (int part = 0; part < 2; part++) {
        const mill_table *p = part ? hold : learn;
        for (int64_t i = 0; i < p->rows; i++) {
            const int32_t row = p->col[PLANTED_ID].code[i];
            assert_false(seen[row]);
            seen[row] = true;
            assert_true(p->col[PLANTED_X].f64[i] == t->col[PLANTED_X].f64[row]);
        }
    }
    mill_table_free(learn);
    mill_table_free(hold);
    mill_table_free(t);
}

/* Quality of the table itself, and of one whose columns are shuffled: pairs are lost, shapes not.
 */
void test_probe__measures_shapes_and_pairs(void **state)
{
    mill_table *t = planted_table(2000);
    synth_config c = planted_config(4);
    synth_schema *s;
    synth_probe *p;
    double same, apart;

    (void)state;
    assert_ok(synth_schema_fit(&s, t, &c));
    assert_ok(synth_probe_new(&p, t, s));
    assert_int_equal(synth_probe_rows(p), 2000);
    assert_ok(synth_probe_quality(&same, p, t));
    assert_true(same == 1);
    for (int i = 0; i < 1000; i++) { /* kind backwards */
        int32_t *code = t->col[PLANTED_KIND].code, swap = code[i];
        code[i] = code[1999 - i];
        code[1999 - i] = swap;
    }
    assert_ok(synth_probe_quality(&apart, p, t));
    /* Total variation between together and apart, from the planted shares: .53 with n, .40 with x
     * (a quarter of it says nothing), .23 with flag; of six pairs, and half of the figure: .904.
     * Bins that hold the end of one kind and the begin of the next lose a little of it. */
    assert_true(apart > 0.9 && apart < 0.925);
    synth_probe_free(p);
    synth_schema_free(s);
    mill_table_free(t);
}

/* At most 2,000 rows, evenly from all of the table; none of them is taken from training. */
void test_probe__has_at_most_2000_rows(void **state)
{
    static const struct {
        int64_t rows, probed;
    } is[] = {{1999, 1999}, {2001, 1001}, {5001, 1667}, {20000, 2000}};

    (void)state;
    for (int i = 0; i < 4; i++) {
        mill_table *t = planted_table(is[i].rows);
        synth_config c = planted_config(4);
        synth_schema *s;
        synth_probe *p;

        assert_ok(synth_schema_fit(&s, t, &c));
        assert_ok(synth_probe_new(&p, t, s));
        assert_int_equal(synth_probe_rows(p), is[i].probed);
        assert_int_equal(t->rows, is[i].rows);
        synth_probe_free(p);
        synth_schema_free(s);
        mill_table_free(t);
    }
}

/*
 * The schema leaves rare values out and counts on from there: its code 0 is the table's 1.  The
 * table as the schema reads it, rare values missing, has quality 1.
 */
void test_probe__compares_values_and_not_codes(void **state)
{
    static const int32_t at[] = {0, 1, 2, 3, 4};
    mill_table *t, *d;
    synth_config c = planted_config(4);
    synth_schema *s;
    synth_probe *p;
    double quality;

    (void)state;
    c.trim_rare = 5;
    assert_ok(table_new(&t, 100, 1));
    assert_ok(column_init(&t->col[0], "v", MILL_CATEGORY, 100));
    assert_ok(column_set_dictionary(&t->col[0], 4, at, "rabc"));
    for (int i = 0; i < 100; i++) t->col[0].code[i] = i < 2 ? 0 : i < 60 ? 1 : i < 90 ? 2 : 3;
    assert_ok(synth_schema_fit(&s, t, &c));
    assert_int_equal(s->col[0].n_values, 3);
    assert_ok(synth_probe_new(&p, t, s));
    assert_ok(synth_schema_table(&d, s, 100));
    for (int i = 0; i < 100; i++) d->col[0].code[i] = i < 60 ? 0 : i < 90 ? 1 : 2;
    for (int i = 0; i < 2; i++) assert_ok(column_set_missing(&d->col[0], i));
    assert_ok(synth_probe_quality(&quality, p, d));
    assert_true(quality == 1);
    mill_table_free(d);
    synth_probe_free(p);
    synth_schema_free(s);
    mill_table_free(t);
}

/* Better with the steps, in the end nearly as good as other real rows; the model is the same with
 * and without, and has seen no withheld row. */
void test_mixture__is_probed_without_being_moved(void **state)
{
    mill_pool *pool = planted_pool(2);
    mill_table *t = planted_table(4000), *learn, *hold;
    synth_config c = planted_config(6);
    synth_schema *s;
    synth_probe *p;
    double real, first = 0, last = 0, value[3];
    train_job job;

    (void)state;
    c.holdout_fraction = 0.5;
    assert_ok(synth_schema_fit(&s, t, &c));
    assert_ok(synth_probe_split(&learn, &hold, t, &c));
    assert_ok(synth_probe_new(&p, hold, s));
    assert_ok(synth_probe_quality(&real, p, learn));
    for (int k = 0; k < 3; k++) { /* as it is, probed, and of the rows to learn from alone */
        void *fit;
        c.probe_every = k == 1;
        if (k == 2) c.holdout_fraction = 0;
        assert_ok(synth_mixture.fit_open(&fit, k == 2 ? learn : t, s, &c, pool));
        synth_mixture.fit_job(&job, fit);
        assert_true(!job.probe == (k != 1));
        for (int i = 0; i < 20; i++) {
            planted_train(fit, &synth_mixture, i, 1);
            if (k == 1) assert_ok(job.probe(job.ctx, i + 1, &last));
            if (k == 1 && i == 0) first = last;
        }
        job.metrics(job.ctx, &value[k]);
        synth_mixture.fit_close(fit);
    }
    assert_true(value[0] == value[1] && value[0] == value[2]);
    assert_true(last > first + 0.05);
    /* .88, the noise of two draws of 2,000 rows; what six kinds of independent columns miss of
     * three is not seen beside it. */
    assert_true(last > real - 0.02 && last < real + 0.02);
    synth_probe_free(p);
    mill_table_free(learn);
    mill_table_free(hold);
    synth_schema_free(s);
    mill_table_free(t);
    mill_pool_free(pool);
}
