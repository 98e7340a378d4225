/*
 * scale.c - how a fit grows: one made-up table of a given size, one JSON line on stdout.
 *
 *     scale METHOD ROWS COLUMNS VALUES [OPTION=VALUE ...]
 *
 * Half of the columns are numbers with two decimals, half are categories: the first of VALUES
 * values, the others of at most twenty; all lean on one hidden class of eight, so there is
 * something to learn.  Seconds: open (coding), step (one EM iteration, or one step of ctgan and
 * tvae; median of ten), sample (as many rows as the table has).  Memory in MB:
 * table, rss (after coding, the table freed), peak (after the steps).
 */
#include "base/cpu.h"
#include "base/mem.h"
#include "base/philox.h"
#include "bench.h"
#include "synth/synth.h"

#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void make_category(mill_column *c, int32_t values, uint32_t stream)
{
    int32_t *offset = mill_alloc((size_t)values + 1, sizeof *offset);
    char *text = mill_alloc((size_t)values * 12, 1);

    for (int32_t v = 0; v < values; v++)
        offset[v + 1] = offset[v] + sprintf(text + offset[v], "v%d", v);
    check(column_set_dictionary(c, values, offset, text));
    mill_free(offset);
    mill_free(text);
    for (int64_t i = 0; i < c->rows; i++) {
        const uint32_t hidden = mill_rand_bits(1, 0, 1, (uint64_t)i) % 8;
        const float u = mill_rand_u01(1, 0, stream, (uint64_t)i);
        c->code[i] = (int32_t)((float)values * u * u + (float)hidden * (float)values / 8) % values;
    }
}

static mill_table *make_table(int64_t rows, int cols, int32_t values)
{
    mill_table *t;
    char name[16];

    check(table_new(&t, rows, cols));
    for (int c = 0; c < cols; c++) {
        sprintf(name, "c%d", c);
        check(column_init(&t->col[c], name, c % 2 ? MILL_CATEGORY : MILL_REAL, rows));
        if (c % 2) {
            make_category(&t->col[c], c == 1 || values < 20 ? values : 20, 10 + (uint32_t)c);
            continue;
        }
        t->col[c].decimals = 2;
        for (int64_t i = 0; i < rows; i++) {
            const uint32_t hidden = mill_rand_bits(1, 0, 1, (uint64_t)i) % 8;
            t->col[c].f64[i] =
                rint(100 * (hidden * (c % 5) +
                            (double)mill_rand_normal(1, 0, 10 + (uint32_t)c, (uint64_t)i))) /
                100;
        }
    }
    return t;
}

static double sample_s(const char *path, mill_pool *pool, int64_t rows)
{
    synth_model *m;
    synth_sampler *s;
    mill_table *t;

    check(synth_model_open(&m, path, pool));
    const double start = mill_clock();
    check(synth_sampler_open(&s, m, 1, NULL, 0));
    for (int64_t at = 0; at < rows; at += 10000) {
        check(synth_sampler_next(s, &t, rows - at < 10000 ? rows - at : 10000));
        mill_table_free(t);
    }
    const double seconds = mill_clock() - start;
    synth_sampler_close(s);
    synth_model_close(m);
    return seconds;
}

int main(int argc, char **argv)
{
    enum { STEPS = 10 };
    if (argc < 5) return 2;
    const synth_method *method = method_named(argv[1]);
    const int64_t rows = (int64_t)number_at(argc, argv, 2, 0);
    const int cols = (int)number_at(argc, argv, 3, 0);
    synth_config c = synth_config_default();
    double step[STEPS];
    synth_schema *schema;
    mill_pool *pool;
    train_job job;
    void *fit;

    check(mill_cpu_init());
    check(mill_pool_new(&pool, 0));
    c.method = method->name;
    c.probe_every = 0;
    set_options(&c, argc, argv, 5);
    mill_table *t = make_table(rows, cols, (int)number_at(argc, argv, 4, 0));
    check(synth_schema_fit(&schema, t, &c));
    const double table_mb = (double)synth_table_bytes(schema, rows) / 1e6;
    const double start = mill_clock();
    check(method->fit_open(&fit, t, schema, &c, pool));
    const double open_s = mill_clock() - start;
    mill_table_free(t);
    malloc_trim(0);
    const double rss = (double)mill_cpu_rss_bytes() / 1e6;
    method->fit_job(&job, fit);
    for (int i = 0; i < STEPS; i++) {
        const double at = mill_clock();
        check(job.step(job.ctx, i));
        step[i] = mill_clock() - at;
    }
    const double after = (double)mill_cpu_rss_bytes() / 1e6;

    char path[] = "/tmp/tabmill-bench-XXXXXX";
    const int fd = mkstemp(path);
    check(fd < 0 ? mill_fail(MILL_EIO, "mkstemp") : MILL_OK);
    close(fd);
    check(synth_model_write(path, method, fit, schema, &c));
    method->fit_close(fit);
    const double drawn = sample_s(path, pool, rows);
    remove(path);
    qsort(step, STEPS, sizeof *step, ascending);
    printf("{\"method\":\"%s\",\"rows\":%lld,\"columns\":%d,\"values\":%s,\"open\":%.6f,\"step\":%."
           "6f,\"sample\":%.6f,"
           "\"table_mb\":%.1f,\"rss_mb\":%.1f,\"after_mb\":%.1f,\"peak_mb\":%.1f}\n",
           argv[1], (long long)rows, cols, argv[4], open_s, step[STEPS / 2], drawn, table_mb, rss,
           after, (double)mill_cpu_peak_rss_bytes() / 1e6);
    synth_schema_free(schema);
    mill_pool_free(pool);
    return 0;
}
