/*
 * values.c - the different values of a number column, counted without sorting the column.
 *
 * Open addressing on the bits of the double; up to SYNTH_FEW_VALUES of them, which is 2 MiB
 * whatever the number of rows.
 */
#include "synth/schema.h"

#include "base/mem.h"

#include <string.h>

enum { SLOTS = 4 * SYNTH_FEW_VALUES };

void synth_values_free(synth_values *v)
{
    mill_free(v->key);
    mill_free(v->count);
    *v = (synth_values){0};
}

static int64_t find_slot(const synth_values *v, double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint64_t i = (bits ^ bits >> 32) * 0x9e3779b97f4a7c15u >> 40 & (SLOTS - 1);
    while (v->count[i] && v->key[i] != x) i = (i + 1) & (SLOTS - 1);
    return (int64_t)i;
}

mill_err synth_values_count(synth_values *out, const mill_column *c, double least, double most)
{
    synth_values v = {.key = mill_alloc(SLOTS, sizeof *v.key),
                      .count = mill_alloc(SLOTS, sizeof *v.count)};

    if (!v.key || !v.count) {
        synth_values_free(&v);
        return MILL_ENOMEM;
    }
    for (int64_t i = 0; i < c->rows && v.n <= SYNTH_FEW_VALUES; i++) {
        if (!column_is_valid(c, i)) continue;
        double x = synth_raw_number(c, i) + 0.0; /* -0 is 0 */
        x = x < least ? least : x > most ? most : x;
        const int64_t at = find_slot(&v, x);
        v.n += v.count[at] == 0;
        v.key[at] = x;
        v.count[at]++;
    }
    *out = v;
    return MILL_OK;
}

int64_t synth_values_list(double *x, const synth_values *v)
{
    int64_t n = 0;
    for (int64_t i = 0; i < SLOTS; i++) {
        if (v->count[i]) x[n++] = v->key[i];
    }
    return n;
}

int64_t synth_values_of(const synth_values *v, double x)
{
    return v->count[find_slot(v, x)];
}
