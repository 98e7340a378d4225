/*
 * step_dump.c - what p_trajectory.py compares with PyTorch: the first steps of a training run, in
 * full.
 *
 *     step_dump ctgan|tvae TABLE.csv OUT.mill STEPS BATCH
 *
 * The file holds the encoded rows, the spans, which rows and conditions were drawn in each step,
 * the losses, and all states before the first step ("NAME@0") and after the last ("NAME@STEPS").
 * Noise is not in it: it is a function of (seed, stream, step, element), which the script computes
 * by itself.
 */
#include "base/cpu.h"
#include "base/mem.h"
#include "exec/exec.h"
#include "synth/ctgan_draw.h"
#include "table/csv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(mill_err err)
{
    if (!err) return;
    fprintf(stderr, "step_dump: %s\n", mill_error());
    exit(1);
}

static void *copy(const void *p, size_t bytes)
{
    void *out = mill_alloc(bytes + 1, 1);
    check(out ? MILL_OK : MILL_ENOMEM);
    return memcpy(out, p, bytes);
}

/* All tensors of a checkpoint file under "NAME@step" */
static void keep_states(store_writer *w, const train_job *job, int step)
{
    store_writer *tmp;
    store *s;
    json_t *meta = json_object();
    char path[] = "/tmp/step_dump.mill";

    check(store_writer_new(&tmp));
    check(job->save(job->ctx, tmp, meta));
    check(store_writer_commit(tmp, path, meta));
    store_writer_free(tmp);
    check(store_open(&s, path));
    for (int i = 0; i < store_n_tensors(s); i++) {
        const store_tensor *t = store_tensor_at(s, i);
        char *name = mill_alloc(strlen(t->name) + 16, 1);
        sprintf(name, "%s@%d", t->name, step);
        check(store_writer_add(w, name, t->dtype, t->rank, t->dim, copy(t->data, t->bytes)));
    }
    store_close(s);
    remove(path);
    json_decref(meta);
}

/* One step's draws, from a graph that has only them, with the streams that they have in the whole.
 */
static void keep_draws(store_writer *w, bool ctgan, const ctgan_draw *d, int step,
                       const synth_config *c)
{
    const int64_t batch = c->batch_size, per_epoch = (d->rows->n + batch - 1) / batch;
    const int64_t left = d->rows->n - step % per_epoch * batch; /* tvae's last batch is smaller */
    mill_graph *g;
    mill_exec *e;
    exec_tensor t;

    check(mill_graph_new(&g));
    mill_output(g, "first",
                ctgan ? ctgan_draw_batch(g, d, batch, true, true)
                      : ctgan_shuffled_rows(g, d, left < batch ? left : batch, batch, per_epoch));
    if (ctgan) { /* between the two draws: the noise and the Gumbel numbers of the first batch */
        mill_stream(g);
        mill_stream(g);
        mill_output(g, "second", ctgan_draw_batch(g, d, batch, true, true));
    }
    check(mill_exec_new(&e, g, &(exec_options){.seed = c->seed}));
    check(mill_exec_run(e, (uint32_t)step));
    for (int k = 0; k <= ctgan; k++) {
        char *name = mill_alloc(32, 1);
        sprintf(name, "%s@%d", k ? "second" : "first", step);
        check(mill_exec_output(&t, e, k ? "second" : "first"));
        check(store_writer_add(w, name, STORE_I32, 2, t.shape.dim, copy(t.data, t.bytes)));
    }
    mill_exec_free(e);
    mill_graph_free(g);
}

static void keep_rows(store_writer *w, const synth_spans *s, const span_rows *r)
{
    int32_t *code = mill_alloc((size_t)r->n * (size_t)r->n_cols, sizeof *code);
    for (int64_t i = 0; i < r->n; i++)
        for (int k = 0; k < r->n_cols; k++) code[i * r->n_cols + k] = span_code(r, i, k);
    check(store_writer_add(w, "rows.u", STORE_F32, 2, (int64_t[]){r->n, r->n_numbers}, r->u));
    check(store_writer_add(w, "rows.code", STORE_I32, 2, (int64_t[]){r->n, r->n_cols}, code));
    check(store_writer_add(w, "spans", STORE_I32, 2, (int64_t[]){s->n_spans, 3}, s->table));
}

int main(int argc, char **argv)
{
    if (argc != 6) return 2;
    const bool ctgan = !strcmp(argv[1], "ctgan");
    const int steps = atoi(argv[4]);
    const synth_method *method = synth_method_find(argv[1]);
    synth_config c = synth_config_default();
    csv_options o = CSV_DEFAULTS;
    double *loss = mill_alloc((size_t)steps * 2, sizeof *loss);
    json_t *meta = json_object();
    store_writer *w;
    synth_schema *schema;
    synth_spans *s;
    span_rows rows;
    ctgan_draw d;
    mill_pool *pool;
    mill_table *t;
    train_job job;
    void *fit;

    check(mill_cpu_init());
    check(mill_pool_new(&pool, 2));
    c.method = argv[1];
    c.batch_size = atoi(argv[5]);
    c.probe_every = 0;
    c.seed = 11;
    check(mill_table_read_csv(&t, argv[2], &o, pool));
    check(synth_schema_fit(&schema, t, &c));
    check(spans_fit(&s, t, schema, c.seed, pool));
    check(spans_encode(&rows, s, t, schema, c.seed, pool));
    check(ctgan_draw_init(&d, s, &rows));
    check(method->fit_open(&fit, t, schema, &c, pool));
    method->fit_job(&job, fit);

    check(store_writer_new(&w));
    keep_rows(w, s, &rows);
    for (int i = 0; i < steps; i++) keep_draws(w, ctgan, &d, i, &c);
    keep_states(w, &job, 0);
    for (int i = 0; i < steps; i++) {
        check(job.step(job.ctx, i));
        job.metrics(job.ctx, loss + 2 * (ptrdiff_t)i);
    }
    keep_states(w, &job, steps);
    check(store_writer_add(w, "loss", STORE_F64, 2, (int64_t[]){steps, 2}, loss));
    check(store_writer_commit(w, argv[3], meta));
    return 0;
}
