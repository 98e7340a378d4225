/* view.c - see view.h. */
#include "eval/view.h"

#include "base/mem.h"
#include "base/sort.h"
#include "learn/order.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

void view_free(eval_view *v)
{
    if (!v) return;
    for (int c = 0; v->col && c < v->n_cols; c++) {
        for (int s = 0; s < N_SIDES; s++) {
            col_side *side = &v->col[c].side[s];
            mill_free(side->x);
            mill_free(side->sorted);
            mill_free(side->code);
            mill_free(side->real_bin);
            mill_free(side->count);
        }
    }
    mill_free(v->col);
    mill_free(v);
}

static mill_err read_codes(col_side *s, const mill_column *c, int32_t n_codes)
{
    s->code = mill_alloc((size_t)c->rows, sizeof *s->code);
    s->count = mill_alloc((size_t)n_codes, sizeof *s->count);
    if (!s->code || !s->count) return MILL_ENOMEM;
    for (int64_t i = 0; i < c->rows; i++) {
        s->code[i] = column_is_valid(c, i) ? (uint32_t)c->code[i] : (uint32_t)(n_codes - 1);
        s->count[s->code[i]]++;
    }
    s->n = c->rows - s->count[n_codes - 1];
    for (int32_t k = 0; k < n_codes - 1; k++) s->n_different += s->count[k] > 0;
    return MILL_OK;
}

/* Mean in one visit, spread around it in a second. */
void side_describe(col_side *s)
{
    const double *x = s->sorted;
    double sum = 0, squares = 0;

    s->min = s->n ? x[0] : (double)NAN;
    s->max = s->n ? x[s->n - 1] : (double)NAN;
    s->median = sorted_quantile(x, s->n, 0.5);
    for (int64_t i = 0; i < s->n; i++) {
        sum += x[i];
        s->n_different += i == 0 || x[i] > x[i - 1];
    }
    s->mean = sum / (double)s->n; /* 0 / 0 is what is meant */
    for (int64_t i = 0; i < s->n; i++) squares += (x[i] - s->mean) * (x[i] - s->mean);
    s->std = s->n > 1 ? sqrt(squares / (double)(s->n - 1)) : (double)NAN;
}

/* Beyond 2^53 doubles no longer tell whole numbers apart. */
static mill_err count_whole(col_side *s, const mill_column *c)
{
    int64_t *const x = mill_alloc((size_t)s->n, sizeof *x), n = 0;
    mill_err err = x ? MILL_OK : MILL_ENOMEM;

    for (int64_t i = 0; !err && i < c->rows; i++)
        if (column_is_valid(c, i)) x[n++] = c->i64[i];
    if (!err) err = sort_i64(x, n);
    s->n_different = 0;
    for (int64_t i = 0; !err && i < n; i++) s->n_different += i == 0 || x[i] > x[i - 1];
    mill_free(x);
    return err;
}

static mill_err read_numbers(col_side *s, const mill_column *c, double unit)
{
    s->x = mill_alloc((size_t)c->rows, sizeof *s->x);
    s->sorted = mill_alloc((size_t)c->rows, sizeof *s->sorted);
    s->code = mill_alloc((size_t)c->rows, sizeof *s->code);
    s->real_bin = mill_alloc((size_t)c->rows, sizeof *s->real_bin);
    if (!s->x || !s->sorted || !s->code || !s->real_bin) return MILL_ENOMEM;
    for (int64_t i = 0; i < c->rows; i++) {
        s->x[i] = column_f64(c, i) * unit;
        if (!isnan(s->x[i])) s->sorted[s->n++] = s->x[i];
    }
    TRY(sort_f64(s->sorted, s->n));
    side_describe(s);
    const bool may_fall_together = c->type != MILL_REAL && fmax(-s->min, s->max) >= 0x1p53;
    return may_fall_together ? count_whole(s, c) : MILL_OK;
}

/* numpy.histogram_bin_edges(x, 10). */
static void edges_of(double edge[N_BINS + 1], const col_side *s)
{
    double first = s->n ? s->min : 0, last = s->n ? s->max : 1;

    if (first == last) {
        first -= 0.5;
        last += 0.5;
    }
    const double step = (last - first) / N_BINS;
    for (int i = 0; i < N_BINS; i++)
        edge[i] = (step > 0 ? i * step : (double)i / N_BINS * (last - first)) + first;
    edge[N_BINS] = last;
}

/* numpy.digitize(x, edge): the number of edges at or below x; NaN counts as above all. */
static void digitize(uint32_t *bin, const double *x, int64_t n, const double edge[N_BINS + 1])
{
    const double per_step = N_BINS / (edge[N_BINS] - edge[0]);

    for (int64_t i = 0; i < n; i++) {
        const double at = (x[i] - edge[0]) * per_step + 1;
        int b = at >= 0 && at <= N_BINS + 1 ? (int)at : at < 0 ? 0 : N_BINS + 1;

        if (!isnan(x[i])) {
            while (b > 0 && x[i] < edge[b - 1]) b--; /* the guess may be off by rounding */
            while (b <= N_BINS && x[i] >= edge[b]) b++;
        }
        bin[i] = (uint32_t)b;
    }
}

static void set_bins(col_view *c)
{
    double edge[N_BINS + 1];

    c->can_bin = true;
    for (int s = 0; s < N_SIDES; s++)
        if (c->side[s].n && !isfinite(c->side[s].max - c->side[s].min)) c->can_bin = false;
    if (!c->can_bin) return;
    for (int s = 0; s < N_SIDES; s++) {
        edges_of(edge, &c->side[s]);
        digitize(c->side[s].code, c->side[s].x, c->side[s].rows, edge);
    }
    edges_of(edge, &c->side[SIDE_REAL]);
    for (int s = 0; s < N_SIDES; s++) {
        col_side *side = &c->side[s];
        digitize(side->real_bin, side->x, side->rows, edge);
        for (int64_t i = 0; i < side->rows; i++) {
            uint32_t *b =
                &side->real_bin[i]; /* the ends are open: 0 and 11 belong to the outer bins */
            if (isnan(side->x[i]))
                *b = MISSING_CODE;
            else
                *b = *b < 1 ? 1 : *b > N_BINS ? N_BINS : *b;
        }
    }
}

typedef struct {
    eval_view *view;
    const mill_table *table[N_SIDES];
    atomic_int err;
} job;

static void read_side(void *ctx, int64_t at, int thread)
{
    job *const j = ctx;
    const int side = (int)(at % N_SIDES);
    col_view *v = &j->view->col[at / N_SIDES];
    const mill_column *c = &j->table[side]->col[at / N_SIDES];
    col_side *s = &v->side[side];

    (void)thread;
    s->rows = c->rows;
    const mill_err err = v->is_code ? read_codes(s, c, v->n_codes) : read_numbers(s, c, v->unit);
    if (err) j->err = (int)err;
}

static void bin_col(void *ctx, int64_t c, int thread)
{
    job *const j = ctx;

    (void)thread;
    if (!j->view->col[c].is_code) set_bins(&j->view->col[c]);
}

mill_err view_new(eval_view **out, const mill_table *real, const mill_table *syn, bool in_ns,
                  mill_pool *pool)
{
    eval_view *const v = mill_alloc(1, sizeof *v);
    job j = {.view = v, .table = {real, syn}};

    if (!v) return MILL_ENOMEM;
    v->n_cols = real->n_cols;
    v->col = mill_alloc((size_t)real->n_cols, sizeof *v->col);
    if (!v->col) {
        view_free(v);
        return MILL_ENOMEM;
    }
    for (int c = 0; c < real->n_cols; c++) {
        const mill_column *r = &real->col[c], *s = &syn->col[c];
        v->col[c] = (col_view){.name = r->name,
                               .type = r->type,
                               .unit = in_ns && r->type == MILL_DATETIME ? 1e9 : 1,
                               .is_code = column_has_codes(r),
                               .is_key = r->type == MILL_IDENTIFIER};
        const int32_t n_values = r->n_values > s->n_values ? r->n_values : s->n_values;
        v->col[c].n_codes = v->col[c].is_code ? n_values + 1 : N_BIN_CODES;
    }
    mill_pool_run(pool, (int64_t)real->n_cols * N_SIDES, read_side, &j);
    if (!j.err) mill_pool_run(pool, real->n_cols, bin_col, &j);
    if (j.err) {
        view_free(v);
        return mill_fail(MILL_ENOMEM, "out of memory while comparing %d columns", real->n_cols);
    }
    *out = v;
    return MILL_OK;
}
