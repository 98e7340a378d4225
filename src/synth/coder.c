/*
 * coder.c - the codes of one column: fit, find, decode.
 *
 * Cutting a number's sorted values (codes.h): with B bins for M rows, every value that holds M / B
 * rows or more gets a code; M and B shrink by what it took, and so on until no value is that heavy.
 * Between two such values the rest is cut greedily into bins of M / B rows.  A value that fewer
 * than --trim-rare rows have never gets a code of its own.
 *
 * Grid: training values of an integer or time column are multiples of `unit`, their greatest common
 * divisor (for times one of 1, 60, 3600, 86400 seconds); reals have the column's decimals.  Decoded
 * values lie on it.  Reals of 15 decimals have none: that many say "as many as it takes", and a
 * column may lie far below 1e-15.
 */
#include "synth/codes.h"

#include "base/mem.h"
#include "base/sort.h"

#include <math.h>
#include <string.h>

enum { ROWS_PER_POINT = 8 };

/* The different values of a column in order, with their counts. */
typedef struct {
    double *x;
    int64_t *count;
    int64_t n, rows;
} runs;

static void runs_free(runs *r)
{
    mill_free(r->x);
    mill_free(r->count);
}

/* All of the column's values sorted: where it has very many different ones. */
static mill_err runs_of_many(runs *r, const synth_column *s, const mill_column *c)
{
    const int64_t present = c->rows - c->n_missing;
    double *x = mill_alloc((size_t)present + 1, sizeof *x);
    int64_t k = 0, n = 0;

    if (!x) return MILL_ENOMEM;
    r->x = x;
    for (int64_t i = 0; i < c->rows; i++) {
        if (!column_is_valid(c, i)) continue;
        const double v = synth_raw_number(c, i) + 0.0; /* -0 is 0 */
        x[k++] = v < s->least ? s->least : v > s->most ? s->most : v;
    }
    TRY(sort_f64(x, k));
    for (int64_t i = 0; i < k; i++) n += i == 0 || x[i] != x[i - 1];
    r->count = mill_alloc((size_t)n + 1, sizeof *r->count);
    if (!r->count) return MILL_ENOMEM;
    n = 0;
    for (int64_t i = 0; i < k; i++) {
        const double v = x[i];
        if (n == 0 || v != x[n - 1]) x[n++] = v;
        r->count[n - 1]++;
    }
    r->n = n;
    r->rows = k;
    return MILL_OK;
}

static mill_err runs_of_few(runs *r, const synth_values *v)
{
    r->x = mill_alloc((size_t)v->n + 1, sizeof *r->x);
    r->count = mill_alloc((size_t)v->n + 1, sizeof *r->count);
    if (!r->x || !r->count) return MILL_ENOMEM;
    r->n = synth_values_list(r->x, v);
    TRY(sort_f64(r->x, r->n));
    for (int64_t i = 0; i < r->n; i++) {
        r->count[i] = synth_values_of(v, r->x[i]);
        r->rows += r->count[i];
    }
    return MILL_OK;
}

static mill_err runs_of(runs *r, const synth_column *s, const mill_column *c)
{
    synth_values v;

    TRY(synth_values_count(&v, c, s->least, s->most));
    const bool is_few = v.n <= SYNTH_FEW_VALUES;
    const mill_err err = is_few ? runs_of_few(r, &v) : MILL_OK;
    synth_values_free(&v);
    return is_few ? err : runs_of_many(r, s, c);
}

static double unit_of(const runs *r, mill_coltype type)
{
    static const int64_t clock[] = {86400, 3600, 60, 1};
    uint64_t g = 0;

    if (type == MILL_REAL) return 0;
    for (int64_t i = 0; i < r->n && g != 1; i++) {
        uint64_t a = (uint64_t)fabs(r->x[i]);
        while (a) {
            const uint64_t rest = g % a;
            g = a;
            a = rest;
        }
    }
    if (type == MILL_DATETIME && g) {
        int k = 0;
        while (g % (uint64_t)clock[k]) k++;
        g = (uint64_t)clock[k];
    }
    return g ? (double)g : 1;
}

/* Bytes per run: heavy values are 1.  What is left of mass and bins comes back in *mass and *bins.
 */
static void mark_heavy(uint8_t *heavy, int64_t *mass, int64_t *bins, const runs *r, int64_t least)
{
    for (int64_t found = 1; found && *bins > 1;) {
        const double share = (double)*mass / (double)*bins;
        found = 0;
        for (int64_t i = 0; i<r->n && * bins> 1; i++) {
            if (heavy[i] || r->count[i] < least || (double)r->count[i] < share) continue;
            heavy[i] = 1;
            *mass -= r->count[i];
            *bins -= 1;
            found++;
        }
    }
}

/* Growing lists of codes; room for `n_codes` was made before. */
typedef struct {
    synth_coder *c;
    int32_t n, n_points;
} builder;

static void add_value(builder *b, double x)
{
    synth_coder *c = b->c;
    c->kind[b->n] = CODE_VALUE;
    c->first[b->n] = c->last[b->n] = x;
    c->point[b->n_points++] = x;
    c->at[++b->n] = b->n_points;
}

/* The value at a rank among the rows of runs [from, to). */
static double at_rank(const runs *r, int64_t from, int64_t to, double rank)
{
    int64_t i = from, below = r->count[from];
    while ((double)below <= rank && i + 1 < to) below += r->count[++i];
    return r->x[i];
}

static void add_bin(builder *b, const runs *r, int64_t from, int64_t to, int64_t mass)
{
    synth_coder *c = b->c;
    const int64_t different = to - from;

    if (different == 1) {
        add_value(b, r->x[from]);
        return;
    }
    const bool repeats = different <= CODE_MAX_POINTS && mass >= 2 * different;
    int64_t points = mass / ROWS_PER_POINT;
    points = points < 2 ? 2 : points > CODE_MAX_POINTS ? CODE_MAX_POINTS : points;
    c->kind[b->n] = repeats ? CODE_POINTS : CODE_RANGE;
    c->first[b->n] = r->x[from];
    c->last[b->n] = r->x[to - 1];
    for (int64_t i = 0; i < points; i++) {
        const double rank = repeats ? ((double)i + 0.5) / (double)points * (double)mass
                                    : (double)(i * (mass - 1)) / (double)(points - 1);
        c->point[b->n_points++] = at_rank(r, from, to, rank);
    }
    c->at[++b->n] = b->n_points;
}

/* The values between two heavy ones, [from, to): bins of about `share` rows and at least `least`.
 */
static void add_segment(builder *b, const runs *r, int64_t from, int64_t to, double share,
                        int64_t least)
{
    int64_t left = 0;
    for (int64_t i = from; i < to; i++) left += r->count[i];
    if (left < least) return; /* too rare to be told: missing */
    while (from < to) {
        int64_t mass = 0, end = from;
        while (end < to && ((double)mass + 0.5 * (double)r->count[end] < share || mass < least)) {
            mass += r->count[end++];
        }
        if (end == from) mass = r->count[end++];
        if (left - mass < least || (double)(left - mass) < 0.5 * share) { /* no crumbs at the end */
            mass = left;
            end = to;
        }
        add_bin(b, r, from, end, mass);
        left -= mass;
        from = end;
    }
}

static mill_err make_room(synth_coder *c, int64_t codes)
{
    if (codes > INT32_MAX / CODE_MAX_POINTS) return mill_fail(MILL_EINPUT, "too many bins");
    c->first = mill_alloc((size_t)codes + 1, sizeof *c->first);
    c->last = mill_alloc((size_t)codes + 1, sizeof *c->last);
    c->kind = mill_alloc((size_t)codes + 1, 1);
    c->at = mill_alloc((size_t)codes + 1, sizeof *c->at);
    c->point = mill_alloc((size_t)codes * CODE_MAX_POINTS + 1, sizeof *c->point);
    return c->first && c->last && c->kind && c->at && c->point ? MILL_OK : MILL_ENOMEM;
}

/* Of the column's grid: units of integers and times, decimals of reals; 0: there is none. */
static double step_of(const synth_coder *c, const synth_column *s)
{
    if (c->unit > 0) return c->unit;
    return s->decimals < SYNTH_AS_IS ? synth_pow10(-s->decimals) : 0;
}

/*
 * A bin reaches to the next cell and back to the value before it; a value stays a value.  Where a
 * step is less than doubles can tell apart there, the double next to the cell.
 */
static void close_gaps(synth_coder *c, int32_t n, const synth_column *s)
{
    const double step = step_of(c, s);

    for (int32_t k = 0; k + 1 < n; k++) {
        const double below = fmin(synth_round_number(s, c->first[k + 1] - step),
                                  nextafter(c->first[k + 1], -(double)INFINITY));
        const double above =
            fmax(synth_round_number(s, c->last[k] + step), nextafter(c->last[k], (double)INFINITY));
        /* Values nearer than a step (a real with more digits than are kept) stay as they are. */
        if (c->kind[k] != CODE_VALUE) {
            c->last[k] = fmax(c->last[k], below);
        } else if (c->kind[k + 1] != CODE_VALUE) {
            c->first[k + 1] = fmin(c->first[k + 1], above);
        }
    }
}

static mill_err cut(synth_coder *c, const synth_column *s, const runs *r, int64_t bins,
                    int64_t least)
{
    builder b = {.c = c};
    int64_t mass = r->rows, n_heavy = 0;
    uint8_t *heavy = mill_alloc((size_t)r->n + 1, 1);
    if (!heavy) return MILL_ENOMEM;

    if (r->n <= bins && 2 * r->n <= r->rows) {
        for (int64_t i = 0; i < r->n; i++) n_heavy += heavy[i] = r->count[i] >= least;
        for (int64_t i = 0; i < r->n; i++) mass -= heavy[i] ? r->count[i] : 0;
        bins = bins > n_heavy ? bins - n_heavy : 1;
    } else {
        const int64_t most = r->rows / ROWS_PER_POINT;
        bins = bins < most ? bins : most > 2 ? most : 2;
        mark_heavy(heavy, &mass, &bins, r, least > 2 ? least : 2);
        for (int64_t i = 0; i < r->n; i++) n_heavy += heavy[i];
    }
    const double share = (double)mass / (double)bins;
    /* Every segment between heavy values may end in a bin of its own. */
    const mill_err err = make_room(c, 2 * n_heavy + 2 * bins + 2);
    for (int64_t i = 0, from = 0; i <= r->n && err == MILL_OK; i++) {
        if (i < r->n && !heavy[i]) continue;
        if (i > from) add_segment(&b, r, from, i, share, least);
        if (i < r->n) add_value(&b, r->x[i]);
        from = i + 1;
    }
    mill_free(heavy);
    TRY(err);
    c->n = b.n;
    close_gaps(c, b.n, s);
    double *point = mill_realloc(c->point, (size_t)b.n_points + 1, sizeof *point);
    if (point) c->point = point;
    return MILL_OK;
}

mill_err synth_coder_fit(synth_coder *out, const synth_column *s, const mill_column *c,
                         int64_t bins, int64_t trim_rare)
{
    synth_coder o = {.missing = -1, .clips = trim_rare > 1};
    const int64_t least = trim_rare > 1 ? trim_rare : 1;

    if (s->type == MILL_IDENTIFIER) {
        *out = o;
        return MILL_OK;
    }
    bool missing = s->n_missing > 0;
    if (column_has_codes(c)) {
        o.n = s->n_values;
    } else {
        runs r = {0};
        o.is_number = true;
        mill_err err = runs_of(&r, s, c);
        if (err == MILL_OK) {
            o.unit = unit_of(&r, s->type);
            err = cut(&o, s, &r, bins, least);
            for (int64_t i = 0; i < r.n && err == MILL_OK && !missing && least > 1; i++) {
                missing = synth_coder_find(&o, r.x[i]) < 0;
            }
        }
        runs_free(&r);
        if (err != MILL_OK) {
            synth_coder_free(&o);
            return err;
        }
    }
    if (missing || o.n == 0) o.missing = o.n++;
    *out = o;
    return MILL_OK;
}

void synth_coder_free(synth_coder *c)
{
    mill_free(c->first);
    mill_free(c->last);
    mill_free(c->kind);
    mill_free(c->at);
    mill_free(c->point);
    *c = (synth_coder){.missing = -1};
}

int32_t synth_coder_find(const synth_coder *c, double x)
{
    const int32_t n = coder_n_present(c);
    const int32_t nowhere = c->clips ? c->missing : -1;
    int32_t at = 0;

    if (n == 0) return nowhere;
    if (c->clips) {
        x = x < c->first[0] ? c->first[0] : x;
        x = x > c->last[n - 1] ? c->last[n - 1] : x;
    }
    for (int32_t size = n; size > 1;) { /* the last code that does not begin above x */
        const int32_t half = size / 2;
        at += c->first[at + half] <= x ? half : 0;
        size -= half;
    }
    if (!(x >= c->first[at])) return nowhere;
    if (c->unit > 1 && rint(x / c->unit) * c->unit != x) return nowhere;
    if (x > c->last[at] && (c->kind[at] == CODE_VALUE || at + 1 == n)) return nowhere;
    return at;
}

double synth_coder_width(const synth_coder *c, const synth_column *s, int32_t code)
{
    if (!c->is_number || code == c->missing || c->kind[code] == CODE_VALUE) return 1;
    const double length = c->last[code] - c->first[code], step = step_of(c, s);
    return c->unit > 0 ? length / step + 1 : length + step;
}

double synth_coder_value(const synth_coder *c, const synth_column *s, int32_t code, double u)
{
    const double *q = c->point + c->at[code];
    const int32_t n = c->at[code + 1] - c->at[code];

    if (c->kind[code] == CODE_VALUE) return q[0];
    if (c->kind[code] == CODE_POINTS) return q[(int32_t)(u * n)];
    const double t = u * (n - 1);
    const int32_t i = (int32_t)t < n - 1 ? (int32_t)t : n - 2;
    const double x = q[i] + (q[i + 1] - q[i]) * (t - i);
    return synth_round_number(s, c->unit > 1 ? rint(x / c->unit) * c->unit : x);
}

double synth_coder_below(const synth_coder *c, int32_t code, double x)
{
    const double *q = c->point + c->at[code];
    const int32_t n = c->at[code + 1] - c->at[code];
    int32_t i = 0;

    if (x <= q[0]) return 0;
    if (x >= q[n - 1]) return 1;
    while (q[i + 1] <= x) i++;
    return (i + (x - q[i]) / (q[i + 1] - q[i])) / (n - 1);
}
