/*
 * reason_export.c - `tabmill reason export RUN`: what a run has so far, or what failed, as a file.
 *
 * A finished run's export is its final file, byte for byte; of one that goes on, the chains that
 * have ended.
 */
#include "cli/prior.h"
#include "cli/reason.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "reason/batch.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OPT OPT_FIELD
typedef struct {
#include "cli/reason_export.def"
} export_flags;
#undef OPT

typedef struct {
    export_flags file;
    prior_talk talk;
} export_options;

#define OPT        OPT_ROW
#define OPT_STRUCT export_flags
static const opt_row rows[] = {
#include "cli/reason_export.def"
    {0}};

static const opt_group groups[] = {
    {.title = "Options", .row = rows, .base = offsetof(export_options, file)},
    {.title = "Everywhere", .row = prior_talk_rows, .base = offsetof(export_options, talk)},
};
const opt_set reason_export_set = {
    .command = "reason export",
    .usage = "reason export RUN -o FILE [--failed|--openai-batch] [options]",
    .about = "Write what a run has so far, in the order of the records.  RUN is FILE.run or FILE.",
    .group = groups,
    .n_groups = OPT_COUNT(groups),
    .size = sizeof(export_options),
    .least_args = 1,
    .most_args = 1,
    .args = "RUN",
};

/* The good and weak chains go to a file that is thrown away: one walk writes both. */
static mill_err write_failed(output_options *o, output_summary *sum, const char *path)
{
    mill_text other = {0};

    text_add(&other, "%s.%ld.jsonl", path, (long)getpid());
    TRY(text_check(&other));
    o->path = other.s;
    o->failed = path;
    mill_err err = output_write(sum, o);
    const mill_err removed = file_remove(other.s);
    if (!err) err = removed;
    text_free(&other);
    if (!err && !sum->failed_records) err = file_write_all(path, "", 0);
    return err;
}

static mill_err write_batch(reason_opened *run, const char *path)
{
    batch_summary sum = {0};
    batch_config config;
    output_part *part = &run->part[0];

    if (run->n != 1) return mill_fail(MILL_EINPUT, "batch files are of runs with one store");
    const record_file *records = part->data.file;
    TRY(batch_config_read(&config, &part->data, results_config(part->store)));
    part->data.file = records;
    const mill_err err = batch_write(&sum, &config, part, path);
    batch_config_free(&config);
    if (!err) cli_say("%s: %lld request%s", path, (long long)sum.requests, mill_s(sum.requests));
    return err;
}

static mill_err write_export(reason_opened *run, const void *values)
{
    const export_flags *f = &((const export_options *)values)->file;
    output_options o = {.run = &run->options,
                        .part = run->part,
                        .n_parts = run->n,
                        .path = f->output,
                        .skip_open = true};
    output_summary sum = {0};
    output_format format;

    TRY(output_format_of(&format, f->output));
    if ((f->failed || f->openai_batch) && format != OUTPUT_JSONL)
        return mill_fail(MILL_EINPUT, "%s: failures and requests are written as .jsonl", f->output);
    TRY(cli_check_apart(f->output, run->file.dataset));
    TRY(cli_check_output(f->output, f->force));
    TRY(cli_reason_open_records(run));
    if (f->openai_batch) return write_batch(run, f->output);
    TRY(f->failed ? write_failed(&o, &sum, f->output) : output_write(&sum, &o));
    const int64_t n = f->failed ? sum.failed_records : sum.lines;
    cli_say("%s: %lld %s%s that %s", f->output, (long long)n, f->failed ? "record" : "chain",
            mill_s(n), f->failed ? "failed" : "ended well");
    if (sum.open)
        cli_say("%lld chain%s without an end left out", (long long)sum.open, mill_s(sum.open));
    return MILL_OK;
}

static const char *missing(const void *values)
{
    const export_flags *f = &((const export_options *)values)->file;

    if (!f->output) return "-o FILE is missing";
    return f->failed && f->openai_batch ? "--failed or --openai-batch, not both" : NULL;
}

int cmd_reason_export(int argc, char **argv)
{
    export_options o = {0};

    return cli_reason_look(argc, argv, &reason_export_set, &o, &o.talk.quiet, missing,
                           write_export);
}
