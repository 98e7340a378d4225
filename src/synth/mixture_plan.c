/*
 * mixture_plan.c - exact conditions: evidence on any columns, values and ranges.
 *
 * Given conditions E, each on one column, the mixture stays a mixture:
 *
 *     w_k' ~ w_k prod_{j in E} sum_c p_j(c | k) f_j(c),      p_j'(c | k) ~ p_j(c | k) f_j(c)
 *
 * f_j(c): the share of code c's own distribution that meets the conditions on column j: 0 or 1 for
 * a value, marked points of CODE_POINTS, an interval of u of CODE_RANGE.  Conditions on one column
 * multiply as sets.  Decoded numbers are rounded to the grid, so x >= 30 is u-values that decode to
 * 30 - half a step or more; what rounding of doubles could still move across is clipped.
 *
 * Only "!=" with a number inside a range is left to rejection: it would cut an interval in two.
 */
#include "synth/mixture.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

/* weight: n, not negative, not all 0; work: 16 n bytes, aligned.  Outcomes of weight 0 never come.
 */
static void alias_fill(alias_entry *out, const double *weight, int32_t n, int32_t *work)
{
    int32_t *small = work, *large = work + n, n_small = 0, n_large = 0;
    double sum = 0;

    for (int32_t i = 0; i < n; i++) sum += weight[i];
    double *left = (double *)(void *)(work + 2 * (int64_t)n);
    for (int32_t i = 0; i < n; i++) {
        left[i] = weight[i] / sum * n;
        if (left[i] < 1) {
            small[n_small++] = i;
        } else {
            large[n_large++] = i;
        }
    }
    while (n_small && n_large) {
        const int32_t s = small[--n_small], l = large[n_large - 1];
        out[s] = (alias_entry){(uint32_t)(left[s] * 0x1p32), l};
        left[l] -= 1 - left[s];
        if (left[l] < 1) {
            n_large--;
            small[n_small++] = l;
        }
    }
    /* What is left is 1 up to rounding; an outcome of weight 0 never is, as long as there is a
     * large one. */
    int32_t safe = 0;
    for (int32_t i = 1; i < n; i++) safe = weight[i] > weight[safe] ? i : safe;
    while (n_large) {
        const int32_t l = large[--n_large];
        out[l] = (alias_entry){UINT32_MAX, l};
    }
    while (n_small) {
        const int32_t s = small[--n_small];
        out[s] = weight[s] > 0 ? (alias_entry){UINT32_MAX, s} : (alias_entry){0, safe};
    }
}

/*
 * The grid around x: the last number of it before x and the last that is not above, the first that
 * is not below and the first behind.  What decodes to x, where x is on the grid, lies from `under`
 * to `over`, half a step away.  Multiples are made as they were read: 100.3 is 1003 / 10.
 */
typedef struct {
    double before, below, above, after, under, over;
} grid_place;
static const double least_width = 0x1p-33; /* u has 32 bits */

static double multiple(const synth_coder *c, const synth_column *s, double k)
{
    return c->unit > 0 ? k * c->unit : k / synth_pow10(s->decimals);
}

static grid_place place_of(const synth_coder *c, const synth_column *s, double x)
{
    if (c->unit == 0 && !synth_has_decimals(s, x)) { /* every double is on the grid */
        const double before = nextafter(x, -(double)INFINITY);
        const double after = nextafter(x, (double)INFINITY);
        return (grid_place){before, x, x, after, before, after};
    }
    const double k = rint(c->unit > 0 ? x / c->unit : x * synth_pow10(s->decimals));
    const double nearest = multiple(c, s, k);
    const double low = nearest > x ? k - 1 : k, high = nearest < x ? k + 1 : k;
    return (grid_place){.before = multiple(c, s, high - 1),
                        .below = multiple(c, s, low),
                        .above = multiple(c, s, high),
                        .after = multiple(c, s, low + 1),
                        .under = multiple(c, s, high - 0.5),
                        .over = multiple(c, s, low + 0.5)};
}

static code_part range_part(const synth_coder *c, const synth_column *s, int32_t code,
                            const synth_where *w)
{
    const grid_place g = place_of(c, s, w->number);
    const double *q = c->point + c->at[code], *end = c->point + c->at[code + 1] - 1;
    const double from = synth_coder_below(c, code, g.under),
                 to = synth_coder_below(c, code, g.over);
    /* Of a bin with very many numbers one has at least what a draw of u can tell apart. */
    const bool inside = w->number >= *q && w->number <= *end;
    const double wider = inside && to - from < least_width ? least_width : 0;
    code_part p = {.share = 1, .to = 1, .points = UINT16_MAX};

    if (w->op == WHERE_EQ || w->op == WHERE_GE) p.from = fmax(from - wider, 0);
    if (w->op == WHERE_EQ || w->op == WHERE_LE) p.to = fmin(to + wider, 1);
    if (w->op == WHERE_GT) p.from = to;
    if (w->op == WHERE_LT) p.to = from;
    p.share = p.to > p.from ? p.to - p.from : 0;
    return p;
}

/* What of a code meets condition w. */
static code_part part_of(const synth_coder *c, const synth_column *s, int32_t code,
                         const synth_where *w)
{
    const code_part all = {.share = 1, .to = 1, .points = UINT16_MAX}, none = {0};

    if (w->missing) return (code == c->missing) == (w->op == WHERE_EQ) ? all : none;
    if (code == c->missing) return w->op == WHERE_NE ? all : none;
    if (!c->is_number) return (code == w->code) == (w->op == WHERE_EQ) ? all : none;
    if (c->kind[code] == CODE_RANGE) return range_part(c, s, code, w);

    const int32_t n = c->at[code + 1] - c->at[code];
    code_part p = {.to = 1};
    int met = 0;
    for (int32_t i = 0; i < n; i++) {
        if (!synth_number_holds(w, c->point[c->at[code] + i])) continue;
        p.points = (uint16_t)(p.points | 1u << i);
        met++;
    }
    p.share = (double)met / n;
    return p;
}

unsigned mixture_native(const void *model, const synth_where *w, int n)
{
    const mixture_model *m = model;
    unsigned native = 0;

    for (int i = 0; i < n; i++) {
        const synth_coder *c = &m->coder[w[i].col];
        bool good = true;
        if (c->is_number && w[i].op == WHERE_NE && !w[i].missing) {
            for (int32_t k = 0; k < coder_n_present(c) && good; k++) {
                good = c->kind[k] != CODE_RANGE || w[i].number < c->first[k] ||
                       w[i].number > c->last[k];
            }
        }
        native |= good ? 1u << i : 0;
    }
    return native;
}

void mixture_plan_free(mixture_plan *p, int n_cols)
{
    if (!p) return;
    for (int j = 0; j < n_cols; j++) {
        if (p->leaf && p->own && p->own[j]) mill_free(p->leaf[j]);
        if (p->part) mill_free(p->part[j]);
    }
    mill_free(p->where);
    mill_free(p->component);
    mill_free(p->leaf);
    mill_free(p->own);
    mill_free(p->part);
    mill_free(p->least);
    mill_free(p->most);
    mill_free(p);
}

static int count_points(uint16_t points, int32_t n)
{
    return __builtin_popcount(points & ((1u << n) - 1));
}

/* Both conditions on one code. */
static code_part both(code_part a, code_part b, const synth_coder *c, int32_t code)
{
    code_part p = {.from = a.from > b.from ? a.from : b.from,
                   .to = a.to < b.to ? a.to : b.to,
                   .points = a.points & b.points};

    if (a.share == 0 || b.share == 0) return p;
    if (!c->is_number || code == c->missing || c->kind[code] == CODE_VALUE) {
        p.share = 1;
    } else if (c->kind[code] == CODE_POINTS) {
        const int32_t n = c->at[code + 1] - c->at[code];
        p.share = (double)count_points(p.points, n) / n;
    } else {
        p.share = p.to > p.from ? p.to - p.from : 0;
    }
    return p;
}

static void narrow(mixture_plan *p, const mixture_model *m, const synth_where *w)
{
    const synth_coder *c = &m->coder[w->col];
    if (!c->is_number || w->missing || w->op == WHERE_NE) return;
    const grid_place g = place_of(c, &m->schema->col[w->col], w->number);
    double least = -INFINITY, most = INFINITY;

    if (w->op == WHERE_EQ || w->op == WHERE_GE) least = g.above;
    if (w->op == WHERE_GT) least = g.after;
    if (w->op == WHERE_EQ || w->op == WHERE_LE) most = g.below;
    if (w->op == WHERE_LT) most = g.before;
    if (least > p->least[w->col]) p->least[w->col] = least;
    if (most < p->most[w->col]) p->most[w->col] = most;
}

static mill_err add_condition(mixture_plan *p, const mixture_model *m, const synth_where *w)
{
    const int j = w->col;
    const synth_coder *c = &m->coder[j];
    code_part *part = p->part[j];

    if (!part) {
        part = p->part[j] = mill_alloc((size_t)c->n, sizeof *part);
        if (!part) return MILL_ENOMEM;
        for (int32_t k = 0; k < c->n; k++) {
            part[k] = (code_part){.share = 1, .to = 1, .points = UINT16_MAX};
        }
    }
    for (int32_t k = 0; k < c->n; k++) {
        part[k] = both(part[k], part_of(c, &m->schema->col[j], k, w), c, k);
    }
    narrow(p, m, w);
    return MILL_OK;
}

/* Alias tables of one column for every component; under conditions the weight of each is multiplied
 * by their probability in it. */
static mill_err fill_leaf(mixture_plan *p, const mixture_model *m, int j, double *weight)
{
    const int32_t n = m->coder[j].n;
    const code_part *part = p->part[j];
    double *q = mill_alloc((size_t)n, sizeof *q);
    /* alias_fill's lists, and its doubles behind them */
    int32_t *work = mill_alloc((size_t)n, 2 * sizeof(int32_t) + sizeof(double));
    p->leaf[j] = mill_alloc((size_t)n * (size_t)m->k, sizeof **p->leaf);
    p->own[j] = true;

    if (!q || !work || !p->leaf[j]) {
        mill_free(q);
        mill_free(work);
        return MILL_ENOMEM;
    }
    for (int k = 0; k < m->k; k++) {
        double sum = 0;
        for (int32_t c = 0; c < n; c++) {
            q[c] = (double)m->p[j][(int64_t)c * m->k + k] * (part ? part[c].share : 1);
            sum += q[c];
        }
        if (part) weight[k] *= sum;
        if (!(sum > 0)) continue; /* this component is never drawn */
        alias_fill(p->leaf[j] + (int64_t)k * n, q, n, work);
    }
    mill_free(q);
    mill_free(work);
    return MILL_OK;
}

static mill_err fill_plan(mixture_plan *p, const mixture_model *m, const synth_where *w, int n)
{
    const size_t cols = (size_t)m->schema->n;
    double *weight = mill_alloc((size_t)m->k, sizeof *weight);
    int32_t *work = mill_alloc((size_t)m->k, 2 * sizeof(int32_t) + sizeof(double));
    mill_err err = MILL_ENOMEM;
    bool nothing = false; /* is between the bounds of a column */
    double sum = 0;

    p->where = mill_alloc((size_t)n + 1, sizeof *w);
    p->component = mill_alloc((size_t)m->k, sizeof *p->component);
    p->leaf = mill_alloc(cols, sizeof(alias_entry *));
    p->own = mill_alloc(cols, sizeof *p->own);
    p->part = mill_alloc(cols, sizeof(code_part *));
    p->least = mill_alloc(cols, sizeof *p->least);
    p->most = mill_alloc(cols, sizeof *p->most);
    if (!weight || !work || !p->where || !p->component || !p->leaf || !p->own || !p->part ||
        !p->least || !p->most) {
        goto done;
    }
    for (size_t j = 0; j < cols; j++) p->least[j] = -INFINITY;
    for (size_t j = 0; j < cols; j++) p->most[j] = INFINITY;
    p->n_where = n;
    if (n) memcpy(p->where, w, (size_t)n * sizeof *w);
    for (int i = 0; i < n; i++) {
        if ((err = add_condition(p, m, &w[i]))) goto done;
    }
    for (size_t j = 0; j < cols; j++) nothing |= p->least[j] > p->most[j];
    for (int k = 0; k < m->k; k++) weight[k] = (double)m->weight[k];
    for (int j = 0; j < m->schema->n; j++) {
        if (!m->coder[j].n) continue;
        if (m->free_plan && !p->part[j]) {
            p->leaf[j] = m->free_plan->leaf[j];
        } else if ((err = fill_leaf(p, m, j, weight))) {
            goto done;
        }
    }
    for (int k = 0; k < m->k; k++) sum += weight[k];
    if (nothing || !(sum > 0)) {
        err = mill_fail(MILL_EINPUT, "no row of this model meets the conditions");
        goto done;
    }
    alias_fill(p->component, weight, m->k, work);
    err = MILL_OK;
done:
    mill_free(weight);
    mill_free(work);
    return err;
}

mill_err mixture_plan_new(mixture_plan **out, const mixture_model *m, const synth_where *w, int n)
{
    mixture_plan *p = mill_alloc(1, sizeof *p);
    if (!p) return MILL_ENOMEM;
    const mill_err err = fill_plan(p, m, w, n);
    if (err != MILL_OK) {
        mixture_plan_free(p, m->schema->n);
        return err;
    }
    *out = p;
    return MILL_OK;
}
