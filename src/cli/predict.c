/* predict.c - `tabmill predict`: what a trained model says of new rows. */
#include "cli/cli.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "classify/classify.h"

#include <stdio.h>
#include <sys/stat.h>

#define OPT OPT_FIELD
typedef struct {
#include "cli/predict.def"
} predict_flags;
#undef OPT

typedef struct {
    predict_flags predict;
    csv_flags csv;
    talk_options talk;
} predict_options;

#define OPT        OPT_ROW
#define OPT_STRUCT predict_flags
static const opt_row rows[] = {
#include "cli/predict.def"
    {0}};

static const opt_group groups[] = {
    {.title = "Options", .row = rows, .base = offsetof(predict_options, predict)},
    {.title = "Reading CSV", .row = csv_rows, .base = offsetof(predict_options, csv)},
    {.title = "Everywhere", .row = talk_rows, .base = offsetof(predict_options, talk)},
};
const opt_set predict_set = {
    .command = "predict",
    .usage = "predict FOLDER -i new.csv [-o out.csv] [options]",
    .about =
        "Write the prediction for each row: the target, and of classes the probability of each. "
        " FOLDER is a run of\n"
        "`tabmill train`, whose best state is taken; or one of its checkpoints.",
    .group = groups,
    .n_groups = OPT_COUNT(groups),
    .size = sizeof(predict_options),
    .least_args = 1,
    .most_args = 1,
    .args = "FOLDER",
};

typedef struct {
    cls_model model;
    cls_source source;
    cls_rows *rows;
    float *out;
    mill_table *table;
} predict_work;

static mill_err find_model(char path[4096], const char *arg)
{
    struct stat st;
    const bool is_folder = !stat(arg, &st) && S_ISDIR(st.st_mode);

    if (snprintf(path, 4096, is_folder ? "%s/best.mill" : "%s", arg) >= 4096)
        return mill_fail(MILL_EINPUT, "%.200s...: the path is too long", arg);
    if (is_folder && !file_exists(path))
        return mill_fail(MILL_EINPUT, "%s: holds no checkpoint of `tabmill train`", arg);
    return MILL_OK;
}

static mill_err predict(predict_work *w, const opt_parsed *p, const predict_options *o,
                        mill_pool *pool)
{
    csv_options csv;
    char path[4096];
    size_t cells;

    cli_csv_options(&csv, p, &o->csv, NULL);
    TRY(cli_check_apart(o->predict.output, o->predict.input));
    TRY(cli_check_output(o->predict.output, o->predict.force));
    TRY(find_model(path, p->arg[0]));
    TRY(cli_check_apart(o->predict.output, path));
    TRY(cls_model_open(&w->model, path, pool));
    TRY(cls_source_read(&w->source, o->predict.input, &csv, w->model.encoder, pool));
    TRY(cls_rows_new(&w->rows, w->model.encoder, &w->source, NULL, 0, false));
    TRY(mill_size_mul(&cells, (size_t)w->rows->n, (size_t)cls_n_out(w->model.encoder)));
    if (!(w->out = mill_alloc(cells + 1, sizeof *w->out))) return MILL_ENOMEM;
    TRY(cls_model_run(w->out, &w->model, w->rows));
    TRY(cls_model_table(&w->table, &w->model, w->out, w->rows->n));
    TRY(mill_table_write(w->table, o->predict.output, o->predict.force, pool));
    cli_say("%lld row%s predicted", (long long)w->rows->n, mill_s(w->rows->n));
    return MILL_OK;
}

/* Every rank would write the same file: rank 0 does, the others have nothing to do. */
static int go_home(bool *is_idle)
{
    rank_identity who;

    if (rank_identify(&who, NULL)) return opt_usage_error(&predict_set, "%s", mill_error());
    *is_idle = who.rank > 0;
    if (who.world > 1 && who.rank == 0)
        cli_say("one process predicts; the other %d of this job have nothing to do", who.world - 1);
    return 0;
}

int cmd_predict(int argc, char **argv)
{
    predict_options o;
    predict_work w = {0};
    opt_parsed p;
    mill_pool *pool = NULL;
    bool is_idle = false;
    int status;

    if (opt_parse(&p, &status, &predict_set, &o, argc, argv) == OPT_STOP) return status;
    cli_talk(&predict_set, o.talk.quiet);
    if (!o.predict.input)
        status = opt_usage_error(&predict_set, "-i TABLE is missing");
    else if (!(status = go_home(&is_idle)) && !is_idle &&
             !(status = cli_begin(&pool, &predict_set, &o.talk)) && predict(&w, &p, &o, pool)) {
        status = cli_reader_went_away(o.predict.output) ? 0 : cli_error(&predict_set);
    }
    mill_table_free(w.table);
    mill_free(w.out);
    cls_rows_free(w.rows);
    cls_source_close(&w.source);
    cls_model_close(&w.model);
    mill_pool_free(pool);
    opt_free(&p);
    return status;
}
