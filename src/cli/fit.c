/* fit.c - `tabmill fit`: a table in, a model out. */
#include "cli/cli.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>

static const opt_group groups[] = {
    {.title = "Files", .row = file_rows, .base = offsetof(fit_options, files)},
    {.title = "The run", .row = run_rows, .base = offsetof(fit_options, run)},
    {.title = "Training (the methods that an option belongs to stand behind it)",
     .row = synth_rows,
     .base = offsetof(fit_options, synth),
     .names_methods = true},
    {.title = "Columns", .row = column_rows, .base = offsetof(fit_options, columns)},
    {.title = "Reading CSV", .row = csv_rows, .base = offsetof(fit_options, csv)},
    {.title = "Everywhere", .row = talk_rows, .base = offsetof(fit_options, talk)},
};
const opt_set fit_set = {
    .command = "fit",
    .usage = "fit -i data.csv -o model.mill [-m METHOD] [options]",
    .about = "Fit a synthesizer to a table and write it as one model file.  A run that was stopped "
             "goes on with --resume\n"
             "and ends in the same bytes.",
    .group = groups,
    .n_groups = OPT_COUNT(groups),
    .size = sizeof(fit_options),
    .refused = cli_refused,
};

/* A model whose place is stdout was written in the run folder first. */
static mill_err copy_to_stdout(const char *path)
{
    char *bytes;
    size_t n;
    mill_file *out = NULL;

    TRY(file_read_all(&bytes, &n, path));
    mill_err err = file_create(&out, "-");
    if (!err) err = file_write(out, bytes, n);
    if (!err) err = file_flush(out);
    file_close(out);
    mill_free(bytes);
    return err;
}

static mill_err put_model(const fitted *done, const fitting *f)
{
    char size[32];
    int64_t bytes;
    mill_file *model;

    TRY(file_open(&model, done->model));
    const mill_err err = file_size(model, &bytes);
    file_close(model);
    TRY(err);
    if (!strcmp(f->output, "-")) TRY(copy_to_stdout(done->model));
    TRY(cli_fit_finish(done, f));
    cli_say("%s: written, %s", cli_shown(f->output), mill_format_size(size, (double)bytes));
    return MILL_OK;
}

static int finish(const fitted *done, const fitting *f, mill_pool *pool)
{
    (void)pool;
    return put_model(done, f) ? cli_error(&fit_set) : 0;
}

/* Who writes a model into data.csv meant rows. */
static void say_if_named_like_a_table(const char *path)
{
    static const char *const ending[] = {".csv", ".csv.gz", ".csv.zst", ".tsv",
                                         ".npy", ".npz",    ".parquet"};
    const size_t n = path ? strlen(path) : 0;

    for (int i = 0; i < OPT_COUNT(ending); i++) {
        const size_t k = strlen(ending[i]);
        if (n > k && !strcmp(path + n - k, ending[i]))
            cli_say("%s: this will be a model; `tabmill generate` writes rows", path);
    }
}

int cmd_fit(int argc, char **argv)
{
    fit_options o;
    opt_parsed p;
    int status;

    if (opt_parse(&p, &status, &fit_set, &o, argc, argv) == OPT_STOP) return status;
    cli_talk(&fit_set, o.talk.quiet);
    if (!rank_is_spawned()) say_if_named_like_a_table(o.files.output);
    fitting f = cli_fitting(&p, &o);
    status = cli_fit_and(&f, finish);
    opt_free(&p);
    return status;
}
