/*
 * prompt.h - what a model is told: texts with places for the parts of a record.
 *
 *     {problem} {solution} {id}     of the record, everywhere; "" where it has none
 *     {answer} {reasoning}          its right answer, the reasoning so far: not in generate
 *     {feedback} {scores}           what the judge said: in improve
 *
 * A name in braces that is none of these is an error, so that a misspelt one is not sent to a model
 * as it is; {{name}} stands for {name}.  All other braces are text: \boxed{}, {"a": 1}.
 */
#ifndef MILL_REASON_PROMPT_H
#define MILL_REASON_PROMPT_H

#include "base/text.h"
#include "reason/results.h"

typedef enum {
    PLACE_PROBLEM,
    PLACE_SOLUTION,
    PLACE_ID,
    PLACE_ANSWER,
    PLACE_REASONING,
    PLACE_FEEDBACK,
    PLACE_SCORES,
    N_PLACE
} prompt_place;

typedef struct prompt prompt;

/* The text of a stage that is sent unless the user brings one. */
const char *prompt_default(reason_stage s);

/* Text is copied.  MILL_EINPUT: a place that the stage has not, no {problem}, not UTF-8; a judge's
 * or an improver's without {reasoning}. */
mill_err prompt_new(prompt **out, reason_stage s, const char *text);
void prompt_free(prompt *p); /* NULL is allowed */
const char *prompt_text(const prompt *p);

/* Appends the prompt with value[place] in its places; NULL is "". */
void prompt_fill(mill_text *out, const prompt *p, const char *const value[N_PLACE]);

#endif
