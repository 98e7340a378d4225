/*
 * csv.c - `make bench-csv`: reading and writing CSV, in MB of file per second.
 *
 *     csv [THREADS [MB [DATA.csv]]]        2, 128; DATA: this file as well, as it is
 *
 * KEEP=FOLDER in the environment: the tables are made there and stay.
 *
 * Three tables are made: `typed` (2 integers, 2 reals, a datetime, a boolean, 4 categories),
 * `reals` (8 reals: prices, 6 decimals, doubles in full), `words` (8 categories of 10 to 50,000
 * values, some quoted).  Each is written to memory (/dev/shm), read back five times, and written
 * five times; medians.  Beside them the floors of the same file and the same threads: `touch`,
 * every byte looked at once (reading), and `copy`, every byte written once to a new file (writing).
 */
#include "table/csv.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/philox.h"
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { RUNS = 5, CHUNK = 1 << 20 };
static char made[512], copy[64];

/* Seconds that all threads worked: what a busy machine does not change much. */
static double cpu_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- tables ---- */

static void words(mill_column *c, const char *name, int32_t n, mill_rng *rng)
{
    int32_t *offset = mill_alloc((size_t)n + 1, sizeof *offset);
    char *text = mill_alloc((size_t)n, 24);
    check(offset && text ? MILL_OK : MILL_ENOMEM);

    for (int32_t v = 0; v < n; v++)
        offset[v + 1] =
            offset[v] + sprintf(text + offset[v], v % 50 == 7 ? "Value, %d" : "value-%d", v * 7);
    check(column_init(c, name, MILL_CATEGORY, c->rows));
    check(column_set_dictionary(c, n, offset, text));
    for (int64_t i = 0; i < c->rows; i++) {
        const double u = mill_rng_f64(rng);
        c->code[i] = (int32_t)(u * u * n);
    }
    mill_free(offset);
    mill_free(text);
}

static void reals(mill_column *c, const char *name, int decimals, double most, mill_rng *rng)
{
    double unit = 1;

    check(column_init(c, name, MILL_REAL, c->rows));
    c->decimals = decimals;
    for (int k = 0; k < decimals; k++) unit *= 10;
    for (int64_t i = 0; i < c->rows; i++) {
        const double x = (mill_rng_f64(rng) - 0.2) * most;
        c->f64[i] = decimals > 15 ? x : (double)(int64_t)(x * unit) / unit;
    }
}

static void integers(mill_column *c, const char *name, mill_coltype type, double from, double most,
                     mill_rng *rng)
{
    check(column_init(c, name, type, c->rows));
    for (int64_t i = 0; i < c->rows; i++) c->i64[i] = (int64_t)(from + mill_rng_f64(rng) * most);
    if (type == MILL_DATETIME) {
        c->format = mill_strdup("%Y-%m-%d %H:%M:%S");
        check(c->format ? MILL_OK : MILL_ENOMEM);
    }
}

static mill_table *make(const char *what, int64_t rows)
{
    const bool typed = !strcmp(what, "typed");
    mill_rng rng = mill_rng_init(1, 0, 0);
    mill_table *t;
    char name[16];

    check(table_new(&t, rows, typed ? 10 : 8));
    for (int j = 0; j < t->n_cols; j++) {
        mill_column *c = &t->col[j];
        static const int32_t many[] = {2, 10, 40, 1000, 5000, 50000, 100, 7};
        static const int digits[] = {2, 6, 17, 6, 2, 17, 6, 6};
        c->rows = rows;
        snprintf(name, sizeof name, "c%d", j);
        if (!strcmp(what, "words") || (typed && j >= 5 && j < 9))
            words(c, name, many[j % 8], &rng);
        else if (!strcmp(what, "reals") || (typed && (j == 1 || j == 3)))
            reals(c, name, digits[j % 8], j == 1 ? 1e5 : 10, &rng);
        else if (j == 9)
            words(c, name, 2, &rng);
        else
            integers(c, name, j == 4 ? MILL_DATETIME : MILL_INTEGER, j == 4 ? 1.2e9 : 0,
                     j == 4 ? 5e8
                     : j    ? 99
                            : 1e7,
                     &rng);
    }
    return t;
}

/* ---- floors ---- */

typedef struct {
    const char *from;
    char *to;
    int64_t bytes;
    uint64_t sum[64];
} floor_work;

static void touch_chunk(void *ctx, int64_t chunk, int thread)
{
    floor_work *w = ctx;
    const char *p = w->from + chunk * CHUNK;
    const int64_t n = w->bytes - chunk * CHUNK < CHUNK ? w->bytes - chunk * CHUNK : CHUNK;
    uint64_t sum = 0, x;

    for (int64_t i = 0; i + 8 <= n; i += 8) {
        memcpy(&x, p + i, 8);
        sum += x;
    }
    __atomic_fetch_add(&w->sum[thread & 63], sum, __ATOMIC_RELAXED);
}

static double touch(const char *path, int64_t bytes, mill_pool *pool)
{
    double s[RUNS];

    for (int r = 0; r < RUNS; r++) {
        floor_work w = {.bytes = bytes};
        const void *map;
        size_t len;
        const double start = mill_clock();
        check(file_map(&map, &len, path));
        w.from = map;
        mill_pool_run(pool, (bytes + CHUNK - 1) / CHUNK, touch_chunk, &w);
        s[r] = mill_clock() - start;
        file_unmap(map, len);
    }
    return median_of(s, RUNS);
}

static double copy_file(const char *path, int64_t bytes)
{
    double s[RUNS];
    const void *map;
    size_t len;

    check(file_map(&map, &len, path));
    for (int r = 0; r < RUNS; r++) {
        mill_file *f;
        const double start = mill_clock();
        check(file_create(&f, copy));
        for (int64_t at = 0; at < bytes; at += CHUNK)
            check(file_write(f, (const char *)map + at,
                             (size_t)(bytes - at < CHUNK ? bytes - at : CHUNK)));
        check(file_flush(f));
        file_close(f);
        s[r] = mill_clock() - start;
        unlink(copy);
    }
    file_unmap(map, len);
    return median_of(s, RUNS);
}

/* ---- what is measured ---- */

static void measure(const char *what, const char *path, mill_pool *pool)
{
    const csv_options o = CSV_DEFAULTS;
    mill_table *t = NULL;
    mill_file *f;
    int64_t bytes;
    double read[RUNS], write[RUNS], read_cpu[RUNS], write_cpu[RUNS];

    check(file_open(&f, path));
    check(file_size(f, &bytes));
    file_close(f);
    for (int r = 0; r < RUNS; r++) {
        mill_table_free(t);
        const double start = mill_clock(), cpu = cpu_clock();
        check(mill_table_read_csv(&t, path, &o, pool));
        read[r] = mill_clock() - start;
        read_cpu[r] = cpu_clock() - cpu;
    }
    for (int r = 0; r < RUNS; r++) {
        const double start = mill_clock(), cpu = cpu_clock();
        check(mill_table_write(t, copy, true, pool));
        write[r] = mill_clock() - start;
        write_cpu[r] = cpu_clock() - cpu;
        unlink(copy);
    }
    const double mb = (double)bytes / 1e6;
    printf("%-6s %4.0f MB %8lld rows  read %5.0f MB/s (%4.0f a core; touch %5.0f)  "
           "write %5.0f MB/s (%4.0f a core; copy %5.0f)\n",
           what, mb, (long long)t->rows, mb / median_of(read, RUNS), mb / median_of(read_cpu, RUNS),
           mb / touch(path, bytes, pool), mb / median_of(write, RUNS),
           mb / median_of(write_cpu, RUNS), mb / copy_file(path, bytes));
    fflush(stdout);
    mill_table_free(t);
}

int main(int argc, char **argv)
{
    static const char *const what[] = {"typed", "reals", "words"};
    static const double row_bytes[] = {95, 84, 88};
    const double mb = number_at(argc, argv, 2, 128);
    const char *dir = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
    mill_pool *pool;

    check(mill_cpu_init());
    check(mill_pool_new(&pool, (int)number_at(argc, argv, 1, 2)));
    snprintf(copy, sizeof copy, "%s/tabmill-bench-%ld-copy.csv", dir, (long)getpid());
    printf("%s, level %s, %d threads, files in %s; bars: read 500 MB/s, write 300 MB/s\n",
           mill_cpu_model(), mill_cpu_level_name(), mill_pool_threads(pool), dir);
    for (int k = 0; k < 3; k++) {
        mill_table *t = make(what[k], (int64_t)(mb * 1e6 / row_bytes[k]));
        if (getenv("KEEP"))
            snprintf(made, sizeof made, "%s/%s.csv", getenv("KEEP"), what[k]);
        else
            snprintf(made, sizeof made, "%s/tabmill-bench-%ld-%s.csv", dir, (long)getpid(),
                     what[k]);
        check(mill_table_write(t, made, true, pool));
        mill_table_free(t);
        measure(what[k], made, pool);
        if (!getenv("KEEP")) unlink(made);
    }
    if (argc > 3) measure("DATA", argv[3], pool);
    mill_pool_free(pool);
    return 0;
}
