/*
 * postgres.h - a PostgreSQL of the test's own, from Debian's package, on a UNIX socket in a folder.
 *
 * initdb and postgres refuse to be root: they run as the user postgres then, and not in a checkout
 * below /root, where that one may not be.
 */
#ifndef TESTS_LIB_POSTGRES_H
#define TESTS_LIB_POSTGRES_H

#include "lib/test.h"

#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    char bin[200], folder[80], url[180];
    pid_t pid; /* 0: not running */
} postgres;

static inline void postgres_become_user(void)
{
    const struct passwd *u = geteuid() ? NULL : getpwnam("postgres");

    if (u && (chdir("/") || setgid(u->pw_gid) || setgroups(0, NULL) || setuid(u->pw_uid)))
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
}

static inline int postgres_run(const char *command)
{
    const pid_t child = fork();
    int status;

    if (!child) {
        postgres_become_user();
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    return waitpid(child, &status, 0) == child ? status : -1;
}

/* Waits until it answers. */
static inline void postgres_start(postgres *p)
{
    char command[600];

    p->pid = fork();
    if (!p->pid) {
        char path[260], log[120];
        postgres_become_user();
        snprintf(path, sizeof path, "%s/postgres", p->bin);
        snprintf(log, sizeof log, "%s/log", p->folder);
        if (!freopen(log, "a", stderr) || !freopen(log, "a", stdout)) _exit(125);
        execl(path, "postgres", "-D", p->folder, "-k", p->folder, "-c", "listen_addresses=", "-c",
              "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_connections=40", (char *)NULL);
        _exit(127);
    }
    snprintf(command, sizeof command, "%s/pg_isready -q -h %s", p->bin, p->folder);
    for (int i = 0; i < 2000 && postgres_run(command); i++) usleep(50000);
}

/* SIGINT: it ends its connections and writes all out; SIGQUIT: as if it had crashed. */
static inline void postgres_stop(postgres *p, int signal)
{
    if (!p->pid) return;
    kill(p->pid, signal);
    waitpid(p->pid, NULL, 0);
    p->pid = 0;
}

/* False, with the reason, where it is not installed. */
static inline bool postgres_open(postgres *p, char why[200])
{
    const char *const tmp = getenv("TEST_TMP");
    char command[600];
    glob_t g;

    *p = (postgres){.pid = 0};
    if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &g)) {
        snprintf(why, 200, "there is no PostgreSQL (Debian's package postgresql)");
        return false;
    }
    snprintf(p->bin, sizeof p->bin, "%.*s", (int)(strlen(g.gl_pathv[g.gl_pathc - 1]) - 7),
             g.gl_pathv[g.gl_pathc - 1]);
    globfree(&g);
    if (!geteuid() && !getpwnam("postgres")) {
        snprintf(why, 200, "there is no user postgres, and PostgreSQL refuses to be root");
        return false;
    }
    snprintf(command, sizeof command, "test -x '%.500s'", tmp ? tmp : "");
    const bool is_fit = tmp && strlen(tmp) < 60 && !postgres_run(command);
    /* The runner removes its folder even when we are killed; a socket's name has 107 bytes. */
    snprintf(p->folder, sizeof p->folder, "%s/t_postgres_XXXXXX", is_fit ? tmp : "/tmp");
    if (!mkdtemp(p->folder)) return false;
    const struct passwd *u = geteuid() ? NULL : getpwnam("postgres");
    if (u && chown(p->folder, u->pw_uid, u->pw_gid)) return false;
    snprintf(command, sizeof command,
             "%s/initdb -D %s -A trust -U tester -N -E UTF8 --locale=C >/dev/null 2>&1", p->bin,
             p->folder);
    if (postgres_run(command)) {
        snprintf(why, 200, "initdb failed");
        return false;
    }
    postgres_start(p);
    snprintf(p->url, sizeof p->url, "postgresql://tester:secret@/postgres?host=%s", p->folder);
    return true;
}

static inline void postgres_close(postgres *p)
{
    char command[200];

    postgres_stop(p, SIGINT);
    snprintf(command, sizeof command, "rm -rf %s", p->folder);
    if (*p->folder && system(command)) print_message("%s was left\n", p->folder);
}

#endif
