/*
 * draw.c - rows from a model to a file, batch by batch.
 *
 * Nothing grows with the number of rows: a batch is made, written and forgotten.  Ctrl-C between
 * two batches leaves no file behind.  Arrays (.npy, .npz) are one batch: they are written column by
 * column.  Several ranks: draw_ranks.c.
 */
#include "cli/cli.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "table/parquet.h"
#include "train/progress.h"

#include <stdio.h>
#include <string.h>

int cli_check_where(const opt_set *set, const opt_list *where)
{
    for (int i = 0; i < where->n; i++)
        if (!strpbrk(where->item[i], "=<>"))
            return opt_usage_error(set,
                                   "--where \"%s\": a condition is COLUMN=VALUE, or with one of "
                                   "!= < <= > >=",
                                   where->item[i]);
    return 0;
}

/* Rank 0 alone looks after the output. */
static mill_err open_all(draw_work *w, mill_pool *pool, bool has_output)
{
    const drawing *d = w->d;
    const int n = d->where ? d->where->n : 0;

    if (has_output) TRY(cli_check_apart(d->output, d->model));
    if (has_output) TRY(cli_check_output(d->output, d->force));
    TRY(cli_model_open(&w->model, d->model, pool));
    w->where = mill_alloc((size_t)n + 1, sizeof *w->where);
    if (!w->where) return MILL_ENOMEM;
    for (int i = 0; i < n; i++)
        TRY(synth_where_parse(&w->where[i], w->model->schema, d->where->item[i]));
    TRY(synth_sampler_open(&w->sampler, w->model, d->seed, w->where, n));
    if (!has_output || mill_table_is_array(d->output)) return MILL_OK;
    return table_writer_open(&w->writer, d->output, d->force, pool);
}

static mill_err write_batch(const draw_work *w, const mill_table *batch, mill_pool *pool)
{
    if (w->writer) return table_writer_add(w->writer, batch);
    return mill_table_write(batch, w->d->output, w->d->force, pool);
}

static mill_err draw_batches(draw_work *w, int64_t rows, mill_pool *pool)
{
    const drawing *d = w->d;
    train_progress progress;

    progress_begin(&progress, 2, d->quiet, w->model->method->name, "rows");
    progress_range(&progress, 0, rows);
    for (int64_t at = 0, n; !w->is_interrupted && (at < rows || !rows); at += n) {
        mill_table *batch = NULL;

        n = rows - at < d->batch || !w->writer ? rows - at : d->batch;
        TRY(synth_sampler_next(w->sampler, &batch, n));
        const mill_err err = write_batch(w, batch, pool);
        mill_table_free(batch);
        TRY(err);
        progress_show(&progress, at + n, NULL);
        w->is_interrupted = train_signal_received() != 0;
        if (!rows) break;
    }
    if (progress.is_open_line)
        progress_end(&progress, rows, NULL, w->is_interrupted ? "interrupted" : "done");
    return MILL_OK;
}

static mill_err draw(draw_work *w, mill_pool *pool, rank_group *group)
{
    const drawing *d = w->d;
    const bool is_text = !mill_table_is_array(d->output) && !parquet_is_name(d->output);
    const bool is_follower = group && rank_of(group) > 0;
    char ranks[32] = "";

    if (is_follower && !is_text) return MILL_OK; /* the model goes when rank 0 has drawn */
    TRY(open_all(w, pool, !is_follower));
    const int64_t rows = d->rows ? d->rows : w->model->schema->rows;
    if (group)
        snprintf(ranks, sizeof ranks, ", %d rank%s", rank_world(group), mill_s(rank_world(group)));
    cli_say("%s: %lld row%s by %s, seed %llu%s", cli_shown(d->output), (long long)rows,
            mill_s(rows), w->model->method->name, (unsigned long long)d->seed, ranks);
    if (group && !is_text) cli_say("%s: only CSV is drawn by several ranks; one draws", d->output);
    if (group && is_text)
        TRY(cli_draw_shared(w, rows, pool, group));
    else
        TRY(draw_batches(w, rows, pool));
    if (w->is_interrupted || w->went_away) return MILL_OK;
    if (w->writer) TRY(table_writer_commit(w->writer));
    if (d->where && d->where->n)
        cli_say("%.3g %% of the drawn rows met the conditions",
                100 * synth_sampler_acceptance(w->sampler));
    return MILL_OK;
}

int cli_draw(const opt_set *set, const drawing *d, mill_pool *pool, rank_group *group)
{
    draw_work w = {.d = d};

    train_signals_install();
    const mill_err err = draw(&w, pool, group);
    if (err == MILL_EIO && cli_reader_went_away(d->output)) w.went_away = true;
    table_writer_close(w.writer);
    synth_sampler_close(w.sampler);
    if (w.model) synth_model_close(w.model);
    mill_free(w.where);
    if (w.is_interrupted) return cli_exit_status();
    if (w.went_away) return 0; /* `| head` has all that it wanted */
    return err ? cli_error(set) : 0;
}
