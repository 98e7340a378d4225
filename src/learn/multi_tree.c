/* multi_tree.c - bins and growth; see multi_tree.h.  Hot loops are in cpu/multi_tree.c. */
#include "learn/multi_tree.h"

#include "base/cpu.h"

#include <assert.h>
#include <string.h>

static void (*const best_split[MILL_N_LEVEL])(multi_split *, const multi_node *,
                                              const uint8_t *) = MILL_LEVELS(multi_tree_best);
static void (*const node_sum[MILL_N_LEVEL])(float *,
                                            const multi_node *) = MILL_LEVELS(multi_tree_sum);
static void (*const gradients[MILL_N_LEVEL])(float *, const float *, const float *,
                                             int64_t) = MILL_LEVELS(multi_tree_gradients);
static void (*const add_leaf[MILL_N_LEVEL])(float *, const multi_node *,
                                            const float *) = MILL_LEVELS(multi_tree_add);

enum { BINS = 256, DIGITS = 3 };
#define LEAST_GAIN 1e-6f

typedef struct {
    uint32_t key, row;
} ranked;

size_t multi_tree_scratch(int64_t n)
{
    const size_t rows = (size_t)(n + 15) / 16 * 16;

    return rows * 2 * sizeof(ranked) + rows * MULTI_TREE_LANES * sizeof(float);
}

/* In the order of the numbers; -0 is 0. */
static uint32_t key_of(float x)
{
    uint32_t u;

    x += 0.0f;
    memcpy(&u, &x, sizeof u);
    return (u & 0x80000000u ? ~u : u | 0x80000000u) >> 8;
}

/* By 24 bits, eight at a time; the result lies in b. */
static void sort_keys(ranked *a, ranked *b, int64_t n)
{
    uint32_t at[DIGITS][BINS] = {{0}};

    for (int64_t i = 0; i < n; i++) {
        const uint32_t key = a[i].key;
        for (int digit = 0; digit < DIGITS; digit++) at[digit][key >> 8 * digit & 255u]++;
    }
    for (int digit = 0; digit < DIGITS; digit++) {
        uint32_t *const to = at[digit], sum = 0;
        const int shift = 8 * digit;
        for (int k = 0; k < BINS; k++) {
            const uint32_t count = to[k];
            to[k] = sum;
            sum += count;
        }
        for (int64_t i = 0; i < n; i++) b[to[a[i].key >> shift & 255u]++] = a[i];
        ranked *const was = a;
        a = b;
        b = was;
    }
}

void multi_tree_bin(uint8_t *code, const float *x, int64_t n, void *scratch)
{
    ranked *const a = scratch, *const b = a + (n + 15) / 16 * 16;
    int64_t different = 1, bin = 0, share = 0, left = 0;

    for (int64_t i = 0; i < n; i++) a[i] = (ranked){key_of(x[i]), (uint32_t)i};
    sort_keys(a, b, n);
    for (int64_t i = 1; i < n; i++) different += b[i].key != b[i - 1].key;
    for (int64_t i = 0; i < n; i++) {
        if (i && b[i].key != b[i - 1].key) bin = different <= BINS ? bin + 1 : share;
        code[b[i].row] = (uint8_t)bin;
        for (left += BINS; left >= n; left -= n) share++; /* 256 (i + 1) / n */
    }
}

typedef struct {
    float *out;
    const uint8_t *code;
    int64_t n;
    int cols;
    const multi_tree_options *o;
    float *g;
    uint32_t *order, *right;
} growth;

static void end_leaf(const growth *t, const multi_node *node)
{
    float leaf[MULTI_TREE_LANES] = {0}, sum[MULTI_TREE_LANES];
    const float scale = -t->o->rate / ((float)node->rows + t->o->l2);

    node_sum[mill_cpu_level()](sum, node);
    for (int m = 0; m < t->o->outputs; m++) leaf[m] = scale * sum[m];
    add_leaf[mill_cpu_level()](t->out, node, leaf);
}

/* Rows that go left to the front, both sides in their order; how many. */
static int64_t part(const growth *t, uint32_t *row, int64_t rows, const uint8_t *code, int bin)
{
    int64_t left = 0, right = 0;

    for (int64_t i = 0; i < rows; i++) {
        const uint32_t r = row[i];
        const int64_t goes_left = code[r] <= bin;
        row[left] = t->right[right] = r;
        left += goes_left;
        right += !goes_left;
    }
    memcpy(row + left, t->right, (size_t)right * sizeof *row);
    return left;
}

static void grow(const growth *t, uint32_t *row, int64_t rows, int depth)
{
    const multi_node node = {
        .g = t->g, .order = row, .rows = rows, .outputs = t->o->outputs, .l2 = t->o->l2};
    multi_split best = {LEAST_GAIN, 0}, found;
    int col = -1;

    for (int c = 0; depth < t->o->depth && rows > 1 && c < t->cols; c++) {
        best_split[mill_cpu_level()](&found, &node, t->code + c * t->n);
        if (!(found.gain > best.gain)) continue;
        best = found;
        col = c;
    }
    if (col < 0) {
        end_leaf(t, &node);
        return;
    }
    const int64_t left = part(t, row, rows, t->code + col * t->n, best.bin);
    grow(t, row, left, depth + 1);
    grow(t, row + left, rows - left, depth + 1);
}

void multi_tree_fit(float *out, const float *y, const uint8_t *code, int64_t n, int cols,
                    const multi_tree_options *o, void *scratch)
{
    const int64_t padded = (n + 15) / 16 * 16;
    growth t = {.out = out, .code = code, .n = n, .cols = cols, .o = o, .g = scratch};
    float mean[MULTI_TREE_LANES] = {0};

    assert(o->outputs >= 1 && o->outputs <= MULTI_TREE_OUTPUTS); /* the last lane counts rows */
    t.order = (uint32_t *)(t.g + MULTI_TREE_LANES * padded);
    t.right = t.order + padded;
    for (int64_t i = 0; i < n; i++)
        for (int m = 0; m < o->outputs; m++) mean[m] += y[MULTI_TREE_LANES * i + m];
    for (int m = 0; m < o->outputs; m++) mean[m] /= (float)n;
    for (int64_t i = 0; i < n; i++) memcpy(out + MULTI_TREE_LANES * i, mean, sizeof mean);
    for (int tree = 0; tree < o->trees; tree++) {
        gradients[mill_cpu_level()](t.g, out, y, n);
        for (int64_t i = 0; i < n; i++) t.order[i] = (uint32_t)i;
        grow(&t, t.order, n, 0);
    }
}
