/*
 * span.c - fit, encode and decode spans (span.h).  Columns are dealt to the threads of the pool.
 */
#include "synth/span.h"

#include "base/mem.h"
#include "synth/schema.h"

#include <math.h>
#include <string.h>

enum {
    FIT_ROWS = 1 << 20,    /* modes are fitted to at most so many rows, evenly spaced */
    ENCODE_BLOCK = 1 << 14 /* rows coded at a time */
};
/* Streams of randomness, apart from those of the graphs (which count from 1). */
static const uint32_t stream_fit = 0x10000000, stream_mode = 0x20000000;

/* ---- which columns, which units ---- */

static int count_learnt(const synth_schema *s)
{
    int n = 0;
    for (int i = 0; i < s->n; i++) n += s->col[i].type != MILL_IDENTIFIER;
    return n;
}

static mill_err spans_new(synth_spans **out, const synth_schema *schema)
{
    synth_spans *s = mill_alloc(1, sizeof *s);
    if (!s) return MILL_ENOMEM;
    s->n = count_learnt(schema);
    s->col = mill_alloc((size_t)s->n + 1, sizeof *s->col);
    if (!s->col) {
        spans_free(s);
        return MILL_ENOMEM;
    }
    for (int i = 0, k = 0; i < schema->n; i++) {
        const synth_column *c = &schema->col[i];
        if (c->type == MILL_IDENTIFIER) continue;
        span_column *p = &s->col[k++];
        p->col = i;
        p->is_number = synth_is_number(c->type);
        p->has_missing = c->n_missing > 0;
    }
    *out = s;
    return MILL_OK;
}

/* Widths are known: lay the spans out. */
static mill_err lay_out(synth_spans *s, const synth_schema *schema)
{
    s->n_numbers = s->n_discrete = s->n_spans = 0;
    for (int k = 0; k < s->n; k++) s->n_spans += 1 + s->col[k].is_number;
    s->table = mill_alloc((size_t)s->n_spans * 3 + 1, sizeof *s->table);
    if (!s->table) return MILL_ENOMEM;

    int64_t at = 0, cond = 0;
    int32_t *row = s->table;
    for (int k = 0; k < s->n; k++) {
        span_column *p = &s->col[k];
        p->number = p->discrete = -1;
        p->width = (p->is_number ? p->modes.n : schema->col[p->col].n_values) + p->has_missing;
        if (p->is_number) {
            p->number = s->n_numbers++;
            memcpy(row, (int32_t[]){(int32_t)at++, 1, SPAN_TANH}, 3 * sizeof *row);
            row += 3;
        } else {
            p->discrete = s->n_discrete++;
            p->cond = (int32_t)cond;
            cond += p->width;
        }
        p->start = (int32_t)at;
        memcpy(row, (int32_t[]){p->start, p->width, SPAN_SOFTMAX}, 3 * sizeof *row);
        row += 3;
        at += p->width;
        if (at > INT32_MAX / 64)
            return mill_fail(MILL_EINPUT,
                             "the columns have %lld values together: too many to learn",
                             (long long)at);
    }
    s->width = (int32_t)at;
    s->cond_width = (int32_t)cond;
    return MILL_OK;
}

void spans_free(synth_spans *s)
{
    if (!s) return;
    mill_free(s->col);
    mill_free(s->table);
    mill_free(s->count);
    mill_free(s->file_modes);
    mill_free(s->file_cols);
    mill_free(s);
}

/* ---- fit ---- */

typedef struct {
    synth_spans *s;
    const mill_table *t;
    const synth_schema *schema;
    uint64_t seed;
    mill_err *err; /* per column */
    char (*words)[256];
} fit_work;

static double clipped(const synth_column *c, double x)
{
    return x < c->least ? c->least : x > c->most ? c->most : x;
}

static mill_err fit_number(span_column *p, const fit_work *w)
{
    const mill_column *c = &w->t->col[p->col];
    const int64_t every = (c->rows + FIT_ROWS - 1) / FIT_ROWS;
    double *x = mill_alloc((size_t)(c->rows / (every ? every : 1)) + 1, sizeof *x);
    int64_t n = 0;
    mill_err err = MILL_OK;

    if (!x) return MILL_ENOMEM;
    for (int64_t i = 0; i < c->rows; i += every)
        if (column_is_valid(c, i)) x[n++] = clipped(&w->schema->col[p->col], column_f64(c, i));
    if (n > 0)
        err = modes_fit(&p->modes, x, n, w->seed, stream_fit + (uint32_t)p->col);
    else if (!p->has_missing)
        p->has_missing = true; /* present cells exist, but none was among the rows looked at */
    mill_free(x);
    return err;
}

static void fit_column(void *ctx, int64_t k, int thread)
{
    const fit_work *w = ctx;
    (void)thread;
    if (!w->s->col[k].is_number) return;
    if ((w->err[k] = fit_number(&w->s->col[k], w)))
        memcpy(w->words[k], mill_error(), strnlen(mill_error(), 255));
    table_column_release(w->t, w->s->col[k].col);
}

mill_err spans_fit(synth_spans **out, const mill_table *t, const synth_schema *s, uint64_t seed,
                   mill_pool *pool)
{
    fit_work w = {.t = t, .schema = s, .seed = seed};
    mill_err err;

    TRY(spans_new(&w.s, s));
    w.err = mill_alloc((size_t)w.s->n + 1, sizeof *w.err);
    w.words = mill_alloc((size_t)w.s->n + 1, sizeof *w.words);
    err = w.err && w.words ? MILL_OK : MILL_ENOMEM;
    if (!err) mill_pool_run(pool, w.s->n, fit_column, &w);
    for (int k = 0; !err && k < w.s->n; k++)
        if (w.err[k]) err = mill_fail(w.err[k], "%s", w.words[k]);
    if (!err) err = lay_out(w.s, s);
    if (!err) {
        w.s->count = mill_alloc((size_t)w.s->cond_width + 1, sizeof *w.s->count);
        if (!w.s->count) err = MILL_ENOMEM;
    }
    mill_free(w.err);
    mill_free(w.words);
    if (err) {
        spans_free(w.s);
        return err;
    }
    *out = w.s;
    return MILL_OK;
}

mill_err spans_assume(synth_spans **out, int64_t *row_bytes, const synth_schema *schema)
{
    synth_spans *s;
    mill_err err;

    TRY(spans_new(&s, schema));
    for (int k = 0; k < s->n; k++) s->col[k].modes.n = s->col[k].is_number ? MODES_MAX : 0;
    err = lay_out(s, schema);
    if (!err) {
        s->count = mill_alloc((size_t)s->cond_width + 1, sizeof *s->count);
        err = s->count ? MILL_OK : MILL_ENOMEM;
    }
    if (err) {
        spans_free(s);
        return err;
    }
    int64_t bytes =
        (int64_t)sizeof(float) * s->n_numbers + (int64_t)sizeof(int32_t) * s->n_discrete;
    for (int k = 0; k < s->n; k++)
        bytes +=
            s->col[k].width > UINT16_MAX ? (int64_t)sizeof(int32_t) : (int64_t)sizeof(uint16_t);
    *row_bytes = bytes * schema->rows;
    *out = s;
    return MILL_OK;
}

/* ---- encode ---- */

typedef struct {
    span_rows *r;
    const synth_spans *s;
    const mill_table *t;
    const synth_schema *schema;
    int32_t **map; /* per column: the table's code -> ours; NULL for numbers */
    uint64_t seed;
} encode_work;

static void put_code(span_rows *r, int64_t row, int col, int32_t code)
{
    const int64_t at = row * r->n_cols + col;
    if (r->code16)
        r->code16[at] = (uint16_t)code;
    else
        r->code32[at] = code;
}

/* Values by spelling: one that the schema does not have (trimmed, or never seen) is missing. */
static mill_err map_codes(int32_t **out, const span_column *p, const mill_column *c,
                          const synth_column *s)
{
    TRY(synth_code_map(out, s, c));
    for (int32_t v = 0; v < c->n_values; v++)
        if ((*out)[v] < 0) (*out)[v] = p->width - 1;
    return MILL_OK;
}

static void encode_number(const encode_work *w, int k, int64_t from, int n)
{
    const span_column *p = &w->s->col[k];
    const mill_column *c = &w->t->col[p->col];
    const synth_column *sc = &w->schema->col[p->col];
    double x[256];
    float u[256];
    int32_t mode[256];

    for (int64_t at = from; at < from + n; at += 256) {
        const int len = (int)(from + n - at < 256 ? from + n - at : 256);
        const modes_draw d = {w->seed, stream_mode + (uint32_t)p->col, at};

        for (int i = 0; i < len; i++)
            x[i] = column_is_valid(c, at + i) ? clipped(sc, column_f64(c, at + i)) : sc->least;
        if (p->modes.n) modes_apply(u, mode, x, len, &p->modes, &d);
        for (int i = 0; i < len; i++) {
            const bool valid = p->modes.n && column_is_valid(c, at + i);
            w->r->u[(at + i) * w->r->n_numbers + p->number] = valid ? u[i] : 0;
            put_code(w->r, at + i, k, valid ? mode[i] : p->width - 1);
        }
    }
}

static void encode_block(void *ctx, int64_t block, int thread)
{
    const encode_work *w = ctx;
    const int64_t from = block * ENCODE_BLOCK;
    const int n = (int)(w->r->n - from < ENCODE_BLOCK ? w->r->n - from : ENCODE_BLOCK);
    (void)thread;

    for (int k = 0; k < w->s->n; k++) {
        const span_column *p = &w->s->col[k];
        const mill_column *c = &w->t->col[p->col];
        if (p->is_number) {
            encode_number(w, k, from, n);
            continue;
        }
        for (int64_t i = from; i < from + n; i++)
            put_code(w->r, i, k, column_is_valid(c, i) ? w->map[k][c->code[i]] : p->width - 1);
    }
}

/* Rows by value: a counting sort for each discrete column. */
static mill_err index_rows(span_rows *r, const synth_spans *s)
{
    if (r->n > INT32_MAX) return mill_fail(MILL_EINPUT, "more than 2^31 rows: not for this method");
    memset(s->count, 0, (size_t)s->cond_width * sizeof *s->count);
    for (int k = 0; k < s->n; k++) {
        const span_column *p = &s->col[k];
        if (p->discrete < 0) continue;
        for (int64_t i = 0; i < r->n; i++) s->count[p->cond + span_code(r, i, k)]++;
    }
    r->first = mill_alloc((size_t)s->cond_width + 1, sizeof *r->first);
    r->id = mill_alloc((size_t)r->n * (size_t)s->n_discrete + 1, sizeof *r->id);
    int64_t *at = mill_alloc((size_t)s->cond_width + 1, sizeof *at);
    if (!r->first || !r->id || !at) {
        mill_free(at);
        return MILL_ENOMEM;
    }
    for (int32_t c = 0; c < s->cond_width; c++)
        at[c] = r->first[c], r->first[c + 1] = r->first[c] + s->count[c];
    for (int k = 0; k < s->n; k++) {
        const span_column *p = &s->col[k];
        if (p->discrete < 0) continue;
        for (int64_t i = 0; i < r->n; i++) r->id[at[p->cond + span_code(r, i, k)]++] = (int32_t)i;
    }
    mill_free(at);
    return MILL_OK;
}

static mill_err rows_new(span_rows *r, const synth_spans *s, int64_t n)
{
    bool narrow = true;
    for (int k = 0; k < s->n; k++) narrow &= s->col[k].width <= UINT16_MAX;
    r->n = n;
    r->n_numbers = s->n_numbers;
    r->n_cols = s->n;
    r->u = mill_alloc((size_t)n * (size_t)s->n_numbers + 1, sizeof *r->u);
    if (narrow)
        r->code16 = mill_alloc((size_t)n * (size_t)s->n + 1, sizeof *r->code16);
    else
        r->code32 = mill_alloc((size_t)n * (size_t)s->n + 1, sizeof *r->code32);
    return r->u && (r->code16 || r->code32) ? MILL_OK : MILL_ENOMEM;
}

mill_err spans_encode(span_rows *out, const synth_spans *s, const mill_table *t,
                      const synth_schema *schema, uint64_t seed, mill_pool *pool)
{
    span_rows r = {0};
    encode_work w = {.r = &r, .s = s, .t = t, .schema = schema, .seed = seed};
    mill_err err = rows_new(&r, s, t->rows);

    w.map = mill_alloc((size_t)s->n + 1, sizeof *w.map);
    if (!err && !w.map) err = MILL_ENOMEM;
    for (int k = 0; !err && k < s->n; k++)
        if (!s->col[k].is_number)
            err = map_codes(&w.map[k], &s->col[k], &t->col[s->col[k].col],
                            &schema->col[s->col[k].col]);
    if (!err) {
        mill_pool_run(pool, (t->rows + ENCODE_BLOCK - 1) / ENCODE_BLOCK, encode_block, &w);
        err = index_rows(&r, s);
    }
    for (int k = 0; w.map && k < s->n; k++) mill_free(w.map[k]);
    mill_free(w.map);
    if (err) {
        span_rows_free(&r);
        return err;
    }
    *out = r;
    return MILL_OK;
}

void span_rows_free(span_rows *r)
{
    mill_free(r->u);
    mill_free(r->code16);
    mill_free(r->code32);
    mill_free(r->first);
    mill_free(r->id);
    memset(r, 0, sizeof *r);
}

/* ---- decode ---- */

mill_err spans_decode_begin(mill_table *out, const synth_spans *s)
{
    for (int k = 0; k < s->n; k++) {
        mill_column *c = &out->col[s->col[k].col];
        if (!s->col[k].has_missing || c->valid || c->rows == 0) continue;
        TRY(column_set_missing(c, 0));
        c->valid[0] |= 1;
        c->n_missing = 0;
    }
    return MILL_OK;
}

void spans_decode_end(mill_table *out, const synth_spans *s)
{
    for (int k = 0; k < s->n; k++) {
        mill_column *c = &out->col[s->col[k].col];
        if (!c->valid) continue;
        c->n_missing = 0;
        for (int64_t i = 0; i < c->rows; i++) c->n_missing += !column_is_valid(c, i);
    }
}

void spans_decode(mill_table *out, int64_t row, const synth_spans *s, const synth_schema *schema,
                  const float *x, const float *u, int64_t n)
{
    for (int k = 0, span = 0; k < s->n; k++, span++) {
        const span_column *p = &s->col[k];
        mill_column *c = &out->col[p->col];
        span += p->is_number;
        for (int64_t i = 0; i < n; i++) {
            const float *pick = x + i * s->n_spans + span;
            const int32_t code = (int32_t)*pick;

            if (p->has_missing && code == p->width - 1)
                c->valid[(row + i) >> 3] &= (uint8_t) ~(1u << ((row + i) & 7));
            else if (p->is_number)
                synth_put_number(
                    c, &schema->col[p->col], row + i,
                    modes_inverse(&p->modes,
                                  (double)(u ? u[i * s->n_numbers + p->number] : pick[-1]), code));
            else
                c->code[row + i] = code;
        }
    }
}

mill_ref spans_node(mill_graph *g, const synth_spans *s)
{
    return mill_const(g, MILL_T_I32, SHAPE(s->n_spans, 3), s->table);
}

/* ---- the file ---- */

enum { MODE_WORDS = 1 + 3 * MODES_MAX, COL_WORDS = 3 };

mill_err spans_write(const synth_spans *s, store_writer *w)
{
    synth_spans *own =
        (synth_spans *)s; /* the buffers that the writer borrows are no part of its value */
    mill_free(own->file_modes);
    mill_free(own->file_cols);
    own->file_modes = mill_alloc((size_t)s->n * MODE_WORDS + 1, sizeof(double));
    own->file_cols = mill_alloc((size_t)s->n * COL_WORDS + 1, sizeof(int32_t));
    if (!own->file_modes || !own->file_cols) return MILL_ENOMEM;
    for (int k = 0; k < s->n; k++) {
        const span_column *p = &s->col[k];
        double *m = own->file_modes + (int64_t)k * MODE_WORDS;
        m[0] = p->modes.n;
        double *mean = m + 1, *sd = mean + MODES_MAX, *log_weight = sd + MODES_MAX;
        memcpy(mean, p->modes.mean, sizeof p->modes.mean);
        memcpy(sd, p->modes.sd, sizeof p->modes.sd);
        memcpy(log_weight, p->modes.log_weight, sizeof p->modes.log_weight);
        memcpy(own->file_cols + (int64_t)k * COL_WORDS,
               (int32_t[]){p->col, p->is_number, p->has_missing}, COL_WORDS * sizeof(int32_t));
    }
    TRY(store_writer_add(w, "span.modes", STORE_F64, 2, (int64_t[]){s->n, MODE_WORDS},
                         own->file_modes));
    TRY(store_writer_add(w, "span.columns", STORE_I32, 2, (int64_t[]){s->n, COL_WORDS},
                         own->file_cols));
    return store_writer_add(w, "span.count", STORE_I64, 1, (int64_t[]){s->cond_width}, s->count);
}

static mill_err read_columns(synth_spans *s, const store_tensor *modes, const store_tensor *cols,
                             const synth_schema *schema)
{
    for (int k = 0; k < s->n; k++) {
        const double *m = (const double *)modes->data + (int64_t)k * MODE_WORDS;
        const int32_t *c = (const int32_t *)cols->data + (int64_t)k * COL_WORDS;
        span_column *p = &s->col[k];

        if (c[0] != p->col || (c[1] != 0) != p->is_number || !(m[0] >= 0 && m[0] <= MODES_MAX))
            return mill_fail(MILL_EINPUT, "span.columns: row %d does not fit column \"%s\"", k,
                             schema->col[p->col].name);
        p->has_missing = c[2] != 0;
        p->modes.n = (int)m[0];
        const double *mean = m + 1, *sd = mean + MODES_MAX, *log_weight = sd + MODES_MAX;
        memcpy(p->modes.mean, mean, sizeof p->modes.mean);
        memcpy(p->modes.sd, sd, sizeof p->modes.sd);
        memcpy(p->modes.log_weight, log_weight, sizeof p->modes.log_weight);
    }
    return MILL_OK;
}

mill_err spans_read(synth_spans **out, const store *f, const synth_schema *schema)
{
    const store_tensor *modes, *cols, *count;
    synth_spans *s;
    mill_err err;

    TRY(spans_new(&s, schema));
    if ((err = store_get(&modes, f, "span.modes", STORE_F64, 2, (int64_t[]){s->n, MODE_WORDS})))
        goto fail;
    if ((err = store_get(&cols, f, "span.columns", STORE_I32, 2, (int64_t[]){s->n, COL_WORDS})))
        goto fail;
    if ((err = read_columns(s, modes, cols, schema))) goto fail;
    if ((err = lay_out(s, schema))) goto fail;
    if ((err = store_get(&count, f, "span.count", STORE_I64, 1, (int64_t[]){s->cond_width})))
        goto fail;
    s->count = mill_alloc((size_t)s->cond_width + 1, sizeof *s->count);
    if (!s->count) {
        err = MILL_ENOMEM;
        goto fail;
    }
    memcpy(s->count, count->data, (size_t)s->cond_width * sizeof *s->count);
    *out = s;
    return MILL_OK;
fail:
    spans_free(s);
    return err;
}
