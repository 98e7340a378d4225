/*
 * align.h - one table read as another: its columns, their order, types and dictionaries.
 */
#ifndef MILL_EVAL_ALIGN_H
#define MILL_EVAL_ALIGN_H

#include "table/table.h"

/*
 * out: the columns of `t` named in name (n of them; all must be there), each of the type it has in
 * `like`.  Codes: those of `like`, values that it does not have behind its own.  Numbers stay what
 * they are (a real value does not fit an integer column and is still a number).  Text becomes a
 * number or a date, and a number or a date a category, where nothing is lost; where something would
 * be: MILL_EINPUT naming table (`what`), column and value.
 */
mill_err eval_align(mill_table **out, const mill_table *t, const mill_table *like,
                    const char *const *name, int n, const char *what);

#endif
