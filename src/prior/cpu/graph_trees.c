/*
 * cpu/graph_trees.c - oblivious trees, tables by index, draws from a softmax.
 *
 * Of sixteen rows the leaves are found in lanes, one comparison a level; a row then adds up the
 * leaves of its trees, sixteen outputs in lanes, and the square of rows and outputs is transposed.
 */
#include "prior/graph_kernel.h"

#include "base/vec16.h"
#include "base/vec16_transpose.h"

/* leaf[t * 16 + l]: of row l in tree t, an index into (trees, 2^depth). */
VI void find_leaves(uint32_t *leaf, const mat *x, int64_t row, const tree_job *j)
{
    const tree_split *s = j->split;

    for (int t = 0; t < j->trees; t++) {
        i16v at = iset((uint32_t)t);
        for (int k = 0; k < j->depth; k++, s++) {
            const f16v v = vload(x->x + s->dim * x->ld + row);
            /* t 2^depth + sum of bits: the order of the bits is of no matter, leaves are alike */
            at = isub(ishl(at, 1), vlt(vset(s->cut), v));
        }
        istore(leaf + (int64_t)t * 16, at);
    }
}

void LEVEL_FN(graph_trees)(const mat *y, const mat *x, const tree_job *j)
{
    const float share = 1.0f / (float)j->trees;
    uint32_t leaf[TREE_MOST * 16];

    for (int64_t i = 0; i < x->n; i += 16) {
        find_leaves(leaf, x, i, j);
        for (int o = 0; o < j->out; o += 16) {
            const int here = j->out - o < 16 ? j->out - o : 16;
            f16v r[16];

            for (int l = 0; l < 16; l++) {
                f16v sum = vset(0.0f);
                for (int t = 0; t < j->trees; t++)
                    sum = vadd(sum, vload(j->leaf + (int64_t)leaf[t * 16 + l] * j->out + o));
                r[l] = vmul(sum, vset(share));
            }
            vtranspose(r);
            for (int k = 0; k < here; k++) vstore(y->x + (o + k) * y->ld + i, r[k]);
        }
    }
}

void LEVEL_FN(graph_gather)(float *y, const float *table, const int32_t *at, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = table[at[i]];
}

/* The first category whose cumulated weight exceeds u times the sum. */
void LEVEL_FN(graph_pick)(int32_t *at, const mat *x, const float *scale, const float *shift,
                          const float *u)
{
    for (int64_t i = 0; i < x->n; i += 16) {
        const float *row = x->x + i;
        f16v top = vset(-INFINITY), sum = vset(0.0f);
        i16v where = iset(0);

#define LOGIT(k) logit_of(vload(row + (k)*x->ld), scale[k], shift[k])
#define logit_of(v, a, b)                                                                 \
    vsel(vlt(vabs(vfma(v, vset(a), vset(b))), vset(INFINITY)), vfma(v, vset(a), vset(b)), \
         vset(0.0f))
        for (int k = 0; k < x->d; k++) top = vmax(LOGIT(k), top);
        for (int k = 0; k < x->d; k++) sum = vadd(sum, vexp(vsub(LOGIT(k), top)));
        const f16v target = vmul(sum, vload(u + i));
        f16v below = vset(0.0f);
        for (int k = 0; k + 1 < x->d; k++) {
            below = vadd(below, vexp(vsub(LOGIT(k), top)));
            where = isub(where, vle(below, target)); /* a mask is -1 */
        }
        istore(at + i, where);
#undef LOGIT
#undef logit_of
    }
}
