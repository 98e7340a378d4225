/* t_classify_train.c - steps of a trainer: the same bits on any ranks, exact resume, exact counts.
 */
#include "lib/made.h"
#include "lib/test.h"

#include "base/cpu.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/philox.h"
#include "classify/trainer.h"
#include "rank/inner.h"

#include <math.h>
#include <unistd.h>

/* Two clouds and a word that tells them apart now and then. */
typedef struct {
    cls_source s;
    cls_encoder *e;
    cls_rows *rows[3];
    cls_data d;
} made;

static void make_data(made *m, int64_t n, bool is_class, int64_t n_val)
{
    mill_table *t = made_table(n, 4);
    double *x = mill_alloc((size_t)n, sizeof *x), *z = mill_alloc((size_t)n, sizeof *z);
    char *y = mill_alloc((size_t)n + 1, 1), *word = mill_alloc((size_t)n + 1, 1);
    int64_t *row = mill_alloc((size_t)n, sizeof *row);
    mill_rng r = mill_rng_init(5, 1, 0);

    for (int64_t i = 0; i < n; i++) {
        const int class = (int)mill_rng_below(&r, 3);
        x[i] = class + mill_rng_f64(&r);
        z[i] = mill_rng_f64(&r) - class;
        y[i] = (char)('a' + class);
        word[i] = (char)('p' + (mill_rng_below(&r, 4) ? class : 0));
        row[i] = i;
    }
    made_numbers(t, 0, "x", MILL_REAL, x);
    made_numbers(t, 1, "z", MILL_REAL, z);
    made_words(t, 2, "word", MILL_CATEGORY, word);
    if (is_class)
        made_words(t, 3, "y", MILL_CATEGORY, y);
    else
        made_numbers(t, 3, "y", MILL_REAL, x);
    *m = (made){.s = {.path = "made", .table = t, .rows = n}};
    assert_ok(cls_encoder_new(&m->e, &m->s, "y", CLS_AUTO, CLS_FLATTEN));
    assert_ok(cls_encoder_fit(m->e, &m->s, row, n - n_val));
    assert_ok(cls_rows_new(&m->rows[0], m->e, &m->s, row, n - n_val, true));
    assert_ok(cls_rows_new(&m->rows[1], m->e, &m->s, row + n - n_val, n_val, true));
    assert_ok(cls_rows_new(&m->rows[2], m->e, &m->s, row, 0, true));
    m->d = (cls_data){m->e, m->rows[0], m->rows[1], m->rows[2]};
    mill_free(x);
    mill_free(z);
    mill_free(y);
    mill_free(word);
    mill_free(row);
}

static void free_data(made *m)
{
    for (int k = 0; k < 3; k++) cls_rows_free(m->rows[k]);
    cls_encoder_free(m->e);
    cls_source_close(&m->s);
}

static cls_config small_config(void)
{
    cls_config c = cls_config_default();
    c.hidden_dims = "20,12";
    c.token_dim = 16;
    c.heads = 2;
    c.layers = 2;
    c.batch_size = 8;
    c.epochs = 40;
    c.seed = 3;
    return c;
}

static rank_group *alone(void)
{
    rank_identity who;
    rank_group *g;

    assert_ok(mill_cpu_init());
    assert_ok(rank_identify(&who, NULL));
    assert_ok(rank_open(&g, &who, NULL));
    return g;
}

/* A trainer that is alone, with the data that it borrows. */
typedef struct {
    made m;
    rank_group *g;
    cls_trainer *t;
} lone;

static cls_trainer *open_alone(lone *l, const cls_config *c, int64_t n, int64_t n_val)
{
    l->g = alone();
    make_data(&l->m, n, true, n_val);
    assert_ok(cls_trainer_open(&l->t, c, &l->m.d, l->g, NULL));
    return l->t;
}

static void close_alone(lone *l)
{
    cls_trainer_close(l->t);
    rank_close(l->g, MILL_OK);
    free_data(&l->m);
}

/* All parameters and moments, without what pads them. */
static uint64_t hash_of(const cls_trainer *t)
{
    const float *const flat[] = {rank_buffer_data(t->shards.params), rank_buffer_data(t->shards.m),
                                 rank_buffer_data(t->shards.v)};
    uint64_t h = 1;

    for (int k = 0; k < 3; k++)
        for (int i = 0; i < t->layout.n; i++)
            for (int64_t j = 0; j < t->layout.entry[i].count; j++) {
                const int64_t at = t->layout.entry[i].at + j;
                uint32_t bits;
                if (k && t->layout.entry[i].group) continue;
                memcpy(&bits, &flat[k][at], sizeof bits);
                h = (h ^ bits) * 0x100000001b3u + 7;
            }
    return h;
}

/* ---- any number of ranks ---- */

typedef struct {
    const made *m;
    cls_config c;
    int64_t steps;
    uint64_t hash;
    double loss;
    int64_t rows;
    int buckets;
} job;

static mill_err run_rank(void *ctx, rank_group *g)
{
    job *j = ctx;
    cls_trainer *t;

    TRY(cls_trainer_open(&t, &j->c, &j->m->d, g, NULL));
    mill_err err = MILL_OK;
    if (rank_of(g)) {
        err = cls_trainer_follow(t);
    } else {
        cls_metrics val = {0};
        for (int64_t i = 0; !err && i < j->steps; i++) {
            if (!(err = cls_order_give(t, ORDER_STEP, i))) err = cls_step(t, i);
        }
        if (!err) err = cls_trainer_evaluate(&val, t, CLS_VAL);
        if (!err) err = cls_trainer_end(t);
        j->hash = hash_of(t);
        j->loss = val.loss;
        j->rows = val.rows;
        j->buckets = t->layout.n_buckets;
        cls_metrics_deinit(&val);
    }
    cls_trainer_close(t);
    return err;
}

static job run_on(const made *m, cls_config c, int ranks, int64_t steps)
{
    job j = {.m = m, .c = c, .steps = steps};
    const rank_options o = {.timeout_seconds = 60};

    assert_ok(rank_threads(ranks, run_rank, &j, &o));
    return j;
}

void test_train__weights_are_the_same_bits_for_1_2_and_4_ranks(void **state)
{
    static const char *const archs[] = {"mlp", "ft-transformer"};
    made m;
    (void)state;

    assert_ok(mill_cpu_init());
    make_data(&m, 147, true, 21); /* a last step of 30 of 32 rows, one shard of 6 */
    for (int a = 0; a < 2; a++)
        for (int accum = 1; accum <= 2; accum++) {
            cls_config c = small_config();
            c.arch = archs[a];
            c.virtual_shards = 4;
            c.accum_steps = accum;
            const job one = run_on(&m, c, 1, 50);
            for (int ranks = 2; ranks <= 4; ranks *= 2) {
                const job more = run_on(&m, c, ranks, 50);
                assert_true(more.hash == one.hash);
                assert_true(more.loss == one.loss);
                assert_int_equal(more.rows, 21);
            }
        }
    free_data(&m);
}

/* Three buckets of the gradient, which are added up while the last part is still running. */
void test_train__large_gradients_go_in_buckets_to_the_same_bits(void **state)
{
    made m;
    cls_config c = small_config();
    (void)state;

    assert_ok(mill_cpu_init());
    make_data(&m, 60, true, 3);
    c.hidden_dims = "1000,1500,1200";
    c.virtual_shards = 4;
    const job one = run_on(&m, c, 1, 4);
    assert_int_equal(one.buckets, 3);
    assert_true(run_on(&m, c, 2, 4).hash == one.hash);
    assert_true(run_on(&m, c, 4, 4).hash == one.hash);
    free_data(&m);
}

/* What the backward pass has left of the gradient when a bucket is told. */
typedef struct {
    const cls_trainer *t;
    flat_hook own[FLAT_ALL_BUCKETS];
    int n_told, n_started;           /* collectives */
    int n_torn;                      /* tensors of the bucket, or behind it, that are not there */
    int n_missing[FLAT_ALL_BUCKETS]; /* tensors before the bucket that are not there yet */
} watch;

/* The test has filled it with NaN. */
static bool is_left(const cls_trainer *t, const flat_entry *e)
{
    for (int64_t i = 0; i < e->count; i++)
        if (isnan(t->shards.left[e->at + i])) return false;
    return true;
}

static void look(void *ctx, int b)
{
    watch *w = ctx;
    const nn_flat *f = &w->t->layout;

    for (int i = 0; i < f->n; i++) {
        const flat_entry *e = &f->entry[i];
        if (e->at + e->count > f->bucket[b])
            w->n_torn += !is_left(w->t, e);
        else
            w->n_missing[b] += !is_left(w->t, e);
    }
    const uint32_t before = w->t->group->seq;
    w->own[b].ready(w->own[b].ctx, b);
    w->n_started += (int)(w->t->group->seq - before);
    w->n_told++;
}

void test_train__buckets_go_to_the_others_before_backward_has_ended(void **state)
{
    cls_config c = small_config();
    watch w = {0};
    lone l;
    (void)state;

    c.hidden_dims = "1000,1500,1200";
    cls_trainer *t = open_alone(&l, &c, 60, 3);
    assert_int_equal(t->layout.n_buckets, 3);
    w.t = t;
    for (int b = 0; b < 3; b++) {
        w.own[b] = t->shards.hook[b];
        t->shards.hook[b] = (flat_hook){look, &w, b};
    }
    for (int i = 0; i < t->layout.n; i++)
        for (int64_t k = 0; k < t->layout.entry[i].count; k++)
            t->shards.left[t->layout.entry[i].at + k] = NAN;
    assert_ok(cls_step(t, 0));
    assert_int_equal(w.n_told, 3);
    assert_int_equal(w.n_started, 3);
    assert_int_equal(w.n_torn, 0);
    /* Bucket 2 begins within the weights of the third layer, bucket 1 within those of the second.
     */
    assert_int_equal(w.n_missing[2], 5); /* codes, weights and bias of the first; of the second */
    assert_int_equal(w.n_missing[1], 3);
    assert_int_equal(w.n_missing[0], 0);
    close_alone(&l);
}

void test_train__four_batches_in_one_process_are_four_ranks(void **state)
{
    made m;
    cls_config c = small_config(), dp = small_config();
    (void)state;

    assert_ok(mill_cpu_init());
    make_data(&m, 100, true, 10);
    dp.dp_shards = 4;
    assert_true(run_on(&m, c, 4, 20).hash == run_on(&m, dp, 1, 20).hash);
    c.virtual_shards = 3;
    cls_plan p;
    assert_fails(MILL_EINPUT, "power of two", cls_plan_make(&p, &c, 100, 1));
    free_data(&m);
}

/* Every number of rows up to 3 W + 1 trains, and is counted. */
void test_train__takes_any_number_of_rows_on_three_ranks(void **state)
{
    (void)state;

    assert_ok(mill_cpu_init());
    for (int64_t n = 1; n <= 10; n++) {
        made m;
        cls_config c = small_config();
        make_data(&m, n, n % 2, n / 2);
        c.batch_size = 1;
        const job j = run_on(&m, c, 3, 5);
        assert_int_equal(j.rows, n / 2);
        assert_true(n < 2 || isfinite(j.loss));
        free_data(&m);
    }
}

/* A number so large in one row that the rank which has it overflows, and no other: all ranks end,
 * and say which one it was. */
void test_train__names_the_rank_whose_loss_is_not_finite(void **state)
{
    (void)state;

    assert_ok(mill_cpu_init());
    for (int bad = 0; bad < 3; bad++) {
        made m;
        cls_config c = small_config();
        char words[60];
        int64_t row[8];

        make_data(&m, 60, false, 0);
        const cls_deal d = {c.seed, 60, c.batch_size, 3, 1, 3};
        assert_int_equal(cls_deal_part(row, &d, 1, bad), 8);
        m.rows[0]->num[row[5] * m.rows[0]->n_num] = 1e30F;
        job j = {.m = &m, .c = c, .steps = 3};
        snprintf(words, sizeof words, "step 2: the loss of rank %d is inf, the largest", bad);
        assert_fails(MILL_EDEVICE, words, rank_threads(3, run_rank, &j, NULL));
        free_data(&m);
    }
}

/* The loss is finite, the gradient is not: that of the layer nearest to the output is named. */
void test_train__names_the_layer_whose_gradient_overflows(void **state)
{
    const cls_config c = small_config();
    lone l;
    (void)state;

    cls_trainer *t = open_alone(&l, &c, 60, 0);
    for (int i = 0; i < t->layout.n;
         i++) { /* huge, then small again: h0 times a gradient goes over */
        const flat_entry *p = &t->layout.entry[i];
        const float by = !strcmp(p->name, "net.h0.w")   ? 1e22F
                         : !strcmp(p->name, "net.h1.w") ? 1e-25F
                                                        : 1;
        for (int64_t k = 0; k < p->count; k++) rank_buffer_data(t->shards.params)[p->at + k] *= by;
    }
    assert_fails(MILL_EDEVICE, "step 1: the gradient of net.h1.w overflows", cls_step(t, 0));
    for (int i = 0; i < t->layout.n; i++) { /* below it, too: what it spoilt is not to blame */
        const flat_entry *p = &t->layout.entry[i];
        if (!strncmp(p->name, "net.h0.", 7))
            rank_buffer_data(rank_tree_buffer(t->shards.tree))[p->at] = (float)INFINITY;
    }
    assert_fails(MILL_EDEVICE, "step 1: the gradient of net.h1.w overflows", cls_not_finite(t, 0));
    close_alone(&l);
}

/* ---- one process ---- */

void test_train__is_the_same_bits_for_any_threads_and_workers(void **state)
{
    uint64_t first = 0;
    made m;
    (void)state;

    assert_ok(mill_cpu_init());
    make_data(&m, 300, true, 0);
    for (int k = 0; k < 3; k++) {
        cls_config c = small_config();
        rank_group *g = alone();
        mill_pool *pool;
        cls_trainer *t;

        c.workers = k;
        c.batch_size = 130; /* several tiles */
        assert_ok(mill_pool_new(&pool, k == 1 ? 4 : 1 + k));
        assert_ok(cls_trainer_open(&t, &c, &m.d, g, pool));
        for (int64_t i = 0; i < 20; i++) assert_ok(cls_step(t, i));
        if (!k) first = hash_of(t);
        assert_true(hash_of(t) == first);
        cls_trainer_close(t);
        mill_pool_free(pool);
        rank_close(g, MILL_OK);
    }
    free_data(&m);
}

/* The loss that is told: 1 / rows of the step times the sum, over the rows of the epoch so far. */
void test_train__learns(void **state)
{
    made m;
    cls_config c = small_config();
    (void)state;

    assert_ok(mill_cpu_init());
    for (int is_class = 0; is_class < 2; is_class++) {
        make_data(&m, 400, is_class, 100);
        const job before = run_on(&m, c, 1, 0), after = run_on(&m, c, 1, 400);
        assert_true(after.loss < 0.3 * before.loss); /* 1.1 to .13, 1.0 to .02 */
        free_data(&m);
    }
}

void test_train__goes_on_from_a_saved_state_to_the_bit(void **state)
{
    char path[] = "/tmp/t_classify_train-XXXXXX";
    cls_config c = small_config();
    cls_trainer *u;
    lone l;
    train_job a, b;
    store_writer *w;
    store *f;
    json_t *meta = json_object();
    (void)state;

    close(mkstemp(path));
    c.accum_steps = 2;
    c.amp = "bf16";
    cls_trainer *t = open_alone(&l, &c, 90, 20);
    cls_trainer_job(&a, t);
    for (int64_t i = 0; i < 13; i++) assert_ok(a.step(a.ctx, i));
    assert_ok(store_writer_new(&w));
    assert_ok(a.save(a.ctx, w, meta));
    assert_ok(store_writer_commit(w, path, meta));
    store_writer_free(w);
    json_decref(meta);

    assert_ok(cls_trainer_open(&u, &c, &l.m.d, l.g, NULL));
    cls_trainer_job(&b, u);
    for (int64_t i = 0; i < 3; i++) assert_ok(b.step(b.ctx, i)); /* as if it had gone elsewhere */
    assert_ok(store_open(&f, path));
    assert_ok(b.load(b.ctx, f));
    for (int64_t i = 13; i < 30; i++) {
        double x[JOB_MAX_METRICS], y[JOB_MAX_METRICS];
        assert_ok(a.step(a.ctx, i));
        assert_ok(b.step(b.ctx, i));
        a.metrics(a.ctx, x);
        b.metrics(b.ctx, y);
        assert_memory_equal(x, y, (size_t)a.n_metrics * sizeof *x);
    }
    assert_true(hash_of(t) == hash_of(u));
    assert_true(u->sums.rows == 70); /* of the sixth epoch alone */
    cls_trainer_close(u);

    /* Another network's state is refused, and nothing has changed. */
    c.hidden_dims = "20,16";
    assert_ok(cls_trainer_open(&u, &c, &l.m.d, l.g, NULL));
    cls_trainer_job(&b, u);
    const uint64_t before = hash_of(u);
    assert_fails(MILL_EINPUT, "net.h1", b.load(b.ctx, f));
    assert_true(hash_of(u) == before);
    cls_trainer_close(u);
    store_close(f);
    close_alone(&l);
    assert_ok(file_remove(path));
    assert_int_equal(live_blocks(), 0);
}

void test_train__steps_allocate_nothing(void **state)
{
    mill_mem_stats before, after;
    cls_config c = small_config();
    lone l;
    (void)state;

    c.virtual_shards = 2;
    cls_trainer *t = open_alone(&l, &c, 90, 0);
    for (int64_t i = 0; i < 3; i++) assert_ok(cls_step(t, i));
    mill_mem_get_stats(&before);
    for (int64_t i = 3; i < 60; i++) assert_ok(cls_step(t, i));
    mill_mem_get_stats(&after);
    assert_int_equal(after.calls, before.calls);
    close_alone(&l);
}

void test_train__frozen_layers_stay_as_they_were_loaded(void **state)
{
    char path[] = "/tmp/t_classify_train-XXXXXX";
    cls_config c = small_config();
    cls_trainer *u;
    lone l;
    store_writer *w;
    json_t *meta = json_object();
    (void)state;

    close(mkstemp(path));
    cls_trainer *t = open_alone(&l, &c, 90, 0);
    for (int64_t i = 0; i < 20; i++) assert_ok(cls_step(t, i));
    assert_ok(store_writer_new(&w));
    assert_ok(cls_state_save(t, w, meta));
    assert_ok(store_writer_commit(w, path, meta));
    store_writer_free(w);
    json_decref(meta);
    c.encoder_path = path;
    c.freeze_encoder = true;
    c.seed = 77;
    assert_ok(cls_trainer_open(&u, &c, &l.m.d, l.g, NULL));
    for (int64_t i = 0; i < 20; i++) assert_ok(cls_step(u, i));
    for (int i = 0; i < t->layout.n; i++)
        for (int k = 0; k < u->layout.n; k++) {
            const flat_entry *a = &t->layout.entry[i], *b = &u->layout.entry[k];
            if (strcmp(a->name, b->name) != 0) continue;
            const bool same = !memcmp(rank_buffer_data(t->shards.params) + a->at,
                                      rank_buffer_data(u->shards.params) + b->at,
                                      (size_t)a->count * sizeof(float));
            assert_int_equal(same, strncmp(a->name, "net.head.", 9) != 0);
        }
    int n_trained = 0;
    for (int i = 0; i < u->layout.n; i++) n_trained += u->layout.entry[i].group == 0;
    assert_int_equal(n_trained, 2);
    cls_trainer_close(u);
    close_alone(&l);
    assert_ok(file_remove(path));
}

void test_train__the_rate_rises_and_falls_once(void **state)
{
    cls_config c = small_config();
    lone l;
    (void)state;

    c.batch_size = 8; /* 8 steps an epoch */
    c.epochs = 10;
    c.warmup_epochs = 2;
    c.accum_steps = 2;
    c.lr = 0.5e-3;
    c.lr_scale = "linear";
    const cls_trainer *t = open_alone(&l, &c, 64, 0);
    assert_near(t->plan.lr, 1e-3, 0);
    assert_int_equal(t->plan.steps_per_epoch, 4);
    assert_near(cls_rate(t, 0), 1e-3 / 8, 1e-18);
    assert_near(cls_rate(t, 7), 1e-3, 0);
    assert_near(cls_rate(t, 8), 1e-3, 0);
    assert_near(cls_rate(t, 24), 1e-6 + (1e-3 - 1e-6) / 2, 1e-12); /* half way */
    for (int64_t i = 9; i < 40; i++) assert_true(cls_rate(t, i) < cls_rate(t, i - 1));
    assert_true(cls_rate(t, 39) > 1e-6);
    close_alone(&l);
}

void test_train__says_at_which_step_the_numbers_broke(void **state)
{
    const cls_config c = small_config();
    lone l;
    (void)state;

    cls_trainer *t = open_alone(&l, &c, 64, 0);
    assert_ok(cls_step(t, 0));
    rank_buffer_data(t->shards.params)[3] = (float)INFINITY;
    assert_fails(MILL_EDEVICE, "step 2", cls_step(t, 1));
    close_alone(&l);
}

void test_train__config_is_refused_in_words(void **state)
{
    cls_config c = cls_config_default();
    (void)state;

    assert_ok(cls_config_check(&c));
    c.amp = "fp16";
    assert_fails(MILL_EINPUT, "fp16", cls_config_check(&c));
    c = cls_config_default();
    c.freeze_encoder = true;
    assert_fails(MILL_EINPUT, "--encoder-path", cls_config_check(&c));
    c = cls_config_default();
    c.val_fraction = 0.6;
    c.test_fraction = 0.5;
    assert_fails(MILL_EINPUT, "nothing to train on", cls_config_check(&c));
}
