/*
 * prior.c - how long each data set takes, in memory, one thread: prior [PRIOR|RECIPE] [N] [SEED].
 *
 * Quantiles and the slowest ones by their number, so that a heavy tail can be looked at
 * (`tabmill prior show --seed SEED -i I`).
 */
#include "prior/prior.h"
#include "base/cpu.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOWEST = 10 };

typedef struct {
    double seconds;
    int64_t index, rows;
    int features, attempts;
} timing;

static int by_seconds(const void *a, const void *b)
{
    const double x = ((const timing *)a)->seconds, y = ((const timing *)b)->seconds;
    return (x > y) - (x < y);
}

static mill_err measure(timing *t, int64_t n, const prior_config *c)
{
    prior_maker *maker;
    prior_set set;
    mill_err err;

    TRY(prior_maker_new(&maker, c));
    err = prior_make(&set, maker, 0, false); /* tables are filled, memory is there */
    for (int64_t i = 0; i < n && !err; i++) {
        const double began = mill_clock();
        err = prior_make(&set, maker, i, false);
        t[i] = (timing){mill_clock() - began, i, set.rows, set.features, set.attempts};
    }
    prior_maker_free(maker);
    return err;
}

static void report(timing *t, int64_t n, uint64_t seed)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++) sum += t[i].seconds;
    qsort(t, (size_t)n, sizeof *t, by_seconds);
    printf("%" PRId64 " data sets, seed %" PRIu64
           ", level %s: %.0f a minute; ms: mean %.3f, median "
           "%.3f, 99 %% %.3f, 99.9 %% %.3f\n",
           n, seed, mill_cpu_level_name(), 60 * (double)n / sum, 1e3 * sum / (double)n,
           1e3 * t[n / 2].seconds, 1e3 * t[n - 1 - n / 100].seconds,
           1e3 * t[n - 1 - n / 1000].seconds);
    for (int64_t k = n - 1; k >= 0 && k >= n - SLOWEST; k--)
        printf("  %8.2f ms  index %" PRId64 ", %" PRId64 " rows, %d features, %d attempts\n",
               1e3 * t[k].seconds, t[k].index, t[k].rows, t[k].features, t[k].attempts);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "mlp_scm";
    const int64_t n = argc > 2 ? strtoll(argv[2], NULL, 10) : 2000;
    prior_config c = prior_config_default();
    mill_err err = mill_cpu_init();

    c.seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    if (!err && strchr(what, '-'))
        err = prior_recipe(&c, what);
    else
        c.prior = what;
    timing *t = n > 0 ? mill_alloc((size_t)n, sizeof *t) : NULL;
    if (!err && t) err = measure(t, n, &c);
    if (err || !t) {
        fprintf(stderr, "bench/prior: %s\n", err ? mill_error() : "N is a number from 1 up");
        return 1;
    }
    report(t, n, c.seed);
    mill_free(t);
    return 0;
}
