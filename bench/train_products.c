/*
 * train_products.c - the matrix products of one training step, alone: 512 rows through
 * 512-1448-1448-1448-10 and back, on one thread.  usage: train_products [bf16]
 *
 * By oneDNN's plain call; with bf16 by ours, each operand packed once.  Prints milliseconds.
 */
#include "base/cpu.h"
#include "base/gemm.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum { ROWS = 512, MOST = 1448 * 1448, ROUNDS = 9 };

static float *a, *b, *c, *panels;
static bool is_bf16;

/* (m, k) (k, n), stored transposed where ta or tb */
static void product(int64_t m, int64_t n, int64_t k, bool ta, bool tb)
{
    gemm_args g = {.c = c,
                   .a = a,
                   .b = b,
                   .m = m,
                   .n = n,
                   .k = k,
                   .lda = ta ? m : k,
                   .ldb = tb ? k : n,
                   .ldc = n,
                   .ta = ta,
                   .tb = tb};
    if (is_bf16 && mill_cpu_has_bf16()) {
        gemm_pack_panels(panels, &(gemm_panels){b, k, n, g.ldb, tb}, 0, tb ? n : k);
        g.b_panels = panels;
    }
    if (is_bf16)
        gemm_bf16(&g);
    else if (!gemm_onednn(&g))
        gemm_f32(&g);
}

static void step(void)
{
    static const int64_t width[] = {512, 1448, 1448, 1448, 10};

    for (int l = 0; l < 4; l++) product(ROWS, width[l + 1], width[l], false, false);
    for (int l = 3; l >= 0; l--) {
        product(width[l], width[l + 1], ROWS, true, false);
        if (l) product(ROWS, width[l], width[l + 1], false, true);
    }
}

int main(int argc, char **argv)
{
    double best = 1e9;

    if (mill_cpu_init()) return 1;
    is_bf16 = argc > 1 && !strcmp(argv[1], "bf16");
    a = mill_alloc(MOST, sizeof *a);
    b = mill_alloc(MOST, sizeof *b);
    c = mill_alloc(MOST, sizeof *c);
    panels = mill_alloc(MOST, sizeof *panels);
    if (!a || !b || !c || !panels) return 1;
    for (int i = 0; i < MOST; i++) a[i] = b[i] = (float)(i % 13) - 6;
    for (int r = 0; r < ROUNDS; r++) {
        const double start = mill_clock();
        step();
        const double took = mill_clock() - start;
        best = took < best ? took : best;
    }
    printf("%.1f\n", best * 1e3);
    mill_free(a);
    mill_free(b);
    mill_free(c);
    mill_free(panels);
    return 0;
}
