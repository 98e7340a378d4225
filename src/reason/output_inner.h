/*
 * output_inner.h - between output.c, which makes objects, and output_file.c, which writes them.
 */
#ifndef MILL_REASON_OUTPUT_INNER_H
#define MILL_REASON_OUTPUT_INNER_H

#include "reason/output.h"

typedef struct {
    const record_json *record; /* NULL: it cannot be read */
    const data_record *text;   /* NULL: the same */
    const flow_chain *flow;    /* folded */
    int64_t index;             /* in the data set */
    int sample;
} output_chain;

/* A chain that ended good or weak; or, with a failure, a record of which one failed. */
typedef mill_err (*output_visitor)(void *ctx, const output_chain *c, const char *failure);

mill_err output_walk(output_summary *sum, const output_options *o, output_visitor visit, void *ctx);

/* Appends the object of a chain, or of a record that failed. */
mill_err output_line(mill_text *t, const output_chain *c);
mill_err output_failure(mill_text *t, const output_chain *c, const char *failure);

#endif
