/*
 * output.h - the final file of a run: what its rows say, in the order of the records.
 *
 * One object for each record and sample whose chain ended well or weakly: the record's own members,
 * but those that have the name of one of these, and then
 *
 *     problem, reasoning       the problem as it was sent; the best version of the reasoning
 *     solution                 the record's own, or, where it has none, the answer given
 *     quality_score            0..1
 *     timestamp                when the server says that it wrote the reasoning, UTC; null: it does
 *                              not say
 *     scores, evaluation       by criterion; the judge's words
 *     needs_improvement        the score is below the threshold
 *     improvement_iteration    0: as it was generated
 *     finish_reason, verdict   "stop"; the answer against the right one: equal, different,
 *                              unsupported, missing, or null where there is nothing to compare with
 *     answer_given, thinking   the last box, or null; what the model thought apart from its answer
 *     record, sample           the index in the data set; 0..K-1
 *     tokens                   {"prompt":, "completion":} of all of the chain's responses
 *     metadata                 {"original_data": the record, "previous_version": null or
 *                              {"iteration":, "reasoning":, "solution": the answer given,
 *                              "quality_score":, "evaluation":}}
 *
 * A record with a chain that failed is a line of the file of failures: the record, and "failure",
 * its reason, so that it can be the data set of another run.
 *
 * The bytes depend on the rows alone, but for what differs from run to run in them: server,
 * attempts, seconds.
 */
#ifndef MILL_REASON_OUTPUT_H
#define MILL_REASON_OUTPUT_H

#include "reason/run.h"

typedef enum { OUTPUT_JSONL, OUTPUT_JSON, OUTPUT_CSV, OUTPUT_PARQUET, N_OUTPUT } output_format;

/* By the end of a path: .jsonl, .ndjson, .json, .csv, .parquet.  MILL_EINPUT: none of them. */
mill_err output_format_of(output_format *out, const char *path);

/* Whether such a file can be written at all, long before it is: MILL_EDEVICE where the library of
 * Parquet is absent. */
mill_err output_check(const char *path);

/* Records of several nodes are dealt in turn: node i has records i, i + n, i + 2 n ... */
typedef struct {
    results *store;
    reason_data data;
} output_part;

typedef struct {
    const reason_options *run; /* flow and samples; as reason_config_read makes them */
    const output_part *part;
    int n_parts;
    const char *path;
    const char *failed; /* path of the file of failures; written only if there are any.
                           NULL: not written */
    bool skip_open;     /* leave out chains that have not ended, instead of MILL_EINPUT */
} output_options;

typedef struct {
    int64_t records, good, weak, failed, open; /* chains */
    int64_t failed_records;                    /* lines of the file of failures */
    int64_t lines, bytes;
    char hash[33]; /* XXH3, 128 bits, of the file */
} output_summary;

/* Whole or not at all; over what is there. */
mill_err output_write(output_summary *out, const output_options *o);

/* manifest.json in the folder of a run. */
mill_err output_manifest(const char *folder, const output_options *o, const output_summary *s,
                         const results_counts *counts, const json_t *reasons, const json_t *config);

#endif
