/* made.h - small tables and features made in a test, column by column. */
#ifndef TESTS_LIB_MADE_H
#define TESTS_LIB_MADE_H

#include "lib/near.h"

#include "base/mem.h"
#include "learn/features.h"
#include "table/table.h"

#include <math.h>

static inline mill_table *made_table(int64_t rows, int n_cols)
{
    mill_table *t = NULL;

    assert_ok(table_new(&t, rows, n_cols));
    return t;
}

/* NaN is missing. */
static inline void made_numbers(mill_table *t, int at, const char *name, mill_coltype type,
                                const double *x)
{
    mill_column *const c = &t->col[at];

    assert_ok(column_init(c, name, type, t->rows));
    for (int64_t i = 0; i < t->rows; i++) {
        if (isnan(x[i])) { /* NOLINT(clang-analyzer-core.CallAndMessage): x has t->rows numbers */
            assert_ok(column_set_missing(c, i));
            continue;
        }
        if (type == MILL_REAL)
            c->f64[i] = x[i];
        else
            c->i64[i] = (int64_t)x[i];
    }
    if (type == MILL_REAL) c->decimals = 2;
    if (type == MILL_DATETIME) assert_non_null(c->format = mill_strdup("%Y-%m-%d"));
}

/* Words of one character each; ' ' is missing. Codes in order of first appearance. */
static inline void made_words(mill_table *t, int at, const char *name, mill_coltype type,
                              const char *word)
{
    mill_column *const c = &t->col[at];
    char text[128] = "";
    int32_t offset[129], n = 0;

    assert_ok(column_init(c, name, type, t->rows));
    for (int64_t i = 0; i < t->rows; i++) {
        if (word[i] == ' ') {
            assert_ok(column_set_missing(c, i));
            continue;
        }
        if (!strchr(text, word[i])) text[n++] = word[i];
        c->code[i] = (int32_t)(strchr(text, word[i]) - text);
    }
    for (int32_t k = 0; k <= n; k++) offset[k] = k;
    assert_ok(column_set_dictionary(c, n, offset, text));
}

static inline mill_features *made_features(int64_t rows, int n_cols)
{
    mill_features *const f = mill_alloc(1, sizeof *f);

    assert_non_null(f);
    f->rows = rows;
    f->n_cols = n_cols;
    assert_non_null(f->col = mill_alloc((size_t)n_cols, sizeof *f->col));
    return f;
}

static inline double *made_number_feature(mill_features *f, int at)
{
    return f->col[at].x = mill_alloc((size_t)f->rows, sizeof(double));
}

static inline int32_t *made_code_feature(mill_features *f, int at, int32_t n_codes)
{
    f->col[at].n_codes = n_codes;
    return f->col[at].code = mill_alloc((size_t)f->rows, sizeof(int32_t));
}

static inline int64_t live_blocks(void)
{
    mill_mem_stats s;

    mill_mem_get_stats(&s);
    return s.live;
}

#endif
