/*
 * near.c - points, and the search for the nearest ones; see near.h.
 *
 * A chunk of work is QUERY_ROWS rows against all of `ref`, in calls of up to NEAR_BLOCKS blocks: so
 * many stay in the first cache while the tiles of the chunk pass over them.  The first calls of a
 * row are short, since its limit is only good when something has been seen: 2, 2, 4, 8, .. blocks.
 *
 * The sieve's float sum is off by less than the margin: coordinates of numbers lie in [-1, 2] and
 * are rounded once (2^-24 each), the sum is rounded n times.  Values beyond are moved to the edge,
 * which brings points nearer and never hides one.
 */
#include "eval/near.h"

#include "base/cpu.h"
#include "base/mem.h"
#include "base/philox.h"

#include <math.h>
#include <string.h>

enum { QUERY_ROWS = 64, STREAM_RANDOM = 0x65760101 };
#define MISSING 8.0f  /* off every number's coordinate by more than any cap */
#define FAR     1e15f /* of rows behind the last: its square is finite */

typedef void (*sieve_fn)(uint16_t *, const float *, const float *, int, const float *, int,
                         const float *);
typedef void (*gauss_fn)(double *, const float *, const float *, int, const float *, int, float);
static const sieve_fn sieve_l1[MILL_N_LEVEL] = MILL_LEVELS(near_sieve_l1);
static const sieve_fn sieve_squared[MILL_N_LEVEL] = MILL_LEVELS(near_sieve_squared);
static const gauss_fn gauss[MILL_N_LEVEL] = MILL_LEVELS(near_gauss);

/* ---- scale ---- */

void near_scale_free(near_scale *s)
{
    if (!s) return;
    mill_free(s->coord);
    mill_free(s);
}

static void set_range(near_coord *k, const mill_column *c)
{
    double least = INFINITY, most = -INFINITY;

    for (int64_t i = 0; i < c->rows; i++) {
        const double v = column_f64(c, i);
        if (!isfinite(v)) continue;
        least = v < least ? v : least;
        most = v > most ? v : most;
    }
    k->low = least <= most ? least : 0;
    k->range = least <= most ? most - least : 0;
    if (!isfinite(k->range)) k->range = 0x1p1023;
    k->cap = 1;
}

static void set_spread(near_coord *k, const mill_column *c)
{
    double sum = 0, squares = 0;
    int64_t n = 0;

    for (int64_t i = 0; i < c->rows; i++) {
        const double v = column_f64(c, i);
        if (!isfinite(v)) continue;
        sum += v;
        n++;
    }
    k->low = n ? sum / (double)n : 0;
    for (int64_t i = 0; n && i < c->rows; i++) {
        const double v = column_f64(c, i) - k->low;
        if (isfinite(v)) squares += v * v;
    }
    k->range = n > 1 ? sqrt(squares / (double)(n - 1)) : 0;
    k->cap = INFINITY;
}

mill_err near_scale_new(near_scale **out, const mill_table *real, const int *column, int n,
                        near_measure measure, double code_weight)
{
    near_scale *const s = mill_alloc(1, sizeof *s);

    if (!s) return MILL_ENOMEM;
    s->measure = measure;
    s->code_weight = measure == NEAR_L1 ? code_weight : 2;
    if (!(s->coord = mill_alloc((size_t)n + 1, 2 * sizeof *s->coord))) {
        near_scale_free(s);
        return MILL_ENOMEM;
    }
    for (int c = 0; c < n; c++) {
        const mill_column *col = &real->col[column[c]];
        near_coord *k = &s->coord[s->n++];

        *k = (near_coord){.source = column[c], .is_code = column_has_codes(col)};
        k->cap = (float)s->code_weight;
        if (k->is_code) continue;
        s->n_numbers++;
        if (measure == NEAR_L1)
            set_range(k, col);
        else
            set_spread(k, col);
        if (measure == NEAR_SQUARED && col->n_missing)
            s->coord[s->n++] = (near_coord){
                .source = column[c], .is_code = true, .is_missing_flag = true, .cap = 2};
    }
    /* Codes alone cannot be far away, as the rows behind the last have to be: one coordinate of
     * noughts. */
    if (measure == NEAR_SQUARED && !s->n_numbers)
        s->coord[s->n++] = (near_coord){.source = column[0], .cap = INFINITY};
    *out = s;
    return MILL_OK;
}

/* ---- points ---- */

void near_points_free(near_points *p)
{
    if (!p) return;
    mill_free(p->row);
    mill_free(p->block);
    mill_free(p->exact);
    mill_free(p);
}

static mill_err points_alloc(near_points **out, const near_scale *s, int64_t rows)
{
    near_points *const p = mill_alloc(1, sizeof *p);

    if (!p) return MILL_ENOMEM;
    p->rows = rows;
    p->n = s->n;
    p->n_blocks = (rows + NEAR_LANES - 1) / NEAR_LANES;
    /* Whole tiles of rows: what is behind the last one is read, and not used. */
    const size_t padded = (size_t)(rows + NEAR_TILE), n = (size_t)s->n;
    p->row = mill_alloc(padded, n * sizeof *p->row);
    p->block = mill_alloc((size_t)p->n_blocks * NEAR_LANES, n * sizeof *p->block);
    if (s->measure == NEAR_L1) p->exact = mill_alloc((size_t)rows, n * sizeof *p->exact);
    if (!p->row || !p->block || (s->measure == NEAR_L1 && !p->exact)) {
        near_points_free(p);
        return MILL_ENOMEM;
    }
    *out = p;
    return MILL_OK;
}

/* A value as a coordinate: v is the number, the code, or NaN for missing. */
static float coordinate(const near_scale *s, const near_coord *k, double v)
{
    if (k->is_missing_flag) return isnan(v) ? 2.0f : 0.0f;
    if (k->is_code) return (float)(s->code_weight * (isnan(v) ? -1 : v));
    if (s->measure == NEAR_SQUARED) {
        const double z = isnan(v) || !(k->range > 0) ? 0 : (v - k->low) / k->range;
        return (float)(z > 1e6 ? 1e6 : z < -1e6 ? -1e6 : z);
    }
    if (isnan(v)) return MISSING;
    if (!(k->range > 0)) return v == k->low ? 0 : 1;
    const double u = (v - k->low) / k->range;
    return (float)(u < -1 ? -1 : u > 2 ? 2 : u);
}

static double value_of(const mill_column *c, int64_t i)
{
    if (!column_is_valid(c, i)) return (double)NAN;
    return column_has_codes(c) ? c->code[i] : column_f64(c, i);
}

static void put_point(near_points *p, const near_scale *s, int64_t i, int c, double v)
{
    p->row[i * p->n + c] = coordinate(s, &s->coord[c], v);
    if (p->exact) p->exact[i * p->n + c] = v;
}

/* The rows once more, sixteen side by side. */
static void lay_out(near_points *p)
{
    for (int64_t i = 0; i < p->n_blocks * NEAR_LANES; i++)
        for (int c = 0; c < p->n; c++)
            p->block[(i / NEAR_LANES * p->n + c) * NEAR_LANES + i % NEAR_LANES] =
                i < p->rows ? p->row[i * p->n + c] : FAR;
}

mill_err near_points_new(near_points **out, const near_scale *s, const mill_table *t,
                         const int64_t *row, int64_t n)
{
    near_points *p;

    TRY(points_alloc(&p, s, n));
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < s->n; c++)
            put_point(p, s, i, c, value_of(&t->col[s->coord[c].source], row ? row[i] : i));
    lay_out(p);
    *out = p;
    return MILL_OK;
}

/* The codes that the real column has, their number. */
static mill_err codes_of(int32_t **code, int32_t *n, const mill_column *c)
{
    int32_t *const to = mill_alloc((size_t)c->n_values + 1, sizeof *to);

    if (!to) return MILL_ENOMEM;
    for (int64_t i = 0; i < c->rows; i++)
        if (column_is_valid(c, i)) to[c->code[i]] = 1;
    *n = 0;
    for (int32_t k = 0; k < c->n_values; k++)
        if (to[k]) to[(*n)++] = k;
    *code = to;
    return MILL_OK;
}

mill_err near_points_random(near_points **out, const near_scale *s, const mill_table *real,
                            int64_t n, uint64_t seed)
{
    near_points *p;
    mill_err err = MILL_OK;

    TRY(points_alloc(&p, s, n));
    for (int c = 0; !err && c < s->n; c++) {
        const near_coord *k = &s->coord[c];
        const mill_column *col = &real->col[k->source];
        mill_rng rng = mill_rng_init(seed, STREAM_RANDOM, (uint32_t)c);
        int32_t *code = NULL, n_codes = 0;

        if (k->is_code) err = codes_of(&code, &n_codes, col);
        for (int64_t i = 0; !err && i < n; i++) {
            const bool is_missing = mill_rng_f64(&rng) * (double)col->rows < (double)col->n_missing;
            double v = k->low + mill_rng_f64(&rng) * k->range;

            if (col->type == MILL_INTEGER) v = rint(v);
            if (k->is_code && n_codes) v = code[mill_rng_below(&rng, (uint32_t)n_codes)];
            if (is_missing) v = (double)NAN;
            put_point(p, s, i, c, v);
        }
        mill_free(code);
    }
    if (err) {
        near_points_free(p);
        return err;
    }
    lay_out(p);
    *out = p;
    return MILL_OK;
}

/* ---- the search ---- */

static double exact_l1(const near_scale *s, const double *a, const double *b)
{
    double sum = 0;

    for (int c = 0; c < s->n; c++) {
        const near_coord *k = &s->coord[c];
        if (a[c] == b[c] || (isnan(a[c]) && isnan(b[c]))) continue;
        const double d = k->is_code                              ? s->code_weight
                         : isnan(a[c] + b[c]) || !(k->range > 0) ? 1
                                                                 : fabs(a[c] - b[c]) / k->range;
        sum += !k->is_code && d > 1 ? 1 : d;
    }
    return sum;
}

/* As the kernel does it, operation by operation. */
static double float_squared(const near_scale *s, const float *a, const float *b)
{
    float sum = 0;

    for (int c = 0; c < s->n; c++) {
        const float d = a[c] - b[c], square = d * d;
        sum += square < s->coord[c].cap ? square : s->coord[c].cap;
    }
    return (double)sum;
}

double near_distance(const near_scale *s, const near_points *a, int64_t i, const near_points *b,
                     int64_t j)
{
    if (s->measure == NEAR_L1) return exact_l1(s, a->exact + i * s->n, b->exact + j * s->n);
    return float_squared(s, a->row + i * s->n, b->row + j * s->n);
}

/* What a float sum may be and still stand for a distance that is below d. */
static float limit_of(const near_scale *s, double d)
{
    if (isinf(d)) return INFINITY;
    if (d == 0) return -1; /* two at no distance: nothing can be nearer */
    if (s->measure == NEAR_SQUARED) return (float)d;
    if (!s->n_numbers) return (float)(d - 0.5 * s->code_weight); /* sums of codes are exact */
    return (float)(d + s->n * (0x1p-21 + 0x1p-22 * d));
}

typedef struct {
    const near_scale *s;
    const near_points *query, *ref;
    bool but_itself;
    const float *cap;
    near_pair *out;
    double gamma, *sum; /* near_kernel_sum: (query->rows) */
} search;

static void consider(near_pair *best, const search *w, int64_t i, int64_t j)
{
    const double d = near_distance(w->s, w->query, i, w->ref, j);

    if (d < best->first || (d == best->first && j < best->at)) {
        best->second = best->first;
        best->first = d;
        best->at = j;
    } else if (d < best->second) {
        best->second = d;
    }
}

/* Tile at row i of the query against blocks [from, from + n). */
static void search_tile(const search *w, int64_t i, int64_t from, int n)
{
    const near_scale *s = w->s;
    const int rows = w->query->rows - i < NEAR_TILE ? (int)(w->query->rows - i) : NEAR_TILE;
    uint16_t mask[NEAR_TILE * NEAR_BLOCKS];
    float limit[NEAR_TILE];
    bool is_open = false;

    for (int q = 0; q < NEAR_TILE; q++) {
        limit[q] = q < rows ? limit_of(s, w->out[i + q].second) : -1.0f;
        is_open |= limit[q] >= 0;
    }
    if (!is_open) return;
    const sieve_fn sieve = (s->measure == NEAR_L1 ? sieve_l1 : sieve_squared)[mill_cpu_level()];
    sieve(mask, w->query->row + i * s->n, w->ref->block + from * s->n * NEAR_LANES, n, w->cap, s->n,
          limit);
    for (int q = 0; q < rows; q++) {
        for (int b = 0; b < n; b++) {
            for (unsigned bits = mask[q * NEAR_BLOCKS + b]; bits; bits &= bits - 1) {
                const int64_t j = (from + b) * NEAR_LANES + __builtin_ctz(bits);
                if (j >= w->ref->rows || (w->but_itself && j == i + q)) continue;
                consider(&w->out[i + q], w, i + q, j);
            }
        }
    }
}

static void search_rows(void *ctx, int64_t chunk, int thread)
{
    const search *w = ctx;
    const int64_t begin = chunk * QUERY_ROWS, rows = w->query->rows;
    const int64_t end = begin + QUERY_ROWS < rows ? begin + QUERY_ROWS : rows;
    int n;

    (void)thread;
    for (int64_t i = begin; i < end; i++) w->out[i] = (near_pair){INFINITY, INFINITY, -1};
    for (int64_t from = 0; from < w->ref->n_blocks; from += n) {
        n = from < 2 ? 2 : from < NEAR_BLOCKS ? (int)from : NEAR_BLOCKS;
        if (n > w->ref->n_blocks - from) n = (int)(w->ref->n_blocks - from);
        for (int64_t i = begin; i < end; i += NEAR_TILE) search_tile(w, i, from, n);
    }
}

static mill_err caps_of(float **out, const near_scale *s)
{
    float *const cap = mill_alloc((size_t)s->n, sizeof *cap);

    if (!cap) return MILL_ENOMEM;
    for (int c = 0; c < s->n; c++) cap[c] = s->coord[c].cap;
    *out = cap;
    return MILL_OK;
}

static int64_t n_chunks(const near_points *p)
{
    return (p->rows + QUERY_ROWS - 1) / QUERY_ROWS;
}

mill_err near_two(near_pair *out, const near_scale *s, const near_points *query,
                  const near_points *ref, bool but_itself, mill_pool *pool)
{
    search w = {.s = s, .query = query, .ref = ref, .but_itself = but_itself, .out = out};
    float *cap;

    TRY(mill_cpu_init());
    TRY(caps_of(&cap, s));
    w.cap = cap;
    mill_pool_run(pool, n_chunks(query), search_rows, &w);
    mill_free(cap);
    return MILL_OK;
}

/* Row i with the blocks from its own on, where both sets are one: the own block once, with i
 * itself, the later ones twice. */
static void sum_rows(void *ctx, int64_t chunk, int thread)
{
    const search *w = ctx;
    const near_scale *s = w->s;
    const int64_t begin = chunk * QUERY_ROWS, rows = w->query->rows;
    const gauss_fn f = gauss[mill_cpu_level()];

    (void)thread;
    for (int64_t i = begin; i < begin + QUERY_ROWS && i < rows; i += NEAR_TILE) {
        double own[NEAR_TILE] = {0}, others[NEAR_TILE] = {0};
        int64_t from = w->but_itself ? i / NEAR_LANES : 0;
        const float *row = w->query->row + i * s->n;
        const int64_t stride = (int64_t)s->n * NEAR_LANES;

        if (w->but_itself) {
            f(own, row, w->ref->block + from * stride, 1, w->cap, s->n, (float)w->gamma);
            from++;
        }
        for (; from < w->ref->n_blocks; from += NEAR_BLOCKS) {
            const int64_t left = w->ref->n_blocks - from;
            f(others, row, w->ref->block + from * stride,
              (int)(left < NEAR_BLOCKS ? left : NEAR_BLOCKS), w->cap, s->n, (float)w->gamma);
        }
        for (int q = 0; q < NEAR_TILE && i + q < rows; q++)
            w->sum[i + q] = w->but_itself ? own[q] - 1 + 2 * others[q] : others[q];
    }
}

mill_err near_kernel_sum(double *sum, const near_scale *s, const near_points *a,
                         const near_points *b, double gamma, mill_pool *pool)
{
    search w = {.s = s, .query = a, .ref = b, .but_itself = a == b, .gamma = gamma};
    float *cap = NULL;
    mill_err err = mill_cpu_init();

    if (!err && !(w.sum = mill_alloc((size_t)a->rows, sizeof *w.sum))) err = MILL_ENOMEM;
    if (!err) err = caps_of(&cap, s);
    w.cap = cap;
    if (!err) {
        mill_pool_run(pool, n_chunks(a), sum_rows, &w);
        *sum = 0;
        for (int64_t i = 0; i < a->rows; i++) *sum += w.sum[i];
    }
    mill_free(cap);
    mill_free(w.sum);
    return err;
}
