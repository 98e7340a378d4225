/*
 * trends.c - Kolmogorov-Smirnov, total variation, correlation and contingency.
 *
 *     correlation   1 - |r - r'| / 2 over rows where both are present; none if a column has one
 *                   value only
 *     contingency   1 - (sum over cells of |p - p'|) / 2; "missing" is a value
 *     association   Cramer's V = sqrt(phi2 / (min(rows, columns) - 1)),
 *                   phi2 = sum n_ab^2 / (n_a n_b) - 1, without correction, over values that
 *                   occur; none if a column has one value only
 *
 * A contingency is counted in a table of cells if that is small or the rows are many, else by
 * sorting the cells' numbers: 300,000 categories by 300,000 have no table.  One pair is one chunk
 * of work.
 */
#include "eval/trends.h"

#include "base/mem.h"
#include "base/sort.h"
#include "eval/accuracy.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

static double rounded(double x)
{
    const double y = rint(x * 1e14) / 1e14;
    return isfinite(y) ? y : x;
}

double shape_ks_unrounded(const col_view *c)
{
    const col_side *r = &c->side[SIDE_REAL], *s = &c->side[SIDE_SYN];
    const double by_n = 1 / (double)r->n, by_m = 1 / (double)s->n;
    double worst = 0;

    if (!r->n || !s->n) return (double)NAN;
    for (int64_t i = 0, j = 0; i < r->n && j < s->n;) { /* behind the shorter, F or F' is 1 */
        const double at = r->sorted[i] < s->sorted[j] ? r->sorted[i] : s->sorted[j];

        while (i < r->n && r->sorted[i] <= at) i++;
        while (j < s->n && s->sorted[j] <= at) j++;
        worst = fmax(worst, fabs((double)i * by_n - (double)j * by_m));
    }
    return 1 - worst;
}

double shape_ks(const col_view *c)
{
    const col_side *r = &c->side[SIDE_REAL], *s = &c->side[SIDE_SYN];
    double worst = 0;

    if (!r->n || !s->n) return (double)NAN;
    for (int64_t i = 0, j = 0; i < r->n || j < s->n;) {
        const double a = i < r->n ? rounded(r->sorted[i]) : (double)INFINITY;
        const double b = j < s->n ? rounded(s->sorted[j]) : (double)INFINITY;
        const double at = a < b ? a : b;

        while (i < r->n && !(rounded(r->sorted[i]) > at)) i++;
        while (j < s->n && !(rounded(s->sorted[j]) > at)) j++;
        worst = fmax(worst, fabs((double)i / (double)r->n - (double)j / (double)s->n));
    }
    return 1 - worst;
}

double shape_tv(const col_view *c, bool compat)
{
    const col_side *r = &c->side[SIDE_REAL], *s = &c->side[SIDE_SYN];
    double sum = 0, more = 0;

    if (!r->n || !s->n) return (double)NAN;
    for (int32_t k = 0; compat && k < c->n_codes - 1; k++)
        more += !r->count[k] && s->count[k] ? 1e-6 : 0;
    for (int32_t k = 0; k < c->n_codes - 1; k++) {
        const double extra = compat && !r->count[k] && s->count[k] ? 1e-6 : 0;
        sum += fabs(((double)r->count[k] + extra) / ((double)r->n + more) -
                    (double)s->count[k] / (double)s->n);
    }
    return 1 - 0.5 * sum;
}

double pearson_of(const double *x, const double *y, const uint32_t *row, int64_t rows)
{
    double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
    int64_t n = 0;

    for (int64_t k = 0; k < rows; k++) {
        const int64_t i = row ? row[k] : k;
        if (isnan(x[i]) || isnan(y[i])) continue;
        mx += x[i];
        my += y[i];
        n++;
    }
    if (n < 2) return (double)NAN;
    mx /= (double)n;
    my /= (double)n;
    for (int64_t k = 0; k < rows; k++) {
        const int64_t i = row ? row[k] : k;
        if (isnan(x[i]) || isnan(y[i])) continue;
        xx += (x[i] - mx) * (x[i] - mx);
        yy += (y[i] - my) * (y[i] - my);
        xy += (x[i] - mx) * (y[i] - my);
    }
    const double r = xy / (sqrt(xx) * sqrt(yy));
    return r > 1 ? 1 : r < -1 ? -1 : r;
}

static void correlate(pair_result *p, const col_view *a, const col_view *b)
{
    for (int s = 0; s < N_SIDES; s++) {
        p->r[s] = (double)NAN;
        if (a->side[s].n_different == 1 || b->side[s].n_different == 1)
            p->why = s == SIDE_REAL ? "a column has one value only in the real table"
                                    : "a column has one value only in the synthetic table";
    }
    if (p->why) return;
    for (int s = 0; s < N_SIDES; s++)
        p->r[s] = pearson_of(a->side[s].x, b->side[s].x, NULL, a->side[s].rows);

    const double score = 1 - fabs(p->r[SIDE_REAL] - p->r[SIDE_SYN]) / 2;
    if (isnan(score)) p->why = "too few rows with both values, or no spread in them";
    for (int k = 0; k < N_BINNINGS; k++) {
        p->score[k] = score;
        p->counts[k] = fabs(p->r[SIDE_REAL]) > CORRELATION_THRESHOLD;
    }
}

typedef struct {
    const uint32_t *a[N_SIDES], *b[N_SIDES]; /* codes */
    const int64_t *pick[N_SIDES];            /* rows, or NULL: all */
    int64_t n[N_SIDES];
    int64_t n_a, n_b; /* number of codes */
} cross;

/* What the cells add up to, one after the other in the order of their numbers. */
typedef struct {
    double difference, phi, noise;
    const int64_t *in_row, *in_col; /* margins of the real side */
    const cross *x;
} totals;

static void add_cell(totals *t, int64_t cell, int64_t real, int64_t syn)
{
    const cross *x = t->x;
    const int64_t a = cell / x->n_b, b = cell % x->n_b;

    t->difference +=
        fabs((double)real / (double)x->n[SIDE_REAL] - (double)syn / (double)x->n[SIDE_SYN]);
    t->noise += accuracy_noise((double)real / (double)x->n[SIDE_REAL], (double)x->n[SIDE_REAL],
                               (double)x->n[SIDE_SYN]);
    if (real) t->phi += (double)real * (double)real / ((double)t->in_row[a] * (double)t->in_col[b]);
}

static int64_t cell_of(const cross *x, int side, int64_t i)
{
    const int64_t row = x->pick[side] ? x->pick[side][i] : i;
    return (int64_t)x->a[side][row] * x->n_b + x->b[side][row];
}

/* Rows by turns into two tables: one cell has many of them, and an increment waits for the last. */
static void count_all(uint32_t *of, uint32_t *odd, const cross *x, int side)
{
    const uint32_t *a = x->a[side], *b = x->b[side], n_b = (uint32_t)x->n_b;
    int64_t i = 0;

    for (; i + 1 < x->n[side]; i += 2) {
        of[(uint64_t)a[i] * n_b + b[i]]++;
        odd[(uint64_t)a[i + 1] * n_b + b[i + 1]]++;
    }
    if (i < x->n[side]) of[(uint64_t)a[i] * n_b + b[i]]++;
}

static mill_err count_dense(totals *t)
{
    const cross *x = t->x;
    const int64_t cells = x->n_a * x->n_b;
    uint32_t *const count = mill_alloc((size_t)cells, sizeof *count * 2 * N_SIDES);

    if (!count) return MILL_ENOMEM;
    for (int s = 0; s < N_SIDES; s++) {
        uint32_t *const of = count + (int64_t)2 * s * cells, *const odd = of + cells;
        if (x->pick[s])
            for (int64_t i = 0; i < x->n[s]; i++) of[cell_of(x, s, i)]++;
        else
            count_all(of, odd, x, s);
    }
    for (int64_t k = 0; k < cells; k++) {
        const int64_t real = (int64_t)count[k] + count[cells + k];
        const int64_t syn = (int64_t)count[2 * cells + k] + count[3 * cells + k];
        if (real | syn) add_cell(t, k, real, syn);
    }
    mill_free(count);
    return MILL_OK;
}

static mill_err count_sorted(totals *t)
{
    const cross *x = t->x;
    int64_t *key[N_SIDES] = {NULL, NULL};
    mill_err err = MILL_OK;

    for (int s = 0; !err && s < N_SIDES; s++) {
        key[s] = mill_alloc((size_t)x->n[s], sizeof *key[s]);
        err = key[s] ? MILL_OK : MILL_ENOMEM;
        for (int64_t i = 0; !err && i < x->n[s]; i++) key[s][i] = cell_of(x, s, i);
        if (!err) err = sort_i64(key[s], x->n[s]);
    }
    for (int64_t at[N_SIDES] = {0, 0}; !err && (at[0] < x->n[0] || at[1] < x->n[1]);) {
        int64_t cell = INT64_MAX, n[N_SIDES] = {0, 0};
        for (int s = 0; s < N_SIDES; s++)
            if (at[s] < x->n[s] && key[s][at[s]] < cell) cell = key[s][at[s]];
        for (int s = 0; s < N_SIDES; s++)
            for (; at[s] < x->n[s] && key[s][at[s]] == cell; at[s]++) n[s]++;
        add_cell(t, cell, n[SIDE_REAL], n[SIDE_SYN]);
    }
    for (int s = 0; s < N_SIDES; s++) mill_free(key[s]);
    return err;
}

static mill_err contingency(double *score, double *expected, double *association, const cross *x)
{
    int64_t *const margin = mill_alloc((size_t)(x->n_a + x->n_b), sizeof *margin);
    int64_t rows = 0, cols = 0;

    if (!margin) return MILL_ENOMEM;
    totals t = {.in_row = margin, .in_col = margin + x->n_a, .x = x};
    for (int64_t i = 0; i < x->n[SIDE_REAL]; i++) {
        const int64_t row = x->pick[SIDE_REAL] ? x->pick[SIDE_REAL][i] : i;
        margin[x->a[SIDE_REAL][row]]++;
        margin[x->n_a + x->b[SIDE_REAL][row]]++;
    }
    for (int64_t k = 0; k < x->n_a; k++) rows += margin[k] > 0;
    for (int64_t k = 0; k < x->n_b; k++) cols += margin[x->n_a + k] > 0;

    const int64_t cells = x->n_a * x->n_b, many = 4 * (x->n[0] + x->n[1]);
    const mill_err err = cells <= 65536 || cells <= many ? count_dense(&t) : count_sorted(&t);
    const int64_t least = rows < cols ? rows : cols;

    *score = 1 - t.difference / 2;
    *expected = fmax(0, 1 - t.noise);
    *association = least < 2 ? (double)NAN : sqrt(fmax(t.phi - 1, 0) / (double)(least - 1));
    mill_free(margin);
    return err;
}

typedef struct {
    pair_result *pair;
    const eval_view *v;
    const int64_t *const *pick;
    const int64_t *n_pick;
    atomic_int err;
} job;

static mill_err cross_tabulate(pair_result *p, const job *j, const col_view *a, const col_view *b)
{
    const bool has_number = !a->is_code || !b->is_code;

    if ((!a->is_code && !a->can_bin) || (!b->is_code && !b->can_bin)) {
        p->why = "a column has values without a finite range";
        return MILL_OK;
    }
    for (int k = 0; k < N_BINNINGS; k++) {
        cross x = {.n_a = a->n_codes, .n_b = b->n_codes};

        if (k && !has_number) { /* no bins, no difference */
            p->score[k] = p->score[0];
            p->expected[k] = p->expected[0];
            p->association[k] = p->association[0];
            p->counts[k] = p->counts[0];
            break;
        }
        for (int s = 0; s < N_SIDES; s++) {
            x.a[s] = k == BINS_REAL && !a->is_code ? a->side[s].real_bin : a->side[s].code;
            x.b[s] = k == BINS_REAL && !b->is_code ? b->side[s].real_bin : b->side[s].code;
            x.pick[s] = j->pick ? j->pick[s] : NULL;
            x.n[s] = x.pick[s] ? j->n_pick[s] : a->side[s].rows;
        }
        TRY(contingency(&p->score[k], &p->expected[k], &p->association[k], &x));
        p->counts[k] = p->association[k] > ASSOCIATION_THRESHOLD;
    }
    return MILL_OK;
}

static void do_pair(void *ctx, int64_t at, int thread)
{
    job *const j = ctx;
    pair_result *p = &j->pair[at];
    const col_view *a = &j->v->col[p->a], *b = &j->v->col[p->b];
    mill_err err = MILL_OK;

    (void)thread;
    *p = (pair_result){.a = p->a, .b = p->b, .is_correlation = !a->is_code && !b->is_code};
    for (int k = 0; k < N_BINNINGS; k++)
        p->score[k] = p->expected[k] = p->association[k] = (double)NAN;
    if (p->is_correlation)
        correlate(p, a, b);
    else
        err = cross_tabulate(p, j, a, b);
    if (err) j->err = (int)err;
}

mill_err trends_compute(pair_result *pair, int64_t n, const eval_view *v,
                        const int64_t *const pick[N_SIDES], const int64_t n_pick[N_SIDES],
                        mill_pool *pool)
{
    job j = {.pair = pair, .v = v, .pick = pick, .n_pick = n_pick};

    mill_pool_run(pool, n, do_pair, &j);
    return j.err ? mill_fail(MILL_ENOMEM, "out of memory while comparing pairs of columns")
                 : MILL_OK;
}
