/* t_classify_data.c - splits, features and classes against what can be counted by hand. */
#include "lib/made.h"
#include "lib/test.h"

#include "base/cpu.h"
#include "base/file.h"
#include "base/mem.h"
#include "classify/data.h"

#include <unistd.h>

/* ---- splits ---- */

static int64_t count(const int8_t *part, const int32_t *label, int64_t n, int which, int class)
{
    int64_t k = 0;
    for (int64_t i = 0; i < n; i++) k += part[i] == which && (class < 0 || label[i] == class);
    return k;
}

void test_split__gives_every_class_its_share(void **state)
{
    enum { N = 1000 };
    static int32_t label[N];
    static int8_t part[N], again[N];
    (void)state;

    for (int i = 0; i < N; i++) label[i] = i < 700 ? 0 : i < 950 ? 1 : 2;
    assert_ok(cls_split(part, label, NULL, N, 0.1, 0.2, 3));
    assert_int_equal(count(part, label, N, 1, -1), 100);
    assert_int_equal(count(part, label, N, 2, -1), 200);
    const int64_t rows[] = {700, 250, 50};
    for (int c = 0; c < 3; c++) {
        assert_in_range(count(part, label, N, 1, c), rows[c] / 10 - 1, rows[c] / 10 + 1);
        assert_in_range(count(part, label, N, 2, c), rows[c] / 5 - 1, rows[c] / 5 + 1);
    }
    assert_ok(cls_split(again, label, NULL, N, 0.1, 0.2, 3));
    assert_memory_equal(part, again, N);
    assert_ok(cls_split(again, label, NULL, N, 0.1, 0.2, 4));
    assert_memory_not_equal(part, again, N);
}

void test_split__trains_on_every_class_and_on_any_number_of_rows(void **state)
{
    int32_t label[20];
    int8_t part[20];
    (void)state;

    for (int n = 1; n <= 20; n++) {
        for (int i = 0; i < n; i++) label[i] = i % 5;
        assert_ok(cls_split(part, label, NULL, n, 0.4, 0.5, 1));
        int64_t in_all = 0;
        for (int k = 0; k < 3; k++) in_all += count(part, label, n, k, -1);
        assert_int_equal(in_all, n);
        for (int c = 0; c < 5 && c < n; c++) assert_true(count(part, label, n, 0, c) >= 1);
    }
}

void test_split__leaves_out_rows_without_a_target(void **state)
{
    const double y[] = {1, NAN, 3, 4, NAN};
    const int32_t label[] = {0, -1, 0, 1, -1};
    int8_t part[5];
    (void)state;

    assert_ok(cls_split(part, NULL, y, 5, 0.3, 0, 1));
    assert_int_equal(part[1], -1);
    assert_int_equal(part[4], -1);
    assert_int_equal(count(part, NULL, 5, 1, -1), 1);
    assert_ok(cls_split(part, label, NULL, 5, 0, 0, 1));
    assert_int_equal(count(part, NULL, 5, 0, -1), 3);
}

/* ---- tables ---- */

static cls_source table_source(mill_table *t)
{
    return (cls_source){.path = "made", .table = t, .rows = t->rows};
}

static mill_table *small_table(void)
{
    const double age[] = {10, 20, NAN, 40}, pay[] = {1, 1, 1, 1};
    mill_table *t = made_table(4, 4);

    made_numbers(t, 0, "age", MILL_INTEGER, age);
    made_words(t, 1, "town", MILL_CATEGORY, "ab b");
    made_numbers(t, 2, "pay", MILL_REAL, pay);
    made_words(t, 3, "y", MILL_CATEGORY, "pqpq");
    return t;
}

void test_encoder__standardises_numbers_and_codes_words(void **state)
{
    const int64_t fit[] = {0, 1}, all[] = {0, 1, 2, 3};
    cls_source s = table_source(small_table());
    cls_encoder *e;
    cls_rows *r;
    (void)state;

    assert_ok(cls_encoder_new(&e, &s, "y", CLS_AUTO, CLS_FLATTEN));
    assert_ok(cls_encoder_fit(e, &s, fit, 2));
    assert_int_equal(e->task, CLS_CLASSES);
    assert_int_equal(e->target.n_values, 2);
    assert_int_equal(e->n_num, 3); /* age, age is missing, pay */
    assert_int_equal(e->n_cat, 1);
    assert_int_equal(e->n_codes, 3); /* a, b, missing or unknown */
    assert_ok(cls_rows_new(&r, e, &s, all, 4, true));
    /* mean 15, deviation 5 of rows 0 and 1; pay does not vary */
    const float want[] = {-1, 0, 0, 1, 0, 0, 0, 1, 0, 5, 0, 0};
    assert_memory_equal(r->num, want, sizeof want);
    const int32_t code[] = {0, 1, 2, 1}, label[] = {0, 1, 0, 1};
    assert_memory_equal(r->code, code, sizeof code);
    assert_memory_equal(r->label, label, sizeof label);
    cls_rows_free(r);
    cls_encoder_free(e);
    cls_source_close(&s);
}

void test_encoder__keeps_every_feature_finite(void **state)
{
    const double age[] = {1e200, 1, 3, 1e30}, pay[] = {0, 0, 0, -1e38};
    const int64_t fit[] = {0, 1, 2};
    mill_table *t = made_table(4, 3);
    cls_source s = table_source(t);
    cls_encoder *e;
    cls_rows *r;
    (void)state;

    made_numbers(t, 0, "age", MILL_REAL, age);
    made_numbers(t, 1, "pay", MILL_REAL, pay);
    made_words(t, 2, "y", MILL_CATEGORY, "pqpq");
    assert_ok(cls_encoder_new(&e, &s, "y", CLS_AUTO, CLS_FLATTEN));
    assert_ok(cls_encoder_fit(e, &s, fit, 3));
    assert_near(e->mean[0], 2, 0);
    assert_ok(cls_rows_new(&r, e, &s, NULL, 0, true));
    /* too large for a float is missing; far from all that was trained is as far as goes */
    const float want[] = {0, 0, -1, 0, 1, 0, 1e12F, -1e12F};
    assert_memory_equal(r->num, want, sizeof want);
    cls_rows_free(r);
    cls_encoder_free(e);
    cls_source_close(&s);
}

/* Values that the training table had not, and another order of its own: the encoder's codes rule.
 */
void test_encoder__reads_new_tables_by_its_own_dictionary(void **state)
{
    char path[] = "/tmp/t_classify_data-XXXXXX.csv";
    const int64_t fit[] = {0, 1, 2, 3};
    cls_source s = table_source(small_table()), other;
    cls_encoder *e;
    cls_rows *r;
    (void)state;

    assert_ok(cls_encoder_new(&e, &s, "y", CLS_AUTO, CLS_FLATTEN));
    assert_ok(cls_encoder_fit(e, &s, fit, 4));
    const int fd = mkstemps(path, 4);
    assert_true(fd >= 0);
    close(fd);
    const char text[] = "pay,town,age\n1,c,10\n1,b,20\n1,a,30.5\n";
    assert_ok(file_write_all(path, text, sizeof text - 1));
    assert_ok(cls_source_read(&other, path, NULL, e, NULL));
    assert_ok(cls_rows_new(&r, e, &other, NULL, 0, false));
    const int32_t code[] = {2, 1, 0};
    assert_memory_equal(r->code, code, sizeof code);
    assert_near((double)r->num[2 * 3], (30.5 - e->mean[0]) / e->scale[0], 1e-6);
    cls_rows_free(r);
    cls_source_close(&other);
    assert_ok(file_write_all(path, "pay,age\n1,2\n", 12));
    assert_ok(cls_source_read(&other, path, NULL, e, NULL));
    assert_fails(MILL_EINPUT, "\"town\" is missing", cls_rows_new(&r, e, &other, NULL, 0, false));
    cls_source_close(&other);
    assert_ok(file_remove(path));
    cls_encoder_free(e);
    cls_source_close(&s);
}

void test_encoder__finds_the_task(void **state)
{
    const double few[] = {3, 1, 3, 2}, whole[] = {5, 6, 7, 8}, real[] = {0.5, 1, 2, 3};
    mill_table *t = made_table(4, 4);
    cls_source s = table_source(t);
    cls_encoder *e;
    (void)state;

    made_numbers(t, 0, "few", MILL_INTEGER, few);
    made_numbers(t, 1, "real", MILL_REAL, real);
    made_words(t, 2, "word", MILL_CATEGORY, "aabb");
    made_numbers(t, 3, "whole", MILL_REAL, whole);
    assert_ok(cls_encoder_new(&e, &s, "few", CLS_AUTO, CLS_FLATTEN));
    assert_int_equal(e->task, CLS_CLASSES);
    assert_int_equal(e->target.n_values, 3);
    assert_memory_equal(e->target.text, "123", 3); /* in order of value */
    int32_t label[4];
    assert_ok(cls_targets(label, NULL, e, &s, NULL, 0));
    const int32_t want[] = {2, 0, 2, 1};
    assert_memory_equal(label, want, sizeof want);
    cls_encoder_free(e);
    assert_ok(cls_encoder_new(&e, &s, "real", CLS_AUTO, CLS_FLATTEN));
    assert_int_equal(e->task, CLS_NUMBER);
    cls_encoder_free(e);
    assert_ok(cls_encoder_new(&e, &s, "whole", CLS_AUTO, CLS_FLATTEN)); /* written as reals */
    assert_int_equal(e->task, CLS_NUMBER);
    cls_encoder_free(e);
    assert_ok(cls_encoder_new(&e, &s, "whole", CLS_CLASSES, CLS_FLATTEN));
    assert_int_equal(e->target.n_values, 4);
    cls_encoder_free(e);
    assert_fails(MILL_EINPUT, "not whole", cls_encoder_new(&e, &s, "real", CLS_CLASSES, 0));
    assert_fails(MILL_EINPUT, "no regression", cls_encoder_new(&e, &s, "word", CLS_NUMBER, 0));
    assert_fails(MILL_EINPUT, "no column", cls_encoder_new(&e, &s, "nothing", CLS_AUTO, 0));
    cls_source_close(&s);
}

/* Classes that are numbers, found by value: their texts are in another order. */
void test_targets__knows_every_number_of_many(void **state)
{
    enum { N = 400 };
    double y[N];
    int32_t label[N], some[2];
    int64_t rows[N];
    mill_table *t = made_table(N, 2);
    cls_source s = table_source(t);
    cls_encoder *e;
    (void)state;

    for (int i = 0; i < N; i++) { /* -396, -389, ... 2397, each once, in no order */
        y[i] = 7.0 * (i * 37 % N) - 396;
        rows[i] = i;
    }
    made_numbers(t, 0, "x", MILL_REAL, y);
    made_numbers(t, 1, "y", MILL_REAL, y);
    assert_ok(cls_encoder_new(&e, &s, "y", CLS_CLASSES, CLS_FLATTEN));
    assert_ok(cls_targets(label, NULL, e, &s, rows, N));
    for (int i = 0; i < N; i++) assert_int_equal(label[i], i * 37 % N);
    assert_ok(cls_targets(some, NULL, e, &s, rows + 8, 2));
    assert_memory_equal(some, label + 8, sizeof some);
    const double others[] = {-397, -395.5, 0, 2398, 1e20};
    for (int k = 0; k < 5; k++) {
        t->col[1].f64[5] = others[k];
        assert_fails(MILL_EINPUT, "row 6: ", cls_targets(label, NULL, e, &s, NULL, 0));
        assert_ok(cls_targets(some, NULL, e, &s, rows + 8, 1));
    }
    cls_encoder_free(e);
    cls_source_close(&s);
}

/* ---- arrays ---- */

/* (2, 2, 3) in C order: 0 .. 11, as float32; and a target. */
static npz_entry made_array(const char *name, const float *x, int rank, const int64_t *dim)
{
    npz_entry a = {.name = mill_strdup(name)};
    int64_t n = 1;

    a.array = (npy_array){.kind = 'f', .size = 4, .rank = rank, .rows = dim[0]};
    for (int i = 0; i < rank; i++) n *= a.array.dim[i] = dim[i];
    a.array.cols = n / dim[0];
    a.data = mill_alloc((size_t)n, sizeof *x);
    memcpy(a.data, x, (size_t)n * sizeof *x);
    return a;
}

static cls_source array_source(void)
{
    const int64_t cube[] = {2, 2, 3}, line[] = {2};
    float x[12];
    const float y[] = {0.5f, 2};
    cls_source s = {.path = "made.npz", .n_arrays = 2, .rows = 2};

    for (int i = 0; i < 12; i++) x[i] = (float)i;
    s.array = mill_alloc(2, sizeof *s.array);
    s.array[0] = made_array("x", x, 3, cube);
    s.array[1] = made_array("y", y, 1, line);
    return s;
}

void test_arrays__flatten_average_or_take_the_first_channel(void **state)
{
    static const struct {
        cls_mode mode;
        int n;
        double mean[6]; /* of the two rows */
    } rows[] = {{CLS_FLATTEN, 6, {3, 4, 5, 6, 7, 8}},
                {CLS_AVERAGE, 3, {4.5, 5.5, 6.5}},
                {CLS_FIRST, 3, {3, 4, 5}}};
    const int64_t both[] = {0, 1};
    cls_source s = array_source();
    (void)state;

    for (int k = 0; k < 3; k++) {
        cls_encoder *e;
        cls_rows *r;
        assert_ok(cls_encoder_new(&e, &s, "y", CLS_AUTO, rows[k].mode));
        assert_int_equal(e->n_num, rows[k].n);
        assert_ok(cls_encoder_fit(e, &s, both, 2));
        assert_ok(cls_rows_new(&r, e, &s, both, 2, true));
        for (int j = 0; j < rows[k].n; j++) {
            assert_near(e->mean[j], rows[k].mean[j], 0);
            assert_near((double)r->num[j], -1, 0); /* two rows: one deviation below and above */
        }
        assert_near(r->y[1], 2, 0);
        cls_rows_free(r);
        cls_encoder_free(e);
    }
    cls_source_close(&s);
}

/* One number that no float holds says nothing of its feature's other rows, and is the mean itself.
 */
void test_arrays__take_what_no_float_holds_for_missing(void **state)
{
    const int64_t rows[] = {0, 1}, other[] = {1};
    cls_source s = array_source();
    cls_encoder *e;
    cls_rows *r;
    float *x = (float *)s.array[0].data, *y = (float *)s.array[1].data;
    double target[2];
    (void)state;

    x[0] = (float)INFINITY;
    x[1] = -(float)INFINITY;
    y[0] = (float)INFINITY;
    assert_ok(cls_encoder_new(&e, &s, "y", CLS_AUTO, CLS_FLATTEN));
    assert_ok(cls_targets(NULL, target, e, &s, NULL, 0));
    assert_true(isnan(target[0])); /* a row without a target */
    assert_ok(cls_encoder_fit(e, &s, rows, 2));
    assert_ok(cls_rows_new(&r, e, &s, rows, 2, true));
    const float want[] = {0, 0, -1, -1, -1, -1, 0, 0, 1, 1, 1, 1};
    assert_memory_equal(r->num, want, sizeof want);
    cls_rows_free(r);
    cls_encoder_free(e);
    assert_ok(cls_encoder_new(&e, &s, "y", CLS_AUTO, CLS_AVERAGE));
    assert_ok(cls_encoder_fit(e, &s, other, 1));
    assert_near(e->mean[0], 7.5, 0);
    cls_encoder_free(e);
    cls_source_close(&s);
}

void test_arrays__without_channels_have_no_average(void **state)
{
    cls_source s = array_source();
    cls_encoder *e;
    (void)state;

    s.array[0].array.rank = 2;
    s.array[0].array.dim[1] = 6;
    assert_fails(MILL_EINPUT, "three and more",
                 cls_encoder_new(&e, &s, "y", CLS_AUTO, CLS_AVERAGE));
    assert_fails(MILL_EINPUT, "6 numbers a row", cls_encoder_new(&e, &s, "x", CLS_AUTO, 0));
    cls_source_close(&s);
}

/* ---- in a file ---- */

static void round_trip(cls_source *s, cls_mode mode, const char *path)
{
    int64_t all[4] = {0, 1, 2, 3};
    cls_encoder *e, *back;
    cls_rows *a, *b;
    store_writer *w;
    store *f;
    json_t *meta = json_pack("{s:{}}", "classifier");

    assert_ok(cls_encoder_new(&e, s, "y", CLS_AUTO, mode));
    assert_ok(cls_encoder_fit(e, s, all, s->rows));
    assert_ok(store_writer_new(&w));
    assert_ok(cls_encoder_write(e, w, json_object_get(meta, "classifier")));
    assert_ok(store_writer_commit(w, path, meta));
    store_writer_free(w);
    json_decref(meta);
    assert_ok(store_open(&f, path));
    assert_ok(cls_encoder_read(&back, f));
    store_close(f);
    assert_ok(cls_rows_new(&a, e, s, NULL, 0, true));
    assert_ok(cls_rows_new(&b, back, s, NULL, 0, true));
    assert_memory_equal(a->num, b->num, (size_t)(a->n * a->n_num) * sizeof(float));
    assert_memory_equal(a->code, b->code, (size_t)(a->n * a->n_cat) * sizeof(int32_t));
    assert_near(back->y_scale, e->y_scale, 0);
    assert_int_equal(cls_n_out(back), cls_n_out(e));
    cls_rows_free(a);
    cls_rows_free(b);
    cls_encoder_free(e);
    cls_encoder_free(back);
}

void test_encoder__comes_back_from_a_file(void **state)
{
    char path[] = "/tmp/t_classify_data-XXXXXX";
    cls_source table = table_source(small_table()), arrays = array_source();
    (void)state;

    close(mkstemp(path));
    mill_cpu_init();
    round_trip(&table, CLS_FLATTEN, path);
    round_trip(&arrays, CLS_FIRST, path);
    cls_source_close(&table);
    cls_source_close(&arrays);
    assert_ok(file_remove(path));
    assert_int_equal(live_blocks(), 0);
}
