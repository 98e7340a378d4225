/*
 * privacy.c - nearness, disclosure and anonymity, into the report; nearness.h, groups.h.
 *
 * Measures that look at pairs of rows get `max_rows` of a table at the most, drawn by the seed, the
 * same ones for all of them; which is said in a note and in privacy.rows.
 */
#include "base/mem.h"
#include "eval/groups.h"
#include "eval/learners.h"
#include "eval/nearness.h"
#include "eval/report.h"

enum { STREAM_NEAR = 0x65760401 };
#define MATCH_TOLERANCE 0.01 /* of new rows, as SDMetrics has it */

typedef struct {
    near_task task;
    int64_t *row[N_TABLES];
    int *column;
} drawn;

static void drawn_free(drawn *d)
{
    for (int t = 0; t < N_TABLES; t++) mill_free(d->row[t]);
    mill_free(d->column);
}

/* Columns that say something of a row, and the rows that stand for each table, in random order. */
static mill_err draw(drawn *d, const evaluation *e)
{
    const mill_table *const table[N_TABLES] = {&e->real, e->syn, e->holdout};
    near_task *t = &d->task;

    *d = (drawn){.task = {.seed = e->o.seed, .pool = e->pool, .own_range = e->o.sdmetrics_compat}};
    if (!(d->column = mill_alloc((size_t)e->n_common, sizeof *d->column))) return MILL_ENOMEM;
    for (int c = 0; c < e->n_common; c++)
        if (report_is_compared(e, c)) d->column[t->n_columns++] = c;
    t->column = d->column;
    for (int k = 0; k < N_TABLES; k++) {
        if (!table[k]) continue;
        const int64_t n = table[k]->rows, most = report_max_rows(e);
        int64_t want = n - 1 < most ? n - 1 : most; /* n - 1: all of them, in random order */

        const mill_err err = draw_rows(&d->row[k], &want, n, e->o.seed, STREAM_NEAR, (uint32_t)k);
        if (err) {
            drawn_free(d);
            return err;
        }
        t->table[k] = table[k];
        t->row[k] = d->row[k];
        t->rows[k] = n < most ? n : most;
    }
    return MILL_OK;
}

/* ---- what distances say ---- */

/* Of real rows that the generator has not seen. */
static const char *why_no_holdout(const evaluation *e, const char *otherwise)
{
    return e->holdout ? otherwise : "no holdout was given: real rows that were not learnt from";
}

static void put_dcr(evaluation *e, json_t *to, const dcr_result *d)
{
    json_t *const o = put_object(to, "dcr", &e->failed);
    json_t *const n = put_object(to, "nndr", &e->failed);
    const report_place dcr = {"privacy.dcr", NULL, NULL}, nndr = {"privacy.nndr", NULL, NULL};
    const char *far = "there are values that are not finite, or too large to be subtracted";
    const char *alone = "the real table has no second row to be near to";
    const char *none = why_no_holdout(e, far);

    report_number(e, o, &dcr, "synthetic_median", d->syn_median, far);
    report_number(e, o, &dcr, "synthetic_5_percent", d->syn_low, far);
    report_number(e, o, &dcr, "random_median", d->random_median, far);
    report_number(e, o, &dcr, "baseline_protection", d->baseline,
                  d->random_median > 0 ? far
                                       : "half of the random rows are in the real table already");
    report_number(e, n, &nndr, "synthetic_median", d->nndr, alone);
    report_number(e, n, &nndr, "synthetic_5_percent", d->nndr_low, alone);
    report_number(e, n, &nndr, "holdout_median", d->holdout_nndr, why_no_holdout(e, alone));
    report_number(e, n, &nndr, "holdout_5_percent", d->holdout_nndr_low, why_no_holdout(e, alone));
    report_number(e, o, &dcr, "holdout_baseline_protection", d->holdout_baseline,
                  why_no_holdout(e, "half of the random rows are in the real table already"));
    report_number(e, o, &dcr, "holdout_median", d->holdout_median, none);
    report_number(e, o, &dcr, "holdout_5_percent", d->holdout_low, none);
    report_number(e, o, &dcr, "overfitting_protection", d->overfitting, none);
    report_number(e, o, &dcr, "closer_to_real", d->closer_to_real, none);
    report_number(e, o, &dcr, "closer_to_holdout", d->closer_to_holdout, none);
    report_number(e, o, &dcr, "share", d->share, none);
    report_number(e, o, &dcr, "tabsyn_share", d->tabsyn_share, none);
}

static void put_attack(evaluation *e, json_t *to, const char *key, const attack *a)
{
    json_t *const o = put_object(to, key, &e->failed);

    put_number(o, "auc", a->auc, &e->failed);
    put_number(o, "tpr_at_1_percent_fpr", a->tpr, &e->failed);
}

/* Likelihoods are of whole tables: those of the rows that were drawn are taken. */
static mill_err likelihood_attack(attack *a, const evaluation *e, const near_task *t)
{
    const double *const of[2] = {e->o.likelihood[0], e->o.likelihood[1]};
    const int table[2] = {T_REAL, T_HOLDOUT};
    double *score[2] = {NULL, NULL};
    mill_err err = MILL_OK;

    for (int s = 0; !err && s < 2; s++) {
        score[s] = mill_alloc((size_t)t->rows[table[s]], sizeof *score[s]);
        err = score[s] ? MILL_OK : MILL_ENOMEM;
        for (int64_t i = 0; !err && i < t->rows[table[s]]; i++)
            score[s][i] = of[s][t->row[table[s]][i]];
    }
    if (!err) err = attack_compute(a, score[0], t->rows[T_REAL], score[1], t->rows[T_HOLDOUT]);
    for (int s = 0; s < 2; s++) mill_free(score[s]);
    return err;
}

static mill_err put_membership(evaluation *e, json_t *to, const dcr_result *d, const near_task *t)
{
    json_t *const m = put_object(to, "membership", &e->failed);

    put_attack(e, m, "by_distance", &d->by_distance);
    if (e->o.likelihood[0] && e->o.likelihood[1]) {
        attack a;
        TRY(likelihood_attack(&a, e, t));
        put_attack(e, m, "by_likelihood", &a);
        return MILL_OK;
    }
    put(m, "by_likelihood", json_null(), &e->failed);
    report_skip(e, "privacy.membership.by_likelihood", NULL, NULL,
                e->o.no_likelihood ? e->o.no_likelihood : "no model was given");
    return MILL_OK;
}

static mill_err put_matches(evaluation *e, json_t *to, const near_task *t)
{
    json_t *const o = put_object(to, "identical_matches", &e->failed);
    double share;

    TRY(identical_share(&share, e->syn, &e->real, t->column, t->n_columns, e->pool));
    put_number(o, "synthetic", share, &e->failed);
    share = (double)NAN;
    if (e->holdout)
        TRY(identical_share(&share, e->holdout, &e->real, t->column, t->n_columns, e->pool));
    report_number(e, o, &(report_place){"privacy.identical_matches", NULL, NULL}, "holdout", share,
                  why_no_holdout(e, NULL));
    const match_task match = {.syn = e->syn,
                              .real = &e->real,
                              .row = t->row[T_SYN],
                              .n_rows = t->rows[T_SYN],
                              .column = t->column,
                              .n = t->n_columns,
                              .tolerance = MATCH_TOLERANCE};
    TRY(new_rows_share(&share, &match, e->pool));
    put_number(to, "new_rows", share, &e->failed);
    return MILL_OK;
}

/* ---- what named columns say ---- */

static int common_column(const evaluation *e, const char *name)
{
    for (int c = 0; c < e->n_common; c++)
        if (!strcmp(e->name[c], name)) return c;
    return -1;
}

static void put_names(json_t *to, const char *key, const evaluation *e, const int *column, int n,
                      bool *failed)
{
    json_t *const a = put_array(to, key, failed);

    for (int k = 0; k < n; k++)
        if (json_array_append_new(a, json_string(e->name[column[k]]))) *failed = true;
}

static mill_err put_disclosure(evaluation *e, json_t *to, const near_task *t, const int *known,
                               int n_known, int sensitive)
{
    json_t *const o = put_object(to, "disclosure", &e->failed);
    disclosure d;
    const int64_t *const row[N_SIDES] = {t->row[T_REAL], t->row[T_SYN]};
    const int64_t rows[N_SIDES] = {t->rows[T_REAL], t->rows[T_SYN]};

    const attacker who = {known, &sensitive, n_known, 1};

    TRY(disclosure_compute(&d, e->view, row, rows, &who));
    put_names(o, "known", e, known, n_known, &e->failed);
    put_text(o, "sensitive", e->name[sensitive], &e->failed);
    put_int(o, "rows_found", d.found, &e->failed);
    const report_place at = {"privacy.disclosure", NULL, NULL};
    const char *why = d.found ? "the sensitive column has one value only"
                              : "no real row's known values occur in the synthetic table";
    report_number(e, o, &at, "cap", d.mean, why);
    report_number(e, o, &at, "protection", 1 - d.mean, why);
    report_number(e, o, &at, "guess_protection", 1 - d.guess, why);
    report_number(e, o, &at, "score", d.score, why);
    return MILL_OK;
}

static mill_err put_anonymity(evaluation *e, json_t *to, const int *known, int n_known,
                              int sensitive)
{
    const mill_table *const table[N_SIDES] = {&e->real, e->syn};
    json_t *const o = put_object(to, "anonymity", &e->failed);

    put_names(o, "known", e, known, n_known, &e->failed);
    for (int s = 0; s < N_SIDES; s++) {
        const report_place at = {
            s == SIDE_REAL ? "privacy.anonymity.real" : "privacy.anonymity.synthetic", NULL, NULL};
        json_t *const side = put_object(o, s == SIDE_REAL ? "real" : "synthetic", &e->failed);
        anonymity a;

        TRY(anonymity_compute(&a, table[s], known, n_known, sensitive));
        put_int(side, "classes", a.classes, &e->failed);
        put_int(side, "k", a.k, &e->failed);
        put_number(side, "rows_alone", a.alone, &e->failed);
        put_number(side, "rows_in_classes_below_5", a.below_5, &e->failed);
        put(side, "l", json_integer(a.l), &e->failed);
        if (sensitive < 0)
            report_number(e, side, &at, "l", (double)NAN, "no sensitive column was named");
        report_number(e, side, &at, "rows_in_classes_of_one_value", a.one_value,
                      "no sensitive column was named");
    }
    return MILL_OK;
}

static mill_err report_named(evaluation *e, json_t *to, const near_task *t)
{
    const int sensitive = e->o.sensitive ? common_column(e, e->o.sensitive) : -1;
    int *const known = mill_alloc((size_t)e->o.n_known + 1, sizeof *known), n = 0;
    mill_err err = known ? MILL_OK : MILL_ENOMEM;

    for (int k = 0; !err && k < e->o.n_known; k++) known[n++] = common_column(e, e->o.known[k]);
    if (!err && n && sensitive >= 0) {
        err = put_disclosure(e, to, t, known, n, sensitive);
    } else if (!err) {
        put(to, "disclosure", json_null(), &e->failed);
        report_skip(e, "privacy.disclosure", NULL, NULL,
                    n ? "no sensitive column was named" : "no known columns were named");
    }
    if (!err && n) {
        err = put_anonymity(e, to, known, n, sensitive);
    } else if (!err) {
        put(to, "anonymity", json_null(), &e->failed);
        report_skip(e, "privacy.anonymity", NULL, NULL, "no known columns were named");
    }
    mill_free(known);
    return err;
}

static void put_rows(evaluation *e, json_t *to, const near_task *t)
{
    static const char *const key[N_TABLES] = {"real", "synthetic", "holdout"};
    json_t *const o = put_object(to, "rows", &e->failed);

    for (int k = 0; k < N_TABLES; k++) {
        put(o, key[k], t->table[k] ? json_integer(t->rows[k]) : json_null(), &e->failed);
        if (t->table[k] && t->rows[k] < t->table[k]->rows)
            report_note(e,
                        "privacy and support: %lld of %lld %s rows stand for all, drawn at random "
                        "by seed %llu",
                        (long long)t->rows[k], (long long)t->table[k]->rows, key[k],
                        (unsigned long long)e->o.seed);
    }
}

static mill_err report_distances(evaluation *e, json_t *to, const near_task *t)
{
    dcr_result d;

    TRY(dcr_compute(&d, t));
    put_dcr(e, to, &d);
    TRY(put_matches(e, to, t));
    if (e->holdout) return put_membership(e, to, &d, t);
    put(to, "membership", json_null(), &e->failed);
    report_skip(e, "privacy.membership", NULL, NULL, why_no_holdout(e, NULL));
    return MILL_OK;
}

mill_err report_privacy(evaluation *e)
{
    json_t *const o = put_object(e->report, "privacy", &e->failed);
    drawn d;

    TRY(draw(&d, e));
    put_rows(e, o, &d.task);
    mill_err err = MILL_OK;
    if (d.task.n_columns) {
        err = report_distances(e, o, &d.task);
    } else {
        static const char *const none[] = {"dcr", "nndr", "identical_matches", "new_rows",
                                           "membership"};
        for (size_t k = 0; k < sizeof none / sizeof *none; k++)
            report_number(e, o, &(report_place){"privacy", NULL, NULL}, none[k], (double)NAN,
                          "there is no column to measure by");
    }
    if (!err) err = report_named(e, o, &d.task);
    drawn_free(&d);
    return err;
}

mill_err report_support(evaluation *e)
{
    support_result s;
    drawn d;

    TRY(draw(&d, e));
    if (!d.task.n_columns) {
        put(e->report, "support", json_null(), &e->failed);
        report_skip(e, "support", NULL, NULL, "there is no column to measure by");
        drawn_free(&d);
        return MILL_OK;
    }
    const mill_err err = support_compute(&s, &d.task);
    drawn_free(&d);
    if (err) return err;
    json_t *const o = put_object(e->report, "support", &e->failed);
    const report_place at = {"support", NULL, NULL};
    const char *one = "the real table has one row";
    const char *few = "the real table has too few rows for two halves";
    report_number(e, o, &at, "mmd", s.mmd, s.why_no_mmd);
    report_number(e, o, &at, "bandwidth", s.bandwidth, s.why_no_mmd);
    report_number(e, o, &at, "expected_mmd", s.expected_mmd, s.why_no_mmd ? s.why_no_mmd : few);
    report_number(e, o, &at, "alpha_precision", s.alpha_precision, one);
    report_number(e, o, &at, "beta_recall", s.beta_recall, one);
    report_number(e, o, &at, "expected_alpha_precision", s.expected_alpha, few);
    report_number(e, o, &at, "expected_beta_recall", s.expected_beta, few);
    return MILL_OK;
}
