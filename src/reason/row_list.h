/* row_list.h - rows of a store, copied. */
#ifndef MILL_REASON_ROW_LIST_H
#define MILL_REASON_ROW_LIST_H

#include "reason/results.h"

typedef struct {
    result_row *row; /* their text belongs to the list */
    int64_t n;
} row_list;

mill_err row_list_add(void *list, const result_row *row); /* for results_read */
void row_list_free(row_list *l);

#endif
