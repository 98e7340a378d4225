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
    run->holds &= v == run->next;
    run->next = v == INT64_MAX ? v : v + 1;
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

/* A number written plainly, as nearly all are. */
static inline bool infer_quickly(quick_counts *q, run_state *run, const csv_block *b, csv_field f)
{
    number_shape p;
    int64_t v;

    if (!number_short_int(&v, f.s, f.n)) {
        if (!number_plain(&p, f.s, f.n)) return false;
        if (p.fraction) {
            if (!q->reals++) q->first_real = csv_offset(b, f.s);
            if (p.fraction > q->decimals) q->decimals = p.fraction;
            run->holds = false;
            return true;
        }
        if (p.whole > 18) return false; /* may be no int64 */
        v = (int64_t)number_plain_digits(&p);
        run->holds &= v || !p.negative; /* "-0" would be written as 0 */
        v = p.negative ? -v : v;
    }
    if (!q->ints++) q->first_int = csv_offset(b, f.s);
    run_add(run, v);
    return true;
}

static int64_t infer_numbers(csv_reader *r, csv_thread *t, const csv_column *c, csv_stats *st)
{
    const csv_block *b = &t->block;
    run_state run = {RUN_BROKEN, RUN_BROKEN, true};
    quick_counts q = {.first_int = INT64_MAX, .first_real = INT64_MAX};

    for (int64_t i = 0; i < b->rows; i++) {
        csv_field f = csv_get(b, i, c->file_col, c->is_last);
        if (!f.n) {
            q.missing++;
            continue;
        }
        if (!r->na_numeric && infer_quickly(&q, &run, b, f)) continue;
        csv_value value = {0};
        mill_err err = MILL_OK;
        const int64_t at = csv_offset(b, f.s);
        const bool quoted = csv_unquote(t, r->layout.quote, &f, &err);
        if (err) fault_note_system(&t->fault, err);
        const value_kind kind = csv_classify(r, &value, f, quoted);
        if (kind == VALUE_TEXT) (void)text_ok(t, c, f, at);
        stats_add(st, kind, &value, at, 1);
        st->n_unlisted += kind != VALUE_MISSING;
        run.holds &= kind == VALUE_INT && value.is_plain;
        if (run.holds) run_add(&run, value.num.i64);
    }
    if (q.decimals > NUMBER_MAX_DECIMALS) q.decimals = NUMBER_MAX_DECIMALS;
    add_quick(st, &q);
    return run.holds && !q.missing ? run.first : RUN_BROKEN;
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

/* One text that is present; at: its offset in the file.  False: out of memory. */
static inline bool count_text(csv_thread *t, const csv_column *c, csv_stats *st, const dict_key *k,
                              csv_field f, int64_t at, bool is_back)
{
    dict_slot *slot = dict_find_key(&st->values, k, f.s, f.n);

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
        fits = count_text(t, c, st, &w->at[i].key, w->at[i].f, w->at[i].at, is_back);
    w->n = 0;
    return fits;
}

/*
 * is_back: the block lies before one that this thread has seen.  is_large: the dictionary's slots
 * are far away, and are asked for some texts ahead.
 */
static inline __attribute__((always_inline)) void infer_texts_of(const csv_reader *r, csv_thread *t,
                                                                 const csv_column *c, csv_stats *st,
                                                                 bool is_back, const bool is_large)
{
    const csv_block *b = &t->block;
    const char quote = r->layout.quote;
    csv_texts w;

    w.n = 0;
    for (int64_t i = 0; i < b->rows; i++) {
        csv_field f = csv_get(b, i, c->file_col, c->is_last);
        if (!f.n) {
            st->n[VALUE_MISSING]++;
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
            continue;
        }
        const dict_key k = dict_make_key(f.s, f.n);
        if (!is_large) {
            if (!count_text(t, c, st, &k, f, at, is_back)) return;
            continue;
        }
        dict_prefetch(&st->values, &k);
        w.at[w.n].key = k;
        w.at[w.n].f = f;
        w.at[w.n++].at = at;
        /* What was unquoted into the scratch is gone with the next. */
        if ((w.n == CSV_TEXTS || f.s == t->scratch) && !flush_texts(t, c, st, &w, is_back)) return;
    }
    (void)flush_texts(t, c, st, &w, is_back);
}

static void infer_texts(const csv_reader *r, csv_thread *t, const csv_column *c, csv_stats *st,
                        bool is_back)
{
    if (dict_is_large(&st->values))
        infer_texts_of(r, t, c, st, is_back, true);
    else
        infer_texts_of(r, t, c, st, is_back, false);
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
    const bool is_back = i < t->newest;
    if (!is_back) t->newest = i;
    for (int j = 0; j < r->n_cols; j++) {
        csv_column *c = &r->col[j];
        csv_stats *st = &r->stats[(int64_t)thread * r->n_cols + j];
        if (c->expect == EXPECT_TEXT) {
            infer_texts(r, t, c, st, is_back);
        } else {
            const int64_t first = infer_numbers(r, t, c, st);
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
        csv_column *c = &r->col[j];
        if (c->expect == EXPECT_ANY)
            infer_texts(r, t, c, &r->stats[(int64_t)thread * r->n_cols + j], true);
    }
}

static void reset_all(csv_reader *r)
{
    for (int64_t k = 0; k < (int64_t)r->threads * r->n_cols; k++) stats_reset(&r->stats[k]);
    for (int t = 0; t < r->threads; t++) r->thread[t].fault = (csv_fault){0};
    for (int t = 0; t < r->threads; t++) r->thread[t].irregular = false;
    for (int t = 0; t < r->threads; t++) r->thread[t].newest = 0;
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
        if (c->expect == EXPECT_TEXT) continue;
        const int64_t first = infer_numbers(r, t, c, st);
        if (st->n[VALUE_TEXT] && !c->is_forced) c->expect = EXPECT_TEXT;
        if (c->is_forced || first == RUN_BROKEN || c->run) continue;
        c->run = mill_alloc((size_t)r->layout.n_blocks, sizeof *c->run);
        if (!c->run) return MILL_ENOMEM;
    }
    if (t->fault.kind == FAULT_SYSTEM) return csv_faults(r);
    reset_all(r);
    return MILL_OK;
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
    csv_stats *sum = &r->col[j].sum;

    for (int t = 0; t < r->threads; t++) {
        dict *values = &r->stats[(int64_t)t * r->n_cols + j].values;
        for (uint64_t i = 0; values->slot && i <= values->mask; i++) {
            const dict_slot *slot = &values->slot[i];
            if (!slot->code_1) continue;
            size_t n;
            const char *s = dict_text(values, slot->code_1 - 1, &n);
            TRY(dict_merge(&sum->values, s, n, values->first[slot->code_1 - 1], slot->count));
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
