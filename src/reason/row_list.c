/* row_list.c - rows of a store, copied. */
#include "reason/row_list.h"

#include "base/mem.h"

mill_err row_list_add(void *list, const result_row *row)
{
    row_list *l = list;

    if (!(l->n & (l->n - 1))) { /* full: the room is the next power of two */
        result_row *p = mill_realloc(l->row, l->n ? 2 * (size_t)l->n : 1, sizeof *p);
        if (!p) return MILL_ENOMEM;
        l->row = p;
    }
    result_row *to = &l->row[l->n++];
    *to = *row;
    to->content = mill_strndup(row->content, row->n_content);
    to->reasoning = mill_strndup(row->reasoning, row->n_reasoning);
    to->why = mill_strdup(row->why);
    return to->content && to->reasoning && to->why ? MILL_OK : MILL_ENOMEM;
}

void row_list_free(row_list *l)
{
    for (int64_t i = 0; i < l->n; i++) {
        mill_free((char *)l->row[i].content);
        mill_free((char *)l->row[i].reasoning);
        mill_free((char *)l->row[i].why);
    }
    mill_free(l->row);
    *l = (row_list){0};
}
