/* rolling.c - see rolling.h. */
#include "base/rolling.h"

#include "base/log.h"

#include <stdio.h>

/* What an earlier process left in the file counts as well. */
static mill_err open_log(rolling_log *l)
{
    TRY(file_open_append(&l->file, l->path));
    if (file_size(l->file, &l->bytes)) l->bytes = 0; /* a pipe or a device has none */
    return MILL_OK;
}

static mill_err roll(rolling_log *l)
{
    char old[sizeof l->path + 2];

    snprintf(old, sizeof old, "%s.1", l->path);
    if (file_rename(l->path, old)) {
        mill_log(MILL_LOG_WARN, "%s", mill_error());
        l->bytes = 0; /* it may grow by as much before the next attempt */
        return MILL_OK;
    }
    rolling_close(l);
    return open_log(l);
}

mill_err rolling_put(rolling_log *l, const char *p, size_t n)
{
    mill_err err;

    if (!*l->path) return MILL_OK;
    if (!l->file) TRY(open_log(l));
    if (l->most > 0 && l->bytes && l->bytes + (int64_t)n > l->most) TRY(roll(l));
    l->bytes += (int64_t)n;
    if ((err = file_write(l->file, p, n)) || (err = file_flush(l->file))) rolling_close(l);
    return err;
}

void rolling_close(rolling_log *l)
{
    file_close(l->file);
    l->file = NULL;
}
