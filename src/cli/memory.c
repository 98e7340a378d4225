/*
 * memory.c - the largest training batch that fits, by bisection over the plan's own estimate (which
 * grows with the batch).
 *
 * Batches are tried in units that every method takes: ctgan wants an even number that is a multiple
 * of pac, and in parts of pac times their number.
 */
#include "cli/cli.h"

#include <string.h>

/*
 * oneDNN's code and the kernels that it generates at its first products: 4.3 to 5.5 MiB on penguins
 * and Adult, whatever the widths. Methods with a training batch are the ones that multiply
 * matrices.
 */
enum { PRODUCTS_BYTES = 5 << 20, TEXT_BYTES = 8 /* of a cell, on average */ };

static const opt_row *batch_row(void)
{
    const opt_row *r = synth_rows;

    while (strcmp(r->name, "batch-size") != 0) r++;
    return r;
}

int64_t cli_library_bytes(const synth_method *m)
{
#ifdef MILL_ONEDNN
    return cli_row_is_used(batch_row(), m->name) ? PRODUCTS_BYTES : 0;
#else
    (void)m;
    return 0;
#endif
}

int64_t cli_draw_bytes(const synth_schema *s, int64_t batch)
{
    return synth_table_bytes(s, batch) + TEXT_BYTES * batch * s->n;
}

static bool fits(const synth_method *m, const synth_schema *s, const synth_config *c, int threads,
                 int64_t bytes, int64_t batch)
{
    synth_config with = *c;
    int64_t fit_bytes, sample_bytes;

    with.batch_size = batch;
    return m->estimate(&fit_bytes, &sample_bytes, s, &with, threads) == MILL_OK &&
           fit_bytes <= bytes;
}

int64_t cli_largest_batch(const synth_method *m, const synth_schema *s, const synth_config *c,
                          int threads, int64_t bytes)
{
    const int64_t shards = c->virtual_shards > 1 ? c->virtual_shards : 1;
    const int64_t unit = (c->pac % 2 ? 2 * c->pac : c->pac) * shards;
    int64_t low = 0, high = 1;

    if (!cli_row_is_used(batch_row(), m->name)) return 0;
    while (high * unit < 100000000 && fits(m, s, c, threads, bytes, high * unit)) {
        low = high;
        high *= 2;
    }
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        if (fits(m, s, c, threads, bytes, middle * unit))
            low = middle;
        else
            high = middle;
    }
    return low * unit;
}
