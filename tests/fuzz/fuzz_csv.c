/*
 * fuzz_csv.c - any bytes as CSV: a table that holds together and can be written, or a refusal in
 * words; the same for blocks of 256 KiB and of a few bytes, and (for every other length) for the
 * two visits of a table that goes to a spool file.  Then the same bytes once more as a second table
 * whose first columns another one has as boolean, category, integer, real and datetime.
 */
#include "fuzz/fuzz_file.h"

#include "base/log.h"
#include "base/mem.h"
#include "table/csv.h"
#include "table/csv_block.h"

#include <string.h>

static void check_column(const mill_column *c, int64_t rows)
{
    int64_t missing = 0;

    MUST(c->rows == rows && c->name);
    for (int32_t k = 0; column_has_codes(c) && k < c->n_values; k++)
        MUST(c->offset[k] <= c->offset[k + 1]);
    for (int64_t i = 0; i < rows; i++) {
        missing += !column_is_valid(c, i);
        if (column_has_codes(c) && column_is_valid(c, i))
            MUST(c->code[i] >= 0 && c->code[i] < c->n_values);
        if (!column_is_valid(c, i)) MUST(column_has_codes(c) ? !c->code[i] : !c->i64[i]);
    }
    MUST(missing == c->n_missing);
    MUST((c->type == MILL_DATETIME) == (c->format != NULL));
}

static void check_same(const mill_table *a, const mill_table *b)
{
    MUST(a->rows == b->rows && a->n_cols == b->n_cols);
    for (int j = 0; j < a->n_cols; j++) {
        const mill_column *x = &a->col[j], *y = &b->col[j];
        MUST(!strcmp(x->name, y->name) && x->type == y->type && x->decimals == y->decimals);
        MUST(!memcmp(x->i64, y->i64, (size_t)a->rows * (column_has_codes(x) ? 4 : 8)));
        MUST(x->n_missing == y->n_missing && x->n_values == y->n_values);
        if (x->valid) MUST(!memcmp(x->valid, y->valid, (size_t)(a->rows + 7) / 8));
        if (x->n_values) MUST(!memcmp(x->text, y->text, (size_t)x->offset[x->n_values]));
    }
}

static mill_err read_with(mill_table **t, const char *path, csv_options o, int64_t block,
                          int64_t memory_bytes)
{
    csv_block_bytes = block;
    o.memory_bytes = memory_bytes;
    *t = NULL;
    return mill_table_read_csv(t, path, &o, NULL);
}

/* Whole and in pieces: the same table, or the same words. */
static void check_both(const char *path, const csv_options *o, size_t n)
{
    mill_table *whole, *pieces;
    char words[300], changed[300];

    snprintf(changed, sizeof changed, "%s: the file was changed while it was read", path);
    const mill_err err = read_with(&whole, path, *o, CSV_BLOCK, 0);
    snprintf(words, sizeof words, "%s", mill_error());
    const mill_err again = read_with(&pieces, path, *o, 1 + (int64_t)(n % 19), (int64_t)(n % 2));
    MUST(err == again);
    if (err) {
        MUST(*words && !whole && !pieces);
        MUST(!strncmp(words, mill_error(), sizeof words - 1));
        MUST(strcmp(words, changed) != 0);
    } else {
        for (int j = 0; j < whole->n_cols; j++) check_column(&whole->col[j], whole->rows);
        check_same(whole, pieces);
        MUST(!mill_table_write(whole, "/dev/null", true, NULL));
    }
    mill_table_free(whole);
    mill_table_free(pieces);
}

static mill_table *another_table(void)
{
    static const mill_coltype type[] = {MILL_BOOLEAN, MILL_CATEGORY, MILL_INTEGER, MILL_REAL,
                                        MILL_DATETIME};
    static const int32_t offset[] = {0, 2, 5};
    char name[] = "c0";
    mill_table *t;

    MUST(!table_new(&t, 2, 5));
    for (int j = 0; j < 5; j++, name[1]++) {
        MUST(!column_init(&t->col[j], name, type[j], 2));
        if (type[j] == MILL_BOOLEAN || type[j] == MILL_CATEGORY)
            MUST(!column_set_dictionary(&t->col[j], 2, offset, "noyes"));
        if (type[j] == MILL_DATETIME) MUST((t->col[j].format = mill_strdup("%Y-%m-%d")) != NULL);
    }
    return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const csv_options alone = {.header = -1};

    mill_log_set(NULL, NULL, MILL_LOG_ERROR);
    const char *path = fuzz_path(data, n);
    check_both(path, &alone, n);
    mill_table *like = another_table();
    check_both(path, &(csv_options){.like = like}, n);
    mill_table_free(like);
    mill_mem_stats stats;
    mill_mem_get_stats(&stats);
    MUST(stats.live == 0);
    return 0;
}
