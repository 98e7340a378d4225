/*
 * answer.h - are two short mathematical answers the same?  Without a model.
 *
 * What counts as an answer: the inside of the last balanced \boxed{} of a text, or a text of its
 * own, as LaTeX or as plain text.  Understood are integers, decimals, fractions and mixed
 * fractions, percent, degrees and units, roots, powers, factorials, binomials and the usual
 * functions, variables, \pm, tuples, sets, intervals and unions, lists, letters of a choice, words,
 * and equations.
 *
 * The rule above all: never "equal" for what is not, nor "different" for what may be equal as some
 * would read it (READ_... in expression.h).  Rational expressions are compared exactly (as
 * polynomials over two prime fields); roots and functions at 16 fixed points in long double, and
 * only where that can decide.  What is not understood, or too close to call, is UNSUPPORTED: an
 * answer of its own, for which somebody else has to be asked.
 */
#ifndef MILL_REASON_ANSWER_H
#define MILL_REASON_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

typedef enum {
    ANSWER_EQUAL,
    ANSWER_DIFFERENT,
    ANSWER_UNSUPPORTED, /* one of them was not understood, or nobody can say */
    ANSWER_MISSING,     /* there is no answer, or no gold to compare with */
    ANSWER_N_VERDICT
} answer_verdict;

const char *answer_verdict_name(answer_verdict v); /* "equal", "different", ... */

typedef struct {
    const char *s;
    size_t n;
} answer_span;

/* The inside of the last \boxed{...} or \fbox{...} of a text whose braces are balanced; false if
 * there is none. */
bool answer_boxed(answer_span *out, const char *text, size_t n);

/* Gold that says that there is nothing to compare with: "", "proof", "notfound". */
bool answer_is_gold(answer_span gold);

answer_verdict answer_compare(answer_span gold, answer_span given);

/* The answer of a whole response: its last box.  A text without a box has no answer. */
answer_verdict answer_verify(answer_span gold, const char *response, size_t n);

#endif
