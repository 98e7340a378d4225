/*
 * generate.c - `tabmill generate`: a table in, a synthetic table out.  `genesis generate` is the
 * same through a symbolic link.
 *
 * Here --batch-size is rows of a sampling batch, and the training batch is --train-batch-size.
 */
#include "cli/cli.h"

#include "base/file.h"

#define OPT OPT_FIELD
typedef struct {
#include "cli/generate.def"
} generate_flags;
#undef OPT

typedef struct {
    fit_options fit;
    generate_flags generate;
} generate_options;

#define OPT        OPT_ROW
#define OPT_STRUCT generate_flags
static const opt_row rows[] = {
#include "cli/generate.def"
    {0}};

static const opt_group groups[] = {
    {.title = "Files", .row = file_rows, .base = offsetof(generate_options, fit.files)},
    {.title = "The rows", .row = rows, .base = offsetof(generate_options, generate)},
    {.title = "The run", .row = run_rows, .base = offsetof(generate_options, fit.run)},
    {.title = "Training (the methods that an option belongs to stand behind it)",
     .row = synth_rows,
     .base = offsetof(generate_options, fit.synth),
     .names_methods = true,
     .old = "batch-size",
     .renamed = "train-batch-size"},
    {.title = "Columns", .row = column_rows, .base = offsetof(generate_options, fit.columns)},
    {.title = "Reading CSV", .row = csv_rows, .base = offsetof(generate_options, fit.csv)},
    {.title = "Everywhere", .row = talk_rows, .base = offsetof(generate_options, fit.talk)},
};
const opt_set generate_set = {
    .command = "generate",
    .usage = "generate -i data.csv -o synthetic.csv -n N [-m METHOD] [options]",
    .about = "Fit a synthesizer to a table and draw rows from it.",
    .group = groups,
    .n_groups = OPT_COUNT(groups),
    .size = sizeof(generate_options),
    .refused = cli_refused,
};

static int draw_and_finish(const fitted *done, const fitting *f, mill_pool *pool)
{
    const generate_options *o = f->ctx;
    const drawing d = {
        .model = done->model,
        .output = o->fit.files.output,
        .rows = o->generate.rows ? o->generate.rows : done->rows,
        .batch = o->generate.batch_size,
        .seed = f->synth->seed,
        .force = o->fit.run.force || o->fit.run.resume,
        .quiet = o->fit.talk.quiet,
        .where = &o->generate.where,
    };
    const int status = cli_draw(&generate_set, &d, pool, f->group);

    if (status || (f->group && rank_of(f->group))) return status;
    if (file_remove(done->model) || cli_fit_finish(done, f)) return cli_error(&generate_set);
    return 0;
}

int cmd_generate(int argc, char **argv)
{
    generate_options o;
    opt_parsed p;
    int status;

    if (opt_parse(&p, &status, &generate_set, &o, argc, argv) == OPT_STOP) return status;
    if (o.generate.multi_gpu && !o.fit.run.nproc) o.fit.run.nproc = "auto";
    fitting f = cli_fitting(&p, &o.fit);
    f.model_in_run = true;
    f.after_on_all = true;
    f.rows = o.generate.rows;
    f.where = &o.generate.where;
    f.ctx = &o;
    if (!(status = cli_check_where(&generate_set, f.where)))
        status = cli_fit_and(&f, draw_and_finish);
    opt_free(&p);
    return status;
}
