/* f_classify.c - memory runs out at every allocation of a training, one after the other: words, no
 * crash, nothing left behind. */
#include "lib/made.h"
#include "lib/test.h"

#include "base/cpu.h"
#include "base/mem.h"
#include "classify/trainer.h"

typedef struct {
    cls_encoder *e;
    cls_rows *rows, *none;
    cls_trainer *t;
    cls_metrics m;
} all;

static mill_err train(all *a, const cls_source *s, const cls_config *c, rank_group *g)
{
    static const int64_t row[] = {0, 1, 2, 3, 4, 5, 6, 7};

    TRY(cls_encoder_new(&a->e, s, "y", CLS_AUTO, CLS_FLATTEN));
    TRY(cls_encoder_fit(a->e, s, row, 8));
    TRY(cls_rows_new(&a->rows, a->e, s, row, 8, true));
    TRY(cls_rows_new(&a->none, a->e, s, row, 0, true));
    const cls_data d = {a->e, a->rows, a->rows, a->none};
    TRY(cls_trainer_open(&a->t, c, &d, g, NULL));
    for (int64_t i = 0; i < 2; i++) TRY(cls_step(a->t, i));
    return cls_trainer_evaluate(&a->m, a->t, CLS_VAL);
}

static void drop(all *a)
{
    cls_metrics_deinit(&a->m);
    cls_trainer_close(a->t);
    cls_rows_free(a->rows);
    cls_rows_free(a->none);
    cls_encoder_free(a->e);
}

static void sweep(const char *arch, int workers)
{
    const double x[] = {1, 2, NAN, 4, 5, 6, 7, 8};
    mill_table *t = made_table(8, 3);
    const cls_source s = {.path = "made", .table = t, .rows = 8};
    cls_config c = cls_config_default();
    rank_identity who;
    rank_group *g;
    mill_err err = MILL_ENOMEM;

    made_numbers(t, 0, "x", MILL_REAL, x);
    made_words(t, 1, "w", MILL_CATEGORY, "abcabcab");
    made_words(t, 2, "y", MILL_CATEGORY, "pqpqpqpq");
    c.arch = arch;
    c.hidden_dims = "6,5";
    c.token_dim = 4;
    c.heads = 2;
    c.layers = 2;
    c.batch_size = 3;
    c.virtual_shards = 2;
    c.workers = workers;
    assert_ok(rank_identify(&who, NULL));
    assert_ok(rank_open(&g, &who, NULL));
    const int64_t before = live_blocks();
    int64_t n = 0;
    while (err == MILL_ENOMEM) {
        all a = {0};
        mill_mem_fail_at(++n);
        err = train(&a, &s, &c, g);
        mill_mem_fail_at(0);
        if (err) assert_true(strlen(mill_error()) > 5);
        drop(&a);
        assert_int_equal(live_blocks(), before);
    }
    assert_int_equal(err, MILL_OK);
    assert_true(n > 100);
    rank_close(g, MILL_OK);
    mill_table_free(t);
}

void test_classify__survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_ok(mill_cpu_init());
    sweep("mlp", 0);
    sweep("mlp", 2);
    sweep("ft-transformer", 0);
}
