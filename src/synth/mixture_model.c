/*
 * mixture_model.c - a fitted mixture out of its file; the log-likelihood of rows.
 *
 *     log p(x) = log sum_k w_k prod_j p_j(x_j | k) - sum_j log width_j(x_j)
 *
 * width is how many of the column's numbers share the code (of reals: the length of the cell), so
 * that p is the probability of the row, and a density in its real columns.  A value that the model
 * cannot make has probability 0: -inf.  Products are
 * doubles that are scaled by 2^256 before they could vanish; one logarithm at the end.
 */
#include "synth/mixture.h"

#include "base/mem.h"
#include "base/vmath.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void mixture_model_close(void *model)
{
    mixture_model *m = model;
    if (!m) return;
    const int n = m->schema ? m->schema->n : 0;
    mixture_plan_free(m->plan, n);
    mixture_plan_free(m->free_plan, n);
    if (!m->lent) synth_coders_free(m->coder, n);
    mill_free(m->p);
    mill_free(m->word);
    mill_free(m);
}

static bool is_distribution(const float *p, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (!(p[i] >= 0 && p[i] <= 1)) return false;
    }
    return true;
}

static mill_err read_tables(mixture_model *m, const store *f)
{
    const int64_t any = -1;
    const store_tensor *t;

    TRY(store_get(&t, f, "mixture.weight", STORE_F32, 1, &any));
    if (t->dim[0] < 1 || t->dim[0] > 1 << 20 || !is_distribution(t->data, t->dim[0])) {
        return mill_fail(MILL_EINPUT, "the mixture's weights are broken");
    }
    m->k = (int)t->dim[0];
    m->weight = t->data;
    for (int j = 0; j < m->schema->n; j++) {
        const int64_t dim[2] = {m->coder[j].n, m->k};
        char name[64];
        if (!m->coder[j].n) continue;
        snprintf(name, sizeof name, "mixture.%d.p", j);
        TRY(store_get(&t, f, name, STORE_F32, 2, dim));
        if (!is_distribution(t->data, dim[0] * dim[1])) {
            return mill_fail(MILL_EINPUT, "column \"%s\": its probabilities are broken",
                             m->schema->col[j].name);
        }
        m->p[j] = t->data;
    }
    return MILL_OK;
}

/* Which random words of a row are whose. */
static void deal_words(mixture_model *m)
{
    m->words = 1;
    for (int j = 0; j < m->schema->n; j++) {
        m->word[j] = m->words;
        if (!m->coder[j].n) continue;
        m->words += (m->coder[j].n > MIXTURE_MANY_CODES ? 2 : 1) + m->coder[j].is_number;
    }
    m->words = (m->words + 3) / 4 * 4;
}

static mixture_model *model_new(const synth_schema *schema, mill_pool *pool)
{
    mixture_model *m = mill_alloc(1, sizeof *m);

    if (!m) return NULL;
    m->schema = schema;
    m->pool = pool;
    m->p = mill_alloc((size_t)schema->n + 1, sizeof *m->p);
    m->word = mill_alloc((size_t)schema->n + 1, sizeof *m->word);
    if (m->p && m->word) return m;
    mixture_model_close(m);
    return NULL;
}

mill_err mixture_model_of_fit(mixture_model **out, const synth_schema *schema,
                              const synth_codes *codes, int k, const float *weight, const float *p,
                              mill_pool *pool)
{
    mixture_model *m = model_new(schema, pool);

    if (!m) return MILL_ENOMEM;
    m->coder = codes->coder;
    m->lent = true;
    m->k = k;
    m->weight = weight;
    for (int j = 0; j < schema->n; j++) m->p[j] = p + (int64_t)codes->base[j] * k;
    deal_words(m);
    *out = m;
    return MILL_OK;
}

mill_err mixture_model_open(void **out, const store *f, const synth_schema *schema, mill_pool *pool)
{
    mixture_model *m = model_new(schema, pool);
    mill_err err;

    if (!m) return MILL_ENOMEM;
    if ((err = synth_coders_read(&m->coder, schema, f)) || (err = read_tables(m, f))) {
        mixture_model_close(m);
        return err;
    }
    deal_words(m);
    *out = m;
    return MILL_OK;
}

/* Rows to be scored; chunks of SCORE_ROWS, each thread with k doubles of its own. */
enum { SCORE_ROWS = 256, RESCALE_EVERY = 4 };
typedef struct {
    const mixture_model *m;
    const int32_t *code; /* (rows, columns) */
    const double *width; /* log of each code's width, all columns one behind the other */
    const int64_t *base;
    double *out, *product;
    int64_t rows;
} scoring;

/* Multiply by 2^256 while all of it is below 2^-256; how often. */
static int rescale(double *x, int n)
{
    double most = 0;
    int times = 0;

    for (int k = 0; k < n; k++) most = x[k] > most ? x[k] : most;
    if (!(most > 0)) return 0;
    while (most < 0x1p-256) {
        for (int k = 0; k < n; k++) x[k] *= 0x1p256;
        most *= 0x1p256;
        times++;
    }
    return times;
}

static double score_row(const scoring *s, const int32_t *code, double *x)
{
    const mixture_model *m = s->m;
    double log_width = 0, sum = 0;
    int scaled = 0, done = 0;

    for (int k = 0; k < m->k; k++) x[k] = (double)m->weight[k];
    for (int j = 0; j < m->schema->n; j++) {
        if (!m->coder[j].n) continue;
        if (code[j] < 0) return -(double)INFINITY;
        const float *p = m->p[j] + (int64_t)code[j] * m->k;
        for (int k = 0; k < m->k; k++) x[k] *= (double)p[k];
        log_width += s->width[s->base[j] + code[j]];
        if (++done % RESCALE_EVERY == 0) scaled += rescale(x, m->k);
    }
    for (int k = 0; k < m->k; k++) sum += x[k];
    return sum > 0 ? mill_log_f64(sum) - 256 * scaled * 0x1.62e42fefa39efp-1 - log_width
                   : -(double)INFINITY;
}

static void score_chunk(void *ctx, int64_t chunk, int thread)
{
    const scoring *s = ctx;
    const int64_t from = chunk * SCORE_ROWS;
    const int64_t to = from + SCORE_ROWS < s->rows ? from + SCORE_ROWS : s->rows;

    for (int64_t i = from; i < to; i++) {
        s->out[i] =
            score_row(s, s->code + i * s->m->schema->n, s->product + (int64_t)thread * s->m->k);
    }
}

static void fill_widths(double *width, int64_t *base, const mixture_model *m)
{
    for (int j = 0; j < m->schema->n; j++) {
        base[j + 1] = base[j] + m->coder[j].n;
        for (int32_t c = 0; c < m->coder[j].n; c++) {
            width[base[j] + c] =
                mill_log_f64(synth_coder_width(&m->coder[j], &m->schema->col[j], c));
        }
    }
}

/* NOLINTNEXTLINE(readability-non-const-parameter): rows are written through `scoring` */
mill_err mixture_score(void *model, double *out, const mill_table *t)
{
    mixture_model *m = model;
    const int n = m->schema->n, threads = m->pool ? mill_pool_threads(m->pool) : 1;
    int64_t codes = 0;
    mill_err err = MILL_ENOMEM;

    for (int j = 0; j < n; j++) codes += m->coder[j].n;
    int32_t *code = mill_alloc((size_t)t->rows * (size_t)n + 1, sizeof *code);
    double *width = mill_alloc((size_t)codes + 1, sizeof *width);
    int64_t *base = mill_alloc((size_t)n + 1, sizeof *base);
    double *product = mill_alloc((size_t)threads * (size_t)m->k, sizeof *product);
    if (!code || !width || !base || !product) goto done;
    fill_widths(width, base, m);
    if ((err = synth_codes_rows(code, m->coder, m->schema, t))) goto done;
    scoring s = {.m = m,
                 .code = code,
                 .width = width,
                 .base = base,
                 .out = out,
                 .product = product,
                 .rows = t->rows};
    mill_pool_run(m->pool, (t->rows + SCORE_ROWS - 1) / SCORE_ROWS, score_chunk, &s);
done:
    mill_free(code);
    mill_free(width);
    mill_free(base);
    mill_free(product);
    return err;
}
