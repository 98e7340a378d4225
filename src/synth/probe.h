/*
 * probe.h - how good is it now?  A quality figure for the middle of training.
 *
 * At most 2,000 real rows are kept; a synthetic table of as many is compared with them: every
 * number in ten bins of equal real mass, every category by value (past 63, folded), missing as a
 * value of its own.  Quality is the mean of shapes  1 - total variation of each column     pairs  1
 * - total variation of each pair of columns where at most 300 pairs are looked at.  It is cheap and
 * it moves with what `evaluate` measures; it is not that measure.
 */
#ifndef MILL_SYNTH_PROBE_H
#define MILL_SYNTH_PROBE_H

#include "synth/synth.h"

enum { PROBE_ROWS = 2000 };

typedef struct synth_probe synth_probe;

/* From rows of `t`, evenly spaced. */
mill_err synth_probe_new(synth_probe **out, const mill_table *t, const synth_schema *s);
void synth_probe_free(synth_probe *p);
int64_t synth_probe_rows(const synth_probe *p);
/* `t` has the schema's columns and dictionaries. */
mill_err synth_probe_quality(double *out, const synth_probe *p, const mill_table *t);

#endif
