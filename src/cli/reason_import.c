/*
 * reason_import.c - `tabmill reason import RUN --openai-batch FILE`: responses of a hosted server's
 * batch interface into the store of a run.
 */
#include "cli/prior.h"
#include "cli/reason.h"

#include "base/text.h"
#include "reason/batch.h"

#include <stdio.h>
#include <string.h>

#define OPT OPT_FIELD
typedef struct {
#include "cli/reason_import.def"
} import_flags;
#undef OPT

typedef struct {
    import_flags file;
    prior_talk talk;
} options;

#define OPT        OPT_ROW
#define OPT_STRUCT import_flags
static const opt_row rows[] = {
#include "cli/reason_import.def"
    {0}};

static const opt_group groups[] = {
    {.title = "Options", .row = rows, .base = offsetof(options, file)},
    {.title = "Everywhere", .row = prior_talk_rows, .base = offsetof(options, talk)},
};
const opt_set reason_import_set = {
    .command = "reason import",
    .usage = "reason import RUN --openai-batch FILE",
    .about = "Take responses of a batch file into a run's store.  RUN is FILE.run or FILE.",
    .group = groups,
    .n_groups = OPT_COUNT(groups),
    .size = sizeof(options),
    .least_args = 1,
    .most_args = 1,
    .args = "RUN",
};

/* The store again, to write to it. */
static mill_err open_to_write(results **out, const reason_opened *run, const batch_config *c)
{
    char path[4200];
    const results_options o = {.where = path,
                               .name = run->file.output,
                               .hash = c->hash,
                               .config = results_config(run->part[0].store),
                               .records = results_records(run->part[0].store),
                               .range = 1024,
                               .resume = true};

    if (run->file.store || run->n != 1)
        return mill_fail(MILL_EINPUT, "batch files are of runs with one store, in their folder");
    snprintf(path, sizeof path, "%s/" RESULTS_FILE, run->folder[0]);
    return results_open(out, &o);
}

static mill_err import(reason_opened *run, const void *values)
{
    const options *given = values;
    batch_summary sum = {0};
    batch_config config;
    results *to;

    TRY(cli_reason_open_records(run));
    output_part part = {.data = run->part[0].data};
    const record_file *records = part.data.file;
    TRY(batch_config_read(&config, &part.data, results_config(run->part[0].store)));
    part.data.file = records;
    mill_err err = open_to_write(&to, run, &config);
    if (!err) {
        part.store = to;
        err = batch_read(&sum, &config, &part, given->file.openai_batch);
        results_close(to);
        cli_say("%lld responses were taken, %lld were known", (long long)sum.rows,
                (long long)sum.known);
        if (sum.open)
            cli_say("%lld request%s without an answer there, still open: %s", (long long)sum.open,
                    mill_s(sum.open), sum.why);
    }
    batch_config_free(&config);
    return err;
}

static const char *missing(const void *values)
{
    return ((const options *)values)->file.openai_batch ? NULL : "--openai-batch FILE is missing";
}

int cmd_reason_import(int argc, char **argv)
{
    options o = {0};

    return cli_reason_look(argc, argv, &reason_import_set, &o, &o.talk.quiet, missing, import);
}
