/* model.c - include/tabmill.h: a model file opened; rows drawn and scored. */
#include "api/api.h"

#include "base/mem.h"
#include "table/writer.h"

#include <string.h>

enum { FILE_BATCH = 65536, MAX_WHERE = 32 };

int mill_model_open(mill_model **out, mill_engine *e, const char *path)
{
    API_ENTER;
    mill_model *m = mill_alloc(1, sizeof *m);
    if (!m) return MILL_ENOMEM;
    m->engine = e;
    const mill_err err = synth_model_open(&m->synth, path, e->pool);
    if (err != MILL_OK) {
        mill_free(m);
        return err;
    }
    *out = m;
    return MILL_OK;
}

void mill_model_close(mill_model *m)
{
    if (!m) return;
    synth_model_close(m->synth);
    mill_free(m);
}

const char *mill_model_method(const mill_model *m)
{
    return m->synth->method->name;
}

static mill_err open_sampler(synth_sampler **out, mill_model *m, int64_t n, uint64_t seed,
                             const char *const *where)
{
    synth_where w[MAX_WHERE];
    int n_where = 0;

    if (n < 0) return mill_fail(MILL_EINPUT, "%lld rows cannot be drawn", (long long)n);
    for (; where && where[n_where]; n_where++) {
        if (n_where == MAX_WHERE) {
            return mill_fail(MILL_EINPUT, "more than %d conditions", MAX_WHERE);
        }
        TRY(synth_where_parse(&w[n_where], m->synth->schema, where[n_where]));
    }
    return synth_sampler_open(out, m->synth, seed, w, n_where);
}

int mill_model_sample(mill_table **out, mill_model *m, int64_t n, uint64_t seed,
                      const char *const *where)
{
    API_ENTER;
    synth_sampler *s;

    TRY(open_sampler(&s, m, n, seed, where));
    const mill_err err = synth_sampler_next(s, out, n);
    synth_sampler_close(s);
    return err;
}

/* At least one batch is written, so that a file of no rows has its header. */
static mill_err write_batches(const char *path, mill_model *m, synth_sampler *s, int64_t n,
                              bool force)
{
    table_writer *w;
    mill_err err = MILL_OK;

    TRY(table_writer_open(&w, path, force, m->engine->pool));
    for (int64_t at = 0; err == MILL_OK && (at < n || at == 0); at += FILE_BATCH) {
        mill_table *batch;
        err = synth_sampler_next(s, &batch, n - at < FILE_BATCH ? n - at : FILE_BATCH);
        if (err != MILL_OK) break;
        err = table_writer_add(w, batch);
        mill_table_free(batch);
    }
    if (err == MILL_OK) err = table_writer_commit(w);
    table_writer_close(w);
    return err;
}

int mill_model_sample_file(const char *path, mill_model *m, int64_t n, uint64_t seed,
                           const char *const *where, int force)
{
    API_ENTER;
    synth_sampler *s = NULL;
    mill_err err;

    TRY(open_sampler(&s, m, n, seed, where));
    if (mill_table_is_array(path)) {
        mill_table *t = NULL;
        err = synth_sampler_next(s, &t, n);
        if (err == MILL_OK) err = mill_table_write(t, path, force != 0, m->engine->pool);
        mill_table_free(t);
    } else {
        err = write_batches(path, m, s, n, force != 0);
    }
    synth_sampler_close(s);
    return err;
}

int mill_model_score(double *out, mill_model *m, const mill_table *t)
{
    API_ENTER;
    if (!m->synth->method->score) {
        return mill_fail(MILL_EINPUT, "the method %s has no likelihood", m->synth->method->name);
    }
    return m->synth->method->score(m->synth->model, out, t);
}
