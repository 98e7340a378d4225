/*
 * csv_fill.c - the second visit: every value to its place that the first has not put there.
 *
 * Rows of a block are known by now, so blocks are filled in any order.  Two blocks may share one
 * byte of a bitmap: bits are cleared atomically.  When the columns lie in a spool file, their pages
 * are let go after every CSV_WAVE blocks.
 */
#include "base/cpu.h"
#include "base/mem.h"
#include "base/text.h"
#include "table/csv_reader.h"
#include "table/datetime.h"
#include "table/retype.h"
#include "table/spool.h"

#include <math.h>
#include <string.h>

enum { CSV_WAVE = 256 };

typedef struct {
    csv_reader *r;
    mill_table *t;
    int64_t from; /* the first block of this wave */
    bool visits;  /* some column is still to be read */
} fill_job;

typedef struct {
    csv_reader *r;
    csv_thread *t;
    const csv_column *c;
    mill_column *out;
    int64_t row; /* of the block's first */
} fill;

/* The first visit has counted what is missing. */
static inline void set_missing(const fill *f, int64_t row)
{
    if (!f->out->valid) {
        fault_note(&f->t->fault, FAULT_CHANGED, f->t->block.base, -1, 0);
        return;
    }
    __atomic_fetch_and(&f->out->valid[row >> 3], (uint8_t) ~(1u << (row & 7)), __ATOMIC_RELAXED);
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
    const value_kind kind = csv_classify_given(f->r, v, field, quoted, f->out->type);
    if (kind == VALUE_MISSING || kind == VALUE_SOFT) return VALUE_MISSING;
    if (f->out->type == MILL_DATETIME) {
        const csv_field bare = csv_trim(field);
        int64_t seconds;
        if (!datetime_parse(&seconds, f->out->format, bare.s, bare.n))
            return kind == VALUE_DATE ? kind : VALUE_TEXT;
        v->seconds = seconds;
        return VALUE_DATE;
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

/* A number written plainly, into a column of its type. */
static inline bool fill_quickly(const fill *f, csv_field field, int64_t row, bool is_integer)
{
    number_shape p;
    int64_t v;
    double x;

    if (!number_short_int(&v, field.s, field.n)) {
        if (!number_plain(&p, field.s, field.n)) return false;
        if (is_integer && (p.fraction || p.whole > 18)) return false;
        const uint64_t m = number_plain_digits(&p);
        if (!is_integer) {
            if (!mill_decimal_f64(&x, m, -p.fraction)) return false;
            f->out->f64[row] = p.negative ? -x : x;
            return true;
        }
        v = p.negative ? -(int64_t)m : (int64_t)m;
    }
    if (is_integer)
        f->out->i64[row] = v;
    else
        f->out->f64[row] = (double)v;
    return true;
}

static void fill_numbers(const fill *f)
{
    const csv_block *b = &f->t->block;
    const bool is_integer = f->out->type == MILL_INTEGER, is_real = f->out->type == MILL_REAL;
    const bool fast = (is_integer || is_real) && !f->r->na_numeric;

    for (int64_t i = 0; i < b->rows; i++) {
        const csv_field field = csv_get(b, i, f->c->file_col, f->c->is_last);
        if (!field.n)
            set_missing(f, f->row + i);
        else if (!fast || !fill_quickly(f, field, f->row + i, is_integer))
            fill_slowly(f, field, i);
    }
}

/* The code of one text. */
static inline __attribute__((always_inline)) void
put_code(const fill *f, const dict_key *k, csv_field field, bool is_quoted, int64_t row)
{
    const dict_slot *slot = dict_find_key(&f->c->sum.values, k, field.s, field.n);
    /* A word of na may also be a value, where it was quoted. */
    const char lead = *(field.n ? field.s : "");
    const bool maybe_na =
        f->r->na_first[(unsigned char)lead] || lead == ' ' || lead == '\t' || !slot;

    if (maybe_na && !is_quoted && csv_is_na(f->r, field.s, field.n)) slot = NULL;
    if (slot && f->out->type == MILL_BOOLEAN && slot->code_1 > f->out->n_values) slot = NULL;
    if (slot)
        f->out->code[row] = slot->code_1 - 1;
    else
        set_missing(f, row);
}

static void flush_codes(const fill *f, csv_texts *w)
{
    for (int i = 0; i < w->n; i++)
        put_code(f, &w->at[i].key, w->at[i].f, w->at[i].is_quoted, w->at[i].at);
    w->n = 0;
}

/* is_large: as in csv_infer.c */
static inline __attribute__((always_inline)) void fill_codes_of(const fill *f, const bool is_large)
{
    const csv_block *b = &f->t->block;
    const char quote = f->r->layout.quote;
    csv_texts w;

    w.n = 0;
    for (int64_t i = 0; i < b->rows; i++) {
        csv_field field = csv_get(b, i, f->c->file_col, f->c->is_last);
        bool is_quoted = false;
        if (!field.n) {
            set_missing(f, f->row + i);
            continue;
        }
        if (quote && *field.s == quote) {
            mill_err err = MILL_OK;
            is_quoted = csv_unquote(f->t, quote, &field, &err);
            if (err) fault_note_system(&f->t->fault, err);
        }
        const dict_key k = dict_make_key(field.s, field.n);
        if (!is_large) {
            put_code(f, &k, field, is_quoted, f->row + i);
            continue;
        }
        dict_prefetch(&f->c->sum.values, &k);
        w.at[w.n].key = k;
        w.at[w.n].f = field;
        w.at[w.n].at = f->row + i;
        w.at[w.n++].is_quoted = is_quoted;
        /* What was unquoted into the scratch is gone with the next. */
        if (w.n == CSV_TEXTS || field.s == f->t->scratch) flush_codes(f, &w);
    }
    flush_codes(f, &w);
}

static void fill_codes(const fill *f)
{
    if (dict_is_large(&f->c->sum.values))
        fill_codes_of(f, true);
    else
        fill_codes_of(f, false);
}

/* Codes of a thread's dictionary become those of the column's. */
static void exchange_codes(const fill *f, int64_t rows, int thread)
{
    const int32_t *code_of = f->c->code_of[thread].code;
    int32_t *code = f->out->code + f->row;

    for (int64_t i = 0; i < rows; i++) {
        const int32_t mine = code[i] < 0 ? -1 : code_of[code[i]];
        code[i] = mine;
        /* Soft values stand last in a boolean's list and are missing there. */
        if (mine >= 0 && mine < f->out->n_values) continue;
        code[i] = 0;
        set_missing(f, f->row + i);
    }
}

static bool needs_visit(const csv_column *c)
{
    return !c->is_run && !c->keep;
}

static void fill_block(void *ctx, int64_t i, int thread)
{
    const fill_job *job = ctx;
    csv_reader *r = job->r;
    csv_thread *t = &r->thread[thread];
    const int64_t block = job->from + i, row = r->block_row[block];
    const int64_t rows = r->block_row[block + 1] - row;

    if (t->fault.kind == FAULT_SYSTEM) return;
    if (job->visits) csv_block_load(&t->block, &r->layout, block, &t->fault);
    if (job->visits && t->block.rows != rows) {
        fault_note(&t->fault, FAULT_CHANGED, t->block.base, -1, 0);
        return;
    }
    for (int j = 0; j < r->n_cols; j++) {
        const fill f = {r, t, &r->col[j], &job->t->col[j], row};
        if (f.c->is_run)
            for (int64_t k = 0; k < rows; k++) f.out->code[row + k] = (int32_t)(row + k);
        else if (f.c->keep == KEEP_CODES)
            exchange_codes(&f, rows, r->block_thread[block]);
        else if (f.c->keep)
            continue;
        else if (column_has_codes(f.out))
            fill_codes(&f);
        else
            fill_numbers(&f);
    }
}

mill_err csv_fill(csv_reader *r, mill_table *t)
{
    const int64_t blocks = r->layout.n_blocks, wave = t->spool ? CSV_WAVE : blocks;

    bool visits = false;

    for (int j = 0; j < r->n_cols; j++) visits |= needs_visit(&r->col[j]);
    for (int i = 0; i < r->threads; i++) r->thread[i].fault = (csv_fault){0};
    for (int64_t from = 0; from < blocks; from += wave) {
        fill_job job = {r, t, from, visits};
        mill_pool_run(r->pool, blocks - from < wave ? blocks - from : wave, fill_block, &job);
        TRY(csv_faults(r));
        for (int j = 0; t->spool && j < t->n_cols; j++) table_column_release(t, j);
    }
    return MILL_OK;
}

mill_err csv_match_booleans(const csv_reader *r, mill_table *t)
{
    for (int j = 0; j < t->n_cols; j++) {
        const mill_column *like = r->col[j].like;
        const column_wish wish = {.type = MILL_BOOLEAN, .like = like, .path = r->src.path};
        if (like && like->type == MILL_BOOLEAN) TRY(column_retype(&t->col[j], &wish));
    }
    return MILL_OK;
}
