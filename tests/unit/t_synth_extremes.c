/*
 * t_synth_extremes.c - numbers of every kind and scale through fit, file, sample, conditions,
 * score.
 *
 * Each case is a table of a few rows with three columns of random kinds.  What must hold, whatever
 * the numbers: a model that was written can be opened; what is drawn lies in the range, on the grid
 * and meets its condition; the rows learnt from and those drawn have a likelihood.
 */
#include "lib/planted.h"

enum { COLS = 3, DRAWN = 64 };
static uint64_t the_case; /* said where something does not hold */
#define check(holds)                                                      \
    do {                                                                  \
        if (!(holds)) fail_msg("case %d: not %s", (int)the_case, #holds); \
    } while (0)

static double pick(mill_rng *rng, double least, double most)
{
    return least + (most - least) * mill_rng_f64(rng);
}

/* What makes the numbers of a column: a kind, and what the kind is of. */
enum { SCALE, CENTRE, NEXT, CONSTANT, TWO, DECIMALS, SCALES, DENORMAL, ZEROS, ENDS, REALS };
enum { SMALL = REALS, LARGE, MIXED, TIMES, KINDS };
typedef struct {
    int kind;
    double scale, centre;
    int decimals;
    int64_t unit;
} recipe;

static recipe recipe_of(mill_rng *rng)
{
    static const int64_t clock[] = {1, 60, 3600, 86400};
    recipe r = {.kind = (int)mill_rng_below(rng, KINDS), .decimals = 15, .unit = 1};

    r.scale = pow(10, pick(rng, -300, 300));
    r.centre = r.scale * pick(rng, -2, 2);
    if (r.kind == DECIMALS) r.decimals = (int)mill_rng_below(rng, 16);
    if (r.kind == DECIMALS) r.scale = rint(pow(10, pick(rng, 0, 17)));
    if (r.kind == TWO && mill_rng_below(rng, 2)) r.decimals = (int)mill_rng_below(rng, 15);
    if (r.kind == SMALL) r.unit = 1 + (int64_t)mill_rng_below(rng, 1000);
    if (r.kind == TIMES) r.unit = clock[mill_rng_below(rng, 4)];
    if (r.kind == LARGE) r.scale = pick(rng, 0, 0x1p53);
    return r;
}

static double number_of(const recipe *r, mill_rng *rng)
{
    const double u = mill_rng_f64(rng), ten = pow(10, r->decimals);
    const double sign = mill_rng_below(rng, 2) ? 1 : -1;

    switch (r->kind) {
    case SCALE:
        return r->scale * u;
    case CENTRE:
        return r->centre * (1 + 1e-12 * u);
    case NEXT: {
        double x = r->centre;
        for (int k = (int)mill_rng_below(rng, 40); k > 0; k--) x = nextafter(x, INFINITY);
        return x;
    }
    case CONSTANT:
        return r->centre;
    case TWO:
        return r->decimals < 15 ? rint(sign * 7 * ten / 3) / ten : sign * r->scale;
    case DECIMALS:
        return rint(r->scale * u) / ten;
    case SCALES:
        return sign * pow(10, pick(rng, -300, 300));
    case DENORMAL:
        return sign * 0x1p-1074 * rint(1000 * u);
    case ZEROS:
        return u < 0.4 ? 0.0 : u < 0.8 ? -0.0 : r->scale * u;
    case ENDS:
        return u < 0.3 ? -1e300 : u < 0.6 ? 1e300 : r->centre * u;
    case SMALL:
        return (double)(r->unit * (int64_t)mill_rng_below(rng, 2000)) - 1e6 * (double)r->unit;
    case LARGE:
        return sign * rint(r->scale * u);
    case MIXED:
        return sign * rint(pow(10, pick(rng, 0, 15.9)));
    default:
        return (double)(r->unit * (int64_t)pick(rng, -62135596800 / (double)r->unit,
                                                253402300799 / (double)r->unit));
    }
}

static void fill(mill_column *c, const char *name, int64_t rows, mill_rng *rng)
{
    const recipe r = recipe_of(rng);
    const bool heavy = mill_rng_below(rng, 3) == 0, missing = mill_rng_below(rng, 4) == 0;
    const double first = number_of(&r, rng);

    assert_ok(column_init(c, name,
                          r.kind == TIMES   ? MILL_DATETIME
                          : r.kind >= REALS ? MILL_INTEGER
                                            : MILL_REAL,
                          rows));
    if (r.kind == TIMES) assert_non_null(c->format = mill_strdup("%Y-%m-%d %H:%M:%S"));
    c->decimals = c->type == MILL_REAL ? r.decimals : 0;
    for (int64_t i = 0; i < rows; i++) {
        const double x = heavy && mill_rng_below(rng, 3) ? first : number_of(&r, rng);
        if (missing && mill_rng_below(rng, 3)) {
            assert_ok(column_set_missing(c, i));
        } else if (c->type == MILL_REAL) {
            c->f64[i] = x;
        } else {
            c->i64[i] = (int64_t)x;
        }
    }
}

static double cell(const mill_column *c, int64_t i)
{
    return c->type == MILL_REAL ? c->f64[i] : (double)c->i64[i];
}

static void check_range(const mill_table *d, const synth_schema *s)
{
    for (int j = 0; j < s->n; j++) {
        for (int64_t i = 0; i < d->rows; i++) {
            if (!column_is_valid(&d->col[j], i)) continue;
            const double x = cell(&d->col[j], i), ten = pow(10, s->col[j].decimals);
            check(x >= s->col[j].least && x <= s->col[j].most);
            if (s->col[j].decimals < 15 && fabs(x) * ten < 0x1p50) check(x == rint(x * ten) / ten);
        }
    }
}

/* A row's own value is one that the model can make; then rows come, and meet it. */
static void check_where(synth_model *m, const mill_table *d, mill_rng *rng)
{
    static const where_op op[] = {WHERE_EQ, WHERE_LE, WHERE_GE, WHERE_LT, WHERE_GT};
    const int j = (int)mill_rng_below(rng, COLS);
    const int64_t row = (int64_t)mill_rng_below(rng, (uint32_t)d->rows);
    synth_where w = {.col = j, .op = op[mill_rng_below(rng, 5)], .code = -1};
    synth_sampler *s;
    mill_table *t = NULL;

    if (!column_is_valid(&d->col[j], row)) return;
    w.number = cell(&d->col[j], row);
    assert_ok(synth_sampler_open(&s, m, 7, &w, 1));
    const mill_err err = synth_sampler_next(s, &t, DRAWN);
    if (err && (w.op == WHERE_LT || w.op == WHERE_GT)) {
        check(err == MILL_EINPUT);
    } else if (err) {
        fail_msg("case %d: column %d, operator %d, %.17g: %s", (int)the_case, j, (int)w.op,
                 w.number, mill_error());
    } else {
        for (int64_t i = 0; i < DRAWN; i++) check(synth_where_holds(&w, t, i));
        check_range(t, m->schema);
        mill_table_free(t);
    }
    synth_sampler_close(s);
}

static void check_score(synth_model *m, const mill_table *t)
{
    double *score = malloc((size_t)t->rows * sizeof *score);

    assert_ok(m->method->score(m->model, score, t));
    for (int64_t i = 0; i < t->rows; i++) check(isfinite(score[i]));
    free(score);
}

static void check_case(const synth_method *method, uint64_t seed, mill_pool *pool)
{
    mill_rng rng = mill_rng_init(seed, 1, 0);
    const int64_t rows = 20 + (int64_t)mill_rng_below(&rng, 1000);
    synth_config c = synth_config_default();
    mill_table *t;
    synth_schema *s;
    synth_model *m;
    void *fit;
    char path[64];

    the_case = seed;
    assert_ok(table_new(&t, rows, COLS));
    for (int j = 0; j < COLS; j++) fill(&t->col[j], (const char *[]){"a", "b", "c"}[j], rows, &rng);
    c.components = method == &synth_independent ? 1 : 3;
    c.iterations = 3;
    c.bins = (int64_t[]){2, 10, 100}[mill_rng_below(&rng, 3)];
    c.trim_rare = mill_rng_below(&rng, 4) ? 0 : 3;
    c.epochs = 1;
    c.batch_size = 100;
    c.embedding_dim = 8;
    c.generator_dim = c.discriminator_dim = c.compress_dims = c.decompress_dims = "16";
    planted_path(path, "extremes");
    assert_ok(synth_schema_fit(&s, t, &c));
    assert_ok(method->fit_open(&fit, t, s, &c, pool));
    train_job job;
    method->fit_job(&job, fit);
    for (int64_t i = 0; i < job.n_steps && i < 20; i++) assert_ok(job.step(job.ctx, i));
    assert_ok(synth_model_write(path, method, fit, s, &c));
    method->fit_close(fit);
    synth_schema_free(s);
    assert_ok(synth_model_open(&m, path, pool));
    assert_ok(file_remove(path));
    mill_table *d = planted_sample(m, DRAWN, 3, NULL);
    check_range(d, m->schema);
    if (method->score) {
        check_score(m, t);
        check_score(m, d);
        for (int k = 0; k < 6; k++) check_where(m, d, &rng);
    }
    mill_table_free(d);
    synth_model_close(m);
    mill_table_free(t);
}

/* TEST_FULL: thirty times as many. */
static void check_cases(const synth_method *method, uint64_t cases)
{
    const char *asked = getenv("TEST_FULL");
    mill_pool *pool = planted_pool(1);

    if (asked && !strcmp(asked, "1")) cases *= 30;
    for (uint64_t seed = 0; seed < cases / test_stride(5); seed++) check_case(method, seed, pool);
    mill_pool_free(pool);
}

void test_mixture__takes_numbers_of_every_kind(void **state)
{
    (void)state;
    check_cases(&synth_mixture, 150);
}

void test_independent__takes_numbers_of_every_kind(void **state)
{
    (void)state;
    check_cases(&synth_independent, 50);
}

void test_tvae__takes_numbers_of_every_kind(void **state)
{
    (void)state;
    check_cases(&synth_tvae, 50);
}

void test_ctgan__takes_numbers_of_every_kind(void **state)
{
    (void)state;
    check_cases(&synth_ctgan, 50);
}
