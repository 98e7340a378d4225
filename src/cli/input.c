/*
 * input.c - where a table comes from, what it is known by, and where results may go.
 *
 * A table on stdin is copied to an unnamed file which then takes stdin's place: types are inferred
 * over all of it, so it is read more than once; for ranks that is done before they are forked, and
 * each reads the same file.  So is a model, which is mapped.  The fingerprint is size and hash of
 * the bytes as they are (compressed or not).
 */
#include "cli/cli.h"

#include "base/file.h"
#include "base/mem.h"
#include "table/spool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { BLOCK = 1 << 20 };

/* Reads `from` to its end into the hash, and into `to` if it is not NULL. */
static mill_err pump(char hash[33], int64_t *bytes, mill_file *from, mill_file *to)
{
    unsigned char *block = mill_alloc(BLOCK, 1);
    XXH3_state_t *state = XXH3_createState();
    size_t got = 0;
    mill_err err = block && state ? MILL_OK : mill_fail(MILL_ENOMEM, "out of memory for reading");

    *bytes = 0;
    if (!err) XXH3_128bits_reset(state);
    while (!err && !(err = file_read(from, block, BLOCK, &got)) && got) {
        XXH3_128bits_update(state, block, got);
        *bytes += (int64_t)got;
        if (to) err = file_write(to, block, got);
    }
    if (!err) {
        const XXH128_hash_t h = XXH3_128bits_digest(state);
        snprintf(hash, 33, "%016llx%016llx", (unsigned long long)h.high64,
                 (unsigned long long)h.low64);
        if (to) err = file_flush(to);
    }
    XXH3_freeState(state);
    mill_free(block);
    return err;
}

mill_err cli_hash_file(char hash[33], int64_t *bytes, const char *path)
{
    mill_file *f;

    TRY(file_open(&f, path));
    const mill_err err = pump(hash, bytes, f, NULL);
    file_close(f);
    return err;
}

bool cli_is_pipe(const char *path)
{
    struct stat st;

    return strcmp(path, "-") != 0 && !stat(path, &st) && S_ISFIFO(st.st_mode);
}

static mill_err spool_stdin(cli_input *in)
{
    mill_file *from = NULL, *to = NULL, *again = NULL;

    mill_err err = file_open(&from, "-");
    if (!err) err = spool_stream(&to, &again, NULL);
    if (!err) err = pump(in->hash, &in->bytes, from, to);
    if (!err && dup2(file_fd(again), STDIN_FILENO) < 0)
        err = mill_fail(MILL_EIO, "stdin: %s", strerror(errno));
    file_close(again);
    file_close(to);
    file_close(from);
    return err;
}

static cli_input kept; /* .path: stdin was spooled before the ranks were forked */

mill_err cli_input_keep(const char *path)
{
    if (!path || strcmp(path, "-") != 0 || kept.path) return MILL_OK;
    kept.path = path;
    return spool_stdin(&kept);
}

mill_err cli_input_open(cli_input *in, const char *path)
{
    *in = (cli_input){.path = path};
    if (!strcmp(path, "-") && kept.path) *in = kept;
    if (!strcmp(path, "-")) return kept.path ? MILL_OK : spool_stdin(in);
    if (!cli_is_pipe(path)) return cli_hash_file(in->hash, &in->bytes, path);
    return mill_fail(MILL_EINPUT,
                     "%s: a pipe gives its bytes once, and they are read twice; give it "
                     "as stdin, which is \"-\"",
                     path);
}

void cli_csv_options(csv_options *out, const opt_parsed *p, const csv_flags *csv,
                     const column_options *columns)
{
    *out = CSV_DEFAULTS;
    out->delimiter = csv->delimiter;
    out->header = opt_is_given(p, &csv->header) ? csv->header : -1;
    out->na = csv->na;
    if (!columns) return;
    out->columns = columns->columns;
    out->drop = columns->drop;
    out->types = columns->types;
    out->discrete = (const char *const *)columns->discrete.item;
}

static mill_err check_folder(const char *path)
{
    char folder[4096];
    struct stat st;
    const char *slash = strrchr(path, '/');

    if (strlen(path) >= sizeof folder)
        return mill_fail(MILL_EINPUT, "%.100s...: the path is too long", path);
    if (!slash)
        strcpy(folder, ".");
    else
        snprintf(folder, sizeof folder, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    if (stat(folder, &st))
        return mill_fail(MILL_EIO, "%s: the folder %s: %s", path, folder, strerror(errno));
    if (!S_ISDIR(st.st_mode)) return mill_fail(MILL_EIO, "%s: %s is not a folder", path, folder);
    if (access(folder, W_OK | X_OK))
        return mill_fail(MILL_EIO, "%s: cannot write in %s: %s", path, folder, strerror(errno));
    return MILL_OK;
}

const char *cli_shown(const char *output)
{
    return strcmp(output, "-") ? output : "stdout";
}

bool cli_is_same_file(const char *a, const char *b)
{
    struct stat of_a, of_b;

    return !stat(a, &of_a) && !stat(b, &of_b) && S_ISREG(of_a.st_mode) &&
           of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino;
}

mill_err cli_check_apart(const char *output, const char *input)
{
    if (!output || !input || !strcmp(output, "-") || !strcmp(input, "-")) return MILL_OK;
    if (!cli_is_same_file(output, input)) return MILL_OK;
    return mill_fail(MILL_EINPUT, "%s: is what is read; the output needs another name", output);
}

mill_err cli_check_output(const char *path, bool force)
{
    struct stat st;

    if (!strcmp(path, "-")) return MILL_OK;
    if (!*path) return mill_fail(MILL_EINPUT, "the output has an empty name");
    if (stat(path, &st)) return check_folder(path);
    if (S_ISDIR(st.st_mode)) return mill_fail(MILL_EINPUT, "%s: is a folder", path);
    if (!S_ISREG(st.st_mode)) return MILL_OK; /* /dev/null, a pipe: nothing is lost */
    if (!force) return mill_fail(MILL_EINPUT, "%s: exists; --force overwrites it", path);
    return check_folder(path);
}
