/* child.h - how a child process of a test ended. */
#ifndef TESTS_LIB_CHILD_H
#define TESTS_LIB_CHILD_H

#include <sys/wait.h>

/* Its exit status, or less than 0: the signal that killed it. */
static inline int exit_of(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

#endif
