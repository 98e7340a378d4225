/*
 * cpu/extra_oob.c - one tree of extra_oob.h.
 *
 * rows holds the rows in the bag from the left, ordered by class, and those out of it from the
 * right; a node is a range of each.  Features are taken BLOCK vectors at a time, as many as the
 * registers hold: lanes never meet, so the number changes no byte.
 *
 *     v4: 4 vectors of 16;  v3: 2 vectors of 2 registers
 */
#include "learn/extra_oob.h"

#include "base/vec16.h"
#include "base/vec16_transpose.h"

#define BLOCK    (VL == 16 ? 4 : 2)
#define CONSTANT 1e-7f

typedef struct {
    const extra_oob_job *j;
    extra_oob_votes *v;
    int32_t *rows, *spare;
    float *weight; /* (n): how often the bootstrap drew a row */
    uint32_t stream;
} growing;

typedef struct {
    int64_t begin, end;         /* rows in the bag */
    int64_t oob_begin, oob_end; /* rows out of it */
    uint32_t id;                /* 1 is the root, 2 id and 2 id + 1 its children */
    int depth;
} node;

typedef struct {
    float gain, cut;
    int feature; /* -1: none */
} choice;

/* ---- the bag ------------------------------------------------------------------------------- */

static void draw_bag(growing *g)
{
    const v_keys keys = vkeys(g->j->seed);
    const int64_t n = g->j->n;

    memset(g->weight, 0, (size_t)n * sizeof *g->weight);
    for (int64_t i = 0; i < n; i += 64) {
        uint32_t word[64];
        i16v bits[4];
        vrand_bits(bits, &keys, 0, g->stream, (uint64_t)(i / 64));
        for (int64_t w = 0; w < 4; w++) istore(word + 16 * w, bits[w]);
        const int here = n - i < 64 ? (int)(n - i) : 64;
        for (int64_t k = 0; k < here; k++)
            g->weight[((uint64_t)word[k] * (uint64_t)n) >> 32] += 1.0f;
    }
}

/* Rows by class: a count, then places.  Out of the bag the order is of no matter. */
static int64_t lay_out_rows(growing *g)
{
    const extra_oob_job *j = g->j;
    int64_t place[EXTRA_OOB_CLASSES + 1] = {0}, in = 0, out = j->n;

    if (j->y) {
        for (int64_t i = 0; i < j->n; i++) {
            const int is_in = g->weight[i] > 0;
            g->rows[is_in ? in : out - 1] = (int32_t)i;
            in += is_in;
            out -= !is_in;
        }
        return in;
    }
    for (int64_t i = 0; i < j->n; i++) place[j->label[i] + 1] += g->weight[i] > 0;
    for (int64_t k = 0; k < j->classes; k++) place[k + 1] += place[k];
    in = place[j->classes];
    for (int64_t i = 0; i < j->n; i++)
        g->rows[g->weight[i] > 0 ? place[j->label[i]]++ : --out] = (int32_t)i;
    return in;
}

/* ---- thresholds ---------------------------------------------------------------------------- */

/* cut[f]: uniform between least and largest; NaN for a constant feature, which nothing is below. */
VI void set_cuts(float *cut, const growing *g, const node *nd, int first, int blocks, f16v *least,
                 f16v *most)
{
    const v_keys keys = vkeys(g->j->seed);
    i16v bits[4];

    vrand_bits(bits, &keys, nd->id, g->stream, (uint64_t)(first / 64));
    for (int64_t b = 0; b < blocks; b++) {
        const f16v lo = least[b], hi = most[b];
        const f16v u = vu01(bits[(first / 16 + b) % 4]);
        const f16v drawn = vfma(u, vsub(hi, lo), lo);
        const f16v at = vsel(vlt(drawn, hi), drawn, lo); /* rounding leaves nothing on the right */
        vstore(cut + first + 16 * b, vsel(vlt(vadd(lo, vset(CONSTANT)), hi), at, vset(NAN)));
    }
}

VI void find_range(float *cut, const growing *g, const node *nd, int first, int blocks)
{
    const float *x = g->j->x + first;
    f16v least[BLOCK], most[BLOCK];

    for (int64_t b = 0; b < blocks; b++) {
        least[b] = vset(INFINITY);
        most[b] = vset(-INFINITY);
    }
    for (int64_t i = nd->begin; i < nd->end; i++) {
        const float *row = x + g->rows[i] * g->j->ld;
        UNROLL for (int64_t b = 0; b < blocks; b++)
        {
            const f16v v = vload(row + 16 * b);
            least[b] = vmin(v, least[b]);
            most[b] = vmax(v, most[b]);
        }
    }
    set_cuts(cut, g, nd, first, blocks, least, most);
}

/* ---- gains --------------------------------------------------------------------------------- */

typedef struct {
    f16v weight, left, right; /* of a feature in each lane: w_left, and sums of squares */
} tally;

VI void take_best(choice *best, const tally *t, const float *cut, int first, int blocks, float all)
{
    for (int64_t b = 0; b < blocks; b++) {
        const f16v at = vload(cut + first + 16 * b);
        const f16v gain =
            vadd(vdiv(t[b].left, t[b].weight), vdiv(t[b].right, vsub(vset(all), t[b].weight)));
        float g[16];
        if (vhmax(vsel(veq(at, at), gain, vset(-1.0f))) <= best->gain) continue;
        vstore(g, vsel(veq(at, at), gain, vset(-1.0f)));
        for (int64_t k = 0; k < 16; k++)
            if (g[k] > best->gain)
                *best = (choice){g[k], cut[first + 16 * b + k], first + (int)(16 * b + k)};
    }
}

/* Sums of a class over its rows in the node are exact counts. */
VI void try_classes(choice *best, const growing *g, const node *nd, const float *cut, int first,
                    int blocks)
{
    const float *x = g->j->x + first;
    const uint16_t *label = g->j->label;
    tally t[BLOCK];
    f16v at[BLOCK];
    float all = 0;

    for (int64_t b = 0; b < blocks; b++) {
        t[b].weight = t[b].left = t[b].right = vset(0.0f);
        at[b] = vload(cut + first + 16 * b);
    }
    for (int64_t i = nd->begin; i < nd->end;) {
        const uint16_t class = label[g->rows[i]];
        f16v below[BLOCK];
        float total = 0;

        for (int64_t b = 0; b < blocks; b++) below[b] = vset(0.0f);
        for (; i < nd->end && label[g->rows[i]] == class; i++) {
            const float *row = x + g->rows[i] * g->j->ld, w = g->weight[g->rows[i]];
            const f16v weight = vset(w);
            total += w;
            UNROLL for (int64_t b = 0; b < blocks; b++) below[b] =
                vadd(below[b], vof(iand(vle(vload(row + 16 * b), at[b]), ibits(weight))));
        }
        all += total;
        for (int64_t b = 0; b < blocks; b++) {
            const f16v above = vsub(vset(total), below[b]);
            t[b].weight = vadd(t[b].weight, below[b]);
            t[b].left = vfma(below[b], below[b], t[b].left);
            t[b].right = vfma(above, above, t[b].right);
        }
    }
    take_best(best, t, cut, first, blocks, all);
}

VI void try_numbers(choice *best, const growing *g, const node *nd, const float *cut, int first,
                    int blocks)
{
    const float *x = g->j->x + first;
    f16v weight[BLOCK], sum[BLOCK], at[BLOCK];
    float all = 0, total = 0;
    tally t[BLOCK];

    for (int64_t b = 0; b < blocks; b++) {
        weight[b] = sum[b] = vset(0.0f);
        at[b] = vload(cut + first + 16 * b);
    }
    for (int64_t i = nd->begin; i < nd->end; i++) {
        const int32_t r = g->rows[i];
        const float *row = x + r * g->j->ld, w = g->weight[r], wy = w * g->j->y[r];
        all += w;
        total += wy;
        UNROLL for (int64_t b = 0; b < blocks; b++)
        {
            const i16v is_below = vle(vload(row + 16 * b), at[b]);
            weight[b] = vadd(weight[b], vof(iand(is_below, ibits(vset(w)))));
            sum[b] = vadd(sum[b], vof(iand(is_below, ibits(vset(wy)))));
        }
    }
    for (int64_t b = 0; b < blocks; b++) {
        const f16v right = vsub(vset(total), sum[b]);
        t[b] = (tally){weight[b], vmul(sum[b], sum[b]), vmul(right, right)};
    }
    take_best(best, t, cut, first, blocks, all);
}

VI void try_block(choice *best, float *cut, const growing *g, const node *nd, int first, int blocks)
{
    find_range(cut, g, nd, first, blocks);
    if (g->j->y) {
        try_numbers(best, g, nd, cut, first, blocks);
    } else {
        try_classes(best, g, nd, cut, first, blocks);
    }
}

/* One copy for each number of vectors: it is known inside. */
static choice choose(float *cut, const growing *g, const node *nd)
{
    choice best = {.gain = -1.0f, .feature = -1};
    int first = 0;

    for (; first + 16 * BLOCK <= g->j->ld; first += 16 * BLOCK)
        try_block(&best, cut, g, nd, first, BLOCK);
    switch ((g->j->ld - first) / 16) {
    case 3:
#if BLOCK > 3
        try_block(&best, cut, g, nd, first, 3);
#endif
        break;
    case 2:
#if BLOCK > 2
        try_block(&best, cut, g, nd, first, 2);
#endif
        break;
    case 1:
        try_block(&best, cut, g, nd, first, 1);
        break;
    default:
        break;
    }
    return best;
}

/* ---- nodes --------------------------------------------------------------------------------- */

static int is_pure(const growing *g, const node *nd)
{
    const extra_oob_job *j = g->j;

    if (!j->y) return j->label[g->rows[nd->begin]] == j->label[g->rows[nd->end - 1]];
    for (int64_t i = nd->begin + 1; i < nd->end; i++)
        if (j->y[g->rows[i]] != j->y[g->rows[nd->begin]]) return 0;
    return 1;
}

/* The leaf's mean of y, or its shares of classes, for the rows out of the bag. */
static void vote(const growing *g, const node *nd)
{
    const extra_oob_job *j = g->j;
    float share[EXTRA_OOB_CLASSES] = {0}, all = 0;

    for (int64_t i = nd->begin; i < nd->end; i++) {
        const int32_t r = g->rows[i];
        all += g->weight[r];
        share[j->y ? 0 : j->label[r]] += j->y ? g->weight[r] * j->y[r] : g->weight[r];
    }
    for (int64_t k = 0; k < j->classes; k++) share[k] /= all;
    for (int64_t i = nd->oob_begin; i < nd->oob_end; i++) {
        float *sum = g->v->sum + g->rows[i] * g->v->width;
        g->v->seen[g->rows[i]]++;
        if (j->y) {
            sum[0] += share[0];
            continue;
        }
        for (int64_t k = 0; k < g->v->width; k += 16)
            vstore(sum + k, vadd(vload(sum + k), vload(share + k)));
    }
}

/* Those at or below the cut first, each side in its old order. */
static int64_t part(const growing *g, int64_t begin, int64_t end, const choice *c)
{
    const float *x = g->j->x + c->feature;
    int64_t left = begin, right = 0;

    for (int64_t i = begin; i < end; i++) {
        const int32_t r = g->rows[i];
        const int below = x[r * g->j->ld] <= c->cut;
        g->rows[left] = r;
        g->spare[right] = r;
        left += below;
        right += !below;
    }
    memcpy(g->rows + left, g->spare, (size_t)right * sizeof *g->rows);
    return left;
}

static void grow(const growing *g, const node *root, float *cut)
{
    node stack[EXTRA_OOB_DEPTH + 1];
    int depth = 0;

    stack[depth++] = *root;
    while (depth) {
        const node nd = stack[--depth];
        if (nd.oob_begin == nd.oob_end) continue;

        const int stop = nd.end - nd.begin < 2 || nd.depth == g->j->max_depth || is_pure(g, &nd);
        const choice c = stop ? (choice){.feature = -1} : choose(cut, g, &nd);
        if (c.feature < 0) {
            vote(g, &nd);
            continue;
        }
        const int64_t mid = part(g, nd.begin, nd.end, &c);
        const int64_t oob_mid = part(g, nd.oob_begin, nd.oob_end, &c);
        stack[depth++] = (node){mid, nd.end, oob_mid, nd.oob_end, 2 * nd.id + 1, nd.depth + 1};
        stack[depth++] = (node){nd.begin, mid, nd.oob_begin, oob_mid, 2 * nd.id, nd.depth + 1};
    }
}

void LEVEL_FN(extra_oob_tree)(extra_oob_votes *v, const extra_oob_job *j, int tree)
{
    const size_t room = (size_t)(j->n + 64 + 15) / 16 * 16;
    growing g = {.j = j, .v = v, .stream = j->stream + (uint32_t)tree};

    g.rows = v->work;
    g.spare = g.rows + room;
    g.weight = (float *)(g.spare + room);
    float *const cut = g.weight + room; /* (ld) */
    draw_bag(&g);
    const int64_t in = lay_out_rows(&g);
    const node root = {0, in, in, j->n, 1, 0};
    grow(&g, &root, cut);
}

void LEVEL_FN(extra_oob_transpose)(float *x, const float *cols, int64_t n, int c, int64_t ldc)
{
    const int64_t ld = ((int64_t)c + 15) / 16 * 16;

    for (int64_t i = 0; i < n; i += 16) {
        const int rows = n - i < 16 ? (int)(n - i) : 16;
        for (int64_t f = 0; f < ld; f += 16) {
            f16v r[16];
            for (int64_t k = 0; k < 16; k++)
                r[k] = f + k < c ? vload_n(cols + (f + k) * ldc + i, rows, 0.0f) : vset(0.0f);
            vtranspose(r);
            for (int64_t k = 0; k < rows; k++) vstore(x + (i + k) * ld + f, r[k]);
        }
    }
}
