/*
 * usefulness.c - utility and detection, into the report.
 */
#include "base/mem.h"
#include "base/text.h"
#include "eval/learners.h"
#include "eval/report.h"

#include <stdio.h>

static learn_task task_of(const evaluation *e, int *feature, int target)
{
    learn_task t = {.feature = feature, .target = target, .seed = e->o.seed, .pool = e->pool};

    t.learner_rows = report_max_rows(e);
    for (int c = 0; c < e->n_common; c++) {
        if (c == target || !report_is_compared(e, c)) continue;
        feature[t.n_features++] = c;
    }
    return t;
}

static void put_score(evaluation *e, json_t *learner, const char *name, const char *key,
                      const learner_score *s, bool is_classification, const char *why)
{
    json_t *const o = put_object(learner, key, &e->failed);
    char under[64];
    const report_place at = {under, NULL, NULL};

    snprintf(under, sizeof under, "utility.%s.%s", name, key);
    if (is_classification) {
        report_number(e, o, &at, "auc", s->auc, why);
        report_number(e, o, &at, "f1", s->f1, why);
        report_number(e, o, &at, "accuracy", s->accuracy, why);
        return;
    }
    report_number(e, o, &at, "r2", s->r2, why);
    report_number(e, o, &at, "rmse", s->rmse, why);
}

/* NaN where what real rows reach is nothing to be measured by. */
static double ratio_of(double syn, double real)
{
    return real > 0 ? syn / real : (double)NAN;
}

static void put_utility(evaluation *e, const utility_result *u, const learn_task *task)
{
    json_t *const o = put_object(e->report, "utility", &e->failed);
    const bool c = u->is_classification;

    put_text(o, "target", e->o.target, &e->failed);
    put_text(o, "task", c ? "classification" : "regression", &e->failed);
    if (c) put_int(o, "classes", u->n_classes, &e->failed);
    put_text(o, "test", e->holdout ? "holdout" : "a fifth of the real table", &e->failed);
    put_int(o, "test_rows", u->test_rows, &e->failed);
    put_int(o, "real_train_rows", u->train_rows[TRAIN_REAL], &e->failed);
    put_int(o, "synthetic_train_rows", u->train_rows[TRAIN_SYN], &e->failed);
    put_int(o, "features", task->n_features, &e->failed);
    for (int l = 0; l < N_LEARNERS; l++) {
        const char *name = l == LEARNER_BOOSTED ? "boosted_trees" : c ? "logistic" : "linear";
        const learner_score *r = &u->score[l][TRAIN_REAL], *s = &u->score[l][TRAIN_SYN];
        const learner_score ratio = {ratio_of(s->auc, r->auc), ratio_of(s->f1, r->f1),
                                     ratio_of(s->accuracy, r->accuracy), ratio_of(s->r2, r->r2),
                                     ratio_of(s->rmse, r->rmse)};
        json_t *const to = put_object(o, name, &e->failed);
        const char *one = c ? "the rows to test on have one class only"
                            : "the target does not vary in the rows to test on, or is too large";

        put_score(e, to, name, "train_on_synthetic", s, c, one);
        put_score(e, to, name, "train_on_real", r, c, one);
        put_score(e, to, name, "ratio", &ratio, c,
                  "trained on real rows it is not above 0, or not there");
    }
}

mill_err report_utility(evaluation *e)
{
    utility_result u;
    int target = 0;
    mill_err err;

    if (!e->o.target) {
        put(e->report, "utility", json_null(), &e->failed);
        report_skip(e, "utility", NULL, NULL, "no target column was named");
        return MILL_OK;
    }
    while (strcmp(e->name[target], e->o.target) != 0) target++;
    int *const feature = mill_alloc((size_t)e->n_common, sizeof *feature);
    if (!feature) return MILL_ENOMEM;

    const learn_task task = task_of(e, feature, target);
    const char *why = !report_is_compared(e, target) ? "the target is an identifier"
                      : !task.n_features             ? "there is no column to learn from"
                                                     : NULL;
    err = why ? MILL_OK : utility_compute(&u, &e->real, e->syn, e->holdout, &task);
    mill_free(feature);
    if (err) return err;
    if (!why) why = u.why;
    if (why) {
        put(e->report, "utility", json_null(), &e->failed);
        report_skip(e, "utility", NULL, NULL, why);
        return MILL_OK;
    }
    put_utility(e, &u, &task);
    if (!e->holdout)
        report_note(
            e,
            "utility without a holdout: a fifth of the real rows, drawn at random by seed %llu, is "
            "the test; the generator may have seen them",
            (unsigned long long)e->o.seed);
    const char *const what[] = {"real", "synthetic", "test"};
    for (int t = 0; t < 3; t++)
        if (u.dropped[t])
            report_note(e, "utility: %lld %s row%s without a usable target left out",
                        (long long)u.dropped[t], what[t], mill_s(u.dropped[t]));
    const int64_t most = task.learner_rows;
    if (e->real.rows > most || e->syn->rows > most || (e->holdout && e->holdout->rows > most))
        report_note(e,
                    "utility: learners were given at most %lld rows of a table, drawn at random by "
                    "seed %llu",
                    (long long)most, (unsigned long long)e->o.seed);
    return MILL_OK;
}

mill_err report_detection(evaluation *e)
{
    detection_result d;
    int *const feature = mill_alloc((size_t)e->n_common, sizeof *feature);

    if (!feature) return MILL_ENOMEM;
    learn_task task = task_of(e, feature, -1);
    if (e->o.sdmetrics_compat) { /* its detection takes numbers, dates and categories */
        int n = 0;
        for (int i = 0; i < task.n_features; i++) {
            const mill_column *c = &e->real.col[feature[i]];
            if (c->type == MILL_BOOLEAN)
                report_skip(e, "detection", c->name, NULL, "SDMetrics leaves booleans out");
            else
                feature[n++] = feature[i];
        }
        task.n_features = n;
    }
    const mill_err err = detection_compute(&d, &e->real, e->syn, &task);
    mill_free(feature);
    if (err) return err;
    if (d.why) {
        put(e->report, "detection", json_null(), &e->failed);
        report_skip(e, "detection", NULL, NULL, d.why);
        return MILL_OK;
    }
    json_t *const o = put_object(e->report, "detection", &e->failed);
    put_int(o, "real_rows", d.rows[0], &e->failed);
    put_int(o, "synthetic_rows", d.rows[1], &e->failed);
    put_int(o, "features", task.n_features, &e->failed);
    for (int l = 0; l < N_LEARNERS; l++) {
        json_t *const to =
            put_object(o, l == LEARNER_BOOSTED ? "boosted_trees" : "logistic", &e->failed);
        put_number(to, "score", d.score[l], &e->failed);
        put_number(to, "expected", d.expected, &e->failed);
        json_t *const auc = put_array(to, "auc", &e->failed);
        for (int k = 0; k < N_FOLDS; k++)
            if (json_array_append_new(auc, json_real(d.auc[l][k]))) e->failed = true;
    }
    if (d.rows[0] < e->real.rows || d.rows[1] < e->syn->rows)
        report_note(
            e,
            "detection: learners were given %lld real and %lld synthetic rows, drawn at random by "
            "seed %llu",
            (long long)d.rows[0], (long long)d.rows[1], (unsigned long long)e->o.seed);
    return MILL_OK;
}
