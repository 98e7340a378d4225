/*
 * probe.h - how good is it now?  A quality figure for the middle of training.
 *
 * At most 2,000 real rows are kept; a synthetic table of as many is compared with them: every
 * number in ten bins of equal real mass, every category by value (past 63, folded), missing as a
 * value of its own.  Quality is the mean of
 *
 *   - shapes: 1 - total variation, over columns
 *   - pairs: 1 - total variation of both together, over pairs of columns, 300 at most
 *
 * It is cheap and moves with what `evaluate` measures; it is not that measure.
 */
#ifndef MILL_SYNTH_PROBE_H
#define MILL_SYNTH_PROBE_H

#include "synth/synth.h"

enum { PROBE_ROWS = 2000 };

typedef struct synth_probe synth_probe;

/*
 * For --holdout-fraction: the rows that are learnt from and those that a coin of (seed, row)
 * withholds, each as a table of its own.
 */
mill_err synth_probe_split(mill_table **learn, mill_table **hold, const mill_table *t,
                           const synth_config *c);
/* How many of `rows` rows that leaves to learn from; of more than a million, about. */
int64_t synth_probe_learnt(int64_t rows, const synth_config *c);
/* From rows of `t`, evenly spaced. */
mill_err synth_probe_new(synth_probe **out, const mill_table *t, const synth_schema *s);
void synth_probe_free(synth_probe *p);
int64_t synth_probe_rows(const synth_probe *p);
/* `t` has the schema's columns and dictionaries. */
mill_err synth_probe_quality(double *out, const synth_probe *p, const mill_table *t);

#endif
