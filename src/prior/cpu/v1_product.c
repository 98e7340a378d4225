/*
 * cpu/v1_product.c - a layer's linear part with its noise, tile by tile; and which weights are
 * kept.
 *
 * The tile of the inputs (64 rows of the data set) stays in the caches while all units are made of
 * it.  A sum starts with the bias and takes its terms in the order of the inputs, zeros left out or
 * not: fma(0, x, s) is s.
 */
#include "prior/cpu/v1_dense.h"
#include "prior/v1.h"

VI float *tile_of(const v1_matrix *m, int tile, int unit)
{
    return m->p + ((int64_t)tile * m->width + unit) * V1_TILE;
}

VI void dense_groups(const v1_product *a, int tile)
{
    for (int g = 0; g < a->n_groups; g++) {
        const v1_rows *const r = &a->group[g];
        const dense_rows d = {.in = tile_of(&a->in, tile, r->k0), .w = r->w, .k = r->k};
        float *out[DENSE_ROWS];

        for (int i = 0; i < r->n; i++) out[i] = tile_of(&a->out, tile, a->unit[r->first + i]);
        dense_run(out, a->bias + r->first, &d, r->n);
    }
}

VI void sparse_row(float *out, const float *in, const int32_t *col, const float *w, int64_t n,
                   float bias)
{
    f16v sum[4];

    UNROLL for (int v = 0; v < 4; v++) sum[v] = vset(bias);
    for (int64_t k = 0; k < n; k++) {
        const float *const y = in + (int64_t)col[k] * V1_TILE;
        const f16v x = vset(w[k]);
        UNROLL for (int v = 0; v < 4; v++) sum[v] = vfma(x, vload(y + 16 * v), sum[v]);
    }
    UNROLL for (int v = 0; v < 4; v++) vstore(out + 16 * v, sum[v]);
}

VI void add_noise(const v1_product *a, int tile)
{
    for (int i = 0; i < a->n_units; i++) {
        float *const out = tile_of(&a->out, tile, a->unit[i]);
        const f16v std = vset(a->noise[i]);
        const int64_t block = (int64_t)a->unit[i] * a->out.tiles + tile;
        f16v z[4];

        vnormals64(z, a->key.seed, a->key.step, a->key.stream, (uint64_t)block);
        UNROLL for (int v = 0; v < 4; v++)
            vstore(out + 16 * v, vfma(std, z[v], vload(out + 16 * v)));
    }
}

void LEVEL_FN(v1_product_run)(const v1_product *a)
{
    for (int tile = 0; tile < a->out.tiles; tile++) {
        if (a->at) {
            const float *const in = tile_of(&a->in, tile, 0);
            for (int i = 0; i < a->n_units; i++)
                sparse_row(tile_of(&a->out, tile, a->unit[i]), in, a->col + a->at[i],
                           a->w + a->at[i], a->at[i + 1] - a->at[i], a->bias[i]);
        } else {
            dense_groups(a, tile);
        }
        if (a->noise) add_noise(a, tile);
    }
}

/* col: the k < n whose half word k of `word` is at least the threshold, ascending; how many. */
int64_t LEVEL_FN(v1_kept)(int32_t *col, const uint32_t *word, int n, uint32_t threshold)
{
    int64_t kept = 0;

    for (int k = 0; k < n; k++) {
        col[kept] = k;
        kept += ((word[k / 2] >> 16 * (k % 2)) & 0xffffu) >= threshold;
    }
    return kept;
}
