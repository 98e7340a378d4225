/*
 * arrow_make.h - Arrow's structures (arrow.h) around buffers of ours, to hand to a consumer.
 */
#ifndef MILL_TABLE_ARROW_MAKE_H
#define MILL_TABLE_ARROW_MAKE_H

#include "base/err.h"
#include "table/arrow.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    const char *name;
    const char *format; /* of the elements; of a dictionary's values */
    const char *key;    /* one pair of metadata; NULL: none */
    const char *value;
    bool has_dictionary; /* the elements are int32 indices then */
} arrow_field;

/* A struct of n fields; copies all texts.  Its release frees everything. */
mill_err arrow_schema_make(struct ArrowSchema *out, const arrow_field *field, int n);

/*
 * A column: validity (NULL: all are there), values; of texts the bytes too.  The structures lie in
 * `column` and its buffers are borrowed: they have to outlive what `rows` is given to.
 */
typedef struct {
    struct ArrowArray array, values;
    const void *buffer[3], *value_buffer[3];
} arrow_column;

/* data, text: buffers 1 and 2; text NULL: there are two buffers. */
void arrow_column_make(arrow_column *c, int64_t rows, const void *valid, int64_t n_missing,
                       const void *data, const void *text);
/* Behind arrow_column_make: its dictionary, of texts. */
void arrow_column_values(arrow_column *c, int64_t n, const int32_t *offset, const void *text);

/* A struct array of n columns over `child` (n of them), which it borrows as they borrow. */
void arrow_rows_make(struct ArrowArray *out, int64_t rows, struct ArrowArray **child, int n);

#endif
