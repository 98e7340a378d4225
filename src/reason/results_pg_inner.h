/*
 * results_pg_inner.h - for results_pg*.c only: what the parts of the store in PostgreSQL share.
 */
#ifndef MILL_REASON_RESULTS_PG_INNER_H
#define MILL_REASON_RESULTS_PG_INNER_H

#include "reason/pg_link.h"
#include "reason/results_inner.h"

enum { PG_MOST_AWAY = 3600 }; /* seconds */

typedef enum { LEASE_ASKED, LEASE_READY, LEASE_NONE } lease_state;

typedef struct {
    results *front;
    char *shown; /* the URL without its password */
    char node[80];
    int64_t run, records, range, n_ranges;
    double lease_seconds;

    /* Of the thread that writes. */
    pg_link writer;
    const result_item *group; /* under way */
    results_counts counts;    /* of this node */
    results_counts tentative; /* with the group under way */
    int64_t seq;              /* groups that are durable */
    bool is_unsure;           /* COMMIT was sent and no answer came */
    uint32_t *held, serial;   /* held[i] == serial: range i is leased to this node */
    double renewed;
    int64_t asked_left;

    /* Of those that read. */
    pg_link reader;
    results_counts known; /* when they were last asked for */
    double ask_again;     /* while the server is away */
    int64_t empty;        /* first record of the range leased last, if it had no rows; -1 */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t answered;
    lease_state lease;
    int64_t first, n, left; /* of the range that is leased ahead */
    bool is_empty;
    double looked;
    bool is_writing, has_claim, is_away;
} pg_store;

/* results_pg_make.c: tables and the run's row in one transaction, one maker at a time; with
 * `o->read_only` the newest run of that name. */
mill_err pg_make(pg_store *s, results_run *run, const results_options *o);

/* results_pg_write.c */
mill_err pg_store_commit(void *s, const result_item *group);
mill_err pg_store_idle(void *s, double *seconds);

#endif
