/*
 * model.c - a model from its path.
 *
 * Runs leave folders beside their results: who names one of those is told what it is, and what
 * takes it.
 */
#include "cli/cli.h"

#include "base/file.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool holds(const char *folder, const char *name)
{
    char path[4096];
    const int n = snprintf(path, sizeof path, "%s/%s", folder, name);

    return n < (int)sizeof path && file_exists(path);
}

/* The model that a fit has written beside its run folder, or "". */
static void model_of_run(char out[4096], const char *folder)
{
    size_t n = strlen(folder);

    *out = 0;
    while (n > 1 && folder[n - 1] == '/') n--;
    if (n <= 4 || n >= 4096 || memcmp(folder + n - 4, ".run", 4) != 0) return;
    snprintf(out, 4096, "%.*s", (int)n - 4, folder);
    if (!file_exists(out)) *out = 0;
}

mill_err cli_check_not_folder(const char *path)
{
    char model[4096];
    struct stat st;

    if (!strcmp(path, "-") || stat(path, &st) || !S_ISDIR(st.st_mode)) return MILL_OK;
    if (holds(path, "best.mill") || holds(path, "latest.mill"))
        return mill_fail(MILL_EINPUT,
                         "%s: is a run of `tabmill train`, which `tabmill predict` takes; "
                         "`tabmill inspect` shows its best.mill",
                         path);
    model_of_run(model, path);
    if (*model)
        return mill_fail(MILL_EINPUT, "%s: is the run folder of a fit; its model is %s", path,
                         model);
    return mill_fail(MILL_EINPUT, "%s: is a folder, and a file is wanted", path);
}

mill_err cli_model_open(synth_model **out, const char *path, mill_pool *pool)
{
    TRY(cli_check_not_folder(path));
    return synth_model_open(out, path, pool);
}
