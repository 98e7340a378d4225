/*
 * guess.h - learn from some rows, guess for others.
 *
 * The linear learner (logistic regression with C = 1; ridge with alpha = 1 for values) sees
 * indicators and robustly scaled numbers with missing ones at the mean; boosted trees see numbers
 * and codes with missing ones as such (learn/features.h).
 */
#ifndef MILL_EVAL_GUESS_H
#define MILL_EVAL_GUESS_H

#include "base/pool.h"
#include "learn/features.h"

/*
 * y: (train->rows) classes 0..k-1, k = 2..MAX_CLASSES, or values for k = 0.  guess: (test->rows, k)
 * probabilities, or (test->rows) values.  Classes without a row to learn from have probability 0.
 * learner: LEARNER_LINEAR or LEARNER_BOOSTED.
 */
mill_err eval_guess(double *guess, int learner, const mill_features *train, const double *y,
                    const mill_features *test, int k, mill_pool *pool);

#endif
