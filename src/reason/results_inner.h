/*
 * results_inner.h - for results*.c only: what a store does for the queue in front of it.
 */
#ifndef MILL_REASON_RESULTS_INNER_H
#define MILL_REASON_RESULTS_INNER_H

#include "reason/results.h"

/* What waits for the thread that writes. */
typedef struct result_item result_item;
struct result_item {
    result_item *next;
    size_t bytes;   /* of the item */
    int64_t first;  /* first record of a range that is finished; -1: it is a row */
    result_row row; /* its texts lie in `text` */
    char text[];
};

/* What a store says of the run that it holds. */
typedef struct {
    json_t *config;
    int64_t records;
} results_run;

typedef struct {
    /* run->config is the caller's, also after an error. */
    mill_err (*open)(void **out, results_run *run, const results_options *o, results *front);
    void (*close)(void *s); /* NULL is allowed */

    /* In the thread that writes, one group = one transaction, in order. */
    mill_err (*commit)(void *s, const result_item *group);
    /* In the same thread, when nothing waits: what is to be done beside rows; *seconds until the
     * next time.  NULL: nothing ever. */
    mill_err (*idle)(void *s, double *seconds);
    void (*stop)(void *s); /* from any thread: a commit that waits gives up; NULL: none waits */

    /* One at a time, in any thread but that one. */
    mill_err (*lease)(void *s, int64_t *first, int64_t *n, int64_t *left);
    mill_err (*read)(void *s, int64_t first, int64_t n,
                     mill_err (*row)(void *ctx, const result_row *row), void *ctx);
    mill_err (*latest)(void *s, int64_t n, mill_err (*row)(void *ctx, const result_row *row),
                       void *ctx);
    mill_err (*count)(void *s, results_counts *out);
    mill_err (*reasons)(void *s, json_t **out);
    mill_err (*claim_output)(void *s, bool *mine);
} results_backend;

extern const results_backend results_sqlite, results_pg;

/* For a store that does more than it is asked for: wakes the thread that writes (its `idle`); makes
 * results_fd readable. */
void results_wake(results *front);
void results_tell(results *front);
int64_t results_waiting(results *front); /* rows that are put and not durable */

/* ---- keys, counts, configurations (results_run.c) ---- */

static inline int64_t result_key(int64_t record, int sample, int step)
{
    return record * (RESULTS_MAX_SAMPLES * RESULTS_MAX_STEPS) + sample * RESULTS_MAX_STEPS + step;
}
void result_key_set(result_row *row, int64_t key);

enum { RESULTS_N_COUNTS = sizeof(results_counts) / sizeof(int64_t) };
const char *results_count_name(char out[40], int i); /* "rows.generate", for people */
void results_count_add(results_counts *c, const result_row *row);

int64_t results_ranges(const results_options *o);

/* The configuration as stored; free().  NULL: no memory. */
char *results_config_text(const json_t *config);
/* MILL_EINPUT: `where` is of another run, with the members that differ. */
mill_err results_config_differs(const char *where, const char *was, const json_t *is);

#endif
