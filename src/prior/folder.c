/*
 * folder.c - what lies in the folder of a run, and what of it is complete (run.h).
 *
 * A unit is complete when the journal has a line for all of the data sets that the run wants of it,
 * and its files are there with as many bytes.  Everything else is made again, over whatever is
 * there.  Those of npy are not synced before the run's end: where the machine was started anew in
 * between (run/boot), their checksums have to be right too.  What is not leaves the journal, since
 * what is made again may be stopped in turn.  When a finished run is extended, its last unit may
 * have been cut short: then it is made again, longer.
 */
#include "prior/folder.h"

#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- leftovers ---- */

static bool is_leftover(const char *name)
{
    const size_t len = strlen(name);

    if (len < 5 || strcmp(name + len - 4, ".tmp") != 0) return false;
    return folder_is_ours(name) || !strcmp(name, "manifest.json.tmp");
}

/* A process that was killed in a write left the file's beginning under another name. */
static mill_err remove_temporaries(const char *dir)
{
    char path[PRIOR_PATH], **list;
    int n;
    mill_err err = MILL_OK;

    if (!file_exists(dir)) return MILL_OK;
    TRY(file_list(&list, &n, dir));
    for (int i = 0; i < n && !err; i++) {
        if (!is_leftover(list[i])) continue;
        if (!(err = prior_path(path, dir, list[i]))) err = file_remove(path);
    }
    mill_free(list);
    return err;
}

static mill_err remove_all_temporaries(const prior_folder *f)
{
    char path[PRIOR_PATH], name[32];

    TRY(remove_temporaries(f->o.dir));
    TRY(prior_path(path, f->o.dir, "index"));
    TRY(remove_temporaries(path));
    for (int64_t k = 0; k <= (f->o.first + f->o.n) / 10000 && f->o.format == &prior_npy; k++) {
        snprintf(name, sizeof name, "%04lld", (long long)k);
        TRY(prior_path(path, f->o.dir, name));
        TRY(remove_temporaries(path));
    }
    return MILL_OK;
}

bool prior_folders_for(const prior_format *f, int64_t n)
{
    return f == &prior_npy && n > FOLDERS_ABOVE;
}

/* A run that has grown past the limit of one folder: its files move to their folders. */
mill_err folder_spread(prior_folder *f)
{
    static const char *const what[] = {"X.npy", "y.npy", "X.csv", "y.csv"};
    char from[PRIOR_PATH], to[PRIOR_PATH], name[64], folder[PRIOR_PATH];

    for (int64_t id = f->o.first + 1; id <= f->o.first + f->o.n; id++) {
        snprintf(name, sizeof name, "%04lld", (long long)((id - 1) / 10000));
        TRY(prior_path(folder, f->o.dir, name));
        if (id == f->o.first + 1 || (id - 1) % 10000 == 0) TRY(file_mkdir(folder));
        bool any = false;
        for (int k = 0; k < 4; k++) {
            snprintf(name, sizeof name, "episode_%06lld_%s", (long long)id, what[k]);
            TRY(prior_path(from, f->o.dir, name));
            TRY(prior_path(to, folder, name));
            if (!file_exists(from)) continue;
            any = true;
            if (rename(from, to))
                return mill_fail(MILL_EIO, "%s: cannot move to %s: %s", from, to, strerror(errno));
        }
        if (!any && id > f->o.first + FOLDERS_ABOVE) return MILL_OK;
    }
    return MILL_OK;
}

void folder_span(const prior_folder *f, int64_t u, int64_t *first, int64_t *count)
{
    const int64_t size = f->o.format->unit_size(f->o.config);
    const int64_t begin = (f->first_unit + u) * size, end = begin + size;
    const int64_t last = f->o.first + f->o.n;

    *first = begin > f->o.first ? begin : f->o.first;
    *count = (end < last ? end : last) - *first;
}

/* ---- what is complete ---- */

static mill_err check_file(uint32_t *crc, int64_t *bytes, const char *path, size_t tail)
{
    const void *map;
    size_t len;

    TRY(file_map(&map, &len, path));
    *crc = mill_crc32c(*crc, map, len > tail ? len - tail : 0);
    *bytes += (int64_t)len;
    file_unmap(map, len);
    return MILL_OK;
}

mill_err prior_unit_check(const prior_sink *s, const prior_unit *u)
{
    char path[PRIOR_PATH];
    uint32_t crc = 0;
    int64_t bytes = 0;

    for (int64_t k = 0; s->format->path(path, s, u, k); k++)
        TRY(check_file(&crc, &bytes, path, (size_t)s->format->tail));
    if (bytes == u->bytes && crc == u->crc) return MILL_OK;
    return mill_fail(MILL_EINPUT, "%s: unit %lld: %s", s->dir, (long long)u->unit,
                     bytes == u->bytes ? "its checksum is another" : "its length is another");
}

static bool has_length(const prior_sink *s, const prior_unit *u)
{
    char path[PRIOR_PATH];
    struct stat st;
    int64_t bytes = 0;

    for (int64_t k = 0; s->format->path(path, s, u, k); k++)
        bytes += stat(path, &st) ? -1 : (int64_t)st.st_size;
    return bytes == u->bytes;
}

/* *then: the machine's start under which the run was last gone on with, NULL: it is a new one. */
static mill_err read_boots(char **now, char **then, const char *path)
{
    size_t len;

    *now = *then = NULL;
    if (file_exists(path)) TRY(file_read_all(then, &len, path));
    const mill_err err = file_read_all(now, &len, "/proc/sys/kernel/random/boot_id");
    if (err) mill_free(*then);
    return err;
}

/* Units whose files are not there, or not as the journal has them, are made again. */
static mill_err drop_damaged(prior_folder *f, bool is_suspect)
{
    const prior_sink s = {.format = f->o.format,
                          .config = f->o.config,
                          .dir = f->o.dir,
                          .csv = f->o.csv,
                          .folders = prior_folders_for(f->o.format, f->o.n)};
    int64_t n = 0;

    for (int64_t u = 0; u < f->n_units; u++) {
        prior_unit *unit = &f->unit[u];
        if (!unit->count) continue;
        if (has_length(&s, unit) && !(is_suspect && prior_unit_check(&s, unit))) continue;
        unit->count = 0;
        n++;
    }
    return n ? folder_write_journal(f) : MILL_OK;
}

/* This start of the machine is noted last: until then everything is suspect to the next one, too.
 */
static mill_err check_files(prior_folder *f)
{
    char path[PRIOR_PATH], *now, *then;

    TRY(prior_path(path, f->o.dir, "run/boot"));
    TRY(read_boots(&now, &then, path));
    const bool is_another = !then || strcmp(now, then) != 0;
    mill_err err = drop_damaged(f, then && is_another && f->o.format == &prior_npy);
    if (!err && is_another) err = file_write_all(path, now, strlen(now));
    mill_free(now);
    mill_free(then);
    return err;
}

/* ---- open, close ---- */

static mill_err take_lock(prior_folder *f)
{
    char path[PRIOR_PATH];

    TRY(prior_path(path, f->o.dir, "run"));
    TRY(file_mkdir(path));
    TRY(prior_path(path, f->o.dir, "run/lock"));
    const mill_err err = file_lock(&f->lock, path);
    return err != MILL_EINPUT ? err
                              : mill_fail(err, "%s: another process runs in this folder", f->o.dir);
}

mill_err folder_open(prior_folder *f, const prior_run_options *o)
{
    *f = (prior_folder){.o = *o,
                        .lock = -1,
                        .first_unit = o->first / o->format->unit_size(o->config),
                        .n_units = prior_run_units(o)};
    f->unit = mill_alloc((size_t)f->n_units, sizeof *f->unit);
    mill_err err = f->unit ? file_mkdir(o->dir) : MILL_ENOMEM;
    if (!err) err = folder_check(f); /* before anything is made in a folder of others */
    if (!err) err = take_lock(f);
    if (!err) err = folder_begin(f);
    if (!err) err = remove_all_temporaries(f);
    if (!err) err = folder_read_journal(f);
    if (!err) err = check_files(f);
    if (err) folder_close(f);
    return err;
}

void folder_close(prior_folder *f)
{
    mill_free(f->unit);
    if (f->lock >= 0) close(f->lock);
    f->unit = NULL;
    f->lock = -1;
}
