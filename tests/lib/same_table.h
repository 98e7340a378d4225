/* same_table.h - two tables, byte for byte. */
#ifndef TESTS_LIB_SAME_TABLE_H
#define TESTS_LIB_SAME_TABLE_H

#include "lib/test.h"

#include "table/table.h"

static inline void assert_same_table(const mill_table *a, const mill_table *b)
{
    assert_int_equal(a->rows, b->rows);
    assert_int_equal(a->n_cols, b->n_cols);
    for (int j = 0; j < a->n_cols; j++) {
        const mill_column *x = &a->col[j], *y = &b->col[j];
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->type, y->type);
        assert_int_equal(x->n_missing, y->n_missing);
        assert_memory_equal(x->i64, y->i64, (size_t)a->rows * (column_has_codes(x) ? 4 : 8));
        assert_int_equal(!x->valid, !y->valid);
        if (x->valid) assert_memory_equal(x->valid, y->valid, (size_t)(a->rows + 7) / 8);
        assert_int_equal(x->n_values, y->n_values);
        if (!x->n_values) continue;
        assert_memory_equal(x->offset, y->offset, ((size_t)x->n_values + 1) * 4);
        assert_memory_equal(x->text, y->text, (size_t)x->offset[x->n_values]);
    }
}

#endif
