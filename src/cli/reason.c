/* reason.c - `tabmill reason`: a run, or one of its verbs. */
#include "cli/reason.h"

#include <string.h>

static const struct {
    const char *verb;
    int (*run)(int argc, char **argv);
} verbs[] = {
    {"verify", cmd_reason_verify}, {"status", cmd_reason_status}, {"export", cmd_reason_export},
    {"import", cmd_reason_import}, {"watch", cmd_reason_watch},
};

int cmd_reason(int argc, char **argv)
{
    for (int i = 0; argc > 0 && i < OPT_COUNT(verbs); i++)
        if (!strcmp(argv[0], verbs[i].verb)) return verbs[i].run(argc - 1, argv + 1);
    return cmd_reason_run(argc, argv);
}
