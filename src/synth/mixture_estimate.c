/*
 * mixture_estimate.c - how much memory a fit and a sampler will take, before anything is allocated.
 *
 * A fit takes the larger of coding (of a number column with more than 32,768 different values all
 * of them, and the radix sort's two arrays of keys; where rows are withheld, a copy of the table in
 * two parts) and EM: the codes; tables of (codes x
 * lanes), two of floats and above 8,192 rows one of 64-bit integers, and the span; at the end the
 * probabilities as they go to the file.
 *
 * Sampling takes the probabilities (mapped), alias tables of 8 bytes for each, random bits per
 * thread. The table that is read and the batch that is written are in neither: synth_table_bytes().
 *
 * A probe takes a sampler and its rows.
 *
 * A number's codes are not known before its values are sorted: `bins` is assumed, and the largest K
 * where K is to be chosen.
 */
#include "synth/mixture.h"
#include "synth/probe.h"

enum {
    BYTES_PER_PROBABILITY = 4 + 8,
    SORT_BYTES = 3 * 8 /* per value */
};

/* Texts and their offsets; every row has an identifier of its own. */
static int64_t dictionary_bytes(const synth_column *c, int64_t rows)
{
    if (c->type == MILL_IDENTIFIER) return (int64_t)((double)rows * (4 + c->id_bytes));
    return c->offset ? c->offset[c->n_values] + 4 * (int64_t)c->n_values : 0;
}

int64_t synth_table_bytes(const synth_schema *s, int64_t rows)
{
    int64_t bytes = 0;
    for (int j = 0; j < s->n; j++) {
        const synth_column *c = &s->col[j];
        bytes += rows * (synth_is_number(c->type) ? 8 : 4) + (c->n_missing ? rows / 8 : 0);
        bytes += dictionary_bytes(c, rows);
    }
    return bytes;
}

int64_t synth_coding_bytes(const synth_schema *s, const synth_config *c, int64_t coded)
{
    const int64_t order = 8 * s->rows; /* which row goes where; gone when the copies are made */
    int64_t copies = synth_table_bytes(s, s->rows);

    if (c->holdout_fraction <= 0) return coded;
    for (int j = 0; j < s->n; j++) copies += dictionary_bytes(&s->col[j], s->rows); /* in both */
    return copies + (coded > order ? coded : order);
}

/* Codes of one column, and the bytes of one code. */
static int64_t codes_of(const synth_column *c, const synth_config *o, int *width)
{
    int64_t n = c->type == MILL_IDENTIFIER ? 0 : synth_is_number(c->type) ? o->bins : c->n_values;

    if (c->type != MILL_IDENTIFIER && (c->n_missing || !n)) n++;
    *width = !n ? 0 : n <= 1 << 8 ? 1 : n <= 1 << 16 ? 2 : 4;
    return n;
}

static mill_err estimate(int64_t *fit_bytes, int64_t *sample_bytes, const synth_schema *s,
                         const synth_config *o, int64_t k, int threads)
{
    const int64_t rows = synth_probe_learnt(s->rows, o);
    int64_t n_codes = 0, code_bytes = 0, sort_bytes = 0, words = 1;

    for (int j = 0; j < s->n; j++) {
        int width;
        const int64_t n = codes_of(&s->col[j], o, &width);
        const bool number = width && !s->col[j].offset;
        n_codes += n;
        code_bytes += rows * width;
        words += n ? 1 + number + (n > MIXTURE_MANY_CODES) : 0;
        if (number && s->col[j].n_different > SYNTH_FEW_VALUES) sort_bytes = SORT_BYTES * rows;
    }
    if (n_codes > INT32_MAX) return mill_fail(MILL_EINPUT, "more than 2^31 different values");
    if (!k) k = mixture_most_k(rows, (int32_t)n_codes);

    const synth_codes shape = {.n_codes = (int32_t)n_codes, .n_cols = s->n};
    if (words > MIXTURE_TILE_WORDS) words = MIXTURE_TILE_WORDS;
    *sample_bytes = n_codes * k * BYTES_PER_PROBABILITY +
                    (int64_t)threads * MIXTURE_CHUNK_ROWS * (words * 4 + 8);
    int64_t training = code_bytes + em_bytes(&shape, rows, k) + n_codes * k * 4 + n_codes * 8;
    if (o->probe_every) /* its sampler has the probabilities already; the rows of the probe */
        training += *sample_bytes - n_codes * k * 4 + synth_table_bytes(s, PROBE_ROWS);
    const int64_t coding =
        synth_coding_bytes(s, o, code_bytes > sort_bytes ? code_bytes : sort_bytes);
    *fit_bytes = training > coding ? training : coding;
    return MILL_OK;
}

mill_err mixture_estimate(int64_t *fit_bytes, int64_t *sample_bytes, const synth_schema *s,
                          const synth_config *c, int threads)
{
    return estimate(fit_bytes, sample_bytes, s, c, c->components, threads);
}

mill_err independent_estimate(int64_t *fit_bytes, int64_t *sample_bytes, const synth_schema *s,
                              const synth_config *c, int threads)
{
    synth_config one = *c;

    one.probe_every = 0;
    one.holdout_fraction = 0;
    return estimate(fit_bytes, sample_bytes, s, &one, 1, threads);
}
