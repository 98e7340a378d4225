/*
 * match.c - rows that are in both tables: identical ones, and such within a tolerance; groups.h.
 *
 * For matches within a tolerance the real rows are put in order by a fingerprint of what has to be
 * equal, then by the other number that has the most different values: the rows that a synthetic
 * one can match lie together, and few of them have to be looked at.  Equal have to be codes,
 * missing places, and whole numbers so small that the tolerance is less than one.
 */
#include "eval/groups.h"

#include "base/mem.h"
#include "base/sort.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { CHUNK_ROWS = 4096 };

typedef struct {
    const mill_table *t, *other; /* other: whose prints these are compared with */
    const int *column;
    int n;
    const bool *is_exact; /* (n) whether more counts than if it is missing; NULL: of all */
    uint64_t *print;
    atomic_bool failed;
} printing;

static void print_rows(void *ctx, int64_t chunk, int thread)
{
    printing *const p = ctx;
    const int64_t begin = chunk * CHUNK_ROWS,
                  end = begin + CHUNK_ROWS < p->t->rows ? begin + CHUNK_ROWS : p->t->rows;
    int64_t *const key = mill_alloc((size_t)p->n, sizeof *key);

    (void)thread;
    if (!key) {
        p->failed = true;
        return;
    }
    for (int64_t i = begin; i < end; i++) {
        for (int k = 0; k < p->n; k++) {
            const mill_column *c = &p->t->col[p->column[k]];
            const bool as_double = c->type != p->other->col[p->column[k]].type;
            key[k] =
                !p->is_exact || p->is_exact[k] ? cell_of(c, i, as_double) : column_is_valid(c, i);
        }
        p->print[i] = XXH3_64bits(key, (size_t)p->n * sizeof *key);
    }
    mill_free(key);
}

static mill_err prints_of(uint64_t **out, const mill_table *t, const mill_table *other,
                          const int *column, int n, const bool *is_exact, mill_pool *pool)
{
    printing p = {.t = t, .other = other, .column = column, .n = n, .is_exact = is_exact};

    if (!(p.print = mill_alloc((size_t)t->rows, sizeof *p.print))) return MILL_ENOMEM;
    mill_pool_run(pool, (t->rows + CHUNK_ROWS - 1) / CHUNK_ROWS, print_rows, &p);
    if (p.failed) {
        mill_free(p.print);
        return mill_fail(MILL_ENOMEM, "out of memory while comparing rows");
    }
    *out = p.print;
    return MILL_OK;
}

mill_err identical_share(double *share, const mill_table *t, const mill_table *in,
                         const int *column, int n, mill_pool *pool)
{
    uint64_t *print[2] = {NULL, NULL};
    const mill_table *const table[2] = {t, in};
    int64_t matches = 0, j = 0;
    mill_err err = MILL_OK;

    for (int s = 0; !err && s < 2; s++) {
        err = prints_of(&print[s], table[s], table[1 - s], column, n, NULL, pool);
        if (!err) err = sort_i64((int64_t *)print[s], table[s]->rows);
    }
    /* NOLINTBEGIN(clang-analyzer-core.NullDereference): both are there where err is MILL_OK */
    for (int64_t i = 0; !err && i < t->rows; i++) {
        while (j < in->rows && (int64_t)print[1][j] < (int64_t)print[0][i]) j++;
        matches += j < in->rows && print[1][j] == print[0][i];
    }
    /* NOLINTEND(clang-analyzer-core.NullDereference) */
    *share = (double)matches / (double)t->rows;
    for (int s = 0; s < 2; s++) mill_free(print[s]);
    return err;
}

/* ---- matches within a tolerance ---- */

typedef struct {
    uint64_t print;
    double x; /* of the leading number; 0 where it is missing or there is none */
    int64_t row;
} place;

static int compare_places(const void *a_, const void *b_)
{
    const place *a = a_, *b = b_;

    if (a->print != b->print) return a->print < b->print ? -1 : 1;
    if (a->x != b->x) return a->x < b->x ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

typedef struct {
    const mill_table *syn, *real;
    const int64_t *row;
    int64_t n_rows;
    const int *column;
    int n, leading; /* leading: a column, or -1 */
    double tolerance;
    const uint64_t *print; /* of synthetic rows */
    const place *at;       /* of real rows, in order */
    atomic_llong matches;
} matching;

static double leading_of(const mill_table *t, int leading, int64_t i)
{
    const double x = leading < 0 ? 0 : column_f64(&t->col[leading], i);
    return isnan(x) ? 0 : x;
}

static bool is_near(double real, double syn, double tolerance)
{
    return real == syn || fabs(real - syn) <= tolerance * fabs(syn);
}

static bool is_match(const matching *m, int64_t i, int64_t j)
{
    for (int k = 0; k < m->n; k++) {
        const mill_column *s = &m->syn->col[m->column[k]], *r = &m->real->col[m->column[k]];
        const bool is_there = column_is_valid(s, i);

        if (is_there != column_is_valid(r, j)) return false;
        if (!is_there) continue;
        if (column_has_codes(s) ? s->code[i] != r->code[j]
                                : !is_near(column_f64(r, j), column_f64(s, i), m->tolerance))
            return false;
    }
    return true;
}

static bool has_match(const matching *m, int64_t i)
{
    const double x = leading_of(m->syn, m->leading, i), reach = m->tolerance * fabs(x);
    /* A step wider than the tolerance, against rounding; is_match decides. */
    const double low = x - reach * (1 + 1e-9) - 1e-300, high = x + reach * (1 + 1e-9) + 1e-300;
    int64_t at = 0, n = m->real->rows;

    while (n > 0) { /* the first place at or behind (print, low) */
        const int64_t half = n / 2;
        const place *p = &m->at[at + half];
        const bool is_before = p->print < m->print[i] || (p->print == m->print[i] && p->x < low);
        at = is_before ? at + half + 1 : at;
        n = is_before ? n - half - 1 : half;
    }
    for (; at < m->real->rows; at++) {
        const place *p = &m->at[at];
        if (p->print != m->print[i] || p->x > high) return false;
        if (is_match(m, i, p->row)) return true;
    }
    return false;
}

static void match_rows(void *ctx, int64_t chunk, int thread)
{
    matching *const m = ctx;
    const int64_t begin = chunk * CHUNK_ROWS,
                  end = begin + CHUNK_ROWS < m->n_rows ? begin + CHUNK_ROWS : m->n_rows;
    int64_t n = 0;

    (void)thread;
    for (int64_t k = begin; k < end; k++) n += has_match(m, m->row ? m->row[k] : k);
    m->matches += n;
}

/* Of `column`: may only equal values match? */
static bool has_to_be_equal(const match_task *t, int column)
{
    const mill_column *s = &t->syn->col[column];
    double most = 0;

    if (column_has_codes(s)) return true;
    if (s->type != MILL_INTEGER || t->real->col[column].type != MILL_INTEGER) return false;
    for (int64_t i = 0; i < s->rows; i++)
        most = fmax(most, fabs(column_f64(s, i))); /* not of NaN */
    return t->tolerance * most < 1;
}

/* Of the columns that may be off, the one with the most different values among the first rows; -1:
 * there is none. */
static int find_leading(const mill_table *t, const int *column, int n, const bool *is_exact)
{
    enum { ROWS = 1000 };
    const int64_t rows = t->rows < ROWS ? t->rows : ROWS;
    int64_t most = -1;
    int leading = -1;

    for (int k = 0; k < n; k++) {
        const mill_column *c = &t->col[column[k]];
        double x[ROWS];
        int64_t m = 0, different = 0;

        if (is_exact[k]) continue;
        for (int64_t i = 0; i < rows; i++)
            if (column_is_valid(c, i) && !isnan(column_f64(c, i))) x[m++] = column_f64(c, i);
        if (sort_f64(x, m)) return column[k];
        for (int64_t i = 0; i < m; i++) different += !i || x[i] > x[i - 1];
        if (different <= most) continue;
        most = different;
        leading = column[k];
    }
    return leading;
}

mill_err new_rows_share(double *share, const match_task *t, mill_pool *pool)
{
    const mill_table *const syn = t->syn, *const real = t->real;
    const int64_t n_rows = t->n_rows;
    const int *const column = t->column, n = t->n;
    uint64_t *print[2] = {NULL, NULL};
    matching m = {.syn = syn,
                  .real = real,
                  .row = t->row,
                  .n_rows = n_rows,
                  .column = column,
                  .n = n,
                  .tolerance = t->tolerance};
    place *const at = mill_alloc((size_t)real->rows, sizeof *at);
    bool *const is_exact = mill_alloc((size_t)n, sizeof *is_exact);
    mill_err err = at && is_exact ? MILL_OK : MILL_ENOMEM;

    for (int k = 0; !err && k < n; k++) is_exact[k] = has_to_be_equal(t, column[k]);
    if (!err) err = prints_of(&print[0], syn, real, column, n, is_exact, pool);
    if (!err) err = prints_of(&print[1], real, syn, column, n, is_exact, pool);
    if (err) goto done;
    m.leading = find_leading(real, column, n, is_exact);
    for (int64_t i = 0; i < real->rows; i++)
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): there where err is MILL_OK */
        at[i] = (place){print[1][i], leading_of(real, m.leading, i), i};
    qsort(at, (size_t)real->rows, sizeof *at, compare_places);
    m.print = print[0];
    m.at = at;
    mill_pool_run(pool, (n_rows + CHUNK_ROWS - 1) / CHUNK_ROWS, match_rows, &m);
    *share = 1 - (double)m.matches / (double)n_rows;
done:
    mill_free(at);
    mill_free(is_exact);
    for (int s = 0; s < 2; s++) mill_free(print[s]);
    return err;
}
