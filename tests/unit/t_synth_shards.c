/* LEVELS
 * t_synth_shards.c - CTGAN and TVAE in parts: the same bits on any ranks, and the sums of a batch.
 */
#include "lib/planted.h"

#include "rank/rank.h"
#include "train/team.h"

enum { ROWS = 600, STEPS = 7 };

static const char *const methods[] = {"ctgan", "tvae"};

static synth_config small_config(const char *method, int64_t shards)
{
    synth_config c = synth_config_default();
    c.method = method;
    c.seed = 6;
    c.batch_size = 160; /* 600 rows: tvae's last step has parts of 40, 40, 40, 0 of 4 */
    c.epochs = 20;
    c.embedding_dim = 16;
    c.generator_dim = c.discriminator_dim = c.compress_dims = c.decompress_dims = "32,24";
    c.virtual_shards = shards;
    return c;
}

typedef struct {
    const mill_table *t;
    synth_config c;
    int64_t from, to;  /* steps */
    const char *start; /* a checkpoint, or NULL */
    char path[64];     /* what rank 0 saves in the end */
    double metric[JOB_MAX_METRICS];
    bool allocates; /* between two steps, by whoever */
} job;

static mill_err save(const train_job *j, const char *path)
{
    store_writer *w;
    json_t *meta = json_object();

    TRY(store_writer_new(&w));
    mill_err err = j->save(j->ctx, w, meta);
    if (!err) err = store_writer_commit(w, path, meta);
    store_writer_free(w);
    json_decref(meta);
    return err;
}

/* Rank 0 leads, the others follow, as a command does it. */
static mill_err lead(job *j, train_team *team)
{
    mill_mem_stats before, after;
    train_job led;
    store *s;

    team_lead(&led, team);
    if (j->start) {
        TRY(store_open(&s, j->start));
        const mill_err err = led.load(led.ctx, s);
        store_close(s);
        TRY(err);
    }
    for (int64_t i = j->from; i < j->to; i++) {
        mill_mem_get_stats(&before);
        TRY(led.step(led.ctx, i));
        mill_mem_get_stats(&after);
        if (i > j->from + 1) j->allocates |= before.calls != after.calls;
    }
    led.metrics(led.ctx, j->metric);
    TRY(save(&led, j->path));
    return team_end(team);
}

static mill_err run_rank(void *ctx, rank_group *g)
{
    job *j = ctx;
    const synth_method *m = synth_method_find(j->c.method);
    synth_schema *schema;
    void *fit = NULL;
    train_team team = {.group = g, .sync = m->fit_sync, .collect = m->fit_collect};

    TRY(synth_schema_fit(&schema, j->t, &j->c));
    mill_err err = m->fit_open(&fit, j->t, schema, &j->c, NULL);
    if (!err) err = m->fit_share(fit, g);
    if (!err) {
        m->fit_job(&team.job, fit);
        err = rank_of(g) ? team_follow(&team) : lead(j, &team);
    }
    if (fit) m->fit_close(fit);
    synth_schema_free(schema);
    return err;
}

static job run_on(const mill_table *t, synth_config c, int ranks, const char *start, int64_t from,
                  int64_t to)
{
    static int n;
    job j = {.t = t, .c = c, .from = from, .to = to, .start = start};
    char name[24];

    assert_ok(mill_cpu_init());
    snprintf(name, sizeof name, "shards%d", n++);
    planted_path(j.path, name);
    assert_ok(rank_threads(ranks, run_rank, &j, &(rank_options){.timeout_seconds = 60}));
    return j;
}

static void assert_same(const job *a, const job *b)
{
    char *x, *y;
    size_t n, m;

    assert_ok(file_read_all(&x, &n, a->path));
    assert_ok(file_read_all(&y, &m, b->path));
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    for (int i = 0; i < 2; i++) assert_true(a->metric[i] == b->metric[i]);
    mill_free(x);
    mill_free(y);
}

static void drop(const job *j)
{
    remove(j->path);
}

void test_shards__state_is_the_same_bits_for_1_2_and_4_ranks(void **state)
{
    mill_table *t = planted_table(ROWS);

    (void)state;
    for (int m = 0; m < 2; m++)
        for (int amp = 0; amp < 2; amp++) {
            synth_config c = small_config(methods[m], 4);
            c.discriminator_steps = 2;
            c.amp = amp ? "bf16" : "off";
            const job one = run_on(t, c, 1, NULL, 0, STEPS);
            for (int ranks = 2; ranks <= 4; ranks *= 2) {
                const job more = run_on(t, c, ranks, NULL, 0, STEPS);
                assert_same(&one, &more);
                drop(&more);
            }
            drop(&one);
        }
    mill_table_free(t);
}

/* One that nobody shares does all parts itself. */
void test_shards__a_process_alone_is_one_rank(void **state)
{
    mill_table *t = planted_table(ROWS);

    (void)state;
    for (int m = 0; m < 2; m++) {
        const synth_config c = small_config(methods[m], 2);
        const synth_method *method = synth_method_find(c.method);
        const job one = run_on(t, c, 1, NULL, 0, STEPS);
        job alone = one;
        synth_schema *schema;
        train_job j;
        void *fit;

        assert_ok(synth_schema_fit(&schema, t, &c));
        assert_ok(method->fit_open(&fit, t, schema, &c, NULL));
        method->fit_job(&j, fit);
        for (int64_t i = 0; i < STEPS; i++) assert_ok(j.step(j.ctx, i));
        j.metrics(j.ctx, alone.metric);
        planted_path(alone.path, "alone");
        assert_ok(save(&j, alone.path));
        assert_same(&one, &alone);
        method->fit_close(fit);
        synth_schema_free(schema);
        drop(&one);
        drop(&alone);
    }
    mill_table_free(t);
}

void test_shards__another_number_of_ranks_goes_on_to_the_bit(void **state)
{
    mill_table *t = planted_table(ROWS);

    (void)state;
    for (int m = 0; m < 2; m++) {
        const synth_config c = small_config(methods[m], 4);
        const job whole = run_on(t, c, 4, NULL, 0, STEPS);
        const job begun = run_on(t, c, 2, NULL, 0, 3);
        const job ended = run_on(t, c, 1, begun.path, 3, STEPS);
        assert_same(&whole, &ended);
        drop(&whole);
        drop(&begun);
        drop(&ended);
    }
    mill_table_free(t);
}

void test_shards__number_of_shards_is_part_of_the_model(void **state)
{
    mill_table *t = planted_table(ROWS);
    char *x, *y;
    size_t n, m;

    (void)state;
    const job two = run_on(t, small_config("ctgan", 2), 2, NULL, 0, STEPS);
    const job four = run_on(t, small_config("ctgan", 4), 2, NULL, 0, STEPS);
    assert_ok(file_read_all(&x, &n, two.path));
    assert_ok(file_read_all(&y, &m, four.path));
    assert_int_equal(n, m);
    assert_memory_not_equal(x, y, n);
    mill_free(x);
    mill_free(y);
    drop(&two);
    drop(&four);
    mill_table_free(t);
}

/*
 * The losses of parts are those of the batch.  With a rate of 0 the weights stay as they began, and
 * only the noise differs: over 160 rows it moves the reconstruction (about 13 nats) by less than
 * one in a hundred, while a part left out, or a wrong divisor, moves it by a fifth at least.
 */
void test_shards__losses_are_those_of_the_whole_batch(void **state)
{
    mill_table *t = planted_table(ROWS);
    double loss[3];

    (void)state;
    for (int k = 0; k < 3; k++) {
        synth_config c = small_config("tvae", 4);
        const synth_method *m = synth_method_find(c.method);
        synth_schema *schema;
        train_job j;
        double value[JOB_MAX_METRICS];
        void *fit;

        c.lr = 0;
        c.virtual_shards = k ? 4 * k : 0; /* none, 4, 8 */
        assert_ok(synth_schema_fit(&schema, t, &c));
        assert_ok(m->fit_open(&fit, t, schema, &c, NULL));
        m->fit_job(&j, fit);
        assert_int_equal(j.steps_per_epoch, 4);
        assert_ok(j.step(j.ctx, 3)); /* the last of an epoch, with 120 rows */
        j.metrics(j.ctx, value);
        loss[k] = value[0];
        m->fit_close(fit);
        synth_schema_free(schema);
    }
    for (int k = 1; k < 3; k++) assert_true(fabs(loss[k] / loss[0] - 1) < 0.02);
    mill_table_free(t);
}

/* What a job saved, opened; names of its tensors that are parameters of the discriminator. */
static const float *tensor_of(const store *s, const char *name, const char *what, int64_t *n)
{
    char full[80];
    snprintf(full, sizeof full, "%s%s", name, what);
    const store_tensor *x = store_find(s, full);
    assert_non_null(x);
    *n = 1;
    for (int i = 0; i < x->rank; i++) *n *= x->dim[i];
    return x->data;
}

/* Adam's step from moments as they are after it, in double; of the t-th update, counted from 1. */
static double adam_up(const synth_config *c, double m, double v, int t)
{
    return c->discriminator_lr / (1 - pow(0.5, t)) * m / (sqrt(v) / sqrt(1 - pow(0.9, t)) + 1e-8);
}

/*
 * Adam counts the turns of the discriminator, and the steps of the generator.  A run that begins at
 * step 1, with moments of zero and two turns: the generator's update is its second.  The
 * discriminator's are the third, which with moments of zero is as long for every gradient, and the
 * fourth, which the moments tell; how far a weight went is their sum or their difference.
 */
void test_shards__adam_counts_turns_of_the_discriminator_and_steps(void **state)
{
    mill_table *t = planted_table(ROWS);
    synth_config c = small_config("ctgan", 2);
    const double first = adam_up(&c, 0.5, 0.1, 3);
    store *before, *after;
    int64_t n, n_moved[2] = {0}, n_near[2] = {0};

    (void)state;
    c.discriminator_decay = c.generator_decay = 0;
    c.discriminator_steps = 2;
    assert_true(c.discriminator_lr == c.generator_lr);
    const job begun = run_on(t, c, 1, NULL, 1, 1), done = run_on(t, c, 1, NULL, 1, 2);
    assert_ok(store_open(&before, begun.path));
    assert_ok(store_open(&after, done.path));
    for (int i = 0; i < store_n_tensors(after); i++) {
        const char *name = store_tensor_at(after, i)->name;
        const bool is_d = name[0] == 'd';
        char moment[80];
        snprintf(moment, sizeof moment, "%s.adam_m", name);
        if (!store_find(after, moment)) continue;
        const float *p0 = tensor_of(before, name, "", &n), *p1 = tensor_of(after, name, "", &n);
        const float *m = tensor_of(after, name, ".adam_m", &n),
                    *v = tensor_of(after, name, ".adam_v", &n);
        for (int64_t k = 0; k < n; k++) {
            if (!(v[k] > 1e-9f)) continue; /* no gradient to speak of */
            const double went = (double)p0[k] - (double)p1[k];
            const double up = adam_up(&c, (double)m[k], (double)v[k], is_d ? 4 : 2);
            const double rest = fabs(went - up) - (is_d ? first : 0);
            n_near[is_d] += fabs(rest) < 1e-6; /* f32 of a weight; an update is 2e-4 */
            n_moved[is_d]++;
        }
    }
    for (int k = 0; k < 2; k++) /* the rest: none to speak of in one of the two turns */
        assert_true(n_moved[k] > 1000 && n_near[k] > 0.9 * (double)n_moved[k]);
    store_close(before);
    store_close(after);
    drop(&begun);
    drop(&done);
    mill_table_free(t);
}

/* Whether what two jobs saved is the same, of the tensors that begin so. */
static bool same_tensors(const job *a, const job *b, const char *prefix)
{
    store *x, *y;
    bool same = true;
    int n = 0;

    assert_ok(store_open(&x, a->path));
    assert_ok(store_open(&y, b->path));
    for (int i = 0; i < store_n_tensors(x); i++) {
        const store_tensor *p = store_tensor_at(x, i), *q = store_find(y, p->name);
        if (strncmp(p->name, prefix, strlen(prefix)) != 0) continue;
        assert_non_null(q);
        same &= p->bytes == q->bytes && !memcmp(p->data, q->data, p->bytes);
        n++;
    }
    assert_true(n > 3);
    store_close(x);
    store_close(y);
    return same;
}

/*
 * Each part draws rows and noise of its own.  If the parts of a pass were alike, their mean would
 * be any one of them, and two parts of 80 rows would do what four such parts do.  Of the first
 * pass: ctgan's discriminator, all of tvae.
 */
void test_shards__parts_of_a_step_are_not_alike(void **state)
{
    mill_table *t = planted_table(ROWS);

    (void)state;
    for (int m = 0; m < 2; m++) {
        synth_config c = small_config(methods[m], 2);
        const job two = run_on(t, c, 1, NULL, 0, 1);
        c.virtual_shards *= 2;
        c.batch_size *= 2;
        const job four = run_on(t, c, 1, NULL, 0, 1);
        assert_false(same_tensors(&two, &four, m ? "" : "d."));
        drop(&two);
        drop(&four);
    }
    mill_table_free(t);
}

/* The losses of the last pass of each network in step `step`, by weights that do not move. */
static void losses_at(double loss[2], const mill_table *t, int64_t shards, int64_t turns,
                      int64_t step)
{
    synth_config c = small_config("ctgan", shards);

    c.batch_size = 80 * shards;
    c.discriminator_steps = turns;
    c.generator_lr = c.discriminator_lr = c.generator_decay = c.discriminator_decay = 0;
    const job j = run_on(t, c, 1, NULL, step, step + 1);
    memcpy(loss, j.metric, 2 * sizeof *loss); /* the generator's, the discriminator's */
    drop(&j);
}

/*
 * No part of a run draws what another one drew: part k of pass p of V is number V p + k of all.
 * So the four parts of a pass are those of two passes with two parts, and the loss is their mean:
 * of the discriminator in its passes 0 and 2, and of the generator in 1 and 3, found in runs with
 * other numbers of turns, where the same passes fall on other steps.
 */
void test_shards__no_two_parts_of_a_run_draw_the_same(void **state)
{
    static const struct {
        int network, step, turns[2], steps[2];
    } of[] = {{1, 0, {1, 2}, {0, 0}},
              {1, 1, {1, 6}, {2, 0}},
              {0, 0, {2, 1}, {0, 1}},
              {0, 1, {6, 1}, {0, 3}}};
    mill_table *t = planted_table(ROWS);

    (void)state;
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        double whole[2], half[2][2];
        const int k = of[i].network;
        losses_at(whole, t, 4, 1, of[i].step);
        for (int h = 0; h < 2; h++) losses_at(half[h], t, 2, of[i].turns[h], of[i].steps[h]);
        assert_true(half[0][k] != half[1][k]);
        assert_true(fabs(whole[k] - (half[0][k] + half[1][k]) / 2) < 1e-6); /* f32 of about 1 */
    }
    mill_table_free(t);
}

static void running_means(double *sum, double *var, const mill_table *t, int64_t shards)
{
    synth_config c = small_config("ctgan", shards);
    const synth_method *m = synth_method_find(c.method);
    synth_schema *schema;
    store *s;
    const store_tensor *x;
    const int64_t width = 32;
    train_job j;
    void *fit;
    char path[64];

    c.generator_lr = c.discriminator_lr = c.generator_decay = c.discriminator_decay = 0;
    assert_ok(synth_schema_fit(&schema, t, &c));
    assert_ok(m->fit_open(&fit, t, schema, &c, NULL));
    m->fit_job(&j, fit);
    for (int64_t i = 0; i < 40; i++) assert_ok(j.step(j.ctx, i));
    planted_path(path, "means");
    assert_ok(save(&j, path));
    assert_ok(store_open(&s, path));
    assert_ok(store_get(&x, s, "g.mean0", STORE_F32, 1, &width));
    for (int i = 0; i < width; i++) sum[i] = ((const float *)x->data)[i];
    assert_ok(store_get(&x, s, "g.var0", STORE_F32, 1, &width));
    for (int i = 0; i < width; i++) var[i] = ((const float *)x->data)[i];
    store_close(s);
    remove(path);
    m->fit_close(fit);
    synth_schema_free(schema);
}

/*
 * Running statistics in parts are those of the whole: weights that do not move, 80 passes of 160
 * rows, the last ten or so of which count.  A mean of about 1600 rows with a variance of v errs by
 * sqrt(v / 1600); five times that, for 32 channels and two runs, is never reached by chance.
 */
void test_shards__running_statistics_are_means_over_the_parts(void **state)
{
    mill_table *t = planted_table(ROWS);
    double mean[2][32], var[2][32];

    (void)state;
    running_means(mean[0], var[0], t, 0);
    running_means(mean[1], var[1], t, 4);
    for (int i = 0; i < 32; i++) {
        assert_true(fabs(mean[1][i] - mean[0][i]) < 5 * sqrt(2 * var[0][i] / 1600));
        assert_true(fabs(var[1][i] / var[0][i] - 1) < 0.3);
    }
    mill_table_free(t);
}

void test_shards__steps_allocate_nothing(void **state)
{
    mill_table *t = planted_table(ROWS);

    (void)state;
    for (int m = 0; m < 2; m++) {
        const job j = run_on(t, small_config(methods[m], 2), 1, NULL, 0, STEPS);
        assert_false(j.allocates);
        drop(&j);
    }
    mill_table_free(t);
}

static mill_err open_and_step(const char *method, const mill_table *t)
{
    const synth_config c = small_config(method, 2);
    const synth_method *m = synth_method_find(method);
    synth_schema *schema = NULL;
    int64_t fit_bytes, sample_bytes;
    train_job j;
    void *fit = NULL;
    mill_err err;

    if ((err = synth_schema_fit(&schema, t, &c))) goto done;
    if ((err = m->estimate(&fit_bytes, &sample_bytes, schema, &c, 1))) goto done;
    if ((err = m->fit_open(&fit, t, schema, &c, NULL))) goto done;
    m->fit_job(&j, fit);
    err = j.step(j.ctx, 0);
done:
    if (fit) m->fit_close(fit);
    synth_schema_free(schema);
    return err;
}

/* In strides: the planner's allocations are failed one by one elsewhere. */
void test_shards__survive_failed_allocations(void **state)
{
    mill_table *t = planted_table(ROWS);
    mill_mem_stats before, after;

    (void)state;
    for (int m = 0; m < 2; m++) {
        int failures = 0;
        bool reached = true;
        for (int64_t n = 1; reached; n += 1 + n / 30) {
            mill_mem_get_stats(&before);
            mill_mem_fail_at(n);
            const mill_err err = open_and_step(methods[m], t);
            mill_mem_fail_at(0);
            if (err) assert_int_equal(err, MILL_ENOMEM);
            mill_mem_get_stats(&after);
            assert_int_equal(after.live, before.live);
            failures += err != MILL_OK;
            reached = after.calls - before.calls >= n;
        }
        assert_true(failures > 50);
    }
    mill_table_free(t);
}

void test_shards__refuse_what_cannot_be_dealt(void **state)
{
    mill_table *t = planted_table(ROWS);
    synth_config c = small_config("ctgan", 3);
    synth_schema *s;
    void *fit;

    (void)state;
    assert_ok(synth_schema_fit(&s, t, &c));
    c.batch_size = 500;
    c.virtual_shards = 4;
    assert_fails(MILL_EINPUT, "a batch of 480 or 520 can",
                 synth_ctgan.fit_open(&fit, t, s, &c, NULL));
    c.batch_size = 20;
    assert_fails(MILL_EINPUT, "a batch of 40 can", synth_ctgan.fit_open(&fit, t, s, &c, NULL));
    c.batch_size = 501;
    c.method = "tvae";
    assert_fails(MILL_EINPUT, "a batch of 500 or 504 can",
                 synth_tvae.fit_open(&fit, t, s, &c, NULL));
    c.batch_size = 500;
    c.epochs = 1000000000;
    train_job j;
    assert_ok(synth_tvae.fit_open(&fit, t, s, &c, NULL));
    synth_tvae.fit_job(&j, fit);
    assert_fails(MILL_EINPUT, "fewer epochs", j.step(j.ctx, 0));
    synth_tvae.fit_close(fit);
    assert_int_equal(synth_most_ranks(&c, "tvae", 8), 4);
    c.virtual_shards = 0;
    assert_int_equal(synth_most_ranks(&c, "tvae", 8), 5);
    assert_int_equal(synth_most_ranks(&c, "ctgan", 8), 5);
    assert_int_equal(synth_most_ranks(&c, "ctgan", 4), 2);
    assert_int_equal(synth_most_ranks(&c, "mixture", 8), 8);
    synth_schema_free(s);
    mill_table_free(t);
}
