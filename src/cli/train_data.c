/* train_data.c - `tabmill train`: from files to rows that train, validate and test. */
#include "cli/train.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TRAIN, VAL, TEST };

static cls_task task_of(const char *name)
{
    return !strcmp(name, "classification") ? CLS_CLASSES
           : !strcmp(name, "regression")   ? CLS_NUMBER
                                           : CLS_AUTO;
}

static cls_mode mode_of(const char *name)
{
    return !strcmp(name, "average") ? CLS_AVERAGE
           : !strcmp(name, "first") ? CLS_FIRST
                                    : CLS_FLATTEN;
}

typedef struct {
    int32_t *label;
    double *y;
    int8_t *part;
    int64_t *row; /* rows of each part, one part behind the other */
    int64_t n[3], missing;
} parts;

static void parts_deinit(parts *s)
{
    mill_free(s->label);
    mill_free(s->y);
    mill_free(s->part);
    mill_free(s->row);
}

/* Which rows of the data are which. */
static mill_err split(parts *s, const train_work *w)
{
    const cls_source *from = &w->source[TRAIN];
    const cls_config *c = &w->o->cls;
    const size_t n = (size_t)from->rows + 1;
    int64_t at = 0;

    if (w->encoder->task == CLS_CLASSES)
        s->label = mill_alloc(n, sizeof *s->label);
    else
        s->y = mill_alloc(n, sizeof *s->y);
    s->part = mill_alloc(n, sizeof *s->part);
    s->row = mill_alloc(n, sizeof *s->row);
    if ((!s->label && !s->y) || !s->part || !s->row) return MILL_ENOMEM;
    TRY(cls_targets(s->label, s->y, w->encoder, from, NULL, 0));
    TRY(cls_split(s->part, s->label, s->y, from->rows, w->o->run.val_data ? 0 : c->val_fraction,
                  w->o->run.test_data ? 0 : c->test_fraction, c->seed));
    for (int k = TRAIN; k <= TEST; k++)
        for (int64_t i = 0; i < from->rows; i++) {
            if (s->part[i] != k) continue;
            s->row[at++] = i;
            s->n[k]++;
        }
    s->missing = from->rows - at;
    return MILL_OK;
}

/* Rows of a file of its own that have a target. */
static mill_err read_other(train_work *w, int k, const char *path)
{
    parts s = {0};
    const cls_source *from = &w->source[k];

    TRY(cli_input_open(&w->in[k], path));
    TRY(cls_source_read(&w->source[k], w->in[k].path, &w->csv, w->encoder, w->pool));
    const size_t n = (size_t)from->rows + 1;
    const bool is_class = w->encoder->task == CLS_CLASSES;
    s.label = is_class ? mill_alloc(n, sizeof *s.label) : NULL;
    s.y = is_class ? NULL : mill_alloc(n, sizeof *s.y);
    s.row = mill_alloc(n, sizeof *s.row);
    mill_err err = (s.label || s.y) && s.row ? MILL_OK : MILL_ENOMEM;
    if (!err) err = cls_targets(s.label, s.y, w->encoder, from, NULL, 0);
    for (int64_t i = 0; !err && i < from->rows; i++)
        if (is_class ? s.label[i] >= 0 : !isnan(s.y[i])) s.row[s.n[0]++] = i;
    if (!err && s.n[0] < from->rows)
        cli_say("%s: %lld row%s without a target left out", path, (long long)(from->rows - s.n[0]),
                mill_s(from->rows - s.n[0]));
    if (!err) err = cls_rows_new(&w->rows[k], w->encoder, from, s.row, s.n[0], true);
    parts_deinit(&s);
    cls_source_close(&w->source[k]);
    return err;
}

static mill_err encode(train_work *w, const parts *s)
{
    const cls_source *from = &w->source[TRAIN];
    const int64_t *row = s->row;

    TRY(cls_encoder_fit(w->encoder, from, row, s->n[TRAIN]));
    for (int k = TRAIN; k <= TEST; k++) {
        TRY(cls_rows_new(&w->rows[k], w->encoder, from, row, s->n[k], true));
        row += s->n[k];
    }
    return MILL_OK;
}

/* What a resume must agree with: the options, the bytes of the input, and how many batches make a
 * step (not how many ranks: with virtual shards they may differ). */
static mill_err make_config(train_work *w)
{
    static const char *const files[] = {"data", "val_data", "test_data"};
    const cls_config *c = &w->o->cls;
    json_t *o = w->config = json_object();
    cls_plan plan;

    TRY(cls_plan_make(&plan, c, w->rows[TRAIN]->n, w->who.world));
    cli_config_options(o, w->p->set, c->arch, c);
    cli_config_csv(o, &w->csv);
    json_object_set_new(o, "seed", json_integer((json_int_t)c->seed));
    json_object_set_new(o, "shards", json_integer(plan.shards));
    json_object_set_new(o, "target", json_string(w->o->run.target));
    for (int k = TRAIN; k <= TEST; k++)
        if (w->in[k].path) json_object_set_new(o, files[k], cli_config_file(&w->in[k]));
    if (c->encoder_path) {
        char hash[33];
        int64_t bytes;
        TRY(cli_hash_file(hash, &bytes, c->encoder_path));
        json_object_set_new(o, "encoder", json_string(hash));
    }
    w->manifest = json_pack("{s:s,s:o,s:i,s:i}", "version", MILL_VERSION, "input_path",
                            mill_json_path(w->o->run.data), "threads", mill_pool_threads(w->pool),
                            "ranks", w->who.world);
    return o && w->manifest ? MILL_OK : mill_fail(MILL_ENOMEM, "no memory for the manifest");
}

mill_err train_read(train_work *w)
{
    const train_flags *f = &w->o->run;
    parts s = {0};

    cli_csv_options(&w->csv, w->p, &w->o->csv, &w->o->columns);
    TRY(cli_input_open(&w->in[TRAIN], f->data));
    TRY(cls_source_read(&w->source[TRAIN], w->in[TRAIN].path, &w->csv, NULL, w->pool));
    TRY(cls_encoder_new(&w->encoder, &w->source[TRAIN], f->target, task_of(w->o->cls.task),
                        mode_of(w->o->cls.mode)));
    mill_err err = split(&s, w);
    if (!err && s.missing)
        cli_say("%s: %lld row%s without a target left out", f->data, (long long)s.missing,
                mill_s(s.missing));
    if (!err && !s.n[TRAIN]) err = mill_fail(MILL_EINPUT, "%s: no row has a target", f->data);
    if (!err) err = encode(w, &s);
    parts_deinit(&s);
    cls_source_close(&w->source[TRAIN]);
    if (!err && f->val_data) {
        cls_rows_free(w->rows[VAL]);
        w->rows[VAL] = NULL;
        err = read_other(w, VAL, f->val_data);
    }
    if (!err && f->test_data) {
        cls_rows_free(w->rows[TEST]);
        w->rows[TEST] = NULL;
        err = read_other(w, TEST, f->test_data);
    }
    if (!err) err = make_config(w);
    return err;
}

/* The configuration holds the digests of the files, too: a rank that reads other rows than rank 0,
 * or was started with other options, would train without a word on what the others do not have. */
mill_err train_compare(const train_work *w)
{
    char *mine = json_dumps(w->config, JSON_COMPACT | JSON_SORT_KEYS);
    int64_t len = mine ? (int64_t)strlen(mine) : 0;
    mill_err err = mine ? MILL_OK : mill_fail(MILL_ENOMEM, "no memory for the configuration");

    TRY(rank_broadcast(w->group, &len, sizeof len, 0));
    char *first = mill_alloc((size_t)len + 1, 1);
    if (!first) err = MILL_ENOMEM;
    err = rank_agree(w->group, err);
    if (err || !mine || !first) goto done;
    if (rank_of(w->group) == 0) memcpy(first, mine, (size_t)len);
    if ((err = rank_broadcast(w->group, first, (size_t)len, 0))) goto done;
    if (!strcmp(mine, first)) goto done;
    json_t *theirs = json_loads(first, 0, NULL);
    const char *key, *differs = "the configuration";
    json_t *value;
    json_object_foreach(w->config, key, value) if (!json_equal(value, json_object_get(theirs, key)))
        differs = key;
    err = mill_fail(MILL_EINPUT,
                    "its \"%s\" is not that of rank 0: every rank has to get the same "
                    "files and options",
                    differs);
    json_decref(theirs);
done:
    free(mine);
    mill_free(first);
    return err;
}
