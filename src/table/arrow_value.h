/*
 * arrow_value.h - what the elements of an Arrow array are (arrow.h), one at a time.
 *
 * Arrays are trusted: who made them has validated their offsets, indices and lengths.  An array
 * with a dictionary has indices of kind ARROW_INT, and the values are its dictionary's.
 */
#ifndef MILL_TABLE_ARROW_VALUE_H
#define MILL_TABLE_ARROW_VALUE_H

#include "table/arrow.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef enum {
    ARROW_NULL,
    ARROW_BOOLEAN,
    ARROW_INT,
    ARROW_UINT,
    ARROW_FLOAT,
    ARROW_DECIMAL,
    ARROW_TEXT,
    ARROW_BINARY,
    ARROW_DATE,
    ARROW_TIME,      /* of a day */
    ARROW_TIMESTAMP, /* since 1970 */
    ARROW_LIST,
    ARROW_STRUCT,
    ARROW_MAP,
    ARROW_OTHER
} arrow_kind;

typedef struct {
    arrow_kind kind;
    int bytes;          /* of a number; of an offset of TEXT, BINARY, LIST; 0: a view */
    bool is_fixed;      /* BINARY, LIST: all of `width` */
    int width;          /* bytes, or elements */
    int scale;          /* DECIMAL: digits behind the point; negative: zeros before it */
    int64_t per_second; /* DATE (of ms: 1000; of days: 0), TIME, TIMESTAMP */
    bool has_zone;      /* TIMESTAMP: an instant */
} arrow_type;

/* Of the array's own elements: the indices', where there is a dictionary. */
arrow_type arrow_type_of(const struct ArrowSchema *s);
/* In words: "list", "time of day". */
const char *arrow_kind_name(arrow_kind kind);
/* The value of a key in the schema's metadata, *n bytes; NULL. */
const char *arrow_metadata(size_t *n, const struct ArrowSchema *s, const char *key);

static inline bool arrow_bit(const void *bits, int64_t i)
{
    return ((const uint8_t *)bits)[i >> 3] >> (i & 7) & 1;
}

/* Whether any may be missing: if not, there is no need to ask for each. */
static inline bool arrow_has_missing(const struct ArrowArray *a)
{
    return a->n_buffers < 1 || (a->buffers[0] && a->null_count);
}

static inline bool arrow_is_valid(const struct ArrowArray *a, int64_t i)
{
    return a->n_buffers > 0 && (!a->buffers[0] || arrow_bit(a->buffers[0], a->offset + i));
}

/* Element i of an array of INT, UINT (its bits), DATE, TIME or TIMESTAMP. */
static inline int64_t arrow_i64(const arrow_type *t, const struct ArrowArray *a, int64_t i)
{
    const bool is_signed = t->kind != ARROW_UINT;
    const void *all = a->buffers[1];

    i += a->offset;
    switch (t->bytes) {
    case 1:
        return is_signed ? ((const int8_t *)all)[i] : ((const uint8_t *)all)[i];
    case 2:
        return is_signed ? ((const int16_t *)all)[i] : ((const uint16_t *)all)[i];
    case 4:
        return is_signed ? ((const int32_t *)all)[i] : (int64_t)((const uint32_t *)all)[i];
    default:
        return ((const int64_t *)all)[i];
    }
}

static inline bool arrow_boolean(const struct ArrowArray *a, int64_t i)
{
    return arrow_bit(a->buffers[1], a->offset + i);
}

/* FLOAT.  One of 32 or 16 bits is the number that its shortest decimal text says: .1 is 0.1. */
double arrow_f64_short(const arrow_type *t, const struct ArrowArray *a, int64_t i);
static inline double arrow_f64(const arrow_type *t, const struct ArrowArray *a, int64_t i)
{
    if (t->bytes != 8) return arrow_f64_short(t, a, i);
    return ((const double *)a->buffers[1])[a->offset + i];
}

/* TEXT, BINARY: *n bytes. */
const char *arrow_text(size_t *n, const arrow_type *t, const struct ArrowArray *a, int64_t i);

/* DECIMAL as text with all its digits; the length. */
enum { ARROW_DECIMAL_MAX = 400 };
int arrow_decimal(char to[ARROW_DECIMAL_MAX], const arrow_type *t, const struct ArrowArray *a,
                  int64_t i);

/* LIST, MAP: the elements [*begin, *end) of the first child. */
void arrow_span(int64_t *begin, int64_t *end, const arrow_type *t, const struct ArrowArray *a,
                int64_t i);

#endif
