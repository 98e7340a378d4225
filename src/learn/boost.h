/*
 * boost.h - gradient-boosted trees on histograms.
 *
 * Every feature is cut into at most 255 bins at its quantiles, with one bin more for missing
 * values, which learn at each split which way to go.  Trees grow best leaf first.  Defaults are
 * those of scikit-learn's HistGradientBoosting, without early stopping.  Gain of a split and value
 * of a leaf, with g and h the sums of gradients and second derivatives:
 *
 *     gain = gl^2 / (hl + l2) + gr^2 / (hr + l2) - g^2 / (h + l2),     value = -rate g / (h + l2)
 *
 * After Chen and Guestrin, "XGBoost", KDD 2016, and Ke et al., "LightGBM", NIPS 2017.
 * The same bits for any number of threads and on every level.
 */
#ifndef MILL_LEARN_BOOST_H
#define MILL_LEARN_BOOST_H

#include "base/pool.h"
#include "learn/features.h"

typedef struct mill_boost mill_boost;

typedef enum { BOOST_LOGISTIC, BOOST_SOFTMAX, BOOST_SQUARED } boost_loss;

typedef struct {
    boost_loss loss;
    int n_classes; /* BOOST_SOFTMAX */
    int trees, leaves;
    int min_leaf_rows;
    int bins; /* 2..255, without the one for missing values */
    double rate, l2;
} boost_options;

#define BOOST_DEFAULTS \
    ((boost_options){.trees = 100, .leaves = 31, .min_leaf_rows = 20, .bins = 255, .rate = 0.1})

/* y: (rows): 0 or 1; the class; or the value. MILL_EINPUT for options or labels out of range. */
mill_err boost_fit(mill_boost **out, const mill_features *x, const double *y,
                   const boost_options *o, mill_pool *pool);

/* out: (rows) probabilities of 1, (rows, n_classes) probabilities, or (rows) values. */
mill_err boost_predict(double *out, const mill_boost *m, const mill_features *x, mill_pool *pool);
void boost_free(mill_boost *m);

#endif
