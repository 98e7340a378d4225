/*
 * data.h - the records of a run: which of a file, and what a chain sees of one.
 *
 * Record j of the run is record first + j * stride of the file: a part of it, or a node's share.
 */
#ifndef MILL_REASON_DATA_H
#define MILL_REASON_DATA_H

#include "reason/flow.h"
#include "reason/records.h"

typedef struct {
    const record_file *file;
    int64_t first, stride, n;
    /* problem: "a,b" is both, below one another; an array of texts its items.  answer: where a
     * record has none, it is the last box of its solution, or what stands behind its last ####. */
    const char *problem_field, *solution_field, *answer_field, *id_field;
} reason_data;

typedef struct {
    char *id, *problem, *solution, *gold; /* "" where it has none; id: the index in the file then */
} data_record;

int64_t data_index(const reason_data *d, int64_t j); /* in the file */

/* MILL_EINPUT: no object, no problem, a field that is no single value, with words that need no
 * place to be understood.  `raw`: the record itself, mill_free its text; or NULL. */
mill_err data_read(data_record *out, record_json *raw, const reason_data *d, int64_t j);
void data_record_free(data_record *r);
flow_record data_view(const data_record *r);

/* MILL_EINPUT: two records have one id; both are named.  Reads all records once, 8 bytes of memory
 * for each; those that cannot be read are left out. */
mill_err data_check_ids(const reason_data *d);

/* In which order to deal ranges of `range` records: that with the largest record first.  mill_free.
 */
mill_err data_order(int32_t **out, const reason_data *d, int64_t range);

#endif
