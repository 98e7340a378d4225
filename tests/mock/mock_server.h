/*
 * mock_server.h - connections, and all that there is one of: the server's parts beside mock.h.
 *
 *     mock_server.c   connections, requests, the loop
 *     mock_count.c    counts, the log, and the pages that show them
 *     mock_start.c    options, sockets, main
 */
#ifndef TESTS_MOCK_MOCK_SERVER_H
#define TESTS_MOCK_MOCK_SERVER_H

#include "mock/mock.h"

#include <stdio.h>

typedef enum { READING, QUEUED, SERVING, SENDING } conn_state;

typedef struct conn {
    int fd, heap; /* heap: place in it, -1: not there */
    conn_state state;
    bytes in;
    size_t request_bytes; /* of `in`, that the request under way takes */
    wire w;
    size_t sent, at_step;
    double due;
    bool is_chat, closes, dead, writes, has_waited;
    ask a;
    reply r;
    const fault *f;
    int64_t number, attempt;
    struct conn *next;
} conn;

typedef struct {
    uint64_t hash;
    int64_t n;
} seen;

enum { GAP_STEPS = 100000, MOST_PLACES = 1024 };

typedef struct {
    const char *host, *socket, *key, *log, *latency;
    int port, listener, epoll;
    int64_t window, context;
    bool refuses, has_script;
    double ready_after, token_gap;
    reply_options reply;
    faults faults;
    FILE *log_file;
    conn **heap;
    int n_heap, cap_heap;
    conn *queue, **queue_end;
    conn *dead;
    seen *seen;
    size_t n_seen, cap_seen;
    double start, first_chat, last_chat, busy, busy_since;
    /* With --gaps: when responses ended that no request has followed yet, oldest first from
     * ended_at on; and how long the next request took to come, in steps of 10 us. */
    bool gaps;
    double *ended;
    size_t ended_at, n_ended, cap_ended;
    int64_t gap[GAP_STEPS], n_gaps;
    /* When the last chats came, as many as there are places, and how busy it had been by then. */
    struct {
        double came, busy;
    } last[MOST_PLACES];
    int64_t chats, plain, accepted, open, running, waiting, most_running, prompt_tokens,
        completion_tokens, expects;
} mock_state;
extern mock_state S;

double mock_now(void);
_Noreturn void mock_serve(void); /* mock_server.c: S.listener is open */

/* mock_count.c */
int64_t count_attempt(uint64_t hash); /* how often this request came, this time too */
void count_running(int64_t n);        /* so many are computed on from now on */
void count_arrival(void);
void count_end(const conn *c, bool whole); /* and logs it */
void put_counts(bytes *b);                 /* GET /mock */
void put_metrics(bytes *b);

#endif
