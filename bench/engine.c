/*
 * bench/engine.c - what the engine costs by itself.  usage: engine [threads [seconds]]
 *
 * Graphs of 200 nodes whose kernels do nothing, so that all time is dispatch and meeting:
 *     stages   each node reads the whole of the one before: a stage, 8 chunks and a meeting each
 *     chain    each reads it row by row: one visit of 200 nodes, 8 tiles
 *     small    as stages, but so small that one thread does all of them without a meeting
 * Time per node and run, median over runs.  For small and chain also per call of a kernel.
 */
#include "base/cpu.h"
#include "base/mem.h"
#include "bench.h"
#include "exec/exec.h"

#include <stdio.h>
#include <stdlib.h>

enum { NODES = 200, MAX_RUNS = 100000 };

static void nothing(const mill_call *c)
{
    (void)c;
}

static const mill_op whole = {
    .name = "whole", .n_src = 1, .shape = shape_like_src0, .run = {nothing, nothing}};
static const mill_op rows = {.name = "rows",
                             .n_src = 1,
                             .rowwise = ROW_SRC(0),
                             .shape = shape_like_src0,
                             .run = {nothing, nothing}};

static mill_err measure(const char *name, const mill_op *op, int64_t height, mill_pool *pool,
                        double limit)
{
    static double s[MAX_RUNS];
    mill_graph *g = NULL;
    mill_exec *e = NULL;
    const exec_options o = {.pool = pool};
    int n = 0;

    TRY(mill_graph_new(&g));
    mill_ref x = mill_input(g, "x", MILL_T_REAL, SHAPE(height, 64));
    for (int i = 0; i < NODES; i++) x = MILL_APPLY(g, op, NULL, x);
    mill_output(g, "y", x);
    TRY(mill_exec_new(&e, g, &o));
    const double end = mill_clock() + limit;
    do {
        const double start = mill_clock();
        TRY(mill_exec_run(e, (uint32_t)n));
        s[n++] = mill_clock() - start;
    } while (n < MAX_RUNS && mill_clock() < end);
    qsort(s, (size_t)n, sizeof *s, ascending);
    const int64_t tiles = (height + mill_grain(height) - 1) / mill_grain(height);
    printf("%-7s %d threads  %7.3f us a node  %6.1f ns a call and thread\n", name,
           mill_pool_threads(pool), 1e6 * s[n / 2] / NODES,
           1e9 * s[n / 2] / (double)(NODES * tiles) * mill_pool_threads(pool));
    mill_exec_free(e);
    mill_graph_free(g);
    return MILL_OK;
}

int main(int argc, char **argv)
{
    const int most = (int)number_at(argc, argv, 1, 2);
    const double limit = number_at(argc, argv, 2, 1);

    for (int threads = 1; threads <= most; threads++) {
        mill_pool *pool = NULL;
        mill_err err = mill_pool_new(&pool, threads);
        if (!err) err = measure("stages", &whole, 512, pool, limit);
        if (!err) err = measure("chain", &rows, 512, pool, limit);
        if (!err) err = measure("small", &whole, 4, pool, limit);
        mill_pool_free(pool);
        if (err) {
            fprintf(stderr, "engine: %s\n", mill_error());
            return 1;
        }
    }
    return 0;
}
