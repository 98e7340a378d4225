/* accuracy.c - see accuracy.h. */
#include "eval/accuracy.h"

#include "base/mem.h"
#include "base/philox.h"
#include "eval/groups.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum {
    WANTED = 10,
    MOST_BREAKS = 200, /* eleven and a few: more come only of contrived ties */
    MOST_STEPS = 1000,
    LEAST_ROWS = 5,
    STREAM_TRIPLES = 0x65760201
};

double accuracy_noise(double p, double n_real, double n_syn)
{
    const double two_by_pi = 0.63661977236758134308;
    return sqrt(two_by_pi * p * (1 - p) * (1 / n_real + 1 / n_syn)) / 2;
}

/* ---- bins ---- */

/* The different ones of i evenly spaced places among n sorted values; their number. */
static int spaced(double *to, const double *x, int64_t n, int i)
{
    const double step = i > 1 ? (double)(n - 1) / (i - 1) : 0;
    int m = 0;

    for (int k = 0; k < i; k++) { /* numpy.linspace(0, n - 1, i) */
        const int64_t at = k == i - 1 && i > 1 ? n - 1 : (int64_t)(k * step);
        if (m && x[at] == to[m - 1]) continue;
        if (m == MOST_BREAKS) m--; /* the last break is the largest value */
        to[m++] = x[at];
    }
    return m;
}

/* Cut off decimals, as long as all edges stay different. */
static void cut_decimals(double *edge, int n)
{
    double power = 1;

    for (int digits = 0; digits < 20; digits++, power *= 10) {
        bool differ = true;
        for (int k = 1; k < n; k++)
            differ &= floor(edge[k] * power) / power > floor(edge[k - 1] * power) / power;
        if (!differ) continue;
        for (int k = 0; k < n - 1; k++) edge[k] = floor(edge[k] * power) / power;
        return;
    }
}

/* edge (MOST_BREAKS): their number, at least 2; bin b holds edge[b] <= x < edge[b + 1]. */
static int edges_of(double *edge, const col_side *real, bool is_date)
{
    const double *x = real->sorted;
    int n = 0;

    if (!real->n) {
        edge[0] = -1e10;
        edge[1] = 1e10;
        return 2;
    }
    if (real->n_different <= (is_date ? 1 : WANTED)) {
        edge[n++] = x[0];
        for (int64_t i = 1; i < real->n; i++)
            if (x[i] > edge[n - 1]) edge[n++] = x[i];
        edge[n] = edge[n - 1] + 1;
        n++;
    } else {
        const int64_t end = real->n + 1 < MOST_STEPS ? real->n + 1 : MOST_STEPS;
        for (int i = WANTED; i < (end > WANTED + 1 ? end : WANTED + 1) && n < WANTED + 1; i++)
            n = spaced(edge, x, real->n, i);
    }
    if (!is_date) cut_decimals(edge, n);
    return n;
}

static uint8_t bin_of(const double *edge, int n, double x)
{
    int b = 0;

    while (b < n - 2 && x >= edge[b + 1]) b++;
    return (uint8_t)b;
}

typedef struct {
    const eval_view *v;
    const int *column;
    uint8_t **bin; /* (n columns, N_SIDES) -> (rows) */
    int *n_bins;   /* (n columns) with the one for missing, the last */
    atomic_bool failed;
} binning;

static void bin_numbers(const binning *b, int64_t k)
{
    const col_view *c = &b->v->col[b->column[k]];
    double edge[MOST_BREAKS + 1];
    const int n = edges_of(edge, &c->side[SIDE_REAL], c->type == MILL_DATETIME);

    b->n_bins[k] = n;
    for (int s = 0; s < N_SIDES; s++) {
        const double *x = c->side[s].x;
        uint8_t *to = b->bin[k * N_SIDES + s];
        for (int64_t i = 0; i < c->side[s].rows; i++)
            to[i] = isnan(x[i]) ? (uint8_t)(n - 1) : bin_of(edge, n, x[i]);
    }
}

/* The most frequent values; missing takes one of the places, if it is among them. */
static void choose_values(uint8_t *bin_of_code, int *n_bins, const col_side *real, int32_t n_codes)
{
    int64_t last = INT64_MAX;
    int32_t last_code = -1;
    int n = 0;

    for (int taken = 0; taken < WANTED; taken++) {
        int32_t best = -1;
        for (int32_t k = 0; k < n_codes; k++) {
            const int64_t count = real->count[k];
            const bool is_after = count < last || (count == last && k > last_code);
            if (is_after && count >= LEAST_ROWS && (best < 0 || count > real->count[best]))
                best = k;
        }
        if (best < 0) break;
        last = real->count[best];
        last_code = best;
        if (best < n_codes - 1) bin_of_code[best] = (uint8_t)(++n); /* 0: the others */
    }
    bin_of_code[n_codes - 1] = (uint8_t)(n + 1);
    *n_bins = n + 2;
}

static void bin_col(void *ctx, int64_t k, int thread)
{
    binning *const b = ctx;
    const col_view *c = &b->v->col[b->column[k]];

    (void)thread;
    if (!c->is_code) {
        bin_numbers(b, k);
        return;
    }
    uint8_t *const bin_of_code = mill_alloc((size_t)c->n_codes, 1);
    if (!bin_of_code) {
        b->failed = true;
        return;
    }
    choose_values(bin_of_code, &b->n_bins[k], &c->side[SIDE_REAL], c->n_codes);
    for (int s = 0; s < N_SIDES; s++)
        for (int64_t i = 0; i < c->side[s].rows; i++)
            b->bin[k * N_SIDES + s][i] = bin_of_code[c->side[s].code[i]];
    mill_free(bin_of_code);
}

/* ---- cells ---- */

typedef struct {
    const binning *b;
    int64_t rows[N_SIDES];
    accuracy_cell *cell;
    int order; /* 1, 2 or 3 columns */
    atomic_bool failed;
} counting;

static void count_cells(void *ctx, int64_t at, int thread)
{
    counting *const c = ctx;
    accuracy_cell *cell = &c->cell[at];
    const int order = c->order;
    int size[3] = {1, 1, 1};

    (void)thread;
    for (int k = 0; k < order; k++) size[k] = c->b->n_bins[cell->col[k]];
    const int64_t cells = (int64_t)size[0] * size[1] * size[2];
    int64_t *const count = mill_alloc((size_t)cells, N_SIDES * sizeof *count);
    if (!count) {
        c->failed = true;
        return;
    }
    for (int s = 0; s < N_SIDES; s++) {
        int64_t *to = count + s * cells;
        const uint8_t *a = c->b->bin[cell->col[0] * N_SIDES + s];
        const uint8_t *b = order > 1 ? c->b->bin[cell->col[1] * N_SIDES + s] : NULL;
        const uint8_t *d = order > 2 ? c->b->bin[cell->col[2] * N_SIDES + s] : NULL;

        for (int64_t i = 0; i < c->rows[s]; i++)
            to[(a[i] * size[1] + (b ? b[i] : 0)) * size[2] + (d ? d[i] : 0)]++;
    }
    const double n = (double)c->rows[0], m = (double)c->rows[1];
    double off = 0, noise = 0;
    for (int64_t k = 0; k < cells; k++) {
        const double p = (double)count[k] / n;
        off += fabs(p - (double)count[cells + k] / m);
        noise += accuracy_noise(p, n, m);
    }
    cell->score = 1 - off / 2;
    cell->most = fmax(0, 1 - noise); /* of few rows in many cells less than nothing is left */
    mill_free(count);
}

/* All combinations of `order` of n columns. */
static void combine(accuracy_cell *to, int n, int order)
{
    for (int a = 0; a < n; a++) {
        if (order == 1) {
            (to++)->col[0] = a;
            continue;
        }
        for (int b = a + 1; b < n; b++)
            for (int c = order == 2 ? n - 1 : b + 1; c < n; c++)
                memcpy((to++)->col, (int[]){a, b, c}, sizeof to->col);
    }
}

/* m different triples of n columns.  There are many more of them than of columns: three columns are
 * drawn until they are a new triple. */
static mill_err draw_triples(accuracy_cell *to, int64_t m, int n, uint64_t seed)
{
    mill_rng rng = mill_rng_init(seed, STREAM_TRIPLES, 0);
    groups *seen = NULL;
    mill_err err = groups_new(&seen, 3);

    while (!err && groups_count(seen) < m) {
        int64_t x[3], id;
        for (int k = 0; k < 3; k++) x[k] = mill_rng_below(&rng, (uint32_t)n);
        if (x[0] >= x[1] || x[1] >= x[2]) continue; /* one order of the six */
        err = groups_add(&id, seen, x);
        for (int k = 0; !err && k < 3; k++) to[id].col[k] = (int)x[k];
    }
    groups_free(seen);
    return err;
}

static mill_err make_cells(accuracy_result *a, int n, uint64_t seed)
{
    const int64_t columns = n, pairs = columns * (n - 1) / 2, triples = pairs * (n - 2) / 3;
    const bool some = triples > ACCURACY_MAX_TRIPLES;

    a->n[0] = columns;
    a->n[1] = pairs;
    a->n[2] = some ? ACCURACY_MAX_TRIPLES : triples;
    a->n_triples = triples;
    for (int k = 0; k < 3; k++) {
        if (!(a->of[k] = mill_alloc((size_t)a->n[k], sizeof *a->of[k]))) return MILL_ENOMEM;
        if (k < 2 || !some) combine(a->of[k], n, k + 1);
    }
    return some ? draw_triples(a->of[2], a->n[2], n, seed) : MILL_OK;
}

void accuracy_deinit(accuracy_result *a)
{
    for (int k = 0; k < 3; k++) mill_free(a->of[k]);
}

static mill_err count_all(accuracy_result *a, const binning *b, const eval_view *v,
                          const int *column, mill_pool *pool)
{
    for (int k = 0; k < 3; k++) {
        counting c = {.b = b, .cell = a->of[k], .order = k + 1};
        double sum = 0, most = 0;

        for (int s = 0; s < N_SIDES; s++) c.rows[s] = v->col[0].side[s].rows;
        mill_pool_run(pool, a->n[k], count_cells, &c);
        if (c.failed) return mill_fail(MILL_ENOMEM, "out of memory for cells of bins");
        for (int64_t i = 0; i < a->n[k]; i++) {
            sum += a->of[k][i].score;
            most += a->of[k][i].most;
            for (int d = 0; d <= k; d++) a->of[k][i].col[d] = column[a->of[k][i].col[d]];
        }
        a->mean[k] = a->n[k] ? sum / (double)a->n[k] : (double)NAN;
        a->mean_most[k] = a->n[k] ? most / (double)a->n[k] : (double)NAN;
    }
    return MILL_OK;
}

mill_err accuracy_compute(accuracy_result *a, const eval_view *v, const int *column, int n,
                          uint64_t seed, mill_pool *pool)
{
    binning b = {.v = v, .column = column};
    mill_err err = MILL_ENOMEM;

    *a = (accuracy_result){0};
    b.bin = mill_alloc((size_t)n * N_SIDES, sizeof *b.bin);
    b.n_bins = mill_alloc((size_t)n, sizeof *b.n_bins);
    if (!b.bin || !b.n_bins) goto done;
    for (int k = 0; k < n * N_SIDES; k++)
        if (!(b.bin[k] = mill_alloc((size_t)v->col[column[k / N_SIDES]].side[k % N_SIDES].rows, 1)))
            goto done;
    mill_pool_run(pool, n, bin_col, &b);
    if (b.failed) goto done;
    if ((err = make_cells(a, n, seed))) goto done;
    err = count_all(a, &b, v, column, pool);
done:
    for (int k = 0; b.bin && k < n * N_SIDES; k++) mill_free(b.bin[k]);
    mill_free(b.bin);
    mill_free(b.n_bins);
    if (err) accuracy_deinit(a);
    return err;
}
