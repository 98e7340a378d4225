/* prior_page.h - one data set of a prior as an HTML page of drawings. */
#ifndef MILL_CLI_PRIOR_PAGE_H
#define MILL_CLI_PRIOR_PAGE_H

#include "prior/prior.h"

/* Same data set, same bytes.  `structure` is its parsed JSON. */
mill_err prior_page(mill_text *t, const prior_set *set, const json_t *structure);

#endif
