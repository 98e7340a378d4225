/* LEVELS
 * t_ctgan.c - spans, draws, and the networks of CTGAN and TVAE as training jobs. */
#include "lib/test.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/philox.h"
#include "exec/exec.h"
#include "synth/ctgan_draw.h"
#include "synth/synth.h"

#include <math.h>
#include <unistd.h>

enum { ROWS = 600 };

/* x: number with missing cells; y: integer; kind: 3 values; flag: 2 values, one of them in 5 rows
 * only */
static mill_table *make_table(void)
{
    static const int32_t kind_at[] = {0, 1, 2, 3}, flag_at[] = {0, 2, 5};
    mill_rng rng = mill_rng_init(3, 3, 0);
    mill_table *t;

    assert_ok(table_new(&t, ROWS, 4));
    assert_ok(column_init(&t->col[0], "x", MILL_REAL, ROWS));
    assert_ok(column_init(&t->col[1], "y", MILL_INTEGER, ROWS));
    assert_ok(column_init(&t->col[2], "kind", MILL_CATEGORY, ROWS));
    assert_ok(column_init(&t->col[3], "flag", MILL_CATEGORY, ROWS));
    assert_ok(column_set_dictionary(&t->col[2], 3, kind_at, "abc"));
    assert_ok(column_set_dictionary(&t->col[3], 2, flag_at, "noyes"));
    t->col[0].decimals = 2;
    for (int64_t i = 0; i < ROWS; i++) {
        const int32_t k = (int32_t)mill_rng_below(&rng, 3);
        t->col[0].f64[i] = 10 * k + floor(100 * mill_rng_f64(&rng)) / 100;
        t->col[1].i64[i] = (int64_t)mill_rng_below(&rng, 50) - 20 * k;
        t->col[2].code[i] = k;
        t->col[3].code[i] = i % 120 == 7;
        if (i % 10 == 3) assert_ok(column_set_missing(&t->col[0], i));
    }
    return t;
}

typedef struct {
    mill_table *t;
    synth_schema *schema;
    synth_spans *s;
    span_rows rows;
} fixture;

static fixture setup(void)
{
    const synth_config c = synth_config_default();
    fixture f = {.t = make_table()};

    assert_ok(synth_schema_fit(&f.schema, f.t, &c));
    assert_ok(spans_fit(&f.s, f.t, f.schema, 1, NULL));
    assert_ok(spans_encode(&f.rows, f.s, f.t, f.schema, 1, NULL));
    return f;
}

static void teardown(fixture *f)
{
    span_rows_free(&f->rows);
    spans_free(f->s);
    synth_schema_free(f->schema);
    mill_table_free(f->t);
}

void test_spans__cover_every_unit_once(void **state)
{
    fixture f = setup();
    int32_t at = 0;

    (void)state;
    assert_int_equal(f.s->n_spans, 6); /* two numbers with two each, two categories with one */
    for (int i = 0; i < f.s->n_spans; i++) {
        assert_int_equal(f.s->table[3 * i], at);
        at += f.s->table[3 * i + 1];
    }
    assert_int_equal(at, f.s->width);
    assert_int_equal(f.s->cond_width, 5);
    assert_int_equal(f.s->col[0].width, f.s->col[0].modes.n + 1); /* and "missing" */
    teardown(&f);
}

/* Encoded rows as picks decode to the table they came from; u is a float, x has two
 * decimals. */
void test_spans__decode_what_they_encoded(void **state)
{
    fixture f = setup();
    float *x = mill_alloc((size_t)ROWS * (size_t)f.s->n_spans, sizeof *x);
    float *at = x;
    mill_table *out;

    (void)state;
    for (int64_t i = 0; i < ROWS; i++)
        for (int k = 0; k < f.s->n; k++) {
            if (f.s->col[k].is_number) *at++ = f.rows.u[i * f.s->n_numbers + f.s->col[k].number];
            *at++ = (float)span_code(&f.rows, i, k);
        }
    assert_ok(synth_schema_table(&out, f.schema, ROWS));
    assert_ok(spans_decode_begin(out, f.s));
    spans_decode(out, 0, f.s, f.schema, x, NULL, ROWS);
    spans_decode_end(out, f.s);
    assert_int_equal(out->col[0].n_missing, 60);
    for (int64_t i = 0; i < ROWS; i++) {
        assert_int_equal(column_is_valid(&out->col[0], i), column_is_valid(&f.t->col[0], i));
        if (column_is_valid(&out->col[0], i))
            assert_true(fabs(out->col[0].f64[i] - f.t->col[0].f64[i]) < 0.02);
        assert_true(llabs(out->col[1].i64[i] - f.t->col[1].i64[i]) <= 1);
        assert_int_equal(out->col[2].code[i], f.t->col[2].code[i]);
        assert_int_equal(out->col[3].code[i], f.t->col[3].code[i]);
    }
    mill_table_free(out);
    mill_free(x);
    teardown(&f);
}

static void run_draws(int32_t *out, const ctgan_draw *d, int steps, int64_t n, bool by_log)
{
    mill_graph *g;
    mill_exec *e;
    exec_tensor t;

    assert_ok(mill_graph_new(&g));
    mill_output(g, "draw", ctgan_draw_batch(g, d, n, by_log, true));
    assert_ok(mill_exec_new(&e, g, &(exec_options){.seed = 4}));
    assert_ok(mill_exec_output(&t, e, "draw"));
    for (int i = 0; i < steps; i++) {
        assert_ok(mill_exec_run(e, (uint32_t)i));
        memcpy(out + (int64_t)i * n * 3, t.data, (size_t)n * 3 * sizeof *out);
    }
    mill_exec_free(e);
    mill_graph_free(g);
}

/* Conditions: columns by halves, "yes" (5 of 600 rows) by log(6) / (log(6) + log(596)); frequencies
 * by 5/600. */
void test_draws__follow_log_frequency(void **state)
{
    enum { STEPS = 200, N = 100 };
    fixture f = setup();
    int32_t *out = mill_alloc(STEPS * N * 3, sizeof *out);
    ctgan_draw d;

    (void)state;
    assert_ok(ctgan_draw_init(&d, f.s, &f.rows));
    for (int by_log = 0; by_log < 2; by_log++) {
        double flag = 0, yes = 0;
        run_draws(out, &d, STEPS, N, by_log);
        for (int i = 0; i < STEPS * N; i++) {
            flag += out[3 * i] >= 3;
            yes += out[3 * i] == 4;
        }
        const double p = by_log ? log(6) / (log(6) + log(596)) : 5 / 600.0;
        assert_true(fabs(flag - STEPS * N * 0.5) < 5 * sqrt(STEPS * N * 0.25));
        assert_true(fabs(yes - flag * p) < 5 * sqrt(flag * p * (1 - p)));
    }
    mill_free(out);
    ctgan_draw_deinit(&d);
    teardown(&f);
}

/* The real row has the condition's value, and its conditions are those of the fake rows in another
 * order. */
void test_draws__give_real_rows_that_meet_the_permuted_conditions(void **state)
{
    enum { N = 100 };
    fixture f = setup();
    int32_t out[N * 3], fake[5] = {0}, true_row[5] = {0};
    ctgan_draw d;

    (void)state;
    assert_ok(ctgan_draw_init(&d, f.s, &f.rows));
    run_draws(out, &d, 1, N, true);
    for (int i = 0; i < N; i++) {
        const int32_t *o = out + 3 * i;
        const int col = o[DRAW_REAL_COND] < 3 ? 2 : 3;
        assert_int_equal(span_code(&f.rows, o[DRAW_REAL_ROW], col),
                         o[DRAW_REAL_COND] - (col == 3) * 3);
        fake[o[DRAW_FAKE_COND]]++;
        true_row[o[DRAW_REAL_COND]]++;
    }
    assert_memory_equal(fake, true_row, sizeof fake);
    ctgan_draw_deinit(&d);
    teardown(&f);
}

/* One span of a row has a target: that of its condition, and the value is the condition's. */
void test_draws__target_is_the_condition_in_its_span(void **state)
{
    enum { N = 100 };
    fixture f = setup();
    mill_graph *g;
    mill_exec *e;
    exec_tensor draw, target;
    ctgan_draw d;
    int seen[5] = {0};

    (void)state;
    assert_ok(ctgan_draw_init(&d, f.s, &f.rows));
    assert_ok(mill_graph_new(&g));
    const mill_ref drawn = ctgan_draw_batch(g, &d, N, true, true);
    mill_output(g, "draw", drawn);
    mill_output(g, "target", ctgan_target(g, drawn, &d));
    assert_ok(mill_exec_new(&e, g, &(exec_options){.seed = 4}));
    assert_ok(mill_exec_output(&draw, e, "draw"));
    assert_ok(mill_exec_output(&target, e, "target"));
    assert_ok(mill_exec_run(e, 0));
    for (int i = 0; i < N; i++) { /* spans: x, x's component, y, y's component, kind, flag */
        const int32_t cond = ((int32_t *)draw.data)[3 * i + DRAW_FAKE_COND];
        for (int k = 0; k < 6; k++) {
            const int32_t want = k == 4 && cond < 3 ? cond : k == 5 && cond >= 3 ? cond - 3 : -1;
            assert_int_equal(((int32_t *)target.data)[6 * i + k], want);
        }
        seen[cond]++;
    }
    for (int c = 0; c < 5; c++) assert_true(seen[c]);
    mill_exec_free(e);
    mill_graph_free(g);
    ctgan_draw_deinit(&d);
    teardown(&f);
}

void test_draws__shuffle_every_row_once_an_epoch(void **state)
{
    fixture f = setup();
    int seen[ROWS] = {0};
    int64_t same = 0;
    mill_graph *g;
    mill_exec *e;
    exec_tensor t;
    ctgan_draw d;

    (void)state;
    assert_ok(ctgan_draw_init(&d, f.s, &f.rows));
    assert_ok(mill_graph_new(&g));
    mill_output(g, "rows", ctgan_shuffled_rows(g, &d, 100, 100, 6));
    assert_ok(mill_exec_new(&e, g, &(exec_options){.seed = 4}));
    assert_ok(mill_exec_output(&t, e, "rows"));
    for (uint32_t step = 0; step < 12; step++) {
        assert_ok(mill_exec_run(e, step));
        for (int i = 0; i < 100; i++) {
            const int32_t row = ((const int32_t *)t.data)[i];
            assert_in_range(row, 0, ROWS - 1);
            assert_int_equal(seen[row]++, step / 6);
            same += row == (int32_t)(step % 6 * 100) + i;
        }
    }
    assert_in_range(same, 0, 20);
    mill_exec_free(e);
    mill_graph_free(g);
    ctgan_draw_deinit(&d);
    teardown(&f);
}

/* ---- jobs ---- */

/* A path of this process alone: the levels are tested side by side. */
static const char *tmp(const char *name)
{
    static char path[8][64];
    static int next;
    char *p = path[next++ % 8];
    snprintf(p, sizeof path[0], "/tmp/t_ctgan_%d_%s.mill", (int)getpid(), name);
    return p;
}

static synth_config small_config(const char *method)
{
    synth_config c = synth_config_default();
    c.method = method;
    c.seed = 6;
    c.batch_size = 140; /* 600 is no multiple: tvae has a last, smaller batch */
    c.embedding_dim = 16;
    c.generator_dim = c.discriminator_dim = c.compress_dims = c.decompress_dims = "32,24";
    return c;
}

typedef struct {
    const synth_method *m;
    synth_schema *schema;
    synth_config c;
    void *fit;
    train_job job;
} run;

static run run_open(const char *method, const mill_table *t, mill_pool *pool)
{
    run r = {.m = synth_method_find(method), .c = small_config(method)};
    assert_ok(synth_schema_fit(&r.schema, t, &r.c));
    assert_ok(r.m->fit_open(&r.fit, t, r.schema, &r.c, pool));
    r.m->fit_job(&r.job, r.fit);
    return r;
}

static void run_close(run *r)
{
    r->m->fit_close(r->fit);
    synth_schema_free(r->schema);
}

static void run_steps(run *r, int64_t from, int64_t to)
{
    for (int64_t i = from; i < to; i++) assert_ok(r->job.step(r->job.ctx, i));
}

static void save(run *r, const char *path)
{
    store_writer *w;
    json_t *meta = json_object();
    assert_ok(store_writer_new(&w));
    assert_ok(r->job.save(r->job.ctx, w, meta));
    assert_ok(store_writer_commit(w, path, meta));
    store_writer_free(w);
    json_decref(meta);
}

static void assert_same_file(const char *a, const char *b)
{
    char *x, *y;
    size_t n, m;
    assert_ok(file_read_all(&x, &n, a));
    assert_ok(file_read_all(&y, &m, b));
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    mill_free(x);
    mill_free(y);
}

static const char *const methods[] = {"ctgan", "tvae"};

void test_nets__are_the_same_bytes_for_1_2_and_7_threads(void **state)
{
    mill_table *t = make_table();

    (void)state;
    for (int m = 0; m < 2; m++)
        for (int threads = 1; threads <= 7; threads += threads == 1 ? 1 : 5) {
            mill_pool *pool;
            assert_ok(mill_pool_new(&pool, threads));
            run r = run_open(methods[m], t, pool);
            run_steps(&r, 0, 12);
            save(&r, threads == 1 ? tmp("1") : tmp("n"));
            if (threads > 1) assert_same_file(tmp("1"), tmp("n"));
            run_close(&r);
            mill_pool_free(pool);
        }
    mill_table_free(t);
    remove(tmp("1"));
    remove(tmp("n"));
}

void test_nets__resume_to_the_bit(void **state)
{
    mill_table *t = make_table();

    (void)state;
    for (int m = 0; m < 2; m++) {
        store *s;
        run a = run_open(methods[m], t, NULL), b = run_open(methods[m], t, NULL);
        run_steps(&a, 0, 7);
        save(&a, tmp("a"));
        run_steps(&a, 7, 13);
        assert_ok(store_open(&s, tmp("a")));
        run_steps(&b, 0, 2); /* another state, that has to go */
        assert_ok(b.job.load(b.job.ctx, s));
        store_close(s);
        run_steps(&b, 7, 13);
        save(&a, tmp("a"));
        save(&b, tmp("b"));
        assert_same_file(tmp("a"), tmp("b"));
        run_close(&a);
        run_close(&b);
    }
    mill_table_free(t);
    remove(tmp("a"));
    remove(tmp("b"));
}

/* Of two units dropout clears all in every fourth pack, whose gradient is 0 then; its root has no
 * slope there. */
void test_ctgan__trains_where_dropout_clears_a_pack(void **state)
{
    mill_table *t = make_table();
    double loss[2];

    (void)state;
    for (int shards = 0; shards <= 2; shards += 2) {
        run r = {.m = &synth_ctgan, .c = small_config("ctgan")};
        r.c.discriminator_dim = "2";
        r.c.virtual_shards = shards;
        assert_ok(synth_schema_fit(&r.schema, t, &r.c));
        assert_ok(r.m->fit_open(&r.fit, t, r.schema, &r.c, NULL));
        r.m->fit_job(&r.job, r.fit);
        run_steps(&r, 0, 20);
        r.job.metrics(r.job.ctx, loss);
        assert_true(isfinite(loss[0]) && isfinite(loss[1]));
        run_close(&r);
    }
    mill_table_free(t);
}

/* A training that has left the numbers ends there, in one piece and in parts. */
void test_nets__stop_where_a_loss_is_no_number(void **state)
{
    mill_table *t = make_table();

    (void)state;
    for (int m = 0; m < 2; m++)
        for (int shards = 0; shards <= 2; shards += 2) {
            run r = {.m = synth_method_find(methods[m]), .c = small_config(methods[m])};
            char words[64];
            mill_err err = MILL_OK;
            int64_t i = 0;
            r.c.lr = r.c.generator_lr = r.c.discriminator_lr = 1e30;
            r.c.virtual_shards = shards;
            assert_ok(synth_schema_fit(&r.schema, t, &r.c));
            assert_ok(r.m->fit_open(&r.fit, t, r.schema, &r.c, NULL));
            r.m->fit_job(&r.job, r.fit);
            while (i < 20 && !err) err = r.job.step(r.job.ctx, i++);
            assert_int_equal(err, MILL_EINPUT);
            snprintf(words, sizeof words, "%s: after step %d a loss is", methods[m], (int)i);
            assert_non_null(strstr(mill_error(), words));
            run_close(&r);
        }
    mill_table_free(t);
}

void test_nets__allocate_nothing_between_steps(void **state)
{
    mill_table *t = make_table();
    mill_mem_stats before, after;

    (void)state;
    for (int m = 0; m < 2; m++) {
        run r = run_open(methods[m], t, NULL);
        run_steps(&r, 0, 5);
        mill_mem_get_stats(&before);
        run_steps(&r, 5, 15);
        mill_mem_get_stats(&after);
        assert_int_equal(before.calls, after.calls);
        run_close(&r);
    }
    mill_table_free(t);
}

static mill_table *sample(const char *path, int64_t n, int64_t batch, const char *where)
{
    synth_model *m;
    synth_sampler *s;
    synth_where w;
    mill_table *all, *part;

    assert_ok(synth_model_open(&m, path, NULL));
    if (where) assert_ok(synth_where_parse(&w, m->schema, where));
    assert_ok(synth_sampler_open(&s, m, 5, &w, where != NULL));
    assert_ok(table_new(&all, n, 4));
    for (int c = 0; c < 4; c++) assert_ok(column_init(&all->col[c], "c", MILL_INTEGER, n));
    for (int64_t at = 0; at < n; at += batch) {
        const int64_t len = n - at < batch ? n - at : batch;
        assert_ok(synth_sampler_next(s, &part, len));
        for (int c = 0; c < 4; c++)
            for (int64_t i = 0; i < len; i++) { /* bits are enough */
                const mill_column *from = &part->col[c];
                all->col[c].i64[at + i] = !column_is_valid(from, i) ? -999
                                          : c < 2                   ? from->i64[i]
                                                                    : from->code[i];
            }
        mill_table_free(part);
    }
    synth_sampler_close(s);
    synth_model_close(m);
    return all;
}

void test_nets__sample_the_same_rows_in_any_batches(void **state)
{
    const char *path = tmp("m");
    mill_table *t = make_table();

    (void)state;
    for (int m = 0; m < 2; m++) {
        run r = run_open(methods[m], t, NULL);
        run_steps(&r, 0, 60);
        assert_ok(synth_model_write(path, r.m, r.fit, r.schema, &r.c));
        run_close(&r);
        mill_table *a = sample(path, 5000, 5000, NULL), *b = sample(path, 5000, 333, NULL);
        for (int c = 0; c < 4; c++) assert_memory_equal(a->col[c].i64, b->col[c].i64, 5000 * 8);
        mill_table_free(a);
        mill_table_free(b);
    }
    mill_table_free(t);
    remove(path);
}

void test_nets__meet_a_condition(void **state)
{
    const char *path = tmp("w");
    mill_table *t = make_table();

    (void)state;
    for (int m = 0; m < 2; m++) {
        run r = run_open(methods[m], t, NULL);
        run_steps(&r, 0, 100);
        assert_ok(synth_model_write(path, r.m, r.fit, r.schema, &r.c));
        run_close(&r);
        mill_table *a = sample(path, 200, 64, "kind=b"), *b = sample(path, 200, 64, "y>=10");
        for (int64_t i = 0; i < 200; i++) {
            assert_int_equal(a->col[2].i64[i], 1);
            assert_true(b->col[1].i64[i] >= 10);
        }
        mill_table_free(a);
        mill_table_free(b);
    }
    mill_table_free(t);
    remove(path);
}

/* Before any row is rejected: each condition goes into the generator, a missing cell's too. */
void test_ctgan__conditions_guide_the_generator(void **state)
{
    static const char *const where[] = {"", "kind=a", "kind=b", "kind=", "flag=yes", "y>=10"};
    enum { N = 50, MISSING = 3, RANGE = 5 };
    mill_table *t = make_table(), *rows[6];
    synth_model *model;

    (void)state;
    for (int64_t i = 0; i < ROWS; i += 9) assert_ok(column_set_missing(&t->col[2], i));
    run r = run_open("ctgan", t, NULL);
    run_steps(&r, 0, 20);
    assert_ok(synth_model_write(tmp("g"), r.m, r.fit, r.schema, &r.c));
    run_close(&r);
    assert_ok(synth_model_open(&model, tmp("g"), NULL));
    for (int k = 0; k < 6; k++) {
        synth_where w;
        if (k) assert_ok(synth_where_parse(&w, model->schema, where[k]));
        if (k == MISSING) assert_true(w.missing);
        assert_ok(synth_schema_table(&rows[k], model->schema, N));
        assert_ok(model->method->sample(model->model, rows[k], 0, N, 7, &w, k > 0));
        for (int j = 0; j < k; j++) {
            const void *a = rows[j]->col[0].f64, *b = rows[k]->col[0].f64; /* to the bit */
            const bool differ = memcmp(a, b, N * sizeof(double)) != 0;
            assert_int_equal(differ, !(j == 0 && k == RANGE)); /* a range guides nothing */
        }
    }
    for (int k = 0; k < 6; k++) mill_table_free(rows[k]);
    synth_model_close(model);
    mill_table_free(t);
    remove(tmp("g"));
}

/* The probe draws with the weights of the moment, always with the same noise, and leaves no trace
 * in the training. */
void test_nets__probe_moves_with_the_model_alone(void **state)
{
    mill_table *t = make_table();

    (void)state;
    for (int m = 0; m < 2; m++) {
        double quality[4];
        run a = run_open(methods[m], t, NULL), b = run_open(methods[m], t, NULL);
        b.m->fit_close(b.fit);
        b.c.probe_every = 0;
        assert_ok(b.m->fit_open(&b.fit, t, b.schema, &b.c, NULL));
        b.m->fit_job(&b.job, b.fit);
        assert_non_null(a.job.probe);
        assert_null(b.job.probe);
        for (int i = 0; i < 4; i++) { /* after 0, 0, 40 and 80 steps */
            if (i > 1) run_steps(&a, 40 * (i - 2), 40 * (i - 1));
            assert_ok(a.job.probe(a.job.ctx, i, &quality[i]));
            assert_true(quality[i] > 0.05 && quality[i] < 1);
        }
        assert_true(quality[0] == quality[1]);
        assert_true(quality[1] != quality[2] && quality[2] != quality[3]);
        run_steps(&b, 0, 80);
        save(&a, tmp("a"));
        save(&b, tmp("b"));
        assert_same_file(tmp("a"), tmp("b"));
        run_close(&a);
        run_close(&b);
    }
    mill_table_free(t);
    remove(tmp("a"));
    remove(tmp("b"));
}

/* One opened model, one sampler after the other. */
void test_nets__seeds_draw_other_rows(void **state)
{
    enum { N = 100 };
    mill_table *t = make_table(), *d[3];

    (void)state;
    for (int m = 0; m < 2; m++) {
        run r = run_open(methods[m], t, NULL);
        synth_model *model;
        run_steps(&r, 0, 20);
        assert_ok(synth_model_write(tmp("s"), r.m, r.fit, r.schema, &r.c));
        run_close(&r);
        assert_ok(synth_model_open(&model, tmp("s"), NULL));
        for (int i = 0; i < 3; i++) {
            synth_sampler *s;
            assert_ok(synth_sampler_open(&s, model, i == 1, NULL, 0)); /* seeds 0, 1, 0 */
            assert_ok(synth_sampler_next(s, &d[i], N));
            synth_sampler_close(s);
        }
        assert_memory_equal(d[0]->col[0].f64, d[2]->col[0].f64, N * 8);
        assert_memory_not_equal(d[0]->col[0].f64, d[1]->col[0].f64, N * 8);
        for (int i = 0; i < 3; i++) mill_table_free(d[i]);
        synth_model_close(model);
    }
    mill_table_free(t);
    remove(tmp("s"));
}

/* Fit, two steps, a model file, eight rows of it. */
static mill_err whole_life(const char *method, const mill_table *t, const char *path)
{
    const synth_method *m = synth_method_find(method);
    const synth_config c = small_config(method);
    synth_schema *schema = NULL;
    synth_model *model = NULL;
    synth_sampler *s = NULL;
    mill_table *drawn = NULL;
    int64_t fit_bytes, sample_bytes;
    void *fit = NULL;
    train_job job;
    mill_err err;

    if ((err = synth_schema_fit(&schema, t, &c))) goto done;
    if ((err = m->estimate(&fit_bytes, &sample_bytes, schema, &c, 1))) goto done;
    if ((err = m->fit_open(&fit, t, schema, &c, NULL))) goto done;
    m->fit_job(&job, fit);
    for (int i = 0; i < 2 && !err; i++) err = job.step(job.ctx, i);
    if (err || (err = synth_model_write(path, m, fit, schema, &c))) goto done;
    if ((err = synth_model_open(&model, path, NULL))) goto done;
    if ((err = synth_sampler_open(&s, model, 1, NULL, 0))) goto done;
    err = synth_sampler_next(s, &drawn, 8);
done:
    mill_table_free(drawn);
    synth_sampler_close(s);
    synth_model_close(model);
    if (fit) m->fit_close(fit);
    synth_schema_free(schema);
    return err;
}

/* The first allocations one by one, later ones in strides: there are thousands, most of them in the
 * planner, which t_exec fails one by one. */
void test_nets__survive_failed_allocations(void **state)
{
    mill_table *t = make_table();
    mill_mem_stats before, after;

    (void)state;
    for (int m = 0; m < 2; m++) {
        int failures = 0;
        mill_err err = MILL_ENOMEM;
        bool reached = true; /* a failure may be no error: where a block was to be made smaller */
        for (int64_t n = 1; reached; n += 1 + n / 60) {
            mill_mem_get_stats(&before);
            mill_mem_fail_at(n);
            err = whole_life(methods[m], t, tmp("f"));
            mill_mem_fail_at(0);
            if (err) assert_int_equal(err, MILL_ENOMEM);
            mill_mem_get_stats(&after);
            assert_int_equal(after.live, before.live);
            failures += err != MILL_OK;
            reached = after.calls - before.calls >= n;
        }
        assert_int_equal(err, MILL_OK);
        assert_true(failures > 100);
    }
    mill_table_free(t);
    remove(tmp("f"));
}

void test_nets__refuse_what_cannot_be_trained(void **state)
{
    mill_table *t = make_table();
    synth_config c = small_config("ctgan");
    synth_schema *s;
    void *fit;

    (void)state;
    assert_ok(synth_schema_fit(&s, t, &c));
    c.batch_size = 145;
    assert_fails(MILL_EINPUT, "even", synth_ctgan.fit_open(&fit, t, s, &c, NULL));
    c.batch_size = 144;
    assert_fails(MILL_EINPUT, "multiple of --pac", synth_ctgan.fit_open(&fit, t, s, &c, NULL));
    c.batch_size = 140;
    c.amp = "fp16";
    assert_fails(MILL_EINPUT, "neither off nor bf16", synth_ctgan.fit_open(&fit, t, s, &c, NULL));
    assert_fails(MILL_EINPUT, "neither off nor bf16", synth_tvae.fit_open(&fit, t, s, &c, NULL));
    synth_schema_free(s);
    mill_table_free(t);
}
