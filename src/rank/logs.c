/*
 * logs.c - what ranks print: to the console, to a file each, to one file of all, and the last of it
 * kept in memory for when a rank fails.
 *
 *     LOG_DIR/RUN/attempt_N/RANK/{stdout,stderr,error.json}      and LOG_DIR/RUN/run.log, with
 *                                                                 "[rank 3] " before each line
 *
 * With --tee a rank that floods the console is held back there, never in its log; it is said how
 * many lines were.
 *
 * A log that grows beyond rank_job.log_bytes goes on as a new one (base/rolling.h).  A disk that is
 * full loses lines, which are counted and told at the end; the ranks go on.
 */
#include "rank/launcher.h"

#include "base/cpu.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* Whether "0,3" holds r. */
static bool is_listed(const char *list, int r)
{
    while (list && *list) {
        char *end;
        if (strtol(list, &end, 10) == r && end != list) return true;
        list = *end == ',' ? end + 1 : "";
    }
    return false;
}

static void name_log(rolling_log *f, const launcher *l, const char *folder, const char *name)
{
    snprintf(f->path, sizeof f->path, "%s/%s", folder, name);
    f->most = l->job->log_bytes;
}

/* folder: "" for no log. */
static mill_err open_stream(log_stream *s, int *child_fd, const launcher *l, const char *folder,
                            const char *name)
{
    int p[2];

    if (pipe2(p, O_CLOEXEC)) return mill_fail(MILL_EIO, "pipe: %s", strerror(errno));
    fcntl(p[0], F_SETFL, O_NONBLOCK);
    s->fd = p[0];
    *child_fd = p[1];
    if (*folder) name_log(&s->log, l, folder, name);
    return MILL_OK;
}

mill_err logs_open(launcher *l, int r, int child_fd[2])
{
    const rank_job *job = l->job;
    child *c = &l->c[r];
    char folder[440] = "";
    const int rank = l->first + r;
    const bool shown = (!job->log_dir || job->tee) && (!job->ranks || is_listed(job->ranks, rank));
    const bool all = job->log_dir || job->tee || job->ranks;

    child_fd[0] = child_fd[1] = -1;
    c->out = c->err = (log_stream){.fd = -1};
    if (job->log_dir) {
        snprintf(folder, sizeof folder, "%s/attempt_%d/%d", l->log_dir, l->attempt, rank);
        TRY(file_mkdir(folder));
        name_log(&l->merged, l, l->log_dir, "run.log");
    }
    if (all) TRY(open_stream(&c->out, &child_fd[0], l, folder, "stdout"));
    if (all || job->capture) {
        TRY(open_stream(&c->err, &child_fd[1], l, folder, "stderr"));
        if (!(c->err.tail = mill_alloc(1, TAIL_BYTES))) return MILL_ENOMEM;
    }
    c->out.console = shown ? 1 : 0;
    c->err.console = shown ? 2 : 0;
    return MILL_OK;
}

/* What the file does not take is dropped. */
static void put_file(launcher *l, rolling_log *f, const char *p, size_t n)
{
    if (rolling_put(f, p, n) && !l->n_dropped++)
        mill_log(MILL_LOG_WARN, "%s; lines of the logs are lost", mill_error());
}

static void put_console(log_stream *s, const char *p, size_t n)
{
    struct pollfd room = {.fd = s->console, .events = POLLOUT};

    while (n && s->console) {
        const ssize_t did = write(s->console, p, n);
        if (did < 0 && errno == EINTR) continue;
        if (did < 0 && errno == EAGAIN && poll(&room, 1, -1) >= 0) continue;
        if (did < 0) s->console = 0; /* nobody reads any more */
        p += did;
        n -= did > 0 ? (size_t)did : 0;
    }
}

static void tell_held(launcher *l, int r, log_stream *s)
{
    char line[80];

    if (!s->held) return;
    const int n = snprintf(line, sizeof line, "[rank %d] (%lld line%s more, in its log)\n",
                           l->first + r, (long long)s->held, mill_s(s->held));
    put_console(s, line, (size_t)n);
    s->held = 0;
}

static void put_behind_rank(launcher *l, int r, log_stream *s, const char *line, size_t n)
{
    const int64_t most = l->job->console_lines;
    const double now = mill_clock();

    if (now - s->second >= 1) {
        tell_held(l, r, s);
        s->second = now;
        s->shown = 0;
    }
    if (most > 0 && l->job->log_dir && s->shown++ >= most)
        s->held++;
    else
        put_console(s, line, n);
}

/* A whole line, or what a rank left of one. */
static void put_line(launcher *l, int r, log_stream *s)
{
    char line[LINE_MAX_BYTES + 32];
    size_t n = (size_t)snprintf(line, sizeof line, "[rank %d] ", l->first + r);

    memcpy(line + n, s->line, (size_t)s->n_line);
    n += (size_t)s->n_line;
    if (line[n - 1] != '\n') line[n++] = '\n';
    if (l->job->tee) put_behind_rank(l, r, s, line, n);
    put_file(l, &l->merged, line, n);
    s->n_line = 0;
}

static void put_bytes(launcher *l, int r, log_stream *s, const char *p, size_t n)
{
    if (s->tail)
        for (size_t i = 0; i < n; i++) s->tail[s->n_tail++ % TAIL_BYTES] = p[i];
    if (!l->job->tee) put_console(s, p, n);
    put_file(l, &s->log, p, n);
    if (!l->job->tee && !l->job->log_dir) return;
    for (size_t i = 0; i < n; i++) {
        s->line[s->n_line++] = p[i];
        if (p[i] == '\n' || s->n_line == LINE_MAX_BYTES) put_line(l, r, s);
    }
}

void logs_read(launcher *l, int r, log_stream *s)
{
    char buf[65536]; /* of a pipe (pipe(7)) */

    if (s->fd < 0) return;
    const ssize_t n = read(s->fd, buf, sizeof buf);
    if (n > 0) put_bytes(l, r, s, buf, (size_t)n);
    if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR))) return;
    close(s->fd);
    s->fd = -1;
}

static void close_stream(launcher *l, int r, log_stream *s)
{
    logs_read(l, r, s);
    if (s->n_line) put_line(l, r, s);
    tell_held(l, r, s);
    if (s->fd >= 0) close(s->fd);
    rolling_close(&s->log);
    mill_free(s->tail);
    *s = (log_stream){.fd = -1};
}

void logs_close(launcher *l, int r)
{
    close_stream(l, r, &l->c[r].out);
    close_stream(l, r, &l->c[r].err);
}

/* ---- last words ---- */

/* torch's record writes {"message": {"message": .., ..}} or {"message": ".."}. */
static bool words_of_file(char *words, size_t size, int fd)
{
    char text[16384];
    const ssize_t n = pread(fd, text, sizeof text - 1, 0);
    json_t *j = n > 0 ? json_loadb(text, (size_t)n, 0, NULL) : NULL;
    const json_t *m = json_object_get(j, "message");

    if (json_is_object(m)) m = json_object_get(m, "message");
    if (json_is_string(m)) snprintf(words, size, "%s", json_string_value(m));
    json_decref(j);
    return m != NULL;
}

/* The last lines of stderr that fit. */
static void words_of_tail(char *words, size_t size, const log_stream *s)
{
    const int64_t kept = s->n_tail < TAIL_BYTES ? s->n_tail : TAIL_BYTES;
    int64_t end = s->n_tail, begin, lines = 0;

    *words = 0;
    if (!s->tail) return;
    while (end > s->n_tail - kept && s->tail[(end - 1) % TAIL_BYTES] == '\n') end--;
    for (begin = end; begin > s->n_tail - kept && end - begin < (int64_t)size - 1; begin--)
        if (s->tail[(begin - 1) % TAIL_BYTES] == '\n' && ++lines == 12) break;
    for (int64_t i = begin; i < end; i++) words[i - begin] = s->tail[i % TAIL_BYTES];
    words[end - begin] = 0;
}

void logs_last_words(char *words, size_t size, const launcher *l, int r)
{
    const board *b = l->board.at;
    char end[160];

    *words = 0;
    end_of_rank(end, l, r);
    if (b && b->failed == FAIL_THERE && b->fail_rank == r && strcmp(b->fail_words, end) != 0)
        snprintf(words, size, "%s", b->fail_words);
    else if (!words_of_file(words, size, l->c[r].error_fd))
        words_of_tail(words, size, &l->c[r].err);
}

/* LOG_DIR/RUN/attempt_N/RANK/error.json, in the form of torch's with facts of our own. */
void logs_write_error(launcher *l, int r, const char *words)
{
    char path[440], where[120], stderr_tail[4096];
    struct timeval now;

    if (!l->job->log_dir) return;
    gettimeofday(&now, NULL);
    describe_rank(where, sizeof where, l, r);
    words_of_tail(stderr_tail, sizeof stderr_tail, &l->c[r].err);
    const int status = l->c[r].status;
    const bool by_signal = WIFSIGNALED(status);
    json_t *j =
        json_pack("{s:{s:o, s:{s:I}}, s:i, s:i, s:i, s:i, s:i, s:s, s:o}", "message", "message",
                  mill_json_path(words), "extraInfo", "timestamp", (json_int_t)now.tv_sec, "rank",
                  l->first + r, "node", l->job->node, "pid", (int)l->c[r].pid, "exitcode",
                  by_signal ? -WTERMSIG(status) : WEXITSTATUS(status), "signal",
                  by_signal ? WTERMSIG(status) : 0, "place", *where ? where + 2 : "", "stderr",
                  mill_json_path(stderr_tail));
    char *text = j ? json_dumps(j, JSON_INDENT(2)) : NULL;

    snprintf(path, sizeof path, "%s/attempt_%d/%d/error.json", l->log_dir, l->attempt,
             l->first + r);
    if (!text || file_write_all(path, text, strlen(text))) l->n_dropped++;
    free(text);
    json_decref(j);
}
