/*
 * score.h - what a judge said, as numbers.
 *
 *     {"correctness": 0.9, "step_by_step_clarity": 1, "logical_coherence": 0.8,
 *      "mathematical_precision": 0.7, "feedback": "..."}
 *
 *     score = .4 correctness + .2 (step_by_step_clarity + logical_coherence +
 *             mathematical_precision), rounded to 9 decimals, so that four times 0.8 make 0.8
 *
 * Read strictly: what is not one such object is no evaluation, and never a 0 or a 1 by accident.
 */
#ifndef MILL_REASON_SCORE_H
#define MILL_REASON_SCORE_H

#include "base/err.h"
#include "reason/answer.h"

#include <stdbool.h>
#include <stddef.h>

enum { N_CRITERIA = 4, SCORE_CORRECTNESS = 0 };

extern const char *const score_criteria[N_CRITERIA];
extern const char score_schema[]; /* for servers: the JSON schema of an evaluation */

typedef struct {
    double criterion[N_CRITERIA]; /* 0..1 */
    char *feedback;               /* mill_free */
} score_card;

/*
 * A block of thinking that ends with </think> may stand before the object, white space around it;
 * it does not begin with {.
 * MILL_EINPUT, with words short enough to count by: no JSON, a member twice, a criterion missing,
 * no number, or outside of 0..1, no feedback.  *out is then as it was.
 */
mill_err score_read(score_card *out, const char *text, size_t n);

/* `has_gold`: an answer without a box is then wrong.  A wrong answer sets the correctness to 0. */
double score_total(score_card *c, answer_verdict v, bool has_gold);

#endif
