/*
 * gemm.c - GF/s of the tiles that CTGAN on Adult is made of: each provider, and the one that is
 * chosen.
 *
 * A product is walked in its tiles as the engine does: 64 rows of C, or 64 columns.  Median of 15
 * walks of some 20 ms; then the same through the pool with two threads.  The peak is a loop of
 * independent FMA.
 */
#include "base/gemm.h"
#include "base/cpu.h"
#include "base/philox.h"
#include "base/pool.h"
#include "peak.h"
#include <stdio.h>
#include <stdlib.h>

typedef void product(const gemm_args *g);
typedef struct {
    const char *name;
    int64_t m, n, k;
    bool ta, tb;
    int64_t rows, columns; /* of a tile; 0: all */
} shape;

static const shape shapes[] = {
    {"G  500x128 x 128x256", 500, 256, 128, 0, 0, 64, 0},
    {"G  500x384 x 384x256", 500, 256, 384, 0, 0, 64, 0},
    {"G  500x640 x 640x157", 500, 157, 640, 0, 0, 64, 0},
    {"dX 500x157 x (640x157)^T", 500, 640, 157, 0, 1, 64, 0},
    {"dX 500x256 x (256x256)^T", 500, 256, 256, 0, 1, 64, 0},
    {"dW (500x640)^T x 500x157", 640, 157, 500, 1, 0, 64, 0},
    {"dW (500x384)^T x 500x256", 384, 256, 500, 1, 0, 64, 0},
    {"D  50x1570 x 1570x256", 50, 256, 1570, 0, 0, 0, 64},
    {"D  50x2610 x 2610x256", 50, 256, 2610, 0, 0, 0, 64},
    {"dX 50x256 x (2610x256)^T", 50, 2610, 256, 0, 1, 0, 64},
    {"dW (50x2610)^T x 50x256", 2610, 256, 50, 1, 0, 64, 0},
    {"D  50x256 x 256x256", 50, 256, 256, 0, 0, 0, 64},
    {"   64^3", 64, 64, 64, 0, 0, 0, 0},
    {"   16^3", 16, 16, 16, 0, 0, 0, 0},
};

typedef struct {
    gemm_args g;
    product *f;
    int64_t rows, columns, across, repeats;
} job;

static void one_tile(void *ctx, int64_t chunk, int thread)
{
    const job *j = ctx;
    gemm_args t = j->g;
    const int64_t tile =
        chunk / j->repeats; /* neighbours repeat: the share of a thread is its own */
    const int64_t i = tile / j->across * j->rows, c = tile % j->across * j->columns;

    (void)thread;
    t.m = t.m - i < j->rows ? t.m - i : j->rows;
    t.n = t.n - c < j->columns ? t.n - c : j->columns;
    t.a += t.ta ? i : i * t.lda;
    t.b += t.tb ? c * t.ldb : c;
    t.c += i * t.ldc + c;
    j->f(&t);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double rate(job *j, mill_pool *pool)
{
    const double flop = 2.0 * (double)(j->g.m * j->g.n * j->g.k);
    const int64_t down = (j->g.m + j->rows - 1) / j->rows;
    double t[15];

    j->across = (j->g.n + j->columns - 1) / j->columns;
    j->repeats = 1 + (int64_t)(1e9 / flop);
    for (int r = 0; r < 15; r++) {
        const double start = mill_clock();
        mill_pool_run(pool, down * j->across * j->repeats, one_tile, j);
        t[r] = mill_clock() - start;
    }
    qsort(t, 15, sizeof *t, by_value);
    return flop * (double)j->repeats / t[7] * 1e-9;
}

static float *random_floats(int64_t n)
{
    mill_rng r = mill_rng_init(1, 0, 0);
    float *p = malloc((size_t)n * sizeof *p);
    for (int64_t i = 0; i < n; i++) p[i] = mill_rng_f32(&r) - 0.5f;
    return p;
}

static void onednn(const gemm_args *g)
{
    (void)gemm_onednn(g);
}

int main(void)
{
    static product *const products[] = {gemm_own, onednn, gemm_f32, gemm_bf16};
    mill_pool *two = NULL;

    if (mill_cpu_init() || mill_pool_new(&two, 2)) return 1;
    printf("%s, %s\npeak of FMA on one thread: %.0f GF/s\n", gemm_provider(), mill_cpu_level_name(),
           peak_gflops());
    printf("%-26s %7s %7s %7s %7s %9s %9s\n", "GF/s", "own", "oneDNN", "f32", "bf16", "f32 x2",
           "bf16 x2");
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        const shape *h = &shapes[s];
        float *a = random_floats(h->m * h->k), *b = random_floats(h->k * h->n);
        float *c = random_floats(h->m * h->n);
        job j = {
            .g =
                {.c = c, .a = a, .b = b, .m = h->m, .n = h->n, .k = h->k, .ta = h->ta, .tb = h->tb},
            .rows = h->rows ? h->rows : h->m,
            .columns = h->columns ? h->columns : h->n};
        j.g.lda = h->ta ? h->m : h->k;
        j.g.ldb = h->tb ? h->k : h->n;
        j.g.ldc = h->n;
        printf("%-26s", h->name);
        for (int f = 0; f < 6; f++) {
            j.f = products[f < 4 ? f : f - 2];
            printf(f < 4 ? " %7.1f" : " %9.1f", rate(&j, f < 4 ? NULL : two));
        }
        printf("\n");
        free(a);
        free(b);
        free(c);
    }
    mill_pool_free(two);
    return 0;
}
