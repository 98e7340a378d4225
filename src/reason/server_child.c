/*
 * server_child.c - a server as a process of ours.
 *
 * It leads a process group, reads nothing, and writes into a pipe that we carry to its log, which
 * rolls at CHILD_LOG_BYTES (base/rolling.h).  It dies with us (PR_SET_PDEATHSIG),
 * and what it started dies by the guard.  We may have threads: between fork and exec only what is
 * safe then is called, so words and environment are made before.
 */
#include "reason/server_child.h"

#include "base/log.h"
#include "reason/servers.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const double LONGEST_DEATH = 30; /* seconds that SIGKILL may take: a driver may hold it */
enum { CANNOT_RUN = 127, LAST_LINES = 4 };

/* ---- its life ---- */

static void say(const char *s)
{
    (void)!write(2, s, strlen(s));
}

/* In the child.  Never returns. */
static void become_server(int out, pid_t parent, char **words, char **env)
{
    sigset_t none;

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int null = open("/dev/null", O_RDONLY);
    if (null > 0) dup2(null, 0);
    dup2(out, 1);
    dup2(out, 2);
    for (int s = 1; s < 32; s++)
        if (s != SIGHUP) signal(s, SIG_DFL); /* nohup's stays ignored */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (getppid() != parent) _exit(CANNOT_RUN);
    execvpe(words[0], words, env);
    say("cannot run ");
    say(words[0]);
    say(errno == ENOENT ? ": there is no such program\n" : ": it is no program that we may run\n");
    _exit(CANNOT_RUN);
}

mill_err child_start(server_child *c, const rank_guard *g, char **words, char **env)
{
    const pid_t self = getpid();
    int p[2];

    if (pipe2(p, O_CLOEXEC)) return mill_fail(MILL_EIO, "pipe: %s", strerror(errno));
    const pid_t pid = fork();
    if (pid == 0) become_server(p[1], self, words, env);
    close(p[1]);
    if (pid < 0) {
        close(p[0]);
        return mill_fail(MILL_EIO, "fork: %s", strerror(errno));
    }
    setpgid(pid, pid); /* both do it: whoever comes first */
    guard_add(g, pid);
    fcntl(p[0], F_SETFL, O_NONBLOCK);
    c->pid = pid;
    c->output = p[0];
    c->n_tail = 0;
    c->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (c->pidfd >= 0) return MILL_OK;
    const mill_err err = mill_fail(MILL_EIO, "pidfd: %s", strerror(errno));
    children_end(&c, 1, g, 0);
    return err;
}

void child_signal(const server_child *c, int sig)
{
    if (c->pid > 0) kill(-c->pid, sig);
}

bool child_reap(server_child *c, const rank_guard *g, int *status)
{
    if (c->pid <= 0 || waitpid(c->pid, status, WNOHANG) != c->pid) return false;
    kill(-c->pid, SIGKILL); /* what it left behind */
    guard_drop(g, c->pid);
    c->pid = 0;
    child_read(c);
    return true;
}

void child_close(server_child *c)
{
    if (c->pidfd >= 0) close(c->pidfd);
    if (c->output >= 0) close(c->output);
    c->pidfd = c->output = -1;
    rolling_close(&c->log);
}

/* Waits for news of those that are left; false when there are none. */
static bool wait_for_some(server_child *const *c, int n, const rank_guard *g, double seconds)
{
    struct pollfd p[2 * SERVERS_MAX];
    int left = 0, status;

    for (int i = 0; i < n; i++) {
        if (!c[i] || c[i]->pid <= 0 || child_reap(c[i], g, &status)) continue;
        const bool may_say_more = child_read(c[i]);
        p[left++] = (struct pollfd){.fd = c[i]->pidfd, .events = POLLIN};
        p[left++] = (struct pollfd){.fd = may_say_more ? c[i]->output : -1, .events = POLLIN};
    }
    if (left) poll(p, (nfds_t)left, seconds < 0.1 ? (int)(seconds * 1000) + 1 : 100);
    return left > 0;
}

void children_end(server_child *const *c, int n, const rank_guard *g, double at)
{
    const double now = http_now(), last = (at > now ? at : now) + LONGEST_DEATH;

    for (int i = 0; i < n && at > now; i++)
        if (c[i]) child_signal(c[i], SIGTERM);
    while (http_now() < at && wait_for_some(c, n, g, at - http_now())) continue;
    for (int i = 0; i < n; i++)
        if (c[i]) child_signal(c[i], SIGKILL);
    while (http_now() < last && wait_for_some(c, n, g, last - http_now())) continue;
    for (int i = 0; i < n; i++) {
        if (!c[i]) continue;
        if (c[i]->pid > 0)
            mill_log(MILL_LOG_WARN, "process %d does not end, not even by SIGKILL", (int)c[i]->pid);
        child_close(c[i]);
    }
}

const char *child_describe(char buf[96], int status)
{
    if (WIFSIGNALED(status))
        snprintf(buf, 96, "was killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(buf, 96, "ended with status %d", WEXITSTATUS(status));
    return buf;
}

/* ---- what it says ---- */

/* A disk that is full loses lines; the server goes on. */
static void put_log(server_child *c, const char *p, size_t n)
{
    if (!rolling_put(&c->log, p, n)) return;
    if (!c->has_lost) mill_log(MILL_LOG_WARN, "%s; lines of the log are lost", mill_error());
    c->has_lost = true;
}

bool child_read(server_child *c)
{
    char buf[16384];
    ssize_t n = 0;

    while (c->output >= 0 && (n = read(c->output, buf, sizeof buf)) > 0) {
        for (ssize_t i = 0; i < n; i++) c->tail[c->n_tail++ % CHILD_TAIL] = buf[i];
        put_log(c, buf, (size_t)n);
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* The tail in order; returns how many bytes. */
static int64_t unroll(char out[CHILD_TAIL + 1], const server_child *c)
{
    const int64_t n = c->n_tail < CHILD_TAIL ? c->n_tail : CHILD_TAIL;

    for (int64_t i = 0; i < n; i++) out[i] = c->tail[(c->n_tail - n + i) % CHILD_TAIL];
    out[n] = 0;
    return n;
}

/* The last lines with something in them, joined by " | ", as many as fit. */
void child_last_words(char *words, size_t size, const server_child *c)
{
    char text[CHILD_TAIL + 1];
    int64_t end = unroll(text, c), begin;
    int lines = 0;

    while (end > 0 && isspace((unsigned char)text[end - 1])) end--;
    for (begin = end; begin > 0 && end - begin < (int64_t)size - 32; begin--)
        if (text[begin - 1] == '\n' && ++lines == LAST_LINES) break;
    size_t n = 0;
    for (int64_t i = begin; i < end && n + 4 < size; i++) {
        const unsigned char b = (unsigned char)text[i];
        if (b == '\n')
            n += (size_t)snprintf(words + n, size - n, " | ");
        else if (b >= ' ' && b != 127)
            words[n++] = (char)b;
    }
    words[n] = 0;
}

bool child_said(const server_child *c, const char *words)
{
    char text[CHILD_TAIL + 1];
    const int64_t n = unroll(text, c);

    for (int64_t i = 0; i < n; i++)
        if (!text[i]) text[i] = ' ';
    return strcasestr(text, words) != NULL;
}

/* ---- where it listens ---- */

mill_err child_port(int *port, const int *not_these, int n)
{
    for (int i = 0; i < 100; i++) {
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof at;
        bool is_taken = false;
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0) return mill_fail(MILL_EIO, "socket: %s", strerror(errno));
        const bool failed = bind(fd, (struct sockaddr *)&at, sizeof at) ||
                            getsockname(fd, (struct sockaddr *)&at, &len);
        close(fd);
        if (failed) break;
        *port = ntohs(at.sin_port);
        for (int j = 0; j < n; j++) is_taken |= not_these[j] == *port;
        if (!is_taken) return MILL_OK;
    }
    return mill_fail(MILL_EIO, "no free port on 127.0.0.1: %s", strerror(errno));
}
