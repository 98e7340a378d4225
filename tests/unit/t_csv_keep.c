/*
 * t_csv_keep.c - what the first visit keeps: the table that two visits would give, whatever turns
 * up behind the first block.  Two visits are made of tables above `memory_bytes`: the oracle.
 */
/* TSAN */
#include "lib/same_table.h"
#include "lib/test.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "table/csv_reader.h"

#include <unistd.h>

static void path_of(char path[64])
{
    snprintf(path, 64, "/tmp/tabmill-t_csv_keep-%d.csv", (int)getpid());
}

/* Small blocks, so that nearly all of the text lies behind the first. */
static void assert_as_two_visits(const char *text, csv_options o)
{
    static const int64_t blocks[] = {16, 64, 100, 1000, CSV_BLOCK};
    static const int threads[] = {1, 2, 7};
    char path[64];
    mill_table *want, *got;

    path_of(path);
    assert_ok(file_write_all(path, text, strlen(text)));
    for (int k = 0; k < 5; k++)
        for (int t = 0; t < 3; t++) {
            mill_pool *pool;
            csv_block_bytes = blocks[k];
            assert_ok(mill_pool_new(&pool, threads[t]));
            o.memory_bytes = 1;
            assert_ok(mill_table_read_csv(&want, path, &o, pool));
            o.memory_bytes = 0;
            assert_ok(mill_table_read_csv(&got, path, &o, pool));
            assert_same_table(want, got);
            mill_table_free(want);
            mill_table_free(got);
            mill_pool_free(pool);
        }
    csv_block_bytes = CSV_BLOCK;
    assert_ok(file_remove(path));
}

static const char head[] = "i,r,d,c,b\n";
static const char rows[] = "3,1.5,2020-01-02,red,yes\n"
                           "-14,-2.25,2021-03-04,\"blue, \"\"b\"\"\",no\n"
                           "123456789012,100000000.0625,1969-12-31,green,yes\n";

void test_csv_keep__ends_in_the_same_table(void **state)
{
    /* What comes behind the regular rows. */
    static const char *const tails[] = {
        "",
        "4,2,2020-01-02,red,no",              /* no line end; an integer among reals */
        "4,-0,2020-01-02,red,no\n",           /* minus zero among reals */
        "4.5,2.5,2020-01-02,red,no\n",        /* a real among integers */
        "many,2.5,2020-01-02,red,no\n",       /* a text among integers */
        "4,many,2020-01-02,red,no\n",         /* among reals */
        "4,2.5,someday,red,no\n",             /* among dates */
        "4,2.5,2020-01-02 10:00:00,red,no\n", /* another form of dates */
        "4,2.5,2020-01-02,red,perhaps\n",     /* no boolean */
        ",,,,\n4,2.5,2020-01-02,red,no\nNA,NA,NA,NA,NA\n",
        "\"\",\"NA\",\" \",\"\",\"\"\n\"4\",\"2.5\",\"2020-01-02\",\"NA\",\"no\"\n",
        " 4 , 2.5 , 2020-01-02 , red , no \n", /* blanks */
        "0004,2.5,2020-01-02,red,no\n",        /* a code */
        "4,1e300,2020-01-02,red,no\n4,9007199254740993.5,2020-01-02,red,no\n",
        "4,0.1234567890123456789012345,2020-01-02,red,no\n4,1234567890123456789,2020-01-02,a,no\n",
        "9223372036854775807,2.5,2020-01-02,red,no\n",
        "4,2.5,2020-01-02,red,no\n\n\n",                        /* empty lines at the end */
        "4,2.5,2020-01-02,red,no\n\n5,2.5,2020-01-02,red,no\n", /* and in between */
        "4,2.5,2020-01-02,red,no\r\n\r\n5,2.5,2020-01-02,\"new\r\n\",no\r\n",
        "4,2.5,2020-01-02,5\" pipe,no\n", /* a lone quote */
        "4,2.5,2020-01-02,\"two\nlines\n\n\",no\n",
    };
    char text[4000];

    (void)state;
    mill_log_set(NULL, NULL, MILL_LOG_ERROR); /* mixed columns are announced */
    for (size_t k = 0; k < sizeof tails / sizeof *tails; k++) {
        const char *tail = tails[k], *more = strrchr(tail, '\n') ? rows : "";
        snprintf(text, sizeof text, "%s%s%s%s%s%s%s%s", head, rows, rows, rows, rows, tail, more,
                 more);
        assert_as_two_visits(text, CSV_DEFAULTS);
    }
    mill_log_set(NULL, NULL, MILL_LOG_WARN);
}

void test_csv_keep__one_column_and_runs_too(void **state)
{
    static const char *const texts[] = {
        "a\n1\n\n2\n\n\n3\n4\n5\n6\n7\n8\n", /* an empty line is a missing value */
        "a\nx\n\ny\nx\n\n\nz\nx\ny\n\n",
        "k,v\n1,a\n2,b\n3,c\n4,a\n5,b\n6,c\n7,d\n9,e\n10,f\n", /* a run that breaks */
        "v\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n5\n6\n7.5\n",  /* nothing at first */
    };
    char text[4000];
    size_t n = 0;

    (void)state;
    for (int k = 0; k < 4; k++) assert_as_two_visits(texts[k], CSV_DEFAULTS);
    n += (size_t)sprintf(text, "k,v\n");
    for (int i = 0; i < 300; i++) n += (size_t)sprintf(text + n, "%d,w%d\n", i + 7, i % 3);
    assert_as_two_visits(text, CSV_DEFAULTS);
}

void test_csv_keep__given_types_too(void **state)
{
    static const char text[] = "i,r\n5,3.5\n6,4\n7.0,5\n008,6.25\n9,7\n\"\",NA\n10,\"8\"\n";
    static const char *const listed[] = {"i", NULL};
    char path[64], types[80];
    mill_table *like;

    (void)state;
    assert_as_two_visits(text, (csv_options){.header = -1, .discrete = listed});
    path_of(path);
    snprintf(types, sizeof types, "%s.json", path);
    static const char given[] = "{\"columns\":[{\"name\":\"i\",\"type\":\"integer\"},"
                                "{\"name\":\"r\",\"type\":\"real\"}]}";
    assert_ok(file_write_all(types, given, strlen(given)));
    assert_as_two_visits(text, (csv_options){.header = -1, .types = types});
    assert_ok(file_remove(types));

    static const char other[] = "i,r\nblack,1\nwhite,2\n";
    assert_ok(file_write_all(path, other, strlen(other)));
    assert_ok(mill_table_read_csv(&like, path, NULL, NULL));
    assert_as_two_visits("i,r\nwhite,1\nred,2\nblack,2.5\n,3\nwhite,4\n",
                         (csv_options){.header = -1, .like = like});
    mill_table_free(like);
}

/* What stays kept of the five columns of `text`. */
static void kept(csv_keep keep[5], const char *text, int64_t block)
{
    const csv_options o = CSV_DEFAULTS;
    csv_reader r = {.o = &o};
    char path[64];

    path_of(path);
    assert_ok(file_write_all(path, text, strlen(text)));
    assert_ok(source_open(&r.src, path, NULL));
    csv_block_bytes = block;
    assert_ok(csv_reader_open(&r));
    assert_ok(csv_reader_types(&r));
    assert_ok(csv_infer(&r));
    assert_ok(csv_decide(&r));
    csv_block_bytes = CSV_BLOCK;
    assert_int_equal(r.n_cols, 5);
    for (int j = 0; j < 5; j++) keep[j] = r.col[j].keep;
    csv_reader_close(&r);
    assert_ok(file_remove(path));
}

void test_csv_keep__regular_columns_are_read_once(void **state)
{
    static const csv_keep all[] = {KEEP_INTEGERS, KEEP_REALS, KEEP_DATES, KEEP_CODES, KEEP_CODES};
    char text[2000];
    csv_keep keep[5];

    (void)state;
    snprintf(text, sizeof text, "%s%s%s%s%s\n\n", head, rows, rows, rows, rows);
    for (int64_t block = 110; block < 300; block++) { /* borders fall anywhere */
        kept(keep, text, block);
        assert_memory_equal(keep, all, sizeof all);
    }

    snprintf(text, sizeof text, "%s%s%s4.5,1,2020-01-02,red,no\n%s", head, rows, rows, rows);
    kept(keep, text, 150);
    assert_int_equal(keep[0], KEEP_NOTHING);
    assert_memory_equal(keep + 1, all + 1, sizeof all - sizeof *all);

    snprintf(text, sizeof text, "%s%s%s\n%s%s", head, rows, rows, rows, rows);
    kept(keep, text, 150);
    for (int j = 0; j < 5; j++) assert_int_equal(keep[j], KEEP_NOTHING);
}
