/*
 * guard.c - kills the process groups that we started, should we die without doing so.
 *
 * PR_SET_PDEATHSIG ends our children but not theirs, and SIGKILL leaves us no last word.  So a
 * process of its own reads from us which groups there are, one int each, negative when one is gone;
 * at the end of the pipe we are gone, and it kills what is left.  It lives in a group of its own
 * and ignores signals.  Only what is safe after fork() among threads is called there.
 */
#include "rank/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Nobody's pipe, socket or lock is to stay open for us. */
static void close_all_but(int fd)
{
    if (fd > 0) (void)syscall(SYS_close_range, 0U, (unsigned)fd - 1, 0U);
    (void)syscall(SYS_close_range, (unsigned)fd + 1, ~0U, 0U);
}

static void guard_main(int fd)
{
    pid_t group[GUARD_MAX];
    int n = 0, g;

    setpgid(0, 0);
    for (int s = 1; s < 32; s++) signal(s, s == SIGCHLD ? SIG_DFL : SIG_IGN);
    close_all_but(fd);
    while (read(fd, &g, sizeof g) == sizeof g) {
        if (g > 0 && n < GUARD_MAX) group[n++] = g;
        for (int i = 0; g < 0 && i < n; i++)
            if (group[i] == -g) group[i] = group[--n];
    }
    for (int i = 0; i < n; i++) kill(-group[i], SIGKILL);
    _exit(0);
}

mill_err guard_start(rank_guard *g)
{
    int p[2];

    if (pipe2(p, O_CLOEXEC)) return mill_fail(MILL_EIO, "pipe: %s", strerror(errno));
    if ((g->pid = fork()) == 0) {
        close(p[1]);
        guard_main(p[0]);
    }
    close(p[0]);
    g->fd = p[1];
    if (g->pid > 0) return MILL_OK;
    close(p[1]);
    *g = (rank_guard){.fd = -1};
    return mill_fail(MILL_EIO, "fork: %s", strerror(errno));
}

void guard_add(const rank_guard *g, pid_t group)
{
    (void)!write(g->fd, &group, sizeof group);
}

void guard_drop(const rank_guard *g, pid_t group)
{
    guard_add(g, -group);
}

void guard_end(rank_guard *g)
{
    if (g->fd >= 0) close(g->fd);
    if (g->pid > 0) waitpid(g->pid, NULL, 0);
    *g = (rank_guard){.fd = -1};
}
