/* score.c - `tabmill score`: the log-likelihood of each row of a table, where the model has one. */
#include "cli/cli.h"

#include "base/mem.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

#define OPT OPT_FIELD
typedef struct {
#include "cli/score.def"
} score_flags;
#undef OPT

typedef struct {
    score_flags score;
    csv_flags csv;
    talk_options talk;
} score_options;

#define OPT        OPT_ROW
#define OPT_STRUCT score_flags
static const opt_row rows[] = {
#include "cli/score.def"
    {0}};

static const opt_group groups[] = {
    {.title = "Options", .row = rows, .base = offsetof(score_options, score)},
    {.title = "Reading CSV", .row = csv_rows, .base = offsetof(score_options, csv)},
    {.title = "Everywhere", .row = talk_rows, .base = offsetof(score_options, talk)},
};
const opt_set score_set = {
    .command = "score",
    .usage = "score MODEL.mill -i rows.csv [-o out.csv] [options]",
    .about =
        "Write the log-likelihood of each row under a model (mixture and independent have one).",
    .group = groups,
    .n_groups = OPT_COUNT(groups),
    .size = sizeof(score_options),
    .least_args = 1,
    .most_args = 1,
    .args = "MODEL.mill",
};

typedef struct {
    synth_model *model;
    mill_table *like, *table, *result;
} score_work;

static mill_err score(score_work *w, const opt_parsed *p, const score_options *o, mill_pool *pool)
{
    csv_options csv;
    double sum = 0;

    cli_csv_options(&csv, p, &o->csv, NULL);
    TRY(cli_check_apart(o->score.output, o->score.input));
    TRY(cli_check_apart(o->score.output, p->arg[0]));
    TRY(cli_check_output(o->score.output, o->score.force));
    TRY(cli_input_keep(p->arg[0]));
    TRY(cli_model_open(&w->model, p->arg[0], pool));
    if (!w->model->method->score)
        return mill_fail(MILL_EINPUT, "%s: a model of %s has no likelihood", p->arg[0],
                         w->model->method->name);
    TRY(synth_schema_table(&w->like, w->model->schema, 0));
    csv.like = w->like;
    TRY(mill_table_read(&w->table, o->score.input, &csv, pool));
    const int64_t n = w->table->rows;
    TRY(table_new(&w->result, n, 1));
    TRY(column_init(&w->result->col[0], "log_likelihood", MILL_REAL, n));
    w->result->col[0].decimals = 6;
    TRY(w->model->method->score(w->model->model, w->result->col[0].f64, w->table));
    for (int64_t i = 0; i < n; i++) sum += w->result->col[0].f64[i];
    TRY(mill_table_write(w->result, o->score.output, o->score.force, pool));
    cli_say("%lld row%s, mean log-likelihood %.6g nats", (long long)n, mill_s(n), sum / (double)n);
    return MILL_OK;
}

int cmd_score(int argc, char **argv)
{
    score_options o;
    score_work w = {0};
    opt_parsed p;
    mill_pool *pool = NULL;
    int status;

    if (opt_parse(&p, &status, &score_set, &o, argc, argv) == OPT_STOP) return status;
    if (!o.score.input) {
        status = opt_usage_error(&score_set, "-i TABLE is missing");
    } else if (!strcmp(p.arg[0], "-") && !strcmp(o.score.input, "-")) {
        status = opt_usage_error(&score_set, "one of MODEL.mill and -i can be stdin");
    } else if (!(status = cli_begin(&pool, &score_set, &o.talk)) && score(&w, &p, &o, pool)) {
        status = cli_reader_went_away(o.score.output) ? 0 : cli_error(&score_set);
    }
    mill_table_free(w.result);
    mill_table_free(w.table);
    mill_table_free(w.like);
    if (w.model) synth_model_close(w.model);
    mill_pool_free(pool);
    opt_free(&p);
    return status;
}
