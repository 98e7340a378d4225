/*
 * mixture_sample.c - rows out of a mixture: a component, then every column by itself.
 *
 * Row i takes the words [i W, (i + 1) W) of one array of random bits, which is a function of the
 * seed (base/philox.h): word 0 draws the component, then per column one word draws the code (two
 * where there are many codes) and one the place in a number's bin.  So a row depends on nothing but
 * (model, conditions, seed, i).
 *
 * Rows go through in chunks of MIXTURE_CHUNK_ROWS, column by column: one table at a time stays in
 * the cache, and so do the bits, which are drawn for MIXTURE_TILE_WORDS words of the rows at a
 * time.
 */
#include "synth/mixture.h"

#include "base/mem.h"
#include "base/philox.h"
#include "base/vrow.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum { STREAM_ROWS = 0x4d490001 };

typedef struct {
    const mixture_model *m;
    const mixture_plan *plan;
    mill_table *out;
    int64_t first, n;
    uint64_t seed;
    int tile_words;
    uint32_t *bits;                 /* per thread: MIXTURE_CHUNK_ROWS x tile_words */
    int32_t *component;             /* per thread: MIXTURE_CHUNK_ROWS */
    int32_t *code;                  /* likewise */
    atomic_int_fast64_t *n_missing; /* per column */
} sampling;

/* Words from, ... of a chunk's rows, `words` a row. */
typedef struct {
    const uint32_t *bits;
    int from, words;
} row_bits;

static inline int32_t draw_few(const alias_entry *t, int32_t n, uint32_t bits)
{
    const uint64_t product = (uint64_t)bits * (uint32_t)n;
    const int32_t i = (int32_t)(product >> 32);
    return (uint32_t)product < t[i].keep ? i : t[i].alias;
}

static inline int32_t draw_many(const alias_entry *t, int32_t n, const uint32_t *bits)
{
    const int32_t i = (int32_t)((uint64_t)bits[0] * (uint32_t)n >> 32);
    return bits[1] < t[i].keep ? i : t[i].alias;
}

static void draw_codes(const sampling *s, int j, int32_t *code, const int32_t *component,
                       const row_bits *b, int64_t rows)
{
    const int32_t n = s->m->coder[j].n;
    const alias_entry *leaf = s->plan->leaf[j];
    const int words = b->words;
    const uint32_t *bits = b->bits + (s->m->word[j] - b->from);

    if (n > MIXTURE_MANY_CODES) {
        for (int64_t i = 0; i < rows; i++) {
            code[i] = draw_many(leaf + (int64_t)component[i] * n, n, bits + i * words);
        }
    } else {
        for (int64_t i = 0; i < rows; i++) {
            code[i] = draw_few(leaf + (int64_t)component[i] * n, n, bits[i * words]);
        }
    }
}

/* u in the part of the code that the conditions leave. */
static double place(const synth_coder *c, int32_t code, const code_part *part, double u)
{
    if (!part || c->kind[code] == CODE_VALUE) return u;
    if (c->kind[code] == CODE_RANGE) return part->from + (part->to - part->from) * u;

    const int32_t n = c->at[code + 1] - c->at[code];
    const uint32_t met = part->points & ((1u << n) - 1);
    int skip = (int)(u * __builtin_popcount(met));
    for (int32_t i = 0; i < n; i++) {
        if ((met >> i & 1) && skip-- == 0) return ((double)i + 0.5) / n;
    }
    return u;
}

static void put_missing(mill_column *col, int64_t row)
{
    col->valid[row >> 3] = (uint8_t)(col->valid[row >> 3] & ~(1u << (row & 7)));
}

static void put_numbers(const sampling *s, int j, const int32_t *code, const row_bits *b,
                        int64_t at, int64_t rows)
{
    const synth_coder *c = &s->m->coder[j];
    const synth_column *column = &s->m->schema->col[j];
    const code_part *part = s->plan->part[j];
    const double least = s->plan->least[j], most = s->plan->most[j];
    mill_column *col = &s->out->col[j];
    const int words = b->words, place_word = c->n > MIXTURE_MANY_CODES ? 2 : 1;
    const uint32_t *bits = b->bits + (s->m->word[j] - b->from) + place_word;
    int64_t missing = 0;

    for (int64_t i = 0; i < rows; i++) {
        double x = 0;
        if (code[i] == c->missing) {
            put_missing(col, at + i);
            missing++;
        } else if (c->kind[code[i]] == CODE_VALUE) {
            x = c->point[c->at[code[i]]];
        } else {
            const double u = ((double)bits[i * words] + 0.5) * 0x1p-32;
            x = synth_coder_value(c, column, code[i],
                                  place(c, code[i], part ? &part[code[i]] : NULL, u));
            x = x < least ? least : x;
            x = x > most ? most : x;
        }
        if (col->type == MILL_REAL) {
            col->f64[at + i] = x;
        } else {
            col->i64[at + i] = synth_integer(x);
        }
    }
    if (missing) atomic_fetch_add(&s->n_missing[j], missing);
}

static void put_codes(const sampling *s, int j, const int32_t *code, int64_t at, int64_t rows)
{
    const int32_t none = s->m->coder[j].missing;
    mill_column *col = &s->out->col[j];
    int64_t missing = 0;

    memcpy(col->code + at, code, (size_t)rows * sizeof *code);
    for (int64_t i = 0; i < rows && none >= 0; i++) {
        if (code[i] != none) continue;
        col->code[at + i] = 0;
        put_missing(col, at + i);
        missing++;
    }
    if (missing) atomic_fetch_add(&s->n_missing[j], missing);
}

/* The words of columns j, j + 1, ... of rows at, ...; of the component too, before column 0. *end:
 * the column behind the last of them. */
static row_bits draw_bits(int *end, uint32_t *out, const sampling *s, int j, int64_t at,
                          int64_t rows)
{
    const mixture_model *m = s->m;
    const int from = j ? m->word[j] : 0;
    int to = m->words;

    for (*end = j + 1; *end < m->schema->n; ++*end) {
        const int next = *end + 1 < m->schema->n ? m->word[*end + 1] : m->words;
        if (next - from <= s->tile_words) continue;
        to = m->word[*end];
        break;
    }
    const int words = to - from;
    const bool whole = words == m->words; /* one run of bits for all rows */
    for (int64_t i = 0; i < (whole ? 1 : rows); i++) {
        const uint64_t first = (uint64_t)(s->first + at + i) * (uint64_t)m->words + (uint64_t)from;
        mill_vrow_random(out + i * words, whole ? rows * words : words,
                         (mill_vrand_key){.seed = s->seed, .stream = STREAM_ROWS, .first = first},
                         VRAND_BITS);
    }
    return (row_bits){out, from, words};
}

static void sample_chunk(void *ctx, int64_t chunk, int thread)
{
    const sampling *s = ctx;
    const int64_t at = chunk * MIXTURE_CHUNK_ROWS;
    const int64_t rows = s->n - at < MIXTURE_CHUNK_ROWS ? s->n - at : MIXTURE_CHUNK_ROWS;
    uint32_t *bits = s->bits + (int64_t)thread * MIXTURE_CHUNK_ROWS * s->tile_words;
    int32_t *component = s->component + (int64_t)thread * MIXTURE_CHUNK_ROWS;
    int32_t *code = s->code + (int64_t)thread * MIXTURE_CHUNK_ROWS;
    row_bits b = {0};

    for (int j = 0, end = 0; j < s->m->schema->n; j++) {
        const synth_coder *c = &s->m->coder[j];
        if (j == end) b = draw_bits(&end, bits, s, j, at, rows);
        for (int64_t i = 0; i < rows && j == 0; i++)
            component[i] = draw_few(s->plan->component, s->m->k, bits[i * b.words]);
        if (!c->n) continue;
        draw_codes(s, j, code, component, &b, rows);
        if (c->is_number) {
            put_numbers(s, j, code, &b, at, rows);
        } else {
            put_codes(s, j, code, at, rows);
        }
    }
}

/* A bitmap for every column that may miss values, all present to begin with. */
static mill_err make_bitmaps(const mixture_model *m, mill_table *t)
{
    for (int j = 0; j < t->n_cols && t->rows; j++) {
        mill_column *c = &t->col[j];
        if (m->coder[j].missing < 0) continue;
        TRY(column_set_missing(c, 0));
        memset(c->valid, 0xff, (size_t)(t->rows + 7) / 8);
        c->n_missing = 0;
    }
    return MILL_OK;
}

static bool same_conditions(const mixture_plan *p, const synth_where *w, int n)
{
    if (!p || p->n_where != n) return false;
    for (int i = 0; i < n; i++) {
        const synth_where *a = &p->where[i], *b = &w[i];
        if (a->col != b->col || a->op != b->op || a->missing != b->missing || a->code != b->code ||
            a->number != b->number) {
            return false;
        }
    }
    return true;
}

static mill_err find_plan(const mixture_plan **out, mixture_model *m, const synth_where *w, int n)
{
    if (!m->free_plan) TRY(mixture_plan_new(&m->free_plan, m, NULL, 0));
    if (n && !same_conditions(m->plan, w, n)) {
        mixture_plan *p;
        TRY(mixture_plan_new(&p, m, w, n));
        mixture_plan_free(m->plan, m->schema->n);
        m->plan = p;
    }
    *out = n ? m->plan : m->free_plan;
    return MILL_OK;
}

mill_err mixture_sample(void *model, mill_table *out, int64_t first, int64_t n, uint64_t seed,
                        const synth_where *w, int n_where)
{
    mixture_model *m = model;
    const size_t threads = m->pool ? (size_t)mill_pool_threads(m->pool) : 1;
    const size_t cols = (size_t)m->schema->n;
    sampling s = {.m = m, .out = out, .first = first, .n = n, .seed = seed};
    mill_err err;

    TRY(find_plan(&s.plan, m, w, n_where));
    TRY(make_bitmaps(m, out));
    s.tile_words = m->words < MIXTURE_TILE_WORDS ? m->words : MIXTURE_TILE_WORDS;
    s.bits = mill_alloc(threads * MIXTURE_CHUNK_ROWS, (size_t)s.tile_words * sizeof *s.bits);
    s.component = mill_alloc(threads * MIXTURE_CHUNK_ROWS, sizeof *s.component);
    s.code = mill_alloc(threads * MIXTURE_CHUNK_ROWS, sizeof *s.code);
    s.n_missing = mill_alloc(cols, sizeof *s.n_missing);
    err = s.bits && s.component && s.code && s.n_missing ? MILL_OK : MILL_ENOMEM;
    if (err == MILL_OK) {
        mill_pool_run(m->pool, (n + MIXTURE_CHUNK_ROWS - 1) / MIXTURE_CHUNK_ROWS, sample_chunk, &s);
        for (size_t j = 0; j < cols; j++) out->col[j].n_missing = s.n_missing[j];
    }
    mill_free(s.bits);
    mill_free(s.component);
    mill_free(s.code);
    mill_free(s.n_missing);
    return err;
}
