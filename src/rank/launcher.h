/*
 * launcher.h - the process that started the ranks: what its parts share.
 *
 * spawn.c forks, reaps and ends ranks; watch.c looks at their heartbeats; logs.c carries what they
 * print; port.c finds a port.
 */
#ifndef MILL_RANK_LAUNCHER_H
#define MILL_RANK_LAUNCHER_H

#include "base/rolling.h"
#include "rank/board.h"
#include "rank/guard.h"

#include <sys/types.h>

enum { LINE_MAX_BYTES = 8192, TAIL_BYTES = 65536, MOST_TIMES = 10000 /* of --max-restarts */ };

/* One of the two streams of a rank, when it goes through a pipe. */
typedef struct {
    int fd;      /* to read; -1: none or at its end */
    int console; /* 1 or 2; 0: not shown */
    rolling_log log;
    char line[LINE_MAX_BYTES];
    int n_line;
    double second;       /* when the console's count of lines began */
    int64_t shown, held; /* lines of that second on the console, and kept from it */
    char *tail;          /* the last bytes, a ring; NULL: not kept */
    int64_t n_tail;      /* bytes ever put in */
} log_stream;

typedef struct {
    pid_t pid;
    int pidfd;      /* -1 when it is gone */
    int status;     /* as of waitpid; valid when gone */
    bool was_ended; /* after we had sent it a signal to end */
    int order;      /* in which they went, from 0 */
    int error_fd;   /* where TORCHELASTIC_ERROR_FILE points to; a memfd */
    /* Of the watchdog. */
    bool has_warned, has_dumped;
    double late;             /* seconds, when it last looked */
    int64_t from_ns;         /* what was before does not count */
    int64_t seen_running_ns; /* not stopped */
    log_stream out, err;
} child;

/* How fast rank 0 steps, as the launcher sees it from tick to tick. */
enum { PACE_STEPS = 32, PACE_ENOUGH = 5 };
typedef struct {
    int64_t step;            /* the last that was seen; -1: none */
    double at;               /* when it was new */
    double took[PACE_STEPS]; /* seconds a step; the i-th at [i % PACE_STEPS] */
    int64_t n;
} rank_pace;

typedef struct {
    const rank_job *job;
    int n, world, first; /* ranks of this host: first .. first + n - 1 */
    int attempt, n_alive, n_gone;
    double restarted[MOST_TIMES]; /* when; the i-th at [i % MOST_TIMES] */
    board_map board;              /* .at NULL: several hosts, no board */
    child *c;
    rank_pace pace;
    struct launcher_nodes *nodes; /* NULL: one host */
    int port, port_fd;            /* held */
    char run_id[24], log_dir[300];
    int signal_fd;
    rank_guard guard;
    int signal;         /* that asked us to end; 0: none */
    int culprit;        /* the rank (of this host) that failed first; -1: none */
    int verdict;        /* exit status that was decided; -1: not yet */
    double kill_at;     /* when SIGKILL follows; 0: nobody was asked to end */
    int fail_err;       /* mill_err of the last attempt's first failure, where a rank told it */
    int64_t oom_kills;  /* of our cgroup, before */
    int64_t n_dropped;  /* lines that no file took */
    rolling_log merged; /* run.log */
} launcher;

/* port.c: binds (and does not listen), so that nobody else is given the port; a rank that sets
 * SO_REUSEADDR, as torch does, can still listen there.  `port` 0: any.  MILL_EINPUT: it
 * cannot be had; of one that is taken it names the holder. */
mill_err port_hold(int *fd, int *held, const char *address, int port, int range);

/* watch.c */
/* Warns; sets culprit and verdict 124 when a rank hangs.  was_stopped: this process, since the last
 * time. */
void watch_ranks(launcher *l, bool was_stopped);
/* ", at step 7, computing"; "" where nothing is known. */
void describe_rank(char *words, size_t size, const launcher *l, int r);
int64_t count_oom_kills(void);

/* nodes.c: the launchers of the other hosts; nothing where there are none. */
mill_err nodes_open(launcher *l);
void nodes_close(launcher *l);
void nodes_drop(launcher *l); /* in a rank: the connections remain, as the launcher's */
/* Sets the verdict when the job is over elsewhere. */
void nodes_look(launcher *l, bool was_stopped);
void nodes_tell_pause(launcher *l);
void nodes_tell_end(launcher *l, int status, const char *how); /* of an attempt, here */

/* logs.c */
mill_err logs_open(launcher *l, int r, int child_fd[2]); /* -1 where the rank's stream is ours */
/* What a pipe can hold, and no more: who prints without pause does not keep us from the rest.
 * Closes at its end. */
void logs_read(launcher *l, int r, log_stream *s);
void logs_close(launcher *l, int r);
void logs_last_words(char *words, size_t size, const launcher *l, int r);
void logs_write_error(launcher *l, int r, const char *words);

/* spawn.c */
/* "was killed by signal 9 (Killed)"; `buf` */
const char *end_of_rank(char buf[160], const launcher *l, int r);

#endif
