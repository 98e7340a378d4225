/*
 * batch.h - a run through the batch files of hosted servers, instead of requests.
 *
 * Written is the next request of every chain that has not ended, one JSON object a line:
 *
 *     {"custom_id": "HASH-RECORD-SAMPLE-STEP", "method": "POST", "url": "/v1/chat/completions",
 *      "body": {...}}
 *
 * HASH: the first 12 digits of the configuration's hash, so that answers of another run are
 * refused; RECORD: its number in the run.  Read is what comes back, in any order:
 *
 *     {"id": ..., "custom_id": ..., "response": {"status_code": 200, "body": {...}}, "error": null}
 *
 * A response becomes a row, as if it had come from a server, and a refusal of the request itself
 * (400, 413, 422) ends its chain, as there.  Another error or a response that is none leaves the
 * chain open, and the next file has its request again.  So a run is: write, have it answered, read,
 * until nothing is open.
 */
#ifndef MILL_REASON_BATCH_H
#define MILL_REASON_BATCH_H

#include "reason/output.h"

typedef struct {
    int64_t requests; /* written */
    int64_t rows;     /* read into the store */
    int64_t known;    /* responses that the store had already */
    int64_t open;     /* chains left as they are: errors, or no answer in the response */
    char why[256];    /* of the first of those */
} batch_summary;

/* The whole configuration of a run, prompts too, from that of its store; text is borrowed from
 * config; batch_config_free. */
typedef struct {
    reason_options options; /* .data is the caller's */
    prompt *prompt[N_STAGE];
    char hash[33];
} batch_config;
mill_err batch_config_read(batch_config *out, reason_data *data, const json_t *config);
void batch_config_free(batch_config *c);

/* Of one part, whose data is part->data. */
mill_err batch_write(batch_summary *sum, const batch_config *c, const output_part *part,
                     const char *path);
/* MILL_EINPUT, with the line, for what is no answer of this run, and for a step whose chain has not
 * come so far; what could be taken is kept. */
mill_err batch_read(batch_summary *sum, const batch_config *c, const output_part *part,
                    const char *path);

#endif
