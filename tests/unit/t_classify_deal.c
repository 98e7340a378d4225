/* t_classify_deal.c - every row is dealt once an epoch, whatever the ranks; workers change nothing.
 */
#include "lib/test.h"

#include "base/cpu.h"
#include "base/mem.h"
#include "classify/deal.h"

static cls_deal deal_of(int64_t n, int64_t batch, int64_t shards, int64_t accum)
{
    const int64_t effective = batch * shards * accum;
    return (cls_deal){7, n, batch, shards, accum, (n + effective - 1) / effective};
}

/* Counts how often each row is dealt in an epoch. */
static void count_rows(int *count, const cls_deal *d, int64_t epoch)
{
    int64_t row[64];

    for (int64_t k = 0; k < d->steps_per_epoch; k++) {
        const int64_t step = epoch * d->steps_per_epoch + k;
        int64_t in_step = 0;
        for (int64_t part = 0; part < d->shards * d->accum; part++) {
            const int64_t n = cls_deal_part(row, d, step, part);
            assert_true(n >= 0 && n <= d->batch);
            in_step += n;
            for (int64_t i = 0; i < n; i++) count[row[i]]++;
        }
        assert_int_equal(in_step, cls_deal_step_rows(d, step));
    }
}

void test_deal__gives_every_row_exactly_once_an_epoch(void **state)
{
    static const int64_t batches[] = {1, 3, 8}, shards[] = {1, 2, 3, 4}, accums[] = {1, 2, 3};
    int count[64];
    (void)state;

    for (int64_t n = 1; n <= 3 * 4 + 1; n++)
        for (int b = 0; b < 3; b++)
            for (int s = 0; s < 4; s++)
                for (int a = 0; a < 3; a++) {
                    const cls_deal d = deal_of(n, batches[b], shards[s], accums[a]);
                    memset(count, 0, sizeof count);
                    count_rows(count, &d, 5);
                    for (int64_t i = 0; i < n; i++) assert_int_equal(count[i], 1);
                }
}

void test_deal__has_another_order_in_every_epoch_and_seed(void **state)
{
    cls_deal d = deal_of(1000, 50, 1, 1);
    int64_t first[50], other[50];
    (void)state;

    cls_deal_part(first, &d, 0, 0);
    cls_deal_part(other, &d, 20, 0);
    assert_memory_not_equal(first, other, sizeof first);
    d.seed++;
    cls_deal_part(other, &d, 0, 0);
    assert_memory_not_equal(first, other, sizeof first);
}

/* Row 0 lands in each tenth of the order about as often: 2000 epochs, 200 +- 60 (over four standard
 * deviations of 13). */
void test_deal__puts_a_row_anywhere(void **state)
{
    const cls_deal d = deal_of(50, 5, 1, 1);
    int tenth[10] = {0};
    int64_t row[5];
    (void)state;

    for (int64_t step = 0; step < 20000; step++) {
        cls_deal_part(row, &d, step, 0);
        for (int i = 0; i < 5; i++) tenth[step % 10] += row[i] == 0;
    }
    for (int k = 0; k < 10; k++) assert_in_range(tenth[k], 140, 260);
}

/* The rows of a step are the same for two ranks and for two accumulated batches of one. */
void test_deal__steps_hold_the_same_rows_for_shards_and_accumulation(void **state)
{
    const cls_deal a = deal_of(100, 8, 4, 1), b = deal_of(100, 8, 2, 2), c = deal_of(100, 32, 1, 1);
    const cls_deal *const all[] = {&a, &b, &c};
    (void)state;

    for (int64_t step = 0; step < 8; step++) {
        int64_t sum[3] = {0}, row[32];
        for (int k = 0; k < 3; k++)
            for (int64_t part = 0; part < all[k]->shards * all[k]->accum; part++) {
                const int64_t n = cls_deal_part(row, all[k], step, part);
                for (int64_t i = 0; i < n; i++) sum[k] += row[i] * row[i] + 1;
            }
        assert_int_equal(sum[0], sum[1]);
        assert_int_equal(sum[0], sum[2]);
    }
}

enum { N = 23, WIDTH = 3 };

static void fill_rows(cls_rows *r, float *num, int32_t *code, int32_t *label)
{
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < WIDTH; j++) num[i * WIDTH + j] = (float)(100 * i + j);
        code[i] = i;
        label[i] = i % 4;
    }
    *r = (cls_rows){.n = N, .n_num = WIDTH, .n_cat = 1, .num = num, .code = code, .label = label};
}

static void assert_same_batch(const cls_batch *a, const cls_batch *b, int64_t batch)
{
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->num, b->num, (size_t)(batch * WIDTH) * sizeof(float));
    assert_memory_equal(a->code, b->code, (size_t)batch * sizeof(int32_t));
    assert_memory_equal(a->label, b->label, (size_t)batch * sizeof(int32_t));
    assert_memory_equal(a->weight, b->weight, (size_t)batch * sizeof(float));
}

/* TSAN */
void test_loader__prepares_the_same_batches_with_any_number_of_workers(void **state)
{
    static float num[N * WIDTH];
    static int32_t code[N], label[N];
    static const cls_encoder e = {.y_scale = 1};
    const cls_deal d = deal_of(N, 4, 2, 1);
    cls_rows rows;
    (void)state;

    fill_rows(&rows, num, code, label);
    for (int workers = 1; workers <= 4; workers++) {
        cls_loader *plain, *ahead;
        assert_ok(cls_loader_open(&plain, &d, &rows, &e, (cls_share){2, 1, 1}, 0));
        assert_ok(cls_loader_open(&ahead, &d, &rows, &e, (cls_share){2, 1, 1}, workers));
        for (int k = 0; k < 50; k++) {
            const cls_batch *a = cls_loader_take(plain), *b = cls_loader_take(ahead);
            assert_same_batch(a, b, d.batch);
            assert_true(a->n < d.batch || a->row[0] >= 0);
            cls_loader_release(plain);
            cls_loader_release(ahead);
        }
        cls_loader_close(plain);
        cls_loader_close(ahead);
    }
}

void test_loader__pads_with_rows_that_weigh_nothing(void **state)
{
    static float num[N * WIDTH];
    static int32_t code[N], label[N];
    static const cls_encoder e = {.y_scale = 1};
    const cls_deal d = deal_of(N, 8, 1, 1); /* 8, 8, 7 */
    cls_rows rows;
    cls_loader *l;
    (void)state;

    fill_rows(&rows, num, code, label);
    assert_ok(cls_loader_open(&l, &d, &rows, &e, (cls_share){2, 0, 1}, 0));
    const cls_batch *b = cls_loader_take(l);
    assert_int_equal(b->n, 7);
    for (int i = 0; i < 8; i++) {
        assert_true(b->weight[i] == (i < 7 ? 1.0f / 7 : 0));
        assert_int_equal(b->code[i], i < 7 ? b->row[i] : -1);
        assert_int_equal(b->label[i], i < 7 ? b->row[i] % 4 : -1);
        assert_true(b->num[i * WIDTH + 2] == (i < 7 ? (float)(100 * b->row[i] + 2) : 0));
    }
    cls_loader_close(l);
}
