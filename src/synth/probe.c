/* probe.c - see probe.h. */
#include "synth/probe.h"

#include "base/mem.h"
#include "base/philox.h"
#include "base/sort.h"

#include <math.h>
#include <string.h>

enum { BINS = 10, FOLD = 63, MAX_CODES = FOLD + 1, MAX_PAIRS = 300 };
static const uint32_t stream_holdout = 0x30000000;

typedef struct {
    int col;
    int width; /* codes: 0 .. width - 2, and width - 1 for missing */
    double edge[BINS - 1];
} probe_column;

struct synth_probe {
    const synth_schema *schema; /* borrowed until free */
    int64_t rows;
    int n;
    probe_column *col;
    uint8_t *code; /* (n, rows) of the real rows */
};

/* map: from the column's codes to the schema's; NULL: they are the schema's. */
static uint8_t code_of(const probe_column *p, const mill_column *c, const int32_t *map, int64_t row)
{
    const uint8_t missing = (uint8_t)(p->width - 1);

    if (!column_is_valid(c, row)) return missing;
    if (column_has_codes(c)) {
        const int32_t code = map ? map[c->code[row]] : c->code[row];
        return code < 0 ? missing : (uint8_t)(code % FOLD); /* trimmed: it is missing now */
    }
    const double x = column_f64(c, row);
    int bin = 0;
    while (bin < BINS - 1 && x > p->edge[bin]) bin++;
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

/* Column k of the probe from column i of the table. */
static mill_err add_column(synth_probe *p, const mill_table *t, int i, int64_t every)
{
    const mill_column *c = &t->col[i];
    const synth_column *s = &p->schema->col[i];
    const int k = p->n++;
    int32_t *map = NULL;

    p->col[k].col = i;
    p->col[k].width = 1 + (!column_has_codes(c) ? BINS : s->n_values < FOLD ? s->n_values : FOLD);
    TRY(column_has_codes(c) ? synth_code_map(&map, s, c) : fit_edges(&p->col[k], c, every));
    for (int64_t r = 0; r < p->rows; r++)
        p->code[k * p->rows + r] = code_of(&p->col[k], c, map, r * every);
    mill_free(map);
    table_column_release(t, i);
    return MILL_OK;
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
    for (int i = 0; i < s->n; i++)
        if (s->col[i].type != MILL_IDENTIFIER && (err = add_column(p, t, i, every))) goto fail;
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

/* One or two columns of codes, as one code below n. */
typedef struct {
    const uint8_t *a, *b; /* b NULL: a alone */
    int n, width_b;
} code_pair;

static void count(int32_t *count_of, const code_pair *p, int64_t rows)
{
    memset(count_of, 0, (size_t)p->n * sizeof *count_of);
    if (!p->b)
        for (int64_t i = 0; i < rows; i++) count_of[p->a[i]]++;
    else
        for (int64_t i = 0; i < rows; i++) count_of[p->a[i] * p->width_b + p->b[i]]++;
}

/* 1 - total variation between real and fake */
static double agreement(const code_pair *real, int64_t n_real, const code_pair *fake,
                        int64_t n_fake)
{
    int32_t x[MAX_CODES * MAX_CODES], y[MAX_CODES * MAX_CODES];
    double gap = 0;

    count(x, real, n_real);
    count(y, fake, n_fake);
    for (int i = 0; i < real->n; i++)
        gap += fabs((double)x[i] / (double)n_real - (double)y[i] / (double)n_fake);
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
            code[k * t->rows + r] = code_of(&p->col[k], &t->col[p->col[k].col], NULL, r);
    for (int a = 0; a < p->n; a++) {
        code_pair real = {p->code + a * p->rows, NULL, p->col[a].width, 1}, fake = real;
        fake.a = code + a * t->rows;
        shapes += agreement(&real, p->rows, &fake, t->rows) / p->n;
        for (int b = a + 1; b < p->n && n_pairs < MAX_PAIRS; b++, n_pairs++) {
            real.width_b = fake.width_b = p->col[b].width;
            real.n = fake.n = p->col[a].width * p->col[b].width;
            real.b = p->code + b * p->rows;
            fake.b = code + b * t->rows;
            pairs += agreement(&real, p->rows, &fake, t->rows);
        }
    }
    mill_free(code);
    *out = n_pairs ? (shapes + pairs / n_pairs) / 2 : shapes;
    return MILL_OK;
}

static bool is_held_out(const synth_config *c, int64_t row)
{
    return (double)mill_u01(mill_rand_bits(c->seed, 0, stream_holdout, (uint64_t)row)) <
           c->holdout_fraction;
}

/* Beyond that the coins' own spread, sqrt(rows) / 2, is nothing beside the memory of the rows. */
enum { COUNTED_ROWS = 1 << 20 };

int64_t synth_probe_learnt(int64_t rows, const synth_config *c)
{
    int64_t n = rows;

    if (rows > COUNTED_ROWS) return rows - (int64_t)((double)rows * c->holdout_fraction);
    for (int64_t i = 0; i < rows && c->holdout_fraction > 0; i++) n -= is_held_out(c, i);
    return n;
}

mill_err synth_probe_split(mill_table **learn, mill_table **hold, const mill_table *t,
                           const synth_config *c)
{
    int64_t *pick = mill_alloc((size_t)t->rows + 1, sizeof *pick), n = 0, held = 0;
    mill_err err = MILL_ENOMEM;

    if (!pick) return err;
    for (int64_t i = 0; i < t->rows; i++) pick[is_held_out(c, i) ? t->rows - 1 - held++ : n++] = i;
    if (n == 0 || held == 0)
        err = mill_fail(
            MILL_EINPUT,
            "--holdout-fraction %g of %lld rows leaves nothing to learn from or to hold out",
            c->holdout_fraction, (long long)t->rows);
    else if (!(err = table_take_rows(learn, t, pick, n)) &&
             (err = table_take_rows(hold, t, pick + n, held)))
        mill_table_free(*learn);
    mill_free(pick);
    return err;
}
