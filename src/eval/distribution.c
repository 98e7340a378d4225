/* distribution.c - see distribution.h. */
#include "eval/distribution.h"

#include "base/mem.h"
#include "base/philox.h"
#include "base/sort.h"
#include "eval/accuracy.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

enum { STREAM_NOISE = 0x65760301 };

double wasserstein(const col_view *c)
{
    const col_side *r = &c->side[SIDE_REAL], *s = &c->side[SIDE_SYN];
    const double range = r->max - r->min;
    double sum = 0;

    if (!r->n || !s->n || !(range > 0) || !isfinite(range)) return (double)NAN;
    double at = fmin(r->min, s->min);
    for (int64_t i = 0, j = 0; i < r->n || j < s->n;) {
        const bool is_real = j == s->n || (i < r->n && r->sorted[i] <= s->sorted[j]);
        const double next = is_real ? r->sorted[i] : s->sorted[j];
        sum += (next - at) * fabs((double)i / (double)r->n - (double)j / (double)s->n);
        at = next;
        i += is_real;
        j += !is_real;
    }
    return sum / range;
}

static double plogp(double p, double of)
{
    return p > 0 ? p * mill_log_f64(p / of) : 0;
}

/* Of counts (n); the totals are those of all. */
static double divergence(const int64_t *real, const int64_t *syn, int32_t n, double n_real,
                         double n_syn)
{
    const double by_ln2 = 1.44269504088896340736;
    double sum = 0;

    for (int32_t k = 0; k < n; k++) {
        const double p = (double)real[k] / n_real, q = (double)syn[k] / n_syn;
        sum += plogp(p, (p + q) / 2) + plogp(q, (p + q) / 2);
    }
    return fmin(fmax(sum * by_ln2 / 2, 0), 1);
}

static void count_bins(int64_t count[N_BIN_CODES], const col_side *s)
{
    memset(count, 0, N_BIN_CODES * sizeof *count);
    for (int64_t i = 0; i < s->rows; i++) count[s->real_bin[i]]++;
}

double jensen_shannon(const col_view *c)
{
    const col_side *r = &c->side[SIDE_REAL], *s = &c->side[SIDE_SYN];
    int64_t count[N_SIDES][N_BIN_CODES];

    if (c->is_code)
        return divergence(r->count, s->count, c->n_codes, (double)r->rows, (double)s->rows);
    if (!c->can_bin) return (double)NAN;
    for (int k = 0; k < N_SIDES; k++) count_bins(count[k], &c->side[k]);
    return divergence(count[0], count[1], N_BIN_CODES, (double)r->rows, (double)s->rows);
}

/* ---- noise ---- */

void noise_rows_free(noise_rows *r)
{
    for (int b = 0; b < NOISE_DRAWS; b++) {
        for (int s = 0; s < N_SIDES; s++) {
            mill_free(r->row[b][s]);
            r->row[b][s] = NULL;
        }
    }
}

mill_err noise_rows_draw(noise_rows *r, const eval_view *v, uint64_t seed)
{
    const int64_t real = v->col[0].side[SIDE_REAL].rows, syn = v->col[0].side[SIDE_SYN].rows;

    *r = (noise_rows){
        .rows = {real < NOISE_ROWS ? real : NOISE_ROWS, syn < NOISE_ROWS ? syn : NOISE_ROWS}};
    r->scale = (1 / (double)real + 1 / (double)syn) /
               (1 / (double)r->rows[SIDE_REAL] + 1 / (double)r->rows[SIDE_SYN]);
    for (int b = 0; b < NOISE_DRAWS; b++) {
        for (int s = 0; s < N_SIDES; s++) {
            mill_rng rng = mill_rng_init(seed, STREAM_NOISE, (uint32_t)(b * N_SIDES + s));
            uint32_t *const to = mill_alloc((size_t)r->rows[s], sizeof *to);

            if (!(r->row[b][s] = to)) {
                noise_rows_free(r);
                return MILL_ENOMEM;
            }
            for (int64_t i = 0; i < r->rows[s]; i++) to[i] = mill_rng_below(&rng, (uint32_t)real);
        }
    }
    return MILL_OK;
}

/* 1 - expected: of `score`, what is off at the bootstraps' size, at the tables'. */
static double at_size(double score, double scale)
{
    const double at = 1 - (1 - score) * sqrt(scale);
    return at < 0 ? 0 : at; /* NaN stays */
}

/* Deal the real rows to two tables as large in proportion as the real and the synthetic one: what
 * of the first one's range does the second not reach?  Between two neighbours of the sorted values
 * nothing, unless all rows beyond went to the first: share^k for k of them. */
static double expected_range(const col_side *r, double share)
{
    const double range = r->max - r->min;
    double off = 0, all = share;

    if (!(range > 0)) return (double)NAN;
    for (int64_t k = 1; k < r->n && all > 1e-12; k++, all *= share)
        off +=
            all * (r->sorted[r->n - k] - r->sorted[r->n - k - 1] + r->sorted[k] - r->sorted[k - 1]);
    return fmax(0, 1 - off / range);
}

/* The same of categories: those that are in both tables, of those that are in the first. */
static double expected_categories(const col_side *r, int32_t n_codes, double share)
{
    double both = 0, first = 0;

    for (int32_t k = 0; k < n_codes; k++) {
        if (!r->count[k]) continue;
        const double none = mill_pow_f64(1 - share, (double)r->count[k]);
        first += 1 - none;
        both += 1 - none - mill_pow_f64(share, (double)r->count[k]);
    }
    return first > 0 ? both / first : (double)NAN;
}

static double real_share(const col_view *c)
{
    const double n = (double)c->side[SIDE_REAL].n, m = (double)c->side[SIDE_SYN].n;
    return n / (n + m);
}

static double missing_noise(const col_view *c)
{
    const col_side *r = &c->side[SIDE_REAL];
    const double p = (double)(r->rows - r->n) / (double)r->rows;
    /* E|p - p'|, where accuracy_noise has half of it */
    return 1 - 2 * accuracy_noise(p, (double)r->rows, (double)c->side[SIDE_SYN].rows);
}

static void codes_noise(col_noise *out, const col_view *c)
{
    const col_side *real = &c->side[SIDE_REAL], *syn = &c->side[SIDE_SYN];
    const double n = (double)real->n, m = (double)syn->n;
    double off = 0;

    for (int32_t k = 0; n > 0 && m > 0 && k < c->n_codes - 1; k++) {
        const double p = (double)real->count[k] / n;
        off += accuracy_noise(p, n, m);
    }
    out->shape = n > 0 && m > 0 ? fmax(0, 1 - off) : (double)NAN;
    out->d.coverage = expected_categories(real, c->n_codes - 1, real_share(c));
    /* Half the sum of squares over the mean share: chi^2 / 8 to second order, in bits. */
    double cells = -1;
    for (int32_t k = 0; k < c->n_codes; k++) cells += real->count[k] > 0;
    out->jensen_shannon =
        cells / 8 * 1.44269504088896340736 * (1 / (double)real->rows + 1 / (double)syn->rows);
    out->wasserstein = (double)NAN;
}

/* Both sides of `to` from real rows. */
static mill_err resample(col_view *to, const col_view *c, const noise_rows *r, int draw)
{
    const col_side *real = &c->side[SIDE_REAL];

    for (int s = 0; s < N_SIDES; s++) {
        col_side *side = &to->side[s];
        side->n = side->n_different = 0;
        side->rows = r->rows[s];
        for (int64_t i = 0; i < side->rows; i++) {
            const uint32_t row = r->row[draw][s][i];
            if (!isnan(real->x[row])) side->sorted[side->n++] = real->x[row];
            side->real_bin[i] = real->real_bin[row];
        }
        TRY(sort_f64(side->sorted, side->n));
        side_describe(side);
    }
    return MILL_OK;
}

static mill_err numbers_noise(col_noise *out, const col_view *c, const noise_rows *r, double scale)
{
    col_view t = {.name = c->name, .type = c->type, .can_bin = c->can_bin};
    double sum[6] = {0};
    int64_t n[6] = {0};
    mill_err err = MILL_OK;

    for (int s = 0; s < N_SIDES; s++) {
        t.side[s].sorted = mill_alloc((size_t)r->rows[s], sizeof *t.side[s].sorted);
        t.side[s].real_bin = mill_alloc((size_t)r->rows[s], sizeof *t.side[s].real_bin);
        if (!t.side[s].sorted || !t.side[s].real_bin) err = MILL_ENOMEM;
    }
    for (int b = 0; !err && b < NOISE_DRAWS; b++) {
        if ((err = resample(&t, c, r, b))) break;
        const col_diagnosis d = diagnose(&t);
        const double range =
            (t.side[0].max - t.side[0].min) / (c->side[SIDE_REAL].max - c->side[SIDE_REAL].min);
        /* Similarities are over the real range, which a draw does not quite reach. */
        const double figure[6] = {shape_ks_unrounded(&t),     wasserstein(&t) * range,
                                  jensen_shannon(&t),         1 - (1 - d.mean) * range,
                                  1 - (1 - d.median) * range, 1 - (1 - d.std) * range};
        for (int k = 0; k < 6; k++) {
            if (isnan(figure[k])) continue;
            sum[k] += figure[k];
            n[k]++;
        }
    }
    for (int k = 0; k < 6; k++) sum[k] = n[k] ? sum[k] / (double)n[k] : (double)NAN;
    out->shape = at_size(sum[0], scale);
    out->wasserstein = sum[1] * sqrt(scale);
    out->jensen_shannon = sum[2] * scale;
    out->d.mean = at_size(sum[3], scale);
    out->d.median = at_size(sum[4], scale);
    out->d.std = at_size(sum[5], scale);
    out->d.coverage = expected_range(&c->side[SIDE_REAL], real_share(c));
    for (int s = 0; s < N_SIDES; s++) {
        mill_free(t.side[s].sorted);
        mill_free(t.side[s].real_bin);
    }
    return err;
}

typedef struct {
    col_noise *out;
    pair_result *pair;
    const eval_view *v;
    const noise_rows *rows;
    atomic_bool failed;
} job;

static void do_column(void *ctx, int64_t c, int thread)
{
    job *const j = ctx;
    const col_view *col = &j->v->col[c];
    const double nan = (double)NAN;
    col_noise *out = &j->out[c];

    (void)thread;
    *out = (col_noise){nan, nan, nan, {.mean = nan, .median = nan, .std = nan}};
    if (col->is_code)
        codes_noise(out, col);
    else if (numbers_noise(out, col, j->rows, j->rows->scale))
        j->failed = true;
    out->d.validity = expected_validity(col);
    out->d.missing = missing_noise(col);
}

mill_err noise_of_columns(col_noise *out, const eval_view *v, const noise_rows *r, mill_pool *pool)
{
    job j = {.out = out, .v = v, .rows = r};

    mill_pool_run(pool, v->n_cols, do_column, &j);
    return j.failed ? mill_fail(MILL_ENOMEM, "out of memory while drawing samples again") : MILL_OK;
}

static void do_pair(void *ctx, int64_t at, int thread)
{
    job *const j = ctx;
    pair_result *p = &j->pair[at];
    double off = 0;
    int n = 0;

    (void)thread;
    if (!p->is_correlation) return;
    const double *x = j->v->col[p->a].side[SIDE_REAL].x, *y = j->v->col[p->b].side[SIDE_REAL].x;
    for (int b = 0; b < NOISE_DRAWS; b++) {
        double rho[N_SIDES];
        for (int s = 0; s < N_SIDES; s++)
            rho[s] = pearson_of(x, y, j->rows->row[b][s], j->rows->rows[s]);
        if (isnan(rho[0] + rho[1])) continue;
        off += fabs(rho[0] - rho[1]) / 2;
        n++;
    }
    for (int k = 0; k < N_BINNINGS; k++)
        p->expected[k] = n ? at_size(1 - off / n, j->rows->scale) : (double)NAN;
}

void noise_of_pairs(pair_result *pair, int64_t n, const eval_view *v, const noise_rows *r,
                    mill_pool *pool)
{
    job j = {.pair = pair, .v = v, .rows = r};
    mill_pool_run(pool, n, do_pair, &j);
}
