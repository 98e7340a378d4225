/* server_child.h - a server as a process of ours. */
#ifndef MILL_REASON_SERVER_CHILD_H
#define MILL_REASON_SERVER_CHILD_H

#include "base/rolling.h"
#include "rank/guard.h"

#include <sys/types.h>

enum { CHILD_TAIL = 16384, CHILD_LOG_BYTES = 64 << 20 };

typedef struct {
    pid_t pid;  /* it leads a process group; 0: none */
    int pidfd;  /* -1: none */
    int output; /* read end of its stdout and stderr; -1: none */
    rolling_log log;
    char tail[CHILD_TAIL]; /* a ring */
    int64_t n_tail;
    bool has_lost; /* lines of its log: said once */
} server_child;

/* Starts words[0] with a process group of its own; it dies with the thread that calls this, its
 * group with the guard's owner.  pidfd and output are to be watched. */
mill_err child_start(server_child *c, const rank_guard *g, char **words, char **env);
bool child_read(server_child *c); /* what it said, to its log and the tail; false: at its end */
void child_signal(const server_child *c, int sig); /* to its group */
/* Whether it is gone; then *status is as of waitpid, and what its group still holds is killed. */
bool child_reap(server_child *c, const rank_guard *g, int *status);
void child_close(server_child *c); /* the descriptors, nobody watches them any more, and the log */
/* Asks n children to end, kills those that have not by `at`, and closes them; NULLs are left out.
 */
void children_end(server_child *const *c, int n, const rank_guard *g, double at);
/* Its last lines, one line of words for a message; "" if it said nothing. */
void child_last_words(char *words, size_t size, const server_child *c);
bool child_said(const server_child *c, const char *words); /* any case */
const char *child_describe(char buf[96], int status);      /* "was killed by signal 9 (Killed)" */

/* A port of 127.0.0.1 that is free now and not one of `not_these`. */
mill_err child_port(int *port, const int *not_these, int n);

#endif
