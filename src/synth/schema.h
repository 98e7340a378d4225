/* schema.h - what the files of this room share about schemas; synth.h has what others call. */
#ifndef MILL_SYNTH_SCHEMA_H
#define MILL_SYNTH_SCHEMA_H

#include "synth/synth.h"

#include <math.h>

static inline bool synth_is_number(mill_coltype t)
{
    return t == MILL_INTEGER || t == MILL_REAL || t == MILL_DATETIME;
}

/* Value i of a number column; what lies there where it is missing means nothing. */
double synth_raw_number(const mill_column *c, int64_t i);

/* 10^k, -15 <= k <= 15; a negative power is 1 over the positive one. */
double synth_pow10(int k);

/*
 * A real is one of the column's decimals, k / 10^decimals, and finds back to its k.  Not so in a
 * column of SYNTH_AS_IS, where they are as many as it takes, and where k has too many digits: there
 * a double is as it is.
 */
enum { SYNTH_AS_IS = 15 };
static inline bool synth_has_decimals(const synth_column *s, double x)
{
    return s->decimals < SYNTH_AS_IS && fabs(x) * synth_pow10(s->decimals) < 0x1p50;
}

/* Rounded to the column's decimals or integers, then taken into [least, most]. */
double synth_round_number(const synth_column *s, double x);

/* As an int64; the largest double below 2^63 stands for all above, since the ends of int64 have no
 * exact double. */
static inline int64_t synth_integer(double x)
{
    x = x < 0x1.fffffffffffffp+62 ? x : 0x1.fffffffffffffp+62;
    return (int64_t)(x > -0x1p63 ? x : -0x1p63);
}

/* The shape of a column of identifiers: id_prefix, id_digits, id_first. */
mill_err synth_fit_ids(synth_column *s, const mill_column *c);

/* A present number meets a condition that is not about missing. */
bool synth_number_holds(const synth_where *w, double x);

/*
 * The different present values of a number column, taken into [least, most], with their counts: n
 * of them, or more than SYNTH_FEW_VALUES, and then not all.
 */
enum { SYNTH_FEW_VALUES = 32768 };
typedef struct {
    double *key;
    int64_t *count; /* 0: a free slot */
    int64_t n;
} synth_values;
mill_err synth_values_count(synth_values *out, const mill_column *c, double least, double most);
int64_t synth_values_list(double *x, const synth_values *v); /* n of them, in no order */
int64_t synth_values_of(const synth_values *v, double x);    /* how often x came */
void synth_values_free(synth_values *v);

#endif
