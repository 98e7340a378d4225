/*
 * synth.c - time the parts of a fit and of sampling, in one process; one JSON line on stdout.
 *
 *     synth METHOD DATA.csv EPOCHS AMP THREADS [OPTION=VALUE ...]
 *
 * Seconds: read (CSV to columns), open (transforms fitted and applied, graph compiled), epoch
 * (median of EPOCHS, the first left out where there are several), sample (100,000 rows to memory,
 * median of three).  peak_mb is VmHWM after training.
 */
#include "synth/synth.h"
#include "base/cpu.h"
#include "base/mem.h"
#include "bench.h"
#include "peak.h"
#include "table/csv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_EPOCHS = 10000, SAMPLE_ROWS = 100000 };
static double epoch_s[MAX_EPOCHS];

static double train(const train_job *job, int epochs)
{
    for (int e = 0; e < epochs; e++) {
        const double start = mill_clock();
        for (int64_t i = 0; i < job->steps_per_epoch; i++)
            check(job->step(job->ctx, e * job->steps_per_epoch + i));
        epoch_s[e] = mill_clock() - start;
    }
    return epochs > 1 ? median_of(epoch_s + 1, epochs - 1) : epoch_s[0];
}

static double sample(const char *model, mill_pool *pool)
{
    synth_model *m;
    double s[3];

    check(synth_model_open(&m, model, pool));
    for (int i = 0; i < 3; i++) {
        synth_sampler *sampler;
        mill_table *t;
        const double start = mill_clock();
        check(synth_sampler_open(&sampler, m, 1, NULL, 0));
        check(synth_sampler_next(sampler, &t, SAMPLE_ROWS));
        s[i] = mill_clock() - start;
        mill_table_free(t);
        synth_sampler_close(sampler);
    }
    synth_model_close(m);
    return median_of(s, 3);
}

static void peak_of_thread(void *ctx, int64_t chunk, int thread)
{
    (void)thread;
    ((double *)ctx)[chunk] = peak_gflops();
}

/* GF/s of all threads of the pool at once. */
static double peak(mill_pool *pool)
{
    double each[64] = {0}, sum = 0;
    const int n = mill_pool_threads(pool) < 64 ? mill_pool_threads(pool) : 64;

    for (int round = 0; round < 5; round++) { /* the best: a peak is what it can do */
        double now = 0;
        mill_pool_run(pool, n, peak_of_thread, each);
        for (int i = 0; i < n; i++) now += each[i];
        sum = now > sum ? now : sum;
    }
    return sum;
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        fprintf(stderr, "usage: synth METHOD DATA.csv EPOCHS AMP THREADS [OPTION=VALUE ...]\n");
        return 2;
    }
    const double asked = number_at(argc, argv, 3, 0);
    const int epochs = asked < MAX_EPOCHS ? (int)asked : MAX_EPOCHS;
    const synth_method *method = method_named(argv[1]);
    synth_config c = synth_config_default();
    const csv_options o = CSV_DEFAULTS;
    synth_schema *schema;
    mill_pool *pool;
    mill_table *t;
    train_job job;
    void *fit;

    check(mill_cpu_init());
    check(mill_pool_new(&pool, (int)number_at(argc, argv, 5, 0)));
    c.method = method->name;
    c.amp = argv[4];
    c.epochs = epochs;
    c.probe_every = 0;
    set_options(&c, argc, argv, 6);

    double at = mill_clock();
    check(mill_table_read_csv(&t, argv[2], &o, pool));
    const double read_s = mill_clock() - at;
    const int64_t rows = t->rows;
    check(synth_schema_fit(&schema, t, &c));
    at = mill_clock();
    check(method->fit_open(&fit, t, schema, &c, pool));
    const double open_s = mill_clock() - at;
    mill_table_free(t);
    method->fit_job(&job, fit);
    const double one = train(&job, epochs);
    const double peak_mb = (double)mill_cpu_peak_rss_bytes() / 1e6;

    char path[] = "/tmp/tabmill-bench-XXXXXX";
    const int fd = mkstemp(path);
    check(fd < 0 ? mill_fail(MILL_EIO, "mkstemp") : MILL_OK);
    close(fd);
    check(synth_model_write(path, method, fit, schema, &c));
    method->fit_close(fit);
    const double sample_s = sample(path, pool);
    remove(path);
    printf("{\"method\":\"%s\",\"rows\":%lld,\"steps\":%lld,\"level\":\"%s\",\"amp\":\"%s\","
           "\"threads\":%d,\"read\":%.6f,"
           "\"open\":%.6f,\"epoch\":%.6f,\"sample\":%.6f,\"peak_mb\":%.1f,\"peak_gflops\":%.1f}\n",
           argv[1], (long long)rows, (long long)job.steps_per_epoch, mill_cpu_level_name(), c.amp,
           mill_pool_threads(pool), read_s, open_s, one, sample_s, peak_mb, peak(pool));
    synth_schema_free(schema);
    mill_pool_free(pool);
    return 0;
}
