/* rolling.c - see rolling.h. */
#include "base/rolling.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

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

/* The lines that fit into one log; at least one. */
static size_t lines_that_fit(const rolling_log *l, const char *p, size_t n)
{
    if (l->most < 1 || n <= (size_t)l->most) return n;
    const char *end = memrchr(p, '\n', (size_t)l->most);
    if (!end) end = memchr(p, '\n', n);
    return end ? (size_t)(end + 1 - p) : n;
}

static mill_err put_lines(rolling_log *l, const char *p, size_t n)
{
    mill_err err;

    if (!l->file) TRY(open_log(l));
    if (l->most > 0 && l->bytes && l->bytes + (int64_t)n > l->most) TRY(roll(l));
    l->bytes += (int64_t)n;
    if ((err = file_write(l->file, p, n)) || (err = file_flush(l->file))) rolling_close(l);
    return err;
}

mill_err rolling_put(rolling_log *l, const char *p, size_t n)
{
    while (*l->path && n) {
        const size_t fit = lines_that_fit(l, p, n);
        TRY(put_lines(l, p, fit));
        p += fit;
        n -= fit;
    }
    return MILL_OK;
}

void rolling_close(rolling_log *l)
{
    file_close(l->file);
    l->file = NULL;
}
