/*
 * reason_watch.c - `tabmill reason watch RUN`: a live page of a run, until it is interrupted.
 */
#include "cli/prior.h"
#include "cli/reason.h"

#include "base/mem.h"
#include "reason/watch.h"
#include "train/loop.h"

#include <stdio.h>
#include <unistd.h>

#define OPT OPT_FIELD
typedef struct {
#include "cli/reason_watch.def"
} watch_flags;
#undef OPT

typedef struct {
    watch_flags page;
    prior_talk talk;
} options;

#define OPT        OPT_ROW
#define OPT_STRUCT watch_flags
static const opt_row rows[] = {
#include "cli/reason_watch.def"
    {0}};

static const opt_group groups[] = {
    {.title = "Options", .row = rows, .base = offsetof(options, page)},
    {.title = "Everywhere", .row = prior_talk_rows, .base = offsetof(options, talk)},
};
const opt_set reason_watch_set = {
    .command = "reason watch",
    .usage = "reason watch RUN [--port P]",
    .about = "Serve a live page of a run on this machine's loopback, until interrupted.  RUN is "
             "FILE.run or FILE.\nThe page only reads; its address is printed on stdout.",
    .group = groups,
    .n_groups = OPT_COUNT(groups),
    .size = sizeof(options),
    .least_args = 1,
    .most_args = 1,
    .args = "RUN",
};

static mill_err serve(reason_opened *run, const void *values)
{
    const options *given = values;
    const watch_options o = {.title = run->file.output,
                             .part = run->status,
                             .n = run->n,
                             .chains = run->chains,
                             .port = (int)given->page.port};
    watch *w;

    train_signals_install();
    TRY(watch_open(&w, &o));
    printf("http://127.0.0.1:%d/\n", watch_port(w));
    fflush(stdout);
    cli_say("Ctrl-C ends it; the run is not touched");
    while (!train_signal_received()) usleep(100000);
    watch_close(w);
    return MILL_OK;
}

int cmd_reason_watch(int argc, char **argv)
{
    options o = {0};

    return cli_reason_look(argc, argv, &reason_watch_set, &o, &o.talk.quiet, NULL, serve);
}
