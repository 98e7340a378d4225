/* diagnostic.c - see diagnostic.h. */
#include "eval/diagnostic.h"

#include <math.h>
#include <string.h>

static double boundary(const col_view *c)
{
    const col_side *r = &c->side[SIDE_REAL], *s = &c->side[SIDE_SYN];
    const bool may_be_missing = r->n < r->rows;
    int64_t within = 0;

    for (int64_t i = 0; i < s->n; i++) within += s->sorted[i] >= r->min && s->sorted[i] <= r->max;
    return (double)within / (double)(may_be_missing ? s->n : s->rows);
}

static double adherence(const col_view *c)
{
    const col_side *r = &c->side[SIDE_REAL], *s = &c->side[SIDE_SYN];
    int64_t known = r->n < r->rows ? s->rows - s->n : 0;

    for (int32_t k = 0; k < c->n_codes - 1; k++) known += r->count[k] ? s->count[k] : 0;
    return (double)known / (double)s->rows;
}

static double range_coverage(const col_view *c)
{
    const col_side *r = &c->side[SIDE_REAL], *s = &c->side[SIDE_SYN];
    const double range = r->max - r->min;

    if (!(range > 0) || !s->n) return (double)NAN;
    return fmax(0, 1 - fmax(0, (s->min - r->min) / range) - fmax(0, (r->max - s->max) / range));
}

static double category_coverage(const col_view *c)
{
    const col_side *r = &c->side[SIDE_REAL], *s = &c->side[SIDE_SYN];
    int64_t both = 0;

    for (int32_t k = 0; k < c->n_codes - 1; k++) both += r->count[k] && s->count[k];
    return r->n_different ? (double)both / (double)r->n_different : (double)NAN;
}

static double statistic(double real, double syn, const col_side *r)
{
    const double range = r->max - r->min;
    const double score = 1 - fabs(real - syn) / range;

    return !(range > 0) || isnan(score) ? (double)NAN : fmax(score, 0);
}

col_diagnosis diagnose(const col_view *c)
{
    const col_side *r = &c->side[SIDE_REAL], *s = &c->side[SIDE_SYN];
    col_diagnosis d = {
        .mean = (double)NAN, .median = (double)NAN, .std = (double)NAN, .coverage = (double)NAN};
    const double real_missing = (double)(r->rows - r->n) / (double)r->rows;
    const double syn_missing = (double)(s->rows - s->n) / (double)s->rows;

    d.missing = 1 - fabs(real_missing - syn_missing);
    if (c->is_key) {
        d.validity_metric = "KeyUniqueness";
        d.validity = (double)s->n_different / (double)s->rows;
    } else if (c->is_code) {
        d.validity_metric = "CategoryAdherence";
        d.validity = adherence(c);
        d.coverage_metric = "CategoryCoverage";
        d.coverage = category_coverage(c);
    } else {
        d.validity_metric = "BoundaryAdherence";
        d.validity = boundary(c);
        d.coverage_metric = "RangeCoverage";
        d.coverage = range_coverage(c);
        d.mean = statistic(r->mean, s->mean, r);
        d.median = statistic(r->median, s->median, r);
        d.std = statistic(r->std, s->std, r);
    }
    return d;
}

double expected_validity(const col_view *c)
{
    const col_side *r = &c->side[SIDE_REAL];
    int64_t alone = 0;

    if (c->is_key || !r->n) return 1;
    if (c->is_code) {
        for (int32_t k = 0; k < c->n_codes - 1; k++) alone += r->count[k] == 1;
        return 1 - (double)alone / (double)r->rows;
    }
    alone += r->n == 1 || r->sorted[1] > r->sorted[0];
    alone += r->n > 1 && r->sorted[r->n - 2] < r->sorted[r->n - 1];
    return 1 - (double)alone / (double)r->n;
}

/* A number for the type, different where types are told apart. */
static int kind_of(const mill_column *c, bool compat)
{
    if (!compat) return (int)c->type;
    if (c->type == MILL_INTEGER && c->n_missing) return MILL_REAL;
    if (c->type == MILL_BOOLEAN && c->n_missing) return MILL_CATEGORY;
    if (c->type == MILL_IDENTIFIER) return MILL_CATEGORY;
    return (int)c->type;
}

double structure_score(const mill_table *real, const mill_table *syn, bool compat)
{
    int common = 0;

    for (int c = 0; c < real->n_cols; c++) {
        const int s = table_find(syn, real->col[c].name);
        common += s >= 0 && kind_of(&real->col[c], compat) == kind_of(&syn->col[s], compat);
    }
    return (double)common / (double)(real->n_cols + syn->n_cols - common);
}
