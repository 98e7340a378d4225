/*
 * learners.c - what is learnt from, what is tested on, and how well it went; see learners.h.
 */
#include "eval/learners.h"

#include "base/mem.h"
#include "base/philox.h"
#include "eval/guess.h"
#include "learn/metric.h"

#include <math.h>
#include <string.h>

mill_err draw_rows(int64_t **out, int64_t *k, int64_t n, uint64_t seed, uint32_t stream,
                   uint32_t step)
{
    int64_t *const row = mill_alloc((size_t)n, sizeof *row);
    mill_rng rng = mill_rng_init(seed, stream, step);

    if (!row) return MILL_ENOMEM;
    for (int64_t i = 0; i < n; i++) row[i] = i;
    for (int64_t i = 0; *k < n && i < *k; i++) {
        const int64_t j = i + mill_rng_below(&rng, (uint32_t)(n - i));
        const int64_t t = row[i];
        row[i] = row[j];
        row[j] = t;
    }
    if (*k > n) *k = n;
    *out = row;
    return MILL_OK;
}

/* ---- a set to learn from or to test on ---- */

typedef struct {
    mill_features *x;
    double *y; /* the value, or the class */
} set;

static void set_deinit(set *s)
{
    features_free(s->x);
    mill_free(s->y);
}

/* ---- utility ---- */

/* How the target's values become classes or numbers. */
typedef struct {
    int column, n_classes; /* 0: numbers */
    int32_t *class_of;     /* (n_codes) of a code; -1: no row that counts has it */
    int32_t n_codes;
    double low, high; /* the two values of a number that stands for classes */
    int positive;     /* of two classes */
} target_rule;

/* The class or value of row i; NaN if it has none. */
static double target_of(const target_rule *r, const mill_table *t, int64_t i)
{
    const mill_column *c = &t->col[r->column];

    if (!column_is_valid(c, i)) return (double)NAN;
    if (r->class_of) {
        const int32_t k = c->code[i] < r->n_codes ? r->class_of[c->code[i]] : -1;
        return k < 0 ? (double)NAN : k;
    }
    const double v = column_f64(c, i);
    if (!r->n_classes) return isfinite(v) ? v : (double)NAN;
    return v == r->low ? 0 : v == r->high ? 1 : (double)NAN;
}

static mill_err rule_from_codes(target_rule *r, const mill_table *const *table, int n_tables)
{
    for (int t = 0; t < n_tables; t++) {
        const int32_t n = table[t]->col[r->column].n_values;
        r->n_codes = n > r->n_codes ? n : r->n_codes;
    }
    if (!(r->class_of = mill_alloc((size_t)r->n_codes + 1, sizeof *r->class_of)))
        return MILL_ENOMEM;
    for (int t = 0; t < n_tables; t++) {
        const mill_column *c = &table[t]->col[r->column];
        for (int64_t i = 0; i < c->rows; i++)
            if (column_is_valid(c, i)) r->class_of[c->code[i]] = 1;
    }
    for (int32_t k = 0; k < r->n_codes; k++) r->class_of[k] = r->class_of[k] ? r->n_classes++ : -1;
    return MILL_OK;
}

static void rule_from_numbers(target_rule *r, const mill_table *real)
{
    const mill_column *c = &real->col[r->column];
    bool more = false;

    r->low = INFINITY;
    r->high = -INFINITY;
    for (int64_t i = 0; i < c->rows; i++) {
        const double v = column_f64(c, i);
        r->low = v < r->low ? v : r->low; /* false for NaN */
        r->high = v > r->high ? v : r->high;
    }
    for (int64_t i = 0; i < c->rows && !more; i++) {
        const double v = column_f64(c, i);
        more = v > r->low && v < r->high;
    }
    r->n_classes = more ? 0 : r->high > r->low ? 2 : 1;
}

/* Classes that the table has, two at the most. */
static int count_classes(const target_rule *r, const mill_table *t)
{
    double first = (double)NAN;

    for (int64_t i = 0; i < t->rows; i++) {
        const double y = target_of(r, t, i);
        if (isnan(y)) continue;
        if (isnan(first)) first = y;
        if (y != first) return 2;
    }
    return isnan(first) ? 0 : 1;
}

/* From real rows alone: what they score must not depend on the synthetic ones. */
static mill_err rule_init(target_rule *r, const mill_table *real, const mill_table *test)
{
    const mill_table *const table[] = {real, test};

    if (column_has_codes(&real->col[r->column]))
        TRY(rule_from_codes(r, table, test ? 2 : 1));
    else
        rule_from_numbers(r, real);
    if (r->n_classes != 2) return MILL_OK;

    int64_t count[2] = {0, 0};
    for (int64_t i = 0; i < real->rows; i++) {
        const double y = target_of(r, real, i);
        if (!isnan(y)) count[(int)y]++;
    }
    r->positive = count[0] < count[1] ? 0 : 1;
    return MILL_OK;
}

/* Of the n rows listed those that have a target, `most` at the most; *dropped: how many have none.
 */
static mill_err make_set(set *s, int64_t *dropped, const mill_table *t, const int64_t *row,
                         int64_t n, const target_rule *r, const learn_task *task)
{
    int64_t *const usable = mill_alloc((size_t)n, sizeof *usable);
    mill_features *all = NULL;
    int64_t k = 0;
    mill_err err = usable ? MILL_OK : MILL_ENOMEM;

    for (int64_t i = 0; !err && i < n; i++)
        if (!isnan(target_of(r, t, row[i]))) usable[k++] = row[i];
    *dropped = n - k;
    if (!err && k > task->learner_rows)
        k = task->learner_rows; /* the rows come in random order then */
    if (!err) err = features_new(&all, t, task->feature, task->n_features);
    if (!err) err = features_take(&s->x, all, usable, k);
    if (!err && !(s->y = mill_alloc((size_t)k, sizeof *s->y))) err = MILL_ENOMEM;
    for (int64_t i = 0; !err && i < k; i++) s->y[i] = target_of(r, t, usable[i]);
    features_free(all);
    mill_free(usable);
    return err;
}

static mill_err score_classes(learner_score *to, const double *p, const set *test,
                              const target_rule *r)
{
    const int64_t n = test->x->rows;
    const int k = r->n_classes;
    int32_t *const guess = mill_alloc((size_t)n, sizeof *guess), *const label = mill_alloc(
                                                                     (size_t)n, sizeof *label);
    double *const one = mill_alloc((size_t)n, sizeof *one);
    uint8_t *const positive = mill_alloc((size_t)n, 1);
    mill_err err = guess && label && one && positive ? MILL_OK : MILL_ENOMEM;

    for (int64_t i = 0; !err && i < n; i++) {
        label[i] = (int32_t)test->y[i];
        positive[i] = label[i] == r->positive;
        one[i] = p[i * k + r->positive];
    }
    if (!err) metric_argmax(guess, p, n, k);
    if (!err) to->accuracy = metric_accuracy(guess, label, n);
    if (!err && k == 2) {
        to->f1 = metric_f1(guess, label, n, r->positive);
        err = metric_auc(&to->auc, one, positive, n);
    } else if (!err) {
        err = metric_f1_macro(&to->f1, guess, label, n, k);
        if (!err) err = metric_auc_macro(&to->auc, p, label, n, k);
    }
    mill_free(guess);
    mill_free(label);
    mill_free(one);
    mill_free(positive);
    return err;
}

static mill_err learn_and_score(learner_score *to, int learner, const set *train, const set *test,
                                const target_rule *r, mill_pool *pool)
{
    const int64_t n = test->x->rows;
    const int k = r->n_classes;
    double *const guess = mill_alloc((size_t)n, (size_t)(k ? k : 1) * sizeof *guess);
    mill_err err = guess ? MILL_OK : MILL_ENOMEM;

    *to = (learner_score){(double)NAN, (double)NAN, (double)NAN, (double)NAN, (double)NAN};
    if (!err) err = eval_guess(guess, learner, train->x, train->y, test->x, k, pool);
    if (!err && k) err = score_classes(to, guess, test, r);
    if (!err && !k) {
        to->r2 = metric_r2(guess, test->y, n);
        to->rmse = metric_rmse(guess, test->y, n);
    }
    mill_free(guess);
    return err;
}

static const char *why_not(const set *train, const set *test)
{
    if (!test->x->rows) return "no row to test on has a target";
    for (int t = 0; t < N_TRAININGS; t++)
        if (!train[t].x->rows) return "no row to learn from has a target";
    return NULL;
}

/* The three sets; without a test table a fifth of the real rows. */
static mill_err make_sets(set train[N_TRAININGS], set *test, utility_result *u,
                          const mill_table *const *table, const target_rule *r,
                          const learn_task *task)
{
    const mill_table *real = table[0], *syn = table[1], *holdout = table[2];
    int64_t *row[3] = {NULL, NULL, NULL},
            n[3] = {real->rows, syn->rows, holdout ? holdout->rows : 0};
    const uint32_t stream = holdout ? STREAM_SAMPLE : STREAM_SPLIT;
    const int64_t most = task->learner_rows;
    mill_err err;

    /* All rows, in random order where not all of them will be used. */
    for (int t = 0; t < 3; t++) {
        int64_t k = n[t] > most || (t == 0 && !holdout) ? n[t] - 1 : n[t];
        if ((err = draw_rows(&row[t], &k, n[t], task->seed, stream, (uint32_t)t))) goto done;
    }
    const int64_t n_test = holdout ? n[2] : n[0] / 5, from = holdout ? 0 : n_test;
    if ((err = make_set(test, &u->dropped[2], holdout ? holdout : real, holdout ? row[2] : row[0],
                        n_test, r, task)))
        goto done;
    if ((err = make_set(&train[TRAIN_REAL], &u->dropped[0], real, row[0] + from, n[0] - from, r,
                        task)))
        goto done;
    err = make_set(&train[TRAIN_SYN], &u->dropped[1], syn, row[1], n[1], r, task);
done:
    for (int t = 0; t < 3; t++) mill_free(row[t]);
    return err;
}

mill_err utility_compute(utility_result *u, const mill_table *real, const mill_table *syn,
                         const mill_table *test, const learn_task *task)
{
    const mill_table *const table[] = {real, syn, test};
    target_rule rule = {.column = task->target};
    set train[N_TRAININGS] = {{0}}, tested = {0};
    mill_err err = rule_init(&rule, real, test);

    *u = (utility_result){.is_classification = rule.n_classes > 0, .n_classes = rule.n_classes};
    if (!err && rule.n_classes && count_classes(&rule, real) < 2) {
        u->why = "the target has one value only in the real table";
        goto done;
    }
    if (!err && rule.n_classes > MAX_CLASSES) {
        u->why = "the target has more than 100 classes";
        goto done;
    }
    if (err || (err = make_sets(train, &tested, u, table, &rule, task))) goto done;
    u->test_rows = tested.x->rows;
    for (int t = 0; t < N_TRAININGS; t++) u->train_rows[t] = train[t].x->rows;
    if ((u->why = why_not(train, &tested))) goto done;
    for (int l = 0; !err && l < N_LEARNERS; l++)
        for (int t = 0; !err && t < N_TRAININGS; t++)
            err = learn_and_score(&u->score[l][t], l, &train[t], &tested, &rule, task->pool);
done:
    mill_free(rule.class_of);
    set_deinit(&tested);
    for (int t = 0; t < N_TRAININGS; t++) set_deinit(&train[t]);
    return err;
}
