/*
 * evaluate.c - how fast tables are compared.  Lines of JSON: what, seconds (median of the rounds),
 * and the process's peak of memory.
 *
 *     evaluate                                  dcr of made tables, 26,000 rows of 15 columns
 *     evaluate dcr REAL SYNTHETIC               exact distances to the closest record, both
 *                                               tables in memory: points, search
 *     evaluate quality REAL SYNTHETIC           shapes, trends and what noise leaves, from the
 *                                               files
 *     evaluate boost TRAIN TEST TARGET AUC      the fewest trees that reach AUC on TEST, then
 *                                               the time to fit so many; codes are numbers, as
 *                                               the peer gets them
 */
#include "eval/evaluate.h"
#include "base/cpu.h"
#include "base/mem.h"
#include "base/philox.h"
#include "base/text.h"
#include "eval/align.h"
#include "eval/near.h"
#include "learn/boost.h"
#include "learn/metric.h"
#include "table/csv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 5, MADE_ROWS = 26000, MADE_COLS = 15, MOST_TREES = 1000 };

static mill_pool *pool;

static void stop(void)
{
    fprintf(stderr, "bench/evaluate: %s\n", mill_error());
    exit(1);
}

#define MUST(call) \
    if (call) stop()

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void say(const char *what, double *seconds, int n, int64_t units, const char *unit)
{
    qsort(seconds, (size_t)n, sizeof *seconds, by_value);
    printf("{\"what\": \"%s\", \"seconds\": %.4f, \"%s\": %lld, \"peak_bytes\": %lld, "
           "\"threads\": %d, \"level\": \"%s\"}\n",
           what, seconds[n / 2], unit, (long long)units, (long long)mill_cpu_peak_rss_bytes(),
           mill_pool_threads(pool), mill_cpu_level_name());
}

static mill_table *read_table(const char *path, const mill_table *like)
{
    csv_options o = CSV_DEFAULTS;
    mill_table *t = NULL;

    o.like = like;
    MUST(mill_table_read(&t, path, &o, pool));
    return t;
}

/* Six numbers and nine codes, as Adult has them. */
static mill_table *made_table(uint64_t seed)
{
    mill_table *t = NULL;
    int32_t offset[101];
    char text[101];

    for (int k = 0; k <= 100; k++) offset[k] = k;
    memset(text, 'x', sizeof text);
    MUST(table_new(&t, MADE_ROWS, MADE_COLS));
    for (int c = 0; c < MADE_COLS; c++) {
        mill_rng r = mill_rng_init(seed, 0, (uint32_t)c);
        char name[8];
        snprintf(name, sizeof name, "c%d", c);
        MUST(column_init(&t->col[c], name, c < 6 ? MILL_REAL : MILL_CATEGORY, MADE_ROWS));
        for (int64_t i = 0; i < MADE_ROWS; i++) {
            if (c < 6)
                t->col[c].f64[i] = floor(100 * mill_rng_f64(&r) * mill_rng_f64(&r));
            else
                t->col[c].code[i] = (int32_t)(mill_rng_f64(&r) * mill_rng_f64(&r) * (c * 3));
        }
        if (c >= 6) MUST(column_set_dictionary(&t->col[c], 100, offset, text));
    }
    return t;
}

static void dcr(const mill_table *real, const mill_table *syn)
{
    int *const column = mill_alloc((size_t)real->n_cols, sizeof *column), n = 0;
    double seconds[ROUNDS];

    for (int c = 0; c < real->n_cols; c++)
        if (real->col[c].type != MILL_IDENTIFIER) column[n++] = c;
    for (int round = 0; round < ROUNDS; round++) {
        near_scale *s = NULL;
        near_points *query = NULL, *ref = NULL;
        near_pair *const found = mill_alloc((size_t)syn->rows, sizeof *found);
        const double began = mill_clock();

        MUST(near_scale_new(&s, real, column, n, NEAR_L1, 1));
        MUST(near_points_new(&ref, s, real, NULL, real->rows));
        MUST(near_points_new(&query, s, syn, NULL, syn->rows));
        MUST(near_two(found, s, query, ref, false, pool));
        seconds[round] = mill_clock() - began;
        near_points_free(query);
        near_points_free(ref);
        near_scale_free(s);
        mill_free(found);
    }
    mill_free(column);
    say("dcr", seconds, ROUNDS, syn->rows * real->rows, "pairs");
}

static void dcr_of_files(const char *real_path, const char *syn_path)
{
    mill_table *real = read_table(real_path, NULL), *syn = read_table(syn_path, real), *same = NULL;
    const char **name = mill_alloc((size_t)real->n_cols, sizeof *name);

    for (int c = 0; c < real->n_cols; c++) name[c] = real->col[c].name;
    MUST(eval_align(&same, syn, real, name, real->n_cols, "synthetic"));
    dcr(real, same);
    mill_free(name);
    mill_table_free(same);
    mill_table_free(syn);
    mill_table_free(real);
}

static void quality(const char *real_path, const char *syn_path)
{
    const eval_options o = {.parts = EVAL_QUALITY};
    double seconds[ROUNDS];
    int64_t rows = 0;

    for (int round = 0; round < ROUNDS; round++) {
        json_t *report = NULL;
        const double began = mill_clock();
        mill_table *real = read_table(real_path, NULL), *syn = read_table(syn_path, real);

        MUST(mill_evaluate(&report, real, syn, &o, pool));
        seconds[round] = mill_clock() - began;
        rows = syn->rows;
        json_decref(report);
        mill_table_free(real);
        mill_table_free(syn);
    }
    say("quality", seconds, ROUNDS, rows, "rows");
}

/* ---- boosted trees ---- */

typedef struct {
    mill_features *x;
    double *y;
    uint8_t *positive;
} set;

/* The target's code of the real table that is rarer is 1. */
static set set_of(const mill_table *t, int target)
{
    set s = {0};
    int *const column = mill_alloc((size_t)t->n_cols, sizeof *column), n = 0;

    for (int c = 0; c < t->n_cols; c++)
        if (c != target) column[n++] = c;
    MUST(features_new(&s.x, t, column, n));
    s.y = mill_alloc((size_t)t->rows, sizeof *s.y);
    s.positive = mill_alloc((size_t)t->rows, 1);
    for (int64_t i = 0; i < t->rows; i++) {
        s.positive[i] = t->col[target].code[i] == 1;
        s.y[i] = s.positive[i];
    }
    mill_free(column);
    return s;
}

static double fit_and_score(double *seconds, const set *train, const set *test, int trees)
{
    boost_options o = BOOST_DEFAULTS;
    mill_boost *m = NULL;
    double auc;
    double *const p = mill_alloc((size_t)test->x->rows, sizeof *p);

    o.loss = BOOST_LOGISTIC;
    o.trees = trees;
    const double began = mill_clock();
    MUST(boost_fit(&m, train->x, train->y, &o, pool));
    *seconds = mill_clock() - began;
    MUST(boost_predict(p, m, test->x, pool));
    MUST(metric_auc(&auc, p, test->positive, test->x->rows));
    boost_free(m);
    mill_free(p);
    return auc;
}

static void boost(char **arg)
{
    mill_table *train = read_table(arg[0], NULL), *test = read_table(arg[1], train), *same = NULL;
    const int target = table_find(train, arg[2]);
    double wanted = 0;
    const char **name = mill_alloc((size_t)train->n_cols, sizeof *name);
    double seconds[ROUNDS];
    int few = 1, trees = 1;

    if (!mill_parse_f64(&wanted, arg[3], strlen(arg[3])))
        MUST(mill_fail(MILL_EINPUT, "%s is no AUC", arg[3]));
    for (int c = 0; c < train->n_cols; c++) name[c] = train->col[c].name;
    MUST(eval_align(&same, test, train, name, train->n_cols, "test"));
    set a = set_of(train, target), b = set_of(same, target);
    while (trees < MOST_TREES && fit_and_score(seconds, &a, &b, trees) < wanted) {
        few = trees;
        trees *= 2;
    }
    while (trees - few > 1) {
        const int half = (trees + few) / 2;
        if (fit_and_score(seconds, &a, &b, half) < wanted)
            few = half;
        else
            trees = half;
    }
    for (int round = 0; round < ROUNDS; round++)
        if (fit_and_score(&seconds[round], &a, &b, trees) < wanted) exit(1);
    say("boost", seconds, ROUNDS, trees, "trees");
}

int main(int argc, char **argv)
{
    MUST(mill_cpu_init());
    MUST(mill_pool_new(&pool, 0));
    if (argc == 1) {
        mill_table *real = made_table(1), *syn = made_table(2);
        dcr(real, syn);
        mill_table_free(real);
        mill_table_free(syn);
    } else if (argc == 4 && !strcmp(argv[1], "dcr")) {
        dcr_of_files(argv[2], argv[3]);
    } else if (argc == 4 && !strcmp(argv[1], "quality")) {
        quality(argv[2], argv[3]);
    } else if (argc == 6 && !strcmp(argv[1], "boost")) {
        boost(argv + 2);
    } else {
        fprintf(stderr, "usage: evaluate [dcr|quality REAL SYNTHETIC | boost TRAIN TEST TARGET "
                        "AUC]\n");
        return 2;
    }
    mill_pool_free(pool);
    return 0;
}
