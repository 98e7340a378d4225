/*
 * sample.c - rows in batches: the method draws, conditions that it does not meet itself are met by
 * rejection.
 *
 * The method makes a sequence of candidates; candidate i is a function of (model, seed, native
 * conditions, i). Without rejection row i is candidate i.  With it, row i is the i-th candidate
 * that meets the other conditions: they are drawn in blocks of a fixed size and looked at in order,
 * so that the rows are the same in whatever batches they are asked for.  The acceptance rate counts
 * all candidates looked at.
 *
 * When GIVE_UP_AFTER candidates or more have been looked at and fewer than 1 in 10,000 was kept, it
 * fails.  That is asked at the end of each block, so that it, too, does not depend on the batches.
 */
#include "synth/schema.h"

#include "base/mem.h"

#include <string.h>

enum { GIVE_UP_AFTER = 12 * SYNTH_BLOCK };
static const double LEAST_ACCEPTANCE = 1e-4;

struct synth_sampler {
    synth_model *m;
    uint64_t seed;
    synth_where *native, *reject; /* native: what the method is shown */
    int n_native, n_reject;
    int64_t next_row;       /* rows handed out */
    int64_t next_candidate; /* candidates drawn */
    int64_t seen, kept;     /* candidates looked at, and kept */
    mill_table *block;      /* with rejection: candidates, looked at up to `at` */
    int64_t at;
};

mill_err synth_sampler_open(synth_sampler **out, synth_model *m, uint64_t seed,
                            const synth_where *w, int n_where)
{
    if (n_where > 32) return mill_fail(MILL_EINPUT, "more than 32 conditions");
    synth_sampler *s = mill_alloc(1, sizeof *s);
    if (!s) return MILL_ENOMEM;
    s->m = m;
    s->seed = seed;
    s->native = mill_alloc((size_t)n_where + 1, sizeof *w);
    s->reject = mill_alloc((size_t)n_where + 1, sizeof *w);
    if (!s->native || !s->reject) {
        synth_sampler_close(s);
        return MILL_ENOMEM;
    }
    const unsigned native =
        n_where && m->method->native ? m->method->native(m->model, w, n_where) : 0;
    for (int i = 0; i < n_where; i++) {
        const bool met = native >> i & 1;
        if (met || m->method->guided) s->native[s->n_native++] = w[i];
        if (!met) s->reject[s->n_reject++] = w[i];
    }
    *out = s;
    return MILL_OK;
}

void synth_sampler_close(synth_sampler *s)
{
    if (!s) return;
    mill_table_free(s->block);
    mill_free(s->native);
    mill_free(s->reject);
    mill_free(s);
}

double synth_sampler_acceptance(const synth_sampler *s)
{
    return s->seen ? (double)s->kept / (double)s->seen : 1;
}

static mill_err draw(synth_sampler *s, mill_table *t, int64_t n)
{
    TRY(s->m->method->sample(s->m->model, t, s->next_candidate, n, s->seed, s->native,
                             s->n_native));
    s->next_candidate += n;
    return MILL_OK;
}

/* Row `from` of a to row `to` of b; identifiers come later. */
static mill_err copy_row(mill_table *b, int64_t to, const mill_table *a, int64_t from)
{
    for (int j = 0; j < a->n_cols; j++) {
        const mill_column *src = &a->col[j];
        mill_column *dst = &b->col[j];
        if (src->type == MILL_IDENTIFIER) continue;
        if (!column_is_valid(src, from)) {
            TRY(column_set_missing(dst, to));
        } else if (column_has_codes(src)) {
            dst->code[to] = src->code[from];
        } else {
            dst->i64[to] = src->i64[from]; /* reals are as long */
        }
    }
    return MILL_OK;
}

static mill_err check_acceptance(const synth_sampler *s)
{
    if (s->seen < GIVE_UP_AFTER || (double)s->kept >= LEAST_ACCEPTANCE * (double)s->seen) {
        return MILL_OK;
    }
    return mill_fail(MILL_EINPUT,
                     "of %lld rows drawn %lld met the conditions, a rate of %.2g: fewer than 1 in "
                     "10,000 is given up",
                     (long long)s->seen, (long long)s->kept, synth_sampler_acceptance(s));
}

static bool meets(const synth_sampler *s, const mill_table *t, int64_t row)
{
    for (int i = 0; i < s->n_reject; i++) {
        if (!synth_where_holds(&s->reject[i], t, row)) return false;
    }
    return true;
}

static mill_err next_block(synth_sampler *s)
{
    mill_table_free(s->block);
    s->block = NULL;
    s->at = 0;
    TRY(synth_schema_table(&s->block, s->m->schema, SYNTH_BLOCK));
    return draw(s, s->block, SYNTH_BLOCK);
}

static mill_err fill_by_rejection(synth_sampler *s, mill_table *t)
{
    for (int64_t i = 0; i < t->rows;) {
        if (!s->block || s->at == s->block->rows) {
            TRY(check_acceptance(s));
            TRY(next_block(s));
        }
        s->seen++;
        if (!meets(s, s->block, s->at++)) continue;
        s->kept++;
        TRY(copy_row(t, i++, s->block, s->at - 1));
    }
    return MILL_OK;
}

mill_err synth_sampler_next(synth_sampler *s, mill_table **batch, int64_t n)
{
    mill_table *t;
    mill_err err;

    TRY(synth_schema_table(&t, s->m->schema, n));
    err = s->n_reject ? fill_by_rejection(s, t) : draw(s, t, n);
    if (err == MILL_OK) err = synth_put_ids(t, s->m->schema, s->next_row);
    if (err != MILL_OK) {
        mill_table_free(t);
        return err;
    }
    s->next_row += n;
    *batch = t;
    return MILL_OK;
}

/* ---- for several that draw together ---- */

bool synth_sampler_rejects(const synth_sampler *s)
{
    return s->n_reject > 0;
}

static mill_err keep_rows(mill_table **out, synth_sampler *s, const mill_table *t, int32_t *at)
{
    int64_t n = 0;
    mill_table *kept;
    mill_err err = MILL_OK;

    for (int64_t i = 0; i < t->rows; i++)
        if (meets(s, t, i)) at[n++] = (int32_t)i;
    TRY(synth_schema_table(&kept, s->m->schema, n));
    for (int64_t i = 0; i < n && !err; i++) err = copy_row(kept, i, t, at[i]);
    if (err)
        mill_table_free(kept);
    else
        *out = kept;
    return err;
}

mill_err synth_sampler_candidates(synth_sampler *s, mill_table **out, int32_t *at, int64_t first,
                                  int64_t n)
{
    mill_table *t;

    TRY(synth_schema_table(&t, s->m->schema, n));
    s->next_candidate = first;
    mill_err err = draw(s, t, n);
    if (!err && !s->n_reject) {
        *out = t;
        return MILL_OK;
    }
    if (!err) err = keep_rows(out, s, t, at);
    mill_table_free(t);
    return err;
}

mill_err synth_sampler_count(synth_sampler *s, int64_t seen, int64_t kept, bool is_enough)
{
    s->seen += seen;
    s->kept += kept;
    return is_enough ? MILL_OK : check_acceptance(s);
}
