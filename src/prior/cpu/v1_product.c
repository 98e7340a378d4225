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

enum { SPARSE_ROWS = 2 }; /* together, with two vectors each: four chains */

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

/* Rows together, the first one the shortest; half of the tile after the other, so that a half of
 * 200 inputs stays in the first cache. */
VI void sparse_group(float *const *out, const float *in, const sparse_weights *s, const float *bias)
{
    for (int half = 0; half < V1_TILE; half += 32) {
        f16v sum[SPARSE_ROWS][2];

        UNROLL for (int i = 0; i < SPARSE_ROWS; i++) sum[i][0] = sum[i][1] = vset(bias[i]);
        for (int64_t k = 0; k < s[0].n; k++)
            UNROLL for (int i = 0; i < SPARSE_ROWS; i++) sparse_term(sum[i], in + half, &s[i], k);
        UNROLL for (int i = 0; i < SPARSE_ROWS; i++)
        {
            for (int64_t k = s[0].n; k < s[i].n; k++) sparse_term(sum[i], in + half, &s[i], k);
            UNROLL for (int64_t v = 0; v < 2; v++) vstore(out[i] + half + 16 * v, sum[i][v]);
        }
    }
}

VI void sparse_rows(const v1_product *a, int tile)
{
    const float *const in = tile_of(&a->in, tile, 0);

    for (int first = 0; first < a->n_units; first += SPARSE_ROWS) {
        sparse_weights s[SPARSE_ROWS];
        float bias[SPARSE_ROWS], *out[SPARSE_ROWS];

        for (int i = 0; i < SPARSE_ROWS; i++) { /* the last row may come more than once */
            const int k = a->order[first + i < a->n_units ? first + i : a->n_units - 1];
            s[i] = (sparse_weights){a->col + a->at[k], a->w + a->at[k], a->at[k + 1] - a->at[k]};
            bias[i] = a->bias[k];
            out[i] = tile_of(&a->out, tile, a->unit[k]);
        }
        sparse_group(out, in, s, bias);
    }
}

/* On its own, or its many constants would be spilled among the products': a tenth of the noise. */
static __attribute__((noinline)) void add_noise(const v1_product *a, const v_keys *k, int tile)
{
    for (int i = 0; i < a->n_units; i += 2) {
        const int units = a->n_units - i < 2 ? 1 : 2, j = i + units - 1;
        const uint64_t block[2] = {(uint64_t)(a->unit[i] * a->out.tiles + tile),
                                   (uint64_t)(a->unit[j] * a->out.tiles + tile)};
        f16v z[8];

        vnormals128(z, k, a->key.step, a->key.stream, block);
        for (int u = 0; u < units; u++) {
            float *const out = tile_of(&a->out, tile, a->unit[i + u]);
            const f16v std = vset(a->noise[i + u]);
            UNROLL for (int64_t v = 0; v < 4; v++)
                vstore(out + 16 * v, vfma(std, z[4 * u + v], vload(out + 16 * v)));
        }
    }
}

void LEVEL_FN(v1_product_run)(const v1_product *a)
{
    const v_keys k = vkeys(a->key.seed);

    for (int tile = 0; tile < a->out.tiles; tile++) {
        if (a->at)
            sparse_rows(a, tile);
        else
            dense_groups(a, tile);
        if (a->noise) add_noise(a, &k, tile);
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
