/*
 * csv_fill.c - the second visit: every value to its place.
 *
 * Rows of a block are known by now, so blocks are filled in any order.  Two blocks may share one
 * byte of a bitmap: bits are cleared atomically.  When the columns lie in a spool file, their pages
 * are let go after every CSV_WAVE blocks.
 */
#include "base/cpu.h"
#include "base/mem.h"
#include "table/csv_reader.h"
#include "table/datetime.h"
#include "table/spool.h"

#include <math.h>
#include <string.h>

enum { CSV_WAVE = 256 };

typedef struct {
    csv_reader *r;
    mill_table *t;
    int64_t from; /* the first block of this wave */
} fill_job;

typedef struct {
    csv_reader *r;
    csv_thread *t;
    const csv_column *c;
    mill_column *out;
    int64_t row; /* of the block's first */
} fill;

static inline void set_missing(const fill *f, int64_t row)
{
    __atomic_fetch_and(&f->out->valid[row >> 3], (uint8_t) ~(1u << (row & 7)), __ATOMIC_RELAXED);
}

/* Zeros in front that number_scan takes for a code; given types overrule that. */
static csv_field without_zeros(csv_field f)
{
    while (f.n > 1 && *f.s == '0' && f.s[1] >= '0' && f.s[1] <= '9') f.s++, f.n--;
    return f;
}

/* The field's kind as a number or date of this column; TEXT if it is none. */
static value_kind fill_value(const fill *f, csv_value *v, csv_field field)
{
    mill_err err = MILL_OK;
    const bool quoted = csv_unquote(f->t, f->r->layout.quote, &field, &err);

    if (err) {
        fault_note_system(&f->t->fault, err);
        return VALUE_MISSING;
    }
    value_kind kind = csv_classify(f->r, v, field, quoted);
    if (kind == VALUE_MISSING || kind == VALUE_SOFT) return VALUE_MISSING;
    const csv_field bare = csv_trim(field);
    if (f->out->type == MILL_DATETIME) {
        if (kind == VALUE_DATE) return kind;
        return datetime_parse(&v->seconds, f->out->format, bare.s, bare.n) ? VALUE_DATE
                                                                           : VALUE_TEXT;
    }
    if (kind == VALUE_TEXT) {
        const csv_field code = without_zeros(bare);
        const number_kind again = number_scan(&v->num, code.s, code.n);
        kind = again == NUMBER_INT ? VALUE_INT : again == NUMBER_REAL ? VALUE_REAL : VALUE_TEXT;
    }
    return kind == VALUE_INT || kind == VALUE_REAL ? kind : VALUE_TEXT;
}

/* Anything but a short integer. */
static void fill_slowly(const fill *f, csv_field field, int64_t i)
{
    const mill_column *out = f->out;
    const int64_t row = f->row + i;
    csv_value v = {0};
    const value_kind kind = fill_value(f, &v, field);
    const bool is_whole =
        kind == VALUE_REAL && fabs(v.num.f64) < 0x1p53 && v.num.f64 == (double)(int64_t)v.num.f64;

    if (kind == VALUE_MISSING)
        set_missing(f, row);
    else if (out->type == MILL_DATETIME && kind == VALUE_DATE)
        out->i64[row] = v.seconds;
    else if (out->type == MILL_REAL && (kind == VALUE_INT || kind == VALUE_REAL))
        out->f64[row] = v.num.f64;
    else if (out->type == MILL_INTEGER && kind == VALUE_INT)
        out->i64[row] = v.num.i64;
    else if (out->type == MILL_INTEGER && is_whole)
        out->i64[row] = (int64_t)v.num.f64;
    else
        fault_note(&f->t->fault, FAULT_TYPE, csv_offset(&f->t->block, field.s), f->c->file_col,
                   out->type);
}

static void fill_numbers(const fill *f)
{
    const csv_block *b = &f->t->block;
    const bool is_integer = f->out->type == MILL_INTEGER, is_real = f->out->type == MILL_REAL;
    const bool fast = (is_integer || is_real) && !f->r->na_numeric;
    int64_t v;

    for (int64_t i = 0; i < b->rows; i++) {
        const csv_field field = csv_get(b, i, f->c->file_col, f->c->is_last);
        if (!field.n)
            set_missing(f, f->row + i);
        else if (!fast || !number_short_int(&v, field.s, field.n))
            fill_slowly(f, field, i);
        else if (is_integer)
            f->out->i64[f->row + i] = v;
        else
            f->out->f64[f->row + i] = (double)v;
    }
}

static void fill_codes(const fill *f)
{
    const csv_block *b = &f->t->block;
    const csv_reader *r = f->r;
    const dict *d = &f->c->sum.values;
    const char quote = r->layout.quote;
    const bool soft_is_missing = f->out->type == MILL_BOOLEAN;

    for (int64_t i = 0; i < b->rows; i++) {
        csv_field field = csv_get(b, i, f->c->file_col, f->c->is_last);
        const dict_slot *slot = NULL;
        bool is_quoted = false;
        if (field.n && quote && *field.s == quote) {
            mill_err err = MILL_OK;
            is_quoted = csv_unquote(f->t, quote, &field, &err);
            if (err) fault_note_system(&f->t->fault, err);
        }
        if (field.n || is_quoted) {
            const dict_key k = dict_make_key(field.s, field.n);
            slot = dict_find_key(d, &k, field.s, field.n);
        }
        /* A word of na may also be a value, where it was quoted. */
        const char lead = field.n ? *field.s : 0;
        const bool maybe_na =
            r->na_first[(unsigned char)lead] || lead == ' ' || lead == '\t' || !slot;
        if (maybe_na && !is_quoted && (!field.n || csv_is_na(r, field.s, field.n))) slot = NULL;
        if (slot && soft_is_missing && slot->code_1 > f->out->n_values) slot = NULL;
        if (slot)
            f->out->code[f->row + i] = slot->code_1 - 1;
        else
            set_missing(f, f->row + i);
    }
}

static void fill_block(void *ctx, int64_t i, int thread)
{
    const fill_job *job = ctx;
    csv_reader *r = job->r;
    csv_thread *t = &r->thread[thread];
    const int64_t block = job->from + i;

    if (t->fault.kind == FAULT_SYSTEM) return;
    csv_block_load(&t->block, &r->layout, block, &t->fault);
    for (int j = 0; j < r->n_cols; j++) {
        const fill f = {r, t, &r->col[j], &job->t->col[j], r->block_row[block]};
        if (f.c->is_run)
            for (int64_t k = 0; k < t->block.rows; k++)
                f.out->code[f.row + k] = (int32_t)(f.row + k);
        else if (column_has_codes(f.out))
            fill_codes(&f);
        else
            fill_numbers(&f);
    }
}

mill_err csv_fill(csv_reader *r, mill_table *t)
{
    const int64_t blocks = r->layout.n_blocks, wave = t->spool ? CSV_WAVE : blocks;

    for (int i = 0; i < r->threads; i++) r->thread[i].fault = (csv_fault){0};
    for (int64_t from = 0; from < blocks; from += wave) {
        fill_job job = {r, t, from};
        mill_pool_run(r->pool, blocks - from < wave ? blocks - from : wave, fill_block, &job);
        TRY(csv_faults(r));
        for (int j = 0; t->spool && j < t->n_cols; j++) table_column_release(t, j);
    }
    return MILL_OK;
}
