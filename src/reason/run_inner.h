/*
 * run_inner.h - what the files of the driver share.
 *
 *     run.c        opens, turns, closes
 *     run_deal.c   ranges and records: what becomes a chain under way, and its end
 *     run_send.c   requests, replies, what is tried again and when
 *     run_tell.c   metrics.jsonl and the progress line
 */
#ifndef MILL_REASON_RUN_INNER_H
#define MILL_REASON_RUN_INNER_H

#include "base/file.h"
#include "reason/queue.h"
#include "reason/row_list.h"
#include "reason/run.h"
#include "train/progress.h"

enum {
    RANGE = 32,        /* records of a lease */
    MOST_ATTEMPTS = 8, /* of one request, before its chain fails */
    MOST_GARBLED = 3,  /* answers that are none */
    MOST_KILLED = 2,   /* servers, before a record is put aside */
    MOST_REFUSED = 64, /* requests to a stage, before its first answer */
    N_GROUPS = 2,      /* of servers: those that reason, those that judge */
};

typedef struct runner runner;
typedef struct lease lease;
typedef struct active active;

struct lease {
    int64_t first, n; /* records */
    int64_t next;     /* the first that was not looked at yet */
    int64_t live;     /* chains under way */
    row_list rows;    /* that were in the store, ... */
    int64_t row_at;   /* ... of records from `next` on */
    lease *after;
};

/* A record whose chains are under way. */
typedef struct {
    data_record text;
    int64_t number; /* in the run */
    int64_t bytes;
    int users;
    lease *of;
} held_record;

/* A chain under way: in a queue, waiting for its next attempt, or in flight. */
struct active {
    runner *run;
    held_record *record;
    int sample;
    flow_chain flow;
    size_t held_bytes; /* as counted in runner.held_bytes */

    int group, server;     /* of the request in flight or the last one; server -1: none yet */
    int home[N_GROUPS];    /* the server that had it last; -1: none */
    int attempts, garbled; /* of the next row */
    int64_t most_tokens;   /* shortened to this; 0: as the chain says */
    int64_t asked_tokens;  /* servers_take */
    int64_t deaths_before; /* of the server, when the request was sent */
    bool lost;             /* the last request went out, and ended without a response; ... */
    double lost_at;        /* ... with its connection, then; 0: that stood, or who knows */
    int killed;            /* servers that died with this one in flight */
    bool is_alone;         /* a suspect, in flight or until it is known whether its server died */
    chat_call *call;
    http_timer *timer;
    active *prev, *next;
};

struct runner {
    const reason_options *o;
    reason_result *out;
    http_loop *loop;
    servers *group[N_GROUPS]; /* the second NULL: the first judges */
    const char *model[N_GROUPS];
    char *found_model[N_GROUPS];
    results *store;

    lease *leases;   /* the first is dealt from */
    bool none_left;  /* nothing to lease now */
    int64_t left;    /* ranges that others hold */
    double asked_at; /* when the store said so */
    active *first;   /* all under way */
    int64_t n_active, n_in_flight, n_waiting;
    size_t held_bytes; /* of records and chains */
    queue ready[N_GROUPS], suspects[N_GROUPS];
    bool has_suspect[N_GROUPS][SERVERS_MAX]; /* that is alone there */
    mill_text prompt, body;

    bool pumps; /* servers_take is on the stack */
    bool wants_pump;
    bool has_changed; /* one of the servers, since the last turn */
    mill_err err;     /* that stops the run, ... */
    char why[512];    /* ... with its words */

    int64_t rows, tokens, prompt_tokens; /* of this process */
    int refused[N_STAGE];                /* requests, before the first answer */
    bool has_answer[N_STAGE];
    int64_t ended[N_OUTCOME]; /* of the store when it began, and since */
    mill_file *metrics;
    double began, told;
    train_progress progress;
};

void run_stop(runner *r, mill_err err); /* with mill_error() */

/* run_deal.c.  Fills the queues as far as memory allows. */
mill_err run_deal(runner *r);
/* One more row of a chain: stored, folded; the chain is queued again or ends. */
mill_err run_take_row(active *a, result_row *row);
mill_err run_queue(active *a);
bool run_is_done(const runner *r);
void run_deal_free(runner *r);

/* run_send.c.  Sends what there is room for. */
void run_pump(runner *r);
void run_cancel(active *a);
/* What is in flight at servers that are lost goes to others. */
void run_leave_lost(runner *r);

/* run_tell.c */
mill_err run_tell_begin(runner *r);
mill_err run_tell(runner *r, bool now);
void run_tell_end(runner *r, const char *how);

#endif
