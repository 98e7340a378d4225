/*
 * bench.h - what the measuring programs share: an end with words, numbers from the command line,
 * medians.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "base/text.h"
#include "synth/synth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline _Noreturn void stop(const char *what, const char *value)
{
    fprintf(stderr, "bench: %s %s\n", what, value);
    exit(2);
}

static inline void check(mill_err err)
{
    if (!err) return;
    fprintf(stderr, "bench: %s\n", mill_error());
    exit(1);
}

/* argv[i] as a number; `absent` if there are fewer. */
static inline double number_at(int argc, char **argv, int i, double absent)
{
    double x = absent;

    if (i < argc && !mill_parse_f64(&x, argv[i], strlen(argv[i]))) stop("no number:", argv[i]);
    return x;
}

static inline int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double median_of(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, ascending);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

static inline const synth_method *method_named(const char *name)
{
    const synth_method *m = synth_method_find(name);

    if (!m) stop("no method", name);
    return m;
}

/* OPTION=VALUE from argv[from] on. */
static inline void set_options(synth_config *c, int argc, char **argv, int from)
{
    for (int i = from; i < argc; i++) {
        char *equals = strchr(argv[i], '=');

        if (!equals) stop("no OPTION=VALUE:", argv[i]);
        *equals = 0;
        check(synth_config_set(c, argv[i], equals + 1));
    }
}

#endif
