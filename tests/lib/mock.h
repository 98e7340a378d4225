/* mock.h - the mock server of tests/mock as a child of a test; it dies with the test. */
#ifndef TESTS_LIB_MOCK_H
#define TESTS_LIB_MOCK_H

#include <stdint.h>
#include <sys/types.h>

typedef struct {
    pid_t pid;
    char url[256]; /* http://127.0.0.1:PORT; with --socket unix:PATH */
} mock;

/* Starts it with these arguments (NULL ends them) on a free port, and waits until it listens. */
void mock_start(mock *m, ...) __attribute__((sentinel));
void mock_stop(mock *m);                             /* SIGTERM; reaped.  Twice is no fault. */
int mock_wait(mock *m);                              /* until it ends by itself; its exit status */
int64_t mock_count(const mock *m, const char *name); /* of GET /mock; -1: no such count */

#endif
