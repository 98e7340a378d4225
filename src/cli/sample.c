/* sample.c - `tabmill sample`: a model in, rows out. */
#include "cli/ranks.h"

#define OPT OPT_FIELD
typedef struct {
#include "cli/sample.def"
} sample_flags;
#undef OPT

typedef struct {
    sample_flags sample;
    talk_options talk;
} sample_options;

#define OPT        OPT_ROW
#define OPT_STRUCT sample_flags
static const opt_row rows[] = {
#include "cli/sample.def"
    {0}};

static const opt_group groups[] = {
    {.title = "Options", .row = rows, .base = offsetof(sample_options, sample)},
    {.title = "Everywhere", .row = talk_rows, .base = offsetof(sample_options, talk)},
};
const opt_set sample_set = {
    .command = "sample",
    .usage = "sample MODEL.mill [-n N] [-o out.csv] [--where COLUMN=VALUE ...] [options]",
    .about = "Draw rows from a model.",
    .group = groups,
    .n_groups = OPT_COUNT(groups),
    .size = sizeof(sample_options),
    .least_args = 1,
    .most_args = 1,
    .args = "MODEL.mill",
};

/* As one process, or as one of several. */
static int run(const sample_options *o, const char *model, talk_options *talk)
{
    const drawing d = {
        .model = model,
        .output = o->sample.output,
        .rows = o->sample.rows,
        .batch = o->sample.batch_size,
        .seed = (uint64_t)o->sample.seed,
        .force = o->sample.force,
        .quiet = o->talk.quiet,
        .where = &o->sample.where,
    };
    cli_ranks r;
    int status, n;

    cli_talk(&sample_set, talk->quiet);
    if ((status = cli_check_where(&sample_set, d.where))) return status;
    if ((status = cli_ranks_count(&n, &sample_set, o->sample.nproc))) return status;
    if (!rank_is_spawned() && cli_input_keep(model)) return cli_error(&sample_set);
    if (!cli_ranks_start(&status, &sample_set, n, model)) return status;
    if (!(status = cli_ranks_meet(&r, &sample_set, talk)))
        status = cli_draw(&sample_set, &d, r.pool, r.group);
    cli_ranks_part(&r, status ? MILL_EINPUT : MILL_OK);
    return status;
}

int cmd_sample(int argc, char **argv)
{
    sample_options o;
    opt_parsed p;
    int status;

    if (opt_parse(&p, &status, &sample_set, &o, argc, argv) == OPT_STOP) return status;
    status = run(&o, p.arg[0], &o.talk);
    opt_free(&p);
    return status;
}
