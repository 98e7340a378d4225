/* tensorboard.h - event files that TensorBoard reads: scalars only.  The format stands in
 * tensorboard.c. */
#ifndef MILL_TRAIN_TENSORBOARD_H
#define MILL_TRAIN_TENSORBOARD_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

enum { TENSORBOARD_MAX_TAGS = 16 };

typedef struct tensorboard tensorboard;

/* A new file in `dir`.  resume_step >= 0: the run goes on there, and later points of older files
 * are to be forgotten. */
mill_err tensorboard_open(tensorboard **out, const char *dir, int64_t resume_step);
/* One event with n scalars; a value that is NaN is left out.  Tags are borrowed until close. */
mill_err tensorboard_scalars(tensorboard *tb, int64_t step, int n, const char *const *tag,
                             const double *value);
void tensorboard_close(tensorboard *tb); /* NULL is allowed */

#endif
