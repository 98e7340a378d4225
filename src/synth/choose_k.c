/*
 * choose_k.c - the number of components by held-out likelihood.
 *
 * A tenth of the rows (of at most MOST_ROWS, drawn by the seed) is withheld; EM runs LADDER_STEPS
 * steps on the others for K = 25, 50, 100, ... and stops at the first K that does not make the
 * withheld rows likelier by LEAST_GAIN nats each.  The rungs double, so the whole ladder costs
 * about as much as its last two rungs.
 */
#include "synth/mixture.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/philox.h"
#include "base/text.h"

enum {
    MOST_ROWS = 50000,
    LADDER_STEPS = 15,
    LADDER_FIRST = 25,
    LADDER_LAST = 800,
    STREAM_SPLIT = 0x43480001,
    ROWS_PER_COMPONENT = 10
};
static const double LEAST_GAIN = 1e-3;
static const int64_t MOST_TABLE_BYTES = (int64_t)320 << 20; /* of log p, counts and their totals */

int mixture_most_k(int64_t rows, int32_t n_codes)
{
    int64_t k = LADDER_LAST;
    const int64_t by_memory = MOST_TABLE_BYTES / (16 * ((int64_t)n_codes + 1)) / 16 * 16;

    k = k < rows / ROWS_PER_COMPONENT ? k : rows / ROWS_PER_COMPONENT;
    k = k < by_memory ? k : by_memory;
    return k < 1 ? 1 : (int)k;
}

/* `kept` rows in a drawn order (the first of a shuffle): the last tenth is withheld. */
static mill_err split_rows(int32_t **out, int64_t *kept, int64_t rows, uint64_t seed)
{
    mill_rng rng = mill_rng_init(seed, STREAM_SPLIT, 0);
    if (rows > INT32_MAX) rows = INT32_MAX;
    const int64_t n = rows < MOST_ROWS ? rows : MOST_ROWS;
    int32_t *row = mill_alloc((size_t)n + 1, sizeof *row);
    if (!row) return MILL_ENOMEM;
    if (rows == n) {
        for (int64_t i = 0; i < n; i++) row[i] = (int32_t)i;
    } else {
        /* One of each stretch of rows / n: as good as a shuffle, and nothing of the table's length.
         */
        for (int64_t i = 0; i < n; i++) {
            const int64_t from = i * rows / n, to = (i + 1) * rows / n;
            row[i] = (int32_t)(from + mill_rng_below(&rng, (uint32_t)(to - from)));
        }
    }
    for (int64_t i = n - 1; i > 0; i--) {
        const uint32_t j = mill_rng_below(&rng, (uint32_t)i + 1);
        const int32_t swap = row[i];
        row[i] = row[j];
        row[j] = swap;
    }
    *out = row;
    *kept = n;
    return MILL_OK;
}

static mill_err rung(double *score, const synth_codes *codes, int k, const int32_t *row, int64_t n,
                     uint64_t seed, mill_pool *pool)
{
    const int64_t train = n - n / 10;
    em *e;

    TRY(em_new(&e, codes, k, row, train, true, pool));
    em_start(e, seed);
    mill_err err = MILL_OK;
    for (int i = 0; !err && i < LADDER_STEPS; i++) err = em_step(e);
    *score = em_score(e, row + train, n - train);
    em_free(e);
    return err;
}

mill_err mixture_choose_k(int *k, const synth_codes *codes, uint64_t seed, mill_pool *pool)
{
    const int most = mixture_most_k(codes->rows, codes->n_codes);
    int32_t *row;
    int64_t n;
    double best = 0;
    mill_err err = MILL_OK;

    *k = most < LADDER_FIRST ? most : LADDER_FIRST;
    if (most <= LADDER_FIRST) return MILL_OK;
    TRY(split_rows(&row, &n, codes->rows, seed));
    for (int next = *k; err == MILL_OK; next = next * 2 < most ? next * 2 : most) {
        double score;
        err = rung(&score, codes, next, row, n, seed, pool);
        if (err != MILL_OK) break;
        mill_log(MILL_LOG_INFO, "mixture: %d component%s, withheld rows %.4f nats", next,
                 mill_s(next), score);
        if (next > LADDER_FIRST && score < best + LEAST_GAIN) break;
        best = score;
        *k = next;
        if (next == most) break;
    }
    mill_free(row);
    return err;
}
