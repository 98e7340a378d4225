/*
 * train_results.c - what a finished training says of itself: a few lines, and
 * training_results.json.
 *
 * {"best_val_acc", "best_epoch", "test_acc", "test_loss", "total_time_minutes" (of this process),
 *  "best": metrics of the validation rows, "test": of the test rows, "plan", "config",
 *  "history": the lines of metrics.jsonl that end an epoch}
 */
#include "cli/train.h"

#include "base/cpu.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_CLASSES_SHOWN = 20 };

static mill_err path_in_run(char path[4096], const train_work *w, const char *name)
{
    if (snprintf(path, 4096, "%s/%s", w->o->run.save_dir, name) < 4096) return MILL_OK;
    return mill_fail(MILL_EINPUT, "%.200s...: the path of the run folder is too long",
                     w->o->run.save_dir);
}

static void say_classes(const train_work *w, const cls_metrics *m)
{
    const cls_column *t = &w->encoder->target;

    for (int c = 0; c < t->n_values && c < MOST_CLASSES_SHOWN; c++) {
        const int len = t->offset[c + 1] - t->offset[c];
        if (!m->class_rows[c]) continue;
        cli_say("  %-20.*s accuracy %.4f of %lld row%s", len > 40 ? 40 : len,
                t->text + t->offset[c], m->class_accuracy[c], (long long)m->class_rows[c],
                mill_s(m->class_rows[c]));
    }
    if (t->n_values > MOST_CLASSES_SHOWN)
        cli_say("  ... and %d more, in training_results.json", t->n_values - MOST_CLASSES_SHOWN);
}

/* "AUC 0.9134"; of what is not defined (one class only) "AUC -". */
static void add_fact(mill_text *t, const char *name, double x, int digits)
{
    if (isfinite(x))
        text_add(t, ", %s %.*g", name, digits, x);
    else
        text_add(t, ", %s -", name);
}

static void say_metrics(const train_work *w, const char *name, const cls_metrics *m)
{
    mill_text t = {0};

    if (!m->rows) return;
    text_add(&t, "%s: %lld row%s", name, (long long)m->rows, mill_s(m->rows));
    if (w->encoder->task == CLS_NUMBER) {
        add_fact(&t, "RMSE", m->rmse, 6);
        add_fact(&t, "MAE", m->mae, 6);
        add_fact(&t, "R2", m->r2, 4);
    } else {
        add_fact(&t, "accuracy", m->accuracy, 4);
        add_fact(&t, "F1", m->f1, 4);
        add_fact(&t, "AUC", m->auc, 4);
        add_fact(&t, "loss", m->loss, 4);
    }
    cli_say("%s", t.s ? t.s : name);
    text_free(&t);
}

/* The lines that end an epoch, and the epoch whose state is the best. */
static mill_err read_history(json_t **out, int64_t *best_epoch, const train_work *w)
{
    const int64_t per_epoch = cls_trainer_plan(w->trainer)->steps_per_epoch;
    const char *key = w->encoder->task == CLS_CLASSES ? "val_accuracy" : "val_loss";
    const double sign = w->encoder->task == CLS_CLASSES ? 1 : -1;
    char path[4096], *text;
    size_t len;
    double best = -(double)INFINITY;

    *out = json_array();
    *best_epoch = -1;
    TRY(path_in_run(path, w, "metrics.jsonl"));
    if (!file_exists(path)) return MILL_OK;
    TRY(file_read_all(&text, &len, path));
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        json_t *o = json_loadb(line, (size_t)(end - line), 0, NULL);
        const int64_t step = json_integer_value(json_object_get(o, "step"));
        const json_t *value = json_object_get(o, key);

        if (!o || step % per_epoch) {
            json_decref(o);
            continue;
        }
        json_array_append_new(*out, o);
        if (!json_is_number(value) || !(sign * json_number_value(value) > best)) continue;
        best = sign * json_number_value(value);
        *best_epoch = step / per_epoch;
    }
    mill_free(text);
    return MILL_OK;
}

static json_t *plan_json(const train_work *w)
{
    const cls_plan *p = cls_trainer_plan(w->trainer);
    return json_pack(
        "{s:I,s:I,s:i,s:I,s:I,s:I,s:I,s:f,s:I}", "batch_per_rank", (json_int_t)w->o->cls.batch_size,
        "accumulation", (json_int_t)w->o->cls.accum_steps, "world", p->world, "shards",
        (json_int_t)p->shards, "effective_batch", (json_int_t)p->effective, "steps_per_epoch",
        (json_int_t)p->steps_per_epoch, "steps", (json_int_t)p->n_steps, "lr", p->lr, "parameters",
        (json_int_t)cls_trainer_n_params(w->trainer));
}

static json_t *real(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static mill_err write_results(const train_work *w, const cls_metrics *val, const cls_metrics *test)
{
    char path[4096], *text;
    json_t *history;
    int64_t best_epoch;

    TRY(path_in_run(path, w, "training_results.json"));
    TRY(read_history(&history, &best_epoch, w));
    json_t *o = json_pack(
        "{s:o,s:o,s:o,s:o,s:f,s:b,s:o,s:o,s:o,s:O,s:o}", "best_val_acc", real(val->accuracy),
        "best_epoch", best_epoch < 0 ? json_null() : json_integer(best_epoch), "test_acc",
        real(test->accuracy), "test_loss", real(test->loss), "total_time_minutes",
        (mill_clock() - w->began) / 60, "stopped_early", w->end == TRAIN_STOPPED_EARLY, "best",
        cls_metrics_json(val, w->encoder), "test", cls_metrics_json(test, w->encoder), "plan",
        plan_json(w), "config", w->config, "history", history);
    mill_err err = mill_json_text(&text, o, JSON_INDENT(2));
    json_decref(o);
    TRY(err);
    err = file_write_all(path, text, strlen(text));
    mill_free(text);
    return err;
}

mill_err train_report(train_work *w)
{
    cls_metrics val = {0}, test = {0};
    mill_err err = cls_trainer_evaluate(&val, w->trainer, CLS_VAL);

    if (!err) err = cls_trainer_evaluate(&test, w->trainer, CLS_TEST);
    if (!err) err = write_results(w, &val, &test);
    if (!err) {
        say_metrics(w, "validation", &val);
        say_metrics(w, "test", &test);
        if (test.class_rows) say_classes(w, &test);
        cli_say("%s: best.mill, latest.mill, training_results.json", w->o->run.save_dir);
    }
    cls_metrics_deinit(&val);
    cls_metrics_deinit(&test);
    return err;
}
