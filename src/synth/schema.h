/* schema.h - what the files of this room share about schemas; synth.h has what others call. */
#ifndef MILL_SYNTH_SCHEMA_H
#define MILL_SYNTH_SCHEMA_H

#include "synth/synth.h"

/* Value i of a number column; what lies there where it is missing means nothing. */
double synth_raw_number(const mill_column *c, int64_t i);

/* Rounded to the column's decimals or integers, then taken into [least, most]. */
double synth_round_number(const synth_column *s, double x);

/* 10^k, -15 <= k <= 15; a negative power is 1 over the positive one. */
double synth_pow10(int k);

/* The shape of a column of identifiers: id_prefix, id_digits, id_first. */
mill_err synth_fit_ids(synth_column *s, const mill_column *c);

/* A present number meets a condition that is not about missing. */
bool synth_number_holds(const synth_where *w, double x);

#endif
