/*
 * t_csv_threads.c - a generated table of many blocks, against the values it was made from: for any
 * number of threads, quoted and odd, plain and compressed, in memory and in a spool file.
 */
/* TSAN */
#include "lib/same_table.h"
#include "lib/test.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/philox.h"
#include "base/text.h"
#include "table/csv.h"

#include <unistd.h>

enum { ROWS = 30000, COLS = 5 };

/* What is in row i: an integer, a real in tenths, a text, a number that is missing now and then, a
 * text with hostile bytes. */
static void draw(int64_t i, int64_t v[4])
{
    mill_rng rng = mill_rng_init(7, (uint32_t)i, 0);
    v[0] = (int64_t)mill_rng_below(&rng, 100000) - 50000;
    v[1] = (int64_t)mill_rng_below(&rng, 10000);
    v[2] = mill_rng_below(&rng, 500);
    v[3] = mill_rng_below(&rng, 9);
}

static const char *const odd_text[] = {"plain", "comma, inside", "\"quoted\"", "two\nlines", "",
                                       "NA",    " blank ",       "\r\n"};

/* style 0: RFC 4180; 1: with lone quotes inside fields. */
static char *make_text(size_t *len, int style)
{
    mill_text text = {0};

    text_add(&text, "int,real,cat,gap,odd%s\n", style ? "" : ",last");
    for (int64_t i = 0; i < ROWS; i++) {
        int64_t v[4];
        draw(i, v);
        text_add(&text, "%lld,%lld.%lld,value %lld,", (long long)v[0], (long long)v[1] / 10,
                 (long long)v[1] % 10, (long long)v[2]);
        if (v[3]) text_add(&text, "%lld", (long long)v[3]);
        text_add(&text, ",");
        if (style) {
            text_add(&text, i % 5 ? "5\" pipe %lld\n" : "\"a,\n%lld\"\n", (long long)v[3]);
            continue;
        }
        text_add(&text, "\"");
        for (const char *s = odd_text[i % 8]; *s; s++)
            text_add(&text, *s == '"' ? "\"\"" : "%c", *s);
        text_add(&text, "\",\"%lld\"\r\n", (long long)i * 3);
    }
    assert_ok(text_check(&text));
    *len = text.len;
    return text.s;
}

static void assert_text(const mill_column *c, int64_t i, const char *want)
{
    int n;
    const char *s = column_value(c, c->code[i], &n);
    assert_int_equal(n, strlen(want));
    assert_memory_equal(s, want, (size_t)n);
}

static void assert_as_drawn(const mill_table *t, int style)
{
    char want[60];

    assert_int_equal(t->rows, ROWS);
    assert_int_equal(t->col[0].type, MILL_INTEGER);
    assert_int_equal(t->col[1].type, MILL_REAL);
    assert_int_equal(t->col[2].type, MILL_CATEGORY);
    assert_int_equal(t->col[3].type, MILL_INTEGER);
    assert_int_equal(t->col[2].n_values, 500);
    int64_t missing = 0;
    for (int64_t i = 0; i < ROWS; i++) {
        int64_t v[4];
        draw(i, v);
        assert_int_equal(t->col[0].i64[i], v[0]);
        assert_true(t->col[1].f64[i] == (double)v[1] / 10.0);
        snprintf(want, sizeof want, "value %lld", (long long)v[2]);
        assert_text(&t->col[2], i, want);
        assert_int_equal(column_is_valid(&t->col[3], i), v[3] != 0);
        if (v[3]) assert_int_equal(t->col[3].i64[i], v[3]);
        missing += !v[3];
        snprintf(want, sizeof want, i % 5 ? "5\" pipe %lld" : "a,\n%lld", (long long)v[3]);
        assert_text(&t->col[4], i, style ? want : odd_text[i % 8]);
    }
    assert_int_equal(t->col[3].n_missing, missing);
}

static void read_with_threads(int style)
{
    char path[64];
    size_t n;
    char *text = make_text(&n, style);
    mill_table *first = NULL, *t;

    snprintf(path, sizeof path, "/tmp/t_csv_threads-%d.csv", (int)getpid());
    assert_ok(file_write_all(path, text, n));
    assert_true(n > (7u << 17)); /* several blocks */
    for (int threads = 0; threads < 8; threads += threads < 2 ? 1 : 5) {
        mill_pool *pool = NULL;
        if (threads) assert_ok(mill_pool_new(&pool, threads));
        assert_ok(mill_table_read_csv(&t, path, NULL, pool));
        mill_pool_free(pool);
        if (!first) {
            assert_as_drawn(t, style);
            first = t;
            continue;
        }
        assert_same_table(first, t);
        mill_table_free(t);
    }
    const csv_options spooled = {.header = -1, .memory_bytes = 1};
    assert_ok(mill_table_read_csv(&t, path, &spooled, NULL));
    assert_non_null(t->spool);
    assert_same_table(first, t);
    for (int j = 0; j < t->n_cols; j++) table_column_release(t, j);
    assert_same_table(first, t); /* released pages come back */
    mill_table_free(t);
    mill_table_free(first);
    mill_free(text);
    unlink(path);
}

void test_csv_threads__same_table_from_any_number(void **state)
{
    (void)state;
    read_with_threads(0);
}

void test_csv_threads__lone_quotes_too(void **state)
{
    (void)state;
    read_with_threads(1);
}

/* A block may end anywhere: shift every kind of byte over a block's border. */
void test_csv_threads__block_borders_fall_anywhere(void **state)
{
    char path[64];
    mill_text text = {0};
    const int border = 1 << 18;

    (void)state;
    snprintf(path, sizeof path, "/tmp/t_csv_border-%d.csv", (int)getpid());
    for (int shift = 0; shift < 40; shift++) {
        mill_table *t;
        text_clear(&text);
        text_add(&text, "a,b\n");
        while ((int)text.len < border - 60) text_add(&text, "x,1\n");
        while ((int)text.len < border - 56 + shift) text_add(&text, "y");
        text_add(&text, ",2\n\"q\n\"\"\n,z\",3\r\n\"r\"\"\",4\r\n\r\nlast,5\n");
        assert_ok(text_check(&text));
        assert_ok(file_write_all(path, text.s, text.len));
        assert_ok(mill_table_read_csv(&t, path, NULL, NULL));
        const int64_t n = t->rows;
        assert_text(&t->col[0], n - 3, "q\n\"\n,z");
        assert_text(&t->col[0], n - 2, "r\"");
        assert_text(&t->col[0], n - 1, "last");
        for (int64_t k = 0; k < 4; k++) assert_int_equal(t->col[1].i64[n - 1 - k], 5 - k);
        mill_table_free(t);
    }
    text_free(&text);
    unlink(path);
}

/* Values turn up one after the other, and again in all that follows.  A thread that comes to an
 * earlier block late finds them earlier than it had. */
void test_csv_threads__values_are_in_order_of_first_appearance(void **state)
{
    enum { MANY = 500000, EVERY = 500 };
    char path[64];
    mill_text text = {0};
    mill_pool *pool;

    (void)state;
    snprintf(path, sizeof path, "/tmp/tabmill-csv-order-%d.csv", (int)getpid());
    text_add(&text, "v,w\n");
    for (int64_t i = 0; i < MANY; i++) {
        mill_rng rng = mill_rng_init(9, (uint32_t)i, 0);
        text_add(
            &text, "v%lld,w\n",
            (long long)(i % EVERY ? mill_rng_below(&rng, (uint32_t)(i / EVERY) + 1) : i / EVERY));
    }
    assert_ok(text_check(&text));
    assert_ok(file_write_all(path, text.s, text.len));
    text_free(&text);
    assert_ok(mill_pool_new(&pool, 7));
    for (int run = 0; run < 12; run++) {
        mill_table *t;
        assert_ok(mill_table_read_csv(&t, path, NULL, pool));
        assert_int_equal(t->col[0].n_values, MANY / EVERY);
        for (int32_t k = 0; k < t->col[0].n_values; k++) {
            char want[24];
            int n;
            const char *s = column_value(&t->col[0], k, &n);
            assert_int_equal(snprintf(want, sizeof want, "v%d", k), n);
            assert_memory_equal(s, want, (size_t)n);
        }
        mill_table_free(t);
    }
    mill_pool_free(pool);
    assert_ok(file_remove(path));
}
