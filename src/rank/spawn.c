/*
 * spawn.c - start ranks, stay behind, and end all of them when one fails.
 *
 *     launcher --- guard (guard.c) kills the ranks' process groups if the launcher dies
 *        |---- rank 0             each leads a process group and dies with the launcher
 *        |---- rank 1 ...
 *
 * Nothing is polled but the watchdog: deaths, output and signals wake the launcher.  When a rank
 * fails the others get SIGTERM and, a moment later, SIGKILL; what their process groups still hold
 * is killed with them.  Which rank failed first is read from the board, where the failing rank
 * wrote it before the others could notice; for programs that know no board it is the first to go.
 *
 * A signal to the launcher goes to every rank; SIGKILL follows after the time of grace, or at once
 * when a second SIGINT comes.  Ranks that end with 75 have saved; that is the job's status then.
 */
#include "rank/bind.h"
#include "rank/launcher.h"

#include "base/cpu.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STATUS_FAILED = 1, STATUS_USAGE = 2, STATUS_SAVED = 75, STATUS_CANNOT_RUN = 126 };
static const double TICK = 0.2, MERCY = 0.5; /* seconds; MERCY: after a failure, till SIGKILL */

static const int forwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGTSTP, SIGCONT};

/* ---- one rank ---- */

static void put(const char *name, long value)
{
    char text[24];

    snprintf(text, sizeof text, "%ld", value);
    setenv(name, text, 1);
}

/* What torchrun sets, and where our own ranks find each other. */
static void set_environment(const launcher *l, int r)
{
    const rank_job *job = l->job;
    const int rank = l->first + r;
    char path[64], id[RANK_ID_LEN];

    put("RANK", rank);
    put("LOCAL_RANK", r);
    put("ROLE_RANK", rank);
    put("WORLD_SIZE", l->world);
    put("LOCAL_WORLD_SIZE", l->n);
    put("ROLE_WORLD_SIZE", l->world);
    put("GROUP_RANK", job->node);
    put("GROUP_WORLD_SIZE", job->nodes > 0 ? job->nodes : 1);
    put("MASTER_PORT", l->port);
    put("TORCHELASTIC_RESTART_COUNT", l->attempt);
    put("TORCHELASTIC_MAX_RESTARTS", job->max_restarts);
    setenv("ROLE_NAME", "default", 1);
    setenv("MASTER_ADDR", job->address ? job->address : "127.0.0.1", 1);
    setenv("TORCHELASTIC_RUN_ID", l->run_id, 1);
    setenv("TORCHELASTIC_USE_AGENT_STORE", "False", 1);
    if (l->n > 1) setenv("OMP_NUM_THREADS", "1", 0); /* as torchrun: else each takes all cores */
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getppid(), l->c[r].error_fd);
    setenv("TORCHELASTIC_ERROR_FILE", path, 1);
    unsetenv("TABMILL_BOUND");
    if (job->bind) setenv("TABMILL_BOUND", "1", 1);
    unsetenv("TABMILL_BOARD");
    if (l->board.at) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getppid(), l->board.fd);
        snprintf(id, sizeof id, "torchrun:%s:%d:%d", l->run_id, l->port, l->attempt);
        setenv("TABMILL_BOARD", path, 1);
        setenv("TABMILL_BOARD_JOB", id, 1);
    }
    for (const char *const *e = job->env; e && *e; e++) {
        char copy[4096];
        snprintf(copy, sizeof copy, "%s", *e);
        char *value = strchr(copy, '=');
        if (!value) continue;
        *value++ = 0;
        setenv(copy, value, 1);
    }
}

/* Everything of the launcher that a rank must not keep. */
static void drop_launcher(launcher *l)
{
    for (int r = 0; r < l->n; r++) {
        child *c = &l->c[r];
        int fds[] = {c->out.fd, c->err.fd, c->pidfd, c->error_fd};
        for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
            if (fds[i] >= 0) close(fds[i]);
        rolling_close(&c->out.log);
        rolling_close(&c->err.log);
        mill_free(c->err.tail);
    }
    rolling_close(&l->merged);
    nodes_drop(l);
    if (l->port_fd >= 0) close(l->port_fd);
    if (l->signal_fd >= 0) close(l->signal_fd);
    close(l->guard.fd);
    board_unmap(&l->board);
    mill_free(l->c);
    mill_free(l);
}

/* A terminal or a pipe has one reader.  Of a file each rank has a place of its own to read at. */
static mill_err take_stdin(const launcher *l, int r)
{
    const bool share = l->job->share_stdin;
    int fd = 0;

    if (share || r > 0 || isatty(0))
        fd = open(share ? "/proc/self/fd/0" : "/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || dup2(fd, 0) < 0) return mill_fail(MILL_EIO, "stdin: %s", strerror(errno));
    if (fd > 0) close(fd);
    return MILL_OK;
}

static mill_err become_rank(launcher *l, int r, const int child_fd[2], pid_t parent,
                            const sigset_t *mask)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    TRY(take_stdin(l, r));
    for (int i = 0; i < 2; i++) {
        if (child_fd[i] < 0) continue;
        dup2(child_fd[i], 1 + i);
        close(child_fd[i]);
    }
    set_environment(l, r);
    if (l->job->bind && bind_rank(r, l->n)) mill_log(MILL_LOG_WARN, "%s", mill_error());
    drop_launcher(l);
    sigprocmask(SIG_SETMASK, mask, NULL);
    if (getppid() != parent) return mill_fail(MILL_EDEVICE, "the launcher died");
    return MILL_OK;
}

static int name_board(launcher *l)
{
    char id[RANK_ID_LEN];

    snprintf(id, sizeof id, "torchrun:%s:%d:%d", l->run_id, l->port, l->attempt);
    if (l->world != l->n) return MILL_OK; /* several hosts: they bring collectives of their own */
    return board_new(&l->board, l->n, id, (int)getpid());
}

static mill_err watch_process(launcher *l, child *c, pid_t pid)
{
    setpgid(pid, pid); /* both do it: whoever comes first */
    guard_add(&l->guard, pid);
    c->pid = pid;
    c->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (c->pidfd >= 0) {
        l->n_alive++;
        return MILL_OK;
    }
    const mill_err err = mill_fail(MILL_EIO, "pidfd_open: %s", strerror(errno));
    kill(-pid, SIGKILL);
    waitpid(pid, &c->status, 0);
    guard_drop(&l->guard, pid);
    return err;
}

static mill_err start_rank(launcher *l, int r, bool *is_child, const sigset_t *mask)
{
    child *c = &l->c[r];
    const pid_t self = getpid();
    int child_fd[2];

    *c = (child){.pidfd = -1, .order = -1, .error_fd = -1, .seen_running_ns = board_now_ns()};
    c->error_fd = memfd_create("tabmill-error", MFD_CLOEXEC);
    if (c->error_fd < 0) return mill_fail(MILL_EIO, "memfd_create: %s", strerror(errno));
    TRY(logs_open(l, r, child_fd));
    const pid_t pid = fork();
    if (pid == 0) {
        *is_child = true;
        return become_rank(l, r, child_fd, self, mask);
    }
    for (int i = 0; i < 2; i++)
        if (child_fd[i] >= 0) close(child_fd[i]);
    if (pid < 0) return mill_fail(MILL_EIO, "fork: %s", strerror(errno));
    return watch_process(l, c, pid);
}

/* ---- ends ---- */

static void signal_ranks(launcher *l, int sig)
{
    for (int r = 0; r < l->n; r++) {
        child *c = &l->c[r];
        if (c->pidfd < 0) continue;
        if (sig == SIGTERM || sig == SIGKILL || sig == SIGINT) c->was_ended = true;
        kill(-c->pid, sig);
    }
}

/* Ask all to end; after `seconds` they are made to. */
static void end_ranks(launcher *l, int sig, double seconds)
{
    const double at = mill_clock() + seconds;

    if (l->kill_at == 0 || at < l->kill_at) l->kill_at = at;
    signal_ranks(l, sig);
}

static int code_of(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

const char *end_of_rank(char buf[160], const launcher *l, int r)
{
    const child *c = &l->c[r];

    if (c->pidfd >= 0)
        snprintf(buf, 160, "is still there");
    else if (WIFSIGNALED(c->status))
        snprintf(buf, 160, "was killed by signal %d (%s)%s", WTERMSIG(c->status),
                 strsignal(WTERMSIG(c->status)),
                 WTERMSIG(c->status) != SIGKILL     ? ""
                 : count_oom_kills() > l->oom_kills ? "; the system was out of memory (OOM killer)"
                                                    : "; OOM killer: no");
    else
        snprintf(buf, 160, "ended with status %d", WEXITSTATUS(c->status));
    return buf;
}

/* What ranks are sent when the launcher is sent `sig`. */
static int passed_on(int sig)
{
    return sig == SIGINT ? SIGINT : SIGTERM;
}

/* It ended of the signal that was passed on to it, or by itself with the status that says so. */
static bool ended_as_told(const launcher *l, int r)
{
    return l->signal && code_of(l->c[r].status) == 128 + passed_on(l->signal);
}

/* A rank of ours that ends without a word has failed, whatever its status.  One that ended as it
 * was told has not: the others keep their time of grace. */
static bool has_failed(const launcher *l, int r)
{
    const int code = code_of(l->c[r].status);

    if (code != 0 && code != STATUS_SAVED && !ended_as_told(l, r)) return true;
    return l->board.at && l->board.at->seat[r].state == SEAT_TAKEN;
}

/* The board knows better who was first: the failing rank wrote there before others could notice. */
static int first_failed(const launcher *l, int gone)
{
    board *b = l->board.at;

    if (b && board_has_failed(b)) {
        for (int i = 0; i < 50 && b->failed != FAIL_THERE; i++) usleep(200);
        if (b->failed == FAIL_THERE && b->fail_rank >= 0 && b->fail_rank < l->n)
            return b->fail_rank;
    }
    return gone;
}

static void reap(launcher *l, int r)
{
    child *c = &l->c[r];
    char words[RANK_WORDS];

    if (waitpid(c->pid, &c->status, WNOHANG) != c->pid) return;
    close(c->pidfd);
    c->pidfd = -1;
    c->order = l->n_gone++;
    l->n_alive--;
    kill(-c->pid, SIGKILL); /* what it left behind */
    guard_drop(&l->guard, c->pid);
    logs_read(l, r, &c->out);
    logs_read(l, r, &c->err);
    if (!has_failed(l, r)) return;
    if (l->board.at) {
        end_of_rank(words, l, r);
        board_fail(l->board.at, r, MILL_EDEVICE, words);
    }
    if (l->culprit < 0 && l->verdict < 0) l->culprit = first_failed(l, r);
    end_ranks(l, SIGTERM, MERCY);
}

/* A rank wrote that it failed and may take long to end. */
static void look_at_board(launcher *l)
{
    if (l->culprit >= 0 || !l->board.at || !board_has_failed(l->board.at)) return;
    l->culprit = first_failed(l, -1);
    if (l->culprit >= 0) l->kill_at = mill_clock() + 1;
}

/* ---- what wakes the launcher ---- */

static void stop_with_ranks(launcher *l)
{
    signal_ranks(l, SIGTSTP);
    nodes_tell_pause(l);
    raise(SIGSTOP);
    signal_ranks(l, SIGCONT);
}

static void take_signal(launcher *l)
{
    struct signalfd_siginfo s;
    const double grace = l->job->grace_seconds > 0 ? l->job->grace_seconds : 30;

    while (read(l->signal_fd, &s, sizeof s) == sizeof s) {
        const int sig = (int)s.ssi_signo;
        if (sig == SIGTSTP) {
            stop_with_ranks(l);
        } else if (sig == SIGCONT || sig == SIGUSR1) {
            signal_ranks(l, sig);
        } else if (l->signal && sig == SIGINT) {
            end_ranks(l, SIGKILL, 0);
        } else {
            if (!l->signal) l->signal = sig;
            mill_log(MILL_LOG_INFO, "%s: the ranks may take %g s to save and end", strsignal(sig),
                     grace);
            end_ranks(l, passed_on(sig), grace);
        }
    }
}

static void wait_for_news(launcher *l, struct pollfd *p)
{
    int n = 0;

    p[n++] = (struct pollfd){.fd = l->signal_fd, .events = POLLIN};
    for (int r = 0; r < l->n; r++) {
        p[n++] = (struct pollfd){.fd = l->c[r].pidfd, .events = POLLIN};
        p[n++] = (struct pollfd){.fd = l->c[r].out.fd, .events = POLLIN};
        p[n++] = (struct pollfd){.fd = l->c[r].err.fd, .events = POLLIN};
    }
    double tick = TICK;
    if (l->kill_at > 0 && l->kill_at - mill_clock() < tick) tick = l->kill_at - mill_clock();
    if (poll(p, (nfds_t)n, tick > 0 ? (int)(tick * 1000) + 1 : 1) < 1) return;
    if (p[0].revents) take_signal(l);
    for (int r = 0; r < l->n; r++) {
        const struct pollfd *of = &p[1 + 3 * (size_t)r];
        if (of[1].revents) logs_read(l, r, &l->c[r].out);
        if (of[2].revents) logs_read(l, r, &l->c[r].err);
    }
    look_at_board(l); /* before the reaping: who was first */
    for (int r = 0; r < l->n; r++)
        if (p[1 + 3 * r].revents && l->c[r].pidfd >= 0) reap(l, r);
}

static void tend(launcher *l, struct pollfd *p)
{
    double last = mill_clock();

    while (l->n_alive > 0) {
        wait_for_news(l, p);
        const double now = mill_clock();
        const bool was_stopped = now - last > 4 * TICK; /* we ourselves */
        if (now - last < TICK) continue;
        last = now;
        look_at_board(l);
        nodes_look(l, was_stopped);
        if (l->kill_at == 0) watch_ranks(l, was_stopped);
        if (l->verdict >= 0 && l->kill_at == 0) end_ranks(l, SIGTERM, MERCY);
        if (l->kill_at > 0 && now > l->kill_at) signal_ranks(l, SIGKILL);
    }
}

/* ---- an attempt, and the job ---- */

static void report(launcher *l)
{
    char end[160], where[120], words[4096], others[200] = "";
    const int r = l->culprit;
    size_t n = 0;

    describe_rank(where, sizeof where, l, r);
    logs_last_words(words, sizeof words, l, r);
    end_of_rank(end, l, r);
    for (int q = 0; q < l->n && n + 12 < sizeof others; q++)
        if (q != r)
            n += (size_t)snprintf(others + n, sizeof others - n, "%s%d", n ? ", " : "",
                                  l->first + q);
    mill_log(MILL_LOG_ERROR, "rank %d (process %d) %s%s%s%s", l->first + r, (int)l->c[r].pid, end,
             where, n ? "; ended with it: " : "", others);
    if (*words && strcmp(words, end) != 0) mill_log(MILL_LOG_ERROR, "its last words: %s", words);
    logs_write_error(l, r, *words ? words : end);
}

/* The exit status of an attempt that is over. */
static int status_of(const launcher *l)
{
    bool any_saved = false, any_told = false;

    if (l->verdict >= 0) return l->verdict;
    if (l->culprit >= 0) {
        const child *c = &l->c[l->culprit];
        const int code = code_of(c->status);
        if (!(c->was_ended && WIFSIGNALED(c->status)) && code != 0) return code;
        return l->signal ? 128 + l->signal : STATUS_FAILED;
    }
    for (int r = 0; r < l->n; r++) {
        any_saved |= code_of(l->c[r].status) == STATUS_SAVED;
        any_told |= ended_as_told(l, r);
    }
    return any_saved ? STATUS_SAVED : any_told ? 128 + l->signal : 0;
}

/* Restarts that count: the last of them `window` seconds long; times of all that were. */
static int count_restarts(const launcher *l)
{
    const double window = l->job->restart_window;
    const int n = l->attempt < MOST_TIMES ? l->attempt : MOST_TIMES;
    int counted = window > 0 ? 0 : l->attempt;

    for (int i = 0; window > 0 && i < n; i++)
        counted += mill_clock() - l->restarted[(l->attempt - 1 - i) % MOST_TIMES] < window;
    return counted;
}

static bool may_restart(const launcher *l, int status)
{
    if (l->signal || count_restarts(l) >= l->job->max_restarts || status == 0 ||
        status == STATUS_SAVED)
        return false;
    if (l->fail_err == MILL_EINPUT || l->fail_err == MILL_ESHAPE)
        return false; /* and so it stays */
    return status != STATUS_USAGE && status != STATUS_CANNOT_RUN && status != STATUS_CANNOT_RUN + 1;
}

static void tell_other_hosts(launcher *l, int status)
{
    char how[200], end[160];

    if (!l->nodes) return;
    if (l->signal)
        snprintf(how, sizeof how, "was told to end (%s)", strsignal(l->signal));
    else if (l->culprit >= 0)
        snprintf(how, sizeof how, "rank %d %s", l->first + l->culprit,
                 end_of_rank(end, l, l->culprit));
    else
        snprintf(how, sizeof how, "ended with status %d", status);
    nodes_tell_end(l, status, how);
}

static mill_err run_attempt(launcher *l, bool *is_child, const sigset_t *mask, int *status)
{
    struct pollfd *p = mill_alloc(1 + 3 * (size_t)l->n, sizeof *p);
    mill_err err = MILL_OK;

    if (!p) return MILL_ENOMEM;
    l->n_alive = l->n_gone = 0;
    l->culprit = l->verdict = -1;
    l->kill_at = 0;
    l->pace = (rank_pace){.step = -1};
    l->oom_kills = count_oom_kills();
    err = name_board(l);
    for (int r = 0; r < l->n && !err; r++)
        if ((err = start_rank(l, r, is_child, mask)) || *is_child) break;
    if (*is_child) {
        mill_free(p);
        return err;
    }
    if (err) end_ranks(l, SIGKILL, 0);
    tend(l, p);
    if (!err && l->signal && l->culprit >= 0 && l->c[l->culprit].was_ended)
        l->verdict = 128 + l->signal; /* they ended as they were told */
    else if (!err && l->culprit >= 0)
        report(l);
    *status = status_of(l);
    tell_other_hosts(l, *status);
    for (int r = 0; r < l->n && l->board.at && l->job->usage; r++)
        l->job->usage[r] = l->board.at->seat[r].usage;
    l->fail_err = l->board.at && l->board.at->failed == FAIL_THERE ? l->board.at->fail_err : 0;
    for (int r = 0; r < l->n; r++) {
        logs_close(l, r);
        if (l->c[r].error_fd >= 0) close(l->c[r].error_fd);
        l->c[r].error_fd = -1;
    }
    board_unmap(&l->board);
    mill_free(p);
    return err;
}

static mill_err run_attempts(launcher *l, bool *is_child, const sigset_t *mask, int *status)
{
    for (double pause = 0.05;; l->attempt++, pause = pause < 5 ? 2 * pause : 5) {
        TRY(run_attempt(l, is_child, mask, status));
        if (*is_child || !may_restart(l, *status)) return MILL_OK;
        mill_log(MILL_LOG_WARN, "restart %d of %d", count_restarts(l) + 1, l->job->max_restarts);
        l->restarted[l->attempt % MOST_TIMES] = mill_clock();
        struct pollfd p = {.fd = l->signal_fd, .events = POLLIN};
        if (poll(&p, 1, (int)(pause * 1000)) == 1) take_signal(l);
        if (l->signal) return MILL_OK;
    }
}

/* Of a rank: itself, the file of its error, two pipes, their logs. */
static mill_err check_files(const launcher *l)
{
    const int need = 12 + (l->job->log_dir ? 6 : 4) * l->n + l->job->nodes;
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur >= (rlim_t)need) return MILL_OK;
    return mill_fail(MILL_EIO,
                     "%d ranks need %d open files, and this process may have %d (ulimit -n)", l->n,
                     need, (int)files.rlim_cur);
}

static mill_err prepare(launcher *l, sigset_t *mask)
{
    const rank_job *job = l->job;
    uint64_t id;
    sigset_t set;

    TRY(check_files(l));
    (void)!getrandom(&id, sizeof id, 0);
    snprintf(l->run_id, sizeof l->run_id, "%016llx", (unsigned long long)id);
    if (job->log_dir) snprintf(l->log_dir, sizeof l->log_dir, "%s/%s", job->log_dir, l->run_id);
    if (job->node == 0) /* other hosts cannot know whether it is free */
        TRY(port_hold(&l->port_fd, &l->port, job->address ? job->address : "127.0.0.1", job->port,
                      job->port_range));
    else
        l->port = job->port;
    TRY(nodes_open(l));
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++) {
        struct sigaction old;
        sigaction(forwarded[i], NULL, &old);
        if (old.sa_handler != SIG_IGN) sigaddset(&set, forwarded[i]); /* nohup */
    }
    signal(SIGCHLD, SIG_DFL); /* ignored, it would take the status of the ranks with it */
    sigprocmask(SIG_BLOCK, &set, mask);
    l->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return l->signal_fd < 0 ? mill_fail(MILL_EIO, "signalfd: %s", strerror(errno))
                            : guard_start(&l->guard);
}

mill_err rank_spawn(rank_side *side, int *status, const rank_job *job)
{
    const int nodes = job->nodes > 0 ? job->nodes : 1;
    bool is_child = false;
    sigset_t mask;

    *side = RANK_PARENT;
    if (job->n < 1 || job->n * nodes > RANK_MAX_WORLD)
        return mill_fail(MILL_EINPUT, "%d ranks on %d hosts: 1 to %d in all are possible", job->n,
                         nodes, RANK_MAX_WORLD);
    if (job->node < 0 || job->node >= nodes)
        return mill_fail(MILL_EINPUT, "node %d of %d: they count from 0", job->node, nodes);
    launcher *l = mill_alloc(1, sizeof *l);
    if (!l) return MILL_ENOMEM;
    *l = (launcher){.job = job,
                    .n = job->n,
                    .world = job->n * nodes,
                    .first = job->n * job->node,
                    .port_fd = -1,
                    .signal_fd = -1,
                    .guard.fd = -1};
    l->c = mill_alloc((size_t)l->n, sizeof *l->c);
    for (int r = 0; l->c && r < l->n; r++)
        l->c[r] = (child){.pidfd = -1, .error_fd = -1, .out.fd = -1, .err.fd = -1};
    sigprocmask(SIG_SETMASK, NULL, &mask);
    mill_err err = l->c ? prepare(l, &mask) : MILL_ENOMEM;
    if (!err) err = run_attempts(l, &is_child, &mask, status);
    if (is_child) {
        *side = RANK_CHILD;
        *status = 0; /* not that of the attempt before */
        return err;
    }
    guard_end(&l->guard);
    if (l->n_dropped)
        mill_log(MILL_LOG_WARN, "%lld line%s of the logs lost", (long long)l->n_dropped,
                 mill_s(l->n_dropped));
    if (l->signal_fd >= 0) close(l->signal_fd);
    if (l->port_fd >= 0) close(l->port_fd);
    nodes_close(l);
    rolling_close(&l->merged);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    mill_free(l->c);
    mill_free(l);
    return err;
}
