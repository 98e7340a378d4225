/* headline.h - the figures that a reader sees first, headline.def as a table. */
#ifndef MILL_EVAL_HEADLINE_H
#define MILL_EVAL_HEADLINE_H

#include <jansson.h>

typedef enum { HEADLINE_HIGH, HEADLINE_LOW, HEADLINE_HALF } headline_better;

typedef struct {
    const char *group, *path, *expected, *label;
    headline_better better; /* HALF: near to one half */
    const char *reading;
} eval_headline;

extern const eval_headline eval_headlines[]; /* the last one's path is NULL */

const eval_headline *eval_headline_find(const char *path); /* NULL: there is none */

/* As people read it: four decimals, six digits of what is large, two of what is small. */
enum { EVAL_FIGURE = 32 };
const char *eval_figure(char buf[EVAL_FIGURE], double x);

/* What stands at "a.b.c" of an object, in arrays by number ("columns.0.shape"); NULL if nothing
 * does. */
json_t *eval_at(const json_t *report, const char *path);

/* Why nothing stands there, as "skipped" has it: of "privacy.dcr.share", or of "columns.0.shape";
 * NULL if it does not say. */
const char *eval_why_not(const json_t *report, const char *path);

#endif
