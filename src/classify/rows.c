/* rows.c - rows of a source as features; which rows train, validate and test. */
#include "base/mem.h"
#include "base/philox.h"
#include "classify/inner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- one row ---- */

static mill_err bind_table(cls_reader *r)
{
    for (int j = 0; j < r->e->n_cols; j++) {
        const cls_column *c = &r->e->col[j];
        const int at = table_find(r->s->table, c->name);

        if (at < 0)
            return mill_fail(MILL_EINPUT, "%s: the column \"%s\" is missing", r->s->path, c->name);
        r->from[j].col = &r->s->table->col[at];
        if (column_has_codes(r->from[j].col) != column_type_has_codes(c->type))
            return mill_fail(MILL_EINPUT, "%s: column \"%s\" is %s here and was %s in training",
                             r->s->path, c->name, mill_coltype_name(r->from[j].col->type),
                             mill_coltype_name(c->type));
    }
    return MILL_OK;
}

static mill_err bind_arrays(cls_reader *r)
{
    int64_t widest = 1;

    for (int j = 0; j < r->e->n_cols; j++) {
        const cls_column *c = &r->e->col[j];
        const npz_entry *a = cls_find_array(r->s, c->name);

        if (!a)
            return mill_fail(MILL_EINPUT, "%s: the array \"%s\" is missing", r->s->path, c->name);
        bool same = a->array.rank == c->rank + 1;
        for (int i = 0; same && i < c->rank; i++) same = a->array.dim[i + 1] == c->dim[i];
        if (!same)
            return mill_fail(MILL_EINPUT, "%s: \"%s\" has another shape than in training",
                             r->s->path, c->name);
        r->from[j].array = a;
        if (a->array.cols > widest) widest = a->array.cols;
    }
    r->row = mill_alloc((size_t)widest, sizeof *r->row);
    return r->row ? MILL_OK : MILL_ENOMEM;
}

mill_err cls_reader_open(cls_reader *r, const cls_encoder *e, const cls_source *s)
{
    *r = (cls_reader){.e = e, .s = s};
    r->from = mill_alloc((size_t)e->n_cols + 1, sizeof *r->from);
    r->num = mill_alloc((size_t)e->n_num + 1, sizeof *r->num);
    mill_err err = r->from && r->num ? MILL_OK : MILL_ENOMEM;
    if (!err) err = e->is_arrays ? bind_arrays(r) : bind_table(r);
    if (err) cls_reader_close(r);
    return err;
}

void cls_reader_close(cls_reader *r)
{
    mill_free(r->from);
    mill_free(r->num);
    mill_free(r->row);
    *r = (cls_reader){0};
}

static void array_numbers(const cls_reader *r, const cls_column *c, const npz_entry *a, int64_t row)
{
    const int64_t channels = c->rank ? c->dim[0] : 1, width = c->n_num;
    double *out = r->num + c->num;

    npy_row(r->row, &a->array, a->data, row);
    for (int64_t k = 0; k < width; k++) {
        if (r->e->mode != CLS_AVERAGE) { /* the first channel is what comes first */
            out[k] = cls_number(r->row[k]);
            continue;
        }
        double sum = 0;
        for (int64_t ch = 0; ch < channels; ch++) sum += cls_number(r->row[ch * width + k]);
        out[k] = sum / (double)channels;
    }
}

void cls_reader_numbers(cls_reader *r, int64_t row)
{
    for (int j = 0; j < r->e->n_cols; j++) {
        const cls_column *c = &r->e->col[j];

        if (c->cat >= 0) continue;
        if (r->e->is_arrays) {
            array_numbers(r, c, r->from[j].array, row);
            continue;
        }
        r->num[c->num] = cls_number(column_f64(r->from[j].col, row));
        if (c->has_missing) r->num[c->num + 1] = isnan(r->num[c->num]);
    }
}

/* Rows that are trained on lie at most the root of their number from the mean, in deviations.  Far
 * beyond them lies what would make the network's products overflow. */
static float standardised(double x, double mean, double scale)
{
    static const double farthest = 1e12;
    const double z = (x - mean) / scale;

    return isnan(z) ? 0 : (float)fmax(-farthest, fmin(z, farthest));
}

static void put_codes(int32_t *out, const cls_reader *r, int64_t row)
{
    for (int j = 0; j < r->e->n_cols; j++) {
        const cls_column *c = &r->e->col[j];

        if (c->cat < 0) continue;
        const mill_column *from = r->from[j].col;
        int32_t code = column_is_valid(from, row) ? from->code[row] : c->n_values;
        if (code > c->n_values) code = c->n_values; /* not seen in training */
        out[c->cat] = c->base + code;
    }
}

/* ---- many rows ---- */

void cls_rows_free(cls_rows *r)
{
    if (!r) return;
    mill_free(r->num);
    mill_free(r->code);
    mill_free(r->label);
    mill_free(r->y);
    mill_free(r);
}

static mill_err make_rows(cls_rows *r, const cls_encoder *e, bool is_class, bool with_target)
{
    size_t n_num, n_code;

    TRY(mill_size_mul(&n_num, (size_t)r->n, (size_t)e->n_num));
    TRY(mill_size_mul(&n_code, (size_t)r->n, (size_t)e->n_cat));
    r->num = mill_alloc(n_num + 1, sizeof *r->num);
    r->code = mill_alloc(n_code + 1, sizeof *r->code);
    if (!r->num || !r->code) return MILL_ENOMEM;
    if (!with_target) return MILL_OK;
    if (is_class)
        r->label = mill_alloc((size_t)r->n + 1, sizeof *r->label);
    else
        r->y = mill_alloc((size_t)r->n + 1, sizeof *r->y);
    return r->label || r->y ? MILL_OK : MILL_ENOMEM;
}

mill_err cls_rows_new(cls_rows **out, const cls_encoder *e, const cls_source *s,
                      const int64_t *rows, int64_t n, bool with_target)
{
    cls_reader reader;
    cls_rows *r = mill_alloc(1, sizeof *r);

    if (!r) return MILL_ENOMEM;
    *r = (cls_rows){.n = rows ? n : s->rows, .n_num = e->n_num, .n_cat = e->n_cat};
    mill_err err = make_rows(r, e, e->task == CLS_CLASSES, with_target);
    if (!err && with_target) err = cls_targets(r->label, r->y, e, s, rows, n);
    if (!err && !(err = cls_reader_open(&reader, e, s))) {
        for (int64_t i = 0; i < r->n; i++) {
            const int64_t row = rows ? rows[i] : i;
            float *to = r->num + i * e->n_num;

            cls_reader_numbers(&reader, row);
            for (int j = 0; j < e->n_num; j++)
                to[j] = standardised(reader.num[j], e->mean[j], e->scale[j]);
            put_codes(r->code + i * e->n_cat, &reader, row);
        }
        cls_reader_close(&reader);
    }
    if (err)
        cls_rows_free(r);
    else
        *out = r;
    return err;
}

/* ---- train, val, test ---- */

typedef struct {
    int64_t row;
    int32_t label;
    uint32_t key;
} dealt;

static int by_class_and_key(const void *a, const void *b)
{
    const dealt *x = a, *y = b;
    if (x->label != y->label) return x->label < y->label ? -1 : 1;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Rows at even distances along the list of classes: each class gets its share. */
static void mark(int8_t *part, const dealt *list, int64_t n, int64_t take, int8_t as)
{
    int64_t candidates = 0, seen = 0;

    for (int64_t i = 0; i < n; i++) candidates += part[list[i].row] == 0;
    for (int64_t i = 0; i < n && candidates; i++) {
        if (part[list[i].row] != 0) continue;
        if ((seen + 1) * take / candidates > seen * take / candidates) part[list[i].row] = as;
        seen++;
    }
}

mill_err cls_split(int8_t *part, const int32_t *label, const double *y, int64_t n,
                   double val_fraction, double test_fraction, uint64_t seed)
{
    enum { STREAM_SPLIT = 0x31000000, KEPT = 3 };
    dealt *list = mill_alloc((size_t)n + 1, sizeof *list);
    int64_t m = 0;

    if (!list) return MILL_ENOMEM;
    for (int64_t i = 0; i < n; i++) {
        uint32_t word[4];
        const bool none = label ? label[i] < 0 : isnan(y[i]);
        part[i] = none ? -1 : 0;
        if (part[i] < 0) continue;
        mill_philox(word, seed, 0, STREAM_SPLIT, (uint64_t)i);
        list[m++] = (dealt){i, label ? label[i] : 0, word[0]};
    }
    qsort(list, (size_t)m, sizeof *list, by_class_and_key);
    int64_t free_rows = m;
    for (int64_t i = 0; i < m; i++) { /* a row of every class is trained on */
        if (i && list[i].label == list[i - 1].label) continue;
        part[list[i].row] = KEPT;
        free_rows--;
    }
    int64_t n_test = (int64_t)((double)m * test_fraction + 0.5);
    int64_t n_val = (int64_t)((double)m * val_fraction + 0.5);
    if (n_test > free_rows) n_test = free_rows;
    if (n_val > free_rows - n_test) n_val = free_rows - n_test;
    mark(part, list, m, n_test, 2);
    mark(part, list, m, n_val, 1);
    for (int64_t i = 0; i < n; i++)
        if (part[i] == KEPT) part[i] = 0;
    mill_free(list);
    return MILL_OK;
}
