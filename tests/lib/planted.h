/* planted.h - a table drawn from a known mixture, and a fit and model of it in one call. */
#ifndef TESTS_LIB_PLANTED_H
#define TESTS_LIB_PLANTED_H

#include "lib/test.h"

#include "base/cpu.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/philox.h"
#include "synth/mixture.h"

#include <math.h>
#include <unistd.h>

/*
 * Three kinds of rows, 50 %, 30 %, 20 %:
 *     kind   category a b c    its kind's letter in 9 of 10 rows, else the next one
 *     flag   boolean  no yes   yes in 90 %, 50 %, 5 % of the rows; missing in every 20th
 *     n      integer           0..9 + 20 x kind
 *     x      real, 2 decimals  U(0, 1) x 100 + 1000 x kind; 0 in every 4th row
 *     id     identifier        R0001, R0002, ...
 */
enum { PLANTED_KIND, PLANTED_FLAG, PLANTED_N, PLANTED_X, PLANTED_ID, PLANTED_COLS };

static inline mill_table *planted_table(int64_t rows)
{
    static const int32_t kind_at[] = {0, 1, 2, 3}, flag_at[] = {0, 2, 5};
    static const char *const name[] = {"kind", "flag", "n", "x", "id"};
    static const mill_coltype type[] = {MILL_CATEGORY, MILL_BOOLEAN, MILL_INTEGER, MILL_REAL,
                                        MILL_IDENTIFIER};
    static const double yes[] = {0.9, 0.5, 0.05};
    mill_rng rng = mill_rng_init(11, 0, 0);
    mill_table *t;

    assert_ok(table_new(&t, rows, PLANTED_COLS));
    for (int j = 0; j < PLANTED_COLS; j++)
        assert_ok(column_init(&t->col[j], name[j], type[j], rows));
    assert_ok(column_set_dictionary(&t->col[PLANTED_KIND], 3, kind_at, "abc"));
    assert_ok(column_set_dictionary(&t->col[PLANTED_FLAG], 2, flag_at, "noyes"));
    t->col[PLANTED_X].decimals = 2;
    int32_t *offset = calloc((size_t)rows + 1, sizeof *offset);
    char *text = malloc((size_t)rows * 8 + 1);
    for (int64_t i = 0; i < rows; i++) {
        const double u = mill_rng_f64(&rng);
        const int k = u < 0.5 ? 0 : u < 0.8 ? 1 : 2;
        t->col[PLANTED_KIND].code[i] = mill_rng_below(&rng, 10) ? k : (k + 1) % 3;
        t->col[PLANTED_FLAG].code[i] = mill_rng_f64(&rng) < yes[k];
        t->col[PLANTED_N].i64[i] = (int64_t)mill_rng_below(&rng, 10) + 20 * k;
        const double x = rint(mill_rng_f64(&rng) * 10000) / 100 + 1000 * k;
        t->col[PLANTED_X].f64[i] = i % 4 ? x : 0;
        if (i % 20 == 7) assert_ok(column_set_missing(&t->col[PLANTED_FLAG], i));
        offset[i + 1] = offset[i] + sprintf(text + offset[i], "R%04d", (int)i + 1);
        t->col[PLANTED_ID].code[i] = (int32_t)i;
    }
    assert_ok(column_set_dictionary(&t->col[PLANTED_ID], (int32_t)rows, offset, text));
    free(offset);
    free(text);
    return t;
}

/* Steps until done or n of them; the job's last log-likelihood. */
static inline double planted_train(void *fit, const synth_method *m, int64_t from, int64_t n)
{
    train_job job;
    double value = 0;

    m->fit_job(&job, fit);
    for (int64_t i = from; i < from + n && i < job.n_steps; i++) {
        if (job.done(job.ctx)) break;
        assert_ok(job.step(job.ctx, i));
        job.metrics(job.ctx, &value);
    }
    return value;
}

/* The options that most tests of the mixture have. */
static inline synth_config planted_config(int64_t k)
{
    synth_config c = synth_config_default();

    c.components = k;
    c.iterations = 30;
    c.seed = 5;
    return c;
}

/* The state of a training run to a file, and back. */
static inline void planted_save(void *fit, const synth_method *m, const char *path)
{
    json_t *meta = json_object();
    store_writer *w;
    train_job job;

    m->fit_job(&job, fit);
    assert_ok(store_writer_new(&w));
    assert_ok(job.save(job.ctx, w, meta));
    assert_ok(store_writer_commit(w, path, meta));
    store_writer_free(w);
    json_decref(meta);
}

static inline void planted_load(void *fit, const synth_method *m, const char *path)
{
    train_job job;
    store *f;

    m->fit_job(&job, fit);
    assert_ok(store_open(&f, path));
    assert_ok(job.load(job.ctx, f));
    store_close(f);
}

static inline void planted_path(char path[64], const char *what)
{
    snprintf(path, 64, "/tmp/tabmill-test-%ld-%s.mill", (long)getpid(), what);
}

/* Fit, write, open.  The file is gone when the model is closed, whoever looks. */
static inline synth_model *planted_model(const mill_table *t, synth_config c, mill_pool *pool)
{
    const synth_method *m = c.components == 1 ? &synth_independent : &synth_mixture;
    synth_schema *s;
    synth_model *model;
    void *fit;
    char path[64];

    planted_path(path, "model");
    assert_ok(synth_schema_fit(&s, t, &c));
    assert_ok(m->fit_open(&fit, t, s, &c, pool));
    planted_train(fit, m, 0, c.iterations);
    assert_ok(synth_model_write(path, m, fit, s, &c));
    m->fit_close(fit);
    synth_schema_free(s);
    assert_ok(synth_model_open(&model, path, pool));
    assert_ok(file_remove(path));
    return model;
}

static inline mill_table *planted_sample(synth_model *m, int64_t n, uint64_t seed,
                                         const char *const *where)
{
    synth_where w[8];
    synth_sampler *s;
    mill_table *t;
    int n_where = 0;

    for (; where && where[n_where]; n_where++) {
        assert_ok(synth_where_parse(&w[n_where], m->schema, where[n_where]));
    }
    assert_ok(synth_sampler_open(&s, m, seed, w, n_where));
    assert_ok(synth_sampler_next(s, &t, n));
    synth_sampler_close(s);
    return t;
}

static inline mill_pool *planted_pool(int threads)
{
    mill_pool *p;
    assert_ok(mill_cpu_init());
    assert_ok(mill_pool_new(&p, threads));
    return p;
}

#endif
