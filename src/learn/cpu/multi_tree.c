/*
 * cpu/multi_tree.c - histograms and splits of multi_tree.h.
 *
 * A bin of the histogram is a vector: 15 outputs and the count.  For the scan sixteen bins that lie
 * sixteen apart are transposed, so that the running sums of all bins are sixteen chains in lanes,
 * lane l over bins 16 l .. 16 l + 15, to which then the totals of the lanes before are added.
 */
#include "learn/multi_tree.h"

#include "base/vec16_transpose.h"

enum {
    BINS = 256,
    COUNT = 15,           /* the output that counts rows */
    COUNTS = 16 * COUNT,  /* where its sums begin */
    LAST_STEP = 256 * 15, /* of run */
};

void LEVEL_FN(multi_tree_gradients)(float *g, const float *out, const float *y, int64_t n)
{
    const i16v last = ieq(iiota(), iset(COUNT));

    for (int64_t i = 0; i < n; i++) {
        const f16v e = vsub(vload(out + 16 * i), vload(y + 16 * i));
        vstore(g + 16 * i, vsel(last, vset(1.0f), e));
    }
}

void LEVEL_FN(multi_tree_sum)(float sum[16], const multi_node *node)
{
    f16v s[4] = {vset(0.0f), vset(0.0f), vset(0.0f), vset(0.0f)};

    for (int64_t i = 0; i < node->rows; i++)
        s[i % 4] = vadd(s[i % 4], vload(node->g + 16 * (int64_t)node->order[i]));
    vstore(sum, vadd(vadd(s[0], s[1]), vadd(s[2], s[3])));
}

void LEVEL_FN(multi_tree_add)(float *out, const multi_node *node, const float leaf[16])
{
    const f16v value = vload(leaf);

    for (int64_t i = 0; i < node->rows; i++) {
        float *const to = out + 16 * (int64_t)node->order[i];
        vstore(to, vadd(vload(to), value));
    }
}

VI void count_rows(float *hist, const multi_node *node, const uint8_t *code)
{
    for (int64_t b = 0; b < BINS; b++) vstore(hist + 16 * b, vset(0.0f));
    for (int64_t i = 0; i < node->rows; i++) {
        const uint32_t row = node->order[i];
        float *const to = hist + INT64_C(16) * code[row];
        vstore(to, vadd(vload(to), vload(node->g + 16 * (int64_t)row)));
    }
}

/* run: (16, 16, 16): step c, lane of the histogram, bin 16 l + c in lane l: sums within the lane.
 */
VI void running_sums(float *run, const float *hist, int outputs)
{
    f16v sum[16];

    for (int64_t m = 0; m < 16; m++) sum[m] = vset(0.0f);
    for (int64_t c = 0; c < 16; c++) {
        f16v r[16];
        UNROLL_16 for (int64_t l = 0; l < 16; l++) r[l] = vload(hist + 16 * (16 * l + c));
        vtranspose(r);
        for (int64_t m = 0; m < 16; m++) {
            if (m >= outputs && m != COUNT) continue;
            sum[m] = vadd(sum[m], r[m]);
            vstore(run + 256 * c + 16 * m, sum[m]);
        }
    }
}

/* Sums of the lanes before, from the last step of run; and the whole. */
VI void lanes_before(float *before, float *total, const float *run, int outputs)
{
    for (int64_t m = 0; m < 16; m++) {
        if (m >= outputs && m != COUNT) continue;
        float sum = 0.0f;
        for (int64_t l = 0; l < 16; l++) {
            before[16 * m + l] = sum;
            sum += run[LAST_STEP + 16 * m + l];
        }
        total[m] = sum;
    }
}

void LEVEL_FN(multi_tree_best)(multi_split *out, const multi_node *node, const uint8_t *code)
{
    float hist[16 * BINS] __attribute__((aligned(64)));
    float run[16 * 256] __attribute__((aligned(64)));
    float before[256] __attribute__((aligned(64))), total[16], gain[16];
    const int outputs = node->outputs;
    float whole = 0.0f;
    uint32_t step[16];

    count_rows(hist, node, code);
    running_sums(run, hist, outputs);
    lanes_before(before, total, run, outputs);
    for (int64_t m = 0; m < outputs; m++) whole = fmaf(total[m], total[m], whole);

    const f16v n = vset((float)node->rows), l2 = vset(node->l2), zero = vset(0.0f);
    const f16v parent = vset(whole / ((float)node->rows + node->l2));
    f16v best = zero;
    i16v at = iset(0);
    for (int64_t c = 0; c < 16; c++) {
        const float *const r = run + 256 * c;
        f16v squares = zero, cross = zero;
        for (int64_t m = 0; m < outputs; m++) {
            const f16v left = vadd(vload(r + 16 * m), vload(before + 16 * m));
            squares = vfma(left, left, squares);
            cross = vfma(left, vset(total[m]), cross);
        }
        const f16v n_left = vadd(vload(r + COUNTS), vload(before + COUNTS));
        const f16v n_right = vsub(n, n_left);
        const f16v right = vadd(vfma(vset(-2.0f), cross, vset(whole)), squares);
        f16v y = vadd(vdiv(squares, vadd(n_left, l2)), vdiv(right, vadd(n_right, l2)));
        y = vsub(y, parent);
        y = vsel(iand(vlt(zero, n_left), vlt(zero, n_right)), y, zero);
        const i16v better = vlt(best, y);
        best = vsel(better, y, best);
        at = isel(better, iset((uint32_t)c), at);
    }
    vstore(gain, best);
    istore(step, at);
    *out = (multi_split){0.0f, 0};
    for (int64_t l = 0; l < 16; l++)
        if (gain[l] > out->gain) *out = (multi_split){gain[l], (int)(16 * l) + (int)step[l]};
}
