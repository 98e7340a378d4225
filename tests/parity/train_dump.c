/*
 * train_dump.c - what p_train.py compares with PyTorch: the first steps of `tabmill train`, in
 * full.
 *
 *     train_dump TABLE.csv TARGET OUT.mill STEPS KEY=VALUE ...
 *
 * KEY: arch, dropout, accum, batch, task.
 *
 * The file holds the rows of every part of every step as the network gets them, the mean loss of
 * each step, and all states before the first step ("NAME@0") and after the last ("NAME@STEPS").
 */
#include "base/cpu.h"
#include "base/mem.h"
#include "classify/trainer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(mill_err err)
{
    if (!err) return;
    fprintf(stderr, "train_dump: %s\n", mill_error());
    exit(1);
}

static void *copy(const void *p, size_t bytes)
{
    void *out = mill_alloc(bytes + 1, 1);
    check(out ? MILL_OK : MILL_ENOMEM);
    return memcpy(out, p, bytes);
}

static const char *named(const char *format, const char *name, int64_t a)
{
    char *out = mill_alloc(200, 1);
    snprintf(out, 200, format, name, (long long)a);
    return out;
}

static void add(store_writer *w, const char *name, store_dtype dtype, int64_t n, int64_t m,
                const void *data)
{
    const int64_t dim[2] = {n, m};
    check(store_writer_add(w, name, dtype, 2, dim, copy(data, (size_t)(n * m) * 4)));
}

static void keep_states(store_writer *w, const cls_trainer *t, int64_t step)
{
    for (int i = 0; i < t->layout.n; i++) {
        const flat_entry *p = &t->layout.entry[i];
        check(store_writer_add(
            w, named("%s@%lld", p->name, step), STORE_F32, p->shape.rank, p->shape.dim,
            copy(rank_buffer_data(t->shards.params) + p->at, (size_t)p->count * 4)));
    }
}

static void keep_batches(store_writer *w, const cls_trainer *t, const cls_data *d, int64_t steps)
{
    const int64_t parts = t->plan.parts, batch = t->deal.batch;
    cls_loader *l;

    check(cls_loader_open(&l, &t->deal, d->train, d->encoder, (cls_share){0, 0, parts}, 0));
    for (int64_t k = 0; k < steps * parts; k++) {
        const cls_batch *b = cls_loader_take(l);
        if (d->train->n_num)
            add(w, named("num%s.%lld", "", k), STORE_F32, batch, d->train->n_num, b->num);
        if (d->train->n_cat)
            add(w, named("code%s.%lld", "", k), STORE_I32, batch, d->train->n_cat, b->code);
        if (b->label)
            add(w, named("label%s.%lld", "", k), STORE_I32, batch, 1, b->label);
        else
            add(w, named("y%s.%lld", "", k), STORE_F32, batch, 1, b->y);
        add(w, named("weight%s.%lld", "", k), STORE_F32, batch, 1, b->weight);
        cls_loader_release(l);
    }
    cls_loader_close(l);
}

static void option(cls_config *c, const char *arg)
{
    const char *value = strchr(arg, '=') + 1;

    if (!strncmp(arg, "arch=", 5)) c->arch = value;
    if (!strncmp(arg, "dropout=", 8)) c->dropout = atof(value);
    if (!strncmp(arg, "accum=", 6)) c->accum_steps = atoi(value);
    if (!strncmp(arg, "batch=", 6)) c->batch_size = atoi(value);
    if (!strncmp(arg, "activation=", 11)) c->activation = value;
}

int main(int argc, char **argv)
{
    if (argc < 5) return 2;
    const int64_t steps = atoi(argv[4]);
    cls_config c = cls_config_default();
    cls_source s;
    cls_encoder *e;
    cls_rows *rows, *none;
    cls_trainer *t;
    rank_identity who;
    rank_group *g;
    store_writer *w;

    c.seed = 11;
    c.hidden_dims = "40,24";
    c.token_dim = 16;
    c.heads = 4;
    c.layers = 2;
    c.epochs = 4;
    c.warmup_epochs = 1;
    for (int i = 5; i < argc; i++) option(&c, argv[i]);
    check(mill_cpu_init());
    check(cls_source_read(&s, argv[1], NULL, NULL, NULL));
    check(cls_encoder_new(&e, &s, argv[2], CLS_AUTO, CLS_FLATTEN));
    int64_t *row = mill_alloc((size_t)s.rows, sizeof *row), n = 0;
    double *y = mill_alloc((size_t)s.rows, sizeof *y);
    int32_t *label = mill_alloc((size_t)s.rows, sizeof *label);
    const bool is_class = e->task == CLS_CLASSES;
    check(cls_targets(is_class ? label : NULL, is_class ? NULL : y, e, &s, NULL, 0));
    for (int64_t i = 0; i < s.rows; i++)
        if (is_class ? label[i] >= 0 : y[i] == y[i]) row[n++] = i;
    check(cls_encoder_fit(e, &s, row, n));
    check(cls_rows_new(&rows, e, &s, row, n, true));
    check(cls_rows_new(&none, e, &s, row, 0, true));
    check(rank_identify(&who, NULL));
    check(rank_open(&g, &who, NULL));
    const cls_data d = {e, rows, none, none};
    check(cls_trainer_open(&t, &c, &d, g, NULL));
    check(store_writer_new(&w));
    keep_states(w, t, 0);
    keep_batches(w, t, &d, steps);
    for (int64_t i = 0; i < steps; i++) {
        const double before = i % t->plan.steps_per_epoch ? t->sums.loss : 0;
        check(cls_step(t, i));
        const float loss[2] = {
            (float)((t->sums.loss - before) / (double)cls_deal_step_rows(&t->deal, i)),
            (float)t->lr};
        add(w, named("loss%s.%lld", "", i), STORE_F32, 1, 2, loss);
    }
    keep_states(w, t, steps);
    json_t *meta =
        json_pack("{s:I,s:I,s:I,s:I,s:b}", "parts", (json_int_t)t->plan.parts, "steps_per_epoch",
                  (json_int_t)t->plan.steps_per_epoch, "n_steps", (json_int_t)t->plan.n_steps,
                  "n_cat", (json_int_t)rows->n_cat, "classes", is_class);
    check(store_writer_commit(w, argv[3], meta));
    return 0;
}
