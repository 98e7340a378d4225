/*
 * prior.c - how long each data set takes, in memory, one thread: prior [PRIOR|RECIPE] [N] [SEED].
 *
 * Processor time, so that another process beside it is not measured.
 * Quantiles and the slowest ones by their number, so that a heavy tail can be looked at
 * (`tabmill prior show --seed SEED -i I`).  Of mlp_scm also what the time is over its floor: what
 * the attempts that were accepted cannot do without, each at the rate that this processor reaches
 * at it alone,
 *
 *     products      2 flops for each row and kept weight, as 64 x 64 x 64 products in L1
 *     normals       one for each row and computed unit (noise), one for each kept weight
 *     activations   one exp for each row and activated unit
 *     passes        three over each activated unit: mean, deviation, scale
 *
 * times the attempts.  Tables of random functions, weights' masks and what follows on the network
 * are in the time and not in the floor.
 */
#include "prior/prior.h"
#include "base/cpu.h"
#include "base/gemm.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/vrow.h"
#include "prior/draw.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SLOWEST = 10 };

typedef struct {
    double seconds;
    int64_t index, rows;
    int features, attempts;
} timing;

static double processor_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

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
        const double began = processor_seconds();
        err = prior_make(&set, maker, i, false);
        t[i] = (timing){processor_seconds() - began, i, set.rows, set.features, set.attempts};
    }
    prior_maker_free(maker);
    return err;
}

/* ---- the floor of mlp_scm ---- */

typedef struct {
    double flops, normals, activated; /* of all data sets */
} work;

static double number(const json_t *o, const char *key, double otherwise)
{
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : otherwise;
}

static void add_layers(work *w, const prior_set *s)
{
    json_t *o = json_loadb(s->structure, s->structure_len, 0, NULL);
    const json_t *layer;
    const double rows = (double)s->rows, attempts = s->attempts;
    double before = 0;
    size_t l;

    json_array_foreach(json_object_get(o, "layers"), l, layer)
    {
        const double computed = number(layer, "computed", 0);
        const double blocks = number(layer, "blocks", 1);
        const double weights =
            number(layer, "weights", number(layer, "in", 0) * computed / (blocks > 0 ? blocks : 1));
        w->flops += attempts * 2 * rows * weights;
        w->normals += attempts * ((l ? rows * computed : 0) + weights);
        w->activated += attempts * (l ? rows * before : 0);
        before = computed;
    }
    json_decref(o);
}

enum { SIDE = 64, ROW = 4096, TRIES = 400 };

/* Nanoseconds for one: flop, normal, exp, and element of a pass; the best of many tries. */
static void measure_rates(double ns[4])
{
    static float a[SIDE * SIDE], b[SIDE * SIDE], c[SIDE * SIDE], x[ROW];
    const gemm_args g = {c,         a,           b,           .m = SIDE,  .n = SIDE,
                         .k = SIDE, .lda = SIDE, .ldb = SIDE, .ldc = SIDE};
    prior_draw draw = draw_init(1, 0);
    const double units[4] = {2.0 * SIDE * SIDE * SIDE, ROW, ROW, ROW};

    for (int k = 0; k < 4; k++) ns[k] = 1e9;
    for (int try = 0; try < TRIES; try++)
        for (int k = 0; k < 4; k++) {
            const double began = processor_seconds();
            for (int again = 0; again < 16; again++) {
                if (k == 0) gemm_own(&g);
                if (k == 1) draw_normals(&draw, x, ROW);
                if (k == 2) mill_vrow_map(x, x, ROW, VROW_EXP);
                if (k == 3)
                    for (int i = 0; i < ROW; i++) x[i] = x[i] * 0.5f + 0.25f;
            }
            const double each = (processor_seconds() - began) / 16 / units[k] * 1e9;
            ns[k] = each < ns[k] ? each : ns[k];
        }
}

static mill_err report_floor(double seconds, int64_t n, const prior_config *c)
{
    static const char *const what[4] = {"products", "normals", "activations", "passes"};
    prior_maker *maker;
    prior_set set;
    work w = {0};
    double ns[4], sum = 0;
    mill_err err;

    TRY(prior_maker_new(&maker, c));
    for (int64_t i = 0; i < n; i++) {
        if ((err = prior_make(&set, maker, i, true))) break;
        add_layers(&w, &set);
    }
    prior_maker_free(maker);
    if (err) return err;
    measure_rates(ns);
    const double units[4] = {w.flops, w.normals, w.activated, 3 * w.activated};
    printf("floor, ms a data set:");
    for (int k = 0; k < 4; k++) {
        printf(" %s %.3f (%.2f M at %.3f ns),", what[k], units[k] * ns[k] / 1e6 / (double)n,
               units[k] / 1e6 / (double)n, ns[k]);
        sum += units[k] * ns[k] / 1e9;
    }
    printf(" sum %.3f; executed over floor %.2f (bar 2)\n", 1e3 * sum / (double)n, seconds / sum);
    return MILL_OK;
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
        printf("  %8.2f ms  index %" PRId64 ", %" PRId64 " rows, %d features, %d attempt%s\n",
               1e3 * t[k].seconds, t[k].index, t[k].rows, t[k].features, t[k].attempts,
               mill_s(t[k].attempts));
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
    double seconds = 0;
    for (int64_t i = 0; i < n; i++) seconds += t[i].seconds;
    report(t, n, c.seed);
    mill_free(t);
    if (!strcmp(what, "mlp_scm") && report_floor(seconds, n, &c)) {
        fprintf(stderr, "bench/prior: %s\n", mill_error());
        return 1;
    }
    return 0;
}
