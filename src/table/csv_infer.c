/*
 * csv_infer.c - the first visit: classify every value, list every text.
 *
 * Block 0 is looked at first and tells what to expect of each column: numbers take a short path,
 * texts go to the thread's dictionary without being tried as anything else (the different values
 * are classified afterwards, once each).  What is expected changes the speed and never the result.
 * A column that turns out to be a category although it began with numbers is listed in one more
 * visit of that column alone.
 */
#include "base/mem.h"
#include "base/text.h"
#include "table/csv_reader.h"

#include <string.h>

static void stats_reset(csv_stats *st)
{
    dict_free(&st->values);
    memset(st, 0, sizeof *st);
    for (int k = 0; k < VALUE_N; k++) st->first[k] = INT64_MAX;
}

static void stats_add(csv_stats *st, value_kind kind, const csv_value *v, int64_t at, int64_t count)
{
    st->n[kind] += count;
    if (at < st->first[kind]) st->first[kind] = at;
    if (kind == VALUE_REAL && v->num.decimals > st->decimals) st->decimals = v->num.decimals;
    if (kind == VALUE_DATE) st->form = !st->form || st->form == v->form ? v->form : -1;
}

/* Consecutive integers within a block. */
typedef struct {
    int64_t first, next;
    bool holds;
} run_state;

static inline void run_add(run_state *run, int64_t v)
{
    if (run->next == RUN_BROKEN) run->first = run->next = v;
    run->holds &= v == run->next && v < INT64_MAX;
    run->next = v + (v < INT64_MAX);
}

/* NUL and bad UTF-8 are noted wherever a text is seen, whatever its column is taken for. */
static bool text_ok(csv_thread *t, const csv_column *c, csv_field f, int64_t at)
{
    const bool has_nul = memchr(f.s, 0, f.n);
    if (!has_nul && csv_utf8_ok(f.s, f.n)) return true;
    fault_note(&t->fault, has_nul ? FAULT_NUL : FAULT_UTF8, at, c->file_col, 0);
    return false;
}

/* What infer_numbers counts without looking closer; the offset of the first. */
typedef struct {
    int64_t ints, first_int, reals, first_real, missing;
    int decimals;
} quick_counts;

static void add_quick(csv_stats *st, const quick_counts *q)
{
    st->n[VALUE_INT] += q->ints;
    st->n[VALUE_REAL] += q->reals;
    st->n[VALUE_MISSING] += q->missing;
    st->n_unlisted += q->ints + q->reals;
    if (q->first_int < st->first[VALUE_INT]) st->first[VALUE_INT] = q->first_int;
    if (q->first_real < st->first[VALUE_REAL]) st->first[VALUE_REAL] = q->first_real;
    if (q->decimals > st->decimals) st->decimals = q->decimals;
}

/* Where the values of this block go. */
typedef struct {
    const csv_column *c;
    csv_stats *st;
    int64_t row; /* of the block's first */
} place;

static inline void keep_missing(const place *p, int64_t i)
{
    const int64_t row = p->row + i;
    __atomic_fetch_or(&p->c->missing[row >> 3], (uint8_t)(1u << (row & 7)), __ATOMIC_RELAXED);
}

static inline void keep_integer(const place *p, int64_t i, int64_t v, const csv_keep keep)
{
    if (keep == KEEP_INTEGERS)
        p->c->kept_i64[p->row + i] = v;
    else if (keep == KEEP_REALS)
        p->c->kept_f64[p->row + i] = (double)v;
    else if (keep)
        p->st->is_misfit = true;
}

static inline void keep_real(const place *p, int64_t i, double x, const csv_keep keep)
{
    if (keep == KEEP_REALS)
        p->c->kept_f64[p->row + i] = x;
    else if (keep)
        p->st->is_misfit = true;
}

static void keep_slowly(const place *p, int64_t i, value_kind kind, const csv_value *v,
                        csv_keep keep)
{
    if (kind == VALUE_MISSING || kind == VALUE_SOFT)
        keep_missing(p, i);
    else if (kind == VALUE_INT && keep == KEEP_INTEGERS)
        keep_integer(p, i, v->num.i64, keep);
    else if (kind == VALUE_INT || kind == VALUE_REAL)
        keep_real(p, i, v->num.f64, keep);
    else if (kind == VALUE_DATE && keep == KEEP_DATES)
        p->c->kept_i64[p->row + i] = v->seconds;
    else
        p->st->is_misfit = true;
}

/* A number written plainly, as nearly all are. */
static inline __attribute__((always_inline)) bool infer_quickly(quick_counts *q, run_state *run,
                                                                const csv_block *b, csv_field f,
                                                                const place *to, int64_t i,
                                                                const csv_keep keep)
{
    number_shape p;
    int64_t v;

    if (!number_short_int(&v, f.s, f.n)) {
        if (!number_plain(&p, f.s, f.n)) return false;
        if (p.fraction) {
            double x = 0;
            if (keep == KEEP_REALS && !mill_decimal_f64(&x, number_plain_digits(&p), -p.fraction))
                return false; /* hard to round */
            keep_real(to, i, p.negative ? -x : x, keep);
            if (!q->reals++) q->first_real = csv_offset(b, f.s);
            if (p.fraction > q->decimals) q->decimals = p.fraction;
            run->holds = false;
            return true;
        }
        if (p.whole > 18) return false; /* may be no int64 */
        v = (int64_t)number_plain_digits(&p);
        if (p.negative && !v) { /* "-0" would be written as 0 */
            run->holds = false;
            if (keep == KEEP_INTEGERS)
                keep_integer(to, i, 0, keep);
            else
                keep_real(to, i, -0.0, keep);
            if (!q->ints++) q->first_int = csv_offset(b, f.s);
            return true;
        }
        v = p.negative ? -v : v;
    }
    keep_integer(to, i, v, keep);
    if (!q->ints++) q->first_int = csv_offset(b, f.s);
    run_add(run, v);
    return true;
}

static inline __attribute__((always_inline)) int64_t
infer_numbers_of(csv_reader *r, csv_thread *t, const place *to, const csv_keep keep)
{
    const csv_block *b = &t->block;
    const csv_column *c = to->c;
    csv_stats *st = to->st;
    run_state run = {RUN_BROKEN, RUN_BROKEN, true};
    quick_counts q = {.first_int = INT64_MAX, .first_real = INT64_MAX};

    for (int64_t i = 0; i < b->rows; i++) {
        csv_field f = csv_get(b, i, c->file_col, c->is_last);
        if (!f.n) {
            q.missing++;
            if (keep) keep_missing(to, i);
            continue;
        }
        if (!r->na_numeric && infer_quickly(&q, &run, b, f, to, i, keep)) continue;
        csv_value value = {0};
        mill_err err = MILL_OK;
        const int64_t at = csv_offset(b, f.s);
        const bool quoted = csv_unquote(t, r->layout.quote, &f, &err);
        if (err) fault_note_system(&t->fault, err);
        const value_kind kind = c->is_forced ? csv_classify_given(r, &value, f, quoted, c->type)
                                             : csv_classify(r, &value, f, quoted);
        if (kind == VALUE_TEXT) (void)text_ok(t, c, f, at);
        if (keep) keep_slowly(to, i, kind, &value, keep);
        stats_add(st, kind, &value, at, 1);
        st->n_unlisted += kind != VALUE_MISSING;
        run.holds &= kind == VALUE_INT && value.is_plain;
        if (run.holds) run_add(&run, value.num.i64);
    }
    if (q.decimals > NUMBER_MAX_DECIMALS) q.decimals = NUMBER_MAX_DECIMALS;
    add_quick(st, &q);
    return run.holds && !q.missing ? run.first : RUN_BROKEN;
}

/* A loop for each thing to keep.  The first of the block's integers if each is the one before plus
 * one. */
static int64_t infer_numbers(csv_reader *r, csv_thread *t, const place *to, csv_keep keep)
{
    if (keep == KEEP_INTEGERS) return infer_numbers_of(r, t, to, KEEP_INTEGERS);
    if (keep == KEEP_REALS) return infer_numbers_of(r, t, to, KEEP_REALS);
    if (keep == KEEP_DATES) return infer_numbers_of(r, t, to, KEEP_DATES);
    return infer_numbers_of(r, t, to, KEEP_NOTHING);
}

/* A text that this thread has not seen before. */
static bool list_text(csv_thread *t, const csv_column *c, csv_stats *st, const dict_key *k,
                      csv_field f, int64_t at)
{
    if (!text_ok(t, c, f, at)) return true;
    const mill_err err = dict_insert(&st->values, k, f.s, f.n, at, 1);
    if (err) fault_note_system(&t->fault, err);
    return !err;
}

/* One text that is present; at: its offset in the file; code: where its code goes, or NULL.  False:
 * out of memory. */
/* NOLINTNEXTLINE(readability-function-size): inlined; a text and where its code goes */
static inline bool count_text(csv_thread *t, const csv_column *c, csv_stats *st, const dict_key *k,
                              csv_field f, int64_t at, int32_t *code, bool is_back)
{
    dict_slot *slot = dict_find_key(&st->values, k, f.s, f.n);

    if (code) *code = slot ? slot->code_1 - 1 : st->values.n;
    if (!slot) return list_text(t, c, st, k, f, at);
    slot->count++;
    if (is_back && at < st->values.first[slot->code_1 - 1]) st->values.first[slot->code_1 - 1] = at;
    return true;
}

static bool flush_texts(csv_thread *t, const csv_column *c, csv_stats *st, csv_texts *w,
                        bool is_back)
{
    bool fits = true;

    for (int i = 0; i < w->n && fits; i++)
        fits = count_text(t, c, st, &w->at[i].key, w->at[i].f, w->at[i].at, w->at[i].code, is_back);
    w->n = 0;
    return fits;
}

/*
 * is_back: the block lies before one that this thread has seen.  is_large: the dictionary's slots
 * are far away, and are asked for some texts ahead.  code: of the block's rows, or NULL.
 */
static inline __attribute__((always_inline)) void infer_texts_of(const csv_reader *r, csv_thread *t,
                                                                 const csv_column *c, csv_stats *st,
                                                                 bool is_back, int32_t *code,
                                                                 const bool is_large)
{
    const csv_block *b = &t->block;
    const char quote = r->layout.quote;
    csv_texts w;

    w.n = 0;
    for (int64_t i = 0; i < b->rows; i++) {
        csv_field f = csv_get(b, i, c->file_col, c->is_last);
        if (!f.n) {
            st->n[VALUE_MISSING]++;
            if (code) code[i] = -1;
            continue;
        }
        const int64_t at = csv_offset(b, f.s);
        bool is_quoted = false;
        if (*f.s == quote) {
            mill_err err = MILL_OK;
            is_quoted = csv_unquote(t, quote, &f, &err);
            if (err) {
                fault_note_system(&t->fault, err);
                return;
            }
        }
        const char lead = f.s[*f.s == ' ' || *f.s == '\t'];
        const bool maybe_na = r->na_first[(unsigned char)lead] || lead == ' ' || lead == '\t';
        if (maybe_na && !is_quoted && csv_is_na(r, f.s, f.n)) {
            st->n[VALUE_MISSING]++;
            if (code) code[i] = -1;
            continue;
        }
        const dict_key k = dict_make_key(f.s, f.n);
        if (!is_large) {
            if (!count_text(t, c, st, &k, f, at, code ? code + i : NULL, is_back)) return;
            continue;
        }
        dict_prefetch(&st->values, &k);
        w.at[w.n].key = k;
        w.at[w.n].f = f;
        w.at[w.n].code = code ? code + i : NULL;
        w.at[w.n++].at = at;
        /* What was unquoted into the scratch is gone with the next. */
        if ((w.n == CSV_TEXTS || f.s == t->scratch) && !flush_texts(t, c, st, &w, is_back)) return;
    }
    (void)flush_texts(t, c, st, &w, is_back);
}

static void infer_texts(const csv_reader *r, csv_thread *t, const place *to, bool is_back,
                        csv_keep keep)
{
    int32_t *code = keep ? to->c->kept_code + to->row : NULL;

    if (dict_is_large(&to->st->values))
        infer_texts_of(r, t, to->c, to->st, is_back, code, true);
    else
        infer_texts_of(r, t, to->c, to->st, is_back, code, false);
}

static void infer_block(void *ctx, int64_t i, int thread)
{
    csv_reader *r = ctx;
    csv_thread *t = &r->thread[thread];

    /* Blocks behind a fault may still hold an earlier one for another thread; only memory ends the
     * visit. */
    if (t->fault.kind == FAULT_SYSTEM || t->irregular) return;
    csv_block_load(&t->block, &r->layout, i, &t->fault);
    if (t->block.irregular) {
        t->irregular = true;
        return;
    }
    r->block_row[i + 1] = t->block.rows;
    r->block_thread[i] = thread;
    const bool is_back = i < t->newest, fits = csv_keep_fits(r, i, t->block.rows);
    if (!is_back) t->newest = i;
    t->is_astray |= !fits;
    for (int j = 0; j < r->n_cols; j++) {
        const csv_column *c = &r->col[j];
        const place to = {c, &r->stats[(int64_t)thread * r->n_cols + j],
                          fits ? r->layout.lines[i] : 0};
        const csv_keep keep = fits ? c->keep : KEEP_NOTHING;
        if (c->expect == EXPECT_TEXT) {
            infer_texts(r, t, &to, is_back, keep);
        } else {
            const int64_t first = infer_numbers(r, t, &to, keep);
            if (c->run) c->run[i] = first;
        }
    }
}

/* Only columns that must be listed again. */
static void list_block(void *ctx, int64_t i, int thread)
{
    csv_reader *r = ctx;
    csv_thread *t = &r->thread[thread];

    if (t->fault.kind == FAULT_SYSTEM) return;
    csv_block_load(&t->block, &r->layout, i, &t->fault);
    for (int j = 0; j < r->n_cols; j++) {
        const place to = {&r->col[j], &r->stats[(int64_t)thread * r->n_cols + j], 0};
        if (to.c->expect == EXPECT_ANY) infer_texts(r, t, &to, true, KEEP_NOTHING);
    }
}

static void reset_all(csv_reader *r)
{
    for (int64_t k = 0; k < (int64_t)r->threads * r->n_cols; k++) stats_reset(&r->stats[k]);
    for (int t = 0; t < r->threads; t++) r->thread[t].fault = (csv_fault){0};
    for (int t = 0; t < r->threads; t++) r->thread[t].irregular = false;
    for (int t = 0; t < r->threads; t++) r->thread[t].newest = 0;
    for (int t = 0; t < r->threads; t++) r->thread[t].is_astray = false;
}

/* What block 0 says of each column. */
static mill_err probe(csv_reader *r)
{
    reset_all(r);
    for (int j = 0; j < r->n_cols; j++) {
        csv_column *c = &r->col[j];
        const bool listed = c->is_forced && (c->type == MILL_CATEGORY || c->type == MILL_BOOLEAN ||
                                             c->type == MILL_IDENTIFIER);
        c->expect = listed ? EXPECT_TEXT : EXPECT_NUMBER;
    }
    csv_thread *t = &r->thread[0];
    csv_block_load(&t->block, &r->layout, 0, &t->fault);
    for (int j = 0; j < r->n_cols && !t->block.irregular; j++) {
        csv_column *c = &r->col[j];
        csv_stats *st = &r->stats[j];
        const place nowhere = {c, st, 0};
        if (c->expect != EXPECT_TEXT) {
            const int64_t first = infer_numbers(r, t, &nowhere, KEEP_NOTHING);
            if (st->n[VALUE_TEXT] && !c->is_forced) c->expect = EXPECT_TEXT;
            if (!c->is_forced && first != RUN_BROKEN && !c->run) {
                c->run = mill_alloc((size_t)r->layout.n_blocks, sizeof *c->run);
                if (!c->run) return MILL_ENOMEM;
            }
        }
        c->keep = csv_keep_what(c, st);
    }
    if (t->fault.kind == FAULT_SYSTEM) return csv_faults(r);
    reset_all(r);
    return csv_keep_begin(r);
}

static void merge_counts(const csv_reader *r, int j)
{
    csv_stats *sum = &r->col[j].sum;

    for (int t = 0; t < r->threads; t++) {
        const csv_stats *st = &r->stats[(int64_t)t * r->n_cols + j];
        for (int k = 0; k < VALUE_N; k++) {
            sum->n[k] += st->n[k];
            if (st->first[k] < sum->first[k]) sum->first[k] = st->first[k];
        }
        sum->n_unlisted += st->n_unlisted;
        if (st->decimals > sum->decimals) sum->decimals = st->decimals;
        if (st->form) sum->form = !sum->form || sum->form == st->form ? st->form : -1;
    }
}

static mill_err merge_values(csv_reader *r, int j)
{
    csv_column *c = &r->col[j];
    csv_stats *sum = &c->sum;

    for (int t = 0; t < r->threads; t++) {
        dict *values = &r->stats[(int64_t)t * r->n_cols + j].values;
        int32_t *codes = NULL, unused;
        if (c->keep == KEEP_CODES && values->n) {
            if (!(codes = mill_alloc((size_t)values->n, sizeof *codes))) return MILL_ENOMEM;
            c->code_of[t] = (csv_codes){values->n, codes};
        }
        for (uint64_t i = 0; values->slot && i <= values->mask; i++) {
            const dict_slot *slot = &values->slot[i];
            if (!slot->code_1) continue;
            size_t n;
            const char *s = dict_text(values, slot->code_1 - 1, &n);
            TRY(dict_merge_code(codes ? &codes[slot->code_1 - 1] : &unused, &sum->values, s, n,
                                values->first[slot->code_1 - 1], slot->count));
        }
        dict_free(values);
    }
    return MILL_OK;
}

static void classify_listed(const csv_reader *r, csv_stats *sum)
{
    for (uint64_t i = 0; sum->values.slot && i <= sum->values.mask; i++) {
        const dict_slot *slot = &sum->values.slot[i];
        if (!slot->code_1) continue;
        csv_value v = {0};
        size_t n;
        const char *s = dict_text(&sum->values, slot->code_1 - 1, &n);
        /* Unquoted missing ones were never listed: what looks missing here was quoted. */
        const value_kind kind = csv_classify(r, &v, (csv_field){s, (uint32_t)n}, true);
        stats_add(sum, kind, &v, sum->values.first[slot->code_1 - 1], slot->count);
    }
}

static mill_err first_visit(csv_reader *r)
{
    bool irregular = false;

    TRY(probe(r));
    mill_pool_run(r->pool, r->layout.n_blocks, infer_block, r);
    for (int t = 0; t < r->threads; t++) irregular |= r->thread[t].irregular;
    if (irregular) {
        TRY(csv_layout_walk(&r->layout));
        TRY(probe(r));
        mill_pool_run(r->pool, r->layout.n_blocks, infer_block, r);
    }
    return MILL_OK;
}

mill_err csv_faults(const csv_reader *r)
{
    csv_fault fault = {0};

    for (int t = 0; t < r->threads; t++) fault_merge(&fault, &r->thread[t].fault);
    return fault.kind ? csv_fault_tell(r, &fault) : MILL_OK;
}

mill_err csv_list_again(csv_reader *r)
{
    reset_all(r);
    mill_pool_run(r->pool, r->layout.n_blocks, list_block, r);
    TRY(csv_faults(r));
    for (int j = 0; j < r->n_cols; j++) {
        if (r->col[j].expect != EXPECT_ANY) continue;
        dict_free(&r->col[j].sum.values);
        TRY(merge_values(r, j));
    }
    return MILL_OK;
}

mill_err csv_infer(csv_reader *r)
{
    TRY(first_visit(r));
    TRY(csv_faults(r));
    for (int64_t i = 0; i < r->layout.n_blocks; i++) r->block_row[i + 1] += r->block_row[i];
    for (int j = 0; j < r->n_cols; j++) {
        stats_reset(&r->col[j].sum);
        merge_counts(r, j);
        TRY(merge_values(r, j));
        classify_listed(r, &r->col[j].sum);
    }
    return MILL_OK;
}
