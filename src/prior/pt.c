/*
 * pt.c - batch_%06u.pt: a block of data sets as the official loader reads it.
 *
 * A dictionary: X, y, d, seq_lens, train_sizes (int64, one a data set) and batch_size (an integer).
 *
 *     rows the same for all   X: 1-D, of each data set the values of its columns row after row
 *                             without padding; y: (data sets, rows)
 *     rows per group          X: nested, (rows, width) each, zeros behind the columns; y: nested
 *
 * X is float32.  y is int64 for classes of graph_scm and dummy, else float32, as their own tensors
 * are.  metadata.json beside the files is written by the run.
 */
#include "prior/lines.h"
#include "prior/sink.h"

#include "base/mem.h"
#include "table/torch.h"

#include <stdio.h>
#include <string.h>

enum { ROWS_AT_ONCE = 64 };

typedef struct {
    torch_writer file;
    mill_text y, d, rows, train; /* raw bytes; d, rows, train: int64 */
    mill_text x_sizes, x_strides, x_offsets, y_sizes, y_strides, y_offsets;
    mill_text lines;
    int64_t n, n_x, n_y; /* data sets, elements so far */
    float *block;        /* ROWS_AT_ONCE rows */
} pt_writer;

static bool labels_are_integers(const prior_config *c)
{
    return !c->regression && (!strcmp(c->prior, "graph_scm") || !strcmp(c->prior, "dummy"));
}

static int64_t pt_size(const prior_config *c)
{
    return c->batch_size;
}

static int64_t pt_memory(const prior_config *c)
{
    return 2 * c->batch_size *
               (prior_most_rows(c) * 8 + prior_most_width(c) * 4 + prior_text_bytes(c)) +
           ROWS_AT_ONCE * prior_most_width(c) * 4;
}

static bool pt_path(char *path, const prior_sink *s, const prior_unit *u, int64_t k)
{
    if (k == 1) return !lines_path(path, s, "batch", u->unit);
    return !k && snprintf(path, PRIOR_PATH, "%s/batch_%06lld.pt", s->dir, (long long)u->unit) <
                     PRIOR_PATH;
}

static mill_err begin(prior_sink *s)
{
    char path[PRIOR_PATH];
    pt_writer *w = s->state = mill_alloc(1, sizeof *w);

    if (!w) return MILL_ENOMEM;
    if (!pt_path(path, s, &s->unit, 0))
        return mill_fail(MILL_EINPUT, "%.200s...: the path is too long", s->dir);
    w->block = mill_alloc((size_t)prior_most_width(s->config) * ROWS_AT_ONCE, sizeof *w->block);
    return w->block ? torch_create(&w->file, path, STORE_F32) : MILL_ENOMEM;
}

static void put(mill_text *t, int64_t x)
{
    text_add_bytes(t, &x, sizeof x);
}

static void add_labels(pt_writer *w, const prior_set *set, bool as_integers)
{
    if (!as_integers) {
        text_add_bytes(&w->y, set->y, (size_t)set->rows * sizeof *set->y);
        return;
    }
    for (int64_t i = 0; i < set->rows; i++) put(&w->y, (int64_t)set->y[i]);
}

static void add_nested(pt_writer *w, const prior_set *set, int width)
{
    put(&w->x_sizes, set->rows);
    put(&w->x_sizes, width);
    put(&w->x_strides, width);
    put(&w->x_strides, 1);
    put(&w->x_offsets, w->n_x);
    put(&w->y_sizes, set->rows);
    put(&w->y_strides, 1);
    put(&w->y_offsets, w->n_y);
}

static mill_err add(prior_sink *s, const prior_set *set)
{
    pt_writer *w = s->state;
    const bool is_nested = prior_is_nested(s->config);
    const int width = is_nested ? set->width : set->features;

    if (w->n && !is_nested && set->rows * w->n != w->n_y)
        return mill_fail(MILL_ESHAPE, "data set %lld has other rows than its block",
                         (long long)set->index);
    if (is_nested) add_nested(w, set, width);
    add_labels(w, set, labels_are_integers(s->config));
    put(&w->d, set->features);
    put(&w->rows, set->rows);
    put(&w->train, set->train_rows);
    lines_add(&w->lines, set);
    for (int64_t i = 0; i < set->rows; i += ROWS_AT_ONCE) {
        const int64_t n = set->rows - i < ROWS_AT_ONCE ? set->rows - i : ROWS_AT_ONCE;
        prior_fill_rows(w->block, set, i, n, width);
        TRY(torch_write(&w->file, w->block, n * width));
    }
    w->n++;
    w->n_x += set->rows * width;
    w->n_y += set->rows;
    return MILL_OK;
}

static mill_err add_storage(torch_writer *f, const mill_text *t, store_dtype dtype, int *storage)
{
    TRY(text_check(t));
    return torch_add(f, dtype, t->s, (int64_t)(t->len / store_dtype_size(dtype)), storage);
}

static mill_err add_storages(pt_writer *w, torch_item *x, torch_item *y, store_dtype y_dtype)
{
    TRY(add_storage(&w->file, &w->y, y_dtype, &y->storage[0]));
    if (x->kind != TORCH_NESTED) return MILL_OK;
    TRY(add_storage(&w->file, &w->x_sizes, STORE_I64, &x->storage[1]));
    TRY(add_storage(&w->file, &w->x_strides, STORE_I64, &x->storage[2]));
    TRY(add_storage(&w->file, &w->x_offsets, STORE_I64, &x->storage[3]));
    TRY(add_storage(&w->file, &w->y_sizes, STORE_I64, &y->storage[1]));
    TRY(add_storage(&w->file, &w->y_strides, STORE_I64, &y->storage[2]));
    return add_storage(&w->file, &w->y_offsets, STORE_I64, &y->storage[3]);
}

static mill_err end(prior_sink *s)
{
    pt_writer *w = s->state;
    const bool is_nested = prior_is_nested(s->config);
    const torch_kind kind = is_nested ? TORCH_NESTED : TORCH_TENSOR;
    torch_item item[] = {
        {.name = "X", .kind = kind, .rank = is_nested ? 2 : 1, .dim = {w->n_x}, .count = w->n},
        {.name = "y",
         .kind = kind,
         .rank = is_nested ? 1 : 2,
         .dim = {w->n, w->n_y / w->n},
         .count = w->n},
        {.name = "d", .kind = TORCH_TENSOR, .rank = 1, .dim = {w->n}},
        {.name = "seq_lens", .kind = TORCH_TENSOR, .rank = 1, .dim = {w->n}},
        {.name = "train_sizes", .kind = TORCH_TENSOR, .rank = 1, .dim = {w->n}},
        {.name = "batch_size", .kind = TORCH_INT, .value = w->n},
    };

    TRY(add_storages(w, &item[0], &item[1],
                     labels_are_integers(s->config) ? STORE_I64 : STORE_F32));
    TRY(add_storage(&w->file, &w->d, STORE_I64, &item[2].storage[0]));
    TRY(add_storage(&w->file, &w->rows, STORE_I64, &item[3].storage[0]));
    TRY(add_storage(&w->file, &w->train, STORE_I64, &item[4].storage[0]));
    TRY(torch_commit(&w->file, item, (int)(sizeof item / sizeof *item), &s->unit.bytes,
                     &s->unit.crc));
    return lines_write(s, &w->lines, "batch");
}

static void abandon(prior_sink *s)
{
    pt_writer *w = s->state;
    mill_text *const all[] = {&w->y,         &w->d,         &w->rows,      &w->train,
                              &w->x_sizes,   &w->x_strides, &w->x_offsets, &w->y_sizes,
                              &w->y_strides, &w->y_offsets, &w->lines};

    torch_close(&w->file);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) text_free(all[i]);
    mill_free(w->block);
}

const prior_format prior_pt = {
    .name = "pt",
    .unit_size = pt_size,
    .memory = pt_memory,
    .begin = begin,
    .add = add,
    .end = end,
    .abandon = abandon,
    .path = pt_path,
};
