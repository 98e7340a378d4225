/* LEVELS
 * t_learn_multi_tree.c - boosted trees with vector leaves against the plain recursion in double. */
#include "lib/test.h"

#include "base/cpu.h"
#include "base/mem.h"
#include "base/philox.h"
#include "learn/multi_tree.h"

#include <math.h>

enum { N = 150, COLS = 4, MOST = 16 };

typedef struct {
    const float *x; /* (COLS, N) */
    double g[N][MOST], out[N][MOST];
    int outputs, depth;
} plain;

static double score(const plain *p, const int *row, int n, int col, double below, bool left)
{
    double sum = 0;
    int rows = 0;

    for (int i = 0; i < n; i++) rows += ((double)p->x[col * N + row[i]] < below) == left;
    for (int m = 0; m < p->outputs; m++) {
        double g = 0;
        for (int i = 0; i < n; i++)
            if (((double)p->x[col * N + row[i]] < below) == left) g += p->g[row[i]][m];
        sum += g * g;
    }
    return rows ? sum / (rows + 1) : -(double)INFINITY;
}

/* Every value of every column as a threshold; gains in double. */
static void grow(plain *p, const int *row, int n, int depth)
{
    double best = 1e-6, below = 0;
    int col = -1, left[N], right[N], nl = 0, nr = 0;

    for (int c = 0; depth < p->depth && c < COLS; c++)
        for (int i = 0; i < n; i++) {
            const double t = (double)p->x[c * N + row[i]];
            const double gain = score(p, row, n, c, t, true) + score(p, row, n, c, t, false) -
                                score(p, row, n, c, (double)INFINITY, true);
            if (gain > best + 1e-12) best = gain, below = t, col = c;
        }
    if (col < 0) {
        for (int m = 0; m < p->outputs; m++) {
            double g = 0;
            for (int i = 0; i < n; i++) g += p->g[row[i]][m];
            for (int i = 0; i < n; i++) p->out[row[i]][m] -= 0.3 * g / (n + 1);
        }
        return;
    }
    for (int i = 0; i < n; i++)
        if ((double)p->x[col * N + row[i]] < below)
            left[nl++] = row[i];
        else
            right[nr++] = row[i];
    grow(p, left, nl, depth + 1);
    grow(p, right, nr, depth + 1);
}

void test_multi_tree__is_the_plain_recursion(void **state)
{
    static const int kinds[][3] = {{1, 1, 2}, {3, 2, 3}, {9, 4, 4}, {15, 3, 4}};
    static float x[COLS * N], y[N * 16], out[N * 16];
    static uint8_t code[COLS * N];
    static plain p;

    (void)state;
    assert_ok(mill_cpu_init());
    for (int kind = 0; kind < 4; kind++) {
        const multi_tree_options o = {kinds[kind][0], kinds[kind][1], kinds[kind][2], 0.3f, 1.0f};
        mill_rng r = mill_rng_init(40 + (uint64_t)kind, 0, 0);
        void *scratch = mill_alloc(1, multi_tree_scratch(N));
        int row[N];

        for (int i = 0; i < COLS * N; i++) /* one column with ties */
            x[i] = i < N ? (float)mill_rng_below(&r, 7) - 3.0f : mill_quantilef(mill_rng_f32(&r));
        for (int i = 0; i < N * 16; i++) y[i] = mill_quantilef(mill_rng_f32(&r));
        for (int c = 0; c < COLS; c++) multi_tree_bin(code + c * N, x + c * N, N, scratch);
        multi_tree_fit(out, y, code, N, COLS, &o, scratch);

        p.x = x;
        p.outputs = o.outputs;
        p.depth = o.depth;
        for (int m = 0; m < o.outputs; m++) {
            double mean = 0;
            for (int i = 0; i < N; i++) mean += (double)y[16 * i + m] / N;
            for (int i = 0; i < N; i++) p.out[i][m] = mean;
        }
        for (int t = 0; t < o.trees; t++) {
            for (int i = 0; i < N; i++) {
                row[i] = i;
                for (int m = 0; m < o.outputs; m++) p.g[i][m] = p.out[i][m] - (double)y[16 * i + m];
            }
            grow(&p, row, N, 0);
        }
        for (int i = 0; i < N; i++)
            for (int m = 0; m < o.outputs; m++)
                assert_true(fabs((double)out[16 * i + m] - p.out[i][m]) < 1e-5);
        mill_free(scratch);
    }
}

void test_multi_tree__bins_hold_equal_shares(void **state)
{
    enum { ROWS = 1024 };
    static float x[ROWS];
    static uint8_t code[ROWS];
    int rows[256] = {0};
    void *scratch = mill_alloc(1, multi_tree_scratch(ROWS));

    (void)state;
    for (int i = 0; i < ROWS; i++) x[i] = (float)((i * 389) % ROWS) - 500.0f;
    multi_tree_bin(code, x, ROWS, scratch);
    for (int i = 0; i < ROWS; i++) {
        assert_int_equal(code[i], ((i * 389) % ROWS) / 4);
        rows[code[i]]++;
    }
    for (int b = 0; b < 256; b++) assert_int_equal(rows[b], 4);
    x[0] = -0.0f; /* equal values, one of them twice */
    for (int i = 1; i < ROWS; i++) x[i] = i % 3 ? 0.0f : (float)(i % 5) - 2.0f;
    multi_tree_bin(code, x, ROWS, scratch);
    for (int i = 0; i < ROWS; i++)
        assert_int_equal(code[i], x[i] == -2 ? 0 : x[i] == -1 ? 1 : x[i] == 0 ? 2 : (int)x[i] + 2);
    mill_free(scratch);
}
