/*
 * page.h - an evaluation as one HTML page: no script, no network, nothing beside it.
 *
 * `report` is what `tabmill evaluate --json` writes, of one synthetic table or of several; the page
 * is drawn from it alone.  Every figure of it carries data-path, its place in that JSON, and
 * data-table, which of the reports it is of; a test compares them.
 */
#ifndef MILL_REPORT_PAGE_H
#define MILL_REPORT_PAGE_H

#include "base/text.h"
#include <jansson.h>

/* MILL_EINPUT if it is no such report. */
mill_err report_page(mill_text *out, const json_t *report);

#endif
