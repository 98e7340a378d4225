/* LEVELS
 * t_synth_mixture.c - EM, conditions, likelihood, determinism of the mixture. */
#include "lib/planted.h"

#include "base/vmath.h"

void test_em__makes_rows_likelier_in_every_step(void **state)
{
    mill_pool *pool = planted_pool(2);
    mill_table *t = planted_table(3000);
    synth_config c = planted_config(8);
    synth_schema *s;
    void *fit;
    double before = -1e9;

    (void)state;
    assert_ok(synth_schema_fit(&s, t, &c));
    assert_ok(synth_mixture.fit_open(&fit, t, s, &c, pool));
    for (int i = 0; i < 12; i++) {
        const double now = planted_train(fit, &synth_mixture, i, 1);
        /* The prior may cost a trace of likelihood once EM has settled. */
        assert_true(now > before - 1e-4);
        if (i == 1) assert_true(now > before + 0.01);
        before = now;
    }
    synth_mixture.fit_close(fit);
    synth_schema_free(s);
    mill_table_free(t);
    mill_pool_free(pool);
}

/* Of 20,000 drawn rows each kind of n (0.., 20.., 40..) has the planted share and its own flags and
 * letters. */
void test_mixture__finds_the_planted_kinds(void **state)
{
    static const double share[] = {0.5, 0.3, 0.2}, yes[] = {0.9, 0.5, 0.05};
    mill_pool *pool = planted_pool(2);
    mill_table *t = planted_table(8000);
    synth_model *m = planted_model(t, planted_config(6), pool);
    mill_table *d = planted_sample(m, 20000, 1, NULL);

    (void)state;
    for (int k = 0; k < 3; k++) {
        int n = 0, n_yes = 0, flags = 0, letter = 0, near = 0, numbers = 0;
        for (int64_t i = 0; i < d->rows; i++) {
            if (d->col[PLANTED_N].i64[i] / 20 != k) continue;
            n++;
            int size;
            letter += *column_value(&d->col[PLANTED_KIND], d->col[PLANTED_KIND].code[i], &size) ==
                      "abc"[k];
            if (column_is_valid(&d->col[PLANTED_FLAG], i)) {
                int len;
                flags++;
                n_yes +=
                    *column_value(&d->col[PLANTED_FLAG], d->col[PLANTED_FLAG].code[i], &len) == 'y';
            }
            const double x = d->col[PLANTED_X].f64[i];
            if (x > 0) {
                numbers++;
                near += x >= 1000 * k && x <= 1000 * k + 100;
            }
        }
        /* Sampling noise of both tables, 4 sigma: sqrt(.25/8000 + .25/20000) 4 = .027; small parts
         * twice that. */
        assert_true(fabs(n / 20000.0 - share[k]) < 0.03);
        assert_true(fabs((double)n_yes / flags - yes[k]) < 0.06);
        assert_true(fabs((double)letter / n - 0.9) < 0.06);
        assert_true((double)near / numbers > 0.97);
    }
    mill_table_free(d);
    synth_model_close(m);
    mill_table_free(t);
    mill_pool_free(pool);
}

/* How often the rows of t that meet all conditions have flag "yes", and the mean of n. */
static void describe(double *yes, double *mean_n, double *mean_x, int64_t *kept,
                     const mill_table *t, const synth_where *w, int n)
{
    *yes = *mean_n = *mean_x = 0;
    *kept = 0;
    for (int64_t i = 0; i < t->rows; i++) {
        bool meets = true;
        for (int k = 0; k < n; k++) meets = meets && synth_where_holds(&w[k], t, i);
        if (!meets) continue;
        int len;
        const mill_column *flag = &t->col[PLANTED_FLAG];
        *kept += 1;
        *yes += column_is_valid(flag, i) && *column_value(flag, flag->code[i], &len) == 'y';
        *mean_n += (double)t->col[PLANTED_N].i64[i];
        *mean_x += t->col[PLANTED_X].f64[i];
    }
    *yes /= (double)*kept;
    *mean_n /= (double)*kept;
    *mean_x /= (double)*kept;
}

void test_mixture__conditions_agree_with_rejection(void **state)
{
    static const char *const cases[][4] = {
        {"kind=b"},        {"n>=25", "kind!=c"},
        {"flag=", "n<21"}, {"x>1033.3", "x<=2040"},
        {"x=0", "kind=a"}, {"n!=41", "flag=yes", "x>2000"},
    };
    mill_pool *pool = planted_pool(2);
    mill_table *t = planted_table(6000);
    synth_model *m = planted_model(t, planted_config(6), pool);
    mill_table *all = planted_sample(m, 400000, 2, NULL);

    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        synth_where w[4];
        int n = 0;
        double a[3], b[3];
        int64_t kept, drawn;
        for (; n < 4 && cases[c][n]; n++)
            assert_ok(synth_where_parse(&w[n], m->schema, cases[c][n]));
        assert_int_equal(m->method->native(m->model, w, n), (1u << n) - 1);
        const char *list[5] = {cases[c][0], cases[c][1], cases[c][2], cases[c][3], NULL};
        mill_table *d = planted_sample(m, 20000, 3, list);
        describe(&a[0], &a[1], &a[2], &kept, all, w, n);
        describe(&b[0], &b[1], &b[2], &drawn, d, w, n);
        assert_int_equal(drawn, 20000); /* every row meets them */
        assert_true(kept > 500);
        /* 5 sigma of both samples; n and x spread over at most 60 and 2100. */
        const double sigma = 5 * sqrt(0.25 / (double)kept + 0.25 / 20000);
        if (fabs(a[0] - b[0]) > sigma) fail_msg("%s: yes %g, %g", cases[c][0], a[0], b[0]);
        if (fabs(a[1] - b[1]) > sigma * 60) fail_msg("%s: n %g, %g", cases[c][0], a[1], b[1]);
        if (fabs(a[2] - b[2]) > sigma * 2100) fail_msg("%s: x %g, %g", cases[c][0], a[2], b[2]);
        mill_table_free(d);
    }
    mill_table_free(all);
    synth_model_close(m);
    mill_table_free(t);
    mill_pool_free(pool);
}

/* Four bins for all of x and of n: conditions cut deep into one or into two, and what is left has
 * the shares that it had. */
void test_mixture__cuts_ranges_inside_a_bin(void **state)
{
    static const struct {
        const char *where[3], *part;
    } cases[] = {{{"x>=1010", "x<1030"}, "x<1015"},
                 {{"x>=1050"}, "x<1090"},
                 {{"x<=2050"}, "x<1050"},
                 {{"n<25"}, "n>=23"},
                 {{"n>25"}, "n<=27"},
                 {{"n<=25", "n>=22"}, "n=25"}};
    mill_pool *pool = planted_pool(2);
    mill_table *t = planted_table(6000);
    synth_config c = planted_config(3);

    (void)state;
    c.bins = 4;
    synth_model *m = planted_model(t, c, pool);
    mill_table *d[2] = {planted_sample(m, 400000, 2, NULL), NULL};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        synth_where w[3];
        double part[2] = {0, 0}, all[2] = {0, 0};
        int n = 0;
        for (; cases[k].where[n]; n++)
            assert_ok(synth_where_parse(&w[n], m->schema, cases[k].where[n]));
        assert_ok(synth_where_parse(&w[n], m->schema, cases[k].part));
        assert_int_equal(m->method->native(m->model, w, n), (1u << n) - 1);
        d[1] = planted_sample(m, 20000, 3, cases[k].where);
        for (int side = 0; side < 2; side++) {
            for (int64_t i = 0; i < d[side]->rows; i++) {
                bool meets = true;
                for (int j = 0; j < n; j++) meets = meets && synth_where_holds(&w[j], d[side], i);
                all[side] += meets;
                part[side] += meets && synth_where_holds(&w[n], d[side], i);
            }
        }
        mill_table_free(d[1]);
        assert_true(all[0] > 1000 && part[0] > 30 && all[1] == 20000);
        /* a binomial share, 5 sigma */
        const double share = part[0] / all[0];
        const double sigma = sqrt(share * (1 - share) * (1 / all[0] + 1.0 / 20000));
        if (fabs(share - part[1] / all[1]) > 5 * sigma)
            fail_msg("%s: %g, not %g", cases[k].where[0], part[1] / all[1], share);
    }
    mill_table_free(d[0]);
    synth_model_close(m);
    mill_table_free(t);
    mill_pool_free(pool);
}

/* kind, flag (or missing) and n from 0 to 49: all the rows that the model can make, whose
 * probabilities sum to 1. */
void test_score__sums_to_one_over_a_small_domain(void **state)
{
    enum { N = 3 * 3 * 50 };
    static const int cols[] = {PLANTED_KIND, PLANTED_FLAG, PLANTED_N};
    mill_pool *pool = planted_pool(2);
    mill_table *t = planted_table(4000), *three, *d;
    double score[N], sum = 0;
    synth_config c = planted_config(5);

    (void)state;
    c.bins = 8; /* so that n has bins of several numbers */
    assert_ok(table_take_cols(&three, t, cols, 3));
    synth_model *m = planted_model(three, c, pool);
    assert_ok(synth_schema_table(&d, m->schema, N));
    for (int i = 0; i < N; i++) {
        d->col[0].code[i] = i % 3;
        d->col[1].code[i] = i / 3 % 3 == 2 ? 0 : i / 3 % 3;
        if (i / 3 % 3 == 2) assert_ok(column_set_missing(&d->col[1], i));
        d->col[2].i64[i] = i / 9;
    }
    assert_ok(m->method->score(m->model, score, d));
    for (int i = 0; i < N; i++) sum += isfinite(score[i]) ? mill_exp_f64(score[i]) : 0;
    assert_true(fabs(sum - 1) < 1e-5); /* probabilities are floats: 5 x 60 of them, 6e-8 each */
    mill_table_free(d);
    synth_model_close(m);
    mill_table_free(three);
    mill_table_free(t);
    mill_pool_free(pool);
}

void test_score__of_what_cannot_be_made_is_minus_infinity(void **state)
{
    mill_pool *pool = planted_pool(1);
    mill_table *t = planted_table(2000), *d;
    synth_model *m = planted_model(t, planted_config(3), pool);
    double score[3];

    (void)state;
    const int64_t rows[3] = {1, 2, 3};
    assert_ok(table_take_rows(&d, t, rows, 3));
    d->col[PLANTED_N].i64[1] = 4000;
    d->col[PLANTED_X].f64[2] = -1;
    assert_ok(m->method->score(m->model, score, d));
    assert_true(isfinite(score[0]));
    assert_true(isinf(score[1]) && score[1] < 0);
    assert_true(isinf(score[2]) && score[2] < 0);
    mill_table_free(d);
    synth_model_close(m);
    mill_table_free(t);
    mill_pool_free(pool);
}

void test_mixture__goes_on_where_it_was_saved(void **state)
{
    mill_pool *pool = planted_pool(2);
    mill_table *t = planted_table(3000);
    synth_config c = planted_config(12);
    synth_schema *s;
    char part[64], a[64], b[64], hash[2][33];

    (void)state;
    planted_path(part, "part");
    planted_path(a, "a");
    planted_path(b, "b");
    c.iterations = 9;
    assert_ok(synth_schema_fit(&s, t, &c));
    for (int resumed = 0; resumed < 2; resumed++) {
        void *fit;
        store *f;
        assert_ok(synth_mixture.fit_open(&fit, t, s, &c, pool));
        if (resumed) {
            planted_load(fit, &synth_mixture, part);
        } else {
            planted_train(fit, &synth_mixture, 0, 4);
            planted_save(fit, &synth_mixture, part);
        }
        planted_train(fit, &synth_mixture, 4, 99);
        assert_ok(synth_model_write(resumed ? b : a, &synth_mixture, fit, s, &c));
        assert_ok(store_open(&f, resumed ? b : a));
        assert_ok(store_hash(hash[resumed], f));
        store_close(f);
        synth_mixture.fit_close(fit);
    }
    assert_string_equal(hash[0], hash[1]);
    assert_ok(file_remove(part));
    assert_ok(file_remove(a));
    assert_ok(file_remove(b));
    synth_schema_free(s);
    mill_table_free(t);
    mill_pool_free(pool);
}

/* Ends before its iterations are used up; resumed right before its last step, it ends there too. */
void test_mixture__stops_where_it_settles(void **state)
{
    mill_table *t = planted_table(1000);
    synth_config c = planted_config(3);
    synth_schema *s;
    int64_t steps = 0;
    double before = 0, now = 0;
    char part[64];

    (void)state;
    planted_path(part, "part");
    c.iterations = 500;
    assert_ok(synth_schema_fit(&s, t, &c));
    for (int resumed = 0; resumed < 2; resumed++) {
        train_job job;
        void *fit;
        int64_t i = 0;
        assert_ok(synth_mixture.fit_open(&fit, t, s, &c, NULL));
        synth_mixture.fit_job(&job, fit);
        if (resumed) {
            planted_load(fit, &synth_mixture, part);
            i = steps - 1;
        }
        for (; !job.done(job.ctx) && i < job.n_steps; i++) {
            if (!resumed) planted_save(fit, &synth_mixture, part);
            before = now;
            assert_ok(job.step(job.ctx, i));
            job.metrics(job.ctx, &now);
        }
        if (resumed) assert_int_equal(i, steps);
        steps = i;
        synth_mixture.fit_close(fit);
        if (!resumed) assert_true(now - before < 1e-3); /* nats a row */
    }
    assert_in_range(steps, 5, 499);
    assert_ok(file_remove(part));
    synth_schema_free(s);
    mill_table_free(t);
}

/* What em_step says of its rows before it changes the tables is what em_score says of them. */
void test_em__score_is_the_likelihood_of_the_next_step(void **state)
{
    enum { ROWS = 1500 };
    static int32_t half[ROWS / 2], all[ROWS];
    mill_table *t = planted_table(ROWS);
    synth_config c = planted_config(5);
    mill_pool *pool = planted_pool(2);
    synth_schema *s;
    synth_codes *codes;
    em *e;

    (void)state;
    for (int i = 0; i < ROWS; i++) all[i] = i;
    for (int i = 0; i < ROWS / 2; i++) half[i] = 2 * i;
    assert_ok(synth_schema_fit(&s, t, &c));
    assert_ok(synth_codes_fit(&codes, t, s, &c, pool));
    assert_ok(em_new(&e, codes, 5, half, ROWS / 2, true, pool));
    em_start(e, 1);
    for (int i = 0; i < 5; i++) assert_ok(em_step(e));
    const double score = em_score(e, half, ROWS / 2), whole = em_score(e, all, ROWS);
    for (int i = 0; i < ROWS / 2; i++) all[i] = 2 * i + 1;
    const double rest = em_score(e, all, ROWS / 2);
    assert_true(score < -1 && rest < score); /* rows that were not learnt are less likely */
    /* 12 + 12 and 24 chunks of rows, each rounded to a multiple of 2^-20 */
    assert_true(fabs(whole - (score + rest) / 2) < 48 * 0x1p-21 / ROWS);
    assert_ok(em_step(e));
    assert_true(e->log_likelihood == score);
    em_free(e);
    synth_codes_free(codes);
    synth_schema_free(s);
    mill_table_free(t);
    mill_pool_free(pool);
}

/* A number between two of the grid is no number of the column: what it bounds is its neighbours. */
void test_mixture__bounds_fall_on_the_grid(void **state)
{
    static const char *const same[][2] = {
        {"x>1033.336", "x>1033.33"},   {"x>=1033.336", "x>=1033.34"}, {"x<1033.336", "x<1033.34"},
        {"x<=1033.336", "x<=1033.33"}, {"n>=20.5", "n>=21"},          {"n<20.5", "n<=20"}};
    mill_table *t = planted_table(3000);
    synth_config c = planted_config(3);

    (void)state;
    c.bins = 4;
    synth_model *m = planted_model(t, c, NULL);
    for (size_t k = 0; k < sizeof same / sizeof *same; k++) {
        mill_table *d[2];
        for (int i = 0; i < 2; i++)
            d[i] = planted_sample(m, 3000, 3, (const char *[]){same[k][i], NULL});
        assert_memory_equal(d[0]->col[PLANTED_X].f64, d[1]->col[PLANTED_X].f64, 3000 * 8);
        assert_memory_equal(d[0]->col[PLANTED_N].i64, d[1]->col[PLANTED_N].i64, 3000 * 8);
        mill_table_free(d[0]);
        mill_table_free(d[1]);
    }
    synth_model_close(m);
    mill_table_free(t);
}

/* hour: times, `five`: integers near 2e9, `tenth`: reals, `real`: of 15 decimals; all in bins. */
enum { BOUND_HOUR, BOUND_FIVE, BOUND_TENTH, BOUND_REAL, BOUND_COLS };

static mill_table *bounds_table(int64_t rows)
{
    static const char *const name[] = {"hour", "five", "tenth", "real"};
    static const mill_coltype type[] = {MILL_DATETIME, MILL_INTEGER, MILL_REAL, MILL_REAL};
    mill_rng rng = mill_rng_init(4, 0, 0);
    mill_table *t;

    assert_ok(table_new(&t, rows, BOUND_COLS));
    for (int j = 0; j < BOUND_COLS; j++) assert_ok(column_init(&t->col[j], name[j], type[j], rows));
    assert_non_null(t->col[BOUND_HOUR].format = mill_strdup("%Y-%m-%d %H:%M:%S"));
    t->col[BOUND_TENTH].decimals = 1;
    t->col[BOUND_REAL].decimals = 15;
    for (int64_t i = 0; i < rows; i++) {
        t->col[BOUND_HOUR].i64[i] = 1704060000 + 3600 * ((int64_t)mill_rng_below(&rng, 800) - 400);
        t->col[BOUND_FIVE].i64[i] = 2000000000 + 5 * ((int64_t)mill_rng_below(&rng, 800) - 400);
        t->col[BOUND_TENTH].f64[i] = (double)mill_rng_below(&rng, 2000) / 10;
        t->col[BOUND_REAL].f64[i] = 1e-18 * mill_rng_f64(&rng);
    }
    return t;
}

/* What lies between two numbers of the grid is the same bound as one of them, a second or a unit of
 * 2e9 away as well; 1704060000 is 2023-12-31 22:00:00. */
void test_mixture__bounds_are_exact(void **state)
{
    static const char *const same[][2] = {
        {"hour<=2023-12-31 22:59:59", "hour<2023-12-31 23:00:00"},
        {"hour>=2023-12-31 22:00:01", "hour>=2023-12-31 23:00:00"},
        {"hour>2023-12-31 22:59:59", "hour>2023-12-31 22:00:00"},
        {"hour<2023-12-31 22:00:01", "hour<=2023-12-31 22:00:00"},
        {"five>1999999999", "five>=2000000000"},
        {"five<2000000001", "five<=2000000000"},
        {"tenth>=100.29999999999999", "tenth>100.2"},
        {"tenth<=100.30000000000001", "tenth<100.4"}};
    static const char *const none[][3] = {{"hour=2023-12-31 22:00:01"},
                                          {"five=2000000001"},
                                          {"tenth=100.30000000000001"},
                                          {"tenth>100.2", "tenth<100.3"},
                                          {"real>5e-19", "real<=5e-19"}};
    enum { N = 3000 };
    mill_table *t = bounds_table(3000);
    synth_config c = planted_config(2);

    (void)state;
    c.bins = 4;
    synth_model *m = planted_model(t, c, NULL);
    for (size_t k = 0; k < sizeof same / sizeof *same; k++) {
        mill_table *d[2];
        synth_where w;
        for (int i = 0; i < 2; i++)
            d[i] = planted_sample(m, N, 3, (const char *[]){same[k][i], NULL});
        for (int j = 0; j < BOUND_COLS; j++)
            assert_memory_equal(d[0]->col[j].i64, d[1]->col[j].i64, N * sizeof(int64_t));
        assert_ok(synth_where_parse(&w, m->schema, same[k][0]));
        for (int i = 0; i < N; i++) assert_true(synth_where_holds(&w, d[0], i));
        for (int i = 0; i < N; i++) {
            const double x = d[0]->col[BOUND_TENTH].f64[i];
            assert_true(x == rint(x * 10) / 10);
        }
        mill_table_free(d[0]);
        mill_table_free(d[1]);
    }
    for (size_t k = 0; k < sizeof none / sizeof *none; k++) {
        synth_where w[2];
        synth_sampler *s;
        int n = 0;
        for (; none[k][n]; n++) assert_ok(synth_where_parse(&w[n], m->schema, none[k][n]));
        assert_ok(synth_sampler_open(&s, m, 1, w, n));
        mill_table *d = NULL;
        assert_fails(MILL_EINPUT, "no row of this model", synth_sampler_next(s, &d, 10));
        synth_sampler_close(s);
    }
    synth_model_close(m);
    mill_table_free(t);
}

/* Reals of 15 decimals are as they are: numbers of 1e-18 keep their shape, and conditions hold. */
void test_mixture__takes_reals_of_any_scale(void **state)
{
    enum { N = 4000 };
    mill_table *t = bounds_table(3000);
    synth_config c = planted_config(2);

    (void)state;
    c.bins = 4;
    synth_model *m = planted_model(t, c, NULL);
    mill_table *d = planted_sample(m, N, 3, NULL);
    int below = 0, above = 0, least = 0;
    for (int i = 0; i < N; i++) {
        const double x = d->col[BOUND_REAL].f64[i];
        below += x < 0.25e-18;
        above += x > 0.75e-18;
        least += x == m->schema->col[BOUND_REAL].least;
    }
    mill_table_free(d);
    /* a quarter each, 5 sigma of 3,000 rows learnt from and 4,000 drawn */
    assert_true(abs(below - N / 4) < 210 && abs(above - N / 4) < 210 && least < 5);
    d = planted_sample(m, N, 3, (const char *[]){"real>=5e-19", "real<6e-19", NULL});
    below = 0;
    for (int i = 0; i < N; i++) {
        const double x = d->col[BOUND_REAL].f64[i];
        assert_true(x >= 5e-19 && x < 6e-19);
        below += x < 5.5e-19;
    }
    mill_table_free(d);
    /* a half: 5 sigma of the 300 rows learnt from */
    assert_true(abs(below - N / 2) < 5 * N / 2 / 17);
    d = planted_sample(m, 100, 3, (const char *[]){"real=5e-19", NULL});
    for (int i = 0; i < 100; i++) assert_true(d->col[BOUND_REAL].f64[i] == 5e-19);
    mill_table_free(d);
    synth_model_close(m);
    mill_table_free(t);
}

/* Missing numbers stay missing, in their share; values that repeat inside a bin meet conditions
 * one by one. */
void test_mixture__keeps_missing_numbers_and_repeated_values(void **state)
{
    enum { ROWS = 6000, DRAWN = 20000 };
    mill_mem_stats before, after;
    mill_table *t, *d;
    synth_config c = planted_config(2);
    int64_t missing = 0;

    (void)state;
    c.bins = 40;
    mill_mem_get_stats(&before);
    assert_ok(table_new(&t, ROWS, 1));
    assert_ok(column_init(&t->col[0], "square", MILL_INTEGER, ROWS));
    for (int64_t i = 0; i < ROWS; i++) {
        t->col[0].i64[i] = (i % 200) * (i % 200);
        if (i % 5 == 2) assert_ok(column_set_missing(&t->col[0], i));
    }
    synth_model *m = planted_model(t, c, NULL);
    d = planted_sample(m, DRAWN, 1, NULL);
    for (int64_t i = 0; i < DRAWN; i++) missing += !column_is_valid(&d->col[0], i);
    assert_int_equal(missing, d->col[0].n_missing);
    assert_true(fabs((double)missing / DRAWN - 0.2) < 5 * sqrt(0.16 / DRAWN + 0.16 / ROWS));
    mill_table_free(d);
    d = planted_sample(m, DRAWN, 1, (const char *[]){"square>=5000", "square<12000", NULL});
    for (int64_t i = 0; i < DRAWN; i++) {
        const double x = (double)d->col[0].i64[i];
        assert_true(column_is_valid(&d->col[0], i) && x >= 5000 && x < 12000);
        assert_true(sqrt(x) == rint(sqrt(x)));
    }
    mill_table_free(d);
    synth_model_close(m);
    mill_table_free(t);
    mill_mem_get_stats(&after);
    assert_int_equal(after.live, before.live);
}

/* Nobody lacks a number, but 4 rows have one that fewer than 10 have: it is missing in the model,
 * which says so and can be asked for it. */
void test_mixture__tells_of_numbers_that_trimming_took(void **state)
{
    enum { ROWS = 400 };
    mill_table *t;
    synth_config c = planted_config(2);
    synth_where w;

    (void)state;
    assert_ok(table_new(&t, ROWS, 1));
    assert_ok(column_init(&t->col[0], "x", MILL_INTEGER, ROWS));
    for (int64_t i = 0; i < ROWS; i++) t->col[0].i64[i] = i % 100 ? i % 2 ? 3 : 8 : 5;
    synth_model *m = planted_model(t, c, NULL);
    assert_int_equal(m->schema->col[0].n_missing, 0);
    assert_fails(MILL_EINPUT, "never missing", synth_where_parse(&w, m->schema, "x="));
    synth_model_close(m);
    c.trim_rare = 10;
    m = planted_model(t, c, NULL);
    assert_int_equal(m->schema->col[0].n_missing, 4);
    mill_table *d = planted_sample(m, 50, 1, (const char *[]){"x=", NULL});
    assert_int_equal(d->col[0].n_missing, 50);
    mill_table_free(d);
    synth_model_close(m);
    mill_table_free(t);
}

void test_sampler__gives_the_same_rows_in_any_batches(void **state)
{
    mill_pool *pool = planted_pool(2);
    mill_table *t = planted_table(2000), *whole;
    synth_model *m = planted_model(t, planted_config(4), pool);
    /* "!=" inside a range of x is met by rejection; the other one by the mixture */
    const char *where[] = {"x!=1050.01", "kind=b", NULL};
    synth_where w[2];
    synth_sampler *s;
    int64_t at = 0;

    (void)state;
    for (int i = 0; i < 2; i++) assert_ok(synth_where_parse(&w[i], m->schema, where[i]));
    whole = planted_sample(m, 40000, 4, where);
    assert_ok(synth_sampler_open(&s, m, 4, w, 2));
    for (int64_t n = 1; at < 40000; at += n, n = n * 3 + 1) {
        mill_table *part;
        n = n < 40000 - at ? n : 40000 - at;
        assert_ok(synth_sampler_next(s, &part, n));
        for (int64_t i = 0; i < n; i++) {
            for (int j = 0; j < part->n_cols; j++) {
                const mill_column *p = &part->col[j], *q = &whole->col[j];
                assert_int_equal(column_is_valid(p, i), column_is_valid(q, at + i));
                if (!column_is_valid(p, i)) continue;
                if (column_has_codes(p)) {
                    int a, b;
                    const char *x = column_value(p, p->code[i], &a);
                    const char *y = column_value(q, q->code[at + i], &b);
                    assert_int_equal(a, b);
                    assert_memory_equal(x, y, (size_t)a);
                } else {
                    assert_int_equal(p->i64[i], q->i64[at + i]);
                }
            }
        }
        mill_table_free(part);
    }
    for (int64_t i = 0; i < whole->rows; i++) {
        assert_int_equal(whole->col[PLANTED_KIND].code[i], w[1].code);
        assert_true(whole->col[PLANTED_X].f64[i] != 1050.01);
    }
    assert_true(synth_sampler_acceptance(s) > 0.9);
    synth_sampler_close(s);
    mill_table_free(whole);
    synth_model_close(m);
    mill_table_free(t);
    mill_pool_free(pool);
}

/* A method that meets no condition itself: what all rejection looks like. */
static unsigned meets_nothing(const void *model, const synth_where *w, int n)
{
    (void)model;
    (void)w;
    (void)n;
    return 0;
}

void test_sampler__gives_up_on_what_never_comes(void **state)
{
    mill_pool *pool = planted_pool(2);
    mill_table *t = planted_table(2000), *d;
    synth_model *m = planted_model(t, planted_config(4), pool);
    synth_method blind = synth_mixture;
    synth_sampler *s;
    synth_where w;

    (void)state;
    blind.native = meets_nothing;
    m->method = &blind;
    assert_ok(synth_where_parse(&w, m->schema, "n=1000"));
    assert_ok(synth_sampler_open(&s, m, 0, &w, 1));
    assert_fails(MILL_EINPUT, "of 196608 rows drawn 0 met", synth_sampler_next(s, &d, 1));
    synth_sampler_close(s);
    assert_ok(synth_where_parse(&w, m->schema, "kind=c"));
    assert_ok(synth_sampler_open(&s, m, 0, &w, 1));
    assert_ok(synth_sampler_next(s, &d, 5000));
    const double rate = synth_sampler_acceptance(s);
    assert_true(rate > 0.15 && rate < 0.30); /* planted: .2 x .9 + .3 x .1 = .21 */
    mill_table_free(d);
    synth_sampler_close(s);
    m->method = &synth_mixture;
    assert_ok(synth_sampler_open(&s, m, 0, &w, 1));
    synth_sampler_close(s);
    assert_ok(synth_where_parse(&w, m->schema, "n=1000"));
    assert_ok(synth_sampler_open(&s, m, 0, &w, 1));
    assert_fails(MILL_EINPUT, "no row of this model", synth_sampler_next(s, &d, 1));
    synth_sampler_close(s);
    synth_model_close(m);
    mill_table_free(t);
    mill_pool_free(pool);
}

void test_independent__relates_nothing(void **state)
{
    mill_pool *pool = planted_pool(2);
    mill_table *t = planted_table(6000);
    synth_model *m = planted_model(t, planted_config(1), pool);
    const char *where[] = {"kind=c", NULL};
    mill_table *all = planted_sample(m, 50000, 1, NULL), *c = planted_sample(m, 50000, 1, where);
    double a[3], b[3];
    int64_t n;

    (void)state;
    assert_string_equal(m->method->name, "independent");
    describe(&a[0], &a[1], &a[2], &n, all, NULL, 0);
    describe(&b[0], &b[1], &b[2], &n, c, NULL, 0);
    assert_true(fabs(a[1] - b[1]) <
                0.5); /* mean of n is 18.5, and 43 where kind is c in the table */
    mill_table_free(all);
    mill_table_free(c);
    synth_model_close(m);
    mill_table_free(t);
    mill_pool_free(pool);
}

void test_choose_k__wants_more_than_one_for_kinds(void **state)
{
    mill_pool *pool = planted_pool(2);
    mill_table *t = planted_table(3000);
    synth_config c = planted_config(0);
    synth_schema *s;
    synth_codes *codes;
    int k, again;

    (void)state;
    assert_ok(synth_schema_fit(&s, t, &c));
    assert_ok(synth_codes_fit(&codes, t, s, &c, pool));
    assert_ok(mixture_choose_k(&k, codes, 1, pool));
    assert_ok(mixture_choose_k(&again, codes, 1, NULL));
    assert_int_equal(k, again);
    assert_true(k >= 25 && k <= 100); /* three kinds: more than the first rungs help nobody */
    assert_int_equal(mixture_most_k(300, 100), 30);
    assert_true(mixture_most_k(1000000, 300000) <= 80);
    synth_codes_free(codes);
    synth_schema_free(s);
    mill_table_free(t);
    mill_pool_free(pool);
}

void test_mixture__survives_every_failed_allocation(void **state)
{
    mill_table *t = planted_table(300);
    synth_config c = planted_config(4);
    mill_mem_stats before, start, after;
    mill_err err = MILL_ENOMEM;
    train_job job;
    double quality;

    (void)state;
    c.probe_every = 1;
    c.holdout_fraction = 0.2;
    assert_ok(mill_cpu_init());
    mill_mem_get_stats(&before);
    start = before;
    /* Until n calls are not made: a failure that is no error, as of a block made smaller, is not
     * the end. */
    for (int64_t n = 1, calls = n; calls >= n - 1; n++) {
        synth_schema *s = NULL;
        void *fit = NULL;
        mill_mem_fail_at(n);
        err = synth_schema_fit(&s, t, &c);
        if (err == MILL_OK) err = synth_mixture.fit_open(&fit, t, s, &c, NULL);
        if (err == MILL_OK) {
            synth_mixture.fit_job(&job, fit);
            err = job.probe(job.ctx, 0, &quality);
        }
        mill_mem_fail_at(0);
        if (err != MILL_OK) assert_int_equal(err, MILL_ENOMEM);
        if (fit) synth_mixture.fit_close(fit);
        synth_schema_free(s);
        mill_mem_get_stats(&after);
        assert_int_equal(after.live, before.live);
        calls = after.calls - start.calls;
        start = after;
    }
    assert_int_equal(err, MILL_OK);
    mill_table_free(t);
}

/*
 * 150,000 rows, 3 values and 3,000 values: counts go into totals many times, those of the second
 * column less often.  After a step exp(log p) (N_k + a) - a m, summed over the components, is each
 * code's number of rows.
 */
void test_em__counts_every_row_once(void **state)
{
    enum { ROWS = 150000, MANY = 3000, K = 20 };
    mill_pool *pool = planted_pool(2);
    synth_config c = synth_config_default();
    int32_t *offset = calloc(MANY + 1, sizeof *offset);
    char *text = malloc(MANY * 8);
    mill_table *t;
    synth_schema *s;
    synth_codes *codes;
    em *e;

    (void)state;
    for (int v = 0; v < MANY; v++) offset[v + 1] = offset[v] + sprintf(text + offset[v], "%d", v);
    assert_ok(table_new(&t, ROWS, 2));
    for (int j = 0; j < 2; j++) {
        assert_ok(column_init(&t->col[j], j ? "many" : "few", MILL_CATEGORY, ROWS));
        assert_ok(column_set_dictionary(&t->col[j], j ? MANY : 3, offset, text));
    }
    for (int i = 0; i < ROWS; i++) t->col[0].code[i] = i % 7 % 3;
    for (int i = 0; i < ROWS; i++) t->col[1].code[i] = (int)(i * 7919LL % 5000 % MANY);
    assert_ok(synth_schema_fit(&s, t, &c));
    assert_ok(synth_codes_fit(&codes, t, s, &c, pool));
    assert_ok(em_new(&e, codes, K, NULL, ROWS, false, pool));
    em_start(e, 1);
    for (int step = 0; step < 2; step++) {
        assert_ok(em_step(e));
        for (int32_t code = 0; code < codes->n_codes; code++) {
            double rows = 0;
            for (int k = 0; k < K; k++) {
                const double logp = (double)e->logp[em_at(e, 0, code) + k];
                rows += mill_exp_f64(logp) * ((double)e->mass[k] + 1) - (double)e->marginal[code];
            }
            /* floats: sums of up to 8,192 terms, or of units that wait; some 1e-5 of what they come
             * to */
            assert_true(fabs(rows - (double)codes->count[code]) <
                        1e-4 * (double)codes->count[code] + 0.01);
        }
    }
    em_free(e);
    synth_codes_free(codes);
    synth_schema_free(s);
    mill_table_free(t);
    free(offset);
    free(text);
    mill_pool_free(pool);
}
