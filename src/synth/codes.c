/*
 * codes.c - a table into codes, column by column.
 *
 * Columns are taken one after another and released as they are done, so that of a table that lies
 * in a file one column is in memory at a time.  More than synth_codes_in_memory bytes of codes
 * lie in a file without a name.
 */
#include "synth/codes.h"

#include "base/mem.h"
#include "table/spool.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1 << 16 };
int64_t synth_codes_in_memory = (int64_t)1 << 30;

void synth_codes_free(synth_codes *c)
{
    if (!c) return;
    for (int j = 0; j < c->n_cols && c->code && !c->spool; j++) mill_free(c->code[j]);
    spool_free(c->spool);
    synth_coders_free(c->coder, c->n_cols);
    mill_free(c->base);
    mill_free(c->width);
    mill_free(c->code);
    mill_free(c->count);
    mill_free(c->size);
    mill_free(c->unit);
    mill_free(c);
}

/* One column on its way to codes; chunks of CHUNK rows are independent. */
typedef struct {
    const synth_coder *coder;
    const mill_column *col;
    const int32_t *map; /* of a category's codes, or NULL */
    void *out;
    int width;
    int64_t first, rows; /* the rows that out begins with and holds */
} encoding;

static int32_t code_of(const encoding *e, int64_t i)
{
    int32_t code;

    if (!column_is_valid(e->col, i)) return e->coder->missing;
    if (e->map) {
        code = e->map[e->col->code[i]];
        return code >= 0 ? code : e->coder->missing;
    }
    code = synth_coder_find(e->coder, synth_raw_number(e->col, i) + 0.0);
    return code >= 0 ? code : e->coder->missing;
}

static void encode_chunk(void *ctx, int64_t chunk, int thread)
{
    const encoding *e = ctx;
    const int64_t from = chunk * CHUNK, to = from + CHUNK < e->rows ? from + CHUNK : e->rows;

    (void)thread;
    for (int64_t i = from; i < to; i++) {
        const int32_t code = code_of(e, e->first + i);
        if (e->width == 1) {
            ((uint8_t *)e->out)[i] = (uint8_t)code;
        } else if (e->width == 2) {
            ((uint16_t *)e->out)[i] = (uint16_t)code;
        } else {
            ((int32_t *)e->out)[i] = code;
        }
    }
}

static void run_encoding(encoding *e, mill_pool *pool)
{
    mill_pool_run(pool, (e->rows + CHUNK - 1) / CHUNK, encode_chunk, e);
}

static void add_counts(synth_codes *c, int j, const encoding *e)
{
    int64_t *count = c->count + c->base[j];
    for (int64_t i = 0; i < e->rows; i++) {
        count[e->width == 1   ? ((const uint8_t *)e->out)[i]
              : e->width == 2 ? ((const uint16_t *)e->out)[i]
                              : ((const int32_t *)e->out)[i]]++;
    }
}

/* In pieces of 64 chunks, so that of codes in a file few are in memory. */
static void encode_column(synth_codes *c, int j, encoding *e, mill_pool *pool)
{
    const int64_t piece = (int64_t)64 * CHUNK;

    for (e->first = 0; e->first < c->rows; e->first += piece) {
        e->out = (char *)c->code[j] + e->first * e->width;
        e->rows = c->rows - e->first < piece ? c->rows - e->first : piece;
        run_encoding(e, pool);
        add_counts(c, j, e);
        if (c->spool) spool_release(c->spool, e->out, (size_t)(e->rows * e->width));
    }
}

static mill_err encode_all(synth_codes *c, const mill_table *t, const synth_schema *s,
                           mill_pool *pool)
{
    for (int j = 0; j < c->n_cols; j++) {
        encoding e = {.coder = &c->coder[j], .col = &t->col[j], .width = c->width[j]};
        int32_t *map = NULL;
        if (!c->coder[j].n) continue;
        if (!c->coder[j].is_number) TRY(synth_code_map(&map, &s->col[j], &t->col[j]));
        e.map = map;
        encode_column(c, j, &e, pool);
        mill_free(map);
        table_column_release(t, j);
    }
    return MILL_OK;
}

/* Every column of a file begins at a multiple of 64. */
static mill_err place_codes(synth_codes *c)
{
    size_t bytes = 0, at = 0;

    for (int j = 0; j < c->n_cols; j++)
        if (c->coder[j].n) bytes += ((size_t)c->rows * c->width[j] + 63) / 64 * 64;
    if (bytes > (size_t)synth_codes_in_memory) TRY(spool_new(&c->spool, bytes, NULL));
    for (int j = 0; j < c->n_cols; j++) {
        if (!c->coder[j].n) continue;
        c->code[j] =
            c->spool ? spool_at(c->spool, at) : mill_alloc((size_t)c->rows + 1, c->width[j]);
        if (!c->code[j]) return MILL_ENOMEM;
        at += ((size_t)c->rows * c->width[j] + 63) / 64 * 64;
    }
    return MILL_OK;
}

static mill_err fit_coders(synth_codes *c, const mill_table *t, const synth_schema *s,
                           const synth_config *o)
{
    for (int j = 0; j < c->n_cols; j++) {
        TRY(synth_coder_fit(&c->coder[j], &s->col[j], &t->col[j], o->bins, o->trim_rare));
        table_column_release(t, j);
        if (__builtin_add_overflow(c->base[j], c->coder[j].n, &c->base[j + 1])) {
            return mill_fail(MILL_EINPUT, "more than 2^31 different values");
        }
        c->width[j] = c->coder[j].n <= 1 << 8 ? 1 : c->coder[j].n <= 1 << 16 ? 2 : 4;
    }
    c->n_codes = c->base[c->n_cols];
    c->count = mill_alloc((size_t)c->n_codes + 1, sizeof *c->count);
    return c->count ? MILL_OK : MILL_ENOMEM;
}

mill_err synth_codes_fit(synth_codes **out, const mill_table *t, const synth_schema *s,
                         const synth_config *o, mill_pool *pool)
{
    synth_codes *c = mill_alloc(1, sizeof *c);
    mill_err err = MILL_ENOMEM;

    if (!c) return MILL_ENOMEM;
    c->rows = t->rows;
    c->n_cols = t->n_cols;
    c->coder = mill_alloc((size_t)t->n_cols + 1, sizeof *c->coder);
    c->base = mill_alloc((size_t)t->n_cols + 1, sizeof *c->base);
    c->width = mill_alloc((size_t)t->n_cols + 1, 1);
    c->code = mill_alloc((size_t)t->n_cols + 1, sizeof *c->code);
    c->size = mill_alloc((size_t)t->n_cols + 1, 3 * sizeof *c->size);
    c->unit = mill_alloc((size_t)t->n_cols + 1, sizeof *c->unit);
    if (!c->coder || !c->base || !c->width || !c->code || !c->size || !c->unit) goto fail;
    if ((err = fit_coders(c, t, s, o))) goto fail;
    if ((err = place_codes(c))) goto fail;
    if ((err = encode_all(c, t, s, pool))) goto fail;
    *out = c;
    return MILL_OK;
fail:
    synth_codes_free(c);
    return err;
}

mill_err synth_codes_rows(int32_t *out, const synth_coder *coder, const synth_schema *s,
                          const mill_table *t)
{
    for (int j = 0; j < s->n; j++) {
        const int at = table_find(t, s->col[j].name);
        int32_t *map = NULL;
        if (!coder[j].n) continue;
        if (at < 0) {
            return mill_fail(MILL_EINPUT, "the table has no column \"%s\"", s->col[j].name);
        }
        const mill_column *c = &t->col[at];
        if (column_has_codes(c) == coder[j].is_number) {
            return mill_fail(MILL_EINPUT, "column \"%s\" is of type %s here, and %s in the model",
                             c->name, mill_coltype_name(c->type),
                             mill_coltype_name(s->col[j].type));
        }
        if (!coder[j].is_number) TRY(synth_code_map(&map, &s->col[j], c));
        const encoding e = {.coder = &coder[j], .col = c, .map = map};
        for (int64_t i = 0; i < t->rows; i++) {
            int32_t code = code_of(&e, i);
            /* Without trimming a value that was never seen is no missing value. */
            if (code == coder[j].missing && !coder[j].clips && column_is_valid(c, i)) code = -1;
            out[i * s->n + j] = code;
        }
        mill_free(map);
    }
    return MILL_OK;
}
