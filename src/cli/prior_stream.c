/*
 * prior_stream.c - `tabmill prior stream`: data sets for a training loop, on stdout or a socket.
 *
 * The reader's pace is that of the workers.  A reader that leaves is the usual end, not an error.
 */
#include "cli/prior.h"

#include "base/cpu.h"
#include "base/text.h"
#include "prior/stream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define OPT OPT_FIELD
typedef struct {
#include "cli/prior_stream.def"
} stream_flags;
#undef OPT
typedef struct {
    stream_flags stream;
    prior_source source;
    prior_config config;
    prior_talk talk;
} options;

#define OPT        OPT_ROW
#define OPT_STRUCT stream_flags
static const opt_row rows[] = {
#include "cli/prior_stream.def"
    {0}};

static const opt_group groups[] = {
    {.title = "The stream", .row = rows, .base = offsetof(options, stream)},
    {.title = "The data sets", .row = prior_source_rows, .base = offsetof(options, source)},
    PRIOR_GROUP(offsetof(options, config)),
    {.title = "Everywhere", .row = prior_talk_rows, .base = offsetof(options, talk)},
};
static const opt_set prior_stream_set = {
    .command = "prior stream",
    .usage = "prior stream [options] | READER",
    .about = "Send data sets to a training loop (examples/prior_stream.py), at its pace.",
    .group = groups,
    .n_groups = OPT_COUNT(groups),
    .size = sizeof(options),
};

/* A socket at which nobody listens: of a process that was killed while it waited.  It is asked for
 * datagrams, which is refused otherwise where somebody does, who must not take this for a reader.
 */
static bool is_stale(const struct sockaddr_un *at)
{
    struct stat st;
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const bool refused = fd >= 0 && !lstat(at->sun_path, &st) && S_ISSOCK(st.st_mode) &&
                         connect(fd, (const struct sockaddr *)at, sizeof *at) &&
                         errno == ECONNREFUSED;

    if (fd >= 0) close(fd);
    return refused;
}

static bool bind_at(int door, const struct sockaddr_un *at)
{
    const struct sockaddr *const a = (const struct sockaddr *)at;

    if (!bind(door, a, sizeof *at)) return true;
    if (errno != EADDRINUSE) return false;
    if (is_stale(at)) unlink(at->sun_path);
    return !bind(door, a, sizeof *at);
}

/* Waits for one reader. */
static mill_err open_socket(int *fd, const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof at.sun_path)
        return mill_fail(MILL_EINPUT, "--socket %s: a path of at most %zu characters", path,
                         sizeof at.sun_path - 1);
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    const int door = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool is_bound = door >= 0 && bind_at(door, &at);
    if (!is_bound || listen(door, 1)) {
        const int why = errno;
        if (is_bound) unlink(path);
        if (door >= 0) close(door);
        return mill_fail(MILL_EIO, "--socket %s: %s", path, strerror(why));
    }
    cli_say("waiting for a reader at %s", path);
    *fd = accept4(door, NULL, NULL, SOCK_CLOEXEC);
    const int why = errno;
    close(door);
    unlink(path);
    return *fd < 0 ? mill_fail(MILL_EIO, "--socket %s: %s", path, strerror(why)) : MILL_OK;
}

static int check_memory(const opt_set *set, const prior_stream_options *s, int64_t limit)
{
    char a[32], b[32];

    if (!limit || prior_stream_memory(s) <= limit) return 0;
    return opt_usage_error(
        set,
        "%d worker%s and %lld data set%s ahead may take %s, above --memory-limit "
        "%s: fewer of either",
        s->workers, mill_s(s->workers), (long long)s->ahead, mill_s(s->ahead),
        mill_format_size(a, (double)prior_stream_memory(s)), mill_format_size(b, (double)limit));
}

static int send_sets(const opt_parsed *p, const options *o, prior_stream_options *s)
{
    prior_stream_result r;

    if (o->stream.socket && open_socket(&s->fd, o->stream.socket)) return cli_error(p->set);
    fflush(NULL);
    const double began = mill_clock();
    const mill_err err = prior_stream(&r, s);
    const double seconds = mill_clock() - began;
    if (s->fd != STDOUT_FILENO) close(s->fd);
    if (err) cli_error(p->set);
    cli_say("%lld data set%s in %.2f s (%.0f a minute)%s", (long long)r.sent, mill_s(r.sent),
            seconds, seconds > 0 ? 60 * (double)r.sent / seconds : 0,
            r.reader_left ? "; the reader has left" : "");
    return err ? 1 : 0;
}

static int run(const opt_parsed *p, options *o)
{
    const bool is_alone = !o->stream.max_ahead;
    prior_stream_options s = {.config = &o->config,
                              .first = o->stream.start_index,
                              .n = o->stream.n_datasets,
                              .ahead = o->stream.max_ahead,
                              .workers = 1,
                              .fd = STDOUT_FILENO};
    int status = cli_prior_config(&o->config, p, &o->source);

    if (status) return status;
    cli_talk(p->set, o->talk.quiet);
    if (!is_alone || o->stream.nproc)
        status = cli_prior_workers(&s.workers, p->set, o->stream.nproc, 0);
    if (!status && is_alone && s.workers > 1)
        status = opt_usage_error(p->set, "--nproc %s: with --max-ahead 0 there is one process",
                                 o->stream.nproc);
    if (!status && !o->stream.socket && isatty(STDOUT_FILENO))
        status =
            opt_usage_error(p->set, "stdout is a terminal: pipe it into a reader, or --socket");
    if (!status) status = check_memory(p->set, &s, o->stream.memory_limit);
    return status ? status : send_sets(p, o, &s);
}

int cmd_prior_stream(int argc, char **argv)
{
    options o;
    opt_parsed p;
    int status;

    if (opt_parse(&p, &status, &prior_stream_set, &o, argc, argv) == OPT_STOP) return status;
    status = run(&p, &o);
    opt_free(&p);
    return status;
}
