/*
 * retype.h - a column of one type as one of another: what --types, -d and another table's types ask
 * of a file that has types of its own.
 *
 *     to      from
 *     codes   anything: texts as they would be written to CSV; a real that is whole as 1.0, unless
 *             `like` knows it as 1 or the column has no digits behind the point
 *     number  texts that are one; integer from whole reals, real from integers
 *     time    texts of the format (or of one ISO form); another format
 */
#ifndef MILL_TABLE_RETYPE_H
#define MILL_TABLE_RETYPE_H

#include "table/dict.h"
#include "table/table.h"

typedef struct {
    mill_coltype type;
    const char *format;      /* DATETIME: of texts, and then of the column; NULL: ISO */
    const mill_column *like; /* its values come first, in its order; or NULL */
    const char *path;        /* for messages */
} column_wish;

/*
 * MILL_EINPUT, naming the first row, for a value that is not of the type; the table is then of
 * no use.  With `like` what does not hold is given up for the nearest that does: reals that are not
 * whole stay reals, what is not boolean becomes a category.  Its value buffer, if it lies in a
 * spool file, has 8 bytes for each row.
 */
mill_err column_retype(mill_column *c, const column_wish *w);

/* 1 for yes, -1 for no, 0 for neither, in any case; *pair: true/false, yes/no, t/f, y/n. */
int column_truth(int *pair, const char *s, size_t n);

/* Exactly two texts, one of each side of one pair. */
bool dict_is_boolean(const dict *d);
/* The dictionary of a column is a copy of this one: its codes are those of c->code. */
mill_err column_set_values(mill_column *c, const dict *d);

/* The number of digits behind the point, at least d and at most 15, that it takes to write x. */
int column_decimals(int d, double x);

#endif
