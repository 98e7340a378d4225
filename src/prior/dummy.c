/*
 * dummy.c - a prior without a model: columns N(0, 1), y independent of them.
 *
 * Always `width` columns; y uniform over the classes, whose number a block shares, or N(0, 1) (for
 * regression, where the official code fails, and to be cut at ranks).  Not standardised.
 */
#include "prior/inner.h"

mill_err prior_dummy(prior_try *t)
{
    const int64_t rows = t->at.rows;

    for (int j = 0; j < t->at.features; j++) draw_normals(&t->draw, t->x + j * t->stride, rows);
    if (t->wants_number) {
        draw_normals(&t->draw, t->y, rows);
    } else {
        for (int64_t i = 0; i < rows; i++) t->y[i] = (float)draw_below(&t->draw, t->classes);
    }
    return MILL_OK;
}

int64_t prior_dummy_bytes(const prior_config *c)
{
    const int64_t rows = prior_most_rows(c) + 16;

    return (rows * (2 * c->max_features + 16) * 4 + (1 << 20)) * 3 / 2;
}
