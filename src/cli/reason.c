/* reason.c - `tabmill reason`: a run, or one of its verbs. */
#include "cli/reason.h"

static const cli_verb verbs[] = {
    {"verify", cmd_reason_verify}, {"status", cmd_reason_status}, {"export", cmd_reason_export},
    {"import", cmd_reason_import}, {"watch", cmd_reason_watch},
};

int cmd_reason(int argc, char **argv)
{
    int status;

    if (cli_run_verb(&status, &reason_set, verbs, OPT_COUNT(verbs), argc, argv)) return status;
    return cmd_reason_run(argc, argv);
}
