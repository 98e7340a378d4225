/*
 * stream.h - data sets one behind the other into a descriptor, for a training loop; no disk.
 *
 * A frame is a data set, little-endian, without padding between its parts:
 *
 *       0   8  "MILLSET1"
 *       8   8  i64 index          16  8  i64 rows         24  8  i64 train_rows
 *      32   4  i32 features       36  4  i32 width        40  4  i32 classes
 *      44   4  i32 attempts
 *      48   8  f64 imbalance      56  8  i64 text_bytes
 *      64  16  kind, NUL-padded
 *      80  16  i32 x 4 rejected: empty, labels, filter, trivial
 *      96  32  zeros
 *     128      x: features * rows f32, column after column; y: rows f32; levels: features i32;
 *              text: the JSON object of hyper-parameters
 *
 * Frames come in the order of their index.  Workers make at most `ahead` data sets that nobody has
 * read yet, and then wait: the reader's pace is theirs.
 */
#ifndef MILL_PRIOR_STREAM_H
#define MILL_PRIOR_STREAM_H

#include "prior/prior.h"

enum { STREAM_HEAD = 128 };

typedef struct {
    const prior_config *config;
    int64_t first, n; /* n 0: without end */
    int workers;
    int64_t ahead; /* 0: one at a time, in this process; then workers is 1 */
    int fd;
} prior_stream_options;

typedef struct {
    int64_t sent;
    bool reader_left; /* closed its end: that is no error */
    int n_died;
} prior_stream_result;

/* Forks where `ahead` is not 0: no threads, nothing unflushed.  SIGPIPE is ignored. */
mill_err prior_stream(prior_stream_result *result, const prior_stream_options *o);
/* What all processes together may take. */
int64_t prior_stream_memory(const prior_stream_options *o);

#endif
