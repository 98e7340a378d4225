/* page_parts.h - what the parts of page.h's page share; for page.c and page_*.c only. */
#ifndef MILL_REPORT_PAGE_PARTS_H
#define MILL_REPORT_PAGE_PARTS_H

#include "eval/headline.h"
#include "report/chart.h"
#include "report/page.h"

enum { PAGE_MOST_TABLES = 64, PAGE_PLACE = 96 };

/* Of all tables together, each once. */
typedef struct {
    int n;
    int *at; /* (n, tables) the place in each report; -1: it has none */
} page_index;

typedef struct {
    mill_text *t;
    const json_t *root, *run;
    const json_t *report[PAGE_MOST_TABLES];
    char name[PAGE_MOST_TABLES][64]; /* of the synthetic tables */
    int n;
    page_index columns, pairs;
} page;

const char *page_count(char buf[32], int64_t n); /* 12,345 */
double page_value(const json_t *v);              /* NaN if it is no number */
/* Opens a <td> with the figure at `path` of report k, or a dash and why there is none. */
void page_figure(page *p, int k, const char *path);
/* Opens a <td> with a dash, and why; NULL: nobody knows. */
void page_no_figure(page *p, const char *why);
/* In it, below: a word and the figure at `path`; nothing if that is NULL or has none. */
void page_beside(page *p, int k, const char *word, const char *path);
/* Both, and its end. */
void page_cell(page *p, int k, const char *path, const char *word, const char *beside);
/* The head of a table with a column for each report; one alone is called figure_of_one. */
void page_heads(page *p, const char *first, const char *figure_of_one);
void page_escape(page *p, const char *s);
void page_section(page *p, const char *id, const char *title, const char *about);
/* A table that scrolls by itself where it is too wide. */
void page_table_open(page *p, const char *label);
void page_table_close(page *p);

/* page_index.c: made when the reports are known. */
mill_err page_index_make(page *p);
void page_index_free(page *p);
const json_t *page_item(const page *p, const page_index *x, int row, int k); /* NULL: it has none */
const json_t *page_first(const page *p, const page_index *x,
                         int row); /* of the first that has it */
/* As page_cell, the figure under `key` of the row's item in report k. */
void page_item_cell(page *p, const page_index *x, int row, int k, const char *key,
                    const char *expected);

/* The parts. */
void page_columns(page *p);
mill_err page_pairs(page *p);
int page_with_utility(const page *p); /* the first report that has one; 0 if none has */
void page_utility(page *p);
void page_notes(page *p);
void page_run(page *p);

#endif
