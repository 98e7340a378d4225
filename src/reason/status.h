/*
 * status.h - how far a run is, from its stores and metrics.jsonl, while it runs or afterwards.
 *
 *     {"chains": 200, "done": 120, "good": 90, "weak": 20, "failed": 10, "open": 80,
 *      "stages": {"generate": {"responses":, "truncated":, "prompt_tokens":, "completion_tokens":},
 *                 "evaluate": ..., "improve": ...},
 *      "responses":, "cap_hit_rate": of the responses, "duplicates":,
 *      "failures": {"reason": n, ...}, most first
 *      "scores": [20 counts of chains by score, 0 to 1],
 *      "is_running":, "heard": seconds since the last line of metrics, or null,
 *      "chains_per_second":, "tokens_per_second":, "eta_seconds": over the last minute, or null,
 *      "in_flight":, "servers": as metrics.jsonl has them}
 *
 * Of several machines with a store each the parts are added up.
 */
#ifndef MILL_REASON_STATUS_H
#define MILL_REASON_STATUS_H

#include "reason/results.h"

typedef struct {
    results *store;
    const char *folder; /* of its metrics.jsonl */
} status_part;

/* chains: of the run; json_decref. */
mill_err reason_status(json_t **out, const status_part *part, int n, int64_t chains);

/* The n newest rows, newest first: {"record":, "sample":, "step":, "stage":, "finish":, "outcome":,
 * "score":, "tokens":, "seconds":, "content": its beginning, "why":}; json_decref. */
mill_err reason_latest(json_t **out, const status_part *part, int n_parts, int n);

#endif
