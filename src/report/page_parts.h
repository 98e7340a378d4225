/* page_parts.h - what the parts of page.h's page share; for page.c and page_*.c only. */
#ifndef MILL_REPORT_PAGE_PARTS_H
#define MILL_REPORT_PAGE_PARTS_H

#include "eval/headline.h"
#include "report/chart.h"
#include "report/page.h"

enum { PAGE_MOST_TABLES = 64, PAGE_PLACE = 96 };

typedef struct {
    mill_text *t;
    const json_t *root, *run;
    const json_t *report[PAGE_MOST_TABLES];
    char name[PAGE_MOST_TABLES][64];          /* of the synthetic tables */
    char place[PAGE_MOST_TABLES][PAGE_PLACE]; /* for page_expected: of a figure, by report */
    int n;
} page;

/* A figure: four decimals, or six digits of what is large; NaN: a dash. */
const char *page_number(char buf[32], double x);
double page_value(const json_t *v); /* NaN if it is no number */
/* <td> with the figure at `path` of report k; NULL path: at `v`, which path_of describes. */
void page_cell(page *p, int k, const char *path);
/* <td> with the figures at p->place: one if all look the same (tables of one size), else a line for
 * each report. */
void page_expected(page *p);
void page_escape(page *p, const char *s);
void page_section(page *p, const char *id, const char *title, const char *about);
/* A table that scrolls by itself where it is too wide. */
void page_table_open(page *p, const char *label);
void page_table_close(page *p);
/* The figures of a group, one row each: label, expected, a column for each table, reading. */
void page_group(page *p, const char *group);
/* Whether any report has a figure of the group. */
bool page_has_group(const page *p, const char *group);

/* The parts. */
void page_columns(page *p);
mill_err page_pairs(page *p);
void page_utility(page *p);
void page_notes(page *p);
void page_run(page *p);

#endif
