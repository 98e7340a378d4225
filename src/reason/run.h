/*
 * run.h - all records of a run through their chains, over whatever servers there are.
 *
 * Ranges of records are leased from the store and read a record at a time, so that memory grows
 * with what is in flight and not with the data.  Each chain (flow.h) moves on by itself: no stage
 * waits for another.  Of the chains that can be sent, those in a later stage go first, then the
 * longest; a record's later stages prefer the server that had it.
 *
 * Every response goes to the store before it counts; the next request of its chain does not wait
 * for that.
 */
#ifndef MILL_REASON_RUN_H
#define MILL_REASON_RUN_H

#include "reason/data.h"
#include "reason/servers.h"

typedef struct {
    const reason_data *data;
    flow_config flow;
    const char *model, *judge_model; /* NULL: what the servers say; judge: as the others */
    int samples;                     /* chains of a record */
    const json_t *dataset;           /* what identifies the data, for the configuration */

    servers_options servers, judges; /* judges without url and serve: the same servers judge */
    bool stream;
    http_limits limits;
    const char *extra; /* chat_params */

    const char *folder; /* of the run; metrics.jsonl goes there */
    const char *store;  /* results_options.where */
    const char *name;
    double lease_seconds; /* results_options */
    bool resume, force;   /* the same */
    /* Called once the store is this run's, before anything else in the folder changes. */
    mill_err (*opened)(void *ctx);
    void *ctx;
    bool low_memory;
    bool quiet;
} reason_options;

typedef struct {
    results_counts counts; /* of the store, in the end */
    json_t *reasons;       /* of failures; json_decref */
    json_t *config;        /* of the store; json_decref */
    int signal;            /* that ended it early; 0: all chains have ended */
    bool writes;           /* this node is to write the final file */
    int64_t done_before;   /* chains that had ended when it began */
    double seconds;
    results *store; /* open; the caller's to close, also on an error; NULL: it was not opened */
} reason_result;

/*
 * MILL_EINPUT, MILL_EIO: no server, a wrong key, a model that is not served, a store of another run
 * or one that cannot be written: the run stops, and what is in the store stays.  Signals are asked
 * of train/loop.h.
 */
mill_err reason_run(reason_result *out, const reason_options *o);

/* config.c: all that the rows of a run depend on; json_decref, NULL: no memory. */
json_t *reason_config(const reason_options *o, const char *model, const char *judge_model);
mill_err reason_config_hash(char hash[33], const json_t *config);

/* The options that the rows of a store need to be folded again: flow, samples and data's fields and
 * part; prompts are not made.  Text is borrowed from config.  MILL_EINPUT: it is none. */
mill_err reason_config_read(reason_options *o, reason_data *data, const json_t *config);

#endif
