/*
 * results.h - where every response is kept before it counts: SQLite in the run folder, or
 * PostgreSQL for several nodes.
 *
 * A row is one response, or the reason why there is none.  Its key is (record, sample, step): step
 * counts the responses of a chain from 0.  The first row of a key wins; a later one is dropped and
 * counted.  Rows are put in groups, each one transaction, by a thread of the store's own; a row
 * counts when its group is durable.  What a row means for its record is not stored but worked out
 * again from the rows (flow.h), so that a resumed run stands where the rows say.
 *
 * A scan comes in the order of the key as one integer, record * 65536 + sample * 256 + step: that
 * of the final file.
 */
#ifndef MILL_REASON_RESULTS_H
#define MILL_REASON_RESULTS_H

#include "base/err.h"
#include "reason/chat.h"

#include <jansson.h>

enum { RESULTS_MAX_SAMPLES = 256, RESULTS_MAX_STEPS = 256, RESULTS_SCORE_BINS = 20 };
#define RESULTS_FILE "results.sqlite" /* in the run folder */

/* The numbers of stages, finishes and outcomes are stored: new ones go to the end. */
typedef enum { STAGE_GENERATE, STAGE_EVALUATE, STAGE_IMPROVE, N_STAGE } reason_stage;
const char *stage_name(reason_stage s);

/* What this row makes of its chain. */
typedef enum {
    OUTCOME_NONE, /* it goes on */
    OUTCOME_GOOD,
    OUTCOME_WEAK,
    OUTCOME_FAILED,
    N_OUTCOME
} reason_outcome;

typedef struct {
    int64_t record;
    int sample, step;
    reason_stage stage;
    chat_finish finish; /* FINISH_NONE: no response came, `why` says so */
    reason_outcome outcome;
    double score; /* of the chain, with an outcome; NaN: none */
    int attempts; /* requests that were sent for it */
    int server;
    int64_t prompt_tokens, completion_tokens, cached_tokens; /* -1: not told */
    int64_t created;
    double seconds, first_byte;
    /* Valid UTF-8, NUL-terminated and without a NUL inside (PostgreSQL has none); "": none. */
    const char *content, *reasoning, *why;
    size_t n_content, n_reasoning;
} result_row;

/* The row of a response, and of none; text is borrowed.  Record, sample, step and what the row
 * makes of its chain are the caller's to say. */
result_row result_of(const chat_reply *r);
result_row result_of_none(const char *why);

/* Counts of all rows, kept up to date in the same transactions. */
typedef struct {
    int64_t rows[N_STAGE];      /* responses */
    int64_t truncated[N_STAGE]; /* finish is length */
    int64_t prompt_tokens[N_STAGE], completion_tokens[N_STAGE];
    int64_t outcome[N_OUTCOME]; /* chains that ended, [OUTCOME_NONE] unused */
    /* Of chains that ended with one; bin i: [i/20, (i+1)/20), 1 in the last. */
    int64_t score[RESULTS_SCORE_BINS];
    int64_t duplicates; /* rows dropped */
} results_counts;

typedef struct results results;

/* All of it is borrowed during the call. */
typedef struct {
    const char *where;    /* path of a SQLite file, or postgresql://... */
    const char *name;     /* of the run in its database: its output's name; SQLite: unused */
    const char *hash;     /* of the configuration, 32 hex digits */
    const json_t *config; /* prompts, model, parameters, data set: to say what differs */
    int64_t records;
    int64_t range;        /* records of a lease */
    const int32_t *order; /* (ranges) in which ranges are leased; NULL: as they come */
    bool resume;          /* go on with what is there; else a store with rows is MILL_EINPUT */
    bool force;           /* SQLite: remove what is there, once no other process can hold it */
    bool read_only;       /* status, export, watch: only the first two members are used */
    double lease_seconds; /* PostgreSQL: a lease not renewed for so long is dealt again; 0: 60 */
} results_options;

/*
 * MILL_EINPUT: the store is of another run (it names the members of config that differ), is no
 * store, is locked by another process, or holds rows without `resume`.  MILL_EDEVICE: libsqlite3 or
 * libpq is absent.
 *
 * In PostgreSQL a run is (name, hash): a node joins the run that is there or makes it; what differs
 * from an older run of that name is said, with `resume` as MILL_EINPUT.
 */
mill_err results_open(results **out, const results_options *o);
void results_close(results *r); /* what was put and is not durable is lost; NULL is allowed */

/* The configuration and number of records of a store opened read_only; borrowed. */
const json_t *results_config(const results *r);
int64_t results_records(const results *r);

/*
 * The next range that nobody holds and that is not finished: records [*first, *first + *n).  *n =
 * 0: none now; *left then counts ranges that others hold, or that are being asked for: ask again
 * when results_fd can be read, and at times, since a node may die.  *left = 0: all are finished, or
 * held here.
 */
mill_err results_lease(results *r, int64_t *first, int64_t *n, int64_t *left);
/* All chains of a leased range have ended, with rows put before this call. */
mill_err results_finish(results *r, int64_t first);

/* Queues a row; text is copied.  Blocks only while more than 64 MiB wait and no signal came.  An
 * error of the thread that writes comes back here, in results_sync and in results_check, from then
 * on. */
mill_err results_put(results *r, const result_row *row);
/* Rows put here that are durable: they survive whatever happens to this process from now on. */
int64_t results_durable(const results *r);
/* Readable when that number moved, when a range has come, or on an error. */
int results_fd(const results *r);
mill_err results_check(results *r); /* drains the descriptor; the error, if there is one */
/* Until everything put and finished is durable.  Of a server that is away, once a signal came
 * (train/loop.h), ten seconds more: MILL_EIO with how many rows are not. */
mill_err results_sync(results *r);

/* Durable rows of records [first, first + n) in the order of their keys; a callback's error ends
 * it.  A range is read before rows of it are put.  The callback calls no function of this store. */
mill_err results_read(results *r, int64_t first, int64_t n,
                      mill_err (*row)(void *ctx, const result_row *row), void *ctx);

/* The n rows that came last, the newest first. */
mill_err results_latest(results *r, int64_t n, mill_err (*row)(void *ctx, const result_row *row),
                        void *ctx);

mill_err results_count(results *r, results_counts *out);
/* Failures by reason, most first: {"reason": n, ...}; json_decref. */
mill_err results_reasons(results *r, json_t **out);
/* Of several nodes with one database: whether this one is to write the final file (the first that
 * asks, again if it dies).  SQLite: always. */
mill_err results_claim_output(results *r, bool *mine);

#endif
