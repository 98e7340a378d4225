/*
 * page_index.c - the columns and the pairs of all tables of a page, each once.
 *
 * A synthetic table may lack columns that another one has.  Rows of an index are in the order in
 * which they come, table after table.
 */
#include "report/page_parts.h"

#include "base/mem.h"

#include <stdio.h>

/* What tells one from the others: the name of a column; of a pair the numbers of its columns. */
static const char *key_of(char buf[32], const json_t *item, const json_t *columns)
{
    long long number[2];

    if (!columns) return json_string_value(json_object_get(item, "name"));
    for (int k = 0; k < 2; k++) {
        const char *name = json_string_value(json_object_get(item, k ? "b" : "a"));
        number[k] = json_integer_value(name ? json_object_get(columns, name) : NULL);
    }
    snprintf(buf, 32, "%lld %lld", number[0], number[1]);
    return buf;
}

/* number: an empty object, which gets the row of each key. */
static mill_err make_index(page_index *x, json_t *number, const page *p, const char *list,
                           const json_t *columns)
{
    char buf[32];
    const json_t *item;
    size_t i;

    for (int k = 0; k < p->n; k++) {
        json_array_foreach(json_object_get(p->report[k], list), i, item)
        {
            const char *key = key_of(buf, item, columns);
            if (!key || json_object_get(number, key)) continue;
            if (json_object_set_new_nocheck(number, key, json_integer(x->n++))) return MILL_ENOMEM;
        }
    }
    x->at = mill_alloc((size_t)x->n, (size_t)p->n * sizeof *x->at);
    if (!x->at) return MILL_ENOMEM;
    for (int c = 0; c < x->n * p->n; c++) x->at[c] = -1;
    for (int k = 0; k < p->n; k++) {
        json_array_foreach(json_object_get(p->report[k], list), i, item)
        {
            const char *key = key_of(buf, item, columns);
            if (key) x->at[json_integer_value(json_object_get(number, key)) * p->n + k] = (int)i;
        }
    }
    return MILL_OK;
}

mill_err page_index_make(page *p)
{
    json_t *const columns = json_object(), *const pairs = json_object();
    mill_err err = columns && pairs ? MILL_OK : MILL_ENOMEM;

    if (!err) err = make_index(&p->columns, columns, p, "columns", NULL);
    if (!err) err = make_index(&p->pairs, pairs, p, "pairs", columns);
    json_decref(columns);
    json_decref(pairs);
    return err ? mill_fail(err, "out of memory for the page") : MILL_OK;
}

void page_index_free(page *p)
{
    mill_free(p->columns.at);
    mill_free(p->pairs.at);
}

const json_t *page_item(const page *p, const page_index *x, int row, int k)
{
    const int at = x->at[row * p->n + k];
    const json_t *list = json_object_get(p->report[k], x == &p->pairs ? "pairs" : "columns");

    return at < 0 ? NULL : json_array_get(list, (size_t)at);
}

const json_t *page_first(const page *p, const page_index *x, int row)
{
    const json_t *item = NULL;

    for (int k = 0; !item && k < p->n; k++) item = page_item(p, x, row, k);
    return item;
}

void page_item_cell(page *p, const page_index *x, int row, int k, const char *key,
                    const char *expected)
{
    const char *list = x == &p->pairs ? "pairs" : "columns";
    const int at = x->at[row * p->n + k];
    char path[PAGE_PLACE], beside[PAGE_PLACE];

    if (at < 0) {
        page_no_figure(p, "the table does not have it");
        text_add(p->t, "</td>");
        return;
    }
    snprintf(path, sizeof path, "%s.%d.%s", list, at, key);
    snprintf(beside, sizeof beside, "%s.%d.%s", list, at, expected);
    page_cell(p, k, path, "expected", beside);
}
