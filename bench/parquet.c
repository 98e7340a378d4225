/*
 * parquet.c - `make bench-parquet`: reading and writing Parquet, in million values per second.
 *
 *     parquet [THREADS [FILE.parquet [OUT.parquet [read|write|rows]]]]
 *
 * Without a file one is made in /tmp: 2,000,000 rows of an integer, a price, a double in full, a
 * datetime, a boolean and categories of 12 and of 50,000 values.  `rows`: as lines of JSON. Medians
 * of five; bench/parquet.sh has pyarrow do the same in turn.
 */
#include "base/cpu.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/philox.h"
#include "base/plugin.h"
#include "bench.h"
#include "table/parquet_rows.h"
#include "table/writer.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS = 5, ROWS = 2000000 };

static void words(mill_column *c, const char *name, int32_t n, mill_rng *rng)
{
    int32_t *offset = mill_alloc((size_t)n + 1, sizeof *offset);
    char *text = mill_alloc((size_t)n, 24);
    check(offset && text ? MILL_OK : MILL_ENOMEM);

    for (int32_t v = 0; v < n; v++)
        offset[v + 1] = offset[v] + sprintf(text + offset[v], "value-%d", v * 7);
    check(column_init(c, name, MILL_CATEGORY, ROWS));
    check(column_set_dictionary(c, n, offset, text));
    for (int64_t i = 0; i < ROWS; i++) {
        const double u = mill_rng_f64(rng);
        c->code[i] = (int32_t)(u * u * n);
    }
    mill_free(offset);
    mill_free(text);
}

static void make(const char *path, mill_pool *pool)
{
    mill_rng rng = mill_rng_init(1, 0, 0);
    mill_table *t;

    check(table_new(&t, ROWS, 7));
    check(column_init(&t->col[0], "integer", MILL_INTEGER, ROWS));
    check(column_init(&t->col[1], "price", MILL_REAL, ROWS));
    check(column_init(&t->col[2], "double", MILL_REAL, ROWS));
    check(column_init(&t->col[3], "time", MILL_DATETIME, ROWS));
    words(&t->col[4], "boolean", 2, &rng);
    words(&t->col[5], "dozen", 12, &rng);
    words(&t->col[6], "many", 50000, &rng);
    t->col[1].decimals = 2;
    t->col[2].decimals = 15;
    t->col[3].format = mill_strdup("%Y-%m-%d %H:%M:%S");
    for (int64_t i = 0; i < ROWS; i++) {
        t->col[0].i64[i] = (int64_t)(mill_rng_f64(&rng) * 1e6);
        t->col[1].f64[i] = (double)(int64_t)(mill_rng_f64(&rng) * 1e6) / 100;
        t->col[2].f64[i] = mill_rng_f64(&rng);
        t->col[3].i64[i] = (int64_t)(mill_rng_f64(&rng) * 1.7e9);
    }
    check(mill_table_write(t, path, true, pool));
    mill_table_free(t);
}

static int64_t read_rows(const char *path)
{
    parquet_rows *r;
    const char *line = "";
    int64_t bytes = 0;
    source in;
    size_t n;

    check(source_open(&in, path, NULL));
    check(parquet_rows_open(&r, &in));
    while (line) {
        check(parquet_rows_next(r, &line, &n));
        bytes += (int64_t)n;
    }
    parquet_rows_close(r);
    source_close(&in);
    return bytes;
}

static double seconds_of(const char *what, const char *path, const char *to, const mill_table *t,
                         mill_pool *pool)
{
    const double start = mill_clock();
    mill_table *again = NULL;

    if (!strcmp(what, "read")) check(mill_table_read(&again, path, NULL, pool));
    if (!strcmp(what, "write")) check(mill_table_write(t, to, true, pool));
    if (!strcmp(what, "rows")) check(read_rows(path) > 0 ? MILL_OK : MILL_EINPUT);
    const double seconds = mill_clock() - start;
    mill_table_free(again);
    return seconds;
}

int main(int argc, char **argv)
{
    static const char *const all[] = {"read", "write", "rows"};
    const char *path = argc > 2 ? argv[2] : "/tmp/bench-parquet.parquet";
    const char *to = argc > 3 ? argv[3] : "/tmp/bench-parquet-out.parquet";
    mill_pool *pool;
    mill_table *t;

    void *plugin = mill_plugin_open("libtabmill_parquet.so", "TABMILL_PARQUET", RTLD_NOW);
    if (!plugin) {
        printf("SKIP: %s (make parquet)\n", dlerror());
        return 0;
    }
    check(mill_pool_new(&pool, argc > 1 ? (int)strtol(argv[1], NULL, 10) : 2));
    if (argc < 3) make(path, pool);
    check(mill_table_read(&t, path, NULL, pool));
    for (size_t k = 0; k < 3; k++) {
        double s[RUNS];
        if (argc > 4 && strcmp(argv[4], all[k]) != 0) continue;
        for (int i = 0; i < RUNS; i++) s[i] = seconds_of(all[k], path, to, t, pool);
        const double m = median_of(s, RUNS);
        printf("tabmill %-6s %.3f s  %.1f M values/s\n", all[k], m,
               (double)t->rows * t->n_cols / m / 1e6);
    }
    mill_table_free(t);
    mill_pool_free(pool);
    if (argc < 3) (void)file_remove(path);
    if (argc < 4) (void)file_remove(to);
    return 0;
}
