/* probe.c - see probe.h. */
#include "synth/probe.h"

#include "base/mem.h"
#include "base/sort.h"

#include <math.h>
#include <string.h>

enum {
    BINS = 10,
    FOLD = 63,
    CODES = 65,
    MAX_PAIRS = 300
}; /* a code: 0..63, CODES - 1 is missing */

typedef struct {
    int col;
    double edge[BINS - 1];
} probe_column;

struct synth_probe {
    const synth_schema *schema; /* borrowed until free */
    int64_t rows;
    int n;
    probe_column *col;
    uint8_t *code; /* (n, rows) of the real rows */
};

static uint8_t code_of(const synth_probe *p, int k, const mill_column *c, int64_t row)
{
    if (!column_is_valid(c, row)) return CODES - 1;
    if (column_has_codes(c)) return (uint8_t)(c->code[row] % FOLD);
    const double x = column_f64(c, row);
    int bin = 0;
    while (bin < BINS - 1 && x > p->col[k].edge[bin]) bin++;
    return (uint8_t)bin;
}

static mill_err fit_edges(probe_column *p, const mill_column *c, int64_t every)
{
    double *x = mill_alloc((size_t)(c->rows / every) + 1, sizeof *x);
    int64_t n = 0;
    mill_err err;

    if (!x) return MILL_ENOMEM;
    for (int64_t i = 0; i < c->rows; i += every)
        if (column_is_valid(c, i)) x[n++] = column_f64(c, i);
    err = sort_f64(x, n);
    for (int b = 0; b < BINS - 1; b++) p->edge[b] = n ? x[(b + 1) * n / BINS] : 0;
    mill_free(x);
    return err;
}

mill_err synth_probe_new(synth_probe **out, const mill_table *t, const synth_schema *s)
{
    synth_probe *p = mill_alloc(1, sizeof *p);
    const int64_t every = t->rows > PROBE_ROWS ? (t->rows + PROBE_ROWS - 1) / PROBE_ROWS : 1;
    mill_err err = MILL_ENOMEM;

    if (!p) return err;
    p->schema = s;
    p->rows = (t->rows + every - 1) / every;
    p->col = mill_alloc((size_t)s->n + 1, sizeof *p->col);
    p->code = mill_alloc((size_t)s->n * (size_t)p->rows + 1, 1);
    if (!p->col || !p->code) goto fail;
    for (int i = 0; i < s->n; i++) {
        const mill_column *c = &t->col[i];
        if (s->col[i].type == MILL_IDENTIFIER) continue;
        const int k = p->n++;
        p->col[k].col = i;
        if (!column_has_codes(c) && (err = fit_edges(&p->col[k], c, every))) goto fail;
        for (int64_t r = 0; r < p->rows; r++)
            p->code[k * p->rows + r] = code_of(p, k, c, r * every);
    }
    *out = p;
    return MILL_OK;
fail:
    synth_probe_free(p);
    return err;
}

void synth_probe_free(synth_probe *p)
{
    if (!p) return;
    mill_free(p->col);
    mill_free(p->code);
    mill_free(p);
}

int64_t synth_probe_rows(const synth_probe *p)
{
    return p->rows;
}

/* 1 - total variation between two sets of pairs of codes; b NULL: of single codes */
static double agreement(const uint8_t *const real[2], int64_t n_real, const uint8_t *const fake[2],
                        int64_t n_fake)
{
    double mass[CODES * CODES] = {0}, gap = 0;

    for (int64_t i = 0; i < n_real; i++)
        mass[real[0][i] * CODES + (real[1] ? real[1][i] : 0)] += 1 / (double)n_real;
    for (int64_t i = 0; i < n_fake; i++)
        mass[fake[0][i] * CODES + (fake[1] ? fake[1][i] : 0)] -= 1 / (double)n_fake;
    for (int i = 0; i < CODES * CODES; i++) gap += fabs(mass[i]);
    return 1 - gap / 2;
}

mill_err synth_probe_quality(double *out, const synth_probe *p, const mill_table *t)
{
    double shapes = 0, pairs = 0;
    int n_pairs = 0;
    uint8_t *code = mill_alloc((size_t)p->n * (size_t)t->rows + 1, 1);

    if (!code) return MILL_ENOMEM;
    for (int k = 0; k < p->n; k++)
        for (int64_t r = 0; r < t->rows; r++)
            code[k * t->rows + r] = code_of(p, k, &t->col[p->col[k].col], r);
    for (int a = 0; a < p->n; a++) {
        const uint8_t *one[2] = {p->code + a * p->rows, NULL}, *two[2] = {code + a * t->rows, NULL};
        shapes += agreement(one, p->rows, two, t->rows) / p->n;
        for (int b = a + 1; b < p->n && n_pairs < MAX_PAIRS; b++, n_pairs++) {
            one[1] = p->code + b * p->rows;
            two[1] = code + b * t->rows;
            pairs += agreement(one, p->rows, two, t->rows);
        }
    }
    mill_free(code);
    *out = n_pairs ? (shapes + pairs / n_pairs) / 2 : shapes;
    return MILL_OK;
}
