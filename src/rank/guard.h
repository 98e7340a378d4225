/* guard.h - a process that outlives us by a moment, to end what we started. */
#ifndef MILL_RANK_GUARD_H
#define MILL_RANK_GUARD_H

#include "base/err.h"

#include <sys/types.h>

enum { GUARD_MAX = 1024 /* process groups */ };

typedef struct {
    pid_t pid; /* 0: none */
    int fd;    /* -1: none; what to watch goes there */
} rank_guard;

/* Any process may start one, also one with threads. */
mill_err guard_start(rank_guard *g);
void guard_add(const rank_guard *g, pid_t group);
void guard_drop(const rank_guard *g, pid_t group); /* it is gone; its number may be another's */
void guard_end(rank_guard *g);                     /* kills what was not dropped */

#endif
