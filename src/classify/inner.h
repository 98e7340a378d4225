/* inner.h - what the files about data share; data.h has what others call. */
#ifndef MILL_CLASSIFY_INNER_H
#define MILL_CLASSIFY_INNER_H

#include "classify/data.h"

#include <float.h>
#include <math.h>

/* What a float does not hold is infinite to a network, and missing. */
static inline bool cls_is_infinite(double x)
{
    return fabs(x) > (double)FLT_MAX;
}
static inline double cls_number(double x)
{
    return cls_is_infinite(x) ? (double)NAN : x;
}

/* Where the target lies in a source: one of the two. */
typedef struct {
    const mill_column *col;
    const npz_entry *array;
} cls_target;
mill_err cls_target_open(cls_target *t, const cls_source *s, const char *name);
double cls_target_number(const cls_target *t, int64_t i); /* NaN if missing */

const npz_entry *cls_find_array(const cls_source *s, const char *name); /* NULL if absent */

/* Rows of a source as an encoder sees them: numbers in num (n_num), not yet standardised. */
typedef struct {
    const cls_encoder *e;
    const cls_source *s;
    union {
        const mill_column *col;
        const npz_entry *array;
    } * from; /* by column of the encoder */
    double *num, *row;
} cls_reader;
mill_err cls_reader_open(cls_reader *r, const cls_encoder *e, const cls_source *s);
void cls_reader_close(cls_reader *r);
void cls_reader_numbers(cls_reader *r, int64_t row);

static inline bool column_type_has_codes(mill_coltype t)
{
    return t == MILL_BOOLEAN || t == MILL_CATEGORY || t == MILL_IDENTIFIER;
}

#endif
