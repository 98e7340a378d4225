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

typedef struct {
    const int32_t *col;
    const float *w;
    int64_t n;
} sparse_weights;

VI void sparse_term(f16v sum[2], const float *in, const sparse_weights *s, int64_t k)
{
    const float *const y = in + (int64_t)s->col[k] * V1_TILE;
    const f16v x = vset(s->w[k]);

    UNROLL for (int64_t v = 0; v < 2; v++) sum[v] = vfma(x, vload(y + 16 * v), sum[v]);
}

/* Two rows together, half of the tile after the other: four chains at a time, and a half of 200
 * inputs stays in the first cache. */
VI void sparse_pair(float *out0, float *out1, const float *in, const sparse_weights s[2],
                    const float bias[2])
{
    const int64_t both = s[0].n < s[1].n ? s[0].n : s[1].n;

    for (int half = 0; half < V1_TILE; half += 32) {
        f16v a[2] = {vset(bias[0]), vset(bias[0])}, b[2] = {vset(bias[1]), vset(bias[1])};
        for (int64_t k = 0; k < both; k++) {
            sparse_term(a, in + half, &s[0], k);
            sparse_term(b, in + half, &s[1], k);
        }
        for (int64_t k = both; k < s[0].n; k++) sparse_term(a, in + half, &s[0], k);
        for (int64_t k = both; k < s[1].n; k++) sparse_term(b, in + half, &s[1], k);
        UNROLL for (int64_t v = 0; v < 2; v++)
        {
            vstore(out1 + half + 16 * v, b[v]); /* a lone row comes twice */
            vstore(out0 + half + 16 * v, a[v]);
        }
    }
}

VI sparse_weights weights_of(const v1_product *a, int i)
{
    return (sparse_weights){a->col + a->at[i], a->w + a->at[i], a->at[i + 1] - a->at[i]};
}

VI void sparse_rows(const v1_product *a, int tile)
{
    const float *const in = tile_of(&a->in, tile, 0);

    for (int i = 0; i < a->n_units; i += 2) {
        const int j = i + 1 < a->n_units ? i + 1 : i;
        const sparse_weights s[2] = {weights_of(a, i), weights_of(a, j)};
        const float bias[2] = {a->bias[i], a->bias[j]};
        sparse_pair(tile_of(&a->out, tile, a->unit[i]), tile_of(&a->out, tile, a->unit[j]), in, s,
                    bias);
    }
}

VI void add_noise(const v1_product *a, int tile)
{
    for (int i = 0; i < a->n_units; i++) {
        float *const out = tile_of(&a->out, tile, a->unit[i]);
        const f16v std = vset(a->noise[i]);
        const int64_t block = (int64_t)a->unit[i] * a->out.tiles + tile;
        f16v z[4];

        vnormals64(z, a->key.seed, a->key.step, a->key.stream, (uint64_t)block);
        UNROLL for (int64_t v = 0; v < 4; v++)
            vstore(out + 16 * v, vfma(std, z[v], vload(out + 16 * v)));
    }
}

void LEVEL_FN(v1_product_run)(const v1_product *a)
{
    for (int tile = 0; tile < a->out.tiles; tile++) {
        if (a->at)
            sparse_rows(a, tile);
        else
            dense_groups(a, tile);
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
