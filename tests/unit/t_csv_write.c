/* t_csv_write.c - what is written comes back as it was, and nothing is overwritten unasked. */
#include "lib/test.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/philox.h"
#include "table/csv.h"

#include <math.h>
#include <unistd.h>

static char dir[64], path[80];

static const char *in_dir(const char *name)
{
    snprintf(dir, sizeof dir, "/tmp/t_csv_write-%d", (int)getpid());
    assert_ok(file_mkdir(dir));
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void clean(void)
{
    assert_ok(file_remove_tree(dir));
}

static mill_table *sample(int64_t rows)
{
    static const char *const texts[] = {"plain", "a,b", "say \"x\"", "two\nlines", "",
                                        "NA",    " ",   "'single'",  "\xc3\xa4",   "cr\r"};
    mill_table *t;
    char text[100];
    int32_t offset[11] = {0};

    for (int k = 0; k < 10; k++) {
        memcpy(text + offset[k], texts[k], strlen(texts[k]));
        offset[k + 1] = offset[k] + (int32_t)strlen(texts[k]);
    }
    assert_ok(table_new(&t, rows, 4));
    assert_ok(column_init(&t->col[0], "int", MILL_INTEGER, rows));
    assert_ok(column_init(&t->col[1], "re,al", MILL_REAL, rows));
    assert_ok(column_init(&t->col[2], "text", MILL_CATEGORY, rows));
    assert_ok(column_init(&t->col[3], "when", MILL_DATETIME, rows));
    t->col[1].decimals = 3;
    t->col[3].format = mill_strdup("%Y-%m-%d %H:%M:%S");
    assert_ok(column_set_dictionary(&t->col[2], 10, offset, text));
    for (int64_t i = 0; i < rows; i++) {
        mill_rng rng = mill_rng_init(3, (uint32_t)i, 0);
        const uint64_t bits = (uint64_t)mill_rng_u32(&rng) << 32 | mill_rng_u32(&rng);
        t->col[0].i64[i] = (int64_t)(bits >> (i % 64)) * (i % 2 ? 1 : -1);
        t->col[1].f64[i] =
            (double)((int64_t)mill_rng_below(&rng, 2000000000) - 1000000000) / 1000.0;
        t->col[2].code[i] = (int32_t)(i % 10);
        t->col[3].i64[i] = (int64_t)mill_rng_below(&rng, 2000000000) - 500000000;
        for (int j = 0; j < 4; j++)
            if (mill_rng_below(&rng, 11) == 0) assert_ok(column_set_missing(&t->col[j], i));
    }
    return t;
}

static void assert_equal_tables(const mill_table *a, const mill_table *b)
{
    assert_int_equal(a->rows, b->rows);
    for (int j = 0; j < a->n_cols; j++) {
        const mill_column *x = &a->col[j], *y = &b->col[j];
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->type, y->type);
        for (int64_t i = 0; i < a->rows; i++) {
            assert_int_equal(column_is_valid(x, i), column_is_valid(y, i));
            if (!column_is_valid(x, i)) continue;
            if (column_has_codes(x)) {
                int n, m;
                const char *s = column_value(x, x->code[i], &n),
                           *r = column_value(y, y->code[i], &m);
                assert_int_equal(n, m);
                assert_memory_equal(s, r, (size_t)n);
            } else {
                assert_int_equal(x->i64[i], y->i64[i]); /* reals: the same bits */
            }
        }
    }
}

static void round_trip(const char *name, int threads)
{
    mill_table *t = sample(20000), *back;
    mill_pool *pool = NULL;

    if (threads) assert_ok(mill_pool_new(&pool, threads));
    assert_ok(mill_table_write(t, in_dir(name), false, pool));
    assert_ok(mill_table_read(&back, path, NULL, pool));
    assert_equal_tables(t, back);
    mill_pool_free(pool);
    mill_table_free(back);
    mill_table_free(t);
    clean();
}

void test_csv_write__comes_back_as_it_was(void **state)
{
    (void)state;
    round_trip("t.csv", 0);
    round_trip("t.csv", 3);
    round_trip("t.csv.gz", 2);
    round_trip("t.csv.zst", 2);
}

void test_csv_write__text_is_as_expected(void **state)
{
    mill_table *t;
    char *text;
    size_t n;

    (void)state;
    assert_ok(table_new(&t, 3, 2));
    assert_ok(column_init(&t->col[0], "x", MILL_REAL, 3));
    assert_ok(column_init(&t->col[1], "y\"", MILL_INTEGER, 3));
    t->col[0].decimals = 2;
    t->col[0].f64[0] = 1.5;
    t->col[0].f64[1] = -0.0;
    t->col[0].f64[2] = 1e16;
    t->col[1].i64[0] = INT64_MIN;
    t->col[1].i64[2] = 100;
    assert_ok(column_set_missing(&t->col[1], 1));
    assert_ok(mill_table_write(t, in_dir("t.csv"), false, NULL));
    assert_ok(file_read_all(&text, &n, path));
    assert_string_equal(text,
                        "x,\"y\"\"\"\n1.50,-9223372036854775808\n0.00,\n10000000000000000,100\n");
    mill_free(text);
    mill_table_free(t);
    clean();
}

/* Every number of decimals, against printf on values that have an exact decimal text. */
void test_csv_write__reals_have_their_decimals(void **state)
{
    char want[64], *text;
    size_t n;

    (void)state;
    for (int d = 0; d < 15; d++) {
        mill_table *t;
        assert_ok(table_new(&t, 200, 1));
        assert_ok(column_init(&t->col[0], "x", MILL_REAL, 200));
        t->col[0].decimals = d;
        for (int i = 0; i < 200; i++) t->col[0].f64[i] = (i * 37 - 3000) / 8.0 / (i % 3 ? 1 : 1024);
        assert_ok(mill_table_write(t, in_dir("t.csv"), true, NULL));
        assert_ok(file_read_all(&text, &n, path));
        const char *p = strchr(text, '\n') + 1;
        for (int i = 0; i < 200; i++) {
            const int k = snprintf(want, sizeof want, "%.*f\n", d, t->col[0].f64[i]);
            const bool minus_zero = *want == '-' && strtod(want, NULL) == 0; /* we write no -0.00 */
            assert_memory_equal(p, want + minus_zero, (size_t)(k - minus_zero));
            p = strchr(p, '\n') + 1;
        }
        mill_free(text);
        mill_table_free(t);
    }
    clean();
}

void test_csv_write__never_overwrites_unasked(void **state)
{
    mill_table *t = sample(10);
    csv_writer *w;
    char *text;
    size_t n;

    (void)state;
    assert_ok(file_write_all(in_dir("t.csv"), "kept", 4));
    assert_fails(MILL_EINPUT, "exists", mill_table_write(t, path, false, NULL));
    assert_ok(csv_writer_open(&w, path, true, ';', NULL));
    assert_ok(csv_writer_add(w, t));
    csv_writer_close(w); /* without commit */
    assert_ok(file_read_all(&text, &n, path));
    assert_string_equal(text, "kept");
    mill_free(text);
    mill_table_free(t);
    clean();
}

void test_csv_write__several_tables_have_one_header(void **state)
{
    mill_table *t = sample(500), *back, *other;
    const int one[1] = {0};
    csv_writer *w;

    (void)state;
    assert_ok(table_take_cols(&other, t, one, 1));
    assert_ok(csv_writer_open(&w, in_dir("t.csv"), false, 0, NULL));
    assert_ok(csv_writer_add(w, t));
    assert_ok(csv_writer_add(w, t));
    assert_fails(MILL_ESHAPE, "not those of the first", csv_writer_add(w, other));
    assert_ok(csv_writer_commit(w));
    csv_writer_close(w);
    assert_ok(mill_table_read(&back, path, NULL, NULL));
    assert_int_equal(back->rows, 1000);
    assert_int_equal(back->col[3].type, MILL_DATETIME);
    mill_table_free(back);
    mill_table_free(other);
    mill_table_free(t);
    clean();
}

static char said[200];

static void keep_words(void *ctx, mill_log_level level, const char *line)
{
    (void)ctx;
    if (level == MILL_LOG_WARN) snprintf(said, sizeof said, "%s", line);
}

void test_csv_write__the_name_says_what_stands_between_fields(void **state)
{
    static const struct {
        const char *name;
        char delimiter;
        bool is_warned;
    } of[] = {{"t.csv", ',', false},  {"t.txt", ',', false},     {"t", ',', false},
              {"t.tsv", '\t', false}, {"t.tsv.gz", '\t', false}, {"t.csv.zst", ',', false},
              {"t.gz", ',', false},   {".tsv", ',', false},      {"tsv", ',', false},
              {"t.xlsx", ',', true},  {"t.json.gz", ',', true},  {"t.tsv.tmp", ',', true}};
    mill_table *t = sample(20), *back;

    (void)state;
    mill_log_set(keep_words, NULL, MILL_LOG_WARN);
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        *said = 0;
        assert_ok(mill_table_write(t, in_dir(of[i].name), false, NULL));
        assert_int_equal(csv_name_delimiter(path), of[i].delimiter);
        assert_int_equal(strstr(said, of[i].name) && strstr(said, ": written as CSV;"),
                         of[i].is_warned);
        const csv_options o = {.header = 1, .delimiter = of[i].delimiter};
        assert_ok(mill_table_read(&back, path, &o, NULL));
        assert_int_equal(back->n_cols, t->n_cols);
        mill_table_free(back);
        unlink(path);
    }
    mill_log_set(NULL, NULL, MILL_LOG_WARN);
    mill_table_free(t);
    clean();
}

/* Made as text in two pieces, the second without a header, and put together: the file's bytes. */
void test_csv_write__text_of_pieces_is_the_file(void **state)
{
    mill_table *a = sample(300), *b = sample(50);
    mill_table *const all[] = {a, b};
    csv_writer *file, *whole;
    char *x, *y;
    size_t n, m;

    (void)state;
    assert_ok(csv_writer_open(&whole, in_dir("whole.csv"), false, ',', NULL));
    for (int k = 0; k < 2; k++) assert_ok(csv_writer_add(whole, all[k]));
    assert_ok(csv_writer_commit(whole));
    csv_writer_close(whole);
    assert_ok(file_read_all(&x, &n, path));

    assert_ok(csv_writer_open(&file, in_dir("pieces.csv"), false, ',', NULL));
    for (int k = 0; k < 2; k++) {
        csv_writer *piece;
        const char *text;
        size_t len;

        assert_ok(csv_writer_open_text(&piece, k == 0, ',', NULL));
        assert_ok(csv_writer_add(piece, b)); /* forgotten */
        csv_writer_clear(piece);
        csv_writer_text(piece, &len);
        assert_int_equal(len, 0);
        csv_writer_close(piece);
        assert_ok(csv_writer_open_text(&piece, k == 0, ',', NULL));
        assert_ok(csv_writer_add(piece, all[k]));
        text = csv_writer_text(piece, &len);
        assert_ok(csv_writer_add_text(file, text, len));
        csv_writer_close(piece);
    }
    assert_ok(csv_writer_commit(file));
    csv_writer_close(file);
    assert_ok(file_read_all(&y, &m, path));
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    mill_free(x);
    mill_free(y);
    mill_table_free(a);
    mill_table_free(b);
    clean();
}
